//! The programs that tests run and that no package manager here has: built once from the Go module proxy,
//! kept in the cache, handed to tests through environment variables.
//!
//! Versions are pinned by the committed `go.mod` and `go.sum` under `xtask/tools/`, so a build is by digest.

mod deny;
mod go;
mod oracle;
mod recipe;

use std::path::{Path, PathBuf};

pub(crate) use deny::cargo_deny;
pub(crate) use go::has_go;

use crate::cache;
use crate::failure::{Failure, Outcome};
use crate::process::on_path;
use crate::workspace::Workspace;

/// The Terraform that the whole suite runs on.
const TERRAFORM: &str = "TFPLUGIN_TERRAFORM";

/// What was found or built, and what could not be had.
#[derive(Default)]
pub(crate) struct Ready {
    found: Vec<(&'static str, PathBuf)>,
    missing: Vec<Failure>,
}

impl Ready {
    /// The variables that tests read, each with the path of a program.
    pub(crate) fn environment(&self) -> impl Iterator<Item = (&'static str, &Path)> {
        self.found.iter().map(|(variable, path)| (*variable, path.as_path()))
    }

    /// What a test will skip aloud.
    pub(crate) fn missing(&self) -> &[Failure] {
        &self.missing
    }

    /// A failure if anything is missing.
    pub(crate) fn into_outcome(self) -> Outcome {
        let texts: Vec<String> = self.missing.iter().map(ToString::to_string).collect();
        if texts.is_empty() { Ok(()) } else { Err(Failure::new(texts.join("\n"))) }
    }

    fn path(&self, variable: &str) -> Option<PathBuf> {
        self.found.iter().find(|(name, _)| *name == variable).map(|(_, path)| path.clone())
    }

    fn take(&mut self, variable: &'static str, tool: Outcome<PathBuf>) {
        match tool {
            Ok(path) => self.found.push((variable, path)),
            Err(failure) => self.missing.push(failure),
        }
    }
}

/// Builds what is not in the cache yet. A tool that cannot be had is recorded, and the others follow.
///
/// A variable that is already set wins: whoever sets it wants that very program.
pub(crate) fn prepare(workspace: &Workspace) -> Outcome<Ready> {
    let tools = cache::tools_dir()?;
    let mut ready = Ready::default();
    let mut go = go::Go::default();
    for recipe in recipe::ALL {
        let tool = match chosen(recipe.variable) {
            Some(path) => Ok(path),
            None => recipe.ensure(&tools, &mut go),
        };
        ready.take(recipe.variable, tool);
    }
    // Any version will do here, the installed one first; where none is, the newest that we built stands in.
    let installed = chosen(TERRAFORM).or_else(|| on_path("terraform"));
    if let Some(path) = installed.or_else(|| ready.path("TFPLUGIN_TERRAFORM_1_15")) {
        ready.take(TERRAFORM, Ok(path));
    }
    if let Some(path) = chosen(oracle::VARIABLE) {
        ready.take(oracle::VARIABLE, Ok(path));
    } else if let Some(tool) = oracle::ensure(workspace, &tools, &mut go) {
        ready.take(oracle::VARIABLE, tool);
    }
    Ok(ready)
}

fn chosen(variable: &str) -> Option<PathBuf> {
    std::env::var_os(variable).filter(|value| !value.is_empty()).map(PathBuf::from)
}
