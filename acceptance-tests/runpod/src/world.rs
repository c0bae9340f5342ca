//! What the stand-in's account has.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use serde::Deserialize;
use serde_json::{Map, Value, json};
use streamverse_stand_in::{Admitted, Ledger, Minute, NoRefusals, Steering};

use crate::ledger::Entry;
use crate::stock::Stock;

/// What an answer is: a status and a body.
pub(crate) type Answer = (u16, Option<Value>);

/// An answer that refuses, as RFC 9457 has it.
pub(crate) fn refuse(status: u16, detail: impl Into<String>) -> Answer {
    (status, Some(json!({ "title": title(status), "status": status, "detail": detail.into() })))
}

pub(crate) fn title(status: u16) -> &'static str {
    match status {
        400 => "Bad Request",
        401 => "Unauthorized",
        402 => "Payment Required",
        403 => "Forbidden",
        404 => "Not Found",
        409 => "Conflict",
        422 => "Unprocessable Entity",
        429 => "Too Many Requests",
        _ => "Error",
    }
}

/// How it behaves; the control API changes it at any time.
#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Settings {
    /// Milliseconds from PROVISIONING to STARTING.
    pub(crate) provision_ms: u64,
    /// Milliseconds from STARTING to RUNNING.
    pub(crate) start_ms: u64,
    /// So long lists miss what was made.
    pub(crate) list_lag_ms: u64,
    /// So long lists still show what was deleted.
    pub(crate) list_ghost_ms: u64,
    /// Things on each page of a list; all on one when it is zero, as the description has it.
    pub(crate) page_size: usize,
    /// So long a terminated pod is still told of.
    pub(crate) terminated_ms: u64,
    /// From SIGTERM to SIGKILL.
    pub(crate) grace_ms: u64,
    /// Whether the account has money: 402 otherwise.
    pub(crate) balance: bool,
    /// Dollars per hour that may be spent: 402 beyond.
    pub(crate) spend_limit: f64,
    /// Calls per minute: 429 beyond.
    pub(crate) per_minute: u32,
    /// What runs for each pod: a program and its arguments, to which the pod's own are added. Nothing where it is empty.
    pub(crate) command: Vec<String>,
    /// The same for pods of an image; the others run `command`.
    pub(crate) images: BTreeMap<String, Vec<String>>,
    /// What its environment has besides the pod's.
    pub(crate) command_env: BTreeMap<String, String>,
    /// Where its output goes, a file for each pod.
    pub(crate) command_logs: Option<std::path::PathBuf>,
}

impl Default for Settings {
    fn default() -> Settings {
        Settings {
            provision_ms: 50,
            start_ms: 50,
            list_lag_ms: 0,
            list_ghost_ms: 0,
            page_size: 0,
            terminated_ms: 0,
            grace_ms: 5000,
            balance: true,
            spend_limit: 80.0,
            per_minute: 100_000,
            command: Vec::new(),
            images: BTreeMap::new(),
            command_env: BTreeMap::new(),
            command_logs: None,
        }
    }
}

/// One thing.
pub(crate) struct Thing {
    pub(crate) body: Map<String, Value>,
    pub(crate) made: Instant,
    /// The number that orders lists.
    pub(crate) number: u64,
    /// When it ended, if it is still told of.
    pub(crate) ended: Option<Instant>,
    /// Of a pod: the process group of its command.
    pub(crate) process: Option<u32>,
    /// Of a pod: raised by every start, so that an earlier life's end is not taken for this one's.
    pub(crate) life: u64,
}

impl Thing {
    pub(crate) fn text(&self, member: &str) -> &str {
        self.body.get(member).and_then(Value::as_str).unwrap_or_default()
    }

    pub(crate) fn number_of(&self, member: &str) -> f64 {
        self.body.get(member).and_then(Value::as_f64).unwrap_or(0.0)
    }
}

/// The kinds of things, as the ledger calls them.
pub(crate) const KINDS: [&str; 5] = ["pod", "template", "volume", "registry", "endpoint"];

/// The account.
pub(crate) struct World {
    pub(crate) settings: Settings,
    pub(crate) things: BTreeMap<&'static str, BTreeMap<String, Thing>>,
    pub(crate) stock: Stock,
    pub(crate) steering: Steering<NoRefusals>,
    ledger: Ledger<Entry>,
    began: Instant,
    made: u64,
    /// What lists still show though it is gone: kind, number, when it went, body.
    ghosts: Vec<(&'static str, u64, Instant, Value)>,
    /// Programs that got SIGTERM and did not end yet.
    pub(crate) ending: BTreeSet<u32>,
    /// What broke the description, ours or theirs.
    pub(crate) violations: Vec<String>,
    minute: Minute,
}

impl World {
    pub(crate) fn new(ledger: Ledger<Entry>) -> World {
        World {
            settings: Settings::default(),
            things: KINDS.iter().map(|kind| (*kind, BTreeMap::new())).collect(),
            stock: Stock::usual(),
            steering: Steering::default(),
            ledger,
            began: Instant::now(),
            made: 0,
            ghosts: Vec::new(),
            ending: BTreeSet::new(),
            violations: Vec::new(),
            minute: Minute::default(),
        }
    }

