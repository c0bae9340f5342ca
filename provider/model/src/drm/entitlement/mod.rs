//! Who may watch what: the policy that is declared, the state of an account, and the decision as a pure function of both.

mod account;
mod check;
mod decide;
mod refusal;
mod spec;

pub use account::{Account, Grant, GrantKind, Limited, Stream};
pub use check::check;
pub use decide::{Allowed, Clock, Request, decide};
pub use refusal::Refusal;
pub use spec::{
    Blackout, BlackoutView, EntitlementPolicySpec, EntitlementPolicySpecView, Event, EventView, Package,
    PackageView, Rental, RentalView, instant,
};

#[cfg(test)]
mod tests;
