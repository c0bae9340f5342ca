//! `streamverse_runpod_endpoint`: serverless workers.

use std::collections::BTreeMap;
use std::time::Duration as Span;

use streamverse_compute_runpod::{Endpoint, EndpointBody, EndpointGpuBody, Scaling, Template, Workers};
use streamverse_model::compute::runpod::{
    DISK_GB, EndpointGpuSpec, IDLE_TIMEOUT, RunpodEndpointSpec, RunpodEndpointSpecView, ScalingSpec,
    WorkersSpec, check_endpoint,
};
use tfplugin_framework::schema::{Computed, Diagnostics, Duration, Path, Timeouts};
use tfplugin_framework::{
    Context, Draft, Error, Findings, Plan, Read, Resource, Result, Schema, State, Stored, resource,
};

use super::{Fit, Here, Identity, Made, or_empty, or_none, pass_shown, plan_name, told, unmarked};
use crate::provider::Streamverse;

/// A serverless endpoint at RunPod: workers on whichever of its GPU pools has capacity, from `min` to `max`, as RunPod scales them.
/// Workers cost by the second while they are there, also idle ones.
///
/// Calls: `POST`, `GET`, `PATCH` and `DELETE /v2/serverless`. Import takes `NAME`, or `NAME=ID` to adopt an endpoint that has another
/// name. One that was made from a template is imported with what it took of it. One that an apply left which was cut short is found by
/// its name and taken over, unless its routing is another: then a new one is made beside it. So with `create_before_destroy` one that is
/// replaced only because it was asked for (`-replace`) is kept, and told.
///
/// The account's key must be allowed to read and change serverless endpoints, and with `template_id` to read templates (`GET
/// /v2/templates/ID`): RunPod answers 403 to one that is not.
///
/// Not proved live: it ran against a stand-in that is held to RunPod's API description of 2026-08-18, never against RunPod. Workers
/// never ran.
#[derive(Clone, Schema)]
pub struct RunpodEndpoint {
    /// Unique in the deployment; another name is another endpoint.
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
    pub spec: RunpodEndpointSpec,
    /// Where requests go, by what they do: `run`, `runSync`, `status` … of a queue, `base` and `health` of a load balancer.
    pub request_urls: Computed<BTreeMap<String, String>>,
    /// What it is called at RunPod: `streamverse.DEPLOYMENT.NAME`, and where that name is taken `streamverse.DEPLOYMENT.NAME_…`.
    #[attribute(changes_with = [name])]
    pub remote_name: Computed<String>,
    /// RunPod's identifier.
    pub id: Computed<String>,
    /// Deadlines.
    pub timeouts: Timeouts,
}

/// The endpoint as RunPod is to have it. With a template, what the configuration does not say is the template's.
fn body(spec: &RunpodEndpointSpec, name: String) -> EndpointBody {
    let templated = spec.template_id.is_some();
    let whole = |given: bool| given || !templated;
    let counts = spec.scaling.queue_delay.is_none();
    let idle = spec.workers.idle_timeout.map(|it| u32::try_from(it.0.as_secs()).unwrap_or(u32::MAX));
    let idle_applies = !(counts && spec.routing == "QUEUE");
    EndpointBody {
        name,
        routing: None,
        scaling: Scaling {
            by: if counts { "REQUEST_COUNT" } else { "QUEUE_DELAY" }.to_owned(),
            queue_delay: spec.scaling.queue_delay.map(|it| it.0.as_secs_f64()),
            request_count: spec.scaling.request_count,
        },
        gpu: EndpointGpuBody {
            pools: spec.gpu.pools.clone(),
            excluded_types: spec.gpu.excluded.clone().unwrap_or_default(),
            count: spec.gpu.count,
            min_cuda_version: spec.gpu.min_cuda_version.clone(),
        },
        workers: Workers {
            min: spec.workers.min,
            max: spec.workers.max,
            idle_timeout: idle_applies.then(|| idle.unwrap_or(IDLE_TIMEOUT)),
        },
        data_center_ids: spec.data_centers.clone().unwrap_or_default(),
        network_volumes: spec.network_volume_ids.clone().unwrap_or_default(),
        timeout: u64::try_from(spec.execution_timeout.0.as_millis()).unwrap_or(u64::MAX),
        flashboot: spec.flashboot.clone(),
        image: spec.image.clone(),
        template_id: spec.template_id.clone(),
        args: whole(spec.args.is_some()).then(|| spec.args.clone().unwrap_or_default()),
        disk: whole(spec.disk_gb.is_some()).then(|| spec.disk_gb.unwrap_or(DISK_GB)),
        env: whole(spec.env.is_some()).then(|| spec.env.clone().unwrap_or_default()),
        ports: whole(spec.ports.is_some()).then(|| spec.ports.clone().unwrap_or_default()),
        registry: whole(spec.registry_credential_id.is_some()).then(|| spec.registry_credential_id.clone()),
    }
}

