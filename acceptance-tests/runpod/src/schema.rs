//! JSON Schema 2020-12 as far as RunPod's description uses it. A keyword that is not known here is a failure of its own, so that
//! a newer description is never checked by half.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Mutex;

use regex::Regex;
use serde_json::{Map, Value};

/// Keywords that say nothing about a value.
const SILENT: &[&str] = &[
    "title",
    "description",
    "example",
    "examples",
    "default",
    "deprecated",
    "discriminator",
    "readOnly",
    "writeOnly",
    "externalDocs",
    "$comment",
];

/// Checks values against the schemas of one document.
pub(crate) struct Checker {
    document: Value,
    patterns: Mutex<BTreeMap<String, Option<Regex>>>,
}

/// Names of members that a schema has looked at.
type Seen = BTreeSet<String>;

impl Checker {
    pub(crate) fn new(document: Value) -> Checker {
        Checker { document, patterns: Mutex::default() }
    }

    /// The place that a reference means, `#/components/…`.
    pub(crate) fn resolve<'a>(&'a self, schema: &'a Value) -> Option<&'a Value> {
        match schema.get("$ref").and_then(Value::as_str) {
            Some(reference) => self.document.pointer(reference.strip_prefix('#')?),
            None => Some(schema),
        }
    }

    pub(crate) fn document(&self) -> &Value {
        &self.document
    }

    /// Everything that is wrong with a value.
    pub(crate) fn check(&self, schema: &Value, value: &Value) -> Vec<String> {
        let mut wrong = Vec::new();
        self.look(schema, value, "", &mut wrong);
        wrong
    }

    fn passes(&self, schema: &Value, value: &Value) -> Option<Seen> {
        let mut wrong = Vec::new();
        let seen = self.look(schema, value, "", &mut wrong);
        wrong.is_empty().then_some(seen)
    }

    fn look(&self, schema: &Value, value: &Value, at: &str, wrong: &mut Vec<String>) -> Seen {
        let mut seen = Seen::new();
        let rules = match schema {
            Value::Bool(true) => return seen,
            Value::Object(rules) => rules,
            _ => {
                wrong.push(format!("{at}: is not allowed"));
                return seen;
            }
        };
        for (keyword, rule) in rules {
            self.rule(keyword, rule, rules, value, at, &mut seen, wrong);
        }
        // Last: it knows what all others have looked at.
        if rules.get("unevaluatedProperties") == Some(&Value::Bool(false))
            && let Value::Object(members) = value
        {
            for name in members.keys().filter(|name| !seen.contains(*name)) {
                wrong.push(format!("{at}/{name}: is not allowed"));
            }
        }
        seen
    }

    #[expect(clippy::too_many_arguments, reason = "one step of a walk")]
    fn rule(
        &self,
        keyword: &str,
        rule: &Value,
        rules: &Map<String, Value>,
        value: &Value,
        at: &str,
        seen: &mut Seen,
        wrong: &mut Vec<String>,
    ) {
        match keyword {
            "$ref" => {
                match self.document.pointer(rule.as_str().unwrap_or_default().trim_start_matches('#')) {
                    Some(target) => seen.extend(self.look(target, value, at, wrong)),
                    None => wrong.push(format!("{at}: the description refers to {rule}, which is not there")),
                }
            }
            "allOf" => {
                for one in items(rule) {
                    seen.extend(self.look(one, value, at, wrong));
                }
            }
            "anyOf" | "oneOf" => {
                let fit: Vec<Seen> = items(rule).iter().filter_map(|one| self.passes(one, value)).collect();
                if fit.is_empty() || (keyword == "oneOf" && fit.len() > 1) {
                    wrong.push(format!(
                        "{at}: fits {} of the {} shapes that it may have",
                        fit.len(),
                        items(rule).len()
                    ));
                }
                seen.extend(fit.into_iter().flatten());
            }
            "not" => {
                if self.passes(rule, value).is_some() {
                    wrong.push(format!("{at}: must not be so"));
                }
            }
            "if" => {
                let (branch, met) = match self.passes(rule, value) {
                    Some(met) => ("then", met),
                    None => ("else", Seen::new()),
                };
                seen.extend(met);
                if let Some(branch) = rules.get(branch) {
                    seen.extend(self.look(branch, value, at, wrong));
                }
            }
            "properties" | "additionalProperties" | "required" | "dependentRequired" | "minProperties" => {
                if let Value::Object(members) = value {
                    self.members(keyword, rule, rules, members, at, seen, wrong);
                }
            }
            "items" | "minItems" | "maxItems" | "uniqueItems" => {
                if let Value::Array(elements) = value {
                    self.elements(keyword, rule, elements, at, wrong);
                }
            }
            "then" | "else" | "unevaluatedProperties" => {}
            _ if keyword.starts_with("x-") || SILENT.contains(&keyword) => {}
            _ => self.scalar(keyword, rule, value, at, wrong),
        }
    }

