//! `corner_modified`: a resource that looks at its whole plan: cost known before apply, a prefix promised for
//! an unknown value, replacement by a rule of its own, a warning before destroying.

use tfplugin_framework::schema::{Computed, Refinement};
use tfplugin_framework::{Context, Draft, Plan, Read, Resource, Result, Schema, State, Stored, resource};

use crate::Corner;

/// A machine with a price.
#[derive(Clone, Schema)]
pub(crate) struct Modified {
    /// Assigned by the provider; begins with `modified-`.
    id: Computed<String>,
    /// How many cores.
    cores: u32,
    /// In cents an hour: 7 for each core, known at plan time.
    #[attribute(changes_with = [cores])]
    cost: Computed<u32>,
}

fn cost(cores: u32) -> u32 {
    cores.saturating_mul(7)
}

#[resource(name = "modified")]
impl Resource for Modified {
    type Provider = Corner;

    async fn create(cx: &Context<Corner>, plan: Plan<Self>) -> Result<State<Self>> {
        let id = tfplugin_framework::unique_id("modified");
        let state = plan.complete(ModifiedComputed { id: id.clone(), cost: cost(plan.cores) });
        cx.provider().keep::<Self>(&id, &state)?;
        Ok(state)
    }

    async fn read(cx: &Context<Corner>, state: Stored<Self>) -> Result<Read<Self>> {
        let id = state.id.get()?;
        let Some(object) = cx.provider().kept::<Self>(id)? else { return Ok(Read::Gone) };
        Ok(Read::Found(object.complete(ModifiedComputed { id: id.clone(), cost: cost(object.cores) })))
    }

    async fn update(cx: &Context<Corner>, prior: Stored<Self>, plan: Plan<Self>) -> Result<State<Self>> {
        let id = prior.id.get()?.clone();
        let state = plan.complete(ModifiedComputed { id: id.clone(), cost: cost(plan.cores) });
        cx.provider().keep::<Self>(&id, &state)?;
        Ok(state)
    }

    async fn delete(cx: &Context<Corner>, state: Stored<Self>) -> Result<()> {
        cx.provider().store.remove("modified", state.id.get()?)
    }

    async fn modify_plan(cx: &Context<Corner>, draft: &mut Draft<Self>) -> Result<()> {
        if draft.is_destroy() {
            cx.warn("The machine goes", "Whatever runs on it ends.");
            return Ok(());
        }
        let planned = draft.planned()?;
        if let Some(&cores) = planned.cores.known() {
            draft.set(Modified::cost(), &cost(cores))?;
            // A machine cannot shrink.
            let before = draft.prior()?.and_then(|prior| prior.cores.into_known());
            if before.is_some_and(|before| cores < before) {
                draft.replace(Modified::cores());
            }
            if cores > 64 {
                cx.warn_at(Modified::cores(), "Few machines are this large", "Expect to wait for one.");
            }
        }
        if planned.id.is_unknown() {
            draft.set_refined(Modified::id(), Refinement::prefix("modified-"))?;
        }
        Ok(())
    }
}
