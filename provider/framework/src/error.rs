//! The one error of provider code: what failed, whether trying again helps, where, and what to do next.
//!
//! `?` turns any `std::error::Error` into a permanent one; [`ErrorExt`] adds context, class and path.

use std::fmt;
use std::time::Duration;

use crate::schema::{Diagnostic, Path};

/// What provider code returns.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Whether, and how, trying again helps. A closed list: it labels metrics and decides retries.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Class {
    /// A passing fault: try again soon.
    Retry,
    /// The remote side wants us to slow down; try again after this long, if it said.
    Throttle(Option<Duration>),
    /// There is nothing to have at the moment, here.
    Capacity,
    /// A limit of the account is reached.
    Quota,
    /// The credentials do not allow it.
    Denied,
    /// The request is wrong: the configuration must change.
    Invalid,
    /// Anything else: trying again does not help.
    Permanent,
    /// The provider itself is wrong.
    Bug,
    /// The operation was cancelled, or its time was up.
    Interrupted,
}

impl Class {
    /// Whether the same call may succeed if tried again.
    pub fn is_retryable(self) -> bool {
        matches!(self, Class::Retry | Class::Throttle(_))
    }
}

/// An error of provider code. Deliberately no `std::error::Error` itself, so that every such error converts
/// into it.
pub struct Error(Box<Inner>);

struct Inner {
    class: Class,
    message: String,
    // Outermost last.
    context: Vec<String>,
    path: Option<Path>,
    next: Option<String>,
    id: Option<&'static str>,
    source: Option<Box<dyn std::error::Error + Send + Sync>>,
}

impl Error {
    /// An error of a class.
    pub fn new(class: Class, message: impl Into<String>) -> Error {
        Error(Box::new(Inner {
            class,
            message: message.into(),
            context: Vec::new(),
            path: None,
            next: None,
            id: None,
            source: None,
        }))
    }

    /// Trying again does not help.
    pub fn permanent(message: impl Into<String>) -> Error {
        Error::new(Class::Permanent, message)
    }

    /// The configuration must change.
    pub fn invalid(message: impl Into<String>) -> Error {
        Error::new(Class::Invalid, message)
    }

    /// A passing fault.
    pub fn retry(message: impl Into<String>) -> Error {
        Error::new(Class::Retry, message)
    }

    /// The remote side wants us to slow down.
    pub fn throttle(message: impl Into<String>, after: Option<Duration>) -> Error {
        Error::new(Class::Throttle(after), message)
    }

    /// The provider itself is wrong.
    pub fn bug(message: impl Into<String>) -> Error {
        Error::new(Class::Bug, message)
    }

    /// The attribute that it is about.
    #[must_use]
    pub fn at(mut self, path: impl Into<Path>) -> Error {
        self.0.path = Some(path.into());
        self
    }

    /// What to do next, as a sentence in the imperative.
    #[must_use]
    pub fn next(mut self, next: impl Into<String>) -> Error {
        self.0.next = Some(next.into());
        self
    }

    /// A stable name that people can look up; never renamed.
    #[must_use]
    pub fn id(mut self, id: &'static str) -> Error {
        self.0.id = Some(id);
        self
    }

    /// What was being done.
    #[must_use]
    pub fn context(mut self, doing: impl Into<String>) -> Error {
        self.0.context.push(doing.into());
        self
    }

    /// What caused it. Its text is shown once; do not repeat it in the message.
    #[must_use]
    pub fn because(mut self, source: impl std::error::Error + Send + Sync + 'static) -> Error {
        self.0.source = Some(Box::new(source));
        self
    }

    /// Of another class.
    #[must_use]
    pub fn class_as(mut self, class: Class) -> Error {
        self.0.class = class;
        self
    }

    /// Whether, and how, trying again helps.
    pub fn class(&self) -> Class {
        self.0.class
    }

    /// The attribute that it is about.
    pub fn path(&self) -> Option<&Path> {
        self.0.path.as_ref()
    }

