//! Why a site did not do what it was asked, whether trying again helps, and what to do next.

use std::fmt;

/// What a site returns.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Whether, and how, trying again helps.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Class {
    /// Nobody answers at the site's address, or not in time: try again.
    Unreachable,
    /// A passing fault of the site: try again soon.
    Retry,
    /// The credentials do not allow it.
    Denied,
    /// The objects are wrong: the configuration must change.
    Invalid,
    /// Somebody else holds it: another deployment, another field manager.
    Conflict,
    /// The site cannot hold it, and never could.
    Unsupported,
    /// Anything else: trying again does not help.
    Permanent,
}

/// Why a site did not do what it was asked.
#[derive(Debug)]
pub struct Error {
    /// Whether trying again helps.
    pub class: Class,
    /// What is wrong and where, as the middle of a sentence.
    pub message: String,
    /// What to do next, as a sentence in the imperative.
    pub next: Option<String>,
    /// JSON pointer (RFC 6901) into the bundle, when a field of it is wrong.
    pub field: Option<String>,
    source: Option<Box<dyn std::error::Error + Send + Sync>>,
}

impl Error {
    /// An error of a class.
    pub fn new(class: Class, message: impl Into<String>) -> Error {
        Error { class, message: message.into(), next: None, field: None, source: None }
    }

    /// What to do next, as a sentence in the imperative.
    #[must_use]
    pub fn next(mut self, next: impl Into<String>) -> Error {
        self.next = Some(next.into());
        self
    }

    /// The field of the bundle that it is about.
    #[must_use]
    pub fn field(mut self, pointer: impl Into<String>) -> Error {
        self.field = Some(pointer.into());
        self
    }

    /// What caused it; its text is not repeated in the message.
    #[must_use]
    pub fn because(mut self, source: impl std::error::Error + Send + Sync + 'static) -> Error {
        self.source = Some(Box::new(source));
        self
    }
}

/// The field of a `ProbeRequest` that a source's fault is about, by the code of the fault.
pub(crate) fn probe_field(code: &str) -> Option<&'static str> {
    match code {
        "source-changed" => Some("/digest"),
        _ if code.starts_with("source-") => Some("/source"),
        _ => None,
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.source.as_ref().map(|source| &**source as &(dyn std::error::Error + 'static))
    }
}
