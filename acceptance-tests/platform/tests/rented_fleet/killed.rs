//! A host that fails while its pod encodes: what the pod had begun then, and who goes on with it.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use streamverse_acceptance::servers::Servers;
use streamverse_runpod_stand_in::StandIn;

use crate::{inside, pods, until};

/// A task that a worker said it begins: `ASSET/GENERATION/RENDITION-FIRST`, and which of its segments; of sound the whole.
#[derive(Clone, Debug, PartialEq)]
struct Begun {
    task: String,
    segments: Option<(u64, u64)>,
}

impl Begun {
    fn read(line: &str) -> Option<Begun> {
        let (_, rest) = line.split_once(" Encoding. task=\"")?;
        let (task, rest) = rest.split_once('"')?;
        let number = |name: &str| {
            let (_, text) = rest.split_once(&format!(" {name}="))?;
            text.split_whitespace().next()?.parse().ok()
        };
        Some(Begun { task: task.to_owned(), segments: number("first").zip(number("end")) })
    }

    /// Whether an encoder with these arguments does it.
    fn is_done_by(&self, arguments: &[String]) -> bool {
        let mut parts = self.task.split('/');
        let source = format!("/source/{}-{}", parts.next().unwrap_or(""), parts.next().unwrap_or(""));
        let after = |name: &str| arguments.iter().skip_while(|it| *it != name).nth(1);
        let its = after("-i").is_some_and(|it| it.ends_with(&source));
        // Sound has no segments, and is not held.
        let first = after("-segment_start_number").and_then(|it| it.parse().ok());
        its && first.is_some() && first == self.segments.map(|(first, _)| first)
    }

    /// The end of the key of one of its segments in the object store.
    fn key(&self, segment: u64) -> String {
        let (place, name) = self.task.rsplit_once('/').unwrap();
        let (rendition, _) = name.rsplit_once('-').unwrap();
        format!("/work/{place}/video/{rendition}/{segment:06}.ts")
    }

    /// Those of its segments that are in the store, and those that are not.
    fn segments_in(&self, objects: &[String]) -> (Vec<u64>, Vec<u64>) {
        let (first, end) = self.segments.unwrap_or((0, 0));
        (first..end).partition(|it| objects.iter().any(|object| object.ends_with(&self.key(*it))))
    }
}

/// What was begun in a pod and is not finished.
pub(crate) struct Killed {
    pod: String,
    /// As its transcoder called itself.
    transcoders: Vec<String>,
    task: String,
    /// The task's segments that are there.
    there: Vec<u64>,
    missing: Vec<u64>,
    /// How long each pod's log was then.
    logs: BTreeMap<PathBuf, usize>,
}

