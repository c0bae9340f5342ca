//! The DASH manifest (ISO/IEC 23009-1), as a text of what is shown: a period for each item, on a timeline that began in 1970,
//! so that presentation time is wall-clock time.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use streamverse_model::drm::{DrmSystem, KeyId, Scheme, signal};
use streamverse_model::media::channel::{ChannelSteering, Item};
use streamverse_model::media::{IndexTrack, Protection, TrackKind};

use super::hls::{Growth, Shown};
use super::lineup::{Lineup, Rendition};
use super::package::media_time;
use super::scte35::splice_insert;
use super::time::{utc, xml_duration};
use super::timeline::{Break, Piece};

/// Where media lies, seen from the manifest.
const MEDIA: &str = "../../vod";
/// The manifest.
pub(super) fn manifest(shown: &Shown<'_>, steering: Option<&ChannelSteering>, window_ms: u64) -> String {
    let target_ms = shown.lineup.target.saturating_mul(1000);
    let begins = shown.pieces.first().map_or(shown.edge, |it| it.times().0);
    let mut text = String::with_capacity(4096 + shown.pieces.len() * 2048);
    text.push_str(concat!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n",
        "<MPD xmlns=\"urn:mpeg:dash:schema:mpd:2011\" xmlns:cenc=\"urn:mpeg:cenc:2013\" ",
        "xmlns:mspr=\"urn:microsoft:playready\" ",
        "profiles=\"urn:mpeg:dash:profile:isoff-live:2011\""
    ));
    let _ = write!(
        text,
        " minBufferTime=\"{}\" maxSegmentDuration=\"{}\"",
        xml_duration(target_ms),
        xml_duration(target_ms.saturating_add(500))
    );
    let over = shown.growth == Growth::Over;
    if over {
        let length = xml_duration(shown.edge_of_pieces().saturating_sub(begins));
        let _ = writeln!(text, " type=\"static\" mediaPresentationDuration=\"{length}\">");
    } else {
        // What start-over shows never goes; the depth has to reach back to its beginning.
        let depth = match shown.growth {
            Growth::Live => window_ms,
            _ => shown.edge.saturating_sub(begins).saturating_add(target_ms),
        };
        // It was last changed when its last segment came.
        let _ = writeln!(
            text,
            " type=\"dynamic\" availabilityStartTime=\"1970-01-01T00:00:00Z\" publishTime=\"{}\" minimumUpdatePeriod=\"{}\" timeShiftBufferDepth=\"{}\" suggestedPresentationDelay=\"{}\">",
            utc(shown.edge),
            xml_duration((target_ms / 2).max(1000)),
            xml_duration(depth),
            xml_duration(target_ms.saturating_mul(3))
        );
    }
    if let Some(it) = steering {
        // Where this manifest is, by the name that the steering server has for it.
        let pathway = escaped(&it.pathway);
        let _ = writeln!(
            text,
            " <BaseURL serviceLocation=\"{pathway}\">./</BaseURL>\n <ContentSteering defaultServiceLocation=\"{pathway}\" queryBeforeStart=\"{}\">{}</ContentSteering>",
            it.query_before_start,
            escaped(&it.server_url)
        );
    }
    let (breaks, _) = shown.timeline.breaks(begins, shown.edge, 0);
    for piece in shown.pieces {
        period(&mut text, shown, piece, if over { begins } else { 0 }, &breaks);
    }
    if !over {
        text.push_str(" <UTCTiming schemeIdUri=\"urn:mpeg:dash:utc:http-iso:2014\" value=\"time\"/>\n");
    }
    text.push_str("</MPD>\n");
    text
}

impl Shown<'_> {
    /// When the last segment that is shown ends.
    fn edge_of_pieces(&self) -> u64 {
        self.pieces.last().map_or(self.edge, |it| it.times().1)
    }
}

/// An item's period. Where the window cuts it, the period keeps its name and start, and has fewer segments.
fn period(text: &mut String, shown: &Shown<'_>, piece: &Piece, zero: u64, breaks: &[Break]) {
    let item = piece.item();
    let package = &piece.entry.package;
    let Some(part) = package.part(item) else { return };
    // In a recording, time begins with what is shown.
    let (start, first) =
        if zero > 0 { (piece.times().0.saturating_sub(zero), piece.from) } else { (item.start_ms, 0) };
    let _ = write!(text, " <Period id=\"p{}\" start=\"{}\"", item.dsn, xml_duration(start));
    if zero > 0 {
        let (from, to) = piece.times();
        let _ = write!(text, " duration=\"{}\"", xml_duration(to.saturating_sub(from)));
    }
    text.push_str(">\n");
    let _ = writeln!(
        text,
        "  <AssetIdentifier schemeIdUri=\"urn:streamverse:asset\" value=\"{}/{}\"/>",
        escaped(&item.asset),
        escaped(&item.generation)
    );
    events(text, item, piece, first, breaks);
    let place = Place {
        item,
        piece,
        first,
        follows: shown.timeline.continued(piece).map(|it| it.item.dsn),
        protection: package.index().protection.as_ref(),
    };
    let lineup = shown.lineup;
    let video: Vec<(&Rendition, &IndexTrack)> =
        lineup.video.iter().filter_map(|it| Some((it, it.track(TrackKind::Video, part)?))).collect();
    if !video.is_empty() {
        adaptation(
            text,
            &place,
            Set { id: 1, kind: TrackKind::Video, all: &video, language: "", main: true },
        );
    }
    for (at, it) in lineup.audio.iter().enumerate() {
        let Some(track) = it.track(TrackKind::Audio, part) else { continue };
        let set = Set {
            id: 10 + at,
            kind: TrackKind::Audio,
            all: &[(it, track)],
            language: &it.language,
            main: at == 0,
        };
        adaptation(text, &place, set);
    }
    captions(text, lineup, &place);
    text.push_str(" </Period>\n");
}

