//! What must hold of all that plays, whoever made it: looked at item by item.

use std::fmt;

use super::item::{Clock, Cue, Facts, Item, ItemKind};
use super::spec::{FastChannelSpec, millis};
use super::zone::Zone;
use crate::platform::SpecError;

/// Something that must not be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// When, in milliseconds since the epoch.
    pub at_ms: u64,
    /// Which rule.
    pub rule: Rule,
    /// What was found.
    pub text: String,
}

/// What must hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Rule {
    /// Each segment adds one to the media sequence (RFC 8216 section 6.2.2).
    MediaSequence,
    /// Each item adds one to the discontinuity sequence.
    DiscontinuitySequence,
    /// An item begins when the one before ends.
    Gapless,
    /// Every segment is in a package that is there, and as long as was said.
    Exists,
    /// No segment is longer than what its package announces, in whole seconds (RFC 8216 section 4.3.3.1).
    TargetDuration,
    /// An hour of the local clock has no more spots than allowed.
    AdLoad,
    /// After every way out there is one way back (ANSI/SCTE 35), before the next.
    Splices,
    /// A break is as long as was said, but for a segment.
    BreakLength,
    /// Programmes are counted one by one.
    Programmes,
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Rule::MediaSequence => "media sequence",
            Rule::DiscontinuitySequence => "discontinuity sequence",
            Rule::Gapless => "gap",
            Rule::Exists => "segment that is not there",
            Rule::TargetDuration => "target duration",
            Rule::AdLoad => "ad load",
            Rule::Splices => "splice",
            Rule::BreakLength => "length of a break",
            Rule::Programmes => "count of programmes",
        })
    }
}

/// Looks at items in order.
#[derive(Clone, Debug)]
pub struct Audit {
    zone: Zone,
    most_ms: Option<u64>,
    before: Option<Item>,
    hour: (i64, u64, bool),
    out: Option<(u32, u64, u64)>,
    found: Vec<Violation>,
}

/// The most that are kept: a broken rule is broken again and again.
const MOST: usize = 1_000;
/// The longest that a segment of slate may be that runs over.
const RUN_OVER_MS: u64 = 30_000;

impl Audit {
    /// Of a channel.
    ///
    /// # Errors
    /// An unknown time zone.
    pub fn new(spec: &FastChannelSpec) -> Result<Audit, SpecError> {
        Ok(Audit {
            zone: Zone::named(&spec.time_zone)?,
            most_ms: spec.ad_breaks.as_ref().map(|it| millis(it.max_per_hour)),
            before: None,
            hour: (0, 0, false),
            out: None,
            found: Vec::new(),
        })
    }

    /// What was found.
    pub fn violations(&self) -> &[Violation] {
        &self.found
    }

    /// Goes on with a changed spec, and allows both loads in the hour that runs.
    ///
    /// # Errors
    /// An unknown time zone.
    pub fn change(&mut self, spec: &FastChannelSpec) -> Result<(), SpecError> {
        let next = Audit::new(spec)?;
        self.most_ms = next.most_ms;
        // Hours of another zone begin at other times: what ran is counted anew.
        if self.zone.0 != next.zone.0 {
            self.hour = (0, 0, true);
            self.zone = next.zone;
        }
        self.hour.2 = true;
        Ok(())
    }

    fn wrong(&mut self, item: &Item, rule: Rule, text: String) {
        if self.found.len() < MOST {
            self.found.push(Violation { at_ms: item.start_ms, rule, text });
        }
    }

    /// Looks at the next item.
    pub fn see(&mut self, item: &Item, facts: &dyn Facts) {
        if let Some(before) = self.before.take() {
            self.follows(&before, item);
        }
        self.exists(item, facts);
        self.splice(item);
        if item.kind == ItemKind::Ad {
            self.load(item);
        }
        self.before = Some(item.clone());
    }

