//! `cargo xtask tidy`: the rules of this house that neither rustc nor clippy knows, checked in a second.
//!
//! Each rule is a pure function from the tree to findings, and its tests show a small tree that breaks it.

mod absent;
mod arrows;
mod documents;
mod pages;
mod sources;
mod tree;

use crate::failure::{Failure, Outcome};
use crate::workspace::{Member, Workspace};

use tree::Tree;

/// A broken rule: where, and what to do.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Finding {
    place: String,
    text: String,
}

impl Finding {
    fn new(place: impl Into<String>, text: impl Into<String>) -> Self {
        Self { place: place.into(), text: text.into() }
    }
}

/// One rule.
type Rule = fn(&Tree, &[Member]) -> Vec<Finding>;

const RULES: &[Rule] = &[
    arrows::only_the_listed_ones,
    arrows::test_arrows_are_by_path_alone,
    arrows::cloud_sdks_in_leaf_crates,
    absent::what_a_crate_promises_not_to_contain,
    sources::first_line_says_what_it_is_for,
    sources::length,
    sources::ignored_tests_have_a_reason,
    sources::no_path_of_one_machine,
    documents::paths_in_the_architecture_exist,
    documents::every_crate_is_in_the_architecture,
    documents::licence,
    documents::change_notes,
    documents::decisions,
    documents::error_ids_and_headings,
    pages::resource_example_page_and_test,
];

/// Checks everything; the failure lists every finding.
pub(crate) fn run(workspace: &Workspace) -> Outcome<String> {
    let tree = Tree::load(workspace)?;
    let members = workspace.members()?;
    let mut findings: Vec<Finding> = RULES.iter().flat_map(|rule| rule(&tree, &members)).collect();
    findings.sort();
    if findings.is_empty() {
        return Ok(format!("{} files, {} rules", tree.len(), RULES.len()));
    }
    let lines: Vec<String> =
        findings.iter().map(|finding| format!("{}: {}", finding.place, finding.text)).collect();
    Err(Failure::new(format!("tidy: {} findings\n{}", lines.len(), lines.join("\n"))))
}
