//! The provider itself: its configuration, its schemas, its log.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use tfplugin_testing::cli::{Action, Case, Checked, Feature, Step, action, exists};

use crate::support::{ADDRESS, BINARY, Store, case, on_all, on_both};

#[test]
fn a_configuration_that_is_unknown_until_apply_does_not_stop_the_plan() {
    on_both(|cli| {
        let store = Store::new();
        let hcl = r#"
            resource "corner_thing" "first" { name = "x" }
            provider "corner" {
              alias = "late"
              label = corner_thing.first.id
            }
            resource "corner_thing" "second" {
              provider = corner.late
              name     = "y"
            }"#;
        case(cli, &store)
            .covers("ConfigureProvider", "unknown until apply")
            .step(
                Step::apply(hcl)
                    .plan(action("corner_thing.second", Action::Create))
                    .state(exists("corner_thing.second")),
            )
            .check_destroyed(|_| store.nothing_left("thing"))
            .run()
    });
}

#[test]
fn a_refused_configuration_is_an_error_at_its_attribute() {
    on_both(|cli| {
        let store = Store::new();
        let hcl = "provider \"corner\" {\n  refuse = \"not today\"\n}\nresource \"corner_thing\" \"a\" { name = \"x\" }";
        case(cli, &store)
            .covers("ConfigureProvider", "a refusal is an error at its attribute")
            .covers("ValidateProviderConfig", "a value of another type is refused")
            .step(Step::plan_only(hcl).expect_plan_error(
                "(?i)Cannot configure the provider corner.*on main.tf line 2, in provider \"corner\": 2: refuse = \"not today\" not today",
            ))
            .step(
                Step::validate("provider \"corner\" {\n  label = [\"no string\"]\n}\nresource \"corner_thing\" \"a\" { name = \"x\" }")
                    .expect_error("label.*string required"),
            )
            .run()
    });
}

#[test]
fn twenty_aliases_work_side_by_side() {
    on_both(|cli| {
        let store = Store::new();
        let hcl: String = (0..20)
            .map(|n| {
                format!(
                    "provider \"corner\" {{\n  alias = \"p{n}\"\n  label = \"{n}\"\n}}\nresource \"corner_thing\" \"t{n}\" {{\n  \
                     provider = corner.p{n}\n  name = \"{n}\"\n}}\n"
                )
            })
            .collect();
        case(cli, &store)
            .covers("ConfigureProvider", "twenty aliases")
            .step(Step::apply(hcl).state_fn(|state| match state.resources().len() {
                20 => Ok(()),
                other => Err(format!("{other} resources instead of 20").into()),
            }))
            .check_destroyed(|_| store.nothing_left("thing"))
            .run()
    });
}

fn has(schemas: &Value, pointer: &str, expected: &Value) -> Checked {
    match schemas.pointer(pointer) {
        Some(found) if found == expected => Ok(()),
        found => Err(format!("{pointer} is {found:?}, not {expected}").into()),
    }
}

