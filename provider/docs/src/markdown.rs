//! Text as Markdown: what stands for itself, what is code, what is plain.

/// A code span of any text, on one line.
pub(crate) fn code(text: &str) -> String {
    let text = text.replace(['\n', '\r'], " ");
    let ticks = "`".repeat(longest_run(&text) + 1);
    // A blank keeps the text's own backticks apart from the span's; Markdown takes it off again.
    let pad = if text.starts_with('`') || text.ends_with('`') { " " } else { "" };
    format!("{ticks}{pad}{text}{pad}{ticks}")
}

/// A block of code, however many backticks are in it.
pub(crate) fn fence(language: &str, text: &str) -> String {
    let ticks = "`".repeat((longest_run(text) + 1).max(3));
    format!("{ticks}{language}\n{}\n{ticks}", text.trim_matches('\n').trim_end())
}

fn longest_run(text: &str) -> usize {
    text.split(|c| c != '`').map(str::len).max().unwrap_or(0)
}

/// Plain text in which code spans count: everything else that Markdown would read as a mark is escaped.
pub(crate) fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    let mut before = ' ';
    while let Some(c) = rest.chars().next() {
        if c == '`' {
            let run = rest.len() - rest.trim_start_matches('`').len();
            let (ticks, after) = rest.split_at(run);
            if let Some(end) = closing(after, run) {
                let (inside, after) = after.split_at(end + run);
                out.push_str(ticks);
                out.push_str(inside);
                rest = after;
            } else {
                out.push_str(&"\\`".repeat(run));
                rest = after;
            }
            before = '`';
            continue;
        }
        rest = rest.get(c.len_utf8()..).unwrap_or_default();
        let next = rest.chars().next().unwrap_or(' ');
        let mark = match c {
            '*' | '<' | '[' | ']' | '\\' => true,
            // Between letters an underscore is one.
            '_' => !(before.is_alphanumeric() && next.is_alphanumeric()),
            _ => false,
        };
        if mark {
            out.push('\\');
        }
        out.push(c);
        before = c;
    }
    out
}

/// Where a run of exactly so many backticks begins.
fn closing(text: &str, run: usize) -> Option<usize> {
    let mut at = 0;
    while let Some(found) = text.get(at..)?.find('`') {
        let start = at + found;
        let here = text.get(start..)?;
        let length = here.len() - here.trim_start_matches('`').len();
        if length == run {
            return Some(start);
        }
        at = start + length;
    }
    None
}

/// The first paragraph as one line of plain text: for the description in the front matter.
pub(crate) fn plain(markdown: &str) -> String {
    let text = paragraph(first_paragraph(markdown).0);
    let mut out = String::with_capacity(text.len());
    let mut chars = text.chars().peekable();
    let mut code = false;
    while let Some(c) = chars.next() {
        match c {
            '`' => code = !code,
            '*' | '[' | '\\' if code => out.push(c),
            '\\' if chars.peek().is_some_and(char::is_ascii_punctuation) => out.extend(chars.next()),
            '*' | '[' => {}
            // What a link points to says nothing in plain text.
            ']' if !code && chars.peek() == Some(&'(') => {
                chars.by_ref().find(|c| *c == ')');
            }
            ']' if !code => {}
            c if c.is_control() => out.push(' '),
            c => out.push(c),
        }
    }
    out.trim().trim_start_matches('#').trim_start().to_owned()
}

/// The first paragraph, and what follows.
pub(crate) fn first_paragraph(markdown: &str) -> (&str, &str) {
    let text = markdown.trim();
    match text.split_once("\n\n") {
        Some((first, rest)) => (first, rest.trim_matches('\n')),
        None => (text, ""),
    }
}

/// A paragraph on one line.
pub(crate) fn paragraph(text: &str) -> String {
    text.lines().map(str::trim).filter(|line| !line.is_empty()).collect::<Vec<_>>().join(" ")
}

/// Whether line breaks mean nothing in it: no list, table, heading, quotation or block of code.
pub(crate) fn is_prose(text: &str) -> bool {
    let is_mark = |line: &str| {
        let line = line.trim_start();
        let number = line.trim_start_matches(|c: char| c.is_ascii_digit());
        let ordered = number.len() < line.len() && (number.starts_with(". ") || number.starts_with(") "));
        ordered || ["- ", "* ", "+ ", "|", "#", ">", "```", "~~~"].iter().any(|mark| line.starts_with(mark))
    };
    !text.lines().any(is_mark)
}

/// Every line but the empty ones moved to the right.
pub(crate) fn indent(text: &str) -> String {
    let indent = |line: &str| if line.is_empty() { String::new() } else { format!("  {line}") };
    text.lines().map(indent).collect::<Vec<_>>().join("\n")
}

/// With a capital at the beginning and a full stop at the end.
pub(crate) fn sentence(text: &str) -> String {
    let text = text.trim();
    let mut chars = text.chars();
    let Some(first) = chars.next() else { return String::new() };
    let stop = if text.ends_with(['.', '!', '?', ':']) { "" } else { "." };
    format!("{}{}{stop}", first.to_uppercase(), chars.as_str())
}

/// `a`, `b` and `c`.
pub(crate) fn names<N: AsRef<str>>(names: &[N], and: &str) -> String {
    join(&names.iter().map(|name| code(name.as_ref())).collect::<Vec<_>>(), and)
}

/// One, two and three.
pub(crate) fn join(words: &[String], and: &str) -> String {
    match words.split_last() {
        Some((last, [])) => last.clone(),
        Some((last, others)) => format!("{} {and} {last}", others.join(", ")),
        None => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn backticks_in_code_end_no_span() {
        assert_eq!(code("a"), "`a`");
        assert_eq!(code("a`b"), "``a`b``");
        assert_eq!(code("`a``"), "``` `a`` ```");
        assert_eq!(code("a\nb"), "`a b`");
        assert_eq!(fence("text", "```\nx\n```\n"), "````text\n```\nx\n```\n````");
    }

    #[test]
    fn marks_in_plain_text_stand_for_themselves_but_code_stays_code() {
        assert_eq!(escape("must be \"*\" or \"*.x\""), "must be \"\\*\" or \"\\*.x\"");
        assert_eq!(escape("a_b _c_ <d> [e]"), "a_b \\_c\\_ \\<d> \\[e\\]");
        assert_eq!(escape("must match `^[a-z_*]+$`"), "must match `^[a-z_*]+$`");
        assert_eq!(escape("``a`*`` *"), "``a`*`` \\*");
        assert_eq!(escape("a lone ` and *"), "a lone \\` and \\*");
    }

    #[test]
    fn plain_text_is_the_first_paragraph_without_marks() {
        assert_eq!(plain("A **bold** `co*de` [link](https://x.example)\nand more.\n\nElse."), {
            "A bold co*de link and more."
        });
        assert_eq!(plain("# Title"), "Title");
        assert_eq!(plain("\\*a\\*"), "*a*");
        assert_eq!(plain(""), "");
    }

    #[test]
    fn prose_has_no_line_with_a_mark() {
        assert!(is_prose("One\ntwo - three\n1984 was"));
        for text in ["x\n- y", "1. y", "| a |", "```", "# x"] {
            assert!(!is_prose(text), "{text}");
        }
    }

    #[test]
    fn a_sentence_begins_with_a_capital_and_ends() {
        assert_eq!(sentence("must be `a`"), "Must be `a`.");
        assert_eq!(sentence("Is it?"), "Is it?");
        assert_eq!(sentence(" "), "");
    }
}
