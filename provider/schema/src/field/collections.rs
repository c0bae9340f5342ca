//! Options, lists, sets, maps and tuples of fields. Elements that are objects make nested attributes;
//! collections of collections of objects are plain types, because nested attributes nest one level at a time.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use super::{Field, Leaf, ListPath, MapPath, Maybe, Plain, SetPath, unexpected};
use crate::validate::each;
use crate::{AttributeKind, Nesting, Presence, SetValue, Shape, Step, Type, Value, ValueError};

impl<T: Field> Field for Option<T> {
    type View = T::View;
    type State = Option<T::State>;
    type Path = T::Path;

    fn shape() -> Shape {
        let shape = T::shape();
        let presence =
            if shape.presence.is_computed() { Presence::OptionalComputed } else { Presence::Optional };
        Shape { presence, ..shape }
    }

    fn view(value: &Value) -> Result<T::View, ValueError> {
        T::view(value)
    }

    fn read(value: &Value) -> Result<Self, ValueError> {
        if value.is_null() { Ok(None) } else { T::read(value).map(Some) }
    }

    fn write(state: &Self::State) -> Value {
        state.as_ref().map_or(Value::Null, T::write)
    }
}

impl<T: Plain> Plain for Option<T> {}

fn collection<T: Field>(nesting: Nesting, wrap: fn(Type) -> Type) -> Shape {
    let element = T::shape();
    match element.kind {
        AttributeKind::Nested(Nesting::Single, object) => {
            let mut shape = Shape::plain(Type::Dynamic);
            shape.kind = AttributeKind::Nested(nesting, Arc::clone(&object));
            shape
        }
        kind => Shape {
            same: same_elements::<T>(nesting),
            // What an element must satisfy (the names of an enum) every element must.
            validators: element.validators.into_iter().map(|v| Arc::new(each(v)) as _).collect(),
            ..Shape::plain(wrap(kind.ty()))
        },
    }
}

// Function pointers cannot capture the element's own, so it is asked again: shapes are made once, at start.
fn same_elements<T: Field>(nesting: Nesting) -> Option<fn(&Value, &Value) -> bool> {
    T::shape().same?;
    match nesting {
        Nesting::List => Some(same_list::<T>),
        Nesting::Map => Some(same_map::<T>),
        Nesting::Set | Nesting::Single => None,
    }
}

fn same_list<T: Field>(a: &Value, b: &Value) -> bool {
    let (Some(a), Some(b), Some(same)) = (a.as_elements(), b.as_elements(), T::shape().same) else {
        return a == b;
    };
    a.len() == b.len() && a.iter().zip(b).all(|(a, b)| a == b || same(a, b))
}

fn same_map<T: Field>(a: &Value, b: &Value) -> bool {
    let (Some(a), Some(b), Some(same)) = (a.as_map(), b.as_map(), T::shape().same) else {
        return a == b;
    };
    a.len() == b.len() && a.iter().zip(b).all(|((ka, a), (kb, b))| ka == kb && (a == b || same(a, b)))
}

// Elements of sets have no place by which to compare them, but Rust values to compare.
fn same_set<T: Plain + Ord>(a: &Value, b: &Value) -> bool {
    a == b || matches!((BTreeSet::<T>::read(a), BTreeSet::<T>::read(b)), (Ok(a), Ok(b)) if a == b)
}

fn read_each<T>(
    elements: &[Value],
    read: impl Fn(&Value) -> Result<T, ValueError>,
) -> Result<Vec<T>, ValueError> {
    let read = |(index, element)| read(element).map_err(|e| e.inside(Step::Index(index)));
    elements.iter().enumerate().map(read).collect()
}

fn elements<'a>(expected: &str, value: &'a Value) -> Result<&'a [Value], ValueError> {
    value.as_elements().ok_or_else(|| unexpected(expected, value))
}

// Null and unknown are the same for every collection.
fn view<T>(value: &Value, known: impl FnOnce() -> Result<T, ValueError>) -> Result<Maybe<T>, ValueError> {
    match value {
        _ if value.is_null() => Ok(Maybe::Null),
        _ if value.is_unknown() => Ok(Maybe::Unknown),
        _ => known().map(Maybe::Known),
    }
}

impl<T: Field> Field for Vec<T> {
    type View = Maybe<Vec<T::View>>;
    type State = Vec<T::State>;
    type Path = ListPath<T>;

    fn shape() -> Shape {
        collection::<T>(Nesting::List, Type::list)
    }

