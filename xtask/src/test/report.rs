//! The budget: what each step did and cost, and the line that a script may read.

use std::fmt;
use std::time::Duration;

use super::End;
use crate::failure::Outcome;
use crate::process::clock;

/// Steps in the order they ran.
#[derive(Default)]
pub(super) struct Report {
    rows: Vec<(String, Duration, Outcome<End>)>,
}

impl Report {
    pub(super) fn add(&mut self, name: &str, time: Duration, end: Outcome<End>) {
        self.rows.push((name.to_owned(), time, end));
    }

    pub(super) fn failed(&self) -> usize {
        self.rows.iter().filter(|(_, _, end)| end.is_err()).count()
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "\n{:12} {:8} {:>10}  note", "step", "result", "time")?;
        let mut total = Duration::ZERO;
        for (name, time, end) in &self.rows {
            total += *time;
            let (result, note) = match end {
                Ok(End::Done(note)) => ("ok", note.clone()),
                Ok(End::Skipped(why)) => ("skipped", why.clone()),
                Err(failure) => ("FAILED", failure.to_string()),
            };
            let note = note.lines().next().unwrap_or_default();
            writeln!(f, "{}", format!("{name:12} {result:8} {:>10}  {note}", clock(*time)).trim_end())?;
        }
        writeln!(f, "{:12} {:8} {:>10}\n", "all", "", clock(total))?;
        let passed = self.rows.len() - self.failed();
        writeln!(f, "steps: {passed} passed, {} failed", self.failed())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::failure::Failure;

    #[test]
    fn the_last_line_counts_steps_and_a_failure_shows_its_first_line() {
        let mut report = Report::default();
        report.add("tidy", Duration::from_millis(300), Ok(End::Done(String::new())));
        report.add("tools", Duration::from_secs(225), Ok(End::Skipped("no Go".to_owned())));
        report.add("tests", Duration::from_secs(90), Err(Failure::new("one\ntwo")));
        let text = report.to_string();
        assert_eq!(text.lines().last(), Some("steps: 2 passed, 1 failed"));
        assert!(text.contains("tests        FAILED     1:30 min  one\n"), "{text}");
        assert!(text.contains("all                     5:15 min\n"), "{text}");
    }
}
