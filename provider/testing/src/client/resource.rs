//! Planning and applying managed resources, with the calls that core makes.

use bytes::Bytes;
use tfplugin_framework::proto::tfplugin6 as pb;
use tfplugin_framework::schema::{Diagnostic, Value};

use super::Client;
use super::config::Config;
use super::failure::{Failure, Rule, Violation};
use super::findings::Findings;
use super::instance::Instance;
use super::plan::{Action, Plan};
use super::schemas::Managed;
use super::{plan_rules, proposed, result_rules, wire};

/// A type of managed resources.
#[derive(Clone, Debug)]
pub struct Resource {
    pub(super) client: Client,
    pub(super) type_name: String,
}

/// What one PlanResourceChange answered, checked.
#[derive(Clone, Debug)]
pub(super) struct Answered {
    pub(super) planned: Value,
    pub(super) private: Bytes,
    pub(super) replace: Vec<tfplugin_framework::schema::Path>,
    pub(super) warnings: Vec<Diagnostic>,
}

impl Resource {
    /// Creates an object: validates, plans, plans again as apply does, applies.
    pub async fn apply(&self, config: impl Into<Config>) -> Result<Instance, Failure> {
        let applied = self.plan(None, config).await?.apply().await?;
        applied.ok_or_else(|| Failure::Config("a configuration was applied, but nothing is there".to_owned()))
    }

    /// Validates a configuration, of which anything may be [`unknown`](super::unknown). Answers the warnings.
    pub async fn validate(&self, config: impl Into<Config>) -> Result<Vec<Diagnostic>, Failure> {
        let config = config.into().value(&self.managed()?.block)?;
        self.validate_value(&config).await
    }

    /// Plans what the configuration says; without a prior instance, a create. A tainted one is replaced.
    pub async fn plan(&self, prior: Option<&Instance>, config: impl Into<Config>) -> Result<Plan, Failure> {
        let config = config.into().value(&self.managed()?.block)?;
        self.plan_value(prior.cloned(), config, prior.is_some_and(|prior| prior.tainted)).await
    }

    /// Plans the removal.
    pub async fn plan_destroy(&self, prior: &Instance) -> Result<Plan, Failure> {
        let answered = self.plan_removal(prior).await?;
        Ok(Plan::new(self, Some(prior.clone()), Value::Null, Action::Delete, answered))
    }

    pub(super) fn managed(&self) -> Result<&Managed, Failure> {
        let found = self.client.schemas.resources.get(&self.type_name);
        found.ok_or_else(|| Failure::Config(format!("the provider has no resource {}", self.type_name)))
    }

    pub(super) async fn validate_value(&self, config: &Value) -> Result<Vec<Diagnostic>, Failure> {
        let request = pb::validate_resource_config::Request {
            type_name: self.type_name.clone(),
            config: Some(wire::encode(config, &self.managed()?.ty)?),
            client_capabilities: Some(self.client.options.capabilities),
        };
        let call = async { self.client.rpc().validate_resource_config(request).await };
        let answer = self.client.call("ValidateResourceConfig", call).await?;
        wire::told("ValidateResourceConfig", answer.diagnostics)
    }

    pub(super) async fn plan_value(
        &self,
        prior: Option<Instance>,
        config: Value,
        force_replace: bool,
    ) -> Result<Plan, Failure> {
        let mut warnings = self.validate_value(&config).await?;
        let before = prior
            .as_ref()
            .map_or((Value::Null, Bytes::new()), |prior| (prior.value.clone(), prior.private.clone()));
        let first = if force_replace {
            None
        } else {
            Some(self.plan_once(&before.0, before.1.clone(), &config).await?)
        };
        let replaces = first
            .as_ref()
            .is_none_or(|first| first.replace.iter().any(|path| first.planned.at(path) != before.0.at(path)));
        let (action, mut answered) = match first {
            Some(first) if before.0.is_null() => (Action::Create, first),
            Some(first) if !replaces => {
                let same = plan_rules::same(&first.planned, &before.0);
                (if same { Action::NoOp } else { Action::Update }, first)
            }
            // Core plans a replacement as a create of its own.
            other => {
                // It does so with the private state of the first plan.
                let private = other.as_ref().map(|first| first.private.clone()).unwrap_or_default();
                let mut create = self.plan_once(&Value::Null, private, &config).await?;
                if let Some(first) = other {
                    create.replace = first.replace;
                    warnings.extend(first.warnings);
                }
                (Action::Replace, create)
            }
        };
        for warning in std::mem::take(&mut answered.warnings) {
            if !warnings.contains(&warning) {
                warnings.push(warning);
            }
        }
        answered.warnings = warnings;
        Ok(Plan::new(self, prior, config, action, answered))
    }

    /// One PlanResourceChange for an object that shall be there.
    pub(super) async fn plan_once(
        &self,
        prior: &Value,
        private: Bytes,
        config: &Value,
    ) -> Result<Answered, Failure> {
        const RPC: &str = "PlanResourceChange";
        let Managed { block, ty, .. } = self.managed()?;
        let proposed = proposed::proposed(block, prior, config);
        let answer = self.send_plan(prior, &proposed, config, private).await?;
        let warnings = wire::told(RPC, answer.diagnostics)?;
        let planned = wire::decode(RPC, answer.planned_state.as_ref(), ty)?;
        if answer.legacy_type_system {
            let what = "the switch for providers older than Terraform 0.12 is set";
            return Err(Failure::broken(RPC, vec![Violation::new(Rule::InvalidAnswer, "", what)]));
        }
        let mut findings = Findings::of(Rule::InvalidPlan);
        plan_rules::check(block, prior, config, &planned, &mut findings);
        let replace: Vec<_> = answer.requires_replace.iter().map(wire::path).collect();
        for path in &replace {
            // A null or unknown on the way hides what is there; else the path must lead somewhere.
            if planned.at(path).is_none() && prior.at(path).is_none() {
                findings.wrong(path, "replacement is asked for a path that leads nowhere");
            }
        }
        findings.done(RPC)?;
        Ok(Answered { planned, private: answer.planned_private, replace, warnings })
    }

