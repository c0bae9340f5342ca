//! Measures what a controller does at each tick, and what stays on each worker: `cargo xtask bench fleet` builds and runs it.

mod agent;
mod controller;
mod plenty;
mod simulation;
mod tick;

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Instant;

use serde_json::{Value, json};

/// What any part returns. The text is for the person at the terminal.
type Outcome<T> = Result<T, Box<dyn std::error::Error>>;

const HELP: &str = "fleet-bench [--quick] --edge PATH --out FILE";

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Outcome<()> {
    let (mut quick, mut edge, mut out) = (false, None, None);
    let mut words = std::env::args().skip(1);
    while let Some(word) = words.next() {
        match word.as_str() {
            "--quick" => quick = true,
            "--edge" => edge = words.next().map(PathBuf::from),
            "--out" => out = words.next().map(PathBuf::from),
            other => return Err(format!("{other:?} is no option; {HELP}").into()),
        }
    }
    let (edge, out) = (edge.ok_or(HELP)?, out.ok_or(HELP)?);
    let rounds = if quick { 5 } else { 21 };
    let mut rows = tick::measure(rounds)?;
    rows.extend(controller::measure(rounds)?);
    rows.extend(simulation::measure(if quick { 1 } else { 5 })?);
    rows.extend(agent::measure(&edge, if quick { 5 } else { 20 })?);
    Ok(std::fs::write(out, Value::Array(rows).to_string())?)
}

/// How long something takes, in seconds.
fn timed<T>(work: impl FnOnce() -> T) -> (f64, T) {
    let begun = Instant::now();
    let done = work();
    (begun.elapsed().as_secs_f64(), done)
}

/// The row of some rounds: their median, with the least and the most; a goal is at most so much of the value.
fn row(name: &str, unit: &str, mut rounds: Vec<f64>, goal: Option<f64>, note: &str) -> Value {
    rounds.sort_by(f64::total_cmp);
    let at = |index: usize| rounds.get(index).copied().unwrap_or_default();
    let (least, most) = (at(0), at(rounds.len().saturating_sub(1)));
    json!({
        "name": name, "unit": unit, "value": at(rounds.len() / 2), "baseline": null, "goal": goal,
        "goal_is": goal.map(|_| "at most"), "goal_of": goal.map(|_| "value"), "rounds": rounds.len(), "spread": [least, most],
        "note": format!("{least:.3}–{most:.3} of {}; {note}", rounds.len()),
    })
}

/// The memory of a process that is in use, in megabytes.
fn resident(pid: &str) -> Outcome<f64> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).ok_or("no VmRSS")?;
    let kib: f64 = line.split_whitespace().next().unwrap_or_default().parse()?;
    Ok(kib * 1024.0 / 1e6)
}
