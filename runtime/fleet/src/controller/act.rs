//! Decide, write, do; and again at the same time while a cloud refuses.

use std::collections::{HashMap, HashSet};
use std::time::Instant;

use streamverse_compute::cloud::{CloudError, ErrorClass};
use streamverse_compute::policy::{Action, Decision, Order, Outcome, decide};
use streamverse_core::log::Progress;
use streamverse_core::{Error, Result};
use streamverse_model::compute::{
    CloudKind, FleetDecision, GroupName, InstanceName, Lifecycle, enrol_variables,
};

use super::jobs::{Done, Job, Resize, perform};
use super::keep::LEFT_OUT;
use super::look::{CloudLook, LIST, by_name, within};
use super::sizes::{Ground, Sizes, held_back, outcomes};
use super::tell::say;
use super::view::{Looker, UNSEEN_MS, View, candidate_key};
use super::{Controller, MOST_ROUNDS, refusals};

/// A tick under way.
pub(super) struct Tick {
    pub(super) now: u64,
    pub(super) looks: HashMap<CloudKind, CloudLook>,
    pub(super) view: View,
    undone: HashMap<usize, Vec<Progress>>,
    /// Sizes that were set since groups were listed; none for one that was deleted.
    sizes: HashMap<GroupName, Option<u32>>,
    /// What was given back.
    gone: HashSet<String>,
    /// Launches by name that were asked for in this tick, by pool and number.
    pub(super) tried: HashSet<(usize, u64)>,
    /// Groups whose growth failed in this tick without a refusal.
    unsure: HashSet<GroupName>,
    /// Clouds where on-demand could not be made less: there is no more of it.
    held: HashSet<CloudKind>,
    /// Clouds where groups grew in this round.
    grew: HashSet<CloudKind>,
    /// Decisions, in order.
    pub(super) decided: Vec<Decision>,
    /// Those that are kept: the record's id, the place among the decisions, and the record.
    pub(super) kept: Vec<(u64, usize, FleetDecision)>,
    /// What came of them where it was not simply done: by pool, and by number or id.
    pub(super) came_of: HashMap<(usize, String), String>,
    /// Refusals, by pool.
    pub(super) refused: Vec<(usize, ErrorClass)>,
}

impl Tick {
    pub(super) fn new(
        now: u64,
        looks: HashMap<CloudKind, CloudLook>,
        view: View,
        undone: HashMap<usize, Vec<Progress>>,
    ) -> Tick {
        Tick {
            now,
            looks,
            view,
            undone,
            sizes: HashMap::new(),
            gone: HashSet::new(),
            tried: HashSet::new(),
            unsure: HashSet::new(),
            held: HashSet::new(),
            grew: HashSet::new(),
            decided: Vec::new(),
            kept: Vec::new(),
            came_of: HashMap::new(),
            refused: Vec::new(),
        }
    }

    /// The policy is told, and so is whoever asks why.
    fn outcome(&mut self, pool: usize, outcome: Outcome, told: Option<&CloudError>) {
        if let Some(class) = outcome.error {
            let text = refusals::refused(class, told);
            self.came_of.insert((pool, outcome.number.to_string()), text);
            self.refused.extend((class != ErrorClass::Unknown).then_some((pool, class)));
        }
        if let Some(seen) = self.view.seen.pools.get_mut(pool) {
            seen.outcomes.push(outcome);
        }
    }
}

impl Controller {
    /// Launches by name are known by their numbers: the order of what is listed now was accepted, and comes behind the others of its kind,
    /// since the policy takes the last.
    pub(super) fn order_orders(&mut self, view: &View, looks: &HashMap<CloudKind, CloudLook>) {
        let pools = self.state.pools.iter_mut().zip(&view.seen.pools).zip(&view.spots);
        for ((memory, seen), spots) in pools.filter(|it| !it.0.0.orders.is_empty()) {
            for (worker, spot) in seen.workers.iter().zip(spots).rev() {
                let known = memory.known.binary_search_by(|it| it.id.as_str().cmp(&worker.id)).is_ok();
                let name = spot.instance(looks).and_then(|it| it.name.as_ref());
                let (false, Some(name)) = (known, name) else { continue };
                if let Some(at) = memory.orders.iter().position(|it| it.number == name.number) {
                    let order = memory.orders.remove(at);
                    memory.orders.push(Order { accepted: true, ..order });
                }
            }
        }
    }

