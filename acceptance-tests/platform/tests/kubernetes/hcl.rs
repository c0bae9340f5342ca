//! HCL of a platform on a cluster.

use std::path::PathBuf;

use streamverse_acceptance::ADDRESS;
use streamverse_acceptance::cluster::Cluster;

/// An image that nobody has: simulated nodes run whatever they are told.
pub(crate) fn image(name: &str) -> String {
    format!("registry.example/{name}@sha256:{}", "0".repeat(64))
}

/// A provider block that leads to a namespace of the cluster.
pub(crate) fn block(cluster: &Cluster, namespace: &str) -> String {
    format!(
        r#"
terraform {{
  required_providers {{
    streamverse = {{ source = "{ADDRESS}" }}
  }}
}}
provider "streamverse" {{
  deployment = "test"
  sites = {{
    default = {{
      kubernetes = {{
        kubeconfig = "{}"
        namespace  = "{namespace}"
        expose     = "node_port"
        images     = {{ streamverse = "{}", traffic_server = "{}" }}
      }}
    }}
    here = {{ node = {{ socket = "/nowhere/node.sock" }} }}
  }}
}}
"#,
        cluster.kubeconfig().display(),
        image("streamverse:0.1.0"),
        image("trafficserver:9.2.9"),
    )
}

/// Stores elsewhere, with secrets of their own.
pub(crate) fn stores(version: u32) -> String {
    format!(
        r#"
resource "streamverse_object_store" "media" {{
  name = "media"
  s3 = {{
    bucket                       = "media"
    endpoint                     = "http://s3.example:9000"
    access_key_id                = "planted-id"
    secret_access_key_wo         = "{S3_SECRET}{version}"
    secret_access_key_wo_version = {version}
  }}
}}
resource "streamverse_event_log" "work" {{
  name  = "work"
  kafka = {{ brokers = ["kafka-0.example:9092", "kafka-1.example:9093"] }}
}}
resource "streamverse_catalogue" "main" {{
  name = "main"
  postgres = {{
    host                = "postgres.example"
    user                = "streamverse"
    database            = "catalogue"
    password_wo         = "{POSTGRES_SECRET}"
    password_wo_version = 1
    tls                 = {{ ca = "-----BEGIN CERTIFICATE-----\\nMA==\\n-----END CERTIFICATE-----" }}
  }}
}}
"#
    )
}

/// Where viewers are told to fetch from.
pub(crate) const PUBLIC_URL: &str = "https://video.example";

/// Secrets that are looked for afterwards.
pub(crate) const S3_SECRET: &str = "planted-s3-secret-7f3a";
pub(crate) const POSTGRES_SECRET: &str = "planted-postgres-secret-91bc";

/// Everything else of a small platform.
pub(crate) fn platform(replicas: u32, rest: &str) -> String {
    format!(
        r#"
resource "streamverse_transcoder" "main" {{
  name         = "main"
  event_log    = streamverse_event_log.work.url
  object_store = streamverse_object_store.media.url
  catalogue    = streamverse_catalogue.main.url
  memory       = "512MiB"
}}
resource "streamverse_origin" "main" {{
  name         = "main"
  replicas     = {replicas}
  object_store = streamverse_object_store.media.url
  catalogue    = streamverse_catalogue.main.url
}}
resource "streamverse_ats_edge" "main" {{
  name    = "main"
  origins = [{{ url = streamverse_origin.main.address }}]
  storage = "64MiB"
  memory  = "32MiB"
  public_url = "{PUBLIC_URL}"
  {rest}
}}
resource "streamverse_web_player" "main" {{
  name      = "main"
  catalogue = streamverse_catalogue.main.url
  delivery  = streamverse_ats_edge.main.url
}}
"#
    )
}

/// A ladder and an asset that is made by a job.
pub(crate) fn asset(digit: char) -> String {
    format!(
        r#"
resource "streamverse_transcode_ladder" "small" {{
  video = [{{ name = "180p", height = 180, bit_rate = 200000 }}]
  audio = [{{ name = "stereo" }}]
}}
resource "streamverse_vod_asset" "film" {{
  name       = "film"
  source     = {{ url = "s3://media/film.mp4", digest = "sha256:{}" }}
  ladder     = streamverse_transcode_ladder.small.definition
  transcoder = streamverse_transcoder.main.name
}}
"#,
        digit.to_string().repeat(64)
    )
}

/// What decides how many workers the transcoder has: KEDA, by its queue.
pub(crate) fn scaler(max: u32) -> String {
    format!(
        r#"
resource "streamverse_keda_scaler" "main" {{
  name   = "main"
  target = {{ kind = "transcoder", name = streamverse_transcoder.main.name }}
  max    = {max}
  queue  = {{ event_log = streamverse_event_log.work.url }}
}}
"#
    )
}

/// The binaries that a test runs.
pub(crate) fn binary(name: &str) -> PathBuf {
    streamverse_acceptance::binaries().join(name)
}
