//! What a failed test prints: the step, the command, the end of its output and what was expected.

use std::fmt;

use super::process::Output;

/// How much of a command's output a failure prints, from its end.
const TAIL: usize = 6_000;

/// A failed case. Its `Debug` is the readable text too, so a test may return it from `fn() -> Result<_, Failure>`.
pub struct Failure(Box<Details>);

struct Details {
    message: String,
    case: Option<String>,
    step: Option<String>,
    command: Option<String>,
    output: Option<String>,
    notes: Vec<String>,
}

impl Failure {
    /// A failure that says `message`.
    pub fn new(message: impl Into<String>) -> Self {
        Self(Box::new(Details {
            message: message.into(),
            case: None,
            step: None,
            command: None,
            output: None,
            notes: Vec::new(),
        }))
    }

    /// What went wrong, without the step, the command and its output.
    pub fn message(&self) -> &str {
        &self.0.message
    }

    pub(crate) fn io(what: &str, path: &std::path::Path, error: &std::io::Error) -> Self {
        Self::new(format!("cannot {what} {}: {error}", path.display()))
    }

    pub(crate) fn command(mut self, output: &Output) -> Self {
        if self.0.command.is_none() {
            self.0.command = Some(output.described());
            self.0.output = Some(tail(&output.text()));
        }
        self
    }

    pub(crate) fn step(mut self, step: &str) -> Self {
        self.0.step.get_or_insert_with(|| step.to_owned());
        self
    }

    pub(crate) fn case(mut self, case: &str) -> Self {
        self.0.case.get_or_insert_with(|| case.to_owned());
        self
    }

    pub(crate) fn note(mut self, note: impl Into<String>) -> Self {
        self.0.notes.push(note.into());
        self
    }
}

/// The last part of a long text, cut at a line.
fn tail(text: &str) -> String {
    let Some(start) = text.len().checked_sub(TAIL) else { return text.to_owned() };
    let start = (start..text.len()).find(|&at| text.is_char_boundary(at)).unwrap_or(text.len());
    let rest = text.get(start..).unwrap_or_default();
    let rest = rest.split_once('\n').map_or(rest, |(_, lines)| lines);
    format!("… ({} bytes before)\n{rest}", text.len() - rest.len())
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Details { message, case, step, command, output, notes } = &*self.0;
        write!(f, "{message}")?;
        for (name, value) in [("case", case), ("step", step), ("command", command)] {
            if let Some(value) = value {
                write!(f, "\n  {name}: {value}")?;
            }
        }
        for note in notes {
            write!(f, "\n  note: {}", note.replace('\n', "\n    "))?;
        }
        if let Some(output) = output.as_deref().filter(|output| !output.trim().is_empty()) {
            write!(f, "\n  output:")?;
            for line in output.lines() {
                write!(f, "\n    {line}")?;
            }
        }
        Ok(())
    }
}

impl fmt::Debug for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl std::error::Error for Failure {}

#[cfg(test)]
mod tests {
    use super::tail;

    #[test]
    fn a_long_output_is_cut_at_a_line_and_says_so() {
        let long = "å line of text\n".repeat(2_000);
        let cut = tail(&long);
        assert!(cut.len() < 7_000);
        assert!(cut.starts_with("… ("), "{}", &cut[..40]);
        assert!(cut.lines().nth(1).is_some_and(|line| line == "å line of text"));
        assert_eq!(tail("short"), "short");
    }
}
