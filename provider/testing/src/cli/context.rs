//! What a hook of a step can see and do.

use std::{ffi::OsString, path::Path};

use super::{
    Cli, Failure, Output, PlanJson, StateJson,
    sandbox::{How, WorkingDir},
};

/// The working directory of a step, for its hooks.
pub struct Context<'c> {
    pub(crate) cli: &'c Cli,
    pub(crate) dir: &'c WorkingDir<'c>,
    pub(crate) how: How<'c>,
    pub(crate) first_command: u32,
    pub(crate) plan: Option<&'c PlanJson>,
    pub(crate) outputs: &'c [Output],
}

impl Context<'_> {
    /// The command line under test.
    pub fn cli(&self) -> &Cli {
        self.cli
    }

    /// Where `main.tf` and `terraform.tfstate` are.
    pub fn dir(&self) -> &Path {
        &self.dir.path
    }

    /// The state as it is now.
    pub fn state(&self) -> Result<StateJson, Failure> {
        self.dir.show_state(self.how)
    }

    /// The step's plan, if the step has plan checks.
    pub fn plan(&self) -> Option<&PlanJson> {
        self.plan
    }

    /// What the step's commands printed so far, in order.
    pub fn outputs(&self) -> &[Output] {
        self.outputs
    }

    /// The log of the step's commands; see [`Case::log_level`](super::Case::log_level).
    pub fn log(&self) -> Result<String, Failure> {
        self.dir.sandbox.log_since(self.first_command)
    }

    /// Runs another command of the same command line, in the same directory and environment.
    pub fn run<S: Into<OsString>>(&self, args: impl IntoIterator<Item = S>) -> Result<Output, Failure> {
        self.dir.run(args, self.how)
    }
}
