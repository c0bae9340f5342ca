//! The drain agent on a worker, with a child that has nothing to do and nobody to ask: what stays when nothing happens.

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use serde_json::{Value, json};

use crate::{Outcome, resident, row};

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
    let spec = std::env::temp_dir().join(format!("fleet-bench-{}.json", std::process::id()));
    std::fs::write(&spec, json!({ "worker": "sv-bench-gpu-1", "notices": "signal" }).to_string())?;
    let begun = Command::new(edge)
        .args(["drain", "--spec"])
        .arg(&spec)
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
    let _ = std::fs::remove_file(&spec);
    let note = format!("{seconds} s beside `sleep`");
    Ok(vec![
        row("drain agent: memory", "MB", vec![memory], Some(64.0), &note),
        row("drain agent: processor when idle", "%", vec![used / seconds as f64 * 100.0], None, &note),
    ])
}
