//! What is answered for an address below `/channel/NAME/`: a pure function of what was announced and of the instant.

use std::sync::Arc;

use bytes::Bytes;
use serde_json::Value;
use sha2::{Digest as _, Sha256};
use streamverse_core::Result;
use streamverse_model::media::TrackKind;
use streamverse_model::media::channel::Item;

use super::announced::{Announced, GOES_ON_MS};
use super::cues::Stretch;
use super::dash;
use super::hls::{self, Growth, Of, Shown};
use super::lineup::Lineup;
use super::now;
use super::package::{is_plain, media_time};
use super::query::{OUT_OF_RANGE, Query, Refusal, refusal};
use super::timeline::{Piece, Timeline};

/// Segments in a playlist with which somebody begins: almost a day of usual ones.
const MOST_SEGMENTS: u64 = 20_000;
/// Segments in a playlist of somebody who goes on: as many, and those of a second that come while a session goes on.
const MOST_SEGMENTS_LATER: u64 = MOST_SEGMENTS + GOES_ON_MS / 1000;
/// A recording that ends later than this is none that anybody wants.
const FARTHEST_MS: u64 = 86_400_000;

/// What an address is of.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Resource {
    Multivariant,
    Track(TrackKind, String),
    Captions(String),
    Dash,
    Now,
    /// A segment of captions: language, asset, generation, part, the segment that its times are counted from, its number.
    Cues {
        language: String,
        asset: String,
        generation: String,
        part: u32,
        base: Option<u64>,
        number: u64,
    },
}

impl Resource {
    /// Reads what follows the channel's name.
    pub(super) fn parse(path: &str) -> Option<Resource> {
        let parts: Vec<&str> = path.split('/').collect();
        if path.len() > 1000 || !parts.iter().all(|it| is_plain(it)) {
            return None;
        }
        let number = |text: &str| {
            let digits = text.len() <= 10 && text.bytes().all(|it| it.is_ascii_digit());
            if digits { text.parse::<u64>().ok() } else { None }
        };
        match parts.as_slice() {
            ["hls.m3u8"] => Some(Resource::Multivariant),
            ["dash.mpd"] => Some(Resource::Dash),
            ["now.json"] => Some(Resource::Now),
            [kind, file] => {
                let key = file.strip_suffix(".m3u8")?.to_owned();
                match *kind {
                    "video" => Some(Resource::Track(TrackKind::Video, key)),
                    "audio" => Some(Resource::Track(TrackKind::Audio, key)),
                    "text" => Some(Resource::Captions(key)),
                    _ => None,
                }
            }
            ["cues", language, asset, generation, part, rest @ ..] => {
                let (base, file) = match rest {
                    [file] => (None, file),
                    [base, file] => (Some(number(base)?), file),
                    _ => return None,
                };
                Some(Resource::Cues {
                    language: (*language).to_owned(),
                    asset: (*asset).to_owned(),
                    generation: (*generation).to_owned(),
                    part: u32::try_from(number(part)?).ok()?,
                    base,
                    number: number(file.strip_suffix(".vtt")?)?,
                })
            }
            _ => None,
        }
    }

    pub(super) fn content_type(&self) -> &'static str {
        match self {
            Resource::Multivariant | Resource::Track(..) | Resource::Captions(_) => {
                "application/vnd.apple.mpegurl"
            }
            Resource::Dash => "application/dash+xml",
            Resource::Now => "application/json",
            Resource::Cues { .. } => "text/vtt; charset=utf-8",
        }
    }
}

/// An answer's content.
#[derive(Clone, Debug)]
pub(super) struct Content {
    pub(super) body: Bytes,
    pub(super) etag: Arc<str>,
    pub(super) fresh: Fresh,
}

/// How long it holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fresh {
    /// Until the next segment.
    Live,
    /// It is complete, and goes with the catch-up window.
    Complete,
    /// It never changes.
    Immutable,
}

/// What comes of a question.
#[derive(Clone, Debug)]
pub(super) enum Answer {
    Content(Content),
    Refused(Refusal),
    Missing,
    /// Nothing is announced yet.
    NotYet,
    /// A store failed.
    Failed,
}

impl Content {
    pub(super) fn of(body: impl Into<Bytes>, fresh: Fresh) -> Content {
        let body = body.into();
        let digest = hex::encode(&Sha256::digest(&body)[..12]);
        Content { body, etag: format!("\"{digest}\"").into(), fresh }
    }
}

/// What live playlists say while the edge is the same.
pub(super) fn edge(announced: &Announced, now: u64) -> Option<u64> {
    announced.timeline().edge(now)
}