/// The body of a change: an empty version takes an earlier floor away.
fn change(spec: &RunpodEndpointSpec, name: String) -> EndpointBody {
    let mut body = body(spec, name);
    body.gpu.min_cuda_version.get_or_insert_default();
    body
}

/// What a template can say besides the environment.
const SAID: [&str; 5] = ["image", "args", "disk_gb", "ports", "registry_credential_id"];

/// Which of [`SAID`] a configuration says.
fn said(it: &RunpodEndpointSpec) -> [bool; 5] {
    let registry = it.registry_credential_id.is_some();
    [it.image.is_some(), it.args.is_some(), it.disk_gb.is_some(), it.ports.is_some(), registry]
}

/// … as far as it is planned.
fn planned_said(it: &RunpodEndpointSpecView) -> [bool; 5] {
    let registry = it.registry_credential_id.is_null();
    [it.image.is_null(), it.args.is_null(), it.disk_gb.is_null(), it.ports.is_null(), registry].map(|it| !it)
}

/// What a change must take of the template: what the configuration no longer says, and the environment, which the template's and the
/// configuration's make up together.
fn needed(before: [bool; 5], after: [bool; 5], env: bool) -> Vec<&'static str> {
    let left = before.iter().zip(after).map(|(before, after)| *before && !after);
    let names = SAID.into_iter().zip(left).filter(|(_, left)| *left).map(|(name, _)| name);
    names.chain(env.then_some("env")).collect()
}

/// The template, for what is needed of it.
async fn template(here: &Here, id: &str, wanted: &[&str]) -> Result<Template> {
    let found = here.client.get::<Template>(id, here.limit).await.map_err(|fault| told(&fault))?;
    found.ok_or_else(|| {
        Error::invalid(format!(
            "RunPod has no template {id} any more: what it says of {} cannot be restored",
            wanted.join(", ")
        ))
        .at(Path::attribute("template_id"))
        .next("Say in the configuration what these are to be, or name another template.")
    })
}

/// Has a change restore what the template says, as far as the configuration no longer says it.
async fn restore(
    here: &Here,
    before: &RunpodEndpointSpec,
    after: &RunpodEndpointSpec,
    change: &mut EndpointBody,
) -> Result<()> {
    let Some(id) = &after.template_id else { return Ok(()) };
    let wanted = needed(said(before), said(after), before.env != after.env);
    // Of an environment only the configuration's part is known here.
    change.env = None;
    if wanted.is_empty() {
        return Ok(());
    }
    let it = template(here, id, &wanted).await?;
    for name in wanted {
        match name {
            "image" => change.image = Some(it.image.clone()),
            "args" => change.args = Some(it.args.clone().unwrap_or_default()),
            "disk_gb" => change.disk = Some(it.disk),
            "ports" => change.ports = Some(it.ports.clone()),
            "registry_credential_id" => change.registry = Some(it.registry.clone()),
            _ => {
                let mut env = it.env.clone();
                env.extend(after.env.clone().unwrap_or_default());
                change.env = Some(env);
            }
        }
    }
    Ok(())
}

/// The body of a new one.
fn create(spec: &RunpodEndpointSpec, name: String) -> EndpointBody {
    EndpointBody { routing: Some(spec.routing.clone()), ..body(spec, name) }
}

