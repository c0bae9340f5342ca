//! Validation of configurations.

use tfplugin_schema::validate::{Rule, length, one_of, range};
use tfplugin_schema::{
    Attribute, BlockNesting, Bound, NestedBlock, Nesting, Number, ObjectSchema, Refinement, Type,
};

use super::super::{Capabilities, validate};
use super::*;

const NEW: Capabilities = Capabilities { write_only_allowed: true };
const OLD: Capabilities = Capabilities { write_only_allowed: false };

/// Path and detail of each finding.
fn found(schema: &ObjectSchema, config: Value) -> Vec<(String, String)> {
    let found = validate(schema, &fill(schema, &config), &NEW);
    found.into_iter().map(|d| (d.path.unwrap_or_default().to_string(), d.detail)).collect()
}

/// Exactly one finding, at this path, which says this.
#[track_caller]
fn refused(schema: &ObjectSchema, config: Value, path: &str, says: &str) {
    let found = found(schema, config);
    assert!(found.len() == 1 && found[0].0 == path && found[0].1.contains(says), "{found:#?}");
}

#[track_caller]
fn accepted(schema: &ObjectSchema, config: Value) {
    assert_eq!(found(schema, config), []);
}

#[test]
fn validators_judge_what_is_known_and_never_show_it() {
    let schema =
        schema([optional("name").validate(length(..=3)), optional("mode").validate(one_of(["on", "off"]))]);
    accepted(&schema, obj([("name", v("abc")), ("mode", v("on"))]));
    accepted(&schema, obj([("name", UNKNOWN), ("mode", NULL)]));
    refused(
        &schema,
        obj([("name", v("abcd"))]),
        "name",
        "The value of `name` must have at most 3 characters",
    );
    let hush = validate(&schema, &fill(&schema, &obj([("mode", v("hush"))])), &NEW);
    assert!(hush.has_errors() && !format!("{hush:?}").contains("hush"), "{hush:?}");
    assert_eq!(hush.iter().next().map(|d| d.summary.as_str()), Some("Invalid value for mode"));
}

#[test]
fn refinements_are_judged_too() {
    let size = Attribute::plain("size", Type::Number).validate(range(1..=9));
    let schema = schema([size]);
    let above = |number: i64| {
        let bound = Bound { number: Number::from(number), inclusive: true };
        obj([("size", Value::refined(Refinement { lower: Some(bound), ..Refinement::default() }))])
    };
    accepted(&schema, above(9));
    refused(&schema, above(10), "size", "must be");
}

#[test]
fn validation_reaches_any_depth() {
    let inner = || schema([optional("name").validate(length(..=1))]);
    for (nesting, value, path) in [
        (Nesting::Single, obj([("name", v("ab"))]), "a.name"),
        (Nesting::List, list([obj([]), obj([("name", v("ab"))])]), "a[1].name"),
        (Nesting::Map, obj([("k", obj([("name", v("ab"))]))]), "a[\"k\"].name"),
        (Nesting::Set, set([obj([("name", v("ab"))])]), "a[…].name"),
    ] {
        let schema = schema([Attribute::nested("a", nesting, inner())]);
        refused(&schema, obj([("a", value)]), path, "at most 1");
    }
    let schema = ObjectSchema::new("A thing.").block(NestedBlock::new("b", BlockNesting::List, inner()));
    refused(&schema, obj([("b", list([obj([("name", v("ab"))])]))]), "b[0].name", "at most 1");
}

#[test]
fn required_attributes_are_there() {
    let inner = schema([required("name")]);
    let schema = schema([required("title"), Attribute::nested("disks", Nesting::List, inner).optional()]);
    refused(&schema, obj([]), "title", "`title` is required");
    let config = obj([("title", UNKNOWN), ("disks", list([obj([])]))]);
    refused(&schema, config, "disks[0].name", "`disks[0].name` is required");
}

#[test]
fn null_elements_are_refused() {
    let schema = schema([Attribute::nested("disks", Nesting::List, schema([optional("name")]))]);
    refused(&schema, obj([("disks", list([NULL]))]), "disks[0]", "an object is expected");
    accepted(&schema, obj([("disks", list([UNKNOWN]))]));
    accepted(&schema, obj([("disks", UNKNOWN)]));
}

#[test]
fn of_very_many_problems_the_first_are_shown() {
    let schema = schema([Attribute::nested("disks", Nesting::List, schema([required("name")]))]);
    let found = found(&schema, obj([("disks", Value::list((0..10_000).map(|_| obj([]))))]));
    assert!((100..200).contains(&found.len()), "{}", found.len());
    assert!(found.last().is_some_and(|(_, detail)| detail.contains("Only the first")));
}

