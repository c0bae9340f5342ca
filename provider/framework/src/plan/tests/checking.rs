//! The checks of plans and results: what Terraform would refuse, refused with a better sentence.

use tfplugin_schema::{
    Attribute, BlockNesting, Bound, Diagnostics, NestedBlock, Nesting, Number, ObjectSchema, Refinement, Type,
};

use super::super::{
    Blame, check_applied, check_configured_kept, check_final_plan, check_planned, check_type,
    check_wholly_known, merge_replace, with_defaults,
};
use super::*;

const BLAME: Blame<'static> = Blame { provider: "streamverse/corner", issues: "the issue tracker" };

/// Exactly one error, at this path, which says all of this.
#[track_caller]
fn one(found: &Diagnostics, path: &str, says: &[&str]) {
    assert_eq!(found.len(), 1, "{found:?}");
    for diagnostic in found {
        assert_eq!(diagnostic.path.as_ref().map(Path::to_string).as_deref(), Some(path), "{diagnostic}");
        for text in says {
            assert!(diagnostic.detail.contains(text), "{text:?} is missing in: {diagnostic}");
        }
    }
}

fn planned_as(schema: &ObjectSchema, prior: Value, config: Value, planned: Value) -> Diagnostics {
    let [prior, config, planned] = [prior, config, planned].map(|value| fill(schema, &value));
    check_planned(schema, &prior, &config, &planned, &BLAME)
}

fn applied_as(schema: &ObjectSchema, planned: Value, actual: Value) -> Diagnostics {
    let [planned, actual] = [planned, actual].map(|value| fill(schema, &value));
    check_applied(schema, &planned, &actual, &BLAME)
}

fn thing() -> ObjectSchema {
    let disk = schema([required("name"), computed("address")]);
    schema([
        required("name"),
        optional("note"),
        computed("id"),
        computed("zone").optional(),
        optional("password_wo").write_only(),
        optional("token").sensitive(),
        Attribute::nested("disks", Nesting::List, disk.clone()).optional(),
        Attribute::nested("labels", Nesting::Map, disk.clone()).optional(),
        Attribute::nested("pool", Nesting::Set, disk.clone()).optional(),
        Attribute::nested("main", Nesting::Single, disk).optional(),
    ])
}

#[test]
fn a_plan_says_what_the_configuration_says_or_what_was() {
    let config = || obj([("name", v("a"))]);
    let found = planned_as(&thing(), NULL, config(), obj([("name", v("b"))]));
    one(
        &found,
        "name",
        &[
            "configured as \"a\"",
            "\"b\" was planned",
            "bug in the provider streamverse/corner",
            "the issue tracker",
        ],
    );
    let prior = || obj([("name", v("c"))]);
    assert!(planned_as(&thing(), prior(), config(), obj([("name", v("c"))])).is_empty());
    let found = planned_as(&thing(), prior(), config(), obj([("name", v("b"))]));
    one(&found, "name", &["\"a\"", "was \"c\" before", "\"b\""]);
    one(&planned_as(&thing(), NULL, config(), obj([("name", UNKNOWN)])), "name", &["(known after apply)"]);
}

#[test]
fn only_computed_attributes_get_values_that_are_not_configured() {
    let plan = |name, value| {
        planned_as(&thing(), NULL, obj([("name", v("a"))]), obj([("name", v("a")), (name, value)]))
    };
    assert!(plan("id", v("i")).is_empty());
    assert!(plan("id", UNKNOWN).is_empty());
    assert!(plan("zone", v("z")).is_empty());
    one(&plan("note", v("n")), "note", &["not configured", "\"n\" was planned"]);
    one(&plan("password_wo", v("secret")), "password_wo", &["write-only"]);
    one(&plan("disks", list([])), "disks", &["not configured"]);
}

