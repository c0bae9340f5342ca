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
    deployment: &Name,
) -> HashMap<CloudKind, CloudLook> {
    let asks = clouds.iter().filter(|(kind, _)| only(**kind)).map(|(kind, cloud)| async move {
        let can = cloud.capabilities();
        let groups = async {
            match can.groups {
                true => within(LIST, "its groups", cloud.groups(deployment)).await,
                false => Ok(Vec::new()),
            }
        };
        let instances = within(LIST, "its instances", cloud.instances(deployment));
        let notices = within(LIST, "its notices", cloud.notices(deployment));
        let (instances, groups, notices) = tokio::join!(instances, groups, notices);
        let told = |what: &str, error: CloudError| {
            tracing::warn!(cloud = %kind, class = %error.class, %error, "A cloud did not tell {what}.");
        };
        let look = CloudLook {
            can,
            instances: instances.map_err(|error| told("its instances", error)).ok(),
            groups: groups.map_err(|error| told("its groups", error)).ok().map(by_name),
            notices: notices.map_err(|error| told("what it takes away", error)).unwrap_or_default(),
        };
        (*kind, look)
    });
    futures::future::join_all(asks).await.into_iter().collect()
}

pub(super) fn by_name(groups: Vec<Group>) -> HashMap<GroupName, Group> {
    groups.into_iter().map(|it| (it.name.clone(), it)).collect()
}
