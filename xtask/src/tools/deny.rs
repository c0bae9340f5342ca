//! cargo-deny, which knows licences, bans and sources: installed into the cache at a pinned version.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use crate::cache;
use crate::failure::Outcome;
use crate::process::{Run, clock, on_path};
use crate::workspace::Workspace;

const VERSION: &str = "0.20.2";
const BUILD_LIMIT: Duration = Duration::from_secs(30 * 60);

/// The program: the one on PATH when it is the pinned version, else the cached one.
pub(crate) fn cargo_deny(workspace: &Workspace) -> Outcome<PathBuf> {
    if let Some(program) = on_path("cargo-deny").filter(|program| is_pinned(program)) {
        return Ok(program);
    }
    let tools = cache::tools_dir()?;
    let name = format!("cargo-deny-{VERSION}");
    let place = cache::ensure(&tools, &name, "1", BUILD_LIMIT, |folder| {
        let started = Instant::now();
        println!("  {name}: building, a few minutes once per machine");
        let target = folder.join("target");
        workspace
            .cargo(&name)
            .args(["install", "cargo-deny", "--version", VERSION, "--locked", "--no-track", "--root"])
            .args([folder.as_os_str(), "--target-dir".as_ref(), target.as_os_str()])
            // Run for a second at a time: built for building, not for running.
            .env("CARGO_PROFILE_RELEASE_OPT_LEVEL", "0")
            .env("CARGO_PROFILE_RELEASE_LTO", "off")
            .env("CARGO_PROFILE_RELEASE_CODEGEN_UNITS", "16")
            .env("CARGO_PROFILE_RELEASE_STRIP", "true")
            .limit(BUILD_LIMIT)
            .log_to(&folder.join("build.log"))?;
        // Half a gigabyte that nothing needs again.
        std::fs::remove_dir_all(&target)
            .map_err(|error| crate::failure::Failure::io("remove", &target, &error))?;
        println!("  {name}: built in {}", clock(started.elapsed()));
        Ok(())
    })?;
    Ok(place.join("bin").join(format!("cargo-deny{}", std::env::consts::EXE_SUFFIX)))
}

fn is_pinned(program: &Path) -> bool {
    let version = Run::new("cargo-deny --version", program).args(["--version"]).output();
    version.is_ok_and(|text| text.split_whitespace().any(|word| word == VERSION))
}
