//! `streamverse_fleet_controller`: what buys, and gives back. What may be asked for: `model::compute`; who does it: the target
//! `fleet-controller` of `runtime/fleet`.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use streamverse_compute_runpod::{Config, DEFAULT_ENDPOINT};
use streamverse_model::compute::{
    CONTROLLER_PORT, FleetControllerRun, FleetControllerSpec, IDENTITY_KEY, IDENTITY_SECRET, OutOfReach,
    RUNPOD_KEY, RUNPOD_SECRET, RunpodAccess, check_stores, out_of_reach,
};
use streamverse_model::platform::{Object, Observed, Owner, SecretValue, StoreUse, is_this_host};
use tfplugin_framework::schema::field::SecretView;
use tfplugin_framework::schema::{Computed, Diagnostics, Path, Secret, Timeouts};
use tfplugin_framework::{
    Context, Draft, Error, Findings, Maybe, Plan, Read, Resource, Result, Schema, State, Stored, resource,
};

use super::controlled;
use super::runpod::pass_shown;
use crate::deploy::{self, Deployed, Imported};
use crate::provider::Streamverse;

/// Buys compute for fleets and pools, keeps them at their sizes, and gives back what is idle. One acts at a time: it holds a lease, a
/// lock file on a node and a Lease of `coordination.k8s.io` on Kubernetes, where its service account may read and change that one
/// Lease and nothing else; an annotation of it says what the controller read of its fleets, for plans, which cannot read the catalogue. What it remembers lies in the catalogue, so it goes on after a restart where it stopped.
///
/// Rented workers reach it at `public_url`, by TLS whose authority follows from `identity`: they enrol with a token that is of use once, then
/// prove themselves by certificates, and are given the secrets of `stores`, and no others. They transcode only: packaging and content keys stay on the
/// site. Whoever knows the identity can make itself a worker. Another one parts it from the workers that run, which are replaced: drain the fleets first.
///
/// `identity` and the account's `api_key` are given as a reference (`…_ref`, which names where the provider reads the value) or as a write-only
/// argument (`…_wo`, with a version that says when it changed). Of neither a plan or a state ever holds the value: they have the reference or the version
/// alone. The value goes to the site's secret store, which keeps it for the controller: a file of the service's own below the agent's run directory on
/// a node, a Secret on Kubernetes. The fleet's records in the catalogue and the pods' environments have neither.
///
/// Import takes `SITE/NAME`. It finds the versions of what was given as `…_wo`, and nothing of a reference, which no site keeps: the first plan after an
/// import notes the reference, as a change in place that changes nothing of what runs.
///
/// RunPod has no spot, so its pods count against `max` of their fleet and not against `on_demand_limits`.
///
/// Calls of RunPod, by the controller: `GET /v2/catalog/gpus`, and `GET`, `POST` and `DELETE /v2/pods`; the plan makes none. The key must be allowed to
/// read the catalogue, and to read, create and delete pods. Whether RunPod asks for more of a key whose pods name a template, a volume or a registry
/// credential its API description does not say.
///
/// Rights that Terraform needs for it on Kubernetes, beside those for any service (`get`, `list`, `create`, `patch` and `delete` on `deployments`,
/// `services`, `configmaps`, `secrets`, `networkpolicies` and `poddisruptionbudgets`, and `list` on `daemonsets`, `jobs` and
/// `horizontalpodautoscalers`): the same five on `serviceaccounts`, on `leases` of `coordination.k8s.io`, and on `roles` and `rolebindings` of
/// `rbac.authorization.k8s.io`, in the namespace of the site. Kubernetes lets nobody grant what he may not do himself: the role is of `get`,
/// `update` and `patch` on the Lease, so whoever applies it needs `update` on `leases` as well, or `escalate` on `roles` and `bind` on `roles`.
///
/// Not proved live: it bought from stand-ins, never from RunPod or another cloud, and its pods on Kubernetes never ran; there, a real API server
/// took its objects, the Lease and the role among them.
#[derive(Clone, Schema)]
pub struct FleetController {
    /// Unique in the deployment; another name is another controller.
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
    /// The TCP port of the API that workers ask, by TLS alone. On a node it listens on all addresses of the host.
    #[attribute(default = CONTROLLER_PORT, validate(range = 1..))]
    pub port: u16,
    /// Where rented workers reach that port: `https://HOST:PORT`.
    #[attribute(validate(regex("^https://[^/?#@ ]+$", says = "must be https://HOST:PORT")))]
    pub public_url: String,
    /// The catalogue that keeps fleets, what was decided and why: the `url` of a `streamverse_catalogue`. Several controllers may share it.
    pub catalogue: String,
    /// The event logs and object stores that rented workers are given, with their secrets: the `url`s of `streamverse_event_log` with
    /// `kafka` and `streamverse_object_store` with `s3`, those of the transcoders that its fleets work for. What only this host, cluster or
    /// network knows (`localhost`, loopback and link-local addresses, `….svc`, `….cluster.local`, `….local`) is refused, unless the account's
    /// `endpoint` is of this host too; of private addresses and names the plan warns. The same holds for `public_url`.
    #[attribute(default = Vec::new())]
    pub stores: Vec<String>,
    /// How many run: one acts, the others stand by. A site of one host runs one.
    #[attribute(default = 1, validate(range = 1..=5))]
    pub replicas: u32,
    /// What its authority and its tokens follow from: 32 bytes in base64 (`openssl rand -base64 32`).
    pub identity: Secret<String>,
    /// The RunPod account that it buys from. Pods of its fleets are in this one: where fleets have any, the plan warns of another endpoint or key, and
    /// an account is taken away only after the last of them was destroyed.
    pub runpod: Option<FleetAccount>,
    /// What it may spend and start, and how often it looks.
    #[attribute(flatten)]
    pub spec: FleetControllerSpec,
    /// Where it is reached from its site, known before it is there: `https://HOST:PORT`.
    #[attribute(changes_with = [port])]
    pub address: Computed<String>,
    /// What the site holds, as a digest. It changes when somebody else changed it there: the next apply repairs that.
    #[attribute(changes_with = any)]
    pub revision: Computed<String>,
    /// Deadlines.
    pub timeouts: Timeouts,
}

