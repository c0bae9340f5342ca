//! Compute Engine: the metadata server holds the request until `instance/preempted` changes.
//!
//! Source: Compute Engine documentation, "Query VM metadata" (`wait_for_change`, `timeout_sec`, `last_etag`), "Preemptible
//! VM instances" (`preempted`), instances.scheduling.preemptionNoticeDuration. The server does not say when the instance
//! is gone: it is the notice's length after it changed.

use std::sync::Arc;
use std::time::Duration;

use streamverse_core::{Error, Result};
use streamverse_model::compute::Reason;
use tokio::sync::{Mutex, mpsc};

use super::Notice;
use crate::drain::metadata::Metadata;
use crate::drain::now_ms;

/// How long the server holds a request.
const HELD: u64 = 60;
const WITHIN: Duration = Duration::from_secs(HELD + 10);
/// Between two requests: the server does the waiting.
const EVERY: Duration = Duration::from_millis(50);

pub(super) async fn watch(metadata: Metadata, notice_seconds: u64, tell: mpsc::Sender<Notice>) -> Result<()> {
    let etag: Arc<Mutex<Option<String>>> = Arc::default();
    super::every(EVERY, || look(metadata.clone(), Arc::clone(&etag), notice_seconds, tell.clone())).await
}

async fn look(
    metadata: Metadata,
    etag: Arc<Mutex<Option<String>>>,
    notice_seconds: u64,
    tell: mpsc::Sender<Notice>,
) -> Result<bool> {
    let mut etag = etag.lock().await;
    let path = match &*etag {
        // A change between two requests is not missed: the server compares.
        Some(etag) => format!(
            "/computeMetadata/v1/instance/preempted?wait_for_change=true&timeout_sec={HELD}&last_etag={etag}"
        ),
        // The first look does not wait: the agent may be started again after the change.
        None => "/computeMetadata/v1/instance/preempted".to_owned(),
    };
    let answer = metadata.ask(metadata.get(&path).header("Metadata-Flavor", "Google"), WITHIN).await?;
    if answer.status != 200 {
        let text = format!("the metadata server answers instance/preempted with {}", answer.status);
        return Err(Error::passing("metadata", text));
    }
    if answer.body.trim() == "TRUE" {
        let gone = now_ms().saturating_add(notice_seconds.saturating_mul(1000));
        return Ok(tell.send(Notice::new(Reason::Preempted, Some(gone))).await.is_ok());
    }
    let plain = |it: &String| it.len() < 100 && it.bytes().all(|b| b.is_ascii_alphanumeric());
    match answer.etag.filter(plain) {
        Some(fresh) => *etag = Some(fresh),
        // Without one it cannot be asked to wait, and must not be asked without pause.
        None => tokio::time::sleep(Duration::from_secs(1)).await,
    }
    Ok(tell.is_closed())
}
