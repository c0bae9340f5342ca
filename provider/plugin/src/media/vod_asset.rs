//! `streamverse_vod_asset`: from a source file to packages that play. What may be asked for: `model::media`; who does it:
//! the targets `vod` and `vod-remove` of `runtime/media`.

use std::collections::BTreeMap;

use streamverse_model::media::{
    self, LadderSpec, PACKAGE_FORMAT, SourceSpec, SubtitleSpec, ThumbnailSpec, TranscoderSpec, VodAssetSpec,
    VodJobSpec, check_subtitles, ladder_check,
};
use streamverse_model::platform::node::ProbeRequest;
use streamverse_model::platform::{Bundle, Object, Observed, Owner, StoreUse};
use streamverse_sites::Class as SiteClass;
use tfplugin_framework::schema::{Computed, Diagnostic, Diagnostics, Field as _, Path, Size, Timeouts};
use tfplugin_framework::{
    Context, Draft, Error, Findings, Maybe, Plan, Read, Resource, Result, Schema, State, Stored, resource,
};

use super::vod_channels::warn_of_channels;
use super::vod_drm::{check_drm, drm, key_ids, planned_keys};
use crate::deploy::{self, Deployed, Imported, Look};
use crate::platform::settled;
use crate::provider::Streamverse;

/// A video on demand: its source is fetched, encoded in the renditions of a ladder, packaged for HLS and DASH, and
/// published. The same source is never encoded twice; another digest is encoded beside the old one, which plays until the
/// new one is published. Destroying it removes what was made, also while a channel plays it: then a warning says which, what
/// was announced of it no longer loads, and slate plays in its place from the channel's `horizon` on.
///
/// Not proved live: its pods on Kubernetes never ran; there, a real API server, its controllers and scheduler worked
/// on simulated nodes.
#[derive(Clone, Schema)]
pub struct VodAsset {
    /// Unique in the deployment, and the first part of its addresses; another name is another asset.
    #[attribute(
        replace,
        validate(regex(
            "^[a-z0-9]([a-z0-9-]{0,38}[a-z0-9])?$",
            says = "must be 1 to 40 characters of a-z, 0-9 and inner -"
        ))
    )]
    pub name: String,
    /// The site of its transcoder.
    #[attribute(replace, default = "default")]
    pub site: String,
    /// The title that viewers see; the name where none is given.
    pub title: Option<String>,
    /// The file.
    pub source: SourceSpec,
    /// Subtitles, one for each language.
    pub subtitles: Option<Vec<SubtitleSpec>>,
    /// Pictures for the player's time line; none where it is not set.
    pub thumbnails: Option<ThumbnailSpec>,
    /// Local disk for the job that fetches and packages it: it holds the source, and for a while each rendition twice. On
    /// Kubernetes a node must have it free. The size of a source is not known while planning, so a long film may need more.
    #[attribute(default = "16GiB")]
    pub scratch: Size,
    /// The renditions: the `definition` of a `streamverse_transcode_ladder`.
    pub ladder: String,
    /// The name of the `streamverse_transcoder` that encodes it, on the same site.
    pub transcoder: String,
    /// The `stores` of that transcoder. With it, the asset is made anew when the transcoder's stores are others; without
    /// it, what was made stays where it is, and nobody finds it in the new ones.
    pub stores: Option<String>,
    /// How it is encrypted: the `definition` of a `streamverse_drm_config`; clear where none is given. Subtitles and the
    /// pictures of the time line stay clear. What it says of `usage` reaches the asset without encrypting it again.
    pub drm: Option<String>,
    /// Length of the source in milliseconds, a fact that its digest pins. Null until the source could be looked at.
    #[attribute(changes_with = [source])]
    pub duration_ms: Computed<Option<u64>>,
    /// What is made now, as a digest of sources and ladder: the second part of addresses.
    pub generation: Computed<String>,
    /// Identifiers of its content keys (KIDs), by what each is for: `all`, `video`, `audio`, `video-hd` …; those of the first
    /// crypto period. Empty where it is clear. They are no secret; keys are nowhere in a plan or state.
    pub key_ids: Computed<BTreeMap<String, String>>,
    /// What the site holds, as a digest. It changes when somebody else changed it there: the next apply repairs that.
    #[attribute(changes_with = any)]
    pub revision: Computed<String>,
    /// Deadlines. A job that is not done in time goes on; the apply ends with a warning.
    pub timeouts: Timeouts,
}

