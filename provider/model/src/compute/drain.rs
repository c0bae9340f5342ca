//! Draining a worker: who tells that it must leave, how long it has, and what it says about it.
//!
//! The time is `min(drain_seconds, notice − 15 s)`. Nobody's notice lasts five minutes: AWS gives 120 s, GCP 30 s (120 s
//! where `preemptionNoticeDuration` asks for it), Azure about 30 s. Who leaves because we say so has all of `drain_seconds`.
//! RunPod's five seconds leave nothing of the kind; of so short a notice a part is given nevertheless ([`FAREWELL`]).

use serde::{Deserialize, Serialize};

/// What is kept back of a notice, in milliseconds: for the worker to be killed, and for the last report.
pub const MARGIN: u64 = 15_000;
/// What a worker has at least to give its partitions back, in milliseconds, where half of the notice is as long: others then take
/// its work at once, and need not wait until it is missed.
pub const FAREWELL: u64 = 2_000;
/// A controller's request: what a fleet scales in, and what returns to spot, has all its time.
pub const CONTROLLED: u64 = 300;

/// What `streamverse-edge drain` is given, as JSON. It holds no secret.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DrainSpec {
    /// The worker's name at its controller: the instance's name. The node's, where there is one and this is empty.
    #[serde(default)]
    pub worker: String,
    /// How long a worker that nobody hurries has, in seconds.
    #[serde(default = "controlled")]
    pub drain_seconds: u64,
    /// Where notices come from.
    #[serde(default)]
    pub notices: Notices,
    /// Whether AWS' rebalance recommendation, which only says that an interruption is likelier, drains too. It is told to
    /// the controller in any case.
    #[serde(default)]
    pub drain_on_rebalance: bool,
    /// The controller, `https://HOST:PORT`: it is told what happens here, and asked for orders.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub controller: Option<Identity>,
    /// The Kubernetes node to cordon and drain.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub node: Option<WholeNode>,
}

fn controlled() -> u64 {
    CONTROLLED
}

impl DrainSpec {
    /// Fills in from the environment what one spec for many pods cannot say.
    ///
    /// # Errors
    /// In words, what is missing.
    pub fn complete(&mut self, variable: impl Fn(&str) -> Option<String>) -> Result<(), String> {
        if let Some(node) = &mut self.node {
            if node.name.is_empty() {
                node.name = variable("STREAMVERSE_NODE").filter(|it| !it.is_empty()).ok_or(
                    "`node` has no `name`, and STREAMVERSE_NODE is not set: a pod has it from `spec.nodeName`",
                )?;
            }
            if node.own_pod.is_none() {
                node.own_pod = variable("STREAMVERSE_POD").filter(|it| !it.is_empty());
            }
            if self.worker.is_empty() {
                self.worker.clone_from(&node.name);
            }
        }
        if self.worker.is_empty() {
            return Err("`worker` is missing: the name of this instance at its controller".to_owned());
        }
        Ok(())
    }
}

/// Where a cloud tells an instance that it is about to take it away.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Notices {
    /// Nowhere but by SIGTERM, by somebody who waits until the worker has ended.
    #[default]
    Signal,
    /// Nowhere but by SIGTERM, with SIGKILL soon after it. What the controller gives back it orders to leave before.
    Runpod {
        /// Between the two, in seconds (documentation of RunPod's former API).
        #[serde(default = "moment")]
        notice_seconds: u64,
    },
    /// The instance metadata service of EC2, version 2: spot interruption notices and rebalance recommendations.
    Aws {
        /// `http://169.254.169.254` unless given.
        #[serde(default = "link_local")]
        endpoint: String,
    },
    /// The metadata server of Compute Engine.
    Gcp {
        /// `http://metadata.google.internal` unless given.
        #[serde(default = "google")]
        endpoint: String,
        /// The notice that the instance was made with (`preemptionNoticeDuration`), in seconds.
        #[serde(default = "half_a_minute")]
        notice_seconds: u64,
    },
    /// Scheduled events of Azure's instance metadata service.
    Azure {
        /// `http://169.254.169.254` unless given.
        #[serde(default = "link_local")]
        endpoint: String,
    },
}

fn link_local() -> String {
    "http://169.254.169.254".to_owned()
}

fn google() -> String {
    "http://metadata.google.internal".to_owned()
}

fn half_a_minute() -> u64 {
    30
}

fn moment() -> u64 {
    5
}

/// How a worker reaches its controller and proves who it is.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Identity {
    /// `https://HOST:PORT`; `http://` only to this host.
    pub url: String,
    /// A PEM file with the worker's certificate and its key, for mutual TLS.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub certificate_file: Option<String>,
    /// A PEM file with the authority that signed the controller's certificate.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub authority_file: Option<String>,
}

