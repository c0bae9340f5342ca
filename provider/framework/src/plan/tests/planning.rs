//! The stages of the plan, one by one.

use tfplugin_schema::{Attribute, BlockNesting, NestedBlock, Nesting, ObjectSchema, Type, Value};

use super::*;

/// A replica: named by the configuration, with an address from the provider and a port with a default.
pub(super) fn replica() -> ObjectSchema {
    let port = Attribute::plain("port", Type::Number).describe("TCP.").default_value(80);
    schema([required("name"), computed("address"), port])
}

pub(super) fn replicas(nesting: Nesting) -> ObjectSchema {
    schema([Attribute::nested("replicas", nesting, replica()).optional(), computed("id")])
}

pub(super) fn made(name: &str, address: &str) -> Value {
    obj([("name", v(name)), ("address", v(address)), ("port", v(80))])
}

pub(super) fn named(name: &str) -> Value {
    obj([("name", v(name))])
}

#[test]
fn a_create_takes_the_configuration_and_leaves_computed_values_unknown() {
    let schema = schema([required("name"), optional("note"), computed("id"), computed("zone").optional()]);
    assert_eq!(
        planned(&schema, NULL, obj([("name", v("a"))])),
        obj([("name", v("a")), ("note", NULL), ("id", UNKNOWN), ("zone", UNKNOWN)])
    );
}

#[test]
fn a_destroy_plans_null_and_nothing_else() {
    let schema = schema([required("name").replace()]);
    let output = plan_of(&schema, obj([("name", v("a"))]), NULL);
    assert_eq!(
        output,
        PlanOutput { planned: NULL, requires_replace: vec![], diagnostics: Default::default() }
    );
}

#[test]
fn an_update_keeps_computed_values_unless_told_otherwise() {
    let schema = schema([required("name"), computed("id"), computed("zone").optional()]);
    let prior = obj([("name", v("a")), ("id", v("i-1")), ("zone", v("z"))]);
    assert_eq!(
        planned(&schema, prior, obj([("name", v("b"))])),
        obj([("name", v("b")), ("id", v("i-1")), ("zone", v("z"))])
    );
}

#[test]
fn a_computed_value_that_was_null_stays_null() {
    let schema = schema([required("name"), computed("expires")]);
    let prior = obj([("name", v("a"))]);
    assert_eq!(planned(&schema, prior, obj([("name", v("b"))])), obj([("name", v("b")), ("expires", NULL)]));
}

#[test]
fn a_default_stands_in_for_null_at_any_depth() {
    for nesting in [Nesting::List, Nesting::Set] {
        let schema = replicas(nesting);
        let one = |value| if nesting == Nesting::List { list([value]) } else { set([value]) };
        let new = obj([("name", v("a")), ("address", UNKNOWN), ("port", v(80))]);
        assert_eq!(
            planned(&schema, NULL, obj([("replicas", one(named("a")))])),
            obj([("replicas", one(new)), ("id", UNKNOWN)])
        );
    }
}

#[test]
fn a_default_object_gets_its_own_computed_values() {
    let attribute =
        Attribute::nested("replica", Nesting::Single, replica()).default_value(fill(&replica(), &named("d")));
    let schema = schema([attribute]);
    assert_eq!(
        planned(&schema, NULL, obj([])),
        obj([("replica", obj([("name", v("d")), ("address", UNKNOWN), ("port", v(80))]))])
    );
    let prior = obj([("replica", made("d", "10.0.0.1"))]);
    assert_eq!(planned(&schema, prior.clone(), obj([])), prior);
}

#[test]
fn write_only_values_are_never_planned() {
    let schema = schema([required("name"), optional("password_wo").write_only()]);
    assert_eq!(
        planned(&schema, NULL, obj([("name", v("a")), ("password_wo", v("s"))])),
        obj([("name", v("a")), ("password_wo", NULL)])
    );
}

#[test]
fn another_spelling_of_the_same_keeps_the_prior_one() {
    fn same(a: &Value, b: &Value) -> bool {
        a.as_str().map(str::to_lowercase) == b.as_str().map(str::to_lowercase)
    }
    let schema = schema([required("host").same_if(same).replace()]);
    let prior = obj([("host", v("Example.org"))]);
    assert_eq!(planned(&schema, prior.clone(), obj([("host", v("example.ORG"))])), prior);
    assert!(replaced_by(&schema, prior.clone(), obj([("host", v("example.ORG"))])).is_empty());
    assert_eq!(replaced_by(&schema, prior.clone(), obj([("host", v("example.com"))])), ["host"]);
}

