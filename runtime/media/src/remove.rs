//! The job that takes an asset away: no longer listed first, then no longer there.

use async_trait::async_trait;
use object_store::path::Path;
use serde::Deserialize;
use serde_json::{Value, json};
use streamverse_core::{Error, Job, JobHandle, Result, ServiceContext, Start, Stop, Target};
use streamverse_model::platform::Name;

use crate::job::Stores;
use crate::work;

/// The target `vod-remove` (spec: the asset's and the transcoder's name).
pub const VOD_REMOVE: Target =
    Target { name: "vod-remove", start: Start::Job(|spec, cx| Box::pin(start(spec, cx))) };

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct RemoveSpec {
    name: Name,
    transcoder: Name,
}

async fn start(spec: Value, cx: ServiceContext) -> Result<Box<dyn Job>> {
    let spec: RemoveSpec = serde_json::from_value(spec)
        .map_err(|error| Error::permanent("spec-invalid", "this is no spec of a removal").because(error))?;
    let stores = Stores::open(&spec.transcoder, &cx).await?;
    Ok(Box::new(Removal { spec, stores }))
}

struct Removal {
    spec: RemoveSpec,
    stores: Stores,
}

#[async_trait]
impl Job for Removal {
    async fn run(self: Box<Self>, _: JobHandle, _: Stop) -> Result<Value> {
        let name = self.spec.name.as_str();
        self.stores.catalogue.withdraw(name).await?;
        let objects = &*self.stores.objects;
        work::withdraw(objects, &Path::from(format!("work/{name}"))).await?;
        work::remove_all(objects, &Path::from(format!("vod/{name}"))).await?;
        Ok(json!({ "removed": name }))
    }
}
