//! The stages of the plan, one by one.

use tfplugin_schema::{
    Attribute, AttributeChange, BlockNesting, NestedBlock, Nesting, ObjectSchema, PlanModifier, Type, Value,
};

use super::*;

/// A replica: named by the configuration, with an address from the provider and a port with a default.
fn replica() -> ObjectSchema {
    let port = Attribute::plain("port", Type::Number).describe("TCP.").default_value(80);
    schema([required("name"), computed("address"), port])
}

fn replicas(nesting: Nesting) -> ObjectSchema {
    schema([Attribute::nested("replicas", nesting, replica()).optional(), computed("id")])
}

fn made(name: &str, address: &str) -> Value {
    obj([("name", v(name)), ("address", v(address)), ("port", v(80))])
}

fn named(name: &str) -> Value {
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
fn lists_are_matched_by_position_maps_by_key_and_sets_by_what_was_configured() {
    let (a, b) = (made("a", "10.0.0.1"), made("b", "10.0.0.2"));
    let new = obj([("name", v("c")), ("address", UNKNOWN), ("port", v(80))]);

    let schema = replicas(Nesting::List);
    let prior = obj([("replicas", list([a.clone(), b.clone()])), ("id", v("i"))]);
    let config = obj([("replicas", list([named("a"), named("b"), named("c")]))]);
    let expected = obj([("replicas", list([a.clone(), b.clone(), new.clone()])), ("id", v("i"))]);
    assert_eq!(planned(&schema, prior, config), expected);

    let schema = replicas(Nesting::Map);
    let prior = obj([("replicas", obj([("x", a.clone()), ("y", b.clone())])), ("id", v("i"))]);
    let config = obj([("replicas", obj([("y", named("b")), ("z", named("c"))]))]);
    let expected = obj([("replicas", obj([("y", b.clone()), ("z", new.clone())])), ("id", v("i"))]);
    assert_eq!(planned(&schema, prior, config), expected);

    let schema = replicas(Nesting::Set);
    let prior = obj([("replicas", set([a, b.clone()])), ("id", v("i"))]);
    let config = obj([("replicas", set([named("c"), named("b")]))]);
    let expected = obj([("replicas", set([b, new])), ("id", v("i"))]);
    assert_eq!(planned(&schema, prior, config), expected);
}

#[test]
fn an_element_that_is_not_known_is_nobody_of_the_prior_set() {
    let schema = replicas(Nesting::Set);
    let prior = obj([("replicas", set([made("a", "10.0.0.1")])), ("id", v("i"))]);
    let config = obj([("replicas", set([obj([("name", UNKNOWN)])]))]);
    let new = obj([("name", UNKNOWN), ("address", UNKNOWN), ("port", v(80))]);
    assert_eq!(planned(&schema, prior, config), obj([("replicas", set([new])), ("id", v("i"))]));
}

#[test]
fn unknown_elements_of_a_set_stay_apart() {
    let schema = replicas(Nesting::Set);
    let config = Value::set([
        fill(&replica(), &obj([("name", UNKNOWN)])),
        fill(&replica(), &obj([("name", UNKNOWN)])),
    ]);
    let output = planned(&schema, NULL, obj([("replicas", config)]));
    assert_eq!(output.get("replicas").as_elements().map(<[Value]>::len), Some(2));
}

#[test]
fn the_more_specific_element_of_a_set_chooses_its_prior_self_first() {
    let element = schema([required("name"), computed("zone").optional()]);
    let schema = schema([Attribute::nested("members", Nesting::Set, element)]);
    let at = |zone: Value| obj([("name", v("n")), ("zone", zone)]);
    let prior = obj([("members", set([at(v("a")), at(v("b"))]))]);
    // The element without zone would fit both.
    let config = obj([("members", set([at(NULL), at(v("a"))]))]);
    assert_eq!(planned(&schema, prior.clone(), config), prior);
}

#[test]
fn what_an_unknown_element_may_yet_claim_is_not_promised_to_another() {
    let element = schema([required("name"), computed("zone").optional(), computed("id")]);
    let schema = schema([Attribute::nested("members", Nesting::Set, element)]);
    let at = |name: Value, zone: Value, id: Value| obj([("name", name), ("zone", zone), ("id", id)]);
    let prior = || obj([("members", set([at(v("n"), v("z"), v("i"))]))]);
    let choose_any = || at(v("n"), NULL, NULL);

    // May turn out to be n in z, which is more specific and goes first.
    let config = obj([("members", set([choose_any(), at(UNKNOWN, v("z"), NULL)]))]);
    let expected = set([at(v("n"), UNKNOWN, UNKNOWN), at(UNKNOWN, v("z"), UNKNOWN)]);
    assert_eq!(planned(&schema, prior(), config).get("members"), &expected);

    // Is in another zone, whatever its name.
    let config = obj([("members", set([choose_any(), at(UNKNOWN, v("y"), NULL)]))]);
    let expected = set([at(v("n"), v("z"), v("i")), at(UNKNOWN, v("y"), UNKNOWN)]);
    assert_eq!(planned(&schema, prior(), config).get("members"), &expected);

    // Leaves the same choice: with the same name it would be the same element.
    let config = obj([("members", set([choose_any(), at(UNKNOWN, NULL, NULL)]))]);
    let expected = set([at(v("n"), v("z"), v("i")), at(UNKNOWN, UNKNOWN, UNKNOWN)]);
    assert_eq!(planned(&schema, prior(), config).get("members"), &expected);
}

#[test]
fn what_is_left_open_inside_a_set_may_be_claimed_too() {
    let inner = schema([required("name"), computed("zone").optional()]);
    let outer = schema([required("group"), Attribute::nested("inner", Nesting::Set, inner)]);
    let schema = schema([Attribute::nested("outer", Nesting::Set, outer)]);
    let pair = |n: Value, m: Value| {
        set([obj([("name", v("n")), ("zone", n)]), obj([("name", v("m")), ("zone", m)])])
    };
    let group = |group: Value, inner: Value| obj([("group", group), ("inner", inner)]);
    let prior = obj([("outer", set([group(v("g"), pair(v("z"), v("z")))]))]);
    // Either may have become the prior group.
    let config =
        obj([("outer", set([group(v("g"), pair(NULL, v("z"))), group(UNKNOWN, pair(v("z"), NULL))]))]);
    let expected = set([group(v("g"), pair(UNKNOWN, v("z"))), group(UNKNOWN, pair(v("z"), UNKNOWN))]);
    assert_eq!(planned(&schema, prior, config).get("outer"), &expected);
}

#[test]
fn an_element_makes_way_for_another_that_has_no_other_prior_self() {
    let element = schema([computed("a").optional(), computed("b").optional(), computed("id")]);
    let schema = schema([Attribute::nested("members", Nesting::Set, element)]);
    let at = |a: Value, b: Value, id: Value| obj([("a", a), ("b", b), ("id", id)]);
    let prior = obj([("members", set([at(v("1"), v("1"), v("i")), at(v("2"), v("1"), v("j"))]))]);
    // The second fits but one of them; both are as specific.
    let config = obj([("members", set([at(NULL, v("1"), NULL), at(v("1"), NULL, NULL)]))]);
    assert_eq!(planned(&schema, prior.clone(), config), prior);
}

#[test]
fn sets_inside_sets_find_their_prior_selves() {
    let outer = schema([required("group"), Attribute::nested("replicas", Nesting::Set, replica())]);
    let schema = schema([Attribute::nested("groups", Nesting::Set, outer)]);
    let group = |name: &str, replicas: Value| obj([("group", v(name)), ("replicas", replicas)]);
    let prior = obj([(
        "groups",
        set([
            group("g", set([made("a", "1"), made("b", "2")])),
            group("g", set([made("a", "3"), made("c", "4")])),
        ]),
    )]);
    let config = obj([(
        "groups",
        set([group("g", set([named("c"), named("a")])), group("g", set([named("a"), named("b")]))]),
    )]);
    assert_eq!(planned(&schema, prior.clone(), config), prior);
}

#[test]
fn an_unknown_collection_stays_unknown() {
    for nesting in [Nesting::Single, Nesting::List, Nesting::Set, Nesting::Map] {
        let schema = replicas(nesting);
        assert_eq!(
            planned(&schema, NULL, obj([("replicas", UNKNOWN)])),
            obj([("replicas", UNKNOWN), ("id", UNKNOWN)])
        );
    }
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

/// Says how many elements the list will have, and wants another object if that is none.
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
