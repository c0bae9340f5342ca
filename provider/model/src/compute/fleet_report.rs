//! What a controller says of the records of its fleets where no plan can read its catalogue: on a cluster, in an annotation of its Lease.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Number, Value, json};
use sha2::{Digest as _, Sha256};

/// The annotation of a controller's Lease that has its [`FleetReport`].
pub const FLEETS_ANNOTATION: &str = "streamverse.io/fleets";
/// All annotations of an object together have at most 256 KiB (Kubernetes documentation, "Annotations"): of a report that takes more than
/// this only that is written.
const LONGEST: usize = 192 << 10;
/// What is said of a time before a fleet's job ended says nothing of what that job wrote. The two are told by two clocks, which
/// may be so far apart.
const SKEW_MS: u64 = 5_000;

/// The generation that follows from what a fleet is: its record's `definition` and `work`, as JSON. The same numbers written
/// otherwise, as a catalogue may do it, are the same fleet.
pub fn fleet_generation(definition: &Value, work: &Value) -> String {
    let text = Value::Array(vec![canonical(definition), canonical(work)]).to_string();
    hex::encode(&Sha256::digest(text.as_bytes())[..8])
}

fn canonical(value: &Value) -> Value {
    match value {
        Value::Number(it) => Value::Number(number(it)),
        Value::Array(all) => Value::Array(all.iter().map(canonical).collect()),
        Value::Object(all) => {
            Value::Object(all.iter().map(|(key, it)| (key.clone(), canonical(it))).collect::<Map<_, _>>())
        }
        other => other.clone(),
    }
}

fn number(it: &Number) -> Number {
    /// Whole numbers below it are exact in a double.
    const EXACT: f64 = 9_007_199_254_740_992.0;
    if let Some(whole) = it.as_u64() {
        return whole.into();
    }
    match it.as_f64() {
        #[allow(clippy::cast_possible_truncation, reason = "it is whole, and small enough")]
        Some(real) if real.fract() == 0.0 && real.abs() < EXACT => (real as i64).into(),
        Some(real) => Number::from_f64(real).unwrap_or_else(|| it.clone()),
        None => it.clone(),
    }
}

/// What a controller read.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct FleetReport {
    /// When, in milliseconds since the epoch.
    pub read_ms: u64,
    /// The fleets that it has.
    pub fleets: BTreeMap<String, FleetSeen>,
}

/// A fleet's record, as its controller read it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct FleetSeen {
    /// The generation that is written in it; empty where it cannot be read.
    pub generation: String,
    /// The generation is not that of what else is in it: another hand than its job's wrote it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub changed: bool,
    /// It has a tombstone.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub fenced: bool,
}

/// What another hand made of a fleet's record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FleetChange {
    /// It is not there.
    Gone,
    /// It has a tombstone.
    Fenced,
    /// What it says is not what was handed over.
    Another,
    /// It cannot be read.
    Unreadable,
    /// The transcoder that the fleet works for is not as it was handed over.
    Transcoder,
}

impl FleetChange {
    /// In words.
    pub fn told(self, fleet: &str) -> String {
        match self {
            FleetChange::Gone => format!("the fleet {fleet:?} is gone from its controller's catalogue"),
            FleetChange::Fenced => format!("the fleet {fleet:?} is fenced in its controller's catalogue"),
            FleetChange::Another => {
                format!("the fleet {fleet:?} is another one in its controller's catalogue")
            }
            FleetChange::Unreadable => {
                format!("the controller's catalogue has a fleet {fleet:?} of another version")
            }
            FleetChange::Transcoder => {
                format!("the transcoder of the fleet {fleet:?} was changed since the fleet was handed over")
            }
        }
    }
}

impl FleetSeen {
    /// Of a record as its catalogue has it.
    pub fn of(record: &Value) -> FleetSeen {
        let fenced = record["tombstone"].as_bool().unwrap_or(false);
        let generation = record["generation"].as_str().unwrap_or_default().to_owned();
        let changed = !fenced && fleet_generation(&record["definition"], &record["work"]) != generation;
        FleetSeen { generation, changed, fenced }
    }
}

/// What an annotation has.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(untagged)]
pub enum FleetsTold {
    /// All that the controller knows.
    Report(FleetReport),
    /// There is no room for that. What an earlier report said is not true of now.
    TooMany {
        /// So many fleets.
        left_out: u64,
    },
}

impl FleetsTold {
    /// What is in an annotation; `None` where it is no report, or another version's.
    pub fn read(text: &str) -> Option<FleetsTold> {
        serde_json::from_str(text).ok()
    }
}

impl FleetReport {
    /// The annotation. One that would be too long says only of how many fleets.
    pub fn text(&self) -> String {
        let whole = serde_json::to_string(self).ok().filter(|text| text.len() <= LONGEST);
        whole.unwrap_or_else(|| json!({ "read_ms": self.read_ms, "left_out": self.fleets.len() }).to_string())
    }

