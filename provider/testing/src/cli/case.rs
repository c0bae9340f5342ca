//! A case: a command line, providers, steps, and the proof that nothing is left at the end.

use std::{
    env,
    ffi::OsString,
    panic::Location,
    path::Path,
    time::{Duration, Instant},
};

use super::{
    Checked, Cli, Failure, Feature, StateJson, Step, binary, run,
    sandbox::{How, Sandbox, Setup, WorkingDir},
    secrets,
};
use crate::coverage;

/// What became of a case or a step.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Everything held.
    Passed,
    /// It could not be run, and why.
    Skipped(String),
}

/// What became of a step, and how long it took.
#[derive(Clone, Debug)]
pub struct StepReport {
    /// Number and name.
    pub title: String,
    /// Passed or skipped; a failed step ends the case.
    pub outcome: Outcome,
    /// From the first hook to the last check.
    pub took: Duration,
}

/// What became of a case that did not fail.
#[derive(Clone, Debug)]
pub struct Report {
    /// Of the whole case.
    pub outcome: Outcome,
    /// One for each step; none when the case was skipped.
    pub steps: Vec<StepReport>,
}

/// RPC and behaviour, and what became of them.
type Covered = Vec<((String, String), Outcome)>;

/// Called after the last destroy, with the state before it.
type Destroyed<'a> = Box<dyn FnOnce(&StateJson) -> Checked + 'a>;

/// A test of a provider with a real command line.
///
/// ```no_run
/// use tfplugin_testing::cli::{Action, Case, Cli, Step, action, unknown, value};
///
/// # fn main() -> Result<(), tfplugin_testing::cli::Failure> {
/// let cli = Cli::terraform()?;
/// let binary = "target/debug/terraform-provider-acme";
/// Case::new(&cli)
///     .provider("registry.terraform.io/acme/acme", binary)
///     .step(
///         Step::apply(r#"resource "acme_cache" "a" { name = "x" }"#)
///             .plan(action("acme_cache.a", Action::Create))
///             .plan(unknown("acme_cache.a", "endpoint"))
///             .state(value("acme_cache.a", "name", "x")),
///     )
///     .step(Step::import("acme_cache.a", "x"))
///     .run()?;
/// # Ok(())
/// # }
/// ```
///
/// `run` ends with a destroy, even when a step has failed, so that no object is left behind.
#[must_use = "a case does nothing until it is run"]
pub struct Case<'a> {
    cli: &'a Cli,
    name: String,
    place: String,
    setup: Setup,
    timeout: Duration,
    secrets: Vec<String>,
    requires: Vec<Feature>,
    covers: Vec<(String, String)>,
    steps: Vec<Step<'a>>,
    destroyed: Option<Destroyed<'a>>,
}

impl<'a> Case<'a> {
    /// A case without steps. It is called after the test that makes it.
    #[track_caller]
    pub fn new(cli: &'a Cli) -> Self {
        let place = Location::caller();
        Self {
            cli,
            name: coverage::test_name(place),
            place: coverage::test_name(place),
            setup: Setup::default(),
            timeout: Duration::from_secs(120),
            secrets: Vec::new(),
            requires: Vec::new(),
            covers: Vec::new(),
            steps: Vec::new(),
            destroyed: None,
        }
    }

    /// How failures and skips call it, when the name of the test is not enough.
    pub fn named(mut self, name: impl Into<String>) -> Self {
        self.name = name.into();
        self
    }

    /// A provider binary, under the address that configurations mean: `registry.terraform.io/acme/acme`.
    /// It is used as it is (`dev_overrides`), without `init`; a configuration need not name it in
    /// `required_providers`.
    pub fn provider(mut self, address: &str, binary: impl AsRef<Path>) -> Self {
        self.setup.providers.push((address.to_owned(), binary.as_ref().to_owned()));
        self
    }

    /// Providers that run already, such as in this very process: the text of `TF_REATTACH_PROVIDERS`.
    pub fn reattach(mut self, json: impl Into<String>) -> Self {
        self.setup.reattach = Some(json.into());
        self
    }

