//! `cargo xtask bench NAME`: the benches by name, the one table they print and the one JSON they write.
//!
//! Figures are reported, never asserted: a busy machine must not fail a build.

mod fleet;
mod framework;
mod runtime;

use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use crate::failure::{Failure, Outcome};
use crate::workspace::Workspace;

/// One figure. Every bench of the project writes the same fields.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Row {
    /// What was measured, such as `plan 1000 / echo server`.
    pub(crate) name: String,
    /// The figure of ours.
    pub(crate) value: f64,
    /// Its unit, such as `s`, `MB` or `ms`.
    pub(crate) unit: String,
    /// The same measured, in the same run, for what we compare with.
    pub(crate) baseline: Option<f64>,
    /// What it should reach; `None` is reported only.
    pub(crate) goal: Option<Goal>,
    /// How often it was measured; the value is the median.
    pub(crate) rounds: Option<u64>,
    /// The least and the most of a round: of the ratio where there is a baseline, else of the value.
    pub(crate) spread: Option<(f64, f64)>,
    /// Processors, model, kernel, load before.
    pub(crate) machine: Option<Value>,
    /// What was measured.
    pub(crate) commit: Option<String>,
    /// The spread, and what else a reader should know: printed, and not part of the JSON.
    pub(crate) note: String,
}

/// What a figure should reach. It is reported whether it does; nothing fails when it does not.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Goal {
    limit: f64,
    side: Side,
    of: Of,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Side {
    AtLeast,
    AtMost,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Of {
    Ratio,
    Value,
}

impl Goal {
    /// As a driver wrote it: a number, `goal_is` and `goal_of`. Who says no more than the number means at most that
    /// much, of the ratio where there is a baseline and else of the value.
    fn read(said: &Value) -> Option<Goal> {
        let side = if said["goal_is"] == "at least" { Side::AtLeast } else { Side::AtMost };
        let of = match said["goal_of"].as_str() {
            Some("value") => Of::Value,
            Some("ratio") => Of::Ratio,
            _ if said["baseline"].is_number() => Of::Ratio,
            _ => Of::Value,
        };
        Some(Goal { limit: said["goal"].as_f64()?, side, of })
    }

    fn side(self) -> &'static str {
        match self.side {
            Side::AtLeast => "at least",
            Side::AtMost => "at most",
        }
    }

    fn of(self) -> &'static str {
        match self.of {
            Of::Ratio => "ratio",
            Of::Value => "value",
        }
    }

    /// For the table: of a ratio it has no unit.
    fn short(self, unit: &str) -> String {
        let sign = match self.side {
            Side::AtLeast => "≥",
            Side::AtMost => "≤",
        };
        match self.of {
            Of::Ratio => format!("{sign} {:.2}", self.limit),
            Of::Value => format!("{sign} {} {unit}", rounded(self.limit)),
        }
    }
}

/// How thorough to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Effort {
    /// Every repetition.
    Full,
    /// A third of them.
    Quick,
    /// Every one, and what takes most of an hour besides.
    Long,
}

impl Row {
    /// Ours over theirs. Of what takes time or memory less is better, of what is done in a second more is.
    pub(crate) fn ratio(&self) -> Option<f64> {
        self.baseline.filter(|baseline| *baseline > 0.0).map(|baseline| self.value / baseline)
    }

    /// Whether the goal is met; nothing where none was set, or one of a ratio that is not there.
    pub(crate) fn met(&self) -> Option<bool> {
        let goal = self.goal?;
        let figure = match goal.of {
            Of::Ratio => self.ratio()?,
            Of::Value => self.value,
        };
        Some(match goal.side {
            Side::AtLeast => figure >= goal.limit,
            Side::AtMost => figure <= goal.limit,
        })
    }

    fn to_json(&self) -> Value {
        json!({
            "name": self.name,
            "value": self.value,
            "unit": self.unit,
            "baseline": self.baseline,
            "ratio": self.ratio(),
            "goal": self.goal.map(|goal| goal.limit),
            "goal_is": self.goal.map(Goal::side),
            "goal_of": self.goal.map(Goal::of),
            "met": self.met(),
            "rounds": self.rounds,
            "spread": self.spread.map(|(least, most)| [least, most]),
            "machine": self.machine,
            "commit": self.commit,
        })
    }
}

