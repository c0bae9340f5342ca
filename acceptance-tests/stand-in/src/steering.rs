//! What tests steer every stand-in with.

use std::sync::Arc;

use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use crate::faults::Faults;
use crate::holds::Holds;

/// Faults, held calls, and the calls so far.
#[derive(Debug)]
pub struct Steering<R> {
    /// What goes wrong.
    pub faults: Faults<R>,
    /// What waits.
    pub holds: Arc<Holds>,
    /// `POST /v2/pods 201`, in order.
    pub calls: Vec<String>,
}

impl<R> Default for Steering<R> {
    fn default() -> Steering<R> {
        Steering { faults: Faults::default(), holds: Arc::default(), calls: Vec::new() }
    }
}

impl<R: Clone + DeserializeOwned> Steering<R> {
    /// Does what a test asks for: a status and a body; nothing where that is the stand-in's own.
    pub fn control(&mut self, method: &str, parts: &[&str], body: &Value) -> Option<(u16, Value)> {
        let told = match (method, parts) {
            ("POST", ["faults"]) => match serde_json::from_value(body.clone()) {
                Ok(faults) => {
                    self.faults.add(faults);
                    Value::Null
                }
                Err(error) => return Some((422, json!(error.to_string()))),
            },
            ("DELETE", ["faults"]) => json!(self.faults.clear()),
            ("GET", ["held"]) => json!(self.holds.count()),
            ("DELETE", ["held"]) => {
                self.holds.release();
                Value::Null
            }
            ("GET", ["calls"]) => json!(self.calls),
            _ => return None,
        };
        Some((200, told))
    }
}
