//! An encrypted asset on a node: its keys come from a key service and are nowhere else, and its configuration stays while it
//! is used.

use std::collections::BTreeMap;
use std::process::Command;
use std::time::Duration;

use serde_json::json;
use streamverse_acceptance::{ADDRESS, Node, crash, secrets};
use streamverse_core::stores::open_keys;
use streamverse_core::{Metrics, ServiceContext};
use streamverse_model::drm::{DrmDefinition, KeyId};
use streamverse_model::media::{PackageIndex, TrackKind};
use streamverse_model::platform::{Name, Owner};
use tfplugin_testing::cli::{Action, Case, Cli, Failure, Id, Step, action, value};

use crate::kit::{asset, clip, get, origin, stores};

/// How long an asset may take until it is packaged.
const PATIENCE: Duration = Duration::from_secs(120);
const ACCESS_KEY: &str = "cGxhbnRlZC1hY2Nlc3Mta2V5LW9mLTMyLWJ5dGVzLi4=";
const KEK: &str = "cGxhbnRlZC1rZXktZW5jcnlwdGlvbi1rZXktMzItYi4=";

fn keys(port: u16) -> String {
    format!(
        r#"
resource "streamverse_key_service" "main" {{
  name                  = "main"
  port                  = {port}
  catalogue             = streamverse_catalogue.main.url
  access_key_wo         = "{ACCESS_KEY}"
  access_key_wo_version = 1
  key_encryption_key    = {{ secret = {{ value_wo = "{KEK}", value_wo_version = 1 }} }}
}}
"#
    )
}

fn config(rest: &str) -> String {
    format!(
        r#"
resource "streamverse_drm_config" "main" {{
  name                   = "main"
  systems                = ["clearkey", "widevine"]
  crypto_period_segments = 1
  key_service            = streamverse_key_service.main.url
  {rest}
}}
"#
    )
}

/// Finds the keys as a licence service would.
fn found(node: &Node, port: u16, kids: &[KeyId]) -> BTreeMap<KeyId, [u8; 16]> {
    let folder = node.folder().join("reader");
    std::fs::create_dir_all(folder.join("key-service.main")).unwrap();
    std::fs::write(folder.join("key-service.main/access-key"), ACCESS_KEY).unwrap();
    let cx = ServiceContext {
        site: Name::parse("default").unwrap(),
        owner: Owner::new("test", "licence-service", "test").unwrap(),
        object: "service/licence-service".to_owned(),
        data_dir: folder.clone(),
        scratch_dir: folder.clone(),
        run_dir: folder.clone(),
        credentials_dir: folder.clone(),
        specs_dir: folder.clone(),
        tools: BTreeMap::new(),
        bind: [127, 0, 0, 1].into(),
        metrics: Metrics::new(),
    };
    let client = open_keys(&format!("keys://127.0.0.1:{port}?secret=key-service.main"), &cx).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let all = runtime.block_on(client.find(kids)).unwrap();
    std::fs::remove_dir_all(folder).unwrap();
    let all = all.into_iter().map(|key| key.expect("every key that is used is kept"));
    all.inspect(|key| assert_eq!(key.asset, "film")).map(|key| (key.kid, *key.secret())).collect()
}

