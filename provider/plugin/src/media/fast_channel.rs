//! `streamverse_fast_channel`: a channel that never ends, made of assets. What may be asked for and what plays:
//! `model::media::channel`; who serves it: the target `fast-channel` of `runtime/delivery`.

use streamverse_model::media::channel::{
    self, ChannelDefinition, FastChannelSpec, Guide, GuideProgramme, check_spec,
};
use streamverse_model::platform::{Object, Owner, StoreUse};
use tfplugin_framework::schema::{Computed, Diagnostics, Path, Timeouts};
use tfplugin_framework::{
    Context, Draft, Findings, Plan, Read, Resource, Result, Schema, State, Stored, resource,
};

use crate::deploy::{self, Deployed, Imported, deployed};
use crate::plain::spec_of;
use crate::provider::Streamverse;

/// A channel that never ends, made of assets: in order, by a weekly grid, or in a rotation; with filler, ad breaks and slate.
/// What plays follows from the schedule, the packages and the clock, and is announced ahead in the catalogue, so that replicas
/// answer the same and a restart is not seen. What was announced never changes: a changed schedule holds from the `horizon`
/// on. A catalogue that is restored from an older copy takes the sequences of its channels back to it: players that are in
/// the middle then have to load anew. Replicas go by the clocks of their hosts, which should be in step: who is sent from one to
/// another is set back by as much as these differ, and sees nothing changed.
///
/// Not proved live: its pods on Kubernetes never ran; there, a real API server, its controllers and scheduler worked
/// on simulated nodes. Years of playing are simulated, and minutes of it played in a browser.
#[derive(Clone, Schema)]
pub struct FastChannel {
    /// Unique in the deployment, and a part of its addresses; another name is another channel.
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
    pub spec: FastChannelSpec,
    /// Where it is reached from its site, known before it is there: `http://HOST:PORT`.
    #[attribute(changes_with = [spec.port])]
    pub address: Computed<String>,
    /// The path of the HLS manifest (RFC 8216), below this address or that of an edge that leads here.
    pub hls: Computed<String>,
    /// The path of the DASH manifest (ISO/IEC 23009-1).
    pub dash: Computed<String>,
    /// Names of all assets that it may play.
    pub assets: Computed<Vec<String>>,
    /// The channel as JSON: what `streamverse_epg` and the data source `streamverse_schedule` take.
    pub definition: Computed<String>,
    /// What is on on the local day of `start`, at most 1000 programmes. Sources without a `duration_ms` are taken for
    /// `assumed_duration`.
    pub guide: Computed<Vec<GuideProgramme>>,
    /// What the site holds, as a digest. It changes when somebody else changed it there: the next apply repairs that.
    #[attribute(changes_with = any)]
    pub revision: Computed<String>,
    /// Deadlines.
    pub timeouts: Timeouts,
}

/// What is not the spec's own.
const REST: &[&str] =
    &["name", "site", "address", "hls", "dash", "assets", "definition", "guide", "revision", "timeouts"];

/// What follows from name and spec.
struct Follows {
    hls: String,
    dash: String,
    assets: Vec<String>,
    definition: String,
    guide: Vec<GuideProgramme>,
}

impl Follows {
    fn from(name: &str, spec: &FastChannelSpec) -> Result<Follows> {
        let definition = ChannelDefinition { name: deploy::name(name)?, channel: spec.clone() };
        Ok(Follows {
            hls: format!("/channel/{name}/hls.m3u8"),
            dash: format!("/channel/{name}/dash.mpd"),
            assets: spec.assets(),
            definition: serde_json::to_string(&definition)?,
            guide: Guide::of_first_day(name, spec)?.programmes,
        })
    }
}

impl Deployed for FastChannel {
    const KIND: &'static str = "fast-channel";

    fn name(&self) -> &str {
        &self.name
    }

    fn site(&self) -> &str {
        &self.site
    }