    /// All rounds of a tick.
    pub(super) async fn act(&mut self, tick: &mut Tick, began: Instant) -> Result<()> {
        self.take_back(tick).await;
        self.expire(tick);
        let places = self.plan.fleet.pools.iter().map(|it| it.candidates.len()).max().unwrap_or(0);
        // Each round asks other places: there are no more rounds than places, for each lifecycle, and one.
        for round in 0..=places.saturating_mul(2).min(MOST_ROUNDS) {
            let state = std::mem::take(&mut self.state);
            let (state, decisions) = decide(&self.plan.fleet, state, &tick.view.seen, tick.now);
            self.state = state;
            for seen in &mut tick.view.seen.pools {
                seen.outcomes.clear();
            }
            let jobs = self.ends(tick, &decisions);
            let mut acts = !jobs.is_empty() || !decisions.is_empty();
            let sizes = self.ground(tick).resizes();
            acts |= !sizes.0.is_empty() || !self.to_launch(tick).is_empty();
            // Nothing is asked for that was not written down before, with its why; nothing is told that was not.
            let kept = self.kept(tick, &decisions);
            let measured = self.remembered.measured(tick.now);
            if !self.keep.state(&self.state, &measured, kept, acts, tick.now).await? {
                let text = "another controller wrote the state meanwhile: it acts, this one does not";
                return Err(Error::passing("fleet-taken", text));
            }
            let first = tick.decided.len();
            let of_one = |it: &FleetDecision| it.why != LEFT_OUT;
            let meters = &self.meters;
            let tell = |it: &FleetDecision| {
                if of_one(it) {
                    say(meters, it);
                }
            };
            let mut told = self.keep.decisions(tell).await?;
            told.retain(|(_, it)| of_one(it));
            self.decided(decisions.get(told.len()..).unwrap_or_default());
            tick.kept.extend(told.into_iter().zip(first..).map(|((id, it), at)| (id, at, it)));
            tick.decided.extend(decisions.iter().cloned());
            if round == 0 {
                self.drain(tick);
                self.list_members(tick);
            }
            let fenced = decisions.iter().any(|it| it.action == Action::DeleteGroups);
            let again = self.do_all(tick, jobs, sizes, fenced).await;
            let late = began.elapsed() > self.parts.spec.tick.0;
            if !again || late {
                break;
            }
        }
        self.carry(tick);
        Ok(())
    }

    /// What was accepted last is remembered, and written with the next look; what was refused is told to the policy then.
    fn carry(&mut self, tick: &mut Tick) {
        let pools = self.plan.entries.iter().zip(&mut self.state.pools).zip(&mut tick.view.seen.pools);
        for ((entry, memory), seen) in pools {
            for outcome in seen.outcomes.drain(..) {
                if outcome.error.is_some() {
                    self.carried.push((entry.name.clone(), outcome));
                    continue;
                }
                let order = memory.orders.iter_mut().find(|it| it.number == outcome.number);
                if let Some(order) = order {
                    order.accepted = true;
                }
            }
        }
    }

    /// What the look before was left to tell.
    pub(super) fn told_before(&mut self, view: &mut View) {
        for (name, outcome) in std::mem::take(&mut self.carried) {
            let at = self.plan.by_name.get(&name).copied();
            if let Some(seen) = at.and_then(|at| view.seen.pools.get_mut(at)) {
                seen.outcomes.push(outcome);
            }
        }
    }

    pub(super) fn ground<'a>(&'a self, tick: &'a Tick) -> Ground<'a> {
        Ground {
            deployment: &self.parts.deployment,
            plan: &self.plan,
            state: &self.state,
            view: &tick.view,
            looks: &tick.looks,
            sizes: &tick.sizes,
            gone: &tick.gone,
            ensured: &self.ensured,
            now: tick.now,
        }
    }

    /// Groups that a cloud cannot fill, and those of fenced pools, are set back, so that they launch nothing any more; then
    /// the policy is told.
    async fn take_back(&mut self, tick: &mut Tick) -> bool {
        let back = self.ground(tick).refused();
        let classes: HashMap<GroupName, ErrorClass> =
            back.iter().map(|(it, class)| (it.group.clone(), *class)).collect();
        let jobs = back.into_iter().map(|(it, _)| Job::Resize(it)).collect();
        let mut any = false;
        for done in perform(&self.parts.clouds, jobs).await {
            let Done::Resized(it, _, Ok(())) = done else { continue };
            any = true;
            let class = classes.get(&it.group).copied().unwrap_or(ErrorClass::Capacity);
            tick.sizes.insert(it.group.clone(), Some(it.to));
            for outcome in outcomes(&it.orders, Some(class)) {
                tick.outcome(it.pool, outcome, None);
            }
        }
        any
    }

