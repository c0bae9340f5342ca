//! What the policy remembers. It survives a restart of the controller: it is written before anything is asked for.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};
use streamverse_model::compute::{CloudKind, GpuClass, Lifecycle, Money};

use super::failing::Failing;

/// The layout of the state; another one is not read.
pub const STATE_VERSION: u32 = 1;

/// Everything that is remembered.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FleetState {
    /// The layout.
    pub version: u32,
    /// One for each pool that is, and for those that are gone as long as what they spent counts in their month.
    pub pools: Vec<PoolState>,
    /// Above all numbers of pools that were forgotten: a pool of the same name begins here, so that none is given twice.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub numbers_from: u64,
}

impl Default for FleetState {
    fn default() -> FleetState {
        FleetState { version: STATE_VERSION, pools: Vec::new(), numbers_from: 0 }
    }
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde calls it so")]
fn is_zero(number: &u64) -> bool {
    *number == 0
}

/// What is remembered of a pool.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct PoolState {
    /// The pool's name.
    pub name: String,
    /// The number of the next launch; none is given twice.
    pub next_number: u64,
    /// What is known of candidates, by their keys, in the order of the pool's.
    pub places: Vec<Place>,
    /// Launches that were asked for and not seen yet.
    pub orders: Vec<Order>,
    /// Workers that were seen, by their ids.
    pub known: Vec<Known>,
    /// When launches of the last hour were asked for, those that were refused left out.
    pub launches: VecDeque<u64>,
    /// How many workers the queue asks for.
    pub target: u32,
    /// Since when the queue has been short enough for fewer.
    pub low_since: Option<u64>,
    /// Since when more have waited than brings more workers, and none were asked for.
    pub high_since: Option<u64>,
    /// Since when spot has been short.
    pub short_since: Option<u64>,
    /// Since when there has been more on-demand than is needed.
    pub surplus_since: Option<u64>,
    /// When one was last sent to another place, because all were in one.
    pub moved_ms: Option<u64>,
    /// When all blocks for capacity were last lifted.
    pub reset_ms: u64,
    /// The month that `spent` is of: months since the year 0.
    pub month: u32,
    /// What was spent in it, in millionths of a dollar.
    pub spent_micros: u64,
    /// When it was last looked at.
    pub last_ms: Option<u64>,
    /// Its groups are deleted: nothing is left of it.
    pub deleted: bool,
    /// When it was last said that they may be.
    pub delete_ms: Option<u64>,
    /// What was started and came to nothing of late.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub failing: Option<Failing>,
    /// The pool's revision that this was seen of.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub revision: String,
}

/// What is known of a candidate.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Place {
    /// Its key.
    pub key: String,
    /// As spot, and on demand.
    pub blocks: [Option<Block>; 2],
    /// For how long it held spot instances of ours, in milliseconds.
    pub up_ms: u64,
    /// How often it took some back.
    pub lost: u64,
    /// What was started here and came to nothing of late.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub failing: Option<Failing>,
}

/// Why a candidate is left alone, and until when.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Block {
    /// Until then.
    pub until_ms: u64,
    /// Whether it is for want of capacity: such a block is lifted when too few candidates are left.
    pub capacity: bool,
}

/// A launch that was asked for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Order {
    /// Its number, part of its name.
    pub number: u64,
    /// The candidate's key.
    pub key: String,
    /// How.
    pub lifecycle: Lifecycle,
    /// When.
    pub asked_ms: u64,
    /// Whether the cloud said that it will be.
    #[serde(default)]
    pub accepted: bool,
    /// The candidate's cloud, which stays true when the candidate leaves the list.
    #[serde(default)]
    pub cloud: Option<CloudKind>,
    /// Its class.
    #[serde(default)]
    pub class: Option<GpuClass>,
    /// Its price per hour when it was asked for.
    #[serde(default)]
    pub hourly: Option<Money>,
}

