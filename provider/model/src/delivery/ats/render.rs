//! From the spec to files.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use sha2::{Digest as _, Sha256};

use crate::delivery::{AtsEdgeSpec, ParentPolicy, Route};

mod routes;

/// A version of Traffic Server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Version {
    /// 9 or 10.
    pub major: u32,
    /// The part after the first dot.
    pub minor: u32,
}

impl Version {
    /// Reads `9.2.9`.
    pub fn parse(text: &str) -> Option<Version> {
        let mut parts = text.split('.').map(str::parse);
        Some(Version { major: parts.next()?.ok()?, minor: parts.next()?.ok()? })
    }
}

/// Where things lie for the running engine.
#[derive(Clone, Debug)]
pub struct Paths {
    /// The folder that holds these files.
    pub config: String,
    /// The folder of the cache.
    pub cache: String,
    /// The address to listen on: `127.0.0.1`, `0.0.0.0`.
    pub bind: String,
    /// The private key of TLS, PEM; needed when the spec has TLS.
    pub tls_key: Option<String>,
    /// The file with [`purge_guard`]'s rules; without one nobody may purge.
    pub purge_guard: Option<String>,
}

/// Files that a reload applies. All others need a restart, the records among them only in part.
const RELOADABLE: &[&str] = &[
    "remap.config",
    "parent.config",
    "ip_allow.yaml",
    "defaults.config",
    "ssl_multicert.config",
    "certificate.pem",
];

/// A configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Configuration {
    /// The engine's files by name.
    pub files: BTreeMap<String, String>,
    /// What only a restart applies, by file. Of the records (`records.config` in 9, `records.yaml` in 10) it is a part.
    pub restart: BTreeMap<String, String>,
    /// What a reload applies, by file; the other part of the records too.
    pub reload: BTreeMap<String, String>,
    /// What an engine that uses these files answers at [`MARK_PATH`] in [`MARK_HEADER`]: it takes a reload over when it has
    /// the time, seconds after it was told.
    pub mark: String,
}

/// Where an engine says which configuration it uses.
pub const MARK_PATH: &str = "_edge/configuration";
/// The header of its answer.
pub const MARK_HEADER: &str = "X-Streamverse-Configuration";

/// Renders a configuration.
///
/// # Errors
/// A version that is neither 9 nor 10, TLS without a key, an address of an origin that is none.
pub fn configuration(spec: &AtsEdgeSpec, version: Version, paths: &Paths) -> Result<Configuration, String> {
    if !(9..=10).contains(&version.major) {
        return Err(format!(
            "Traffic Server {}.{} is neither 9 nor 10: install one of these",
            version.major, version.minor
        ));
    }
    let mut files = BTreeMap::new();
    let mut put = |name: &str, text: String| files.insert(name.to_owned(), text);
    let (fixed, dynamic) = records(spec, paths);
    if version.major == 9 {
        let lines: Vec<String> = fixed
            .iter()
            .chain(&dynamic)
            .map(|(name, kind, value)| format!("CONFIG {name} {kind} {value}"))
            .collect();
        put("records.config", lines.join("\n") + "\n");
    } else {
        put("records.yaml", yaml(fixed.iter().chain(&dynamic)));
    }
    put("storage.config", format!("{} {}\n", paths.cache, spec.storage.0));
    put("ip_allow.yaml", ip_allow(paths.purge_guard.is_some(), routes::post(spec)));
    put("remap.config", remap(spec, paths)?);
    put("parent.config", parents(spec)?);
    put("plugin.config", plugins(spec, paths));
    put(
        "stats.config",
        "path=_edge/metrics\nrecord_types=0x3\nallow_ip=127.0.0.1/32\nallow_ip6=::1/128\n".to_owned(),
    );
    put("defaults.config", defaults(spec)?);
    for (number, route) in routes::sorted(spec).into_iter().enumerate() {
        put(&routes::file(number), routes::rules(route)?);
    }
    if let Some(tls) = &spec.tls {
        let key =
            paths.tls_key.as_ref().ok_or("TLS needs a private key: set private_key_wo or private_key_ref")?;
        put("certificate.pem", tls.certificate.clone());
        put(
            "ssl_multicert.config",
            format!("dest_ip=* ssl_cert_name={}/certificate.pem ssl_key_name={key}\n", paths.config),
        );
    }
    let all: String = files.iter().map(|(name, text)| format!("{name}\n{text}\n")).collect();
    let mark = hex::encode(&Sha256::digest(all.as_bytes())[..8]);
    if let Some(text) = files.get_mut("defaults.config") {
        text.push_str(&marked(&mark));
    }
    let lines = |records: &[Record]| -> String {
        records.iter().map(|(name, _, value)| format!("{name} {value}\n")).collect()
    };
    let (mut restart, mut reload) = (BTreeMap::new(), BTreeMap::new());
    for (name, text) in files.iter().filter(|(name, _)| !name.starts_with("records.")) {
        let part = if RELOADABLE.contains(&name.as_str()) || routes::is_file(name) {
            &mut reload
        } else {
            &mut restart
        };
        part.insert(name.clone(), text.clone());
    }
    restart.insert("records".to_owned(), lines(&fixed));
    reload.insert("records".to_owned(), lines(&dynamic));
    Ok(Configuration { files, restart, reload, mark })
}

