//! The job `fleet-look`: whether the fleet's record is still as its resource wrote it. It writes nothing.

use async_trait::async_trait;
use serde_json::{Value, json};
use streamverse_core::{Job, JobHandle, Result, ServiceContext, Stop};
use streamverse_model::compute::{FleetChange, FleetDefinition, FleetWork};

use super::{Fleets, Held, Told, owner_of};

pub(super) async fn start(spec: Value, cx: ServiceContext) -> Result<Box<dyn Job>> {
    let Told { controller_name, controller, work, definition } = Told::read(spec, &cx)?;
    let fleets = Fleets::open(&controller.catalogue, controller_name.as_str(), &cx).await?;
    Ok(Box::new(Look { definition, work, owner: owner_of(&cx), fleets }))
}

pub(super) struct Look {
    pub(super) definition: FleetDefinition,
    pub(super) work: Option<FleetWork>,
    pub(super) owner: String,
    pub(super) fleets: Fleets,
}

#[async_trait]
impl Job for Look {
    async fn run(self: Box<Self>, _: JobHandle, _: Stop) -> Result<Value> {
        let name = self.definition.name.as_str();
        let changed = match self.fleets.fleet(name, &self.owner).await {
            // Whoever has the name now says so when it is applied.
            Err(error) if !error.retry => Some(error.message),
            Err(error) => return Err(error),
            Ok(found) => self.changed(found.map(|(_, it)| it).as_ref()).map(|it| it.told(name)),
        };
        Ok(json!({ "changed": changed }))
    }
}

impl Look {
    fn changed(&self, found: Option<&Held>) -> Option<FleetChange> {
        let Some(found) = found else { return Some(FleetChange::Gone) };
        if found.seen.fenced {
            return Some(FleetChange::Fenced);
        }
        let Some(record) = &found.record else { return Some(FleetChange::Unreadable) };
        // Its workers are given what was handed over: another bucket, for example, is not what they have.
        if record.work != self.work {
            return Some(FleetChange::Transcoder);
        }
        (record.definition != self.definition).then_some(FleetChange::Another)
    }
}