impl VodAsset {
    fn job(&self) -> Result<VodJobSpec> {
        Ok(VodJobSpec {
            name: deploy::name(&self.name)?,
            asset: VodAssetSpec {
                title: self.title.clone(),
                source: self.source.clone(),
                subtitles: self.subtitles.clone(),
                thumbnails: self.thumbnails.clone(),
                scratch: self.scratch,
            },
            ladder: ladder(&self.ladder)?,
            transcoder: deploy::name(&self.transcoder)?,
            stores: self.stores.clone(),
            format: PACKAGE_FORMAT,
            drm: self.drm.as_deref().map(drm).transpose()?,
        })
    }
}

pub(super) fn ladder(text: &str) -> Result<LadderSpec> {
    let refused = |what: String| {
        Error::invalid(what)
            .at(VodAsset::ladder())
            .next("Give the `definition` of a streamverse_transcode_ladder.")
    };
    serde_json::from_str(text).map_err(|error| refused("this is no ladder".to_owned()).because(error))
}

impl Deployed for VodAsset {
    const KIND: &'static str = "vod-asset";

    fn name(&self) -> &str {
        &self.name
    }

    fn site(&self) -> &str {
        &self.site
    }

    fn objects(&self, _: &Owner) -> Result<Vec<Object>> {
        Ok(self.job()?.objects()?)
    }

    fn stored(self, provider: &Streamverse, revision: String) -> Result<State<Self>> {
        let job = self.job()?;
        let (generation, key_ids) =
            (job.generation(), key_ids(provider.deployment().unwrap_or_default(), &job));
        let duration_ms = self.duration_ms.known().copied().flatten();
        Ok(self.complete(VodAssetComputed { duration_ms, generation, key_ids, revision }))
    }
}

/// What takes the asset away, under the same owner.
struct Removal<'a>(&'a VodAsset);

/// Looks at the source from its site. Nothing is made when it is no media or not what was declared.
async fn probe(cx: &Context<Streamverse>, asset: &VodAsset) -> Result<Option<u64>> {
    let owner = cx.provider().owner(VodAsset::KIND, &asset.name)?;
    if asset.source.url.starts_with("s3://") {
        not_looked_at(cx, "Only the job can reach the transcoder's object store");
        return Ok(None);
    }
    let request = ProbeRequest {
        source: asset.source.url.clone(),
        digest: Some(asset.source.digest.clone()),
        allow_private: asset.source.allow_private,
    };
    let limit = cx.time_left().map_or(std::time::Duration::from_secs(120), |left| left / 2);
    match deploy::site_of(cx, &asset.site)?.probe(&owner.deployment, &request, limit).await {
        Ok(Some(facts)) => Ok(Some(facts.duration_ms)),
        Ok(None) => {
            let why = format!("Nothing could run on site {} within {} s", asset.site, limit.as_secs());
            not_looked_at(cx, &why);
            Ok(None)
        }
        // What the site itself lacks just now is no fault of the source.
        Err(error)
            if error.field.is_none() && matches!(error.class, SiteClass::Unreachable | SiteClass::Retry) =>
        {
            not_looked_at(cx, &error.to_string());
            Ok(None)
        }
        Err(error) => {
            let attribute = match error.field.as_deref() {
                Some("/digest") => Path::from(VodAsset::source().digest()),
                Some(_) => VodAsset::source().url().into(),
                None => VodAsset::source().into(),
            };
            Err(deploy::asked(error, "looking at the source").at(attribute))
        }
    }
}

fn not_looked_at(cx: &Context<Streamverse>, why: &str) {
    cx.warn_at(
        VodAsset::source(),
        "The source was not looked at",
        format!("{why}. The job does it, and tells `duration_ms`, which is null where the job does not end in time."),
    );
}

#[resource(name = "vod_asset", timeouts(create = "30m", update = "30m", delete = "10m"))]
impl Resource for VodAsset {
    type Provider = Streamverse;

    async fn create(cx: &Context<Streamverse>, plan: Plan<Self>) -> Result<State<Self>> {
        let duration_ms = probe(cx, &plan).await?;
        made(cx, plan, duration_ms).await
    }

