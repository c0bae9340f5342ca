//! Encrypted assets: they play with their keys and not without, keys are nowhere else, and what is written of them is true.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use serde_json::{Value, json};
use streamverse_core::stores::{ContentKey, ContentKeys, KeyWanted, open_catalogue};
use streamverse_core::{Error, JobHandle, Result, Stop};
use streamverse_media::vod_job;
use streamverse_model::drm::KeyId;
use streamverse_model::media::{IndexTrack, PACKAGE_INDEX, PackageIndex, TrackKind};
use zeroize::Zeroizing;

use crate::kit::{Platform, digest, spec};

const CLIP: &str = "-f lavfi -i testsrc2=s=640x360:r=25:d=9 -f lavfi -i sine=440:d=9 -pix_fmt yuv420p -c:v libx264 -preset ultrafast -c:a aac";

/// Keys in memory, that are made once.
#[derive(Default)]
pub(crate) struct Keys {
    made: Mutex<BTreeMap<KeyId, (KeyWanted, [u8; 16])>>,
    asked: Mutex<u32>,
}

#[async_trait]
impl ContentKeys for Keys {
    async fn obtain(&self, wanted: &[KeyWanted]) -> Result<Vec<ContentKey>> {
        *self.asked.lock().unwrap() += 1;
        let mut made = self.made.lock().unwrap();
        let one = |wanted: &KeyWanted| {
            let (first, key) = made.entry(wanted.kid).or_insert_with(|| (wanted.clone(), rand::random()));
            if first.asset != wanted.asset {
                return Err(Error::permanent("key-of-another-asset", "it belongs to another asset"));
            }
            Ok(ContentKey::new(wanted.kid, wanted.asset.clone(), Zeroizing::new(*key)))
        };
        wanted.iter().map(one).collect()
    }

    async fn find(&self, kids: &[KeyId]) -> Result<Vec<Option<ContentKey>>> {
        let made = self.made.lock().unwrap();
        let one = |kid: &KeyId| {
            made.get(kid).map(|(first, key)| ContentKey::new(*kid, first.asset.clone(), Zeroizing::new(*key)))
        };
        Ok(kids.iter().map(one).collect())
    }

    async fn probe(&self) -> Result<()> {
        Ok(())
    }
}

impl Keys {
    pub(crate) fn all(&self) -> BTreeMap<KeyId, [u8; 16]> {
        self.made.lock().unwrap().iter().map(|(kid, (_, key))| (*kid, *key)).collect()
    }
}

pub(crate) fn drm(change: &Value) -> Value {
    let mut drm = json!({
        "scheme": "cbcs", "systems": ["clearkey"], "key_granularity": "track_type", "crypto_period": null,
        "crypto_period_segments": null, "key_service": "keys://127.0.0.1:1", "usage": null,
    });
    for (name, value) in change.as_object().unwrap() {
        drm[name] = value.clone();
    }
    json!({ "name": "main", "site": "here", "spec": drm })
}

impl Platform {
    pub(crate) async fn protect(&self, spec: Value, keys: &Arc<Keys>) -> Result<Value> {
        let job = vod_job(spec, self.cx("job"), Some(keys.clone())).await?;
        job.run(JobHandle::new(), Stop::new()).await
    }

    pub(crate) fn package(&self, name: &str, made: &Value) -> PathBuf {
        self.path("data/stores/media/vod").join(name).join(made["generation"].as_str().unwrap())
    }

    /// A track of a part as one file.
    pub(crate) fn whole(&self, package: &Path, track: &IndexTrack) -> PathBuf {
        let mut bytes = std::fs::read(package.join(&track.init)).unwrap();
        for number in 0..track.segments.len() as u64 {
            bytes.extend(std::fs::read(package.join(track.segment(number))).unwrap());
        }
        let file = self.path("whole.mp4");
        std::fs::write(&file, bytes).unwrap();
        file
    }

    /// Frames that ffmpeg decodes of a file without an error, and whether it had any.
    pub(crate) fn decode(&self, file: &Path, args: &[&str]) -> (usize, bool) {
        let mut command = Command::new(self.tool("ffmpeg"));
        command.args(["-v", "error", "-nostdin"]).args(args).arg("-i").arg(file);
        let out = command.args(["-f", "framemd5", "-"]).output().unwrap();
        let lines = String::from_utf8_lossy(&out.stdout);
        let frames = lines.lines().filter(|line| !line.starts_with('#')).count();
        (frames, out.status.success() && out.stderr.is_empty())
    }

