//! What a site says about what it holds: applied, ready, why not yet.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

use super::object::Bundle;

/// What a site holds for one owner.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Observed {
    /// What is desired there now, as far as the site can tell it back. On Kubernetes it is read from live objects, so
    /// it differs from what was applied when somebody changed a field that we own.
    pub bundle: Bundle,
    /// The revision of that bundle; when live objects differ in a way that no bundle can say, `drifted-` and digits.
    pub revision: String,
    /// One status for each object.
    pub objects: Vec<ObjectStatus>,
    /// What somebody else changed, one line for each: `Deployment demo-origin-main: .spec.replicas`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub drift: Vec<String>,
    /// What would be applied differently now than it was, though nobody touched it: another image, a secret with another
    /// version, another version of ours. One line for each.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub outdated: Vec<String>,
}

impl Observed {
    /// Whether everything is where it should be: services and engines ready, jobs succeeded.
    pub fn is_ready(&self) -> bool {
        self.objects.iter().all(|status| status.phase.is_settled())
    }

    /// Whether all of it is being removed.
    pub fn is_leaving(&self) -> bool {
        !self.objects.is_empty() && self.objects.iter().all(|status| status.phase == Phase::Stopping)
    }

    /// One line for each object that is not there yet, such as `service/origin is starting: port 8080 is taken by pid 71`.
    pub fn why_not(&self) -> Vec<String> {
        let waiting = self.objects.iter().filter(|status| !status.phase.is_settled());
        waiting.map(ObjectStatus::line).collect()
    }

    /// The first object that cannot become ready without a change, if there is one.
    pub fn failed(&self) -> Option<&ObjectStatus> {
        self.objects.iter().find(|status| status.phase == Phase::Failed)
    }

    /// The status of `service/origin`.
    pub fn object(&self, key: &str) -> Option<&ObjectStatus> {
        self.objects.iter().find(|status| status.object == key)
    }
}

/// How one object is.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct ObjectStatus {
    /// `service/origin`.
    pub object: String,
    /// How far it is.
    pub phase: Phase,
    /// Why it is not further, in words for a person, and a stable code.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<Reason>,
    /// How often it was started again since it was declared.
    #[serde(default)]
    pub restarts: u32,
    /// Process ids on a node.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub pids: Vec<u32>,
    /// How far a job is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub progress: Option<Progress>,
    /// What a job made, once it succeeded (or found out earlier, such as a source's duration). At most 4 KiB.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub result: Option<Value>,
}

impl ObjectStatus {
    /// `service/origin is starting: port 8080 is taken by pid 71`.
    pub fn line(&self) -> String {
        let mut line = format!("{} is {}", self.object, self.phase.as_str());
        if let Some(progress) = &self.progress {
            line.push_str(&format!(" ({} of {} {})", progress.done, progress.total, progress.unit));
        }
        if let Some(reason) = &self.reason {
            line.push_str(&format!(": {}", reason.text));
        }
        line
    }
}

/// How far an object is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    /// Persisted, and nothing was done for it yet.
    Applied,
    /// Waits for something outside of it: a secret, a port, another owner, a node with room.
    Waiting,
    /// Being started.
    Starting,
    /// A job at work.
    Running,
    /// Serving; for secrets, endpoints and files: there.
    Ready,
    /// A job that ended well.
    Succeeded,
    /// Serving the last good configuration, because the newest was refused.
    Degraded,
    /// Ended, and not started again until it is changed.
    Failed,
    /// Being stopped.
    Stopping,
}

impl Phase {
    /// Whether nothing more is to be waited for, in the good sense.
    pub fn is_settled(self) -> bool {
        matches!(self, Phase::Ready | Phase::Succeeded)
    }

    /// As in JSON and in messages.
    pub fn as_str(self) -> &'static str {
        match self {
            Phase::Applied => "applied",
            Phase::Waiting => "waiting",
            Phase::Starting => "starting",
            Phase::Running => "running",
            Phase::Ready => "ready",
            Phase::Succeeded => "succeeded",
            Phase::Degraded => "degraded",
            Phase::Failed => "failed",
            Phase::Stopping => "stopping",
        }
    }
}

/// Why an object is not further.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Reason {
    /// Stable and for programs: `port-taken`, `binary-missing`, `disk-full`, `crashed`, `image-pull`, `unschedulable`.
    pub code: String,
    /// For people: what, where, what to do.
    pub text: String,
}

impl Reason {
    /// A reason.
    pub fn new(code: &str, text: impl Into<String>) -> Reason {
        Reason { code: code.to_owned(), text: text.into() }
    }
}

/// How far a job is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Progress {
    /// Units done.
    pub done: u64,
    /// Units in all.
    pub total: u64,
    /// What a unit is: `segments`.
    pub unit: String,
}
