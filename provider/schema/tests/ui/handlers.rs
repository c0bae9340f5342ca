//! Mistakes on implementations and functions.
extern crate self as tfplugin_framework;

use tfplugin_derive::{function, resource};

pub trait Resource {
    const NAME: &'static str;
    const HANDLES: &'static [&'static str];
    const TIMEOUTS: u8 = 0;
}

struct TokenCache;

#[resource]
impl Resource for TokenCache {}

struct Other;

#[resource(name = "Other", verison = 1, timeouts(create = "20 parsecs", destroy = "5m"))]
impl Resource for Other {}

struct Display;

#[resource(name = "display")]
impl std::fmt::Display for Display {}

/// Adds.
#[function(nmae = "sum")]
async fn add(self, a: i64, /** The rest. */ #[variadic] rest: i64) {}

#[function]
fn Undocumented<T>(/** A. */ #[variadic] a: Vec<T>, /** B. */ b: T) -> T {
    b
}

fn main() {}