#[test]
fn nothing_sensitive_is_shown() {
    let config = obj([("name", v("a")), ("token", v("hush"))]);
    let found = planned_as(&thing(), NULL, config.clone(), obj([("name", v("a")), ("token", v("secret"))]));
    one(&found, "token", &["(sensitive value)"]);
    assert!(!format!("{found:?}").contains("secret"), "{found:?}");
    let found = applied_as(&thing(), config, obj([("name", v("a")), ("token", v("secret"))]));
    one(&found, "token", &["(sensitive value)"]);
    assert!(!format!("{found:?}").contains("hush") && !format!("{found:?}").contains("secret"), "{found:?}");

    let inner = schema([optional("plain"), optional("key").sensitive()]);
    let outer = schema([
        Attribute::nested("open", Nesting::List, inner.clone()),
        Attribute::nested("closed", Nesting::List, inner).sensitive(),
    ]);
    let value = |text| list([obj([("plain", v(text)), ("key", v("hush"))])]);
    let planned = obj([("open", value("a")), ("closed", value("a"))]);
    let found = applied_as(&outer, planned.clone(), obj([("open", list([])), ("closed", value("b"))]));
    let text: String = found.iter().map(ToString::to_string).collect();
    assert!(!text.contains("hush"), "{text}");
    assert!(text.contains("{ key = (sensitive value), plain = \"a\" }"), "{text}");
    assert!(text.contains("`closed[0].plain` was planned as (sensitive value)"), "{text}");
    let found = planned_as(&outer, NULL, planned, obj([("open", value("a")), ("closed", value("b"))]));
    one(&found, "closed[0].plain", &["(sensitive value)"]);
}

#[test]
fn nested_attributes_are_planned_one_by_one() {
    let disk = |name: &str| obj([("name", v(name))]);
    let with = |name: &'static str, value| obj([("name", v("a")), (name, value)]);
    let plan = |name, config, planned| planned_as(&thing(), NULL, with(name, config), with(name, planned));
    one(&plan("disks", list([disk("a")]), list([disk("b")])), "disks[0].name", &["\"b\""]);
    one(&plan("disks", list([disk("a")]), list([disk("a"), disk("b")])), "disks", &["1 elements", "2 were"]);
    one(&plan("labels", obj([("k", disk("a"))]), obj([("k", disk("b"))])), "labels[\"k\"].name", &["\"b\""]);
    one(&plan("labels", obj([("k", disk("a"))]), obj([("l", disk("a"))])), "labels", &["\"k\"", "\"l\""]);
    one(&plan("main", disk("a"), disk("b")), "main.name", &["\"b\""]);
    one(&plan("main", disk("a"), NULL), "main", &["null"]);
    one(&plan("main", disk("a"), UNKNOWN), "main", &["known after apply"]);
    one(&plan("main", UNKNOWN, disk("a")), "main", &["known after apply"]);
    one(&plan("pool", set([disk("a")]), set([])), "pool", &["1 elements"]);
    assert!(plan("pool", set([disk("a"), obj([("name", UNKNOWN)])]), set([disk("a")])).is_empty());
}

#[test]
fn blocks_are_planned_as_many_as_configured() {
    let inner = schema([required("name"), computed("address")]);
    let schema = ObjectSchema::new("A thing.")
        .block(NestedBlock::new("one", BlockNesting::Single, inner.clone()))
        .block(NestedBlock::new("list", BlockNesting::List, inner.clone()))
        .block(NestedBlock::new("map", BlockNesting::Map, inner.clone()))
        .block(NestedBlock::new("set", BlockNesting::Set, inner));
    let block = || obj([("name", v("a"))]);
    let plan = |name: &'static str, config, planned| {
        planned_as(&schema, NULL, obj([(name, config)]), obj([(name, planned)]))
    };
    one(&plan("list", list([block()]), list([])), "list", &["1 elements", "0 were"]);
    one(&plan("list", UNKNOWN, list([])), "list", &["must stay unknown"]);
    one(&plan("list", list([block()]), UNKNOWN), "list", &["must not be unknown"]);
    one(&plan("list", list([block()]), NULL), "list", &["not null"]);
    one(&plan("map", obj([("k", block())]), obj([])), "map", &["configured"]);
    one(&plan("one", block(), NULL), "one", &["configuration wants"]);
    one(&plan("one", NULL, block()), "one", &["does not want it"]);
    assert!(plan("set", set([block()]), set([])).is_empty(), "core does not compare sets of blocks");
}

#[test]
fn refinements_do_not_matter_when_plans_are_compared() {
    let schema = schema([required("name"), Attribute::plain("tags", Type::set(Type::String)).optional()]);
    let config = obj([
        ("name", Value::refined(Refinement::not_null())),
        ("tags", set([Value::refined(Refinement::prefix("x")), v("a")])),
    ]);
    let planned = obj([("name", UNKNOWN), ("tags", set([UNKNOWN, v("a")]))]);
    assert!(planned_as(&schema, NULL, config, planned).is_empty());
}

