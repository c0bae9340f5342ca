//! A path into a JSON document: `listener[0].port`, `labels["a.b"]`.

use std::fmt;

use serde_json::Value;

/// A step of a path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    Key(String),
    Index(usize),
}

/// A path: names separated by dots; `[0]` for an element, `["k"]` for a key with unusual characters.
/// The empty path is the whole document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Path(pub(crate) Vec<Step>);

impl Path {
    /// Reads a path; the error says what is wrong and where.
    pub fn parse(text: &str) -> Result<Self, String> {
        let mut steps = Vec::new();
        let mut rest = text;
        while !rest.is_empty() {
            let wrong = |what: &str| format!("path `{text}`: {what} at `{rest}`");
            if let Some(inner) = rest.strip_prefix("[\"") {
                let (key, after) = inner.split_once("\"]").ok_or_else(|| wrong("no closing `\"]`"))?;
                steps.push(Step::Key(key.to_owned()));
                rest = after;
            } else if let Some(inner) = rest.strip_prefix('[') {
                let (index, after) = inner.split_once(']').ok_or_else(|| wrong("no closing `]`"))?;
                steps.push(Step::Index(index.parse().map_err(|_| wrong("no element number"))?));
                rest = after;
            } else {
                let name = if steps.is_empty() {
                    rest
                } else {
                    rest.strip_prefix('.').ok_or_else(|| wrong("no `.`"))?
                };
                let end = name.find(['.', '[']).unwrap_or(name.len());
                let (name, after) = name.split_at(end);
                if name.is_empty() {
                    return Err(wrong("an empty name"));
                }
                steps.push(Step::Key(name.to_owned()));
                rest = after;
            }
        }
        Ok(Self(steps))
    }

    /// What is there, if anything.
    pub fn get<'v>(&self, document: &'v Value) -> Option<&'v Value> {
        self.0.iter().try_fold(document, |value, step| step.of(value))
    }

    /// Takes what is there out of the document; an element of a list becomes null.
    pub fn remove(&self, document: &mut Value) {
        let Some((last, before)) = self.0.split_last() else {
            *document = Value::Null;
            return;
        };
        let parent = before.iter().try_fold(document, |value, step| match step {
            Step::Key(key) => value.get_mut(key),
            Step::Index(index) => value.get_mut(index),
        });
        match (parent, last) {
            (Some(Value::Object(fields)), Step::Key(key)) => {
                fields.remove(key);
            }
            (Some(Value::Array(elements)), Step::Index(index)) => {
                if let Some(element) = elements.get_mut(*index) {
                    *element = Value::Null;
                }
            }
            _ => {}
        }
    }

    /// As plans write it: `["listener", 0, "port"]`.
    pub fn to_json(&self) -> Value {
        let step = |step: &Step| match step {
            Step::Key(key) => Value::from(key.as_str()),
            Step::Index(index) => Value::from(*index),
        };
        self.0.iter().map(step).collect()
    }

    /// Whether a tree of marks, as plans have them (`after_unknown`, `after_sensitive`), marks this place or
    /// one that contains it.
    pub fn marked(&self, marks: &Value) -> bool {
        let mut at = Some(marks);
        for step in &self.0 {
            match at {
                Some(Value::Bool(true)) => return true,
                Some(value) => at = step.of(value),
                None => return false,
            }
        }
        at == Some(&Value::Bool(true))
    }

    /// Whether a tree of marks marks this place, one that contains it, or one within it.
    pub fn marked_anywhere(&self, marks: &Value) -> bool {
        self.marked(marks) || self.get(marks).is_some_and(any_true)
    }
}

fn any_true(marks: &Value) -> bool {
    match marks {
        Value::Bool(marked) => *marked,
        Value::Array(elements) => elements.iter().any(any_true),
        Value::Object(fields) => fields.values().any(any_true),
        _ => false,
    }
}

impl Step {
    fn of<'v>(&self, value: &'v Value) -> Option<&'v Value> {
        match self {
            Self::Key(key) => value.get(key),
            Self::Index(index) => value.get(index),
        }
    }
}

impl fmt::Display for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, step) in self.0.iter().enumerate() {
            match step {
                Step::Index(index) => write!(f, "[{index}]")?,
                Step::Key(key) if key.is_empty() || key.contains(['.', '[']) => write!(f, "[\"{key}\"]")?,
                Step::Key(key) if at == 0 => write!(f, "{key}")?,
                Step::Key(key) => write!(f, ".{key}")?,
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::Path;

    #[test]
    fn a_path_finds_fields_elements_and_odd_keys() {
        let document = json!({"a": [{"b.c": 1}, {"d": {"e": 2}}]});
        let get = |path: &str| Path::parse(path).unwrap().get(&document).cloned();
        assert_eq!(get("a[0][\"b.c\"]"), Some(json!(1)));
        assert_eq!(get("a[1].d.e"), Some(json!(2)));
        assert_eq!(get("a[2]"), None);
        assert_eq!(get(""), Some(document.clone()));
        for text in ["a[1].d.e", "a[0][\"b.c\"]", ""] {
            assert_eq!(Path::parse(text).unwrap().to_string(), text);
        }
    }

    #[test]
    fn a_malformed_path_is_refused_with_its_place() {
        for (text, what) in [
            ("a[", "closing"),
            ("a[x]", "number"),
            ("a..b", "empty"),
            ("a[0]b", "no `.`"),
            ("[\"k", "closing"),
        ] {
            let error = Path::parse(text).unwrap_err();
            assert!(error.contains(what) && error.contains(text), "{error}");
        }
    }

    #[test]
    fn a_mark_covers_what_it_contains() {
        let marks = json!({"whole": true, "part": {"x": true, "y": false}});
        let path = |text| Path::parse(text).unwrap();
        assert!(path("whole.deep[0]").marked(&marks));
        assert!(path("part.x").marked(&marks));
        assert!(!path("part.y").marked(&marks));
        assert!(!path("part").marked(&marks));
        assert!(path("part").marked_anywhere(&marks));
        assert!(!path("absent").marked_anywhere(&marks));
    }
}
