//! Each of core's assertions fires where an answer breaks it, at the attribute and with both values; and an
//! honest answer passes all of them.

use serde_json::{Value as Json, json};
use tfplugin_framework::proto::tfplugin6 as pb;
use tfplugin_framework::schema::{Refinement, Type, Value};
use tfplugin_testing::client::{Client, ExpectError, Failure, Rule, unknown};
use tfplugin_testing::coverage;

use crate::puppet::{Puppet, Spoil, elements, set};

fn config() -> Json {
    json!({
        "name": "a", "list": ["x", "y"], "tags": ["p", "q"], "map": {"k": "v"}, "any": {"deep": [1, null]},
        "one": {"port": 1}, "rows": [{"port": 1}, {"port": 2}], "bag": [{"port": 3}, {"port": 4}],
        "disk": [{"port": 5}], "rule": [{"port": 6}, {"port": 7}], "by_name": {"eth0": {"port": 8}},
        "token": "sesame"
    })
}

#[tokio::test]
async fn an_honest_provider_passes_every_assertion() -> Result<(), Failure> {
    let things = Puppet::default().resource().await?;
    let thing = things.apply(config()).await?;
    assert_eq!((&thing["id"], &thing["token"]), (&json!("made"), &json!(null)));
    assert_eq!(thing["any"], json!({"deep": [1, null]}));
    assert!(thing.settled().await?);
    let mut changed = config();
    changed["rows"] = unknown();
    changed["disk"] = unknown();
    changed["tags"] = json!([unknown(), unknown()]);
    let plan = thing.plan(changed).await?;
    assert_eq!(plan["tags"], json!([unknown(), unknown()]), "two unknown elements are not one");
    plan.apply_with(config()).await?;
    thing.destroy().await
}

#[tokio::test]
async fn a_plan_that_is_not_what_was_configured_is_found() -> Result<(), Failure> {
    let cases: &[(Spoil, &str)] = &[
        (|plan, _| set(plan, "name", "b"), "name"),
        (|plan, _| set(plan, "name", Value::UNKNOWN), "name"),
        (|plan, _| set(plan, "note", "of my own"), "note"),
        (|plan, _| set(plan, "token", "sesame"), "token"),
        (|plan, _| set(plan, "tags", Value::set(["p".into()])), "tags"),
        (|plan, _| set(plan, "one", Value::Null), "one"),
        (|plan, _| drop(elements(plan, "rows").pop()), "rows"),
        (|plan, _| set(&mut elements(plan, "rows")[1], "port", 9), "rows[1].port"),
        (|plan, _| set(plan, "disk", Value::Null), "disk"),
        (|plan, _| drop(elements(plan, "disk").pop()), "disk"),
        (|plan, _| set(&mut elements(plan, "disk")[0], "port", 9), "disk[0].port"),
        (|plan, _| set(plan, "by_name", Value::map::<String>([])), "by_name[\"eth0\"]"),
        (|plan, _| set(plan, "rule", Value::UNKNOWN), "rule"),
        (|plan, _| spoil_set(plan, "rule"), "rule[…]"),
        (|plan, _| spoil_set(plan, "bag"), "bag[…]"),
        (|plan, _| *plan = Value::Null, "the object"),
    ];
    for (plan, path) in cases {
        let things = Puppet { plan: *plan, ..Puppet::default() }.resource().await?;
        let failure = things.plan(None, config()).await.expect_violation(Rule::InvalidPlan, path);
        if *path == "name" {
            assert!(failure.to_string().contains("\"a\""), "the configured value: {failure}");
        }
    }
    coverage!("PlanResourceChange", "core's rules of a valid plan fire");
    Ok(())
}

fn spoil_set(object: &mut Value, name: &str) {
    let mut all: Vec<Value> = object.get(name).as_elements().unwrap_or_default().to_vec();
    set(&mut all[0], "port", 99);
    set(object, name, Value::set(all));
}

#[tokio::test]
async fn a_prior_spelling_may_be_planned() -> Result<(), Failure> {
    let plan: Spoil = |plan, call| {
        if call > 1 && !plan.is_null() {
            set(plan, "name", "a");
        }
    };
    let things = Puppet { plan, ..Puppet::default() }.resource().await?;
    let thing = things.apply(config()).await?;
    let mut respelled = config();
    respelled["name"] = json!("A");
    assert!(thing.plan(respelled).await?.is_empty());
    Ok(())
}

#[tokio::test]
async fn a_destroy_that_is_planned_as_something_else_is_found() -> Result<(), Failure> {
    let plan: Spoil = |plan, _| {
        if plan.is_null() {
            *plan = Value::UNKNOWN;
        }
    };
    let thing = Puppet { plan, ..Puppet::default() }.resource().await?.apply(config()).await?;
    thing.destroy().await.expect_violation(Rule::InvalidPlan, "the object");
    Ok(())
}

#[tokio::test]
async fn a_replacement_for_a_path_that_leads_nowhere_is_found() -> Result<(), Failure> {
    let things = Puppet { replace: &["nowhere"], ..Puppet::default() }.resource().await?;
    things.plan(None, config()).await.expect_violation(Rule::InvalidPlan, "nowhere");
    Ok(())
}

