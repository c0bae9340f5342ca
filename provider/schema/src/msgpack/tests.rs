//! What the MessagePack codec promises, by example.

use super::{decode, encode};
use crate::{Bound, Number, Refinement, Type, Value};

#[track_caller]
fn round_trip(ty: &Type, value: &Value, wire: &[u8]) {
    assert_eq!(encode(value, ty).unwrap(), wire, "{value:?}");
    assert_eq!(&decode(wire, ty).unwrap(), value);
}

#[track_caller]
fn refused(wire: &[u8], ty: &Type, error: &str) {
    match decode(wire, ty) {
        Ok(value) => panic!("{wire:02x?} is {value:?}"),
        Err(found) => assert!(found.to_string().contains(error), "{found}"),
    }
}

fn number(text: &str) -> Number {
    text.parse().unwrap()
}

#[test]
fn integers_take_their_shortest_form() {
    for (int, wire) in [
        (0, &[0x00][..]),
        (127, &[0x7f]),
        (128, &[0xcc, 0x80]),
        (255, &[0xcc, 0xff]),
        (256, &[0xcd, 1, 0]),
        (65_536, &[0xce, 0, 1, 0, 0]),
        (1 << 32, &[0xcf, 0, 0, 0, 1, 0, 0, 0, 0]),
        (-1, &[0xff]),
        (-32, &[0xe0]),
        (-33, &[0xd0, 0xdf]),
        (-129, &[0xd1, 0xff, 0x7f]),
        (-32_769, &[0xd2, 0xff, 0xff, 0x7f, 0xff]),
        (i64::MIN, &[0xd3, 0x80, 0, 0, 0, 0, 0, 0, 0]),
    ] {
        round_trip(&Type::Number, &Value::from(int), wire);
    }
}

#[test]
fn every_width_of_integer_and_float_is_read() {
    for wire in [
        &[0xcc, 1][..],
        &[0xcd, 0, 1],
        &[0xce, 0, 0, 0, 1],
        &[0xcf, 0, 0, 0, 0, 0, 0, 0, 1],
        &[0xd0, 1],
        &[0xd1, 0, 1],
        &[0xd2, 0, 0, 0, 1],
        &[0xd3, 0, 0, 0, 0, 0, 0, 0, 1],
        &[0xca, 0x3f, 0x80, 0, 0],
        &[0xcb, 0x3f, 0xf0, 0, 0, 0, 0, 0, 0],
        &[0xa3, b'1', b'.', b'0'],
        &[0xc4, 1, b'1'],
    ] {
        assert_eq!(decode(wire, &Type::Number).unwrap(), Value::from(1), "{wire:02x?}");
    }
}

#[test]
fn a_fraction_is_a_double_only_where_that_is_exact() {
    round_trip(&Type::Number, &Value::Number(number("0.5")), &[0xcb, 0x3f, 0xe0, 0, 0, 0, 0, 0, 0]);
    round_trip(&Type::Number, &Value::Number(number("3.1")), &[0xa3, b'3', b'.', b'1']);
}

#[test]
fn a_double_stands_for_its_shortest_decimal() {
    let tenth = [0xcb, 0x3f, 0xb9, 0x99, 0x99, 0x99, 0x99, 0x99, 0x9a];
    assert_eq!(decode(&tenth, &Type::Number).unwrap(), Value::Number(number("0.1")));
    // Its binary value is another number, and stays one.
    let exact = Value::Number(Number::from_f64_exact(0.1).unwrap());
    let wire = encode(&exact, &Type::Number).unwrap();
    assert_eq!(wire, b"\xd9\x390.1000000000000000055511151231257827021181583404541015625");
    assert_eq!(decode(&wire, &Type::Number).unwrap(), exact);
    // Of a whole number each digit counts: Terraform 1.5 sends 2^80 as a double.
    let two_to_80 = [0xcb, 0x44, 0xf0, 0, 0, 0, 0, 0, 0];
    assert_eq!(
        decode(&two_to_80, &Type::Number).unwrap(),
        Value::Number(number("1208925819614629174706176"))
    );
}

#[test]
fn an_integer_beyond_64_bits_is_text() {
    let two_to_80 = b"\xb91208925819614629174706176";
    round_trip(&Type::Number, &Value::Number(number("1208925819614629174706176")), two_to_80);
    round_trip(&Type::Number, &Value::from(u64::MAX), b"\xb418446744073709551615");
}

