//! A market: how many spot instances each zone would give, tick by tick.
//!
//! The schema of recorded ones is that of skypilot-org/spot-traces: `{"metadata": {"gap_seconds": 195}, "data": [0, 1, …]}`,
//! one file for each zone. Such a trace probes one instance; where several were probed in a zone it had capacity for all or
//! none in 83 to 97 of 100 ticks, so that a zone that has any is taken to have `per_zone` of them.

use std::fmt;

use serde::Deserialize;

/// A market.
#[derive(Clone, Debug, PartialEq)]
pub struct Market {
    /// How long each tick lasts, in milliseconds.
    pub gap_ms: u64,
    /// The zones, all over the same ticks.
    pub zones: Vec<Zone>,
}

/// A zone of a market.
#[derive(Clone, Debug, PartialEq)]
pub struct Zone {
    /// Its name: `us-east-1a`.
    pub name: String,
    /// Its region: the name without the letter.
    pub region: String,
    /// How many it would give, by tick.
    pub available: Vec<u32>,
}

/// What is wrong with a trace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TraceError(String);

#[derive(Deserialize)]
struct File {
    metadata: Metadata,
    data: Vec<u32>,
}

#[derive(Deserialize)]
struct Metadata {
    gap_seconds: u64,
}

impl Market {
    /// Reads traces, each with the name of its file. They are cut to the shortest, and must have the same ticks.
    ///
    /// # Errors
    /// No trace, one that is none, and ticks that differ; it says of which file.
    pub fn read<'a>(files: impl IntoIterator<Item = (&'a str, &'a str)>) -> Result<Market, TraceError> {
        let (mut gap, mut zones) = (None, Vec::new());
        for (file, text) in files {
            let wrong = |why: String| TraceError(format!("{file}: {why}"));
            let read: File = serde_json::from_str(text).map_err(|error| wrong(format!(
                "is no trace of a spot market, which is {{\"metadata\": {{\"gap_seconds\": 195}}, \"data\": [0, 1, …]}}: {error}"
            )))?;
            let seconds = read.metadata.gap_seconds;
            if !(1..=86_400).contains(&seconds) || read.data.is_empty() {
                return Err(wrong(format!(
                    "has {} ticks of {seconds} s: it needs some, of 1 to 86400 s",
                    read.data.len()
                )));
            }
            if *gap.get_or_insert(seconds) != seconds {
                return Err(wrong(format!(
                    "has ticks of {seconds} s, the others have other ones: give traces of one recording"
                )));
            }
            zones.push(Zone::named(file, read.data));
        }
        let length = zones.iter().map(|it: &Zone| it.available.len()).min();
        let (Some(gap), Some(length)) = (gap, length) else {
            return Err(TraceError(
                "there is no trace: give a file, or a folder with files that end in .json".to_owned(),
            ));
        };
        zones.iter_mut().for_each(|it| it.available.truncate(length));
        zones.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(Market { gap_ms: gap * 1000, zones })
    }

    /// How many ticks it has.
    pub fn ticks(&self) -> usize {
        self.zones.iter().map(|it| it.available.len()).min().unwrap_or(0)
    }

    /// How long it lasts.
    pub fn length_ms(&self) -> u64 {
        self.gap_ms.saturating_mul(self.ticks() as u64)
    }

    /// What a zone would give at an instant.
    pub fn available(&self, zone: usize, now: u64) -> u32 {
        let tick = usize::try_from(now / self.gap_ms.max(1)).unwrap_or(usize::MAX);
        self.zones.get(zone).and_then(|it| it.available.get(tick)).copied().unwrap_or(0)
    }

    /// Until when a zone has some, from an instant at which it has; the end of the market where it never stops.
    pub fn up_until(&self, zone: usize, now: u64) -> u64 {
        let gap = self.gap_ms.max(1);
        let from = usize::try_from(now / gap).unwrap_or(usize::MAX);
        let rest = self.zones.get(zone).and_then(|it| it.available.get(from..)).unwrap_or(&[]);
        let up = rest.iter().take_while(|it| **it > 0).count();
        (from as u64).saturating_add(up as u64).saturating_mul(gap)
    }

    /// The share of the time in which a zone has some.
    pub fn availability(&self, zone: usize) -> f64 {
        let Some(zone) = self.zones.get(zone) else { return 0.0 };
        zone.available.iter().filter(|it| **it > 0).count() as f64 / zone.available.len().max(1) as f64
    }
}

impl Zone {
    /// A zone of a file's name: `us-east-1a_v100_1.json` is of zone us-east-1a, in region us-east-1.
    fn named(file: &str, available: Vec<u32>) -> Zone {
        let stem = file.rsplit(['/', '\\']).next().unwrap_or(file);
        let stem = stem.strip_suffix(".json").unwrap_or(stem);
        let name = stem.split('_').next().unwrap_or(stem).to_owned();
        let region = name.strip_suffix(|it: char| it.is_ascii_lowercase()).unwrap_or(&name).to_owned();
        Zone { region, name, available }
    }
}

impl fmt::Display for TraceError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for TraceError {}
