//! `streamverse_runpod_fleet`: pods that a controller starts and gives back. What may be asked for: `model::compute::runpod`; who hands it over:
//! the targets `fleet` and `fleet-remove` of `runtime/fleet`.

use std::time::Duration;

use streamverse_model::compute::runpod::{FleetCost, RunpodFleetSpec, check_fleet};
use streamverse_model::compute::{
    FleetJobSpec, FleetRemoved, FleetSource, FleetTaken, Money, PRICES_VERSION,
};
use streamverse_model::platform::{Bundle, Object, Observed, Owner, Phase};
use streamverse_sites::Class as SiteClass;
use streamverse_sites::node::NodeConfig;
use tfplugin_framework::schema::{Computed, Diagnostics, Path, Severity, Timeouts, TypedPath};
use tfplugin_framework::{
    Class, Context, Draft, Error, Findings, Maybe, Plan, Read, Resource, Result, Schema, State, Stored,
    resource,
};

use super::{fleet_live, fleet_place};
use super::{pass_shown, shown};
use crate::compute::controlled;
use crate::deploy::{self, Deployed, Imported};
use crate::provider::Streamverse;

/// A fleet of pods at RunPod that a `streamverse_fleet_controller` keeps between `min` and `max`: jobs that wait bring workers, a queue that is
/// empty sends them away, and only idle ones leave. Terraform owns range and policy; the live size is in no attribute and no plan. A changed range
/// acts within one tick of the controller.
///
/// Candidates are tried in their order. RunPod has no spot any more: what is bought costs the full price until it is given back. Costs in the plan
/// are those of a dated table (`price_date`), the secure cloud's; with a key to RunPod in the provider block the plan warns where today's price differs by
/// more than a fifth, and refuses data centres that there are none of. Without one, or without a network, it plans all the same.
///
/// Pods are named `sv--DEPLOYMENT--NAME--PLACE--NUMBER`: fleets of the same name in other deployments are other pods. Within the controller's catalogue a name is one
/// resource's; what another one wrote is left alone, and the error names it. Destroying it fences it first: nothing starts any more, what runs finishes what
/// it has begun and leaves, then its record goes. Import takes `SITE/NAME`.
///
/// What a worker gets in its environment is plain: where its controller is, and a token that is of use once. `streamverse fleet why NAME` says why it has the
/// size that it has.
///
/// What another hand changed of its record in the controller's catalogue a plan sees on a node by a look of the site's own, and on a cluster by what
/// the controller wrote beside its Lease when it read its records last: no plan starts a pod. There it says so only while a controller runs, and at most a
/// tick later. A `transcoder` that the same configuration changes changes the fleet in the same apply, if the fleet refers to it by its resource.
///
/// Calls of the plan, where there is a key: `GET /v2/catalog/gpus`, `GET /v2/catalog/datacenters` and, with `network_volume`, `GET /v2/network-volumes/ID`.
/// Calls of its controller: `GET /v2/catalog/gpus`, and `GET`, `POST` and `DELETE /v2/pods`.
///
/// The plan's key, in the provider block, need only read. The controller's must be allowed to read the catalogue, and to read, create and delete
/// pods. Rights that Terraform needs for it on Kubernetes, in the namespace of the site: `get`, `list`, `create`, `patch` and `delete` on
/// `jobs`, `configmaps` and `networkpolicies`, `get` on `leases` of `coordination.k8s.io` (without it a changed record is not seen), and for a destroy
/// `list` on `deployments`, `daemonsets`, `services`, `secrets`, `poddisruptionbudgets` and `horizontalpodautoscalers`. To say why its job does not run
/// it also lists `pods`, where it may. Its jobs have no account of the cluster.
///
/// Not proved live: no pod was ever rented at RunPod. Its controller ran against a stand-in that is held to RunPod's API description of 2026-08-18. On
/// Kubernetes its jobs ran on simulated nodes alone, which end them at once.
#[derive(Clone, Schema)]
pub struct RunpodFleet {
    /// Unique in the deployment, without `--`; another name is another fleet.
    #[attribute(
        replace,
        validate(regex(
            "^[a-z0-9]([a-z0-9-]{0,38}[a-z0-9])?$",
            says = "must be 1 to 40 characters of a-z, 0-9 and inner -"
        ))
    )]
    pub name: String,
    /// The site of its controller. Of a fleet that goes to another site the pods are given back first; then the other site's controller buys.
    #[attribute(replace, default = "default")]
    pub site: String,
    /// What it is.
    #[attribute(flatten)]
    pub spec: RunpodFleetSpec,
    /// Dollars per hour at `min`, with the cheapest candidate below `price_ceiling`; `policy.extra` is reckoned in. Null where the table lacks a price that it follows from.
    pub hourly_min: Computed<Option<Money>>,
    /// Dollars per hour at `max`, with the dearest candidate below `price_ceiling`.
    pub hourly_max: Computed<Option<Money>>,
    /// Dollars per month at `min`, without the nights.
    pub monthly_min: Computed<Option<Money>>,
    /// Dollars per month at `max`, all the time that the schedule allows.
    pub monthly_max: Computed<Option<Money>>,
    /// Of what day the table of prices is.
    pub price_date: Computed<String>,
    /// What the site holds, as a digest. It changes when somebody else changed it there: the next apply repairs that.
    #[attribute(changes_with = any)]
    pub revision: Computed<String>,
    /// Deadlines. Workers that finish what they have begun take up to `policy.drain` to leave: `delete` waits for them.
    pub timeouts: Timeouts,
}

