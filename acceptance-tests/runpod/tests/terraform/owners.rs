//! Whose a thing is: its name says it, another deployment's is never taken, and import adopts what is nobody's.

use serde_json::json;
use streamverse_model::compute::runpod::login_mark;
use streamverse_runpod_stand_in::StandIn;
use tfplugin_testing::cli::{Action, Cli, Failure, Step, action};

use crate::kit::{PASSWORD, block, block_of, case, only, text};

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

/// What people made, as they called it.
const BY_HAND: [(&str, &str, &str); 4] = [
    ("network_volume", "volume", "/v2/network-volumes"),
    ("template", "template", "/v2/templates"),
    ("endpoint", "endpoint", "/v2/serverless"),
    ("registry_credential", "registry", "/v2/registries"),
];

fn by_hand(it: &StandIn, resource: &str, path: &str, name: &str) -> String {
    let mut body = match resource {
        "network_volume" => json!({ "size": 20, "dataCenter": "EU-RO-1" }),
        "template" => json!({ "image": "registry.example/by-hand:1", "serverless": true }),
        "endpoint" => {
            json!({ "image": "registry.example/by-hand:1", "type": "QUEUE", "scaling": { "type": "QUEUE_DELAY", "queueDelay": 9 }, "gpu": { "pools": ["ADA_24"] } })
        }
        _ => json!({ "username": "robot", "password": PASSWORD }),
    };
    body["name"] = json!(name);
    let (status, made) = it.api("POST", path, Some(&body));
    assert_eq!(status, 201, "{made}");
    text(&made, "id")
}

#[test]
fn import_adopts_what_is_nobodys_and_refuses_what_has_its_name_for_good() -> Result<(), Failure> {
    let cli = Cli::terraform()?;
    let it = &StandIn::start();
    let config = format!("{}{VOLUME}{ALL}", block(it));
    let at = |resource: &str| format!("streamverse_runpod_{resource}.it");
    let ids = BY_HAND.map(|(resource, _, path)| by_hand(it, resource, path, "by hand"));
    let mut whole = case(&cli);
    for ((resource, ..), id) in BY_HAND.iter().zip(&ids) {
        let import = Step::import(&at(resource), format!("main={id}")).config(&config).keep();
        whole = whole.step(if *resource == "registry_credential" {
            import.named("a credential by hand").expect_error(
                "called \"by hand\", which RunPod cannot change: it cannot be adopted as \"main\".*the next apply would delete it.*Apply \"main\" without an import",
            )
        } else {
            import.named(*resource)
        });
    }
    // Its own, with the mark of the login that the configuration has, beside one of another login.
    let mark = |user| login_mark(user, None, Some("env:REGISTRY_PASSWORD"));
    let own = &by_hand(
        it,
        "registry_credential",
        "/v2/registries",
        &format!("streamverse.test.main_{}", mark("robot")),
    );
    let other = &by_hand(
        it,
        "registry_credential",
        "/v2/registries",
        &format!("streamverse.test.main_{}", mark("other")),
    );
    let credential = at("registry_credential");
    whole
        .step(
            Step::import(&credential, "main")
                .config(&config)
                .keep()
                .named("which of two")
                .expect_error("has several of \"main\".*Import the right one as main=ID"),
        )
        .step(Step::import(&credential, format!("main={own}")).config(&config).keep().named("the right one"))
        .step(
            Step::apply(&config)
                .named("they get their names, and become what is asked for")
                .plan(action(AT, Action::Update))
                .plan(action(&at("template"), Action::Update))
                .plan(action(&at("endpoint"), Action::Update))
                .plan(action(&credential, Action::Update))
                .expect_no_warnings()
                .after(|_| {
                    for ((_, kind, _), id) in BY_HAND.iter().zip(&ids).take(3) {
                        let thing = only(it, kind);
                        assert_eq!(
                            (text(&thing, "name"), &text(&thing, "id")),
                            ("streamverse.test.main".into(), id),
                            "{kind}"
                        );
                    }
                    assert_eq!(text(&only(it, "template"), "image"), "registry.example/worker:1");
                    assert_eq!(only(it, "endpoint")["gpu"]["pools"], json!(["ADA_48_PRO"]));
                    let mut left: Vec<String> =
                        it.things("registry").iter().map(|it| text(it, "id")).collect();
                    left.sort();
                    let mut all = [&ids[3], own, other].map(String::clone);
                    all.sort();
                    assert_eq!(left, all, "an import by its own mark makes nothing anew");
                    Ok(())
                }),
        )
        .step(
            Step::plan_only(config.replace("\"robot\"", "\"other\""))
                .named("another login is another credential")
                .plan(action(&credential, Action::Replace)),
        )
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
        .step(
            Step::import(&credential, "nowhere").config(&config).expect_error(
                "RunPod gives a registry credential no other name, so that none can be adopted",
            ),
        )
        .check_destroyed(|_| {
            for id in [&ids[3], other] {
                assert_eq!(it.api("DELETE", &format!("/v2/registries/{id}"), None).0, 204);
            }
            it.clean().map_err(Into::into)
        })
        .run()
        .map(|_| ())
}