    #[expect(clippy::too_many_arguments, reason = "one step of a walk")]
    fn members(
        &self,
        keyword: &str,
        rule: &Value,
        rules: &Map<String, Value>,
        members: &Map<String, Value>,
        at: &str,
        seen: &mut Seen,
        wrong: &mut Vec<String>,
    ) {
        let missing = |name: &Value| name.as_str().is_some_and(|name| !members.contains_key(name));
        match keyword {
            "properties" => {
                for (name, schema) in rule.as_object().into_iter().flatten() {
                    if let Some(value) = members.get(name) {
                        self.look(schema, value, &format!("{at}/{name}"), wrong);
                        seen.insert(name.clone());
                    }
                }
            }
            "additionalProperties" => {
                let declared = rules.get("properties").and_then(Value::as_object);
                for (name, value) in members {
                    if declared.is_none_or(|declared| !declared.contains_key(name)) {
                        self.look(rule, value, &format!("{at}/{name}"), wrong);
                        seen.insert(name.clone());
                    }
                }
            }
            "required" => {
                for name in items(rule).iter().filter(|name| missing(name)) {
                    wrong.push(format!("{at}/{}: is required", name.as_str().unwrap_or_default()));
                }
            }
            "dependentRequired" => {
                for (name, needs) in rule.as_object().into_iter().flatten() {
                    if members.contains_key(name) && items(needs).iter().any(missing) {
                        wrong.push(format!("{at}/{name}: needs {needs}"));
                    }
                }
            }
            _ => {
                if (members.len() as u64) < rule.as_u64().unwrap_or(0) {
                    wrong.push(format!("{at}: has fewer than {rule} members"));
                }
            }
        }
    }

    fn elements(&self, keyword: &str, rule: &Value, elements: &[Value], at: &str, wrong: &mut Vec<String>) {
        let count = elements.len() as u64;
        match keyword {
            "items" => {
                for (index, element) in elements.iter().enumerate() {
                    self.look(rule, element, &format!("{at}/{index}"), wrong);
                }
            }
            "minItems" if count < rule.as_u64().unwrap_or(0) => {
                wrong.push(format!("{at}: has fewer than {rule} elements"));
            }
            "maxItems" if count > rule.as_u64().unwrap_or(u64::MAX) => {
                wrong.push(format!("{at}: has more than {rule} elements"));
            }
            "uniqueItems" if rule == &Value::Bool(true) => {
                let twice = elements.iter().enumerate().any(|(index, one)| elements[..index].contains(one));
                if twice {
                    wrong.push(format!("{at}: has an element twice"));
                }
            }
            _ => {}
        }
    }

    fn scalar(&self, keyword: &str, rule: &Value, value: &Value, at: &str, wrong: &mut Vec<String>) {
        let number = || value.as_f64().zip(rule.as_f64());
        let length = || value.as_str().map(|text| text.chars().count() as u64).zip(rule.as_u64());
        let fault = match keyword {
            "type" => {
                let fits = match rule {
                    Value::Array(types) => types.iter().filter_map(Value::as_str).any(|ty| is_of(value, ty)),
                    ty => is_of(value, ty.as_str().unwrap_or_default()),
                };
                (!fits).then(|| format!("must be of type {rule}"))
            }
            "enum" => (!items(rule).contains(value)).then(|| format!("{value} is none of {rule}")),
            "const" => (rule != value).then(|| format!("must be {rule}")),
            "minimum" => {
                number().is_some_and(|(it, least)| it < least).then(|| format!("must be at least {rule}"))
            }
            "maximum" => {
                number().is_some_and(|(it, most)| it > most).then(|| format!("must be at most {rule}"))
            }
            "minLength" => {
                length().is_some_and(|(it, least)| it < least).then(|| format!("is shorter than {rule}"))
            }
            "maxLength" => {
                length().is_some_and(|(it, most)| it > most).then(|| format!("is longer than {rule}"))
            }
            "pattern" => self.pattern(rule, value),
            "format" => format(rule, value),
            _ => Some(format!("the stand-in does not know the keyword {keyword:?} of the description")),
        };
        if let Some(fault) = fault {
            wrong.push(format!("{at}: {fault}"));
        }
    }