    async fn read(cx: &Context<Streamverse>, stored: Stored<Self>) -> Result<Read<Self>> {
        let observed = match deploy::look_for(cx, Self::KIND, &stored.name, &stored.site).await? {
            Look::Gone => return Ok(Read::Gone),
            Look::Unknown => return Ok(Read::Unchanged),
            Look::Found(observed) => observed,
        };
        // A duration that could not be found at create is a fact that the job found meanwhile.
        let duration_ms = stored.duration_ms.known().copied().flatten().or_else(|| found_duration(&observed));
        let generation = stored.generation.get()?.clone();
        let revision = deploy::held_revision(cx, &stored.site, &observed);
        if Some(&revision) == stored.revision.known() && stored.duration_ms.known() == Some(&duration_ms) {
            return Ok(Read::Unchanged);
        }
        let key_ids = stored.key_ids.known().cloned().unwrap_or_default();
        let computed = VodAssetComputed { duration_ms, generation, key_ids, revision };
        Ok(Read::Found(stored.into_inner().complete(computed)))
    }

    async fn update(cx: &Context<Streamverse>, prior: Stored<Self>, plan: Plan<Self>) -> Result<State<Self>> {
        let duration_ms = match plan.changed(Self::source()) {
            true => probe(cx, &plan).await?,
            false => prior.duration_ms.known().copied().flatten(),
        };
        made(cx, plan, duration_ms).await
    }

    async fn delete(cx: &Context<Streamverse>, stored: Stored<Self>) -> Result<()> {
        match moved_to(cx, &stored).await? {
            Some(site) => cx.warn(
                "What the asset made stays",
                format!("The site {site:?} holds the asset too, and keeps it in the same object store."),
            ),
            None => {
                warn_of_channels(cx, &stored).await?;
                Removal(&stored).run(cx).await?;
            }
        }
        deploy::remove(cx, &*stored).await
    }

    fn validate(config: &VodAssetView, findings: &mut Findings) {
        match config.ladder.known().map(|text| ladder(text)) {
            Some(Err(error)) => findings.push(error.diagnostic()),
            Some(Ok(spec)) => check_ladder(&spec, findings),
            None => {}
        }
        if let Some(Err(error)) = config.drm.known().map(|text| drm(text)) {
            findings.push(error.diagnostic());
        }
        let mut found = Diagnostics::new();
        check_subtitles(&config.subtitles, &mut found);
        for diagnostic in found {
            findings.push(diagnostic);
        }
    }

    async fn modify_plan(cx: &Context<Streamverse>, draft: &mut Draft<Self>) -> Result<()> {
        let Some(planned) = deploy::plan(cx, draft)? else { return Ok(()) };
        let view = draft.planned()?;
        let place = planned.placement(cx);
        if let Some(source) = view.source.known() {
            place.source(Self::source().url(), &source.url)?;
        }
        for (at, subtitle) in view.subtitles.known().into_iter().flatten().enumerate() {
            if let Some(source) = subtitle.known().and_then(|subtitle| subtitle.source.known()) {
                place
                    .source(Path::attribute("subtitles").index(at).attr("source").attr("url"), &source.url)?;
            }
        }
        if let Some(text) = view.drm.known() {
            let drm = drm(text)?;
            place.store("drm", &Maybe::Known(drm.spec.key_service.clone()), StoreUse::Keys)?;
            let ladder = view.ladder.known().and_then(|text| ladder(text).ok());
            check_drm(&drm, ladder.as_ref())?;
        }
        let (before, after) = (draft.prior_value().get("site"), draft.value().get("site"));
        if let (Some(before), Some(after)) = (before.as_str(), after.as_str())
            && before != after
        {
            cx.warn_at(
                tfplugin_framework::schema::Path::attribute("site"),
                "What was made is removed before it is made again",
                format!(
                    "Moving it from {before:?} to {after:?} is a new asset and the end of the old one. Where both sites \
                     use the same object store, `lifecycle {{ create_before_destroy = true }}` keeps what is there: it \
                     is found, not encoded again, and plays on."
                ),
            );
        }
        let parts = [
            Self::source().into(),
            Self::subtitles().into(),
            Self::thumbnails().into(),
            Path::from(Self::ladder()),
            Path::from(Self::drm()),
        ];
        let changed = parts.into_iter().any(|path| draft.changed(path));
        match planned_generation(&view) {
            Some(generation) => {
                // Also without a change of its own: what a version before this made in another format is made again.
                if draft.prior_value().get("generation").as_str() != Some(&generation) {
                    draft.set_unknown(Self::revision())?;
                }
                draft.set(Self::generation(), &generation)?;
                match planned_keys(cx.provider().deployment(), &view, &generation) {
                    Some(ids) => draft.set(Self::key_ids(), &ids),
                    None => draft.set_unknown(Self::key_ids()),
                }
            }
            None if changed => {
                draft.set_unknown(Self::generation())?;
                draft.set_unknown(Self::key_ids())
            }
            None => Ok(()),
        }
    }

