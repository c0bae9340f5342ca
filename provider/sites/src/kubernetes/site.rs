//! The trait `Site`, for a cluster.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use async_trait::async_trait;
use futures::future::{join_all, try_join_all};
use http::Method;
use serde_json::{Value, json};
use streamverse_model::media::MediaFacts;
use streamverse_model::platform::node::{Applied, ProbeRequest};
use streamverse_model::platform::{
    Bundle, JobObject, Name, Object, Observed, Owner, Phase, Resources, SecretValue, is_leased,
};

use super::client::{Api, Ask};
use super::config::KubernetesConfig;
use super::observe::digests;
use super::ready;
use super::record::{self, Place, Record};
use super::render::{Rendered, Rendering, UsedService, render};
use super::scaling::SCALERS;
use super::{compare, names};
use crate::error::{Class, Error, Result};
use crate::site::{Address, Capability, Deletion, Site, SiteInfo, SiteKind};

/// The kinds that we render ourselves: where an owner's objects are looked for when its record is lost.
const OURS: &[(&str, &str, &str)] = &[
    ("apps/v1", "Deployment", "deployments"),
    ("apps/v1", "DaemonSet", "daemonsets"),
    ("batch/v1", "Job", "jobs"),
    ("v1", "Service", "services"),
    ("v1", "Secret", "secrets"),
    ("autoscaling/v2", "HorizontalPodAutoscaler", "horizontalpodautoscalers"),
    ("policy/v1", "PodDisruptionBudget", "poddisruptionbudgets"),
    ("networking.k8s.io/v1", "NetworkPolicy", "networkpolicies"),
    ("v1", "ConfigMap", "configmaps"),
];

/// … and those of an owner whose service holds a lease: nobody else's are looked for, so that who deploys no such owner needs no
/// right to see them.
const OF_LEASED: &[(&str, &str, &str)] = &[
    ("rbac.authorization.k8s.io/v1", "RoleBinding", "rolebindings"),
    ("rbac.authorization.k8s.io/v1", "Role", "roles"),
    ("coordination.k8s.io/v1", "Lease", "leases"),
    ("v1", "ServiceAccount", "serviceaccounts"),
];

/// Kinds whose finalizer is removed by an operator that goes with another object of the owner: Strimzi's topic and user
/// operators run in what a `Kafka` declares (Strimzi documentation, "Deleting Kafka topics": the finalizer
/// `strimzi.io/topic-operator`). They go first, and are waited for.
const BEFORE_THEIR_OPERATOR: &[&str] = &["KafkaTopic", "KafkaUser"];

/// A Kubernetes cluster. Making one touches nothing.
pub struct KubernetesSite {
    pub(super) config: KubernetesConfig,
    pub(super) api: Api,
    /// Held while readers of secrets are told: the last one to look sees every version.
    pub(super) telling: tokio::sync::Mutex<()>,
}

/// What is there of a rendered object.
pub(super) struct Live {
    pub(super) wanted: Rendered,
    pub(super) there: Option<Value>,
}

impl KubernetesSite {
    /// A site that is reached as the configuration says.
    pub fn new(config: KubernetesConfig) -> KubernetesSite {
        let api = Api::new(config.site.as_str(), config.access.clone());
        KubernetesSite { config, api, telling: tokio::sync::Mutex::default() }
    }

    /// What the jobs of a bundle take from others, out of their records.
    pub(super) async fn used(&self, bundle: &Bundle) -> Result<Vec<UsedService>> {
        let mut all = Vec::new();
        for object in &bundle.objects {
            let Object::Job(job) = object else { continue };
            for used in &job.uses {
                let owner = Owner {
                    deployment: bundle.owner.deployment.clone(),
                    kind: used.kind.clone(),
                    name: used.name.clone(),
                };
                if let Some(record) = self.record(&owner).await? {
                    all.extend(UsedService::of(used, &record.bundle));
                }
            }
        }
        Ok(all)
    }