/// A Kubernetes node that leaves as a whole.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WholeNode {
    /// Its name; that of the variable `STREAMVERSE_NODE` where this is empty: one spec serves all pods of a DaemonSet.
    #[serde(default)]
    pub name: String,
    /// A kubeconfig; without one the service account of the pod that this is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kubeconfig: Option<String>,
    /// The pod that this is, `NAMESPACE/NAME`: it is not evicted. That of the variable `STREAMVERSE_POD` where this is left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub own_pod: Option<String>,
}

/// Why a worker leaves, or may.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Reason {
    /// The cloud takes the instance away.
    Preempted,
    /// The cloud says that it may soon.
    Rebalance,
    /// The cloud stops it for another reason: somebody deletes it, or its group shrinks.
    Terminated,
    /// SIGTERM.
    Signalled,
    /// The controller makes the fleet smaller, returns to spot, or obeys the night.
    ScaleIn,
    /// The worker ended by itself.
    Ended,
}

impl Reason {
    /// As in reports and metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            Reason::Preempted => "preempted",
            Reason::Rebalance => "rebalance",
            Reason::Terminated => "terminated",
            Reason::Signalled => "signalled",
            Reason::ScaleIn => "scale-in",
            Reason::Ended => "ended",
        }
    }
}

/// How far a worker is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Phase {
    /// It works, or would.
    Working,
    /// It takes nothing new and finishes what it has begun.
    Draining,
    /// All is finished.
    Drained,
    /// The time was over before all was finished, and what was left was ended.
    Overrun,
}

/// What a worker tells its controller: `POST /v1/workers/NAME/report`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Report {
    /// How far it is.
    pub phase: Phase,
    /// Why it leaves; none while it works.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<Reason>,
    /// When it will be gone, in milliseconds since the Unix epoch.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until_ms: Option<u64>,
    /// How long it has been draining, in milliseconds.
    #[serde(default)]
    pub drained_ms: u64,
    /// What could not leave in time: `NAMESPACE/POD`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub left: Vec<String>,
    /// What its transcoder does; none where there is none, or it does not say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub work: Option<WorkReport>,
}

/// What the transcoder of a worker does, as its metrics say.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WorkReport {
    /// Tasks that it works on now.
    pub running: u32,
    /// How long it has had none, in milliseconds; 0 while it works.
    pub idle_ms: u64,
    /// Tasks that it is done with since it started, well or badly.
    pub done: u64,
    /// How long it worked on tasks that it is not working on any more, in milliseconds, since it started.
    pub busy_ms: u64,
}

/// What a controller answers to `GET /v1/workers/NAME/orders?wait=SECONDS`; 204 when there is none.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "snake_case", tag = "order")]
pub enum Order {
    /// Finish and leave.
    Drain {
        /// How long it has, in seconds.
        seconds: u64,
    },
}

/// What is known about a worker that leaves: a state machine without clock and I/O. Times are milliseconds since the Unix
/// epoch.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DrainState {
    leaving: Option<Leaving>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Leaving {
    reason: Reason,
    began_ms: u64,
    until_ms: u64,
}

impl DrainState {
    /// Somebody says that this worker must leave, at `gone_ms` where that is out of our hands. The time that is left only
    /// ever gets shorter: a preemption hurries a scale-in, and a scale-in does not slow a preemption down. Returns whether
    /// anything changed.
    pub fn leave(&mut self, reason: Reason, gone_ms: Option<u64>, drain_seconds: u64, now_ms: u64) -> bool {
        let most = now_ms.saturating_add(drain_seconds.saturating_mul(1000));
        let until_ms = gone_ms.map_or(most, |gone| {
            let least = now_ms.saturating_add(FAREWELL.min(gone.saturating_sub(now_ms) / 2));
            gone.saturating_sub(MARGIN).max(least).min(most)
        });
        let began_ms = match self.leaving {
            None => now_ms,
            Some(leaving) if until_ms < leaving.until_ms => leaving.began_ms,
            Some(_) => return false,
        };
        self.leaving = Some(Leaving { reason, began_ms, until_ms });
        true
    }

    /// Whether it leaves.
    pub fn is_leaving(&self) -> bool {
        self.leaving.is_some()
    }

    /// Why it leaves.
    pub fn reason(&self) -> Option<Reason> {
        self.leaving.map(|it| it.reason)
    }

    /// By when all must be finished.
    pub fn until_ms(&self) -> Option<u64> {
        self.leaving.map(|it| it.until_ms)
    }