/// Runs one bench, prints its rows and writes them to a file if asked to: `[--quick | --long] [--json FILE]`.
pub(crate) fn run(workspace: &Workspace, name: &str, options: &[&str]) -> Outcome {
    let (effort, json) = parse(options)?;
    let rows = match name {
        "fleet" => fleet::run(workspace, effort)?,
        "framework" => framework::run(workspace, effort)?,
        "runtime" => runtime::run(workspace, effort)?,
        other => {
            return Err(Failure::new(format!("no bench is called `{other}`"))
                .next("there are: fleet, framework, runtime"));
        }
    };
    print!("{}", table(&rows));
    if let Some(file) = json {
        let text = format!("{:#}\n", Value::Array(rows.iter().map(Row::to_json).collect()));
        std::fs::write(file, text).map_err(|error| Failure::io("write", file, &error))?;
    }
    Ok(())
}

/// A row as a driver wrote it.
fn row(said: &Value) -> Row {
    let text = |name: &str| said[name].as_str().unwrap_or_default().to_owned();
    Row {
        name: text("name"),
        value: said["value"].as_f64().unwrap_or_default(),
        unit: text("unit"),
        baseline: said["baseline"].as_f64(),
        goal: Goal::read(said),
        rounds: said["rounds"].as_u64(),
        spread: said["spread"][0].as_f64().zip(said["spread"][1].as_f64()),
        machine: None,
        commit: None,
        note: text("note"),
    }
}

/// Where cargo puts what it builds in the release profile.
fn release(workspace: &Workspace) -> PathBuf {
    let target = std::env::var_os("CARGO_TARGET_DIR")
        .map_or_else(|| workspace.root().join("target"), |target| workspace.root().join(target));
    target.join("release")
}

fn parse<'a>(options: &'a [&'a str]) -> Outcome<(Effort, Option<&'a Path>)> {
    match options {
        [] => Ok((Effort::Full, None)),
        ["--quick", rest @ ..] => Ok((Effort::Quick, parse(rest)?.1)),
        ["--long", rest @ ..] => Ok((Effort::Long, parse(rest)?.1)),
        ["--json", file, rest @ ..] => Ok((parse(rest)?.0, Some(Path::new(file)))),
        [other, ..] => Err(Failure::new(format!("`{other}` is no option of a bench, or misses its value"))
            .next("the options are --quick, --long and --json FILE")),
    }
}

fn table(rows: &[Row]) -> String {
    let width = rows.iter().map(|row| row.name.chars().count()).max().unwrap_or(0).max(4);
    let goal = |row: &Row| row.goal.map_or_else(|| "-".to_owned(), |goal| goal.short(&row.unit));
    let wide = rows.iter().map(|row| goal(row).chars().count()).max().unwrap_or(0).max(7);
    let mut text = format!(
        "{:width$}  {:>12}  {:>12}  {:>7}  {:>wide$}  met  note\n",
        "name", "value", "baseline", "ratio", "goal"
    );
    for row in rows {
        let figure = |value: Option<f64>| value.map_or_else(|| "-".to_owned(), |value| format!("{value:.2}"));
        let with_unit = |value: Option<f64>| {
            value.map_or_else(|| "-".to_owned(), |value| format!("{} {}", rounded(value), row.unit))
        };
        let met = row.met().map_or("-", |met| if met { "yes" } else { "NO" });
        text.push_str(&format!(
            "{:width$}  {:>12}  {:>12}  {:>7}  {:>wide$}  {met:3}  {}\n",
            row.name,
            with_unit(Some(row.value)),
            with_unit(row.baseline),
            figure(row.ratio()),
            goal(row),
            row.note,
        ));
    }
    text
}