    /// An environment variable for every command and so for the provider. Nothing but the `PATH` and the like
    /// is inherited.
    pub fn env(mut self, name: impl Into<OsString>, value: impl Into<OsString>) -> Self {
        self.setup.env.insert(name.into(), value.into());
        self
    }

    /// Passes on an environment variable of the test, if it is set.
    pub fn inherit_env(mut self, name: &str) -> Self {
        self.setup.inherited.push(name.to_owned());
        self
    }

    /// The value of an input variable, for every step, passed through the environment.
    pub fn var(self, name: &str, value: impl Into<OsString>) -> Self {
        self.env(format!("TF_VAR_{name}"), value)
    }

    /// The deadline of each command; two minutes unless said otherwise. At its end the command gets a Ctrl-C,
    /// and five seconds later it is killed with all its children.
    pub fn timeout(mut self, limit: Duration) -> Self {
        self.timeout = limit;
        self
    }

    /// Lets every command write its log at this level (`TRACE`); [`Context::log`](super::Context::log) has it.
    pub fn log_level(mut self, level: &str) -> Self {
        self.setup.log_level = Some(level.to_owned());
        self
    }

    /// After each step, none of these may be in a state, a plan file, the output or a log: neither as they
    /// are, nor as JSON, nor in base64. The configuration itself is not searched. Note that a saved plan keeps
    /// the values of input variables unless they are `ephemeral`.
    pub fn secrets_absent(mut self, secrets: &[&str]) -> Self {
        self.secrets.extend(secrets.iter().map(|&secret| secret.to_owned()));
        self
    }

    /// Skips the whole case, aloud, where the command line cannot do that.
    pub fn requires(mut self, feature: Feature) -> Self {
        self.requires.push(feature);
        self
    }

    /// For the coverage table: this case proves `behaviour` of `rpc`, once it has passed.
    pub fn covers(mut self, rpc: &str, behaviour: &str) -> Self {
        self.covers.push((rpc.to_owned(), behaviour.to_owned()));
        self
    }

    /// The next step.
    pub fn step(mut self, step: Step<'a>) -> Self {
        self.steps.push(step);
        self
    }

    /// Looks, after the last destroy, whether the objects are really gone. It is given the state before.
    pub fn check_destroyed(mut self, check: impl FnOnce(&StateJson) -> Checked + 'a) -> Self {
        self.destroyed = Some(Box::new(check));
        self
    }

    /// Runs all steps, then destroys what is left.
    ///
    /// With `TFPLUGIN_TEST_KEEP` set, the directory of a failed case stays and the failure names it.
    pub fn run(mut self) -> Result<Report, Failure> {
        let cli = self.cli;
        let path = match cli.path() {
            Ok(path) => path.to_owned(),
            Err(reason) => return Ok(self.skipped(reason.to_owned())),
        };
        if let Some(reason) = self.requires.iter().find_map(|feature| feature.missing_in(cli)) {
            return Ok(self.skipped(reason));
        }
        let sandbox = Sandbox::new(&path, std::mem::take(&mut self.setup))?;
        let title = format!("{} ({cli})", self.name);
        let mut reports = Vec::new();
        let result = self.all(&sandbox, &mut reports);
        match result {
            Ok(covered) => {
                for ((rpc, behaviour), outcome) in &covered {
                    coverage::record(&cli.to_string(), rpc, behaviour, &self.place, outcome);
                }
                Ok(Report { outcome: Outcome::Passed, steps: reports })
            }
            Err(failure) if env::var_os("TFPLUGIN_TEST_KEEP").is_some() => {
                let kept = sandbox.keep();
                Err(failure.case(&title).note(format!("kept in {}", kept.display())))
            }
            Err(failure) => Err(failure.case(&title).note("set TFPLUGIN_TEST_KEEP=1 to keep its directory")),
        }
    }

