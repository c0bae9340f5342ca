//! What a test expects of a value: exactly this, or something like it.

use regex::Regex;
use serde_json::Value;

use super::decimal;

/// An expectation about one JSON value. A plain value (`json!(…)`, a string, a number, a bool) means "exactly that".
#[derive(Clone, Debug)]
pub struct Expect(Kind);

#[derive(Clone, Debug)]
enum Kind {
    Exactly(Value),
    NotNull,
    Matches(String),
    Length(usize),
    Contains(Value),
    Includes(Value),
    AnyOrder(Vec<Value>),
}

/// Anything but null.
pub fn not_null() -> Expect {
    Expect(Kind::NotNull)
}

/// A string that this regular expression matches.
pub fn matches(expression: impl Into<String>) -> Expect {
    Expect(Kind::Matches(expression.into()))
}

/// A list, map or string of this length.
pub fn length(length: usize) -> Expect {
    Expect(Kind::Length(length))
}

/// A list that has this element, or a string that has this part.
pub fn contains(element: impl Into<Value>) -> Expect {
    Expect(Kind::Contains(element.into()))
}

/// An object that has at least these fields, at every depth.
pub fn includes(fields: impl Into<Value>) -> Expect {
    Expect(Kind::Includes(fields.into()))
}

/// A list of exactly these elements in any order, such as a set.
pub fn any_order(elements: impl IntoIterator<Item = impl Into<Value>>) -> Expect {
    Expect(Kind::AnyOrder(elements.into_iter().map(Into::into).collect()))
}

impl<T: Into<Value>> From<T> for Expect {
    fn from(value: T) -> Self {
        Self(Kind::Exactly(value.into()))
    }
}

impl Expect {
    /// The error says what was expected and what is there.
    pub fn check(&self, actual: &Value) -> Result<(), String> {
        let ok = match &self.0 {
            Kind::Exactly(expected) => same(expected, actual),
            Kind::NotNull => !actual.is_null(),
            Kind::Matches(expression) => {
                let expression =
                    Regex::new(expression).map_err(|error| format!("not a regular expression: {error}"))?;
                actual.as_str().is_some_and(|text| expression.is_match(text))
            }
            Kind::Length(length) => len(actual) == Some(*length),
            Kind::Contains(part) => match (actual, part) {
                (Value::Array(elements), _) => elements.iter().any(|element| same(part, element)),
                (Value::String(text), Value::String(part)) => text.contains(part),
                _ => false,
            },
            Kind::Includes(fields) => included(fields, actual),
            Kind::AnyOrder(expected) => actual.as_array().is_some_and(|actual| same_bag(expected, actual)),
        };
        if ok { Ok(()) } else { Err(format!("expected {}, got {}", self.described(), bounded(actual))) }
    }

    fn described(&self) -> String {
        match &self.0 {
            Kind::Exactly(value) => bounded(value),
            Kind::NotNull => "a value".to_owned(),
            Kind::Matches(expression) => format!("a string that matches `{expression}`"),
            Kind::Length(length) => format!("length {length}"),
            Kind::Contains(part) => format!("something that contains {}", bounded(part)),
            Kind::Includes(fields) => format!("at least {}", bounded(fields)),
            Kind::AnyOrder(elements) => format!("in any order {}", bounded(&Value::from(elements.clone()))),
        }
    }
}

fn len(value: &Value) -> Option<usize> {
    match value {
        Value::String(text) => Some(text.chars().count()),
        Value::Array(elements) => Some(elements.len()),
        Value::Object(fields) => Some(fields.len()),
        _ => None,
    }
}

/// Equality of JSON by value: numbers as decimals, objects in any order.
pub fn same(left: &Value, right: &Value) -> bool {
    match (left, right) {
        (Value::Number(left), Value::Number(right)) => decimal::equal(left, right),
        (Value::Array(left), Value::Array(right)) => {
            left.len() == right.len() && left.iter().zip(right).all(|(left, right)| same(left, right))
        }
        (Value::Object(left), Value::Object(right)) => {
            left.len() == right.len()
                && left.iter().all(|(key, left)| right.get(key).is_some_and(|right| same(left, right)))
        }
        _ => left == right,
    }
}

fn included(fields: &Value, actual: &Value) -> bool {
    match (fields, actual) {
        (Value::Object(fields), Value::Object(actual)) => {
            fields.iter().all(|(key, field)| actual.get(key).is_some_and(|actual| included(field, actual)))
        }
        (Value::Array(fields), Value::Array(actual)) => {
            fields.len() == actual.len()
                && fields.iter().zip(actual).all(|(field, actual)| included(field, actual))
        }
        _ => same(fields, actual),
    }
}

fn same_bag(expected: &[Value], actual: &[Value]) -> bool {
    let mut left: Vec<&Value> = actual.iter().collect();
    expected.len() == left.len()
        && expected.iter().all(|one| match left.iter().position(|other| same(one, other)) {
            Some(at) => {
                left.swap_remove(at);
                true
            }
            None => false,
        })
}

/// A value for a message: never megabytes.
pub(crate) fn bounded(value: &Value) -> String {
    const LIMIT: usize = 600;
    let text = value.to_string();
    match text.char_indices().nth(LIMIT) {
        Some((at, _)) => format!("{}… ({} bytes)", text.get(..at).unwrap_or_default(), text.len()),
        None => text,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn each_expectation_accepts_and_refuses() {
        let value = json!({"name": "edge-1", "ports": [80, 443.0], "tls": {"min": "1.3", "max": null}});
        let cases: [(Expect, &str, bool); 13] = [
            (Expect::from("edge-1"), "name", true),
            (matches("^edge-[0-9]+$"), "name", true),
            (matches("^origin"), "name", false),
            (length(6), "name", true),
            (length(2), "ports", true),
            (Expect::from(json!([80, 443])), "ports", true),
            (any_order([443, 80]), "ports", true),
            (any_order([443, 443]), "ports", false),
            (contains(443), "ports", true),
            (contains("dge"), "name", true),
            (includes(json!({"min": "1.3"})), "tls", true),
            (includes(json!({"min": "1.2"})), "tls", false),
            (not_null(), "tls.max", false),
        ];
        for (expect, path, ok) in cases {
            let actual = super::super::Path::parse(path).unwrap().get(&value).unwrap();
            assert_eq!(expect.check(actual).is_ok(), ok, "{expect:?} {path}");
        }
    }

    #[test]
    fn a_refusal_names_both_sides_and_stays_short() {
        let error = Expect::from(3).check(&json!("x".repeat(100_000))).unwrap_err();
        assert!(error.starts_with("expected 3, got \"xxx"), "{error}");
        assert!(error.len() < 1_000 && error.ends_with("(100002 bytes)"), "{}", error.len());
    }
}
