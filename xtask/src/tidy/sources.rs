//! What every source file keeps to: a first line, a length, reasons, no path of one machine.

use super::{Finding, Tree};
use crate::workspace::Member;

/// A file past this has two ideas in it.
const MOST_LINES: usize = 600;
/// Longer on purpose, with the reason. Better empty.
const LONGER: &[(&str, &str)] = &[];

/// Files that a compiler's message is about: their first line is part of the expectation.
const COMPILE_TESTS: &str = "/tests/ui/";

pub(super) fn first_line_says_what_it_is_for(tree: &Tree, _: &[Member]) -> Vec<Finding> {
    tree.ending(".rs")
        .filter(|(path, text)| !path.contains(COMPILE_TESTS) && !text.starts_with("//!"))
        .map(|(path, _)| Finding::new(path, "the first line is `//!` and says what the file is for"))
        .collect()
}

pub(super) fn length(tree: &Tree, _: &[Member]) -> Vec<Finding> {
    too_long(tree, LONGER)
}

fn too_long(tree: &Tree, longer: &[(&str, &str)]) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (path, text) in tree.ending(".rs").chain(tree.ending(".go")) {
        let lines = text.lines().count();
        if lines > MOST_LINES && !longer.iter().any(|(listed, _)| *listed == path) {
            findings.push(Finding::new(
                path,
                format!("{lines} lines, more than {MOST_LINES}: which two ideas are in it?"),
            ));
        }
    }
    for (path, _) in longer {
        if tree.text(path).is_none_or(|text| text.lines().count() <= MOST_LINES) {
            findings.push(Finding::new(
                *path,
                "is listed as longer in xtask/src/tidy/sources.rs and is not: strike it out",
            ));
        }
    }
    findings
}

pub(super) fn ignored_tests_have_a_reason(tree: &Tree, _: &[Member]) -> Vec<Finding> {
    at_lines(tree, ".rs", |line| line.trim() == "#[ignore]")
        .map(|place| Finding::new(place, "give the reason: #[ignore = \"…\"]"))
        .collect()
}

pub(super) fn no_path_of_one_machine(tree: &Tree, _: &[Member]) -> Vec<Finding> {
    at_lines(tree, "", names_a_machine)
        .map(|place| {
            Finding::new(place, "an absolute path into somebody's home: derive it from the environment")
        })
        .collect()
}

fn names_a_machine(line: &str) -> bool {
    // Spelt in halves, so that this file passes its own rule.
    [concat!("/ho", "me/"), concat!("/ro", "ot/"), concat!("/Us", "ers/")].iter().any(|home| {
        line.match_indices(home).any(|(at, _)| {
            // `example.com/…` and `$BASE/…` go on from something; an absolute path begins here.
            let before = line.get(..at).and_then(|before| before.chars().next_back());
            !before.is_some_and(|c| c.is_alphanumeric() || "._-}~$".contains(c))
        })
    })
}

fn at_lines<'t>(
    tree: &'t Tree,
    end: &'t str,
    bad: impl Fn(&str) -> bool + 't,
) -> impl Iterator<Item = String> + 't {
    tree.ending(end).flat_map(move |(path, text)| {
        let numbers: Vec<usize> =
            text.lines().enumerate().filter(|(_, line)| bad(line)).map(|(number, _)| number + 1).collect();
        numbers.into_iter().map(move |number| format!("{path}:{number}"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_source_without_its_first_line_is_found_and_a_compile_test_is_not() {
        let tree = Tree::of([
            ("a/src/lib.rs", "//! Good.\n"),
            ("a/src/bad.rs", "use std::fmt;\n"),
            ("a/tests/ui/field.rs", "fn main() {}\n"),
        ]);
        let findings = first_line_says_what_it_is_for(&tree, &[]);
        assert_eq!(findings.iter().map(|one| one.place.as_str()).collect::<Vec<_>>(), ["a/src/bad.rs"]);
    }

    #[test]
    fn a_long_file_is_found_unless_listed_and_a_stale_listing_is_found_too() {
        let long = "x\n".repeat(MOST_LINES + 1);
        let tree =
            Tree::of([("long.rs", &*long), ("just.rs", &*"x\n".repeat(MOST_LINES)), ("notes.md", &*long)]);
        assert_eq!(too_long(&tree, &[])[0].place, "long.rs");
        assert_eq!(too_long(&tree, &[("long.rs", "a table")]), []);
        assert_eq!(too_long(&tree, &[("long.rs", "a table"), ("gone.rs", "was")])[0].place, "gone.rs");
    }

    #[test]
    fn an_ignored_test_without_a_reason_is_found_at_its_line() {
        let tree = Tree::of([("a.rs", "#[test]\n    #[ignore]\nfn f() {}\n#[ignore = \"slow\"]\n")]);
        assert_eq!(ignored_tests_have_a_reason(&tree, &[])[0].place, "a.rs:2");
        assert_eq!(ignored_tests_have_a_reason(&tree, &[]).len(), 1);
    }

    #[test]
    fn a_path_into_a_home_is_found_and_an_address_is_not() {
        let home = concat!("/ho", "me/ann/x");
        for bad in
            [format!("let p = \"{home}\";"), home.to_owned(), concat!("cd /ro", "ot/.cargo").to_owned()]
        {
            assert!(names_a_machine(&bad), "{bad}");
        }
        for good in [format!("https://example.com{home}"), format!("$PREFIX{home}"), "/homestead/".to_owned()]
        {
            assert!(!names_a_machine(&good), "{good}");
        }
    }
}
