//! What is started and comes to nothing: it is tried again, later each time, one at a time, and what works again is trusted again.

use streamverse_model::compute::Lifecycle;

use super::hostile::{START_MS, pool};
use super::situations::{fleet, worker};
use crate::policy::{Action, Fleet, FleetState, PoolSeen, Seen, Why, Worker, WorkerPhase, decide};

const TICK_MS: u64 = 15_000;
const HOUR: u64 = 240;

/// A pool that is paid in full, in two places, whose instances do what the test says.
struct World {
    fleet: Fleet,
    state: FleetState,
    workers: Vec<Worker>,
    /// What those that are started become: after 5 minutes, or never.
    works: bool,
    launched: Vec<(u64, String)>,
    now: u64,
    whys: Vec<Why>,
}

impl World {
    fn new(places: usize, min: u32) -> World {
        let mut pool = pool("encode", places, min, min);
        pool.candidates.iter_mut().for_each(|it| it.spot = None);
        let mut fleet = fleet(pool);
        fleet.limits.iter_mut().for_each(|it| it.2 = 100);
        for cloud in fleet.pools[0].candidates.iter().map(|it| (it.candidate.cloud, it.candidate.class())) {
            fleet.limits.push((cloud.0, cloud.1, 100));
        }
        World {
            fleet,
            state: FleetState::default(),
            workers: Vec::new(),
            works: false,
            launched: Vec::new(),
            now: START_MS,
            whys: Vec::new(),
        }
    }

    fn ticks(&mut self, count: u64) {
        for _ in 0..count {
            for worker in &mut self.workers {
                let since = self.launched.iter().find(|it| it.1 == *worker.id).unwrap().0;
                if self.works && self.now - since >= 300_000 {
                    worker.phase = WorkerPhase::Ready;
                }
            }
            let pools =
                vec![PoolSeen { complete: true, workers: self.workers.clone(), ..PoolSeen::default() }];
            let state = std::mem::take(&mut self.state);
            let (state, decisions) = decide(&self.fleet, state, &Seen { pools }, self.now);
            self.state = state;
            for decision in decisions {
                match decision.action {
                    Action::Launch { number, candidate, .. } => {
                        self.launched.push((self.now, number.to_string()));
                        let it = worker(&number.to_string(), candidate, Lifecycle::OnDemand);
                        self.workers.push(Worker { phase: WorkerPhase::Starting, ..it });
                    }
                    Action::Terminate { id } => self.workers.retain(|it| it.id != id),
                    Action::Drain { .. } => self.whys.push(decision.why),
                    Action::DeleteGroups => {}
                }
            }
            self.now += TICK_MS;
        }
    }

    fn ready(&self) -> usize {
        self.workers.iter().filter(|it| it.phase == WorkerPhase::Ready).count()
    }

    fn fails(&self) -> Option<u32> {
        self.state.pools[0].fails()
    }
}

#[test]
fn instances_that_never_start_are_tried_one_at_a_time_with_growing_pauses_and_all_come_when_one_works() {
    for places in [1, 2, 6] {
        let mut world = World::new(places, 4);
        world.ticks(24 * HOUR);
        // Twice all four; from then on one for 20 minutes, after pauses of 3, 6, 12, 24, 48 and then 60 minutes.
        let launched = world.launched.len();
        assert!((15..=36).contains(&launched), "{places} places: {launched} launches in a day");
        assert!(world.whys.iter().all(|it| *it == Why::NeverStarted));
        assert!(world.fails().unwrap() > 5, "it is told");
        let gaps: Vec<u64> = world.launched.windows(2).map(|it| it[1].0 - it[0].0).collect();
        assert!(gaps.iter().all(|it| *it <= 81 * 60_000), "{places} places: it is never given up: {gaps:?}");
        world.works = true;
        world.ticks(3 * HOUR);
        assert_eq!((world.ready(), world.fails()), (4, None), "{places} places");
        let whole = world.launched.len();
        world.ticks(HOUR);
        assert_eq!(world.launched.len(), whole);
    }
}

#[test]
fn what_is_described_anew_is_tried_at_once_and_a_host_that_is_lost_now_and_then_is_replaced_at_once() {
    let mut world = World::new(1, 2);
    world.ticks(12 * HOUR);
    assert!(world.fails().is_some());
    (world.works, world.fleet.pools[0].revision) = (true, "2".to_owned());
    world.ticks(2);
    assert_eq!((world.workers.len(), world.fails()), (2, None), "its image was mended");
    world.ticks(HOUR);
    for _ in 0..6 {
        // It is missing in the list: after two minutes that is no mistake.
        let lost = world.workers.remove(0);
        world.ticks(12);
        assert_eq!(world.workers.len(), 2, "{lost:?} is replaced");
        world.ticks(HOUR);
        assert_eq!((world.ready(), world.fails()), (2, None));
    }
}