    /// Digests of the frames that ffmpeg decodes of a file.
    fn frames(&self, file: &Path, args: &[&str]) -> Vec<String> {
        let mut command = Command::new(self.tool("ffmpeg"));
        command.args(["-v", "error", "-nostdin"]).args(args).arg("-i").arg(file);
        let out = command.args(["-f", "framemd5", "-"]).output().unwrap();
        let lines = String::from_utf8_lossy(&out.stdout).into_owned();
        let digest = |line: &str| line.rsplit(',').next().unwrap_or_default().trim().to_owned();
        lines.lines().filter(|line| !line.starts_with('#')).map(digest).collect()
    }

    /// Decrypts a file with Python and the package cryptography; nothing, told aloud, without them.
    fn python(&self, file: &Path, key: &[u8]) -> Option<PathBuf> {
        use std::io::Write as _;
        let Some(site) = std::env::var_os("STREAMVERSE_PYTHON_SITE") else {
            assert!(std::env::var("CI").is_err(), "STREAMVERSE_PYTHON_SITE is not set");
            eprintln!("SKIPPED: STREAMVERSE_PYTHON_SITE is not set: `cargo xtask tools` prints it");
            return None;
        };
        let out = self.path("by-hand.mp4");
        let mut child = Command::new("python3")
            .arg(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/pipeline/decrypt.py"))
            .arg(file)
            .arg(&out)
            .env("PYTHONPATH", site)
            .stdin(std::process::Stdio::piped())
            .spawn()
            .unwrap();
        child.stdin.take().unwrap().write_all(hex::encode(key).as_bytes()).unwrap();
        assert!(child.wait().unwrap().success());
        Some(out)
    }

    /// Decrypts a file with Shaka Packager.
    pub(crate) fn packager(&self, file: &Path, kind: TrackKind, kid: KeyId, key: &[u8]) -> PathBuf {
        let out = self.path("decrypted.mp4");
        let stream = if kind == TrackKind::Video { "video" } else { "audio" };
        let done = Command::new(self.tool("packager"))
            .arg(format!("in={},stream={stream},output={}", file.display(), out.display()))
            .arg("--enable_raw_key_decryption")
            .arg(format!("--keys=key_id={}:key={}", kid.hex(), hex::encode(key)))
            .output()
            .unwrap();
        assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
        out
    }
}

pub(crate) fn index_of(package: &Path) -> PackageIndex {
    serde_json::from_slice(&std::fs::read(package.join(PACKAGE_INDEX)).unwrap()).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_encrypted_asset_decodes_with_its_keys_and_not_without() {
    let Some(platform) = Platform::new().await else { return };
    let clip = platform.draw("clip.mp4", CLIP);
    let (stop, worker) = platform.worker("one").await;
    let keys = Arc::new(Keys::default());
    for (scheme, granularity, expected) in [("cbcs", "track_type", 2), ("cenc", "asset", 1)] {
        let mut spec = spec("film", &clip);
        spec["drm"] = drm(&json!({
            "scheme": scheme, "key_granularity": granularity, "systems": ["clearkey", "widevine", "playready"],
            "usage": { "expiry": "1h", "offline": false },
        }));
        let made = platform.protect(spec, &keys).await.unwrap();
        let package = platform.package("film", &made);
        let index = index_of(&package);
        assert_eq!(index.protection.as_ref().unwrap().scheme, scheme);
        assert_eq!(index.protection.as_ref().unwrap().iv.is_some(), scheme == "cbcs");
        assert_eq!((index.parts.len(), index.segment_ms), (1, 2000));
        let made = keys.all();
        let used: BTreeSet<KeyId> = index.parts[0].tracks.iter().map(|it| it.kid.unwrap()).collect();
        assert_eq!(used.len(), expected);
        for track in &index.parts[0].tracks {
            let kid = track.kid.unwrap();
            let key = made[&kid];
            let file = platform.whole(&package, track);
            let clear = platform.decode(&file, &["-decryption_key", &hex::encode(key)]);
            let wrong = platform.decode(&file, &["-decryption_key", &"00".repeat(16)]);
            let bare = platform.decode(&file, &[]);
            let frames = if track.kind == TrackKind::Video { 225 } else { clear.0 };
            assert_eq!(clear, (frames, true), "{scheme} {}", track.name);
            assert!(frames > 0 && !bare.1 && !wrong.1, "{scheme} {}: {bare:?} {wrong:?}", track.name);
            // Another program decrypts the same pictures.
            let again = platform.packager(&file, track.kind, kid, &key);
            assert_eq!(platform.decode(&again, &[]), (frames, true), "{scheme} {}", track.name);
            let told = platform.frames(&file, &["-decryption_key", &hex::encode(key)]);
            assert_eq!(platform.frames(&again, &[]), told, "{scheme} {}", track.name);
            // And a third, which is of nobody's that made it.
            if let Some(by_hand) = platform.python(&file, &key) {
                assert_eq!(platform.frames(&by_hand, &[]), told, "{scheme} {}", track.name);
            }
            let dump = Command::new(platform.tool("packager"))
                .arg(format!("input={}", file.display()))
                .arg("--dump_stream_info")
                .output()
                .unwrap();
            let dump = String::from_utf8_lossy(&dump.stdout).into_owned();
            assert!(dump.contains("is_encrypted: true") && dump.contains(&track.codecs), "{dump}");
        }
        let mpd = std::fs::read_to_string(package.join("dash.mpd")).unwrap();
        for kid in used {
            assert!(mpd.contains(&format!("cenc:default_KID=\"{kid}\"")), "{mpd}");
        }
    }
    let catalogue = open_catalogue("sqlite://here/main", &platform.cx("test")).await.unwrap();
    let record = catalogue.asset("film").await.unwrap().unwrap();
    assert_eq!((record.scheme.as_deref(), record.kids.len()), (Some("cenc"), 1));
    // What its licences allow is told with it, and told anew without being made anew.
    let hour = std::time::Duration::from_secs(3600);
    assert_eq!(record.usage.and_then(|it| it.expiry).map(|it| it.0), Some(hour));
    let mut spec = spec("film", &clip);
    spec["drm"] = drm(&json!({
        "scheme": "cenc", "key_granularity": "asset", "systems": ["clearkey", "widevine", "playready"],
        "usage": { "offline": true },
    }));
    let again = platform.protect(spec, &keys).await.unwrap();
    assert_eq!(again["generation"], record.generation.as_str());
    let usage = catalogue.asset("film").await.unwrap().unwrap().usage.unwrap();
    assert_eq!((usage.expiry, usage.offline), (None, true));
    stop.stop();
    worker.await.unwrap().unwrap();
    platform.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn each_crypto_period_has_keys_and_init_segments_of_its_own_and_nothing_is_lost_between() {
    let Some(platform) = Platform::new().await else { return };
    let clip = platform.draw("clip.mp4", CLIP);
    let (stop, worker) = platform.worker("one").await;
    let keys = Arc::new(Keys::default());
    let mut spec = spec("film", &clip);
    let subtitles = platform.path("en.srt");
    std::fs::write(&subtitles, "1\n00:00:01,000 --> 00:00:04,500\nHello, world\n").unwrap();
    spec["asset"]["subtitles"] = json!([{
        "language": "en", "label": "English", "source": { "url": format!("file://{}", subtitles.display()), "digest": digest(&subtitles), "allow_private": false }
    }]);
    spec["drm"] =
        drm(&json!({ "crypto_period": "4s", "systems": ["clearkey", "widevine", "playready", "fairplay"] }));
    let made = platform.protect(spec, &keys).await.unwrap();
    let package = platform.package("film", &made);
    let index = index_of(&package);
    assert_eq!(index.parts.len(), 3);
    let all = keys.all();
    let kids: BTreeSet<KeyId> =
        index.parts.iter().flat_map(|part| &part.tracks).map(|it| it.kid.unwrap()).collect();
    assert_eq!((kids.len(), all.len()), (6, 6), "a key of each period for pictures and for sound");
    // Pictures: every frame, once. Sound: every packet, for all of them come one after another.
    for (number, first) in index.parts[0].tracks.iter().enumerate() {
        let (mut frames, mut units) = (0, 0);
        for part in &index.parts {
            let track = &part.tracks[number];
            assert_eq!((track.begins, &track.name), (0, &first.name));
            assert!(track.segments.len() <= 2 && package.join(&track.init).is_file());
            let file = platform.whole(&package, track);
            let key = hex::encode(all[&track.kid.unwrap()]);
            let (count, fine) = platform.decode(&file, &["-decryption_key", &key]);
            assert!(fine, "{}", track.init);
            frames += count;
            units += track.segments.iter().sum::<u64>();
            let stream = platform.probe(&file, "-show_entries stream=time_base -of csv=p=0");
            assert_eq!(stream, [format!("1/{}", track.timescale)]);
        }
        let seconds = units / u64::from(first.timescale);
        assert_eq!(seconds, 9, "{}", first.name);
        if first.kind == TrackKind::Video {
            assert_eq!(frames, 225, "{}", first.name);
        }
    }
    let cue = |part: usize| {
        std::fs::read_to_string(package.join(format!("p{part:04}/text/0-en/00001.vtt"))).unwrap()
    };
    assert!(
        cue(0).contains("00:00:01.000 --> 00:00:04.000") && cue(1).contains("00:00:00.000 --> 00:00:00.500")
    );
    assert!(!cue(2).contains("Hello"));
    manifests_are_read_by_others(&package, &index);
    stop.stop();
    worker.await.unwrap().unwrap();
    platform.end().await;
}

/// The npm packages hls-parser and mpd-parser read what was written, and find what the index says.
fn manifests_are_read_by_others(package: &Path, index: &PackageIndex) {
    let mut lists: Vec<PathBuf> = Vec::new();
    for track in &index.parts[0].tracks {
        let place = if track.kind == TrackKind::Video { "video" } else { "audio" };
        lists.push(package.join(place).join(&track.name).join("index.m3u8"));
        if track.kind == TrackKind::Video {
            lists.push(package.join(place).join(&track.name).join("iframes.m3u8"));
        }
    }
    lists.push(package.join("text/0-en/index.m3u8"));
    for list in lists.iter().chain([&package.join("hls.m3u8")]) {
        let text = std::fs::read_to_string(list).unwrap();
        assert!(!text.contains("identity"), "{text}");
        // All that is named is there.
        for line in text.lines().filter(|line| !line.starts_with('#') && !line.is_empty()) {
            assert!(list.parent().unwrap().join(line).is_file(), "{line} of {}", list.display());
        }
        for uri in text.split("URI=\"").skip(1).map(|rest| rest.split('"').next().unwrap()) {
            let known = ["data:", "skd:"].iter().any(|scheme| uri.starts_with(scheme));
            assert!(known || list.parent().unwrap().join(uri).is_file(), "{uri} of {}", list.display());
        }
    }
    let Some(node) = std::env::var_os("STREAMVERSE_NODE") else {
        assert!(std::env::var("CI").is_err(), "STREAMVERSE_NODE is not set");
        eprintln!("SKIPPED: STREAMVERSE_NODE is not set: `cargo xtask tools` prints it");
        return;
    };
    let web = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../web");
    if !web.join("node_modules/hls-parser").is_dir() {
        assert!(std::env::var("CI").is_err(), "web/node_modules is missing");
        eprintln!("SKIPPED: web/node_modules is missing: `npm ci` in web makes it");
        return;
    }
    let script = r#"
        const fs = require("node:fs");
        const need = require("node:module").createRequire(process.argv[1] + "/package.json");
        const HLS = need("hls-parser"), MPD = need("mpd-parser");
        const [web, mpd, ...lists] = process.argv.slice(1);
        const hls = lists.map((file) => {
          const list = HLS.parse(fs.readFileSync(file, "utf8"));
          if (list.isMasterPlaylist) return { variants: list.variants.length };
          const at = list.segments.map((it) => it.discontinuity ? 1 : 0);
          return { segments: list.segments.length, breaks: at.reduce((a, b) => a + b, 0), keys: list.segments.map((it) => it.key ? it.key.format : null), maps: new Set(list.segments.map((it) => it.map?.uri)).size, seconds: list.segments.reduce((sum, it) => sum + it.duration, 0) };
        });
        const warnings = [];
        const read = MPD.parse(fs.readFileSync(mpd, "utf8"), { manifestUri: "http://host/dash.mpd", eventHandler: (it) => warnings.push(it.message) });
        const dash = read.playlists.map((it) => ({ segments: it.segments.length, breaks: it.discontinuityStarts, systems: Object.keys(it.contentProtection ?? {}), maps: new Set(it.segments.map((one) => one.map.resolvedUri)).size }));
        console.log(JSON.stringify({ hls, dash, warnings, duration: read.duration }));
    "#;
    let out = Command::new(node)
        .args(["-e", script])
        .arg(&web)
        .arg(package.join("dash.mpd"))
        .args(&lists)
        .arg(package.join("hls.m3u8"))
        .output()
        .unwrap();
    assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
    let read: Value = serde_json::from_slice(&out.stdout).unwrap();
    let (parts, segments) = (index.parts.len(), 5);
    assert_eq!(index.parts.iter().map(|part| part.tracks[0].segments.len()).sum::<usize>(), segments);
    for (list, found) in lists.iter().zip(read["hls"].as_array().unwrap()) {
        let about = format!("{}: {found}", list.display());
        assert_eq!(found["breaks"], parts - 1, "{about}");
        let seconds = found["seconds"].as_f64().unwrap();
        assert!((8.9..9.1).contains(&seconds), "{about}");
        if !list.ends_with("text/0-en/index.m3u8") {
            assert_eq!((&found["segments"], &found["maps"]), (&json!(segments), &json!(parts)), "{about}");
        }
    }
    assert_eq!(read["dash"].as_array().unwrap().len(), 2, "{read}");
    for found in read["dash"].as_array().unwrap() {
        assert_eq!((&found["segments"], &found["maps"]), (&json!(segments), &json!(parts)), "{read}");
        assert_eq!(found["breaks"].as_array().unwrap().len(), parts - 1, "{read}");
        let systems = found["systems"].as_array().unwrap();
        assert!(
            ["mp4protection", "com.widevine.alpha", "com.microsoft.playready"]
                .iter()
                .all(|it| systems.contains(&json!(it))),
            "{read}"
        );
    }
    assert_eq!(read["duration"], 9, "{read}");
}

/// A key as anything might write it down.
fn forms(key: &[u8; 16]) -> Vec<Vec<u8>> {
    use streamverse_model::drm::pssh::{base64, guid_order};
    let mut forms = Vec::new();
    for bytes in [*key, guid_order(&KeyId(*key))] {
        forms.push(bytes.to_vec());
        let (hex, padded) = (hex::encode(bytes), base64(&bytes));
        forms.push(hex.to_uppercase().into_bytes());
        forms.push(KeyId(bytes).to_string().into_bytes());
        forms.push(hex.into_bytes());
        let plain = padded.trim_end_matches('=').to_owned();
        forms.push(plain.replace('+', "-").replace('/', "_").into_bytes());
        forms.push(plain.into_bytes());
    }
    forms
}

/// Looks for every form of every key in one pass.
struct Search(HashMap<Vec<u8>, Vec<Vec<u8>>>);

impl Search {
    fn of(keys: &[[u8; 16]]) -> Search {
        let mut all: HashMap<Vec<u8>, Vec<Vec<u8>>> = HashMap::new();
        for form in keys.iter().flat_map(forms) {
            all.entry(form[..8].to_vec()).or_default().push(form);
        }
        Search(all)
    }

    fn finds(&self, bytes: &[u8]) -> bool {
        let at = |at: usize| {
            self.0
                .get::<[u8]>(&bytes[at..at + 8])
                .is_some_and(|all| all.iter().any(|it| bytes[at..].starts_with(it)))
        };
        (0..bytes.len().saturating_sub(7)).any(at)
    }
}

/// Command lines and environments of all processes below this one, until told.
fn watch(stop: Arc<AtomicBool>) -> std::thread::JoinHandle<(Vec<u8>, usize)> {
    std::thread::spawn(move || {
        let (mut seen, mut packagers) = (BTreeSet::new(), 0);
        while !stop.load(Ordering::Relaxed) {
            for entry in std::fs::read_dir("/proc").into_iter().flatten().flatten() {
                let name = entry.file_name();
                if name.to_string_lossy().parse::<u32>().is_err() {
                    continue;
                }
                for what in ["cmdline", "environ"] {
                    let bytes = std::fs::read(entry.path().join(what)).unwrap_or_default();
                    let is_packager = bytes.windows(14).any(|it| it == b"--clear_lead=0");
                    if seen.insert(bytes) && is_packager {
                        packagers += 1;
                    }
                }
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        (seen.into_iter().flatten().collect(), packagers)
    })
}

fn files(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.is_dir() { files(&path, found) } else { found.push(path) }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_are_in_no_argument_no_environment_no_file_and_no_error() {
    let Some(platform) = Platform::new().await else { return };
    let clip = platform.draw("clip.mp4", CLIP);
    let (stop, worker) = platform.worker("one").await;
    let keys = Arc::new(Keys::default());
    let mut spec = spec("film", &clip);
    spec["drm"] = drm(&json!({ "crypto_period_segments": 1, "systems": ["clearkey", "widevine"] }));
    let enough = Arc::new(AtomicBool::new(false));
    let watcher = watch(enough.clone());
    let made = platform.protect(spec.clone(), &keys).await.unwrap();
    // A packager that repeats all it was told when it fails.
    let loud = platform.path("loud-packager");
    std::fs::write(&loud, "#!/bin/sh\ncat /dev/fd/0 >&2\nexit 1\n").unwrap();
    std::fs::set_permissions(&loud, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    let mut cx = platform.cx("job");
    cx.tools.insert("packager".to_owned(), loud);
    spec["name"] = json!("other");
    let job = vod_job(spec, cx, Some(keys.clone())).await.unwrap();
    let error = job.run(JobHandle::new(), Stop::new()).await.unwrap_err();
    enough.store(true, Ordering::Relaxed);
    let (processes, packagers) = watcher.join().unwrap();
    assert!(packagers > 0, "no packager was seen");
    let all: Vec<[u8; 16]> = keys.all().into_values().collect();
    assert_eq!(all.len(), 20);
    assert!(error.message.contains("(a key)"), "{error}");
    let search = Search::of(&all);
    assert!(!search.finds(format!("{error} {error:?} {made}").as_bytes()));
    assert!(!search.finds(&processes), "a process was told a key");
    let mut found = Vec::new();
    files(platform.folder.path(), &mut found);
    assert!(found.iter().any(|file| file.ends_with("index.json")));
    for file in found {
        assert!(!search.finds(&std::fs::read(&file).unwrap_or_default()), "{}", file.display());
    }
    // The search itself finds what is there.
    assert!(forms(&all[0]).iter().all(|form| search.finds(&[b"x".as_slice(), form].concat())));
    stop.stop();
    worker.await.unwrap().unwrap();
    platform.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_that_is_killed_anywhere_goes_on_with_the_same_keys() {
    let Some(platform) = Platform::new().await else { return };
    // A rate of which no whole number of frames fills a period.
    let clip = platform.draw("clip.mp4", &CLIP.replace("r=25", "r=30000/1001"));
    let (stop, worker) = platform.worker("one").await;
    let keys = Arc::new(Keys::default());
    let mut spec = spec("film", &clip);
    spec["drm"] = drm(&json!({ "crypto_period_segments": 2 }));
    let seed: u64 = rand::random();
    eprintln!("seed {seed}");
    // Killed when keys were asked for, and some time later, in the middle of packaging or of the upload.
    for round in 0..4_u64 {
        let asked = *keys.asked.lock().unwrap();
        let job = vod_job(spec.clone(), platform.cx("job"), Some(keys.clone())).await.unwrap();
        let run = tokio::spawn(job.run(JobHandle::new(), Stop::new()));
        while *keys.asked.lock().unwrap() == asked && !run.is_finished() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        tokio::time::sleep(Duration::from_millis((seed.wrapping_mul(round * 2 + 1) >> 30) % 700)).await;
        run.abort();
        let _ = run.await;
        assert_eq!(keys.all().len(), 6, "seed {seed}: no run asks for other keys");
    }
    let made = platform.protect(spec, &keys).await.unwrap();
    let package = platform.package("film", &made);
    let all = keys.all();
    assert_eq!(all.len(), 6);
    let mut frames: BTreeMap<String, usize> = BTreeMap::new();
    for track in index_of(&package).parts.iter().flat_map(|part| &part.tracks) {
        let file = platform.whole(&package, track);
        let key = hex::encode(all[&track.kid.unwrap()]);
        let (count, fine) = platform.decode(&file, &["-decryption_key", &key]);
        assert!(fine, "seed {seed}: {}", track.init);
        *frames.entry(track.name.clone()).or_default() += count;
        // A period begins with the first frame at or after its time.
        assert!(track.begins * 30 < u64::from(track.timescale), "{track:?}");
    }
    assert_eq!((frames["360p"], frames["180p"]), (270, 270));
    stop.stop();
    worker.await.unwrap().unwrap();
    platform.end().await;
}
