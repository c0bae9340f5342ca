//! Documents that must stay true: the architecture, the licence, change notes, decisions, error ids.

use std::collections::BTreeSet;

use super::{Finding, Tree};
use crate::workspace::Member;

const ARCHITECTURE: &str = "ARCHITECTURE.md";
const ERRORS: &str = "docs/errors.md";
/// A backticked word with one of these ends is a file's name even without a folder.
const FILE_ENDS: &[&str] = &[".rs", ".toml", ".md", ".yml", ".proto"];

pub(super) fn paths_in_the_architecture_exist(tree: &Tree, _: &[Member]) -> Vec<Finding> {
    let Some(text) = tree.text(ARCHITECTURE) else {
        return vec![Finding::new(ARCHITECTURE, "is missing")];
    };
    let mut findings = Vec::new();
    for (number, line) in text.lines().enumerate() {
        for word in backticked(line).filter(|word| is_path(word)) {
            let there = if word.contains('/') {
                tree.has(word)
            } else {
                tree.has(word) || tree.ending(&format!("/{word}")).next().is_some()
            };
            if !there {
                findings.push(Finding::new(
                    format!("{ARCHITECTURE}:{}", number + 1),
                    format!("`{word}` does not exist"),
                ));
            }
        }
    }
    findings
}

pub(super) fn every_crate_is_in_the_architecture(tree: &Tree, members: &[Member]) -> Vec<Finding> {
    let text = tree.text(ARCHITECTURE).unwrap_or_default();
    let words: BTreeSet<&str> =
        text.lines().flat_map(backticked).map(|word| word.trim_end_matches('/')).collect();
    members
        .iter()
        .filter(|member| !words.contains(member.folder.as_str()))
        .map(|member| {
            Finding::new(ARCHITECTURE, format!("says nothing about `{}` ({})", member.folder, member.name))
        })
        .collect()
}

fn backticked(line: &str) -> impl Iterator<Item = &str> {
    line.split('`').skip(1).step_by(2)
}

fn is_path(word: &str) -> bool {
    let plain = word.chars().all(|c| c.is_ascii_alphanumeric() || "_-./".contains(c));
    plain
        && !word.starts_with('/')
        && (word.contains('/') || FILE_ENDS.iter().any(|end| word.ends_with(end) && word != *end))
}

pub(super) fn licence(tree: &Tree, _: &[Member]) -> Vec<Finding> {
    match tree.text("LICENSE") {
        Some(text) if text.contains("Apache License") && text.contains("END OF TERMS AND CONDITIONS") => {
            Vec::new()
        }
        _ => vec![Finding::new("LICENSE", "must be the full text of the Apache License 2.0")],
    }
}

pub(super) fn change_notes(tree: &Tree, _: &[Member]) -> Vec<Finding> {
    tree.below("changes")
        .filter(|(path, text)| {
            *path != "changes/README.md" && (!path.ends_with(".md") || text.trim().is_empty())
        })
        .map(|(path, _)| Finding::new(path, "a change note is a .md file that says what a user notices"))
        .collect()
}

pub(super) fn decisions(tree: &Tree, _: &[Member]) -> Vec<Finding> {
    let numbered = |path: &str| {
        let name = path.strip_prefix("docs/decisions/").unwrap_or(path);
        let (number, title) = name.split_at_checked(4).unwrap_or_default();
        number.chars().all(|c| c.is_ascii_digit()) && title.starts_with('-') && title.ends_with(".md")
    };
    let mut findings = Vec::new();
    let mut numbers = BTreeSet::new();
    for (path, text) in tree.below("docs/decisions").filter(|(path, _)| !path.ends_with("/README.md")) {
        if !numbered(path) {
            findings.push(Finding::new(path, "is to be called NNNN-title.md"));
        } else if !numbers.insert(path.get(..19)) {
            findings.push(Finding::new(path, "has the number of another decision"));
        }
        for heading in ["## Context", "## Options", "## Questions", "## Decision", "## Consequences"] {
            if !text.lines().any(|line| line == heading) {
                findings.push(Finding::new(path, format!("lacks `{heading}`")));
            }
        }
    }
    findings
}

/// Ids are never renamed, and each has a heading that tells what to do: both ways.
pub(super) fn error_ids_and_headings(tree: &Tree, _: &[Member]) -> Vec<Finding> {
    let Some(text) = tree.text(ERRORS) else { return Vec::new() };
    let headings: BTreeSet<&str> = text
        .lines()
        .filter_map(|line| line.strip_prefix("## "))
        .map(|id| id.trim().trim_matches('`'))
        .collect();
    let mut findings = Vec::new();
    let mut used = BTreeSet::new();
    for (path, source) in tree.ending(".rs").filter(|(path, _)| is_product(path)) {
        for id in ids(source) {
            used.insert(id);
            if !headings.contains(id) {
                findings.push(Finding::new(path, format!("error id `{id}` has no heading in {ERRORS}")));
            }
        }
    }
    for heading in headings.iter().filter(|heading| is_id(heading) && !used.contains(*heading)) {
        findings.push(Finding::new(ERRORS, format!("`{heading}` is an id that no source uses")));
    }
    findings
}

