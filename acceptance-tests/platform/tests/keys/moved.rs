//! A catalogue and an object store move to another site, whose key service has a key-encryption key of its own: nothing is
//! encrypted again, and a licence of the new site decodes the bytes that came from the old one.

use std::collections::BTreeMap;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{SystemTime, UNIX_EPOCH};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::{Algorithm, EncodingKey};
use serde_json::{Value, json};
use streamverse_acceptance::kit::{clip, get};
use streamverse_acceptance::{ADDRESS, Node, free_port, secrets};
use streamverse_model::drm::KeyId;
use streamverse_model::media::PackageIndex;
use tfplugin_testing::cli::{Case, Checked, Cli, Failure, Step};

use crate::kit::{ACCESS, Files, KEK, OTHER_KEK, by_secret, keys, must, planted, text};

const ADMIN: &str = "planted-admin-token-of-two-sites-0123456789";
const TOKEN: &str = "planted-token-secret-of-two-sites-0123456789";

/// A node as a site: a film is made, its keys are kept, and licences given.
struct Place<'a> {
    node: &'a Node,
    site: &'static str,
    admin: u16,
    /// The provider block, which has both sites.
    block: &'a str,
}

/// A track as a player gets it: its key's identifier, and the file.
type Tracks = Vec<(KeyId, Vec<u8>)>;

