//! What is asked of clouds, side by side, and what came of it.

use std::sync::Arc;

use futures::StreamExt as _;
use streamverse_compute::cloud::{Cloud, CloudError, ErrorClass, GroupSpec, Instance, Result};
use streamverse_model::compute::{CloudKind, GroupName, InstanceName};

use super::look::{CHANGE, within};
use crate::service::Clouds;

/// So many are asked for at a time.
const SIDE_BY_SIDE: usize = 16;

/// A group that gets another size.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Resize {
    pub(super) pool: usize,
    pub(super) cloud: CloudKind,
    pub(super) group: GroupName,
    /// As it is.
    pub(super) from: u32,
    /// As it is to be.
    pub(super) to: u32,
    /// It is brought to this first.
    pub(super) ensure: Option<GroupSpec>,
    /// The orders that this is for.
    pub(super) orders: Vec<u64>,
}

/// Something to ask a cloud for.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Job {
    Terminate { pool: usize, cloud: CloudKind, instance: Instance },
    Resize(Resize),
    Launch { pool: usize, cloud: CloudKind, spec: GroupSpec, name: InstanceName },
    DeleteGroup { pool: usize, cloud: CloudKind, group: GroupName },
}

/// What came of it.
pub(super) enum Done {
    Terminated(usize, CloudKind, Instance, Result<()>),
    /// Whether the group had been brought to its spec.
    Resized(Resize, bool, Result<()>),
    Launched(usize, CloudKind, InstanceName, Result<Instance>),
    Deleted(usize, CloudKind, GroupName, Result<()>),
}

/// Does all of it. An error is logged here, with what it was about.
pub(super) async fn perform(clouds: &Clouds, jobs: Vec<Job>) -> Vec<Done> {
    let jobs = jobs.into_iter().filter_map(|job| {
        let kind = match &job {
            Job::Terminate { cloud, .. } | Job::Launch { cloud, .. } | Job::DeleteGroup { cloud, .. } => {
                *cloud
            }
            Job::Resize(it) => it.cloud,
        };
        Some(one(Arc::clone(clouds.get(&kind)?), job))
    });
    futures::stream::iter(jobs).buffer_unordered(SIDE_BY_SIDE).collect().await
}

async fn one(cloud: Arc<dyn Cloud>, job: Job) -> Done {
    match job {
        Job::Terminate { pool, cloud: kind, instance } => {
            let what = format!("giving back {}", instance.id);
            let done = within(CHANGE, &what, cloud.terminate(&instance)).await;
            log(kind, &what, done.as_ref().err());
            Done::Terminated(pool, kind, instance, done)
        }
        Job::DeleteGroup { pool, cloud: kind, group } => {
            let what = format!("deleting the group {group}");
            let done = within(CHANGE, &what, cloud.delete_group(&group)).await;
            log(kind, &what, done.as_ref().err());
            Done::Deleted(pool, kind, group, done)
        }
        Job::Launch { pool, cloud: kind, spec, name } => {
            let what = format!("launching {name}");
            let done = within(CHANGE, &what, cloud.launch(&spec, &name)).await;
            log(kind, &what, done.as_ref().err());
            Done::Launched(pool, kind, name, done)
        }
        Job::Resize(it) => {
            let what = format!("setting the size of {} from {} to {}", it.group, it.from, it.to);
            let (ensured, done) = resize(&*cloud, &what, &it).await;
            log(it.cloud, &what, done.as_ref().err());
            Done::Resized(it, ensured, done)
        }
    }
}

async fn resize(cloud: &dyn Cloud, what: &str, it: &Resize) -> (bool, Result<()>) {
    if let Some(spec) = &it.ensure
        && let Err(error) = within(CHANGE, what, cloud.ensure_group(spec)).await
    {
        // A group costs nothing: whether it is there now or not, nothing was launched.
        let class = if error.class == ErrorClass::Unknown { ErrorClass::Transient } else { error.class };
        let told = CloudError::new(class, format!("the group {} cannot be made: {error}", it.group));
        return (false, Err(told));
    }
    let done = within(CHANGE, what, cloud.resize(&it.group, it.to)).await;
    let grows = it.to > it.from;
    let Err(error) = done else { return (true, Ok(())) };
    if grows && matches!(error.class, ErrorClass::Capacity | ErrorClass::Quota) {
        // It may go on trying: only a group that is back at its size launches nothing any more.
        let back = within(CHANGE, what, cloud.resize(&it.group, it.from)).await;
        if let Err(failed) = back {
            let text = format!("{error}; and it cannot be set back: {failed}");
            return (true, Err(CloudError::new(ErrorClass::Unknown, text)));
        }
    }
    (true, Err(error))
}

fn log(cloud: CloudKind, what: &str, error: Option<&CloudError>) {
    match error {
        None => tracing::info!(%cloud, "Done: {what}."),
        Some(error) if error.class == ErrorClass::Capacity => {
            tracing::info!(%cloud, %error, "Refused: {what}.");
        }
        Some(error) => tracing::warn!(%cloud, class = %error.class, %error, "Failed: {what}."),
    }
}