    async fn import(cx: &Context<Streamverse>, id: &str) -> Result<State<Self>> {
        let Imported { site, name, observed } = deploy::find::<Self>(cx, id).await?;
        let spec: VodJobSpec = deploy::found_spec(&observed)?;
        let duration_ms = found_duration(&observed);
        Ok(VodAssetState {
            name,
            site,
            generation: spec.generation(),
            key_ids: key_ids(cx.provider().deployment().unwrap_or_default(), &spec),
            drm: spec.drm.as_ref().map(serde_json::to_string).transpose()?,
            title: spec.asset.title,
            source: spec.asset.source,
            subtitles: spec.asset.subtitles,
            thumbnails: spec.asset.thumbnails,
            scratch: spec.asset.scratch,
            ladder: serde_json::to_string(&spec.ladder)?,
            transcoder: spec.transcoder.to_string(),
            stores: spec.stores,
            duration_ms,
            revision: observed.revision,
            timeouts: Timeouts::default(),
        })
    }
}

/// Refuses a ladder that was written by hand and cannot work.
fn check_ladder(spec: &LadderSpec, findings: &mut Findings) {
    let mut found = Diagnostics::new();
    if let Ok(Maybe::Known(view)) = LadderSpec::view(&LadderSpec::write(spec)) {
        ladder_check::check(&view, &mut found);
    }
    for diagnostic in found.iter() {
        let place = diagnostic.path.as_ref().map(|path| format!("{path}: ")).unwrap_or_default();
        findings.push(Diagnostic {
            path: Some(VodAsset::ladder().into()),
            detail: format!("{place}{}", diagnostic.detail),
            ..diagnostic.clone()
        });
    }
    // What a streamverse_transcode_ladder's own schema would have refused.
    if found.is_empty()
        && let Err(error) = spec.check()
    {
        let told = Error::invalid(format!("this is no ladder that can be made: {error}"));
        findings.push(told.at(VodAsset::ladder()).diagnostic());
    }
}

/// The generation, once all that it follows from is known.
fn planned_generation(view: &VodAssetView) -> Option<String> {
    let digest = view.source.known()?.digest.known()?;
    let subtitles = settled(view.subtitles.as_ref())?.map(Vec::as_slice).unwrap_or_default();
    let subtitles = subtitles.iter().map(|it| {
        let it = it.known()?;
        let label = settled(it.label.as_ref())?.map(String::as_str);
        Some((it.language.known()?.as_str(), label, it.source.known()?.digest.known()?.as_str()))
    });
    let subtitles = subtitles.collect::<Option<Vec<_>>>()?;
    let thumbnails = match settled(view.thumbnails.as_ref())? {
        None => None,
        Some(it) => Some(ThumbnailSpec { interval: *it.interval.known()?, height: *it.height.known()? }),
    };
    let ladder = ladder(view.ladder.known()?).ok()?;
    let drm = settled(view.drm.as_ref())?.map(|text| drm(text)).transpose().ok()?;
    Some(media::generation(digest, &subtitles, thumbnails.as_ref(), &ladder, PACKAGE_FORMAT, drm.as_ref()))
}

