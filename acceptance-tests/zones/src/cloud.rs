//! The adapter: what the controller asks of a cloud, over the stand-in's API. It is written as a real cloud's is: deadlines, pages,
//! classes of errors by status and code, and an answer that got lost is an outcome that nobody knows.

use std::time::{Duration, Instant};

use async_trait::async_trait;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use streamverse_compute::cloud::{
    Candidate, Capabilities, Cloud, CloudError, ErrorClass, Group, GroupSpec, Instance, Notice, NoticeKind,
    Offer, OfferQuery, Phase, Quota, Result, Stock,
};
use streamverse_model::compute::{CloudKind, GroupName, InstanceName, Lifecycle, Money, Tenancy};
use streamverse_model::platform::Name;

use crate::wire::{Answer, Lost, Wire};

/// A list has no more pages.
const MOST_PAGES: usize = 10_000;

/// One of the stand-in's clouds.
pub struct ZonesCloud {
    kind: CloudKind,
    wire: Wire,
    deadline: Duration,
}

#[derive(Deserialize)]
struct Page<T> {
    items: Vec<T>,
    next: Option<String>,
}

#[derive(Deserialize)]
struct Told {
    code: String,
}

#[derive(Deserialize)]
struct GroupTold {
    name: String,
    size: u32,
    refused: Option<Told>,
}

#[derive(Deserialize)]
struct InstanceTold {
    id: String,
    group: String,
    lifecycle: Lifecycle,
    phase: Phase,
    zone: Option<String>,
    hourly: Option<Money>,
    launched_ms: Option<u64>,
}

#[derive(Deserialize)]
struct NoticeTold {
    id: String,
    kind: NoticeKind,
    at_ms: Option<u64>,
}

#[derive(Deserialize)]
struct OfferTold {
    zone: String,
    region: String,
    lifecycle: Lifecycle,
    hourly: Money,
}

impl ZonesCloud {
    /// The cloud of a kind at an endpoint. A call ends within the deadline.
    pub fn new(endpoint: &str, key: &str, kind: CloudKind, deadline: Duration) -> ZonesCloud {
        ZonesCloud { kind, wire: Wire::new(endpoint, key), deadline }
    }

    /// A call. Whether it may have been done when no answer comes depends on whether it changes something.
    async fn call(&self, method: &str, path: &str, body: Option<&Value>, left: Duration) -> Result<Value> {
        let call = format!("{method} {path}");
        let full = format!("/{}/v1{path}", self.kind.as_str());
        let reads = method == "GET";
        match self.wire.call(method, &full, body, left).await {
            Ok(answer) if (200..300).contains(&answer.status) => Ok(answer.body),
            Ok(answer) => Err(self.refused(&call, &answer, reads)),
            Err(Lost::Unsent(why)) => {
                Err(CloudError::new(ErrorClass::Transient, format!("{}, {call}: {why}", self.kind)))
            }
            Err(Lost::Unanswered(why)) => {
                let class = if reads { ErrorClass::Transient } else { ErrorClass::Unknown };
                Err(CloudError::new(class, format!("{}, {call}: {why}", self.kind)))
            }
        }
    }

    fn refused(&self, call: &str, answer: &Answer, reads: bool) -> CloudError {
        let (code, message) = (&answer.body["error"]["code"], &answer.body["error"]["message"]);
        let (code, message) = (code.as_str().unwrap_or_default(), message.as_str().unwrap_or_default());
        let after = answer.retry_after.map(Duration::from_secs);
        let class = class_of(answer.status, code, message, after.is_some(), reads);
        let text = format!("{}, {call}: {} {code}: {message}", self.kind, answer.status);
        let error = CloudError::new(class, text);
        match after {
            Some(wait) => error.after(wait),
            None => error,
        }
    }

    fn unreadable(&self, call: &str, error: serde_json::Error, reads: bool) -> CloudError {
        // It was done, whatever the answer was.
        let class = if reads { ErrorClass::Permanent } else { ErrorClass::Unknown };
        CloudError::new(class, format!("{}, {call}: the answer cannot be read", self.kind)).because(error)
    }

    /// All pages of a list.
    async fn list<T: DeserializeOwned>(&self, path: &str, query: &str) -> Result<Vec<T>> {
        let until = Instant::now() + self.deadline;
        let (mut all, mut after) = (Vec::new(), String::new());
        for _ in 0..MOST_PAGES {
            let asked = format!("{path}?{query}{after}");
            let left = until.saturating_duration_since(Instant::now());
            let body = self.call("GET", &asked, None, left).await?;
            let page: Page<T> =
                serde_json::from_value(body).map_err(|error| self.unreadable(path, error, true))?;
            all.extend(page.items);
            match page.next {
                Some(next) => after = format!("&after={next}"),
                None => return Ok(all),
            }
        }
        Err(CloudError::new(ErrorClass::Permanent, format!("{}, {path}: the list does not end", self.kind)))
    }
}

/// What an answer means. The clouds say the same thing in other words: EC2 with 400 and a code for almost everything, Compute Engine
/// with 403 for both quota and rate, Azure with 409 for what is not there.
fn class_of(status: u16, code: &str, message: &str, waits: bool, reads: bool) -> ErrorClass {
    let word = |words: &[&str]| words.iter().any(|it| code.eq_ignore_ascii_case(it));
    if word(&[
        "InsufficientInstanceCapacity",
        "ZONE_RESOURCE_POOL_EXHAUSTED",
        "AllocationFailed",
        "SkuNotAvailable",
    ]) {
        return ErrorClass::Capacity;
    }
    if word(&["MaxSpotInstanceCountExceeded", "VcpuLimitExceeded", "quotaExceeded"]) {
        return ErrorClass::Quota;
    }
    if word(&["RequestLimitExceeded", "rateLimitExceeded", "TooManyRequests"]) {
        return ErrorClass::Throttle;
    }
    match status {
        // The account has no balance: nothing works until somebody acts.
        401..=403 => ErrorClass::Auth,
        // Without a code only the text tells that there is none from a request that is wrong.
        400 if message.to_lowercase().contains("capacity") || message.contains("no longer any instances") => {
            ErrorClass::Capacity
        }
        429 => ErrorClass::Throttle,
        503 if waits => ErrorClass::Throttle,
        500..=599 if reads => ErrorClass::Transient,
        500..=599 => ErrorClass::Unknown,
        _ => ErrorClass::Permanent,
    }
}

