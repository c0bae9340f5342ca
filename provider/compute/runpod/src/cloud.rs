//! RunPod as one of the clouds: single pods, launched by their names; no groups, no spot, no notice.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::time::Duration;

use async_trait::async_trait;
use streamverse_compute::cloud::{
    Candidate, Capabilities, Cloud, CloudError, ErrorClass, Group, GroupSpec, Instance, Notice, Offer,
    OfferQuery, Phase, Quota, Result, Stock,
};
use streamverse_model::compute::{CloudKind, GroupName, InstanceName, Lifecycle, Money, Tenancy};
use streamverse_model::platform::Name;

use crate::catalogue::{Availability, Cloud as Tier, GpuType, Product};
use crate::client::{Client, Limit};
use crate::error::{Class, Error};
use crate::pods::{GpuRequest, Mounts, NetworkMount, Pod, PodBody, PodStatus};

/// RunPod, in one account.
///
/// Options of a [`GroupSpec`]: `template_id`, `args`, `disk_gb`, `ports` (with commas), `registry_credential_id`, `network_volume_id`
/// with `network_volume_path`, `min_cuda_version`. Others are refused. An `image` that is empty is the template's.
#[derive(Clone, Debug)]
pub struct Runpod {
    client: Client,
    call: Duration,
}

/// So long what there is may be asked for: less than who looks waits, so that a cloud that wants to be left alone for longer says so
/// at once.
const LOOK: Duration = Duration::from_secs(20);

/// Options that are known.
const OPTIONS: &[&str] = &[
    "template_id",
    "args",
    "disk_gb",
    "ports",
    "registry_credential_id",
    "network_volume_id",
    "network_volume_path",
    "min_cuda_version",
];

impl Runpod {
    /// RunPod through a client, with a deadline for each call.
    pub fn new(client: Client, call: Duration) -> Runpod {
        Runpod { client, call }
    }

    fn limit(&self) -> Limit {
        Limit::within(self.call)
    }

    /// A launch whose answer was lost, and which lists showed only after it was asked for again, leaves two pods of one name. Nobody
    /// else would ever tell them apart: one is given back, unless both may be at work. Two that run stay listed, and whoever keeps their number gives one
    /// back: a worker says in which pod it is, and the worker that enrolled second is refused, and ends by itself. What cannot be looked at or deleted now stays listed, too.
    async fn give_twins_back(&self, all: &mut Vec<Instance>) {
        let mut names: BTreeMap<String, usize> = BTreeMap::new();
        for name in all.iter().filter_map(|it| it.name.as_ref()) {
            *names.entry(name.to_string()).or_default() += 1;
        }
        for name in names.into_iter().filter(|(_, count)| *count > 1).map(|(name, _)| name) {
            let kept = match self.client.there::<Pod>(|it| it == name, self.limit()).await {
                Ok(found) => self.client.keep(&name, found, self.limit()).await,
                Err(error) => Err(error),
            };
            match kept {
                Ok(kept) => all.retain(|it| {
                    it.name.as_ref().is_none_or(|it| it.to_string() != name)
                        || kept.iter().any(|kept| kept.id == it.id)
                }),
                Err(error) => {
                    tracing::warn!(%error, name, "Two pods have one name, and are left so for now.");
                }
            }
        }
    }

    async fn catalogue(&self, tenancy: Tenancy, gpus: u32) -> Result<Vec<GpuType>> {
        Ok(self.client.gpus(Product::Pod, tier(tenancy), gpus.max(1), self.limit()).await?)
    }
}

fn tier(tenancy: Tenancy) -> Tier {
    match tenancy {
        Tenancy::Secure => Tier::Secure,
        Tenancy::Community => Tier::Community,
    }
}

impl From<Error> for CloudError {
    fn from(error: Error) -> CloudError {
        let class = match error.class {
            Class::Capacity => ErrorClass::Capacity,
            // No balance: nothing works until somebody acts.
            Class::Quota if error.is_without_balance() => ErrorClass::Auth,
            Class::Quota => ErrorClass::Quota,
            Class::Throttle(_) => ErrorClass::Throttle,
            // The key is good, and may not have this one: others it may. Whoever may have none is told by each.
            Class::Auth if error.status == Some(403) => ErrorClass::Permanent,
            Class::Auth => ErrorClass::Auth,
            Class::Invalid | Class::Permanent => ErrorClass::Permanent,
            Class::Conflict | Class::Unavailable => ErrorClass::Transient,
            Class::UnknownOutcome => ErrorClass::Unknown,
        };
        let made = CloudError::new(class, error.to_string());
        match error.retry_after() {
            Some(after) => made.after(after),
            None => made,
        }
    }
}

fn stock(availability: Option<Availability>) -> Stock {
    match availability {
        Some(Availability::None) => Stock::None,
        Some(Availability::Low) => Stock::Low,
        Some(Availability::Medium) => Stock::Medium,
        Some(Availability::High) => Stock::High,
        None => Stock::Unknown,
    }
}