    pub(super) async fn find(&self, rendered: Vec<Rendered>) -> Result<Vec<Live>> {
        try_join_all(rendered.into_iter().map(|wanted| async move {
            let place = Place::of(&wanted);
            let there = self.get(place.path(self.namespace()), &place.title()).await?;
            Ok(Live { wanted, there })
        }))
        .await
    }

    /// Refuses to take what is not ours.
    fn owned(&self, live: &Live, owner: &Owner) -> Result<()> {
        let Some(there) = &live.there else { return Ok(()) };
        let label = |name: &str| {
            there
                .pointer("/metadata/labels")
                .and_then(|labels| labels.get(format!("{}/{name}", names::PREFIX)))
                .and_then(Value::as_str)
        };
        let title = live.wanted.title();
        let whose = match (label("deployment"), label("kind"), label("name")) {
            (Some(deployment), Some(kind), Some(name)) => {
                let ours = [owner.deployment.as_str(), owner.kind.as_str(), owner.name.as_str()];
                if [deployment, kind, name] == ours {
                    return Ok(());
                }
                format!("belongs to {kind}/{name} of the deployment {deployment}")
            }
            _ => "is there already, and nobody of ours made it".to_owned(),
        };
        Err(Error::new(Class::Conflict, format!("{title} in namespace {} {whose}", self.namespace()))
            .next("Choose another name, deployment or namespace, or remove it."))
    }

    /// Applies one object; a job that is there goes on, one that failed is made anew.
    async fn put(
        &self,
        live: &Live,
        owner: &Owner,
        secrets: &[SecretValue],
        warnings: &mut Vec<String>,
    ) -> Result<()> {
        let place = Place::of(&live.wanted);
        let mut body = live.wanted.body.clone();
        match (place.kind.as_str(), &live.there) {
            ("Job", Some(there)) => {
                match ready::standing(there).phase {
                    Phase::Failed => drop(self.remove(&place, owner).await?),
                    // It was taken away to be made anew, and is going still.
                    Phase::Stopping => {}
                    _ => return Ok(()),
                }
                self.gone(&place).await?;
            }
            ("Secret", there) => {
                let name = live.wanted.object.trim_start_matches("secret/");
                match secrets.iter().find(|it| it.name.as_str() == name) {
                    Some(values) => body["data"] = encoded(values),
                    None if there.is_some() => return Ok(()),
                    None => {
                        return Err(Error::new(
                            Class::Invalid,
                            format!("{} is not there, and its values are not at hand", place.title()),
                        )
                        .next("Raise the secret's `_wo_version`, so that its values are sent again."));
                    }
                }
            }
            // It cannot be changed, and its name says what is in it.
            ("ConfigMap", Some(there)) if there["immutable"] == true && there["data"] == body["data"] => {
                return Ok(());
            }
            _ => {}
        }
        self.patch(&place, &body, owner, false, warnings).await
    }

    /// Every object of an owner that can be found: by its record, and by its labels.
    async fn places(&self, owner: &Owner) -> Result<BTreeSet<Place>> {
        let mut places = BTreeSet::new();
        if let Some(record) = self.record(owner).await? {
            places.extend(record.current.into_iter().chain(record.retired));
        }
        let selector = names::selector(&names::owned(owner));
        let leased = if is_leased(owner.kind.as_str()) { OF_LEASED } else { &[] };
        for (api_version, kind, plural) in OURS.iter().chain(leased) {
            for item in self.list_of(api_version, plural, &selector).await? {
                let name = item.pointer("/metadata/name").and_then(Value::as_str).unwrap_or_default();
                places.insert(Place {
                    api_version: (*api_version).to_owned(),
                    kind: (*kind).to_owned(),
                    plural: (*plural).to_owned(),
                    name: name.to_owned(),
                });
            }
        }
        places.remove(&record::place(owner));
        Ok(places)
    }
}

fn encoded(values: &SecretValue) -> Value {
    use base64::Engine as _;
    let encode = |text: &String| base64::engine::general_purpose::STANDARD.encode(text);
    json!(values.values.iter().map(|(key, text)| (key.to_string(), encode(text))).collect::<BTreeMap<_, _>>())
}

