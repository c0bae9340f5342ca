//! Decisions, and one line of "why" for each.

use std::fmt;
use std::sync::Arc;

use streamverse_model::compute::{Lifecycle, Money};

use super::fleet::Fleet;

/// What is to be done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// Ask for one instance.
    Launch {
        /// Its number: with the group's name it is the instance's, where the cloud lets us name it.
        number: u64,
        /// Which of the pool's candidates.
        candidate: usize,
        /// How.
        lifecycle: Lifecycle,
    },
    /// Let a worker finish what it has begun, and give it nothing more.
    Drain {
        /// Which.
        id: Arc<str>,
        /// When it must be gone.
        deadline_ms: u64,
    },
    /// Give an instance back.
    Terminate {
        /// Which.
        id: Arc<str>,
    },
    /// Nothing is left: delete the pool's groups.
    DeleteGroups,
}

/// A decision about a pool.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decision {
    /// Which of the fleet's pools.
    pub pool: usize,
    /// What.
    pub action: Action,
    /// Why.
    pub why: Why,
}

/// Why something is decided.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Why {
    /// Fewer run than are needed.
    Short {
        /// So many run or start.
        have: u32,
        /// So many are needed.
        want: u32,
        /// So many jobs wait, where a queue says how many are needed.
        waiting: Option<u64>,
    },
    /// Spot has been short for too long.
    SpotShort {
        /// So many run or start.
        have: u32,
        /// So many are needed.
        want: u32,
        /// For so long.
        for_ms: u64,
    },
    /// All spot is in one place, which would take all of it at once.
    OnePlace,
    /// Spot has been whole again for long enough.
    SpotWhole {
        /// For so long.
        for_ms: u64,
    },
    /// More run than are needed.
    Surplus {
        /// So many run.
        have: u32,
        /// So many are needed.
        want: u32,
    },
    /// It had nothing to do.
    Idle {
        /// For so long.
        for_ms: u64,
    },
    /// It is night.
    Night,
    /// More on demand run than may, because a limit was lowered or one is there that nobody asked for.
    Limit {
        /// So many run or start.
        have: u32,
        /// So many may.
        max: u32,
    },
    /// It costs more per hour than is allowed.
    Ceiling {
        /// So much.
        hourly: Money,
    },
    /// The month's budget, the pool's or the controller's, does not last for more.
    Budget {
        /// Spent so far.
        spent: Money,
        /// The budget.
        budget: Money,
    },
    /// It is drained.
    Drained,
    /// It had its time to drain.
    DrainOver,
    /// It was told to leave and still works: whoever was to tell it may have died.
    Again,
    /// It failed.
    Failed,
    /// It did not start in time.
    NeverStarted,
    /// The cloud takes it away.
    Announced,
    /// The candidate is no longer one of the pool's.
    NoCandidate,
    /// The pool is being destroyed.
    Tombstone,
}

impl Why {
    /// The word for the label of a metric.
    pub const fn as_str(&self) -> &'static str {
        match self {
            Why::Short { .. } => "short",
            Why::SpotShort { .. } => "spot_short",
            Why::OnePlace => "one_place",
            Why::SpotWhole { .. } => "spot_whole",
            Why::Surplus { .. } => "surplus",
            Why::Idle { .. } => "idle",
            Why::Night => "night",
            Why::Limit { .. } => "limit",
            Why::Ceiling { .. } => "ceiling",
            Why::Budget { .. } => "budget",
            Why::Drained => "drained",
            Why::DrainOver => "drain_over",
            Why::Again => "again",
            Why::Failed => "failed",
            Why::NeverStarted => "never_started",
            Why::Announced => "announced",
            Why::NoCandidate => "no_candidate",
            Why::Tombstone => "tombstone",
        }
    }
}

impl fmt::Display for Why {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Why::Short { have, want, waiting } => {
                write!(f, "{have} of {want} run or start")?;
                match waiting {
                    None => Ok(()),
                    Some(1) => f.write_str(", and 1 job waits"),
                    Some(waiting) => write!(f, ", and {waiting} jobs wait"),
                }
            }
            Why::SpotShort { have, want, for_ms } => {
                write!(f, "spot has had only {have} of {want} for {} s", for_ms / 1000)
            }
            Why::OnePlace => f.write_str("all spot is in one place, which takes all of it at once"),
            Why::SpotWhole { for_ms } => write!(f, "spot has been enough for {} s", for_ms / 1000),
            Why::Surplus { have, want } => write!(f, "{have} run and {want} are needed"),
            Why::Idle { for_ms } => write!(f, "it has had nothing to do for {} s", for_ms / 1000),
            Why::Night => f.write_str("it is night"),
            Why::Limit { have, max } => write!(f, "{have} on demand run and {max} may"),
            Why::Ceiling { hourly } => write!(f, "it costs {hourly} per hour, more than the ceiling"),
            Why::Budget { spent, budget } => write!(f, "{spent} of the month's {budget} are spent"),
            Why::Drained => f.write_str("it is drained"),
            Why::DrainOver => f.write_str("its time to drain is over"),
            Why::Again => f.write_str("it was told to leave and works on something"),
            Why::Failed => f.write_str("it failed"),
            Why::NeverStarted => f.write_str("it did not start in time"),
            Why::Announced => f.write_str("the cloud takes it away"),
            Why::NoCandidate => f.write_str("its candidate is no longer one of the pool's"),
            Why::Tombstone => f.write_str("the pool is being destroyed"),
        }
    }
}

impl Decision {
    /// One line, for a log and for whoever asks why.
    pub fn line(&self, fleet: &Fleet) -> String {
        let pool = fleet.pools.get(self.pool);
        let name = pool.map_or("?", |it| it.name.as_str());
        let what = match &self.action {
            Action::Launch { number, candidate, lifecycle } => {
                let key = pool.and_then(|it| it.candidates.get(*candidate));
                let key = key.map_or("?", |it| it.candidate.key.as_str());
                format!("launch {lifecycle} {number} in {key}")
            }
            Action::Drain { id, .. } => format!("drain {id}"),
            Action::Terminate { id } => format!("terminate {id}"),
            Action::DeleteGroups => "delete its groups".to_owned(),
        };
        format!("{name}: {what}: {}", self.why)
    }
}