impl RunpodFleet {
    fn job(&self) -> Result<FleetJobSpec> {
        let fleet = FleetSource::Runpod(Box::new(self.spec.clone()));
        Ok(FleetJobSpec { name: deploy::name(&self.name)?, fleet })
    }
}

impl Deployed for RunpodFleet {
    const KIND: &'static str = "runpod-fleet";

    fn name(&self) -> &str {
        &self.name
    }

    fn site(&self) -> &str {
        &self.site
    }

    fn objects(&self, _: &Owner) -> Result<Vec<Object>> {
        Ok(self.job()?.objects()?)
    }

    fn stored(self, _: &Streamverse, revision: String) -> Result<State<Self>> {
        let computed = computed(&self.spec, revision);
        Ok(self.complete(computed))
    }
}

fn computed(spec: &RunpodFleetSpec, revision: String) -> RunpodFleetComputed {
    let cost = FleetCost::of_spec(spec).unwrap_or_default();
    RunpodFleetComputed {
        hourly_min: cost.hourly_min,
        hourly_max: cost.hourly_max,
        monthly_min: cost.monthly_min,
        monthly_max: cost.monthly_max,
        price_date: PRICES_VERSION.to_owned(),
        revision,
    }
}

/// The attribute that the job's refusal is about; `None` for what is no refusal of ours.
fn refused_at(code: &str, text: &str) -> Option<Path> {
    let queue = || Path::attribute("queue").attr("event_log");
    Some(match code {
        "fleet-owned" => Path::attribute("name"),
        "no-account" => Path::attribute("controller"),
        "store-out-of-reach" | "store-not-given" if text.contains("of the transcoder") => {
            Path::attribute("transcoder")
        }
        "store-out-of-reach" | "store-not-given" => queue(),
        "too-few-partitions" => Path::attribute("range").attr("max"),
        _ => return None,
    })
}

/// What a revision begins with when the site is as it was, and the controller's catalogue is not.
const CHANGED: &str = "changed-";

/// A number that stands for a text: FNV-1a, for people and not against them.
fn digest(text: &str) -> u32 {
    text.bytes().fold(0x811c_9dc5, |hash, byte| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193))
}

/// What another hand changed in the controller's catalogue, where its site can look.
async fn looked(cx: &Context<Streamverse>, fleet: &RunpodFleet) -> Option<String> {
    let owner = cx.provider().owner(RunpodFleet::KIND, &fleet.name).ok()?;
    let site = cx.provider().try_site(&fleet.site).ok()??;
    match site.look(&owner).await {
        Ok(found) => found,
        Err(error) if error.class == SiteClass::Unsupported => {
            let next = error.next.clone().unwrap_or_default();
            cx.warn(format!("{} was not looked at", cx.subject()), format!("{error}. {next}"));
            None
        }
        // It is looked at again by the next plan.
        Err(_) => None,
    }
}

/// A job that succeeded is not run again as long as it is the same: it goes, and comes again.
async fn forget_job(cx: &Context<Streamverse>, fleet: &RunpodFleet) -> Result<()> {
    let owner = cx.provider().owner(RunpodFleet::KIND, &fleet.name)?;
    let site = deploy::site_of(cx, &fleet.site)?;
    let nothing = Bundle::new(owner.clone(), Vec::new());
    let asked = site.apply(&nothing, &[]).await;
    asked.map(drop).map_err(|error| deploy::asked(error, format!("applying {owner}")))
}

