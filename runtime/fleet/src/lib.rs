//! The fleet controller: looks at clouds and queues, asks the policy, writes down what follows, and does it.
//!
//! | target | is |
//! |---|---|
//! | `fleet-controller` | the controller, and the API that its workers ask |
//! | `fleet` | the job that hands a fleet to its controller |
//! | `fleet-remove` | the job that fences a fleet and waits until nothing of it is left |

pub mod api;
pub mod authority;
pub mod registry;
pub mod token;
pub mod workers;