/// Answers all but captions' segments, which need a store.
pub(super) fn answer(
    name: &str,
    announced: &Announced,
    resource: &Resource,
    query: &Query,
    now: u64,
) -> Answer {
    let timeline = announced.timeline();
    let Some(edge) = timeline.edge(now) else { return Answer::NotYet };
    let window = announced.window_ms();
    if *resource == Resource::Now {
        let page = now::page(name, &announced.spec, &timeline, now, edge.saturating_sub(window));
        return json(&page);
    }
    let (pieces, growth) = match pieces(announced, &timeline, resource, query, edge) {
        Ok(found) => found,
        Err(refused) => return Answer::Refused(refused),
    };
    let Some(last) = pieces.last() else { return Answer::NotYet };
    let lineup: &Lineup = &last.entry.lineup;
    let ends = last.item().msn.saturating_add(last.to);
    if growth != Growth::Over && query.msn.is_some_and(|msn| msn > ends.saturating_add(1)) {
        return Answer::Refused(refusal("msn-too-far", "_HLS_msn is more than two segments ahead"));
    }
    let shown = Shown { timeline: &timeline, lineup, pieces: &pieces, edge, growth };
    let text = match resource {
        Resource::Multivariant => hls::multivariant(lineup, &announced.spec, query),
        Resource::Track(kind, key) => match lineup.find(*kind, key) {
            Some(rendition) => hls::media(&shown, Of::Track(*kind, rendition), query.skip),
            None => return Answer::Missing,
        },
        Resource::Captions(language) => match lineup.captions(language) {
            Some(it) => hls::media(&shown, Of::Captions(&it.language), query.skip),
            None => return Answer::Missing,
        },
        Resource::Dash => dash::manifest(&shown, announced.spec.steering.as_ref(), window),
        Resource::Now | Resource::Cues { .. } => return Answer::Missing,
    };
    let fresh = if growth == Growth::Over { Fresh::Complete } else { Fresh::Live };
    Answer::Content(Content::of(text, fresh))
}

fn json(page: &Value) -> Answer {
    match serde_json::to_vec(page) {
        Ok(body) => Answer::Content(Content::of(body, Fresh::Live)),
        Err(_) => Answer::Failed,
    }
}

fn pieces(
    announced: &Announced,
    timeline: &Timeline,
    resource: &Resource,
    query: &Query,
    edge: u64,
) -> Result<(Vec<Piece>, Growth), Refusal> {
    let Some(from) = query.from else {
        return Ok((timeline.live(edge, announced.window_ms()), Growth::Live));
    };
    // A session of HLS begins with the multivariant playlist, which is not asked for again. What else is asked for may be of a
    // session that began in time: it goes on. A manifest of DASH is both.
    let (back, most) = match resource {
        Resource::Multivariant => (announced.begins_within_ms(), MOST_SEGMENTS),
        _ => (announced.begins_within_ms().saturating_add(GOES_ON_MS), MOST_SEGMENTS_LATER),
    };
    let oldest = edge.saturating_sub(back);
    if from < oldest || from >= edge || query.to.is_some_and(|to| to > edge.saturating_add(FARTHEST_MS)) {
        return Err(OUT_OF_RANGE);
    }
    let growth = if query.to.is_some_and(|to| to <= edge) { Growth::Over } else { Growth::Event };
    let found = timeline.cut(from, query.to, edge, most);
    let found =
        found.ok_or_else(|| refusal("too-long", "that is too much for one playlist: give a nearer `to`"))?;
    if found.is_empty() { Err(OUT_OF_RANGE) } else { Ok((found, growth)) }
}

/// A segment of captions of something that is or was on.
pub(super) async fn cues(announced: &Announced, resource: &Resource) -> Answer {
    let Resource::Cues { language, asset, generation, part, base, number } = resource else {
        return Answer::Missing;
    };
    let timeline = announced.timeline();
    let mut played = timeline.entries().iter().rev();
    let Some(entry) = played.find(|it| it.item.asset == *asset && it.item.generation == *generation) else {
        return Answer::Missing;
    };
    if entry.lineup.captions(language).is_none() {
        return Answer::Missing;
    }
    let package = &entry.package;
    let item = Item { part: *part, ..entry.item.clone() };
    let lead = package.part(&item).and_then(|part| {
        part.tracks.iter().find(|it| it.kind == TrackKind::Video).or_else(|| part.tracks.first())
    });
    let Some(lead) = lead.filter(|it| (it.segments.len() as u64) > *number) else { return Answer::Missing };
    let before = package.before(*part);
    let at = |number: u64| before.saturating_add(package.ms(*part, 0, number));
    let stretch = Stretch {
        from_ms: at(*number),
        to_ms: at(number.saturating_add(1)),
        base_ms: base.map_or(before, at),
        map: base.is_none().then(|| {
            let ticks = u128::from(media_time(lead, 0)) * 90_000 / u128::from(lead.timescale.max(1));
            u64::try_from(ticks & 0x1_ffff_ffff).unwrap_or(0)
        }),
    };
    let file = package.index().text.iter().find(|it| it.language == *language);
    let captions = match file {
        Some(file) => announced.packages.captions(asset, generation, &file.file).await,
        // A programme without captions has none there.
        None => Ok(Arc::default()),
    };
    match captions {
        Ok(captions) => Answer::Content(Content::of(captions.cut(stretch), Fresh::Immutable)),
        Err(error) => {
            tracing::warn!(error = %error.chain(), %asset, "Captions cannot be read.");
            Answer::Failed
        }
    }
}
