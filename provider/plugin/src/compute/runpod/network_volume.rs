//! `streamverse_runpod_network_volume`: storage that outlives pods.

use streamverse_compute_runpod::{NetworkVolume, NetworkVolumeBody, NetworkVolumeChange};
use streamverse_model::compute::runpod::{RunpodNetworkVolumeSpec, check_volume_change};
use tfplugin_framework::schema::{Computed, Diagnostics, Timeouts};
use tfplugin_framework::{Context, Draft, Plan, Read, Resource, Result, Schema, State, Stored, resource};

use super::{Fit, Here, Identity, Made, plan_name, refuse_first};
use crate::provider::Streamverse;

/// A network volume at RunPod: storage in one data centre that pods and serverless workers mount, and that outlives them. It costs
/// by its size for as long as it is there. Destroying it removes what is in it.
///
/// Calls: `POST`, `GET`, `PATCH` and `DELETE /v2/network-volumes`. Import takes `NAME`, or `NAME=ID` to adopt a volume that has another
/// name. One that an apply left which was cut short is found by its name and taken over, unless its data centre or tier is another or
/// it is larger: then a new one is made beside it. So with `create_before_destroy` one that is replaced only because it was asked for
/// (`-replace`) is kept, and told. `prevent_destroy` is for what must not be lost.
///
/// The account's key must be allowed to read and change network volumes: RunPod answers 403 to one that is not.
///
/// Not proved live: it ran against a stand-in that is held to RunPod's API description of 2026-08-18, never against RunPod.
#[derive(Clone, Schema)]
pub struct RunpodNetworkVolume {
    /// Unique in the deployment; another name is another volume.
    #[attribute(
        replace,
        validate(regex(
            "^[a-z0-9]([a-z0-9-]{0,38}[a-z0-9])?$",
            says = "must be 1 to 40 characters of a-z, 0-9 and inner -"
        ))
    )]
    pub name: String,
    /// What it is.
    #[attribute(flatten)]
    pub spec: RunpodNetworkVolumeSpec,
    /// Its storage tier, `STANDARD` or `HIGH_PERFORMANCE`; the data centre's own where none is given. Another one is another
    /// volume.
    #[attribute(optional, replace(if_configured), validate(one_of = ["STANDARD", "HIGH_PERFORMANCE"]))]
    pub tier: Computed<String>,
    /// What it is called at RunPod: `streamverse.DEPLOYMENT.NAME`, and where that name is taken `streamverse.DEPLOYMENT.NAME_…`.
    #[attribute(changes_with = [name])]
    pub remote_name: Computed<String>,
    /// RunPod's identifier.
    pub id: Computed<String>,
    /// Deadlines.
    pub timeouts: Timeouts,
}

/// Where a volume is, and on what, is for good, and it only grows.
fn fits(it: &NetworkVolume, spec: &RunpodNetworkVolumeSpec, tier: Option<&String>) -> Fit {
    let tier = tier.is_none_or(|tier| *tier == it.tier);
    if it.data_center == spec.data_center && tier && it.size <= spec.size_gb {
        return Ok(());
    }
    Err(format!("which has {} GB in {}, {}", it.size, it.data_center, it.tier))
}

fn identity(stored: &Stored<RunpodNetworkVolume>) -> Result<Identity<'_>> {
    Ok(Identity { id: stored.id.get()?, name: &stored.name, remote: stored.remote_name.get()? })
}

#[resource(name = "runpod_network_volume", timeouts(create = "2m", update = "2m", delete = "2m"))]
impl Resource for RunpodNetworkVolume {
    type Provider = Streamverse;

    async fn create(cx: &Context<Streamverse>, plan: Plan<Self>) -> Result<State<Self>> {
        let here = Here::of(cx).await?;
        let (spec, tier) = (&plan.spec, plan.tier.known());
        let body = |name| NetworkVolumeBody {
            name,
            size: spec.size_gb,
            data_center: spec.data_center.clone(),
            tier: tier.cloned(),
        };
        let change = |name| NetworkVolumeChange { name, size: spec.size_gb };
        let Made::<NetworkVolume> { thing, remote } =
            here.obtain(cx, &plan.name, body, change, |it| fits(it, spec, tier)).await?;
        Ok(plan.complete(RunpodNetworkVolumeComputed { remote_name: remote, id: thing.id, tier: thing.tier }))
    }

    async fn read(cx: &Context<Streamverse>, stored: Stored<Self>) -> Result<Read<Self>> {
        let here = Here::of(cx).await?;
        let Some(it) = here.look::<NetworkVolume>(identity(&stored)?).await? else { return Ok(Read::Gone) };
        let stored = stored.into_inner();
        let spec = RunpodNetworkVolumeSpec { size_gb: it.size, data_center: it.data_center };
        let (name, timeouts, tier) = (stored.name, stored.timeouts, it.tier);
        let state = RunpodNetworkVolumeState { name, spec, tier, remote_name: it.name, id: it.id, timeouts };
        Ok(Read::Found(state))
    }

    async fn update(
        cx: &Context<Streamverse>,
        stored: Stored<Self>,
        plan: Plan<Self>,
    ) -> Result<State<Self>> {
        let here = Here::of(cx).await?;
        let remote_name = plan.remote_name.known().cloned().unwrap_or_else(|| here.remote(&plan.name));
        let id = stored.id.get()?.clone();
        let change = NetworkVolumeChange { name: remote_name.clone(), size: plan.spec.size_gb };
        let it: NetworkVolume = here.update(identity(&stored)?, &change).await?;
        Ok(plan.complete(RunpodNetworkVolumeComputed { remote_name, id, tier: it.tier }))
    }

    async fn delete(cx: &Context<Streamverse>, stored: Stored<Self>) -> Result<()> {
        Here::of(cx).await?.delete::<NetworkVolume>(cx, identity(&stored)?).await
    }

    async fn modify_plan(cx: &Context<Streamverse>, draft: &mut Draft<Self>) -> Result<()> {
        if draft.is_destroy() {
            return Ok(());
        }
        let planned = draft.planned()?;
        // Another name or data centre is another volume, which has nothing to lose.
        let another = ["name", "data_center", "tier"]
            .iter()
            .any(|it| draft.changed(tfplugin_framework::schema::Path::attribute(*it)));
        let before = draft.prior()?.and_then(|prior| prior.spec.size_gb.known().copied());
        if let Some(before) = before.filter(|_| !another) {
            let mut out = Diagnostics::new();
            check_volume_change(before, &planned.spec.size_gb, &mut out);
            refuse_first(&out)?;
        }
        let prior = draft.prior()?.map(|it| it.remote_name);
        plan_name(cx, draft, &planned.name, prior, Self::remote_name())
    }

    async fn import(cx: &Context<Streamverse>, text: &str) -> Result<State<Self>> {
        let (name, it) = Here::of(cx).await?.import::<NetworkVolume>(text).await?;
        let spec = RunpodNetworkVolumeSpec { size_gb: it.size, data_center: it.data_center };
        let (timeouts, tier) = (Timeouts::default(), it.tier);
        Ok(RunpodNetworkVolumeState { name, spec, tier, remote_name: it.name, id: it.id, timeouts })
    }
}
