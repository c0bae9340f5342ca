//! The jobs that hand a fleet to its controller, through the controller's catalogue, and take it away again.
//!
//! Both may be killed anywhere and run again. What they write is compared before it is replaced: a record that another resource
//! wrote is left alone, by both.

mod hand_over;
mod look;
mod remove;
#[cfg(test)]
mod tests;

use std::time::Duration;

use serde_json::Value;
use streamverse_core::stores::{Record, Records};
use streamverse_core::{Error, Result, ServiceContext, Start, Stop, Target};
use streamverse_model::compute::{
    FleetControllerRun, FleetDefinition, FleetJobSpec, FleetRecord, FleetSeen, FleetStatus, FleetWork,
    fleet_collection,
};
use streamverse_model::media::TranscoderSpec;
use streamverse_model::platform::{Name, SpecError};

/// The target `fleet` (spec: `FleetJobSpec`).
pub const FLEET: Target =
    Target { name: "fleet", start: Start::Job(|spec, cx| Box::pin(hand_over::start(spec, cx))) };

/// The target `fleet-remove` (spec: `FleetRemovalSpec`).
pub const FLEET_REMOVE: Target =
    Target { name: "fleet-remove", start: Start::Job(|spec, cx| Box::pin(remove::start(spec, cx))) };

/// The target `fleet-look` (spec: `FleetJobSpec`).
pub const FLEET_LOOK: Target =
    Target { name: "fleet-look", start: Start::Job(|spec, cx| Box::pin(look::start(spec, cx))) };

/// Between two looks at what the controller says.
const LOOK: Duration = Duration::from_millis(500);
/// How often a record that somebody else changes at the same time is looked at again.
const TRIES: u32 = 20;

/// What the job of a fleet is told, with what it reads of others.
struct Told {
    controller_name: Name,
    controller: FleetControllerRun,
    work: Option<FleetWork>,
    definition: FleetDefinition,
}

impl Told {
    fn read(spec: Value, cx: &ServiceContext) -> Result<Told> {
        let spec: FleetJobSpec = serde_json::from_value(spec)
            .map_err(|error| Error::permanent("spec-invalid", "this is no spec of a fleet").because(error))?;
        let invalid = |error: SpecError| Error::permanent("spec-invalid", error.to_string());
        let controller_name = spec.controller().map_err(invalid)?;
        let controller: FleetControllerRun = cx.spec("fleet-controller", controller_name.as_str())?;
        let work = match spec.transcoder().map_err(invalid)? {
            Some(transcoder) => {
                let spec: TranscoderSpec = cx.spec("transcoder", transcoder.as_str())?;
                Some(FleetWork { transcoder, spec })
            }
            None => None,
        };
        let jobs = work.as_ref().map_or(1, |it| it.spec.concurrency);
        let definition = spec.definition(jobs).map_err(invalid)?;
        Ok(Told { controller_name, controller, work, definition })
    }
}

/// A fleet's record as it is in the catalogue.
struct Held {
    value: Value,
    /// Whether it is being destroyed, and its generation: they are where they are in every version.
    seen: FleetSeen,
    /// `None` where another version wrote it, or somebody by hand.
    record: Option<FleetRecord>,
}

impl Held {
    /// The same, fenced. Of what is no record at all nothing else is left.
    fn fenced(self, generation: &str, owner: &str) -> Value {
        let mut value = match self.value {
            value @ Value::Object(_) => value,
            _ => serde_json::json!({ "owner": owner }),
        };
        value["tombstone"] = serde_json::json!(true);
        value["generation"] = serde_json::json!(generation);
        value
    }
}

/// The fleets of one controller.
struct Fleets {
    records: std::sync::Arc<dyn Records>,
    fleets: String,
    statuses: String,
}

impl Fleets {
    async fn open(catalogue: &str, controller: &str, cx: &ServiceContext) -> Result<Fleets> {
        let records = streamverse_core::stores::open_records(catalogue, cx).await?;
        Ok(Fleets::of(records, controller))
    }

    fn of(records: std::sync::Arc<dyn Records>, controller: &str) -> Fleets {
        let (fleets, statuses) = (fleet_collection("", controller), fleet_collection("status", controller));
        Fleets { records, fleets, statuses }
    }

    /// The fleet of a name, if it is there and whose it should be. One of another version of ours is that, too: it can be written over,
    /// and taken away.
    async fn fleet(&self, name: &str, owner: &str) -> Result<Option<(u64, Held)>> {
        let Some(Record { version, value }) = self.records.get(&self.fleets, name).await? else {
            return Ok(None);
        };
        let whose = value["owner"].as_str().unwrap_or_default();
        if !whose.is_empty() && whose != owner {
            let text = format!(
                "the fleet {name:?} of this controller belongs to {whose}, and this is {owner}: give this one another name or \
                 another controller, or destroy that one first"
            );
            return Err(Error::permanent("fleet-owned", text));
        }
        let (seen, record) = (FleetSeen::of(&value), serde_json::from_value(value.clone()).ok());
        Ok(Some((version, Held { value, seen, record })))
    }

    /// What the controller says of it. One of another version says nothing.
    async fn status(&self, name: &str) -> Result<Option<FleetStatus>> {
        let found = self.records.get(&self.statuses, name).await?;
        Ok(found.and_then(|it| serde_json::from_value(it.value).ok()))
    }

    /// Removes a fleet whose end the controller has told, and what it said of it.
    async fn forget(&self, name: &str) -> Result<()> {
        self.records.remove(&self.fleets, name).await?;
        self.records.remove(&self.statuses, name).await
    }
}

/// The resource of a job, in words: two that have one name are told apart.
fn owner_of(cx: &ServiceContext) -> String {
    let owner = &cx.owner;
    format!("{}/{} of the deployment {} on site {}", owner.kind, owner.name, owner.deployment, cx.site)
}

/// Waits a little; an error when the job is to stop.
async fn pause(stop: &Stop, until: Duration) -> Result<()> {
    tokio::select! {
        () = stop.stopped() => Err(Error::passing("stopped", "it was told to stop")),
        () = tokio::time::sleep(until) => Ok(()),
    }
}

/// Somebody else changes the record all the time.
fn contended(name: &str) -> Error {
    Error::passing(
        "fleet-record",
        format!("the record of the fleet {name:?} is being changed by somebody else all the time"),
    )
}