    fn skipped(self, reason: String) -> Report {
        binary::skipped(&format!("{}: {reason}", self.name));
        let outcome = Outcome::Skipped(reason);
        let of_steps = self.steps.iter().flat_map(|step| &step.covers);
        for (rpc, behaviour) in self.covers.iter().chain(of_steps) {
            coverage::record(&self.cli.to_string(), rpc, behaviour, &self.place, &outcome);
        }
        Report { outcome, steps: Vec::new() }
    }

    /// All steps and the end; what is covered by it.
    fn all(&mut self, sandbox: &Sandbox, reports: &mut Vec<StepReport>) -> Result<Covered, Failure> {
        let dir = sandbox.working_dir("work")?;
        let mut covered = Covered::new();
        let mut result = Ok(());
        for (number, step) in std::mem::take(&mut self.steps).into_iter().enumerate() {
            let title = step.title(number + 1);
            let started = Instant::now();
            let missing = step.requires.iter().find_map(|feature| feature.missing_in(self.cli));
            let outcome = match missing {
                Some(reason) => {
                    binary::skipped(&format!("{}, step {title}: {reason}", self.name));
                    Outcome::Skipped(reason)
                }
                None => Outcome::Passed,
            };
            covered.extend(step.covers.iter().map(|what| (what.clone(), outcome.clone())));
            if outcome == Outcome::Passed {
                result = run::step(self.cli, &dir, self.timeout, step)
                    .and_then(|()| secrets::absent(sandbox, &self.secrets))
                    .map_err(|failure| failure.step(&title));
            }
            if result.is_err() {
                break;
            }
            reports.push(StepReport { title, outcome, took: started.elapsed() });
        }
        let destroyed = self.destroy(&dir).and_then(|()| match &result {
            Ok(()) => secrets::absent(sandbox, &self.secrets),
            Err(_) => Ok(()),
        });
        match (result, destroyed) {
            (Ok(()), destroyed) => destroyed.map_err(|failure| failure.step("the last destroy"))?,
            (Err(failure), Ok(())) => return Err(failure),
            (Err(failure), Err(end)) => {
                return Err(failure.note(format!("the last destroy failed too: {end}")));
            }
        }
        covered.extend(self.covers.iter().map(|what| (what.clone(), Outcome::Passed)));
        Ok(covered)
    }

    /// Destroys what is left with the last configuration that could be planned, then lets the test look.
    fn destroy(&mut self, dir: &WorkingDir<'_>) -> Result<(), Failure> {
        let check = self.destroyed.take();
        let good = dir.restore_good_configuration()?;
        let how = How { env: &good.env, timeout: self.timeout, interrupt: None };
        let mut before = StateJson(serde_json::Value::Null);
        if dir.has_state() {
            before = dir.show_state(how)?;
            if !before.is_empty() {
                if dir.uses_modules() {
                    dir.must(["get", "-no-color"], how)?;
                }
                dir.must(["destroy", "-input=false", "-auto-approve"], how)?;
                let left = dir.show_state(how)?;
                if !left.is_empty() {
                    let left = left.addresses().join(", ");
                    return Err(Failure::new(format!("after the destroy, the state still has {left}")));
                }
            }
        }
        match check {
            Some(check) => {
                check(&before).map_err(|error| Failure::new(format!("something is left: {error}")))
            }
            None => Ok(()),
        }
    }
}

/// Runs one test with several command lines; every failure is reported, not only the first.
pub fn with_each(clis: &[Cli], test: impl Fn(&Cli) -> Result<Report, Failure>) -> Result<(), Failure> {
    if clis.is_empty() {
        binary::skipped("no command line is present");
        if binary::on_build_server() {
            return Err(Failure::new("no command line is present (with CI=true nothing may be skipped)"));
        }
    }
    let mut failures = clis.iter().filter_map(|cli| test(cli).err());
    match failures.next() {
        Some(first) => Err(failures.fold(first, |first, more| first.note(format!("also: {more}")))),
        None => Ok(()),
    }
}
