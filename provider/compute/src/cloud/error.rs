//! What went wrong with a cloud, by what it means for the next step.

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// The result of a call.
pub type Result<T> = std::result::Result<T, CloudError>;

/// What an error means for the next step.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ErrorClass {
    /// There is none of it there, now: another candidate, and this one again in minutes.
    Capacity,
    /// The account may not have more: more time does not help, people do. Another candidate under another quota.
    Quota,
    /// Too many requests: wait as long as it says.
    Throttle,
    /// The credentials do not allow it, or the account has no balance: nothing works until somebody acts.
    Auth,
    /// The request is wrong: it will be wrong again.
    Permanent,
    /// A passing fault, and nothing was done.
    Transient,
    /// Nobody knows whether it was done: list before asking again.
    Unknown,
}

/// An error of a cloud. Its text never has a credential in it.
#[derive(Debug)]
pub struct CloudError {
    /// What it means.
    pub class: ErrorClass,
    /// What went wrong, with what and where.
    pub message: String,
    /// When asking again makes sense, where the cloud says so.
    pub retry_after: Option<Duration>,
    /// What caused it.
    source: Option<Box<dyn std::error::Error + Send + Sync>>,
}

impl CloudError {
    /// An error of a class.
    pub fn new(class: ErrorClass, message: impl Into<String>) -> CloudError {
        CloudError { class, message: message.into(), retry_after: None, source: None }
    }

    /// When asking again makes sense.
    #[must_use]
    pub fn after(mut self, wait: Duration) -> CloudError {
        self.retry_after = Some(wait);
        self
    }

    /// What caused it; its text is not repeated in the message.
    #[must_use]
    pub fn because(mut self, source: impl std::error::Error + Send + Sync + 'static) -> CloudError {
        self.source = Some(Box::new(source));
        self
    }
}

impl ErrorClass {
    /// The word for logs and labels of metrics.
    pub const fn as_str(self) -> &'static str {
        match self {
            ErrorClass::Capacity => "capacity",
            ErrorClass::Quota => "quota",
            ErrorClass::Throttle => "throttle",
            ErrorClass::Auth => "auth",
            ErrorClass::Permanent => "permanent",
            ErrorClass::Transient => "transient",
            ErrorClass::Unknown => "unknown",
        }
    }
}

impl fmt::Display for ErrorClass {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Display for CloudError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.message, self.class)
    }
}

impl std::error::Error for CloudError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.source.as_ref().map(|source| &**source as &(dyn std::error::Error + 'static))
    }
}
