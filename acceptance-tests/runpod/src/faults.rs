//! What goes wrong on purpose.

use std::sync::atomic::{AtomicUsize, Ordering};

use serde::Deserialize;
use serde_json::Value;
use tokio::sync::Notify;

/// A fault that waits for its call.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Fault {
    /// `POST`; any where none is given.
    pub(crate) method: Option<String>,
    /// Only calls that change something: not `GET`.
    #[serde(default)]
    pub(crate) mutating: bool,
    /// What the path begins with.
    #[serde(default)]
    pub(crate) path: String,
    /// What happens.
    pub(crate) what: What,
    /// To so many calls.
    #[serde(default = "once")]
    pub(crate) times: u32,
    /// After so many calls that it fits were left alone.
    #[serde(default)]
    pub(crate) after: u32,
}

fn once() -> u32 {
    1
}

/// What happens.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub(crate) enum What {
    /// This answer, and nothing is done.
    Answer {
        status: u16,
        #[serde(default)]
        detail: String,
        retry_after: Option<u64>,
    },
    /// Nothing is done, and the connection breaks.
    Drop,
    /// It is done, and the connection breaks before the answer.
    Lose,
    /// It is done, and a server fails before the answer: 500.
    DoneThen500,
    /// It is done, and the answer comes so late (milliseconds).
    Late(u64),
    /// It is done, and this is the answer: what no API sends.
    Garbage(Value),
    /// It waits, and is done once the test lets it go; never where its caller is gone by then.
    HoldBefore,
    /// It is done, and the answer waits until the test lets it go.
    HoldAfter,
}

/// Faults in the order in which they were asked for.
#[derive(Default)]
pub(crate) struct Faults(Vec<Fault>);

impl Faults {
    pub(crate) fn add(&mut self, faults: Vec<Fault>) {
        self.0.extend(faults);
    }

    pub(crate) fn clear(&mut self) {
        self.0.clear();
    }

    pub(crate) fn waiting(&self) -> usize {
        self.0.len()
    }

    /// The fault of this call, if one waits for it.
    pub(crate) fn meet(&mut self, method: &str, path: &str) -> Option<What> {
        let fits = |fault: &Fault| {
            fault.method.as_deref().is_none_or(|it| it == method)
                && (!fault.mutating || method != "GET")
                && path.starts_with(&fault.path)
        };
        let index = self.0.iter().position(fits)?;
        let fault = self.0.get_mut(index)?;
        if fault.after > 0 {
            fault.after -= 1;
            return None;
        }
        fault.times = fault.times.saturating_sub(1);
        let what = fault.what.clone();
        if fault.times == 0 {
            self.0.remove(index);
        }
        Some(what)
    }
}

/// Calls that wait until the test lets them go.
#[derive(Default)]
pub(crate) struct Holds {
    held: AtomicUsize,
    go: Notify,
}

impl Holds {
    /// Waits. A caller that goes takes its call with it.
    pub(crate) async fn hold(&self) {
        struct Held<'a>(&'a AtomicUsize);
        impl Drop for Held<'_> {
            fn drop(&mut self) {
                self.0.fetch_sub(1, Ordering::SeqCst);
            }
        }
        let go = self.go.notified();
        tokio::pin!(go);
        // Whoever sees it counted can let it go.
        go.as_mut().enable();
        self.held.fetch_add(1, Ordering::SeqCst);
        let _held = Held(&self.held);
        go.await;
    }

    /// How many wait.
    pub(crate) fn count(&self) -> usize {
        self.held.load(Ordering::SeqCst)
    }

    /// Lets all go.
    pub(crate) fn release(&self) {
        self.go.notify_waiters();
    }
}
