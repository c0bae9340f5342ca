//! A call, with what goes wrong around it.

use std::time::Duration;

use bytes::Bytes;
use http_body_util::Full;
use hyper::Response;
use serde_json::Value;

use crate::faults::What;
use crate::holds::Holds;
use crate::serve::{Broken, Reply};

/// What is said in place of a call's own answer.
#[derive(Clone, Debug)]
pub enum Said<R> {
    /// It is refused, and was not done.
    Refusal(R),
    /// A status with a text, which is empty where the test named none; it was not done.
    Status(u16, String),
    /// A server failed. It was done, and written down as what it was.
    Failure,
    /// What no cloud sends. It was done, and written down as what it was.
    Garbage(Value),
}

/// A call, as the cloud answers it. What is done, said before anything was done, or dropped, is written down among its calls.
pub trait Answers<R> {
    /// Does what the call asks for.
    fn done(&self) -> Response<Full<Bytes>>;
    /// Says something else.
    fn instead(&self, said: Said<R>, retry_after: Option<u64>) -> Response<Full<Bytes>>;
    /// The connection breaks, and nothing was done.
    fn dropped(&self);
}

/// Answers a call that meets a fault, or none.
///
/// # Errors
/// When its connection breaks.
pub async fn around<R>(fault: Option<What<R>>, holds: &Holds, call: &impl Answers<R>) -> Reply {
    match fault {
        Some(What::Refuse { why, retry_after }) => Ok(call.instead(Said::Refusal(why), retry_after)),
        Some(What::Answer { status, text, retry_after }) => {
            Ok(call.instead(Said::Status(status, text), retry_after))
        }
        Some(What::Drop) => {
            call.dropped();
            Err(Broken)
        }
        Some(What::HoldBefore) => {
            holds.hold().await;
            Ok(call.done())
        }
        Some(What::Lose) => {
            call.done();
            Err(Broken)
        }
        Some(What::DoneThen500) => {
            call.done();
            Ok(call.instead(Said::Failure, None))
        }
        Some(What::Late(ms)) => {
            let answer = call.done();
            tokio::time::sleep(Duration::from_millis(ms)).await;
            Ok(answer)
        }
        Some(What::Garbage(body)) => {
            call.done();
            Ok(call.instead(Said::Garbage(body), None))
        }
        Some(What::HoldAfter) => {
            let answer = call.done();
            holds.hold().await;
            Ok(answer)
        }
        None => Ok(call.done()),
    }
}
