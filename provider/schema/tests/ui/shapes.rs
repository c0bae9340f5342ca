//! Types that have no attributes.
use tfplugin_schema::Schema;

/// A pair.
#[derive(Clone, Schema)]
pub struct Pair(String, u64);

/// Anything.
#[derive(Clone, Schema)]
pub struct Any<T> {
    /// A value.
    pub value: T,
}

/// Nothing.
#[derive(Clone, Schema)]
pub enum Nothing {}

/// Two in one.
#[derive(Clone, Schema)]
pub enum Two {
    /// Both.
    Both(String, u64),
    /// One.
    One(String),
}

fn main() {}