    /// Whether there is no room for it in an annotation.
    pub fn is_too_long(&self) -> bool {
        serde_json::to_string(self).is_ok_and(|text| text.len() > LONGEST)
    }

    /// What another hand changed of a fleet since its job wrote it, in words. `ended` is when that job ended, as the API server has
    /// it, `generation` what it wrote, where that is known still. `None` where nothing was changed, and where this report is too old to know.
    pub fn changed(&self, fleet: &str, ended: &str, generation: Option<&str>) -> Option<String> {
        let ended: jiff::Timestamp = ended.parse().ok()?;
        let ended = u64::try_from(ended.as_millisecond()).ok()?;
        if self.read_ms < ended.saturating_add(SKEW_MS) {
            return None;
        }
        let change = match self.fleets.get(fleet) {
            None => FleetChange::Gone,
            Some(seen) if seen.fenced => FleetChange::Fenced,
            Some(seen) if seen.changed || generation.is_some_and(|it| it != seen.generation) => {
                FleetChange::Another
            }
            Some(_) => return None,
        };
        Some(change.told(fleet))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ENDED: &str = "2026-11-26T12:00:00Z";

    fn at(ms: u64, record: &Value) -> FleetReport {
        let base = ENDED.parse::<jiff::Timestamp>().unwrap().as_millisecond();
        FleetReport {
            read_ms: u64::try_from(base).unwrap() + ms,
            fleets: BTreeMap::from([("encode".to_owned(), FleetSeen::of(record))]),
        }
    }

    fn record(max: u32) -> Value {
        let definition = json!({ "name": "encode", "range": { "min": 0, "max": max } });
        let generation = fleet_generation(&definition, &Value::Null);
        json!({ "definition": definition, "generation": generation, "owner": "somebody" })
    }

    #[test]
    fn what_another_hand_changed_is_told_and_what_the_job_wrote_is_not() {
        let later = 60_000;
        assert_eq!(at(later, &record(4)).changed("encode", ENDED, None), None);
        let mut edited = record(4);
        edited["definition"]["range"]["max"] = json!(9);
        assert!(at(later, &edited).changed("encode", ENDED, None).unwrap().contains("another one"));
        let mut fenced = record(4);
        fenced["tombstone"] = json!(true);
        assert!(at(later, &fenced).changed("encode", ENDED, None).unwrap().contains("fenced"));
        assert!(at(later, &record(4)).changed("other", ENDED, None).unwrap().contains("gone"));
        assert!(at(later, &json!("nonsense")).changed("encode", ENDED, None).is_some());
        // An old backup was put back: it is whole, and not what was written last.
        let (old, new) = (record(4), record(5));
        let written = new["generation"].as_str();
        assert!(at(later, &old).changed("encode", ENDED, written).unwrap().contains("another one"));
        assert_eq!(at(later, &new).changed("encode", ENDED, written), None);
    }

    #[test]
    fn a_report_from_before_the_job_ended_says_nothing() {
        let mut edited = record(4);
        edited["definition"]["range"]["max"] = json!(9);
        for ms in [0, SKEW_MS - 1] {
            assert_eq!(at(ms, &edited).changed("encode", ENDED, None), None, "{ms}");
        }
        assert!(at(SKEW_MS, &edited).changed("encode", ENDED, None).is_some());
        assert_eq!(at(SKEW_MS, &edited).changed("encode", "no time", None), None);
    }

    #[test]
    fn a_report_is_read_as_it_was_written_and_never_outgrows_its_annotation() {
        let report = at(1, &record(4));
        assert_eq!(FleetsTold::read(&report.text()), Some(FleetsTold::Report(report.clone())));
        for none in ["", "{}", r#"{"read_ms":1}"#, r#"{"fleets":{}}"#] {
            assert_eq!(FleetsTold::read(none), None, "{none}");
        }
        let seen = FleetSeen::of(&record(4));
        let many = |count: u32| FleetReport {
            fleets: (0..count).map(|it| (format!("a-fleet-with-a-name-{it}"), seen.clone())).collect(),
            ..report.clone()
        };
        assert!(
            matches!(FleetsTold::read(&many(500).text()), Some(FleetsTold::Report(all)) if all == many(500))
        );
        // It says so instead of leaving what was said before.
        let text = many(10_000).text();
        assert!(text.len() < 100 && many(10_000).is_too_long() && !many(500).is_too_long(), "{text}");
        assert_eq!(FleetsTold::read(&text), Some(FleetsTold::TooMany { left_out: 10_000 }));
    }

    #[test]
    fn numbers_that_a_catalogue_wrote_otherwise_are_the_same_fleet() {
        let of = |text: &str| fleet_generation(&serde_json::from_str(text).unwrap(), &Value::Null);
        assert_eq!(of(r#"{"a":0.000005,"b":12}"#), of(r#"{"b":12.0,"a":5e-6}"#));
        assert_ne!(of(r#"{"a":1}"#), of(r#"{"a":2}"#));
        assert_ne!(of(r#"{"a":1}"#), of(r#"{"a":"1"}"#));
    }
}
