//! One step of a case: what is done, and what must hold then.

use std::{collections::BTreeMap, ffi::OsString, path::PathBuf, time::Duration};

use serde_json::Value;

use super::{
    Checked, Context, Failure, Feature, Interrupt, PlanCheck, PlanJson, StateCheck, StateJson, When,
    import::{Id, Import},
    sandbox,
};
use crate::json::Expect;

/// Where an error may come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Phase {
    Plan,
    Apply,
}

pub(crate) enum Kind {
    Apply,
    PlanOnly,
    Taint(String),
    Import(Import),
    Validate,
    Schemas,
    Command(Vec<OsString>),
}

pub(crate) type Hook<'a> = Box<dyn FnOnce(&Context<'_>) -> Checked + 'a>;
pub(crate) type TextHook<'a> = Box<dyn FnOnce(&str) -> Checked + 'a>;
pub(crate) type JsonHook<'a> = Box<dyn FnOnce(&Value) -> Checked + 'a>;

/// An error that validation must find at a place.
pub(crate) struct ErrorAt {
    pub(crate) address: String,
    pub(crate) snippet: String,
    pub(crate) text: String,
}

/// One step of a [`Case`](super::Case). A step with configuration replaces the one before; a step without
/// works on what is there.
pub struct Step<'a> {
    pub(crate) kind: Kind,
    pub(crate) name: Option<String>,
    pub(crate) config: Option<String>,
    pub(crate) files: BTreeMap<String, String>,
    pub(crate) folder: Option<PathBuf>,
    pub(crate) providers: Vec<(String, PathBuf)>,
    pub(crate) args: Vec<OsString>,
    pub(crate) env: BTreeMap<OsString, OsString>,
    pub(crate) timeout: Option<Duration>,
    pub(crate) requires: Vec<Feature>,
    pub(crate) covers: Vec<(String, String)>,
    pub(crate) before: Vec<Hook<'a>>,
    pub(crate) after: Vec<Hook<'a>>,
    pub(crate) plan: Vec<PlanCheck<'a>>,
    pub(crate) state: Vec<StateCheck<'a>>,
    pub(crate) outputs: Vec<(String, Expect)>,
    pub(crate) printed: Vec<TextHook<'a>>,
    pub(crate) json: Vec<JsonHook<'a>>,
    pub(crate) errors: Vec<(Option<Phase>, String)>,
    pub(crate) errors_at: Vec<ErrorAt>,
    pub(crate) warnings: Vec<String>,
    pub(crate) no_warnings: bool,
    pub(crate) non_empty: Option<String>,
    pub(crate) drifts: Option<String>,
    pub(crate) interrupt: Option<Interrupt>,
}

impl<'a> Step<'a> {
    fn new(kind: Kind, config: Option<String>) -> Self {
        Self {
            kind,
            name: None,
            config,
            files: BTreeMap::new(),
            folder: None,
            providers: Vec::new(),
            args: Vec::new(),
            env: BTreeMap::new(),
            timeout: None,
            requires: Vec::new(),
            covers: Vec::new(),
            before: Vec::new(),
            after: Vec::new(),
            plan: Vec::new(),
            state: Vec::new(),
            outputs: Vec::new(),
            printed: Vec::new(),
            json: Vec::new(),
            errors: Vec::new(),
            errors_at: Vec::new(),
            warnings: Vec::new(),
            no_warnings: false,
            non_empty: None,
            drifts: None,
            interrupt: None,
        }
    }

    /// Plans and applies this configuration. A second plan must then be empty and free of drift.
    pub fn apply(hcl: impl Into<String>) -> Self {
        Self::new(Kind::Apply, Some(hcl.into()))
    }

    /// [`Step::apply`] with the files of a directory, such as an example of the documentation. Hidden files,
    /// states and plans in it are left out.
    pub fn apply_folder(path: impl Into<PathBuf>) -> Self {
        Self { folder: Some(path.into()), ..Self::new(Kind::Apply, None) }
    }

    /// Plans and applies the configuration that is there, for example after a drift.
    pub fn reapply() -> Self {
        Self::new(Kind::Apply, None)
    }