    fn view(value: &Value) -> Result<Self::View, ValueError> {
        view(value, || read_each(elements("a list", value)?, T::view))
    }

    fn read(value: &Value) -> Result<Self, ValueError> {
        read_each(elements("a list", value)?, T::read)
    }

    fn write(state: &Self::State) -> Value {
        Value::List(state.iter().map(T::write).collect())
    }
}

impl<T: Plain> Plain for Vec<T> {}

impl<T: Plain + Ord> Field for BTreeSet<T> {
    type View = Maybe<Vec<T::View>>;
    type State = BTreeSet<T>;
    type Path = SetPath<T>;

    fn shape() -> Shape {
        let shape = collection::<T>(Nesting::Set, Type::set);
        let spelled = matches!(shape.kind, AttributeKind::Plain(_)) && T::shape().same.is_some();
        Shape { same: if spelled { Some(same_set::<T>) } else { shape.same }, ..shape }
    }

    fn view(value: &Value) -> Result<Self::View, ValueError> {
        view(value, || read_each(elements("a set", value)?, T::view))
    }

    fn read(value: &Value) -> Result<Self, ValueError> {
        Ok(read_each(elements("a set", value)?, T::read)?.into_iter().collect())
    }

    fn write(state: &Self::State) -> Value {
        Value::Set(SetValue::new(state.iter().map(T::write).collect()))
    }
}

impl<T: Plain + Ord> Plain for BTreeSet<T> {}

macro_rules! map_field {
    ($map:ident) => {
        impl<T: Field> Field for $map<String, T> {
            type View = Maybe<$map<String, T::View>>;
            type State = $map<String, T::State>;
            type Path = MapPath<T>;

            fn shape() -> Shape {
                collection::<T>(Nesting::Map, Type::map)
            }

            fn view(value: &Value) -> Result<Self::View, ValueError> {
                view(value, || entries(value, T::view))
            }

            fn read(value: &Value) -> Result<Self, ValueError> {
                entries(value, T::read)
            }

            fn write(state: &Self::State) -> Value {
                Value::Map(state.iter().map(|(key, value)| (key.clone(), T::write(value))).collect())
            }
        }

        impl<T: Plain> Plain for $map<String, T> {}
    };
}
map_field!(BTreeMap);
map_field!(HashMap);

fn entries<T, C: FromIterator<(String, T)>>(
    value: &Value,
    read: impl Fn(&Value) -> Result<T, ValueError>,
) -> Result<C, ValueError> {
    let members = value.as_map().ok_or_else(|| unexpected("a map", value))?;
    let read = |(key, element): (&String, &Value)| match read(element) {
        Ok(element) => Ok((key.clone(), element)),
        Err(error) => Err(error.inside(Step::Key(key.clone()))),
    };
    members.iter().map(read).collect()
}

macro_rules! tuple_field {
    ($count:literal, $($name:ident $index:tt),+) => {
        impl<$($name: Plain),+> Field for ($($name,)+) {
            type View = Maybe<($($name::View,)+)>;
            type State = ($($name,)+);
            type Path = Leaf<Self>;

            fn shape() -> Shape {
                Shape::plain(Type::tuple([$($name::shape().ty()),+]))
            }

            fn view(value: &Value) -> Result<Self::View, ValueError> {
                view(value, || {
                    let parts = parts($count, value)?;
                    Ok(($($name::view(&parts[$index]).map_err(|e| e.inside(Step::Index($index)))?,)+))
                })
            }

            fn read(value: &Value) -> Result<Self, ValueError> {
                let parts = parts($count, value)?;
                Ok(($($name::read(&parts[$index]).map_err(|e| e.inside(Step::Index($index)))?,)+))
            }

            fn write(state: &Self) -> Value {
                Value::List(vec![$($name::write(&state.$index)),+])
            }
        }

        impl<$($name: Plain),+> Plain for ($($name,)+) {}
    };
}
tuple_field!(1, A 0);
tuple_field!(2, A 0, B 1);
tuple_field!(3, A 0, B 1, C 2);
tuple_field!(4, A 0, B 1, C 2, D 3);

fn parts(count: usize, value: &Value) -> Result<&[Value], ValueError> {
    let parts = elements("a tuple", value)?;
    if parts.len() == count {
        Ok(parts)
    } else {
        Err(ValueError::new(format!("expected {count} elements, found {}", parts.len())))
    }
}
