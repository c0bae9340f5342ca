//! Schedules: whatever is asked for, it is no spec, or it is refused, or what it plays breaks no rule.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use streamverse_model::media::PackageIndex;
use streamverse_model::media::channel::{
    AssetFacts, Audit, FastChannelSpec, Guide, LAST_INSTANT_MS, Lengths, Playout, Rule, check_spec,
};

/// 2026-11-26T12:00:00Z.
const NOON_MS: u64 = 1_795_694_400_000;
/// Longer documents are another test's: see `a_million_entries_and_no_lengths_at_all_are_refused_quickly`.
const LONGEST: usize = 64 << 10;

/// Any bytes as the JSON of a channel's spec.
pub fn any(data: &[u8]) {
    let data = &data[..data.len().min(LONGEST)];
    match serde_json::from_slice::<FastChannelSpec>(data) {
        Ok(spec) => asked(&spec),
        Err(error) => {
            let again = serde_json::from_slice::<FastChannelSpec>(data).map_err(|it| it.to_string());
            assert_eq!(again, Err(error.to_string()), "the same document, the same error");
        }
    }
}

fn asked(spec: &FastChannelSpec) {
    let checked = check_spec(spec).map_err(|it| it.to_string());
    assert_eq!(checked, check_spec(spec).map_err(|it| it.to_string()), "the same spec, the same answer");
    let _ = Guide::of_first_day("x", spec);
    let lengths = Lengths::of(spec, &|_| None);
    let _ = Guide::of("x", spec, &lengths, LAST_INSTANT_MS - 1000, LAST_INSTANT_MS);
    let Ok(playout) = Playout::new(spec) else { return };
    let known = known(spec);
    for at in [0, NOON_MS, LAST_INSTANT_MS, u64::MAX - 1] {
        let begin = playout.begin(at);
        let (items, cursor) = playout.extend(&begin, &known, at.saturating_add(600_000));
        assert!(cursor.at_ms >= begin.at_ms && items.len() < 10_000, "{} items", items.len());
        // What a plan let through plays by the rules, whatever its assets turn out to be.
        if at != NOON_MS || checked.is_err() {
            continue;
        }
        let mut audit = Audit::new(spec).expect("a zone that was checked");
        items.iter().for_each(|it| audit.see(it, &known));
        let broken: Vec<_> = audit.violations().iter().filter(|it| it.rule != Rule::AdLoad).collect();
        assert!(broken.is_empty(), "{broken:#?} of {spec:#?}");
    }
}

/// Assets of many shapes, by the names that the channel has for them; some are not there.
fn known(spec: &FastChannelSpec) -> BTreeMap<String, AssetFacts> {
    let shapes: [&[&[u64]]; 6] = [
        &[&[4000; 9]],
        &[&[4000, 2000], &[4000; 12]],
        &[&[0, 1, 0], &[], &[3000]],
        &[&[2000; 5]],
        &[],
        &[&[6000, 6000, 40], &[0]],
    ];
    let named = |(at, name): (usize, String)| Some((name, facts(shapes.get(at % 7)?)));
    spec.assets().into_iter().take(50).enumerate().filter_map(named).collect()
}

fn facts(parts: &[&[u64]]) -> AssetFacts {
    let part = |segments: &&[u64]| {
        let track = |name: &str, kind: &str| {
            json!({ "name": name, "kind": kind, "codecs": "x", "bandwidth": 1, "timescale": 1000, "init": "i",
                "media": "$Number$", "first_number": 1, "segments": segments })
        };
        let length: u64 = segments.iter().sum();
        json!({ "duration_ms": length, "tracks": [track("720p", "video"), track("stereo", "audio")] })
    };
    let parts: Vec<Value> = parts.iter().map(part).collect();
    let index: PackageIndex =
        serde_json::from_value(json!({ "version": 1, "duration_ms": 0, "segment_ms": 6000, "parts": parts }))
            .expect("an index");
    AssetFacts { generation: "g1".to_owned(), index }
}
