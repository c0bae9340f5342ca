//! Values as JSON, driven by their type: state files, and what older clients send. As cty's own JSON: a value
//! of dynamic type is `{"value":…,"type":…}`, numbers keep every digit, sets are arrays. Unknown values have no JSON.
//!
//! Like cty, decoding turns `"true"` into a bool and `"12"` into a number where the type wants that, and a bool
//! or number into a string. Strings are kept as they are; cty brings them into Unicode's form NFC.

mod decode;
mod encode;
mod infer;
pub(crate) mod reader;
#[cfg(test)]
mod tests;

pub use decode::{decode, decode_state, decode_value};
pub use encode::encode;
pub(crate) use encode::write_string;
pub use infer::infer;
