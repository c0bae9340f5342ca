//! Rows of figures, and the statistics of a few repetitions.

use serde_json::{Value, json};

/// One figure.
#[derive(Clone, Debug)]
pub struct Row {
    name: String,
    value: f64,
    unit: &'static str,
    baseline: Option<f64>,
    goal: Option<f64>,
    note: String,
}

impl Row {
    /// A figure alone.
    pub fn new(name: impl Into<String>, value: f64, unit: &'static str) -> Row {
        Row { name: name.into(), value, unit, baseline: None, goal: None, note: String::new() }
    }

    /// What it is compared with. The goal is then one of the ratio.
    #[must_use]
    pub fn against(mut self, baseline: f64) -> Row {
        self.baseline = Some(baseline);
        self
    }

    /// At most this.
    #[must_use]
    pub fn goal(mut self, goal: f64) -> Row {
        self.goal = Some(goal);
        self
    }

    /// The same, where there is one.
    #[must_use]
    pub fn goal_if(mut self, goal: Option<f64>) -> Row {
        self.goal = goal;
        self
    }

    /// The spread, and whatever else a reader should know.
    #[must_use]
    pub fn note(mut self, note: impl Into<String>) -> Row {
        self.note = note.into();
        self
    }

    /// For `cargo xtask bench`, which prints the note and keeps the rest.
    pub fn to_json(&self) -> Value {
        json!({
            "name": self.name,
            "value": self.value,
            "unit": self.unit,
            "baseline": self.baseline,
            "goal": self.goal,
            "note": self.note,
        })
    }
}

/// The same measured several times.
#[derive(Clone, Debug, Default)]
pub struct Samples(Vec<f64>);

impl Samples {
    /// One more.
    pub fn push(&mut self, value: f64) {
        self.0.push(value);
        self.0.sort_by(f64::total_cmp);
    }

    /// Whether nothing was measured.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The one in the middle; of none, zero.
    pub fn median(&self) -> f64 {
        let middle = self.0.len() / 2;
        let at = |index: usize| self.0.get(index).copied().unwrap_or_default();
        if self.0.len() % 2 == 1 { at(middle) } else { (at(middle.saturating_sub(1)) + at(middle)) / 2.0 }
    }

    /// The least.
    pub fn min(&self) -> f64 {
        self.0.first().copied().unwrap_or_default()
    }

    /// The most.
    pub fn max(&self) -> f64 {
        self.0.last().copied().unwrap_or_default()
    }

    /// `least–most of n`, with so many digits.
    pub fn spread(&self, digits: usize) -> String {
        format!("{:.digits$}–{:.digits$} of {}", self.min(), self.max(), self.0.len())
    }
}

impl FromIterator<f64> for Samples {
    fn from_iter<I: IntoIterator<Item = f64>>(values: I) -> Samples {
        let mut samples = Samples::default();
        values.into_iter().for_each(|value| samples.push(value));
        samples
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_the_middle_one_or_between_the_two_middle_ones() {
        assert_eq!([3.0, 1.0, 2.0].into_iter().collect::<Samples>().median(), 2.0);
        assert_eq!([4.0, 1.0, 2.0, 3.0].into_iter().collect::<Samples>().median(), 2.5);
        assert_eq!(Samples::default().median(), 0.0);
    }
}