/// Where tracks stand in their period.
struct Place<'p> {
    item: &'p Item,
    piece: &'p Piece,
    /// The segment of the item at which the period begins.
    first: u64,
    /// The period that this one goes on with.
    follows: Option<u64>,
    protection: Option<&'p Protection>,
}

#[derive(Clone, Copy)]
struct Set<'s> {
    id: usize,
    kind: TrackKind,
    all: &'s [(&'s Rendition, &'s IndexTrack)],
    language: &'s str,
    main: bool,
}

fn adaptation(text: &mut String, place: &Place<'_>, set: Set<'_>) {
    let kind = if set.kind == TrackKind::Video { "video" } else { "audio" };
    let _ = write!(
        text,
        "  <AdaptationSet id=\"{}\" contentType=\"{kind}\" mimeType=\"{kind}/mp4\" segmentAlignment=\"true\" startWithSAP=\"1\"",
        set.id
    );
    if !set.language.is_empty() {
        let _ = write!(text, " lang=\"{}\"", escaped(set.language));
    }
    text.push_str(">\n");
    // One key for all is said once.
    let kids: BTreeSet<Option<KeyId>> = set.all.iter().map(|(_, track)| track.kid).collect();
    let common = if kids.len() == 1 { kids.into_iter().next().flatten() } else { None };
    if let Some(kid) = common {
        protected(text, "   ", place.protection, kid);
    }
    if let Some(before) = place.follows {
        let _ = writeln!(
            text,
            "   <SupplementalProperty schemeIdUri=\"urn:mpeg:dash:period-continuity:2015\" value=\"p{before}\"/>"
        );
    }
    if set.main {
        text.push_str("   <Role schemeIdUri=\"urn:mpeg:dash:role:2011\" value=\"main\"/>\n");
    }
    for (rendition, track) in set.all {
        representation(text, place, rendition, track, set.kind, common.is_some());
    }
    text.push_str("  </AdaptationSet>\n");
}

fn representation(
    text: &mut String,
    place: &Place<'_>,
    rendition: &Rendition,
    track: &IndexTrack,
    kind: TrackKind,
    said: bool,
) {
    let id = match kind {
        TrackKind::Video => format!("video-{}", rendition.key),
        TrackKind::Audio => format!("audio-{}", rendition.key),
    };
    let _ = write!(
        text,
        "   <Representation id=\"{}\" bandwidth=\"{}\" codecs=\"{}\"",
        escaped(&id),
        track.bandwidth.max(1),
        escaped(&track.codecs)
    );
    if kind == TrackKind::Video {
        let _ = write!(text, " width=\"{}\" height=\"{}\"", track.width, track.height);
        if !track.frame_rate.is_empty() {
            let _ = write!(text, " frameRate=\"{}\"", escaped(&track.frame_rate));
        }
    } else if track.sample_rate > 0 {
        let _ = write!(text, " audioSamplingRate=\"{}\"", track.sample_rate);
    }
    text.push_str(">\n");
    if kind == TrackKind::Audio && track.channels > 0 {
        let _ = writeln!(
            text,
            "    <AudioChannelConfiguration schemeIdUri=\"urn:mpeg:dash:23003:3:audio_channel_configuration:2011\" value=\"{}\"/>",
            track.channels
        );
    }
    if let (false, Some(kid)) = (said, track.kid) {
        protected(text, "    ", place.protection, kid);
    }
    let item = place.item;
    let base = format!("{MEDIA}/{}/{}/", escaped(&item.asset), escaped(&item.generation));
    let from = item.first.saturating_add(place.piece.from);
    let to = item.first.saturating_add(place.piece.to);
    let offset = media_time(track, item.first.saturating_add(place.first));
    let _ = write!(
        text,
        "    <SegmentTemplate timescale=\"{}\" presentationTimeOffset=\"{offset}\" startNumber=\"{}\" initialization=\"{base}{}\" media=\"{base}{}\">",
        track.timescale,
        track.first_number.saturating_add(from),
        escaped(&track.init),
        escaped(&track.media)
    );
    let (from, to) = (usize::try_from(from).unwrap_or(usize::MAX), usize::try_from(to).unwrap_or(usize::MAX));
    timeline(text, media_time(track, from as u64), track.segments.get(from..to).unwrap_or_default());
    text.push_str("</SegmentTemplate>\n   </Representation>\n");
}

