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
    // One of each, of which none waits for another.
    let each = |rest: &str| {
        let of = |kind: &str, name: &str, what: &str| {
            format!(
                "resource \"streamverse_runpod_{kind}\" \"{name}\" {{\n  name = \"{name}\"\n  {what}\n  {rest}\n}}\n"
            )
        };
        [
            block(it),
            of("network_volume", "v", "size_gb = 20\n  data_center = \"EU-RO-1\""),
            of("registry_credential", "late", "username = \"robot\"\n  password_ref = \"env:REGISTRY_PASSWORD\""),
            of("template", "late", "image = \"registry.example/worker:1\""),
            of("endpoint", "late", "image = \"registry.example/worker:1\"\n  scaling = { queue_delay = \"4s\" }\n  gpu = { pools = [\"ADA_48_PRO\"] }\n  workers = {}"),
        ]
        .concat()
    };
    let made = |kind: &str, name: &str| {
        let name = format!("streamverse.test.{name}");
        let fits = |it: &str| it == name || it.strip_prefix(&name).is_some_and(|it| it.starts_with('_'));
        let entries = it.account().entries;
        entries.iter().filter(|it| it.event == "created" && it.kind == kind && fits(&it.name)).count()
    };
    let all = [
        ("network_volume", "v", "volume", "network-volumes"),
        ("registry_credential", "late", "registry", "registries"),
        ("template", "late", "template", "templates"),
        ("endpoint", "late", "endpoint", "serverless"),
    ];
    let mut late = Step::apply(each("timeouts = { create = \"2s\" }"))
        .named("the answers come after the time is up")
        .before(|_| {
            it.faults(&json!([{ "method": "POST", "what": { "late": 6000 }, "times": 4 }]));
            Ok(())
        });
    let mut again = Step::apply(each("")).named("they are found, and not made again");
    for (resource, name, _, path) in all {
        let at = format!("streamverse_runpod_{resource}.{name}");
        let told = format!("(?s)RunPod, POST /v2/{path}: .*timed out.*found by its name");
        late = late.plan(action(&at, Action::Create)).expect_apply_error(&told);
        again = again.plan(action(&at, Action::Create));
    }
    case(&cli)
        .step(late)
        .step(again.after(|_| {
            assert_eq!(it.clear_faults(), 0, "{:?}", it.calls());
            // Nobody can read back of whose login a credential is: another one takes its place.
            for (_, name, kind, _) in all {
                let count = if kind == "registry" { 2 } else { 1 };
                assert_eq!((made(kind, name), it.things(kind).len()), (count, 1), "{kind}: {:?}", it.calls());
            }
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
                    for (_, _, kind, _) in all {
                        assert_eq!(made(kind, &kind[..1]), 1, "{kind}: {:?}", it.calls());
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
