//! What is wrong with a value: a message and the path to the attribute.

use std::fmt;

use crate::{Diagnostic, Path, Step};

/// A value that does not fit its schema or its Rust type. The path grows from the inside out, as the
/// error travels up. Never contains the value itself: it may be a secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ValueError {
    // Innermost first; reversed when read.
    steps: Vec<Step>,
    message: String,
}

impl ValueError {
    /// An error at the value itself.
    pub fn new(message: impl Into<String>) -> ValueError {
        ValueError { steps: Vec::new(), message: message.into() }
    }

    /// The same, seen from the value that contains it.
    #[must_use]
    pub fn inside(mut self, step: Step) -> ValueError {
        self.steps.push(step);
        self
    }

    /// The same, seen from the object that contains it.
    #[must_use]
    pub fn in_attribute(self, name: &str) -> ValueError {
        self.inside(Step::Attribute(name.to_owned()))
    }

    /// Where it is.
    pub fn path(&self) -> Path {
        self.steps.iter().rev().cloned().fold(Path::root(), Path::step)
    }

    /// What is wrong.
    pub fn message(&self) -> &str {
        &self.message
    }

    /// As an error for the person at the command line.
    pub fn diagnostic(&self, summary: impl Into<String>) -> Diagnostic {
        Diagnostic::error(summary, self.message.clone()).at(self.path())
    }
}

impl fmt::Display for ValueError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.steps.is_empty() {
            f.write_str(&self.message)
        } else {
            write!(f, "{}: {}", self.path(), self.message)
        }
    }
}

impl std::error::Error for ValueError {}