#[async_trait]
impl Site for KubernetesSite {
    fn kind(&self) -> SiteKind {
        SiteKind::Kubernetes
    }

    fn name(&self) -> &Name {
        &self.config.site
    }

    fn address(&self, owner: &Owner, endpoint: &Name, port: u16) -> Address {
        Address { host: names::host(owner, endpoint.as_str(), self.namespace()), port }
    }

    async fn describe(&self) -> Result<SiteInfo> {
        let version = self.get("/version".to_owned(), "the API server").await?.unwrap_or_default();
        let mut problems = Vec::new();
        let path = "/readyz".to_owned();
        let ready =
            self.api.ask(Ask { method: Method::GET, path, body: None, about: "the API server" }).await?;
        if ready.status != 200 {
            problems.push(format!("the API server is not ready: {}", ready.body["message"]));
        }
        let groups = self.get("/apis".to_owned(), "the API server").await?.unwrap_or_default();
        let versions =
            groups["groups"].as_array().cloned().unwrap_or_default().into_iter().filter_map(|group| {
                let preferred = group.pointer("/preferredVersion/groupVersion")?.as_str()?.to_owned();
                // Kubernetes' own groups have no dot before `k8s.io`, or none at all.
                let own = !preferred.contains('.') || preferred.split('/').next()?.ends_with(".k8s.io");
                (!own).then_some(preferred)
            });
        let lists = join_all(versions.map(|version| async move {
            let path = format!("/apis/{version}");
            (version, self.get(path, "the API server").await)
        }))
        .await;
        let mut capabilities = Vec::new();
        for (version, list) in lists {
            let group = version.split('/').next().unwrap_or_default().to_owned();
            let resources = list.ok().flatten().unwrap_or_default();
            for resource in resources["resources"].as_array().into_iter().flatten() {
                let plural = resource["name"].as_str().unwrap_or_default();
                if !plural.contains('/') {
                    capabilities.push(Capability {
                        name: format!("kind/{plural}.{group}"),
                        version: version.split('/').nth(1).unwrap_or_default().to_owned(),
                    });
                }
            }
        }
        capabilities.sort();
        Ok(SiteInfo {
            version: version["gitVersion"].as_str().unwrap_or_default().to_owned(),
            healthy: problems.is_empty(),
            problems,
            capabilities,
        })
    }

    async fn rehearse(&self, bundle: &Bundle) -> Result<Applied> {
        let others = self.others(bundle).await?;
        let lives = self.find(render(bundle, &Rendering::from(&self.config), &others)?).await?;
        let mut applied = Applied {
            revision: bundle.revision(),
            created: Vec::new(),
            changed: Vec::new(),
            removed: Vec::new(),
            warnings: Vec::new(),
        };
        let namespace = format!("/api/v1/namespaces/{}", self.namespace());
        let there = self.get(namespace, "the namespace").await?.is_some();
        for live in &lives {
            self.owned(live, &bundle.owner)?;
            let place = Place::of(&live.wanted);
            let kept = live.there.is_some() && matches!(place.kind.as_str(), "Job" | "Secret");
            if there && !kept {
                self.patch(&place, &live.wanted.body, &bundle.owner, true, &mut applied.warnings).await?;
            }
        }
        sort(&lives, self.record(&bundle.owner).await?.as_ref(), bundle, &mut applied);
        Ok(applied)
    }

