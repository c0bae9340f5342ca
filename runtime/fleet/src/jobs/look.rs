//! The job `fleet-look`: whether the fleet's record is still as its resource wrote it. It writes nothing.

use async_trait::async_trait;
use serde_json::{Value, json};
use streamverse_core::{Job, JobHandle, Result, ServiceContext, Stop};
use streamverse_model::compute::{FleetDefinition, FleetWork};

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
            Ok(None) => Some(format!("the fleet {name:?} is gone from its controller's catalogue")),
            Ok(Some((_, found))) if found.seen.fenced => {
                Some(format!("the fleet {name:?} is fenced in its controller's catalogue"))
            }
            Ok(Some((_, Held { record: None, .. }))) => {
                Some(format!("the controller's catalogue has a fleet {name:?} of another version"))
            }
            // Its workers are given what was handed over: another bucket, for example, is not what they have.
            Ok(Some((_, Held { record: Some(found), .. }))) if found.work != self.work => Some(format!(
                "the transcoder of the fleet {name:?} was changed since the fleet was handed over"
            )),
            Ok(Some((_, Held { record: Some(found), .. }))) if found.definition != self.definition => {
                Some(format!("the fleet {name:?} is another one in its controller's catalogue"))
            }
            Ok(Some(_)) => None,
        };
        Ok(json!({ "changed": changed }))
    }
}
