//! HLS playlists (RFC 8216; delta updates and interstitial rules of draft-pantos-hls-rfc8216bis), as texts of what is shown.

use std::fmt::Write as _;

use streamverse_model::drm::{DrmSystem, signal};
use streamverse_model::media::TrackKind;
use streamverse_model::media::channel::FastChannelSpec;

use super::dash;
use super::lineup::{Lineup, Rendition, rate};
use super::package::media_time;
use super::query::{Query, Skip};
use super::scte35::splice_insert;
use super::time::{seconds, utc};
use super::timeline::{Break, Piece, Timeline};

/// What a media playlist is of.
#[derive(Clone, Copy, Debug)]
pub(super) enum Of<'l> {
    Track(TrackKind, &'l Rendition),
    Captions(&'l str),
}

/// How a playlist goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Growth {
    /// Old segments go, new ones come.
    Live,
    /// New ones come: start-over.
    Event,
    /// It is complete.
    Over,
}

/// What is shown, and how.
pub(super) struct Shown<'t> {
    pub(super) timeline: &'t Timeline,
    pub(super) lineup: &'t Lineup,
    pub(super) pieces: &'t [Piece],
    pub(super) edge: u64,
    pub(super) growth: Growth,
}

/// How far from the live edge segments may be left out of an update: six target durations, the least that may be (section
/// 4.4.3.8).
fn skip_until(target: u64) -> u64 {
    target.saturating_mul(6)
}

/// The multivariant playlist. It names its own neighbours by relative addresses, so that it works behind any edge; and by
/// stable names, so that a steering server may send players from one edge to another.
pub(super) fn multivariant(lineup: &Lineup, spec: &FastChannelSpec, query: &Query) -> String {
    let mut text = String::from("#EXTM3U\n#EXT-X-VERSION:6\n#EXT-X-INDEPENDENT-SEGMENTS\n");
    let carried = query.carried();
    let quoted = |text: &str| text.replace(['"', '\n', '\r'], "");
    let pathway = quoted(spec.pathway());
    if let Some(it) = &spec.steering {
        let server = quoted(&it.server_url);
        let _ = writeln!(text, "#EXT-X-CONTENT-STEERING:SERVER-URI=\"{server}\",PATHWAY-ID=\"{pathway}\"");
    }
    for (at, it) in lineup.audio.iter().enumerate() {
        let default = if at == 0 { "YES" } else { "NO" };
        let _ = write!(text, "#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID=\"audio\",NAME=\"{}\"", quoted(&it.key));
        if !it.language.is_empty() && it.language != "und" {
            let _ = write!(text, ",LANGUAGE=\"{}\"", quoted(&it.language));
        }
        if it.channels > 0 {
            let _ = write!(text, ",CHANNELS=\"{}\"", it.channels);
        }
        let id = stable("audio", &it.key);
        let _ = writeln!(
            text,
            ",DEFAULT={default},AUTOSELECT=YES,STABLE-RENDITION-ID=\"{id}\",URI=\"audio/{}.m3u8{carried}\"",
            it.key
        );
    }
    for it in &lineup.text {
        let (label, language) = (quoted(&it.label), quoted(&it.language));
        let id = stable("text", &it.language);
        let _ = writeln!(
            text,
            "#EXT-X-MEDIA:TYPE=SUBTITLES,GROUP-ID=\"text\",NAME=\"{label}\",LANGUAGE=\"{language}\",DEFAULT=NO,AUTOSELECT=YES,FORCED=NO,STABLE-RENDITION-ID=\"{id}\",URI=\"text/{language}.m3u8{carried}\"",
        );
    }
    let loudest = lineup.audio.iter().map(|it| it.bandwidth).max().unwrap_or(0);
    let mut sound: Vec<&str> =
        lineup.audio.iter().map(|it| it.codecs.as_str()).filter(|it| !it.is_empty()).collect();
    sound.sort_unstable();
    sound.dedup();
    let groups = |with_sound: bool| {
        let audio = if with_sound && !lineup.audio.is_empty() { ",AUDIO=\"audio\"" } else { "" };
        let captions = if lineup.text.is_empty() { "" } else { ",SUBTITLES=\"text\"" };
        format!("{audio}{captions}")
    };
    for it in &lineup.video {
        let codecs: Vec<&str> = std::iter::once(it.codecs.as_str())
            .filter(|it| !it.is_empty())
            .chain(sound.iter().copied())
            .collect();
        let _ = write!(text, "#EXT-X-STREAM-INF:BANDWIDTH={}", it.bandwidth.saturating_add(loudest).max(1));
        if !codecs.is_empty() {
            let _ = write!(text, ",CODECS=\"{}\"", quoted(&codecs.join(",")));
        }
        if it.width > 0 && it.height > 0 {
            let _ = write!(text, ",RESOLUTION={}x{}", it.width, it.height);
        }
        let frames = rate(&it.frame_rate);
        if frames > 0 {
            let _ = write!(text, ",FRAME-RATE={}.{:03}", frames / 1000, frames % 1000);
        }
        let _ = writeln!(
            text,
            "{},CLOSED-CAPTIONS=NONE,STABLE-VARIANT-ID=\"{}\",PATHWAY-ID=\"{pathway}\"\nvideo/{}.m3u8{carried}",
            groups(true),
            stable("video", &it.key),
            it.key
        );
    }
    if lineup.video.is_empty() {
        for it in &lineup.audio {
            let _ = writeln!(
                text,
                "#EXT-X-STREAM-INF:BANDWIDTH={},CODECS=\"{}\"{},STABLE-VARIANT-ID=\"{}\",PATHWAY-ID=\"{pathway}\"\naudio/{}.m3u8{carried}",
                it.bandwidth.max(1),
                quoted(&it.codecs),
                groups(true),
                stable("audio", &it.key),
                it.key
            );
        }
    }
    text
}

