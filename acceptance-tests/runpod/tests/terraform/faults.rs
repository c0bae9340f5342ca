//! The provider is killed around each call, answers are lost, and the time is up: the next apply converges, nothing is there twice,
//! and destroy leaves nothing.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use serde_json::json;
use streamverse_acceptance::crash::{hit, kill_providers_of};
use streamverse_runpod_stand_in::{KEY, StandIn};
use tfplugin_testing::cli::{Action, Cli, Failure, Step, action};

use crate::kit::{PASSWORD, block, case, provider};

fn everything(it: &StandIn, size: u32, version: u32) -> String {
    everything_in(it, size, version, "EU-RO-1")
}

/// … with the volume in a data centre: another one is another volume, which is made before the old one is destroyed.
fn everything_in(it: &StandIn, size: u32, version: u32, centre: &str) -> String {
    format!(
        "{}resource \"streamverse_runpod_network_volume\" \"v\" {{\n  name = \"v\"\n  size_gb = {size}\n  data_center = \"{centre}\"\n  lifecycle {{ create_before_destroy = true }}\n}}\nresource \"streamverse_runpod_registry_credential\" \"r\" {{\n  name = \"r\"\n  username = \"robot\"\n  password_ref = \"env:REGISTRY_PASSWORD\"\n}}\nresource \"streamverse_runpod_template\" \"t\" {{\n  name = \"t\"\n  image = \"registry.example/worker:{version}\"\n  serverless = true\n  registry_credential_id = streamverse_runpod_registry_credential.r.id\n}}\nresource \"streamverse_runpod_endpoint\" \"e\" {{\n  name = \"e\"\n  template_id = streamverse_runpod_template.t.id\n  scaling = {{ queue_delay = \"4s\" }}\n  gpu = {{ pools = [\"ADA_48_PRO\"] }}\n  workers = {{ max = {version} }}\n  network_volume_ids = [streamverse_runpod_network_volume.v.id]\n}}\n",
        block(it)
    )
}

fn terraform(cli: &Cli, folder: &Path, words: &[&str]) -> Command {
    let mut command = Command::new(cli.path().unwrap());
    command
        .args(words)
        .current_dir(folder)
        .env("TF_CLI_CONFIG_FILE", folder.join("cli.tfrc"))
        .env("TF_IN_AUTOMATION", "1")
        .env("RUNPOD_API_KEY", KEY)
        .env("REGISTRY_PASSWORD", PASSWORD)
        .stdin(Stdio::null());
    command
}

#[test]
fn whenever_the_provider_is_killed_the_next_apply_converges_without_a_duplicate() {
    let cli = Cli::terraform().unwrap();
    if cli.path().is_err() {
        assert!(std::env::var_os("CI").is_none(), "terraform is missing");
        eprintln!("SKIPPED: terraform is missing");
        return;
    }
    let it = StandIn::start();
    // Lists lag behind, as they do there.
    it.settings(&json!({ "list_lag_ms": 500, "page_size": 2 }));
    let folder = tempfile::tempdir().unwrap();
    let overrides = format!(
        "provider_installation {{\n  dev_overrides {{\n    \"streamverse/streamverse\" = \"{}\"\n  }}\n  direct {{}}\n}}\n",
        provider().parent().unwrap().display()
    );
    std::fs::write(folder.path().join("cli.tfrc"), overrides).unwrap();
    let must = |words: &[&str]| {
        let said = terraform(&cli, folder.path(), words).output().unwrap();
        let text =
            String::from_utf8_lossy(&said.stdout).into_owned() + &String::from_utf8_lossy(&said.stderr);
        assert!(said.status.success(), "terraform {words:?}: {text}\n{:#?}", it.calls());
        assert!(!text.contains(KEY) && !text.contains(PASSWORD));
    };
    let apply: &[&str] = &["apply", "-auto-approve", "-input=false"];
    let destroy: &[&str] = &["destroy", "-auto-approve", "-input=false"];
    let kill_both = |terraform: u32| {
        let _ = Command::new("kill").args(["-9", &terraform.to_string()]).status();
        kill_providers_of(terraform);
    };
    // What is run, with the volume where, and what is killed under which call: the path, how many calls that change something come
    // before it, whether it took effect, and whether terraform is killed too, with all that it did not write down yet.
    let (here, there, volume) = ("EU-RO-1", "EU-CZ-1", "/v2/network-volumes");
    let rounds = [
        (apply, here, "", 0, "hold_after", true),
        (apply, there, volume, 0, "hold_after", true),
        (destroy, there, "", 1, "hold_before", false),
        (destroy, there, "", 2, "hold_after", true),
        (apply, here, volume, 0, "hold_before", true),
        (apply, there, volume, 1, "hold_after", false),
    ];
    for (round, (words, centre, path, after, what, both)) in (0_u32..).zip(rounds) {
        let config = everything_in(&it, 20 + round, 2 + round, centre);
        std::fs::write(folder.path().join("main.tf"), config).unwrap();
        it.faults(&json!([{ "mutating": true, "path": path, "after": after, "what": what }]));
        hit(&mut terraform(&cli, folder.path(), words), Duration::ZERO, |pid| {
            it.until_held();
            if both { kill_both(pid) } else { kill_providers_of(pid) }
        });
        while it.held() > 0 {
            std::thread::sleep(Duration::from_millis(5));
        }
        it.clear_faults();
        must(apply);
        let mut open = it.account().open();
        open.sort();
        let names: Vec<&str> = open.iter().map(|name| name.split('_').next().unwrap()).collect();
        assert_eq!(
            names,
            [
                "endpoint streamverse.test.e",
                "registry streamverse.test.r",
                "template streamverse.test.t",
                "volume streamverse.test.v"
            ],
            "round {round}"
        );
        must(&["plan", "-detailed-exitcode", "-input=false"]);
    }
    must(destroy);
    it.clean().unwrap();
}