#[tokio::test]
async fn a_final_plan_that_takes_back_what_was_known_is_found() -> Result<(), Failure> {
    let plan: Spoil = |plan, call| set(plan, "id", format!("planned {call}"));
    let things = Puppet { plan, ..Puppet::default() }.resource().await?;
    let failure = things.apply(config()).await.expect_violation(Rule::InconsistentFinalPlan, "id");
    assert_eq!(failure.violations()[0].expected, "\"planned 0\"");
    assert_eq!(failure.violations()[0].actual, "\"planned 1\"");
    coverage!("PlanResourceChange", "core's rules of the final plan fire");
    Ok(())
}

#[tokio::test]
async fn a_result_that_is_not_what_was_planned_is_found() -> Result<(), Failure> {
    let cases: &[(Spoil, &str)] = &[
        (|state, _| set(state, "name", "b"), "name"),
        (|state, _| set(state, "note", "of my own"), "note"),
        (|state, _| elements(state, "list").push("z".into()), "list"),
        (|state, _| elements(state, "list")[1] = "z".into(), "list[1]"),
        (|state, _| set(state, "tags", Value::set(["p".into(), "q".into(), "r".into()])), "tags"),
        (|state, _| set(state, "tags", Value::set(["p".into(), "r".into()])), "tags[…]"),
        (|state, _| set(state, "map", Value::map([("other", "v".into())])), "map.k"),
        (|state, _| set(state, "any", Value::dynamic(Type::String, "x".into())), "any"),
        (|state, _| set(state, "one", Value::Null), "one"),
        (|state, _| drop(elements(state, "rows").pop()), "rows"),
        (|state, _| drop(elements(state, "disk").pop()), "disk"),
        (|state, _| set(&mut elements(state, "disk")[0], "port", 9), "disk[0].port"),
        (|state, _| spoil_set(state, "rule"), "rule[…]"),
        (|state, _| *state = Value::Null, "the object"),
    ];
    for (apply, path) in cases {
        let things = Puppet { apply: *apply, ..Puppet::default() }.resource().await?;
        let failure = things.apply(config()).await.expect_violation(Rule::InconsistentResult, path);
        assert_eq!(failure.kept().is_some(), *path != "the object", "what came is stored all the same");
    }
    coverage!("ApplyResourceChange", "core's rules of a consistent result fire");
    Ok(())
}

#[tokio::test]
async fn a_promise_about_an_unknown_value_must_hold() -> Result<(), Failure> {
    let plan: Spoil = |plan, _| set(plan, "id", Value::refined(Refinement::prefix("id-")));
    let kept: Spoil = |state, _| set(state, "id", "id-1");
    Puppet { plan, apply: kept, ..Puppet::default() }.resource().await?.apply(config()).await?;
    let broken = Puppet { plan, ..Puppet::default() }.resource().await?;
    broken.apply(config()).await.expect_violation(Rule::InconsistentResult, "id");
    Ok(())
}

#[tokio::test]
async fn what_must_never_be_stored_is_found_in_every_answer() -> Result<(), Failure> {
    let cases: &[(Spoil, &str)] = &[
        (|state, _| set(state, "id", Value::UNKNOWN), "id"),
        (|state, _| set(&mut elements(state, "rows")[0], "mark", Value::UNKNOWN), "rows[0].mark"),
        (|state, _| set(state, "token", "sesame"), "token"),
        (|state, _| set(state, "disk", Value::Null), "disk"),
    ];
    for (spoil, path) in cases {
        let things = Puppet { apply: *spoil, ..Puppet::default() }.resource().await?;
        let failure = things.apply(config()).await.expect_violation(Rule::InvalidObject, path);
        assert!(!failure.to_string().contains("sesame"), "a secret is not shown: {failure}");
        let things = Puppet { read: *spoil, ..Puppet::default() }.resource().await?;
        let thing = things.apply(config()).await?;
        thing.refresh().await.expect_violation(Rule::InvalidObject, path);
    }
    let undead: Spoil = |state, call| {
        if call > 0 {
            *state = Value::UNKNOWN;
        }
    };
    let thing = Puppet { apply: undead, ..Puppet::default() }.resource().await?.apply(config()).await?;
    thing.destroy().await.expect_violation(Rule::InvalidObject, "the object");
    coverage!("ReadResource", "unknown and write-only values are found");
    Ok(())
}

#[tokio::test]
async fn an_import_of_nothing_or_of_something_else_is_found() -> Result<(), Failure> {
    let client = Client::new(Puppet::default()).await?;
    assert_eq!(client.import("puppet_thing", "x").await?["name"], "x");
    for import in [
        (|all| all.clear()) as fn(&mut Vec<pb::import_resource_state::ImportedResource>),
        |all| all[0].type_name = "puppet_other".to_owned(),
        |all| all[0].state = None,
    ] {
        let client = Client::new(Puppet { import, ..Puppet::default() }).await?;
        let failure = client.import("puppet_thing", "x").await.err().unwrap();
        assert_eq!(failure.violations()[0].rule, Rule::InvalidObject, "{failure}");
    }
    let gone: Spoil = |state, _| *state = Value::Null;
    let client = Client::new(Puppet { read: gone, ..Puppet::default() }).await?;
    client.import("puppet_thing", "x").await.expect_violation(Rule::InvalidObject, "x");
    Ok(())
}

#[tokio::test]
async fn a_diagnostic_without_severity_is_found() -> Result<(), Failure> {
    let diagnostics = vec![pb::Diagnostic { summary: "Hm".to_owned(), ..Default::default() }];
    let things = Puppet { diagnostics, ..Puppet::default() }.resource().await?;
    things.validate(config()).await.expect_violation(Rule::InvalidAnswer, "");
    Ok(())
}