/// Hands the fleet over. What its job refuses is an error: nothing was bought, and a create leaves nothing behind.
async fn handed_over(
    cx: &Context<Streamverse>,
    plan: Plan<RunpodFleet>,
    create: bool,
) -> Result<State<RunpodFleet>> {
    let (site, owner, revision) = deploy::persist(cx, &*plan, &[]).await?;
    let observed = deploy::settled(cx, &*site, &owner).await;
    let job = observed.as_ref().and_then(|it| it.object("job/fleet"));
    if let Some(reason) = job.filter(|it| it.phase == Phase::Failed).and_then(|it| it.reason.as_ref())
        && let Some(at) = refused_at(&reason.code, &reason.text)
    {
        if create {
            // An apply that was killed may have handed it over before: of a create that is refused nothing stays.
            if reason.code != "fleet-owned" {
                taken_away(cx, &plan).await?;
            }
            deploy::remove(cx, &*plan).await?;
        }
        return Err(Error::invalid(reason.text.clone()).at(shown(&at)));
    }
    deploy::wait_on(cx, &*site, &owner, observed.as_ref()).await;
    let told = job.and_then(|it| it.result.clone());
    match told.and_then(|it| serde_json::from_value::<FleetTaken>(it).ok()) {
        Some(FleetTaken { taken: true, trouble: Some(trouble), .. }) => {
            cx.warn("Its controller has trouble", format!("The controller {:?} says: {trouble}.", plan.spec.controller));
        }
        Some(FleetTaken { taken: false, .. }) => cx.warn(
            "Its controller has not answered",
            format!(
                "The fleet is in the catalogue, and the controller {:?} has not acted on it within two ticks. It does as soon as it runs and holds its lease; its own plan shows how it is.",
                plan.spec.controller
            ),
        ),
        _ => {}
    }
    plan.into_inner().stored(cx.provider(), revision)
}

#[resource(name = "runpod_fleet", timeouts(create = "5m", update = "5m", delete = "20m"))]
impl Resource for RunpodFleet {
    type Provider = Streamverse;

    async fn create(cx: &Context<Streamverse>, plan: Plan<Self>) -> Result<State<Self>> {
        handed_over(cx, plan, true).await
    }

    async fn read(cx: &Context<Streamverse>, stored: Stored<Self>) -> Result<Read<Self>> {
        let Some(changed) = looked(cx, &stored).await else {
            let its = (stored.name.clone(), stored.site.clone(), stored.spec.controller.clone());
            let read = deploy::read(cx, stored).await?;
            if matches!(read, Read::Gone) {
                gone(cx, &its);
            }
            return Ok(read);
        };
        cx.warn(
            format!("{} was changed by somebody else", cx.subject()),
            format!("In the words of its site: {changed}. The next apply puts it back."),
        );
        let revision = format!("{CHANGED}{:08x}", digest(&changed));
        Ok(Read::Found(stored.into_inner().stored(cx.provider(), revision)?))
    }

    async fn update(
        cx: &Context<Streamverse>,
        stored: Stored<Self>,
        plan: Plan<Self>,
    ) -> Result<State<Self>> {
        // Nothing of its own is another: it is what it was handed over to, or with, that changed.
        let same = stored.spec == plan.spec;
        if same || stored.revision.known().is_some_and(|it| it.starts_with(CHANGED)) {
            forget_job(cx, &plan).await?;
        }
        handed_over(cx, plan, false).await
    }

    async fn delete(cx: &Context<Streamverse>, stored: Stored<Self>) -> Result<()> {
        taken_away(cx, &stored).await?;
        deploy::remove(cx, &*stored).await
    }

    fn validate(config: &RunpodFleetView, findings: &mut Findings) {
        let mut found = Diagnostics::new();
        check_fleet(&config.spec, &mut found);
        pass_shown(found, findings);
    }

