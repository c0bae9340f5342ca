//! What the policy does, situation by situation, and what it never does, under markets and faults at random.

mod changes;
mod failing;
mod hostile;
mod limits;
mod properties;
mod situations;
mod waiting;