    fn follows(&mut self, before: &Item, item: &Item) {
        let msn = before.msn.saturating_add(before.count);
        if item.msn != msn {
            self.wrong(item, Rule::MediaSequence, format!("it is {} and should be {msn}", item.msn));
        }
        let dsn = before.dsn.saturating_add(1);
        if item.dsn != dsn {
            self.wrong(item, Rule::DiscontinuitySequence, format!("it is {} and should be {dsn}", item.dsn));
        }
        let end = before.end_ms();
        if item.start_ms != end {
            let text = match item.start_ms.checked_sub(end) {
                Some(gap) => format!("nothing plays for {gap} ms before {}", item.asset),
                None => {
                    format!("{} begins {} ms before {} ends", item.asset, end - item.start_ms, before.asset)
                }
            };
            self.wrong(item, Rule::Gapless, text);
        }
        if !(before.programme..=before.programme.saturating_add(1)).contains(&item.programme) {
            let text = format!("{} follows {}", item.programme, before.programme);
            self.wrong(item, Rule::Programmes, text);
        }
    }

    fn exists(&mut self, item: &Item, facts: &dyn Facts) {
        let Some(asset) = facts.asset(&item.asset).filter(|it| it.generation == item.generation) else {
            let text = format!("{} has no generation {:?}", item.asset, item.generation);
            return self.wrong(item, Rule::Exists, text);
        };
        let Some(clock) = Clock::of(&asset.index, item.part as usize) else {
            return self.wrong(item, Rule::Exists, format!("{} has no part {}", item.asset, item.part));
        };
        let end = item.first.saturating_add(item.count);
        if item.count == 0 || end > clock.count() {
            let text =
                format!("{} has {} segments in part {}, not {end}", item.asset, clock.count(), item.part);
            return self.wrong(item, Rule::Exists, text);
        }
        let ms = clock.ms(item.first, item.count).max(1);
        if ms != item.duration_ms {
            let text = format!("{} plays {ms} ms and says {}", item.asset, item.duration_ms);
            self.wrong(item, Rule::Exists, text);
        }
        let target = asset.index.segment_ms.div_ceil(1000);
        let longest = (item.first..end).map(|at| clock.ms(at, 1)).max().unwrap_or(0);
        if longest.saturating_add(500) / 1000 > target {
            let text = format!("{} has a segment of {longest} ms and announces {target} s", item.asset);
            self.wrong(item, Rule::TargetDuration, text);
        }
    }

    fn splice(&mut self, item: &Item) {
        match item.splice.as_ref().map(|it| (it.event_id, &it.cue)) {
            Some((id, Cue::Out { duration_ms })) => {
                if let Some((other, ..)) = self.out {
                    self.wrong(item, Rule::Splices, format!("{id} goes out before {other} came back"));
                }
                if item.kind == ItemKind::Programme {
                    self.wrong(item, Rule::Splices, format!("{id} goes out and {} plays", item.asset));
                }
                self.out = Some((id, item.start_ms, *duration_ms));
            }
            Some((id, Cue::In)) => match self.out.take() {
                Some((out, began, said)) if out == id => {
                    let was = item.start_ms.saturating_sub(began);
                    if was.abs_diff(said) >= RUN_OVER_MS {
                        let text = format!("{id} was {was} ms and said {said}");
                        self.wrong(item, Rule::BreakLength, text);
                    }
                }
                _ => self.wrong(item, Rule::Splices, format!("{id} comes back and was not out")),
            },
            None if item.kind == ItemKind::Programme && self.out.is_some() => {
                self.wrong(item, Rule::Splices, format!("{} plays and nothing came back", item.asset));
            }
            None if item.kind == ItemKind::Ad && self.out.is_none() => {
                self.wrong(item, Rule::Splices, format!("{} plays outside of a break", item.asset));
            }
            None => {}
        }
    }

    fn load(&mut self, item: &Item) {
        let Some(most) = self.most_ms else {
            return self.wrong(item, Rule::AdLoad, format!("{} plays and there are no breaks", item.asset));
        };
        let (hour, left) = self.zone.hour(item.start_ms);
        let here = item.duration_ms.min(left);
        for (hour, ms) in [(hour, here), (hour.saturating_add(1), item.duration_ms - here)] {
            if ms == 0 {
                continue;
            }
            if self.hour.0 != hour {
                self.hour = (hour, 0, false);
            }
            self.hour.1 = self.hour.1.saturating_add(ms);
            if self.hour.1 > most && !self.hour.2 {
                self.wrong(item, Rule::AdLoad, format!("{} ms of spots in an hour of {most}", self.hour.1));
            }
        }
    }

    /// Whether a break is open.
    pub fn is_out(&self) -> bool {
        self.out.is_some()
    }
}
