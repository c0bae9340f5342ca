//! Who does not hold the lease does not act.