/// The spec of what RunPod has; `stored` decides how what is empty is spelled, and what a template says is not compared.
fn found(it: Endpoint, stored: Option<&RunpodEndpointSpec>) -> Result<RunpodEndpointSpec> {
    let gpu = it.gpu.ok_or_else(|| {
        Error::invalid(format!(
            "the serverless endpoint {} runs on CPUs, which this resource does not know",
            it.id
        ))
    })?;
    let mine = |declared: bool| declared || stored.is_none_or(|it| it.template_id.is_none());
    let usual_idle = Some(IDLE_TIMEOUT);
    let idle = match (it.workers.idle_timeout, stored.and_then(|it| it.workers.idle_timeout)) {
        (found, None) if found == usual_idle => None,
        (Some(found), Some(known)) if known.0.as_secs() == u64::from(found) => Some(known),
        (found, _) => found.map(|seconds| Duration::from_secs(u64::from(seconds))),
    };
    let delay = it
        .scaling
        .queue_delay
        .filter(|it| it.is_finite() && *it >= 0.0)
        .map(|it| Duration(Span::from_secs_f64(it.min(1e9))));
    let of = |field: fn(&RunpodEndpointSpec) -> Option<&String>| stored.and_then(field);
    Ok(RunpodEndpointSpec {
        routing: it.routing.unwrap_or_else(|| "QUEUE".to_owned()),
        scaling: ScalingSpec { queue_delay: delay, request_count: it.scaling.request_count },
        gpu: EndpointGpuSpec {
            pools: gpu.pools,
            excluded: or_empty(gpu.excluded_types, stored.and_then(|it| it.gpu.excluded.as_ref())),
            count: gpu.count.unwrap_or(1),
            min_cuda_version: or_none(gpu.min_cuda_version, of(|it| it.gpu.min_cuda_version.as_ref())),
        },
        workers: WorkersSpec { min: it.workers.min, max: it.workers.max, idle_timeout: idle },
        image: it.image.filter(|_| mine(stored.is_some_and(|it| it.image.is_some()))),
        template_id: of(|it| it.template_id.as_ref()).cloned(),
        args: or_none(it.args, of(|it| it.args.as_ref()))
            .filter(|_| mine(stored.is_some_and(|it| it.args.is_some()))),
        disk_gb: match stored {
            Some(stored)
                if stored.disk_gb.is_none() && (stored.template_id.is_some() || it.disk == Some(DISK_GB)) =>
            {
                None
            }
            None if it.disk == Some(DISK_GB) => None,
            _ => it.disk,
        },
        env: or_empty(environment(it.env, stored), stored.and_then(|it| it.env.as_ref()))
            .filter(|_| mine(stored.is_some_and(|it| it.env.is_some()))),
        ports: or_empty(it.ports, stored.and_then(|it| it.ports.as_ref()))
            .filter(|_| mine(stored.is_some_and(|it| it.ports.is_some()))),
        registry_credential_id: it
            .registry
            .filter(|_| mine(stored.is_some_and(|it| it.registry_credential_id.is_some()))),
        data_centers: or_empty(it.data_center_ids, stored.and_then(|it| it.data_centers.as_ref())),
        network_volume_ids: or_empty(
            it.network_volumes,
            stored.and_then(|it| it.network_volume_ids.as_ref()),
        ),
        execution_timeout: Duration(Span::from_millis(it.timeout)),
        flashboot: it.flashboot,
    })
}

/// Of an environment that a template gave too, what the configuration says.
fn environment(
    mut found: BTreeMap<String, String>,
    stored: Option<&RunpodEndpointSpec>,
) -> BTreeMap<String, String> {
    if let Some(stored) = stored.filter(|it| it.template_id.is_some()) {
        found.retain(|name, _| stored.env.as_ref().is_some_and(|it| it.contains_key(name)));
    }
    found
}

/// What an endpoint runs on, and how requests reach it, are for good.
fn fits(it: &Endpoint, spec: &RunpodEndpointSpec) -> Fit {
    let routing = it.routing.as_deref().unwrap_or("QUEUE");
    match &it.gpu {
        None => Err("which runs on CPUs".to_owned()),
        Some(_) if routing != spec.routing => Err(format!("whose routing is {routing}")),
        Some(_) => Ok(()),
    }
}

