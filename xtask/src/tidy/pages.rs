//! A resource is complete with its example, its page and a test on the real command line.

use super::{Finding, Tree};
use crate::workspace::Member;

/// A provider of ours and where its parts lie.
struct Provider {
    /// What its type names begin with.
    prefix: &'static str,
    sources: &'static str,
    /// Holds `resources/<type>/resource.tf`.
    examples: &'static str,
    /// Holds `resources/<name>.md`, the name without the prefix.
    pages: &'static str,
    tests: &'static str,
}

const PROVIDERS: &[Provider] = &[Provider {
    prefix: "corner",
    sources: "acceptance-tests/corner/src",
    examples: "acceptance-tests/corner/examples",
    pages: "acceptance-tests/corner/docs",
    tests: "acceptance-tests/tests",
}];

pub(super) fn resource_example_page_and_test(tree: &Tree, _: &[Member]) -> Vec<Finding> {
    PROVIDERS.iter().flat_map(|provider| check(tree, provider)).collect()
}

fn check(tree: &Tree, provider: &Provider) -> Vec<Finding> {
    let mut findings = Vec::new();
    let names: Vec<(&str, &str)> = tree
        .below(provider.sources)
        .flat_map(|(path, text)| declared(text).map(move |name| (path, name)))
        .collect();
    for (path, name) in &names {
        let full = format!("{}_{name}", provider.prefix);
        let mut lacks = |what: String| findings.push(Finding::new(*path, format!("`{full}` has no {what}")));
        // A part is demanded once its folder exists: a provider grows in that order.
        let example = format!("{}/resources/{full}/resource.tf", provider.examples);
        if tree.has(provider.examples) && !tree.has(&example) {
            lacks(format!("example {example}"));
        }
        let page = format!("{}/resources/{name}.md", provider.pages);
        if tree.has(provider.pages) && !tree.has(&page) {
            lacks(format!("page {page}: run `cargo xtask docs`"));
        }
        if tree.has(provider.tests) && !tree.below(provider.tests).any(|(_, text)| mentions(text, &full)) {
            lacks(format!("acceptance test below {}", provider.tests));
        }
    }
    for (path, _) in tree.below(&format!("{}/resources", provider.examples)) {
        let prefix = format!("{}/resources/{}_", provider.examples, provider.prefix);
        let name = path.strip_prefix(&prefix).and_then(|rest| rest.split('/').next()).unwrap_or_default();
        if !names.iter().any(|(_, declared)| *declared == name) {
            findings.push(Finding::new(path, "is an example of no resource"));
        }
    }
    findings
}

/// The names in `#[resource(name = "…")]`.
fn declared(source: &str) -> impl Iterator<Item = &str> {
    let attributes = source.lines().filter(|line| line.trim_start().starts_with("#[resource("));
    attributes.filter_map(|line| line.split("name = \"").nth(1)?.split('"').next())
}

/// As a whole word: `corner_map` is not tested by a test of `corner_map_empty`.
fn mentions(text: &str, full: &str) -> bool {
    text.match_indices(full).any(|(at, _)| {
        let after = text.get(at + full.len()..).and_then(|rest| rest.chars().next());
        !after.is_some_and(|c| c.is_ascii_alphanumeric() || c == '_')
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const SOURCE: (&str, &str) = (
        "acceptance-tests/corner/src/set.rs",
        "//! Sets.\n#[resource(name = \"set_unknown\", version = 2)]\nimpl X {}\n",
    );
    const EXAMPLE: (&str, &str) =
        ("acceptance-tests/corner/examples/resources/corner_set_unknown/resource.tf", "");
    const PAGE: (&str, &str) = ("acceptance-tests/corner/docs/resources/set_unknown.md", "");
    const TEST: (&str, &str) =
        ("acceptance-tests/tests/framework/set.rs", "resource \"corner_set_unknown\" \"a\" {}");

    #[test]
    fn a_complete_resource_passes() {
        assert_eq!(resource_example_page_and_test(&Tree::of([SOURCE, EXAMPLE, PAGE, TEST]), &[]), []);
    }

    #[test]
    fn each_missing_part_is_named_once_its_folder_exists() {
        assert_eq!(resource_example_page_and_test(&Tree::of([SOURCE]), &[]), []);
        let other = [
            ("acceptance-tests/corner/examples/provider/provider.tf", ""),
            ("acceptance-tests/corner/docs/index.md", ""),
            ("acceptance-tests/tests/framework/set.rs", "corner_set_unknown_two"),
        ];
        let findings = resource_example_page_and_test(&Tree::of([SOURCE, other[0], other[1], other[2]]), &[]);
        let texts: Vec<&str> = findings.iter().map(|one| one.text.as_str()).collect();
        assert_eq!(texts.len(), 3, "{texts:?}");
        assert!(
            texts[0].contains("example") && texts[1].contains("page") && texts[2].contains("acceptance test")
        );
    }

    #[test]
    fn an_example_of_nothing_is_found() {
        assert_eq!(resource_example_page_and_test(&Tree::of([EXAMPLE]), &[])[0].place, EXAMPLE.0);
    }
}