/// A RunPod account, as the controller uses it.
#[derive(Clone, Schema)]
pub struct FleetAccount {
    /// The API.
    #[attribute(default = "https://api.runpod.io")]
    pub endpoint: String,
    /// The account's key.
    pub api_key: Secret<String>,
}

impl FleetController {
    fn run(&self) -> FleetControllerRun {
        FleetControllerRun {
            controller: self.spec.clone(),
            port: self.port,
            public_url: self.public_url.clone(),
            catalogue: self.catalogue.clone(),
            stores: self.stores.clone(),
            runpod: self.runpod.as_ref().map(|it| RunpodAccess { endpoint: it.endpoint.clone() }),
        }
    }
}

impl Deployed for FleetController {
    const KIND: &'static str = "fleet-controller";

    fn name(&self) -> &str {
        &self.name
    }

    fn site(&self) -> &str {
        &self.site
    }

    fn objects(&self, owner: &Owner) -> Result<Vec<Object>> {
        let key = self.runpod.as_ref().and_then(|it| it.api_key.version);
        Ok(self.run().objects(owner, self.replicas, self.identity.version, key)?)
    }

    async fn secrets(&self, cx: &Context<Streamverse>) -> Result<Vec<SecretValue>> {
        let identity = cx.secret(&self.identity).await?.to_string();
        if !is_identity(&identity) {
            return Err(Error::invalid(NO_IDENTITY)
                .at(given("identity", &self.identity))
                .next(MAKE_IDENTITY));
        }
        let one = |name: &str, key: &str, value: String| {
            let values = BTreeMap::from([(deploy::name(key)?, value)]);
            Ok::<_, Error>(SecretValue { name: deploy::name(name)?, values })
        };
        let mut all = vec![one(IDENTITY_SECRET, IDENTITY_KEY, identity.trim().to_owned())?];
        if let Some(account) = &self.runpod {
            let key = cx.secret(&account.api_key).await?.to_string();
            if key.trim().is_empty() {
                return Err(Error::invalid(EMPTY_KEY).at(Path::attribute("runpod")));
            }
            all.push(one(RUNPOD_SECRET, RUNPOD_KEY, key.trim().to_owned())?);
        }
        Ok(all)
    }