/// Three digits that mean something.
fn rounded(value: f64) -> String {
    if value.abs() >= 100.0 {
        format!("{value:.0}")
    } else if value.abs() >= 10.0 {
        format!("{value:.1}")
    } else {
        format!("{value:.3}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(value: f64, baseline: Option<f64>, goal: Option<f64>) -> Row {
        let said = json!({
            "name": "plan 1000", "value": value, "unit": "s", "baseline": baseline, "goal": goal, "note": "of 3"
        });
        super::row(&said)
    }

    #[test]
    fn a_goal_judges_the_ratio_where_there_is_a_baseline_and_the_value_otherwise() {
        assert_eq!(row(1.1, Some(1.0), Some(1.15)).met(), Some(true));
        assert_eq!(row(1.2, Some(1.0), Some(1.15)).met(), Some(false));
        assert_eq!(row(18.0, None, Some(20.0)).met(), Some(true));
        assert_eq!(row(18.0, None, None).met(), None);
        assert_eq!(row(18.0, Some(0.0), None).ratio(), None);
    }

    #[test]
    fn a_goal_says_in_which_direction_and_of_what_and_is_judged_and_printed_so() {
        let said = |value: f64, goal: f64, is: &str, of: &str| {
            super::row(&json!({
                "name": "hits", "value": value, "unit": "1/s", "baseline": 100.0, "goal": goal, "goal_is": is, "goal_of": of,
            }))
        };
        for (value, goal, is, of, met, printed) in [
            (60.0, 0.5, "at least", "ratio", true, "≥ 0.50  yes"),
            (40.0, 0.5, "at least", "ratio", false, "≥ 0.50  NO"),
            (40.0, 30.0, "at least", "value", true, "≥ 30.0 1/s  yes"),
            (40.0, 30.0, "at most", "value", false, "≤ 30.0 1/s  NO"),
            (40.0, 0.5, "at most", "ratio", true, "≤ 0.50  yes"),
        ] {
            let row = said(value, goal, is, of);
            assert_eq!(row.met(), Some(met), "{value} {is} {goal} of {of}");
            let (text, json) = (table(std::slice::from_ref(&row)), row.to_json());
            assert!(text.contains(printed), "{text}");
            assert_eq!(
                (&json["goal"], &json["goal_is"], &json["goal_of"]),
                (&json!(goal), &json!(is), &json!(of))
            );
            assert_eq!(json["met"], json!(met));
        }
        let without = json!({ "name": "hits", "value": 1.0, "unit": "1/s", "goal": 0.5, "goal_of": "ratio" });
        assert_eq!(super::row(&without).met(), None, "a ratio that nobody measured is not met, nor missed");
    }

    #[test]
    fn the_json_has_every_field_and_null_for_what_is_not_there() {
        assert_eq!(
            row(1.5, None, None).to_json(),
            json!({
                "name": "plan 1000", "value": 1.5, "unit": "s", "baseline": null, "ratio": null, "goal": null,
                "goal_is": null, "goal_of": null, "met": null, "rounds": null, "spread": null, "machine": null, "commit": null,
            })
        );
        let said = json!({ "name": "hits", "value": 3.0, "unit": "1/s", "baseline": 4.0, "rounds": 5, "spread": [0.5, 1.0] });
        let written = super::row(&said).to_json();
        assert_eq!((&written["ratio"], &written["rounds"]), (&json!(0.75), &json!(5)));
        assert_eq!(written["spread"], json!([0.5, 1.0]));
    }

    #[test]
    fn the_table_says_what_was_missed() {
        let text = table(&[row(1.2, Some(1.0), Some(1.15))]);
        let last = text.lines().last().unwrap();
        assert!(last.contains("1.200 s") && last.ends_with("NO   of 3"), "{text}");
    }

    #[test]
    fn options_come_in_any_order_and_others_are_refused() {
        let file = Some(Path::new("a.json"));
        assert_eq!(parse(&["--json", "a.json", "--quick"]).unwrap(), (Effort::Quick, file));
        assert_eq!(parse(&["--quick", "--json", "a.json"]).unwrap(), (Effort::Quick, file));
        assert_eq!(parse(&[]).unwrap(), (Effort::Full, None));
        assert!(parse(&["--json"]).is_err() && parse(&["--fast"]).is_err());
    }
}
