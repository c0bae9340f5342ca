//! A resource is complete with its example, its page and a test on the real command line.

use super::{Finding, Tree};
use crate::workspace::Member;

/// A kind of thing that a provider declares, and what the registry calls its folder and example.
struct Kind {
    attribute: &'static str,
    folder: &'static str,
    example: &'static str,
}

const KINDS: &[Kind] = &[
    Kind { attribute: "#[resource(", folder: "resources", example: "resource.tf" },
    Kind { attribute: "#[data_source(", folder: "data-sources", example: "data-source.tf" },
    Kind { attribute: "#[ephemeral(", folder: "ephemeral-resources", example: "ephemeral-resource.tf" },
];

/// A provider of ours and where its parts lie.
struct Provider {
    /// What its type names begin with.
    prefix: &'static str,
    sources: &'static str,
    /// Holds `resources/<type>/resource.tf` and the like.
    examples: &'static str,
    /// Holds `resources/<name>.md` and the like, the name without the prefix.
    pages: &'static str,
    /// Where its acceptance tests are: in one of these.
    tests: &'static [&'static str],
    /// Whether each page of a resource says what was never run against a live system.
    says_what_is_unproved: bool,
}

/// How the paragraph begins that says it.
const UNPROVED: &str = "Not proved live:";

const PROVIDERS: &[Provider] = &[
    Provider {
        prefix: "corner",
        sources: "acceptance-tests/corner/src",
        examples: "acceptance-tests/corner/examples",
        pages: "acceptance-tests/corner/docs",
        tests: &["acceptance-tests/corner/tests"],
        says_what_is_unproved: false,
    },
    Provider {
        prefix: "streamverse",
        sources: "provider/plugin/src",
        examples: "examples",
        pages: "docs/provider",
        tests: &["acceptance-tests/platform/tests", "acceptance-tests/runpod/tests"],
        says_what_is_unproved: true,
    },
];

pub(super) fn resource_example_page_and_test(tree: &Tree, _: &[Member]) -> Vec<Finding> {
    let both = PROVIDERS.iter().flat_map(|provider| KINDS.iter().map(move |kind| (provider, kind)));
    both.flat_map(|(provider, kind)| check(tree, provider, kind)).collect()
}

fn check(tree: &Tree, provider: &Provider, kind: &Kind) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut names: Vec<(&str, &str)> = tree
        .below(provider.sources)
        .flat_map(|(path, text)| declared(text, kind.attribute).map(move |name| (path, name)))
        .collect();
    // Pages are written from the provider itself: they also name what a macro or a builder declares.
    let pages = format!("{}/{}/", provider.pages, kind.folder);
    for (path, _) in tree.below(pages.trim_end_matches('/')) {
        let name = path.strip_prefix(&pages).and_then(|file| file.strip_suffix(".md"));
        names.extend(
            name.filter(|name| names.iter().all(|(_, known)| known != name)).map(|name| (path, name)),
        );
    }
    let examples = format!("{}/{}", provider.examples, kind.folder);
    for (path, name) in &names {
        let full = format!("{}_{name}", provider.prefix);
        let mut lacks = |what: String| findings.push(Finding::new(*path, format!("`{full}` has no {what}")));
        // A part is demanded once its folder exists: a provider grows in that order.
        let example = format!("{examples}/{full}/{}", kind.example);
        if tree.has(provider.examples) && !tree.has(&example) {
            lacks(format!("example {example}"));
        }
        let page = format!("{}/{}/{name}.md", provider.pages, kind.folder);
        if tree.has(provider.pages) && !tree.has(&page) {
            lacks(format!("page {page}: run `cargo xtask docs`"));
        }
        // What was never run against a live system is said where users read.
        let silent = |(path, text): (&str, &str)| path == page && !text.contains(UNPROVED);
        let told = provider.says_what_is_unproved && kind.folder == "resources";
        if told && tree.below(provider.pages).any(silent) {
            lacks(format!(
                "paragraph `{UNPROVED} …` in its doc comment: say what never ran against a live system"
            ));
        }
        let there = provider.tests.iter().any(|folder| tree.has(folder));
        let mut texts = provider.tests.iter().flat_map(|folder| tree.below(folder));
        if there && !texts.any(|(_, text)| mentions(text, &full)) {
            lacks(format!("acceptance test below {}", provider.tests.join(" or ")));
        }
    }
    for (path, _) in tree.below(&examples) {
        let prefix = format!("{examples}/{}_", provider.prefix);
        let name = path.strip_prefix(&prefix).and_then(|rest| rest.split('/').next()).unwrap_or_default();
        if !names.iter().any(|(_, declared)| *declared == name) {
            findings.push(Finding::new(path, "is an example of nothing that the provider has"));
        }
    }
    findings
}

