//! Plan, no-op plan and apply of many instances: ours, the echo server and Terraform's own `terraform_data`, one
//! after the other, again and again.

use super::cli::{Expect, Project, Run};
use super::row::{Row, Samples};
use super::{Outcome, Setup, tell};
use crate::providers::{ADDRESS, wide::arguments};

/// How many instances, and how often.
const SIZES: [(usize, usize); 3] = [(1, 9), (1_000, 5), (5_000, 3)];

const STEPS: [&str; 3] = ["plan", "apply", "no-op plan"];
const WHO: [&str; 3] = ["framework", "echo", "terraform_data"];

/// At most so many times the echo server's wall time.
const GOAL: f64 = 1.15;

/// What Go's framework needed on the same machine, plan of 5,000: seconds, processor seconds, and MiB; quoted.
const GO: &str = "Go: 54 s wall, 57 s CPU (31 with its logs off), 399 MiB";

/// Measures.
pub fn measure(setup: &Setup) -> Outcome<Vec<Row>> {
    let mut rows = Vec::new();
    for (instances, repetitions) in SIZES {
        rows.extend(measure_size(setup, instances, setup.repetitions(repetitions))?);
    }
    Ok(rows)
}

fn measure_size(setup: &Setup, instances: usize, repetitions: usize) -> Outcome<Vec<Row>> {
    let ours = |binary: &str| -> Outcome<Project> {
        let hcl = format!(
            "terraform {{\n  required_providers {{ bench = {{ source = \"streamverse/bench\" }} }}\n}}\n\
             resource \"bench_wide\" \"it\" {{\n  count = {instances}\n{}}}\n",
            arguments("${count.index}")
        );
        Project::new(&hcl, Some((ADDRESS, &setup.binary(binary)?)))
    };
    let builtin = format!(
        "resource \"terraform_data\" \"it\" {{\n  count = {instances}\n  input = {{\n{}}}\n}}\n",
        arguments("${count.index}")
    );
    let projects = [ours("bench-wide")?, ours("bench-echo")?, Project::new(&builtin, None)?];

    // By step, then by who.
    let mut runs: [[Vec<Run>; 3]; 3] = Default::default();
    for repetition in 0..repetitions {
        for (who, project) in projects.iter().enumerate() {
            project.forget()?;
            let done = [project.plan(Expect::Changes)?, project.apply()?, project.plan(Expect::Nothing)?];
            for (step, run) in done.into_iter().enumerate() {
                runs[step][who].push(run);
            }
            let [plan, apply, nothing] = done.map(|run| run.seconds);
            tell(format!(
                "{instances} × {}, {} of {repetitions}: plan {plan:.2} s, apply {apply:.2} s, no-op plan {nothing:.2} s",
                WHO[who],
                repetition + 1
            ));
        }
    }
    let mut rows = Vec::new();
    for (step, runs) in STEPS.iter().zip(&runs) {
        rows.extend(rows_of(&format!("{step} of {instances}"), step, instances, runs));
    }
    Ok(rows)
}

fn rows_of(name: &str, step: &str, instances: usize, runs: &[Vec<Run>; 3]) -> Vec<Row> {
    let [ours, echo, builtin] = runs;
    let mut rows = Vec::new();
    for (theirs, who) in [(echo, "echo server"), (builtin, "terraform_data")] {
        let seconds = |runs: &[Run]| runs.iter().map(|run| run.seconds).collect::<Samples>();
        let ratios: Samples = ours.iter().zip(theirs).map(|(a, b)| a.seconds / b.seconds).collect();
        let (own, other) = (seconds(ours), seconds(theirs));
        let mut row = Row::new(format!("{name} / {who}"), own.median(), "s")
            .against(other.median())
            .note(format!("{} s; {} s; ratios {}", own.spread(2), other.spread(2), ratios.spread(2)));
        if instances > 1 && who == "echo server" {
            row = row.goal(GOAL);
        }
        rows.push(row);
    }
    let usage = |pick: fn(&Run) -> f64, runs: &[Run]| runs.iter().map(pick).collect::<Samples>();
    if instances > 1 {
        let (own, other) =
            (usage(|run| run.usage.cpu_seconds, ours), usage(|run| run.usage.cpu_seconds, echo));
        let mut row = Row::new(format!("{name}: provider CPU"), own.median(), "s");
        let mut note = format!("{}; echo {}", own.spread(2), other.spread(2));
        if step == "plan" && instances == 5_000 {
            row = row.goal(4.0);
            note = format!("{note}; {GO}");
        }
        rows.push(row.note(note));
    }
    let (own, other) = (usage(|run| run.usage.peak_mb, ours), usage(|run| run.usage.peak_mb, echo));
    rows.push(Row::new(format!("{name}: provider RSS"), own.median(), "MB").note(format!(
        "{}; echo {}",
        own.spread(1),
        other.spread(1)
    )));
    rows
}
