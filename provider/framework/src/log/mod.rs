//! The provider's log: `tracing` events as lines that Terraform and OpenTofu understand.
//!
//! The lines are go-hclog's JSON on standard error: `@level`, `@message`, `@module`, `@timestamp`, then the fields of
//! the event and of the spans around it. How much is written is decided by, in this order,
//! `TF_LOG_PROVIDER_<NAME>`, `TF_LOG_PROVIDER` and `TF_LOG`. With none of them set no subscriber exists, so that a
//! `tracing` macro costs one comparison and nothing is formatted.
//!
//! Secrets given to [`mask`] never appear. A panic is logged by [`install_panic_hook`] and turned into a value by
//! [`catch_panic`].

pub mod keys;
mod layer;
mod level;
mod line;
mod mask;
mod panic;

pub use layer::HclogLayer;
pub use level::level;
pub use mask::{mask, masked};
pub use panic::{Panic, catch_panic, install_panic_hook};

use tracing::level_filters::LevelFilter;
use tracing_subscriber::layer::SubscriberExt as _;

/// Starts the log of the provider with this name, such as `corner`, and installs the panic hook. Does nothing for
/// the log where none is asked for or another subscriber is in place already.
pub fn init(provider: &str) {
    install_panic_hook();
    let level = level(provider, |name| std::env::var(name).ok());
    if level == LevelFilter::OFF {
        return;
    }
    let subscriber = tracing_subscriber::registry().with(HclogLayer::to_stderr(level));
    // A subscriber that the program chose itself has precedence.
    let _ = tracing::subscriber::set_global_default(subscriber);
}
