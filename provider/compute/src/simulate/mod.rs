//! The policy on markets that were recorded or made up, on a virtual clock, beside other policies and a bound.

mod bound;
mod forecast;
mod market;
mod ours;
mod rivals;
mod run;
mod svg;
mod synthetic;
#[cfg(test)]
mod tests;
mod world;

pub use bound::omniscient;
pub use forecast::{Bounds, Forecast, forecast};
pub use market::{Market, TraceError, Zone};
pub use ours::{Ours, policy_under, pool_of};
pub use rivals::{AllOnDemand, SpotHedge};
pub use run::{Moment, Player, Report, Setting, compare, play, table};
pub use svg::svg;
#[cfg(test)]
pub(crate) use synthetic::Dice;
pub use synthetic::Synthetic;
pub use world::{Instance, Ledger, World};
