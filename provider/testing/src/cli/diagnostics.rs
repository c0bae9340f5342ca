//! Errors and warnings as the command lines print them, un-wrapped: no colours, boxes or line breaks.
//!
//! Terraform and OpenTofu break the text of a diagnostic at 78 columns and draw a line at its left, so an
//! expected sentence is never found in the raw output. Here each diagnostic becomes one line, in which all
//! white space is a single blank.

use regex::Regex;

/// How bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Severity {
    /// `Error: …`
    Error,
    /// `Warning: …`
    Warning,
}

/// One error or warning.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Diagnostic {
    /// Error or warning.
    pub severity: Severity,
    /// Summary, address, place, snippet and detail in the order printed, in one line.
    pub text: String,
}

impl Diagnostic {
    /// Whether it is the warning that every command prints for a provider under development.
    pub fn is_about_development_overrides(&self) -> bool {
        self.severity == Severity::Warning && self.text.starts_with("Provider development overrides")
    }
}

/// Every diagnostic in `text`, in boxes (as printed by default) or plain (as with `-no-color`).
pub fn parse(text: &str) -> Vec<Diagnostic> {
    let text = without_colours(text);
    let mut found: Vec<(Severity, String)> = Vec::new();
    let (mut boxed, mut open) = (false, false);
    for line in text.lines() {
        match line.trim_end() {
            "╷" => {
                (boxed, open) = (true, false);
                continue;
            }
            "╵" => {
                (boxed, open) = (false, false);
                continue;
            }
            _ => {}
        }
        let content = if boxed { line.trim_start_matches('│') } else { line };
        let start = content.strip_prefix(if boxed { " " } else { "" }).unwrap_or(content);
        let headline = [("Error: ", Severity::Error), ("Warning: ", Severity::Warning)]
            .into_iter()
            .find_map(|(prefix, severity)| Some((severity, start.strip_prefix(prefix)?)));
        // A detail may itself quote a line that starts with "Error: "; inside a box only the first counts.
        match (headline, found.last_mut()) {
            (Some((severity, summary)), _) if !(boxed && open) => {
                found.push((severity, summary.to_owned()));
                open = true;
            }
            (_, Some((_, last))) if open => {
                last.push(' ');
                last.push_str(content);
            }
            _ => {}
        }
    }
    found.into_iter().map(|(severity, text)| Diagnostic { severity, text: one_line(&text) }).collect()
}

/// All white space as single blanks, without the lines drawn around values in a snippet.
pub(crate) fn one_line(text: &str) -> String {
    let drawn = |word: &&str| !word.chars().all(|c| "│├─╷╵".contains(c));
    text.split_whitespace().filter(drawn).collect::<Vec<_>>().join(" ")
}

/// `text` without the escape sequences of a terminal.
pub(crate) fn without_colours(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, escape)) = rest.split_once("\u{1b}[") {
        plain.push_str(before);
        // An escape sequence ends with its first letter; one that is cut off ends with the text.
        let end = escape.find(|c: char| ('@'..='~').contains(&c)).map_or(escape.len(), |at| at + 1);
        rest = escape.get(end..).unwrap_or_default();
    }
    plain.push_str(rest);
    plain
}

/// The first of `severity` that `expression` matches.
pub(crate) fn matching<'a>(
    diagnostics: &'a [Diagnostic],
    severity: Severity,
    expression: &Regex,
) -> Option<&'a Diagnostic> {
    diagnostics.iter().find(|one| one.severity == severity && expression.is_match(&one.text))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(text: &str) -> Diagnostic {
        Diagnostic { severity: Severity::Error, text: text.to_owned() }
    }

    #[test]
    fn a_boxed_and_coloured_error_becomes_one_line() {
        let printed = "terraform_data.a: Creating...\n\
            \u{1b}[31m╷\u{1b}[0m\u{1b}[0m\n\
            \u{1b}[31m│\u{1b}[0m \u{1b}[0m\u{1b}[1m\u{1b}[31mError: \u{1b}[0m\u{1b}[0m\u{1b}[1mInvalid expression\u{1b}[0m\n\
            \u{1b}[31m│\u{1b}[0m \u{1b}[0m\n\
            \u{1b}[31m│\u{1b}[0m \u{1b}[0m  on main.tf line 7, in resource \"terraform_data\" \"b\":\n\
            \u{1b}[31m│\u{1b}[0m \u{1b}[0m   7:  condition = \u{1b}[4mfalse\u{1b}[0m\u{1b}[0m\n\
            \u{1b}[31m│\u{1b}[0m \u{1b}[0m    \u{1b}[90m├────────────────\u{1b}[0m\n\
            \u{1b}[31m│\u{1b}[0m \u{1b}[0m\u{1b}[0m    \u{1b}[90m│\u{1b}[0m \u{1b}[1mx\u{1b}[0m is 9\n\
            \u{1b}[31m│\u{1b}[0m \u{1b}[0m\n\
            \u{1b}[31m│\u{1b}[0m \u{1b}[0mMust refer to at least one object from elsewhere\n\
            \u{1b}[31m│\u{1b}[0m \u{1b}[0min the configuration.\n\
            \u{1b}[31m│\u{1b}[0m \u{1b}[0mError: quoted in the detail\n\
            \u{1b}[31m╵\u{1b}[0m\u{1b}[0m\nApply failed\n";
        assert_eq!(
            parse(printed),
            [error(
                "Invalid expression on main.tf line 7, in resource \"terraform_data\" \"b\": 7: condition = false x is 9 \
                 Must refer to at least one object from elsewhere in the configuration. Error: quoted in the detail"
            )]
        );
    }

    #[test]
    fn plain_diagnostics_are_separated_and_keep_their_severity() {
        let printed = "\nWarning: Deprecated\n\nUse other\ninstead.\n\nError: Bad\n\n  with a.b,\n\ndetail\n";
        let warning =
            Diagnostic { severity: Severity::Warning, text: "Deprecated Use other instead.".into() };
        assert_eq!(parse(printed), [warning, error("Bad with a.b, detail")]);
    }

    #[test]
    fn what_stands_outside_a_box_is_no_diagnostic() {
        let printed = "╷\n│ Error: one\n╵\nPlan: 1 to add\n╷\n│ Error: two\n│ \n│ \n╵\n";
        assert_eq!(parse(printed), [error("one"), error("two")]);
    }

    #[test]
    fn a_cut_off_escape_sequence_is_dropped() {
        assert_eq!(without_colours("a\u{1b}[31mb\u{1b}[0mc\u{1b}[3"), "abc");
    }
}
