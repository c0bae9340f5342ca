//! Values that mean the same keep their spelling.

use tfplugin_schema::{Attribute, Nesting, ObjectSchema, Type};

use super::super::keep_spelling;
use super::*;

fn same(a: &Value, b: &Value) -> bool {
    a.as_str().map(str::to_lowercase) == b.as_str().map(str::to_lowercase)
}

fn host() -> ObjectSchema {
    schema([required("host").same_if(same), required("note"), computed("id")])
}

fn kept(schema: &ObjectSchema, old: Value, new: Value) -> Value {
    let mut new = fill(schema, &new);
    keep_spelling(schema, &fill(schema, &old), &mut new);
    new
}

fn at(host: &str, note: &str) -> Value {
    obj([("host", v(host)), ("note", v(note)), ("id", NULL)])
}

#[test]
fn the_old_spelling_stays_where_both_mean_the_same() {
    assert_eq!(kept(&host(), at("A.org", "X"), at("a.org", "x")), at("A.org", "x"));
    assert_eq!(kept(&host(), at("A.org", "x"), at("b.org", "x")), at("b.org", "x"));
    assert_eq!(kept(&host(), NULL, at("b.org", "x")), at("b.org", "x"));
    let unknown = obj([("host", UNKNOWN), ("note", v("x")), ("id", NULL)]);
    assert_eq!(kept(&host(), unknown, at("b.org", "x")), at("b.org", "x"));
}

#[test]
fn spelling_is_kept_at_any_depth() {
    type Wrap = fn(Value) -> Value;
    let table: [(Nesting, Wrap); 4] = [
        (Nesting::Single, |value| value),
        (Nesting::List, |value| list([value])),
        (Nesting::Map, |value| obj([("k", value)])),
        (Nesting::Set, |value| set([value, at("other.org", "y")])),
    ];
    for (nesting, wrap) in table {
        let schema = schema([Attribute::nested("a", nesting, host())]);
        let value = |host: &str| obj([("a", wrap(at(host, "x")))]);
        assert_eq!(kept(&schema, value("A.org"), value("a.org")), value("A.org"), "{nesting:?}");
    }
}

#[test]
fn an_element_of_a_set_in_another_spelling_is_no_new_element() {
    let schema = schema([Attribute::nested("hosts", Nesting::Set, host())]);
    let element = |host: &str, id: Value| obj([("host", v(host)), ("note", v("n")), ("id", id)]);
    let prior = obj([("hosts", set([element("A.org", v("i")), element("B.org", v("j"))]))]);
    let config = obj([("hosts", set([element("b.org", NULL), element("A.org", NULL)]))]);
    assert_eq!(planned(&schema, prior.clone(), config), prior);
}

#[test]
fn numbers_keep_their_digits() {
    fn close(a: &Value, b: &Value) -> bool {
        matches!((a.as_number(), b.as_number()), (Some(a), Some(b)) if a.to_f64() == b.to_f64())
    }
    let schema = schema([Attribute::plain("ratio", Type::Number).same_if(close)]);
    let number = |text: &str| obj([("ratio", v(text.parse::<tfplugin_schema::Number>().expect("a number")))]);
    let binary = number("3.100000000000000088817841970012523233890533447265625");
    assert_eq!(kept(&schema, number("3.1"), binary), number("3.1"));
}
