//! `streamverse_entitlement_policy`: pure, nothing runs for it. What it refuses and what it means: `model::drm::entitlement`.

use streamverse_model::drm::entitlement::{self, EntitlementPolicySpec};
use tfplugin_framework::schema::{Computed, Diagnostics};
use tfplugin_framework::{
    Context, Draft, Error, Findings, Plan, Read, Resource, Result, Schema, State, Stored, resource,
};

use crate::plain::spec_of;
use crate::provider::Streamverse;

/// Who may watch what: packages, purchases, rentals, events, blackouts, and how many screens at a time. Nothing runs for a
/// policy; licence services take its `definition`. Which account has what is no configuration: grants are written through
/// the licence service's admin API.
///
/// Where clocks may be off (`clock_skew` of the licence service), what opens does so late by that much and what closes
/// early, so that nobody gets more than the policy says.
///
/// Not proved live: no billing system ever wrote the grants, and no audience of thousands was ever served by it.
#[derive(Clone, Schema)]
pub struct EntitlementPolicy {
    /// What it is.
    #[attribute(flatten)]
    pub spec: EntitlementPolicySpec,
    /// The policy as JSON: what `streamverse_licence_service` takes as `policy`.
    pub definition: Computed<String>,
}

fn computed(spec: &EntitlementPolicySpec) -> Result<EntitlementPolicyComputed> {
    Ok(EntitlementPolicyComputed { definition: serde_json::to_string(spec)? })
}

/// What is not the spec's own.
const COMPUTED: &[&str] = &["definition"];

#[resource(name = "entitlement_policy")]
impl Resource for EntitlementPolicy {
    type Provider = Streamverse;

    async fn create(_: &Context<Streamverse>, plan: Plan<Self>) -> Result<State<Self>> {
        let computed = computed(&plan.spec)?;
        Ok(plan.into_inner().complete(computed))
    }

    async fn read(_: &Context<Streamverse>, _: Stored<Self>) -> Result<Read<Self>> {
        Ok(Read::Unchanged)
    }

    async fn update(cx: &Context<Streamverse>, _: Stored<Self>, plan: Plan<Self>) -> Result<State<Self>> {
        Self::create(cx, plan).await
    }

    async fn delete(_: &Context<Streamverse>, _: Stored<Self>) -> Result<()> {
        Ok(())
    }

    fn validate(config: &EntitlementPolicyView, findings: &mut Findings) {
        let mut found = Diagnostics::new();
        entitlement::check(&config.spec, &mut found);
        for diagnostic in found {
            findings.push(diagnostic);
        }
    }

    async fn modify_plan(_: &Context<Streamverse>, draft: &mut Draft<Self>) -> Result<()> {
        if draft.is_destroy() {
            return Ok(());
        }
        if let Some(spec) = spec_of::<EntitlementPolicySpec>(draft.value(), COMPUTED) {
            draft.set(Self::definition(), &computed(&spec)?.definition)?;
        } else if draft.is_change() {
            draft.set_unknown(Self::definition())?;
        }
        Ok(())
    }

    async fn import(_: &Context<Streamverse>, definition: &str) -> Result<State<Self>> {
        let spec: EntitlementPolicySpec = serde_json::from_str(definition).map_err(|error| {
            Error::invalid("this is no policy's definition")
                .next("Give the JSON of an output of `definition`.")
                .because(error)
        })?;
        let EntitlementPolicyComputed { definition } = computed(&spec)?;
        Ok(EntitlementPolicyState { spec, definition })
    }
}
