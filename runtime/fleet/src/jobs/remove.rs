//! The job `fleet-remove`: fences a fleet, waits until its controller says that nothing of it is left, and removes its record.

use async_trait::async_trait;
use serde_json::{Value, json};
use streamverse_core::{Error, Job, JobHandle, Result, ServiceContext, Stop};
use streamverse_model::compute::{FleetControllerRun, FleetRemovalSpec, FleetRemoved, FleetStatus};

use super::{Fleets, LOOK, TRIES, contended, owner_of, pause};

/// How the generation of a fleet's end begins.
const END: &str = "end-";

pub(super) async fn start(spec: Value, cx: ServiceContext) -> Result<Box<dyn Job>> {
    let spec: FleetRemovalSpec = serde_json::from_value(spec)
        .map_err(|error| Error::permanent("spec-invalid", "this is no spec of a removal").because(error))?;
    let controller: FleetControllerRun = cx.spec("fleet-controller", spec.controller.as_str())?;
    let fleets = Fleets::open(&controller.catalogue, spec.controller.as_str(), &cx).await?;
    Ok(Box::new(Removal { name: spec.name.to_string(), owner: owner_of(&cx), fleets }))
}

pub(super) struct Removal {
    pub(super) name: String,
    pub(super) owner: String,
    pub(super) fleets: Fleets,
}

#[async_trait]
impl Job for Removal {
    async fn run(self: Box<Self>, handle: JobHandle, stop: Stop) -> Result<Value> {
        let ended = match self.fence().await? {
            Some(generation) => self.wait(&generation, &handle, &stop).await?,
            None => self.has_ended().await?,
        };
        if !ended {
            tracing::warn!(
                fleet = self.name,
                "The fleet's record is not in its controller's catalogue: nothing is fenced, and pods of it may run as strangers."
            );
        }
        self.fleets.forget(&self.name).await?;
        serde_json::to_value(FleetRemoved { removed: self.name, unrecorded: !ended })
            .map_err(|error| Error::permanent("fleet-record", "what was done cannot be told").because(error))
    }
}

impl Removal {
    /// From here on nothing of it is started. The generation that says so; `None` where there is no such fleet.
    async fn fence(&self) -> Result<Option<String>> {
        let fleets = &self.fleets;
        for _ in 0..TRIES {
            let Some((version, held)) = fleets.fleet(&self.name, &self.owner).await? else {
                return Ok(None);
            };
            if held.seen.fenced {
                return Ok(Some(held.seen.generation));
            }
            // No record of this name has had this version: what a controller said of an earlier end is not said of this one.
            let generation = format!("{END}{version}");
            let value = held.fenced(&generation, &self.owner);
            if fleets.records.replace(&fleets.fleets, &self.name, version, &value).await? {
                return Ok(Some(generation));
            }
        }
        Err(contended(&self.name))
    }

    /// Whether its controller said that nothing of it is left: a removal that was killed after it took the record away left that.
    async fn has_ended(&self) -> Result<bool> {
        let status = self.fleets.status(&self.name).await?;
        Ok(status.is_some_and(|it| it.deleted && it.generation.starts_with(END)))
    }

    /// Whether its controller says that nothing is left; not where another hand took the record away.
    async fn wait(&self, generation: &str, handle: &JobHandle, stop: &Stop) -> Result<bool> {
        let mut most = 0;
        loop {
            let status = self.fleets.status(&self.name).await?.unwrap_or_default();
            let heard = status.generation == generation;
            if heard && status.deleted {
                return Ok(true);
            }
            // Another hand took the record away: there is nothing that could be waited for.
            if self.fleets.records.version(&self.fleets.fleets, &self.name).await?.is_none() {
                return Ok(false);
            }
            most = most.max(status.instances);
            handle.progress(u64::from(most - status.instances), u64::from(most), "instances");
            handle.found(json!({ "waiting": told(&status, heard) }));
            pause(stop, LOOK).await?;
        }
    }
}

/// What it waits for, for a person.
fn told(status: &FleetStatus, heard: bool) -> String {
    let trouble = status.trouble.as_deref().map(|it| format!(" ({it})")).unwrap_or_default();
    if heard {
        format!("{} instances are left{trouble}", status.instances)
    } else {
        format!(
            "its controller has not answered yet: is it running, and does it reach its catalogue?{trouble}"
        )
    }
}