/// The offer of a candidate, if the catalogue has its GPU at all.
fn offer(catalogue: &[GpuType], candidate: &Candidate) -> Option<Offer> {
    let gpu = catalogue.iter().find(|gpu| gpu.id == candidate.shape)?;
    let (there, price, most) = match candidate.tenancy {
        Tenancy::Secure => (gpu.secure, gpu.price.secure, gpu.max_count.secure),
        Tenancy::Community => (gpu.community, gpu.price.community, gpu.max_count.community),
    };
    if !there || candidate.gpus > most {
        return None;
    }
    // A data centre that is left out has none; anywhere is the whole.
    let stock = if candidate.region.is_empty() {
        stock(gpu.availability)
    } else {
        let here = gpu.data_centers.iter().find(|it| it.id == candidate.region);
        stock(Some(here.map_or(Availability::None, |it| it.availability)))
    };
    let hourly = Money::dollars(price)?.times(u64::from(candidate.gpus.max(1)));
    Some(Offer { candidate: candidate.clone(), lifecycle: Lifecycle::OnDemand, hourly, stock })
}

/// Every place of the catalogue, as a candidate of one GPU.
fn everything(catalogue: &[GpuType], tenancy: Tenancy) -> Vec<Candidate> {
    let mut all = Vec::new();
    for gpu in catalogue {
        for place in &gpu.data_centers {
            all.push(Candidate {
                key: key(&gpu.name, &place.id, tenancy),
                cloud: CloudKind::Runpod,
                region: place.id.clone(),
                zone: None,
                shape: gpu.id.clone(),
                gpus: 1,
                tenancy,
            });
        }
    }
    all
}

fn key(gpu: &str, place: &str, tenancy: Tenancy) -> String {
    let community = if tenancy == Tenancy::Community { "-c" } else { "" };
    let text = format!("{gpu}-{place}{community}").to_lowercase();
    text.chars().map(|it| if it.is_ascii_alphanumeric() { it } else { '-' }).collect()
}

/// The body of a pod.
fn body(spec: &GroupSpec, name: &InstanceName) -> Result<PodBody> {
    let option = |name: &str| spec.options.get(name).filter(|it| !it.is_empty()).cloned();
    let disk = match option("disk_gb").map(|text| text.parse::<u32>()) {
        None => None,
        Some(Ok(disk)) => Some(disk),
        Some(Err(_)) => {
            return Err(CloudError::new(ErrorClass::Permanent, "the option disk_gb is no number of GB"));
        }
    };
    let mounts = option("network_volume_id").map(|volume_id| Mounts {
        persistent: None,
        network: vec![NetworkMount {
            volume_id,
            path: option("network_volume_path").unwrap_or_else(|| "/workspace".to_owned()),
        }],
    });
    Ok(PodBody {
        name: name.to_string(),
        image: Some(spec.image.clone()).filter(|image| !image.is_empty()),
        template_id: option("template_id"),
        gpu: Some(GpuRequest {
            id: spec.candidate.shape.clone(),
            count: Some(spec.candidate.gpus.max(1)),
            min_cuda_version: option("min_cuda_version"),
        }),
        cloud: Some(tier(spec.candidate.tenancy)),
        data_center_ids: Some(spec.candidate.region.clone())
            .filter(|it| !it.is_empty())
            .into_iter()
            .collect(),
        args: option("args"),
        disk,
        env: spec.environment.clone(),
        ports: option("ports")
            .map(|it| it.split(',').map(|port| port.trim().to_owned()).collect())
            .unwrap_or_default(),
        registry: option("registry_credential_id"),
        mounts,
    })
}

fn check(spec: &GroupSpec) -> Result<()> {
    let refuse =
        |why: String| Err(CloudError::new(ErrorClass::Permanent, format!("RunPod, {}: {why}", spec.name)));
    if spec.candidate.cloud != CloudKind::Runpod {
        return refuse(format!("the candidate {} is of {}", spec.candidate.key, spec.candidate.cloud));
    }
    if spec.lifecycle == Lifecycle::Spot {
        return refuse("RunPod has no spot any more".to_owned());
    }
    if spec.candidate.gpus == 0 {
        return refuse(format!("the candidate {} has no GPU", spec.candidate.key));
    }
    if let Some(unknown) = spec.options.keys().find(|name| !OPTIONS.contains(&name.as_str())) {
        return refuse(format!("there is no option {unknown:?}; there are {}", OPTIONS.join(", ")));
    }
    if spec.image.is_empty() && !spec.options.contains_key("template_id") {
        return refuse("there is neither an image nor a template_id".to_owned());
    }
    Ok(())
}

