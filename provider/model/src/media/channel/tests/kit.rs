//! Channels and assets for tests.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::media::PackageIndex;
use crate::media::channel::{AssetFacts, FastChannelSpec, Item, Playout};

/// 2026-11-26T12:00:00Z.
pub(super) const NOON: u64 = 1_795_694_400_000;

/// An asset of parts of segments, in milliseconds.
pub(super) fn asset(generation: &str, parts: &[&[u64]]) -> AssetFacts {
    let longest = parts.iter().flat_map(|it| it.iter().copied()).max().unwrap_or(0);
    let parts: Vec<Value> = parts
        .iter()
        .map(|segments| {
            let track = |name: &str, kind: &str| {
                json!({ "name": name, "kind": kind, "codecs": "x", "bandwidth": 1, "timescale": 1000, "init": "i",
                    "media": "$Number$", "first_number": 1, "segments": segments })
            };
            let length: u64 = segments.iter().sum();
            json!({ "duration_ms": length, "tracks": [track("720p", "video"), track("stereo", "audio")] })
        })
        .collect();
    let index: PackageIndex = serde_json::from_value(
        json!({ "version": 1, "duration_ms": 0, "segment_ms": longest, "parts": parts }),
    )
    .unwrap();
    AssetFacts { generation: generation.to_owned(), index }
}

/// An asset of segments of four seconds, and what is left.
pub(super) fn plain(seconds: u64) -> AssetFacts {
    let mut segments = vec![4000; usize::try_from(seconds / 4).unwrap()];
    if !seconds.is_multiple_of(4) {
        segments.push(seconds % 4 * 1000);
    }
    asset("g1", &[&segments])
}

pub(super) fn facts(all: &[(&str, AssetFacts)]) -> BTreeMap<String, AssetFacts> {
    all.iter().map(|(name, facts)| ((*name).to_owned(), facts.clone())).collect()
}

/// A channel from these members; the rest is usual.
#[allow(clippy::needless_pass_by_value, reason = "what `json!` makes")]
pub(super) fn channel(members: Value) -> FastChannelSpec {
    let mut all = json!({ "object_store": "file:///o", "catalogue": "sqlite:///c", "start": "2026-11-26T12:00:00Z",
        "sources": {}, "slate": "slate" });
    all.as_object_mut().unwrap().extend(members.as_object().unwrap().clone());
    serde_json::from_value(all).unwrap()
}

/// What plays for so long from a time on.
pub(super) fn played(
    spec: &FastChannelSpec,
    facts: &BTreeMap<String, AssetFacts>,
    from: u64,
    seconds: u64,
) -> Vec<Item> {
    let playout = Playout::new(spec).unwrap();
    playout.extend(&playout.begin(from), facts, from + seconds * 1000).0
}

/// Items as words: `film 0+12s`.
pub(super) fn told(items: &[Item]) -> Vec<String> {
    let one = |item: &Item| {
        let mark = match item.splice.as_ref().map(|it| &it.cue) {
            Some(crate::media::channel::Cue::Out { .. }) => " out",
            Some(crate::media::channel::Cue::In) => " in",
            None => "",
        };
        let part = if item.part == 0 { String::new() } else { format!("p{}:", item.part) };
        format!("{} {part}{}+{}{mark}", item.asset, item.first, item.count)
    };
    items.iter().map(one).collect()
}
