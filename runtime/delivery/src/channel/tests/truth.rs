//! What is so, by other ways than playlists are made: which keys an asset has, which breaks there were.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use streamverse_model::drm::KeyId;
use streamverse_model::media::channel::Cue;

use super::super::timeline::Timeline;
use super::playlist::Segment;
use super::rules::{Checks, Kept};

const WIDEVINE: &str = "edef8ba9-79d6-4ace-a3c8-27dcd51d21ed";
const PLAYREADY: &str = "9a04f079-9840-4286-ab92-e65be0885f95";
const COMMON: &str = "1077efec-c0b2-4d02-ace3-3c1e52e2fb4b";
const FAIRPLAY: &str = "94ce86fb-07ff-4f43-adb8-93d2fa968ca2";
const CLEARKEY: &str = "e2719d58-a985-b3c9-781a-b030af78d30e";

/// A break.
#[derive(Debug)]
pub(super) struct Break {
    pub(super) id: u32,
    pub(super) start: u64,
    pub(super) end: Option<u64>,
}

/// What is so.
#[derive(Default)]
pub(super) struct Truth {
    /// Encrypted assets: how, and for which systems.
    pub(super) encrypted: BTreeMap<String, (&'static str, Vec<&'static str>)>,
    pub(super) breaks: BTreeMap<u32, Break>,
}

/// The asset, its generation and part of an address below `/vod/`.
pub(super) fn place(uri: &str) -> (String, String, u32) {
    let mut parts = uri.rsplit_once("vod/").map_or(uri, |(_, rest)| rest).split('/');
    let (asset, generation) = (parts.next().unwrap().to_owned(), parts.next().unwrap().to_owned());
    let part = parts.next().and_then(|it| it.strip_prefix('p')?.parse().ok()).unwrap_or(0);
    (asset, generation, part)
}

impl Truth {
    /// Takes what was announced until now.
    pub(super) fn learn(&mut self, timeline: &Timeline) {
        for item in timeline.entries().iter().map(|it| &it.item) {
            let Some(splice) = &item.splice else { continue };
            match splice.cue {
                Cue::Out { .. } => {
                    let new = Break { id: splice.event_id, start: item.start_ms, end: None };
                    self.breaks.entry(splice.event_id).or_insert(new);
                }
                Cue::In => {
                    if let Some(it) = self.breaks.get_mut(&splice.event_id) {
                        it.end = Some(item.start_ms);
                    }
                }
            }
        }
        let oldest = timeline.entries().first().map_or(0, |it| it.item.start_ms);
        self.breaks.retain(|_, it| it.end.is_none_or(|end| end > oldest));
    }

    /// The key of a track.
    pub(super) fn kid(&self, uri: &str, track: &str) -> Option<KeyId> {
        let (asset, generation, part) = place(uri);
        self.encrypted.contains_key(&asset).then(|| KeyId::derive("test", &asset, &generation, track, part))
    }

    /// That the keys which hold for a segment are those of its package.
    pub(super) fn keys(&self, to: &mut Checks, it: &Segment) -> Kept {
        // Captions are in clear, and have no init segment.
        let track = if it.uri.contains("/video/") { "video" } else { "audio" };
        let Some(kid) = self.kid(&it.uri, track).filter(|_| !it.map.is_empty()) else {
            return to.rule("hls-keys", it.keys.is_empty(), || format!("a clear segment has keys: {it:?}"));
        };
        let (scheme, systems) = &self.encrypted[&place(&it.uri).0];
        let formats: Vec<String> = systems
            .iter()
            .filter_map(|system| match *system {
                "widevine" => Some(format!("urn:uuid:{WIDEVINE}")),
                "playready" => Some("com.microsoft.playready".to_owned()),
                "fairplay" => Some("com.apple.streamingkeydelivery".to_owned()),
                _ => None,
            })
            .collect();
        let same =
            it.keys.len() == formats.len() && formats.iter().all(|format| it.keys.contains_key(format));
        to.rule("hls-keys", same, || format!("{:?} and not {formats:?}: {}", it.keys.keys(), it.uri))?;
        let method = if *scheme == "cbcs" { "SAMPLE-AES" } else { "SAMPLE-AES-CTR" };
        for (format, key) in &it.keys {
            to.rule("hls-keys", key["METHOD"] == method, || format!("{key:?}"))?;
            let data = || STANDARD.decode(key["URI"].rsplit_once("base64,").unwrap().1).unwrap();
            let good = match format.as_str() {
                "com.apple.streamingkeydelivery" => key["URI"] == format!("skd://{}", hex::encode(raw(kid))),
                "com.microsoft.playready" => names(&data(), kid),
                _ => {
                    pssh(&data()).is_some_and(|(system, data)| system == WIDEVINE && has(&data, &raw(kid)))
                        && key["KEYID"].eq_ignore_ascii_case(&format!("0x{}", hex::encode(raw(kid))))
                }
            };
            to.rule("hls-keys", good, || format!("{key:?} is not of {kid}"))?;
        }
        Ok(())
    }

