//! The target `fleet-controller`: puts records, clouds, lease, queues, workers and controller together.
//!
//! Which clouds there are the binary says, as a function ([`OpenClouds`]). Who speaks to workers is `open_api`'s: it gives the [`Workers`]
//! that the controller asks, and what serves them.

use std::collections::BTreeMap;
use std::future::Future;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;

use async_trait::async_trait;
use serde_json::Value;
use streamverse_compute::cloud::Cloud;
use streamverse_core::http;
use streamverse_core::stores::{Records, open_records};
use streamverse_core::{Error, Ready, Result, Service, ServiceContext, Starting, Stop};
use streamverse_model::compute::{CloudKind, FleetControllerRun, IDENTITY_KEY};
use streamverse_model::platform::CredentialUse;
use zeroize::Zeroizing;

use crate::api::{ROOM, WorkerApi, WorkerApiParts};
use crate::authority::{Authority, WORKER_LIFETIME};
use crate::clock::{Clock, SystemClock};
use crate::controller::{Controller, Parts};
use crate::lease;
use crate::queues::Logs;
use crate::registry::Registry;
use crate::roster::Roster;
use crate::workers::Workers;

/// The clouds that there are.
pub type Clouds = BTreeMap<CloudKind, Arc<dyn Cloud>>;

/// Opens the clouds of a controller, with the credentials of its own secret.
pub type OpenClouds = fn(&FleetControllerRun, &ServiceContext) -> Result<Clouds>;

/// Serves workers until it is told to stop. It ends early only where it failed.
pub type Api = Box<dyn FnOnce(Stop) -> Pin<Box<dyn Future<Output = Result<()>> + Send>> + Send>;

/// What the API of workers is made of.
pub struct ApiParts<'a> {
    /// The controller's spec.
    pub run: &'a FleetControllerRun,
    /// Where it runs: credentials, the address to listen on, metrics.
    pub cx: &'a ServiceContext,
    /// The catalogue.
    pub records: &'a Arc<dyn Records>,
    /// Who may be served, and whether this controller is the one that acts.
    pub roster: &'a Arc<Roster>,
}

/// The API of workers: what the controller asks, and what listens.
fn open_api(parts: &ApiParts<'_>) -> Result<(Arc<dyn Workers>, Option<Api>)> {
    let ApiParts { run, cx, records, roster } = *parts;
    let own = CredentialUse { kind: cx.owner.kind.clone(), name: cx.owner.name.clone() };
    let identity = Zeroizing::new(cx.credential(&own, IDENTITY_KEY)?);
    let authority = Arc::new(Authority::new(&identity, &cx.owner)?);
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let registry =
        Registry::new(Arc::clone(&authority), Arc::clone(roster), &run.public_url, Arc::clone(&clock));
    let api = WorkerApi::new(WorkerApiParts {
        registry: registry.clone(),
        roster: Arc::clone(roster),
        authority,
        records: Arc::clone(records),
        stores: run.stores.clone(),
        cx: cx.clone(),
        clock,
        lifetime: WORKER_LIFETIME,
        room: ROOM,
    });
    let (address, public_url) = (SocketAddr::new(cx.bind, run.port), run.public_url.clone());
    let serve: Api = Box::new(move |stop| {
        Box::pin(async move { api.serve(http::listen(address)?, &public_url, &stop).await })
    });
    Ok((Arc::new(registry), Some(serve)))
}

/// Starts the controller of a spec with the clouds that `clouds` opens.
pub fn start(spec: Value, cx: ServiceContext, clouds: OpenClouds) -> Starting<Box<dyn Service>> {
    Box::pin(async move {
        let run: FleetControllerRun = serde_json::from_value(spec).map_err(|error| {
            Error::permanent("spec-invalid", "this is no spec of a fleet controller").because(error)
        })?;
        let records = open_records(&run.catalogue, &cx).await?;
        let clouds = clouds(&run, &cx)?;
        let lease = lease::open(&cx)?;
        let roster = Arc::new(Roster::new(Arc::clone(&lease)));
        let parts = ApiParts { run: &run, cx: &cx, records: &records, roster: &roster };
        let (workers, api) = open_api(&parts)?;
        let controller = Controller::new(Parts {
            deployment: cx.owner.deployment.clone(),
            name: cx.owner.name.to_string(),
            spec: run.controller,
            stores: Some(run.stores),
            clouds,
            records,
            queues: Arc::new(Logs::new(cx.clone())),
            workers,
            roster,
            lease,
            clock: Arc::new(SystemClock),
            metrics: cx.metrics.clone(),
        });
        Ok(Box::new(FleetController { controller, api }) as Box<dyn Service>)
    })
}

struct FleetController {
    controller: Controller,
    api: Option<Api>,
}

#[async_trait]
impl Service for FleetController {
    async fn run(self: Box<Self>, ready: Ready, stop: Stop) -> Result<()> {
        let FleetController { controller, api } = *self;
        // Whichever fails ends the other, so that the whole is started again.
        let ours = Stop::new();
        let told = async {
            stop.stopped().await;
            ours.stop();
            std::future::pending::<()>().await;
        };
        let api = async {
            let done = match api {
                Some(api) => api(ours.clone()).await,
                None => Ok(()),
            };
            if done.is_err() {
                ours.stop();
            }
            done
        };
        let control = async {
            controller.run(ready, ours.clone()).await;
            ours.stop();
        };
        let both = async { tokio::join!(api, control).0 };
        tokio::select! {
            done = both => done,
            () = told => Ok(()),
        }
    }
}
