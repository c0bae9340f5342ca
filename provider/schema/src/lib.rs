//! Values, types, paths and schemas of the Terraform plugin protocol, and the derive that makes a Rust
//! struct all of them at once. Knows no gRPC and nothing asynchronous: a runtime may read the same structs.

mod diagnostic;
mod error;
mod number;
mod path;
mod refinement;
mod types;
mod value;

pub use diagnostic::{Diagnostic, Diagnostics, Severity};
pub use error::ValueError;
pub use number::{MAX_EXPONENT, Number, NumberError};
pub use path::{Path, Step};
pub use refinement::{Bound, Refinement};
pub use types::{ObjectType, Type};
pub use value::{Dynamic, Members, SetValue, Value};
