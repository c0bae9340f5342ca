//! HLS (RFC 8216): one media playlist for each track, with a discontinuity and an init segment for each crypto period.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use streamverse_model::drm::signal;
use streamverse_model::media::{IndexTrack, TrackKind, playlist_name};

use super::{Manifests, relative, seconds};

/// A key frame inside of a segment, for players that show pictures while they wind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct KeyFrame {
    /// Until the next one, in microseconds.
    duration: u64,
    /// `LENGTH@OFFSET`, as in `EXT-X-BYTERANGE`.
    range: String,
    /// The file's name, beside the playlist.
    file: String,
}

/// Reads a playlist of key frames that the packager wrote.
pub(crate) fn key_frames(playlist: &str) -> Vec<KeyFrame> {
    let (mut found, mut duration, mut range) = (Vec::new(), None, None);
    for line in playlist.lines() {
        if let Some(text) = line.strip_prefix("#EXTINF:") {
            let text = text.split(',').next().unwrap_or_default();
            let (whole, part) = text.split_once('.').unwrap_or((text, ""));
            let part: String = part.chars().chain("000000".chars()).take(6).collect();
            duration = whole.parse::<u64>().ok().zip(part.parse::<u64>().ok());
        } else if let Some(text) = line.strip_prefix("#EXT-X-BYTERANGE:") {
            range = Some(text.trim().to_owned());
        } else if !line.starts_with('#')
            && let (Some((whole, part)), Some(range)) = (duration.take(), range.take())
        {
            let duration = whole.saturating_mul(1_000_000).saturating_add(part);
            found.push(KeyFrame { duration, range, file: line.trim().to_owned() });
        }
    }
    found
}

