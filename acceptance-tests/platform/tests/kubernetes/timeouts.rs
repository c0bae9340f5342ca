//! What is not ready in time: a warning with the reason that the cluster's objects give, no taint, and nothing that the
//! next plan would make anew.

use streamverse_acceptance::ADDRESS;
use streamverse_acceptance::cluster::Cluster;
use tfplugin_testing::cli::{Action, Case, Cli, Failure, Step, action, empty, not_tainted};

use crate::fleet::rented;
use crate::hcl::{asset, binary, block, image, platform, scaler, stores};
use crate::lifecycle::nothing_left;
use crate::scaler::KEDA;

const SCALER: &str = "streamverse_keda_scaler.main";
const RUNNING: [&str; 7] = [
    "streamverse_transcoder.main",
    "streamverse_origin.main",
    "streamverse_ats_edge.main",
    "streamverse_web_player.main",
    "streamverse_vod_asset.film",
    "streamverse_fleet_controller.main",
    "streamverse_runpod_fleet.encode",
];

/// The configuration with a deadline on everything that runs.
fn hurried(text: &str) -> String {
    let deadline = "timeouts = { create = \"6s\", update = \"60s\", delete = \"60s\" }";
    RUNNING.iter().chain([&SCALER]).fold(text.to_owned(), |text, at| {
        let kind = at.split('.').next().unwrap_or_default();
        let head = format!("resource \"{kind}\"");
        let Some((before, after)) = text.split_once(&head) else { return text };
        let Some((name, body)) = after.split_once("{\n") else { return text };
        format!("{before}{head}{name}{{\n  {deadline}\n{body}")
    })
}

/// Applies a platform of which nothing becomes ready, and then one that does.
fn late(name: &str, spoiled: impl Fn(&str) -> String, reason: &str) -> Result<(), Failure> {
    let Some(cluster) = Cluster::shared() else { return Ok(()) };
    if !cluster.load_crds(KEDA) {
        return Ok(());
    }
    let cli = Cli::terraform()?;
    let namespace = &cluster.namespace(name);
    let all =
        [block(cluster, namespace), stores(1), platform(1, ""), asset('a'), scaler(4), rented("main", 1, 4)];
    let config = hurried(&all.concat());
    let uid = |path: &str| {
        cluster.request("GET", &format!("/apis/apps/v1/namespaces/{namespace}/{path}"), None).1["metadata"]["uid"].clone()
    };
    let made = || (uid("deployments/test-origin-main"), uid("daemonsets/test-ats-edge-main"));
    let first = std::cell::RefCell::new(None);
    let mut create = Step::apply(spoiled(&config)).named("nothing becomes ready");
    for at in RUNNING {
        create = create
            .plan(action(at, Action::Create))
            .state(not_tainted(at))
            .expect_warning(&format!("(?s)is there, but not ready with {at}.*{reason}"));
    }
    // No operator of KEDA is here: nobody looks at it, now and later.
    create = create
        .plan(action(SCALER, Action::Create))
        .state(not_tainted(SCALER))
        .expect_warning(&format!("(?s)is there, but not ready with {SCALER}.*is KEDA running"));
    Case::new(&cli)
        .named(name)
        .provider(ADDRESS, binary("terraform-provider-streamverse"))
        .step(create.after(|_| {
            *first.borrow_mut() = Some(made());
            assert!(made().0.is_string());
            Ok(())
        }))
        .step(Step::replan().named("nothing to do").plan(empty()))
        .step(
            Step::apply(config.clone())
                .named("the cause is gone")
                .expect_warning("(?s)is not as it would be applied now.*an image.*origin-main: .*image")
                .after(|_| {
                    assert_eq!(Some(made()), *first.borrow(), "something was made anew");
                    Ok(())
                }),
        )
        .check_destroyed(|_| nothing_left(cluster, namespace).map_err(Into::into))
        .run()
        .map(|_| ())
}

#[test]
fn an_image_that_cannot_be_pulled_is_a_warning_that_names_it() -> Result<(), Failure> {
    let absent = |config: &str| config.replace("registry.example/", "absent.invalid/");
    assert_ne!(image("x"), absent(&image("x")));
    late("pull", absent, "ImagePullBackOff.*absent\\.invalid")
}
