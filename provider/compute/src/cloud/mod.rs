//! What the controller asks of a cloud, whichever it is: four clouds fit, with groups (EC2 Fleet and Auto Scaling,
//! managed instance groups, scale sets) and without (RunPod's single pods).

mod error;
mod group;
mod instance;
mod offer;

use std::time::Duration;

use async_trait::async_trait;
use streamverse_model::compute::{CloudKind, GroupName, InstanceName, Lifecycle};
use streamverse_model::platform::Name;

pub use error::{CloudError, ErrorClass, Result};
pub use group::{Group, GroupSpec};
pub use instance::{Instance, Notice, NoticeKind, Phase};
pub use offer::{Candidate, Offer, OfferQuery, Quota, Stock};

/// What a cloud can and cannot do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Capabilities {
    /// Whether instances are had by setting a group's size. Where not, each is launched by its name.
    pub groups: bool,
    /// Whether it has spot.
    pub spot: bool,
    /// How long before it takes an instance away it says so; `None` where it does not.
    pub notice: Option<Duration>,
}

/// A cloud, in one account.
///
/// Everything may be repeated: names are deterministic, sizes absolute, and what is gone already is no error. An
/// answer that got lost is [`ErrorClass::Unknown`]: the caller lists before it asks again. A call ends within its deadline,
/// which is the implementation's to keep; it may wait for a `Retry-After` within it, and does not repeat a refusal.
#[async_trait]
pub trait Cloud: Send + Sync {
    /// Which cloud it is.
    fn kind(&self) -> CloudKind;

    /// What it can do.
    fn capabilities(&self) -> Capabilities;

    /// What can be had now, and for how much, among what is asked for. What the catalogue does not list is left out.
    async fn offers(&self, query: &OfferQuery) -> Result<Vec<Offer>>;

    /// What the account may still have, where the cloud says so; empty where it does not.
    async fn quotas(&self) -> Result<Vec<Quota>>;

    /// All groups of a deployment; empty where the cloud has none.
    async fn groups(&self, deployment: &Name) -> Result<Vec<Group>>;

    /// Makes a group, with size 0, or brings the one of its name to this spec; its size stays. On a cloud without groups
    /// it checks the spec alone.
    async fn ensure_group(&self, spec: &GroupSpec) -> Result<()>;

    /// Sets how many instances a group has. Growing may fall short: [`Group::refused`] says why. Shrinking is
    /// [`Cloud::terminate`]'s: which ones go is never left to the cloud, and a size below what runs is an error.
    async fn resize(&self, group: &GroupName, size: u32) -> Result<()>;

    /// Deletes an empty group. One that still has instances is an error.
    async fn delete_group(&self, group: &GroupName) -> Result<()>;

    /// Launches one instance by its name, on a cloud without groups; finds the one that has the name already.
    async fn launch(&self, spec: &GroupSpec, name: &InstanceName) -> Result<Instance>;

    /// All instances of a deployment that cost money or will, whoever asked for them: those of groups and single ones.
    async fn instances(&self, deployment: &Name) -> Result<Vec<Instance>>;

    /// Gives an instance back for good, and makes its group one smaller. One that is gone is no error.
    async fn terminate(&self, instance: &Instance) -> Result<()>;

    /// What the cloud has announced to take away, where it says so outside of the instance itself.
    async fn notices(&self, deployment: &Name) -> Result<Vec<Notice>>;
}

/// The key of a candidate's group: `s` or `d` for its lifecycle, then the candidate's own. Its place in the list is no
/// part of it: a list in another order asks for no new group.
pub fn group_key(lifecycle: Lifecycle, candidate: &str) -> String {
    let letter = match lifecycle {
        Lifecycle::Spot => 's',
        Lifecycle::OnDemand => 'd',
    };
    format!("{letter}-{candidate}")
}
