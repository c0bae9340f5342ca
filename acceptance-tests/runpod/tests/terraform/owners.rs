//! Whose a thing is: its name says it, another deployment's is never taken, and import adopts what is nobody's.

use serde_json::{Value, json};
use streamverse_runpod_stand_in::StandIn;
use tfplugin_testing::cli::{Action, Cli, Failure, Step, action};

use crate::kit::{block, block_of, case, only, text};

const VOLUME: &str = "resource \"streamverse_runpod_network_volume\" \"it\" {\n  name = \"main\"\n  size_gb = 20\n  data_center = \"EU-RO-1\"\n}\n";
const AT: &str = "streamverse_runpod_network_volume.it";

/// One of each kind that has a name of its own at RunPod, all called `main`.
const ALL: &str = r#"
resource "streamverse_runpod_registry_credential" "it" {
  name         = "main"
  username     = "robot"
  password_ref = "env:REGISTRY_PASSWORD"
}
resource "streamverse_runpod_template" "it" {
  name       = "main"
  image      = "registry.example/worker:1"
  serverless = true
}
resource "streamverse_runpod_endpoint" "it" {
  name    = "main"
  image   = "registry.example/worker:1"
  scaling = { queue_delay = "4s" }
  gpu     = { pools = ["ADA_48_PRO"] }
  workers = { max = 1 }
}
"#;

#[test]
fn another_deployment_s_things_are_left_alone_and_named() -> Result<(), Failure> {
    let cli = Cli::terraform()?;
    let it = &StandIn::start();
    let of = |deployment: &str| format!("{}{VOLUME}{ALL}", block_of(it, deployment));
    let config = of("test");
    let kinds = [
        ("network_volume", "volume", "/v2/network-volumes", json!({ "size": 20, "dataCenter": "EU-RO-1" })),
        ("registry_credential", "registry", "/v2/registries", json!({ "username": "u", "password": "p" })),
        ("template", "template", "/v2/templates", json!({ "image": "x", "serverless": true })),
        (
            "endpoint",
            "endpoint",
            "/v2/serverless",
            json!({ "image": "x", "type": "QUEUE", "scaling": { "type": "QUEUE_DELAY", "queueDelay": 4 }, "gpu": { "pools": ["ADA_24"] } }),
        ),
    ];
    let mut whole = case(&cli);
    for (resource, kind, path, body) in &kinds {
        whole = whole.step(
            Step::import(&format!("streamverse_runpod_{resource}.it"), "main")
                .config(&config)
                .keep()
                .named(format!("only another deployment has the {kind}"))
                .before(move |_| {
                    let mut body = body.clone();
                    body["name"] = json!("streamverse.other.main");
                    assert_eq!(it.api("POST", path, Some(&body)).0, 201);
                    Ok(())
                })
                .expect_error("deployment \"other\", and this is \"test\""),
        );
    }
    whole = whole.step(Step::apply(&config).named("both have one of that name").after(|_| {
        for (_, kind, ..) in &kinds {
            assert_eq!(it.things(kind).len(), 2, "{kind}");
        }
        Ok(())
    }));
    let mut elsewhere = Step::plan_only(of("elsewhere")).named("the provider block names another deployment");
    for what in ["network volume", "registry credential", "template", "serverless endpoint"] {
        elsewhere = elsewhere.expect_error(&format!(
            "The {what} [0-9a-z]+ is \"main\" of the deployment \"test\", and this is \"elsewhere\""
        ));
    }
    whole
        .step(elsewhere)
        .step(Step::apply(&config).named("and the right one again"))
        .check_destroyed(|_| {
            for (_, kind, ..) in &kinds {
                assert_eq!(text(&only(it, kind), "name"), "streamverse.other.main");
            }
            Ok(())
        })
        .run()
        .map(|_| ())
}

