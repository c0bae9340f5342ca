//! Twenty-one times something of the whole platform is killed at a random moment of an apply: the provider, the node's agent,
//! the worker in the middle of an encode, Traffic Server, the key service, the licence service, the channel. The next apply
//! converges, no finished segment is encoded twice, no key of an asset is lost or another one's, what a channel announced
//! only grows, and in the end nothing is left.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "a test fails by panicking, and prints its seed"
)]

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use streamverse_acceptance::crash::{Dice, hit, kill_providers_of};
use streamverse_acceptance::{Node, free_port, kit};
use streamverse_core::log::open_log;
use streamverse_core::stores::{ContentKey, ContentKeys as _, KeyServiceClient, key_wire::AccessKey};
use streamverse_core::{Metrics, ServiceContext};
use streamverse_model::drm::KeyId;
use streamverse_model::media::PackageIndex;
use streamverse_model::platform::{Name, Owner};

const TIMES: u32 = 21;
/// About as long as an apply of this configuration takes.
const SPAN: Duration = Duration::from_millis(8000);
/// The secrets, 32 bytes in base64 each.
const ACCESS: &str = "YWNjZXNzLWtleS1vZi0zMi1ieXRlcy1mb3ItdGVzdHM=";
const OTHER: &str = "b3RoZXIta2V5cy1vZi0zMi1ieXRlcy1mb3ItdGVzdHM=";
/// What is killed, in turn.
const VICTIMS: [Victim; 7] = [
    Victim::Provider,
    Victim::Of("transcoder"),
    Victim::Of("key-service"),
    Victim::Of("ats-edge"),
    Victim::Of("fast-channel"),
    Victim::Agent,
    Victim::Of("licence-service"),
];

#[derive(Clone, Copy, Debug, PartialEq)]
enum Victim {
    Provider,
    Agent,
    /// The processes of an owner of this kind.
    Of(&'static str),
}

struct Bench {
    folder: PathBuf,
    terraform: PathBuf,
}

impl Bench {
    fn command(&self, words: &[&str]) -> Command {
        let mut command = Command::new(&self.terraform);
        command
            .args(words)
            .current_dir(&self.folder)
            .env("TF_CLI_CONFIG_FILE", self.folder.join("cli.tfrc"))
            .env("TF_IN_AUTOMATION", "1")
            .env("ACCESS", ACCESS)
            .env("OTHER", OTHER)
            .stdin(Stdio::null());
        command
    }

    fn must(&self, words: &[&str]) {
        let said = self.command(words).output().unwrap();
        assert!(said.status.success(), "terraform {words:?}: {}", text(&said));
    }
}

fn text(said: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&said.stdout), String::from_utf8_lossy(&said.stderr))
}

/// Kills the processes that an owner has now; none while it is being started.
fn kill_processes_of(node: &Node, kind: &str) {
    for pid in node.pids(kind, "main") {
        let _ = Command::new("kill").args(["-9", &pid.to_string()]).status();
    }
}

