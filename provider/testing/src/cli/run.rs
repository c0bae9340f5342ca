//! Runs one step: its commands in order, its checks, its expected errors.

use std::{collections::BTreeMap, ffi::OsString, time::Duration};

use regex::Regex;
use serde_json::Value;

use super::{
    Cli, Context, Failure, Output, PlanJson, StateJson,
    diagnostics::{self, Diagnostic, Severity},
    import, plan, planfile,
    process::compile,
    sandbox::{How, PLAN_FILE, WorkingDir, json_of},
    step::{ErrorAt, Kind, Phase, Step},
};

/// What the commands of one step have brought about so far.
pub(crate) struct Runner<'r, 'd> {
    cli: &'r Cli,
    dir: &'r WorkingDir<'d>,
    env: &'r BTreeMap<OsString, OsString>,
    timeout: Duration,
    first_command: u32,
    outputs: Vec<Output>,
    /// Errors printed, and whether planning or applying was the command.
    errors: Vec<(Phase, Diagnostic)>,
    failed: bool,
    plan: Option<PlanJson>,
}

/// Runs the step to its end, hooks included.
pub(crate) fn step(
    cli: &Cli,
    dir: &WorkingDir<'_>,
    timeout: Duration,
    mut step: Step<'_>,
) -> Result<(), Failure> {
    let env = std::mem::take(&mut step.env);
    let mut runner = Runner {
        cli,
        dir,
        env: &env,
        timeout: step.timeout.unwrap_or(timeout),
        first_command: dir.sandbox.next_command(),
        outputs: Vec::new(),
        errors: Vec::new(),
        failed: false,
        plan: None,
    };
    runner.all(&mut step).map_err(|failure| match runner.outputs.last() {
        Some(last) => failure.command(last),
        None => failure,
    })
}

