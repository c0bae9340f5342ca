//! What plans refuse, at which attribute, and what they know already.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use serde_json::{Value, json};
use terraform_provider_streamverse::Streamverse;
use tfplugin_testing::client::{Client, Failure, Plan, unknown};

fn image(name: &str) -> String {
    format!("registry.example/{name}@sha256:{}", "0".repeat(64))
}

/// Two nodes, a cluster with images of everything, and one without Traffic Server.
async fn client() -> Client {
    let cluster = |images: Value| json!({ "kubernetes": { "kubeconfig": "/nowhere", "images": images } });
    let client = Client::of::<Streamverse>().await.unwrap();
    let all =
        json!({ "streamverse": image("streamverse:1"), "traffic_server": image("trafficserver:9.2.9") });
    client
        .configure(json!({
            "deployment": "test",
            "sites": {
                "default": { "node": { "socket": "/nowhere/node.sock" } },
                "london": { "node": { "socket": "/nowhere/node.sock" } },
                "cloud": cluster(all),
                "bare": cluster(json!({ "streamverse": image("streamverse:1") })),
            },
        }))
        .await
        .unwrap();
    client
}

/// A good configuration of a resource on a node.
fn good(kind: &str) -> Value {
    let ladder = json!({ "segment_duration": "4s", "acceleration": "none", "backend": "ffmpeg", "gpu": null,
        "video": [{ "name": "180p", "codec": "h264", "height": 180, "frame_rate": null, "bit_rate": 200_000,
            "max_bit_rate": null, "gop": null }],
        "audio": [] });
    let (files, catalogue) = ("file://default/media", "sqlite://default/main");
    match kind {
        "origin" => json!({ "name": "a", "object_store": files, "catalogue": catalogue }),
        "transcoder" => {
            json!({ "name": "a", "object_store": files, "catalogue": catalogue, "event_log": "embedded://default/work" })
        }
        "web_player" => json!({ "name": "a", "catalogue": catalogue, "delivery": "http://127.0.0.1:1" }),
        "ats_edge" => json!({ "name": "a", "origins": [{ "url": "http://127.0.0.1:1" }] }),
        _ => json!({ "name": "a", "ladder": ladder.to_string(), "transcoder": "main",
            "source": { "url": "https://example.org/a.mp4", "digest": format!("sha256:{}", "0".repeat(64)) } }),
    }
}

async fn plan(client: &Client, kind: &str, change: &Value) -> Result<Plan, Failure> {
    let mut config = good(kind);
    for (name, value) in change.as_object().unwrap() {
        config[name] = value.clone();
    }
    client.resource(format!("streamverse_{kind}")).plan(None, config).await
}

/// Where a plan is refused, and the whole text.
async fn refused(client: &Client, kind: &str, change: &Value) -> (String, String) {
    let failure = match plan(client, kind, change).await {
        Ok(_) => panic!("{kind} {change} was planned"),
        Err(failure) => failure,
    };
    let errors: Vec<_> = failure.errors().collect();
    assert_eq!(errors.len(), 1, "{kind} {change}: {failure:?}");
    let at = errors[0].path.as_ref().map(ToString::to_string).unwrap_or_default();
    (at, format!("{} {}", errors[0].summary, errors[0].detail))
}

#[tokio::test]
async fn what_a_site_cannot_hold_is_refused_at_its_attribute_with_the_sites_that_can() {
    let client = client().await;
    let (s3, postgres) = ("s3://media?region=x", "postgres://u@db/x");
    for (kind, change, at, says) in [
        (
            "origin",
            json!({ "site": "cloud", "catalogue": postgres }),
            "object_store",
            "node: default, london",
        ),
        ("origin", json!({ "site": "cloud", "object_store": s3 }), "catalogue", "node: default, london"),
        (
            "origin",
            json!({ "site": "cloud", "object_store": "file:///srv", "catalogue": postgres }),
            "object_store",
            "place of a host",
        ),
        (
            "transcoder",
            json!({ "site": "cloud", "object_store": s3, "catalogue": postgres }),
            "event_log",
            "kafka://",
        ),
        ("web_player", json!({ "site": "cloud" }), "catalogue", "node: default, london"),
        ("origin", json!({ "object_store": "file://london/media" }), "object_store", "site = \"london\""),
        ("web_player", json!({ "catalogue": "kafka://a:9092" }), "catalogue", "sqlite:// or postgres://"),
        ("transcoder", json!({ "event_log": "sqlite://default/x" }), "event_log", "embedded:// or kafka://"),
        ("origin", json!({ "cache": "file://default/x" }), "cache", "streamverse_cache"),
        ("origin", json!({ "object_store": "media" }), "object_store", "no store's URL"),
        ("origin", json!({ "replicas": 2 }), "replicas", "Kubernetes cluster: bare, cloud"),
        ("transcoder", json!({ "workers": 3 }), "workers", "Kubernetes cluster: bare, cloud"),
        ("ats_edge", json!({ "site": "bare" }), "site", "has it: default, cloud, london"),
        ("ats_edge", json!({ "site": "cloud", "port": 9900 }), "port", "health and metrics"),
        (
            "vod_asset",
            json!({ "site": "cloud", "source": { "url": "file:///a.mp4", "digest": format!("sha256:{}", "0".repeat(64)) } }),
            "source.url",
            "node: default, london",
        ),
    ] {
        let (found, text) = refused(&client, kind, &change).await;
        assert_eq!(found, at, "{kind} {change}: {text}");
        assert!(text.contains(says), "{kind} {change}: {text}");
    }
}