type Record = (String, &'static str, String);

fn records(spec: &AtsEdgeSpec, paths: &Paths) -> (Vec<Record>, Vec<Record>) {
    let record =
        |name: &str, kind: &'static str, value: String| (format!("proxy.config.{name}"), kind, value);
    let text = |name: &str, value: &str| record(name, "STRING", value.to_owned());
    let int = |name: &str, value: u64| record(name, "INT", value.to_string());
    let mut ports = format!("{}:ip-in={}", spec.port, paths.bind);
    if let Some(tls) = &spec.tls {
        let _ = write!(ports, " {}:ssl:ip-in={}", tls.port, paths.bind);
    }
    let mut fixed = vec![
        text("http.server_ports", &ports),
        text("admin.user_id", "#-1"),
        int("cache.ram_cache.size", spec.memory.0),
        text("proxy_name", "streamverse-edge"),
        int("diags.debug.enabled", 0),
        // A drain waits until nobody is served any more; with the default, 5000, it would be told seconds late.
        int("raw_stat_sync_interval_ms", 200),
        int("dump_mem_info_frequency", 0),
        // The disk beside the cache is reckoned for it (`AtsEdgeSpec::resources`); the defaults are 25000 and 1000.
        int("log.max_space_mb_for_logs", 128),
        int("log.max_space_mb_headroom", 10),
    ];
    if let Some(control) = &spec.congestion_control {
        fixed.push(text("net.tcp_congestion_control_in", control));
    }
    let collapse = spec.cache.as_ref().is_none_or(|cache| cache.collapse);
    let stale = spec.cache.as_ref().map_or(3600, |cache| cache.stale.0.as_secs());
    let check = spec.health_check.as_ref();
    let dynamic = vec![
        int("url_remap.remap_required", 1),
        int("url_remap.pristine_host_hdr", 0),
        int("http.insert_response_via_str", 3),
        int("http.insert_age_in_response", 1),
        int("http.cache.http", 1),
        // Only what says how long it may be kept; `defaults.config` says it where an origin does not.
        int("http.cache.required_headers", 2),
        int("http.cache.max_stale_age", stale),
        int("cache.enable_read_while_writer", u64::from(collapse)),
        // 5: those who lose the race for writing read what the winner writes.
        int("http.cache.open_write_fail_action", if collapse { 5 } else { 0 }),
        int("http.cache.max_open_read_retries", if collapse { 10 } else { 0 }),
        int("http.background_fill_active_timeout", 60),
        record("http.background_fill_completed_threshold", "FLOAT", "0.0".to_owned()),
        int("http.parent_proxy.fail_threshold", check.map_or(3, |check| u64::from(check.failures))),
        int("http.parent_proxy.retry_time", check.map_or(10, |check| check.retry.0.as_secs().max(1))),
        // Our origins may be on this host: Traffic Server would take them for itself and mark them as down for good.
        int("http.parent_proxy.self_detect", 0),
        int("http.connect_attempts_timeout", 10),
        int("http.transaction_no_activity_timeout_in", 60),
        int("http.transaction_no_activity_timeout_out", 30),
        int("http.push_method_enabled", 0),
    ];
    (fixed, dynamic)
}

/// `proxy.config.a.b` becomes nested maps under `records` (10.0's records.yaml).
fn yaml<'r>(records: impl Iterator<Item = &'r Record>) -> String {
    let mut text = "records:\n".to_owned();
    let mut sorted: Vec<&Record> = records.collect();
    sorted.sort();
    let mut open: Vec<&str> = Vec::new();
    for (name, kind, value) in sorted {
        let parts: Vec<&str> = name.trim_start_matches("proxy.config.").split('.').collect();
        let (leaf, folders) =
            parts.split_last().map_or(("", [].as_slice()), |(leaf, folders)| (*leaf, folders));
        let same = open.iter().zip(folders).take_while(|(a, b)| a == b).count();
        open.truncate(same);
        for folder in folders.iter().skip(same) {
            let _ = writeln!(text, "{}{folder}:", "  ".repeat(open.len() + 1));
            open.push(folder);
        }
        let quoted = if *kind == "STRING" { format!("\"{value}\"") } else { value.clone() };
        let _ = writeln!(text, "{}{leaf}: {quoted}", "  ".repeat(open.len() + 1));
    }
    text
}

