//! Processor time and peak memory of provider processes that somebody else starts, from `/proc`.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

/// How often we look. What a process does between the last look and its end is missed.
const TICK: Duration = Duration::from_millis(10);

/// `USER_HZ`, the unit of times in `/proc`: 100 on every architecture that Linux knows today.
const TICKS_PER_SECOND: f64 = 100.0;

/// What the provider processes of one command used.
#[derive(Clone, Copy, Debug, Default)]
pub struct Usage {
    /// Processor time of all of them.
    pub cpu_seconds: f64,
    /// The most memory that one of them had resident, files mapped by others included.
    pub peak_mb: f64,
    /// How many there were.
    pub processes: usize,
}

/// Looks at the children of a process until told to stop.
pub struct Watch {
    stop: Arc<AtomicBool>,
    thread: JoinHandle<Usage>,
}

impl Watch {
    /// Watches those children of `parent` whose program's file name begins with `program`.
    pub fn children(parent: u32, program: &str) -> Watch {
        let stop = Arc::new(AtomicBool::new(false));
        let (told, program) = (Arc::clone(&stop), program.to_owned());
        let thread = std::thread::spawn(move || {
            let mut seen = Seen::default();
            loop {
                let last = told.load(Ordering::Relaxed);
                look(parent, &program, &mut seen);
                if last {
                    return total(&seen.usage);
                }
                std::thread::sleep(TICK);
            }
        });
        Watch { stop, thread }
    }

    /// What was used.
    pub fn stop(self) -> Usage {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.join().unwrap_or_default()
    }
}

/// What is known of the processes of this machine.
#[derive(Default)]
struct Seen {
    /// Theirs whom we watch.
    usage: BTreeMap<u32, (f64, f64)>,
    /// Of no interest.
    others: BTreeSet<u32>,
}

fn look(parent: u32, program: &str, seen: &mut Seen) {
    let Ok(processes) = fs::read_dir("/proc") else { return };
    for process in processes.flatten() {
        let Some(pid) = process.file_name().to_str().and_then(|name| name.parse().ok()) else { continue };
        if seen.others.contains(&pid) {
            continue;
        }
        if !seen.usage.contains_key(&pid) {
            if parent_of(pid) != Some(parent) {
                seen.others.insert(pid);
                continue;
            }
            // Between fork and exec a child still is its parent, memory included.
            if !is(pid, program) {
                continue;
            }
        }
        if let Some(usage) = usage(pid) {
            seen.usage.insert(pid, usage);
        }
    }
}

fn parent_of(pid: u32) -> Option<u32> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    stat.rsplit_once(')')?.1.split_whitespace().nth(1)?.parse().ok()
}

fn total(usage: &BTreeMap<u32, (f64, f64)>) -> Usage {
    Usage {
        cpu_seconds: usage.values().map(|(cpu, _)| cpu).sum(),
        peak_mb: usage.values().map(|(_, peak)| *peak).fold(0.0, f64::max),
        processes: usage.len(),
    }
}

fn is(pid: u32, program: &str) -> bool {
    let exe = fs::read_link(format!("/proc/{pid}/exe")).unwrap_or_default();
    exe.file_name().is_some_and(|name| name.to_string_lossy().starts_with(program))
}

/// Processor seconds and peak resident megabytes of a living process.
pub fn usage(pid: u32) -> Option<(f64, f64)> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // `pid (name) state …`: the name may hold spaces. User and system time are fields 14 and 15.
    let mut fields = stat.rsplit_once(')')?.1.split_whitespace().skip(11);
    let user: f64 = fields.next()?.parse().ok()?;
    let system: f64 = fields.next()?.parse().ok()?;
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    let kib: f64 = peak.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(((user + system) / TICKS_PER_SECOND, kib * 1024.0 / 1e6))
}

/// Processor seconds of all children of this process that have ended, and of theirs.
pub fn children_cpu() -> f64 {
    let stat = fs::read_to_string("/proc/self/stat").unwrap_or_default();
    // Fields 16 and 17.
    let fields = stat.rsplit_once(')').map(|(_, fields)| fields).unwrap_or_default();
    let ticks = fields.split_whitespace().skip(13).take(2).filter_map(|field| field.parse::<f64>().ok());
    ticks.sum::<f64>() / TICKS_PER_SECOND
}

/// How many processes want to run, on average over the last minute.
pub fn load_average() -> f64 {
    let text = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    text.split_whitespace().next().and_then(|word| word.parse().ok()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_that_works_is_seen_working() {
        let started = std::time::Instant::now();
        while started.elapsed() < Duration::from_millis(200) {
            std::hint::black_box(started.elapsed());
        }
        let (cpu, peak) = usage(std::process::id()).expect("this process is alive");
        assert!(cpu > 0.0 && peak > 0.5, "{cpu} s, {peak} MB");
    }
}
