//! Plan, no-op plan and apply of many instances: ours, the echo server and Terraform's own `terraform_data`, one
//! after the other, again and again.

use serde_json::Value;

use super::cli::{Expect, Project, Run};
use super::row::{Row, Samples};
use super::{Outcome, Setup, tell};
use crate::providers::{ADDRESS, wide::arguments};

/// How much is measured of so many instances.
struct Size {
    instances: usize,
    plans: usize,
    /// Terraform copies its whole state after each instance, so an apply takes time quadratic in their number, half
    /// a minute for a thousand. What a plugin adds drowns in that.
    applies: usize,
    /// Whether `terraform_data` is applied too: at a thousand that takes minutes.
    builtin_applies: bool,
}

const SIZES: [Size; 3] = [
    Size { instances: 1, plans: 9, applies: 9, builtin_applies: true },
    Size { instances: 1_000, plans: 7, applies: 3, builtin_applies: false },
    Size { instances: 5_000, plans: 3, applies: 0, builtin_applies: false },
];

/// At most so many times the echo server's wall time.
const GOAL: f64 = 1.15;
/// The provider's processor seconds for a plan of 5,000.
const CPU_GOAL: f64 = 4.0;
/// What Go's framework needed for that on the same machine; quoted, not measured here.
const GO: &str = "Go: 54 s wall, 57 s CPU (31 with its logs off), 399 MiB";

const OURS: usize = 0;
const ECHO: usize = 1;
const BUILTIN: usize = 2;
const WHO: [&str; 3] = ["framework", "echo server", "terraform_data"];

/// Measures. With `--long` it also applies 5,000 instances, once, which takes most of an hour.
pub fn measure(setup: &Setup) -> Outcome<Vec<Row>> {
    let mut rows = Vec::new();
    for mut size in SIZES {
        if setup.long {
            size.applies = size.applies.max(1);
        }
        rows.extend(measure_size(setup, &size)?);
    }
    Ok(rows)
}

fn module(who: usize, instances: usize) -> String {
    let arguments = arguments("${count.index}");
    match who {
        BUILTIN => format!(
            "resource \"terraform_data\" \"it\" {{\n  count = {instances}\n  input = {{\n{arguments}}}\n}}\n"
        ),
        _ => format!(
            "terraform {{\n  required_providers {{ bench = {{ source = \"streamverse/bench\" }} }}\n}}\n\
             resource \"bench_wide\" \"it\" {{\n  count = {instances}\n{arguments}}}\n"
        ),
    }
}

/// The runs of one step, by who.
#[derive(Default)]
struct Runs([Vec<Run>; 3]);

fn measure_size(setup: &Setup, size: &Size) -> Outcome<Vec<Row>> {
    let instances = size.instances;
    let projects = [
        Project::new(&module(OURS, 1), Some((ADDRESS, &setup.binary("bench-wide")?)))?,
        Project::new(&module(ECHO, 1), Some((ADDRESS, &setup.binary("bench-echo")?)))?,
        Project::new(&module(BUILTIN, 1), None)?,
    ];
    let mut states = Vec::new();
    for (who, project) in projects.iter().enumerate() {
        project.apply()?;
        states.push(many(project.state()?, instances)?);
        project.write(&module(who, instances))?;
    }
    let (mut plans, mut applies, mut nothings) = (Runs::default(), Runs::default(), Runs::default());
    let (planned, applied) = (setup.repetitions(size.plans), setup.repetitions(size.applies));
    for round in 1..=planned.max(applied) {
        for (who, project) in projects.iter().enumerate() {
            let mut said = format!("{instances} × {}, round {round}:", WHO[who]);
            if round <= planned {
                project.forget()?;
                let plan = project.plan(Expect::Changes)?;
                project.write_state(&states[who])?;
                let nothing = project.plan(Expect::Nothing)?;
                said += &format!(" plan {plan}, no-op plan {nothing}");
                plans.0[who].push(plan);
                nothings.0[who].push(nothing);
            }
            if round <= applied && (who != BUILTIN || size.builtin_applies) {
                project.forget()?;
                let apply = project.apply()?;
                said += &format!(" apply {apply}");
                applies.0[who].push(apply);
            }
            tell(said);
        }
    }
    let mut rows = Vec::new();
    for (step, runs) in [("plan", &plans), ("no-op plan", &nothings), ("apply", &applies)] {
        rows.extend(rows_of(step, instances, runs));
    }
    Ok(rows)
}

/// The state of one instance, made that of many that differ in what the configuration tells apart.
fn many(mut state: Value, instances: usize) -> Outcome<Value> {
    let one = state.pointer_mut("/resources/0/instances").ok_or("the state has no instance")?;
    let template = one.get(0).ok_or("the state has no instance")?.to_string();
    let mut all = Vec::with_capacity(instances);
    for index in 0..instances {
        let mut instance: Value =
            serde_json::from_str(&template.replace("instance-0", &format!("instance-{index}")))?;
        instance["index_key"] = index.into();
        all.push(instance);
    }
    *one = Value::Array(all);
    Ok(state)
}

fn rows_of(step: &str, instances: usize, Runs(runs): &Runs) -> Vec<Row> {
    let name = format!("{step} of {instances}");
    let samples = |who: usize, pick: fn(&Run) -> f64| runs[who].iter().map(pick).collect::<Samples>();
    let mut rows = Vec::new();
    let seconds: fn(&Run) -> f64 = |run| run.seconds;
    let both: fn(&Run) -> f64 = |run| run.cpu_seconds;
    for (who, what, pick, goal) in [
        (ECHO, "wall time", seconds, (instances > 1).then_some(GOAL)),
        (ECHO, "CPU of Terraform and provider", both, None),
        (BUILTIN, "wall time", seconds, None),
    ] {
        let (ours, theirs) = (samples(OURS, pick), samples(who, pick));
        if ours.is_empty() || theirs.is_empty() {
            continue;
        }
        // Round by round: what disturbs the machine for a minute disturbs both.
        let ratios: Samples = runs[OURS].iter().zip(&runs[who]).map(|(a, b)| pick(a) / pick(b)).collect();
        let note = format!("{} s; {} s; ratio {}", ours.spread(2), theirs.spread(2), ratios.spread(2));
        let row = Row::new(format!("{name} / {}, {what}", WHO[who]), ours.median(), "s");
        rows.push(row.against(theirs.median()).goal_if(goal).note(note));
    }
    for (what, unit, pick) in [
        ("provider CPU", "s", (|run: &Run| run.usage.cpu_seconds) as fn(&Run) -> f64),
        ("provider RSS", "MB", |run| run.usage.peak_mb),
    ] {
        let (ours, echo) = (samples(OURS, pick), samples(ECHO, pick));
        if ours.is_empty() {
            continue;
        }
        let mut row = Row::new(format!("{name}, {what}"), ours.median(), unit);
        let mut note = format!("{}; echo server {}", ours.spread(2), echo.spread(2));
        if (step, instances, unit) == ("plan", 5_000, "s") {
            row = row.goal(CPU_GOAL);
            note = format!("{note}; {GO}");
        }
        rows.push(row.note(note));
    }
    rows
}
