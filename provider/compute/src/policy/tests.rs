//! What the policy does, situation by situation.
