//! `streamverse_transcoder`: the workers that encode. What may be asked for: `model::media`.

use streamverse_model::media::TranscoderSpec;
use streamverse_model::platform::{Object, Owner};
use tfplugin_framework::schema::{Computed, Timeouts};
use tfplugin_framework::{Context, Draft, Plan, Read, Resource, Result, Schema, State, Stored, resource};

use crate::deploy::{self, Deployed, Imported, deployed};
use crate::provider::Streamverse;

/// Workers that encode what assets ask for, a run of segments at a time. A worker that is killed loses at most the segment that it was working on.
///
/// Not proved live: its pods on Kubernetes never ran; there, a real API server, its controllers and scheduler worked
/// on simulated nodes.
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
    /// The site that holds it.
    #[attribute(replace, default = "default")]
    pub site: String,
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

    fn site(&self) -> &str {
        &self.site
    }

    fn objects(&self, _: &Owner) -> Result<Vec<Object>> {
        Ok(self.spec.objects()?)
    }

    fn stored(self, _provider: &Streamverse, revision: String) -> Result<State<Self>> {
        Ok(self.complete(TranscoderComputed { revision }))
    }
}

#[resource(name = "transcoder", timeouts(create = "5m", update = "5m", delete = "5m"))]
impl Resource for Transcoder {
    type Provider = Streamverse;

    deployed!();

    async fn update(cx: &Context<Streamverse>, _: Stored<Self>, plan: Plan<Self>) -> Result<State<Self>> {
        deploy::put(cx, plan).await
    }

    async fn modify_plan(cx: &Context<Streamverse>, draft: &mut Draft<Self>) -> Result<()> {
        deploy::plan(cx, draft).map(|_| ())
    }

    async fn import(cx: &Context<Streamverse>, id: &str) -> Result<State<Self>> {
        let Imported { site, name, observed } = deploy::find::<Self>(cx, id).await?;
        let spec: TranscoderSpec = deploy::found_spec(&observed)?;
        let timeouts = Timeouts::default();
        Ok(TranscoderState { name, site, spec, revision: observed.revision, timeouts })
    }
}
