//! The platform of the quickstart's module with an encrypted channel, and who may watch it.

use std::collections::{BTreeMap, BTreeSet};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use streamverse_acceptance::{Node, free_port, is_root, secrets};
use streamverse_core::stores::{ContentKeys as _, KeyServiceClient, key_wire::AccessKey};
use streamverse_model::drm::KeyId;
use streamverse_model::media::PackageIndex;

use crate::kit::get;
use crate::pictures::{BREAK_AT, FEATURE, SHORT, SLATE, SPOT};
use crate::screen::{coded_clip, root, script};

type Fault = Box<dyn std::error::Error + Send + Sync>;

/// Secrets in files of their own, as the quickstart makes them.
pub(crate) struct Vault {
    folder: tempfile::TempDir,
    pub(crate) values: Vec<(&'static str, String)>,
}

impl Vault {
    pub(crate) fn new() -> Vault {
        let folder = tempfile::tempdir().unwrap();
        std::fs::set_permissions(folder.path(), std::fs::Permissions::from_mode(0o711)).unwrap();
        let random = std::fs::read("/proc/sys/kernel/random/uuid").unwrap();
        let mut values = Vec::new();
        for name in ["key-encryption-key", "access-key", "token-key", "admin-token"] {
            let mut bytes = [0_u8; 32];
            for (at, byte) in bytes.iter_mut().enumerate() {
                *byte = random[at % 36] ^ name.as_bytes()[at % name.len()].wrapping_mul(31);
            }
            let value = STANDARD.encode(bytes);
            let file = folder.path().join(name);
            std::fs::write(&file, &value).unwrap();
            std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o600)).unwrap();
            values.push((name, value));
        }
        if is_root() {
            // As whom the agent of these tests runs services.
            let key = folder.path().join("key-encryption-key");
            assert!(Command::new("chown").arg("trafficserver").arg(key).status().unwrap().success());
        }
        Vault { folder, values }
    }

    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn reference(&self, name: &str) -> String {
        format!("file:{}", self.file(name).display())
    }
}

/// `modules/platform` as a root module: what a module of its own would need `init` for. The page's channel is answered by
/// two replicas at these ports, of which the edge takes the one that is there.
pub(crate) fn config(node: &Node, replicas: [u16; 2]) -> String {
    let module = root().join("modules/platform");
    let mut files: Vec<PathBuf> =
        std::fs::read_dir(module).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.retain(|file| file.extension().is_some_and(|it| it == "tf"));
    files.sort();
    let text: String = files.iter().map(|file| std::fs::read_to_string(file).unwrap()).collect();
    // The providers are named by the block of the node.
    let (before, rest) = text.split_once("terraform {").unwrap();
    let (_, after) = rest.split_once("\n}\n").unwrap();
    let text = format!("{}{before}{after}", node.block());
    let [one, two] = replicas;
    let edge = "resource \"streamverse_ats_edge\" \"edge\" {\n";
    let guide = "    [for it in streamverse_epg.guide :";
    let listed = "[for name, it in var.channels : { name = name, title = it.title }]";
    [
        (edge, format!("{edge}  health_check = {{ retry = \"1s\" }}\n")),
        (
            guide,
            format!(
                "    [{{ path = \"/channel/\", url = \"http://127.0.0.1:{one}\", fallbacks = [\"http://127.0.0.1:{two}\"], cache = true, stale = \"5s\" }}],\n{guide}"
            ),
        ),
        (listed, format!("[{{ name = \"{REPLICAS}\", title = \"One\" }}]")),
    ]
    .into_iter()
    .fold(text, |text, (old, new)| {
        assert_eq!(text.matches(old).count(), 1, "{old}");
        text.replace(old, &new)
    })
}

/// What the page's channel is called in addresses.
pub(crate) const REPLICAS: &str = "twins";

/// Variables of the module by name, as JSON.
pub(crate) fn variables(node: &Node, vault: &Vault) -> Vec<(&'static str, Value)> {
    let clip = |(number, seconds): (u32, u32)| {
        let (file, digest) = coded_clip(node, &format!("clip{number}.mp4"), number, seconds);
        json!({
            "title": format!("Clip {number}"), "protected": true, "listed": number < 3,
            "source": { "url": format!("file://{}", file.display()), "digest": digest },
        })
    };
    let [origin, edge, page] = node.ports;
    vec![
        (
            "assets",
            json!({ "feature": clip(FEATURE), "short": clip(SHORT), "spot": clip(SPOT), "slate": clip(SLATE) }),
        ),
        (
            "protection",
            json!({
                "key_encryption_key": { "file": vault.file("key-encryption-key") },
                "access_key_ref": vault.reference("access-key"),
                "admin_token_ref": vault.reference("admin-token"),
                "token_key_ref": vault.reference("token-key"),
                "crypto_period_segments": 2,
                "streams": 1,
                "viewers": [{ "id": "anna" }, { "id": "ben" }, { "id": "cleo" }, { "id": "dora" }, { "id": "erik" }, { "id": "fay" }, { "id": "guest" }],
            }),
        ),
        (
            "channels",
            json!({ "one": {
                "title": "One", "port": free_port(), "items": ["feature", "short"], "slate": "slate", "spots": ["spot"],
                // Longer than the spot, and too short for two: slate fills the rest.
                "ad_break": "6s", "ad_positions": [format!("{BREAK_AT}s")],
            }}),
        ),
        (
            "ports",
            json!({
                "origin": origin, "edge": edge, "page": page, "keys": free_port(), "licence": free_port(),
                "admin": free_port(), "guide": free_port(),
            }),
        ),
        ("segment_duration", json!("2s")),
        (
            "video",
            json!([
                { "name": "360p", "height": 360, "bit_rate": 700_000 },
                { "name": "180p", "height": 180, "bit_rate": 300_000 },
            ]),
        ),
        ("edge_storage", json!("64MiB")),
    ]
}