/// Each encode of a segment or a sound track that ended well, as workers told it to the event log, is there once.
fn nothing_was_encoded_twice(node: &Node, when: &str) -> usize {
    let at = |folder: &str| node.folder().join(folder);
    let cx = ServiceContext {
        site: Name::parse("default").unwrap(),
        owner: Owner::new("test", "transcoder", "main").unwrap(),
        object: "service/looking".to_owned(),
        data_dir: at("data/test"),
        scratch_dir: at("looking"),
        run_dir: at("run/test/s"),
        credentials_dir: at("looking"),
        specs_dir: at("looking"),
        tools: std::collections::BTreeMap::new(),
        bind: [127, 0, 0, 1].into(),
        metrics: Metrics::new(),
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let records = runtime.block_on(async {
        open_log("embedded://default/work", &cx).await.unwrap().read_all("encoded").await.unwrap()
    });
    let mut seen = BTreeSet::new();
    for record in &records {
        let told: serde_json::Value = serde_json::from_slice(&record.value).unwrap();
        let piece = (told["generation"].to_string(), told["piece"].to_string());
        assert!(seen.insert(piece), "{when}: encoded twice: {told}");
    }
    seen.len()
}

/// Ports beside the node's own.
struct Ports {
    keys: u16,
    licence: u16,
    admin: u16,
    channel: u16,
}

/// What is encrypted, who may see it, and a channel of it.
fn protected(ports: &Ports, slate: &(PathBuf, String)) -> String {
    let Ports { keys, licence, admin, channel } = ports;
    let (file, digest) = (slate.0.display(), &slate.1);
    format!(
        r#"
resource "streamverse_key_service" "main" {{
  name               = "main"
  port               = {keys}
  catalogue          = streamverse_catalogue.main.url
  key_encryption_key = {{ secret = {{ value_ref = "env:OTHER" }} }}
  access_key_ref     = "env:ACCESS"
}}
resource "streamverse_drm_config" "main" {{
  name                   = "main"
  scheme                 = "cenc"
  systems                = ["clearkey"]
  crypto_period_segments = 2
  key_service            = streamverse_key_service.main.url
}}
resource "streamverse_entitlement_policy" "main" {{
  packages = [{{ name = "all", assets = ["*"] }}]
}}
resource "streamverse_licence_service" "main" {{
  name            = "main"
  port            = {licence}
  admin_port      = {admin}
  key_service     = streamverse_key_service.main.url
  catalogue       = streamverse_catalogue.main.url
  policy          = streamverse_entitlement_policy.main.definition
  token           = {{ issuer = "i", audience = "a" }}
  token_keys      = {{ one = {{ secret_ref = "env:OTHER" }} }}
  admin_token_ref = "env:ACCESS"
}}
resource "streamverse_vod_asset" "slate" {{
  name       = "slate"
  ladder     = streamverse_transcode_ladder.small.definition
  transcoder = streamverse_transcoder.main.name
  drm        = streamverse_drm_config.main.definition
  source     = {{ url = "file://{file}", digest = "{digest}" }}
}}
resource "streamverse_fast_channel" "main" {{
  name         = "main"
  port         = {channel}
  object_store = streamverse_object_store.media.url
  catalogue    = streamverse_catalogue.main.url
  start        = "2026-11-01T00:00:00Z"
  sources      = {{ film = {{}}, slate = {{}} }}
  schedule     = {{ order = {{ items = ["film"] }} }}
  slate        = "slate"
  horizon      = "30s"
  depends_on   = [streamverse_vod_asset.film, streamverse_vod_asset.slate]
}}
"#
    )
}

/// The whole platform; each number is another asset's source, another memory and another lifetime of manifests.
fn write(folder: &Path, node: &Node, ports: &Ports, number: u64) {
    let [port, front, _] = node.ports;
    let (file, digest) = kit::clip(node, &format!("clip-{number}.mp4"), 8);
    let film = kit::asset(&file, &digest).replace(
        "  name       = \"film\"\n",
        "  name       = \"film\"\n  drm        = streamverse_drm_config.main.definition\n",
    );
    let routes =
        "routes = [{ path = \"/channel/\", url = streamverse_fast_channel.main.address, cache = true }]";
    let config = format!(
        "{}{}{}{film}{}{}",
        node.block(),
        kit::stores(),
        kit::origin(port, &format!("{}MiB", 32 + number)),
        protected(ports, &kit::clip(node, "slate.mp4", 2)),
        kit::edge(front, &format!("cache = {{ manifests = \"{}s\" }}\n  {routes}", 1 + number)),
    );
    std::fs::write(folder.join("main.tf"), config).unwrap();
}

/// What is known of what must never change or go back, until everything is taken away.
#[derive(Default)]
struct Kept {
    keys: BTreeMap<KeyId, ContentKey>,
    sequence: u64,
}

impl Kept {
    /// Every key that the assets of now are encrypted with is there, is the one that it was, and is that of one asset alone.
    fn keys_are_there(&mut self, node: &Node, ports: &Ports, when: &str) {
        let mut named = Vec::new();
        for asset in ["film", "slate"] {
            let packages = node.folder().join("data/test/stores/media/vod").join(asset);
            for generation in std::fs::read_dir(packages).unwrap().flatten() {
                // A generation that is being made, or taken away, has none.
                let Ok(text) = std::fs::read(generation.path().join("index.json")) else { continue };
                let index: PackageIndex = serde_json::from_slice(&text).unwrap();
                let tracks = index.parts.iter().flat_map(|part| &part.tracks);
                named.extend(tracks.map(|track| (track.kid.unwrap(), asset)));
            }
        }
        assert!(named.len() > 4, "{when}: only {named:?} is encrypted");
        let access = AccessKey::parse(ACCESS).unwrap();
        let client =
            KeyServiceClient::new(&format!("127.0.0.1:{}", ports.keys), "test/kills", access).unwrap();
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let kids: Vec<KeyId> = named.iter().map(|(kid, _)| *kid).collect();
        let found = runtime.block_on(client.find(&kids)).unwrap();
        for ((kid, asset), key) in named.into_iter().zip(found) {
            let key = key.unwrap_or_else(|| panic!("{when}: the key {kid} of {asset} is lost"));
            assert_eq!(key.asset, asset, "{when}");
            let first = self.keys.entry(kid).or_insert_with(|| key.clone());
            assert!(*first == key, "{when}: the key {kid} is another one than it was");
        }
        let apart: BTreeSet<[u8; 16]> = self.keys.values().map(|key| *key.secret()).collect();
        assert_eq!(apart.len(), self.keys.len(), "{when}: two identifiers have one key");
    }

    /// The channel plays through the edge, and its sequence only grows.
    fn channel_goes_on(&mut self, node: &Node, when: &str) {
        let [_, front, _] = node.ports;
        let url = format!("http://127.0.0.1:{front}/channel/main/video/180p.m3u8");
        let until = Instant::now() + Duration::from_secs(60);
        loop {
            let (status, text) = kit::get(&url);
            let told = text.lines().find_map(|line| line.strip_prefix("#EXT-X-MEDIA-SEQUENCE:"));
            if let Some(sequence) = told.and_then(|it| it.parse::<u64>().ok()).filter(|_| status == 200) {
                assert!(sequence >= self.sequence, "{when}: {sequence} after {}", self.sequence);
                self.sequence = sequence;
                return;
            }
            assert!(Instant::now() < until, "{when}: {url} answers {status}: {text}\n{}", node.log());
            std::thread::sleep(Duration::from_millis(200));
        }
    }
}

fn plays(node: &Node, when: &str) {
    let [_, front, _] = node.ports;
    let until = Instant::now() + Duration::from_secs(60);
    loop {
        let (status, master) = kit::get(&format!("http://127.0.0.1:{front}/vod/film/hls.m3u8"));
        if status == 200 && master.contains("180p/index.m3u8") {
            return;
        }
        if Instant::now() > until {
            let said = Command::new(node.folder().join("streamverse"))
                .args(["node", "status", "--deployment", "test", "--socket"])
                .arg(node.socket())
                .output()
                .unwrap();
            panic!("{when}: the edge answers {status}: {master}\n{}\n{}", text(&said), node.log());
        }
        std::thread::sleep(Duration::from_millis(200));
    }
}

#[test]
fn whatever_is_killed_at_any_moment_the_next_apply_converges() {
    let Some(mut node) = Node::start() else { return };
    let Some(terraform) = std::env::var_os("TFPLUGIN_TERRAFORM").map(PathBuf::from) else { return };
    let mut dice = Dice::new("kills of the whole platform");
    let folder = tempfile::tempdir().unwrap();
    let bench = Bench { folder: folder.path().to_owned(), terraform };
    let overrides = format!(
        "provider_installation {{\n  dev_overrides {{\n    \"streamverse/streamverse\" = \"{}\"\n  }}\n  direct {{}}\n}}\n",
        node.provider().parent().unwrap().display()
    );
    std::fs::write(folder.path().join("cli.tfrc"), overrides).unwrap();
    let ports = Ports { keys: free_port(), licence: free_port(), admin: free_port(), channel: free_port() };
    let mut kept = Kept::default();
    let mut encodes = 0;
    for time in 0..TIMES {
        let victim = VICTIMS[usize::try_from(time).unwrap() % VICTIMS.len()];
        write(folder.path(), &node, &ports, u64::from(time));
        // Now and then what is there is taken away instead, and the next apply makes it anew.
        // Five and seven: each victim dies in applies too.
        let words: &[&str] = if time % 5 == 4 {
            &["destroy", "-auto-approve", "-input=false"]
        } else {
            &["apply", "-auto-approve", "-input=false"]
        };
        let delay = Duration::from_millis(dice.below(u64::try_from(SPAN.as_millis()).unwrap()));
        let when = format!("round {time}, {victim:?} after {} ms of {}", delay.as_millis(), words[0]);
        println!("{when}");
        hit(&mut bench.command(words), delay, |pid| match victim {
            Victim::Provider => kill_providers_of(pid),
            Victim::Of(kind) => kill_processes_of(&node, kind),
            Victim::Agent => {
                node.kill_agent();
                node.start_agent();
            }
        });
        bench.must(&["apply", "-auto-approve", "-input=false"]);
        bench.must(&["plan", "-detailed-exitcode", "-input=false"]);
        plays(&node, &when);
        if words[0] == "destroy" {
            // All keys and everything announced went with it.
            kept = Kept::default();
        }
        kept.keys_are_there(&node, &ports, &when);
        kept.channel_goes_on(&node, &when);
        encodes = nothing_was_encoded_twice(&node, &when);
    }
    println!("{} keys, each there and its asset's alone", kept.keys.len());
    println!("{encodes} pieces were encoded since the last destroy, each once");
    bench.must(&["destroy", "-auto-approve", "-input=false"]);
    let swept = Command::new(node.folder().join("streamverse"))
        .args(["sweep", "--deployment", "test", "--dry-run", "--socket"])
        .arg(node.socket())
        .output()
        .unwrap();
    assert_eq!(String::from_utf8_lossy(&swept.stdout).trim(), "0 would be removed");
    node.nothing_left().unwrap();
}