/// A name that says the same of a rendition whoever asks and whenever, in the characters that section 4.4.6.1 has for it.
fn stable(kind: &str, key: &str) -> String {
    let plain = |it: u8| it.is_ascii_alphanumeric() || b"+/=.-_".contains(&it);
    if key.bytes().all(plain) { format!("{kind}-{key}") } else { format!("{kind}={}", hex::encode(key)) }
}

/// A media playlist.
pub(super) fn media(shown: &Shown<'_>, of: Of<'_>, skip: Skip) -> String {
    let lineup = shown.lineup;
    let begins = shown.pieces.first().map_or(shown.edge, |it| it.times().0);
    let count: u64 = shown.pieces.iter().map(|it| it.to - it.from).sum();
    let boundary_ms = skip_until(lineup.target).saturating_mul(1000);
    let deltas = shown.growth != Growth::Over;
    let old = if deltas && skip != Skip::Nothing { older_than(shown, boundary_ms) } else { 0 };
    // An update that leaves nothing out is none.
    let skip = if old > 0 { skip } else { Skip::Nothing };
    let version = match skip {
        Skip::Nothing => 6,
        Skip::Segments => 9,
        Skip::DateRanges => 10,
    };
    let mut text = String::with_capacity(256 + usize::try_from(count).unwrap_or(0).saturating_mul(80));
    let _ = writeln!(text, "#EXTM3U\n#EXT-X-VERSION:{version}\n#EXT-X-TARGETDURATION:{}", lineup.target);
    match shown.growth {
        Growth::Live => {}
        Growth::Event => text.push_str("#EXT-X-PLAYLIST-TYPE:EVENT\n"),
        Growth::Over => text.push_str("#EXT-X-PLAYLIST-TYPE:VOD\n"),
    }
    if deltas {
        let _ = writeln!(
            text,
            "#EXT-X-SERVER-CONTROL:CAN-SKIP-UNTIL={}.0,CAN-SKIP-DATERANGES=YES,HOLD-BACK={}.0",
            skip_until(lineup.target),
            lineup.target.saturating_mul(3)
        );
    }
    let first = shown.pieces.first();
    // The first segment's discontinuity goes with it, unless it is the very first of the channel.
    let (msn, dsn) = first.map_or((0, 0), |it| {
        let before = u64::from(it.from == 0);
        (it.msn(), it.item().dsn.saturating_sub(before))
    });
    let _ = writeln!(
        text,
        "#EXT-X-MEDIA-SEQUENCE:{msn}\n#EXT-X-DISCONTINUITY-SEQUENCE:{dsn}\n#EXT-X-INDEPENDENT-SEGMENTS"
    );
    let (breaks, gone) = shown.timeline.breaks(begins, shown.edge, boundary_ms);
    let last_skipped = msn.saturating_add(old);
    if skip != Skip::Nothing {
        let _ = write!(text, "#EXT-X-SKIP:SKIPPED-SEGMENTS={old}");
        if skip == Skip::DateRanges && !gone.is_empty() {
            let ids: Vec<String> = gone.iter().map(|it| format!("splice-{it}")).collect();
            let _ = write!(text, ",RECENTLY-REMOVED-DATERANGES=\"{}\"", ids.join("\t"));
        }
        text.push('\n');
    }
    // Breaks that began before what is written here: date ranges have no place of their own among segments. Who asks for an
    // update without old ones knows them.
    for it in breaks.iter().filter(|_| skip != Skip::DateRanges) {
        if it.out_msn < last_skipped {
            range_out(&mut text, it);
        }
        if it.in_msn.is_some_and(|at| at < last_skipped) {
            range_in(&mut text, it);
        }
    }
    let mut keyed = Vec::new();
    let mut dated = false;
    for piece in shown.pieces {
        let item = piece.item();
        let from = piece.from.max(last_skipped.saturating_sub(item.msn));
        if from >= piece.to {
            // Whether keys are set is carried over what is left out.
            described(&mut String::new(), piece, of, &mut keyed);
            continue;
        }
        if from == 0 && (item.dsn > 0 || msn < item.msn) {
            text.push_str("#EXT-X-DISCONTINUITY\n");
        }
        if from == 0 || !dated {
            let at = begins_at(piece, from, of);
            let _ = writeln!(text, "#EXT-X-PROGRAM-DATE-TIME:{}", utc(at));
            dated = true;
        }
        if from == 0 {
            for it in &breaks {
                if it.out_msn == item.msn {
                    range_out(&mut text, it);
                }
                if it.in_msn == Some(item.msn) {
                    range_in(&mut text, it);
                }
            }
        }
        // Also after what was left out: not every player carries an init segment over it.
        described(&mut text, piece, of, &mut keyed);
        segments(&mut text, piece, from, of);
    }
    if shown.growth == Growth::Over {
        text.push_str("#EXT-X-ENDLIST\n");
    }
    text
}

