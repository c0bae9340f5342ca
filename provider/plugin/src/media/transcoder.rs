//! `streamverse_transcoder`: the workers that encode. What may be asked for: `model::media`.

use streamverse_model::media::TranscoderSpec;
use streamverse_model::platform::{Isolation, Object, Resources, ServiceObject};
use tfplugin_framework::schema::{Computed, Timeouts};
use tfplugin_framework::{Context, Draft, Plan, Read, Resource, Result, Schema, State, Stored, resource};

use crate::deploy::{self, Deployed, Look};
use crate::provider::Streamverse;

/// Workers that encode what assets ask for, a run of segments at a time. A worker that is killed loses at most the segment that it was working on.
#[derive(Clone, Schema)]
pub struct Transcoder {
    /// Unique in the deployment; another name is another transcoder.
    #[attribute(
        replace,
        validate(regex(
            "^[a-z0-9]([a-z0-9-]{0,38}[a-z0-9])?$",
            says = "must be 1 to 40 characters of a-z, 0-9 and inner -"
        ))
    )]
    pub name: String,
    /// The site that holds it; `default` where none is given.
    #[attribute(replace)]
    pub site: Option<String>,
    /// What it is.
    #[attribute(flatten)]
    pub spec: TranscoderSpec,
    /// What the site holds, as a digest. It changes when somebody else changed it there: the next apply repairs that.
    #[attribute(changes_with = any)]
    pub revision: Computed<String>,
    /// Deadlines.
    pub timeouts: Timeouts,
}

impl Deployed for Transcoder {
    const KIND: &'static str = "transcoder";

    fn name(&self) -> &str {
        &self.name
    }

    fn site(&self) -> Option<&str> {
        self.site.as_deref()
    }

    fn objects(&self) -> Result<Vec<Object>> {
        let urls =
            [self.spec.event_log.as_str(), self.spec.object_store.as_str(), self.spec.catalogue.as_str()];
        Ok(vec![Object::Service(ServiceObject {
            name: deploy::name("transcoder")?,
            target: "transcoder".to_owned(),
            spec: serde_json::to_value(&self.spec)?,
            replicas: self.spec.workers,
            ports: Vec::new(),
            credentials: deploy::credentials(&urls)?,
            reach: deploy::reach(&urls)?,
            resources: Resources {
                cpu_millis: 1000 * self.spec.concurrency,
                memory_bytes: self.spec.memory.0,
                scratch_bytes: self.spec.scratch.0,
            },
            isolation: Isolation::Process,
            drain_seconds: 10,
        })])
    }
}

#[resource(name = "transcoder", timeouts(create = "5m", update = "5m", delete = "5m"))]
impl Resource for Transcoder {
    type Provider = Streamverse;

    async fn create(cx: &Context<Streamverse>, plan: Plan<Self>) -> Result<State<Self>> {
        let revision = deploy::apply(cx, &*plan, &[], |_| {}).await?;
        Ok(plan.into_inner().complete(TranscoderComputed { revision }))
    }

    async fn read(cx: &Context<Streamverse>, stored: Stored<Self>) -> Result<Read<Self>> {
        match deploy::look(cx, &*stored).await? {
            Look::Gone => Ok(Read::Gone),
            Look::Unknown => Ok(Read::Unchanged),
            Look::Found(observed) if Some(&observed.revision) == stored.revision.get().ok() => {
                Ok(Read::Unchanged)
            }
            Look::Found(observed) => {
                let revision = observed.revision.clone();
                Ok(Read::Found(stored.into_inner().complete(TranscoderComputed { revision })))
            }
        }
    }

    async fn update(cx: &Context<Streamverse>, _: Stored<Self>, plan: Plan<Self>) -> Result<State<Self>> {
        Self::create(cx, plan).await
    }

    async fn delete(cx: &Context<Streamverse>, stored: Stored<Self>) -> Result<()> {
        deploy::remove(cx, &*stored).await
    }

    async fn modify_plan(cx: &Context<Streamverse>, draft: &mut Draft<Self>) -> Result<()> {
        if draft.is_destroy() {
            return Ok(());
        }
        let planned = draft.planned()?;
        let before = draft.prior()?.and_then(|prior| prior.revision.into_known());
        deploy::plan(
            cx,
            draft,
            planned.site.known().map(String::as_str),
            Self::site(),
            before,
            Self::revision(),
        )?;
        Ok(())
    }

    async fn import(cx: &Context<Streamverse>, id: &str) -> Result<State<Self>> {
        let (site, name, observed) = deploy::find(cx, Self::KIND, id).await?;
        let spec: TranscoderSpec = deploy::found_spec(&observed)?;
        Ok(TranscoderState { name, site, spec, revision: observed.revision, timeouts: Timeouts::default() })
    }
}
