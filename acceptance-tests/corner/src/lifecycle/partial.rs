//! `corner_partial` and `corner_resumable`: creates that fail half-way. The first ends as Terraform's own rule
//! says: an error, and a tainted object in the state. The second is continued by the next apply.
//!
//! While the file `fail` lies in the store's directory of the kind, the second half fails.

use std::time::Duration;

use tfplugin_framework::schema::{Computed, Timeouts};
use tfplugin_framework::{Context, Error, Plan, Read, Resource, Result, Schema, State, Stored, resource};

use crate::Corner;

/// Made in two halves.
#[derive(Clone, Schema)]
pub(crate) struct Partly {
    /// Assigned by the first half.
    id: Computed<String>,
    /// What it is called.
    name: String,
    /// Assigned by the second half.
    endpoint: Computed<String>,
}

/// Made in two halves, and continued.
#[derive(Clone, Schema)]
pub(crate) struct Resumable {
    /// Assigned by the first half.
    id: Computed<String>,
    /// What it is called.
    name: String,
    /// Assigned by the second half.
    endpoint: Computed<String>,
    /// How long it may take.
    timeouts: Timeouts,
}

const HANG: &str = "hang";
const FAIL: &str = "fail";

// The second half: fails or hangs while a test wants it to.
async fn endpoint(cx: &Context<Corner>, kind: &str, id: &str) -> Result<String> {
    let store = &cx.provider().store;
    while store.get::<serde_json::Value>(kind, HANG)?.is_some() {
        cx.sleep(Duration::from_millis(50)).await?;
    }
    if store.get::<serde_json::Value>(kind, FAIL)?.is_some() {
        return Err(Error::permanent("the second half failed").next("Remove the cause and apply again."));
    }
    store.put(kind, id, &serde_json::json!({ "endpoint": format!("https://{id}.example") }))?;
    Ok(format!("https://{id}.example"))
}

#[resource(name = "partial")]
impl Resource for Partly {
    type Provider = Corner;

    async fn create(cx: &Context<Corner>, plan: Plan<Self>) -> Result<State<Self>> {
        let id = tfplugin_framework::unique_id("partial");
        cx.provider().store.put("partial", &id, &serde_json::json!({}))?;
        cx.save(&plan.partial().set(Partly::id(), &id));
        let endpoint = endpoint(cx, "partial", &id).await?;
        Ok(plan.complete(PartlyComputed { id, endpoint }))
    }

    async fn read(cx: &Context<Corner>, state: Stored<Self>) -> Result<Read<Self>> {
        let kept = cx.provider().store.get::<serde_json::Value>("partial", state.id.get()?)?;
        Ok(if kept.is_some() { Read::Unchanged } else { Read::Gone })
    }

    async fn update(_: &Context<Corner>, prior: Stored<Self>, plan: Plan<Self>) -> Result<State<Self>> {
        let (id, endpoint) = (prior.id.get()?.clone(), prior.endpoint.get()?.clone());
        Ok(plan.complete(PartlyComputed { id, endpoint }))
    }

    async fn delete(cx: &Context<Corner>, state: Stored<Self>) -> Result<()> {
        cx.provider().store.remove("partial", state.id.get()?)
    }
}

#[resource(name = "resumable", resumable)]
impl Resource for Resumable {
    type Provider = Corner;

    async fn create(cx: &Context<Corner>, plan: Plan<Self>) -> Result<State<Self>> {
        let id = tfplugin_framework::unique_id("resumable");
        cx.provider().store.put("resumable", &id, &serde_json::json!({}))?;
        cx.save(&plan.partial().set(Resumable::id(), &id));
        cx.unfinished("the endpoint");
        // For tests that interrupt once something is saved.
        cx.provider().store.put("resumable", "made", &serde_json::json!({}))?;
        let endpoint = endpoint(cx, "resumable", &id).await?;
        Ok(plan.complete(ResumableComputed { id, endpoint }))
    }

    async fn read(cx: &Context<Corner>, state: Stored<Self>) -> Result<Read<Self>> {
        let kept = cx.provider().store.get::<serde_json::Value>("resumable", state.id.get()?)?;
        Ok(if kept.is_some() { Read::Unchanged } else { Read::Gone })
    }

    async fn update(cx: &Context<Corner>, prior: Stored<Self>, plan: Plan<Self>) -> Result<State<Self>> {
        let id = prior.id.get()?.clone();
        let endpoint = match prior.endpoint.known() {
            Some(endpoint) => endpoint.clone(),
            None => endpoint(cx, "resumable", &id).await?,
        };
        Ok(plan.complete(ResumableComputed { id, endpoint }))
    }

    async fn delete(cx: &Context<Corner>, state: Stored<Self>) -> Result<()> {
        cx.provider().store.remove("resumable", state.id.get()?)
    }
}
