//! The job `fleet`: checks what no plan could know, writes the fleet's record, and asks for a moment whether it was taken.

use async_trait::async_trait;
use serde_json::Value;
use streamverse_core::log::{EventLog, open_log};
use streamverse_core::{Error, Job, JobHandle, Result, ServiceContext, Stop};
use streamverse_model::compute::runpod::remote_log;
use streamverse_model::compute::{
    CloudKind, FleetControllerRun, FleetDefinition, FleetRecord, FleetTaken, FleetWork, RunpodAccess,
    fleet_generation, worker_reaches, worker_store,
};
use streamverse_model::media::{TRANSCODE_PARTITIONS, TRANSCODE_TOPIC};
use tokio::time::Instant;

use super::{Fleets, LOOK, TRIES, Told, contended, owner_of, pause};

/// What the controller needs beside two ticks to be heard.
const MARGIN: std::time::Duration = std::time::Duration::from_secs(2);

pub(super) async fn start(spec: Value, cx: ServiceContext) -> Result<Box<dyn Job>> {
    let Told { controller_name, controller, work, definition } = Told::read(spec, &cx)?;
    check(&definition, work.as_ref(), &controller, controller_name.as_str())?;
    let fleets = Fleets::open(&controller.catalogue, controller_name.as_str(), &cx).await?;
    let log = match &definition.queue {
        Some(queue) => Some(open_log(&queue.event_log, &cx).await?),
        None => None,
    };
    Ok(Box::new(HandOver { record: record(definition, work, owner_of(&cx)), controller, fleets, log }))
}

/// Refuses what the controller could not do, before anything is bought.
pub(super) fn check(
    definition: &FleetDefinition,
    work: Option<&FleetWork>,
    controller: &FleetControllerRun,
    name: &str,
) -> Result<()> {
    let refused = |code: &'static str, why: String| Err(Error::permanent(code, why));
    if definition.candidates.iter().any(|it| it.cloud == CloudKind::Runpod) && controller.runpod.is_none() {
        return refused(
            "no-account",
            format!("the fleet controller {name:?} has no RunPod account: give it `runpod`"),
        );
    }
    let elsewhere = controller.runpod.as_ref().is_some_and(RunpodAccess::is_elsewhere);
    let usable =
        |url: &str| worker_store(url).and_then(|()| if elsewhere { worker_reaches(url) } else { Ok(()) });
    let given = |url: &str, what: &str| match usable(url) {
        Err(why) => {
            refused("store-out-of-reach", format!("the {what} is of no use to rented workers: {why}"))
        }
        Ok(()) if !controller.stores.iter().any(|it| it == url) => refused(
            "store-not-given",
            format!(
                "the {what} is none of the stores that the fleet controller {name:?} gives its workers: add {url} to its `stores`"
            ),
        ),
        Ok(()) => Ok(()),
    };
    if let Some(work) = work {
        let of = |what: &str| format!("{what} of the transcoder {:?}", work.transcoder.as_str());
        given(&work.spec.event_log, &of("event log"))?;
        given(&work.spec.object_store, &of("object store"))?;
    }
    if let Some(queue) = &definition.queue {
        if let Err(why) = remote_log(&queue.event_log) {
            return refused("store-out-of-reach", why);
        }
        given(&queue.event_log, "queue's event log")?;
    }
    Ok(())
}

/// The record of a fleet; its generation follows from what it is.
pub(super) fn record(definition: FleetDefinition, work: Option<FleetWork>, owner: String) -> FleetRecord {
    let generation = fleet_generation(&serde_json::json!(definition), &serde_json::json!(work));
    FleetRecord { definition, work, generation, tombstone: false, owner }
}

pub(super) struct HandOver {
    pub(super) record: FleetRecord,
    pub(super) controller: FleetControllerRun,
    pub(super) fleets: Fleets,
    pub(super) log: Option<std::sync::Arc<dyn EventLog>>,
}

#[async_trait]
impl Job for HandOver {
    async fn run(self: Box<Self>, handle: JobHandle, stop: Stop) -> Result<Value> {
        // Whose it is, before anything that takes time.
        self.fleets.fleet(self.name(), &self.record.owner).await?;
        self.check_partitions().await?;
        self.write(&handle, &stop).await?;
        let taken = self.asked(&stop).await?;
        serde_json::to_value(taken)
            .map_err(|error| Error::permanent("result", "what came of it cannot be written").because(error))
    }
}