    /// One PlanResourceChange for an object that shall go. Providers that do not plan that are not asked.
    pub(super) async fn plan_removal(&self, prior: &Instance) -> Result<Answered, Failure> {
        const RPC: &str = "PlanResourceChange";
        let mut answered = Answered {
            planned: Value::Null,
            private: prior.private.clone(),
            replace: Vec::new(),
            warnings: Vec::new(),
        };
        if self.client.schemas.plan_destroy() {
            let answer =
                self.send_plan(&prior.value, &Value::Null, &Value::Null, prior.private.clone()).await?;
            answered.warnings = wire::told(RPC, answer.diagnostics)?;
            let planned = wire::decode(RPC, answer.planned_state.as_ref(), &self.managed()?.ty)?;
            if !planned.is_null() {
                let mut findings = Findings::of(Rule::InvalidPlan);
                let root = tfplugin_framework::schema::Path::root();
                findings.differs(&root, "a destroy must be planned as null", &Value::Null, &planned);
                findings.done(RPC)?;
            }
            answered.private = answer.planned_private;
        }
        Ok(answered)
    }

    async fn send_plan(
        &self,
        prior: &Value,
        proposed: &Value,
        config: &Value,
        private: Bytes,
    ) -> Result<pb::plan_resource_change::Response, Failure> {
        let ty = &self.managed()?.ty;
        let request = pb::plan_resource_change::Request {
            type_name: self.type_name.clone(),
            prior_state: Some(wire::encode(prior, ty)?),
            proposed_new_state: Some(wire::encode(proposed, ty)?),
            config: Some(wire::encode(config, ty)?),
            prior_private: private,
            provider_meta: self.client.meta()?,
            client_capabilities: Some(self.client.options.capabilities),
            ..Default::default()
        };
        let call = async { self.client.rpc().plan_resource_change(request).await };
        self.client.call("PlanResourceChange", call).await
    }

    /// One ApplyResourceChange, and what Terraform would store after it.
    pub(super) async fn apply_once(
        &self,
        prior: Option<&Instance>,
        config: &Value,
        answered: &Answered,
    ) -> Result<Option<Instance>, Failure> {
        const RPC: &str = "ApplyResourceChange";
        let Managed { block, ty, .. } = self.managed()?;
        let before = prior.map_or(Value::Null, |prior| prior.value.clone());
        let request = pb::apply_resource_change::Request {
            type_name: self.type_name.clone(),
            prior_state: Some(wire::encode(&before, ty)?),
            planned_state: Some(wire::encode(&answered.planned, ty)?),
            config: Some(wire::encode(config, ty)?),
            planned_private: answered.private.clone(),
            provider_meta: self.client.meta()?,
            planned_identity: None,
        };
        let call = async { self.client.rpc().apply_resource_change(request).await };
        let answer = self.client.call(RPC, call).await?;
        let state = wire::decode(RPC, answer.new_state.as_ref(), ty)?;
        let instance = |value: Value, tainted: bool, warnings: Vec<Diagnostic>| {
            let made = Instance::new(self, value, answer.private.clone(), warnings);
            Instance { tainted, config: config.clone(), ..made }
        };
        let told = wire::told(RPC, answer.diagnostics);

        // Of an answer with errors, core keeps what it can.
        let mut storable = state.clone();
        forget_unknown(&mut storable);
        let kept = match (storable.is_null(), &told) {
            (true, Err(_)) => prior.cloned(),
            (true, Ok(_)) => None,
            (false, _) => {
                let tainted = told.is_err() && prior.is_none_or(|prior| prior.tainted);
                Some(instance(storable, tainted, Vec::new()))
            }
        };
        let mut findings = Findings::of(Rule::InvalidObject);
        result_rules::check_storable(block, &state, &mut findings);
        if answered.planned.is_null() && !state.is_null() && told.is_ok() {
            let root = tfplugin_framework::schema::Path::root();
            findings.differs(&root, "a deletion must answer null", &Value::Null, &state);
        }
        findings.done(RPC).map_err(|failure| failure.keeping(kept.clone()))?;
        let warnings = told.map_err(|failure| failure.keeping(kept.clone()))?;
        if answered.planned.is_null() {
            return Ok(None);
        }
        let mut findings = Findings::of(Rule::InconsistentResult);
        result_rules::check(block, &answered.planned, &state, &mut findings);
        findings.done(RPC).map_err(|failure| failure.keeping(kept))?;
        Ok(Some(instance(state, false, warnings)))
    }
}

/// Null in the place of what is unknown, as core stores it.
fn forget_unknown(value: &mut Value) {
    match value {
        Value::Unknown(_) => *value = Value::Null,
        Value::List(elements) => elements.iter_mut().for_each(forget_unknown),
        Value::Map(members) => members.values_mut().for_each(forget_unknown),
        Value::Set(set) => {
            let mut elements = std::mem::take(set).into_vec();
            elements.iter_mut().for_each(forget_unknown);
            *value = Value::set(elements);
        }
        Value::Dynamic(dynamic) => forget_unknown(&mut dynamic.value),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}