    async fn modify_plan(cx: &Context<Streamverse>, draft: &mut Draft<Self>) -> Result<()> {
        if deploy::plan(cx, draft)?.is_none() {
            return Ok(());
        }
        let view = draft.planned()?;
        fleet_place::note(cx, draft);
        // What its workers are given follows its transcoder, and where it is kept its controller, in the same apply.
        let uses = |kind, of: &Maybe<String>| match (view.site.known(), of.known()) {
            (Some(site), Some(name)) => cx.provider().is_changing(kind, site, name),
            _ => false,
        };
        if uses("transcoder", &view.spec.transcoder) || uses("fleet-controller", &view.spec.controller) {
            draft.set_unknown(Self::revision())?;
        }
        controlled::has_account(cx, &view.site, &view.spec.controller)?;
        fleet_place::check_names(cx.provider().deployment(), view.name.known().map(String::as_str))?;
        match FleetCost::of(&view.spec) {
            Some(cost) => {
                let mut found = Diagnostics::new();
                cost.check(&mut found);
                told(cx, found)?;
                controlled::within_budget(cx, &view.site, &view.spec.controller, cost.monthly_min).await?;
                set(draft, Self::hourly_min(), cost.hourly_min)?;
                set(draft, Self::hourly_max(), cost.hourly_max)?;
                set(draft, Self::monthly_min(), cost.monthly_min)?;
                set(draft, Self::monthly_max(), cost.monthly_max)?;
                draft.set(Self::price_date(), &PRICES_VERSION.to_owned())?;
            }
            None => {
                draft.set_unknown(Self::hourly_min())?;
                draft.set_unknown(Self::hourly_max())?;
                draft.set_unknown(Self::monthly_min())?;
                draft.set_unknown(Self::monthly_max())?;
                draft.set_unknown(Self::price_date())?;
            }
        }
        if draft.is_create() {
            fleet_place::elsewhere(cx, &view.name, &view.site).await?;
        }
        let mut found = Diagnostics::new();
        let new = draft.is_create() || draft.changed(Path::attribute("candidates"));
        fleet_live::check(cx, &view.spec, new, &mut found).await;
        told(cx, found)
    }

    async fn import(cx: &Context<Streamverse>, id: &str) -> Result<State<Self>> {
        let Imported { site, name, observed } = deploy::find::<Self>(cx, id).await?;
        let FleetJobSpec { fleet: FleetSource::Runpod(spec), .. } = deploy::found_spec(&observed)?;
        let RunpodFleetComputed { hourly_min, hourly_max, monthly_min, monthly_max, price_date, revision } =
            computed(&spec, observed.revision);
        Ok(RunpodFleetState {
            name,
            site,
            spec: *spec,
            hourly_min,
            hourly_max,
            monthly_min,
            monthly_max,
            price_date,
            revision,
            timeouts: Timeouts::default(),
        })
    }
}

fn set(
    draft: &mut Draft<RunpodFleet>,
    at: impl TypedPath<Target = Money>,
    cost: Option<Money>,
) -> Result<()> {
    match cost {
        Some(cost) => draft.set(at, &cost),
        None => draft.set_null(at),
    }
}

/// Findings of a plan: warnings are told, the first error ends it.
fn told(cx: &Context<Streamverse>, found: Diagnostics) -> Result<()> {
    let mut refused = None;
    for it in found {
        let at = it.path.as_ref().map(shown).unwrap_or_default();
        match it.severity {
            Severity::Warning => cx.warn_at(at, it.summary, it.detail),
            Severity::Error if refused.is_none() => {
                refused = Some(Error::invalid(it.summary).at(at).next(it.detail));
            }
            Severity::Error => {}
        }
    }
    refused.map_or(Ok(()), Err)
}

/// The registry credentials that fleets of this deployment name, on the sites of the provider block.
///
/// # Errors
/// A site that cannot be asked.
pub(super) async fn credentials(cx: &Context<Streamverse>) -> Result<Vec<String>> {
    let deployment = deploy::name(cx.provider().deployment().unwrap_or_default())?;
    let mut found = Vec::new();
    for name in cx.provider().site_names().unwrap_or_default() {
        // Nobody said that this host is a site: without an agent it is none.
        if !cx.provider().is_named(name) && !NodeConfig::usual_socket().exists() {
            continue;
        }
        let site = cx.provider().site(name)?;
        let owners = site.list(&deployment).await;
        let owners =
            owners.map_err(|error| deploy::asked(error, format!("asking the site {name} for its fleets")))?;
        for owner in owners.iter().filter(|it| it.kind.as_str() == RunpodFleet::KIND) {
            let observed = site.observe(owner).await;
            let observed = observed.map_err(|error| deploy::asked(error, format!("looking at {owner}")))?;
            let Some(observed) = observed else { continue };
            let leaves = |it: &Object| matches!(it, Object::Job(job) if job.target == "fleet-remove");
            if observed.bundle.objects.iter().any(leaves) {
                continue;
            }
            let FleetJobSpec { fleet: FleetSource::Runpod(spec), .. } = deploy::found_spec(&observed)?;
            found.extend(spec.registry_credential_id);
        }
    }
    Ok(found)
}