    /// Orders of pools that nothing is started for any more, and that were not seen for long, came to nothing.
    fn expire(&mut self, tick: &mut Tick) {
        let started = self.remembered.started_ms;
        self.remembered.tried.retain(|_, (at, _)| tick.now.saturating_sub(*at) < 2 * UNSEEN_MS);
        let mut over = Vec::new();
        for (index, entry, pool, memory) in self.ground(tick).pools() {
            for order in &memory.orders {
                // A launch whose outcome nobody knows was asked for again since: it may still appear.
                let tried = self.remembered.tried.get(&(entry.name.clone(), order.number)).copied();
                let last = order.asked_ms.max(started).max(tried.map_or(0, |it| it.0));
                let unseen = tick.now.saturating_sub(last) >= UNSEEN_MS;
                let gone = pool.tombstone || !entry.keys.contains_key(&order.key);
                if unseen && (gone || held_back(pool, order, tick.now)) {
                    over.push((index, order.number));
                }
            }
        }
        for (index, number) in over {
            for outcome in outcomes(&[number], Some(ErrorClass::Transient)) {
                tick.outcome(index, outcome, None);
            }
        }
    }

    /// What decisions end: instances and groups.
    fn ends(&self, tick: &Tick, decisions: &[Decision]) -> Vec<Job> {
        let mut jobs: Vec<Job> = self
            .ground(tick)
            .deserted()
            .into_iter()
            .filter(|(_, _, group)| self.refusals.may_delete(group, tick.now))
            .map(|(pool, cloud, group)| Job::DeleteGroup { pool, cloud, group })
            .collect();
        for decision in decisions {
            let pool = decision.pool;
            match &decision.action {
                Action::Terminate { id } => {
                    let Some((_, spot)) = tick.view.worker(pool, id) else { continue };
                    let Some(instance) = spot.instance(&tick.looks) else { continue };
                    jobs.push(Job::Terminate { pool, cloud: spot.cloud, instance: instance.clone() });
                }
                Action::DeleteGroups => {
                    let Some(entry) = self.plan.entries.get(pool) else { continue };
                    for (cloud, look) in &tick.looks {
                        let groups = look.groups.iter().flat_map(HashMap::keys);
                        for group in groups.filter(|it| it.pool.as_str() == entry.name) {
                            jobs.push(Job::DeleteGroup { pool, cloud: *cloud, group: group.clone() });
                        }
                    }
                }
                // Orders and those who leave are in the state, and done from there: so is what an earlier controller left.
                Action::Launch { .. } | Action::Drain { .. } => {}
            }
        }
        jobs
    }

