//! Durable appends to the embedded event log, against what the disk does: a record of the same size, written and
//! synced, one after the other.

use std::fs::File;
use std::io::Write as _;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures::future::try_join_all;
use serde_json::json;
use streamverse_core::log::{EventLog, open_log};

use crate::figures::{Rounds, Row};
use crate::origin::{context, run_target};
use crate::{Outcome, Setup, folder, tell};

const TOPIC: &str = "bench";
/// As the topic of the transcoder has (`streamverse-media`, work.rs).
const PARTITIONS: u32 = 16;
/// About what a task of the transcoder takes.
const VALUE: usize = 512;
/// What the log adds: head, fixed fields, key.
const OVERHEAD: usize = 26 + 8;

/// Measures.
///
/// # Errors
/// What stopped it.
pub async fn measure(setup: &Setup) -> Outcome<Vec<Row>> {
    // Records lie on a real disk, also where the folder for temporary files is in memory.
    let disk = tempfile::Builder::new().prefix("events").tempdir_in(&setup.binaries)?;
    let folder = folder()?;
    let mut cx = context(folder.path(), "event-log")?;
    cx.data_dir = disk.path().join("data");
    std::fs::create_dir_all(&cx.data_dir)?;
    let mut server = run_target(setup, "event-log", &json!({ "name": "work" }), &cx, None)?;
    let socket = cx.run_dir.join("event-log.work.sock");
    server.until("listened", || std::os::unix::net::UnixStream::connect(&socket).is_ok()).await?;
    let log = open_log("embedded://here/work", &cx).await?;
    log.ensure_topic(TOPIC, PARTITIONS, None).await?;
    let time = Duration::from_secs(u64::from(setup.seconds()) / 2);
    let (mut one, mut eight) = (Rounds::default(), Rounds::default());
    appends(&log, 8, Duration::from_millis(500)).await?;
    for round in 1..=setup.rounds(7) {
        let floor = synced_writes(disk.path(), time)?;
        let alone = appends(&log, 1, time).await?;
        let together = appends(&log, 8, time).await?;
        one.push(alone, floor);
        eight.push(together, floor);
        tell(format!(
            "event log, round {round}: 1 writer {alone:.0}/s, 8 writers {together:.0}/s, the disk {floor:.0}/s"
        ));
    }
    let note = format!("{VALUE} bytes each; the baseline is write and fdatasync, one after the other");
    Ok(vec![
        one.row("event log: durable appends, 1 writer / disk", "1/s", note.clone()),
        eight.row("event log: durable appends, 8 writers / disk", "1/s", note),
    ])
}

/// Appends in a second, by so many at a time, each waiting for its own to be on disk.
async fn appends(log: &Arc<dyn EventLog>, writers: usize, time: Duration) -> Outcome<f64> {
    let started = Instant::now();
    let work = (0..writers).map(|writer| {
        let log = Arc::clone(log);
        async move {
            let mut count = 0_u32;
            while started.elapsed() < time {
                let key = format!("{writer:02}-{:05}", count % 100_000);
                log.append(TOPIC, &key, Bytes::from(vec![b'x'; VALUE])).await?;
                count += 1;
            }
            Ok::<_, streamverse_core::Error>(count)
        }
    });
    let counts = try_join_all(work.map(|work| async move { tokio::spawn(work).await?.map_err(Boxed::from) }));
    let counts = counts.await?;
    Ok(f64::from(counts.iter().sum::<u32>()) / started.elapsed().as_secs_f64())
}

type Boxed = Box<dyn std::error::Error + Send + Sync>;

/// Records in a second that the disk takes, each synced before the next.
fn synced_writes(folder: &Path, time: Duration) -> Outcome<f64> {
    let path = folder.join("floor");
    let mut file = File::create(&path)?;
    let record = vec![b'x'; VALUE + OVERHEAD];
    let (started, mut count) = (Instant::now(), 0_u32);
    while started.elapsed() < time {
        file.write_all(&record)?;
        file.sync_data()?;
        count += 1;
    }
    let rate = f64::from(count) / started.elapsed().as_secs_f64();
    std::fs::remove_file(path)?;
    Ok(rate)
}
