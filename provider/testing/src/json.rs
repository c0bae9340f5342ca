//! JSON documents in tests: paths into them, and expectations about what is there.
//!
//! Numbers are compared as decimals of any precision: `3`, `3.0` and `3e0` are equal, and 2^80 is not rounded.

mod decimal;
mod expect;
mod path;

pub(crate) use expect::bounded;
pub use expect::{Expect, any_order, contains, includes, length, matches, not_null, same};
pub use path::Path;