    /// Launches by name: all orders that nobody accepted and nobody saw, by pool, with their clouds and candidates.
    fn to_launch<'a>(&'a self, tick: &'a Tick) -> Vec<(usize, CloudKind, &'a Order)> {
        let ground = self.ground(tick);
        let mut all = Vec::new();
        for (index, entry, pool, memory) in ground.pools() {
            for order in memory.orders.iter().filter(|it| !it.accepted && !pool.tombstone) {
                let cloud = entry.keys.get(&order.key).and_then(|at| pool.candidates.get(*at));
                let Some(cloud) = cloud.map(|it| it.candidate.cloud) else { continue };
                let tried = tick.tried.contains(&(index, order.number));
                if !tried && !ground.has_groups(cloud) && !held_back(pool, order, tick.now) {
                    all.push((index, cloud, order));
                }
            }
        }
        all
    }

    fn launches(&self, tick: &Tick) -> Vec<Job> {
        let ground = self.ground(tick);
        let mut jobs = Vec::new();
        for (pool, cloud, order) in self.to_launch(tick) {
            let Some(mut spec) = ground.spec(pool, order.lifecycle, &order.key) else { continue };
            let name = InstanceName { group: spec.name.clone(), number: order.number };
            let entry = self.plan.entries.get(pool).filter(|it| it.work.is_some());
            if let Some(record) = entry.and_then(|it| it.record.as_ref()) {
                let fleet = &record.definition.name;
                spec.environment.extend(self.parts.workers.invite(fleet, &name, tick.now));
                spec.environment.insert(enrol_variables::NOTICES.to_owned(), cloud.as_str().to_owned());
            }
            jobs.push(Job::Launch { pool, cloud, spec, name });
        }
        jobs
    }

    /// Does what is decided: first what ends, then what gets smaller, then what grows. Whether something was refused, so that
    /// it is decided again.
    async fn do_all(&mut self, tick: &mut Tick, ends: Vec<Job>, sizes: Sizes, fenced: bool) -> bool {
        let ended = !ends.is_empty();
        for done in perform(&self.parts.clouds, ends).await {
            self.ended(tick, done);
        }
        // What ended made groups smaller.
        let (resizes, fits) = if ended { self.ground(tick).resizes() } else { sizes };
        let (grow, shrink): (Vec<Resize>, Vec<Resize>) = resizes.into_iter().partition(|it| it.to > it.from);
        for done in perform(&self.parts.clouds, shrink.into_iter().map(Job::Resize).collect()).await {
            self.resized(tick, done);
        }
        for (pool, number) in fits {
            for outcome in outcomes(&[number], None) {
                tick.outcome(pool, outcome, None);
            }
        }
        let may = |it: &Resize| {
            let held = is_on_demand(&it.group) && tick.held.contains(&it.cloud);
            !held && !tick.unsure.contains(&it.group)
        };
        let mut jobs: Vec<Job> = grow.into_iter().filter(may).map(Job::Resize).collect();
        jobs.extend(self.launches(tick));
        self.announce(tick, &jobs);
        tick.grew.clear();
        for done in perform(&self.parts.clouds, jobs).await {
            match done {
                Done::Launched(..) => self.launched(tick, done),
                _ => self.resized(tick, done),
            }
        }
        self.look_again(tick).await;
        let refused = |it: &Outcome| it.error.is_some_and(|class| class != ErrorClass::Unknown);
        let refused = tick.view.seen.pools.iter().any(|it| it.outcomes.iter().any(refused));
        refused || fenced && self.all_deleted(tick)
    }

    fn ended(&mut self, tick: &mut Tick, done: Done) {
        match done {
            Done::Terminated(_, cloud, instance, Ok(())) => {
                self.remembered.launched.retain(|it| it.1.id != instance.id);
                tick.gone.insert(instance.id.clone());
                let groups = tick.looks.get(&cloud).and_then(|it| it.groups.as_ref());
                let listed = groups.and_then(|it| it.get(&instance.group)).map(|it| it.size);
                let size = tick.sizes.get(&instance.group).copied().unwrap_or(listed);
                if let Some(size) = size {
                    tick.sizes.insert(instance.group, Some(size.saturating_sub(1)));
                }
            }
            Done::Terminated(pool, _, instance, Err(error)) => {
                tick.came_of.insert((pool, instance.id), refusals::failed(&error));
            }
            Done::Deleted(_, cloud, group, Ok(())) => {
                self.ensured.remove(&group);
                self.refusals.deleted(&group, None, tick.now);
                tick.sizes.insert(group.clone(), None);
                if let Some(groups) = tick.looks.get_mut(&cloud).and_then(|it| it.groups.as_mut()) {
                    groups.remove(&group);
                }
            }
            Done::Deleted(pool, _, group, Err(error)) => {
                self.refusals.deleted(&group, Some(&error), tick.now);
                tick.came_of.insert((pool, String::new()), format!("{group}: {}", refusals::failed(&error)));
            }
            Done::Resized(..) | Done::Launched(..) => {}
        }
    }

    /// Tells the policy of pools whose last group is gone.
    fn all_deleted(&self, tick: &mut Tick) -> bool {
        let mut any = false;
        for (entry, (pool, seen)) in
            self.plan.entries.iter().zip(self.plan.fleet.pools.iter().zip(&mut tick.view.seen.pools))
        {
            let left = tick.looks.values().filter_map(|it| it.groups.as_ref()).flat_map(HashMap::keys);
            let none = !left.into_iter().any(|it| it.pool.as_str() == entry.name);
            let sure = !self.remembered.in_doubt(&entry.name, tick.now);
            if pool.tombstone && seen.complete && none && sure {
                (seen.groups_deleted, any) = (true, true);
            }
        }
        any
    }

    fn resized(&mut self, tick: &mut Tick, done: Done) {
        let Done::Resized(it, ensured, done) = done else { return };
        if let (true, Some(spec)) = (ensured, it.ensure) {
            self.ensured.insert(it.group.clone(), spec);
        }
        let grows = it.to > it.from;
        if grows {
            self.refusals.heard(it.cloud, &it.group, done.as_ref().err(), tick.now);
        }
        match done {
            Ok(()) => {
                tick.sizes.insert(it.group, Some(it.to));
                if grows {
                    tick.grew.insert(it.cloud);
                }
                for outcome in outcomes(&it.orders, None) {
                    tick.outcome(it.pool, outcome, None);
                }
            }
            Err(error) => {
                if !grows && is_on_demand(&it.group) {
                    tick.held.insert(it.cloud);
                }
                if error.class == ErrorClass::Unknown {
                    tick.unsure.insert(it.group);
                }
                // What the group was granted before it still has.
                let memory = self.state.pools.get(it.pool).map(|it| it.orders.as_slice()).unwrap_or_default();
                let granted = |number: u64| memory.iter().any(|it| it.number == number && it.accepted);
                let refused: Vec<u64> = it.orders.iter().copied().filter(|it| !granted(*it)).collect();
                for outcome in outcomes(&refused, Some(error.class)) {
                    let outcome = Outcome { retry_after: error.retry_after, ..outcome };
                    tick.outcome(it.pool, outcome, Some(&error));
                }
            }
        }
    }

    fn launched(&mut self, tick: &mut Tick, done: Done) {
        let Done::Launched(pool, cloud, name, done) = done else { return };
        let number = name.number;
        self.refusals.heard(cloud, &name.group, done.as_ref().err(), tick.now);
        // It may have taken effect at the end of the call, whatever came of it.
        let ended_ms = self.parts.clock.now_ms().max(tick.now);
        let unknown = done.as_ref().is_err_and(|it| it.class == ErrorClass::Unknown);
        self.remembered.tried.insert((name.group.pool.to_string(), number), (ended_ms, unknown));
        match done {
            Ok(instance) => {
                self.remembered.launched.push((cloud, instance, tick.now));
                tick.outcome(pool, Outcome { number, error: None, retry_after: None }, None);
            }
            Err(error) => {
                let (class, retry_after) = (Some(error.class), error.retry_after);
                tick.outcome(pool, Outcome { number, error: class, retry_after }, Some(&error));
            }
        }
    }

    /// Where groups grew, whether the cloud refused at once: then it is asked elsewhere within the same tick.
    async fn look_again(&mut self, tick: &mut Tick) {
        let mut fresh = false;
        for kind in std::mem::take(&mut tick.grew) {
            let Some(cloud) = self.parts.clouds.get(&kind) else { continue };
            let Ok(groups) = within(LIST, "its groups", cloud.groups(&self.parts.deployment)).await else {
                continue;
            };
            if !groups.iter().any(|it| it.refused.is_some()) {
                continue;
            }
            let listed = within(LIST, "its instances", cloud.instances(&self.parts.deployment)).await;
            let (Ok(listed), Some(look)) = (listed, tick.looks.get_mut(&kind)) else { continue };
            for group in &groups {
                tick.sizes.remove(&group.name);
            }
            look.groups = Some(by_name(groups));
            look.instances = Some(listed.into_iter().filter(|it| !tick.gone.contains(&it.id)).collect());
            fresh = true;
        }
        if !fresh {
            return;
        }
        let mut told: Vec<Vec<Outcome>> = Vec::new();
        for seen in &mut tick.view.seen.pools {
            told.push(std::mem::take(&mut seen.outcomes));
        }
        let looker = Looker {
            deployment: &self.parts.deployment,
            plan: &self.plan,
            state: &self.state,
            workers: &*self.parts.workers,
            heard_ms: self.parts.workers.heard_ms(),
            undone: &tick.undone,
            now: tick.now,
        };
        tick.view = looker.view(&mut tick.looks, &mut self.remembered);
        for (seen, told) in tick.view.seen.pools.iter_mut().zip(told) {
            seen.outcomes = told;
        }
        self.take_back(tick).await;
    }
}

/// Whether a group buys on demand.
fn is_on_demand(group: &GroupName) -> bool {
    candidate_key(group, Lifecycle::OnDemand).is_some()
}
