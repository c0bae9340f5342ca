//! The job `fleet-look`: whether the fleet's record is still as its resource wrote it. It writes nothing.

use async_trait::async_trait;
use serde_json::{Value, json};
use streamverse_core::{Error, Job, JobHandle, Result, ServiceContext, Stop};
use streamverse_model::compute::{FleetControllerRun, FleetDefinition, FleetJobSpec};
use streamverse_model::media::TranscoderSpec;

use super::{Fleets, owner_of};

pub(super) async fn start(spec: Value, cx: ServiceContext) -> Result<Box<dyn Job>> {
    let spec: FleetJobSpec = serde_json::from_value(spec)
        .map_err(|error| Error::permanent("spec-invalid", "this is no spec of a fleet").because(error))?;
    let invalid =
        |error: streamverse_model::platform::SpecError| Error::permanent("spec-invalid", error.to_string());
    let name = spec.controller().map_err(invalid)?;
    let controller: FleetControllerRun = cx.spec("fleet-controller", name.as_str())?;
    let jobs = match spec.transcoder().map_err(invalid)? {
        Some(transcoder) => cx.spec::<TranscoderSpec>("transcoder", transcoder.as_str())?.concurrency,
        None => 1,
    };
    let definition = spec.definition(jobs).map_err(invalid)?;
    let fleets = Fleets::open(&controller.catalogue, name.as_str(), &cx).await?;
    Ok(Box::new(Look { definition, owner: owner_of(&cx), fleets }))
}

pub(super) struct Look {
    pub(super) definition: FleetDefinition,
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
            Ok(Some((_, found))) if found.tombstone => {
                Some(format!("the fleet {name:?} is fenced in its controller's catalogue"))
            }
            Ok(Some((_, found))) if found.definition != self.definition => {
                Some(format!("the fleet {name:?} is another one in its controller's catalogue"))
            }
            Ok(Some(_)) => None,
        };
        Ok(json!({ "changed": changed }))
    }
}