    fn pattern(&self, rule: &Value, value: &Value) -> Option<String> {
        let (pattern, text) = rule.as_str().zip(value.as_str())?;
        let mut patterns = self.patterns.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let known = patterns.entry(pattern.to_owned()).or_insert_with(|| Regex::new(pattern).ok());
        match known {
            Some(regex) => (!regex.is_match(text)).then(|| format!("does not match {pattern}")),
            None => Some(format!("the pattern {pattern} of the description cannot be read")),
        }
    }
}

fn items(rule: &Value) -> &[Value] {
    rule.as_array().map_or(&[], Vec::as_slice)
}

fn is_of(value: &Value, ty: &str) -> bool {
    match ty {
        "null" => value.is_null(),
        "boolean" => value.is_boolean(),
        "string" => value.is_string(),
        "array" => value.is_array(),
        "object" => value.is_object(),
        "number" => value.is_number(),
        "integer" => value.as_f64().is_some_and(|it| it.fract() == 0.0),
        _ => false,
    }
}

fn format(rule: &Value, value: &Value) -> Option<String> {
    let text = value.as_str()?;
    match rule.as_str() {
        Some("date-time") => {
            let bytes = text.as_bytes();
            let shaped = bytes.len() >= 20 && bytes[4] == b'-' && bytes[10] == b'T' && bytes[13] == b':';
            (!shaped || !text.ends_with('Z')).then(|| format!("{text:?} is no date and time"))
        }
        Some("uri") => {
            url::Url::parse(&text.replace(['{', '}'], "")).err().map(|_| format!("{text:?} is no address"))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[allow(clippy::needless_pass_by_value, reason = "json! is written where it is used")]
    fn wrong(schema: Value, value: Value) -> Vec<String> {
        Checker::new(json!({})).check(&schema, &value)
    }

    #[test]
    fn what_no_part_of_a_schema_looked_at_is_refused() {
        let schema = || {
            json!({
                "allOf": [
                    { "type": "object", "properties": { "image": { "type": "string" } } },
                    { "type": "object", "required": ["name"], "properties": { "name": { "type": "string", "minLength": 1 } } },
                ],
                "if": { "required": ["kind"], "properties": { "kind": { "const": "A" } } },
                "then": { "properties": { "kind": {}, "a": { "type": "integer", "minimum": 2 } } },
                "unevaluatedProperties": false,
            })
        };
        assert_eq!(
            wrong(schema(), json!({ "name": "x", "image": "y", "kind": "A", "a": 2 })),
            Vec::<String>::new()
        );
        assert_eq!(wrong(schema(), json!({ "name": "x", "bid": 1 })), ["/bid: is not allowed"]);
        assert_eq!(wrong(schema(), json!({ "name": "x", "kind": "B", "a": 2 })).len(), 2);
        assert_eq!(wrong(schema(), json!({ "name": "x", "kind": "A", "a": 1.5 })).len(), 2);
        assert_eq!(
            wrong(schema(), json!({ "image": 7 })),
            ["/image: must be of type \"string\"", "/name: is required"]
        );
    }

    #[test]
    fn shapes_elements_and_patterns_are_checked() {
        let one = json!({ "oneOf": [{ "type": "string" }, { "enum": ["a", 1] }] });
        assert!(wrong(one.clone(), json!("b")).is_empty() && wrong(one.clone(), json!(1)).is_empty());
        assert!(!wrong(one.clone(), json!("a")).is_empty() && !wrong(one, json!(true)).is_empty());
        let list = json!({ "type": "array", "maxItems": 2, "uniqueItems": true, "items": { "pattern": "^\\d+\\.\\d+$" } });
        assert!(wrong(list.clone(), json!(["12.8", "12.6"])).is_empty());
        for bad in [json!(["12"]), json!(["1.1", "1.1"]), json!(["1.1", "1.2", "1.3"]), json!("1.1")] {
            assert!(!wrong(list.clone(), bad.clone()).is_empty(), "{bad}");
        }
        assert!(wrong(json!({ "spell": 1 }), json!({}))[0].contains("does not know the keyword"));
    }
}
