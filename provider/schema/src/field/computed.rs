//! Values that the provider fills in.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::Field;
use crate::{Presence, Shape, Value, ValueError};

/// A value that the provider computes. In an update it keeps its prior value unless the attribute says what
/// changes it. In a plan it may not be known yet; in a state it may be missing, if a create saved its progress
/// and did not finish. `Computed<Option<T>>` may also be null for good.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Computed<T>(Option<T>);

/// A computed value that is not there yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotKnown;

impl fmt::Display for NotKnown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(
            "a computed value is not there: in a plan it is not known yet, in a state the create that should \
             have stored it did not finish",
        )
    }
}

impl std::error::Error for NotKnown {}

impl<T> Computed<T> {
    /// The value, if it is there.
    pub fn known(&self) -> Option<&T> {
        self.0.as_ref()
    }

    /// The value, or the error that it is not there.
    pub fn get(&self) -> Result<&T, NotKnown> {
        self.0.as_ref().ok_or(NotKnown)
    }

    /// The value, or another.
    pub fn unwrap_or(self, other: T) -> T {
        self.0.unwrap_or(other)
    }

    /// The value, or the default of its type.
    pub fn unwrap_or_default(self) -> T
    where
        T: Default,
    {
        self.0.unwrap_or_default()
    }

    /// The value, or what the function makes.
    pub fn unwrap_or_else(self, make: impl FnOnce() -> T) -> T {
        self.0.unwrap_or_else(make)
    }
}

impl<T> From<T> for Computed<T> {
    fn from(value: T) -> Computed<T> {
        Computed(Some(value))
    }
}

impl<T: fmt::Debug> fmt::Debug for Computed<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Some(value) => value.fmt(f),
            None => f.write_str("(known after apply)"),
        }
    }
}

impl<T: Serialize> Serialize for Computed<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.serialize(serializer)
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Computed<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Option::<T>::deserialize(deserializer).map(Computed)
    }
}

impl<T: Field> Field for Computed<T> {
    type View = T::View;
    type State = T::State;
    type Path = T::Path;

    fn shape() -> Shape {
        Shape { presence: Presence::Computed, ..T::shape() }
    }

    fn view(value: &Value) -> Result<T::View, ValueError> {
        T::view(value)
    }

    fn read(value: &Value) -> Result<Self, ValueError> {
        if value.is_unknown() {
            return Ok(Computed(None));
        }
        match T::read(value) {
            // Null stands for "not stored yet" where the type has no null of its own.
            Err(_) if value.is_null() => Ok(Computed(None)),
            // Computed in parts: whatever is unknown inside makes the whole not known.
            Err(_) if !value.is_wholly_known() => Ok(Computed(None)),
            read => read.map(|value| Computed(Some(value))),
        }
    }

    fn write(state: &T::State) -> Value {
        T::write(state)
    }
}
