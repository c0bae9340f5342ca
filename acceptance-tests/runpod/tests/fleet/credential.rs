//! A registry credential that only a fleet refers to, of which RunPod knows nothing while the fleet has no pods.

use serde_json::Value;
use tfplugin_testing::cli::{Action, Cli, Failure, Step, action};

use crate::kit::{Place, case, fleet, text};

const CREDENTIAL: &str = "streamverse_runpod_registry_credential.it";

/// The id of the credential that the site's fleet names.
fn named(place: &Place) -> String {
    let said = std::process::Command::new("curl")
        .args(["-sf", "--max-time", "10", "--unix-socket"])
        .arg(place.node.socket())
        .arg("http://node/v1/deployments/test/owners/runpod-fleet/one")
        .output()
        .unwrap();
    let told: Value = serde_json::from_slice(&said.stdout).unwrap();
    let job = told["bundle"]["objects"].as_array().unwrap().iter().find(|it| it["type"] == "job");
    text(&job.unwrap()["spec"]["fleet"]["runpod"], "registry_credential_id")
}

#[test]
fn a_credential_that_only_a_fleet_names_stays_until_the_fleet_has_the_new_one() -> Result<(), Failure> {
    let cli = Cli::terraform()?;
    let Some(place) = Place::start() else { return Ok(()) };
    let place = &place;
    let whole = |user: &str| {
        let credential = format!(
            "resource \"streamverse_runpod_registry_credential\" \"it\" {{\n  name = \"main\"\n  username = \"{user}\"\n  password_ref = \"env:RUNPOD_API_KEY\"\n  lifecycle {{ create_before_destroy = true }}\n}}\n"
        );
        let refers = "registry_credential_id = streamverse_runpod_registry_credential.it.id";
        format!(
            "{}{}{credential}{}",
            place.block(),
            place.controller(""),
            fleet("one", "min = 0, max = 1", refers)
        )
    };
    let watched = std::sync::Mutex::new(None);
    std::thread::scope(|threads| {
        case(&cli, place)
            .step(Step::apply(whole("robot")).named("no pod runs"))
            .step(
                Step::apply(whole("other"))
                    .named("another login")
                    .before(|_| {
                        let old = text(&place.it.things("registry")[0], "id");
                        place.it.faults(&serde_json::json!([
                            { "method": "DELETE", "path": format!("/v2/registries/{old}"), "what": "hold_before" },
                        ]));
                        threads.spawn(|| {
                            place.it.until_held();
                            // Who still names it when it is deleted?
                            *watched.lock().unwrap() = Some((old, named(place)));
                            place.it.release();
                        });
                        Ok(())
                    })
                    .plan(action(CREDENTIAL, Action::Replace))
                    .after(|_| {
                        let (old, named) = watched.lock().unwrap().take().unwrap();
                        let new = text(&place.it.things("registry")[0], "id");
                        assert_ne!(old, new);
                        assert_eq!(named, new, "it went while the fleet still named it");
                        assert_eq!(place.it.things("registry").len(), 1);
                        Ok(())
                    }),
            )
            .check_destroyed(|_| place.nothing_left())
            .run()
            .map(|_| ())
    })
}
