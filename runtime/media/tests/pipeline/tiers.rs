//! A key for each resolution tier, and what each system needs of it in the init segments, as others read it.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::Command;
use std::sync::Arc;

use serde_json::{Value, json};
use streamverse_model::drm::KeyId;
use streamverse_model::media::TrackKind;

use crate::kit::{Platform, spec};
use crate::protected::{Keys, drm, index_of};

const WIDEVINE: &str = "edef8ba9-79d6-4ace-a3c8-27dcd51d21ed";
const PLAYREADY: &str = "9a04f079-9840-4286-ab92-e65be0885f95";
const COMMON: &str = "1077efec-c0b2-4d02-ace3-3c1e52e2fb4b";

/// What PyPI's cpix reads in the boxes of an init segment; nothing, told aloud, without it.
fn signalled(init: &Path) -> Option<Value> {
    let Some(site) = std::env::var_os("STREAMVERSE_PYTHON_SITE") else {
        assert!(std::env::var("CI").is_err(), "STREAMVERSE_PYTHON_SITE is not set");
        eprintln!("SKIPPED: STREAMVERSE_PYTHON_SITE is not set: `cargo xtask tools` prints it");
        return None;
    };
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/pipeline/signalled.py");
    let said = Command::new("python3").arg(script).arg(init).env("PYTHONPATH", site).output().unwrap();
    assert!(said.status.success(), "{}", String::from_utf8_lossy(&said.stderr));
    Some(serde_json::from_slice(&said.stdout).unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn each_resolution_tier_plays_with_its_own_key_alone_and_init_segments_name_all_for_every_system() {
    let Some(platform) = Platform::new().await else { return };
    let clip = platform.draw(
        "clip.mp4",
        "-f lavfi -i testsrc2=s=1280x720:r=25:d=2 -f lavfi -i sine=440:d=2 -pix_fmt yuv420p -c:v libx264 -preset ultrafast -c:a aac",
    );
    let (stop, worker) = platform.worker("one").await;
    let keys = Arc::new(Keys::default());
    for scheme in ["cbcs", "cenc"] {
        let mut spec = spec("film", &clip);
        spec["ladder"]["video"][0]["name"] = json!("720p");
        spec["ladder"]["video"][0]["height"] = json!(720);
        spec["drm"] = drm(
            &json!({ "scheme": scheme, "key_granularity": "resolution_tier", "systems": ["clearkey", "widevine", "playready"] }),
        );
        let made = platform.protect(spec, &keys).await.unwrap();
        let package = platform.package("film", &made);
        let generation = made["generation"].as_str().unwrap();
        let index = index_of(&package);
        let all = keys.all();
        let mut used: BTreeMap<KeyId, &str> = BTreeMap::new();
        for track in &index.parts[0].tracks {
            let tier = match (track.kind, track.height) {
                (TrackKind::Video, 720) => "video-hd",
                (TrackKind::Video, 180) => "video-sd",
                _ => "audio",
            };
            let kid = track.kid.unwrap();
            assert_eq!(kid, KeyId::derive("test", "film", generation, tier, 0), "{}", track.name);
            used.insert(kid, tier);
            // It plays with its key, and with no other of the asset's.
            let file = platform.whole(&package, track);
            let asked: BTreeSet<KeyId> = index.parts[0].tracks.iter().filter_map(|it| it.kid).collect();
            for other in &asked {
                let found = platform.decode(&file, &["-decryption_key", &hex::encode(all[other])]);
                assert_eq!(found.1, *other == kid, "{scheme} {tier} with the key of {other}: {found:?}");
            }
            if track.kind == TrackKind::Video {
                let again = platform.packager(&file, track.kind, kid, &all[&kid]);
                assert_eq!(platform.decode(&again, &[]), (50, true), "{scheme} {tier}");
            }
            // A player asks for all of them at once: each init segment names those of its part.
            if let Some(found) = signalled(&package.join(&track.init)) {
                let all: BTreeSet<String> = asked.iter().map(KeyId::hex).collect();
                for system in [COMMON, WIDEVINE, PLAYREADY] {
                    let kids: BTreeSet<String> =
                        serde_json::from_value(found[system]["kids"].clone()).unwrap();
                    assert_eq!(kids, all, "{system}: {found}");
                }
                assert_eq!(found.as_object().unwrap().len(), 3, "{found}");
                assert_eq!(
                    (&found[COMMON]["version"], &found[WIDEVINE]["scheme"]),
                    (&json!(1), &json!(scheme))
                );
                let (version, algorithm) =
                    if scheme == "cbcs" { ("4.3.0.0", "AESCBC") } else { ("4.2.0.0", "AESCTR") };
                assert_eq!(found[PLAYREADY]["header"], version, "{found}");
                assert_eq!(found[PLAYREADY]["algorithms"], json!(vec![algorithm; 3]), "{found}");
            }
        }
        let tiers: BTreeSet<&str> = used.values().copied().collect();
        assert_eq!((used.len(), tiers.len()), (3, 3), "{used:?}");
    }
    stop.stop();
    worker.await.unwrap().unwrap();
    platform.end().await;
}
