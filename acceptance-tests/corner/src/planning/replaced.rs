//! `corner_replaced`: which changes need another object.

use tfplugin_framework::Schema;
use tfplugin_framework::schema::{Computed, Value};

/// Reasons for replacement.
#[derive(Clone, Schema)]
pub(crate) struct Replaced {
    /// Assigned by the provider.
    id: Computed<String>,
    /// Always.
    #[attribute(replace)]
    always: Option<String>,
    /// If the configuration says so.
    #[attribute(optional, replace(if_configured))]
    configured: Computed<Option<String>>,
    /// If it shrinks.
    #[attribute(replace(if = shrinks))]
    size: Option<u32>,
    /// Deep inside.
    inner: Option<ReplacedInner>,
    /// Never.
    note: Option<String>,
}

/// An object with a part that cannot change.
#[derive(Clone, Schema)]
pub(crate) struct ReplacedInner {
    /// Cannot change in place.
    #[attribute(replace)]
    kind: String,
}

fn shrinks(prior: &Value, planned: &Value) -> bool {
    matches!((prior.as_number(), planned.as_number()), (Some(prior), Some(planned)) if planned < prior)
}

impl Replaced {
    fn configured_state(&self) -> Option<String> {
        self.configured.known().cloned().flatten()
    }
}

mod handlers {
    use tfplugin_framework::{Context, Plan, Read, Resource, Result, State, Stored, resource};

    use super::{Replaced, ReplacedComputed};
    use crate::Corner;

    #[resource(name = "replaced")]
    impl Resource for Replaced {
        type Provider = Corner;

        async fn create(cx: &Context<Corner>, plan: Plan<Self>) -> Result<State<Self>> {
            let id = tfplugin_framework::unique_id("replaced");
            let configured = plan.configured_state();
            let state = plan.complete(ReplacedComputed { id: id.clone(), configured });
            cx.provider().keep::<Self>(&id, &state)?;
            Ok(state)
        }

        async fn read(cx: &Context<Corner>, state: Stored<Self>) -> Result<Read<Self>> {
            let id = state.id.get()?;
            let Some(object) = cx.provider().kept::<Self>(id)? else { return Ok(Read::Gone) };
            let configured = object.configured_state();
            Ok(Read::Found(object.complete(ReplacedComputed { id: id.clone(), configured })))
        }

        async fn update(cx: &Context<Corner>, prior: Stored<Self>, plan: Plan<Self>) -> Result<State<Self>> {
            let id = prior.id.get()?.clone();
            let configured = plan.configured_state();
            let state = plan.complete(ReplacedComputed { id: id.clone(), configured });
            cx.provider().keep::<Self>(&id, &state)?;
            Ok(state)
        }

        async fn delete(cx: &Context<Corner>, state: Stored<Self>) -> Result<()> {
            cx.provider().store.remove("replaced", state.id.get()?)
        }
    }
}