/// Kills the host of a pod in the middle of a task of a film: some of its segments are there, some are not. Whatever ran there ends
/// with it. So that it is in the middle for sure, its encoder is held for each look at what is there.
pub(crate) fn kill_one(
    runpod: &StandIn,
    servers: &Servers,
    logs: &Path,
    over: &AtomicBool,
) -> Option<Killed> {
    let end = Instant::now() + Duration::from_secs(240);
    while Instant::now() < end && !over.load(Ordering::Relaxed) {
        for pod in pods(runpod) {
            if let Some(killed) = kill_in_the_middle(&pod, runpod, servers, logs) {
                return Some(killed);
            }
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    None
}

fn kill_in_the_middle(pod: &str, runpod: &StandIn, servers: &Servers, logs: &Path) -> Option<Killed> {
    let begun = read(&logs.join(format!("{pod}.log"))).lines().filter_map(Begun::read).next_back()?;
    let encoder = inside::encoders(pod).into_iter().find(|(_, it)| begun.is_done_by(it))?.0;
    let held = Held::new(encoder);
    let (there, missing) = begun.segments_in(&servers.objects());
    // One that is finished may be on its way there.
    if there.is_empty() || missing.len() < 2 || inside::has_ended(encoder) {
        return None;
    }
    let lengths = all(logs).into_iter().map(|it| (it.clone(), read(&it).len())).collect();
    let processes = inside::of(pod);
    assert!(processes.len() > 2, "an agent, its worker and an encoder: {processes:?}");
    runpod.kill_pod(pod);
    until("its processes end", 20, || {
        inside::of(pod).is_empty() && processes.iter().all(|it| inside::has_ended(*it))
    });
    drop(held);
    // What it sent last arrives before anybody else may take the task.
    std::thread::sleep(Duration::from_millis(500));
    let (there, missing) = begun.segments_in(&servers.objects());
    assert!(!missing.is_empty(), "{begun:?} was finished without its encoder");
    eprintln!("{pod} is killed in {begun:?}: {there:?} are there, {missing:?} are missing");
    let transcoders = processes.into_iter().map(inside::transcoder).collect();
    Some(Killed { pod: pod.to_owned(), transcoders, task: begun.task, there, missing, logs: lengths })
}

impl Killed {
    /// Another pod took the task, began where the missing segments begin, and told them; nobody began again what was there.
    pub(crate) fn is_resumed_elsewhere(&self, logs: &Path, records: &[serde_json::Value]) {
        let mut after = Vec::new();
        for log in all(logs).into_iter().filter(|it| !it.ends_with(format!("{}.log", self.pod))) {
            let text = read(&log);
            let since = text.get(self.logs.get(&log).copied().unwrap_or(0)..).unwrap_or_default();
            let of_it = |line: &str| Begun::read(line).filter(|it| it.task == self.task);
            after.extend(since.lines().filter_map(|line| Some((line.to_owned(), of_it(line)?))));
        }
        // A line begins with its time.
        after.sort_by(|one, other| one.0.cmp(&other.0));
        let run = self.missing.first().copied().zip(self.missing.last().map(|it| it + 1));
        let begun = after.first().and_then(|(_, it)| it.segments);
        assert_eq!(begun, run, "another pod goes on with {} where it was broken off: {after:?}", self.task);
        for (line, it) in &after {
            let (first, end) = it.segments.unwrap();
            let again: Vec<_> = self.there.iter().filter(|it| (first..end).contains(it)).collect();
            assert!(again.is_empty(), "{again:?} were there: {line}");
        }
        for segment in &self.missing {
            let by = self.told(*segment, records);
            assert_eq!(by.len(), 1, "segment {segment} of {} is told once: {by:?}", self.task);
            assert!(
                !self.transcoders.contains(&by[0]),
                "who was killed told of segment {segment} before it was there"
            );
        }
    }

    /// Whether it is kept of a task that was broken off, so that its maker may not have come to tell of it.
    pub(crate) fn may_be_untold(&self, asset: &str, piece: &str) -> bool {
        self.there.last().is_some_and(|it| asset == self.asset() && piece == self.piece(*it))
    }

    fn asset(&self) -> &str {
        self.task.split('/').next().unwrap_or_default()
    }

    fn piece(&self, segment: u64) -> String {
        let name = self.task.rsplit('/').next().unwrap_or_default();
        format!("{}/{segment}", name.rsplit_once('-').unwrap().0)
    }

    /// Who told of one of its segments.
    fn told(&self, segment: u64, records: &[serde_json::Value]) -> Vec<String> {
        let of_it =
            |it: &&serde_json::Value| it["asset"] == self.asset() && it["piece"] == self.piece(segment);
        records.iter().filter(of_it).filter_map(|it| Some(it["worker"].as_str()?.to_owned())).collect()
    }
}

/// A process that is held, until this is dropped.
struct Held(u32);

impl Held {
    fn new(process: u32) -> Held {
        signal("-STOP", process);
        Held(process)
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        signal("-CONT", self.0);
    }
}

/// One that ended meanwhile does not mind.
fn signal(which: &str, process: u32) {
    if !inside::has_ended(process) {
        let _ = Command::new("kill").args([which, &process.to_string()]).output();
    }
}

/// The logs of all pods.
fn all(logs: &Path) -> Vec<PathBuf> {
    std::fs::read_dir(logs).unwrap().flatten().map(|it| it.path()).collect()
}

fn read(log: &Path) -> String {
    std::fs::read_to_string(log).unwrap_or_default()
}