#[test]
fn what_is_no_finite_number_is_refused() {
    refused(&[0xcb, 0x7f, 0xf0, 0, 0, 0, 0, 0, 0], &Type::Number, "finite");
    refused(&[0xcb, 0x7f, 0xf8, 0, 0, 0, 0, 0, 0], &Type::Number, "finite");
    refused(b"\xa3inf", &Type::Number, "a number is required");
    refused(b"\xa91e9999999", &Type::Number, "too long");
}

#[test]
fn null_is_nil_for_every_type() {
    for ty in [Type::Bool, Type::Dynamic, Type::list(Type::Bool), Type::object([("a", Type::Bool)])] {
        round_trip(&ty, &Value::Null, &[0xc0]);
    }
}

#[test]
fn unknown_is_any_extension() {
    for ty in [Type::Bool, Type::Dynamic, Type::object([("a", Type::Bool)])] {
        round_trip(&ty, &Value::UNKNOWN, &[0xd4, 0, 0]);
        for wire in
            [&[0xd4, 12, 0][..], &[0xc7, 0, 0], &[0xd5, 99, 1, 2], &[0xc7, 3, 0xff, 1, 2, 3], &[0xc7, 0, 12]]
        {
            assert_eq!(decode(wire, &ty).unwrap(), Value::UNKNOWN, "{wire:02x?}");
        }
    }
}

#[test]
fn what_is_known_of_an_unknown_value_travels_in_extension_12() {
    round_trip(&Type::Bool, &Value::refined(Refinement::not_null()), &[0xc7, 3, 12, 0x81, 1, 0xc2]);
    round_trip(
        &Type::String,
        &Value::refined(Refinement::prefix("ab")),
        &[0xc7, 7, 12, 0x82, 1, 0xc2, 2, 0xa2, b'a', b'b'],
    );
    let bound = |text: &str, inclusive| Some(Bound { number: number(text), inclusive });
    round_trip(
        &Type::Number,
        &Value::refined(Refinement {
            lower: bound("1", true),
            upper: bound("2.5", false),
            ..Refinement::default()
        }),
        &[0xc7, 17, 12, 0x82, 3, 0x92, 1, 0xc3, 4, 0x92, 0xcb, 0x40, 0x04, 0, 0, 0, 0, 0, 0, 0xc2],
    );
    round_trip(
        &Type::set(Type::Bool),
        &Value::refined(Refinement { min_length: Some(1), max_length: Some(200), ..Refinement::default() }),
        &[0xc7, 6, 12, 0x82, 5, 1, 6, 0xcc, 200],
    );
}

#[test]
fn an_empty_refinement_is_never_sent_as_one() {
    for refinement in
        [Refinement::default(), Refinement { prefix: Some(String::new()), ..Refinement::default() }]
    {
        let value = Value::Unknown(Some(Box::new(refinement)));
        assert_eq!(encode(&value, &Type::String).unwrap(), [0xd4, 0, 0]);
    }
    let zero = Refinement { min_length: Some(0), max_length: Some(u64::MAX), ..Refinement::default() };
    assert_eq!(encode(&Value::refined(zero), &Type::list(Type::Bool)).unwrap(), [0xd4, 0, 0]);
    assert_eq!(decode(&[0xc7, 3, 12, 0x81, 5, 0], &Type::list(Type::Bool)).unwrap(), Value::UNKNOWN);
}

#[test]
fn refinements_of_the_future_are_passed_over() {
    let wire = [0xc7, 13, 12, 0x83, 99, 0x92, 0xa1, b'x', 0x81, 1, 0xc0, 1, 0xc2, 0xa1, b'k', 7];
    assert_eq!(
        decode(&wire, &Type::Bool).unwrap_err().message(),
        "what is known of the value: a number is required; the text is none, or too long for one"
    );
    let wire = [0xc7, 11, 12, 0x82, 99, 0x92, 0xa1, b'x', 0x81, 1, 0xc0, 1, 0xc2, 0xff];
    assert_eq!(decode(&wire, &Type::Bool).unwrap(), Value::refined(Refinement::not_null()));
}

#[test]
fn a_refinement_to_null_is_null() {
    assert_eq!(decode(&[0xc7, 3, 12, 0x81, 1, 0xc3], &Type::Bool).unwrap(), Value::Null);
}