/// Not tests: they make up ids.
fn is_product(path: &str) -> bool {
    !path.starts_with("xtask/") && !path.split('/').any(|part| part == "tests" || part == "tests.rs")
}

/// Ids are lower case words joined by `-`; other headings of the page are prose.
fn is_id(heading: &str) -> bool {
    heading.contains('-') && heading.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-')
}

/// What stands in `.id("…")`, before the file's own test module.
fn ids(source: &str) -> impl Iterator<Item = &str> {
    let product = source.split("\n#[cfg(test)]\nmod ").next().unwrap_or_default();
    let code = product.lines().filter(|line| !line.trim_start().starts_with("//"));
    code.flat_map(|line| line.split(".id(\"").skip(1)).filter_map(|rest| rest.split('"').next())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(findings: &[Finding]) -> Vec<String> {
        findings.iter().map(|one| format!("{}: {}", one.place, one.text)).collect()
    }

    #[test]
    fn a_path_that_is_gone_is_found_in_the_architecture() {
        let tree = Tree::of([
            (
                ARCHITECTURE,
                "See `provider/schema`, `lib.rs`.\nAlso `provider/gone` and `Option<T>`, `a::b`, `gone.rs`.\n",
            ),
            ("provider/schema/src/lib.rs", ""),
        ]);
        let found = texts(&paths_in_the_architecture_exist(&tree, &[]));
        assert_eq!(
            found,
            [
                "ARCHITECTURE.md:2: `provider/gone` does not exist",
                "ARCHITECTURE.md:2: `gone.rs` does not exist"
            ]
        );
        assert_eq!(paths_in_the_architecture_exist(&Tree::default(), &[])[0].text, "is missing");
    }

    #[test]
    fn a_crate_that_the_architecture_does_not_name_is_found() {
        let tree = Tree::of([(ARCHITECTURE, "`provider/schema/` holds values.")]);
        let member = |folder: &str| Member {
            name: "x".to_owned(),
            folder: folder.to_owned(),
            dependencies: vec![],
            published: true,
        };
        let found =
            every_crate_is_in_the_architecture(&tree, &[member("provider/schema"), member("provider/docs")]);
        assert_eq!(texts(&found), ["ARCHITECTURE.md: says nothing about `provider/docs` (x)"]);
    }

    #[test]
    fn a_tree_without_its_licence_is_found() {
        assert_eq!(licence(&Tree::default(), &[]).len(), 1);
        assert_eq!(licence(&Tree::of([("LICENSE", "Apache License, see elsewhere")]), &[]).len(), 1);
    }

    #[test]
    fn an_empty_change_note_is_found() {
        let tree = Tree::of([
            ("changes/good.md", "Sets may be unknown.\n"),
            ("changes/bad.md", "\n"),
            ("changes/x.txt", "x"),
        ]);
        let found = change_notes(&tree, &[]);
        assert_eq!(
            found.iter().map(|one| one.place.as_str()).collect::<Vec<_>>(),
            ["changes/bad.md", "changes/x.txt"]
        );
    }

    #[test]
    fn a_decision_has_a_number_of_its_own_and_its_headings() {
        let whole = "# T\n## Context\n## Options\n## Questions\n## Decision\n## Consequences\n";
        let tree = Tree::of([
            ("docs/decisions/0001-a.md", whole),
            ("docs/decisions/0001-b.md", whole),
            ("docs/decisions/0002-c.md", "# T\n## Context\n## Options\n## Questions\n## Decision\n"),
            ("docs/decisions/third.md", whole),
        ]);
        assert_eq!(
            texts(&decisions(&tree, &[])),
            [
                "docs/decisions/0001-b.md: has the number of another decision",
                "docs/decisions/0002-c.md: lacks `## Consequences`",
                "docs/decisions/third.md: is to be called NNNN-title.md",
            ]
        );
    }

    #[test]
    fn ids_and_headings_must_match_both_ways() {
        let tree = Tree::of([
            (ERRORS, "# Errors\n## Reading this\n## `time-out`\n## not-used\n"),
            (
                "a/src/lib.rs",
                "f().id(\"time-out\");\nf().id(\"no-heading\");\n// .id(\"in-comment\")\n#[cfg(test)]\nmod tests { x.id(\"made-up\") }",
            ),
            ("a/tests/x.rs", "f().id(\"made-up-too\")"),
        ]);
        assert_eq!(
            texts(&error_ids_and_headings(&tree, &[])),
            [
                "a/src/lib.rs: error id `no-heading` has no heading in docs/errors.md",
                "docs/errors.md: `not-used` is an id that no source uses",
            ]
        );
    }
}