fn identity(stored: &Stored<RunpodEndpoint>) -> Result<Identity<'_>> {
    Ok(Identity { id: stored.id.get()?, name: &stored.name, remote: stored.remote_name.get()? })
}

#[resource(name = "runpod_endpoint", timeouts(create = "2m", update = "2m", delete = "2m"))]
impl Resource for RunpodEndpoint {
    type Provider = Streamverse;

    async fn create(cx: &Context<Streamverse>, plan: Plan<Self>) -> Result<State<Self>> {
        let here = Here::of(cx).await?;
        let (new, changed) = (|remote| create(&plan.spec, remote), |remote| change(&plan.spec, remote));
        let Made::<Endpoint> { thing, remote } =
            here.obtain(cx, &plan.name, new, changed, |it| fits(it, &plan.spec)).await?;
        let (id, request_urls) = (thing.id, thing.request_urls);
        Ok(plan.complete(RunpodEndpointComputed { request_urls, remote_name: remote, id }))
    }

    async fn read(cx: &Context<Streamverse>, stored: Stored<Self>) -> Result<Read<Self>> {
        let here = Here::of(cx).await?;
        let Some(it) = here.look::<Endpoint>(identity(&stored)?).await? else { return Ok(Read::Gone) };
        let stored = stored.into_inner();
        let (id, remote_name, request_urls) =
            (it.id.clone(), unmarked(&it.name).to_owned(), it.request_urls.clone());
        let spec = found(it, Some(&stored.spec))?;
        let (name, timeouts) = (stored.name, stored.timeouts);
        Ok(Read::Found(RunpodEndpointState { name, spec, request_urls, remote_name, id, timeouts }))
    }

    async fn update(
        cx: &Context<Streamverse>,
        stored: Stored<Self>,
        plan: Plan<Self>,
    ) -> Result<State<Self>> {
        let here = Here::of(cx).await?;
        let remote_name = plan.remote_name.known().cloned().unwrap_or_else(|| here.remote(&plan.name));
        let id = stored.id.get()?.clone();
        let mut change = change(&plan.spec, remote_name.clone());
        // A template is copied when it is named: naming it again would undo what was changed since.
        if stored.spec.template_id == plan.spec.template_id {
            change.template_id = None;
            restore(&here, &stored.spec, &plan.spec, &mut change).await?;
        }
        here.update::<Endpoint>(identity(&stored)?, &change).await?;
        let request_urls = stored.request_urls.get()?.clone();
        Ok(plan.complete(RunpodEndpointComputed { request_urls, remote_name, id }))
    }

    async fn delete(cx: &Context<Streamverse>, stored: Stored<Self>) -> Result<()> {
        Here::of(cx).await?.delete::<Endpoint>(cx, identity(&stored)?).await
    }

    fn validate(config: &RunpodEndpointView, findings: &mut Findings) {
        let mut out = Diagnostics::new();
        check_endpoint(&config.spec, &mut out);
        pass_shown(out, findings);
    }

    async fn modify_plan(cx: &Context<Streamverse>, draft: &mut Draft<Self>) -> Result<()> {
        if draft.is_destroy() {
            return Ok(());
        }
        let (planned, prior) = (draft.planned()?, draft.prior()?);
        if let Some(prior) = &prior
            && let Some(id) = prior.spec.template_id.known()
            && planned.spec.template_id.known() == Some(id)
        {
            let wanted = needed(
                planned_said(&prior.spec),
                planned_said(&planned.spec),
                prior.spec.env != planned.spec.env,
            );
            if !wanted.is_empty() {
                template(&Here::of(cx).await?, id, &wanted).await?;
            }
        }
        plan_name(cx, draft, &planned.name, prior.map(|it| it.remote_name), Self::remote_name())
    }

    async fn import(cx: &Context<Streamverse>, text: &str) -> Result<State<Self>> {
        let (name, it) = Here::of(cx).await?.import::<Endpoint>(text).await?;
        let (id, remote_name, request_urls) =
            (it.id.clone(), unmarked(&it.name).to_owned(), it.request_urls.clone());
        let (spec, timeouts) = (found(it, None)?, Timeouts::default());
        Ok(RunpodEndpointState { name, spec, request_urls, remote_name, id, timeouts })
    }
}
