//! Logs that stay short while somebody writes to them.

use std::fs::OpenOptions;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use crate::process::{is_longer, older_log};

/// What could not be put aside is tried again after so long, and not at each look: each try copies what may be long, on a disk that may
/// be full.
const AGAIN: Duration = Duration::from_secs(60);

/// A log that a process holds open.
#[derive(Debug, Default)]
pub(crate) struct OpenLog {
    /// When it last could not be put aside.
    failed: Option<Instant>,
}

impl OpenLog {
    /// Puts a log that is too long aside.
    pub(crate) fn shorten(&mut self, log: &Path, longest: u64) {
        self.shorten_by(log, longest, Instant::now(), put_aside);
    }

    fn shorten_by(
        &mut self,
        log: &Path,
        longest: u64,
        now: Instant,
        put_aside: impl FnOnce(&Path) -> std::io::Result<()>,
    ) {
        if self.failed.is_some_and(|last| now.saturating_duration_since(last) < AGAIN)
            || !is_longer(log, longest)
        {
            return;
        }
        let told = self.failed.is_some();
        match put_aside(log) {
            Ok(()) => self.failed = None,
            Err(error) => {
                self.failed = Some(now);
                // Once: on a disk that is full our own log needs room, too.
                if !told {
                    tracing::warn!(log = %log.display(), %error, "A log that is too long cannot be put aside; it grows on. It is tried again each minute: is the disk full?");
                }
            }
        }
    }
}

/// Whoever writes to it holds the file itself, so its content is put aside and it is emptied. Whoever appends goes on at its new end; a
/// line that is written between the two is lost.
fn put_aside(log: &Path) -> std::io::Result<()> {
    // Under another name first: a copy that the disk has no room for must not cost the older half.
    let copy = PathBuf::from(format!("{}.new", log.display()));
    let emptied = std::fs::copy(log, &copy)
        .and_then(|_| std::fs::rename(&copy, older_log(log)))
        .and_then(|()| OpenOptions::new().write(true).open(log)?.set_len(0));
    if emptied.is_err() {
        let _ = std::fs::remove_file(&copy);
    }
    emptied
}

#[cfg(test)]
mod tests {
    use streamverse_core::telemetry::lines_to;

    use super::*;
    use crate::process::{Roof, tests::started_with};

    #[tokio::test]
    async fn a_log_stays_short_while_its_process_writes() {
        let folder = tempfile::tempdir().unwrap();
        let log = folder.path().join("log");
        let args = ["-c".to_owned(), "while :; do echo 0123456789; done".to_owned()];
        let roof = Roof { data: 64 << 20, files: 77 };
        let mut process = started_with(folder.path(), Path::new("sh"), &args, &log, roof);
        let (mut logs, mut seen, mut emptied) = (OpenLog::default(), 0, 0);
        for _ in 0..3000 {
            logs.shorten(&log, 100_000);
            let long = std::fs::metadata(&log).map_or(0, |it| it.len());
            emptied += u32::from(long < seen);
            seen = long;
            if emptied == 3 {
                break;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        process.stop(Duration::ZERO).await;
        assert_eq!(emptied, 3, "it is {seen} bytes long");
        // No hole where the writer thought its end to be.
        let text =
            std::fs::read_to_string(&log).unwrap() + &std::fs::read_to_string(older_log(&log)).unwrap();
        assert!(
            text.len() > 100_000 && text.bytes().all(|it| it == b'\n' || it.is_ascii_digit()),
            "{}",
            text.len()
        );
    }

    #[test]
    fn a_log_that_cannot_be_put_aside_is_tried_once_a_minute_and_told_once() {
        let folder = tempfile::tempdir().unwrap();
        let (log, began) = (folder.path().join("log"), Instant::now());
        std::fs::write(&log, [b'x'; 200]).unwrap();
        let told = folder.path().join("told");
        // This test's thread, and no other, writes there.
        let lines = lines_to(std::fs::File::create(&told).unwrap());
        let _held = tracing::dispatcher::set_default(&lines);
        let (mut logs, mut tries) = (OpenLog::default(), 0);
        let full = |tries: &mut u32| {
            *tries += 1;
            Err(std::io::Error::from(std::io::ErrorKind::StorageFull))
        };
        // Five looks a second for ten minutes.
        for look in 0..3000 {
            let now = began + look * Duration::from_millis(200);
            logs.shorten_by(&log, 100, now, |_| full(&mut tries));
        }
        assert_eq!(tries, 10);
        // There is room again: it is put aside, and a later fault is told anew.
        let mut now = began + Duration::from_secs(700);
        logs.shorten_by(&log, 100, now, put_aside);
        assert_eq!(
            (std::fs::read(&log).unwrap().len(), std::fs::read(older_log(&log)).unwrap().len()),
            (0, 200)
        );
        std::fs::write(&log, [b'y'; 200]).unwrap();
        now += Duration::from_millis(200);
        logs.shorten_by(&log, 100, now, |_| full(&mut tries));
        assert_eq!(tries, 11, "after a success it is tried at once");
        let told = std::fs::read_to_string(told).unwrap();
        assert_eq!(told.matches("cannot be put aside").count(), 2, "{told}");
    }

    #[test]
    fn a_copy_that_the_disk_has_no_room_for_costs_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let log = folder.path().join("log");
        std::fs::write(&log, [b'x'; 200]).unwrap();
        std::fs::write(older_log(&log), "older").unwrap();
        // Nothing can be written there.
        std::fs::create_dir(folder.path().join("log.new")).unwrap();
        OpenLog::default().shorten(&log, 100);
        assert_eq!(std::fs::read(&log).unwrap().len(), 200);
        assert_eq!(std::fs::read(older_log(&log)).unwrap(), b"older");
    }
}
