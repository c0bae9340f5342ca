//! The life of a resource that puts objects on a site: applied, waited for, looked at, removed.
//!
//! "Applied" and "ready" are different facts. A create succeeds once the site holds the objects; that something is not
//! ready in time is a warning with the site's own reason, never an error, for an error would taint the resource and have
//! the next apply destroy it. Drift shows as a change of `revision`.

mod found;
mod leaving;
mod refused;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use streamverse_model::platform::{Bundle, Name, Object, Observed, Owner, Phase, SecretValue};
use streamverse_sites::{Class as SiteClass, Deletion, Site, SiteKind};
use tfplugin_framework::schema::Path;
use tfplugin_framework::{Class, Context, Draft, Error, Plan, Read, Resource, Result, Schema, State, Stored};

use crate::provider::Streamverse;

pub(crate) use found::{Imported, find, found_secret, found_spec};
use leaving::{LEAVING, past_leaving};
pub(crate) use refused::{asked, told};

/// What is left for the answer when waiting ends.
const MARGIN: Duration = Duration::from_secs(3);
/// Between two looks.
const LOOK: Duration = Duration::from_millis(300);
/// The private value that remembers what we applied.
const APPLIED: &str = "applied_revision";
/// The private value that remembers the provider block's labels, as applied.
const SETTINGS: &str = "applied_labels";

/// Something that is put on a site.
pub(crate) trait Deployed: Resource<Provider = Streamverse> + Schema + Send + Sync {
    /// The owner's kind: the resource type with `-` for `_`.
    const KIND: &'static str;

    /// The resource's name.
    fn name(&self) -> &str;
    /// The site that it names.
    fn site(&self) -> &str;
    /// What it puts there.
    fn objects(&self, owner: &Owner) -> Result<Vec<Object>>;
    /// The values of its secrets, where the configuration gives them or says where they are.
    fn secrets(&self, _: &Context<Streamverse>) -> impl Future<Output = Result<Vec<SecretValue>>> + Send {
        async { Ok(Vec::new()) }
    }
    /// It as it is stored, once the site holds this revision.
    fn stored(self, provider: &Streamverse, revision: String) -> Result<State<Self>>;
}

/// The verbs of a resource that is only what it puts on a site, but for `update`: `#[resource]` looks for that one itself.
macro_rules! deployed {
    () => {
        async fn create(cx: &Context<Streamverse>, plan: Plan<Self>) -> Result<State<Self>> {
            crate::deploy::put(cx, plan).await
        }

        async fn read(cx: &Context<Streamverse>, stored: Stored<Self>) -> Result<Read<Self>> {
            crate::deploy::read(cx, stored).await
        }

        async fn delete(cx: &Context<Streamverse>, stored: Stored<Self>) -> Result<()> {
            crate::deploy::remove(cx, &*stored).await
        }
    };
}
pub(crate) use deployed;

/// What a look at a site says about a resource.
pub(crate) enum Look {
    Gone,
    /// The site cannot be asked: what is stored is all there is.
    Unknown,
    Found(Box<Observed>),
}

/// Creates or updates a resource.
pub(crate) async fn put<R: Deployed>(cx: &Context<Streamverse>, plan: Plan<R>) -> Result<State<R>> {
    let secrets = plan.secrets(cx).await?;
    let revision = apply(cx, &*plan, &secrets).await?;
    plan.into_inner().stored(cx.provider(), revision)
}

/// Reads a resource.
pub(crate) async fn read<R: Deployed>(cx: &Context<Streamverse>, stored: Stored<R>) -> Result<Read<R>> {
    let held = stored.value().get("revision").as_str().map(str::to_owned);
    match look_for(cx, R::KIND, stored.name(), stored.site()).await? {
        Look::Gone => Ok(Read::Gone),
        Look::Unknown => Ok(Read::Unchanged),
        Look::Found(observed) => {
            let now = held_revision(cx, stored.site(), &observed);
            if held.as_ref() == Some(&now) {
                return Ok(Read::Unchanged);
            }
            Ok(Read::Found(stored.into_inner().stored(cx.provider(), now)?))
        }
    }
}