#[test]
fn what_is_not_known_yet_means_nothing_yet() {
    let schema = schema([required("host").same_if(|_, _| true)]);
    let prior = obj([("host", v("a"))]);
    assert_eq!(planned(&schema, prior.clone(), obj([("host", v("b"))])), prior);
    assert_eq!(planned(&schema, prior, obj([("host", UNKNOWN)])), obj([("host", UNKNOWN)]));
}

#[test]
fn a_computed_attribute_keeps_its_value_whatever_ignore_changes_puts_there() {
    let schema = schema([required("name"), computed("id")]);
    let prior = obj([("name", v("a")), ("id", v("i"))]);
    assert_eq!(planned(&schema, prior.clone(), obj([("name", v("a")), ("id", v("x"))])), prior);
}

#[test]
fn elements_and_objects_that_come_or_go_are_changes() {
    let inner = || schema([optional("note")]);
    let empty = || obj([("note", NULL)]);
    let table = [
        (Nesting::Single, NULL, empty()),
        (Nesting::Single, empty(), NULL),
        (Nesting::List, list([empty()]), list([])),
        (Nesting::List, list([]), list([empty()])),
        (Nesting::Map, obj([("k", empty())]), obj([])),
        (Nesting::Map, obj([("k", empty())]), obj([("l", empty())])),
        (Nesting::Set, set([empty()]), set([])),
        (Nesting::Set, set([]), set([empty()])),
    ];
    for (nesting, before, after) in table {
        let part = Attribute::nested("part", nesting, inner()).optional().replace();
        let schema = schema([part, computed("revision").changes_with(["part"])]);
        let prior = obj([("part", before.clone()), ("revision", v(1))]);
        let output = plan_of(&schema, prior.clone(), obj([("part", after.clone())]));
        assert_eq!(output.planned, obj([("part", after), ("revision", UNKNOWN)]));
        assert_eq!(output.requires_replace, [Path::attribute("part")]);
        assert_eq!(planned(&schema, prior.clone(), obj([("part", before)])), prior);
    }
}

#[test]
fn null_and_empty_are_different() {
    let schema = schema([Attribute::plain("tags", Type::list(Type::String)).optional()]);
    let (null, empty) = (obj([("tags", NULL)]), obj([("tags", list([]))]));
    assert_eq!(planned(&schema, null.clone(), empty.clone()), empty);
    assert_eq!(planned(&schema, empty, null.clone()), null);
}

#[test]
fn a_computed_object_is_kept_as_a_whole_or_unknown_as_a_whole() {
    let attribute = Attribute::nested("replica", Nesting::Single, replica()).optional().computed();
    let schema = schema([attribute, optional("note")]);
    assert_eq!(planned(&schema, NULL, obj([])), obj([("replica", UNKNOWN), ("note", NULL)]));
    let prior = obj([("replica", made("a", "1")), ("note", NULL)]);
    assert_eq!(
        planned(&schema, prior, obj([("note", v("x"))])),
        obj([("replica", made("a", "1")), ("note", v("x"))])
    );
}

#[test]
fn blocks_are_planned_as_attributes_are() {
    let block = |name: &str, nesting| NestedBlock::new(name, nesting, replica());
    let schema = ObjectSchema::new("A thing.")
        .block(block("single", BlockNesting::Single))
        .block(block("group", BlockNesting::Group))
        .block(block("list", BlockNesting::List))
        .block(block("set", BlockNesting::Set))
        .block(block("map", BlockNesting::Map));
    let new = || obj([("name", v("a")), ("address", UNKNOWN), ("port", v(80))]);
    let config = obj([
        ("single", named("a")),
        ("group", named("a")),
        ("list", list([named("a")])),
        ("set", set([named("a")])),
        ("map", obj([("k", named("a"))])),
    ]);
    let create = obj([
        ("single", new()),
        ("group", new()),
        ("list", list([new()])),
        ("set", set([new()])),
        ("map", obj([("k", new())])),
    ]);
    assert_eq!(planned(&schema, NULL, config.clone()), create);
    let is = || made("a", "1");
    let prior = obj([
        ("single", is()),
        ("group", is()),
        ("list", list([is()])),
        ("set", set([is()])),
        ("map", obj([("k", is())])),
    ]);
    assert_eq!(planned(&schema, prior.clone(), config), prior);
    let none = obj([
        ("single", NULL),
        ("group", obj([("name", NULL), ("address", v("1")), ("port", v(80))])),
        ("list", list([])),
        ("set", set([])),
        ("map", obj([])),
    ]);
    assert_eq!(planned(&schema, prior.clone(), obj([])), none);
    // Even where the configuration comes with nulls.
    let nulls = ["single", "group", "list", "set", "map"].map(|name| (name, NULL));
    let config = obj(nulls);
    assert_eq!(
        plan(PlanInput { schema: &schema, config: &config, prior: &prior, pending: false }).planned,
        none
    );
}