/// Whether an error says that what it is about is not there.
fn is_gone(error: &CloudError) -> bool {
    error.class == ErrorClass::Permanent && error.message.contains(": 404 ")
}

#[async_trait]
impl Cloud for ZonesCloud {
    fn kind(&self) -> CloudKind {
        self.kind
    }

    fn capabilities(&self) -> Capabilities {
        let notice = Duration::from_secs(if self.kind == CloudKind::Aws { 120 } else { 30 });
        Capabilities { groups: true, spot: true, notice: Some(notice) }
    }

    async fn offers(&self, query: &OfferQuery) -> Result<Vec<Offer>> {
        let told: Vec<OfferTold> = self.list("/offers", "").await?;
        let offer = |candidate: Candidate, it: &OfferTold| Offer {
            candidate,
            lifecycle: it.lifecycle,
            hourly: it.hourly,
            stock: Stock::Unknown,
        };
        if query.candidates.is_empty() {
            let whole = |it: &OfferTold| Candidate {
                key: it.zone.clone(),
                cloud: self.kind,
                region: it.region.clone(),
                zone: Some(it.zone.clone()),
                shape: "any".to_owned(),
                gpus: 1,
                tenancy: Tenancy::Secure,
            };
            return Ok(told.iter().map(|it| offer(whole(it), it)).collect());
        }
        let mut offers = Vec::new();
        for candidate in query.candidates.iter().filter(|it| it.cloud == self.kind) {
            let there = |it: &&OfferTold| {
                candidate.zone.as_ref().map_or(it.region == candidate.region, |zone| *zone == it.zone)
            };
            for lifecycle in [Lifecycle::Spot, Lifecycle::OnDemand] {
                let sold = told.iter().filter(there).filter(|it| it.lifecycle == lifecycle);
                offers.extend(sold.min_by_key(|it| it.hourly).map(|it| offer(candidate.clone(), it)));
            }
        }
        Ok(offers)
    }

    async fn quotas(&self) -> Result<Vec<Quota>> {
        self.list("/quotas", "").await
    }

    async fn groups(&self, deployment: &Name) -> Result<Vec<Group>> {
        let told: Vec<GroupTold> = self.list("/groups", &format!("deployment={deployment}")).await?;
        let group = |it: GroupTold| {
            let refused = it.refused.map(|told| (class_of(0, &told.code, "", false, false), told.code));
            Some(Group { name: GroupName::parse(&it.name)?, size: it.size, refused })
        };
        Ok(told.into_iter().filter_map(group).collect())
    }

    async fn ensure_group(&self, spec: &GroupSpec) -> Result<()> {
        let body = json!({
            "zone": spec.candidate.zone, "region": spec.candidate.region, "shape": spec.candidate.shape,
            "gpus": spec.candidate.gpus, "lifecycle": spec.lifecycle, "max": spec.max, "max_hourly": spec.max_hourly,
            "image": spec.image, "environment": spec.environment, "options": spec.options,
        });
        self.call("PUT", &format!("/groups/{}", spec.name), Some(&body), self.deadline).await.map(|_| ())
    }

    async fn resize(&self, group: &GroupName, size: u32) -> Result<()> {
        let path = format!("/groups/{group}/size");
        self.call("POST", &path, Some(&json!({ "size": size })), self.deadline).await.map(|_| ())
    }

    async fn delete_group(&self, group: &GroupName) -> Result<()> {
        match self.call("DELETE", &format!("/groups/{group}"), None, self.deadline).await {
            Err(error) if is_gone(&error) => Ok(()),
            other => other.map(|_| ()),
        }
    }

    async fn launch(&self, _: &GroupSpec, name: &InstanceName) -> Result<Instance> {
        let text = format!("{}, {name}: this cloud has groups: set the group's size", self.kind);
        Err(CloudError::new(ErrorClass::Permanent, text))
    }

    async fn instances(&self, deployment: &Name) -> Result<Vec<Instance>> {
        let told: Vec<InstanceTold> = self.list("/instances", &format!("deployment={deployment}")).await?;
        let instance = |it: InstanceTold| {
            Some(Instance {
                group: GroupName::parse(&it.group)?,
                id: it.id,
                name: None,
                lifecycle: it.lifecycle,
                phase: it.phase,
                zone: it.zone,
                hourly: it.hourly,
                launched_ms: it.launched_ms,
            })
        };
        Ok(told.into_iter().filter_map(instance).collect())
    }

    async fn terminate(&self, instance: &Instance) -> Result<()> {
        match self.call("DELETE", &format!("/instances/{}", instance.id), None, self.deadline).await {
            Err(error) if is_gone(&error) => Ok(()),
            other => other.map(|_| ()),
        }
    }

    async fn notices(&self, deployment: &Name) -> Result<Vec<Notice>> {
        let told: Vec<NoticeTold> = self.list("/notices", &format!("deployment={deployment}")).await?;
        Ok(told.into_iter().map(|it| Notice { id: it.id, kind: it.kind, at_ms: it.at_ms }).collect())
    }
}