/// How many segments begin further from the end than the boundary of delta updates.
fn older_than(shown: &Shown<'_>, boundary_ms: u64) -> u64 {
    let limit = shown.edge.saturating_sub(boundary_ms);
    let mut old = 0;
    for piece in shown.pieces {
        let upto =
            piece.entry.package.first_ending(piece.item(), |end| end > limit).clamp(piece.from, piece.to);
        old += upto - piece.from;
        if upto < piece.to {
            break;
        }
    }
    old
}

/// What holds for the segments of an item: its init segment, and its keys for the systems that HLS names. ClearKey is not
/// among them: what a player needs for it is in the init segment.
fn described(text: &mut String, piece: &Piece, of: Of<'_>, keyed: &mut Vec<DrmSystem>) {
    let Of::Track(kind, rendition) = of else { return };
    let (item, package) = (piece.item(), &piece.entry.package);
    let Some(track) = package.part(item).and_then(|part| rendition.track(kind, part)) else { return };
    let _ = writeln!(text, "#EXT-X-MAP:URI=\"{}{}\"", base(piece), track.init);
    let (scheme, mut systems) = dash::read(package.index().protection.as_ref());
    systems.retain(|it| track.kid.is_some() && *it != DrmSystem::Clearkey);
    // A key holds until the next of its system (section 4.3.2.4): one that has none here would go on.
    if keyed.iter().any(|it| !systems.contains(it)) {
        text.push_str("#EXT-X-KEY:METHOD=NONE\n");
    }
    if let Some(kid) = track.kid {
        text.push_str(&signal::hls_keys(&systems, scheme, kid, &[kid]));
    }
    *keyed = systems;
}

