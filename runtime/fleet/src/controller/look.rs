//! One look at all clouds, side by side, each call under a deadline.

use std::collections::HashMap;
use std::future::Future;
use std::time::Duration;

use streamverse_compute::cloud::{Capabilities, CloudError, ErrorClass, Group, Instance, Notice, Result};
use streamverse_model::compute::{CloudKind, GroupName};
use streamverse_model::platform::Name;

use crate::service::Clouds;

/// How long a list may take.
pub(super) const LIST: Duration = Duration::from_secs(30);
/// … at least.
const LEAST: Duration = Duration::from_secs(1);
/// How long anything that changes something may take.
pub(super) const CHANGE: Duration = Duration::from_secs(60);

/// What a cloud showed.
pub(super) struct CloudLook {
    pub(super) can: Capabilities,
    /// `None`: it did not answer.
    pub(super) instances: Option<Vec<Instance>>,
    /// By name; `None`: it did not answer.
    pub(super) groups: Option<HashMap<GroupName, Group>>,
    pub(super) notices: Vec<Notice>,
    /// Why it did not tell all of it.
    pub(super) error: Option<CloudError>,
}

/// Who did not answer of late. Nobody else is to wait for it at each look.
pub(super) struct Silent<K>(HashMap<K, u32>);

impl<K> Default for Silent<K> {
    fn default() -> Silent<K> {
        Silent(HashMap::new())
    }
}

impl<K: std::hash::Hash + Eq> Silent<K> {
    /// How long an answer is waited for: as long as a list may take from who answers, and each fourth time from who does not, because
    /// it may be slow alone; else for a part of a tick.
    pub(super) fn patience(&self, who: &K, tick: Duration) -> Duration {
        match self.0.get(who) {
            Some(times) if times % 4 != 0 => (tick / 4).clamp(LEAST, LIST),
            _ => LIST,
        }
    }

    /// Whether it answered in time.
    pub(super) fn heard(&mut self, who: K, answered: bool) {
        if answered {
            self.0.remove(&who);
        } else {
            let times = self.0.entry(who).or_default();
            *times = times.saturating_add(1);
        }
    }
}

impl CloudLook {
    /// Whether all that decisions need was answered.
    pub(super) fn complete(&self) -> bool {
        self.instances.is_some() && self.groups.is_some()
    }
}

/// Waits for a call no longer than its deadline: then nobody knows what came of it.
pub(super) async fn within<T>(
    deadline: Duration,
    what: &str,
    call: impl Future<Output = Result<T>>,
) -> Result<T> {
    match tokio::time::timeout(deadline, call).await {
        Ok(done) => done,
        Err(_) => {
            let text = format!("{what}: no answer within {} s", deadline.as_secs());
            Err(CloudError::new(ErrorClass::Unknown, text))
        }
    }
}

/// Looks at these clouds.
pub(super) async fn look(
    clouds: &Clouds,
    only: impl Fn(CloudKind) -> bool,
    patience: impl Fn(CloudKind) -> Duration,
    deployment: &Name,
) -> HashMap<CloudKind, CloudLook> {
    let patience = &patience;
    let asks = clouds.iter().filter(|(kind, _)| only(**kind)).map(|(kind, cloud)| async move {
        let (can, limit) = (cloud.capabilities(), patience(*kind));
        let groups = async {
            match can.groups {
                true => within(limit, "its groups", cloud.groups(deployment)).await,
                false => Ok(Vec::new()),
            }
        };
        let instances = within(limit, "its instances", cloud.instances(deployment));
        let notices = within(limit, "its notices", cloud.notices(deployment));
        let (instances, groups, notices) = tokio::join!(instances, groups, notices);
        let mut first = None;
        let mut told = |what: &str, error: CloudError| {
            tracing::warn!(cloud = %kind, class = %error.class, %error, "A cloud did not tell {what}.");
            first.get_or_insert(error);
        };
        let instances = instances.map_err(|error| told("its instances", error)).ok();
        let groups = groups.map_err(|error| told("its groups", error)).ok().map(by_name);
        let notices = notices.map_err(|error| told("what it takes away", error)).unwrap_or_default();
        let look = CloudLook { can, instances, groups, notices, error: first };
        (*kind, look)
    });
    futures::future::join_all(asks).await.into_iter().collect()
}

pub(super) fn by_name(groups: Vec<Group>) -> HashMap<GroupName, Group> {
    groups.into_iter().map(|it| (it.name.clone(), it)).collect()
}