    async fn apply(&self, bundle: &Bundle, secrets: &[SecretValue]) -> Result<Applied> {
        let owner = &bundle.owner;
        let others = self.others(bundle).await?;
        let rendered = render(bundle, &Rendering::from(&self.config), &others)?;
        let scaler = others.scaler.clone();
        self.check_scalers(bundle).await?;
        self.ensure_namespace(&owner.deployment).await?;
        let before = self.record(owner).await?;
        let lives = self.find(rendered).await?;
        for live in &lives {
            self.owned(live, owner)?;
        }
        let current: Vec<Place> = lives.iter().map(|live| Place::of(&live.wanted)).collect();
        let earlier = before.as_ref().map(|it| it.current.clone()).unwrap_or_default();
        let older = before.as_ref().map(|it| it.retired.clone()).unwrap_or_default();
        let outside = |place: &&Place| !current.contains(place);
        // First it is written down, then it is made: a crash leaves a record of more than there is.
        let mut record = Record {
            bundle: bundle.clone(),
            used: others.used,
            rendered: digests(lives.iter().map(|live| &live.wanted)),
            current: current.clone(),
            retired: earlier.iter().chain(&older).filter(outside).cloned().collect(),
        };
        self.write_record(&record).await?;
        let mut applied = Applied {
            revision: bundle.revision(),
            created: Vec::new(),
            changed: Vec::new(),
            removed: Vec::new(),
            warnings: Vec::new(),
        };
        for place in record.retired.iter().filter(|it| SCALERS.contains(&it.kind.as_str())) {
            self.remove(place, owner).await?;
            self.gone(place).await?;
        }
        let mut first = true;
        for live in &lives {
            let kind = live.wanted.text("/kind");
            if SCALERS.contains(&kind) && std::mem::take(&mut first) {
                self.take_over(bundle, &mut applied.warnings).await?;
            }
            match &scaler {
                Some(scaler) if kind == "Deployment" => {
                    self.put_left_open(live, bundle, scaler, &mut applied.warnings).await?;
                }
                _ => self.put(live, owner, secrets, &mut applied.warnings).await?,
            }
        }
        self.tell_readers(bundle, &mut applied.warnings).await?;
        sort(&lives, before.as_ref(), bundle, &mut applied);
        // Orders of the last roll-out stay until the next: its pods may still be started again with them.
        let keep: Vec<Place> =
            earlier.iter().filter(outside).filter(|place| place.kind == "ConfigMap").cloned().collect();
        for place in record.retired.iter().filter(|place| !keep.contains(place)) {
            self.remove(place, owner).await?;
        }
        if record.retired != keep {
            record.retired = keep;
            self.write_record(&record).await?;
        }
        Ok(applied)
    }

    async fn observe(&self, owner: &Owner) -> Result<Option<Observed>> {
        self.observed(owner).await
    }

    async fn delete(&self, owner: &Owner) -> Result<Deletion> {
        let places = self.places(owner).await?;
        let (first, rest): (Vec<&Place>, Vec<&Place>) = places.iter().partition(|place| {
            let kind = place.kind.as_str();
            BEFORE_THEIR_OPERATOR.contains(&kind) || SCALERS.contains(&kind)
        });
        if let Some(pending) = self.remove_all(&first, owner).await? {
            return Ok(pending);
        }
        if let Some(record) = self.record(owner).await? {
            self.hand_back(&record.bundle).await?;
        }
        if let Some(pending) = self.remove_all(&rest, owner).await? {
            return Ok(pending);
        }
        self.remove(&record::place(owner), owner).await?;
        Ok(Deletion::Gone)
    }

    async fn list(&self, deployment: &Name) -> Result<Vec<Owner>> {
        let selector = format!("{}/deployment={deployment}", names::PREFIX);
        let mut owners = BTreeSet::new();
        for (api_version, _, plural) in OURS {
            for item in self.list_of(api_version, plural, &selector).await? {
                let label = |name: &str| {
                    item.pointer("/metadata/labels")?.get(format!("{}/{name}", names::PREFIX))?.as_str()
                };
                if let (Some(kind), Some(name)) = (label("kind"), label("name"))
                    && let Ok(owner) = Owner::new(deployment.as_str(), kind, name)
                {
                    owners.insert(owner);
                }
            }
        }
        Ok(owners.into_iter().collect())
    }

