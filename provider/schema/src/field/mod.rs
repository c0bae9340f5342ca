//! Rust types that stand for attributes. A struct that derives [`Schema`] is an object; what its fields may
//! be is said by [`Field`].
//!
//! Three views of one declaration keep apart what is known when:
//!
//! | view | where | what may be unknown |
//! |---|---|---|
//! | `T::View` | validation, planning | anything may be null or unknown: [`Maybe`] |
//! | `T` itself | a plan given to create and update; a stored state | only [`Computed`] values |
//! | `T::State` | what create, update and read return | nothing: leaving a value unknown does not compile |

mod collections;
mod computed;
mod formats;
mod maybe;
mod paths;
mod scalars;
mod secret;
mod timeouts;

pub use computed::{Computed, NotKnown};
pub use formats::{Cidr, Duration, Json, Size, Timestamp};
pub use maybe::Maybe;
pub use paths::{Leaf, ListPath, MapPath, SetPath, TypedPath};
pub use scalars::Scalar;
pub use secret::{Secret, SecretPath, SecretRef, SecretView};
pub use timeouts::{Operation, Timeouts};

use crate::{Attribute, Members, ObjectSchema, Shape, Value, ValueError};

/// A Rust type that stands for the value of one attribute.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be an attribute",
    note = "derive `Schema` for structs and enums; implement `tfplugin_schema::Scalar` for types that are spelled as a string, number or bool",
    note = "attributes can be: bool, integers, f32/f64, Number, String, Vec, BTreeMap<String, _>, BTreeSet, Option, Computed, Secret, Duration, Size, Json, Cidr, Timestamp, Dynamic"
)]
pub trait Field: Sized + Clone + Send + Sync + 'static {
    /// The value while anything may be null or unknown.
    type View: Clone + Send + Sync + 'static;
    /// The value when all is known.
    type State: Clone + Send + Sync + 'static;
    /// How a path goes on into this value.
    type Path: From<crate::Path> + Into<crate::Path>;

    /// What the attribute looks like.
    fn shape() -> Shape;
    /// Reads a value of which anything may be null or unknown.
    fn view(value: &Value) -> Result<Self::View, ValueError>;
    /// Reads a planned or stored value: only computed parts may be unknown.
    fn read(value: &Value) -> Result<Self, ValueError>;
    /// Writes a value that is wholly known.
    fn write(state: &Self::State) -> Value;
}

/// A field whose plan and state are the same type: nothing in it is computed.
#[diagnostic::on_unimplemented(
    message = "`{Self}` has computed attributes inside, so a plan does not say all of its state",
    note = "mark the field `#[attribute(computed_inside)]`: its state is then given when the plan is completed"
)]
pub trait Plain: Field<State = Self> {}

/// What a field of a struct adds to the object: one attribute, or more ([`Secret`]: three).
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be an attribute",
    note = "derive `Schema` for structs and enums; implement `tfplugin_schema::Scalar` for types that are spelled as a string, number or bool",
    note = "attributes can be: bool, integers, f32/f64, Number, String, Vec, BTreeMap<String, _>, BTreeSet, Option, Computed, Secret, Duration, Size, Json, Cidr, Timestamp, Dynamic"
)]
pub trait Member: Sized + Clone + Send + Sync + 'static {
    /// The value while anything may be null or unknown.
    type View: Clone + Send + Sync + 'static;
    /// The value when all is known.
    type State: Clone + Send + Sync + 'static;
    /// How a path goes on into this value.
    type Path: From<crate::Path> + Into<crate::Path>;

    /// The attributes that it adds, given what was said about the first.
    fn declare(attribute: Attribute) -> Vec<Attribute>;
    /// Reads from an object of which anything may be null or unknown.
    fn view_member(members: &Members, name: &str) -> Result<Self::View, ValueError>;
    /// Reads from a planned or stored object.
    fn read_member(members: &Members, name: &str) -> Result<Self, ValueError>;
    /// Writes what is wholly known into an object.
    fn write_member(state: &Self::State, name: &str, members: &mut Members);
}

/// A member whose plan and state are the same type.
#[diagnostic::on_unimplemented(
    message = "`{Self}` has computed attributes inside, so a plan does not say all of its state",
    note = "mark the field `#[attribute(computed_inside)]`: its state is then given when the plan is completed"
)]
pub trait PlainMember: Member<State = Self> {}

#[diagnostic::do_not_recommend]
impl<T: Plain> PlainMember for T {}

#[diagnostic::do_not_recommend]
impl<T: Field> Member for T {
    type View = T::View;
    type State = T::State;
    type Path = T::Path;

    fn declare(attribute: Attribute) -> Vec<Attribute> {
        vec![attribute.shaped(T::shape())]
    }

    fn view_member(members: &Members, name: &str) -> Result<T::View, ValueError> {
        T::view(members.get(name).unwrap_or(&Value::Null)).map_err(|e| e.in_attribute(name))
    }

    fn read_member(members: &Members, name: &str) -> Result<T, ValueError> {
        T::read(members.get(name).unwrap_or(&Value::Null)).map_err(|e| e.in_attribute(name))
    }

    fn write_member(state: &T::State, name: &str, members: &mut Members) {
        members.insert(name.to_owned(), T::write(state));
    }
}

/// A struct that is a schema. Derived; written by hand where a derive does not reach.
pub trait Schema: Sized + Clone + Send + Sync + 'static {
    /// The struct with every value perhaps null or unknown.
    type View: Clone + Send + Sync + 'static;
    /// The struct with every value known. The struct itself, where nothing is computed.
    type State: Clone + Send + Sync + 'static;
    /// Paths to its attributes.
    type Path: From<crate::Path> + Into<crate::Path>;

    /// The attributes, blocks and rules.
    fn object() -> ObjectSchema;
    /// Reads an object of which anything may be null or unknown.
    fn view_members(members: &Members) -> Result<Self::View, ValueError>;
    /// Reads a planned or stored object: only computed parts may be unknown.
    fn read_members(members: &Members) -> Result<Self, ValueError>;
    /// Writes an object that is wholly known.
    fn write_members(state: &Self::State, members: &mut Members);
}

/// A schema whose plan and state are the same struct. Derived; needed where it is flattened into another.
#[diagnostic::on_unimplemented(
    message = "`{Self}` has computed attributes inside, so a plan does not say all of its state",
    note = "mark the field `#[attribute(computed_inside)]`: its state is then given when the plan is completed"
)]
pub trait PlainSchema: Schema<State = Self> {}

/// Reads an object that must be there.
pub fn members_of(value: &Value) -> Result<&Members, ValueError> {
    match value {
        Value::Map(members) => Ok(members),
        Value::Dynamic(dynamic) => members_of(&dynamic.value),
        other => Err(unexpected("an object", other)),
    }
}

/// The error for a value of the wrong kind, null or unknown where that is impossible.
pub fn unexpected(expected: &str, found: &Value) -> ValueError {
    ValueError::new(format!("expected {expected}, found {}", found.kind()))
}
