//! What every stand-in for a cloud is made of. It knows no cloud: paths, keys, the form of bodies and of refusals are the stand-in's.
//!
//! | of the stand-in's own process | |
//! |---|---|
//! | [`main_with`], [`run`] | its `main`: it says where it listens, and ends when its standard input does |
//! | [`serve`], [`Call`], [`respond`] | calls, read whole, and their answers |
//! | [`Fault`], [`Steering`], [`Answers`], [`around`] | what goes wrong on purpose, before a call is done, after it, or in its place |
//! | [`Minute`] | so many calls a minute, by whatever clock |
//! | [`Ledger`] | what happened: a file that only grows |
//!
//! [`Process`] is a test's hand on it, and [`read_ledger`] what every verdict comes from.

mod around;
mod call;
mod faults;
mod holds;
mod ledger;
mod minute;
mod process;
mod program;
mod run;
mod serve;
mod steering;

use std::sync::{Mutex, MutexGuard, PoisonError};

pub use around::{Answers, Said, around};
pub use call::{call, call_text};
pub use faults::{Fault, Faults, NoRefusals, What};
pub use holds::Holds;
pub use ledger::{Ledger, read_ledger};
pub use minute::{Admitted, Minute};
pub use process::{PATIENCE, Process, ledger_in};
pub use program::{beside, built};
pub use run::{main_with, run};
pub use serve::{Broken, Call, Reply, respond, serve};
pub use steering::Steering;

/// What is locked, also after a panic: the test that sees the panic's answer fails by itself.
pub fn lock<T>(it: &Mutex<T>) -> MutexGuard<'_, T> {
    it.lock().unwrap_or_else(PoisonError::into_inner)
}
