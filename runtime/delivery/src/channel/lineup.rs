//! What a channel offers to choose from: renditions of pictures and sound, captions. It is announced with what plays, so that
//! all replicas offer the same.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use streamverse_model::media::channel::FastChannelSpec;
use streamverse_model::media::{IndexTrack, PackageIndex, Part, TextFile, TrackKind};

use super::package::is_plain;

/// What is offered.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Lineup {
    /// No segment is longer, in seconds rounded to the nearest.
    pub(super) target: u64,
    pub(super) video: Vec<Rendition>,
    pub(super) audio: Vec<Rendition>,
    pub(super) text: Vec<Caption>,
    /// What was offered before and is no more: who plays it goes on, with what comes near.
    #[serde(default)]
    former: Former,
}

/// See `former`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Former {
    video: Vec<Rendition>,
    audio: Vec<Rendition>,
    text: Vec<Caption>,
}

/// What is remembered of each kind.
const MOST_FORMER: usize = 64;

/// Pictures or sound, whatever plays.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Rendition {
    /// Unique among those of its kind; a part of its address.
    pub(super) key: String,
    pub(super) codecs: String,
    pub(super) bandwidth: u64,
    #[serde(default)]
    pub(super) width: u32,
    #[serde(default)]
    pub(super) height: u32,
    #[serde(default)]
    pub(super) frame_rate: String,
    #[serde(default)]
    pub(super) language: String,
    #[serde(default)]
    pub(super) channels: u32,
    #[serde(default)]
    pub(super) sample_rate: u32,
}

/// Captions.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Caption {
    pub(super) language: String,
    pub(super) label: String,
}

impl Lineup {
    /// What all of these have in common. `before` is what was offered until now: a target duration never falls.
    pub(super) fn of(
        spec: &FastChannelSpec,
        all: &BTreeMap<String, &PackageIndex>,
        before: Option<&Lineup>,
    ) -> Lineup {
        let tracks = |kind: TrackKind| {
            let parts = all.values().flat_map(|index| index.parts.iter());
            parts.flat_map(move |part| part.tracks.iter().filter(move |it| it.kind == kind))
        };
        let longest = |track: &IndexTrack| {
            let units = track.segments.iter().max().copied().unwrap_or(0);
            let timescale = u64::from(track.timescale.max(1));
            units.saturating_mul(2).saturating_add(timescale) / (timescale * 2)
        };
        let target = tracks(TrackKind::Video).chain(tracks(TrackKind::Audio)).map(longest).max().unwrap_or(1);
        let mut lineup = Lineup {
            target: target.max(1).max(before.map_or(0, |it| it.target)),
            video: pictures(all),
            audio: sound(spec, all),
            text: captions(spec, all),
            former: Former::default(),
        };
        if let Some(before) = before {
            let gone = |old: &[Rendition], older: &[Rendition], new: &[Rendition]| {
                let all = old.iter().chain(older).filter(|it| !new.iter().any(|new| new.key == it.key));
                all.take(MOST_FORMER).cloned().collect()
            };
            let text = before.text.iter().chain(&before.former.text);
            let text = text.filter(|it| !lineup.text.iter().any(|new| new.language == it.language));
            lineup.former = Former {
                video: gone(&before.video, &before.former.video, &lineup.video),
                audio: gone(&before.audio, &before.former.audio, &lineup.audio),
                text: text.take(MOST_FORMER).cloned().collect(),
            };
        }
        lineup
    }

    /// Captions of a language.
    pub(super) fn captions(&self, language: &str) -> Option<&Caption> {
        self.text.iter().chain(&self.former.text).find(|it| it.language == language)
    }

    /// The rendition of a key.
    pub(super) fn find(&self, kind: TrackKind, key: &str) -> Option<&Rendition> {
        let (now, former) = match kind {
            TrackKind::Video => (&self.video, &self.former.video),
            TrackKind::Audio => (&self.audio, &self.former.audio),
        };
        now.iter().chain(former).find(|it| it.key == key)
    }
}

impl Rendition {
    /// The track of a part that plays for it: the one of its name or language, else what comes near.
    pub(super) fn track<'p>(&self, kind: TrackKind, part: &'p Part) -> Option<&'p IndexTrack> {
        let all = || part.tracks.iter().filter(move |it| it.kind == kind);
        match kind {
            TrackKind::Video => all()
                .find(|it| it.name == self.key)
                .or_else(|| all().min_by_key(|it| it.bandwidth.abs_diff(self.bandwidth))),
            TrackKind::Audio => all()
                .find(|it| it.name == self.key && it.language == self.language)
                .or_else(|| all().find(|it| it.language == self.language))
                .or_else(|| all().next()),
        }
    }

    fn of(track: &IndexTrack) -> Rendition {
        Rendition {
            key: track.name.clone(),
            codecs: track.codecs.clone(),
            bandwidth: track.bandwidth,
            width: track.width,
            height: track.height,
            frame_rate: track.frame_rate.clone(),
            language: track.language.clone(),
            channels: track.channels,
            sample_rate: track.sample_rate,
        }
    }

    /// The most that any of two asks of a player.
    fn widen(&mut self, track: &IndexTrack) {
        self.bandwidth = self.bandwidth.max(track.bandwidth);
        self.channels = self.channels.max(track.channels);
        self.sample_rate = self.sample_rate.max(track.sample_rate);
        if (track.height, track.width) > (self.height, self.width) {
            (self.height, self.width) = (track.height, track.width);
        }
        if rate(&track.frame_rate) > rate(&self.frame_rate) {
            self.frame_rate.clone_from(&track.frame_rate);
        }
        let family = |codecs: &str| codecs.split('.').next().unwrap_or_default().to_owned();
        if family(&track.codecs) == family(&self.codecs) && track.codecs > self.codecs {
            self.codecs.clone_from(&track.codecs);
        }
    }
}