/// The revision that is held. What somebody else changed is told, and what is not ready. What ended for good counts as
/// drift, so that the next apply tries it again: whatever it failed of may have been mended meanwhile. A cluster's
/// controllers try their pods again by themselves, so there only jobs count.
pub(crate) fn held_revision(cx: &Context<Streamverse>, site: &str, observed: &Observed) -> String {
    let list = |lines: &[String]| lines.iter().map(|line| format!("- {line}")).collect::<Vec<_>>().join("\n");
    if !observed.drift.is_empty() {
        cx.warn(
            format!("{} was changed by somebody else", cx.subject()),
            format!("The next apply puts it back:\n{}", list(&observed.drift)),
        );
    }
    if !observed.outdated.is_empty() {
        cx.warn(
            format!("{} is not as it would be applied now", cx.subject()),
            format!(
                "Nobody touched it: an image, a secret's version or this provider's version is another one. The next \
                 apply changes it:\n{}",
                list(&observed.outdated)
            ),
        );
    }
    let on_node = cx
        .provider()
        .configured(site)
        .ok()
        .and_then(|it| it.kind())
        .is_some_and(|kind| kind == SiteKind::Node);
    let stuck = observed.objects.iter().find(|status| match status.phase {
        Phase::Failed => on_node || status.object.starts_with("job/"),
        Phase::Degraded => on_node,
        _ => false,
    });
    if let Some(status) = stuck {
        let refused = status.phase == Phase::Degraded;
        let what = if refused { "serves what it served before its last change" } else { "failed" };
        cx.warn(
            format!("{} {what}", cx.subject()),
            format!("{}\nThe next apply tries it again.", status.line()),
        );
        return format!("failed-{}", observed.revision);
    }
    let late = observed.why_not();
    if !late.is_empty() {
        cx.warn(format!("{} is not ready", cx.subject()), list(&late));
    }
    observed.revision.clone()
}

/// Asks the site whether it could hold what is planned, where all of that is known and the site answers: what the site's
/// own software cannot do is refused in the plan.
pub(crate) async fn rehearse<R: Deployed>(cx: &Context<Streamverse>, resource: &R) -> Result<()> {
    let Ok(Some(site)) = cx.provider().try_site(resource.site()) else { return Ok(()) };
    if cx.provider().deployment().is_none() || site.kind() != SiteKind::Node {
        return Ok(());
    }
    let bundle = bundle_of(cx, resource)?;
    match site.rehearse(&bundle).await {
        Err(error) if error.class == SiteClass::Invalid && error.field.is_some() => Err(told(error, &bundle)),
        // Anything else is the apply's to tell.
        _ => Ok(()),
    }
}

/// Puts a resource on its site and waits for it; returns the revision that is held.
pub(crate) async fn apply<R: Deployed>(
    cx: &Context<Streamverse>,
    resource: &R,
    secrets: &[SecretValue],
) -> Result<String> {
    let (site, owner, revision) = persist(cx, resource, secrets).await?;
    wait(cx, &*site, &owner).await;
    Ok(revision)
}

/// Puts a resource on its site. The site, whose it is, and the revision that is held.
pub(crate) async fn persist<R: Deployed>(
    cx: &Context<Streamverse>,
    resource: &R,
    secrets: &[SecretValue],
) -> Result<(Arc<dyn Site>, Owner, String)> {
    let bundle = bundle_of(cx, resource)?;
    let site = site_of(cx, resource.site())?;
    // What was not known while planning.
    if let Some(object) = bundle.objects.iter().find(|object| !site.kind().holds(object)) {
        let others: Vec<&str> = [SiteKind::Node, SiteKind::Kubernetes]
            .into_iter()
            .filter(|kind| kind.holds(object))
            .flat_map(|kind| cx.provider().sites_of(kind))
            .collect();
        let others = if others.is_empty() { "there is none yet".to_owned() } else { others.join(", ") };
        return Err(Error::invalid(format!(
            "a site of the kind {} cannot hold {}",
            site.kind(),
            object.key()
        ))
        .at(Path::attribute("site"))
        .next(format!("Name a site that can: {others}.")));
    }
    let applied = site.apply(&bundle, secrets).await.map_err(|error| told(error, &bundle))?;
    for warning in applied.warnings {
        cx.warn("The site says", warning);
    }
    cx.set_private(APPLIED, &applied.revision)?;
    cx.set_private(SETTINGS, &cx.provider().labels())?;
    Ok((site, bundle.owner, applied.revision))
}

/// A client of a resource's site.
pub(crate) fn site_of(cx: &Context<Streamverse>, name: &str) -> Result<Arc<dyn Site>> {
    cx.provider().site(name).map_err(at_site)
}

fn at_site(error: Error) -> Error {
    error.at(Path::attribute("site"))
}

fn bundle_of<R: Deployed>(cx: &Context<Streamverse>, resource: &R) -> Result<Bundle> {
    let owner = cx.provider().owner(R::KIND, resource.name())?;
    let objects = resource.objects(&owner)?;
    let mut bundle = Bundle::new(owner, objects);
    bundle.labels = cx.provider().labels().unwrap_or_default();
    Ok(bundle)
}

