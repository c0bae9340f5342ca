//! A fleet whose volume, template, ports, credential and place are other resources' to say: none of it is known when it is planned.

use std::cell::RefCell;

use serde_json::{Value, json};
use tfplugin_testing::cli::{Action, Cli, Failure, Step, action, known, unknown};

use crate::kit::{Place, case, fleet, text};

const FLEET: &str = "streamverse_runpod_fleet.it";
const VOLUME: &str = "streamverse_runpod_network_volume.it";
/// At a candidate, by what RunPod says of the volume.
const FAR: &str =
    r"(?s)candidates = \[\{ gpu.*Out of the volume's reach.*lies\W+in\W+EU-CZ-1.*is\W+in\W+EU-RO-1";
/// What is not known before it is applied.
const ASKED: [&str; 4] = ["network_volume.id", "template_id", "registry_credential_id", "ports[0]"];

/// A volume of a name in a data centre, a template, a credential, and a fleet of them all in another data centre or the same.
fn config(place: &Place, volume: &str, lies: &str, bought: &str, range: &str) -> String {
    let refers = r#"registry_credential_id = streamverse_runpod_registry_credential.it.id
  network_volume = { id = streamverse_runpod_network_volume.it.id, path = "/work" }
  ports          = [terraform_data.said.output.port]
"#;
    let fleet = fleet("one", range, refers)
        .replace(
            "image      = \"registry.example/worker:1\"",
            "template_id = streamverse_runpod_template.it.id",
        )
        .replace(
            "[{ gpu = \"L40S\", data_centre = \"EU-RO-1\" }, { gpu = \"L4\" }]",
            "[{ gpu = \"L40S\", data_centre = terraform_data.said.output.centre }]",
        );
    format!(
        r#"{}{}
resource "terraform_data" "said" {{ input = {{ port = "8080/http", centre = "{bought}" }} }}
resource "streamverse_runpod_network_volume" "it" {{
  name        = "{volume}"
  size_gb     = 20
  data_center = "{lies}"
  lifecycle {{ create_before_destroy = true }}
}}
resource "streamverse_runpod_registry_credential" "it" {{
  name         = "main"
  username     = "robot"
  password_ref = "env:RUNPOD_API_KEY"
  lifecycle {{ create_before_destroy = true }}
}}
resource "streamverse_runpod_template" "it" {{
  name    = "main"
  image   = "registry.example/worker:7"
  args    = "worker --patience 60"
  disk_gb = 30
  env     = {{ MODE = "template" }}
}}
{fleet}"#,
        place.block(),
        place.controller(""),
    )
}

fn only(place: &Place, kind: &str) -> String {
    let all = place.it.things(kind);
    assert_eq!(all.len(), 1, "{all:#?}");
    text(&all[0], "id")
}

/// Who the controller is told to mount, start and pull with.
fn recorded(place: &Place, ids: &[(&str, &str)]) -> bool {
    let each: String = ids
        .iter()
        .map(|(option, id)| format!(" and json_extract(record, '$.definition.options.{option}') = '{id}'"))
        .collect();
    place.sql(&format!("update records set id = id where collection = 'fleet.main'{each}")) == 1
}

fn pods(place: &Place) -> Vec<Value> {
    let all = place.it.things("pod").into_iter();
    all.filter(|it| it["status"] != "TERMINATED").collect()
}

fn mount(of: &str) -> Value {
    json!({ "network": [{ "volumeId": of, "path": "/work" }] })
}

#[test]
fn a_fleet_gets_its_volume_template_ports_and_credential_by_reference() -> Result<(), Failure> {
    let cli = Cli::terraform()?;
    let Some(place) = Place::start() else { return Ok(()) };
    let place = &place;
    let first = RefCell::new(String::new());
    let far = |step: &str| config(place, "main", "EU-CZ-1", "EU-RO-1", step);
    let asked = |mut step: Step<'static>| {
        for path in ASKED {
            step = step.plan(unknown(FLEET, path));
        }
        step
    };
    case(&cli, place)
        .step(
            asked(Step::apply(far("min = 1, max = 1")))
                .named("nothing is known, so nothing is refused before it is")
                .plan(action(FLEET, Action::Create))
                .expect_apply_error(FAR)
                .after(|_| {
                    assert_eq!(place.it.things("volume").len(), 1);
                    let written = place.sql("update records set id = id where collection = 'fleet.main'");
                    assert_eq!((written, pods(place).len()), (0, 0), "it was handed over all the same");
                    Ok(())
                }),
        )
        .step(
            Step::plan_only(far("min = 1, max = 1"))
                .named("the volume is there, and lies elsewhere")
                .expect_plan_error(FAR),
        )
        .step(
            Step::apply(config(place, "main", "EU-RO-1", "EU-RO-1", "min = 1, max = 1"))
                .named("a volume where its pods are")
                .plan(action(VOLUME, Action::Replace))
                .plan(action(FLEET, Action::Create))
                .plan(unknown(FLEET, "network_volume.id"))
                .plan(known(FLEET, "hourly_max", 0.99))
                .after(|_| {
                    place.wait_for_pods("one", 1);
                    let (volume, template) = (only(place, "volume"), only(place, "template"));
                    let registry = only(place, "registry");
                    let pod = &pods(place)[0];
                    for (member, wanted) in [
                        ("mounts", mount(&volume)),
                        ("ports", json!(["8080/http"])),
                        ("registry", json!(registry)),
                        ("image", json!("registry.example/worker:7")),
                        ("args", json!("worker --patience 60")),
                        ("disk", json!(30)),
                        ("dataCenterId", json!("EU-RO-1")),
                    ] {
                        assert_eq!(pod[member], wanted, "{member}: {pod:#}");
                    }
                    assert_eq!(pod["env"]["MODE"], "template", "{pod:#}");
                    let ids = [
                        ("network_volume_id", volume.as_str()),
                        ("network_volume_path", "/work"),
                        ("template_id", &template),
                        ("registry_credential_id", &registry),
                        ("ports", "8080/http"),
                    ];
                    assert!(recorded(place, &ids), "the controller is given other ids than {ids:?}");
                    *first.borrow_mut() = volume;
                    Ok(())
                }),
        )
        .step(
            Step::apply(config(place, "other", "EU-RO-1", "EU-RO-1", "min = 2, max = 2"))
                .named("another volume is another definition, which later pods follow")
                .plan(action(VOLUME, Action::Replace))
                .plan(action(FLEET, Action::Update))
                .plan(unknown(FLEET, "network_volume.id"))
                .after(|_| {
                    place.wait_for_pods("one", 2);
                    let second = only(place, "volume");
                    assert_ne!(second, *first.borrow());
                    let of = |id: &str| pods(place).iter().filter(|it| it["mounts"] == mount(id)).count();
                    assert_eq!((of(&first.borrow()), of(&second)), (1, 1), "{:#?}", pods(place));
                    assert!(recorded(place, &[("network_volume_id", &second)]));
                    Ok(())
                }),
        )
        .check_destroyed(|_| place.nothing_left())
        .run()
        .map(|_| ())
}
