//! `streamverse_runpod_network_volume`: storage that outlives pods.

use streamverse_compute_runpod::{NetworkVolume, NetworkVolumeBody, NetworkVolumeChange};
use streamverse_model::compute::runpod::{RunpodNetworkVolumeSpec, check_volume_change};
use tfplugin_framework::schema::{Computed, Diagnostics, Timeouts};
use tfplugin_framework::{
    Context, Draft, Error, Plan, Read, Resource, Result, Schema, State, Stored, resource,
};

use super::{Here, plan_name, refuse_first};
use crate::provider::Streamverse;

/// A network volume at RunPod: storage in one data centre that pods and serverless workers mount, and that outlives them. It costs
/// by its size for as long as it is there. Destroying it removes what is in it.
///
/// Calls: `POST`, `GET`, `PATCH` and `DELETE /v2/network-volumes`. Import takes `NAME`, or `NAME=ID` to adopt a volume that has another
/// name. A volume is found by its name, so it cannot be made before it is destroyed: no `create_before_destroy`, and
/// `prevent_destroy` for what must not be lost.
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
    /// What it is called at RunPod: `streamverse.DEPLOYMENT.NAME`.
    #[attribute(changes_with = [name])]
    pub remote_name: Computed<String>,
    /// RunPod's identifier.
    pub id: Computed<String>,
    /// Deadlines.
    pub timeouts: Timeouts,
}

/// A volume of ours that is not what was asked for was made under another configuration, by an apply that was cut short: it may
/// hold nothing yet, but that is not ours to guess.
fn fits(it: &NetworkVolume, spec: &RunpodNetworkVolumeSpec, tier: Option<&String>) -> Result<()> {
    let tier = tier.is_none_or(|tier| *tier == it.tier);
    if it.data_center == spec.data_center && tier && it.size <= spec.size_gb {
        return Ok(());
    }
    Err(Error::permanent(format!(
        "RunPod has the network volume {} already, as {} of {} GB in {}, {}",
        it.name, it.id, it.size, it.data_center, it.tier
    ))
    .next("Import it, or delete it at RunPod if nothing in it is needed."))
}

#[resource(name = "runpod_network_volume", timeouts(create = "2m", update = "2m", delete = "2m"))]
impl Resource for RunpodNetworkVolume {
    type Provider = Streamverse;

    async fn create(cx: &Context<Streamverse>, plan: Plan<Self>) -> Result<State<Self>> {
        let here = Here::of(cx).await?;
        let remote_name = here.remote(&plan.name);
        let spec = &plan.spec;
        let body = NetworkVolumeBody {
            name: remote_name.clone(),
            size: spec.size_gb,
            data_center: spec.data_center.clone(),
            tier: plan.tier.known().cloned(),
        };
        let there = here.client.there::<NetworkVolume>(|it| it == remote_name, here.limit).await;
        for it in there.map_err(|fault| super::told(&fault))? {
            fits(&it, spec, plan.tier.known())?;
        }
        let change = NetworkVolumeChange { name: remote_name.clone(), size: spec.size_gb };
        let made: NetworkVolume = here.obtain(&remote_name, &body, &change).await?;
        Ok(plan.complete(RunpodNetworkVolumeComputed { remote_name, id: made.id, tier: made.tier }))
    }

    async fn read(cx: &Context<Streamverse>, stored: Stored<Self>) -> Result<Read<Self>> {
        let here = Here::of(cx).await?;
        let Some(it) = here.look::<NetworkVolume>(stored.id.get()?).await? else { return Ok(Read::Gone) };
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
        let remote_name = here.remote(&plan.name);
        let id = stored.id.get()?.clone();
        let change = NetworkVolumeChange { name: remote_name.clone(), size: plan.spec.size_gb };
        let it: NetworkVolume = here.update(&id, &change).await?;
        Ok(plan.complete(RunpodNetworkVolumeComputed { remote_name, id, tier: it.tier }))
    }

    async fn delete(cx: &Context<Streamverse>, stored: Stored<Self>) -> Result<()> {
        Here::of(cx).await?.delete::<NetworkVolume>(stored.id.get()?).await
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
        plan_name(cx, draft, &planned.name, Self::remote_name())
    }

    async fn import(cx: &Context<Streamverse>, text: &str) -> Result<State<Self>> {
        let (name, it) = Here::of(cx).await?.import::<NetworkVolume>(text).await?;
        let spec = RunpodNetworkVolumeSpec { size_gb: it.size, data_center: it.data_center };
        let (timeouts, tier) = (Timeouts::default(), it.tier);
        Ok(RunpodNetworkVolumeState { name, spec, tier, remote_name: it.name, id: it.id, timeouts })
    }
}
