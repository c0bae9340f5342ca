//! Values as Terraform sends them: known, null or unknown, at any depth.
//!
//! A [`Value`] does not carry its type; the schema does ([`Type`](crate::Type)). Only a value of dynamic
//! type brings its own ([`Value::Dynamic`]). Objects and maps share one shape, lists and tuples another.

use std::collections::BTreeMap;

use crate::{Number, Path, Refinement, Step, Type};

/// The attributes of an object, or the elements of a map.
pub type Members = BTreeMap<String, Value>;

/// A value, which may be null or unknown at any depth. Equality is that of Terraform: sets in any order,
/// numbers by value, unknowns by their refinements.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Value {
    /// Absent.
    Null,
    /// Not known before apply; perhaps something is known about it.
    Unknown(Option<Box<Refinement>>),
    /// True or false.
    Bool(bool),
    /// A number.
    Number(Number),
    /// A string.
    String(String),
    /// A list or tuple.
    List(Vec<Value>),
    /// A set.
    Set(SetValue),
    /// An object or map.
    Map(Members),
    /// A value that brings its type. An unknown or null of unknown type is just that, without this.
    Dynamic(Box<Dynamic>),
}

/// A value together with its type: what an attribute of dynamic type holds.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Dynamic {
    /// The type of the value; never [`Type::Dynamic`] itself.
    pub ty: Type,
    /// The value.
    pub value: Value,
}

/// The elements of a set, in a canonical order. A known element stands once; elements that are not wholly
/// known stay, however alike, because they may yet differ.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SetValue(Vec<Value>);

impl SetValue {
    /// The set of these elements: O(n log n).
    pub fn new(mut elements: Vec<Value>) -> SetValue {
        elements.sort_unstable();
        elements.dedup_by(|a, b| a == b && a.is_wholly_known());
        SetValue(elements)
    }

    /// The elements in canonical order.
    pub fn as_slice(&self) -> &[Value] {
        &self.0
    }

    /// The elements in canonical order.
    pub fn iter(&self) -> std::slice::Iter<'_, Value> {
        self.0.iter()
    }

    /// The elements in canonical order.
    pub fn into_vec(self) -> Vec<Value> {
        self.0
    }

    /// How many elements there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether the very same value is in it.
    pub fn contains(&self, element: &Value) -> bool {
        self.0.binary_search(element).is_ok()
    }
}

impl FromIterator<Value> for SetValue {
    fn from_iter<I: IntoIterator<Item = Value>>(iter: I) -> Self {
        SetValue::new(iter.into_iter().collect())
    }
}

impl Value {
    /// Unknown, with nothing known about it.
    pub const UNKNOWN: Value = Value::Unknown(None);

    /// Unknown, but this much is known.
    pub fn refined(refinement: Refinement) -> Value {
        if refinement.is_empty() { Value::UNKNOWN } else { Value::Unknown(Some(Box::new(refinement))) }
    }

    /// A set of these elements.
    pub fn set(elements: impl IntoIterator<Item = Value>) -> Value {
        Value::Set(elements.into_iter().collect())
    }

    /// A list of these elements.
    pub fn list(elements: impl IntoIterator<Item = Value>) -> Value {
        Value::List(elements.into_iter().collect())
    }

    /// An object or map of these members.
    pub fn map<N: Into<String>>(members: impl IntoIterator<Item = (N, Value)>) -> Value {
        Value::Map(members.into_iter().map(|(name, value)| (name.into(), value)).collect())
    }

    /// A value of dynamic type.
    pub fn dynamic(ty: Type, value: Value) -> Value {
        if ty == Type::Dynamic { value } else { Value::Dynamic(Box::new(Dynamic { ty, value })) }
    }

    /// Whether it is null (a typed null inside a dynamic counts).
    pub fn is_null(&self) -> bool {
        match self {
            Value::Null => true,
            Value::Dynamic(dynamic) => dynamic.value.is_null(),
            _ => false,
        }
    }

    /// Whether the value itself is unknown (what it contains is not asked).
    pub fn is_unknown(&self) -> bool {
        match self {
            Value::Unknown(_) => true,
            Value::Dynamic(dynamic) => dynamic.value.is_unknown(),
            _ => false,
        }
    }

    /// Whether nothing in it is unknown.
    pub fn is_wholly_known(&self) -> bool {
        match self {
            Value::Unknown(_) => false,
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => true,
            Value::List(elements) => elements.iter().all(Value::is_wholly_known),
            Value::Set(set) => set.iter().all(Value::is_wholly_known),
            Value::Map(members) => members.values().all(Value::is_wholly_known),
            Value::Dynamic(dynamic) => dynamic.value.is_wholly_known(),
        }
    }

    /// The paths of all unknown values, up to `limit` of them.
    pub fn unknown_paths(&self, limit: usize) -> Vec<Path> {
        let mut found = Vec::new();
        self.collect_unknown(&mut Path::root(), limit, &mut found);
        found
    }