    fn objects(&self, _: &Owner) -> Result<Vec<Object>> {
        // What was unknown while planning is judged before anything is done.
        check_spec(&self.spec)?;
        Ok(self.spec.objects()?)
    }

    fn stored(self, provider: &Streamverse, revision: String) -> Result<State<Self>> {
        let known = provider.address(Self::KIND, &self.name, &self.site, "http", self.spec.port);
        let address = known.or_else(|| self.address.known().cloned()).unwrap_or_default();
        let Follows { hls, dash, assets, definition, guide } = Follows::from(&self.name, &self.spec)?;
        Ok(self.complete(FastChannelComputed { address, hls, dash, assets, definition, guide, revision }))
    }
}

#[resource(name = "fast_channel", timeouts(create = "5m", update = "5m", delete = "5m"))]
impl Resource for FastChannel {
    type Provider = Streamverse;

    deployed!();

    async fn update(cx: &Context<Streamverse>, _: Stored<Self>, plan: Plan<Self>) -> Result<State<Self>> {
        deploy::put(cx, plan).await
    }

    fn validate(config: &FastChannelView, findings: &mut Findings) {
        let mut found = Diagnostics::new();
        channel::check(&config.spec, &mut found);
        for diagnostic in found {
            findings.push(diagnostic);
        }
    }

    async fn modify_plan(cx: &Context<Streamverse>, draft: &mut Draft<Self>) -> Result<()> {
        let Some(planned) = deploy::plan(cx, draft)? else { return Ok(()) };
        let spec = draft.planned()?.spec;
        let place = planned.placement(cx);
        place.store("object_store", &spec.object_store, StoreUse::Objects)?;
        place.store("catalogue", &spec.catalogue, StoreUse::Catalogue)?;
        place.side_by_side("replicas", &spec.replicas)?;
        let port = spec.port.known().copied();
        place.port(Path::attribute("port"), port)?;
        match planned.address::<Self>(cx, "http", port) {
            Some(address) => draft.set(Self::address(), &address)?,
            None => draft.set_unknown(Self::address())?,
        }
        let whole = planned.name.as_deref().zip(spec_of::<FastChannelSpec>(draft.value(), REST));
        // What cannot be planned was refused at its own attribute.
        if let Some(Ok(follows)) = whole.map(|(name, spec)| Follows::from(name, &spec)) {
            draft.set(Self::hls(), &follows.hls)?;
            draft.set(Self::dash(), &follows.dash)?;
            draft.set(Self::assets(), &follows.assets)?;
            draft.set(Self::definition(), &follows.definition)?;
            draft.set(Self::guide(), &follows.guide)?;
        } else if draft.is_change() {
            if let Some(name) = &planned.name {
                draft.set(Self::hls(), &format!("/channel/{name}/hls.m3u8"))?;
                draft.set(Self::dash(), &format!("/channel/{name}/dash.mpd"))?;
            } else {
                draft.set_unknown(Self::hls())?;
                draft.set_unknown(Self::dash())?;
            }
            draft.set_unknown(Self::assets())?;
            draft.set_unknown(Self::definition())?;
            draft.set_unknown(Self::guide())?;
        }
        Ok(())
    }

    async fn import(cx: &Context<Streamverse>, id: &str) -> Result<State<Self>> {
        let Imported { site, name, observed } = deploy::find::<Self>(cx, id).await?;
        let spec: FastChannelSpec = deploy::found_spec(&observed)?;
        let address = cx.provider().address(Self::KIND, &name, &site, "http", spec.port).unwrap_or_default();
        let Follows { hls, dash, assets, definition, guide } = Follows::from(&name, &spec)?;
        Ok(FastChannelState {
            name,
            site,
            spec,
            address,
            hls,
            dash,
            assets,
            definition,
            guide,
            revision: observed.revision,
            timeouts: Timeouts::default(),
        })
    }
}
