//! Replacement, refusal, and modifiers.

use tfplugin_schema::{Attribute, AttributeChange, Nesting, PlanModifier, Type, Value};

use super::*;

#[test]
fn changes_of_flagged_attributes_need_another_object() {
    fn shrinks(prior: &Value, planned: &Value) -> bool {
        planned.is_unknown() || planned.as_number() < prior.as_number()
    }
    let schema = schema([
        required("name").replace(),
        computed("zone").optional().replace_if_configured(),
        Attribute::plain("size", Type::Number).replace_if(shrinks),
    ]);
    let prior = || obj([("name", v("a")), ("zone", v("z")), ("size", v(10))]);
    let config =
        |name: Value, zone: Value, size: Value| obj([("name", name), ("zone", zone), ("size", size)]);
    let table: [(Value, Value, Value, &[&str]); 7] = [
        (v("a"), NULL, v(10), &[]),
        (v("b"), NULL, v(10), &["name"]),
        (UNKNOWN, NULL, v(10), &["name"]),
        (v("a"), v("y"), v(10), &["zone"]),
        (v("a"), NULL, v(11), &[]),
        (v("a"), NULL, UNKNOWN, &["size"]),
        (v("b"), v("y"), v(9), &["name", "size", "zone"]),
    ];
    for (name, zone, size, expected) in table {
        let config = config(name, zone, size);
        assert_eq!(replaced_by(&schema, prior(), config.clone()), expected, "{config:?}");
    }
    assert!(replaced_by(&schema, NULL, config(v("b"), v("y"), v(9))).is_empty());
}

#[test]
fn replacement_inside_a_set_is_reported_at_the_set() {
    let element = schema([required("name").replace(), required("kind").replace()]);
    let schema = schema([Attribute::nested("disks", Nesting::Set, element)]);
    let disk = |name: &str| obj([("name", v(name)), ("kind", v("ssd"))]);
    let prior = obj([("disks", set([disk("a"), disk("b")]))]);
    assert_eq!(replaced_by(&schema, prior, obj([("disks", set([disk("a"), disk("c")]))])), ["disks"]);
}

#[test]
fn an_object_that_goes_takes_what_needs_replacement_with_it() {
    let network = schema([required("vpc").replace(), optional("note")]);
    let schema = schema([Attribute::nested("network", Nesting::Single, network).optional()]);
    let prior = obj([("network", obj([("vpc", v("v")), ("note", NULL)]))]);
    assert_eq!(replaced_by(&schema, prior, obj([])), ["network.vpc"]);
    let prior = obj([("network", obj([("vpc", NULL), ("note", v("n"))]))]);
    assert!(replaced_by(&schema, prior, obj([])).is_empty());
}

#[test]
fn what_only_the_provider_changes_is_not_configured_to_change() {
    let zone = computed("zone").optional().changes_with(["name"]).replace_if_configured();
    let schema = schema([required("name"), zone]);
    let prior = || obj([("name", v("a")), ("zone", v("z"))]);
    assert!(replaced_by(&schema, prior(), obj([("name", v("b"))])).is_empty());
    assert_eq!(replaced_by(&schema, prior(), obj([("name", v("b")), ("zone", v("y"))])), ["zone"]);
}

#[test]
fn what_is_fixed_may_be_set_in_a_new_element() {
    let disk = schema([required("kind").fixed("Add another disk instead.")]);
    let schema = schema([Attribute::nested("disks", Nesting::List, disk)]);
    let disks =
        |kinds: &[&str]| obj([("disks", Value::list(kinds.iter().map(|kind| obj([("kind", v(*kind))]))))]);
    assert!(plan_of(&schema, disks(&["a"]), disks(&["a", "b"])).diagnostics.is_empty());
    assert!(plan_of(&schema, disks(&["a"]), disks(&["b"])).diagnostics.has_errors());
}