/// Fences the fleet and waits until nothing of it is left.
async fn taken_away(cx: &Context<Streamverse>, fleet: &RunpodFleet) -> Result<()> {
    let owner = cx.provider().owner(RunpodFleet::KIND, &fleet.name)?;
    let site = cx.provider().site(&fleet.site)?;
    let failed = |error| deploy::asked(error, format!("taking {owner} away"));
    let controller = cx.provider().owner("fleet-controller", &fleet.spec.controller)?;
    if site.observe(&controller).await.map_err(failed)?.is_none() {
        return Err(unfenced(cx, fleet));
    }
    let bundle = Bundle::new(owner.clone(), vec![fleet.job()?.removal()?]);
    site.apply(&bundle, &[]).await.map_err(failed)?;
    loop {
        let observed = site.observe(&owner).await.map_err(failed)?;
        let Some(observed) = observed else { return Ok(()) };
        if observed.is_ready() {
            let result = observed.objects.iter().find_map(|it| it.result.clone()).unwrap_or_default();
            if serde_json::from_value::<FleetRemoved>(result).is_ok_and(|it| it.unrecorded) {
                unrecorded(cx, fleet);
            }
            return Ok(());
        }
        if let Some(status) = observed.failed() {
            let code = status.reason.as_ref().map(|it| it.code.as_str());
            // Whoever owns the name keeps it; nothing of it is ours.
            if code == Some("fleet-owned") {
                cx.warn("Another resource has this fleet", format!("{}. It stays.", status.line()));
                return Ok(());
            }
            return Err(Error::permanent(format!("the fleet was not taken away: {}", status.line()))
                .next("Repair what it names, then run the destroy again."));
        }
        if cx.is_cancelled() || cx.time_left().is_some_and(|left| left < Duration::from_secs(3)) {
            return Err(Error::new(Class::Retry, format!("the fleet is still leaving: {}", left(&observed)))
                .next("It is fenced: nothing of it is started any more. Run the destroy again; raise `timeouts.delete` if workers need longer."));
        }
        tokio::time::sleep(Duration::from_millis(300)).await;
    }
}

/// What is fenced is so in the catalogue that its controller says. A fleet that were let go without it would be bought anew by the next controller of
/// that name, and no state would have its pods.
fn unfenced(cx: &Context<Streamverse>, fleet: &RunpodFleet) -> Error {
    let (controller, deployment) = (&fleet.spec.controller, cx.provider().deployment().unwrap_or_default());
    Error::permanent(format!(
        "the fleet {:?} cannot be fenced: its controller {controller:?} is gone from the site {:?}, and pods of it may run",
        fleet.name, fleet.site
    ))
    .next(format!(
        "Apply the controller again, with the same name and catalogue, then destroy the fleet: it gives its pods back. If that controller never comes back: \
         `streamverse sweep --deployment {deployment} --runpod` gives back all that the deployment has at RunPod, and `terraform state rm` of this resource \
         forgets it; as long as that catalogue has the fleet, a controller of that name buys for it again."
    ))
}

/// There was nothing to fence. Whether a pod of it runs, nobody knows.
fn unrecorded(cx: &Context<Streamverse>, fleet: &RunpodFleet) {
    let (controller, deployment) = (&fleet.spec.controller, cx.provider().deployment().unwrap_or_default());
    cx.warn(
        "Pods of the fleet may go on",
        format!(
            "The record of the fleet {:?} is not in the catalogue of its controller {controller:?}: it was never handed over, or the catalogue was lost or changed. Nothing was \
             fenced. The controller gives back the pods that it remembers; it tells others as strangers, and leaves them alone. Where such pods run, \
             `streamverse sweep --deployment {deployment} --runpod` gives back all that the deployment has at RunPod.",
            fleet.name
        ),
    );
}

/// Somebody took it from its site, and it is in no state from now on: that ends no pod.
fn gone(cx: &Context<Streamverse>, (name, site, controller): &(String, String, String)) {
    let deployment = cx.provider().deployment().unwrap_or_default();
    cx.warn(
        "Its pods may go on",
        format!(
            "The site {site:?} has no fleet {name:?} any more. Unless somebody fenced it, its controller {controller:?} buys for it as long as their catalogue has it. \
             Apply it again, also if you want to destroy it; `streamverse sweep --deployment {deployment} --runpod` gives back all that the deployment has at RunPod."
        ),
    );
}

/// What a removal waits for, in its own words.
fn left(observed: &Observed) -> String {
    let job = observed.object("job/fleet");
    let told = job.and_then(|it| it.result.as_ref()?.get("waiting")?.as_str().map(str::to_owned));
    told.unwrap_or_else(|| observed.why_not().join("; "))
}