/// Frames per 1,000 seconds.
pub(super) fn rate(text: &str) -> u64 {
    let (count, per) = text.split_once('/').unwrap_or((text, "1"));
    let per = per.parse::<u64>().unwrap_or(1).max(1);
    count.parse::<u64>().unwrap_or(0).saturating_mul(1000) / per
}

/// Tracks of the first part: all parts have the same.
fn of_kind(index: &PackageIndex, kind: TrackKind) -> Vec<&IndexTrack> {
    let first = index.parts.first();
    first
        .into_iter()
        .flat_map(|part| part.tracks.iter())
        .filter(|it| it.kind == kind && is_plain(&it.name))
        .collect()
}

/// Renditions of pictures that everything has; where nothing is common, those of what has the fewest.
fn pictures(all: &BTreeMap<String, &PackageIndex>) -> Vec<Rendition> {
    let each: Vec<Vec<&IndexTrack>> =
        all.values().map(|index| of_kind(index, TrackKind::Video)).filter(|it| !it.is_empty()).collect();
    let Some(fewest) = each.iter().min_by_key(|it| it.len()) else { return Vec::new() };
    let has = |tracks: &Vec<&IndexTrack>, name: &str| tracks.iter().any(|it| it.name == name);
    let common: Vec<&IndexTrack> =
        fewest.iter().copied().filter(|track| each.iter().all(|it| has(it, &track.name))).collect();
    let chosen = if common.is_empty() { fewest.clone() } else { common };
    let mut found: Vec<Rendition> = chosen.into_iter().map(Rendition::of).collect();
    for track in each.iter().flatten() {
        if let Some(rendition) = found.iter_mut().find(|it| it.key == track.name) {
            rendition.widen(track);
        }
    }
    found.sort_by(|a, b| (a.bandwidth, &a.key).cmp(&(b.bandwidth, &b.key)));
    found
}

/// The first that sounds: what is offered where nobody said which languages.
fn first(all: &BTreeMap<String, &PackageIndex>, spec: &FastChannelSpec) -> Vec<Rendition> {
    let ordered = spec.sources.keys().filter_map(|name| all.get(name)).chain(all.values());
    let mut each = ordered.map(|index| of_kind(index, TrackKind::Audio));
    let found = each.find(|it| !it.is_empty()).unwrap_or_default();
    found.into_iter().map(Rendition::of).collect()
}

fn sound(spec: &FastChannelSpec, all: &BTreeMap<String, &PackageIndex>) -> Vec<Rendition> {
    let mut found = match &spec.languages {
        None => first(all, spec),
        Some(languages) => {
            let each: Vec<&IndexTrack> =
                all.values().flat_map(|index| of_kind(index, TrackKind::Audio)).collect();
            let of = |language: &String| {
                let own = each.iter().find(|it| it.language == *language).or_else(|| each.first())?;
                let (key, language) = (language.clone(), language.clone());
                Some(Rendition { key, language, ..Rendition::of(own) })
            };
            languages.audio.iter().filter(|it| is_plain(it)).filter_map(of).collect()
        }
    };
    for part in all.values().flat_map(|index| index.parts.first()) {
        for rendition in &mut found {
            if let Some(track) = rendition.track(TrackKind::Audio, part) {
                rendition.widen(track);
            }
        }
    }
    found
}

fn captions(spec: &FastChannelSpec, all: &BTreeMap<String, &PackageIndex>) -> Vec<Caption> {
    let each: Vec<&TextFile> = all.values().flat_map(|index| index.text.iter()).collect();
    let label = |language: &str| {
        let own = each.iter().find(|it| it.language == language).map(|it| it.label.clone());
        own.filter(|it| !it.is_empty()).unwrap_or_else(|| language.to_owned())
    };
    let wanted: Vec<String> = match &spec.languages {
        Some(languages) => languages.captions.clone().unwrap_or_default(),
        None => {
            let ordered = spec.sources.keys().filter_map(|name| all.get(name)).chain(all.values());
            let mut found = ordered.filter(|it| !it.parts.is_empty());
            found.next().map(|it| it.text.iter().map(|it| it.language.clone()).collect()).unwrap_or_default()
        }
    };
    let mut found: Vec<Caption> = Vec::new();
    for language in wanted.into_iter().filter(|it| is_plain(it)) {
        if !found.iter().any(|it| it.language == language) {
            found.push(Caption { label: label(&language), language });
        }
    }
    found
}
