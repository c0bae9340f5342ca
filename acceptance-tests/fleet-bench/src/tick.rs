//! The policy's tick: 10,000 instances in 500 pools of nine places each, half of them with a queue, one in a hundred instances lost at
//! each tick and replaced.

use std::sync::Arc;

use serde_json::Value;
use streamverse_compute::cloud::Candidate;
use streamverse_compute::policy::{
    Action, Fleet, FleetState, Outcome as Answer, Pool, PoolSeen, QueueSeen, Seen, Source, Worker,
    WorkerPhase, decide,
};
use streamverse_model::compute::{
    CloudKind, GpuClass, Lifecycle, Money, PolicySpec, QueueSpec, RangeSpec, ScheduleSpec, Tenancy,
};

use crate::{Outcome, resident, row, timed};

const POOLS: usize = 500;
const EACH: usize = 20;
const PLACES: usize = 9;
const TICK_MS: u64 = 15_000;
/// The middle of a month.
const START_MS: u64 = 1_794_744_000_000;

fn queue() -> Outcome<QueueSpec> {
    Ok(serde_json::from_value(serde_json::json!({
        "topic": "jobs", "group": "transcoder", "event_log": "kafka://kafka:9092", "scale_out_above": 100, "scale_in_below": 10,
        "scale_in_after": "20m", "target_p95": "30m", "jobs_per_worker": 1, "assumed_job_time": "60s",
    }))?)
}

fn fleet() -> Outcome<Fleet> {
    let source = |place: usize| Source {
        candidate: Candidate {
            key: format!("zone-{place}"),
            cloud: CloudKind::Aws,
            region: format!("region-{}", place / 3),
            zone: Some(format!("zone-{place}")),
            shape: "g6.xlarge".to_owned(),
            gpus: 1,
            tenancy: Tenancy::Secure,
        },
        spot: Some(Money::micros(330_000 + place as u64)),
        on_demand: Some(Money::micros(1_000_000)),
    };
    let each = u32::try_from(EACH)?;
    let range = RangeSpec { min: each, max: each, price_ceiling: None, monthly_budget: Money::dollars(1e6) };
    let policy = PolicySpec { launches_per_hour: 100_000, ..PolicySpec::default() };
    let mut fleet = Fleet {
        limits: vec![(CloudKind::Aws, GpuClass::Gpu, 50)],
        monthly_budget: Money::dollars(1e8),
        ..Fleet::default()
    };
    for pool in 0..POOLS {
        let queue = if pool % 2 == 0 { Some(queue()?) } else { None };
        let sources = (0..PLACES).map(source).collect();
        let name = format!("pool-{pool:03}");
        fleet.pools.push(Pool::new(
            &name,
            sources,
            range.clone(),
            policy.clone(),
            &ScheduleSpec::default(),
            queue,
        )?);
    }
    Ok(fleet)
}

/// What was decided is done at once.
fn act(fleet: &Fleet, seen: &mut Seen, decisions: &[streamverse_compute::policy::Decision], next: &mut u64) {
    for (pool, looked) in fleet.pools.iter().zip(&mut seen.pools) {
        looked.outcomes.clear();
        looked.complete = true;
        let waiting = 50;
        looked.queue = pool.queue.as_ref().map(|_| QueueSeen { waiting, job_ms: Some(60_000), others: 0 });
    }
    for decision in decisions {
        let Some(looked) = seen.pools.get_mut(decision.pool) else { continue };
        match &decision.action {
            Action::Launch { number, candidate, lifecycle } => {
                *next += 1;
                looked.outcomes.push(Answer { number: *number, error: None, retry_after: None });
                looked.workers.push(Worker {
                    id: format!("i-{next:08}").into(),
                    candidate: *candidate,
                    lifecycle: *lifecycle,
                    phase: WorkerPhase::Ready,
                    idle_ms: None,
                    doomed_ms: None,
                    at_risk: false,
                    hourly: None,
                });
            }
            Action::Terminate { id } => looked.workers.retain(|it| it.id != *id),
            Action::Drain { id, .. } => {
                let idle = |it: &&mut Worker| Arc::ptr_eq(&it.id, id) || it.id == *id;
                looked.workers.iter_mut().filter(idle).for_each(|it| it.idle_ms = Some(1));
            }
            Action::DeleteGroups => {}
        }
    }
}

pub(crate) fn measure(rounds: usize) -> Outcome<Vec<Value>> {
    let before = resident("self")?;
    let fleet = fleet()?;
    let mut seen = Seen { pools: vec![PoolSeen::default(); POOLS] };
    let (mut now, mut next) = (START_MS, 0);
    act(&fleet, &mut seen, &[], &mut next);
    let (first, (mut state, decisions)) = timed(|| decide(&fleet, FleetState::default(), &seen, now));
    act(&fleet, &mut seen, &decisions, &mut next);
    let (mut ticks, mut writes, mut counts) = (Vec::new(), Vec::new(), Vec::new());
    let mut text = String::new();
    for round in 0..rounds + 5 {
        now += TICK_MS;
        // One in a hundred is taken back.
        let mut gone = round;
        for looked in &mut seen.pools {
            looked.workers.retain(|it| {
                gone += 1;
                gone % 100 != 0 || it.lifecycle == Lifecycle::OnDemand
            });
        }
        let given = std::mem::take(&mut state);
        let (took, (kept, decisions)) = timed(|| decide(&fleet, given, &seen, now));
        state = kept;
        let (wrote, json) = timed(|| serde_json::to_string(&state));
        text = json?;
        act(&fleet, &mut seen, &decisions, &mut next);
        if round >= 5 {
            ticks.push(took * 1e3);
            writes.push(wrote * 1e3);
            counts.push(decisions.len());
        }
    }
    let memory = resident("self")? - before;
    let instances: usize = seen.pools.iter().map(|it| it.workers.len()).sum();
    let decided = counts.iter().sum::<usize>() / counts.len().max(1);
    let note = format!("{instances} instances, {decided} decisions on average");
    Ok(vec![
        row("policy: a tick, 10,000 instances in 500 pools", "ms", ticks, Some(50.0), &note),
        row("policy: the tick that launches all of them", "ms", vec![first * 1e3], None, "from nothing"),
        row(
            "policy: the state as JSON, written",
            "ms",
            writes,
            None,
            &format!("{:.1} MB", text.len() as f64 / 1e6),
        ),
        row(
            "policy: memory of pools, state and what is seen",
            "MB",
            vec![memory],
            None,
            "this process, after minus before",
        ),
    ])
}
