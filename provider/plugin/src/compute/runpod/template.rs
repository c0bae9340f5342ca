//! `streamverse_runpod_template`: what a container is.

use streamverse_compute_runpod::{PersistentMount, Template, TemplateBody, TemplateMounts};
use streamverse_model::compute::runpod::{
    PersistentVolumeSpec, RunpodTemplateSpec, RunpodTemplateSpecView, check_template,
};
use tfplugin_framework::schema::{Computed, Diagnostics, Path, Timeouts};
use tfplugin_framework::{
    Context, Draft, Findings, Maybe, Plan, Read, Resource, Result, Schema, State, Stored, resource,
};

use super::{Fit, Here, Identity, Made, or_empty, or_none, pass_shown, plan_name};
use crate::provider::Streamverse;

/// A template at RunPod: image, environment, ports and disks of pods or serverless workers. Pods and endpoints copy it when
/// they are made: a change reaches later ones.
///
/// Calls: `POST`, `GET`, `PATCH` and `DELETE /v2/templates`. Import takes `NAME`, or `NAME=ID` to adopt a template that has another name.
/// One that an apply left which was cut short is found by its name and taken over, unless it has a persistent volume that it is not to
/// have: then a new one is made beside it. So with `create_before_destroy` one that is replaced only because it was asked for (`-replace`)
/// is kept, and told.
///
/// The account's key must be allowed to read and change templates: RunPod answers 403 to one that is not.
///
/// Not proved live: it ran against a stand-in that is held to RunPod's API description of 2026-08-18, never against RunPod.
#[derive(Clone, Schema)]
pub struct RunpodTemplate {
    /// Unique in the deployment; another name is another template.
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
    pub spec: RunpodTemplateSpec,
    /// What it is called at RunPod: `streamverse.DEPLOYMENT.NAME`, and where that name is taken `streamverse.DEPLOYMENT.NAME_…`.
    #[attribute(changes_with = [name])]
    pub remote_name: Computed<String>,
    /// RunPod's identifier.
    pub id: Computed<String>,
    /// Deadlines.
    pub timeouts: Timeouts,
}

fn body(spec: &RunpodTemplateSpec, name: String) -> TemplateBody {
    let mounts = spec.persistent_volume.as_ref().map(|it| TemplateMounts {
        persistent: Some(PersistentMount { size: it.size_gb, path: it.path.clone() }),
    });
    TemplateBody {
        name,
        image: spec.image.clone(),
        args: spec.args.clone().unwrap_or_default(),
        disk: spec.disk_gb,
        env: spec.env.clone().unwrap_or_default(),
        ports: spec.ports.clone().unwrap_or_default(),
        registry: spec.registry_credential_id.clone(),
        mounts,
        serverless: spec.serverless,
        public: spec.public,
        category: spec.category.clone(),
        start_ssh: spec.start_ssh,
        start_jupyter: spec.start_jupyter,
        allowed_cuda_versions: spec.allowed_cuda_versions.clone().unwrap_or_default(),
    }
}

/// A mount can be given and changed, not taken away.
fn fits(it: &Template, spec: &RunpodTemplateSpec) -> Fit {
    match (&it.mounts.persistent, &spec.persistent_volume) {
        (Some(it), None) => Err(format!("which has a persistent volume at {}", it.path)),
        _ => Ok(()),
    }
}

/// The spec of what RunPod has; `stored` decides how what is empty is spelled.
fn found(it: Template, stored: Option<&RunpodTemplateSpec>) -> RunpodTemplateSpec {
    RunpodTemplateSpec {
        image: it.image,
        args: or_none(it.args, stored.and_then(|it| it.args.as_ref()))
            .filter(|args| stored.is_some() || !args.is_empty()),
        disk_gb: it.disk,
        env: or_empty(it.env, stored.and_then(|it| it.env.as_ref())),
        ports: or_empty(it.ports, stored.and_then(|it| it.ports.as_ref())),
        registry_credential_id: it.registry,
        persistent_volume: it
            .mounts
            .persistent
            .map(|it| PersistentVolumeSpec { size_gb: it.size, path: it.path }),
        serverless: it.serverless,
        public: it.public,
        category: it.category,
        start_ssh: it.start_ssh,
        start_jupyter: it.start_jupyter,
        allowed_cuda_versions: or_empty(
            it.allowed_cuda_versions,
            stored.and_then(|it| it.allowed_cuda_versions.as_ref()),
        ),
    }
}