#[test]
fn throttled_failing_and_late_answers_end_in_what_was_asked_for() -> Result<(), Failure> {
    let cli = Cli::terraform()?;
    let it = &StandIn::start();
    let at = "streamverse_runpod_network_volume.v";
    let volume = |rest: &str| {
        format!(
            "{}resource \"streamverse_runpod_network_volume\" \"v\" {{\n  name = \"v\"\n  size_gb = 20\n  data_center = \"EU-RO-1\"\n  {rest}\n}}\n",
            block(it)
        )
    };
    case(&cli)
        .step(
            Step::apply(volume("timeouts = { create = \"2s\" }"))
                .named("the answer comes after the time is up")
                .before(|_| {
                    it.faults(&json!([{ "method": "POST", "what": { "late": 6000 } }]));
                    Ok(())
                })
                .plan(action(at, Action::Create))
                .expect_apply_error("(?s)RunPod, |not finished within"),
        )
        .step(Step::apply(volume("")).named("it is found, not made again").plan(action(at, Action::Create)).after(|_| {
            assert_eq!(it.account().created("volume"), 1, "{:?}", it.calls());
            Ok(())
        }))
        .step(
            Step::apply(everything(it, 30, 2))
                .named("each answer fails once")
                .before(|_| {
                    it.faults(&json!([
                        { "method": "POST", "path": "/v2/registries", "what": { "answer": { "status": 429, "retry_after": 1 } } },
                        { "method": "POST", "path": "/v2/templates", "what": "done_then500" },
                        { "method": "POST", "path": "/v2/serverless", "what": "drop" },
                        { "method": "PATCH", "path": "/v2/network-volumes", "what": "lose" },
                    ]));
                    Ok(())
                })
                .after(|_| {
                    assert_eq!(it.clear_faults(), 0, "a fault was not met: {:?}", it.calls());
                    let account = it.account();
                    for kind in ["volume", "registry", "template", "endpoint"] {
                        assert_eq!(account.created(kind), 1, "{kind}: {:?}", it.calls());
                    }
                    Ok(())
                }),
        )
        .step(
            Step::apply(everything(it, 30, 2).replace("\"EU-RO-1\"", "\"EU-CZ-1\"").replace("name = \"v\"", "name = \"w\""))
                .named("no money")
                .before(|_| {
                    it.faults(&json!([{ "method": "POST", "path": "/v2/network-volumes", "what": { "answer": { "status": 402, "detail": "Your balance is too low" } } }]));
                    Ok(())
                })
                .expect_apply_error("(?s)402, Your balance is too low.*Add credit"),
        )
        .check_destroyed(|_| it.clean().map_err(Into::into))
        .run()
        .map(|_| ())
}