    async fn probe(
        &self,
        deployment: &Name,
        request: &ProbeRequest,
        limit: Duration,
    ) -> Result<Option<MediaFacts>> {
        let spec = serde_json::to_value(request)
            .map_err(|error| Error::new(Class::Permanent, "the request cannot be written").because(error))?;
        let name = format!("look-{}", names::short(&spec.to_string()));
        let owner = Owner::new(deployment.as_str(), "media-probe", &name)
            .map_err(|error| Error::new(Class::Permanent, error.to_string()))?;
        let port = if request.source.starts_with("http:") { 80 } else { 443 };
        let port = source_port(&request.source).unwrap_or(port);
        let job = JobObject {
            name: owner.kind.clone(),
            target: "probe".to_owned(),
            spec,
            uses: Vec::new(),
            credentials: Vec::new(),
            reach: vec![streamverse_model::platform::Reach {
                peer: streamverse_model::platform::Peer::Anywhere,
                port,
            }],
            resources: Resources { scratch_bytes: 8 << 30, ..Resources::default() },
            retries: 1,
            deadline_seconds: limit.as_secs().max(1),
        };
        self.apply(&Bundle::new(owner.clone(), vec![Object::Job(job)]), &[]).await?;
        let until = tokio::time::Instant::now() + limit;
        let mut found = Ok(None);
        while tokio::time::Instant::now() < until {
            tokio::time::sleep(Duration::from_millis(500)).await;
            let observed = self.observe(&owner).await?;
            let Some(status) = observed.as_ref().and_then(|it| it.objects.first()) else { break };
            if let Some(result) = &status.result {
                found = serde_json::from_value(result.clone()).map(Some).map_err(|error| {
                    Error::new(Class::Permanent, "what the probe said cannot be read").because(error)
                });
                break;
            }
            if status.phase == Phase::Failed {
                let (code, text) =
                    status.reason.clone().map(|reason| (reason.code, reason.text)).unwrap_or_default();
                let mut error = Error::new(Class::Invalid, text);
                error.field = ProbeRequest::field_of(&code).map(str::to_owned);
                found = Err(error);
                break;
            }
        }
        while let Deletion::Pending(_) = self.delete(&owner).await? {
            tokio::time::sleep(Duration::from_millis(300)).await;
            if tokio::time::Instant::now() > until + Duration::from_secs(30) {
                break;
            }
        }
        found
    }

    async fn look(&self, owner: &Owner) -> Result<Option<String>> {
        self.looked(owner).await
    }

    async fn logs(&self, owner: &Owner, object: &str, lines: usize) -> Result<String> {
        let pods = self.pods(owner, object).await;
        let mut text = String::new();
        for pod in pods["items"].as_array().into_iter().flatten() {
            let name = pod.pointer("/metadata/name").and_then(Value::as_str).unwrap_or_default();
            let path = format!("/api/v1/namespaces/{}/pods/{name}/log?tailLines={lines}", self.namespace());
            let answer = self.api.ask(Ask { method: Method::GET, path, body: None, about: name }).await?;
            let said = answer.body["message"].as_str().map_or_else(|| answer.body.to_string(), str::to_owned);
            text.push_str(&format!("== {name}\n{said}\n"));
        }
        Ok(text)
    }
}

fn source_port(source: &str) -> Option<u16> {
    let authority = source.split_once("://")?.1.split('/').next()?;
    authority.rsplit_once(':')?.1.parse().ok()
}

/// What of the bundle's objects is new, changed or gone.
fn sort(lives: &[Live], before: Option<&Record>, bundle: &Bundle, applied: &mut Applied) {
    for object in &bundle.objects {
        let key = object.key();
        let mut of = lives.iter().filter(|live| live.wanted.object == key).peekable();
        if of
            .peek()
            .is_some_and(|_| lives.iter().filter(|l| l.wanted.object == key).all(|l| l.there.is_none()))
        {
            applied.created.push(key);
        } else if of.any(|live| {
            live.there.as_ref().is_none_or(|there| !compare::differences(&live.wanted.body, there).is_empty())
        }) {
            applied.changed.push(key);
        }
    }
    let old = before.map(|record| record.bundle.objects.iter().map(Object::key)).into_iter().flatten();
    let now: Vec<String> = bundle.objects.iter().map(Object::key).collect();
    applied.removed.extend(old.filter(|key| !now.contains(key)));
}