    fn stored(self, provider: &Streamverse, revision: String) -> Result<State<Self>> {
        let known = address(provider, &self.name, &self.site, self.port);
        let address = known.or_else(|| self.address.known().cloned()).unwrap_or_default();
        Ok(self.complete(FleetControllerComputed { address, revision }))
    }
}

fn address(provider: &Streamverse, name: &str, site: &str, port: u16) -> Option<String> {
    Some(tls(&provider.address(FleetController::KIND, name, site, "https", port)?))
}

/// `https://HOST:PORT`, of `http://HOST:PORT`.
fn tls(address: &str) -> String {
    address.replacen("http://", "https://", 1)
}

/// Whether it is 32 bytes in base64.
fn is_identity(text: &str) -> bool {
    STANDARD.decode(text.trim()).is_ok_and(|bytes| bytes.len() == 32)
}

const NO_IDENTITY: &str = "it is not 32 bytes in base64";
const MAKE_IDENTITY: &str = "Make one with `openssl rand -base64 32`.";
const EMPTY_KEY: &str = "the account's key is empty";

/// The attribute by which a secret was given.
fn given(name: &str, secret: &Secret<String>) -> Path {
    let by = if secret.reference.is_some() { "ref" } else { "wo" };
    Path::attribute(format!("{name}_{by}"))
}

/// The version of a secret of what was found.
fn version_of(observed: &Observed, name: &str) -> Secret<String> {
    let found = observed.bundle.secrets().find(|it| it.name.as_str() == name);
    let mut secret = Secret::default();
    secret.version = found.and_then(|it| i64::try_from(it.version).ok()).filter(|version| *version > 0);
    secret
}

#[resource(name = "fleet_controller", timeouts(create = "5m", update = "5m", delete = "5m"))]
impl Resource for FleetController {
    type Provider = Streamverse;

    async fn create(cx: &Context<Streamverse>, plan: Plan<Self>) -> Result<State<Self>> {
        deploy::put(cx, plan).await
    }

    async fn read(cx: &Context<Streamverse>, stored: Stored<Self>) -> Result<Read<Self>> {
        deploy::read(cx, stored).await
    }

    async fn delete(cx: &Context<Streamverse>, stored: Stored<Self>) -> Result<()> {
        controlled::without_fleets(cx, &stored).await?;
        deploy::remove(cx, &*stored).await
    }

    async fn update(
        cx: &Context<Streamverse>,
        stored: Stored<Self>,
        plan: Plan<Self>,
    ) -> Result<State<Self>> {
        if stored.runpod.is_some() && plan.runpod.is_none() {
            controlled::without_fleets(cx, &stored).await?;
        }
        deploy::put(cx, plan).await
    }

    fn validate(config: &FleetControllerView, findings: &mut Findings) {
        let mut found = Diagnostics::new();
        FleetControllerSpec::check(&config.spec, &mut found);
        let endpoint = config.runpod.known().and_then(|it| match &it.endpoint {
            Maybe::Known(endpoint) => Some(endpoint.clone()),
            Maybe::Null => Some(DEFAULT_ENDPOINT.to_owned()),
            Maybe::Unknown => None,
        });
        let endpoint = endpoint.as_ref();
        let elsewhere = endpoint.is_some_and(|it| RunpodAccess { endpoint: it.clone() }.is_elsewhere());
        check_stores(&config.stores, elsewhere, &mut found);
        pass_shown(found, findings);
        if let Some(Err(fault)) = endpoint.map(|it| Config::endpoint(it)) {
            findings.refuse(Path::attribute("runpod"), "No endpoint", format!("{}.", fault.says));
        }
        // What a reference leads to is read at the apply alone.
        let given = |secret: &SecretView<String>| secret.value.known().and_then(|it| it.expose().cloned());
        if given(&config.identity).is_some_and(|it| !is_identity(&it)) {
            findings.refuse(Path::attribute("identity_wo"), NO_IDENTITY, MAKE_IDENTITY);
        }
        if config.runpod.known().and_then(|it| given(&it.api_key)).is_some_and(|it| it.trim().is_empty()) {
            findings.refuse(Path::attribute("runpod"), EMPTY_KEY, "Give the key of the account.");
        }
        let Some(public) = config.public_url.known() else { return };
        let read = |text: &String| url::Url::parse(text).ok().filter(url::Url::has_host);
        // A stand-in's workers are on this host too.
        let near = endpoint.and_then(read).as_ref().is_some_and(is_this_host);
        match read(public) {
            None => findings.refuse(
                Self::public_url(),
                "No address",
                "Give https://HOST:PORT, as rented workers reach it.",
            ),
            Some(url) if elsewhere && let Some(out) = url.host_str().and_then(out_of_reach) => {
                let (never, why) = match out {
                    OutOfReach::Never(why) => (true, why),
                    OutOfReach::Private(why) => (false, why),
                };
                let text = format!(
                    "{public} {why}, and workers are rented elsewhere. Give an address of this site that the internet reaches."
                );
                if never {
                    findings.refuse(Self::public_url(), "Out of a rented worker's reach", text);
                } else {
                    findings.warn(Self::public_url(), "Out of a rented worker's reach", text);
                }
            }
            Some(url) if is_this_host(&url) && !near => findings.warn(
                Self::public_url(),
                "Out of a rented worker's reach",
                format!(
                    "{public} is each worker itself. Give an address of this site that the internet reaches."
                ),
            ),
            Some(_) => {}
        }
    }