#[test]
fn what_changes_with_anything_is_unknown_in_an_update_and_kept_in_none() {
    let schema = schema([required("name"), computed("updated_at").changes_with_anything(), computed("id")]);
    let prior = obj([("name", v("a")), ("updated_at", v("monday")), ("id", v("i"))]);
    assert_eq!(planned(&schema, prior.clone(), obj([("name", v("a"))])), prior);
    assert_eq!(
        planned(&schema, prior, obj([("name", v("b"))])),
        obj([("name", v("b")), ("updated_at", UNKNOWN), ("id", v("i"))])
    );
}

#[test]
fn what_became_unknown_is_a_change_for_others() {
    let schema = schema([
        computed("third").changes_with(["second"]),
        computed("second").changes_with(["first"]),
        computed("other").changes_with(["note"]),
        required("first"),
        optional("note"),
    ]);
    let prior = obj([("first", v("a")), ("second", v("b")), ("third", v("c")), ("other", v("d"))]);
    let output = planned(&schema, prior, obj([("first", v("x"))]));
    assert_eq!(output.get("second"), &UNKNOWN);
    assert_eq!(output.get("third"), &UNKNOWN);
    assert_eq!(output.get("other"), &v("d"));
}

#[test]
fn siblings_are_of_the_same_object_and_other_names_of_the_top() {
    let element = schema([
        required("name"),
        computed("address").changes_with(["name"]),
        computed("route").changes_with(["network"]),
    ]);
    let schema = schema([required("network"), Attribute::nested("hosts", Nesting::List, element)]);
    let host = |name: &str, address: Value, route: Value| {
        obj([("name", v(name)), ("address", address), ("route", route)])
    };
    let prior = || {
        obj([("network", v("n")), ("hosts", list([host("a", v("1"), v("r")), host("b", v("2"), v("r"))]))])
    };
    let config = |network: &str, second: &str| {
        obj([("network", v(network)), ("hosts", list([host("a", NULL, NULL), host(second, NULL, NULL)]))])
    };
    assert_eq!(
        planned(&schema, prior(), config("n", "c")).get("hosts"),
        &list([host("a", v("1"), v("r")), host("c", UNKNOWN, v("r"))])
    );
    assert_eq!(
        planned(&schema, prior(), config("m", "b")).get("hosts"),
        &list([host("a", v("1"), UNKNOWN), host("b", v("2"), UNKNOWN)])
    );
}

#[test]
fn parts_of_a_computed_object_change_on_their_own() {
    let status = schema([computed("id"), computed("revision").changes_with_anything()]);
    let status = Attribute::nested("status", Nesting::Single, status).computed();
    let schema = schema([required("name"), status]);
    let prior = |name: &str, revision: Value| {
        obj([("name", v(name)), ("status", obj([("id", v("i")), ("revision", revision)]))])
    };
    assert_eq!(planned(&schema, prior("a", v("1")), obj([("name", v("a"))])), prior("a", v("1")));
    assert_eq!(planned(&schema, prior("a", v("1")), obj([("name", v("b"))])), prior("b", UNKNOWN));
}

#[test]
fn a_default_wins_over_change() {
    let schema = schema([required("name"), optional("zone").default_value("z").changes_with_anything()]);
    let prior = obj([("name", v("a")), ("zone", v("old"))]);
    assert_eq!(planned(&schema, prior, obj([("name", v("b"))])), obj([("name", v("b")), ("zone", v("z"))]));
}

#[test]
fn an_unfinished_create_is_finished_by_an_update() {
    let schema = schema([
        required("name").replace(),
        computed("id"),
        computed("address"),
        computed("updated_at").changes_with_anything(),
        Attribute::nested("replicas", Nesting::List, replica()).optional(),
    ]);
    let prior = obj([
        ("name", v("a")),
        ("id", v("i")),
        ("updated_at", v("monday")),
        ("replicas", list([obj([("name", v("r")), ("address", NULL), ("port", v(80))])])),
    ]);
    let config = obj([("name", v("a")), ("replicas", list([named("r")]))]);
    let output = run(&schema, prior.clone(), config.clone(), true);
    assert!(output.requires_replace.is_empty());
    assert_eq!(
        output.planned,
        obj([
            ("name", v("a")),
            ("id", v("i")),
            ("address", UNKNOWN),
            ("updated_at", UNKNOWN),
            ("replicas", list([obj([("name", v("r")), ("address", UNKNOWN), ("port", v(80))])])),
        ])
    );
    let finished = run(&schema, prior.clone(), config, false);
    assert_eq!(finished.planned, fill(&schema, &prior));
}
