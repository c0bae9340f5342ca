//! What stores hold that nobody should have put there: indexes of packages that are broken, empty, or beyond all measure.

use axum::http::StatusCode;
use object_store::ObjectStoreExt as _;
use object_store::path::Path;
use serde_json::{Value, json};

use super::super::kit::{Asset, NOON, World, ask, spec, text};
use super::playlist::Playlist;

fn index(parts: &Value) -> Vec<u8> {
    json!({ "version": 1, "duration_ms": 1000, "segment_ms": 4000, "parts": parts }).to_string().into_bytes()
}

fn track(segments: &Value, change: &[(&str, Value)]) -> Value {
    let mut track = json!({
        "name": "180p", "kind": "video", "codecs": "avc1.64001e", "bandwidth": 1000, "width": 320, "height": 180,
        "frame_rate": "25/1", "timescale": 1000, "begins": 0, "init": "i.mp4", "media": "$Number$.m4s", "first_number": 1,
        "segments": segments,
    });
    for (name, value) in change {
        track[*name] = value.clone();
    }
    json!([{ "duration_ms": 1000, "tracks": [track] }])
}

#[tokio::test]
async fn whatever_the_index_of_an_asset_is_the_channel_goes_on_and_answers() {
    let world = World::new().await;
    world.usual().await;
    let usual = json!([4000, 4000]);
    let nested = format!("{{\"version\":1,\"parts\":{}{}}}", "[".repeat(50_000), "]".repeat(50_000));
    let hostile: Vec<(&str, Vec<u8>)> = vec![
        ("no-json", b"\x00\xff{".to_vec()),
        ("nested", nested.into_bytes()),
        ("nothing", b"{}".to_vec()),
        ("no-parts", index(&json!([]))),
        ("no-tracks", index(&json!([{ "duration_ms": 1000, "tracks": [] }]))),
        ("no-segments", index(&track(&json!([]), &[]))),
        ("zero-length", index(&track(&json!([0, 0, 0]), &[]))),
        ("zero-length-begins", index(&track(&json!([0, 4000, 0, 0]), &[]))),
        ("tiny", index(&track(&json!(vec![1; 20_000]), &[("timescale", json!(u32::MAX))]))),
        ("endless", index(&track(&json!([u64::MAX, u64::MAX, 1]), &[]))),
        ("late", index(&track(&usual, &[("begins", json!(u64::MAX)), ("first_number", json!(u64::MAX))]))),
        ("number-huge", track(&usual, &[]).to_string().replace("4000", &"9".repeat(5000)).into_bytes()),
        ("fraction", index(&track(&json!([0.5, 1e308]), &[]))),
        ("negative", index(&track(&json!([-1]), &[]))),
        ("no-time", index(&track(&usual, &[("timescale", json!(0))]))),
        ("elsewhere", index(&track(&usual, &[("media", json!("../../../etc/passwd"))]))),
        ("lines", index(&track(&usual, &[("init", json!("a\n#EXT-X-ENDLIST"))]))),
        ("many-segments", index(&track(&json!(vec![1; 200_001]), &[]))),
        (
            "many-tracks",
            index(
                &json!([{ "duration_ms": 1, "tracks": vec![track(&usual, &[])[0]["tracks"][0].clone(); 300] }]),
            ),
        ),
        ("large", vec![b' '; (32 << 20) + 1]),
    ];
    let mut channel = spec();
    let mut items = vec!["film".to_owned()];
    for (name, bytes) in hostile {
        world.has(&Asset { name, ..Asset::default() }).await;
        let path = Path::from(format!("vod/{name}/g1/index.json"));
        world.store.put(&path, bytes.into()).await.unwrap();
        channel["sources"][name] = json!({});
        items.push(name.to_owned());
    }
    channel["schedule"] = json!({ "order": { "items": items } });
    channel["assumed_duration"] = json!("20s");
    let one = world.replica(&channel).await;
    let mut before = 0;
    for minute in 0..16_u64 {
        world.at(NOON + minute * 60_000);
        one.turn().await;
        assert_eq!(one.announced.trouble(), None);
        for path in [
            "hls.m3u8",
            "video/180p.m3u8",
            "video/180p.m3u8?_HLS_skip=v2",
            "audio/en.m3u8",
            "dash.mpd",
            "now.json",
        ] {
            let (status, _, body) = ask(&one, path).await;
            assert!(
                status == StatusCode::OK && body.len() < 4 << 20,
                "{path} at {minute}: {status} {}",
                body.len()
            );
            assert!(!body.contains("passwd") && !body.contains("ENDLIST"), "{path}: {body}");
        }
        let list = Playlist::read(&text(&one, "video/180p.m3u8").await, None);
        assert!(list.msn >= before && !list.segments.is_empty(), "{} after {before}", list.msn);
        before = list.msn;
    }
    // What can be played of it does play, and slate in place of the rest.
    let played = one.announced.timeline();
    let plays = |name: &str| played.entries().iter().any(|it| it.item.asset == name);
    assert!(
        plays("film") && plays("slate") && !plays("endless") && !plays("no-segments") && !plays("elsewhere")
    );
}
