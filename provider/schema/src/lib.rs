//! Values, types, paths and schemas of the Terraform plugin protocol, and the derive that makes a Rust
//! struct all of them at once. Knows no gRPC and nothing asynchronous: a runtime may read the same structs.

mod attribute;
mod check;
mod codec;
#[doc(hidden)]
pub mod derived;
mod diagnostic;
mod error;
pub mod field;
pub mod json;
pub mod msgpack;
mod number;
mod object;
mod path;
mod refinement;
#[cfg(any(test, feature = "testing"))]
pub mod testing;
mod type_json;
mod types;
pub mod validate;
mod value;

pub use attribute::{
    Attribute, AttributeChange, AttributeKind, ChangesWith, Nesting, PlanModifier, Presence, Replace, Role,
    Shape,
};
pub use check::{CheckKind, SchemaFinding, check_schema};
pub use diagnostic::{Diagnostic, Diagnostics, Severity};
pub use error::ValueError;
pub use field::{
    Cidr, Computed, Duration, Field, Json, Maybe, Member, NotKnown, Operation, Plain, PlainMember,
    PlainSchema, Scalar, Schema, Secret, SecretRef, Size, Timeouts, Timestamp, TypedPath,
};
pub use number::{MAX_DIGITS, MAX_EXPONENT, Number, NumberError};
pub use object::{BlockNesting, NestedBlock, ObjectSchema};
pub use path::{Path, Step};
pub use refinement::{Bound, Refinement};
pub use types::{ObjectType, Type};
pub use value::{Dynamic, Members, SetValue, Value};

#[cfg(feature = "derive")]
pub use tfplugin_derive::Schema;

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
