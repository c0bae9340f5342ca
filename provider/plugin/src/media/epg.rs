//! `streamverse_epg`: the guides of channels, over HTTP. What may be asked for: `model::media::channel`; who serves it: the
//! target `epg` of `runtime/delivery`.

use streamverse_model::media::channel::{EpgSpec, check_epg};
use streamverse_model::platform::{Object, Owner};
use tfplugin_framework::schema::{Computed, Diagnostics, Path, Timeouts};
use tfplugin_framework::{
    Context, Draft, Findings, Plan, Read, Resource, Result, Schema, State, Stored, resource,
};

use crate::deploy::{self, Deployed, Imported, deployed};
use crate::provider::Streamverse;

/// Serves the programme guides of channels, of the same schedule that they play: as XMLTV at `/epg/NAME.xml`, as JSON at
/// `/epg/NAME.json`.
///
/// Not proved live: its pods on Kubernetes never ran; there, a real API server, its controllers and scheduler worked
/// on simulated nodes.
#[derive(Clone, Schema)]
pub struct Epg {
    /// Unique in the deployment; another name is another one.
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
    pub spec: EpgSpec,
    /// Where it is reached from its site, known before it is there: `http://HOST:PORT`.
    #[attribute(changes_with = [spec.port])]
    pub address: Computed<String>,
    /// What the site holds, as a digest. It changes when somebody else changed it there: the next apply repairs that.
    #[attribute(changes_with = any)]
    pub revision: Computed<String>,
    /// Deadlines.
    pub timeouts: Timeouts,
}

impl Deployed for Epg {
    const KIND: &'static str = "epg";

    fn name(&self) -> &str {
        &self.name
    }

    fn site(&self) -> &str {
        &self.site
    }

    fn objects(&self, _: &Owner) -> Result<Vec<Object>> {
        Ok(self.spec.objects()?)
    }

    fn stored(self, provider: &Streamverse, revision: String) -> Result<State<Self>> {
        let known = provider.address(Self::KIND, &self.name, &self.site, "http", self.spec.port);
        let address = known.or_else(|| self.address.known().cloned()).unwrap_or_default();
        Ok(self.complete(EpgComputed { address, revision }))
    }
}

#[resource(name = "epg", timeouts(create = "5m", update = "5m", delete = "5m"))]
impl Resource for Epg {
    type Provider = Streamverse;

    deployed!();

    async fn update(cx: &Context<Streamverse>, _: Stored<Self>, plan: Plan<Self>) -> Result<State<Self>> {
        deploy::put(cx, plan).await
    }

    fn validate(config: &EpgView, findings: &mut Findings) {
        let mut found = Diagnostics::new();
        check_epg(&config.spec, &mut found);
        for diagnostic in found {
            findings.push(diagnostic);
        }
    }

    async fn modify_plan(cx: &Context<Streamverse>, draft: &mut Draft<Self>) -> Result<()> {
        let Some(planned) = deploy::plan(cx, draft)? else { return Ok(()) };
        let spec = draft.planned()?.spec;
        let place = planned.placement(cx);
        place.side_by_side("replicas", &spec.replicas)?;
        let port = spec.port.known().copied();
        place.port(Path::attribute("port"), port)?;
        match planned.address::<Self>(cx, "http", port) {
            Some(address) => draft.set(Self::address(), &address),
            None => draft.set_unknown(Self::address()),
        }
    }

    async fn import(cx: &Context<Streamverse>, id: &str) -> Result<State<Self>> {
        let Imported { site, name, observed } = deploy::find::<Self>(cx, id).await?;
        let spec: EpgSpec = deploy::found_spec(&observed)?;
        let address = cx.provider().address(Self::KIND, &name, &site, "http", spec.port).unwrap_or_default();
        let timeouts = Timeouts::default();
        Ok(EpgState { name, site, spec, address, revision: observed.revision, timeouts })
    }
}
