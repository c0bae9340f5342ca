//! Runs the installed Terraform on a directory of its own, and watches the provider while it does.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;
use std::{fmt, fs};

use serde_json::Value;

use super::Outcome;
use super::watch::{Usage, Watch, children_cpu};

/// A module, and the provider that is overridden in it.
pub struct Project {
    dir: tempfile::TempDir,
    program: String,
}

/// What one command took.
#[derive(Clone, Copy, Debug)]
pub struct Run {
    /// From start to end.
    pub seconds: f64,
    /// Processor time of Terraform and the provider together.
    pub cpu_seconds: f64,
    /// What the provider's processes used.
    pub usage: Usage,
}

impl fmt::Display for Run {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Run { seconds, cpu_seconds, usage } = self;
        write!(f, "{seconds:.2} s ({cpu_seconds:.2} s CPU, {:.2} s of it the provider's)", usage.cpu_seconds)
    }
}

/// What a plan is expected to find.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expect {
    /// Something to do.
    Changes,
    /// Nothing to do.
    Nothing,
}

impl Project {
    /// A module of this HCL. `provider` is the address and the binary that stands for it.
    pub fn new(hcl: &str, provider: Option<(&str, &Path)>) -> Outcome<Project> {
        let dir = tempfile::tempdir()?;
        fs::create_dir(dir.path().join("module"))?;
        fs::write(dir.path().join("module").join("main.tf"), hcl)?;
        let mut config = String::new();
        let mut program = String::from("terraform-provider-");
        if let Some((address, binary)) = provider {
            let name = address.rsplit('/').next().unwrap_or(address);
            program.push_str(name);
            let plugins = dir.path().join("plugins");
            fs::create_dir(&plugins)?;
            // A copy and no link, so that the process is called as Terraform expects.
            fs::copy(binary, plugins.join(&program))?;
            config = format!(
                "provider_installation {{\n  dev_overrides {{ {address:?} = {:?} }}\n  direct {{}}\n}}\n",
                plugins.display().to_string()
            );
        }
        fs::write(dir.path().join("cli.tfrc"), config)?;
        Ok(Project { dir, program })
    }

    /// Plans.
    pub fn plan(&self, expect: Expect) -> Outcome<Run> {
        let (run, code) = self.run(&["plan", "-input=false", "-no-color", "-detailed-exitcode"])?;
        match (expect, code) {
            (Expect::Changes, 2) | (Expect::Nothing, 0) => Ok(run),
            _ => Err(format!("the plan ended with {code} where {expect:?} was expected").into()),
        }
    }

    /// Applies.
    pub fn apply(&self) -> Outcome<Run> {
        let (run, code) = self.run(&["apply", "-input=false", "-no-color", "-auto-approve"])?;
        if code == 0 { Ok(run) } else { Err(format!("the apply ended with {code}").into()) }
    }

    /// Puts another module in the place of this one.
    pub fn write(&self, hcl: &str) -> Outcome<()> {
        Ok(fs::write(self.dir.path().join("module").join("main.tf"), hcl)?)
    }

    /// The state after an apply.
    pub fn state(&self) -> Outcome<Value> {
        let text = fs::read(self.dir.path().join("module").join("terraform.tfstate"))?;
        Ok(serde_json::from_slice(&text)?)
    }

    /// Puts another state in the place of this one.
    pub fn write_state(&self, state: &Value) -> Outcome<()> {
        Ok(fs::write(self.dir.path().join("module").join("terraform.tfstate"), state.to_string())?)
    }

    /// Forgets everything that was applied.
    pub fn forget(&self) -> Outcome<()> {
        for file in ["terraform.tfstate", "terraform.tfstate.backup"] {
            match fs::remove_file(self.dir.path().join("module").join(file)) {
                Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error.into()),
                _ => {}
            }
        }
        Ok(())
    }

    fn run(&self, arguments: &[&str]) -> Outcome<(Run, i32)> {
        let errors = self.dir.path().join("stderr");
        let mut command = Command::new(terraform());
        for (name, _) in std::env::vars_os() {
            if name.to_string_lossy().starts_with("TF_") {
                command.env_remove(name);
            }
        }
        command
            .args(arguments)
            .current_dir(self.dir.path().join("module"))
            .env("TF_CLI_CONFIG_FILE", self.dir.path().join("cli.tfrc"))
            .env("CHECKPOINT_DISABLE", "1")
            .env("TF_IN_AUTOMATION", "1")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(fs::File::create(&errors)?);
        let before = children_cpu();
        let started = Instant::now();
        let mut child = command.spawn().map_err(|error| format!("cannot start terraform: {error}"))?;
        let watch = Watch::children(child.id(), &self.program);
        let status = child.wait()?;
        let seconds = started.elapsed().as_secs_f64();
        let usage = watch.stop();
        let code = status.code().unwrap_or(-1);
        if code != 0 && code != 2 {
            return Err(format!("terraform {arguments:?}:\n{}", fs::read_to_string(&errors)?).into());
        }
        Ok((Run { seconds, cpu_seconds: children_cpu() - before, usage }, code))
    }
}

/// The installed Terraform.
fn terraform() -> PathBuf {
    std::env::var_os("TFPLUGIN_TERRAFORM").map_or_else(|| "terraform".into(), PathBuf::from)
}