#[tokio::test]
async fn what_a_site_can_hold_or_is_not_known_yet_is_planned() {
    let client = client().await;
    let (s3, postgres) = ("s3://media?region=x", "postgres://u@db/x");
    for (kind, change) in [
        ("origin", json!({})),
        ("transcoder", json!({})),
        ("web_player", json!({})),
        ("ats_edge", json!({})),
        ("ats_edge", json!({ "site": "cloud" })),
        ("ats_edge", json!({ "port": 9900 })),
        ("vod_asset", json!({})),
        (
            "origin",
            json!({ "site": "cloud", "replicas": 3, "object_store": s3, "catalogue": postgres, "cache": "memory://cloud/a" }),
        ),
        (
            "origin",
            json!({ "object_store": unknown(), "replicas": unknown(), "site": "cloud", "catalogue": postgres }),
        ),
        ("origin", json!({ "site": unknown(), "replicas": 3 })),
        ("origin", json!({ "object_store": "file:///srv/media" })),
    ] {
        if let Err(failure) = plan(&client, kind, &change).await {
            panic!("{kind} {change}: {failure:?}");
        }
    }
}

#[tokio::test]
async fn a_page_signs_tokens_with_a_key_and_for_licences_alone() {
    let client = client().await;
    let licence = json!({
        "url": "http://127.0.0.1:1/licence/clearkey", "issuer": "i", "audience": "a", "key_id": "k", "accounts": [{ "id": "x" }],
    });
    for (change, at, says) in [
        (json!({ "licence": licence }), "token_key", "Give token_key_wo or token_key_ref"),
        (json!({ "token_key_ref": "env:KEY" }), "token_key", "Give `licence`"),
        (json!({ "channels": [{ "name": "a" }, { "name": "a" }] }), "channels[1].name", "listed twice"),
    ] {
        let (found, text) = refused(&client, "web_player", &change).await;
        assert!(found.starts_with(at), "{change}: {found}: {text}");
        assert!(text.contains(says), "{change}: {text}");
    }
    for change in [
        json!({ "licence": licence, "token_key_ref": "env:KEY" }),
        json!({ "licence": unknown(), "token_key_ref": unknown() }),
        json!({ "channels": unknown(), "assets": [] }),
    ] {
        if let Err(failure) = plan(&client, "web_player", &change).await {
            panic!("{change}: {failure:?}");
        }
    }
}

#[tokio::test]
async fn a_site_that_becomes_known_at_apply_is_refused_at_its_attribute() {
    let client = client().await;
    for (kind, site, says) in [
        ("kafka_cluster", "default", "Kubernetes cluster (bare, cloud)"),
        ("kafka_cluster", "paris", "no site \"paris\""),
        ("event_log", "paris", "no site \"paris\""),
    ] {
        let config = |site: Value| json!({ "name": "a", "site": site });
        let planned =
            client.resource(format!("streamverse_{kind}")).plan(None, config(unknown())).await.unwrap();
        let failure = planned.apply_with(config(json!(site))).await.unwrap_err();
        let error = failure.errors().next().unwrap().clone();
        assert_eq!(error.path.map(|path| path.to_string()).as_deref(), Some("site"), "{failure:?}");
        let text = format!("{} {}", error.summary, error.detail);
        assert!(text.contains(says), "{text}");
    }
}

#[tokio::test]
async fn the_generation_of_an_asset_is_planned_once_all_that_it_follows_from_is_known() {
    let client = client().await;
    let with = |change: Value| {
        let client = client.clone();
        async move { plan(&client, "vod_asset", &change).await.unwrap() }
    };
    let zero = format!("sha256:{}", "0".repeat(64));
    let known = with(json!({})).await;
    let digits = known["generation"].as_str().unwrap().to_owned();
    assert_eq!(digits.len(), 12, "{digits}");
    let source = |url: Value, digest: Value| json!({ "source": { "url": url, "digest": digest } });
    // Where the file lies does not count, what it is does.
    let elsewhere = with(source(unknown(), json!(zero))).await;
    assert_eq!(elsewhere["generation"], json!(digits));
    assert!(with(source(json!("https://a/b"), unknown())).await.is_unknown("generation"));
    let pictures = with(json!({ "thumbnails": {} })).await;
    assert_ne!(pictures["generation"], json!(digits));
    assert!(with(json!({ "ladder": unknown() })).await.is_unknown("generation"));
}