#[test]
fn write_only_values_need_a_command_line_that_knows_them() {
    let schema = schema([
        optional("password_wo").write_only(),
        optional("password_ref"),
        optional("key_wo").write_only(),
    ]);
    let config = fill(&schema, &obj([("password_wo", v("hush"))]));
    assert!(validate(&schema, &config, &NEW).is_empty());
    let found = validate(&schema, &config, &OLD);
    let detail = found.iter().map(ToString::to_string).collect::<String>();
    assert_eq!(found.len(), 1, "{detail}");
    for part in ["password_wo", "Terraform 1.11 / OpenTofu 1.11", "set `password_ref` instead"] {
        assert!(detail.contains(part), "{part:?} is missing in: {detail}");
    }
    let found = validate(&schema, &fill(&schema, &obj([("key_wo", UNKNOWN)])), &OLD);
    assert!(found.len() == 1 && !format!("{found:?}").contains("instead"), "{found:?}");
}

fn ruled(rule: Rule) -> ObjectSchema {
    schema([optional("a"), optional("b"), optional("c").default_value("x")])
        .block(NestedBlock::new("l", BlockNesting::List, schema([])))
        .rule(rule)
}

fn names<const N: usize>(names: [&str; N]) -> Vec<String> {
    names.map(str::to_owned).to_vec()
}

#[test]
fn conflicting_attributes_are_refused_once_both_are_set() {
    let schema = ruled(Rule::Conflicts(names(["a", "b", "l"])));
    accepted(&schema, obj([]));
    accepted(&schema, obj([("a", v("x"))]));
    accepted(&schema, obj([("a", v("x")), ("b", UNKNOWN)]));
    refused(&schema, obj([("a", v("x")), ("b", v("x"))]), "b", "Only one of `a`, `b` and `l` can be set");
    refused(&schema, obj([("a", v("x")), ("b", Value::refined(Refinement::not_null()))]), "b", "Only one");
    refused(&schema, obj([("a", v("x")), ("l", list([obj([])]))]), "l", "Only one");
}

#[test]
fn one_of_several_is_missing_only_when_none_can_come() {
    for rule in [Rule::AtLeastOneOf(names(["a", "b"])), Rule::ExactlyOneOf(names(["a", "b"]))] {
        let schema = ruled(rule);
        refused(&schema, obj([]), "", "One of `a` and `b` must be set");
        let null = Value::refined(Refinement { null: Some(true), ..Refinement::default() });
        refused(&schema, obj([("a", null)]), "", "One of `a` and `b` must be set");
        accepted(&schema, obj([("a", UNKNOWN)]));
        accepted(&schema, obj([("b", v("x"))]));
    }
    let schema = ruled(Rule::ExactlyOneOf(names(["a", "b"])));
    refused(&schema, obj([("a", v("x")), ("b", v("x"))]), "b", "Only one");
}

#[test]
fn what_belongs_together_is_set_together() {
    let schema = ruled(Rule::RequiredTogether(names(["a", "b", "c"])));
    accepted(&schema, obj([]));
    accepted(&schema, obj([("a", v("x")), ("b", UNKNOWN)]));
    refused(&schema, obj([("b", v("x"))]), "b", "`a` must be set as `b` is set");
    let schema = ruled(Rule::Requires("a".to_owned(), names(["b", "c"])));
    accepted(&schema, obj([("b", v("x"))]));
    accepted(&schema, obj([("a", UNKNOWN)]));
    refused(&schema, obj([("a", v("x"))]), "a", "`b` must be set as `a` is set");
}

#[test]
fn a_value_can_demand_another_attribute() {
    let schema = ruled(Rule::RequiredWhen("a".to_owned(), "c".to_owned(), vec![v("x"), v("y")]));
    // The default of `c` counts.
    refused(&schema, obj([]), "c", "`a` must be set with this value of `c`");
    accepted(&schema, obj([("c", v("z"))]));
    accepted(&schema, obj([("c", UNKNOWN)]));
    accepted(&schema, obj([("c", v("y")), ("a", v("x"))]));
    accepted(&schema, obj([("c", v("y")), ("a", UNKNOWN)]));
}

#[test]
fn rules_of_nested_objects_say_which_object() {
    let inner = schema([optional("a"), optional("b")]).rule(Rule::AtLeastOneOf(names(["a", "b"])));
    let schema = schema([Attribute::nested("n", Nesting::List, inner)]);
    refused(&schema, obj([("n", list([obj([])]))]), "n[0]", "In `n[0]`: One of `a` and `b`");
}