#[test]
fn a_volume_is_not_lost_where_its_tier_is_told_later_or_where_it_is_to_be_made_before_it_is_destroyed()
-> Result<(), Failure> {
    let cli = Cli::terraform()?;
    let it = &StandIn::start();
    let volume = |rest: &str| {
        let fast = VOLUME.replace("EU-RO-1", "EU-CZ-1");
        format!("{}{}", block(it), fast.replace("size_gb = 20", &format!("size_gb = 20\n  {rest}")))
    };
    let id = std::sync::Mutex::new(String::new());
    let same = |it: &StandIn| {
        assert_eq!(text(&only(it, "volume"), "id"), *id.lock().unwrap());
        Ok(())
    };
    case(&cli)
        .step(Step::apply(volume("")).named("the data centre's own tier").after(|_| {
            let volume = only(it, "volume");
            assert_eq!(text(&volume, "type"), "HIGH_PERFORMANCE");
            *id.lock().unwrap() = text(&volume, "id");
            Ok(())
        }))
        .step(
            Step::apply(volume("tier = \"HIGH_PERFORMANCE\""))
                .named("the same, told")
                .plan(action(AT, Action::NoOp))
                .after(|_| same(it)),
        )
        .step(Step::apply(volume("")).named("and not told again").plan(action(AT, Action::NoOp)))
        .step(Step::import(AT, "main").config(volume("tier = \"HIGH_PERFORMANCE\"")))
        .step(
            Step::apply(volume("tier = \"STANDARD\""))
                .named("another tier is another volume")
                .plan(action(AT, Action::Replace))
                .after(|_| {
                    *id.lock().unwrap() = text(&only(it, "volume"), "id");
                    Ok(())
                }),
        )
        .step(
            Step::apply(volume("lifecycle { create_before_destroy = true }")).plan(action(AT, Action::NoOp)),
        )
        .step(
            Step::replace(AT)
                .named("it is kept, under another name, and what to do is told")
                .expect_warning(
                    "(?s)was kept.*made before it was destroyed.*take.*create_before_destroy.*away",
                )
                .after(|_| {
                    assert!(text(&only(it, "volume"), "name").starts_with("streamverse.test.main_"));
                    same(it)
                }),
        )
        .step(
            Step::reapply().named("and by the next apply").plan(action(AT, Action::NoOp)).after(|_| same(it)),
        )
        .check_destroyed(|_| it.clean().map_err(Into::into))
        .run()
        .map(|_| ())
}

#[test]
fn import_adopts_what_is_nobodys() -> Result<(), Failure> {
    let cli = Cli::terraform()?;
    let it = &StandIn::start();
    let config = format!("{}{VOLUME}", block(it));
    let body = json!({ "name": "by hand", "size": 20, "dataCenter": "EU-RO-1" });
    let (status, made) = it.api("POST", "/v2/network-volumes", Some(&body));
    assert_eq!(status, 201);
    case(&cli)
        .step(Step::import(AT, format!("main={}", text(&made, "id"))).config(&config).keep())
        .step(Step::apply(&config).named("it gets its name").after(|_| {
            let volume: Value = only(it, "volume");
            assert_eq!(
                (text(&volume, "name").as_str(), &volume["id"]),
                ("streamverse.test.main", &made["id"])
            );
            Ok(())
        }))
        .step(
            Step::plan_only(config.replace("size_gb = 20", "size_gb = 10"))
                .named("a volume does not shrink")
                .expect_error("It has 20 GB"),
        )
        .step(
            Step::plan_only(config.replace("size_gb = 20", "size_gb = 10").replace("EU-RO-1", "EU-CZ-1"))
                .named("another one has nothing to lose")
                .plan(action(AT, Action::Replace)),
        )
        .step(
            Step::import(AT, "nowhere")
                .config(&config)
                .expect_error("RunPod has no network volume \"streamverse.test.nowhere\""),
        )
        .check_destroyed(|_| it.clean().map_err(Into::into))
        .run()
        .map(|_| ())
}