/// A worker that was seen.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Known {
    /// Its id.
    pub id: String,
    /// Its candidate's key.
    pub key: String,
    /// How it was bought.
    pub lifecycle: Lifecycle,
    /// Since when.
    pub since_ms: u64,
    /// When it was told to leave.
    pub leaving_ms: Option<u64>,
    /// Since when it has been missing in the list: one on demand counts against the limit until that is no mistake.
    #[serde(default)]
    pub missing_ms: Option<u64>,
    /// When that was last said: until it is done it is said again now and then, because a controller that dies after it wrote this down
    /// told nobody.
    #[serde(default)]
    pub told_ms: Option<u64>,
    /// When its cloud first said that it is likelier than others to be taken away soon.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at_risk_ms: Option<u64>,
    /// When it was last given back: until it is gone that is said again now and then.
    #[serde(default)]
    pub ended_ms: Option<u64>,
    /// The cloud against whose limits it counts, which stays true when its candidate leaves the list. `None` where it was
    /// never one of the list: then it counts against those of all candidates.
    #[serde(default)]
    pub cloud: Option<CloudKind>,
    /// The class against whose limits it counts.
    #[serde(default)]
    pub class: Option<GpuClass>,
    /// Its last known price per hour: what the cloud said of the instance, else the offer.
    #[serde(default)]
    pub hourly: Option<Money>,
}

/// The limits that something counts against; `None` where it was never of a candidate.
pub(crate) type Kind = (Option<CloudKind>, Option<GpuClass>);

/// Where a lifecycle's block is.
pub(crate) const fn index(lifecycle: Lifecycle) -> usize {
    match lifecycle {
        Lifecycle::Spot => 0,
        Lifecycle::OnDemand => 1,
    }
}

impl Place {
    /// Whether it may be asked.
    pub(crate) fn open(&self, lifecycle: Lifecycle, now: u64) -> bool {
        self.blocks.get(index(lifecycle)).is_none_or(|it| it.is_none_or(|block| block.until_ms <= now))
    }

    /// Leaves it alone until then, or longer where it already is.
    pub(crate) fn block(&mut self, lifecycle: Lifecycle, until_ms: u64, capacity: bool) {
        if let Some(slot) = self.blocks.get_mut(index(lifecycle))
            && slot.is_none_or(|it| it.until_ms < until_ms)
        {
            *slot = Some(Block { until_ms, capacity });
        }
    }

    /// How often an hour it takes something back, as far as is known: two hours without a loss and one loss are
    /// assumed, so that a place that is new is neither trusted nor shunned.
    pub(crate) fn losses_per_hour(&self) -> f64 {
        (self.lost as f64 + 1.0) / (self.up_ms as f64 / 3_600_000.0 + 2.0)
    }
}

impl FleetState {
    /// Forgets pools that are gone and not of the first `fleet` ones, once what they spent is of a month that is over.
    pub(crate) fn forget_gone(&mut self, fleet: usize) {
        let (mut at, mut above) = (0, self.numbers_from);
        self.pools.retain(|it| {
            at += 1;
            let stays = at <= fleet || !it.is_gone() || it.spent_micros > 0;
            if !stays {
                above = above.max(it.next_number);
            }
            stays
        });
        self.numbers_from = above;
    }
}

impl PoolState {
    /// Whether nothing is left of it: no instance, no order, no group.
    pub fn is_gone(&self) -> bool {
        self.known.is_empty() && self.orders.is_empty() && self.deleted
    }

    /// What it has on demand and does not leave: the cloud and class of each, as far as they are known.
    pub(crate) fn on_demand(&self, leaving: bool) -> impl Iterator<Item = Kind> {
        let known = self.known.iter().filter(move |it| leaving || it.leaving_ms.is_none());
        let known = known.filter(|it| it.lifecycle == Lifecycle::OnDemand).map(|it| (it.cloud, it.class));
        let orders = self.orders.iter().filter(|it| it.lifecycle == Lifecycle::OnDemand);
        known.chain(orders.map(|it| (it.cloud, it.class)))
    }

    /// What its instances and orders cost per hour.
    pub(crate) fn hourly(&self) -> Money {
        let orders = self.orders.iter().filter_map(|it| it.hourly);
        self.known.iter().filter_map(|it| it.hourly).chain(orders).sum()
    }

    /// What was spent in the current month.
    pub fn spent(&self) -> Money {
        Money::micros(self.spent_micros)
    }
}