/// Segments of one length become one element.
fn timeline(text: &mut String, begins: u64, segments: &[u64]) {
    text.push_str("<SegmentTimeline>");
    let mut at = 0;
    while let Some(length) = segments.get(at) {
        let same = segments.iter().skip(at).take_while(|it| *it == length).count();
        text.push_str("<S");
        if at == 0 {
            let _ = write!(text, " t=\"{begins}\"");
        }
        let _ = write!(text, " d=\"{length}\"");
        if same > 1 {
            let _ = write!(text, " r=\"{}\"", same - 1);
        }
        text.push_str("/>");
        at += same;
    }
    text.push_str("</SegmentTimeline>");
}

/// Captions in step with pictures. Their times are counted from the period's start.
fn captions(text: &mut String, lineup: &Lineup, place: &Place<'_>) {
    let item = place.item;
    let package = &place.piece.entry.package;
    for (at, it) in lineup.text.iter().enumerate() {
        let language = escaped(&it.language);
        let base = format!(
            "cues/{language}/{}/{}/{}/{}/",
            escaped(&item.asset),
            escaped(&item.generation),
            item.part,
            item.first.saturating_add(place.first)
        );
        let _ = write!(
            text,
            "  <AdaptationSet id=\"{}\" contentType=\"text\" mimeType=\"text/vtt\" lang=\"{language}\">\n   <Label>{}</Label>\n   <Role schemeIdUri=\"urn:mpeg:dash:role:2011\" value=\"subtitle\"/>\n   <Representation id=\"text-{language}\" bandwidth=\"1000\">\n    <SegmentTemplate timescale=\"1000\" startNumber=\"{}\" media=\"{base}$Number$.vtt\">",
            100 + at,
            escaped(&it.label),
            item.first.saturating_add(place.piece.from)
        );
        let starts = |k: u64| package.starts(item, k);
        let lengths: Vec<u64> =
            (place.piece.from..place.piece.to).map(|k| starts(k + 1).saturating_sub(starts(k))).collect();
        timeline(text, starts(place.piece.from).saturating_sub(starts(place.first)), &lengths);
        text.push_str("</SegmentTemplate>\n   </Representation>\n  </AdaptationSet>\n");
    }
}

/// Ends of breaks that lie in this period (SCTE 214-1, `urn:scte:scte35:2014:xml+bin`).
fn events(text: &mut String, item: &Item, piece: &Piece, first: u64, breaks: &[Break]) {
    let begins = piece.entry.package.starts(item, first);
    let mut all: Vec<(u64, u64, u32, bool)> = Vec::new();
    for it in breaks {
        if it.out_msn == item.msn && first == 0 {
            all.push((it.start_ms, it.planned_ms, it.event_id, true));
        }
        if let (Some(at), Some(ended)) = (it.in_msn, it.ended_ms)
            && at == item.msn
            && first == 0
        {
            all.push((ended, 0, it.event_id, false));
        }
    }
    if all.is_empty() {
        return;
    }
    text.push_str("  <EventStream schemeIdUri=\"urn:scte:scte35:2014:xml+bin\" timescale=\"1000\">\n");
    for (at, duration, id, out) in all {
        let message = splice_insert(id, out, out.then_some(duration));
        let _ = write!(text, "   <Event presentationTime=\"{}\"", at.saturating_sub(begins));
        if out {
            let _ = write!(text, " duration=\"{duration}\"");
        }
        // An id is one event's alone: the end of a break has another.
        let _ = writeln!(
            text,
            " id=\"{}\"><Signal xmlns=\"http://www.scte.org/schemas/35/2016\"><Binary>{}</Binary></Signal></Event>",
            u64::from(id) * 2 + u64::from(!out),
            STANDARD.encode(message)
        );
    }
    text.push_str("  </EventStream>\n");
}

/// How samples are encrypted, and for which systems.
fn protected(text: &mut String, indent: &str, protection: Option<&Protection>, kid: KeyId) {
    let (scheme, systems) = read(protection);
    text.push_str(&signal::dash_protection(&systems, scheme, kid, &[kid], indent));
}

/// What an index says of encryption.
pub(super) fn read(protection: Option<&Protection>) -> (Scheme, Vec<DrmSystem>) {
    let scheme = protection.and_then(|it| Scheme::parse(&it.scheme)).unwrap_or(Scheme::Cenc);
    let systems = protection.iter().flat_map(|it| it.systems.iter());
    (scheme, systems.filter_map(|it| DrmSystem::parse(it)).collect())
}

fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for it in text.chars() {
        match it {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            it if it.is_control() => out.push(' '),
            it => out.push(it),
        }
    }
    out
}
