//! What must not be there: the invariants of ARCHITECTURE.md that can be read off the text of a crate.

use super::{Finding, Tree};
use crate::workspace::Member;

/// Words that a folder's product code never contains.
struct Absence {
    folder: &'static str,
    words: &'static [&'static str],
    reason: &'static str,
}

const ABSENCES: &[Absence] = &[
    Absence {
        folder: "provider/schema/src",
        words: &["Instant::now", "SystemTime::now", "Timestamp::now", "Zoned::now"],
        reason: "the schema crate reads no clock: take the time as an argument",
    },
    Absence {
        folder: "provider/schema/src",
        words: &["std::fs", "std::env", "std::process", "TcpStream", "UdpSocket", "UnixStream"],
        reason: "the schema crate touches nothing outside itself",
    },
    Absence {
        folder: "provider/schema/src",
        words: &["tokio::", "tonic::", "async fn", ".await"],
        reason: "the schema crate is synchronous and knows no gRPC",
    },
    Absence {
        folder: "provider/derive/src",
        words: &["std::fs", "std::process", "TcpStream"],
        reason: "a macro's output depends on its input alone",
    },
    Absence {
        folder: "provider/framework/src",
        words: &["default_provider().install", "install_default("],
        reason: "TLS is an explicit aws-lc-rs provider, never the process's default, which a dependency may change",
    },
    Absence {
        folder: "provider/framework/src",
        words: &["thread::sleep", "std::process::Command"],
        reason: "whatever waits can be cancelled: tokio::time::sleep under the context's deadline",
    },
];

pub(super) fn what_a_crate_promises_not_to_contain(tree: &Tree, _: &[Member]) -> Vec<Finding> {
    let mut findings = Vec::new();
    for absence in ABSENCES {
        for (path, text) in tree.below(absence.folder).filter(|(path, _)| is_code(path)) {
            for (number, line) in product(text) {
                if let Some(word) = absence.words.iter().find(|word| line.contains(*word)) {
                    findings.push(Finding::new(
                        format!("{path}:{number}"),
                        format!("`{word}`: {}", absence.reason),
                    ));
                }
            }
        }
    }
    findings
}

fn is_code(path: &str) -> bool {
    path.ends_with(".rs") && !path.split('/').any(|part| part == "tests" || part == "tests.rs")
}

/// Numbered lines that are neither comment nor test.
fn product(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let lines = text.lines().enumerate().map(|(index, line)| (index + 1, line));
    // By custom the tests are last in a file.
    let product = lines.take_while(|(_, line)| *line != "#[cfg(test)]");
    product.filter(|(_, line)| !line.trim_start().starts_with("//"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_in_the_schema_crate_is_found_and_one_in_its_comments_or_tests_is_not() {
        let text = "//! Reads no Instant::now.\nfn f() { Instant::now(); }\n#[cfg(test)]\nmod tests { Instant::now(); }\n";
        let tree = Tree::of([
            ("provider/schema/src/a.rs", text),
            ("provider/schema/src/b/tests.rs", "Instant::now()"),
            ("provider/framework/src/a.rs", "Instant::now()"),
        ]);
        let findings = what_a_crate_promises_not_to_contain(&tree, &[]);
        assert_eq!(
            findings.iter().map(|one| one.place.as_str()).collect::<Vec<_>>(),
            ["provider/schema/src/a.rs:2"]
        );
    }

    #[test]
    fn every_promise_is_about_a_folder_of_the_architecture() {
        let architecture = include_str!("../../../ARCHITECTURE.md");
        for absence in ABSENCES {
            let folder = absence.folder.trim_end_matches("/src");
            assert!(architecture.contains(&format!("**`{folder}`**")), "{folder}");
        }
    }
}