/// When a segment begins: frames of sound do not end where pictures do, so each track has its own times within an item.
fn begins_at(piece: &Piece, k: u64, of: Of<'_>) -> u64 {
    let (item, package) = (piece.item(), &piece.entry.package);
    let lead = || package.starts(item, k);
    let Of::Track(kind, rendition) = of else { return lead() };
    let Some(track) = package.part(item).and_then(|part| rendition.track(kind, part)) else { return lead() };
    let before =
        media_time(track, item.first.saturating_add(k)).saturating_sub(media_time(track, item.first));
    let ms = u128::from(before) * 1000 / u128::from(track.timescale.max(1));
    item.start_ms.saturating_add(u64::try_from(ms).unwrap_or(u64::MAX))
}

/// Where an item's package lies, seen from a media playlist.
fn base(piece: &Piece) -> String {
    format!("../../../vod/{}/{}/", piece.item().asset, piece.item().generation)
}

fn segments(text: &mut String, piece: &Piece, from: u64, of: Of<'_>) {
    let item = piece.item();
    let package = &piece.entry.package;
    match of {
        Of::Track(kind, rendition) => {
            let Some(track) = package.part(item).and_then(|part| rendition.track(kind, part)) else { return };
            let base = base(piece);
            for number in item.first + from..item.first + piece.to {
                let units =
                    usize::try_from(number).ok().and_then(|at| track.segments.get(at)).copied().unwrap_or(0);
                let length = seconds(units, track.timescale);
                let _ = writeln!(text, "#EXTINF:{length},\n{base}{}", track.segment(number));
            }
        }
        Of::Captions(language) => {
            let base = format!("../cues/{language}/{}/{}/{}/", item.asset, item.generation, item.part);
            for k in from..piece.to {
                let ms = package.starts(item, k + 1).saturating_sub(package.starts(item, k));
                let _ =
                    writeln!(text, "#EXTINF:{}.{:03},\n{base}{}.vtt", ms / 1000, ms % 1000, item.first + k);
            }
        }
    }
}

fn range_out(text: &mut String, it: &Break) {
    let message = splice_insert(it.event_id, true, Some(it.planned_ms));
    let _ = writeln!(
        text,
        "#EXT-X-DATERANGE:ID=\"splice-{}\",START-DATE=\"{}\",PLANNED-DURATION={},SCTE35-OUT=0x{}",
        it.event_id,
        utc(it.start_ms),
        decimal(it.planned_ms),
        hex::encode_upper(message)
    );
}

/// All attributes that both have are the same (section 4.4.5.1).
fn range_in(text: &mut String, it: &Break) {
    let Some(ended) = it.ended_ms else { return };
    let message = splice_insert(it.event_id, false, None);
    let _ = writeln!(
        text,
        "#EXT-X-DATERANGE:ID=\"splice-{}\",START-DATE=\"{}\",DURATION={},SCTE35-IN=0x{}",
        it.event_id,
        utc(it.start_ms),
        decimal(ended.saturating_sub(it.start_ms)),
        hex::encode_upper(message)
    );
}

fn decimal(ms: u64) -> String {
    format!("{}.{:03}", ms / 1000, ms % 1000)
}
