//! What plans of encrypted assets refuse, and what they know already.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use serde_json::{Value, json};
use terraform_provider_streamverse::Streamverse;
use tfplugin_testing::client::{Client, Failure, Plan, unknown};

async fn client() -> Client {
    let client = Client::of::<Streamverse>().await.unwrap();
    client
        .configure(json!({
            "deployment": "test",
            "sites": { "default": { "node": { "socket": "/nowhere/node.sock" } } },
        }))
        .await
        .unwrap();
    client
}

fn with(mut config: Value, change: &Value) -> Value {
    for (name, value) in change.as_object().unwrap() {
        config[name] = value.clone();
    }
    config
}

async fn config(client: &Client, change: &Value) -> Result<Plan, Failure> {
    let config = json!({ "name": "main", "systems": ["clearkey"], "key_service": "keys://127.0.0.1:9180?secret=key-service.main" });
    client.resource("streamverse_drm_config").plan(None, with(config, change)).await
}

async fn definition(client: &Client, change: &Value) -> String {
    config(client, change).await.unwrap()["definition"].as_str().unwrap().to_owned()
}

async fn asset(client: &Client, change: &Value) -> Result<Plan, Failure> {
    let ladder = json!({ "segment_duration": "4s", "acceleration": "none", "backend": "ffmpeg", "gpu": null,
        "video": [{ "name": "180p", "codec": "h264", "height": 180, "frame_rate": null, "bit_rate": 200_000,
            "max_bit_rate": null, "gop": null }],
        "audio": [{ "name": "stereo", "codec": "aac", "layout": "stereo", "bit_rate": 96_000, "sample_rate": 48_000, "loudness": null }] });
    let config = json!({ "name": "film", "ladder": ladder.to_string(), "transcoder": "main",
        "source": { "url": "https://example.org/a.mp4", "digest": format!("sha256:{}", "0".repeat(64)) } });
    client.resource("streamverse_vod_asset").plan(None, with(config, change)).await
}

fn refusal(failure: &Failure) -> (String, String) {
    let errors: Vec<_> = failure.errors().collect();
    assert_eq!(errors.len(), 1, "{failure:?}");
    let at = errors[0].path.as_ref().map(ToString::to_string).unwrap_or_default();
    (at, format!("{} {}", errors[0].summary, errors[0].detail))
}

#[tokio::test]
async fn a_configuration_that_no_player_could_play_is_refused_at_its_attribute() {
    let client = client().await;
    for (change, at, says) in [
        (json!({ "systems": [] }), "systems", "name one at least"),
        (json!({ "scheme": "cenc", "systems": ["widevine", "fairplay"] }), "systems[1]", "cbcs"),
        (json!({ "systems": ["nagra"] }), "systems", "element 0"),
        (json!({ "key_service": "sqlite://default/main" }), "key_service", "streamverse_key_service"),
        (json!({ "crypto_period": "100ms" }), "crypto_period", "1 s at least"),
        (json!({ "crypto_period_segments": 0 }), "crypto_period_segments", "1"),
        (
            json!({ "usage": { "tracks": { "video": { "widevine_robustness": "L1" } } } }),
            "usage.tracks[\"video\"].widevine_robustness",
            "HW_SECURE_ALL",
        ),
        (json!({ "usage": { "tracks": { "video-hd": {} } } }), "usage.tracks[\"video-hd\"]", "video, audio"),
    ] {
        let Err(failure) = config(&client, &change).await else { panic!("{change} was planned") };
        let (found, text) = refusal(&failure);
        assert_eq!(found, at, "{change}: {text}");
        assert!(text.contains(says), "{change}: {text}");
    }
    let warned = json!({ "usage": { "tracks": { "video": { "hdcp": "2.2" } } } });
    let found = client.resource("streamverse_drm_config");
    let all = with(
        json!({ "name": "main", "systems": ["clearkey"], "key_service": "keys://127.0.0.1:1" }),
        &warned,
    );
    let found = found.validate(all).await.unwrap();
    assert!(found.iter().any(|it| it.summary.contains("ClearKey cannot promise")), "{found:?}");
}

#[tokio::test]
async fn the_keys_of_an_asset_are_named_before_it_is_made() {
    let client = client().await;
    let drm = definition(&client, &json!({})).await;
    assert!(!drm.contains("secret\":") && drm.contains("key-service.main"), "{drm}");
    let planned = asset(&client, &json!({ "drm": drm })).await.unwrap();
    let ids = planned["key_ids"].clone();
    assert_eq!(ids.as_object().unwrap().keys().collect::<Vec<_>>(), ["audio", "video"]);
    let again = asset(&client, &json!({ "drm": drm })).await.unwrap();
    assert_eq!(again["key_ids"], ids);
    let clear = asset(&client, &json!({})).await.unwrap();
    assert_eq!(clear["key_ids"], json!({}));
    assert_ne!(clear["generation"], planned["generation"]);
    // Usage and where keys come from change neither what is made nor its keys.
    let other = json!({ "usage": { "expiry": "1h" }, "key_service": "keys://127.0.0.1:9999?secret=key-service.main" });
    let other = asset(&client, &json!({ "drm": definition(&client, &other).await })).await.unwrap();
    assert_eq!((&other["generation"], &other["key_ids"]), (&planned["generation"], &ids));
    // What changes bytes changes both.
    for change in [
        json!({ "scheme": "cenc" }),
        json!({ "systems": ["clearkey", "widevine"] }),
        json!({ "crypto_period": "1m" }),
        json!({ "key_granularity": "asset" }),
    ] {
        let other = asset(&client, &json!({ "drm": definition(&client, &change).await })).await.unwrap();
        assert_ne!(other["generation"], planned["generation"], "{change}");
        assert_ne!(other["key_ids"], ids, "{change}");
    }
    let later = asset(&client, &json!({ "drm": unknown() })).await.unwrap();
    assert!(later.is_unknown("key_ids") && later.is_unknown("generation"));
    assert!(config(&client, &json!({ "key_service": unknown() })).await.unwrap().is_unknown("definition"));
}

#[tokio::test]
async fn an_asset_that_cannot_be_encrypted_so_is_refused() {
    let client = client().await;
    let odd = definition(&client, &json!({ "crypto_period": "10s" })).await;
    let broken = definition(&client, &json!({})).await.replace("[\"clearkey\"]", "[]");
    for (drm, says) in
        [(odd.as_str(), "Choose 12 s"), ("{}", "streamverse_drm_config"), (&broken, "No system")]
    {
        let Err(failure) = asset(&client, &json!({ "drm": drm })).await else { panic!("{drm} was planned") };
        let (at, text) = refusal(&failure);
        assert_eq!(at, "drm", "{text}");
        assert!(text.contains(says), "{text}");
    }
}
