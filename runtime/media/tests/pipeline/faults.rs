//! Faults around a job: a disk that is full, a source that changes or goes while it is fetched.

use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use serde_json::json;
use streamverse_media::VOD;

use crate::kit::{Platform, spec};

const SHORT: &str = "-f lavfi -i testsrc2=s=640x360:r=25:d=3 -pix_fmt yuv420p -c:v libx264 -preset ultrafast";

/// A small file system in memory, taken away with this.
struct Small<'p>(&'p Path);

impl Small<'_> {
    /// None, told aloud, where nothing may be mounted.
    fn of<'p>(path: &'p Path, size: &str) -> Option<Small<'p>> {
        std::fs::create_dir_all(path).unwrap();
        let mounted = Command::new("mount")
            .args(["-t", "tmpfs", "-o", &format!("size={size}"), "tmpfs"])
            .arg(path)
            .output();
        if mounted.is_ok_and(|out| out.status.success()) {
            return Some(Small(path));
        }
        assert!(std::env::var_os("CI").is_none(), "a small file system cannot be mounted");
        eprintln!("SKIPPED: a small file system cannot be mounted here; as root it can");
        None
    }

    fn grow(&self, size: &str) {
        let done = Command::new("mount").args(["-o", &format!("remount,size={size}")]).arg(self.0).status();
        assert!(done.unwrap().success());
    }
}

impl Drop for Small<'_> {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(self.0).status();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_is_named_and_the_job_is_done_once_there_is_room() {
    let Some(platform) = Platform::new().await else { return };
    let clip = platform.draw("clip.mp4", SHORT);
    // Whether the job's disk is full, a worker's, or the store's.
    for (name, folder) in [("job", "scratch/job"), ("worker", "scratch/one"), ("store", "data/stores")] {
        let path = platform.path(folder);
        let Some(small) = Small::of(&path, "64k") else { return platform.end().await };
        let (stop, worker) = platform.worker("one").await;
        let error = platform.job(&VOD, spec(name, &clip)).await.unwrap_err();
        assert!(error.retry, "{name}: {}", error.chain());
        let told = format!("{} {}", error.code, error.chain());
        assert!(told.contains("disk-full"), "{name}: {told}");
        small.grow("64m");
        platform.job(&VOD, spec(name, &clip)).await.unwrap();
        stop.stop();
        worker.await.unwrap().unwrap();
        drop(small);
    }
    platform.end().await;
}

/// Serves answers in turn, the last one for ever; tells how many were asked for.
fn web(answers: Vec<Vec<u8>>) -> (String, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/film.mp4", listener.local_addr().unwrap());
    let asked = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&asked);
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let Ok(mut stream) = stream else { return };
            let at = count.fetch_add(1, Ordering::SeqCst);
            let mut buffer = [0; 4096];
            let _ = stream.read(&mut buffer);
            let _ = stream.write_all(answers.get(at).or(answers.last()).unwrap());
        }
    });
    (url, asked)
}

fn answer(status: &str, fields: &str, body: &[u8]) -> Vec<u8> {
    let mut bytes = format!("HTTP/1.1 {status}\r\nconnection: close\r\n{fields}\r\n").into_bytes();
    bytes.extend_from_slice(body);
    bytes
}

#[tokio::test(flavor = "multi_thread")]
async fn a_source_that_is_cut_off_goes_on_and_one_that_changed_or_went_is_told() {
    let Some(platform) = Platform::new().await else { return };
    let clip = platform.draw("clip.mp4", SHORT);
    let bytes = std::fs::read(&clip).unwrap();
    let half = bytes.len() / 2;
    let length = format!("content-length: {}\r\netag: \"one\"\r\n", bytes.len());
    let cut = answer("200 OK", &length, &bytes[..half]);
    let rest = format!(
        "content-length: {}\r\ncontent-range: bytes {half}-{}/{}\r\netag: \"one\"\r\n",
        bytes.len() - half,
        bytes.len() - 1,
        bytes.len()
    );
    let rest = answer("206 Partial Content", &rest, &bytes[half..]);
    let probe = |url: String| {
        let platform = &platform;
        async move {
            platform.job(&streamverse_media::PROBE, json!({ "source": url, "allow_private": true })).await
        }
    };
    let (url, _) = web(vec![cut.clone(), rest]);
    assert_eq!(probe(url).await.unwrap()["bytes"], bytes.len());
    // Another file under the same address: what was had of the first is not mixed with it.
    let other = answer("200 OK", &length.replace("one", "two"), &bytes);
    let (url, _) = web(vec![cut.clone(), other]);
    let error = probe(url).await.unwrap_err();
    assert_eq!(error.code, "source-changed", "{}", error.chain());
    let (url, asked) = web(vec![cut, answer("404 Not Found", "content-length: 0\r\n", b"")]);
    let error = probe(url).await.unwrap_err();
    assert_eq!((error.code, error.retry), ("source-missing", false), "{}", error.chain());
    assert_eq!(asked.load(Ordering::SeqCst), 2, "what is gone is not asked for again and again");
    // More than there can be room for: refused before a byte of it is fetched.
    let (url, _) = web(vec![answer("200 OK", "content-length: 4000000000000000\r\n", b"x")]);
    let error = probe(url).await.unwrap_err();
    assert_eq!((error.code, error.retry), ("source-too-large", false), "{}", error.chain());
    platform.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn names_that_lead_out_of_their_folder_are_refused() {
    let Some(platform) = Platform::new().await else { return };
    let clip = platform.draw("clip.mp4", SHORT);
    let bad = "../../../../out";
    let mut specs = vec![];
    for pointer in ["/ladder/video/0/name", "/ladder/audio/0/name"] {
        let mut one = spec("film", &clip);
        *one.pointer_mut(pointer).unwrap() = json!(bad);
        specs.push((pointer, one));
    }
    let mut words = spec("film", &clip);
    words["asset"]["subtitles"] = json!([{ "language": "en,segment_template=/out/$Number$.vtt", "label": null, "source": words["asset"]["source"] }]);
    specs.push(("/asset/subtitles/0/language", words));
    let mut named = spec("film", &clip);
    named["name"] = json!(bad);
    specs.push(("name", named));
    for (what, spec) in specs {
        let error = platform.job(&VOD, spec).await.unwrap_err();
        assert_eq!((error.code, error.retry), ("spec-invalid", false), "{what}: {}", error.chain());
    }
    platform.end().await;
}