#[test]
fn a_refinement_that_contradicts_itself_is_refused_on_both_sides() {
    let bound = |int: i64, inclusive| Some(Bound { number: int.into(), inclusive });
    for (lower, upper) in [(bound(2, true), bound(1, true)), (bound(1, true), bound(1, false))] {
        let value = Value::refined(Refinement { lower, upper, ..Refinement::default() });
        assert!(encode(&value, &Type::Number).unwrap_err().message().contains("contradicts"));
    }
    refused(&[0xc7, 5, 12, 0x82, 5, 2, 6, 1], &Type::list(Type::Bool), "contradicts");
    refused(&[0xc7, 9, 12, 0x82, 3, 0x92, 2, 0xc3, 4, 0x92, 1, 0xc3], &Type::Number, "contradicts");
    refused(&[0xc7, 9, 12, 0x82, 3, 0x92, 2, 0xc3, 4, 0x92, 1, 0xc3][..11], &Type::Number, "ends");
}

#[test]
fn a_refinement_of_another_type_is_refused_on_both_sides() {
    let prefix = Value::refined(Refinement::prefix("a"));
    assert!(encode(&prefix, &Type::Number).unwrap_err().message().contains("only a string"));
    refused(&[0xc7, 3, 12, 0x81, 5, 1], &Type::String, "only a list, set or map");
    // Nothing is known of a value of unknown type.
    assert_eq!(encode(&prefix, &Type::Dynamic).unwrap(), [0xd4, 0, 0]);
    assert_eq!(decode(&[0xc7, 3, 12, 0x81, 1, 0xc2], &Type::Dynamic).unwrap(), Value::UNKNOWN);
}

#[test]
fn a_refinement_stays_below_what_cty_accepts() {
    let bound = Some(Bound { number: number("1e5000"), inclusive: true });
    let long = Refinement { lower: bound.clone(), upper: None, ..Refinement::not_null() };
    assert!(encode(&Value::refined(long), &Type::Number).unwrap().len() < 1_024);
    let wire = encode(&Value::refined(Refinement::prefix("é".repeat(5_000))), &Type::String).unwrap();
    assert!(wire.len() < 1_024);
    let back = decode(&wire, &Type::String).unwrap();
    assert_eq!(back, Value::refined(Refinement::prefix("é".repeat(128))));
}

#[test]
fn a_dynamic_value_brings_its_type_as_binary_json() {
    let value = Value::dynamic(Type::list(Type::Bool), Value::list([Value::from(true)]));
    round_trip(&Type::Dynamic, &value, b"\x92\xc4\x0f[\"list\",\"bool\"]\x91\xc3");
    // A string will do.
    assert_eq!(decode(b"\x92\xaf[\"list\",\"bool\"]\x91\xc3", &Type::Dynamic).unwrap(), value);
    // A null and an unknown of a type keep it.
    round_trip(&Type::Dynamic, &Value::dynamic(Type::Bool, Value::Null), b"\x92\xc4\x06\"bool\"\xc0");
    round_trip(&Type::Dynamic, &Value::dynamic(Type::Bool, Value::UNKNOWN), b"\x92\xc4\x06\"bool\"\xd4\0\0");
}

#[test]
fn a_dynamic_value_without_its_type_is_refused() {
    assert!(encode(&Value::from("a"), &Type::Dynamic).unwrap_err().message().contains("brings its type"));
    refused(b"\xa1a", &Type::Dynamic, "an array of a type and its value is required");
    refused(b"\x91\xc4\x06\"bool\"", &Type::Dynamic, "not an array of 1");
    refused(b"\x92\xc4\x05\"bol\"\xc3", &Type::Dynamic, "not the JSON of a type");
}

#[test]
fn a_value_that_brings_the_declared_type_is_accepted() {
    let value = Value::dynamic(Type::Bool, Value::from(true));
    assert_eq!(encode(&value, &Type::Bool).unwrap(), [0xc3]);
    assert!(encode(&value, &Type::String).is_err());
}

#[test]
fn an_object_has_every_attribute_in_order() {
    let ty = Type::object([("b", Type::Bool), ("a", Type::String)]);
    let value = Value::map([("a", Value::from("x")), ("b", Value::Null)]);
    round_trip(&ty, &value, b"\x82\xa1a\xa1x\xa1b\xc0");
    assert_eq!(decode(b"\x82\xa1b\xc0\xa1a\xa1x", &ty).unwrap(), value, "in any order");
}