/// Everybody may read and, where a route takes it, post; only this host may purge, and of this host who has the guard's token.
fn ip_allow(purge: bool, post: bool) -> String {
    let mut text = "ip_allow:\n".to_owned();
    let post = if post { ", POST" } else { "" };
    if purge {
        for address in ["127.0.0.1", "::1"] {
            let _ = write!(
                text,
                "  - apply: in\n    ip_addrs: {address}\n    action: allow\n    methods: [GET, HEAD, OPTIONS, PURGE{post}]\n"
            );
        }
    }
    for address in ["0.0.0.0/0", "::/0"] {
        let _ = write!(
            text,
            "  - apply: in\n    ip_addrs: {address}\n    action: allow\n    methods: [GET, HEAD, OPTIONS{post}]\n"
        );
    }
    text
}

/// Rules that let only those purge who know the token. An address is not enough: any user of the host has it.
pub fn purge_guard(token: &str) -> String {
    format!(
        "cond %{{METHOD}} =PURGE [AND]\ncond %{{CLIENT-HEADER:{PURGE_HEADER}}} =\"{token}\" [NOT]\nset-status 403\n"
    )
}

/// The header of a PURGE that carries the token.
pub const PURGE_HEADER: &str = "X-Streamverse-Purge";

/// With several origins the target only says the scheme: Traffic Server bypasses parents where it is 127.0.0.1.
///
/// header_rewrite is told here and not in plugin.config, where a reload would not read its rules again.
fn remap(spec: &AtsEdgeSpec, paths: &Paths) -> Result<String, String> {
    let origin = spec.origins.first().ok_or("an edge needs an origin")?;
    let target = match (spec.origins.len(), origin.url.split_once("://")) {
        (2.., Some((scheme, _))) => format!("{scheme}://origins.invalid"),
        _ => origin.url.trim_end_matches('/').to_owned(),
    };
    let mut text = routes::maps(spec, paths);
    let _ = write!(text, "map / {target}/");
    if let Some(guard) = &paths.purge_guard {
        let _ = write!(text, " @plugin=header_rewrite.so @pparam={guard}");
    }
    let _ = writeln!(text, " @plugin=header_rewrite.so @pparam={}/defaults.config", paths.config);
    Ok(text)
}

/// Who stands for a host that is none, in order (parent.config). One alone needs none.
fn parents(spec: &AtsEdgeSpec) -> Result<String, String> {
    let policy = match spec.policy {
        ParentPolicy::FirstLive => "false",
        ParentPolicy::RoundRobin => "strict",
    };
    let mut text = String::new();
    for (number, route) in routes::sorted(spec).into_iter().enumerate() {
        text.push_str(&parent(&routes::host(number), route.urls(), "false")?);
    }
    let origins = spec.origins.iter().map(|origin| origin.url.as_str());
    text.push_str(&parent("origins.invalid", origins, policy)?);
    Ok(text)
}

