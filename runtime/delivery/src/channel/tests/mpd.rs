//! A reader of manifests that knows nothing of how they are written (ISO/IEC 23009-1), and their rules.

use std::collections::{BTreeMap, BTreeSet};

use quick_xml::Reader;
use quick_xml::events::{BytesStart, Event};

type Fields = BTreeMap<String, String>;

/// A representation's segments: time on the presentation's timeline in microseconds, length, address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Segment {
    at: u64,
    micros: u64,
    uri: String,
}

#[derive(Clone, Debug, Default)]
pub(super) struct Period {
    id: String,
    start: u64,
    representations: BTreeMap<String, Vec<Segment>>,
    kids: BTreeSet<String>,
    continues: Option<String>,
    events: Vec<(Fields, String)>,
}

#[derive(Clone, Debug, Default)]
pub(super) struct Mpd {
    pub(super) fields: Fields,
    pub(super) periods: Vec<Period>,
    timing: Fields,
    whole: String,
}

fn fields(tag: &BytesStart<'_>) -> Fields {
    let read = |it: quick_xml::events::attributes::Attribute<'_>| {
        (
            String::from_utf8(it.key.as_ref().to_vec()).unwrap(),
            String::from_utf8(it.value.to_vec()).unwrap().replace("&amp;", "&"),
        )
    };
    tag.attributes().map(|it| read(it.unwrap())).collect()
}

/// `PT12.5S` in microseconds.
fn duration(text: &str) -> u64 {
    let text = text.strip_prefix("PT").unwrap().strip_suffix('S').unwrap();
    let (whole, part) = text.split_once('.').unwrap_or((text, "0"));
    whole.parse::<u64>().unwrap() * 1_000_000 + format!("{part:0<6}").parse::<u64>().unwrap()
}

impl Mpd {
    pub(super) fn read(text: &str) -> Mpd {
        let mut it = Mpd { whole: text.to_owned(), ..Mpd::default() };
        let mut reader = Reader::from_str(text);
        let (mut representation, mut template, mut time, mut number) = (String::new(), Fields::new(), 0, 0);
        let mut text_of_event = false;
        loop {
            let event = reader.read_event().unwrap();
            match &event {
                Event::Eof => return it,
                Event::Start(tag) | Event::Empty(tag) => {
                    let all = fields(tag);
                    let period = it.periods.last_mut();
                    match (tag.name().as_ref(), period) {
                        (b"MPD", _) => it.fields = all,
                        (b"Period", _) => it.periods.push(Period {
                            id: all["id"].clone(),
                            start: duration(&all["start"]),
                            ..Period::default()
                        }),
                        (b"UTCTiming", _) => it.timing = all,
                        (b"Representation", Some(period)) => {
                            representation.clone_from(&all["id"]);
                            assert!(
                                !period.representations.contains_key(&representation),
                                "{representation} twice"
                            );
                            period.representations.insert(representation.clone(), Vec::new());
                        }
                        (b"SegmentTemplate", _) => {
                            number = all["startNumber"].parse().unwrap();
                            template = all;
                        }
                        (b"S", Some(period)) => {
                            if let Some(at) = all.get("t") {
                                time = at.parse().unwrap();
                            }
                            let length: u64 = all["d"].parse().unwrap();
                            let repeat: u64 = all.get("r").map_or(0, |it| it.parse().unwrap());
                            for _ in 0..=repeat {
                                let scale: u64 = template["timescale"].parse().unwrap();
                                let offset: u64 = template
                                    .get("presentationTimeOffset")
                                    .map_or(0, |it| it.parse().unwrap());
                                let name = format!("{number:05}");
                                let uri = template["media"].replace("$Number%05d$", &name);
                                period.representations.get_mut(&representation).unwrap().push(Segment {
                                    at: period.start + (time - offset) * 1_000_000 / scale,
                                    micros: length * 1_000_000 / scale,
                                    uri: uri
                                        .replace("$Number$", &number.to_string())
                                        .replace("../../vod/", ""),
                                });
                                time += length;
                                number += 1;
                            }
                        }
                        (b"ContentProtection", Some(period)) => {
                            period.kids.extend(all.get("cenc:default_KID").cloned());
                        }
                        (b"SupplementalProperty", Some(period))
                            if all["schemeIdUri"].ends_with("continuity:2015") =>
                        {
                            period.continues = Some(all["value"].clone());
                        }
                        (b"Event", Some(period)) => period.events.push((all, String::new())),
                        (b"Binary", _) => text_of_event = true,
                        _ => {}
                    }
                }
                Event::Text(text) if text_of_event => {
                    let period = it.periods.last_mut().unwrap();
                    period.events.last_mut().unwrap().1 = String::from_utf8(text.to_vec()).unwrap();
                    text_of_event = false;
                }
                _ => {}
            }
        }
    }

