//! Rules that playlists must keep over hours, each a named check of ours: those that `facts/video-delivery.md` lists, of RFC
//! 8216 with the delta updates of its successor, of Apple's authoring specification, and of the guidelines of DASH-IF. Those of
//! low latency are of no use here: no playlist has parts, which `no-parts` checks.
//!
//! | facts | rules |
//! |---|---|
//! | 1.6 markers: DATERANGE with SCTE35-OUT and -IN, a cue on the first segment at or after its splice point | `daterange-constant`, `daterange-complete`, `cue-in-place`, `cue-both-ways`, `dash-events` |
//! | 1.7 CAN-SKIP-UNTIL of six target durations, section 6.2.5.1, 4.4.5.2 | `skip-boundary`, `delta-same` |
//! | 1.7 no parts where there is no low latency, `_HLS_part` and `_HLS_msn`, directives after ENDLIST | `no-parts`; `asked.rs` for what is asked |
//! | 1.7 AVPlayer -12642: a missing discontinuity sequence, a window that is too small | `discontinuity-sequence`, `window` |
//! | 2.1 PSSH, PRO, `skd:`, system ids, `cenc` and `cbcs`; ClearKey never as `identity` | `hls-keys`, `no-identity`, `dash-keys` |
//! | 6.2 three target durations from the end | `hold-back`, `dash-delay` |
//! | 7 ffplayout: wall clock, no drift, no gaps, the day boundary and its clock, SCTE-35 | `dates-agree`, `in-time`, `not-early`, `dash-gapless` over [`day.rs`](super::day) |
//! | 7 channel-engine: lockstep of renditions, a date also for slate, always a discontinuity sequence, one playlist for all | `lockstep`, `dated`, `numbers-grow`, `dash-same`, and `replicas.rs` |
//! | 7 gpac: no state of cues across rewrites | `cue-always` |
//! | 7 shaka-packager: EXTINF, cues as periods and discontinuities | `target-kept`, `target-constant`, `map-with-discontinuity`, `dash-events` |
//! | RFC 8216 6.2.1, 6.2.2, 7; DASH-IF's live and multi-period rules (dashcheck) | `never-changes`, `none-taken-back`, `none-passed-over`, `version`, `live-open`, `event-grows`, `recording-ends`, `dash-live`, `dash-clock`, `dash-periods`, `dash-representations`, `dash-timeline`, `dash-not-early`, `dash-constant`, `dash-continuity`, `dash-longest`, `dash-recording` |

use std::collections::BTreeMap;

use super::playlist::{Playlist, Segment};
use super::truth::Truth;

/// All of them: what a run over hours must have looked at.
pub(super) const RULES: [&str; 44] = [
    "target-constant",
    "target-kept",
    "numbers-grow",
    "none-taken-back",
    "none-passed-over",
    "never-changes",
    "live-open",
    "version",
    "no-parts",
    "skip-boundary",
    "hold-back",
    "window",
    "not-early",
    "in-time",
    "discontinuity-sequence",
    "dated",
    "dates-agree",
    "map-with-discontinuity",
    "lockstep",
    "hls-keys",
    "no-identity",
    "daterange-constant",
    "daterange-complete",
    "cue-in-place",
    "cue-both-ways",
    "cue-always",
    "delta-same",
    "event-grows",
    "recording-ends",
    "dash-live",
    "dash-clock",
    "dash-delay",
    "dash-periods",
    "dash-gapless",
    "dash-representations",
    "dash-timeline",
    "dash-not-early",
    "dash-constant",
    "dash-same",
    "dash-keys",
    "dash-events",
    "dash-continuity",
    "dash-longest",
    "dash-recording",
];

pub(super) type Kept = Result<(), String>;