#[test]
fn an_attribute_missing_or_too_many_is_named() {
    let ty = Type::object([("a", Type::String), ("b", Type::Bool)]);
    refused(b"\x81\xa1a\xa1x", &ty, "b: the attribute is missing");
    refused(b"\x80", &ty, "a: the attribute is missing");
    refused(b"\x83\xa1a\xc0\xa1b\xc0\xa1c\xc0", &ty, "c: the schema has no attribute");
    refused(b"\x82\xa1a\xc0\xa1a\xc0", &ty, "comes twice");
    refused(b"\x83\xa1a\xc0\xa1b\xc0\xa1a\xc0", &ty, "a: the attribute comes twice");
    let error = |value: Value| encode(&value, &ty).unwrap_err().to_string();
    assert!(error(Value::map([("a", Value::Null)])).starts_with("b: the attribute is missing"));
    assert!(
        error(Value::map([("a", Value::Null), ("c", Value::Null)]))
            .starts_with("b: the attribute is missing")
    );
    assert!(
        error(Value::map([("a", Value::Null), ("b", Value::Null), ("c", Value::Null)]))
            .starts_with("c: the schema")
    );
}

#[test]
fn an_error_has_the_path_to_the_value() {
    let rule = Type::object([("port", Type::Number)]);
    let ty = Type::object([
        ("rules", Type::list(Type::map(rule))),
        ("pair", Type::tuple([Type::Bool, Type::set(Type::Bool)])),
    ]);
    let wire = b"\x82\xa4pair\xc0\xa5rules\x92\xc0\x81\xa1k\x81\xa4port\xc3";
    let error = decode(wire, &ty).unwrap_err();
    assert_eq!(error.to_string(), "rules[1][\"k\"].port: a number is required, not a bool");
    let wire = b"\x82\xa4pair\x92\xc3\x92\xc3\xa1x\xa5rules\xc0";
    assert_eq!(decode(wire, &ty).unwrap_err().to_string(), "pair[1][1]: a bool is required, not a string");

    let bad = Value::map([
        ("rules", Value::list([Value::map([("k", Value::map([("port", Value::from("x"))]))])])),
        ("pair", Value::Null),
    ]);
    assert_eq!(
        encode(&bad, &ty).unwrap_err().to_string(),
        "rules[0][\"k\"].port: a number is required, not a string"
    );
    let bad = Value::map([("rules", Value::Null), ("pair", Value::list([Value::Null]))]);
    assert_eq!(
        encode(&bad, &ty).unwrap_err().to_string(),
        "pair: a tuple of 2 elements is required, not of 1"
    );
}

#[test]
fn an_error_never_shows_the_value() {
    for wire in [&b"\xa6s3cret"[..], b"\xc4\x06s3cret"] {
        for ty in [Type::Bool, Type::Number, Type::Dynamic, Type::list(Type::Bool), Type::map(Type::Bool)] {
            let error = decode(wire, &ty).unwrap_err().to_string();
            assert!(!error.contains("s3cret"), "{error}");
            assert!(!encode(&Value::from("s3cret"), &ty).unwrap_err().to_string().contains("s3cret"));
        }
    }
}

#[test]
fn sets_keep_unknown_duplicates_and_drop_known_ones() {
    let ty = Type::set(Type::Number);
    let wire = b"\x94\x02\xd4\0\0\x02\xd4\0\0";
    let value = decode(wire, &ty).unwrap();
    assert_eq!(value, Value::set([Value::from(2), Value::UNKNOWN, Value::UNKNOWN]));
    assert_eq!(decode(&encode(&value, &ty).unwrap(), &ty).unwrap(), value);
}

#[test]
fn a_list_is_no_set_and_a_map_no_object() {
    assert!(encode(&Value::list([]), &Type::set(Type::Bool)).is_err());
    assert!(encode(&Value::set([]), &Type::list(Type::Bool)).is_err());
    refused(b"\x80", &Type::list(Type::Bool), "a list is required, not a map");
    refused(b"\x90", &Type::map(Type::Bool), "a map is required, not an array");
}

#[test]
fn of_a_key_that_comes_twice_the_last_counts() {
    let value = decode(b"\x82\xa1a\xc3\xa1a\xc2", &Type::map(Type::Bool)).unwrap();
    assert_eq!(value, Value::map([("a", false)].map(|(k, v)| (k, Value::from(v)))));
}

