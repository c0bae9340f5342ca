//! Typed paths: how a path goes on is decided by the type it has reached.

use std::marker::PhantomData;

use super::Field;
use crate::{Path, Value};

/// A path that knows what stands at its end.
pub trait TypedPath: Into<Path> {
    /// What stands there.
    type Target: Field;
}

macro_rules! path_type {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        pub struct $name<T>(Path, PhantomData<fn() -> T>);

        impl<T> From<Path> for $name<T> {
            fn from(path: Path) -> Self {
                $name(path, PhantomData)
            }
        }

        impl<T> From<$name<T>> for Path {
            fn from(path: $name<T>) -> Path {
                path.0
            }
        }

        impl<T> Clone for $name<T> {
            fn clone(&self) -> Self {
                $name(self.0.clone(), PhantomData)
            }
        }

        impl<T> std::fmt::Debug for $name<T> {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                write!(f, "{}", self.0)
            }
        }
    };
}

path_type! {
    /// A path to a value that has no attributes inside.
    Leaf
}
path_type! {
    /// A path to a list.
    ListPath
}
path_type! {
    /// A path to a set.
    SetPath
}
path_type! {
    /// A path to a map.
    MapPath
}

impl<T: Field> TypedPath for Leaf<T> {
    type Target = T;
}

impl<T: Field> TypedPath for ListPath<T> {
    type Target = Vec<T>;
}

impl<T: Field> TypedPath for MapPath<T> {
    type Target = std::collections::BTreeMap<String, T>;
}

impl<T: Field> ListPath<T> {
    /// The element at a position, from 0.
    pub fn at(self, index: usize) -> T::Path {
        self.0.index(index).into()
    }
}

impl<T: Field> MapPath<T> {
    /// The element under a key.
    pub fn key(self, key: impl Into<String>) -> T::Path {
        self.0.key(key).into()
    }
}

impl<T: Field> SetPath<T> {
    /// An element, named by its value.
    pub fn element(self, element: Value) -> T::Path {
        self.0.element(element).into()
    }
}