/// What was looked at, and how often.
#[derive(Default)]
pub(super) struct Checks(BTreeMap<&'static str, u64>);

impl Checks {
    /// That a rule holds here.
    pub(super) fn rule(&mut self, name: &'static str, good: bool, what: impl FnOnce() -> String) -> Kept {
        assert!(RULES.contains(&name), "{name} is in no table");
        *self.0.entry(name).or_default() += 1;
        if good { Ok(()) } else { Err(format!("{name}: {}", what())) }
    }

    pub(super) fn all_were_looked_at(&self) {
        let missing: Vec<_> = RULES.iter().filter(|it| !self.0.contains_key(*it)).collect();
        assert!(missing.is_empty(), "{missing:?} were never looked at");
    }
}

/// What was seen of a rendition until now.
#[derive(Default)]
pub(super) struct Seen {
    pub(super) segments: BTreeMap<u64, Segment>,
    pub(super) last: Playlist,
    pub(super) ranges: BTreeMap<String, BTreeMap<String, String>>,
}

/// A segment as it is in every playlist that has it. A date stands where a playlist needs one, and what begins a playlist needs
/// no discontinuity.
pub(super) fn lasting(it: &Segment) -> Segment {
    Segment { dated: None, at: 0, discontinuity: false, ..it.clone() }
}

impl Seen {
    /// Takes what a live playlist shows now, and says which rule it breaks.
    pub(super) fn take(&mut self, to: &mut Checks, now: u64, new: Playlist, truth: &Truth) -> Kept {
        self.follows(to, &new)?;
        to.rule("live-open", !new.ended && new.kind.is_empty(), || {
            "a live playlist has no end and no type".to_owned()
        })?;
        to.rule("version", new.version >= if new.skipped > 0 { 9 } else { 6 }, || new.version.to_string())?;
        let control = |name: &str| new.control.get(name).and_then(|it| it.parse::<f64>().ok()).unwrap_or(0.0);
        #[allow(clippy::cast_precision_loss, reason = "small")]
        let target = new.target as f64;
        to.rule("skip-boundary", control("CAN-SKIP-UNTIL") >= 6.0 * target, || format!("{:?}", new.control))?;
        to.rule("hold-back", control("HOLD-BACK") >= 3.0 * target, || format!("{:?}", new.control))?;
        // Tags of parts are unknown to the reader; their attributes would be here.
        let parts = ["PART-HOLD-BACK", "CAN-BLOCK-RELOAD"].iter().any(|it| new.control.contains_key(*it));
        to.rule("no-parts", !parts, || format!("{:?}", new.control))?;
        let whole: u64 = new.segments.iter().map(|it| it.micros).sum();
        to.rule("window", whole >= 6 * new.target * 1_000_000, || format!("{whole} µs"))?;
        let end = new.end() / 1000;
        to.rule("not-early", end <= now + 100, || format!("it ends at {end}"))?;
        to.rule("in-time", end + new.target * 1000 + 600 > now, || {
            format!("it ends at {end}, 1.5 target durations ago")
        })?;
        self.whole(to, &new, truth)?;
        self.cues(to, &new, now, truth)?;
        self.last = new;
        Ok(())
    }

    /// What holds between this and the playlist before it.
    fn follows(&self, to: &mut Checks, new: &Playlist) -> Kept {
        let old = &self.last;
        let (Some(first), Some(last)) = (old.segments.first(), old.segments.last()) else { return Ok(()) };
        to.rule("target-constant", new.target == old.target, || {
            format!("{} after {}", new.target, old.target)
        })?;
        to.rule("numbers-grow", new.msn >= old.msn && new.dsn >= old.dsn, || {
            format!("{} {}", new.msn, new.dsn)
        })?;
        let ends = new.segments.last().map_or(0, |it| it.msn);
        to.rule("none-taken-back", ends >= last.msn, || format!("{ends} after {}", last.msn))?;
        to.rule("none-passed-over", new.msn <= last.msn + 1, || format!("{} after {}", new.msn, last.msn))?;
        to.rule("discontinuity-sequence", first.msn < new.msn || first.dsn >= new.dsn, || {
            format!("{} where no discontinuity went", new.dsn)
        })
    }

    /// What holds of its segments.
    pub(super) fn whole(&mut self, to: &mut Checks, new: &Playlist, truth: &Truth) -> Kept {
        let mut before: Option<&Segment> = None;
        for it in &new.segments {
            to.rule("target-kept", (it.micros + 500_000) / 1_000_000 <= new.target, || format!("{it:?}"))?;
            if let Some(known) = self.segments.get(&it.msn) {
                to.rule("never-changes", lasting(known) == lasting(it), || {
                    format!("{known:?} became {it:?}")
                })?;
                to.rule("dates-agree", known.at.abs_diff(it.at) <= 2_000, || {
                    format!("{known:?} moved to {it:?}")
                })?;
            }
            to.rule("no-identity", !it.keys.contains_key("identity"), || format!("{:?}", it.keys))?;
            truth.keys(to, it)?;
            match before {
                Some(before) => {
                    to.rule(
                        "discontinuity-sequence",
                        it.dsn == before.dsn + u64::from(it.discontinuity),
                        || format!("{it:?}"),
                    )?;
                    to.rule("map-with-discontinuity", it.discontinuity || it.map == before.map, || {
                        format!("{it:?}")
                    })?;
                    let gap = it.at.abs_diff(before.at + before.micros);
                    to.rule("dates-agree", gap <= 60_000, || format!("{gap} µs before {it:?}"))?;
                    to.rule("dated", !it.discontinuity || it.dated.is_some(), || format!("{it:?}"))?;
                }
                None => to.rule("dated", it.dated.is_some(), || format!("the first: {it:?}"))?,
            }
            before = Some(it);
            self.segments.insert(it.msn, it.clone());
        }
        Ok(())
    }

    /// What holds of its date ranges.
    fn cues(&mut self, to: &mut Checks, new: &Playlist, now: u64, truth: &Truth) -> Kept {
        let begins = new.segments.first().map_or(0, |it| it.at / 1000);
        // Where something begins: at, or a segment's start is the first at or after it.
        let starts =
            |ms: u64| ms < begins || new.segments.iter().any(|it| it.discontinuity && it.dated == Some(ms));
        let millis = |text: &str| {
            let (whole, part) = text.split_once('.').unwrap();
            whole.parse::<u64>().unwrap() * 1000 + part.parse::<u64>().unwrap()
        };
        let mut told: BTreeMap<String, (bool, bool)> = BTreeMap::new();
        for range in &new.ranges {
            let id = range["ID"].clone();
            let known = self.ranges.entry(id.clone()).or_default();
            for (name, value) in range {
                let before = known.entry(name.clone()).or_insert_with(|| value.clone());
                to.rule("daterange-constant", before == value, || {
                    format!("{id} {name}: {before} became {value}")
                })?;
            }
            let date = super::playlist::date(&range["START-DATE"]);
            let number: u32 =
                id.strip_prefix("splice-").and_then(|it| it.parse().ok()).ok_or("another id")?;
            let message = range.get("SCTE35-OUT").or(range.get("SCTE35-IN")).cloned().unwrap_or_default();
            // splice_info_section: the number is the first of the command, 14 bytes from its start.
            let complete = message.get(2 + 28..2 + 36) == Some(&format!("{number:08X}"));
            to.rule("daterange-complete", complete, || format!("{range:?}"))?;
            let entry = told.entry(id.clone()).or_default();
            if range.contains_key("SCTE35-OUT") {
                entry.0 = true;
                to.rule("cue-in-place", starts(date), || format!("{id} goes out where nothing begins"))?;
            } else {
                entry.1 = true;
                let back = date + millis(&range["DURATION"]);
                to.rule("cue-in-place", starts(back), || {
                    format!("{id} comes back at {back} where nothing begins")
                })?;
                to.rule("cue-both-ways", known.contains_key("SCTE35-OUT"), || {
                    format!("{id} comes back and was not out")
                })?;
            }
        }
        let edge = new.end().div_ceil(1000);
        for it in truth
            .breaks
            .values()
            .filter(|it| it.start < edge.min(now) && it.end.is_none_or(|end| end > begins + 1_000))
        {
            let (out, back) = told.get(&format!("splice-{}", it.id)).copied().unwrap_or_default();
            to.rule("cue-always", out, || format!("the break {it:?} is not told"))?;
            let over = it.end.is_some_and(|end| end + 1_000 < edge);
            to.rule("cue-always", back || !over, || format!("the end of {it:?} is not told"))?;
        }
        Ok(())
    }
}