    pub(crate) fn of(&self, kind: &str) -> &BTreeMap<String, Thing> {
        static NONE: BTreeMap<String, Thing> = BTreeMap::new();
        self.things.get(kind).unwrap_or(&NONE)
    }

    pub(crate) fn find(&mut self, kind: &str, id: &str) -> Option<&mut Thing> {
        self.things.get_mut(kind)?.get_mut(id)
    }

    pub(crate) fn has(&self, kind: &str, id: &str) -> bool {
        self.of(kind).contains_key(id)
    }

    /// Ten characters, as RunPod's are; told apart by their end.
    pub(crate) fn fresh_id(&mut self) -> String {
        self.made += 1;
        let salt = self.made.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 44;
        format!("{salt:05x}{:05x}", self.made)
    }

    /// Adds a thing, in the ledger too.
    pub(crate) fn add(&mut self, kind: &'static str, body: Map<String, Value>) -> Value {
        let number = self.made;
        let thing = Thing { body, made: Instant::now(), number, ended: None, process: None, life: 0 };
        self.note(kind, &thing, "created", false);
        let told = public(&thing.body);
        if let Some(of) = self.things.get_mut(kind) {
            of.insert(thing.text("id").to_owned(), thing);
        }
        told
    }

    /// Takes a thing away, in the ledger too.
    pub(crate) fn remove(&mut self, kind: &str, id: &str, event: &str) -> Option<Thing> {
        let thing = self.things.get_mut(kind)?.remove(id)?;
        let kind = KINDS.into_iter().find(|it| *it == kind)?;
        self.note(kind, &thing, event, true);
        if self.settings.list_ghost_ms > 0 {
            self.ghosts.push((kind, thing.number, Instant::now(), public(&thing.body)));
        }
        Some(thing)
    }

    /// A line of the ledger.
    pub(crate) fn note(&mut self, kind: &str, thing: &Thing, event: &str, end: bool) {
        let seconds = thing.made.elapsed().as_secs_f64();
        let rate = thing.body.get("_rate").and_then(Value::as_f64).unwrap_or(0.0);
        let class = thing.text("_class").to_owned();
        let entry = Entry {
            at: self.began.elapsed().as_secs_f64(),
            event: event.to_owned(),
            kind: kind.to_owned(),
            id: thing.text("id").to_owned(),
            name: thing.text("name").to_owned(),
            class,
            seconds: end.then_some(seconds),
            dollars: (end && rate > 0.0).then_some(rate * seconds / 3600.0),
        };
        self.ledger.write(&entry);
    }

    /// Things that lists show now, in the order of their making.
    pub(crate) fn listed(&self, kind: &str) -> Vec<Value> {
        let lag = Duration::from_millis(self.settings.list_lag_ms);
        let gone = Duration::from_millis(self.settings.list_ghost_ms);
        let there = self.of(kind).values().filter(|thing| thing.made.elapsed() >= lag);
        let mut shown: Vec<(u64, Value)> = there.map(|thing| (thing.number, public(&thing.body))).collect();
        let ghosts = self.ghosts.iter().filter(|(of, number, at, _)| {
            *of == kind && at.elapsed() < gone && !shown.iter().any(|(it, _)| it == number)
        });
        let ghosts: Vec<(u64, Value)> = ghosts.map(|(_, number, _, body)| (*number, body.clone())).collect();
        shown.extend(ghosts);
        shown.sort_by_key(|(number, _)| *number);
        shown.into_iter().map(|(_, body)| body).collect()
    }

    /// Whether a call is let in.
    pub(crate) fn admit(&mut self) -> Admitted {
        let now_ms = u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.minute.admit(now_ms, self.settings.per_minute)
    }

    /// Dollars per hour of everything that runs.
    pub(crate) fn spending(&self) -> f64 {
        self.of("pod").values().filter(|pod| pod.ended.is_none()).map(|pod| pod.number_of("cost")).sum()
    }
}

/// A thing as the API shows it: without what is only ours.
pub(crate) fn public(body: &Map<String, Value>) -> Value {
    Value::Object(
        body.iter().filter(|(name, _)| !name.starts_with('_')).map(|(n, v)| (n.clone(), v.clone())).collect(),
    )
}

/// Now, as the API writes it.
pub(crate) fn now() -> String {
    let seconds = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .map_or(0, |since| i64::try_from(since.as_secs()).unwrap_or(0));
    let (days, of_day) = (seconds.div_euclid(86_400), seconds.rem_euclid(86_400));
    // Howard Hinnant, "chrono-Compatible Low-Level Date Algorithms": civil_from_days.
    let shifted = days + 719_468;
    let era = shifted.div_euclid(146_097);
    let of_era = shifted.rem_euclid(146_097);
    let year_of_era = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_index = (5 * of_year + 2) / 153;
    let day = of_year - (153 * month_index + 2) / 5 + 1;
    let month = if month_index < 10 { month_index + 3 } else { month_index - 9 };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    let (hour, minute, second) = (of_day / 3600, of_day / 60 % 60, of_day % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z")
}
