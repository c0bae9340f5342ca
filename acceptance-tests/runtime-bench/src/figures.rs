//! Rows of figures: the median of several rounds, beside that of a peer measured in turns with it.

use serde_json::{Value, json};

/// One figure.
#[derive(Clone, Debug)]
pub struct Row {
    name: String,
    unit: &'static str,
    value: f64,
    baseline: Option<f64>,
    rounds: usize,
    /// The least and the most of a round: of the ratio where there is a peer, else of the value.
    spread: (f64, f64),
    /// Whether the spread is one of ratios.
    divided: bool,
    note: String,
    goal: Option<Goal>,
}

/// What a figure should reach. It is reported whether it does; nothing fails when it does not.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Goal {
    /// Of the value, such as requests in a second.
    AtLeast(f64),
    /// Of the value, such as milliseconds.
    AtMost(f64),
    /// Of ours over theirs.
    RatioAtLeast(f64),
    /// Of ours over theirs, such as time.
    RatioAtMost(f64),
}

impl Goal {
    /// The number, the direction and of what, as `cargo xtask bench` reads them.
    fn words(self) -> (f64, &'static str, &'static str) {
        match self {
            Goal::AtLeast(limit) => (limit, "at least", "value"),
            Goal::AtMost(limit) => (limit, "at most", "value"),
            Goal::RatioAtLeast(limit) => (limit, "at least", "ratio"),
            Goal::RatioAtMost(limit) => (limit, "at most", "ratio"),
        }
    }
}

/// The same measured again and again, with the peer's beside it where there is one.
#[derive(Clone, Debug, Default)]
pub struct Rounds {
    ours: Vec<f64>,
    theirs: Vec<f64>,
}

impl Rounds {
    /// One more, of both.
    pub fn push(&mut self, ours: f64, theirs: f64) {
        self.ours.push(ours);
        self.theirs.push(theirs);
    }

    /// One more, without a peer.
    pub fn push_alone(&mut self, ours: f64) {
        self.ours.push(ours);
    }

    /// Their row.
    pub fn row(&self, name: impl Into<String>, unit: &'static str, note: impl Into<String>) -> Row {
        let compared = !self.theirs.is_empty();
        // Of nothing there is no ratio: such as of stalls, where the peer has none.
        let divided = compared && self.theirs.iter().all(|it| *it > 0.0);
        let each: Vec<f64> = if divided {
            self.ours.iter().zip(&self.theirs).map(|(ours, theirs)| ours / theirs).collect()
        } else {
            self.ours.clone()
        };
        let least = each.iter().copied().fold(f64::INFINITY, f64::min);
        let most = each.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        Row {
            name: name.into(),
            unit,
            value: median(&self.ours),
            baseline: compared.then(|| median(&self.theirs)),
            rounds: self.ours.len(),
            spread: (least, most),
            divided,
            note: note.into(),
            goal: None,
        }
    }
}

impl Row {
    /// With a goal.
    pub fn goal(self, goal: Goal) -> Row {
        Row { goal: Some(goal), ..self }
    }

    /// For `cargo xtask bench`.
    pub fn to_json(&self) -> Value {
        let (least, most) = self.spread;
        let what = if self.divided { "ratio " } else { "" };
        let mut note = format!("{what}{}–{} of {}", short(least), short(most), self.rounds);
        if !self.note.is_empty() {
            note = format!("{note}; {}", self.note);
        }
        let goal = self.goal.map(Goal::words);
        json!({
            "name": self.name,
            "unit": self.unit,
            "value": self.value,
            "baseline": self.baseline,
            "rounds": self.rounds,
            "spread": [least, most],
            "note": note,
            "goal": goal.map(|(limit, _, _)| limit),
            "goal_is": goal.map(|(_, side, _)| side),
            "goal_of": goal.map(|(_, _, of)| of),
        })
    }
}

fn short(value: f64) -> String {
    if value.abs() >= 100.0 { format!("{value:.0}") } else { format!("{value:.2}") }
}

/// The one in the middle; of none, zero.
pub fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let middle = sorted.len() / 2;
    let at = |index: usize| sorted.get(index).copied().unwrap_or_default();
    if sorted.len() % 2 == 1 { at(middle) } else { (at(middle.saturating_sub(1)) + at(middle)) / 2.0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_is_the_median_of_its_rounds_and_its_spread_that_of_the_ratios_round_by_round() {
        let mut rounds = Rounds::default();
        // The machine slowed down in the last round, for both.
        for (ours, theirs) in [(10.0, 20.0), (12.0, 20.0), (4.0, 10.0)] {
            rounds.push(ours, theirs);
        }
        let row = rounds.row("requests", "1/s", "why").to_json();
        assert_eq!(
            (&row["value"], &row["baseline"], &row["rounds"]),
            (&json!(10.0), &json!(20.0), &json!(3))
        );
        assert_eq!(row["spread"], json!([0.4, 0.6]));
        assert_eq!(row["note"], "ratio 0.40–0.60 of 3; why");
        assert_eq!((&row["goal"], &row["goal_is"]), (&Value::Null, &Value::Null));
        let row = rounds.row("requests", "1/s", "").goal(Goal::RatioAtLeast(0.5)).to_json();
        assert_eq!(
            (&row["goal"], &row["goal_is"], &row["goal_of"]),
            (&json!(0.5), &json!("at least"), &json!("ratio"))
        );
    }

    #[test]
    fn without_a_peer_the_spread_is_that_of_the_values() {
        let mut rounds = Rounds::default();
        [3.0, 1.0, 2.0, 4.0].into_iter().for_each(|value| rounds.push_alone(value));
        let row = rounds.row("cold", "s", "").to_json();
        assert_eq!((&row["value"], &row["baseline"]), (&json!(2.5), &Value::Null));
        assert_eq!(row["spread"], json!([1.0, 4.0]));
        let mut rounds = Rounds::default();
        rounds.push(2.0, 0.0);
        let row = rounds.row("stalls", "", "").to_json();
        assert_eq!((&row["baseline"], &row["spread"]), (&json!(0.0), &json!([2.0, 2.0])));
        assert_eq!(row["note"], "2.00–2.00 of 1");
        assert_eq!(median(&[]), 0.0);
    }
}
