//! DASH (ISO/IEC 23009-1): one period for each crypto period, each of its own keys.

use std::fmt::Write as _;

use streamverse_model::drm::{KeyId, signal};
use streamverse_model::media::{IndexTrack, Part, TrackKind};

use super::{Manifests, seconds};

impl Manifests<'_> {
    pub(super) fn dash(&self) -> String {
        let mut out = format!(
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<MPD xmlns=\"urn:mpeg:dash:schema:mpd:2011\" xmlns:cenc=\"urn:mpeg:cenc:2013\" xmlns:mspr=\"urn:microsoft:playready\" profiles=\"urn:mpeg:dash:profile:isoff-live:2011\" minBufferTime=\"PT2S\" type=\"static\" mediaPresentationDuration=\"PT{}S\">\n",
            seconds(self.index.duration_ms, 1000)
        );
        let mut start = 0_u64;
        for (number, part) in self.index.parts.iter().enumerate() {
            // Periods follow one another without a gap: the next one begins when its first segment does.
            let last = number + 1 == self.index.parts.len();
            let length =
                if last { self.index.duration_ms.saturating_sub(start) } else { self.nominal_ms(part) };
            let _ = writeln!(
                out,
                "  <Period id=\"{number}\" start=\"PT{}S\" duration=\"PT{}S\">",
                seconds(start, 1000),
                seconds(length, 1000)
            );
            self.period(&mut out, number, part);
            out.push_str("  </Period>\n");
            start = start.saturating_add(length);
        }
        out.push_str("</MPD>\n");
        out
    }

    /// What a whole part lasts: its segments, as the ladder has them.
    pub(super) fn nominal_ms(&self, part: &Part) -> u64 {
        let segments = part.tracks.iter().map(|track| track.segments.len()).max().unwrap_or_default();
        self.index.segment_ms.saturating_mul(segments as u64)
    }

    fn period(&self, out: &mut String, number: usize, part: &Part) {
        let kids = Self::kids(part);
        // Tracks that a player may switch between share a set: those of one kind, codec, language, layout and key.
        let mut sets: Vec<Vec<&IndexTrack>> = Vec::new();
        for track in &part.tracks {
            match sets.iter_mut().find(|set| set.first().is_some_and(|first| together(first, track))) {
                Some(set) => set.push(track),
                None => sets.push(vec![track]),
            }
        }
        for (id, set) in sets.iter().enumerate() {
            let Some(first) = set.first() else { continue };
            // Others that differ by their key alone: a player may switch there, too (DASH-IF IOP 4.3 section 3.8).
            let others: Vec<String> = sets
                .iter()
                .enumerate()
                .filter(|(other, set)| *other != id && set.first().is_some_and(|it| switchable(first, it)))
                .map(|(other, _)| other.to_string())
                .collect();
            self.set(out, id, set, &others, &kids);
        }
        for (at, text) in self.index.text.iter().enumerate() {
            let Some(file) = self.text.get(at).and_then(|files| files.get(number)) else { continue };
            let _ = writeln!(
                out,
                "    <AdaptationSet id=\"{}\" contentType=\"text\" mimeType=\"text/vtt\" lang=\"{}\">\n      <Label>{}</Label>\n      <Role schemeIdUri=\"urn:mpeg:dash:role:2011\" value=\"subtitle\"/>\n      <Representation id=\"text-{at}\" bandwidth=\"256\">\n        <BaseURL>{}</BaseURL>\n      </Representation>\n    </AdaptationSet>",
                sets.len() + at,
                text.language,
                escaped(&text.label),
                escaped(file)
            );
        }
    }

    fn set(&self, out: &mut String, id: usize, set: &[&IndexTrack], others: &[String], kids: &[KeyId]) {
        let Some(first) = set.first() else { return };
        let (kind, mime) = match first.kind {
            TrackKind::Video => ("video", "video/mp4"),
            TrackKind::Audio => ("audio", "audio/mp4"),
        };
        let language = match first.language.as_str() {
            "" => String::new(),
            language => format!(" lang=\"{language}\""),
        };
        let _ = writeln!(
            out,
            "    <AdaptationSet id=\"{id}\" contentType=\"{kind}\" mimeType=\"{mime}\"{language} segmentAlignment=\"true\" startWithSAP=\"1\">"
        );
        if let Some(kid) = first.kid {
            out.push_str(&signal::dash_protection(self.systems, self.scheme, kid, kids, "      "));
        }
        if !others.is_empty() {
            let _ = writeln!(
                out,
                "      <SupplementalProperty schemeIdUri=\"urn:mpeg:dash:adaptation-set-switching:2016\" value=\"{}\"/>",
                others.join(",")
            );
        }
        for track in set {
            representation(out, track);
        }
        out.push_str("    </AdaptationSet>\n");
    }
}

fn representation(out: &mut String, track: &IndexTrack) {
    let rest = match track.kind {
        TrackKind::Video => {
            format!(
                " width=\"{}\" height=\"{}\" frameRate=\"{}\" sar=\"1:1\"",
                track.width, track.height, track.frame_rate
            )
        }
        TrackKind::Audio => format!(" audioSamplingRate=\"{}\"", track.sample_rate),
    };
    let kind = if track.kind == TrackKind::Video { "video" } else { "audio" };
    let _ = writeln!(
        out,
        "      <Representation id=\"{kind}-{}\" bandwidth=\"{}\" codecs=\"{}\"{rest}>",
        track.name, track.bandwidth, track.codecs
    );
    if track.kind == TrackKind::Audio {
        let _ = writeln!(
            out,
            "        <AudioChannelConfiguration schemeIdUri=\"urn:mpeg:dash:23003:3:audio_channel_configuration:2011\" value=\"{}\"/>",
            track.channels
        );
    }
    let _ = writeln!(
        out,
        "        <SegmentTemplate timescale=\"{}\" initialization=\"{}\" media=\"{}\" startNumber=\"{}\">\n          <SegmentTimeline>",
        track.timescale, track.init, track.media, track.first_number
    );
    let mut begins = Some(track.begins);
    let mut runs: Vec<(u64, u64)> = Vec::new();
    for length in &track.segments {
        match runs.last_mut() {
            Some((same, more)) if same == length => *more += 1,
            _ => runs.push((*length, 0)),
        }
    }
    for (length, more) in runs {
        let time = begins.take().map(|time| format!(" t=\"{time}\"")).unwrap_or_default();
        let repeat = if more > 0 { format!(" r=\"{more}\"") } else { String::new() };
        let _ = writeln!(out, "            <S{time} d=\"{length}\"{repeat}/>");
    }
    out.push_str("          </SegmentTimeline>\n        </SegmentTemplate>\n      </Representation>\n");
}

/// Whether tracks share an adaptation set.
fn together(a: &IndexTrack, b: &IndexTrack) -> bool {
    switchable(a, b) && a.kid == b.kid
}

fn switchable(a: &IndexTrack, b: &IndexTrack) -> bool {
    let family = |codecs: &str| codecs.split('.').next().unwrap_or_default().to_owned();
    a.kind == b.kind
        && a.language == b.language
        && a.channels == b.channels
        && family(&a.codecs) == family(&b.codecs)
}

/// As text in XML.
fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}
