//! Measures what a controller does at each tick, and what stays on each worker: `cargo xtask bench fleet` builds and runs it.
#![allow(clippy::print_stdout, reason = "the rows of a part are its answer")]

mod agent;
mod answers;
mod controller;
mod plenty;
mod simulation;
mod tick;

use std::path::PathBuf;
use std::process::{Command, ExitCode, Stdio};
use std::time::Instant;

use serde_json::{Value, json};

/// What any part returns. The text is for the person at the terminal.
type Outcome<T> = Result<T, Box<dyn std::error::Error>>;

const HELP: &str = "fleet-bench [--quick] --edge PATH --out FILE";
/// Only one part, whose rows are written to standard output.
const PART: &str = "--part";
const POLICY: &str = "policy";
const CONTROLLER: &str = "controller";

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
    let (mut quick, mut edge, mut out, mut part) = (false, None, None, None);
    let mut words = std::env::args().skip(1);
    while let Some(word) = words.next() {
        match word.as_str() {
            "--quick" => quick = true,
            "--edge" => edge = words.next().map(PathBuf::from),
            "--out" => out = words.next().map(PathBuf::from),
            PART => part = words.next(),
            other => return Err(format!("{other:?} is no option; {HELP}").into()),
        }
    }
    let rounds = if quick { 5 } else { 21 };
    if let Some(part) = part {
        let rows = if part == POLICY { tick::measure(rounds)? } else { controller::measure(rounds)? };
        println!("{}", Value::Array(rows));
        return Ok(());
    }
    let (edge, out) = (edge.ok_or(HELP)?, out.ok_or(HELP)?);
    let mut rows = alone(POLICY, quick)?;
    rows.extend(alone(CONTROLLER, quick)?);
    rows.extend(simulation::measure(if quick { 1 } else { 5 })?);
    rows.extend(agent::measure(&edge, if quick { 5 } else { 20 })?);
    Ok(std::fs::write(out, Value::Array(rows).to_string())?)
}

/// Measures a part in a process of its own: what a process has freed it keeps, so that the memory of whoever comes later would not be seen.
fn alone(part: &str, quick: bool) -> Outcome<Vec<Value>> {
    let mut command = Command::new(std::env::current_exe()?);
    command.args([PART, part]).args(quick.then_some("--quick"));
    let done = command.stderr(Stdio::inherit()).output()?;
    if !done.status.success() {
        return Err(format!("the part {part} ended with {}", done.status).into());
    }
    Ok(serde_json::from_slice(&done.stdout)?)
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
