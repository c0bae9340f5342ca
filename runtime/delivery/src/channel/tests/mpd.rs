//! A reader of manifests that knows nothing of how they are written (ISO/IEC 23009-1), and their rules.

use std::collections::{BTreeMap, BTreeSet};

use quick_xml::Reader;
use quick_xml::events::{BytesStart, Event};

use super::playlist::{Playlist, date};
use super::rules::{Checks, Kept};
use super::truth::{Protection, Truth};

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
    /// Where the next one begins, or nothing is said.
    duration: Option<u64>,
    asset: String,
    representations: BTreeMap<String, Vec<Segment>>,
    protection: BTreeMap<String, Vec<Protection>>,
    inits: BTreeMap<String, String>,
    kids: BTreeSet<String>,
    continues: Option<String>,
    /// Event, scheme of its stream, message.
    events: Vec<(Fields, String, String)>,
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
        let (mut of_set, mut stream, mut inside) =
            (Vec::<Protection>::new(), String::new(), Vec::<u8>::new());
        loop {
            let event = reader.read_event().unwrap();
            match &event {
                Event::Eof => return it,
                Event::Start(tag) | Event::Empty(tag) => {
                    let all = fields(tag);
                    let period = it.periods.last_mut();
                    match (tag.name().as_ref(), period) {
                        (b"MPD", _) => it.fields = all,
                        (b"Period", _) => {
                            representation.clear();
                            of_set.clear();
                            it.periods.push(Period {
                                id: all["id"].clone(),
                                start: duration(&all["start"]),
                                duration: all.get("duration").map(|it| duration(it)),
                                ..Period::default()
                            });
                        }
                        (b"UTCTiming", _) => it.timing = all,
                        (b"AssetIdentifier", Some(period)) => period.asset.clone_from(&all["value"]),
                        (b"AdaptationSet", _) => {
                            of_set.clear();
                            representation.clear();
                        }
                        (b"Representation", Some(period)) => {
                            representation.clone_from(&all["id"]);
                            assert!(
                                !period.representations.contains_key(&representation),
                                "{representation} twice"
                            );
                            period.representations.insert(representation.clone(), Vec::new());
                            period.protection.insert(representation.clone(), of_set.clone());
                        }
                        (b"SegmentTemplate", Some(period)) => {
                            number = all["startNumber"].parse().unwrap();
                            if let Some(init) = all.get("initialization") {
                                period.inits.insert(representation.clone(), init.replace("../../vod/", ""));
                            }
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
                            let field = |name: &str| all.get(name).cloned().unwrap_or_default();
                            let new = Protection {
                                scheme: field("schemeIdUri"),
                                value: field("value"),
                                kid: field("cenc:default_KID"),
                                ..Protection::default()
                            };
                            if representation.is_empty() {
                                of_set.push(new);
                            } else {
                                period.protection.get_mut(&representation).unwrap().push(new);
                            }
                            period.kids.extend(all.get("cenc:default_KID").cloned());
                        }
                        (b"SupplementalProperty", Some(period))
                            if all["schemeIdUri"].ends_with("continuity:2015") =>
                        {
                            period.continues = Some(all["value"].clone());
                        }
                        (b"EventStream", _) => stream.clone_from(&all["schemeIdUri"]),
                        (b"Event", Some(period)) => period.events.push((all, stream.clone(), String::new())),
                        _ => {}
                    }
                    inside = tag.name().as_ref().to_vec();
                }
                Event::End(_) => inside.clear(),
                Event::Text(text)
                    if [&b"Binary"[..], b"cenc:pssh", b"mspr:pro"].contains(&inside.as_slice()) =>
                {
                    let period = it.periods.last_mut().unwrap();
                    let text = String::from_utf8(text.to_vec()).unwrap();
                    let all = if representation.is_empty() {
                        &mut of_set
                    } else {
                        period.protection.get_mut(&representation).unwrap()
                    };
                    match inside.as_slice() {
                        b"Binary" => period.events.last_mut().unwrap().2 = text,
                        b"cenc:pssh" => all.last_mut().unwrap().pssh = text,
                        _ => all.last_mut().unwrap().pro = text,
                    }
                }
                _ => {}
            }
        }
    }

    /// What holds of each by itself, while it goes on.
    pub(super) fn rules(&self, to: &mut Checks, now: u64, truth: &Truth) -> Kept {
        let of = |name: &str| self.fields.get(name).cloned().unwrap_or_default();
        let dynamic =
            of("type") == "dynamic" && !of("minimumUpdatePeriod").is_empty() && !of("publishTime").is_empty();
        to.rule("dash-live", dynamic, || format!("{:?}", self.fields))?;
        to.rule("dash-live", of("availabilityStartTime") == "1970-01-01T00:00:00Z", || {
            "time began in 1970".to_owned()
        })?;
        let (delay, depth) =
            (duration(&of("suggestedPresentationDelay")), duration(&of("timeShiftBufferDepth")));
        let longest = duration(&of("maxSegmentDuration"));
        to.rule("dash-delay", delay < depth && delay >= 2 * longest, || format!("{delay} of {depth}"))?;
        let timing = self.timing.get("schemeIdUri").is_some_and(|it| it.starts_with("urn:mpeg:dash:utc:"));
        to.rule("dash-clock", timing, || "UTCTiming is missing".to_owned())?;
        for (id, segments) in self.periods.iter().flat_map(|it| &it.representations) {
            let last = segments.last().map_or(0, |it| it.at + it.micros);
            to.rule("dash-not-early", last <= now * 1000 + 100_000, || format!("{id} ends at {last}"))?;
        }
        self.whole(to, truth)
    }

    /// What holds of a recording.
    pub(super) fn recording(&self, to: &mut Checks, truth: &Truth) -> Kept {
        let of = |name: &str| self.fields.get(name).cloned().unwrap_or_default();
        let whole: u64 = self.periods.iter().filter_map(|it| it.duration).sum();
        let fixed = of("type") == "static"
            && self.timing.is_empty()
            && self.periods.iter().all(|it| it.duration.is_some());
        let same = self.periods.first().is_some_and(|it| it.start == 0)
            && duration(&of("mediaPresentationDuration")) == whole;
        to.rule("dash-recording", fixed && same, || format!("{:?} {whole}", self.fields))?;
        self.whole(to, truth)
    }

    /// What holds of its periods.
    fn whole(&self, to: &mut Checks, truth: &Truth) -> Kept {
        let longest = duration(&self.fields["maxSegmentDuration"]);
        let ids: BTreeSet<&str> = self.periods.iter().map(|it| it.id.as_str()).collect();
        to.rule("dash-periods", ids.len() == self.periods.len(), || "ids of periods are unique".to_owned())?;
        let mut before: Option<&Period> = None;
        for (number, period) in self.periods.iter().enumerate() {
            to.rule("dash-periods", !period.representations.is_empty(), || {
                format!("{} has nothing", period.id)
            })?;
            for (id, segments) in &period.representations {
                let ordered =
                    segments.windows(2).all(|two| two[1].at.abs_diff(two[0].at + two[0].micros) <= 2);
                let within = segments.first().is_none_or(|it| it.at + 60_000 >= period.start);
                to.rule("dash-timeline", ordered && within, || {
                    format!("{id} of {}: {segments:?}", period.id)
                })?;
                let fits = segments.iter().all(|it| it.micros <= longest);
                to.rule("dash-longest", fits, || format!("{id} of {}: {segments:?}", period.id))?;
                if let Some(init) = period.inits.get(id) {
                    let track = if id.starts_with("video") { "video" } else { "audio" };
                    truth.protection(to, init, track, &period.protection[id])?;
                }
            }
            if let Some(id) = &period.continues {
                // Of two that are there, the first ends in its package where the second begins.
                if let Some(first) = self.periods[..number].iter().find(|it| it.id == *id) {
                    let number = |it: Option<&Segment>| {
                        it.map(|it| it.uri.rsplit('/').next().unwrap()[..5].parse::<u64>().unwrap())
                    };
                    let of = |it: &Period, last: bool| {
                        let all =
                            it.representations.iter().find(|(id, _)| id.starts_with("video")).unwrap().1;
                        number(if last { all.last() } else { all.first() })
                    };
                    let goes_on =
                        first.asset == period.asset && of(first, true).map(|it| it + 1) == of(period, false);
                    to.rule("dash-continuity", goes_on, || {
                        format!("{} does not go on with {id}", period.id)
                    })?;
                } else {
                    to.rule("dash-continuity", !ids.contains(id.as_str()), || {
                        format!("{id} comes after {}", period.id)
                    })?;
                }
            }
            if let Some(before) = before {
                let (one, two): (BTreeSet<_>, BTreeSet<_>) =
                    (before.representations.keys().collect(), period.representations.keys().collect());
                to.rule("dash-representations", one == two, || format!("{one:?} and then {two:?}"))?;
                to.rule("dash-periods", before.start < period.start, || {
                    format!("{} is not in order", period.id)
                })?;
                let end = before
                    .representations
                    .get("video-180p")
                    .and_then(|it| it.last())
                    .map_or(0, |it| it.at + it.micros);
                to.rule("dash-gapless", period.start.abs_diff(end) <= 1_500, || {
                    format!("{} after {end}", period.start)
                })?;
            }
            before = Some(period);
        }
        Ok(())
    }

    /// That both formats tell of the same: segments, and breaks.
    pub(super) fn same(&self, to: &mut Checks, list: &Playlist) -> Kept {
        let uris: BTreeSet<String> =
            list.segments.iter().map(|it| it.uri.replace("../../../vod/", "")).collect();
        to.rule("dash-same", self.media("video-180p") == uris, || "other segments than HLS".to_owned())?;
        let begins = self.periods.first().map_or(0, |it| it.start);
        let (mut told, mut wanted) = (BTreeSet::new(), BTreeSet::new());
        for (period, (fields, stream, message)) in
            self.periods.iter().flat_map(|it| it.events.iter().map(move |event| (it, event)))
        {
            let number = |name: &str| fields[name].parse::<u64>().unwrap();
            let known = stream == "urn:scte:scte35:2014:xml+bin" && !message.is_empty();
            to.rule("dash-events", known, || format!("{fields:?} {stream}"))?;
            let back = !fields.contains_key("duration");
            to.rule("dash-events", number("id") % 2 == u64::from(back), || format!("{fields:?}"))?;
            told.insert((number("id") / 2, period.start / 1000 + number("presentationTime"), back));
        }
        for range in &list.ranges {
            let (id, start) = (
                range["ID"].trim_start_matches("splice-").parse::<u64>().unwrap(),
                date(&range["START-DATE"]),
            );
            let ms = |text: &String| text.replace('.', "").parse::<u64>().unwrap();
            wanted.insert(range.get("DURATION").map_or((id, start, false), |it| (id, start + ms(it), true)));
        }
        wanted.retain(|it| it.1 * 1000 >= begins);
        to.rule("dash-events", told == wanted, || format!("{told:?} and not {wanted:?}"))
    }

    /// What holds of one that comes after another.
    pub(super) fn follows(&self, to: &mut Checks, before: &Mpd) -> Kept {
        let published = |it: &Mpd| it.fields["publishTime"].clone();
        to.rule("dash-constant", published(self) >= published(before), || "publishTime fell".to_owned())?;
        let told = (self.whole == before.whole) == (published(self) == published(before));
        to.rule("dash-constant", told, || "publishTime is not that of what changed".to_owned())?;
        for period in &self.periods {
            let Some(old) = before.periods.iter().find(|it| it.id == period.id) else { continue };
            let same = old.start == period.start
                && old.kids == period.kids
                && old.protection == period.protection
                && old.inits == period.inits;
            to.rule("dash-constant", same, || format!("{} changed", period.id))?;
            for (id, segments) in &period.representations {
                let known = old.representations.get(id).ok_or("representations stay")?;
                for it in segments {
                    let same = known.iter().find(|old| old.at == it.at).is_none_or(|old| old == it);
                    to.rule("dash-constant", same, || format!("{it:?} changed"))?;
                }
                let last = known.last().map_or(0, |it| it.at);
                let there = segments.last().is_none_or(|it| it.at >= last);
                to.rule("dash-constant", there, || format!("{id} of {} was taken back", period.id))?;
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
        all.map(|(fields, _, text)| (!fields.contains_key("duration"), text.clone())).collect()
    }

    pub(super) fn kids(&self) -> BTreeSet<String> {
        self.periods.iter().flat_map(|it| it.kids.iter().cloned()).collect()
    }

    /// Periods that say which one they go on with.
    pub(super) fn continued(&self) -> Vec<(String, String)> {
        self.periods.iter().filter_map(|it| Some((it.id.clone(), it.continues.clone()?))).collect()
    }
}
