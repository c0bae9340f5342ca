//! `corner_number`: 3.1 is no binary float, and 2^80 no 64-bit integer; both must survive every round trip.

use tfplugin_framework::Schema;
use tfplugin_framework::schema::{Computed, Number};

use crate::kept::kept;

/// Numbers of every kind.
#[derive(Clone, Schema)]
pub(crate) struct Numbers {
    /// Assigned by the provider.
    id: Computed<String>,
    /// Any float.
    float: Option<f64>,
    /// A float of single precision.
    single: Option<f32>,
    /// A signed integer.
    #[attribute(validate(range = -1_000_000_000_000..=1_000_000_000_000))]
    signed: Option<i64>,
    /// An unsigned integer of 64 bits.
    unsigned: Option<u64>,
    /// A number of any size and precision.
    exact: Option<Number>,
    /// Ratios, as they come.
    ratios: Option<Vec<f64>>,
    /// With a default that is no binary float.
    #[attribute(default = 0.1)]
    share: f64,
}

kept!("number", Numbers, NumbersComputed);