fn parent<'u>(host: &str, urls: impl Iterator<Item = &'u str>, policy: &str) -> Result<String, String> {
    let mut list = Vec::new();
    for text in urls {
        let url =
            url::Url::parse(text).map_err(|error| format!("the origin {text:?} is no address: {error}"))?;
        let port = url.port_or_known_default().unwrap_or(80);
        list.push(format!("{}:{port}", url.host_str().unwrap_or_default()));
    }
    if list.len() < 2 {
        return Ok(String::new());
    }
    let list = list.join(",");
    Ok(format!(
        "dest_host={host} parent=\"{list}\" round_robin={policy} go_direct=false parent_is_proxy=false\n"
    ))
}

fn plugins(spec: &AtsEdgeSpec, paths: &Paths) -> String {
    let mut text = format!("stats_over_http.so {}/stats.config\n", paths.config);
    for plugin in spec.plugins.iter().flatten() {
        let _ = writeln!(text, "{plugin}");
    }
    text
}

fn defaults(spec: &AtsEdgeSpec) -> Result<String, String> {
    let (manifests, segments) = spec
        .cache
        .as_ref()
        .map_or((2, 86_400), |cache| (cache.manifests.0.as_secs(), cache.segments.0.as_secs()));
    let mut text = String::new();
    // A health check that the cache answers finds out nothing.
    let health = spec.health_check.as_ref().and_then(|check| check.path.split(['?', '#']).next());
    if let Some(path) = health.filter(|path| !path.contains(['"', '\\'])) {
        let path = path.trim_start_matches('/');
        let _ = write!(
            text,
            "cond %{{READ_RESPONSE_HDR_HOOK}} [AND]\ncond %{{CLIENT-URL:PATH}} =\"{path}\"\n\
             set-header Cache-Control \"no-store\"\n\n"
        );
    }
    let _ = write!(
        text,
        "cond %{{READ_RESPONSE_HDR_HOOK}} [AND]\ncond %{{HEADER:Cache-Control}} =\"\" [AND]\ncond %{{CLIENT-URL:PATH}} /\\.(m3u8|mpd|json)$/\n\
         set-header Cache-Control \"public, max-age={manifests}\"\n\n\
         cond %{{READ_RESPONSE_HDR_HOOK}} [AND]\ncond %{{HEADER:Cache-Control}} =\"\" [AND]\ncond %{{STATUS}} =200\n\
         set-header Cache-Control \"public, max-age={segments}\"\n"
    );
    if let (2.., Some(first)) = (spec.origins.len(), spec.origins.first()) {
        text.push_str(&asks_for(&first.url)?);
    }
    if routes::post(spec) {
        text.push_str(NO_POST);
    }
    Ok(text)
}

/// Only a route that is not cached takes it.
const NO_POST: &str = "\ncond %{REMAP_PSEUDO_HOOK} [AND]\ncond %{METHOD} =POST\nset-status 405\n";

/// The host that is asked where several stand for one that is none.
fn asks_for(url: &str) -> Result<String, String> {
    let url = url::Url::parse(url).map_err(|error| format!("the origin {url:?} is no address: {error}"))?;
    let host = url.host_str().unwrap_or_default();
    let port = url.port().map(|port| format!(":{port}")).unwrap_or_default();
    Ok(format!("\ncond %{{SEND_REQUEST_HDR_HOOK}}\nset-header Host \"{host}{port}\"\n"))
}

