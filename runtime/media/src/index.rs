//! `index.json`: what the packager wrote, read back from its segments and its MPD.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::path::Path;

use quick_xml::events::Event;
use quick_xml::{Reader, XmlVersion};
use streamverse_core::{Error, Result};
use streamverse_model::media::{IndexTrack, Part, TextFile, TrackKind};

use crate::boxes::{read_init, read_segment};
use crate::package::{AudioTrack, TextTrack, VideoTrack, text_folder};

/// How segments are numbered.
pub(crate) const MEDIA: &str = "$Number%05d$.m4s";

/// What an MPD says of a representation, by its init segment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Told {
    pub(crate) codecs: String,
    pub(crate) bandwidth: u64,
}

/// Reads the tracks of a package that lies in `folder`.
pub(crate) async fn part(folder: &Path, video: &[VideoTrack], audio: &[AudioTrack]) -> Result<Part> {
    let mpd = folder.join("dash.mpd");
    let text = tokio::fs::read_to_string(&mpd).await.map_err(|error| {
        Error::passing("scratch", format!("{} cannot be read", mpd.display())).because(error)
    })?;
    let told = representations(&text)
        .map_err(|error| Error::permanent("package-broken", "the packager's MPD is no XML").because(error))?;
    let mut tracks = Vec::new();
    for track in video {
        let index = IndexTrack {
            width: track.width,
            height: track.height,
            frame_rate: track.frame_rate.clone(),
            ..read(folder, TrackKind::Video, &track.name, &told).await?
        };
        tracks.push(index);
    }
    for track in audio {
        let index = IndexTrack {
            language: if track.language == "und" { String::new() } else { track.language.clone() },
            channels: track.channels,
            sample_rate: track.sample_rate,
            ..read(folder, TrackKind::Audio, &track.name, &told).await?
        };
        tracks.push(index);
    }
    let even = |tracks: &[IndexTrack]| {
        let mut counts = tracks.iter().filter(|it| it.kind == TrackKind::Video).map(|it| it.segments.len());
        let first = counts.next();
        counts.all(|count| Some(count) == first)
    };
    if !even(&tracks) {
        return Err(Error::permanent(
            "package-broken",
            "the packager cut the renditions of one picture into different numbers of segments",
        ));
    }
    let duration_ms = tracks.iter().map(length_ms).max().unwrap_or_default();
    Ok(Part { duration_ms, tracks })
}

/// A track's end in milliseconds, rounded up.
pub(crate) fn length_ms(track: &IndexTrack) -> u64 {
    let units = track.segments.iter().fold(track.begins, |sum, it| sum.saturating_add(*it));
    let ms = (u128::from(units) * 1000).div_ceil(u128::from(track.timescale.max(1)));
    u64::try_from(ms).unwrap_or(u64::MAX)
}

/// The subtitles of a package.
pub(crate) fn text(tracks: &[TextTrack]) -> Vec<TextFile> {
    let file = |(number, track): (usize, &TextTrack)| TextFile {
        language: track.language.clone(),
        label: track.label.clone(),
        file: format!("{}/00001.vtt", text_folder(number, track)),
    };
    tracks.iter().enumerate().map(file).collect()
}

async fn read(
    folder: &Path,
    kind: TrackKind,
    name: &str,
    told: &BTreeMap<String, Told>,
) -> Result<IndexTrack> {
    let place = match kind {
        TrackKind::Video => format!("video/{name}"),
        TrackKind::Audio => format!("audio/{name}"),
    };
    let path = format!("{place}/init.mp4");
    let Some(Told { codecs, bandwidth }) = told.get(&path).cloned() else {
        return Err(Error::permanent("package-broken", format!("the packager's MPD does not name {path}")));
    };
    let init = read_init(&folder.join(&path)).await?;
    let mut track = IndexTrack {
        name: name.to_owned(),
        kind,
        codecs,
        bandwidth,
        width: 0,
        height: 0,
        frame_rate: String::new(),
        language: String::new(),
        channels: 0,
        sample_rate: 0,
        timescale: init.timescale,
        begins: 0,
        init: path,
        media: format!("{place}/{MEDIA}"),
        first_number: 1,
        segments: Vec::new(),
        kid: init.key.as_ref().map(|(kid, _)| *kid),
    };
    let mut next = None;
    loop {
        let file = folder.join(track.segment(track.segments.len() as u64));
        if !tokio::fs::try_exists(&file).await.unwrap_or(false) {
            break;
        }
        let segment = read_segment(&file, &init).await?;
        match next {
            None => track.begins = segment.begins,
            Some(next) if next != segment.begins => {
                return Err(Error::permanent(
                    "package-broken",
                    format!("the packager left a gap before {}", file.display()),
                ));
            }
            Some(_) => {}
        }
        next = segment.begins.checked_add(segment.duration);
        track.segments.push(segment.duration);
    }
    if track.segments.is_empty() {
        return Err(Error::permanent("package-broken", format!("the packager wrote no segment of {place}")));
    }
    Ok(track)
}

/// What an MPD of the packager says of its representations.
pub(crate) fn representations(mpd: &str) -> std::result::Result<BTreeMap<String, Told>, quick_xml::Error> {
    let mut reader = Reader::from_str(mpd);
    let (mut all, mut now) = (BTreeMap::new(), Told::default());
    loop {
        let (Event::Start(element) | Event::Empty(element)) = (match reader.read_event()? {
            Event::Eof => return Ok(all),
            event => event,
        }) else {
            continue;
        };
        let attribute = |name: &str| {
            let found = element.try_get_attribute(name).ok().flatten()?;
            found.normalized_value(XmlVersion::Implicit1_0).ok().map(Cow::into_owned)
        };
        match element.name().as_ref() {
            b"Representation" => {
                let bandwidth = attribute("bandwidth").and_then(|it| it.parse().ok());
                now = Told {
                    codecs: attribute("codecs").unwrap_or_default(),
                    bandwidth: bandwidth.unwrap_or_default(),
                };
            }
            b"SegmentTemplate" => {
                if let Some(init) = attribute("initialization") {
                    all.insert(init, now.clone());
                }
            }
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_mpd_tells_codecs_and_bit_rates_by_init_segment() {
        let mpd = r#"<MPD><Period><AdaptationSet><Representation id="0" bandwidth="716552" codecs="avc1.64001e">
            <SegmentTemplate initialization="video/360p/init.mp4" media="x"><SegmentTimeline><S t="0" d="1"/></SegmentTimeline></SegmentTemplate>
            </Representation></AdaptationSet></Period></MPD>"#;
        let told = representations(mpd).unwrap();
        let one = Told { codecs: "avc1.64001e".to_owned(), bandwidth: 716_552 };
        assert_eq!(told, BTreeMap::from([("video/360p/init.mp4".to_owned(), one)]));
        assert!(representations("<MPD><").is_err());
    }
}
