//! The drain agent on a worker, with a child that has nothing to do: what stays when nothing happens. Once with nobody to ask, and once with a
//! metadata service that it looks at each second and a controller that it reports to.

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use serde_json::{Value, json};

use crate::{Outcome, answers, resident, row};

/// Ticks of the kernel's accounting, as Linux has them on all of our machines.
const TICKS_PER_SECOND: f64 = 100.0;

/// Ended, with its child, also where something failed.
struct Agent(Child);

impl Drop for Agent {
    fn drop(&mut self) {
        // It hands the signal on to its child and waits for it.
        let _ = Command::new("kill").arg(self.0.id().to_string()).status();
        for _ in 0..100 {
            if matches!(self.0.try_wait(), Ok(Some(_))) {
                return;
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Seconds of processor time.
fn processor(pid: u32) -> Outcome<f64> {
    let line = std::fs::read_to_string(format!("/proc/{pid}/stat"))?;
    let fields: Vec<&str> = line.rsplit_once(')').ok_or("no stat")?.1.split_whitespace().collect();
    let ticks = |at: usize| fields.get(at).and_then(|it| it.parse::<f64>().ok()).unwrap_or_default();
    Ok((ticks(11) + ticks(12)) / TICKS_PER_SECOND)
}

pub(crate) fn measure(edge: &Path, seconds: u64) -> Outcome<Vec<Value>> {
    let spec = json!({ "worker": "sv-bench-gpu-1", "notices": "signal" });
    let (memory, used) = beside_a_child(edge, &spec, seconds)?;
    let asked = Arc::default();
    let url = answers::begin(&asked)?;
    let spec = json!({
        "worker": "sv-bench-gpu-1", "notices": { "azure": { "endpoint": url } }, "controller": { "url": url },
    });
    let (memory_watching, used_watching) = beside_a_child(edge, &spec, seconds)?;
    let count = |of: &AtomicU64| of.load(Ordering::Relaxed);
    let (events, orders, reports) = (count(&asked.events), count(&asked.orders), count(&asked.reports));
    // An agent that gave up asking would look good.
    if events < seconds / 2 || orders == 0 || reports == 0 {
        let text = format!(
            "in {seconds} s the agent asked {events} times for events, {orders} for orders, and reported {reports} times"
        );
        return Err(text.into());
    }
    let alone = format!("{seconds} s beside `sleep`, with nobody to ask");
    let watching = format!(
        "{seconds} s beside `sleep`; it asked {events} times for events, {orders} for orders, and reported {reports} times"
    );
    let goal = Some(64.0);
    Ok(vec![
        row("drain agent: memory", "MB", vec![memory], goal, &alone),
        row("drain agent: processor when idle", "%", vec![used], None, &alone),
        row(
            "drain agent that watches Azure and a controller: memory",
            "MB",
            vec![memory_watching],
            goal,
            &watching,
        ),
        row(
            "drain agent that watches Azure and a controller: processor",
            "%",
            vec![used_watching],
            None,
            &watching,
        ),
    ])
}

/// An agent of this spec beside a child that does nothing: megabytes, and percent of a processor.
fn beside_a_child(edge: &Path, spec: &Value, seconds: u64) -> Outcome<(f64, f64)> {
    let file = std::env::temp_dir().join(format!("fleet-bench-{}.json", std::process::id()));
    std::fs::write(&file, spec.to_string())?;
    let begun = Command::new(edge)
        .args(["drain", "--spec"])
        .arg(&file)
        .args(["--", "sleep", "600"])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn();
    let mut agent = Agent(begun.map_err(|error| format!("{} cannot be started: {error}", edge.display()))?);
    let pid = agent.0.id();
    std::thread::sleep(Duration::from_secs(2));
    let before = processor(pid)?;
    std::thread::sleep(Duration::from_secs(seconds));
    let ended = agent.0.try_wait()?;
    if let Some(status) = ended {
        return Err(format!("{} ended with {status}", edge.display()).into());
    }
    let (used, memory) = (processor(pid)? - before, resident(&pid.to_string())?);
    drop(agent);
    let _ = std::fs::remove_file(&file);
    Ok((memory, used / seconds as f64 * 100.0))
}