impl<'r> Runner<'r, '_> {
    fn all(&mut self, step: &mut Step<'_>) -> Result<(), Failure> {
        let dir = self.dir;
        let importing = matches!(step.kind, Kind::Import(_));
        for (address, binary) in &step.providers {
            dir.sandbox.replace_provider(address, binary)?;
        }
        let files = if importing { None } else { step.configuration()? };
        let configured = files.is_some();
        if let Some(files) = files {
            dir.configure(files)?;
        }
        let how = self.how();
        for hook in std::mem::take(&mut step.before) {
            hook(&self.context(how))
                .map_err(|error| Failure::new(format!("the hook before failed: {error}")))?;
        }
        if configured && dir.uses_modules() {
            dir.must(["get", "-no-color"], how)?;
        }
        // Of an import step, the state checks see what was imported.
        let mut state = None;
        match &step.kind {
            Kind::Apply => self.plan_and_apply(step)?,
            Kind::PlanOnly => self.plan_only(step)?,
            Kind::Taint(address) => {
                let args = vec!["taint".into(), address.into()];
                self.command(dir, step, args)?;
            }
            Kind::Import(import) => {
                let import = import.clone();
                state = import::run(self, dir, step, &import)?;
            }
            Kind::Validate => self.validate(step)?,
            Kind::Schemas => self.schemas(step)?,
            Kind::Command(args) => {
                let args = args.iter().chain(&step.args).cloned().collect();
                self.command(dir, step, args)?;
            }
        }
        self.check_errors(step)?;
        self.check_warnings(step)?;
        self.check_state(step, state)?;
        let text: String = self.outputs.iter().map(Output::text).collect();
        for check in std::mem::take(&mut step.printed) {
            check(&text).map_err(|error| Failure::new(error.to_string()))?;
        }
        for hook in std::mem::take(&mut step.after) {
            hook(&self.context(how))
                .map_err(|error| Failure::new(format!("the hook after failed: {error}")))?;
        }
        Ok(())
    }

    pub(crate) fn how(&self) -> How<'r> {
        How { env: self.env, timeout: self.timeout, interrupt: None }
    }

    fn context<'c>(&'c self, how: How<'c>) -> Context<'c> {
        Context {
            cli: self.cli,
            dir: self.dir,
            how,
            first_command: self.first_command,
            plan: self.plan.as_ref(),
            outputs: &self.outputs,
        }
    }

    fn plan_and_apply(&mut self, step: &mut Step<'_>) -> Result<(), Failure> {
        let dir = self.dir;
        if !self.plan(dir, step, plan_args(step))? {
            return Ok(());
        }
        dir.configuration_is_good(self.env);
        if !step.plan.is_empty() {
            let plan = dir.show_plan(self.how())?;
            self.check_plan(step, plan)?;
        }
        if !self.apply(dir, step)? || step.interrupt.is_some() {
            return Ok(());
        }
        // After the end of everything, and after a refresh, the configuration has wishes of its own.
        if step.has_arg("-refresh-only") || step.has_arg("-destroy") {
            return Ok(());
        }
        self.second_plan(dir, step)
    }

    fn plan_only(&mut self, step: &mut Step<'_>) -> Result<(), Failure> {
        let dir = self.dir;
        if self.plan(dir, step, plan_args(step))? && !step.plan.is_empty() {
            let plan = dir.show_plan(self.how())?;
            self.check_plan(step, plan)?;
        }
        Ok(())
    }

    /// Runs `plan` with these arguments. False when it failed as expected.
    pub(crate) fn plan(
        &mut self,
        dir: &WorkingDir<'_>,
        step: &Step<'_>,
        args: Vec<OsString>,
    ) -> Result<bool, Failure> {
        let interrupt = step.interrupt.as_ref().filter(|_| matches!(step.kind, Kind::PlanOnly));
        let output = dir.run(args, How { interrupt, ..self.how() })?;
        self.take(step, Phase::Plan, output)
    }

    /// Runs `apply` with the saved plan. False when it failed as expected.
    pub(crate) fn apply(&mut self, dir: &WorkingDir<'_>, step: &Step<'_>) -> Result<bool, Failure> {
        let how = How { interrupt: step.interrupt.as_ref(), ..self.how() };
        let output = dir.run(["apply", "-input=false", PLAN_FILE], how)?;
        self.take(step, Phase::Apply, output)
    }

    /// Runs any other command. False when it failed as expected.
    pub(crate) fn command(
        &mut self,
        dir: &WorkingDir<'_>,
        step: &Step<'_>,
        args: Vec<OsString>,
    ) -> Result<bool, Failure> {
        let output = dir.run(args, How { interrupt: step.interrupt.as_ref(), ..self.how() })?;
        self.take(step, Phase::Apply, output)
    }

    /// The same configuration again must plan nothing, and reading again must find nothing new.
    pub(crate) fn second_plan(&mut self, dir: &WorkingDir<'_>, step: &Step<'_>) -> Result<(), Failure> {
        let args = [
            "plan".to_owned(),
            "-input=false".to_owned(),
            "-detailed-exitcode".to_owned(),
            format!("-out={PLAN_FILE}"),
        ];
        let output = dir.run(args, self.how())?;
        // 0: nothing to do, 2: something to do. If nothing has drifted either, there is nothing to look at.
        match output.code() {
            Some(0) if step.non_empty.is_none() && planfile::is_free_of_drift(dir.plan_file()?) => {
                return Ok(());
            }
            Some(0 | 2) => {}
            _ => return Err(Failure::new("the second plan failed").command(&output)),
        }
        let second = dir.show_plan(self.how())?;
        let blame =
            |error: String| Failure::new(format!("after apply, the second plan: {error}")).command(&output);
        match (&step.non_empty, second.pending().is_empty()) {
            (None, false) => plan::empty().run(&second).map_err(|error| blame(error.to_string()))?,
            (Some(why), true) => {
                return Err(blame(format!("is empty, though it was expected not to be ({why})")));
            }
            _ => {}
        }
        if step.drifts.is_none() {
            plan::no_drift().run(&second).map_err(|error| blame(error.to_string()))?;
        }
        Ok(())
    }

    pub(crate) fn check_plan(&mut self, step: &mut Step<'_>, plan: PlanJson) -> Result<(), Failure> {
        let wrong: Vec<String> = std::mem::take(&mut step.plan)
            .into_iter()
            .filter_map(|check| check.run(&plan).err())
            .map(|error| error.to_string())
            .collect();
        self.plan = Some(plan);
        if wrong.is_empty() { Ok(()) } else { Err(Failure::new(format!("the plan: {}", wrong.join("\n")))) }
    }

    /// Notes an ended command. An error that nobody expects ends the step.
    fn take(&mut self, step: &Step<'_>, phase: Phase, output: Output) -> Result<bool, Failure> {
        let success = output.success();
        if !success {
            let errors = output.diagnostics().into_iter().filter(|one| one.severity == Severity::Error);
            self.errors.extend(errors.map(|error| (phase, error)));
            self.failed = true;
        }
        self.outputs.push(output);
        if success || step.expects_error() { Ok(success) } else { Err(Failure::new("the command failed")) }
    }

    fn check_errors(&self, step: &Step<'_>) -> Result<(), Failure> {
        for (phase, expression) in &step.errors {
            let regex = compile(expression)?;
            if !self.failed {
                return Err(Failure::new(format!(
                    "expected an error that matches `{expression}`, but the step succeeded"
                )));
            }
            let found = |(at, error): &(Phase, Diagnostic)| {
                phase.is_none_or(|phase| phase == *at) && regex.is_match(&error.text)
            };
            if !self.errors.iter().any(found) {
                let when = match phase {
                    Some(Phase::Plan) => " while planning",
                    Some(Phase::Apply) => " while applying",
                    None => "",
                };
                let errors: Vec<_> =
                    self.errors.iter().map(|(_, error)| format!("  {}", error.text)).collect();
                let errors = errors.join("\n");
                return Err(Failure::new(format!(
                    "expected an error{when} that matches `{expression}`, got\n{errors}"
                )));
            }
        }
        Ok(())
    }

    fn check_warnings(&self, step: &Step<'_>) -> Result<(), Failure> {
        if step.warnings.is_empty() && !step.no_warnings {
            return Ok(());
        }
        let printed: Vec<Diagnostic> = self.outputs.iter().flat_map(Output::diagnostics).collect();
        let warnings = || {
            let own = |one: &&Diagnostic| {
                one.severity == Severity::Warning && !one.is_about_development_overrides()
            };
            printed.iter().filter(own).map(|one| format!("\n  {}", one.text)).collect::<String>()
        };
        for expression in &step.warnings {
            let regex = compile(expression)?;
            if diagnostics::matching(&printed, Severity::Warning, &regex).is_none() {
                return Err(Failure::new(format!(
                    "expected a warning that matches `{expression}`, got{}",
                    warnings()
                )));
            }
        }
        match warnings() {
            warnings if step.no_warnings && !warnings.is_empty() => {
                Err(Failure::new(format!("expected no warning, got{warnings}")))
            }
            _ => Ok(()),
        }
    }

    fn check_state(&self, step: &mut Step<'_>, state: Option<StateJson>) -> Result<(), Failure> {
        if step.state.is_empty() && step.outputs.is_empty() {
            return Ok(());
        }
        let state = match state {
            Some(state) => state,
            None => self.dir.show_state(self.how())?,
        };
        let mut wrong: Vec<String> = std::mem::take(&mut step.state)
            .into_iter()
            .filter_map(|check| check.run(&state).err())
            .map(|error| error.to_string())
            .collect();
        for (name, expected) in &step.outputs {
            let checked = state.output(name).and_then(|actual| expected.check(actual));
            wrong.extend(checked.err().map(|error| format!("output {name}: {error}")));
        }
        if wrong.is_empty() { Ok(()) } else { Err(Failure::new(format!("the state: {}", wrong.join("\n")))) }
    }

    fn validate(&mut self, step: &mut Step<'_>) -> Result<(), Failure> {
        let mut args: Vec<OsString> = vec!["validate".into(), "-json".into()];
        args.extend(step.args.iter().cloned());
        let output = self.dir.run(args, self.how())?;
        let json = json_of(&output)?;
        self.outputs.push(output);
        let found = || json.get("diagnostics").and_then(Value::as_array).into_iter().flatten();
        let errors: Vec<String> =
            found().filter(|one| one.get("severity").is_some_and(|s| s == "error")).map(shown).collect();
        self.failed = !errors.is_empty();
        self.errors.extend(errors.iter().map(|text| {
            (Phase::Plan, Diagnostic { severity: Severity::Error, text: diagnostics::one_line(text) })
        }));
        for expected in std::mem::take(&mut step.errors_at) {
            let regex = compile(&expected.text)?;
            if !found().any(|diagnostic| is_at(diagnostic, &expected, &regex)) {
                let ErrorAt { address, snippet, text } = expected;
                let errors = errors.join("\n");
                let wanted = format!("an error at {address}, source `{snippet}`, that matches `{text}`");
                return Err(Failure::new(format!("expected {wanted}, got\n{errors}")));
            }
            // Found where it should be, so the errors are no surprise.
            self.failed = false;
        }
        if self.failed && !step.expects_error() {
            return Err(Failure::new(format!("the configuration is not valid:\n{}", errors.join("\n"))));
        }
        self.check_json(step, &json)
    }

    fn schemas(&mut self, step: &mut Step<'_>) -> Result<(), Failure> {
        let output = self.dir.run(["providers", "schema", "-json"], self.how())?;
        // The document is for the JSON checks; printed, it would bury everything else.
        if !self.take(step, Phase::Plan, output)? {
            return Ok(());
        }
        match self.outputs.last().map(json_of) {
            Some(json) => self.check_json(step, &json?),
            None => Ok(()),
        }
    }

    fn check_json(&self, step: &mut Step<'_>, json: &Value) -> Result<(), Failure> {
        for check in std::mem::take(&mut step.json) {
            check(json).map_err(|error| Failure::new(error.to_string()))?;
        }
        Ok(())
    }
}

