//! `docs/framework/first-provider.md` shows what runs: its Rust and HCL are words of this crate's files, and the
//! provider in it is `src/main.rs`, all of it.

const GUIDE: &str = include_str!("../../../docs/framework/first-provider.md");
const MAIN: &str = include_str!("../src/main.rs");
const FILES: &[&str] = &[
    MAIN,
    include_str!("../src/tests.rs"),
    include_str!("terraform.rs"),
    include_str!("grown.rs"),
    include_str!("../examples/resources/first_note/resource.tf"),
    include_str!("../../../.cargo/config.toml"),
];
/// What the guide's title promises. Blank lines, comments and closing brackets do not count.
const LINES: usize = 40;

/// The fenced blocks of a language.
fn blocks(language: &str) -> Vec<&'static str> {
    let open = format!("\n```{language}\n");
    let bodies = GUIDE.split(open.as_str()).skip(1);
    bodies.map(|rest| rest.split("\n```\n").next().unwrap_or(rest)).collect()
}

#[test]
fn the_provider_in_the_guide_is_the_one_that_is_tested() {
    assert_eq!(blocks("rust").first().copied(), Some(MAIN.trim_end()));
}

#[test]
fn every_piece_of_code_in_the_guide_is_in_a_file_that_compiles() {
    let all = ["rust", "terraform"].map(blocks).concat();
    assert!(all.len() > 5, "the guide has lost its code");
    for block in all {
        // What is indented in its file stands in the guide as it is there.
        assert!(FILES.iter().any(|file| file.contains(block)), "in no file of this crate:\n{block}");
    }
    assert!(
        FILES[5].contains("AWS_LC_SYS_NO_JITTER_ENTROPY = \"1\"")
            && GUIDE.contains("AWS_LC_SYS_NO_JITTER_ENTROPY = \"1\"")
    );
}

#[test]
fn the_provider_has_forty_lines() {
    let says_something = |line: &&str| {
        let line = line.trim();
        !line.starts_with("//") && line.chars().any(|c| !matches!(c, '}' | ')' | ']' | ';'))
    };
    let count = MAIN.lines().filter(says_something).count();
    assert!(count <= LINES, "{count} lines, where the guide promises {LINES}");
}