impl Manifests<'_> {
    /// All playlists, by their paths.
    pub(super) fn hls(&self) -> Vec<(String, String)> {
        let mut all = vec![("hls.m3u8".to_owned(), self.master())];
        for (number, track) in self.tracks().iter().enumerate() {
            let path = format!("{}/index.m3u8", place(track));
            all.push((path.clone(), self.media(number, &path)));
            if track.kind == TrackKind::Video {
                let path = format!("{}/iframes.m3u8", place(track));
                all.push((path.clone(), self.frames(number, &path)));
            }
        }
        for number in 0..self.text.len() {
            let path = self.text_playlist(number);
            all.push((path.clone(), self.subtitles(number, &path)));
        }
        all
    }

    fn master(&self) -> String {
        let mut out = "#EXTM3U\n#EXT-X-VERSION:6\n#EXT-X-INDEPENDENT-SEGMENTS\n".to_owned();
        let of = |kind| self.tracks().iter().enumerate().filter(move |(_, it)| it.kind == kind);
        let (mut sound, mut sounds) = ((0, 0), BTreeSet::new());
        for (number, track) in of(TrackKind::Audio) {
            let language = match track.language.as_str() {
                "" => String::new(),
                language => format!(",LANGUAGE=\"{language}\""),
            };
            let first = if number == of(TrackKind::Audio).next().map_or(0, |it| it.0) { "YES" } else { "NO" };
            let _ = writeln!(
                out,
                "#EXT-X-MEDIA:TYPE=AUDIO,URI=\"{}/index.m3u8\",GROUP-ID=\"audio\"{language},NAME=\"{}\",DEFAULT={first},AUTOSELECT=YES,CHANNELS=\"{}\"",
                place(track),
                track.name,
                track.channels
            );
            let (peak, average) = self.rates(number);
            sound = (peak.max(sound.0), average.max(sound.1));
            sounds.insert(track.codecs.clone());
        }
        for (number, text) in self.index.text.iter().enumerate() {
            let _ = writeln!(
                out,
                "#EXT-X-MEDIA:TYPE=SUBTITLES,URI=\"{}\",GROUP-ID=\"text\",LANGUAGE=\"{}\",NAME=\"{}\",DEFAULT=NO,AUTOSELECT=YES",
                self.text_playlist(number),
                text.language,
                playlist_name(&text.label)
            );
        }
        let beside = format!(
            "{}{}",
            if sounds.is_empty() { "" } else { ",AUDIO=\"audio\"" },
            if self.index.text.is_empty() { "" } else { ",SUBTITLES=\"text\"" }
        );
        let mut frames = String::new();
        for (number, track) in of(TrackKind::Video) {
            let (peak, average) = self.rates(number);
            let codecs: Vec<&str> =
                [track.codecs.as_str()].into_iter().chain(sounds.iter().map(String::as_str)).collect();
            let _ = writeln!(
                out,
                "#EXT-X-STREAM-INF:BANDWIDTH={},AVERAGE-BANDWIDTH={},CODECS=\"{}\",RESOLUTION={}x{},FRAME-RATE={}{beside},CLOSED-CAPTIONS=NONE\n{}/index.m3u8",
                peak.saturating_add(sound.0),
                average.saturating_add(sound.1),
                codecs.join(","),
                track.width,
                track.height,
                frame_rate(&track.frame_rate),
                place(track)
            );
            let _ = writeln!(
                frames,
                "#EXT-X-I-FRAME-STREAM-INF:BANDWIDTH={peak},CODECS=\"{}\",RESOLUTION={}x{},URI=\"{}/iframes.m3u8\"",
                track.codecs,
                track.width,
                track.height,
                place(track)
            );
        }
        // Sound alone.
        if of(TrackKind::Video).next().is_none() {
            for (number, track) in of(TrackKind::Audio) {
                let (peak, average) = self.rates(number);
                let _ = writeln!(
                    out,
                    "#EXT-X-STREAM-INF:BANDWIDTH={peak},AVERAGE-BANDWIDTH={average},CODECS=\"{}\",AUDIO=\"audio\"\n{}/index.m3u8",
                    track.codecs,
                    place(track)
                );
            }
        }
        out + &frames
    }

    /// Bit/s of a track at its peak and on average, over all parts.
    fn rates(&self, number: usize) -> (u64, u64) {
        let (mut peak, mut bytes, mut ms) = (0, 0_u64, 0_u64);
        for (part, track) in self.through(number) {
            peak = peak.max(track.bandwidth);
            bytes = bytes.saturating_add(self.bytes.get(&track.init).copied().unwrap_or_default());
            ms = ms.saturating_add(part.duration_ms);
        }
        (peak, (bytes.saturating_mul(8000) / ms.max(1)).min(peak))
    }

    fn media(&self, number: usize, path: &str) -> String {
        let mut out = self.head(self.through(number).flat_map(|(_, track)| {
            track.segments.iter().map(|units| (u128::from(*units), u128::from(track.timescale.max(1))))
        }));
        for (at, (part, track)) in self.through(number).enumerate() {
            self.begin(&mut out, at, part, track, path);
            for (segment, units) in track.segments.iter().enumerate() {
                let uri = relative(path, &track.segment(segment as u64));
                let _ = writeln!(out, "#EXTINF:{},\n{uri}", seconds(*units, track.timescale));
            }
        }
        out.push_str("#EXT-X-ENDLIST\n");
        out
    }

    fn frames(&self, number: usize, path: &str) -> String {
        let frames =
            |track: &IndexTrack| self.key_frames.get(&track.init).map(Vec::as_slice).unwrap_or_default();
        let lengths = self.through(number).flat_map(|(_, track)| frames(track));
        let mut out = self.head(lengths.map(|frame| (u128::from(frame.duration), 1_000_000)));
        out.push_str("#EXT-X-I-FRAMES-ONLY\n");
        for (at, (part, track)) in self.through(number).enumerate() {
            self.begin(&mut out, at, part, track, path);
            for frame in frames(track) {
                let file = track.init.rsplit_once('/').map_or("", |(folder, _)| folder);
                let uri = relative(path, &format!("{file}/{}", frame.file));
                let length = seconds(frame.duration, 1_000_000);
                let _ = writeln!(out, "#EXTINF:{length},\n#EXT-X-BYTERANGE:{}\n{uri}", frame.range);
            }
        }
        out.push_str("#EXT-X-ENDLIST\n");
        out
    }

    fn subtitles(&self, number: usize, path: &str) -> String {
        let parts = || self.index.parts.iter().zip(self.text.get(number).into_iter().flatten());
        let mut out = self.head(parts().map(|(part, _)| (u128::from(part.duration_ms), 1000)));
        for (at, (part, file)) in parts().enumerate() {
            if at > 0 {
                out.push_str("#EXT-X-DISCONTINUITY\n");
            }
            let _ = writeln!(out, "#EXTINF:{},\n{}", seconds(part.duration_ms, 1000), relative(path, file));
        }
        out.push_str("#EXT-X-ENDLIST\n");
        out
    }

    fn text_playlist(&self, number: usize) -> String {
        let language = self.index.text.get(number).map_or("und", |text| text.language.as_str());
        format!("text/{number}-{language}/index.m3u8")
    }

    /// `EXT-X-TARGETDURATION` is the longest segment, rounded to whole seconds (RFC 8216 section 4.3.3.1).
    fn head(&self, lengths: impl Iterator<Item = (u128, u128)>) -> String {
        let target =
            lengths.map(|(units, scale)| (units * 2 + scale) / (scale * 2)).max().unwrap_or(0).max(1);
        format!("#EXTM3U\n#EXT-X-VERSION:6\n#EXT-X-TARGETDURATION:{target}\n#EXT-X-PLAYLIST-TYPE:VOD\n")
    }

    fn begin(
        &self,
        out: &mut String,
        at: usize,
        part: &streamverse_model::media::Part,
        track: &IndexTrack,
        path: &str,
    ) {
        if at > 0 {
            out.push_str("#EXT-X-DISCONTINUITY\n");
        }
        let _ = writeln!(out, "#EXT-X-MAP:URI=\"{}\"", relative(path, &track.init));
        if let Some(kid) = track.kid {
            out.push_str(&signal::hls_keys(self.systems, self.scheme, kid, &Self::kids(part)));
        }
    }
}