    async fn modify_plan(cx: &Context<Streamverse>, draft: &mut Draft<Self>) -> Result<()> {
        let Some(planned) = deploy::plan(cx, draft)? else { return Ok(()) };
        // Fleets are handed over anew where they are looked for from now on.
        deploy::note(cx, draft, &planned, &["catalogue"]);
        let view = draft.planned()?;
        let place = planned.placement(cx);
        place.store("catalogue", &view.catalogue, StoreUse::Catalogue)?;
        // What is made anew goes after its fleets.
        let moves = draft.changed(Self::name()) || draft.changed(Self::site());
        let before = draft.prior_value().get("catalogue").as_str().map(str::to_owned);
        if let (Some(before), Some(after)) = (before, view.catalogue.known())
            && before != *after
            && !moves
        {
            cx.warn_at(
                Self::catalogue(),
                "Its fleets stay behind",
                format!(
                    "Fleets, and what the controller remembers of what it bought, lie in {before}; in {after} it begins without them, and \
                     pods that run are nobody's. Destroy its fleets first, and make them again after it; `streamverse sweep` finds what is left."
                ),
            );
        }
        controlled::note(cx, &view);
        if let Some(prior) = draft.prior()?.filter(|_| !moves) {
            if controlled::is_another(&prior.identity, &view.identity) {
                let by_reference = view.identity.reference.known().is_some();
                cx.warn_at(
                    Path::attribute(if by_reference { "identity_ref" } else { "identity_wo_version" }),
                    "Another authority",
                    "Workers that run trust the one before it: they can no longer ask, and are replaced.",
                );
            }
            controlled::other_account(cx, &prior, &view).await;
        }
        place.side_by_side("replicas", &view.replicas)?;
        let port = view.port.known().copied();
        place.port(Self::port(), port)?;
        match planned.address::<Self>(cx, "https", port) {
            Some(address) => draft.set(Self::address(), &tls(&address)),
            None => draft.set_unknown(Self::address()),
        }
    }

    async fn import(cx: &Context<Streamverse>, id: &str) -> Result<State<Self>> {
        let Imported { site, name, observed } = deploy::find::<Self>(cx, id).await?;
        let run: FleetControllerRun = deploy::found_spec(&observed)?;
        let replicas = observed.bundle.objects.iter().find_map(|object| match object {
            Object::Service(it) => Some(it.replicas),
            _ => None,
        });
        let api_key = version_of(&observed, RUNPOD_SECRET);
        Ok(FleetControllerState {
            address: address(cx.provider(), &name, &site, run.port).unwrap_or_default(),
            name,
            site,
            port: run.port,
            public_url: run.public_url,
            catalogue: run.catalogue,
            stores: run.stores,
            replicas: replicas.unwrap_or(1),
            identity: version_of(&observed, IDENTITY_SECRET),
            runpod: run.runpod.map(|it| FleetAccount { endpoint: it.endpoint, api_key }),
            spec: run.controller,
            revision: observed.revision,
            timeouts: Timeouts::default(),
        })
    }
}