    /// Plans this configuration and changes nothing.
    pub fn plan_only(hcl: impl Into<String>) -> Self {
        Self::new(Kind::PlanOnly, Some(hcl.into()))
    }

    /// Plans the configuration that is there and changes nothing.
    pub fn replan() -> Self {
        Self::new(Kind::PlanOnly, None)
    }

    /// `-replace=ADDRESS`: plans and applies a replacement that the user asks for.
    pub fn replace(address: &str) -> Self {
        Self::new(Kind::Apply, None).arg(format!("-replace={address}")).named(format!("replace {address}"))
    }

    /// `-refresh-only`: takes over what has changed outside of Terraform. No second plan: what the
    /// configuration wants back is the next step's business.
    pub fn refresh() -> Self {
        Self::new(Kind::Apply, None).arg("-refresh-only").named("refresh")
    }

    /// `-destroy`: plans and applies the end of everything.
    pub fn destroy() -> Self {
        Self::new(Kind::Apply, None).arg("-destroy").named("destroy")
    }

    /// Marks a resource for replacement.
    pub fn taint(address: &str) -> Self {
        Self::new(Kind::Taint(address.to_owned()), None)
    }

    /// Imports an object into a fresh state and compares it with the same resource in the current one.
    /// `id` is a text, or [`Id::attribute`] of the resource in the current state.
    ///
    /// State checks of this step see the imported state.
    pub fn import(address: &str, id: impl Into<Id>) -> Self {
        Self::new(Kind::Import(Import::new(address, id.into())), None)
    }

    /// Lets `validate` check this configuration; nothing is planned.
    pub fn validate(hcl: impl Into<String>) -> Self {
        Self::new(Kind::Validate, Some(hcl.into()))
    }

    /// Reads the schemas of all providers of this configuration (`providers schema -json`); see [`Step::json`].
    pub fn schemas(hcl: impl Into<String>) -> Self {
        Self::new(Kind::Schemas, Some(hcl.into()))
    }

    /// Any other command, such as `["state", "rm", "x.y"]`.
    pub fn command<S: Into<OsString>>(args: impl IntoIterator<Item = S>) -> Self {
        Self::new(Kind::Command(args.into_iter().map(Into::into).collect()), None)
    }

    /// How failures call this step.
    #[must_use]
    pub fn named(mut self, name: impl Into<String>) -> Self {
        self.name = Some(name.into());
        self
    }

    /// Configuration for a step that has none of its own, such as an import.
    #[must_use]
    pub fn config(mut self, hcl: impl Into<String>) -> Self {
        self.config = Some(hcl.into());
        self
    }

    /// Another file beside `main.tf`, such as `modules/site/main.tf`.
    #[must_use]
    pub fn file(mut self, path: &str, text: impl Into<String>) -> Self {
        self.files.insert(path.to_owned(), text.into());
        self
    }

    /// From this step on, another binary for a provider of the case: the next release after the last one.
    #[must_use]
    pub fn provider(mut self, address: &str, binary: impl Into<PathBuf>) -> Self {
        self.providers.push((address.to_owned(), binary.into()));
        self
    }

    /// One more argument of `plan`, `import` or `validate`.
    #[must_use]
    pub fn arg(mut self, arg: impl Into<OsString>) -> Self {
        self.args.push(arg.into());
        self
    }

    /// An environment variable for this step alone.
    #[must_use]
    pub fn env(mut self, name: impl Into<OsString>, value: impl Into<OsString>) -> Self {
        self.env.insert(name.into(), value.into());
        self
    }

    /// The value of an input variable, passed through the environment and never written to the configuration.
    #[must_use]
    pub fn var(self, name: &str, value: impl Into<OsString>) -> Self {
        self.env(format!("TF_VAR_{name}"), value)
    }

    /// The deadline of each command of this step.
    #[must_use]
    pub fn timeout(mut self, limit: Duration) -> Self {
        self.timeout = Some(limit);
        self
    }

    /// Skips this step, aloud, where the command line cannot do that.
    #[must_use]
    pub fn requires(mut self, feature: Feature) -> Self {
        self.requires.push(feature);
        self
    }

