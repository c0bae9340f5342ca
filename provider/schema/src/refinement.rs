//! What is known about an unknown value (cty refinements; msgpack extension 12 on the wire).

use crate::Number;

/// What is known about an unknown value. A refinement put into a plan must hold in the final value.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Refinement {
    /// Whether it will be null: `Some(false)` says that it will not.
    pub null: Option<bool>,
    /// What a string begins with.
    pub prefix: Option<String>,
    /// The smallest a number can be.
    pub lower: Option<Bound>,
    /// The largest a number can be.
    pub upper: Option<Bound>,
    /// The fewest elements that a collection can have.
    pub min_length: Option<u64>,
    /// The most elements that a collection can have.
    pub max_length: Option<u64>,
}

/// One end of a range of numbers.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Bound {
    /// The number.
    pub number: Number,
    /// Whether the number itself is within the range.
    pub inclusive: bool,
}

impl Refinement {
    /// It will not be null; nothing more is known.
    pub fn not_null() -> Refinement {
        Refinement { null: Some(false), ..Refinement::default() }
    }

    /// It will not be null, and begins with this.
    pub fn prefix(prefix: impl Into<String>) -> Refinement {
        Refinement { prefix: Some(prefix.into()), ..Refinement::not_null() }
    }

    /// Whether nothing is known.
    pub fn is_empty(&self) -> bool {
        *self == Refinement::default()
    }

    /// Whether a known value is possible under this refinement.
    pub fn admits(&self, value: &crate::Value) -> bool {
        use crate::Value;
        if value.is_null() {
            return self.null != Some(false);
        }
        if self.null == Some(true) {
            return false;
        }
        match value {
            Value::String(text) => {
                self.prefix.as_ref().is_none_or(|prefix| text.starts_with(prefix.as_str()))
            }
            Value::Number(number) => {
                let above = self.lower.as_ref().is_none_or(|bound| {
                    *number > bound.number || (bound.inclusive && *number == bound.number)
                });
                let below = self.upper.as_ref().is_none_or(|bound| {
                    *number < bound.number || (bound.inclusive && *number == bound.number)
                });
                above && below
            }
            Value::List(elements) => self.admits_length(elements.len()),
            Value::Set(set) => self.admits_length(set.len()),
            Value::Map(members) => self.admits_length(members.len()),
            Value::Dynamic(dynamic) => self.admits(&dynamic.value),
            Value::Null | Value::Unknown(_) | Value::Bool(_) => true,
        }
    }

    fn admits_length(&self, length: usize) -> bool {
        let length = length as u64;
        self.min_length.is_none_or(|min| length >= min) && self.max_length.is_none_or(|max| length <= max)
    }
}
