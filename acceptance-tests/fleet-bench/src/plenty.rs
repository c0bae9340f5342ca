//! What a controller talks to, at hand at once: records in memory, a cloud that has what it is asked for, no queue.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use serde_json::Value;
use streamverse_compute::cloud::{
    Capabilities, Cloud, Group, GroupSpec, Instance, Notice, Offer, OfferQuery, Phase, Quota,
    Result as Asked, Stock,
};
use streamverse_core::log::Progress;
use streamverse_core::stores::{Record, Records};
use streamverse_core::{Error, Result};
use streamverse_fleet::{Clock, Queues};
use streamverse_model::compute::{CloudKind, GroupName, InstanceName, Lifecycle, Money, QueueSpec};
use streamverse_model::platform::Name;

/// Documents in memory, as text: they are written and read as a catalogue does.
#[derive(Default)]
pub(crate) struct Memory(Mutex<BTreeMap<(String, String), (u64, String)>>);

impl Memory {
    fn with<T>(&self, work: impl FnOnce(&mut BTreeMap<(String, String), (u64, String)>) -> T) -> T {
        work(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

fn read(version: u64, text: &str) -> Record {
    Record { version, value: serde_json::from_str(text).unwrap_or_default() }
}

#[async_trait]
impl Records for Memory {
    async fn insert(&self, collection: &str, id: &str, value: &Value) -> Result<bool> {
        let key = (collection.to_owned(), id.to_owned());
        Ok(self.with(|all| {
            let new = !all.contains_key(&key);
            all.entry(key).or_insert_with(|| (1, value.to_string()));
            new
        }))
    }

    async fn get(&self, collection: &str, id: &str) -> Result<Option<Record>> {
        let key = (collection.to_owned(), id.to_owned());
        Ok(self.with(|all| all.get(&key).map(|(version, text)| read(*version, text))))
    }

    async fn replace(&self, collection: &str, id: &str, version: u64, value: &Value) -> Result<bool> {
        let key = (collection.to_owned(), id.to_owned());
        Ok(self.with(|all| match all.get_mut(&key).filter(|it| it.0 == version) {
            Some(found) => {
                *found = (version + 1, value.to_string());
                true
            }
            None => false,
        }))
    }

    async fn remove(&self, collection: &str, id: &str) -> Result<()> {
        self.with(|all| all.remove(&(collection.to_owned(), id.to_owned())));
        Ok(())
    }

    async fn list(&self, collection: &str, after: &str, limit: u32) -> Result<Vec<(String, Record)>> {
        let limit = usize::try_from(limit).unwrap_or(usize::MAX);
        let first = (collection.to_owned(), after.to_owned());
        Ok(self.with(|all| {
            let its = all.range(first..).filter(|((of, id), _)| of == collection && id.as_str() > after);
            its.take_while(|((of, _), _)| of == collection)
                .take(limit)
                .map(|((_, id), (version, text))| (id.clone(), read(*version, text)))
                .collect()
        }))
    }

    async fn last(&self, collection: &str) -> Result<Option<(String, Record)>> {
        Ok(self.with(|all| {
            let found = all.iter().rfind(|((of, _), _)| of == collection);
            found.map(|((_, id), (version, text))| (id.clone(), read(*version, text)))
        }))
    }

    async fn remove_before(&self, collection: &str, before: &str) -> Result<()> {
        self.with(|all| all.retain(|(of, id), _| of != collection || id.as_str() >= before));
        Ok(())
    }
}

/// A cloud that has what it is asked for.
#[derive(Default)]
pub(crate) struct Plenty {
    groups: Mutex<BTreeMap<GroupName, u32>>,
    instances: Mutex<Vec<Instance>>,
}

#[async_trait]
impl Cloud for Plenty {
    fn kind(&self) -> CloudKind {
        CloudKind::Aws
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities { groups: true, spot: true, notice: None }
    }

    async fn offers(&self, query: &OfferQuery) -> Asked<Vec<Offer>> {
        let offer = |lifecycle, cents: u64| {
            move |candidate: &streamverse_compute::cloud::Candidate| Offer {
                candidate: candidate.clone(),
                lifecycle,
                hourly: Money::micros(cents * 10_000),
                stock: Stock::Unknown,
            }
        };
        let spot = query.candidates.iter().map(offer(Lifecycle::Spot, 33));
        Ok(spot.chain(query.candidates.iter().map(offer(Lifecycle::OnDemand, 100))).collect())
    }

    async fn quotas(&self) -> Asked<Vec<Quota>> {
        Ok(Vec::new())
    }

    async fn groups(&self, _: &Name) -> Asked<Vec<Group>> {
        let groups = self.groups.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(groups
            .iter()
            .map(|(name, size)| Group { name: name.clone(), size: *size, refused: None })
            .collect())
    }

    async fn ensure_group(&self, spec: &GroupSpec) -> Asked<()> {
        self.groups.lock().unwrap_or_else(PoisonError::into_inner).entry(spec.name.clone()).or_default();
        Ok(())
    }

    async fn resize(&self, group: &GroupName, size: u32) -> Asked<()> {
        let mut groups = self.groups.lock().unwrap_or_else(PoisonError::into_inner);
        let mut instances = self.instances.lock().unwrap_or_else(PoisonError::into_inner);
        let had = groups.insert(group.clone(), size).unwrap_or(0);
        for _ in had..size {
            let instance = Instance {
                id: format!("i-{:017x}", instances.len()),
                group: group.clone(),
                name: None,
                lifecycle: Lifecycle::Spot,
                phase: Phase::Running,
                zone: None,
                hourly: None,
                launched_ms: None,
            };
            instances.push(instance);
        }
        Ok(())
    }

    async fn delete_group(&self, _: &GroupName) -> Asked<()> {
        Ok(())
    }

    async fn launch(&self, spec: &GroupSpec, name: &InstanceName) -> Asked<Instance> {
        Err(streamverse_compute::cloud::CloudError::new(
            streamverse_compute::cloud::ErrorClass::Permanent,
            format!("{name} of {}: instances come in groups here", spec.name),
        ))
    }

    async fn instances(&self, _: &Name) -> Asked<Vec<Instance>> {
        Ok(self.instances.lock().unwrap_or_else(PoisonError::into_inner).clone())
    }

    async fn terminate(&self, instance: &Instance) -> Asked<()> {
        self.instances.lock().unwrap_or_else(PoisonError::into_inner).retain(|it| it.id != instance.id);
        Ok(())
    }

    async fn notices(&self, _: &Name) -> Asked<Vec<Notice>> {
        Ok(Vec::new())
    }
}

/// A clock that is turned by hand.
pub(crate) struct Turned(pub(crate) AtomicU64);

#[async_trait]
impl Clock for Turned {
    fn now_ms(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }

    async fn sleep(&self, _: Duration) {}
}

/// Nobody has a queue.
pub(crate) struct NoQueues;

#[async_trait]
impl Queues for NoQueues {
    async fn progress(&self, queue: &QueueSpec) -> Result<Vec<Progress>> {
        Err(Error::permanent("queue", format!("there is no topic {}", queue.topic)))
    }
}