#[test]
fn every_command_line_reads_the_schemas() {
    on_all(|cli| {
        let store = Store::new();
        let of_write_only = Feature::WriteOnly.missing_in(cli).is_none();
        let of_ephemeral = Feature::Ephemeral.missing_in(cli).is_none();
        let of_functions = Feature::Functions.missing_in(cli).is_none();
        case(cli, &store)
            .covers("GetProviderSchema", "types, nesting, deprecation and sensitivity arrive")
            .step(Step::schemas("").json(move |json| {
                let all = &json["provider_schemas"][ADDRESS];
                let of = |name: &str| &all["resource_schemas"][name]["block"];
                let resources = all["resource_schemas"].as_object().map_or(0, serde_json::Map::len);
                if resources < 20 {
                    return Err(format!("only {resources} resources").into());
                }
                has(all, "/provider/block/attributes/label/type", &json!("string"))?;
                has(all, "/resource_schemas/corner_upgraded/version", &json!(2))?;
                has(of("corner_validated"), "/attributes/title/deprecated", &json!(true))?;
                has(of("corner_thing"), "/attributes/id/computed", &json!(true))?;
                has(of("corner_thing"), "/attributes/name/required", &json!(true))?;
                has(of("corner_dynamic"), "/attributes/value/type", &json!("dynamic"))?;
                has(of("corner_nested"), "/attributes/list/nested_type/nesting_mode", &json!("list"))?;
                has(of("corner_nested"), "/attributes/map/nested_type/nesting_mode", &json!("map"))?;
                has(of("corner_set"), "/attributes/members/nested_type/nesting_mode", &json!("set"))?;
                has(
                    of("corner_nested"),
                    "/attributes/deep/type",
                    &json!(["list", ["list", ["map", "number"]]]),
                )?;
                has(of("corner_blocks"), "/block_types/listener/nesting_mode", &json!("list"))?;
                has(of("corner_secret"), "/attributes/password_wo/sensitive", &json!(true))?;
                has(all, "/data_source_schemas/corner_thing/block/attributes/id/required", &json!(true))?;
                if of_write_only {
                    has(of("corner_secret"), "/attributes/password_wo/write_only", &json!(true))?;
                }
                if of_ephemeral {
                    let token = "/ephemeral_resource_schemas/corner_lease/block/attributes/token/sensitive";
                    has(all, token, &json!(true))?;
                }
                if of_functions {
                    has(all, "/functions/join/variadic_parameter/type", &json!("string"))?;
                    has(all, "/functions/same/return_type", &json!("dynamic"))?;
                }
                Ok(())
            }))
            .run()
    });
}

// The provider, with what it writes to its standard error kept in a file.
#[cfg(unix)]
fn listening(folder: &Path) -> (PathBuf, PathBuf) {
    use std::os::unix::fs::PermissionsExt as _;
    let (script, said) = (folder.join("listening"), folder.join("said"));
    let text = format!("#!/bin/sh\nexec '{BINARY}' 2>>'{}'\n", said.display());
    fs::write(&script, text).expect("the store can be written");
    fs::set_permissions(&script, fs::Permissions::from_mode(0o755)).expect("the script is ours");
    (script, said)
}

const THING: &str = r#"resource "corner_thing" "a" { name = "x" }"#;

#[cfg(unix)]
#[test]
fn with_no_log_asked_for_the_provider_writes_nothing() {
    on_both(|cli| {
        let store = Store::new();
        let (script, said) = listening(store.path());
        Case::new(cli)
            .provider(ADDRESS, script)
            .env("CORNER_STORE", store.path())
            .covers("ApplyResourceChange", "with TF_LOG unset nothing is logged")
            .step(Step::apply(THING).after(move |_| match fs::read_to_string(&said)?.as_str() {
                "" => Ok(()),
                text => Err(format!("the provider wrote {text:?}").into()),
            }))
            .run()
    });
}

#[test]
fn the_log_has_a_line_with_fields_for_each_rpc() {
    on_both(|cli| {
        let store = Store::new();
        let log = store.path().join("log");
        case(cli, &store)
            .env("TF_LOG_PROVIDER", "DEBUG")
            .env("TF_LOG_PATH", &log)
            .covers("ApplyResourceChange", "TF_LOG_PROVIDER gives a line with fields for each RPC")
            .step(Step::apply(THING).after(move |_| {
                let text = fs::read_to_string(&log)?;
                let ours: Vec<&str> = text.lines().filter(|line| line.contains("tf_rpc=")).collect();
                let of_apply = |line: &&&str| {
                    let fields = [
                        "[DEBUG]",
                        "tf_rpc=ApplyResourceChange",
                        "tf_resource_type=corner_thing",
                        "tf_req_id=",
                        "tf_req_duration_ms=",
                        &format!("tf_provider_addr={ADDRESS}"),
                    ];
                    fields.iter().all(|field| line.contains(field))
                };
                if !ours.iter().any(|line| of_apply(&line)) {
                    return Err(format!("no line of ApplyResourceChange has all fields: {ours:#?}").into());
                }
                match ours.iter().find(|line| line.contains("[TRACE]")) {
                    Some(line) => Err(format!("TRACE where DEBUG was asked for: {line}").into()),
                    None => Ok(()),
                }
            }))
            .run()
    });
}