/// Waits until everything is ready, has failed, or the time is nearly up; says so as a warning.
pub(crate) async fn wait(cx: &Context<Streamverse>, site: &dyn Site, owner: &Owner) {
    wait_on(cx, site, owner, None).await;
}

/// … where this much was seen of it already.
pub(crate) async fn wait_on(
    cx: &Context<Streamverse>,
    site: &dyn Site,
    owner: &Owner,
    seen: Option<&Observed>,
) {
    let silent = || vec![format!("site {} does not answer", site.name())];
    let mut heard = seen.map_or_else(silent, Observed::why_not);
    let last = loop {
        // A failed process may be one of many tries; a failed object is not tried again, and a refused change stays refused.
        // A site that stopped answering must not use up what is left for our own answer: what was applied would be
        // reported as never made.
        let left = cx.time_left().map_or(Duration::MAX, |left| left.saturating_sub(MARGIN));
        let (last, settled) = match tokio::time::timeout(left, site.observe(owner)).await {
            Err(_) => break heard,
            Ok(Ok(Some(observed))) if observed.is_ready() => return,
            Ok(Ok(Some(observed))) => {
                let settled = |phase| matches!(phase, Phase::Failed | Phase::Degraded);
                (observed.why_not(), observed.objects.iter().any(|status| settled(status.phase)))
            }
            Ok(Ok(None)) => (vec!["it was removed meanwhile".to_owned()], false),
            Ok(Err(error)) => (vec![error.to_string()], false),
        };
        if settled || cx.time_left().is_some_and(|left| left < MARGIN) || cx.is_cancelled() {
            break last;
        }
        heard = last;
        tokio::time::sleep(LOOK).await;
    };
    let lines: Vec<String> = last.iter().map(|line| format!("- {line}")).collect();
    cx.warn(
        format!("{} is there, but not ready", cx.subject()),
        format!(
            "Site {} holds {owner}, and says:\n{}\n{}",
            site.name(),
            lines.join("\n"),
            where_to_look(site, owner)
        ),
    );
}

/// What the site holds once nothing more is to be waited for, or the time is nearly up; `None` where it does not answer.
pub(crate) async fn settled(cx: &Context<Streamverse>, site: &dyn Site, owner: &Owner) -> Option<Observed> {
    let mut last = None;
    loop {
        let left = cx.time_left().map_or(Duration::MAX, |left| left.saturating_sub(MARGIN));
        let Ok(found) = tokio::time::timeout(left, site.observe(owner)).await else { return last };
        let found = found.ok().flatten();
        let over = |it: &Observed| it.is_ready() || it.failed().is_some();
        if found.as_ref().is_none_or(over)
            || cx.is_cancelled()
            || cx.time_left().is_some_and(|left| left < MARGIN)
        {
            return found;
        }
        last = found;
        tokio::time::sleep(LOOK).await;
    }
}

/// Where a person finds out more.
fn where_to_look(site: &dyn Site, owner: &Owner) -> String {
    match site.kind() {
        SiteKind::Node => format!(
            "The next plan shows how it is; `streamverse node why --deployment {} {}/{}` on the host too.",
            owner.deployment, owner.kind, owner.name
        ),
        SiteKind::Kubernetes => format!(
            "The next plan shows how it is; `kubectl get pods,events -l streamverse.io/kind={},streamverse.io/name={}` too.",
            owner.kind, owner.name
        ),
    }
}

/// What a site holds for an owner.
pub(crate) async fn look_for(cx: &Context<Streamverse>, kind: &str, name: &str, site: &str) -> Result<Look> {
    let provider = cx.provider();
    // A site whose address comes from something that is being replaced is still unknown while the plan refreshes.
    let (Some(deployment), Some(client)) = (provider.deployment(), provider.try_site(site).map_err(at_site)?)
    else {
        cx.warn(
            format!("{} was not looked at", cx.subject()),
            format!(
                "Where the site {site:?} is, is known only after the apply. The plan shows what is stored."
            ),
        );
        return Ok(Look::Unknown);
    };
    let owner = Owner::new(deployment, kind, name)?;
    // What a killed destroy had begun to remove is not there: taken for it, others would be made that wait for it for ever.
    let patience = cx.time_left().map_or(LEAVING, |left| left.saturating_sub(MARGIN).min(LEAVING));
    let found = past_leaving(patience, LOOK, cx.cancelled(), || client.observe(&owner)).await;
    // Interrupted in the middle of a removal, nothing is known of how it ends.
    if cx.is_cancelled() && matches!(&found, Ok(Some(it)) if it.is_leaving()) {
        return Err(cx.interruption());
    }
    match found {
        Ok(Some(observed)) => Ok(Look::Found(Box::new(observed))),
        Ok(None) => Ok(Look::Gone),
        Err(error) if error.class == SiteClass::Unreachable || error.class == SiteClass::Denied => {
            // An agent that is down must not make the plan forget what is there.
            let next = error.next.clone().unwrap_or_default();
            cx.warn(
                format!("{} was not looked at", cx.subject()),
                format!("{error}. The plan shows what is stored. {next}"),
            );
            Ok(Look::Unknown)
        }
        Err(error) => Err(asked(error, format!("looking at {owner}"))),
    }
}

