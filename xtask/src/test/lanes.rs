//! Runs test programs beside each other: most of what the long ones do is wait, for timers, servers and browsers.
//!
//! What may run together is counted in processors. A program that keeps both busy runs with one that waits, never with
//! its like, for a test that is late on a crowded machine is worse than a slow run. The longest begin first, so that
//! nothing long is left for the end. What a program prints is held back until it ends, and then shown whole.

use std::ffi::OsString;
use std::sync::{Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::count::TestCount;
use super::noted::Program;
use crate::failure::{Failure, Outcome};
use crate::process::clock;

/// The longest takes eight minutes on a busy machine.
const PROGRAM_LIMIT: Duration = Duration::from_secs(20 * 60);
/// What all that run may keep busy together, for each processor: a little more than it has, as none works all the time.
/// As many run as there are processors, however little they do: each has peaks, and runs tests of its own beside each other.
const LOAD_PER_PROCESSOR: f64 = 1.2;
/// Of how many the time is told at the end.
const TOLD: usize = 15;

/// What is known of a program beforehand. Only the order hangs on it: nothing fails when it is wrong.
#[derive(Clone, Copy)]
struct Known {
    name: &'static str,
    /// How long it takes.
    seconds: u32,
    /// How many processors it keeps busy on average, with what it starts.
    load: f64,
    /// Why nothing may run beside it.
    alone: Option<&'static str>,
}

const fn known(name: &'static str, seconds: u32, load: f64) -> Known {
    Known { name, seconds, load, alone: None }
}

/// Of each that takes more than ten seconds; the others are taken for short and busy. The table that ends a run says how
/// long they took now.
const KNOWN: &[Known] = &[
    Known {
        name: "tfplugin-framework/transport",
        seconds: 17,
        load: 1.0,
        alone: Some("it says of connections what must happen within a second"),
    },
    known("streamverse-acceptance/kubernetes", 379, 0.8),
    known("streamverse-acceptance/node", 336, 0.9),
    known("streamverse-acceptance/kills", 267, 0.4),
    known("terraform-provider-corner/framework", 187, 1.8),
    known("streamverse-core/stores", 145, 0.3),
    known("streamverse-runpod-stand-in/fleet", 110, 0.8),
    known("streamverse-runpod-stand-in/terraform", 110, 0.8),
    known("streamverse-acceptance/rented_fleet", 105, 1.2),
    known("streamverse-acceptance/traffic", 89, 1.2),
    known("streamverse-media/pipeline", 80, 1.0),
    known("streamverse-acceptance/keys", 73, 0.6),
    known("streamverse-acceptance/stores", 57, 0.8),
    known("streamverse-acceptance/agent", 56, 0.8),
    known("tfplugin-schema/derive_errors", 45, 1.5),
    known("streamverse-drm/licence", 44, 0.8),
    known("streamverse-acceptance/channel", 42, 1.2),
    known("streamverse-acceptance/faults", 41, 0.8),
    known("streamverse-sites/streamverse_sites", 41, 0.8),
    known("streamverse-acceptance/listeners", 35, 0.4),
    known("streamverse-acceptance/remote", 33, 0.8),
    known("streamverse-delivery/streamverse_delivery", 30, 1.8),
    known("streamverse-acceptance/drain", 23, 0.4),
    known("streamverse-drm/streamverse_drm", 23, 1.8),
    known("tfplugin-testing/cli", 23, 1.2),
    known("streamverse-acceptance/licences", 20, 0.8),
    known("streamverse-model/streamverse_model", 17, 1.8),
    known("streamverse-acceptance/sites", 15, 0.8),
    known("terraform-provider-streamverse/plan", 14, 1.8),
    known("streamverse-zones-stand-in/kills", 12, 0.6),
    known("streamverse-acceptance/edge", 11, 0.4),
    known("streamverse-acceptance/cluster", 11, 1.2),
];

const UNKNOWN: Known = known("", 1, 1.8);

fn about(name: &str) -> Known {
    KNOWN.iter().find(|known| known.name == name).copied().unwrap_or(UNKNOWN)
}

/// What the machine has room for.
struct Room {
    programs: usize,
    load: f64,
}

impl Room {
    fn here() -> Self {
        let processors = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        Self::of(u16::try_from(processors).unwrap_or(1))
    }

    fn of(processors: u16) -> Self {
        Self { programs: processors.into(), load: f64::from(processors) * LOAD_PER_PROCESSOR }
    }

    /// Which of those that wait, the longest first, may begin beside those that run.
    fn next(&self, waiting: &[Known], running: &[Known]) -> Option<usize> {
        if running.is_empty() {
            return (!waiting.is_empty()).then_some(0);
        }
        if running.len() >= self.programs || running.iter().any(|one| one.alone.is_some()) {
            return None;
        }
        let left = self.load - running.iter().map(|one| one.load).sum::<f64>();
        waiting.iter().position(|one| one.alone.is_none() && one.load <= left)
    }
}

/// What threads share: who waits, who runs, and what came of the others.
struct Lanes {
    waiting: Vec<(Known, Program)>,
    running: Vec<(Known, String)>,
    count: TestCount,
    times: Vec<(Duration, String)>,
    failed: Vec<String>,
}

/// Runs them all, and returns what libtest counted. Each has an end; so has the whole, at `until`.
pub(super) fn run(
    mut programs: Vec<Program>,
    environment: &[(String, OsString)],
    until: Instant,
) -> Outcome<String> {
    let started = Instant::now();
    programs.sort_by_key(|program| {
        let known = about(&program.name);
        // What runs alone goes first: at the end it would wait for the last to finish.
        (known.alone.is_none(), std::cmp::Reverse(known.seconds))
    });
    let all = programs.len();
    let waiting = programs.into_iter().map(|program| (about(&program.name), program)).collect();
    let lanes = Lanes {
        waiting,
        running: Vec::new(),
        count: TestCount::default(),
        times: Vec::new(),
        failed: Vec::new(),
    };
    let (lanes, changed, room) = (Mutex::new(lanes), Condvar::new(), Room::here());
    std::thread::scope(|scope| {
        for _ in 0..room.programs.min(all) {
            scope.spawn(|| work(&lanes, &changed, &room, environment, until));
        }
    });
    let lanes = lanes.into_inner().unwrap_or_else(PoisonError::into_inner);
    finish(lanes, started.elapsed())
}

/// One lane: takes what may begin, runs it, shows what it printed, until nothing is left.
fn work(
    lanes: &Mutex<Lanes>,
    changed: &Condvar,
    room: &Room,
    environment: &[(String, OsString)],
    until: Instant,
) {
    let mut held = lanes.lock().unwrap_or_else(PoisonError::into_inner);
    loop {
        let waiting: Vec<Known> = held.waiting.iter().map(|(known, _)| *known).collect();
        let running: Vec<Known> = held.running.iter().map(|(known, _)| *known).collect();
        let Some(next) = room.next(&waiting, &running) else {
            if held.waiting.is_empty() {
                return;
            }
            held = changed.wait(held).unwrap_or_else(PoisonError::into_inner);
            continue;
        };
        let (known, program) = held.waiting.remove(next);
        let beside: Vec<&str> = held.running.iter().map(|(_, name)| name.as_str()).collect();
        println!(
            "  begins: {} (beside it: {}; {} wait)",
            program.name,
            beside.join(", "),
            held.waiting.len()
        );
        held.running.push((known, program.name.clone()));
        drop(held);
        // Somebody may begin beside this one.
        changed.notify_all();
        let (lines, time, outcome) = one(&program, environment, until);
        held = lanes.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(at) = held.running.iter().position(|(_, name)| *name == program.name) {
            held.running.remove(at);
        }
        held.show(&program, &lines, time, outcome);
        changed.notify_all();
    }
}

/// Runs one; what it printed, how long it took, and how it ended.
fn one(
    program: &Program,
    environment: &[(String, OsString)],
    until: Instant,
) -> (Vec<String>, Duration, Outcome) {
    let begun = Instant::now();
    let limit = until.saturating_duration_since(begun).min(PROGRAM_LIMIT);
    let mut lines = Vec::new();
    if limit.is_zero() {
        return (
            lines,
            limit,
            Err(Failure::new(format!("{}: not run, the time of all is over", program.name))),
        );
    }
    let run = environment.iter().fold(program.run(limit), |run, (name, value)| run.env(name, value));
    let outcome = run.collect(|line| {
        // The sooner it is known the better: the rest follows when the program ends.
        if line.starts_with("test ") && line.ends_with(" ... FAILED") {
            println!("  {}: {line}", program.name);
        }
        lines.push(line);
    });
    (lines, begun.elapsed(), outcome)
}

impl Lanes {
    fn show(&mut self, program: &Program, lines: &[String], time: Duration, outcome: Outcome) {
        let mut text = format!("\n     Ran {} in {}\n", program.name, clock(time));
        for line in lines {
            text.push_str(line);
            text.push('\n');
            self.count.see(line);
        }
        // At once: another lane has something to say too.
        print!("{text}");
        self.times.push((time, program.name.clone()));
        if let Err(failure) = outcome {
            println!("FAILED {failure}");
            let tests =
                lines.iter().filter_map(|line| line.strip_prefix("test ")?.strip_suffix(" ... FAILED"));
            let tests: Vec<&str> = tests.collect();
            self.failed.push(format!("{failure}: {}; again: {}", tests.join(", "), program.repeat()));
        }
    }
}

fn finish(mut lanes: Lanes, wall: Duration) -> Outcome<String> {
    let sum: Duration = lanes.times.iter().map(|(time, _)| *time).sum();
    lanes.times.sort_by_key(|(time, _)| std::cmp::Reverse(*time));
    println!("\nThe longest of {} programs; {} of tests in {}", lanes.times.len(), clock(sum), clock(wall));
    for (time, name) in lanes.times.iter().take(TOLD) {
        println!("  {:>10}  {name}", clock(*time));
    }
    if lanes.failed.is_empty() {
        return Ok(lanes.count.to_string());
    }
    println!("\nFailed:\n  {}", lanes.failed.join("\n  "));
    Err(Failure::new(format!("{}; {}", lanes.count, lanes.failed.join("; "))))
}

#[cfg(test)]
mod tests {
    use super::*;

    const BUSY: Known = known("busy", 200, 1.8);
    const HALF: Known = known("half", 100, 1.0);
    const IDLE: Known = known("idle", 100, 0.4);
    const ALONE: Known = Known { name: "alone", seconds: 10, load: 0.1, alone: Some("why") };

    #[test]
    fn two_that_keep_the_machine_busy_do_not_run_together() {
        let room = Room::of(2);
        assert_eq!(room.next(&[BUSY, HALF, IDLE], &[BUSY]), Some(2));
        assert_eq!(room.next(&[BUSY, HALF], &[BUSY]), None);
        assert_eq!(room.next(&[BUSY, HALF], &[HALF]), Some(1));
        assert_eq!(room.next(&[IDLE], &[IDLE, IDLE]), None);
        // Whatever it is, something runs.
        assert_eq!(Room::of(1).next(&[BUSY], &[]), Some(0));
        assert_eq!(room.next(&[], &[]), None);
    }

    #[test]
    fn all_run_with_what_they_are_told_and_who_failed_or_hangs_is_named() {
        let soon = || Instant::now() + Duration::from_secs(60);
        let good = Program::shell("a/good", "echo 'test result: ok. 2 passed; 0 failed; 1 ignored'");
        let told = Program::shell("a/told", "test \"$WORD\" = given");
        let word = [("WORD".to_owned(), OsString::from("given"))];
        assert_eq!(
            run(vec![good.clone(), told.clone()], &word, soon()).unwrap(),
            "2 passed, 0 failed, 1 ignored in 1 programs"
        );
        let failure = run(vec![good.clone(), told], &[], soon()).unwrap_err().to_string();
        assert!(failure.contains("2 passed") && failure.contains("a/told: exit status: 1"), "{failure}");
        let hangs = Program::shell("a/hangs", "sleep 300");
        let failure = run(vec![hangs, good], &[], Instant::now() + Duration::from_millis(400)).unwrap_err();
        assert!(failure.to_string().contains("a/hangs: did not end within"), "{failure}");
    }

    #[test]
    fn nothing_begins_beside_what_runs_alone_nor_that_beside_others() {
        let room = Room::of(8);
        assert_eq!(room.next(&[IDLE], &[ALONE]), None);
        assert_eq!(room.next(&[ALONE, IDLE], &[IDLE]), Some(1));
        assert_eq!(room.next(&[ALONE], &[IDLE]), None);
        assert_eq!(room.next(&[ALONE, IDLE], &[]), Some(0));
    }
}