/// Where the playlists of a track lie.
fn place(track: &IndexTrack) -> String {
    let kind = match track.kind {
        TrackKind::Video => "video",
        TrackKind::Audio => "audio",
    };
    format!("{kind}/{}", track.name)
}

/// `29.970`, as `FRAME-RATE` has it.
fn frame_rate(text: &str) -> String {
    let (numerator, denominator) = text.split_once('/').unwrap_or((text, "1"));
    let numerator: u64 = numerator.parse().unwrap_or_default();
    let denominator: u64 = denominator.parse().unwrap_or(1).max(1);
    let milli = (numerator.saturating_mul(1000) + denominator / 2) / denominator;
    format!("{}.{:03}", milli / 1000, milli % 1000)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn key_frames_are_read_from_the_packagers_playlist() {
        let text = "#EXTM3U\n#EXT-X-MAP:URI=\"init.mp4\"\n#EXTINF:2.002,\n#EXT-X-BYTERANGE:9387@84\n00001.m4s\n#EXTINF:1,\n#EXT-X-BYTERANGE:7@84\n00002.m4s\n#EXT-X-ENDLIST\n";
        let found = key_frames(text);
        assert_eq!(found.len(), 2);
        assert_eq!((found[0].duration, found[0].range.as_str()), (2_002_000, "9387@84"));
        assert_eq!((found[1].duration, found[1].file.as_str()), (1_000_000, "00002.m4s"));
    }

    #[test]
    fn a_frame_rate_has_three_decimals() {
        assert_eq!(frame_rate("25"), "25.000");
        assert_eq!(frame_rate("30000/1001"), "29.970");
    }
}
