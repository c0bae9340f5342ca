//! `docs/framework/coverage.md`: the table of who proves what, and the comparison with what is committed.
//!
//! Another machine has another patch version of the command lines, so the comparison looks at who proved what with
//! which product, not at versions.

use std::collections::{BTreeMap, BTreeSet};

use tfplugin_testing::cli::Outcome;
use tfplugin_testing::coverage::{self, IN_PROCESS, InScope, Record};

const HEAD: &str = "# What is proved, and by which test

Written by `cargo xtask docs` from what the tests of the last `cargo xtask test` noted (`.covers(…)`, `coverage!`); do not edit.
What must be here is listed in `acceptance-tests/src/scope.rs`: an empty cell of it fails the run. A cell names the versions that
passed; a test that a command line is too old for is skipped there, with the reason.

";

const PRODUCTS: [(&str, &str); 3] =
    [("terraform", "Terraform"), ("opentofu", "OpenTofu"), (IN_PROCESS, "In-process")];

/// The page, and what is wrong.
pub struct Page {
    /// In Markdown.
    pub markdown: String,
    /// What is in scope and proved by nobody.
    pub missing: Vec<String>,
    /// Products of which no test ran at all: nothing can be said about their columns.
    pub absent: Vec<&'static str>,
}

/// The page of all records.
pub fn page(records: &[Record], scope: &[InScope<'_>]) -> Page {
    let passed = |product: &str| {
        records.iter().any(|record| record.outcome == Outcome::Passed && product_of(record) == product)
    };
    let absent: Vec<&str> =
        PRODUCTS.iter().map(|(product, _)| *product).filter(|product| !passed(product)).collect();
    let table = coverage::table(records, scope);
    let unjudged = |line: &String| absent.iter().any(|product| line.ends_with(&format!("({product})")));
    let missing = table.missing.into_iter().filter(|line| !unjudged(line)).collect();
    let markdown = format!("{HEAD}{}\n{}", overview(records), table.markdown);
    Page { markdown, missing, absent }
}

fn product_of(record: &Record) -> &str {
    record.host.split(' ').next().unwrap_or_default()
}

/// How many behaviours of each RPC are proved with which product.
fn overview(records: &[Record]) -> String {
    let mut proved: BTreeMap<&str, [BTreeSet<&str>; 3]> = BTreeMap::new();
    for record in records {
        let cells = proved.entry(&record.rpc).or_default();
        for ((product, _), cell) in PRODUCTS.iter().zip(cells) {
            if record.outcome == Outcome::Passed && product_of(record) == *product {
                cell.insert(&record.behaviour);
            }
        }
    }
    let mut text =
        "## Behaviours proved, by RPC\n\n| RPC | Terraform | OpenTofu | In-process |\n|---|---|---|---|\n"
            .to_owned();
    for (rpc, cells) in proved {
        let count = |set: &BTreeSet<&str>| if set.is_empty() { String::new() } else { set.len().to_string() };
        text.push_str(&format!("| {rpc} | {} |\n", cells.each_ref().map(count).join(" | ")));
    }
    text + "\n## Behaviour by behaviour\n"
}

/// The first lines in which the committed page and the fresh one say something else; versions and what a missing
/// command line would have proved aside.
pub fn differences(committed: &str, fresh: &Page) -> Vec<String> {
    let (old, new) = (plain(committed, &fresh.absent), plain(&fresh.markdown, &fresh.absent));
    let gone = old.difference(&new).map(|line| format!("no longer so: {line}"));
    let news = new.difference(&old).map(|line| format!("not on the page: {line}"));
    gone.chain(news).collect()
}

/// The rows of the long table without versions and reasons.
fn plain(markdown: &str, absent: &[&str]) -> BTreeSet<String> {
    markdown.lines().filter_map(|line| plain_row(line, absent)).collect()
}

fn plain_row(line: &str, absent: &[&str]) -> Option<String> {
    let cells: Vec<&str> = line.strip_prefix("| ")?.strip_suffix(" |")?.split(" | ").map(str::trim).collect();
    let [rpc, behaviour, test, hosts @ ..] = cells.as_slice() else { return None };
    if hosts.len() != PRODUCTS.len() || *rpc == "RPC" {
        return None;
    }
    let mut row = format!("{rpc}: {behaviour}, by {test} with");
    for ((product, title), cell) in PRODUCTS.iter().zip(hosts) {
        // What passed comes before what was skipped.
        if !absent.contains(product) && !cell.is_empty() && !cell.starts_with("skipped") {
            row.push_str(&format!(" {title}"));
        }
    }
    Some(row)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SCOPE: &[InScope<'static>] =
        &[InScope { rpc: "Plan", behaviour: "defaults", hosts: &["terraform", "opentofu"] }];

    fn record(test: &str, host: &str, outcome: Outcome) -> Record {
        Record {
            rpc: "Plan".into(),
            behaviour: "defaults".into(),
            test: test.into(),
            host: host.into(),
            outcome,
        }
    }

    fn everywhere(terraform: &str) -> Vec<Record> {
        [terraform, "opentofu 1.12.6", IN_PROCESS].map(|host| record("t", host, Outcome::Passed)).to_vec()
    }

    #[test]
    fn another_patch_version_makes_no_page_stale() {
        let old = page(&everywhere("terraform 1.11.4"), SCOPE);
        let mut records = everywhere("terraform 1.11.7");
        records.push(record("t", "terraform 1.5.7", Outcome::Skipped("too old".into())));
        assert_eq!(differences(&old.markdown, &page(&records, SCOPE)), Vec::<String>::new());
    }

    #[test]
    fn another_test_or_a_lost_product_does() {
        let old = page(&everywhere("terraform 1.11.4"), SCOPE);
        let mut records = everywhere("terraform 1.11.4");
        records.push(record("u", IN_PROCESS, Outcome::Passed));
        let fresh = differences(&old.markdown, &page(&records, SCOPE));
        assert_eq!(fresh, ["not on the page: Plan: defaults, by `u` with In-process"]);
        let mut records = everywhere("terraform 1.11.4");
        records[1].outcome = Outcome::Skipped("no".into());
        records.push(Record { behaviour: "other".into(), ..record("t", "opentofu 1.12.6", Outcome::Passed) });
        let page = page(&records, SCOPE);
        assert_eq!(page.missing, ["Plan: defaults (opentofu)"]);
        assert_eq!(differences(&old.markdown, &page).len(), 3);
    }

    #[test]
    fn of_a_command_line_that_is_not_there_nothing_is_said() {
        let old = page(&everywhere("terraform 1.11.4"), SCOPE);
        let mut records = everywhere("terraform 1.11.4");
        records[1].outcome = Outcome::Skipped("not found".into());
        let page = page(&records, SCOPE);
        assert_eq!((page.absent.as_slice(), page.missing.len()), (["opentofu"].as_slice(), 0));
        assert_eq!(differences(&old.markdown, &page), Vec::<String>::new());
    }
}