    /// That what DASH says of a representation's key is so: the elements' scheme, value, key, box and object.
    pub(super) fn protection(&self, to: &mut Checks, uri: &str, track: &str, said: &[Protection]) -> Kept {
        let Some(kid) = self.kid(uri, track) else {
            return to.rule("dash-keys", said.is_empty(), || format!("a clear track is protected: {said:?}"));
        };
        let (scheme, systems) = &self.encrypted[&place(uri).0];
        let first = said.first().is_some_and(|it| {
            it.scheme == "urn:mpeg:dash:mp4protection:2011"
                && it.value == *scheme
                && it.kid == kid.to_string()
        });
        to.rule("dash-keys", first, || format!("{said:?}"))?;
        let wanted: Vec<&str> = std::iter::once(COMMON)
            .chain(systems.iter().map(|it| match *it {
                "widevine" => WIDEVINE,
                "playready" => PLAYREADY,
                "fairplay" => FAIRPLAY,
                _ => CLEARKEY,
            }))
            .collect();
        let found: Vec<&str> =
            said.iter().skip(1).filter_map(|it| it.scheme.strip_prefix("urn:uuid:")).collect();
        to.rule("dash-keys", found == wanted, || format!("{found:?}"))?;
        for it in &said[1..] {
            let read = STANDARD.decode(&it.pssh).ok().and_then(|it| pssh(&it));
            let system = it.scheme.trim_start_matches("urn:uuid:");
            let good = match (system, &read) {
                (FAIRPLAY, None) => true,
                // The box of DASH-IF's ClearKey is the common one.
                (COMMON | CLEARKEY, Some((of, data))) => of == COMMON && has(data, &raw(kid)),
                (WIDEVINE, Some((of, data))) => of == WIDEVINE && has(data, &raw(kid)),
                (PLAYREADY, Some((of, data))) => {
                    of == PLAYREADY
                        && names(data, kid)
                        && STANDARD.decode(&it.pro).is_ok_and(|it| it == *data)
                }
                _ => false,
            };
            to.rule("dash-keys", good, || format!("{it:?} {read:?}"))?;
        }
        Ok(())
    }
}

/// A `ContentProtection` element.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Protection {
    pub(super) scheme: String,
    pub(super) value: String,
    pub(super) kid: String,
    pub(super) pssh: String,
    pub(super) pro: String,
}

fn raw(kid: KeyId) -> [u8; 16] {
    let text = kid.to_string().replace('-', "");
    u128::from_str_radix(&text, 16).unwrap().to_be_bytes()
}

fn has(data: &[u8], part: &[u8]) -> bool {
    data.windows(part.len()).any(|it| it == part)
}

/// The system of a `pssh` box (ISO/IEC 23001-7 section 8.1), and its identifiers with its data.
fn pssh(bytes: &[u8]) -> Option<(String, Vec<u8>)> {
    let size = u32::from_be_bytes(bytes.get(..4)?.try_into().ok()?);
    let version = *bytes.get(8)?;
    let known = size as usize == bytes.len() && bytes.get(4..8)? == b"pssh" && version <= 1;
    let system = hex::encode(bytes.get(12..28)?);
    let mut at = 28;
    let mut found = Vec::new();
    if version == 1 {
        let count = u32::from_be_bytes(bytes.get(at..at + 4)?.try_into().ok()?) as usize;
        found.extend_from_slice(bytes.get(at + 4..at + 4 + 16 * count)?);
        at += 4 + 16 * count;
    }
    let length = u32::from_be_bytes(bytes.get(at..at + 4)?.try_into().ok()?) as usize;
    found.extend_from_slice(bytes.get(at + 4..)?);
    let whole = bytes.len() == at + 4 + length;
    let cut = |range: std::ops::Range<usize>| system[range].to_owned();
    let uuid = [cut(0..8), cut(8..12), cut(12..16), cut(16..20), cut(20..32)].join("-");
    (known && whole).then_some((uuid, found))
}

/// Whether a PlayReady Object names a key: its length, one record of type 1, a header in UTF-16 with the key as a GUID.
fn names(object: &[u8], kid: KeyId) -> bool {
    let le = |at: usize| u16::from_le_bytes([object[at], object[at + 1]]);
    let whole = object.len() > 10 && usize::from(le(0)) == object.len() && (le(4), le(6)) == (1, 1);
    let units: Vec<u16> =
        object.chunks_exact(2).skip(5).map(|it| u16::from_le_bytes([it[0], it[1]])).collect();
    let header = String::from_utf16_lossy(&units);
    let mut guid = raw(kid);
    guid[..4].reverse();
    guid[4..6].reverse();
    guid[6..8].reverse();
    whole && header.starts_with("<WRMHEADER") && header.contains(&STANDARD.encode(guid))
}