/// Subscriptions of those who have one, written as an operator writes them. Dora has an account and nothing else, Erik's
/// subscription is over.
pub(crate) fn grant(admin: &str, vault: &Vault) -> Result<(), Fault> {
    let valid = r#"{"kind":"subscription","package":"all"}"#;
    let over = r#"{"kind":"subscription","package":"all","from":"2026-01-01T00:00:00Z","until":"2026-02-01T00:00:00Z"}"#;
    let all =
        [("anna", valid), ("ben", valid), ("cleo", valid), ("crowd", valid), ("fay", valid), ("erik", over)];
    let grants = all.map(|(account, body)| (format!("{account}/grants/test"), body));
    for (path, body) in grants.into_iter().chain([("dora".to_owned(), "null")]) {
        // The token comes on stdin: arguments are read by everybody.
        let token = std::fs::read_to_string(vault.file("admin-token"))?;
        let mut curl = Command::new("curl");
        curl.args(["-sS", "--max-time", "10", "--retry", "5", "--retry-connrefused", "-X", "PUT", "-K", "-"]);
        curl.args(["-w", "\n%{http_code}", "-H", "Content-Type: application/json", "-d", body]);
        curl.arg(format!("{admin}/admin/v1/accounts/{path}"));
        curl.stdin(std::process::Stdio::piped()).stdout(std::process::Stdio::piped());
        let mut child = curl.spawn()?;
        let line = format!("header = \"Authorization: Bearer {token}\"\n");
        std::io::Write::write_all(&mut child.stdin.take().ok_or("no stdin")?, line.as_bytes())?;
        let said = String::from_utf8_lossy(&child.wait_with_output()?.stdout).into_owned();
        if !said.trim_end().ends_with("200") {
            return Err(format!("{path}: {said}").into());
        }
    }
    Ok(())
}

/// Licences as players and thieves ask for them.
pub(crate) fn licences(program: &Path, edge: &str, vault: &Vault) -> Result<(), Fault> {
    let (_, now) = get(&format!("{edge}/channel/one/now.json"));
    let now: Value = serde_json::from_str(&now)?;
    let kid = now["now"]["kids"][0].as_str().ok_or_else(|| format!("what is on has no key: {now}"))?;
    let mut command = script(program, "licences.mjs", &format!("{edge}/licence/clearkey"));
    command.arg(kid).arg(vault.file("token-key"));
    let found = told(command)?;
    for (what, status, code) in [
        ("entitled", 200, ""),
        ("replayed", 401, "token-replayed"),
        ("not_entitled", 403, "account-unknown"),
        ("expired", 401, "token-expired"),
        ("unsigned", 401, "token-algorithm"),
        ("for_somebody_else", 401, "token-audience"),
        ("without_token", 401, "token-missing"),
        ("second_stream", 429, "too-many-streams"),
        ("first_stream_again", 200, ""),
        ("unknown_key", 404, "key-unknown"),
    ] {
        let one = &found[what];
        let keys = one["keys"].as_u64().unwrap_or(99);
        let right = one["status"] == status && one["code"] == code && (keys == 1) == (status == 200);
        if !right || (status != 200 && keys != 0) {
            return Err(format!("{what}: not {status} {code:?}: {found}").into());
        }
    }
    Ok(())
}

/// Every content key that a package of the node is encrypted with, in every form in which it could be written down. None is
/// lost, each is that of its asset, and none is used twice.
pub(crate) fn content_keys(node: &Node, port: u16, vault: &Vault) -> Result<Vec<Vec<u8>>, Fault> {
    let mut assets = BTreeMap::new();
    let packages = node.folder().join("data/test/stores/main-media/vod");
    for asset in std::fs::read_dir(packages)?.flatten() {
        for generation in std::fs::read_dir(asset.path())?.flatten() {
            let index: PackageIndex =
                serde_json::from_slice(&std::fs::read(generation.path().join("index.json"))?)?;
            let name = asset.file_name().to_string_lossy().into_owned();
            let kids = index.parts.iter().flat_map(|part| &part.tracks).filter_map(|track| track.kid);
            assets.extend(kids.map(|kid| (kid, name.clone())));
        }
    }
    let access = AccessKey::parse(&std::fs::read_to_string(vault.file("access-key"))?)?;
    let client = KeyServiceClient::new(&format!("127.0.0.1:{port}"), "test/search", access)?;
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
    let kids: Vec<KeyId> = assets.keys().copied().collect();
    let keys: Vec<_> = runtime.block_on(client.find(&kids))?.into_iter().flatten().collect();
    if keys.len() < 8 || keys.len() != kids.len() {
        return Err(format!("{} of {} keys were found", keys.len(), kids.len()).into());
    }
    if let Some(key) = keys.iter().find(|key| assets.get(&key.kid) != Some(&key.asset)) {
        return Err(format!("{} is of {}", key.kid, key.asset).into());
    }
    let apart: BTreeSet<[u8; 16]> = keys.iter().map(|key| *key.secret()).collect();
    if apart.len() != keys.len() {
        return Err("two identifiers have one key".into());
    }
    Ok(keys.iter().flat_map(|key| secrets::forms(key.secret())).collect())
}

/// What a script of ours prints.
pub(crate) fn told(mut command: Command) -> Result<Value, Fault> {
    let said = command.output()?;
    let text = String::from_utf8_lossy(&said.stdout).into_owned();
    let errors = String::from_utf8_lossy(&said.stderr).into_owned();
    serde_json::from_str(text.trim()).map_err(|_| format!("{text}{errors}").into())
}
