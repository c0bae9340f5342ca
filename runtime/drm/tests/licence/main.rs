//! The licence service, as a licensor with a clock of the test's own, and as the target that listens.

mod hostile;
mod http;
mod kit;
mod rules;
mod sequences;
