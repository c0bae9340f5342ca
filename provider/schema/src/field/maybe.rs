//! A value of which it may not be known yet whether it is there.

/// A configured or planned value: null, unknown until apply, or known.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Maybe<T> {
    /// Absent.
    #[default]
    Null,
    /// Not known before apply.
    Unknown,
    /// Known.
    Known(T),
}

impl<T> Maybe<T> {
    /// The value, if it is known and not null.
    pub fn known(&self) -> Option<&T> {
        match self {
            Maybe::Known(value) => Some(value),
            Maybe::Null | Maybe::Unknown => None,
        }
    }

    /// The value, if it is known and not null.
    pub fn into_known(self) -> Option<T> {
        match self {
            Maybe::Known(value) => Some(value),
            Maybe::Null | Maybe::Unknown => None,
        }
    }

    /// Whether it is certainly absent.
    pub fn is_null(&self) -> bool {
        matches!(self, Maybe::Null)
    }

    /// Whether it is not known before apply.
    pub fn is_unknown(&self) -> bool {
        matches!(self, Maybe::Unknown)
    }

    /// Whether it is known and passes the test. False while unknown: judge only what is known.
    pub fn is_known_and(&self, test: impl FnOnce(&T) -> bool) -> bool {
        self.known().is_some_and(test)
    }

    /// The same with the known value changed.
    pub fn map<U>(self, f: impl FnOnce(T) -> U) -> Maybe<U> {
        match self {
            Maybe::Null => Maybe::Null,
            Maybe::Unknown => Maybe::Unknown,
            Maybe::Known(value) => Maybe::Known(f(value)),
        }
    }

    /// The same by reference.
    pub fn as_ref(&self) -> Maybe<&T> {
        match self {
            Maybe::Null => Maybe::Null,
            Maybe::Unknown => Maybe::Unknown,
            Maybe::Known(value) => Maybe::Known(value),
        }
    }
}

impl<T: PartialEq> PartialEq<T> for Maybe<T> {
    fn eq(&self, other: &T) -> bool {
        self.known() == Some(other)
    }
}
