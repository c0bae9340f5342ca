//! A rehearsal with a real worker: jobs are encoded, and then nothing is left, whether it ended well or not.

use std::time::Duration;

use async_trait::async_trait;
use serde_json::{Value, json};
use streamverse_core::log::open_log;
use streamverse_core::{Result, Stop};
use streamverse_media::{AsyncSeen, Look, Rehearsal};
use streamverse_model::media::Acceleration;

use crate::kit::Platform;

/// Keeps what it sees; says that all is as it was, or never.
struct Seen {
    looks: Vec<Look>,
    back: bool,
}

#[async_trait]
impl AsyncSeen for Seen {
    async fn look(&mut self, look: Look) -> Result<bool> {
        self.looks.push(look);
        Ok(self.back)
    }

    fn missing(&self) -> String {
        ", 3 workers are there, 0 were".to_owned()
    }
}

fn rehearsal(seconds: u64) -> Rehearsal {
    Rehearsal {
        acceleration: Acceleration::None,
        duration: Duration::from_secs(seconds),
        depth: 6,
        most: 1000,
        height: 90,
        settle: Duration::from_secs(120),
        look: Duration::from_millis(300),
        beside_work: false,
    }
}

/// Files of the object store, and jobs that wait.
async fn left(platform: &Platform) -> (Vec<String>, u64) {
    fn files(folder: &std::path::Path, found: &mut Vec<String>) {
        for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
            match entry.path().is_dir() {
                true => files(&entry.path(), found),
                false => found.push(entry.path().display().to_string()),
            }
        }
    }
    let mut found = Vec::new();
    files(&platform.path("data"), &mut found);
    found.retain(|it| it.contains("/work/"));
    let log = open_log("embedded://here/main", &platform.cx("looking")).await.unwrap();
    (found, log.lag("transcoders", "transcode").await.unwrap())
}

async fn rehearse(
    platform: &Platform,
    it: &Rehearsal,
    seen: &mut Seen,
    stop: &Stop,
) -> Result<streamverse_media::Rehearsed> {
    let spec: Value = platform.transcoder();
    it.run(&serde_json::from_value(spec).unwrap(), &platform.cx("rehearsal"), stop, seen).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rehearsal_is_worked_on_and_leaves_the_queue_and_the_store_as_they_were() {
    let Some(platform) = Platform::new().await else { return };
    let (mut seen, stop) = (Seen { looks: Vec::new(), back: true }, Stop::new());
    let error =
        rehearse(&platform, &Rehearsal { settle: Duration::from_secs(1), ..rehearsal(1) }, &mut seen, &stop)
            .await;
    let error = error.unwrap_err();
    assert_eq!(error.code, "nothing-encoded", "there is no worker");
    assert!(!error.message.contains("--type cpu"), "it was on processors: {}", error.message);
    // Nobody is there to take them out of the queue, and that is told too.
    for told in ["6 jobs wait, 0 did before", "a worker passes over jobs that still wait"] {
        assert!(error.message.contains(told), "{told}: {}", error.message);
    }
    let (files, waiting) = left(&platform).await;
    assert_eq!((files, waiting > 0), (Vec::<String>::new(), true));
    // The worker passes over what was withdrawn.
    let (ended, task) = platform.worker("first").await;
    let mut waited = 0;
    while left(&platform).await.1 > 0 {
        tokio::time::sleep(Duration::from_millis(100)).await;
        waited += 1;
        assert!(waited < 600, "what has no source was not passed over");
    }
    let done = rehearse(&platform, &Rehearsal { most: 8, ..rehearsal(300) }, &mut seen, &stop).await.unwrap();
    assert!(done.encoded > 0 && done.peak >= 6 && done.published >= 6, "{done:?}");
    assert_eq!((done.before, done.after), (0, 0));
    assert_eq!(left(&platform).await, (Vec::new(), 0));
    // Told to stop in the middle it takes away what it made, and is no success.
    let asked = stop.clone();
    let ends = tokio::spawn(async move {
        tokio::time::sleep(Duration::from_millis(700)).await;
        asked.stop();
    });
    let error = rehearse(&platform, &rehearsal(600), &mut seen, &stop).await.unwrap_err();
    ends.await.unwrap();
    assert_eq!((error.code, left(&platform).await), ("stopped", (Vec::new(), 0)));
    // Where workers are not as they were it is none either.
    seen.back = false;
    let impatient = Rehearsal { settle: Duration::from_secs(2), most: 1, ..rehearsal(300) };
    let error = rehearse(&platform, &impatient, &mut seen, &Stop::new()).await.unwrap_err();
    assert!(
        error.code == "not-back" && error.message.contains("3 workers are there, 0 were"),
        "{}",
        error.message
    );
    // A worker that cannot: which encoder it lacks is told, and what to do; the queue is as it was.
    seen.back = true;
    let gpu = Rehearsal { acceleration: Acceleration::Nvenc, ..rehearsal(60) };
    let error = rehearse(&platform, &gpu, &mut seen, &Stop::new()).await.unwrap_err();
    assert_eq!((error.code, left(&platform).await), ("encode-failed", (Vec::new(), 0)), "{}", error.message);
    for told in ["no encoder h264_nvenc", "asked for h264_nvenc", "--encoder", "--type cpu"] {
        assert!(error.message.contains(told), "{told}: {}", error.message);
    }
    ended.stop();
    task.await.unwrap().unwrap();
    // Jobs of others are not delayed.
    let log = open_log("embedded://here/main", &platform.cx("looking")).await.unwrap();
    log.append("transcode", "other", json!({}).to_string().into()).await.unwrap();
    let error = rehearse(&platform, &rehearsal(1), &mut seen, &Stop::new()).await.unwrap_err();
    assert_eq!(error.code, "queue-busy");
    platform.end().await;
}