    /// What to tell.
    pub fn report(&self, phase: Phase, left: Vec<String>, now_ms: u64) -> Report {
        let began = self.leaving.map_or(now_ms, |it| it.began_ms);
        Report {
            phase,
            reason: self.leaving.map(|it| it.reason),
            until_ms: self.until_ms(),
            drained_ms: now_ms.saturating_sub(began),
            left,
            work: None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const NOW: u64 = 1_700_000_000_000;

    fn after(reason: Reason, notice: Option<u64>, drain: u64) -> u64 {
        let mut state = DrainState::default();
        assert!(state.leave(reason, notice.map(|ms| NOW + ms), drain, NOW));
        state.until_ms().map_or(0, |until| until - NOW)
    }

    #[test]
    fn the_time_is_the_notice_less_fifteen_seconds_and_at_most_five_minutes() {
        assert_eq!(after(Reason::Preempted, Some(120_000), CONTROLLED), 105_000);
        assert_eq!(after(Reason::Preempted, Some(30_000), CONTROLLED), 15_000);
        assert_eq!(
            after(Reason::Preempted, Some(10_000), CONTROLLED),
            2_000,
            "what it needs to say that it goes"
        );
        assert_eq!(after(Reason::Signalled, Some(3_000), CONTROLLED), 1_500);
        assert_eq!(after(Reason::Signalled, Some(0), CONTROLLED), 0);
        assert_eq!(after(Reason::Preempted, Some(120_000), 0), 0, "nobody has longer than it is given");
        assert_eq!(after(Reason::Terminated, Some(900_000), CONTROLLED), 300_000);
        assert_eq!(after(Reason::ScaleIn, None, CONTROLLED), 300_000);
    }

    #[test]
    fn a_preemption_hurries_a_scale_in_and_nothing_slows_it_down_again() {
        let mut state = DrainState::default();
        assert!(state.leave(Reason::ScaleIn, None, 300, NOW));
        assert!(state.leave(Reason::Preempted, Some(NOW + 40_000), 300, NOW + 10_000));
        assert!(!state.leave(Reason::ScaleIn, None, 300, NOW + 11_000));
        let told = state.report(Phase::Draining, Vec::new(), NOW + 12_000);
        assert_eq!((told.reason, told.until_ms), (Some(Reason::Preempted), Some(NOW + 25_000)));
        assert_eq!(told.drained_ms, 12_000);
    }

    #[test]
    fn an_agent_that_says_nothing_of_its_work_is_understood_and_one_that_does_reads_back() {
        let old = r#"{"phase":"working","drained_ms":0}"#;
        let told: Report = serde_json::from_str(old).expect("a report of an old agent");
        assert_eq!(told.work, None);
        assert_eq!(serde_json::to_string(&told).expect("text"), old);
        let work = WorkReport { running: 1, idle_ms: 0, done: 7, busy_ms: 9000 };
        let text = serde_json::to_string(&Report { work: Some(work), ..told }).expect("text");
        assert_eq!(serde_json::from_str::<Report>(&text).expect("a report").work, Some(work));
    }

    proptest! {
        #[test]
        fn whatever_is_said_in_whatever_order_the_time_only_gets_shorter_and_ends_before_the_instance(
            said in prop::collection::vec((prop::option::of(0u64..400_000), 0u64..600, 0u64..10_000), 1..20),
        ) {
            let (mut state, mut now, mut last) = (DrainState::default(), NOW, u64::MAX);
            for (notice, drain, later) in said {
                now += later;
                state.leave(Reason::Preempted, notice.map(|ms| now + ms), drain, now);
                let until = state.until_ms().unwrap_or(u64::MAX);
                prop_assert!(until <= last);
                prop_assert!(until <= (now + drain * 1000).max(last));
                if let Some(notice) = notice {
                    prop_assert!(until <= (now + notice).saturating_sub(MARGIN).max(now + FAREWELL.min(notice / 2)));
                }
                last = until;
            }
        }
    }

    #[test]
    fn one_spec_serves_all_pods_of_a_daemon_set() {
        let read = |text: &str| serde_json::from_str::<DrainSpec>(text).expect("a spec");
        let variable = |name: &str| match name {
            "STREAMVERSE_NODE" => Some("gpu-1".to_owned()),
            "STREAMVERSE_POD" => Some("drain/agent-x".to_owned()),
            _ => None,
        };
        let mut spec = read(r#"{"node":{}}"#);
        spec.complete(variable).expect("complete");
        let node = spec.node.expect("a node");
        assert_eq!((spec.worker.as_str(), node.name.as_str()), ("gpu-1", "gpu-1"));
        assert_eq!(node.own_pod.as_deref(), Some("drain/agent-x"));
        let mut own = read(r#"{"worker":"w","node":{"name":"n"}}"#);
        own.complete(variable).expect("complete");
        assert_eq!((own.worker.as_str(), own.node.expect("a node").name.as_str()), ("w", "n"));
        let without = read(r#"{"node":{}}"#).complete(|_| None).expect_err("no node");
        assert!(without.contains("STREAMVERSE_NODE"), "{without}");
        assert!(read("{}").complete(variable).expect_err("no worker").contains("`worker`"));
    }

    #[test]
    fn a_spec_is_short_where_nothing_is_unusual() {
        let spec: DrainSpec = serde_json::from_value(serde_json::json!({
            "worker": "sv-live-gpu-1", "notices": { "aws": {} }
        }))
        .expect("a spec");
        assert_eq!(spec.drain_seconds, 300);
        assert_eq!(spec.notices, Notices::Aws { endpoint: "http://169.254.169.254".to_owned() });
    }
}