/// Has the site make it.
async fn made(
    cx: &Context<Streamverse>,
    plan: Plan<VodAsset>,
    duration_ms: Option<u64>,
) -> Result<State<VodAsset>> {
    let job = plan.job()?;
    let (generation, key_ids) =
        (job.generation(), key_ids(cx.provider().deployment().unwrap_or_default(), &job));
    let revision = deploy::apply(cx, &*plan, &[]).await?;
    // What could not be looked at before, the job has looked at: a later plan must have nothing to find.
    let duration_ms = match duration_ms {
        None => match deploy::look_for(cx, VodAsset::KIND, &plan.name, &plan.site).await {
            Ok(Look::Found(observed)) => found_duration(&observed),
            _ => None,
        },
        known => known,
    };
    Ok(plan.into_inner().complete(VodAssetComputed { duration_ms, generation, key_ids, revision }))
}

/// Another site that holds the asset, and whose transcoder keeps it in the same object store: it was moved there, and what
/// was made must stay. A site that cannot be asked holds nothing that was just made there.
async fn moved_to(cx: &Context<Streamverse>, asset: &VodAsset) -> Result<Option<String>> {
    let provider = cx.provider();
    let owner = provider.owner(VodAsset::KIND, &asset.name)?;
    let others = provider.site_names().unwrap_or_default();
    let mut here = None;
    for other in others.into_iter().filter(|other| *other != asset.site) {
        let Some(site) = provider.try_site(other)? else { continue };
        let Ok(Some(found)) = site.observe(&owner).await else { continue };
        let Ok(job) = deploy::found_spec::<VodJobSpec>(&found) else { continue };
        if here.is_none() {
            here = store_of(cx, &asset.site, &asset.transcoder).await?;
        }
        let there = store_of(cx, other, job.transcoder.as_str()).await?;
        if here.is_some() && here == there {
            return Ok(Some(other.to_owned()));
        }
    }
    Ok(None)
}

/// The object store of a transcoder, if it is there.
async fn store_of(cx: &Context<Streamverse>, site: &str, transcoder: &str) -> Result<Option<String>> {
    let owner = cx.provider().owner("transcoder", transcoder)?;
    let Some(site) = cx.provider().try_site(site)? else { return Ok(None) };
    let observed =
        site.observe(&owner).await.map_err(|error| deploy::told(error, &Bundle::new(owner, Vec::new())))?;
    let Some(observed) = observed else { return Ok(None) };
    Ok(deploy::found_spec::<TranscoderSpec>(&observed).ok().map(|spec| spec.object_store))
}

/// The duration that the job found, once it did.
fn found_duration(observed: &Observed) -> Option<u64> {
    observed.object("job/vod-asset")?.result.as_ref()?.get("duration_ms")?.as_u64()
}

impl Removal<'_> {
    /// Has the site remove what was made, and waits for it. A transcoder that is gone took its stores along.
    async fn run(&self, cx: &Context<Streamverse>) -> Result<()> {
        let asset = self.0;
        let owner = cx.provider().owner(VodAsset::KIND, &asset.name)?;
        let site = cx.provider().site(&asset.site)?;
        let transcoder = cx.provider().owner("transcoder", &asset.transcoder)?;
        let there = site
            .observe(&transcoder)
            .await
            .map_err(|error| deploy::asked(error, format!("looking at {transcoder}")))?;
        if there.is_none() {
            cx.warn("What the asset made may be left", format!("The transcoder {:?}, which knows the stores, is gone. Objects below vod/{} stay in its object store if that is still there.", asset.transcoder, asset.name));
            return Ok(());
        }
        let bundle = Bundle::new(owner.clone(), vec![asset.job()?.removal()]);
        let failed = |error| deploy::asked(error, format!("removing what {owner} made"));
        site.apply(&bundle, &[]).await.map_err(failed)?;
        loop {
            let observed = site.observe(&owner).await.map_err(failed)?;
            let Some(observed) = observed else { return Ok(()) };
            if observed.is_ready() {
                return Ok(());
            }
            if let Some(status) = observed.failed() {
                return Err(Error::permanent(format!(
                    "what the asset made was not removed: {}",
                    status.line()
                ))
                .next("Repair what it names, then run the destroy again."));
            }
            if cx.is_cancelled()
                || cx.time_left().is_some_and(|left| left < std::time::Duration::from_secs(3))
            {
                return Err(Error::new(
                    tfplugin_framework::Class::Retry,
                    "what the asset made is still being removed",
                )
                .next("Run the destroy again."));
            }
            tokio::time::sleep(std::time::Duration::from_millis(300)).await;
        }
    }
}
