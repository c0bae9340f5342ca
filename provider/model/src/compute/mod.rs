//! Bought compute: what a worker on it does when it is told, or noticed, to leave.

mod drain;

pub use drain::{
    CONTROLLED, DrainSpec, DrainState, Identity, MARGIN, Notices, Order, Phase, Reason, Report, WholeNode,
};
