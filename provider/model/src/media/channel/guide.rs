//! The programme guide: XMLTV and JSON of a schedule, pure functions of its programmes.

use std::fmt::Write as _;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use tfplugin_schema::Schema;

use super::schedule::{Lengths, Schedule};
use super::spec::FastChannelSpec;
use super::zone::Zone;
use crate::platform::SpecError;

/// The most programmes of a guide.
pub const MAX_PROGRAMMES: usize = 50_000;
/// The most programmes of a day in a plan.
const MAX_OF_DAY: usize = 1_000;

/// The guide of a channel.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Guide {
    /// The channel's name.
    pub channel: String,
    /// Its title.
    pub title: String,
    /// Its time zone.
    pub time_zone: String,
    /// What is on, in order.
    pub programmes: Vec<GuideProgramme>,
}

/// A programme of a guide.
#[derive(Clone, Debug, PartialEq, Eq, Schema, Serialize, Deserialize)]
pub struct GuideProgramme {
    /// When it begins, in the time of the channel (RFC 3339).
    pub start: String,
    /// When it ends.
    pub stop: String,
    /// The title.
    pub title: String,
    /// The asset.
    pub asset: String,
    /// What it is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// Its genre.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub category: Option<String>,
    /// What it is an episode of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub series: Option<String>,
}

fn instant(ms: u64) -> Option<Timestamp> {
    Timestamp::from_millisecond(i64::try_from(ms).ok()?).ok()
}

/// The same instant as RFC 3339 has it, in a zone.
pub fn rfc_3339(zone: &Zone, ms: u64) -> String {
    let zoned = instant(ms).map(|it| it.to_zoned(zone.0.clone()));
    zoned.map(|it| it.strftime("%Y-%m-%dT%H:%M:%S%:z").to_string()).unwrap_or_default()
}

/// Milliseconds since the epoch of a time as RFC 3339 has it; `None` of anything else, and outside of the years 1970 to 9998.
pub fn instant_ms(text: &str) -> Option<u64> {
    let time: tfplugin_schema::Timestamp = text.parse().ok()?;
    u64::try_from(time.0.as_millisecond()).ok().filter(|ms| *ms <= super::LAST_INSTANT_MS)
}

impl Guide {
    /// What is on from an instant to before another.
    ///
    /// # Errors
    /// A schedule that cannot be planned.
    pub fn of(
        name: &str,
        spec: &FastChannelSpec,
        lengths: &Lengths,
        from_ms: u64,
        to_ms: u64,
    ) -> Result<Guide, SpecError> {
        let zone = Zone::named(&spec.time_zone)?;
        let schedule = Schedule::new(spec, lengths)?;
        let programmes = schedule.slots(from_ms, to_ms, MAX_PROGRAMMES).into_iter().map(|slot| {
            let source = spec.source(&slot.asset).cloned().unwrap_or_default();
            GuideProgramme {
                start: rfc_3339(&zone, slot.start_ms),
                stop: rfc_3339(&zone, slot.end_ms),
                title: source.title.unwrap_or_else(|| slot.asset.clone()),
                asset: slot.asset,
                description: source.description,
                category: source.category,
                series: source.series,
            }
        });
        Ok(Guide {
            channel: name.to_owned(),
            title: spec.title.clone().unwrap_or_else(|| name.to_owned()),
            time_zone: spec.time_zone.clone(),
            programmes: programmes.collect(),
        })
    }

    /// The local day on which the channel begins: what a plan shows, which never asks a clock.
    ///
    /// # Errors
    /// A schedule that cannot be planned.
    pub fn of_first_day(name: &str, spec: &FastChannelSpec) -> Result<Guide, SpecError> {
        let (from, to) = day(&Zone::named(&spec.time_zone)?, spec.start_ms());
        let mut guide = Guide::of(name, spec, &Lengths::of(spec, &|_| None), from, to)?;
        guide.programmes.truncate(MAX_OF_DAY);
        Ok(guide)
    }
}

/// The local day of an instant, in milliseconds since the epoch: 23 or 25 hours where the clock is changed.
pub fn day(zone: &Zone, ms: u64) -> (u64, u64) {
    let bounds = instant(ms).and_then(|it| {
        let zoned = it.to_zoned(zone.0.clone());
        let from = zoned.start_of_day().ok()?;
        let to = from.tomorrow().ok()?.start_of_day().ok()?;
        let ms = |it: &jiff::Zoned| u64::try_from(it.timestamp().as_millisecond()).ok();
        Some((ms(&from)?, ms(&to)?))
    });
    bounds.unwrap_or((ms, ms.saturating_add(86_400_000)))
}

/// Guides as XMLTV (xmltv.dtd): channels first, then programmes, times with the offset of their zone.
pub fn xmltv(guides: &[Guide]) -> String {
    let mut xml = String::from(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<!DOCTYPE tv SYSTEM \"xmltv.dtd\">\n<tv generator-info-name=\"streamverse\">\n",
    );
    for guide in guides {
        let _ = writeln!(
            xml,
            "  <channel id=\"{}\">\n    <display-name>{}</display-name>\n  </channel>",
            escaped(&guide.channel),
            escaped(&guide.title)
        );
    }
    for guide in guides {
        for it in &guide.programmes {
            let _ = writeln!(
                xml,
                "  <programme start=\"{}\" stop=\"{}\" channel=\"{}\">\n    <title>{}</title>",
                xmltv_time(&it.start),
                xmltv_time(&it.stop),
                escaped(&guide.channel),
                escaped(&it.title)
            );
            // In the order of the DTD.
            for (name, text) in [("desc", &it.description), ("category", &it.category)] {
                if let Some(text) = text {
                    let _ = writeln!(xml, "    <{name}>{}</{name}>", escaped(text));
                }
            }
            xml.push_str("  </programme>\n");
        }
    }
    xml.push_str("</tv>\n");
    xml
}

/// `20261126201500 +0100` of `2026-11-26T20:15:00+01:00`.
fn xmltv_time(rfc_3339: &str) -> String {
    let (time, zone) = rfc_3339.split_at(rfc_3339.len().min(19));
    let digits: String = time.chars().filter(char::is_ascii_digit).collect();
    format!("{digits} {}", zone.replace(':', ""))
}

/// Text of XML 1.0: without the characters that it cannot have.
fn escaped(text: &str) -> String {
    let mut all = String::with_capacity(text.len());
    for it in text.chars() {
        match it {
            '&' => all.push_str("&amp;"),
            '<' => all.push_str("&lt;"),
            '>' => all.push_str("&gt;"),
            '"' => all.push_str("&quot;"),
            '\'' => all.push_str("&apos;"),
            '\t' | '\n' | '\r' => all.push(' '),
            it if it.is_control() || matches!(it, '\u{fffe}' | '\u{ffff}') => {}
            it => all.push(it),
        }
    }
    all
}