impl Place<'_> {
    fn keys(&self) -> u16 {
        self.node.ports[1]
    }

    /// Everything, with these key-encryption keys.
    fn config(&self, file: &Path, digest: &str, keks: &str) -> String {
        let (site, admin, [origin, keys, licence]) = (self.site, self.admin, self.node.ports);
        let block = &self.block;
        format!(
            r#"{block}
resource "streamverse_object_store" "media" {{
  name = "media"
  site = "{site}"
}}
resource "streamverse_event_log" "work" {{
  name = "work"
  site = "{site}"
}}
resource "streamverse_catalogue" "main" {{
  name = "main"
  site = "{site}"
}}
resource "streamverse_key_service" "main" {{
  name           = "main"
  site           = "{site}"
  port           = {keys}
  catalogue      = streamverse_catalogue.main.url
  access_key_ref = "env:PLANTED_ACCESS"
  {keks}
}}
resource "streamverse_drm_config" "main" {{
  name        = "main"
  site        = "{site}"
  systems     = ["clearkey"]
  key_service = streamverse_key_service.main.url
}}
resource "streamverse_transcode_ladder" "small" {{
  segment_duration = "2s"
  video = [{{ name = "180p", height = 180, bit_rate = 200000 }}]
  audio = [{{ name = "stereo" }}]
}}
resource "streamverse_transcoder" "main" {{
  name         = "main"
  site         = "{site}"
  event_log    = streamverse_event_log.work.url
  object_store = streamverse_object_store.media.url
  catalogue    = streamverse_catalogue.main.url
}}
resource "streamverse_vod_asset" "film" {{
  name       = "film"
  site       = "{site}"
  ladder     = streamverse_transcode_ladder.small.definition
  transcoder = streamverse_transcoder.main.name
  drm        = streamverse_drm_config.main.definition
  source     = {{ url = "file://{file}", digest = "{digest}" }}
}}
resource "streamverse_origin" "main" {{
  name         = "main"
  site         = "{site}"
  port         = {origin}
  memory       = "64MiB"
  object_store = streamverse_object_store.media.url
  catalogue    = streamverse_catalogue.main.url
}}
resource "streamverse_entitlement_policy" "main" {{
  packages = [{{ name = "basic", assets = ["film"] }}]
}}
resource "streamverse_licence_service" "main" {{
  name            = "main"
  site            = "{site}"
  port            = {licence}
  admin_port      = {admin}
  key_service     = streamverse_key_service.main.url
  catalogue       = streamverse_catalogue.main.url
  policy          = streamverse_entitlement_policy.main.definition
  token           = {{ issuer = "shop", audience = "tv", clock_skew = "1s" }}
  token_keys      = {{ one = {{ secret_ref = "env:PLANTED_TOKEN" }} }}
  admin_token_ref = "env:PLANTED_ADMIN"
}}
"#,
            file = file.display()
        )
    }

    fn case<'c>(&'c self, cli: &'c Cli) -> Case<'c> {
        Case::new(cli)
            .provider(ADDRESS, self.node.provider())
            .env("PLANTED_ACCESS", text(&ACCESS))
            .env("PLANTED_KEK", text(&KEK))
            .env("PLANTED_OTHER_KEK", text(&OTHER_KEK))
            .env("PLANTED_TOKEN", TOKEN)
            .env("PLANTED_ADMIN", ADMIN)
            .check_destroyed(|_| self.node.nothing_left().map_err(Into::into))
    }

    /// Ann is a subscriber: written through the admin API.
    fn subscribes(&self) -> Checked {
        let http = reqwest::blocking::Client::new();
        let grant = json!({ "kind": "subscription", "package": "basic" });
        for (path, body) in [("ann", Value::Null), ("ann/grants/g", grant)] {
            let url = format!("http://127.0.0.1:{}/admin/v1/accounts/{path}", self.admin);
            http.put(url).bearer_auth(ADMIN).json(&body).send()?.error_for_status()?;
        }
        Ok(())
    }

    /// Ann's licence for a key: the key, or why not.
    fn licence(&self, kid: KeyId, token: &str) -> Result<[u8; 16], String> {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
        let claims = json!({
            "iss": "shop", "aud": "tv", "sub": "ann", "iat": now, "exp": now + 280, "jti": token, "device": "tv-1",
        });
        let part = |it: &Value| URL_SAFE_NO_PAD.encode(it.to_string());
        let message = format!("{}.{}", part(&json!({ "alg": "HS256", "kid": "one" })), part(&claims));
        let key = EncodingKey::from_secret(TOKEN.as_bytes());
        let signature = jsonwebtoken::crypto::sign(message.as_bytes(), &key, Algorithm::HS256).unwrap();
        let answer = reqwest::blocking::Client::new()
            .post(format!("http://127.0.0.1:{}/licence/clearkey", self.node.ports[2]))
            .bearer_auth(format!("{message}.{signature}"))
            .json(&json!({ "kids": [URL_SAFE_NO_PAD.encode(kid.0)], "type": "temporary" }))
            .send();
        let said: Value =
            answer.and_then(reqwest::blocking::Response::json).map_err(|error| error.to_string())?;
        let key = said["keys"][0]["k"].as_str().ok_or_else(|| said.to_string())?;
        let key = URL_SAFE_NO_PAD.decode(key).map_err(|error| error.to_string())?;
        key.try_into().map_err(|_| "no key of 16 bytes".to_owned())
    }

    /// All tracks of the film, through the origin.
    fn tracks(&self, generation: &str) -> Result<Tracks, Box<dyn std::error::Error + Send + Sync>> {
        let base = format!("http://127.0.0.1:{}/vod/film/{generation}", self.node.ports[0]);
        let (_, index) = get(&format!("{base}/index.json"));
        let index: PackageIndex = serde_json::from_str(&index)?;
        let mut all = Tracks::new();
        for track in index.parts.iter().flat_map(|part| &part.tracks) {
            let segments = (0..track.segments.len() as u64).map(|number| track.segment(number));
            let mut bytes = Vec::new();
            for path in std::iter::once(track.init.clone()).chain(segments) {
                let answer = reqwest::blocking::get(format!("{base}/{path}"))?.error_for_status()?;
                bytes.extend_from_slice(&answer.bytes()?);
            }
            all.push((track.kid.ok_or("a track is clear")?, bytes));
        }
        Ok(all)
    }

    /// Ann plays the film: its keys, with which alone it decodes.
    fn plays(&self, files: &Files, tracks: &Tracks, token: &str) -> Vec<[u8; 16]> {
        let file = files.path("track.mp4");
        let play = |(number, (kid, bytes)): (usize, &(KeyId, Vec<u8>))| {
            let key = self.licence(*kid, &format!("{token}{number}")).unwrap();
            std::fs::write(&file, bytes).unwrap();
            let decodes = |key: Option<[u8; 16]>| {
                let mut ffmpeg = Command::new(self.node.tool("ffmpeg"));
                ffmpeg.args(["-v", "error", "-nostdin"]);
                if let Some(key) = key {
                    ffmpeg.args(["-decryption_key", &KeyId(key).hex()]);
                }
                let said = ffmpeg.arg("-i").arg(&file).args(["-f", "null", "-"]).output().unwrap();
                said.status.success() && said.stderr.is_empty()
            };
            let other = key.map(|byte| !byte);
            assert!(decodes(Some(key)) && !decodes(Some(other)) && !decodes(None), "{} {kid}", self.site);
            key
        };
        tracks.iter().enumerate().map(play).collect()
    }

    fn data(&self) -> PathBuf {
        self.node.folder().join("data/test")
    }

    /// Every file of the object store, and when and as what it was written.
    fn packages(&self) -> BTreeMap<PathBuf, (u64, u64, i64, i64)> {
        let mut todo = vec![self.data().join("stores/media")];
        let mut all = BTreeMap::new();
        while let Some(folder) = todo.pop() {
            for entry in std::fs::read_dir(folder).unwrap().map(Result::unwrap) {
                let about = entry.metadata().unwrap();
                if about.is_dir() {
                    todo.push(entry.path());
                } else {
                    let facts = (about.ino(), about.len(), about.mtime(), about.mtime_nsec());
                    all.insert(entry.path(), facts);
                }
            }
        }
        all
    }
}