/// Rules by which the engine itself answers which configuration it uses.
fn marked(mark: &str) -> String {
    let here = format!("cond %{{CLIENT-URL:PATH}} =\"{MARK_PATH}\"");
    format!(
        "\ncond %{{REMAP_PSEUDO_HOOK}} [AND]\n{here}\nset-status 204\n\n\
         cond %{{SEND_RESPONSE_HDR_HOOK}} [AND]\n{here}\nset-header {MARK_HEADER} \"{mark}\"\n"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spec() -> AtsEdgeSpec {
        serde_json::from_value(serde_json::json!({
            "port": 8081, "tls": null, "policy": "first_live", "health_check": null, "storage": "64MiB", "memory": "32MiB",
            "cache": null, "congestion_control": "bbr", "plugins": null,
            "origins": [{ "url": "http://10.0.0.1:8080" }, { "url": "http://10.0.0.2:8080" }],
            "routes": [
                { "path": "/licence/", "url": "http://10.0.0.3:8092", "cache": false },
                { "path": "/channel/", "url": "http://10.0.0.4:8090", "fallbacks": ["http://10.0.0.5:8090"], "cache": true },
            ],
        }))
        .unwrap()
    }

    fn paths() -> Paths {
        Paths {
            config: "/c".to_owned(),
            cache: "/cache".to_owned(),
            bind: "0.0.0.0".to_owned(),
            tls_key: None,
            purge_guard: Some("/r/guard.config".to_owned()),
        }
    }

    #[test]
    fn nine_and_ten_say_the_same_in_their_own_words() {
        let all = configuration(&spec(), Version { major: 9, minor: 2 }, &paths()).unwrap();
        assert!(
            all.restart["records"].contains("server_ports")
                && !all.reload["records"].contains("server_ports")
        );
        assert!(all.reload.contains_key("remap.config") && all.restart.contains_key("storage.config"));
        let nine = all.files;
        assert!(
            nine["records.config"].contains("CONFIG proxy.config.net.tcp_congestion_control_in STRING bbr\n")
        );
        assert!(
            nine["parent.config"]
                .contains("dest_host=origins.invalid parent=\"10.0.0.1:8080,10.0.0.2:8080\" round_robin=false go_direct=false")
        );
        let ten = configuration(&spec(), Version { major: 10, minor: 1 }, &paths()).unwrap().files;
        assert!(!ten.contains_key("records.config"));
        assert!(
            ten["records.yaml"].contains("  net:\n    tcp_congestion_control_in: \"bbr\"\n"),
            "{}",
            ten["records.yaml"]
        );
        assert!(ten["records.yaml"].contains("      required_headers: 2\n"));
        assert_eq!(nine["remap.config"], ten["remap.config"]);
        super::super::check_ip_allow(&nine["ip_allow.yaml"]).unwrap();
        assert!(configuration(&spec(), Version { major: 8, minor: 1 }, &paths()).is_err());
    }

    #[test]
    fn what_restarts_is_what_a_reload_does_not_apply() {
        let nine = Version { major: 9, minor: 2 };
        let base = serde_json::to_value(spec()).unwrap();
        for (field, value) in [
            ("port", serde_json::json!(9000)),
            ("storage", serde_json::json!("65MiB")),
            ("memory", serde_json::json!("33MiB")),
            ("congestion_control", serde_json::json!("cubic")),
            ("plugins", serde_json::json!(["xdebug.so"])),
            ("tls", serde_json::json!({ "port": 9443, "certificate": "x" })),
            ("policy", serde_json::json!("round_robin")),
            ("origins", serde_json::json!([{ "url": "http://10.0.0.3" }])),
            (
                "routes",
                serde_json::json!([{ "path": "/channel/", "url": "http://10.0.0.3:8090", "cache": false }]),
            ),
            ("health_check", serde_json::json!({ "path": "/x", "retry": "1s", "failures": 1 })),
            (
                "cache",
                serde_json::json!({ "manifests": "9s", "segments": "9s", "collapse": false, "stale": "9s" }),
            ),
        ] {
            let mut other = base.clone();
            other[field] = value;
            let other: AtsEdgeSpec = serde_json::from_value(other).unwrap();
            let paths = Paths { tls_key: Some("/r/x.key".to_owned()), ..paths() };
            let (before, after) =
                (configuration(&spec(), nine, &paths).unwrap(), configuration(&other, nine, &paths).unwrap());
            let restarts = other.restarts(&spec());
            assert_eq!(before.restart != after.restart, restarts == [field], "{field}: {restarts:?}");
            assert!(before.files != after.files, "{field} changes nothing");
        }
    }

    /// Never executed: what stands here was compared with the documentation of 10.x by reading.
    #[test]
    fn ten_is_rendered_as_it_was_read() {
        let spec = AtsEdgeSpec { congestion_control: None, ..spec() };
        let ten = configuration(&spec, Version { major: 10, minor: 1 }, &paths()).unwrap().files;
        let golden = include_str!("ten.golden");
        let all: String = ten.iter().map(|(name, text)| format!("== {name}\n{text}")).collect();
        if std::env::var_os("STREAMVERSE_BLESS").is_some() {
            let path = concat!(env!("CARGO_MANIFEST_DIR"), "/src/delivery/ats/ten.golden");
            std::fs::write(path, &all).unwrap();
            return;
        }
        assert_eq!(all, golden, "STREAMVERSE_BLESS=1 writes what is rendered now");
    }
}