/// The names in `#[resource(name = "…", …)]`, on one line or several; not those in comments and strings.
fn declared<'s>(source: &'s str, attribute: &'s str) -> impl Iterator<Item = &'s str> {
    source.match_indices(attribute).filter_map(move |(at, _)| {
        let (before, from) = source.split_at_checked(at)?;
        let line_begins = before.rsplit('\n').next().is_some_and(|start| start.trim().is_empty());
        let inside = from.split(")]").next().filter(|_| line_begins)?;
        inside.split("name = \"").nth(1)?.split('"').next()
    })
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
        ("acceptance-tests/corner/tests/framework/set.rs", "resource \"corner_set_unknown\" \"a\" {}");

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
            ("acceptance-tests/corner/tests/framework/set.rs", "corner_set_unknown_two"),
        ];
        let findings = resource_example_page_and_test(&Tree::of([SOURCE, other[0], other[1], other[2]]), &[]);
        let texts: Vec<&str> = findings.iter().map(|one| one.text.as_str()).collect();
        assert_eq!(texts.len(), 3, "{texts:?}");
        assert!(
            texts[0].contains("example") && texts[1].contains("page") && texts[2].contains("acceptance test")
        );
    }

    #[test]
    fn every_kind_is_looked_at_however_its_attribute_is_laid_out() {
        let source = "#[data_source(\n    name = \"thing\",\n)]\n// #[data_source(name = \"not\")]\n#[ephemeral(name = \"lease\")]\n";
        let tree = Tree::of([
            ("acceptance-tests/corner/src/a.rs", source),
            ("acceptance-tests/corner/docs/index.md", ""),
        ]);
        let findings = resource_example_page_and_test(&tree, &[]);
        let texts: Vec<&str> = findings.iter().map(|one| one.text.as_str()).collect();
        assert_eq!(texts.len(), 2, "{texts:?}");
        assert!(texts[0].contains("docs/data-sources/thing.md"), "{texts:?}");
        assert!(texts[1].contains("docs/ephemeral-resources/lease.md"), "{texts:?}");
    }

    #[test]
    fn what_only_its_page_names_has_an_example_and_a_test_too() {
        assert_eq!(resource_example_page_and_test(&Tree::of([PAGE, EXAMPLE, TEST]), &[]), []);
        let test = ("acceptance-tests/corner/tests/framework/set.rs", "another");
        let findings = resource_example_page_and_test(&Tree::of([PAGE, EXAMPLE, test]), &[]);
        assert_eq!(findings.len(), 1, "{findings:?}");
        assert!(findings[0].place == PAGE.0 && findings[0].text.contains("acceptance test"), "{findings:?}");
    }

    #[test]
    fn a_page_that_does_not_say_what_never_ran_is_found() {
        let page = |text| ("docs/provider/resources/thing.md", text);
        let parts = [
            ("examples/resources/streamverse_thing/resource.tf", ""),
            ("acceptance-tests/platform/tests/thing.rs", "streamverse_thing"),
        ];
        let of = |text| resource_example_page_and_test(&Tree::of([page(text), parts[0], parts[1]]), &[]);
        assert_eq!(of("A thing.\n\nNot proved live: its pods never ran."), []);
        assert!(of("A thing.")[0].text.contains("never ran"), "{:?}", of("A thing."));
    }

    #[test]
    fn an_example_of_nothing_is_found() {
        assert_eq!(resource_example_page_and_test(&Tree::of([EXAMPLE]), &[])[0].place, EXAMPLE.0);
    }
}
