//! Answers fail, are lost, and come after the time is up: the next apply converges, nothing is there twice, and destroy leaves nothing.

use serde_json::json;
use streamverse_runpod_stand_in::StandIn;
use tfplugin_testing::cli::{Action, Cli, Failure, Step, action};

use crate::kit::{block, case};

fn everything(it: &StandIn, size: u32, version: u32) -> String {
    format!(
        "{}resource \"streamverse_runpod_network_volume\" \"v\" {{\n  name = \"v\"\n  size_gb = {size}\n  data_center = \"EU-RO-1\"\n}}\nresource \"streamverse_runpod_registry_credential\" \"r\" {{\n  name = \"r\"\n  username = \"robot\"\n  password_ref = \"env:REGISTRY_PASSWORD\"\n}}\nresource \"streamverse_runpod_template\" \"t\" {{\n  name = \"t\"\n  image = \"registry.example/worker:{version}\"\n  serverless = true\n  registry_credential_id = streamverse_runpod_registry_credential.r.id\n}}\nresource \"streamverse_runpod_endpoint\" \"e\" {{\n  name = \"e\"\n  template_id = streamverse_runpod_template.t.id\n  scaling = {{ queue_delay = \"4s\" }}\n  gpu = {{ pools = [\"ADA_48_PRO\"] }}\n  workers = {{ max = {version} }}\n  network_volume_ids = [streamverse_runpod_network_volume.v.id]\n}}\n",
        block(it)
    )
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