#[test]
fn an_asset_is_encrypted_with_keys_that_only_the_key_service_tells() -> Result<(), Failure> {
    let cli = Cli::terraform()?;
    let Some(node) = Node::start() else { return Ok(()) };
    let [port, keys_port, _] = node.ports;
    let (file, digest) = clip(&node, "film.mp4", 5);
    let below = format!("{}{}{}{}", node.block(), stores(), origin(port, "64MiB"), keys(keys_port));
    let film = |drm: &str| {
        asset(&file, &digest).replace("  transcoder = str", &format!("  drm = {drm}\n  transcoder = str"))
    };
    let used = film("streamverse_drm_config.main.definition");
    // The same definition, written by hand: an asset of which Terraform does not know that it needs the configuration.
    let definition: DrmDefinition = serde_json::from_value(json!({
        "name": "main", "site": "default", "spec": { "scheme": "cbcs", "systems": ["clearkey", "widevine"],
            "key_granularity": "track_type", "crypto_period": null, "crypto_period_segments": 1,
            "key_service": format!("keys://127.0.0.1:{keys_port}?secret=key-service.main"), "usage": null },
    }))
    .unwrap();
    let by_hand = serde_json::to_string(&serde_json::to_string(&definition).unwrap()).unwrap();
    let at = "streamverse_vod_asset.film";
    let address = format!("http://127.0.0.1:{port}/vod/film");
    let generation = std::cell::RefCell::new(String::new());
    let crashed = std::cell::RefCell::new(None);
    Case::new(&cli)
        .provider(ADDRESS, node.provider())
        .step(
            Step::apply(format!("{below}{}{used}", config("")))
                .named("encrypted")
                .plan(action(at, Action::Create))
                .before(|_| {
                    let folder = node.folder().to_owned();
                    let crash = std::thread::spawn(move || crash::dump_packaging(&folder, PATIENCE));
                    *crashed.borrow_mut() = Some(crash);
                    Ok(())
                })
                .after(|cx| {
                    // Whatever was made once more, and what is searched below, is what a crash left.
                    let crashed = crashed.borrow_mut().take().unwrap().join();
                    assert!(crashed.unwrap(), "nothing was being packaged");
                    let state = cx.state()?;
                    let values = &state.resource(at)?["values"];
                    *generation.borrow_mut() = values["generation"].as_str().unwrap().to_owned();
                    let (_, text) = get(&format!("{address}/{}/index.json", generation.borrow()));
                    let index: PackageIndex = serde_json::from_str(&text)?;
                    assert_eq!(index.parts.len(), 3);
                    for (label, kind) in [("video", TrackKind::Video), ("audio", TrackKind::Audio)] {
                        let track = index.parts[0].tracks.iter().find(|it| it.kind == kind).unwrap();
                        assert_eq!(values["key_ids"][label], track.kid.unwrap().to_string());
                    }
                    let tracks = || index.parts.iter().flat_map(|part| &part.tracks);
                    let kids: Vec<KeyId> = tracks().map(|it| it.kid.unwrap()).collect();
                    let all = found(&node, keys_port, &kids);
                    assert_eq!(all.len(), 6);
                    for track in tracks() {
                        let one =
                            |path: &str| get_bytes(&format!("{address}/{}/{path}", generation.borrow()));
                        let file = node.folder().join("track.mp4");
                        let segments =
                            (0..track.segments.len() as u64).flat_map(|number| one(&track.segment(number)));
                        let bytes: Vec<u8> = one(&track.init).into_iter().chain(segments).collect();
                        std::fs::write(&file, bytes)?;
                        let key = KeyId(all[&track.kid.unwrap()]).hex();
                        let decodes = |args: &[&str]| {
                            let out = Command::new(node.tool("ffmpeg"))
                                .args(["-v", "error"])
                                .args(args)
                                .arg("-i")
                                .arg(&file)
                                .args(["-f", "null", "-"])
                                .output()
                                .unwrap();
                            out.status.success() && out.stderr.is_empty()
                        };
                        assert!(decodes(&["-decryption_key", &key]) && !decodes(&[]), "{}", track.init);
                    }
                    std::fs::remove_file(node.folder().join("track.mp4"))?;
                    for manifest in ["hls.m3u8", "dash.mpd"] {
                        let (status, text) = get(&format!("{address}/{manifest}"));
                        assert!(status == 200 && !text.contains("identity"), "{text}");
                    }
                    let mut planted: Vec<Vec<u8>> =
                        all.values().flat_map(|key| secrets::forms(key)).collect();
                    planted.extend([ACCESS_KEY, KEK].map(|text| text.as_bytes().to_vec()));
                    let state = std::fs::read(cx.dir().join("terraform.tfstate"))?;
                    let in_state = |form: &Vec<u8>| state.windows(form.len()).any(|it| it == form);
                    assert!(!planted.iter().any(in_state), "the state holds a key");
                    secrets::planted_nowhere(&node, &planted).map_err(Into::into)
                }),
        )
        .step(
            Step::apply(format!("{below}{}{used}", config("usage = { expiry = \"1h\" }")))
                .named("what licences allow changes no byte")
                .plan(action(at, Action::Update))
                .after(|cx| {
                    let state = cx.state()?;
                    assert_eq!(state.resource(at)?["values"]["generation"], *generation.borrow());
                    Ok(())
                }),
        )
        .step(
            Step::apply(format!("{below}{}", film(&by_hand)))
                .named("its configuration is to go")
                .expect_apply_error("Assets are encrypted with \"main\": film on default"),
        )
        .step(Step::apply(format!("{below}{}{used}", config(""))).named("it stays"))
        .step(Step::import("streamverse_drm_config.main", Id::attribute("name")).ignoring(&["timeouts"]))
        .step(Step::import(at, Id::attribute("name")).ignoring(&["timeouts"]))
        .step(
            Step::apply(format!("{below}{}{}", config(""), film("null")))
                .named("clear again")
                .plan(action(at, Action::Update))
                .state(value(at, "key_ids", json!({}))),
        )
        .step(
            Step::apply(format!("{below}{}", film("null")))
                .named("its configuration may go now")
                .plan(action("streamverse_drm_config.main", Action::Delete)),
        )
        .check_destroyed(|_| node.nothing_left().map_err(Into::into))
        .run()
        .map(|_| ())
}

fn get_bytes(url: &str) -> Vec<u8> {
    let said = Command::new("curl").args(["-sfL", "--max-time", "10", url]).output().unwrap();
    assert!(said.status.success(), "{url}");
    said.stdout
}