#[test]
fn a_result_has_what_was_planned() {
    let planned = || obj([("name", v("a")), ("id", UNKNOWN), ("note", NULL)]);
    assert!(applied_as(&thing(), planned(), obj([("name", v("a")), ("id", v("i"))])).is_empty());
    one(
        &applied_as(&thing(), planned(), obj([("name", v("b"))])),
        "name",
        &["`name` was planned as \"a\", but the apply returned \"b\".", "bug in the provider"],
    );
    one(
        &applied_as(&thing(), planned(), obj([("name", v("a")), ("note", v("n"))])),
        "note",
        &["null", "\"n\""],
    );
    one(&applied_as(&thing(), planned(), obj([])), "name", &["returned null"]);
    let nothing = check_applied(&thing(), &fill(&thing(), &planned()), &NULL, &BLAME);
    assert_eq!(nothing.len(), 1);
    assert!(check_applied(&thing(), &NULL, &NULL, &BLAME).is_empty());
}

#[test]
fn a_result_is_within_what_was_known_of_it() {
    let number = Attribute::plain("size", Type::Number).computed();
    let schema = schema([computed("url"), number]);
    let bound = Bound { number: Number::from(10), inclusive: true };
    let size = Value::refined(Refinement { lower: Some(bound), ..Refinement::default() });
    let planned = obj([("url", Value::refined(Refinement::prefix("https://"))), ("size", size)]);
    let result = |url: Value, size: i64| obj([("url", url), ("size", v(size))]);
    assert!(applied_as(&schema, planned.clone(), result(v("https://x"), 10)).is_empty());
    one(&applied_as(&schema, planned.clone(), result(v("http://x"), 10)), "url", &["limited"]);
    one(&applied_as(&schema, planned.clone(), result(NULL, 10)), "url", &["limited"]);
    one(&applied_as(&schema, planned, result(v("https://x"), 9)), "size", &["limited"]);
}

#[test]
fn collections_of_a_result_have_the_planned_keys() {
    let schema = schema([
        Attribute::plain("list", Type::list(Type::String)).optional(),
        Attribute::plain("map", Type::map(Type::String)).optional(),
    ]);
    let apply = |name: &'static str, planned, actual| {
        applied_as(&schema, obj([(name, planned)]), obj([(name, actual)]))
    };
    one(&apply("list", list([v("a")]), list([v("a"), v("b")])), "list", &["[\"a\"]", "[\"a\", \"b\"]"]);
    one(&apply("list", list([v("a")]), list([v("b")])), "list[0]", &["\"b\""]);
    one(&apply("map", obj([("k", v("a"))]), obj([])), "map[\"k\"]", &["not there afterwards"]);
    one(&apply("map", obj([]), obj([("k", v("a"))])), "map[\"k\"]", &["was not planned"]);
    one(&apply("list", list([]), NULL), "list", &["[]", "null"]);
}

#[test]
fn sets_of_a_result_may_shrink_but_neither_grow_nor_change() {
    let schema = schema([Attribute::plain("set", Type::set(Type::String)).optional()]);
    let apply = |planned, actual| applied_as(&schema, obj([("set", planned)]), obj([("set", actual)]));
    assert!(apply(set([v("a"), UNKNOWN, UNKNOWN]), set([v("a"), v("b")])).is_empty());
    assert!(apply(set([v("a"), UNKNOWN]), set([v("a")])).is_empty(), "unknown may turn out to be a");
    one(&apply(set([v("a"), v("b")]), set([v("a")])), "set", &["element \"b\"", "not there afterwards"]);
    one(&apply(set([v("a")]), set([v("a"), v("b")])), "set", &["element \"b\"", "not planned"]);
    one(
        &apply(set([v("a"), UNKNOWN]), set([v("a"), v("b"), v("c")])),
        "set",
        &["2 elements", "3 afterwards"],
    );
    assert!(apply(UNKNOWN, set([v("a")])).is_empty());
    let begins = || Value::refined(Refinement::prefix("x-"));
    assert!(apply(set([begins(), begins()]), set([v("x-1"), v("x-2")])).is_empty());
    one(&apply(set([begins(), begins()]), set([v("x-1"), v("y")])), "set", &["element \"y\"", "not planned"]);
}

#[test]
fn the_final_plan_keeps_to_the_first() {
    let first = fill(&thing(), &obj([("name", UNKNOWN), ("id", UNKNOWN), ("note", v("n"))]));
    let second = |name: Value, id: Value, note: &str| {
        fill(&thing(), &obj([("name", name), ("id", id), ("note", v(note))]))
    };
    assert!(check_final_plan(&thing(), &first, &second(v("a"), UNKNOWN, "n"), &BLAME).is_empty());
    let found = check_final_plan(&thing(), &first, &second(v("a"), UNKNOWN, "m"), &BLAME);
    one(&found, "note", &["first planned as \"n\"", "planning again during apply gave \"m\""]);
    let found =
        check_final_plan(&thing(), &second(v("a"), v("i"), "n"), &second(v("a"), UNKNOWN, "n"), &BLAME);
    one(&found, "id", &["\"i\"", "(known after apply)"]);
}