#[test]
fn strings_of_all_lengths_and_binary_are_read() {
    for length in [0, 31, 32, 255, 256, 65_535, 65_536] {
        let value = Value::from("x".repeat(length));
        let wire = encode(&value, &Type::String).unwrap();
        assert_eq!(decode(&wire, &Type::String).unwrap(), value);
    }
    assert_eq!(decode(b"\xc4\x01a", &Type::String).unwrap(), Value::from("a"));
    refused(b"\xa1\xff", &Type::String, "not UTF-8");
    refused(b"\x81\xa1\xff\xc3", &Type::map(Type::Bool), "not UTF-8");
}

#[test]
fn collections_of_all_lengths_are_read() {
    for length in [0_i64, 15, 16, 65_535, 65_536] {
        let ty = Type::list(Type::Number);
        let value = Value::list((0..length).map(Value::from));
        assert_eq!(decode(&encode(&value, &ty).unwrap(), &ty).unwrap(), value);
        let ty = Type::map(Type::Bool);
        let value = Value::map((0..length).map(|i| (i.to_string(), Value::Null)));
        assert_eq!(decode(&encode(&value, &ty).unwrap(), &ty).unwrap(), value);
    }
}

#[test]
fn bytes_after_the_value_are_refused() {
    refused(b"\xc3\xc3", &Type::Bool, "1 bytes follow");
    refused(b"", &Type::Bool, "ends");
}

#[test]
fn a_length_that_the_data_does_not_hold_is_refused_before_it_costs_memory() {
    for wire in [
        &b"\xdd\xff\xff\xff\xff\xc0"[..],
        b"\xdf\xff\xff\xff\xff\xa1a\xc0",
        b"\xdb\xff\xff\xff\xffabc",
        b"\xc6\xff\xff\xff\xffabc",
        b"\xc9\xff\xff\xff\xff\x0c\x81",
        b"\xc7\x06\x0c\x81\x63\xdd\xff\xff\xff\xff",
    ] {
        for ty in [
            Type::list(Type::Bool),
            Type::set(Type::list(Type::Bool)),
            Type::map(Type::Bool),
            Type::tuple([Type::Bool]),
            Type::object([("a", Type::Bool)]),
            Type::String,
            Type::Number,
            Type::Dynamic,
        ] {
            assert!(decode(wire, &ty).is_err(), "{wire:02x?} as {ty}");
        }
    }
}

#[test]
fn dynamic_values_within_dynamic_values_end_at_the_depth_limit() {
    let mut wire = Vec::new();
    for _ in 0..100_000 {
        wire.extend_from_slice(b"\x92\xc4\x09\"dynamic\"");
    }
    wire.push(0xc0);
    refused(&wire, &Type::Dynamic, "nests deeper than 200 levels");
    // Four levels of the type for each level of a value.
    let mut value = Value::from(true);
    let mut ty = Type::Bool;
    for _ in 0..60 {
        value = Value::list([Value::dynamic(ty, value)]);
        ty = Type::list(Type::Dynamic);
    }
    assert_eq!(decode(&encode(&value, &ty).unwrap(), &ty).unwrap(), value);
}

#[test]
fn a_value_too_deep_to_be_read_is_not_written() {
    let value = (0..250).fold(Value::from(true), |inner, _| Value::list([inner]));
    let ty = (0..250).fold(Type::Bool, |inner, _| Type::list(inner));
    assert!(encode(&value, &ty).unwrap_err().message().contains("deeper than 200"));
}

#[test]
fn the_elements_of_a_collection_are_of_one_type_even_where_that_is_dynamic() {
    let one = |value: Value, ty: Type| Value::dynamic(ty, value);
    let alike = [one("a".into(), Type::String), Value::Null, one(Value::Null, Type::String)];
    let mixed = [one("a".into(), Type::String), one(true.into(), Type::Bool)];
    let ty = Type::list(Type::Dynamic);
    assert_eq!(decode(&encode(&Value::list(alike.clone()), &ty).unwrap(), &ty).unwrap(), Value::list(alike));
    assert!(encode(&Value::list(mixed.clone()), &ty).unwrap_err().message().contains("all of one type"));
    let map = Value::map([("a", mixed[0].clone()), ("b", mixed[1].clone())]);
    assert!(encode(&map, &Type::map(Type::Dynamic)).unwrap_err().message().contains("all of one type"));
    refused(b"\x92\x92\xc4\x06\"bool\"\xc3\x92\xc4\x08\"number\"\x01", &ty, "all of one type");
    let tuple = Type::tuple([Type::Dynamic, Type::Dynamic]);
    assert!(encode(&Value::list(mixed), &tuple).is_ok());
}
