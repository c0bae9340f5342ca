//! Panics: told to the log by a hook, turned into values by [`catch_panic`].

use std::any::Any;
use std::backtrace::Backtrace;
use std::cell::{Cell, RefCell};
use std::fmt;
use std::io::Write as _;
use std::panic::{AssertUnwindSafe, PanicHookInfo, catch_unwind};
use std::pin::pin;
use std::sync::Once;
use std::task::Poll;

thread_local! {
    /// What the hook learned of the latest panic on this thread, for the catcher that is about to return.
    static LAST: RefCell<Option<Panic>> = const { RefCell::new(None) };
    /// How many catchers are being polled on this thread.
    static CATCHERS: Cell<usize> = const { Cell::new(0) };
}

/// What a panic left behind.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Panic {
    /// Its message with file and line. Secrets known to [`mask`](super::mask) are replaced.
    pub message: String,
    /// The stack; empty unless [`install_panic_hook`] was called.
    pub backtrace: String,
}

impl fmt::Display for Panic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Panic {}

/// Runs a future to its end, and returns the panic if it panics instead of passing it on.
///
/// # Errors
///
/// The panic, when there was one.
pub async fn catch_panic<F: Future>(future: F) -> Result<F::Output, Panic> {
    // Whoever shares state with the future sees what a panic half done left, as with any lock that is not poisoned.
    let mut future = pin!(future);
    std::future::poll_fn(|cx| {
        let _catching = Catching::start();
        match catch_unwind(AssertUnwindSafe(|| future.as_mut().poll(cx))) {
            Ok(Poll::Pending) => Poll::Pending,
            Ok(Poll::Ready(output)) => Poll::Ready(Ok(output)),
            Err(payload) => {
                let told = LAST.with(|last| last.borrow_mut().take());
                Poll::Ready(Err(told.unwrap_or_else(|| Panic {
                    message: super::masked(text(&*payload)).into_owned(),
                    backtrace: String::new(),
                })))
            }
        }
    })
    .await
}

struct Catching;

impl Catching {
    fn start() -> Catching {
        CATCHERS.with(|count| count.set(count.get() + 1));
        // A panic that is passed on from another thread comes without the hook: what is here is an older one's.
        LAST.with(|last| last.borrow_mut().take());
        Catching
    }
}

impl Drop for Catching {
    fn drop(&mut self) {
        CATCHERS.with(|count| count.set(count.get().saturating_sub(1)));
    }
}

/// From here on panics go to the log as errors, with their stack. With the log off, one that nobody catches is
/// written to standard error as plain text. Calling it again changes nothing.
pub fn install_panic_hook() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| std::panic::set_hook(Box::new(hook)));
}

fn hook(info: &PanicHookInfo<'_>) {
    let place = info.location().map(|at| format!(" ({}:{}:{})", at.file(), at.line(), at.column()));
    let message = format!("{}{}", text(info.payload()), place.unwrap_or_default());
    let message = super::masked(&message).into_owned();
    let backtrace = Backtrace::force_capture().to_string();
    if tracing::enabled!(tracing::Level::ERROR) {
        tracing::error!(panic = message, backtrace, "The provider panicked. This is a bug in the provider.");
    } else if CATCHERS.with(Cell::get) == 0 {
        let _ = writeln!(std::io::stderr(), "panic: {message}\n\n{}", super::masked(&backtrace));
    }
    LAST.with(|last| *last.borrow_mut() = Some(Panic { message, backtrace }));
}

/// `panic!` with and without arguments gives these two types; others have no text.
fn text(payload: &(dyn Any + Send)) -> &str {
    payload
        .downcast_ref::<&'static str>()
        .copied()
        .or_else(|| payload.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("no message")
}