/// A pod as an instance, if it is one of ours.
fn instance(pod: &Pod) -> Option<Instance> {
    let name = InstanceName::parse(&pod.name)?;
    let phase = match pod.status {
        PodStatus::Provisioning | PodStatus::Starting | PodStatus::Unknown => Phase::Starting,
        PodStatus::Running => Phase::Running,
        // Its disk still costs.
        PodStatus::Exited | PodStatus::Error => Phase::Failed,
        PodStatus::Terminated => return None,
    };
    let launched = pod.created_at.as_deref().and_then(|text| text.parse::<jiff::Timestamp>().ok());
    Some(Instance {
        id: pod.id.clone(),
        group: name.group.clone(),
        name: Some(name),
        lifecycle: Lifecycle::OnDemand,
        phase,
        zone: pod.data_center_id.clone(),
        hourly: Money::dollars(pod.cost).filter(|it| *it > Money::ZERO),
        launched_ms: launched.and_then(|at| u64::try_from(at.as_millisecond()).ok()),
    })
}

#[async_trait]
impl Cloud for Runpod {
    fn kind(&self) -> CloudKind {
        CloudKind::Runpod
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities { groups: false, spot: false, notice: None }
    }

    async fn offers(&self, query: &OfferQuery) -> Result<Vec<Offer>> {
        if query.candidates.is_empty() {
            let mut all = Vec::new();
            for tenancy in [Tenancy::Secure, Tenancy::Community] {
                let catalogue = self.catalogue(tenancy, 1).await?;
                let candidates = everything(&catalogue, tenancy);
                all.extend(candidates.iter().filter_map(|candidate| offer(&catalogue, candidate)));
            }
            return Ok(all);
        }
        // One call for each kind of machine, whatever the number of candidates.
        let mut catalogues: BTreeMap<(Tenancy, u32), Vec<GpuType>> = BTreeMap::new();
        let mut all = Vec::new();
        for candidate in query.candidates.iter().filter(|it| it.cloud == CloudKind::Runpod) {
            let shape = (candidate.tenancy, candidate.gpus);
            let catalogue = match catalogues.entry(shape) {
                Entry::Occupied(asked) => asked.into_mut(),
                Entry::Vacant(place) => {
                    place.insert(self.catalogue(candidate.tenancy, candidate.gpus).await?)
                }
            };
            all.extend(offer(catalogue, candidate));
        }
        Ok(all)
    }

    async fn quotas(&self) -> Result<Vec<Quota>> {
        // The API does not say: a balance or limit shows itself by 402.
        Ok(Vec::new())
    }

    async fn groups(&self, _: &Name) -> Result<Vec<Group>> {
        Ok(Vec::new())
    }

    async fn ensure_group(&self, spec: &GroupSpec) -> Result<()> {
        check(spec)
    }

    async fn resize(&self, group: &GroupName, _: u32) -> Result<()> {
        let why = format!("RunPod has no groups: {group} has no size to set, launch its instances by name");
        Err(CloudError::new(ErrorClass::Permanent, why))
    }

    async fn delete_group(&self, _: &GroupName) -> Result<()> {
        Ok(())
    }

    async fn launch(&self, spec: &GroupSpec, name: &InstanceName) -> Result<Instance> {
        check(spec)?;
        let body = body(spec, name)?;
        let made = self.client.obtain_one_of_many::<Pod>(&body.name, &body, self.limit()).await?;
        let pod = made.thing;
        // The API takes no ceiling. What is dearer than allowed is given back at once, not kept for an hour.
        let dear = spec.max_hourly.filter(|most| Money::dollars(pod.cost).is_some_and(|it| it > *most));
        if let Some(most) = dear {
            let why = format!("RunPod, {}: it costs ${} per hour, above {most}", body.name, pod.cost);
            // It costs until it is gone: whoever asked must know that it may be there, list it, and end it.
            if let Err(error) = self.client.delete::<Pod>(&pod.id, self.limit()).await {
                let after = error.retry_after();
                let why = format!("{why}; giving {} back failed: {error}", pod.id);
                let kept = CloudError::new(ErrorClass::Unknown, why);
                return Err(match after {
                    Some(after) => kept.after(after),
                    None => kept,
                });
            }
            return Err(CloudError::new(ErrorClass::Capacity, format!("{why}; it was given back")));
        }
        instance(&pod).ok_or_else(|| {
            CloudError::new(
                ErrorClass::Unknown,
                format!("RunPod, {}: the pod is called {:?} and {:?}", body.name, pod.name, pod.status),
            )
        })
    }

    async fn instances(&self, deployment: &Name) -> Result<Vec<Instance>> {
        let pods = self.client.list::<Pod>(Limit::within(self.call.min(LOOK))).await?;
        let mut all: Vec<Instance> =
            pods.iter().filter_map(instance).filter(|it| it.group.deployment == *deployment).collect();
        self.give_twins_back(&mut all).await;
        Ok(all)
    }

    async fn terminate(&self, instance: &Instance) -> Result<()> {
        self.client.delete::<Pod>(&instance.id, self.limit()).await?;
        Ok(())
    }

    async fn notices(&self, _: &Name) -> Result<Vec<Notice>> {
        // RunPod announces nothing: a pod that goes is missed in the list.
        Ok(Vec::new())
    }
}
