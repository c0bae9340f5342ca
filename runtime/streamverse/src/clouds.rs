//! The clouds that a fleet controller knows: each is a crate of its own, and this is where they are named.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use streamverse_compute_runpod::{ApiKey, Client, Config, Runpod};
use streamverse_core::{Error, Result, ServiceContext, Start, Target};
use streamverse_fleet::service::Clouds;
use streamverse_model::compute::{CloudKind, FleetControllerRun, RUNPOD_KEY};
use streamverse_model::platform::CredentialUse;

/// The target `fleet-controller`.
pub(crate) const FLEET_CONTROLLER: Target = Target {
    name: "fleet-controller",
    start: Start::Service(|spec, cx| streamverse_fleet::service::start(spec, cx, clouds)),
};

/// A call of RunPod's, with all that it repeats: a launch whose answer was lost is looked for before it is asked for again.
const RUNPOD_CALL: Duration = Duration::from_secs(50);

/// The clouds of a spec, with the keys of the service's own secret.
fn clouds(run: &FleetControllerRun, cx: &ServiceContext) -> Result<Clouds> {
    let mut clouds: Clouds = BTreeMap::new();
    if let Some(access) = &run.runpod {
        let own = CredentialUse { kind: cx.owner.kind.clone(), name: cx.owner.name.clone() };
        let wrong = |error: streamverse_compute_runpod::Error| {
            Error::permanent("runpod", format!("RunPod cannot be asked: {error}"))
        };
        let key = zeroize::Zeroizing::new(cx.credential(&own, RUNPOD_KEY)?);
        let config = ApiKey::new(&key).and_then(|key| Config::new(&access.endpoint, key)).map_err(wrong)?;
        let client = Client::new(config).map_err(wrong)?;
        clouds.insert(CloudKind::Runpod, Arc::new(Runpod::new(client, RUNPOD_CALL)));
    }
    Ok(clouds)
}