/// Removes a resource from its site and waits until nothing is left.
pub(crate) async fn remove<R: Deployed>(cx: &Context<Streamverse>, resource: &R) -> Result<()> {
    let owner = cx.provider().owner(R::KIND, resource.name())?;
    let site = site_of(cx, resource.site())?;
    loop {
        let deletion =
            site.delete(&owner).await.map_err(|error| asked(error, format!("removing {owner}")))?;
        let Deletion::Pending(why) = deletion else { return Ok(()) };
        if cx.is_cancelled() || cx.time_left().is_some_and(|left| left < MARGIN) {
            return Err(Error::new(Class::Retry, format!("{owner} is still being removed: {why}"))
                .next("Run the destroy again; raise `timeouts.delete` if it needs longer."));
        }
        tokio::time::sleep(LOOK).await;
    }
}

/// Plans an update when the site holds something else than what was applied or the provider's labels changed, and
/// refuses sites that do not exist.
/// `None` in a destroy.
pub(crate) fn plan<R: Deployed>(cx: &Context<Streamverse>, draft: &mut Draft<R>) -> Result<Option<Planned>> {
    if draft.is_destroy() {
        return Ok(None);
    }
    let text = |name: &str| draft.value().get(name).as_str().map(str::to_owned);
    let planned = Planned { name: text("name"), site: text("site") };
    if let (Some(site), Some(names)) = (&planned.site, cx.provider().site_names())
        && !names.contains(&site.as_str())
    {
        return Err(Error::invalid(format!("there is no site {site:?}; there is {}", names.join(", ")))
            .at(Path::attribute("site"))
            .next("Add it to `sites` of the provider block, or name one that is there."));
    }
    let prior = draft.prior_value().get("revision").as_str().map(str::to_owned);
    let applied: Option<String> = cx.private(APPLIED)?;
    let labelled: Option<Option<BTreeMap<String, String>>> = cx.private(SETTINGS)?;
    let drifted = matches!((&applied, &prior), (Some(applied), Some(held)) if applied != held);
    let relabelled = match (labelled, cx.provider().labels()) {
        (Some(before), Some(now)) => before.unwrap_or_default() != now,
        _ => false,
    };
    if prior.is_some() && (drifted || relabelled) {
        draft.set_unknown(Path::attribute("revision"))?;
    }
    Ok(Some(planned))
}

/// Notes whether a plan changes one of these attributes in place: whoever is handed them follows in the same apply.
pub(crate) fn note<R: Deployed>(
    cx: &Context<Streamverse>,
    draft: &Draft<R>,
    planned: &Planned,
    attributes: &[&str],
) {
    let (Some(site), Some(name)) = (&planned.site, &planned.name) else { return };
    let changes = !draft.is_create() && attributes.iter().any(|it| draft.changed(Path::attribute(*it)));
    cx.provider().note(R::KIND, site, name, changes);
}

/// What of a plan leads to its site.
pub(crate) struct Planned {
    pub(crate) name: Option<String>,
    pub(crate) site: Option<String>,
}

impl Planned {
    /// What kind of site it goes to, while that is known.
    pub(crate) fn kind(&self, cx: &Context<Streamverse>) -> Option<SiteKind> {
        cx.provider().configured(self.site.as_deref()?).ok()?.kind()
    }

    /// The address of an endpoint, while it is known.
    pub(crate) fn address<R: Deployed>(
        &self,
        cx: &Context<Streamverse>,
        endpoint: &str,
        port: Option<u16>,
    ) -> Option<String> {
        cx.provider().address(R::KIND, self.name.as_deref()?, self.site.as_deref()?, endpoint, port?)
    }

    /// The URL of a place that the site gives, while it is known: `file://SITE/NAME`.
    pub(crate) fn local_url(&self, scheme: &str) -> Option<String> {
        Some(local_url(scheme, self.site.as_deref()?, self.name.as_deref()?))
    }
}

/// `file://SITE/NAME`: a place that a site gives.
pub(crate) fn local_url(scheme: &str, site: &str, name: &str) -> String {
    format!("{scheme}://{site}/{name}")
}

pub(crate) fn name(text: &str) -> Result<Name> {
    Ok(Name::parse(text)?)
}