fn plan_args(step: &Step<'_>) -> Vec<OsString> {
    let mut args: Vec<OsString> =
        vec!["plan".into(), "-input=false".into(), format!("-out={PLAN_FILE}").into()];
    args.extend(step.args.iter().cloned());
    args
}

/// `address: source line: summary detail` of a diagnostic in JSON.
fn shown(diagnostic: &Value) -> String {
    let text = |name| diagnostic.get(name).and_then(Value::as_str).unwrap_or_default();
    let code = diagnostic.pointer("/snippet/code").and_then(Value::as_str).unwrap_or_default().trim();
    format!("{}: `{code}`: {} {}", address_of(diagnostic), text("summary"), text("detail"))
}

/// Its own address, or the block that its snippet comes from: `resource "a" "b"` is `a.b`.
fn address_of(diagnostic: &Value) -> String {
    if let Some(address) = diagnostic.get("address").and_then(Value::as_str) {
        return address.to_owned();
    }
    let context = diagnostic.pointer("/snippet/context").and_then(Value::as_str).unwrap_or_default();
    let mut words = context.split_whitespace().map(|word| word.trim_matches('"'));
    let block = words.next().unwrap_or_default();
    let labels = words.collect::<Vec<_>>().join(".");
    match block {
        "resource" => labels,
        _ if labels.is_empty() => block.to_owned(),
        _ => format!("{block}.{labels}"),
    }
}

