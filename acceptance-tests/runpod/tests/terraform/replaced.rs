//! What is replaced: with the new one made before the old one is destroyed, and where an apply that was cut short left something.

use serde_json::{Value, json};
use streamverse_runpod_stand_in::StandIn;
use tfplugin_testing::cli::{Action, Cli, Failure, Step, action};

use crate::kit::{PASSWORD, block, case, only, text};

const EARLY: &str = "lifecycle { create_before_destroy = true }";
const ALL: [(&str, &str); 4] = [
    ("volume", "streamverse_runpod_network_volume.it"),
    ("registry", "streamverse_runpod_registry_credential.it"),
    ("template", "streamverse_runpod_template.it"),
    ("endpoint", "streamverse_runpod_endpoint.it"),
];

/// One of each; `old` and not decides what cannot be changed of each.
fn config(it: &StandIn, old: bool, rest: &str) -> String {
    let either = |one, two| if old { one } else { two };
    let (centre, user) = (either("EU-RO-1", "EU-CZ-1"), either("robot", "other"));
    let volume = either("persistent_volume = { size_gb = 20, path = \"/work\" }", "");
    let scaling = either("queue_delay = \"4s\"", "request_count = 2");
    let routing = either("QUEUE", "LOAD_BALANCER");
    [
        block(it),
        format!("resource \"streamverse_runpod_network_volume\" \"it\" {{\n  name = \"main\"\n  size_gb = 20\n  data_center = \"{centre}\"\n  {rest}\n}}\n"),
        format!("resource \"streamverse_runpod_registry_credential\" \"it\" {{\n  name = \"main\"\n  username = \"{user}\"\n  password_ref = \"env:REGISTRY_PASSWORD\"\n  {rest}\n}}\n"),
        format!("resource \"streamverse_runpod_template\" \"it\" {{\n  name = \"main\"\n  image = \"registry.example/worker:1\"\n  serverless = true\n  registry_credential_id = streamverse_runpod_registry_credential.it.id\n  {volume}\n  {rest}\n}}\n"),
        format!("resource \"streamverse_runpod_endpoint\" \"it\" {{\n  name = \"main\"\n  routing = \"{routing}\"\n  image = \"registry.example/worker:1\"\n  scaling = {{ {scaling} }}\n  gpu = {{ pools = [\"ADA_48_PRO\"] }}\n  workers = {{}}\n  network_volume_ids = [streamverse_runpod_network_volume.it.id]\n  {rest}\n}}\n"),
    ]
    .concat()
}

fn ids(it: &StandIn) -> Vec<String> {
    ALL.iter().map(|(kind, _)| text(&only(it, kind), "id")).collect()
}

#[test]
fn what_is_made_before_the_old_one_is_destroyed_lives_on() -> Result<(), Failure> {
    let cli = Cli::terraform()?;
    let it = &StandIn::start();
    let before = std::cell::RefCell::new(Vec::new());
    let step = |old: bool, what: Action| {
        let mut step = Step::apply(config(it, old, EARLY));
        for (_, at) in ALL {
            step = step.plan(action(at, what));
        }
        step
    };
    let replaced = || {
        let now = ids(it);
        let earlier = before.replace(now.clone());
        for (now, earlier) in now.iter().zip(&earlier) {
            assert_ne!(now, earlier, "it was not replaced");
        }
        // What refers to what was replaced refers to the new one, which lives.
        assert_eq!(only(it, "template")["registry"], json!(now[1]));
        assert_eq!(only(it, "endpoint")["networkVolumes"], json!([now[0]]));
        Ok(())
    };
    case(&cli)
        .step(step(true, Action::Create).after(|_| {
            *before.borrow_mut() = ids(it);
            Ok(())
        }))
        .step(step(false, Action::Replace).named("each gets what cannot be changed").after(|_| replaced()))
        .step(step(false, Action::NoOp).named("and lives").after(|_| {
            assert_eq!(ids(it), *before.borrow());
            Ok(())
        }))
        .check_destroyed(|_| it.clean().map_err(Into::into))
        .run()
        .map(|_| ())
}

#[test]
fn what_an_apply_that_was_cut_short_left_is_taken_over_only_if_it_can_become_what_is_asked_for()
-> Result<(), Failure> {
    let cli = Cli::terraform()?;
    let it = &StandIn::start();
    let post = |path: &str, body: Value| {
        let (status, told) = it.api("POST", path, Some(&body));
        assert_eq!(status, 201, "{told}");
        text(&told, "id")
    };
    let left = std::cell::RefCell::new(Vec::new());
    case(&cli)
        .step(
            Step::apply(config(it, false, ""))
                .named("what is left of an earlier configuration")
                .before(|_| {
                    let name = "streamverse.test.main";
                    // This one fits, the others do not; the credential is of another login.
                    let fits = post("/v2/network-volumes", json!({ "name": name, "size": 10, "dataCenter": "EU-CZ-1" }));
                    let registry = post("/v2/registries", json!({ "name": format!("{name}_0badcafe"), "username": "a", "password": "b" }));
                    let template = post("/v2/templates", json!({ "name": name, "image": "old", "mounts": { "persistent": { "size": 10, "path": "/old" } } }));
                    let endpoint = post("/v2/serverless", json!({ "name": name, "image": "old", "type": "QUEUE", "scaling": { "type": "QUEUE_DELAY", "queueDelay": 9 }, "gpu": { "pools": ["ADA_24"] } }));
                    *left.borrow_mut() = vec![fits, registry, template, endpoint];
                    Ok(())
                })
                .expect_warning("(?s)RunPod has another (template|serverless endpoint) of this name")
                .after(|_| {
                    let left = left.borrow();
                    let volume = only(it, "volume");
                    assert_eq!((text(&volume, "id"), &volume["size"]), (left[0].clone(), &json!(20)));
                    assert_eq!(only(it, "registry")["_login"], json!(format!("other:{PASSWORD}")), "nobody can use the old one");
                    for (kind, id) in [("template", &left[2]), ("endpoint", &left[3])] {
                        let all = it.things(kind);
                        let old = all.iter().find(|one| text(one, "id") == *id).unwrap();
                        assert_eq!((all.len(), text(old, "image").as_str()), (2, "old"), "it was changed before it was refused");
                    }
                    Ok(())
                }),
        )
        .step(Step::apply(config(it, false, "")).named("it is as it is to be").plan(action(ALL[0].1, Action::NoOp)))
        .check_destroyed(|_| {
            let mut open = it.account().open();
            open.sort();
            assert_eq!(open, ["endpoint streamverse.test.main", "template streamverse.test.main"], "what no state had is told, and kept");
            Ok(())
        })
        .run()
        .map(|_| ())
}

#[test]
fn two_resources_of_one_name_are_refused() -> Result<(), Failure> {
    let cli = Cli::terraform()?;
    let it = &StandIn::start();
    let volume = |at: &str| {
        format!(
            "resource \"streamverse_runpod_network_volume\" \"{at}\" {{\n  name = \"main\"\n  size_gb = 20\n  data_center = \"EU-RO-1\"\n}}\n"
        )
    };
    case(&cli)
        .step(
            Step::apply(format!("{}{}{}", block(it), volume("a"), volume("b")))
                .expect_apply_error("wo resources of this configuration want the network volume \"main\""),
        )
        .check_destroyed(|_| it.clean().map_err(Into::into))
        .run()
        .map(|_| ())
}
