//! What the worker does, read off the metrics at its own socket.

use std::path::PathBuf;
use std::time::Duration;

use streamverse_core::{Error, Result};
use streamverse_model::compute::WorkReport;
use tokio::sync::watch;
use tracing::debug;

use super::metadata::Metadata;

/// Between two looks: whether a worker is idle is known this much too late at most.
const EVERY: Duration = Duration::from_secs(5);
const WITHIN: Duration = Duration::from_secs(5);
const PREFIX: &str = "streamverse_transcoder_";

/// Looks until it is aborted. Whoever watches is woken when the worker begins to work, or has nothing to do any more; what is
/// told in between is there for whoever looks.
pub(super) async fn watch(socket: PathBuf, tell: watch::Sender<Option<WorkReport>>) {
    let client = match Metadata::at_socket(&socket) {
        Ok(client) => client,
        Err(error) => return debug!(error = %error.chain(), "Nobody asks the worker what it does."),
    };
    loop {
        let seen = match look(&client).await {
            Ok(seen) => seen,
            Err(error) => {
                debug!(error = %error.chain(), "The worker does not say what it does.");
                None
            }
        };
        tell.send_if_modified(|known| {
            let works = |it: &Option<WorkReport>| it.map(|it| it.running > 0);
            let turned = works(known) != works(&seen);
            *known = seen;
            turned
        });
        tokio::time::sleep(EVERY).await;
    }
}

async fn look(client: &Metadata) -> Result<Option<WorkReport>> {
    let page = client.ask(client.get("/metrics"), WITHIN).await?;
    if page.status != 200 {
        return Err(Error::passing("metrics", format!("the worker answers /metrics with {}", page.status)));
    }
    Ok(read(&page.body))
}

/// What a page of metrics says; `None` where it is no transcoder's.
fn read(page: &str) -> Option<WorkReport> {
    let value = |name: &str| {
        let mut lines = page.lines().filter_map(|line| line.strip_prefix(PREFIX)?.strip_prefix(name));
        let value: f64 = lines.find_map(|rest| rest.strip_prefix(' ')?.trim().parse().ok())?;
        (value.is_finite() && value >= 0.0).then_some(value)
    };
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "casts of floats saturate")]
    let millis = |seconds: f64| (seconds * 1000.0) as u64;
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "casts of floats saturate")]
    Some(WorkReport {
        running: value("running")? as u32,
        idle_ms: millis(value("idle_seconds")?),
        done: value("tasks_total")? as u64,
        busy_ms: millis(value("busy_seconds_total")?),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_transcoders_page_is_read_and_any_other_says_nothing() {
        let page = "# TYPE streamverse_transcoder_running gauge\nstreamverse_transcoder_running 0.0\n\
            streamverse_transcoder_idle_seconds 12.5\nstreamverse_transcoder_tasks_total 7\n\
            streamverse_transcoder_busy_seconds_total 61.25\n# EOF\n";
        let work = WorkReport { running: 0, idle_ms: 12_500, done: 7, busy_ms: 61_250 };
        assert_eq!(read(page), Some(work));
        assert_eq!(read("# EOF\n"), None);
        assert_eq!(read(&page.replace("12.5", "NaN")), None);
        assert_eq!(read(&page.replace("7\n", "-1\n")), None);
        assert_eq!(read(&page.replace("0.0", "1e300")).map(|it| it.running), Some(u32::MAX));
    }
}
