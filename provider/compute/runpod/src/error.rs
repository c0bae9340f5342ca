//! What went wrong, in classes that decide what to do next.

use std::fmt;
use std::time::Duration;

/// Whether, and how, trying again helps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    /// No machine is free for what was asked, here and now. RunPod says so with 400, as it does for requests that break a rule
    /// between fields: only the text tells them apart.
    Capacity,
    /// A limit of the account, its balance above all (402).
    Quota,
    /// Too many calls (429): again after this long, where the server said.
    Throttle(Option<Duration>),
    /// The key is missing, wrong, or may not do this (401, 403).
    Auth,
    /// The request is wrong and stays wrong: it breaks a rule (400), a field is wrong (422), or what it is about is not there (404).
    Invalid,
    /// What it is about does not allow that now (409).
    Conflict,
    /// A passing fault of the server or the way to it; nothing was done.
    Unavailable,
    /// It may have been done or not: the answer was lost, or a server failed in the middle of it.
    UnknownOutcome,
    /// Anything else: an answer that cannot be read, or time that is up.
    Permanent,
}

impl Class {
    /// Whether the same call may succeed if it is tried again, and nothing was done so far.
    pub fn is_passing(self) -> bool {
        matches!(self, Class::Throttle(_) | Class::Unavailable)
    }
}

/// An error of a call. It never has the key.
#[derive(Clone, Debug)]
pub struct Error {
    /// Whether, and how, trying again helps.
    pub class: Class,
    /// The status, if an answer came.
    pub status: Option<u16>,
    /// What was asked: `POST /v2/pods`.
    pub call: String,
    /// What the server, or the way to it, said.
    pub says: String,
    /// What it says of single fields.
    pub fields: Vec<String>,
    /// How long the server wants to be left alone, where the class does not say it.
    pub(crate) after: Option<Duration>,
}

impl Error {
    pub(crate) fn new(class: Class, call: &str, says: impl Into<String>) -> Error {
        Error {
            class,
            status: None,
            call: call.to_owned(),
            says: says.into(),
            fields: Vec::new(),
            after: None,
        }
    }

    /// The same, where something may have been made before it. How long the server wants to be left alone is kept.
    pub(crate) fn unsure(self) -> Error {
        let after = self.retry_after();
        Error { class: Class::UnknownOutcome, after, ..self }
    }

    /// How long the server wants to be left alone, where it said so.
    pub fn retry_after(&self) -> Option<Duration> {
        match self.class {
            Class::Throttle(after) => after,
            _ => self.after,
        }
    }

    /// Whether the account has no balance left. RunPod says so with 402, and has said so with 400.
    pub fn is_without_balance(&self) -> bool {
        self.status == Some(402) || self.class == Class::Quota && mentions(&self.says, BALANCE)
    }

    /// Whether what was asked for is not there.
    pub fn is_not_found(&self) -> bool {
        self.status == Some(404)
    }

    /// What to do next, as a sentence in the imperative.
    pub fn next(&self) -> &'static str {
        match self.class {
            Class::Capacity => "Try another GPU type, data centre or cloud, or again later.",
            Class::Quota => "Add credit to the RunPod account, or raise its limits.",
            Class::Throttle(_) => {
                "Wait as long as the answer says, or let fewer things use this account's key."
            }
            Class::Auth => "Look at the key: whether it is of this account, and may do this.",
            Class::Invalid => "Change what the answer names.",
            Class::Conflict => "Look at its state, then try again.",
            Class::Unavailable | Class::UnknownOutcome => {
                "Try again; what was done already is found by its name."
            }
            Class::Permanent => "Look at the endpoint, and at RunPod's status page.",
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RunPod, {}: ", self.call)?;
        if let Some(status) = self.status {
            write!(f, "{status}, ")?;
        }
        f.write_str(&self.says)?;
        for field in &self.fields {
            write!(f, "; {field}")?;
        }
        Ok(())
    }
}

impl std::error::Error for Error {}

/// The class of an answer that is no success.
///
/// `safe` says that the call may be repeated as it is: then a server's failure is a passing fault, and otherwise nobody knows what
/// became of it.
pub(crate) fn class_of(status: u16, says: &str, retry_after: Option<Duration>, safe: bool) -> Class {
    match status {
        401 | 403 => Class::Auth,
        402 => Class::Quota,
        400 if mentions(says, CAPACITY) => Class::Capacity,
        400 if mentions(says, QUOTA) || mentions(says, BALANCE) => Class::Quota,
        409 => Class::Conflict,
        // Nothing was done: the request was not let in.
        429 => Class::Throttle(retry_after),
        503 if retry_after.is_some() => Class::Throttle(retry_after),
        500..=599 if safe => Class::Unavailable,
        500..=599 => Class::UnknownOutcome,
        400..=499 => Class::Invalid,
        _ => Class::Permanent,
    }
}

// The description promises no text. These are the words of its examples and of clients that were ported to it; what they miss is
// taken for a broken rule, and whoever goes through candidates sees the same text from each.
const CAPACITY: &[&str] = &[
    "no capacity",
    "no longer any instances",
    "no instances",
    "not enough free",
    "no available",
    "not available",
    "out of stock",
    "insufficient capacity",
    "no machine",
    "capacity",
];

const QUOTA: &[&str] = &["spend limit", "quota"];
const BALANCE: &[&str] = &["account balance", "balance is", "insufficient balance", "credit"];

fn mentions(says: &str, words: &[&str]) -> bool {
    let says = says.to_lowercase();
    words.iter().any(|words| says.contains(words))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_status_has_its_class() {
        let after = Some(Duration::from_secs(7));
        for (status, says, after, safe, class) in [
            (400, "There are no longer any instances available", None, false, Class::Capacity),
            (400, "Set exactly one of gpu or cpu", None, false, Class::Invalid),
            (400, "Your account balance is too low", None, false, Class::Quota),
            (400, "type LOAD_BALANCER takes no scaling of QUEUE_DELAY", None, false, Class::Invalid),
            (401, "", None, true, Class::Auth),
            (402, "", None, false, Class::Quota),
            (403, "", None, true, Class::Auth),
            (404, "", None, true, Class::Invalid),
            (409, "", None, true, Class::Conflict),
            (422, "", None, false, Class::Invalid),
            (429, "", after, false, Class::Throttle(after)),
            (500, "", None, true, Class::Unavailable),
            (500, "", None, false, Class::UnknownOutcome),
            (503, "", after, false, Class::Throttle(after)),
            (302, "", None, true, Class::Permanent),
        ] {
            assert_eq!(class_of(status, says, after, safe), class, "{status} {says}");
        }
    }
}