fn is_at(diagnostic: &Value, expected: &ErrorAt, regex: &Regex) -> bool {
    let code = diagnostic.pointer("/snippet/code").and_then(Value::as_str).unwrap_or_default();
    let text = |name| diagnostic.get(name).and_then(Value::as_str).unwrap_or_default();
    let all = format!("{} {}", text("summary"), text("detail"));
    diagnostic.get("severity").is_some_and(|severity| severity == "error")
        && address_of(diagnostic) == expected.address
        && code.contains(&expected.snippet)
        && regex.is_match(&diagnostics::one_line(&all))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn an_error_is_placed_by_its_address_or_by_the_block_of_its_snippet() {
        let placed = |context: &str| address_of(&json!({"snippet": {"context": context}}));
        assert_eq!(placed("resource \"x\" \"a\""), "x.a");
        assert_eq!(placed("data \"x\" \"a\""), "data.x.a");
        assert_eq!(placed("provider \"x\""), "provider.x");
        assert_eq!(placed("terraform"), "terraform");
        assert_eq!(address_of(&json!({"address": "module.m.x.a"})), "module.m.x.a");
    }

    #[test]
    fn an_error_elsewhere_or_of_another_text_is_not_taken_for_the_expected_one() {
        let diagnostic = json!({
            "severity": "error", "summary": "Bad", "detail": "too\nlong", "address": "x.a",
            "snippet": {"code": "  name = \"aaa\""},
        });
        let at = |address: &str, snippet: &str, text: &str| {
            let expected = ErrorAt { address: address.into(), snippet: snippet.into(), text: text.into() };
            is_at(&diagnostic, &expected, &Regex::new(text).unwrap())
        };
        assert!(at("x.a", "name", "^Bad too long$"));
        assert!(!at("x.b", "name", "Bad"));
        assert!(!at("x.a", "size", "Bad"));
        assert!(!at("x.a", "name", "short"));
    }
}
