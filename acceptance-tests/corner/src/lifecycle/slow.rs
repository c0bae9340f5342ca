//! `corner_slow`: takes as long as it is told, with progress; ends cleanly on Ctrl-C and on its time-out.

use std::time::Duration;

use tfplugin_framework::schema::{self, Computed, Timeouts};
use tfplugin_framework::{
    Class, Context, Error, Plan, Progress, Read, Resource, Result, Schema, State, Stored, resource,
};

use crate::Corner;

/// Takes its time.
#[derive(Clone, Schema)]
pub(crate) struct Slow {
    /// Assigned by the provider.
    id: Computed<String>,
    /// How long creating takes.
    takes: schema::Duration,
    /// How often the remote side is busy before it answers.
    #[attribute(default = 0_u32)]
    busy: u32,
    /// Whether the handler ignores that it was told to stop.
    #[attribute(default = false)]
    deaf: bool,
    /// How long it may take.
    timeouts: Timeouts,
}

#[resource(name = "slow", timeouts(create = "1m", delete = "1m"))]
impl Resource for Slow {
    type Provider = Corner;

    async fn create(cx: &Context<Corner>, plan: Plan<Self>) -> Result<State<Self>> {
        let id = tfplugin_framework::unique_id("slow");
        cx.provider().store.put("slow", &id, &serde_json::json!({}))?;
        cx.save(&plan.partial().set(Slow::id(), &id));
        if plan.deaf {
            tokio::time::sleep(plan.takes.0).await;
        }
        let mut answers = 0;
        cx.retry(tfplugin_framework::Backoff::default(), || {
            answers += 1;
            let busy = answers <= plan.busy;
            async move {
                if busy {
                    Err(Error::new(Class::Throttle(Some(Duration::from_millis(10))), "busy"))
                } else {
                    Ok(())
                }
            }
        })
        .await?;
        let began = std::time::Instant::now();
        let takes = plan.takes.0;
        cx.wait_until("the slow thing", Duration::from_millis(100), || async move {
            let done = began.elapsed();
            Ok(if done >= takes {
                Progress::Done(())
            } else {
                Progress::Waiting(format!("{} of {} s", done.as_secs(), takes.as_secs()))
            })
        })
        .await?;
        Ok(plan.complete(SlowComputed { id }))
    }

    async fn read(cx: &Context<Corner>, state: Stored<Self>) -> Result<Read<Self>> {
        let kept = cx.provider().store.get::<serde_json::Value>("slow", state.id.get()?)?;
        Ok(if kept.is_some() { Read::Unchanged } else { Read::Gone })
    }

    async fn update(_: &Context<Corner>, prior: Stored<Self>, plan: Plan<Self>) -> Result<State<Self>> {
        Ok(plan.complete(SlowComputed { id: prior.id.get()?.clone() }))
    }

    async fn delete(cx: &Context<Corner>, state: Stored<Self>) -> Result<()> {
        cx.provider().store.remove("slow", state.id.get()?)
    }
}
