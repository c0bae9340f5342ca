//! Values as msgpack, driven by their type: what the plugin protocol carries. The reference is cty, which Terraform
//! itself uses; `oracle/` compares the two.
//!
//! null is nil. Unknown is any extension; number 12 says what is known about it. A number is an integer if it fits 64 bits,
//! else a double if that is exact and short, else a decimal string. A value of dynamic type is an array of its type (JSON, as binary)
//! and itself. Sets are arrays. Strings are kept as they are; cty brings them into Unicode's form NFC, so
//! whatever comes from Terraform has that form already.
//!
//! Reading takes one pass, builds no tree in between, allocates no more than the input justifies, and needs stack
//! for 200 levels at most.

mod decode;
mod encode;
mod reader;
mod refinement;
#[cfg(test)]
mod tests;
mod writer;

pub use decode::decode;
pub use encode::encode;

// The first bytes of the format's values (msgpack specification, "Formats").
mod marker {
    pub(super) const NIL: u8 = 0xc0;
    pub(super) const FALSE: u8 = 0xc2;
    pub(super) const TRUE: u8 = 0xc3;
    pub(super) const BIN_8: u8 = 0xc4;
    pub(super) const BIN_16: u8 = 0xc5;
    pub(super) const BIN_32: u8 = 0xc6;
    pub(super) const EXT_8: u8 = 0xc7;
    pub(super) const EXT_16: u8 = 0xc8;
    pub(super) const EXT_32: u8 = 0xc9;
    pub(super) const FLOAT_32: u8 = 0xca;
    pub(super) const FLOAT_64: u8 = 0xcb;
    pub(super) const UINT_8: u8 = 0xcc;
    pub(super) const UINT_16: u8 = 0xcd;
    pub(super) const UINT_32: u8 = 0xce;
    pub(super) const UINT_64: u8 = 0xcf;
    pub(super) const INT_8: u8 = 0xd0;
    pub(super) const INT_16: u8 = 0xd1;
    pub(super) const INT_32: u8 = 0xd2;
    pub(super) const INT_64: u8 = 0xd3;
    pub(super) const FIXEXT_1: u8 = 0xd4;
    pub(super) const FIXEXT_16: u8 = 0xd8;
    pub(super) const STR_8: u8 = 0xd9;
    pub(super) const STR_16: u8 = 0xda;
    pub(super) const STR_32: u8 = 0xdb;
    pub(super) const ARRAY_16: u8 = 0xdc;
    pub(super) const ARRAY_32: u8 = 0xdd;
    pub(super) const MAP_16: u8 = 0xde;
    pub(super) const MAP_32: u8 = 0xdf;
}
