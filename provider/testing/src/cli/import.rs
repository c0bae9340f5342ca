//! Import steps: into a fresh state, by command, block or generated configuration, then compared.

use std::collections::BTreeMap;

use serde_json::Value;

use super::{
    Checked, Failure, StateJson,
    run::Runner,
    sandbox::{self, PLAN_FILE, WorkingDir},
    step::Step,
};
use crate::json::{Path, bounded, same};

/// The id to import by.
#[derive(Clone, Debug)]
pub struct Id(Source);

#[derive(Clone, Debug)]
enum Source {
    Text(String),
    Attribute(String),
}

impl Id {
    /// What the current state has at `path` of the imported resource.
    pub fn attribute(path: &str) -> Self {
        Self(Source::Attribute(path.to_owned()))
    }
}

impl<T: Into<String>> From<T> for Id {
    fn from(text: T) -> Self {
        Self(Source::Text(text.into()))
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum How {
    Command,
    Block,
    Generated,
}

#[derive(Clone)]
pub(crate) struct Import {
    pub(crate) address: String,
    id: Id,
    pub(crate) how: How,
    pub(crate) ignored: Vec<String>,
    pub(crate) keep: bool,
    pub(crate) plan_is_empty: bool,
}

impl Import {
    pub(crate) fn new(address: &str, id: Id) -> Self {
        Self {
            address: address.to_owned(),
            id,
            how: How::Command,
            ignored: Vec::new(),
            keep: false,
            plan_is_empty: false,
        }
    }
}

/// Runs the commands and compares. Returns the state that was imported into, unless an expected error ended it.
pub(crate) fn run(
    runner: &mut Runner<'_, '_>,
    main: &WorkingDir<'_>,
    step: &mut Step<'_>,
    import: &Import,
) -> Result<Option<StateJson>, Failure> {
    let Import { address, .. } = import;
    let how = runner.how();
    let needs_state = !import.keep || matches!(import.id.0, Source::Attribute(_));
    let current = if needs_state { Some(main.show_state(how)?) } else { None };
    let id = match (&import.id.0, &current) {
        (Source::Text(id), _) => id.clone(),
        (Source::Attribute(path), Some(current)) => {
            let value = current.get(address, path).map_err(Failure::new)?;
            match value {
                Value::String(id) => id.clone(),
                Value::Null => return Err(Failure::new(format!("{address} has no `{path}` to import by"))),
                other => other.to_string(),
            }
        }
        (Source::Attribute(_), None) => return Err(Failure::new("there is no state to take the id from")),
    };

    let fresh;
    let dir = if import.keep {
        main
    } else {
        fresh = main.sandbox.working_dir(&format!("import-{}", main.sandbox.next_command()))?;
        &fresh
    };
    configure(main, dir, step, import, &id)?;
    if dir.uses_modules() {
        dir.must(["get", "-no-color"], how)?;
    }
    let done = match import.how {
        How::Command => {
            let mut args = vec!["import".into(), "-input=false".into()];
            args.extend(step.args.iter().cloned());
            args.extend([address.into(), id.into()]);
            runner.command(dir, step, args)?
        }
        How::Block | How::Generated => by_plan(runner, dir, step, import)?,
    };
    if !done {
        return Ok(None);
    }
    let imported = dir.show_state(how)?;
    if let Some(current) = current.filter(|_| !import.keep) {
        compare(&current, &imported, import)?;
    }
    if import.how != How::Command || import.plan_is_empty {
        runner.second_plan(dir, step)?;
    }
    if import.keep {
        dir.configuration_is_good(how.env);
    }
    Ok(Some(imported))
}

/// The current configuration or the step's own, and the import block.
fn configure(
    main: &WorkingDir<'_>,
    dir: &WorkingDir<'_>,
    step: &Step<'_>,
    import: &Import,
    id: &str,
) -> Result<(), Failure> {
    let mut files = match (step.configuration()?, import.how) {
        (Some(files), _) => files,
        (None, How::Generated) => BTreeMap::new(),
        (None, _) => main.configuration(),
    };
    files.extend(step.files.clone());
    if import.how != How::Command {
        let id = sandbox::hcl_string(id);
        files.insert("import.tf".into(), format!("import {{\n  to = {}\n  id = {id}\n}}\n", import.address));
    }
    dir.configure(files)
}

fn by_plan(
    runner: &mut Runner<'_, '_>,
    dir: &WorkingDir<'_>,
    step: &mut Step<'_>,
    import: &Import,
) -> Result<bool, Failure> {
    const GENERATED: &str = "generated.tf";
    let mut args = vec!["plan".into(), "-input=false".into(), format!("-out={PLAN_FILE}").into()];
    if import.how == How::Generated {
        args.push(format!("-generate-config-out={GENERATED}").into());
    }
    args.extend(step.args.iter().cloned());
    let planned = runner.plan(dir, step, args)?;
    // An expected error too is read together with what was generated.
    dir.adopt(GENERATED)?;
    if !planned {
        return Ok(false);
    }
    let plan = dir.show_plan(runner.how())?;
    let wanted = format!("{}: import", import.address);
    let beyond: Vec<_> = plan
        .pending()
        .into_iter()
        .filter(|line| *line != wanted && line.starts_with(&format!("{}:", import.address)))
        .collect();
    if !beyond.is_empty() && step.non_empty.is_none() {
        let beyond = beyond.join("\n");
        return Err(Failure::new(format!(
            "expected a plan that only imports {}, got\n{beyond}",
            import.address
        )));
    }
    runner.check_plan(step, plan)?;
    runner.apply(dir, step)
}

/// Every difference at once, each with its path.
fn compare(current: &StateJson, imported: &StateJson, import: &Import) -> Checked<Failure> {
    let Import { address, ignored, .. } = import;
    let place = |error: String| {
        Failure::new(format!("nothing to compare the import with (`keep` imports without): {error}"))
    };
    let mut left = current.values(address).map_err(place)?.clone();
    let mut right = imported.values(address).map_err(Failure::new)?.clone();
    for path in ignored {
        let path = Path::parse(path).map_err(Failure::new)?;
        path.remove(&mut left);
        path.remove(&mut right);
    }
    let mut found = Vec::new();
    differences("", &left, &right, &mut found);
    if found.is_empty() {
        return Ok(());
    }
    let found = found.join("\n");
    Err(Failure::new(format!("{address}: the imported state differs from the current one\n{found}")))
}

fn differences(path: &str, current: &Value, imported: &Value, found: &mut Vec<String>) {
    match (current, imported) {
        (Value::Object(left), Value::Object(right)) => {
            let keys: std::collections::BTreeSet<&String> = left.keys().chain(right.keys()).collect();
            for key in keys {
                let (left, right) = (left.get(key), right.get(key));
                let inner = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
                let (left, right) = (left.unwrap_or(&Value::Null), right.unwrap_or(&Value::Null));
                differences(&inner, left, right, found);
            }
        }
        (Value::Array(left), Value::Array(right)) if left.len() == right.len() => {
            for (index, (left, right)) in left.iter().zip(right).enumerate() {
                differences(&format!("{path}[{index}]"), left, right, found);
            }
        }
        _ if same(current, imported) => {}
        _ => found.push(format!("  {path}: current {}, imported {}", bounded(current), bounded(imported))),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn state(values: &Value) -> StateJson {
        StateJson(json!({"values": {"root_module": {"resources": [{"address": "x.a", "values": values}]}}}))
    }

    #[test]
    fn a_comparison_names_each_difference_and_leaves_out_what_is_ignored() {
        let current = state(&json!({"id": "1", "password": "p", "list": [{"a": 1, "secret": 2}], "size": 3}));
        let imported = state(&json!({"id": "1", "list": [{"a": 9, "secret": 8}], "size": 3.0, "more": true}));
        let mut import = Import::new("x.a", "1".into());
        import.ignored = vec!["password".into(), "list[0].secret".into()];
        let message = compare(&current, &imported, &import).unwrap_err().message().to_owned();
        assert!(
            message.ends_with("  list[0].a: current 1, imported 9\n  more: current null, imported true"),
            "{message}"
        );
        assert!(compare(&current, &current, &import).is_ok());
    }

    #[test]
    fn an_import_without_a_counterpart_says_so() {
        let imported = state(&json!({}));
        let import = Import::new("x.b", "1".into());
        assert!(compare(&imported, &imported, &import).unwrap_err().message().contains("no x.b"));
    }
}