fn identity(stored: &Stored<RunpodTemplate>) -> Result<Identity<'_>> {
    Ok(Identity { id: stored.id.get()?, name: &stored.name, remote: stored.remote_name.get()? })
}

#[resource(name = "runpod_template", timeouts(create = "2m", update = "2m", delete = "2m"))]
impl Resource for RunpodTemplate {
    type Provider = Streamverse;

    async fn create(cx: &Context<Streamverse>, plan: Plan<Self>) -> Result<State<Self>> {
        let here = Here::of(cx).await?;
        let whole = |remote| body(&plan.spec, remote);
        let Made::<Template> { thing, remote } =
            here.obtain(cx, &plan.name, whole, whole, |it| fits(it, &plan.spec)).await?;
        Ok(plan.complete(RunpodTemplateComputed { remote_name: remote, id: thing.id }))
    }

    async fn read(cx: &Context<Streamverse>, stored: Stored<Self>) -> Result<Read<Self>> {
        let here = Here::of(cx).await?;
        let Some(it) = here.look::<Template>(identity(&stored)?).await? else { return Ok(Read::Gone) };
        let stored = stored.into_inner();
        let (id, remote_name) = (it.id.clone(), it.name.clone());
        let spec = found(it, Some(&stored.spec));
        let (name, timeouts) = (stored.name, stored.timeouts);
        Ok(Read::Found(RunpodTemplateState { name, spec, remote_name, id, timeouts }))
    }

    async fn update(
        cx: &Context<Streamverse>,
        stored: Stored<Self>,
        plan: Plan<Self>,
    ) -> Result<State<Self>> {
        let here = Here::of(cx).await?;
        let remote_name = plan.remote_name.known().cloned().unwrap_or_else(|| here.remote(&plan.name));
        let id = stored.id.get()?.clone();
        here.update::<Template>(identity(&stored)?, &body(&plan.spec, remote_name.clone())).await?;
        Ok(plan.complete(RunpodTemplateComputed { remote_name, id }))
    }

    async fn delete(cx: &Context<Streamverse>, stored: Stored<Self>) -> Result<()> {
        Here::of(cx).await?.delete::<Template>(cx, identity(&stored)?).await
    }

    fn validate(config: &RunpodTemplateView, findings: &mut Findings) {
        let mut out = Diagnostics::new();
        let spec: &RunpodTemplateSpecView = &config.spec;
        check_template(spec, &mut out);
        pass_shown(out, findings);
    }

    async fn modify_plan(cx: &Context<Streamverse>, draft: &mut Draft<Self>) -> Result<()> {
        if draft.is_destroy() {
            return Ok(());
        }
        let planned = draft.planned()?;
        // A mount can be given and changed, not taken away.
        let had = draft.prior()?.is_some_and(|prior| matches!(prior.spec.persistent_volume, Maybe::Known(_)));
        if had && planned.spec.persistent_volume.is_null() {
            draft.replace(Path::attribute("persistent_volume"));
        }
        let prior = draft.prior()?.map(|it| it.remote_name);
        plan_name(cx, draft, &planned.name, prior, Self::remote_name())
    }

    async fn import(cx: &Context<Streamverse>, text: &str) -> Result<State<Self>> {
        let (name, it) = Here::of(cx).await?.import::<Template>(text).await?;
        let (id, remote_name) = (it.id.clone(), it.name.clone());
        Ok(RunpodTemplateState {
            name,
            spec: found(it, None),
            remote_name,
            id,
            timeouts: Timeouts::default(),
        })
    }
}
