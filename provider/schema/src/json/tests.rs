//! What the JSON codec promises, by example.

use serde_json::json;

use super::{decode, decode_state, decode_value, encode, infer};
use crate::{Type, Value};

#[track_caller]
fn round_trip(ty: &Type, value: &Value, text: &str) {
    assert_eq!(String::from_utf8(encode(value, ty).unwrap()).unwrap(), text);
    assert_eq!(&decode(text.as_bytes(), ty).unwrap(), value);
}

#[track_caller]
fn refused(text: &str, ty: &Type, error: &str) {
    match decode(text.as_bytes(), ty) {
        Ok(value) => panic!("{text} is {value:?}"),
        Err(found) => assert!(found.to_string().contains(error), "{found}"),
    }
}

fn number(text: &str) -> Value {
    Value::Number(text.parse().unwrap())
}

#[test]
fn numbers_keep_every_digit() {
    for text in [
        "0",
        "-7",
        "3.1",
        "1208925819614629174706176",
        "0.1000000000000000055511151231257827021181583404541015625",
    ] {
        round_trip(&Type::Number, &number(text), text);
    }
    assert_eq!(decode(b"1.50e1", &Type::Number).unwrap(), Value::from(15));
    let huge = number("1e9999");
    assert_eq!(decode(&encode(&huge, &Type::Number).unwrap(), &Type::Number).unwrap(), huge);
}

