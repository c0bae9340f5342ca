//! `corner_private`: keeps a counter where neither Terraform nor people see it.

use tfplugin_framework::schema::Computed;
use tfplugin_framework::{Context, Plan, Read, Resource, Result, Schema, State, Stored, resource};

use crate::Corner;

/// Counts its updates in private state.
#[derive(Clone, Schema)]
pub(crate) struct PrivateState {
    /// Assigned by the provider.
    id: Computed<String>,
    /// What it is called.
    name: String,
    /// How many updates the private state remembers.
    #[attribute(changes_with = any)]
    updates: Computed<u64>,
    /// What the module said of itself when the object was last written.
    #[attribute(changes_with = any)]
    module: Computed<Option<String>>,
}

fn module(cx: &Context<Corner>) -> Option<String> {
    cx.provider_meta().get("module").as_str().map(str::to_owned)
}

#[resource(name = "private")]
impl Resource for PrivateState {
    type Provider = Corner;

    async fn create(cx: &Context<Corner>, plan: Plan<Self>) -> Result<State<Self>> {
        cx.set_private("updates", &0_u64)?;
        let id = tfplugin_framework::unique_id("private");
        Ok(plan.complete(PrivateStateComputed { id, updates: 0, module: module(cx) }))
    }

    async fn read(cx: &Context<Corner>, _: Stored<Self>) -> Result<Read<Self>> {
        // What is private is still there after a refresh, too.
        cx.private::<u64>("updates")?.map_or(Ok(Read::Gone), |_| Ok(Read::Unchanged))
    }

    async fn update(cx: &Context<Corner>, prior: Stored<Self>, plan: Plan<Self>) -> Result<State<Self>> {
        let updates = cx.private::<u64>("updates")?.unwrap_or_default() + 1;
        cx.set_private("updates", &updates)?;
        let id = prior.id.get()?.clone();
        Ok(plan.complete(PrivateStateComputed { id, updates, module: module(cx) }))
    }

    async fn delete(_: &Context<Corner>, _: Stored<Self>) -> Result<()> {
        Ok(())
    }
}
