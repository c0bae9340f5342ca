//! The whole platform with stores of a cluster (Kafka, PostgreSQL, Redis, S3) instead of those of the host: only their
//! addresses change.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

#[path = "node/kit.rs"]
#[allow(dead_code, reason = "shared with the tests of a node")]
mod kit;

use streamverse_acceptance::servers::{PASSWORD, Servers};
use streamverse_acceptance::{ADDRESS, Node, secrets};
use tfplugin_testing::cli::{Case, Cli, Failure, Step, value};

const S3_SECRET: &str = "planted-s3-key-77aa";

/// The module of the quickstart, with stores elsewhere.
fn platform(node: &Node, servers: &Servers, assets: &str) -> String {
    let [origin, edge, page] = node.ports;
    let modules = std::fs::canonicalize(concat!(env!("CARGO_MANIFEST_DIR"), "/../../modules")).unwrap();
    format!(
        r#"{}
variable "s3_secret" {{}}
variable "password" {{}}
module "platform" {{
  source           = "{}/platform"
  ports            = {{ origin = {origin}, edge = {edge}, page = {page} }}
  segment_duration = "2s"
  edge_storage     = "64MiB"
  video            = [{{ name = "180p", height = 180, bit_rate = 200000 }}]
  object_store = {{
    bucket                = "media"
    prefix                = "tv"
    endpoint              = "http://127.0.0.1:{}"
    access_key_id         = "streamverse"
    secret_access_key_ref = var.s3_secret
  }}
  event_log = {{ brokers = ["127.0.0.1:{}"], topic_prefix = "tv-", partitions = 4, replication = 1 }}
  catalogue = {{
    host = "127.0.0.1", port = {}, user = "streamverse", database = "streamverse", password_ref = var.password
  }}
  cache  = {{ host = "127.0.0.1", port = {}, password_ref = var.password }}
  assets = {{ {assets} }}
}}
"#,
        node.block(),
        modules.display(),
        servers.s3,
        servers.kafka,
        servers.postgres,
        servers.redis,
    )
}

#[test]
fn the_platform_plays_from_stores_elsewhere_by_their_addresses_alone() -> Result<(), Failure> {
    let cli = Cli::terraform()?;
    let Some(node) = Node::start() else { return Ok(()) };
    let Some(servers) = Servers::start() else { return Ok(()) };
    let (file, digest) = kit::clip(&node, "film.mp4", 5);
    let asset =
        format!("film = {{ source = {{ url = \"file://{}\", digest = \"{digest}\" }} }}", file.display());
    let [_, edge, _] = node.ports;
    let plays = |_: &tfplugin_testing::cli::Context<'_>| {
        let (status, master) = kit::get(&format!("http://127.0.0.1:{edge}/vod/film/hls.m3u8"));
        if status != 200 || !master.contains("180p/index.m3u8") {
            return Err(format!("{status}: {master}").into());
        }
        assert!(
            servers.objects().iter().any(|key| key.starts_with("tv/vod/film/")),
            "{:?}",
            servers.objects()
        );
        let rows = servers.sql("streamverse", "select name from streamverse_assets").unwrap();
        assert_eq!(rows.trim(), "film");
        secrets::planted_nowhere(&node, &[S3_SECRET, PASSWORD]).map_err(Into::into)
    };
    Case::new(&cli)
        .provider(ADDRESS, node.provider())
        .env("PLANTED_S3", S3_SECRET)
        .env("PLANTED_PASSWORD", PASSWORD)
        .var("s3_secret", "env:PLANTED_S3")
        .var("password", "env:PLANTED_PASSWORD")
        .secrets_absent(&[S3_SECRET, PASSWORD])
        .step(
            Step::apply(platform(&node, &servers, &asset))
                .expect_no_warnings()
                .state(value(
                    "module.platform.streamverse_cache.cache[0]",
                    "url",
                    format!("redis://127.0.0.1:{}/0?secret=cache.main-cache", servers.redis).as_str(),
                ))
                .after(plays),
        )
        .step(Step::apply(platform(&node, &servers, "")).named("the asset goes").after(|_| {
            assert!(
                !servers.objects().iter().any(|key| key.starts_with("tv/vod/film/")),
                "{:?}",
                servers.objects()
            );
            let rows = servers.sql("streamverse", "select name from streamverse_assets").unwrap();
            assert_eq!(rows.trim(), "");
            Ok(())
        }))
        .check_destroyed(|_| node.nothing_left().map_err(Into::into))
        .run()
        .map(|_| ())
}