#[tokio::test]
async fn a_ladder_that_was_written_by_hand_and_subtitles_of_one_name_are_refused() {
    let client = client().await;
    let mut ladder: Value = serde_json::from_str(good("vod_asset")["ladder"].as_str().unwrap()).unwrap();
    ladder["video"][0]["gop"] = json!("3s");
    let (at, text) = refused(&client, "vod_asset", &json!({ "ladder": ladder.to_string() })).await;
    assert_eq!(at, "ladder");
    assert!(text.contains("Key frames miss the segments") && text.contains("video[0].gop"), "{text}");
    let subtitle = json!({ "language": "en", "source": good("vod_asset")["source"] });
    let (at, text) = refused(&client, "vod_asset", &json!({ "subtitles": [subtitle, subtitle] })).await;
    assert_eq!(at, "subtitles[1].label", "{text}");
}

#[tokio::test]
async fn an_edge_with_one_port_for_two_protocols_is_refused() {
    let client = client().await;
    let tls = json!({ "port": 8443, "tls": { "certificate": "x" }, "private_key_wo": "k", "private_key_wo_version": 1 });
    assert_eq!(refused(&client, "ats_edge", &tls).await.0, "tls.port");
    let origins = json!({ "origins": [{ "url": "http://a" }, { "url": "https://b" }] });
    assert_eq!(refused(&client, "ats_edge", &origins).await.0, "origins[1].url");
}

#[tokio::test]
async fn a_transcoder_carries_its_stores() {
    let client = client().await;
    let stores = |plan: &Plan| plan["stores"].as_str().unwrap().to_owned();
    let one = plan(&client, "transcoder", &json!({})).await.unwrap();
    let other = json!({ "object_store": "s3://media?region=x" });
    let two = plan(&client, "transcoder", &other).await.unwrap();
    let workers = plan(&client, "transcoder", &json!({ "memory": "1GiB" })).await.unwrap();
    assert_ne!(stores(&one), stores(&two));
    assert_eq!(stores(&one), stores(&workers));
    let later = plan(&client, "transcoder", &json!({ "object_store": unknown() })).await.unwrap();
    assert!(later.is_unknown("stores"));
}

#[tokio::test]
async fn a_ladder_tells_what_manifests_will_say() {
    let client = client().await;
    let ladders = client.resource("streamverse_transcode_ladder");
    let ladder = ladders
        .apply(json!({
            "video": [{ "name": "720p", "height": 720, "bit_rate": 3_000_000, "frame_rate": "25" }],
            "audio": [{ "name": "stereo" }],
        }))
        .await
        .unwrap();
    assert_eq!(ladder["hls"]["720p"]["bandwidth"], json!(4_628_000));
    assert_eq!(ladder["hls"]["720p"]["codecs"], json!("avc1.64001f,mp4a.40.2"));
    assert_eq!(ladder["dash"]["720p"]["frame_rate"], json!("25"));
    assert_eq!(ladder["dash"]["stereo"]["width"], json!(null));
    assert!(ladder.settled().await.unwrap());
}

#[tokio::test]
async fn what_was_made_of_an_asset_is_null_with_a_warning_while_the_site_cannot_be_asked() {
    let client = client().await;
    let made = client.data_source("streamverse_vod_asset").read(json!({ "name": "film" })).await.unwrap();
    assert_eq!(
        (&made["renditions"], &made["bytes"], &made["site"]),
        (&json!(null), &json!(null), &json!("default"))
    );
}

#[tokio::test]
async fn store_addresses_that_break_later_are_refused() {
    let client = client().await;
    let refused = |kind: &str, config: Value| {
        let resource = client.resource(format!("streamverse_{kind}"));
        async move {
            let failure = match resource.plan(None, config.clone()).await {
                Ok(_) => panic!("{config} was planned"),
                Err(failure) => failure,
            };
            let error = failure.errors().next().unwrap().clone();
            error.path.map(|path| path.to_string()).unwrap_or_default()
        }
    };
    for prefix in ["a?b", "a#b", "a b", "../a", "a//b", "/a"] {
        let s3 = json!({ "name": "a", "s3": { "bucket": "media", "prefix": prefix } });
        assert_eq!(refused("object_store", s3).await, "s3.prefix", "{prefix}");
    }
    for broker in ["a", "kafka://a:9092", "a:0", "a b:1"] {
        let kafka = json!({ "name": "a", "kafka": { "brokers": ["b:1", broker] } });
        assert_eq!(refused("event_log", kafka).await, "kafka.brokers[1]", "{broker}");
    }
    let prefixed = json!({ "name": "a", "s3": { "bucket": "media", "prefix": "tenants/one" } });
    let plan = client.resource("streamverse_object_store").plan(None, prefixed).await.unwrap();
    assert!(plan["url"].as_str().unwrap().starts_with("s3://media/tenants/one?"), "{}", plan["url"]);
    let six = json!({ "name": "a", "redis": { "host": "::1" } });
    let plan = client.resource("streamverse_cache").plan(None, six).await.unwrap();
    assert_eq!(plan["url"], json!("redis://[::1]:6379/0"));
}