    /// What is told to the person at the command line.
    pub fn diagnostic(&self) -> Diagnostic {
        let inner = &self.0;
        // The outermost context says what the person asked for; the message says what went wrong.
        let (summary, mut lines) = match inner.context.split_last() {
            Some((outermost, inner_context)) => {
                let mut lines: Vec<String> = inner_context.iter().rev().map(|c| format!("{c}:")).collect();
                lines.push(inner.message.clone());
                (outermost.clone(), lines)
            }
            None => (inner.message.clone(), Vec::new()),
        };
        let mut source = inner.source.as_ref().map(|source| &**source as &(dyn std::error::Error + 'static));
        let mut last = inner.message.clone();
        while let Some(cause) = source {
            let text = cause.to_string();
            if !last.contains(&text) {
                lines.push(format!("Caused by: {text}"));
                last = text;
            }
            source = cause.source();
        }
        if inner.class == Class::Bug {
            lines.push(
                "This is a bug in the provider, not in your configuration; please report it.".to_owned(),
            );
        }
        if let Some(next) = &inner.next {
            lines.push(format!("What to do next: {next}"));
        }
        if let Some(id) = inner.id {
            lines.push(format!("({id})"));
        }
        let detail = capitalised(&lines.join("\n"));
        let mut diagnostic = Diagnostic::error(capitalised(&summary), detail);
        diagnostic.path.clone_from(&inner.path);
        diagnostic
    }
}

// Messages are written as the middle of a sentence, because context comes before them.
fn capitalised(text: &str) -> String {
    let mut chars = text.chars();
    match chars.next() {
        // A name with an underscore or dot is spelled as it is.
        Some(first)
            if first.is_lowercase()
                && !text.split(' ').next().is_some_and(|word| word.contains(['_', '.', ':', '/'])) =>
        {
            first.to_uppercase().chain(chars).collect()
        }
        _ => text.to_owned(),
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for context in self.0.context.iter().rev() {
            write!(f, "{context}: ")?;
        }
        f.write_str(&self.0.message)
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} {}", self.0.class, self.diagnostic())
    }
}

impl<E: std::error::Error + Send + Sync + 'static> From<E> for Error {
    fn from(error: E) -> Error {
        let mut made = Error::permanent(error.to_string());
        made.0.source = Some(Box::new(error));
        made
    }
}

/// Adds to an error on its way up.
pub trait ErrorExt<T> {
    /// What was being done.
    fn context(self, doing: impl Into<String>) -> Result<T>;
    /// Of this class.
    fn class(self, class: Class) -> Result<T>;
    /// About this attribute.
    fn at(self, path: impl Into<Path>) -> Result<T>;
    /// What to do next.
    fn next(self, next: impl Into<String>) -> Result<T>;
}

impl<T, E: Into<Error>> ErrorExt<T> for Result<T, E> {
    fn context(self, doing: impl Into<String>) -> Result<T> {
        self.map_err(|error| error.into().context(doing))
    }

    fn class(self, class: Class) -> Result<T> {
        self.map_err(|error| error.into().class_as(class))
    }

    fn at(self, path: impl Into<Path>) -> Result<T> {
        self.map_err(|error| error.into().at(path))
    }

    fn next(self, next: impl Into<String>) -> Result<T> {
        self.map_err(|error| error.into().next(next))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn io() -> std::io::Error {
        std::io::Error::other("the disk is gone")
    }

    #[test]
    fn a_diagnostic_says_what_where_why_and_what_next_once_each() {
        let error = Error::invalid("the port is taken")
            .because(io())
            .at(Path::attribute("port"))
            .next("Choose another port.")
            .id("port-taken")
            .context("starting the listener")
            .context("cannot create acme_edge");
        let told = error.diagnostic();
        assert_eq!(told.summary, "Cannot create acme_edge");
        assert_eq!(
            told.detail,
            "Starting the listener:\nthe port is taken\nCaused by: the disk is gone\n\
             What to do next: Choose another port.\n(port-taken)"
        );
        assert_eq!(told.path, Some(Path::attribute("port")));
    }

    #[test]
    fn any_error_converts_and_is_not_told_twice() {
        let failed = || -> Result<()> {
            Err(io()).context("reading the table")?;
            Ok(())
        };
        let error = failed().unwrap_err();
        assert_eq!(error.class(), Class::Permanent);
        assert_eq!(error.diagnostic().detail, "The disk is gone");
        assert_eq!(error.to_string(), "reading the table: the disk is gone");
    }

    #[test]
    fn wrapping_keeps_the_class() {
        let error = Error::throttle("slow down", None).context("listing zones").context("planning");
        assert_eq!(error.class(), Class::Throttle(None));
        assert!(error.class().is_retryable());
    }

    #[test]
    fn a_bug_is_said_to_be_one() {
        assert!(Error::bug("an impossible state").diagnostic().detail.contains("bug in the provider"));
    }
}