impl HandOver {
    fn name(&self) -> &str {
        self.record.definition.name.as_str()
    }

    /// A partition is one worker's at a time.
    async fn check_partitions(&self) -> Result<()> {
        let (Some(log), Some(queue)) = (&self.log, &self.record.definition.queue) else { return Ok(()) };
        if self.record.work.is_some() && queue.topic == TRANSCODE_TOPIC {
            // As its transcoder makes it: that one may not have started yet.
            log.ensure_topic(TRANSCODE_TOPIC, TRANSCODE_PARTITIONS, None).await?;
        }
        // Each job that a worker does side by side is a member of the group.
        let each = if self.record.work.is_some() { queue.jobs_per_worker.max(1) } else { 1 };
        let max = self.record.definition.range.max;
        let own = self.record.work.as_ref().map_or(0, |it| it.own_members(queue));
        let members = max.saturating_mul(each).saturating_add(own);
        match log.partitions(&queue.topic).await? {
            Some(0) => {
                let text =
                    format!("there is no topic {:?}: make it, or let whoever reads it make it", queue.topic);
                Err(Error::passing("no-topic", text))
            }
            Some(count) if count < members => {
                let theirs = match own {
                    0 => String::new(),
                    own => format!(", and {own} are for what the transcoder's own workers do"),
                };
                let text = format!(
                    "the topic {:?} has {count} partitions, and one is one worker's at a time{theirs}: {} of {max} workers would be \
                     paid for nothing. Raise `partitions` of the streamverse_event_log to {members} at least, or lower range.max",
                    queue.topic,
                    max - count.saturating_sub(own) / each
                );
                Err(Error::permanent("too-few-partitions", text))
            }
            _ => Ok(()),
        }
    }

    async fn write(&self, handle: &JobHandle, stop: &Stop) -> Result<()> {
        let (fleets, name) = (&self.fleets, self.name());
        let value = serde_json::to_value(&self.record).map_err(|error| {
            Error::permanent("fleet-record", "the record cannot be written").because(error)
        })?;
        for _ in 0..TRIES {
            let done = match fleets.fleet(name, &self.record.owner).await? {
                None => {
                    // What a controller said of an earlier one of this name is not said of this one.
                    fleets.records.remove(&fleets.statuses, name).await?;
                    fleets.records.insert(&fleets.fleets, name, &value).await?
                }
                Some((_, found)) if found.record.as_ref() == Some(&self.record) => true,
                Some((_, found)) if found.seen.fenced => {
                    self.wait_for_end(&found.seen.generation, handle, stop).await?;
                    false
                }
                Some((version, _)) => fleets.records.replace(&fleets.fleets, name, version, &value).await?,
            };
            if done {
                return Ok(());
            }
        }
        Err(contended(name))
    }

    /// A destroy that was cut short goes on: only then may it begin anew.
    async fn wait_for_end(&self, generation: &str, handle: &JobHandle, stop: &Stop) -> Result<()> {
        loop {
            let status = self.fleets.status(self.name()).await?;
            if status.as_ref().is_some_and(|it| it.deleted && it.generation == generation) {
                return self.fleets.forget(self.name()).await;
            }
            let left = status.map_or(0, |it| it.instances);
            handle.found(serde_json::json!({ "waiting": format!("it is still being destroyed: {left} instances are left") }));
            pause(stop, LOOK).await?;
        }
    }

    /// Whether the controller has acted on it, within two ticks.
    async fn asked(&self, stop: &Stop) -> Result<FleetTaken> {
        let generation = self.record.generation.clone();
        let until = Instant::now() + self.controller.controller.tick.0 * 2 + MARGIN;
        loop {
            let status = self.fleets.status(self.name()).await?;
            if let Some(status) = status.filter(|it| it.generation == generation) {
                return Ok(FleetTaken { generation, taken: true, trouble: status.trouble });
            }
            if Instant::now() >= until {
                return Ok(FleetTaken { generation, taken: false, trouble: None });
            }
            pause(stop, LOOK).await?;
        }
    }
}