    /// What holds of each by itself.
    pub(super) fn rules(&self, now: u64) -> Result<(), String> {
        let rule = |good: bool, what: &str| if good { Ok(()) } else { Err(what.to_owned()) };
        let of = |name: &str| self.fields.get(name).cloned().unwrap_or_default();
        rule(
            of("type") == "dynamic" && !of("minimumUpdatePeriod").is_empty(),
            "live is dynamic and updated",
        )?;
        rule(of("availabilityStartTime") == "1970-01-01T00:00:00Z", "time began in 1970")?;
        rule(!of("publishTime").is_empty(), "5.3.1.2: publishTime is required")?;
        rule(
            duration(&of("suggestedPresentationDelay")) < duration(&of("timeShiftBufferDepth")),
            "the delay lies within the window",
        )?;
        rule(
            self.timing.get("schemeIdUri").is_some_and(|it| it.starts_with("urn:mpeg:dash:utc:")),
            "IOP: UTCTiming for live",
        )?;
        let ids: BTreeSet<&str> = self.periods.iter().map(|it| it.id.as_str()).collect();
        rule(ids.len() == self.periods.len(), "ids of periods are unique")?;
        let mut before: Option<&Period> = None;
        for period in &self.periods {
            rule(!period.representations.is_empty(), "a period has representations")?;
            let shape: BTreeSet<&String> = period.representations.keys().collect();
            for (id, segments) in &period.representations {
                rule(
                    segments.windows(2).all(|two| two[0].at + two[0].micros <= two[1].at + 2),
                    "a timeline without overlaps",
                )?;
                let last = segments.last().map_or(0, |it| it.at + it.micros);
                rule(last <= now * 1000 + 100_000, &format!("{id}: nothing before its time"))?;
                rule(
                    segments.first().is_none_or(|it| it.at + 60_000 >= period.start),
                    "nothing before its period",
                )?;
            }
            if let Some(before) = before {
                let of_before: BTreeSet<&String> = before.representations.keys().collect();
                rule(of_before == shape, "IOP: representations keep their ids from period to period")?;
                rule(before.start < period.start, "periods in order")?;
                let end = before
                    .representations
                    .get("video-180p")
                    .and_then(|it| it.last())
                    .map_or(0, |it| it.at + it.micros);
                rule(
                    period.start.abs_diff(end) <= 1_500,
                    &format!("periods without gaps: {} {end}", period.start),
                )?;
            }
            before = Some(period);
        }
        Ok(())
    }

    /// What holds of one that comes after another.
    pub(super) fn follows(&self, before: &Mpd) -> Result<(), String> {
        let rule = |good: bool, what: &str| if good { Ok(()) } else { Err(what.to_owned()) };
        let published = |it: &Mpd| it.fields["publishTime"].clone();
        rule(published(self) >= published(before), "publishTime never falls")?;
        rule(
            (self.whole == before.whole) == (published(self) == published(before)),
            "another publishTime, another manifest",
        )?;
        for period in &self.periods {
            let Some(old) = before.periods.iter().find(|it| it.id == period.id) else { continue };
            rule(old.start == period.start && old.kids == period.kids, "a period never changes")?;
            for (id, segments) in &period.representations {
                let known = old.representations.get(id).ok_or("representations stay")?;
                for it in segments {
                    let same = known.iter().find(|old| old.at == it.at);
                    rule(same.is_none_or(|old| old == it), "a segment never changes")?;
                }
                let last = known.last().map_or(0, |it| it.at);
                rule(segments.last().is_none_or(|it| it.at >= last), "no segment is taken back")?;
            }
        }
        Ok(())
    }

    /// Addresses of a representation.
    pub(super) fn media(&self, id: &str) -> BTreeSet<String> {
        let all = self.periods.iter().filter_map(|it| it.representations.get(id)).flatten();
        all.map(|it| it.uri.clone()).collect()
    }

    /// Splice messages, and whether they are the end of a break.
    pub(super) fn events(&self) -> Vec<(bool, String)> {
        let all = self.periods.iter().flat_map(|it| it.events.iter());
        all.map(|(fields, text)| (!fields.contains_key("duration"), text.clone())).collect()
    }

    pub(super) fn kids(&self) -> BTreeSet<String> {
        self.periods.iter().flat_map(|it| it.kids.iter().cloned()).collect()
    }

    /// Periods that say which one they go on with.
    pub(super) fn continued(&self) -> Vec<(String, String)> {
        self.periods.iter().filter_map(|it| Some((it.id.clone(), it.continues.clone()?))).collect()
    }
}
