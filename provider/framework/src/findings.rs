//! What a validation finds: all of it at once, each at its attribute.

use crate::schema::{Diagnostic, Diagnostics, Path, ValueError};

/// Where a validation puts what it finds.
#[derive(Debug, Default)]
pub struct Findings {
    diagnostics: Diagnostics,
}

impl Findings {
    /// Nothing found.
    pub fn new() -> Findings {
        Findings::default()
    }

    /// What was found.
    pub fn into_diagnostics(self) -> Diagnostics {
        self.diagnostics
    }

    /// The configuration cannot work: `findings.refuse(Cache::rules().at(3).port(), "Port taken", "…")`.
    pub fn refuse(&mut self, at: impl Into<Path>, summary: impl Into<String>, detail: impl Into<String>) {
        self.diagnostics.error_at(at, summary, detail);
    }

    /// The configuration works, but is unwise.
    pub fn warn(&mut self, at: impl Into<Path>, summary: impl Into<String>, detail: impl Into<String>) {
        self.diagnostics.warning_at(at, summary, detail);
    }

    /// Anything else.
    pub fn push(&mut self, diagnostic: Diagnostic) {
        self.diagnostics.push(diagnostic);
    }

    /// Whether something was refused already.
    pub fn has_errors(&self) -> bool {
        self.diagnostics.has_errors()
    }
}

/// Runs a validation and adds what it finds.
pub(crate) fn collect(diagnostics: &mut Diagnostics, validate: impl FnOnce(&mut Findings)) {
    let mut findings = Findings::new();
    validate(&mut findings);
    diagnostics.extend(findings.into_diagnostics());
}

/// A configured value that does not fit the Rust type of its attribute.
pub(crate) fn invalid_value(error: &ValueError) -> Diagnostic {
    let path = error.path();
    let detail = format!("The value of {path} {}.", error.message());
    Diagnostic::error("Invalid value", detail).at(path)
}
