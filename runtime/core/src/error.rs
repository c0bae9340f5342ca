//! The error of the runtime: what failed, whether trying again helps, and a stable code.

use std::fmt;

/// What the runtime returns.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why something failed.
#[derive(Debug)]
pub struct Error {
    /// Stable and for programs: it becomes the `code` of a status' reason. `spec-invalid`, `store-unreachable`,
    /// `disk-full`, `source-broken` …
    pub code: &'static str,
    /// What is wrong, where, and what to do: for a person. No secrets.
    pub message: String,
    /// Whether the same thing may succeed if tried again.
    pub retry: bool,
    source: Option<Box<dyn std::error::Error + Send + Sync>>,
}

impl Error {
    /// Trying again does not help.
    pub fn permanent(code: &'static str, message: impl Into<String>) -> Error {
        Error { code, message: message.into(), retry: false, source: None }
    }

    /// A passing fault.
    pub fn passing(code: &'static str, message: impl Into<String>) -> Error {
        Error { code, message: message.into(), retry: true, source: None }
    }

    /// What caused it; its text is not repeated in the message.
    #[must_use]
    pub fn because(mut self, source: impl std::error::Error + Send + Sync + 'static) -> Error {
        self.source = Some(Box::new(source));
        self
    }

    /// Message and causes in one line.
    pub fn chain(&self) -> String {
        let mut text = self.message.clone();
        let mut source = std::error::Error::source(self);
        while let Some(cause) = source {
            let next = cause.to_string();
            if !text.contains(&next) {
                text.push_str(": ");
                text.push_str(&next);
            }
            source = cause.source();
        }
        text
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
