//! Which element of a collection was which before.

use tfplugin_schema::{Attribute, Nesting};

use super::planning::{made, named, replica, replicas};
use super::*;

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