    fn collect_unknown(&self, at: &mut Path, limit: usize, found: &mut Vec<Path>) {
        if found.len() >= limit {
            return;
        }
        match self {
            Value::Unknown(_) => found.push(at.clone()),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
            Value::List(elements) => {
                for (index, element) in elements.iter().enumerate() {
                    at.push(Step::Index(index));
                    element.collect_unknown(at, limit, found);
                    at.pop();
                }
            }
            Value::Set(set) => {
                for element in set.iter().filter(|e| !e.is_wholly_known()) {
                    at.push(Step::Element(Box::new(element.clone())));
                    element.collect_unknown(at, limit, found);
                    at.pop();
                }
            }
            // Whether it is an object or a map only the schema knows; an attribute step reads well for both.
            Value::Map(members) => {
                for (name, value) in members {
                    at.push(Step::Attribute(name.clone()));
                    value.collect_unknown(at, limit, found);
                    at.pop();
                }
            }
            Value::Dynamic(dynamic) => dynamic.value.collect_unknown(at, limit, found),
        }
    }

    /// The value at a path. None where the path leads nowhere, also through a null or unknown. Attribute and
    /// key steps are alike here.
    pub fn at(&self, path: &Path) -> Option<&Value> {
        let mut value = self;
        for step in path.steps() {
            while let Value::Dynamic(dynamic) = value {
                value = &dynamic.value;
            }
            value = match (step, value) {
                (Step::Attribute(name) | Step::Key(name), Value::Map(members)) => members.get(name)?,
                (Step::Index(index), Value::List(elements)) => elements.get(*index)?,
                (Step::Element(element), Value::Set(set)) => {
                    &set.as_slice()[set.as_slice().binary_search(element).ok()?]
                }
                _ => return None,
            };
        }
        Some(value)
    }

    /// The value at a path, to change. Elements of sets cannot be changed in place.
    pub fn at_mut(&mut self, path: &Path) -> Option<&mut Value> {
        let mut value = self;
        for step in path.steps() {
            while let Value::Dynamic(dynamic) = value {
                value = &mut dynamic.value;
            }
            value = match (step, value) {
                (Step::Attribute(name) | Step::Key(name), Value::Map(members)) => members.get_mut(name)?,
                (Step::Index(index), Value::List(elements)) => elements.get_mut(*index)?,
                _ => return None,
            };
        }
        Some(value)
    }

    /// The members, if this is a known object or map.
    pub fn as_map(&self) -> Option<&Members> {
        match self {
            Value::Map(members) => Some(members),
            Value::Dynamic(dynamic) => dynamic.value.as_map(),
            _ => None,
        }
    }

    /// The member of that name; null where it is absent or this is no object.
    pub fn get(&self, name: &str) -> &Value {
        self.as_map().and_then(|members| members.get(name)).unwrap_or(&Value::Null)
    }

    /// The string, if this is a known one.
    pub fn as_str(&self) -> Option<&str> {
        match self {
            Value::String(text) => Some(text),
            Value::Dynamic(dynamic) => dynamic.value.as_str(),
            _ => None,
        }
    }

    /// The bool, if this is a known one.
    pub fn as_bool(&self) -> Option<bool> {
        match self {
            Value::Bool(bool) => Some(*bool),
            Value::Dynamic(dynamic) => dynamic.value.as_bool(),
            _ => None,
        }
    }

    /// The number, if this is a known one.
    pub fn as_number(&self) -> Option<&Number> {
        match self {
            Value::Number(number) => Some(number),
            Value::Dynamic(dynamic) => dynamic.value.as_number(),
            _ => None,
        }
    }

    /// The elements, if this is a known list, tuple or set.
    pub fn as_elements(&self) -> Option<&[Value]> {
        match self {
            Value::List(elements) => Some(elements),
            Value::Set(set) => Some(set.as_slice()),
            Value::Dynamic(dynamic) => dynamic.value.as_elements(),
            _ => None,
        }
    }

    /// What it is, in a word, for messages: `a string`, `null`. Never the value itself.
    pub fn kind(&self) -> &'static str {
        match self {
            Value::Null => "null",
            Value::Unknown(_) => "unknown",
            Value::Bool(_) => "a bool",
            Value::Number(_) => "a number",
            Value::String(_) => "a string",
            Value::List(_) => "a list",
            Value::Set(_) => "a set",
            Value::Map(_) => "an object or map",
            Value::Dynamic(dynamic) => dynamic.value.kind(),
        }
    }
}

impl From<bool> for Value {
    fn from(bool: bool) -> Value {
        Value::Bool(bool)
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Value {
        Value::String(text.to_owned())
    }
}

impl From<String> for Value {
    fn from(text: String) -> Value {
        Value::String(text)
    }
}

impl<N: Into<Number>> From<N> for Value {
    fn from(number: N) -> Value {
        Value::Number(number.into())
    }
}
