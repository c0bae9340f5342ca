//! Why a provider could not be served, in words for the person who started it.

use std::fmt;
use std::io;
use std::process::ExitCode;

/// Why serving did not begin or did not end well.
#[derive(Debug)]
#[non_exhaustive]
pub enum ServeError {
    /// Started by hand: the cookie that Terraform and OpenTofu set is absent. Holds what to tell the person.
    NotStartedByHost(String),
    /// The host speaks no protocol that this provider speaks. Holds what it offered.
    ProtocolVersion(String),
    /// A setting from the host cannot be used.
    Setting {
        /// The environment variable.
        name: &'static str,
        /// What is wrong with it.
        problem: String,
    },
    /// No socket could be opened.
    Socket {
        /// What was tried, and where.
        tried: String,
        /// What the system said.
        source: io::Error,
    },
    /// The encrypted channel could not be set up.
    Tls(String),
    /// The address could not be announced on standard output.
    Announce(io::Error),
    /// The asynchronous runtime could not start.
    Runtime(io::Error),
}

impl fmt::Display for ServeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ServeError::NotStartedByHost(advice) => f.write_str(advice),
            ServeError::ProtocolVersion(offered) => write!(
                f,
                "This provider speaks plugin protocol 6, and the program that started it offers only {offered}. \
                 Terraform speaks protocol 6 from version 1.0 on, OpenTofu in every version: use one of these."
            ),
            ServeError::Setting { name, problem } => {
                write!(f, "The environment variable {name} cannot be used: {problem}.")
            }
            ServeError::Socket { tried, .. } => write!(f, "Cannot {tried}."),
            ServeError::Tls(problem) => {
                write!(
                    f,
                    "Cannot set up the encrypted channel to the program that started this provider: {problem}."
                )
            }
            ServeError::Announce(_) => f.write_str(
                "Cannot announce the address on standard output, which must stay open until then.",
            ),
            ServeError::Runtime(_) => f.write_str("Cannot start the asynchronous runtime."),
        }
    }
}

impl std::error::Error for ServeError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            ServeError::Socket { source, .. }
            | ServeError::Announce(source)
            | ServeError::Runtime(source) => Some(source),
            _ => None,
        }
    }
}

impl ServeError {
    /// Tells the person on standard error; the code for `main` to return.
    pub fn report(&self) -> ExitCode {
        use std::error::Error as _;
        use std::io::Write as _;
        let mut text = self.to_string().trim_end().to_owned();
        if let Some(cause) = self.source() {
            text.push_str(&format!("\nCause: {cause}."));
        }
        // Nothing is left to do when even standard error is closed.
        let _ = writeln!(io::stderr(), "{text}");
        ExitCode::FAILURE
    }
}
