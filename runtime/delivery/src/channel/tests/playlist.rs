//! A reader of media playlists that knows nothing of how they are written (RFC 8216).

use std::collections::BTreeMap;

use super::super::time::parse as instant;

/// A segment, with all that follows from what stands before it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Segment {
    pub(super) msn: u64,
    pub(super) dsn: u64,
    pub(super) micros: u64,
    pub(super) uri: String,
    pub(super) map: String,
    /// Microseconds since the epoch, as the playlist's date and times lead to it.
    pub(super) at: u64,
    /// The date that stands at the segment itself, in milliseconds.
    pub(super) dated: Option<u64>,
    pub(super) discontinuity: bool,
    /// The keys that hold for it, by their format: attributes as they stand.
    pub(super) keys: BTreeMap<String, BTreeMap<String, String>>,
}

#[derive(Clone, Debug, Default)]
pub(super) struct Playlist {
    pub(super) version: u64,
    pub(super) target: u64,
    pub(super) msn: u64,
    pub(super) dsn: u64,
    pub(super) skipped: u64,
    pub(super) kind: String,
    pub(super) ended: bool,
    pub(super) control: BTreeMap<String, String>,
    pub(super) segments: Vec<Segment>,
    pub(super) ranges: Vec<BTreeMap<String, String>>,
}

/// `A=1,B="x,y"`.
fn attributes(text: &str) -> BTreeMap<String, String> {
    let mut found = BTreeMap::new();
    let mut rest = text;
    while let Some((name, after)) = rest.split_once('=') {
        let (value, next) = match after.strip_prefix('"') {
            Some(quoted) => {
                let (value, next) = quoted.split_once('"').unwrap();
                (value, next.trim_start_matches(','))
            }
            None => after.split_once(',').unwrap_or((after, "")),
        };
        assert!(found.insert(name.to_owned(), value.to_owned()).is_none(), "{name} twice in {text}");
        rest = next;
    }
    found
}

impl Playlist {
    /// Reads a playlist; an update is read with the playlist that it is of.
    pub(super) fn read(text: &str, before: Option<&Playlist>) -> Playlist {
        let mut it = Playlist::default();
        let mut lines = text.lines();
        assert_eq!(lines.next(), Some("#EXTM3U"));
        let (mut discontinuities, mut map, mut at, mut keys) = (0, String::new(), None, BTreeMap::new());
        let (mut discontinuity, mut dated, mut micros) = (false, None, None);
        for line in lines {
            let (tag, value) = line.split_once(':').unwrap_or((line, ""));
            match tag {
                "#EXT-X-VERSION" => it.version = value.parse().unwrap(),
                "#EXT-X-TARGETDURATION" => it.target = value.parse().unwrap(),
                "#EXT-X-MEDIA-SEQUENCE" => it.msn = value.parse().unwrap(),
                "#EXT-X-DISCONTINUITY-SEQUENCE" => it.dsn = value.parse().unwrap(),
                "#EXT-X-PLAYLIST-TYPE" => value.clone_into(&mut it.kind),
                "#EXT-X-SERVER-CONTROL" => it.control = attributes(value),
                "#EXT-X-INDEPENDENT-SEGMENTS" => {}
                "#EXT-X-SKIP" => {
                    it.skipped = attributes(value)["SKIPPED-SEGMENTS"].parse().unwrap();
                    let before = before.expect("an update of a playlist that is known");
                    let last = it.msn + it.skipped;
                    let kept = before.segments.iter().filter(|old| (it.msn..last).contains(&old.msn));
                    it.segments = kept.cloned().collect();
                    assert_eq!(it.segments.len() as u64, it.skipped, "it leaves out what the client has not");
                    discontinuities = it.segments.last().map_or(0, |last| last.dsn - it.dsn);
                    keys = it.segments.last().map(|last| last.keys.clone()).unwrap_or_default();
                }
                "#EXT-X-DATERANGE" => it.ranges.push(attributes(value)),
                "#EXT-X-DISCONTINUITY" => {
                    assert!(!discontinuity, "two discontinuities at one segment");
                    discontinuity = true;
                    discontinuities += 1;
                }
                "#EXT-X-PROGRAM-DATE-TIME" => {
                    dated = Some(date(value));
                }
                "#EXT-X-MAP" => map.clone_from(&attributes(value)["URI"]),
                "#EXT-X-KEY" => {
                    // One holds until the next of its format, and none at all says that nothing is encrypted.
                    let key = attributes(value);
                    if key["METHOD"] == "NONE" {
                        assert_eq!(key.len(), 1, "4.3.2.4: no other attributes beside NONE");
                        keys.clear();
                    } else {
                        let format = key.get("KEYFORMAT").map_or("identity", String::as_str).to_owned();
                        keys.insert(format, key);
                    }
                }
                "#EXTINF" => {
                    let (whole, part) = value.trim_end_matches(',').split_once('.').unwrap();
                    let part: u64 = format!("{part:0<6}").parse().unwrap();
                    micros = Some(whole.parse::<u64>().unwrap() * 1_000_000 + part);
                }
                "#EXT-X-ENDLIST" => it.ended = true,
                uri if !uri.starts_with('#') => {
                    let begins = dated.map(|ms| ms * 1000).or(at).expect("a date before the first segment");
                    let length = micros.take().expect("EXTINF before a segment");
                    it.segments.push(Segment {
                        msn: it.msn + it.segments.len() as u64,
                        dsn: it.dsn + discontinuities,
                        micros: length,
                        uri: uri.to_owned(),
                        map: map.clone(),
                        at: begins,
                        dated: dated.take(),
                        discontinuity: std::mem::take(&mut discontinuity),
                        keys: keys.clone(),
                    });
                    at = Some(begins + length);
                }
                other => panic!("the tag {other} is none that we write"),
            }
        }
        assert!(micros.is_none() && dated.is_none() && !discontinuity, "tags without a segment");
        it
    }

    /// Reads an update of a playlist; `None` where it leaves out what that one does not have, as a client would then ask for all.
    pub(super) fn update(text: &str, before: &Playlist) -> Option<Playlist> {
        let number = |tag: &str| {
            let rest = text.split_once(tag)?.1;
            rest.split(['\n', ',']).next()?.parse::<u64>().ok()
        };
        let first = number("#EXT-X-MEDIA-SEQUENCE:")?;
        let skipped = number("SKIPPED-SEGMENTS=").unwrap_or(0);
        let last = before.segments.last()?.msn;
        (skipped == 0 || first + skipped <= last + 1).then(|| Playlist::read(text, Some(before)))
    }

    pub(super) fn end(&self) -> u64 {
        self.segments.last().map_or(0, |it| it.at + it.micros)
    }
}

/// A date in milliseconds since the epoch, with a fraction, which addresses do not take.
pub(super) fn date(text: &str) -> u64 {
    instant(text).unwrap_or_else(|_| {
        let (whole, rest) = text.split_once('.').unwrap();
        let part: u64 = rest.trim_end_matches('Z').parse().unwrap();
        instant(&format!("{whole}Z")).unwrap() + part
    })
}