#[test]
fn what_is_fixed_is_refused_with_its_message() {
    let schema = schema([required("engine").fixed("Restore a backup into a new resource instead.")]);
    let prior = || obj([("engine", v("a"))]);
    let errors = plan_of(&schema, prior(), obj([("engine", v("b"))])).diagnostics;
    let error = errors.iter().next().expect("an error");
    assert_eq!(error.path, Some(Path::attribute("engine")));
    assert!(error.detail.contains("Restore a backup"), "{error}");
    assert!(plan_of(&schema, prior(), obj([("engine", UNKNOWN)])).diagnostics.is_empty());
    assert!(plan_of(&schema, prior(), prior()).diagnostics.is_empty());
    assert!(plan_of(&schema, NULL, prior()).diagnostics.is_empty());
}

#[test]
fn protection_forbids_destroy_and_replacement_but_not_update() {
    let protection = Attribute::plain("deletion_protection", Type::Bool).default_value(true);
    let schema = schema([required("name").replace(), optional("note"), protection.deletion_protection()]);
    let prior = |protected: bool| obj([("name", v("a")), ("deletion_protection", v(protected))]);

    assert!(plan_of(&schema, prior(true), NULL).diagnostics.has_errors());
    assert!(plan_of(&schema, prior(false), NULL).diagnostics.is_empty());

    let renamed = obj([("name", v("b")), ("deletion_protection", v(false))]);
    let refused = plan_of(&schema, prior(true), renamed.clone()).diagnostics;
    let error = refused.iter().next().expect("an error");
    assert_eq!(error.path, Some(Path::attribute("name")));
    assert!(
        error.detail.contains("`name`") && error.detail.contains("deletion_protection = false"),
        "{error}"
    );
    assert!(plan_of(&schema, prior(false), renamed).diagnostics.is_empty());

    let noted = obj([("name", v("a")), ("note", v("x"))]);
    assert!(plan_of(&schema, prior(true), noted).diagnostics.is_empty());
}

#[derive(Debug)]
struct Count;

/// Plans seven in every update, and another object for it.
impl PlanModifier for Count {
    fn describe(&self) -> String {
        "counts".to_owned()
    }

    fn modify(&self, change: &mut AttributeChange<'_>) {
        if change.prior.as_number().is_some() && change.path.to_string() == "count" {
            *change.planned = v(7);
            *change.replace = true;
        }
    }
}

#[test]
fn modifiers_run_last_and_their_changes_count() {
    let schema = schema([
        required("name"),
        Attribute::plain("count", Type::Number).computed().modify(Count),
        computed("digest").changes_with(["count"]),
    ]);
    let prior = obj([("name", v("a")), ("count", v(1)), ("digest", v("d"))]);
    let output = plan_of(&schema, prior, obj([("name", v("a"))]));
    assert_eq!(output.planned, obj([("name", v("a")), ("count", v(7)), ("digest", UNKNOWN)]));
    assert_eq!(output.requires_replace, [Path::attribute("count")]);
}

#[derive(Debug)]
struct Next;

/// Knows the next revision before the provider is asked.
impl PlanModifier for Next {
    fn describe(&self) -> String {
        "counts up".to_owned()
    }

    fn modify(&self, change: &mut AttributeChange<'_>) {
        if change.planned.is_unknown() && !change.creating {
            *change.planned = v(2);
        }
    }
}

#[test]
fn what_a_modifier_decided_stays() {
    let revision = Attribute::plain("revision", Type::Number).computed().changes_with_anything().modify(Next);
    let schema = schema([required("name"), revision, computed("etag").changes_with(["revision"])]);
    let prior = || obj([("name", v("a")), ("revision", v(1)), ("etag", v("x"))]);
    let planned_now = planned(&schema, prior(), obj([("name", v("b"))]));
    assert_eq!(planned_now, obj([("name", v("b")), ("revision", v(2)), ("etag", UNKNOWN)]));
    assert_eq!(planned(&schema, prior(), obj([("name", v("a"))])), prior());
}
