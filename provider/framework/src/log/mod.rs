//! The provider's log.

mod mask;
mod panic;

pub use mask::{mask, masked};
pub use panic::{Panic, catch_panic, install_panic_hook};