    /// For the coverage table: this step proves `behaviour` of `rpc`. Recorded when the whole case has passed.
    #[must_use]
    pub fn covers(mut self, rpc: &str, behaviour: &str) -> Self {
        self.covers.push((rpc.to_owned(), behaviour.to_owned()));
        self
    }

    /// Runs before the step's first command; the place to change things behind Terraform's back.
    #[must_use]
    pub fn before(mut self, hook: impl FnOnce(&Context<'_>) -> Checked + 'a) -> Self {
        self.before.push(Box::new(hook));
        self
    }

    /// Runs after everything else of the step, an expected error included.
    #[must_use]
    pub fn after(mut self, hook: impl FnOnce(&Context<'_>) -> Checked + 'a) -> Self {
        self.after.push(Box::new(hook));
        self
    }

    /// Must hold for the plan, before it is applied.
    #[must_use]
    pub fn plan(mut self, check: PlanCheck<'a>) -> Self {
        self.plan.push(check);
        self
    }

    /// A check of the plan, written by hand.
    #[must_use]
    pub fn plan_fn(self, check: impl FnOnce(&PlanJson) -> Checked + 'a) -> Self {
        self.plan(PlanCheck::new(check))
    }

    /// Must hold for the state at the end of the step, after an expected error too.
    #[must_use]
    pub fn state(mut self, check: StateCheck<'a>) -> Self {
        self.state.push(check);
        self
    }

    /// A check of the state, written by hand.
    #[must_use]
    pub fn state_fn(self, check: impl FnOnce(&StateJson) -> Checked + 'a) -> Self {
        self.state(StateCheck::new(check))
    }

    /// An output must have this value at the end of the step.
    #[must_use]
    pub fn output(mut self, name: &str, expected: impl Into<Expect>) -> Self {
        self.outputs.push((name.to_owned(), expected.into()));
        self
    }

    /// A check of all that the step's `plan`, `apply` and other commands printed, without colours.
    #[must_use]
    pub fn printed(mut self, check: impl FnOnce(&str) -> Checked + 'a) -> Self {
        self.printed.push(Box::new(check));
        self
    }

    /// A check of the JSON document that [`Step::schemas`] or [`Step::validate`] reads.
    #[must_use]
    pub fn json(mut self, check: impl FnOnce(&Value) -> Checked + 'a) -> Self {
        self.json.push(Box::new(check));
        self
    }

    /// The step must fail, with an error that this expression matches. Errors are compared as one line each,
    /// without boxes and line breaks. Several expectations must all be met, by one or more errors.
    #[must_use]
    pub fn expect_error(mut self, expression: &str) -> Self {
        self.errors.push((None, expression.to_owned()));
        self
    }

    /// As [`Step::expect_error`], but it must be the plan that fails.
    #[must_use]
    pub fn expect_plan_error(mut self, expression: &str) -> Self {
        self.errors.push((Some(Phase::Plan), expression.to_owned()));
        self
    }

    /// As [`Step::expect_error`], but the plan must succeed and its application fail.
    #[must_use]
    pub fn expect_apply_error(mut self, expression: &str) -> Self {
        self.errors.push((Some(Phase::Apply), expression.to_owned()));
        self
    }

    /// For [`Step::validate`]: an error at the block `address` (`x.a`, `data.x.a`, `provider.x`) whose source
    /// line contains `snippet` and whose text the expression matches.
    #[must_use]
    pub fn expect_error_at(mut self, address: &str, snippet: &str, expression: &str) -> Self {
        self.errors_at.push(ErrorAt {
            address: address.to_owned(),
            snippet: snippet.to_owned(),
            text: expression.to_owned(),
        });
        self
    }

    /// A warning that this expression matches must be printed.
    #[must_use]
    pub fn expect_warning(mut self, expression: &str) -> Self {
        self.warnings.push(expression.to_owned());
        self
    }

    /// No warning may be printed, other than that of a provider under development.
    #[must_use]
    pub fn expect_no_warnings(mut self) -> Self {
        self.no_warnings = true;
        self
    }

    /// The second plan is *not* empty, and why that is right. It is an error when it is empty after all.
    #[must_use]
    pub fn expect_non_empty_plan(mut self, why: &str) -> Self {
        self.non_empty = Some(why.to_owned());
        self
    }

    /// Reading again right after apply finds other values, and why that is right (a clock, a counter).
    #[must_use]
    pub fn allow_drift(mut self, why: &str) -> Self {
        self.drifts = Some(why.to_owned());
        self
    }

    /// Presses Ctrl-C while `apply` runs (in a step that only plans: `plan`). What the command then says is
    /// for [`Step::expect_error`].
    #[must_use]
    pub fn interrupt(mut self, interrupt: Interrupt) -> Self {
        self.interrupt = Some(interrupt);
        self
    }

    /// [`Step::interrupt`] so long after the start.
    #[must_use]
    pub fn interrupt_after(self, delay: Duration) -> Self {
        self.interrupt(Interrupt::when(When::After(delay)))
    }

    /// [`Step::interrupt`] as soon as a file is there; relative to the working directory.
    #[must_use]
    pub fn interrupt_when_file(self, path: impl Into<PathBuf>) -> Self {
        self.interrupt(Interrupt::when(When::FileExists(path.into())))
    }

    /// For an import: attributes that may differ from the current state (`password`, `nested[0].secret`).
    #[must_use]
    pub fn ignoring(self, paths: &[&str]) -> Self {
        self.import_with(|import| import.ignored = paths.iter().map(|&path| path.to_owned()).collect())
    }

    /// For an import: uses an `import` block and a plan instead of the `import` command. The plan must do
    /// nothing but import, and the next one nothing at all, unless [`Step::expect_non_empty_plan`] says why not.
    #[must_use]
    pub fn by_block(self) -> Self {
        self.import_with(|import| import.how = super::import::How::Block).requires(Feature::ImportBlock)
    }

    /// For an import: as [`Step::by_block`], and the resource's configuration is generated. The step's own
    /// configuration ([`Step::config`]) is everything else, such as the provider's; by default nothing.
    #[must_use]
    pub fn generating_config(self) -> Self {
        self.import_with(|import| import.how = super::import::How::Generated)
            .requires(Feature::GeneratedConfig)
    }

    /// For an import: into the current state instead of a fresh one, without comparison.
    #[must_use]
    pub fn keep(self) -> Self {
        self.import_with(|import| import.keep = true)
    }

    /// For an import by command: a plan after it must be empty.
    #[must_use]
    pub fn then_plan_is_empty(self) -> Self {
        self.import_with(|import| import.plan_is_empty = true)
    }

    fn import_with(mut self, change: impl FnOnce(&mut Import)) -> Self {
        if let Kind::Import(import) = &mut self.kind {
            change(import);
        }
        self
    }

    /// Its configuration, if it brings one.
    pub(crate) fn configuration(&self) -> Result<Option<BTreeMap<String, String>>, Failure> {
        let mut files = match &self.folder {
            Some(folder) => sandbox::files_of(folder)?,
            None => BTreeMap::new(),
        };
        files.extend(self.files.clone());
        files.extend(self.config.iter().map(|config| ("main.tf".to_owned(), config.clone())));
        Ok(if self.config.is_none() && self.folder.is_none() { None } else { Some(files) })
    }

    /// How messages call it.
    pub(crate) fn title(&self, number: usize) -> String {
        let what = self.name.clone().unwrap_or_else(|| match &self.kind {
            Kind::Apply => "apply".to_owned(),
            Kind::PlanOnly => "plan only".to_owned(),
            Kind::Taint(address) => format!("taint {address}"),
            Kind::Import(import) => format!("import {}", import.address),
            Kind::Validate => "validate".to_owned(),
            Kind::Schemas => "schemas".to_owned(),
            Kind::Command(args) => args.join(std::ffi::OsStr::new(" ")).to_string_lossy().into_owned(),
        });
        format!("{number}: {what}")
    }

    pub(crate) fn has_arg(&self, arg: &str) -> bool {
        self.args.iter().any(|one| one == arg)
    }

    pub(crate) fn expects_error(&self) -> bool {
        !self.errors.is_empty()
    }
}