#[test]
fn containers_are_arrays_and_objects() {
    round_trip(&Type::list(Type::Bool), &Value::list([Value::from(true), Value::Null]), "[true,null]");
    round_trip(&Type::set(Type::Number), &Value::set([Value::from(2), Value::from(1)]), "[1,2]");
    round_trip(
        &Type::map(Type::String),
        &Value::map([("b", Value::from("y")), ("a", Value::from("x"))]),
        r#"{"a":"x","b":"y"}"#,
    );
    round_trip(
        &Type::tuple([Type::Bool, Type::String]),
        &Value::list([Value::from(false), Value::from("")]),
        r#"[false,""]"#,
    );
    round_trip(&Type::tuple([]), &Value::list([]), "[]");
    round_trip(&Type::object([("a", Type::Bool)]), &Value::map([("a", Value::Null)]), r#"{"a":null}"#);
}

#[test]
fn a_dynamic_value_brings_its_type_in_either_order() {
    let value = Value::dynamic(Type::list(Type::Number), Value::list([number("2.5")]));
    round_trip(&Type::Dynamic, &value, r#"{"value":[2.5],"type":["list","number"]}"#);
    assert_eq!(
        decode(br#" { "type" : ["list","number"] , "value" : [ 2.5 ] } "#, &Type::Dynamic).unwrap(),
        value
    );
    round_trip(&Type::Dynamic, &Value::Null, "null");
    round_trip(&Type::Dynamic, &Value::dynamic(Type::Bool, Value::Null), r#"{"value":null,"type":"bool"}"#);
}

#[test]
fn a_dynamic_value_is_of_its_type() {
    refused(r#"{"value":1}"#, &Type::Dynamic, "lacks its \"type\"");
    refused(r#"{"type":"bool"}"#, &Type::Dynamic, "lacks its \"value\"");
    refused(r#"{"type":"bool","value":true,"more":1}"#, &Type::Dynamic, "no keys but");
    refused(r#"{"value":[true],"type":"bool"}"#, &Type::Dynamic, "a bool is required, not an array");
    refused(r#"[1]"#, &Type::Dynamic, "an object of \"type\" and \"value\" is required");
}

#[test]
fn an_unknown_value_has_no_json() {
    let ty = Type::object([("a", Type::list(Type::Bool))]);
    let value = Value::map([("a", Value::list([Value::UNKNOWN]))]);
    assert_eq!(
        encode(&value, &ty).unwrap_err().to_string(),
        "a[0]: the value is not known; JSON has no way to say that"
    );
}

#[test]
fn primitives_are_converted_as_in_cty() {
    assert_eq!(decode(br#""true""#, &Type::Bool).unwrap(), Value::from(true));
    assert_eq!(decode(br#""0""#, &Type::Bool).unwrap(), Value::from(false));
    assert_eq!(decode(br#""3.10""#, &Type::Number).unwrap(), number("3.1"));
    assert_eq!(decode(b"3.10", &Type::String).unwrap(), Value::from("3.10"));
    assert_eq!(decode(b"false", &Type::String).unwrap(), Value::from("false"));
    refused(r#""yes""#, &Type::Bool, "a bool is required");
    refused("1", &Type::Bool, "a bool is required, not a number");
    refused(r#""x""#, &Type::Number, "a number is required");
    refused("true", &Type::Number, "a number is required, not a bool");
    refused("[]", &Type::String, "a string is required, not an array");
}

#[test]
fn strings_are_unescaped() {
    for (text, plain) in [
        (r#""a\"b\\c\/d""#, "a\"b\\c/d"),
        (r#""\n\t\r\b\f""#, "\n\t\r\u{8}\u{c}"),
        (r#""\u00e9\ud83d\ude00é""#, "é😀é"),
        (r#""\u003cb\u003e""#, "<b>"),
    ] {
        assert_eq!(decode(text.as_bytes(), &Type::String).unwrap(), Value::from(plain));
    }
    for text in [r#""\x""#, r#""\ud83d""#, r#""\u12""#, "\"a\nb\"", r#""open"#, r#""open\"#, r#""\"#, "\"\\é"]
    {
        assert!(decode(text.as_bytes(), &Type::String).is_err(), "{text}");
    }
    assert!(decode(b"\"\xff\"", &Type::String).unwrap_err().message().contains("byte 1: not UTF-8"));
}

#[test]
fn what_is_no_json_is_refused_with_its_place() {
    let list = Type::list(Type::Number);
    for text in [
        "", " ", "[", "[1", "[1,", "[1,]", "[,]", "[1 2]", "[1}", "]", "[1]]", "[1] x", "nul", "[01]",
        "[1.]", "[.5]", "[1e]", "[-]", "[+1]", "[--1]", "[1e5.0]",
    ] {
        assert!(decode(text.as_bytes(), &list).is_err(), "{text}");
    }
    for text in ["{", "{a:1}", "{\"a\"}", "{\"a\" 1}", "{\"a\":}", "{\"a\":1,}", "{\"a\":1 \"b\":2}", "{,}"] {
        assert!(decode(text.as_bytes(), &Type::map(Type::Number)).is_err(), "{text}");
        assert!(
            decode_state(format!("{{\"x\":{text}}}").as_bytes(), &Type::object([("a", Type::Bool)])).is_err(),
            "{text}"
        );
    }
    refused("[1,]", &list, "invalid JSON at byte 3");
}

#[test]
fn absent_attributes_are_null_and_others_are_named() {
    let ty = Type::object([("a", Type::Bool), ("b", Type::list(Type::object([("c", Type::String)])))]);
    assert_eq!(decode(b"{}", &ty).unwrap(), Value::map([("a", Value::Null), ("b", Value::Null)]));
    refused(r#"{"x":1}"#, &ty, "x: the schema has no attribute");
    refused(r#"{"b":[{},{"d":1}]}"#, &ty, "b[1].d: the schema has no attribute");
    refused(r#"{"b":[{"c":[]}]}"#, &ty, "b[0].c: a string is required, not an array");
}

#[test]
fn a_state_may_have_attributes_that_the_schema_lost() {
    let ty = Type::object([
        ("a", Type::Bool),
        ("b", Type::list(Type::object([("c", Type::String)]))),
        ("d", Type::map(Type::tuple([Type::object([("e", Type::Number)])]))),
    ]);
    let state =
        br#"{"gone":{"x":[1,{"y":"}"}],"z":"\""},"b":[{"old":null,"c":"x"},{}],"d":{"k":[{"old":-1.5e3}]}}"#;
    let value = decode_state(state, &ty).unwrap();
    let expected = Value::map([
        ("a", Value::Null),
        ("b", Value::list([Value::map([("c", Value::from("x"))]), Value::map([("c", Value::Null)])])),
        ("d", Value::map([("k", Value::list([Value::map([("e", Value::Null)])]))])),
    ]);
    assert_eq!(value, expected);
    assert!(
        decode_state(br#"{"a":"perhaps"}"#, &ty).unwrap_err().to_string().starts_with("a: "),
        "a wrong type stays one"
    );
}

#[test]
fn what_is_skipped_may_be_of_any_depth() {
    let ty = Type::object([("a", Type::Bool)]);
    let deep = format!(
        r#"{{"gone":{}{},"a":true}}"#,
        "[{\"x\":".repeat(100_000),
        "1}]".to_owned() + &"}]".repeat(99_999)
    );
    assert_eq!(decode_state(deep.as_bytes(), &ty).unwrap(), Value::map([("a", Value::from(true))]));
    let open = format!(r#"{{"gone":{}"#, "[".repeat(1_000_000));
    assert!(decode_state(open.as_bytes(), &ty).is_err());
}

#[test]
fn dynamic_values_within_dynamic_values_end_at_the_depth_limit() {
    let text = r#"{"type":"dynamic","value":"#.repeat(100_000);
    refused(&text, &Type::Dynamic, "ends");
    let text = format!("{}null{}", r#"{"type":"dynamic","value":"#.repeat(250), "}".repeat(250));
    refused(&text, &Type::Dynamic, "nests deeper than 200");
}

#[test]
fn an_error_never_shows_the_value() {
    for ty in [Type::Bool, Type::Number, Type::Dynamic, Type::list(Type::Bool), Type::map(Type::Bool)] {
        let error = decode(br#""s3cret""#, &ty).unwrap_err().to_string();
        assert!(!error.contains("s3cret"), "{error}");
        assert!(!encode(&Value::from("s3cret"), &ty).unwrap_err().to_string().contains("s3cret"));
    }
}

#[test]
fn a_value_in_memory_is_read_like_text() {
    let ty = Type::object([("a", Type::list(Type::Number))]);
    let value = decode_value(&json!({"a": [1, 2.5]}), &ty).unwrap();
    assert_eq!(value, Value::map([("a", Value::list([Value::from(1), number("2.5")]))]));
}

#[test]
fn json_has_a_type_by_itself() {
    let (ty, value) = infer(&json!({"a": [1, "x", null], "b": {"c": true}})).unwrap();
    assert_eq!(ty.to_string(), "object({ a = tuple([number, string, dynamic]), b = object({ c = bool }) })");
    assert_eq!(
        decode(&encode(&Value::dynamic(ty.clone(), value.clone()), &Type::Dynamic).unwrap(), &Type::Dynamic)
            .unwrap(),
        Value::dynamic(ty, value)
    );
    let huge = serde_json::from_str::<serde_json::Value>("[1e999999999]").unwrap();
    assert!(infer(&huge).unwrap_err().to_string().starts_with("[0]: "));
}

#[test]
fn the_elements_of_a_collection_are_of_one_type_even_where_that_is_dynamic() {
    let text = r#"[{"type":"bool","value":true},{"type":"number","value":1}]"#;
    refused(text, &Type::list(Type::Dynamic), "all of one type");
    assert!(decode(text.as_bytes(), &Type::tuple([Type::Dynamic, Type::Dynamic])).is_ok());
}