#[test]
fn whatever_is_left_unknown_is_named() {
    let value = obj([
        ("name", v("a")),
        ("id", UNKNOWN),
        ("labels", obj([("k", obj([("name", v("n")), ("address", UNKNOWN)]))])),
    ]);
    let found = check_wholly_known(&thing(), &fill(&thing(), &value), &BLAME);
    let paths: Vec<String> = found.iter().filter_map(|d| d.path.as_ref()).map(Path::to_string).collect();
    assert_eq!(paths, ["id", "labels[\"k\"].address"]);
}

#[test]
fn values_have_the_types_of_their_schema() {
    let ty = Type::object([("size", Type::Number)]);
    let any = Attribute::plain("any", Type::Dynamic).optional();
    let schema = schema([
        optional("name"),
        Attribute::plain("list", Type::list(ty)).optional(),
        any,
        Attribute::nested("disks", Nesting::Set, schema([required("name")])).optional(),
    ])
    .block(NestedBlock::new("block", BlockNesting::List, schema([])));
    let check = |value: Value| check_type(&schema, &value, &BLAME);
    let good = fill(
        &schema,
        &obj([
            ("list", list([obj([("size", v(1))])])),
            ("any", Value::dynamic(Type::String, v("x"))),
            ("disks", set([obj([("name", v("a"))])])),
        ]),
    );
    assert!(check(good).is_empty());
    assert!(check(NULL).is_empty());
    let with = |name: &'static str, value: Value| {
        let Value::Map(mut members) = fill(&schema, &obj([])) else { panic!("an object") };
        members.insert(name.to_owned(), value);
        check(Value::Map(members))
    };
    one(&with("name", v(1)), "name", &["of type string", "a number"]);
    one(&with("list", list([obj([("size", v("x"))])])), "list[0].size", &["of type number"]);
    one(&with("list", list([obj([])])), "list[0]", &["object({ size = number })"]);
    one(&with("any", v("x")), "any", &["brings its type"]);
    one(&with("any", Value::dynamic(Type::Bool, v("x"))), "any", &["of type bool"]);
    one(&with("disks", list([])), "disks", &["a set of objects", "a list"]);
    one(&with("block", NULL), "block", &["empty"]);
    one(&with("other", v("x")), "", &["`other`", "not in its schema"]);
    let Value::Map(mut members) = fill(&schema, &obj([])) else { panic!("an object") };
    members.remove("name");
    one(&check(Value::Map(members)), "name", &["missing"]);
}

#[test]
fn long_values_are_cut() {
    let long = "ä".repeat(500);
    let found = applied_as(&thing(), obj([("name", v(long))]), obj([("name", v("b"))]));
    let detail = found.iter().map(|d| d.detail.chars().count()).max();
    assert!(detail.is_some_and(|length| length < 500), "{detail:?}");
}

#[test]
fn a_data_source_returns_what_is_configured() {
    let keeps = |config: Value, state: Value| {
        let [config, state] = [config, state].map(|value| fill(&thing(), &value));
        check_configured_kept(&thing(), &config, &state, &BLAME)
    };
    let config = || obj([("name", v("a"))]);
    assert!(keeps(config(), obj([("name", v("a")), ("note", v("found")), ("id", v("i"))])).is_empty());
    one(&keeps(config(), obj([("name", v("b"))])), "name", &["\"b\" was returned"]);
}

#[test]
fn defaults_are_applied_at_any_depth() {
    let inner = schema([optional("kind").default_value("ssd"), computed("id")]);
    let schema = schema([
        Attribute::nested("disks", Nesting::List, inner).optional(),
        optional("zone").default_value("z"),
    ]);
    let config = fill(&schema, &obj([("disks", list([obj([])]))]));
    assert_eq!(
        with_defaults(&schema, config),
        obj([("disks", list([obj([("kind", v("ssd")), ("id", NULL)])])), ("zone", v("z"))])
    );
}

#[test]
fn paths_that_force_replacement_are_merged() {
    let path = |name: &str| Path::attribute(name);
    let inside = path("set").element(v("e")).attr("a");
    assert_eq!(
        merge_replace(vec![path("b")], [inside, path("b"), path("a")]),
        [path("a"), path("b"), path("set")]
    );
}