/// What an operator does, as the documentation of `streamverse_key_service` says: before the new site is applied, and while
/// the old one runs.
fn moves(from: &Place<'_>, to: &Place<'_>) {
    // What `sqlite3 … ".backup …"` does.
    const BACKUP: &str =
        "import sqlite3, sys; sqlite3.connect(sys.argv[1]).backup(sqlite3.connect(sys.argv[2]))";
    let (from, to) = (from.data(), to.data());
    let run = |program: &str, args: &[&std::ffi::OsStr]| {
        let said = Command::new(program).args(args).output().unwrap();
        assert!(said.status.success(), "{program}: {}", String::from_utf8_lossy(&said.stderr));
    };
    for folder in ["stores", "catalogues"] {
        std::fs::create_dir_all(to.join(folder)).unwrap();
    }
    let (store, catalogue) = ("stores/media", "catalogues/main.sqlite");
    run("cp", &["-a".as_ref(), from.join(store).as_ref(), to.join(store).as_ref()]);
    run(
        "python3",
        &["-c".as_ref(), BACKUP.as_ref(), from.join(catalogue).as_ref(), to.join(catalogue).as_ref()],
    );
    let like = format!("--reference={}", from.join(catalogue).display());
    run("chown", &[like.as_ref(), to.join(catalogue).as_ref()]);
    run("chmod", &[like.as_ref(), to.join(catalogue).as_ref()]);
}

#[test]
fn a_catalogue_moves_to_another_site_and_nothing_is_encrypted_again() -> Result<(), Failure> {
    let cli = Cli::terraform()?;
    let second = |_: &Path| vec!["--site".to_owned(), "second".to_owned()];
    let (Some(old), Some(new)) = (Node::start(), Node::start_with(second)) else { return Ok(()) };
    let [one, two] =
        [&old, &new].map(|node| format!("{{ node = {{ socket = \"{}\" }} }}", node.socket().display()));
    let both_sites =
        old.block().replace(&format!("default = {one}"), &format!("default = {one}, second = {two}"));
    assert!(both_sites.contains(&two), "{both_sites}");
    let here = Place { node: &old, site: "default", admin: free_port(), block: &both_sites };
    let there = Place { node: &new, site: "second", admin: free_port(), block: &both_sites };
    let files = Files::new();
    let access = files.private("access", &text(&ACCESS));
    let (made, digest) = clip(&old, "film.mp4", 3);
    let film = files.path("film.mp4");
    std::fs::copy(made, &film).unwrap();
    let first = format!("key_encryption_key = {}", by_secret("PLANTED_KEK"));
    let own = format!("key_encryption_key = {}", by_secret("PLANTED_OTHER_KEK"));
    let both = format!("{own}\n  previous_{first}");
    let value = |state: &tfplugin_testing::cli::StateJson, name: &str| -> Value {
        state.resource("streamverse_vod_asset.film").unwrap()["values"][name].clone()
    };
    let moved = |generation: &Value, kids: &Value| -> Checked {
        let made = generation.as_str().ok_or("no generation")?;
        let was = here.tracks(made)?;
        let known = here.plays(&files, &was, "here");
        moves(&here, &there);
        let brought = there.packages();
        assert!(!brought.is_empty());
        let run = |words: &[&str]| must(&keys(&new, there.keys(), &access, words));
        there
            .case(&cli)
            .step(Step::apply(there.config(&film, &digest, &both)).named("moved").expect_no_warnings().after(
                |cx| {
                    let state = cx.state()?;
                    assert_eq!((&value(&state, "generation"), &value(&state, "key_ids")), (generation, kids));
                    assert!(there.tracks(made)? == was, "other bytes than before");
                    assert_eq!(there.packages(), brought, "something was written anew");
                    // Nobody wrote what Ann has here: it came with the catalogue.
                    assert_eq!(there.plays(&files, &was, "there"), known);
                    run(&["rotate"]);
                    let again = run(&["rotate"]);
                    assert!(again.starts_with(&format!("0 of {} keys", known.len())), "{again}");
                    Ok(())
                },
            ))
            .step(
                Step::apply(there.config(&film, &digest, &own))
                    .named("without the old key-encryption key")
                    .expect_no_warnings()
                    .after(|_| {
                        assert_eq!(there.plays(&files, &there.tracks(made)?, "own"), known);
                        assert_eq!(there.packages(), brought, "something was written anew");
                        let mut all = planted(&[]);
                        all.extend(known.iter().flat_map(|key| secrets::forms(key)));
                        all.extend([ADMIN, TOKEN].map(|text| text.as_bytes().to_vec()));
                        secrets::planted_nowhere(&new, &all).map_err(Into::into)
                    }),
            )
            .run()?;
        Ok(())
    };
    here.case(&cli)
        .step(Step::apply(here.config(&film, &digest, &first)).named("made").expect_no_warnings().after(
            |cx| {
                here.subscribes()?;
                let state = cx.state()?;
                moved(&value(&state, "generation"), &value(&state, "key_ids"))
            },
        ))
        .run()
        .map(|_| ())
}
