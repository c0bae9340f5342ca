//! A plan: what a provider answered to it, and its apply.

use std::ops::Index;

use serde_json::Value as Json;
use tfplugin_framework::schema::{Diagnostic, Value};

use super::config::Config;
use super::failure::{Failure, Rule};
use super::findings::Findings;
use super::instance::Instance;
use super::render::{show_path, to_json};
use super::resource::{Answered, Resource};
use super::result_rules;

/// What a plan does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Action {
    /// Nothing.
    NoOp,
    /// Makes the object.
    Create,
    /// Changes the object in place.
    Update,
    /// Removes the object and makes another.
    Replace,
    /// Removes the object.
    Delete,
}

/// A plan that core would accept. Indexed by attribute it shows the planned value as JSON, where
/// [`unknown`](super::unknown) stands for what is known after apply.
#[derive(Clone, Debug)]
pub struct Plan {
    resource: Resource,
    prior: Option<Instance>,
    config: Value,
    action: Action,
    answered: Answered,
    json: Json,
}

impl Plan {
    pub(super) fn new(
        resource: &Resource,
        prior: Option<Instance>,
        config: Value,
        action: Action,
        answered: Answered,
    ) -> Plan {
        let json = to_json(&answered.planned);
        Plan { resource: resource.clone(), prior, config, action, answered, json }
    }

    /// What it does.
    pub fn action(&self) -> Action {
        self.action
    }

    /// Whether it does nothing.
    pub fn is_empty(&self) -> bool {
        self.action == Action::NoOp
    }

    /// What will be, as JSON; null for a removal.
    pub fn planned(&self) -> &Json {
        &self.json
    }

    /// What will be, exactly.
    pub fn value(&self) -> &Value {
        &self.answered.planned
    }

    /// The paths whose change needs another object, as HCL spells them.
    pub fn requires_replace(&self) -> Vec<String> {
        self.answered.replace.iter().map(show_path).collect()
    }

    /// The paths of what is known after apply only.
    pub fn unknown(&self) -> Vec<String> {
        self.answered.planned.unknown_paths(usize::MAX).iter().map(show_path).collect()
    }

    /// Whether the attribute is known after apply only.
    pub fn is_unknown(&self, attribute: &str) -> bool {
        self.answered.planned.get(attribute).is_unknown()
    }

    /// What the provider warned of.
    pub fn warnings(&self) -> &[Diagnostic] {
        &self.answered.warnings
    }

    /// What the provider keeps beside the plan until apply.
    pub fn private(&self) -> &[u8] {
        &self.answered.private
    }

    /// Applies it, with the configuration that it was planned with. None after a removal.
    pub async fn apply(&self) -> Result<Option<Instance>, Failure> {
        self.finish(self.config.clone()).await
    }

    /// Applies it with a configuration in which what was unknown is known now.
    pub async fn apply_with(&self, config: impl Into<Config>) -> Result<Option<Instance>, Failure> {
        self.finish(config.into().value(&self.resource.managed()?.block)?).await
    }

    async fn finish(&self, config: Value) -> Result<Option<Instance>, Failure> {
        if !config.is_wholly_known() {
            return Err(Failure::Config("at apply everything in a configuration is known".to_owned()));
        }
        let resource = &self.resource;
        match (self.action, &self.prior) {
            (Action::NoOp, prior) => Ok(prior.clone()),
            (Action::Delete, Some(prior)) => {
                resource.apply_once(Some(prior), &Value::Null, &self.answered).await
            }
            (Action::Replace, Some(prior)) => {
                let removal = resource.plan_removal(prior).await?;
                resource.apply_once(Some(prior), &Value::Null, &removal).await?;
                let again = self.again(None, &config).await?;
                resource.apply_once(None, &config, &again).await
            }
            (_, prior) => {
                let again = self.again(prior.as_ref(), &config).await?;
                resource.apply_once(prior.as_ref(), &config, &again).await
            }
        }
    }

    // Core plans once more when everything is known; the plan that a person agreed to must hold.
    async fn again(&self, prior: Option<&Instance>, config: &Value) -> Result<Answered, Failure> {
        let (before, private) = prior
            .map(|prior| (prior.value.clone(), prior.private.clone()))
            .unwrap_or((Value::Null, bytes::Bytes::new()));
        let again = self.resource.plan_once(&before, private, config).await?;
        let block = &self.resource.managed()?.block;
        let mut findings = Findings::of(Rule::InconsistentFinalPlan);
        result_rules::check(block, &self.answered.planned, &again.planned, &mut findings);
        let changed = |path: &&tfplugin_framework::schema::Path| again.planned.at(path) != before.at(path);
        if let Some(path) = again.replace.iter().find(changed).filter(|_| prior.is_some()) {
            findings.wrong(path, "an update was agreed to, but the final plan needs another object");
        }
        findings.done("PlanResourceChange")?;
        Ok(again)
    }
}

impl Index<&str> for Plan {
    type Output = Json;

    /// The planned value of an attribute; null where there is none.
    fn index(&self, attribute: &str) -> &Json {
        &self.json[attribute]
    }
}
