//! Content keys and licences.
//!
//! | target | is |
//! |---|---|
//! | `key-service` | keeps content keys sealed, and hands them to packagers and licence services |
//! | `licence-service` | answers viewers' licence requests for those who are entitled |
//!
//! Two processes: what holds keys never parses what the public sends.

pub mod keys;
pub mod licence;

pub use keys::KEY_SERVICE;
pub use licence::LICENCE_SERVICE;
