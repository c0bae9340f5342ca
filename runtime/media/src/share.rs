//! What one lane of a worker may take, and whether its ffmpeg has what a task needs.

use std::collections::BTreeSet;

use streamverse_core::tool::{Limits, Tool};
use streamverse_core::{Error, Result, ServiceContext, Stop};
use streamverse_model::media::{Acceleration, TranscoderSpec};
use tokio::sync::OnceCell;

use crate::encode::{audio_encoder, encoder};
use crate::work::{Task, Track};

/// A lane's share of what the worker has: lanes encode side by side, so each gets an equal part.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Share {
    memory: u64,
    scratch: u64,
    lanes: u32,
}

impl Share {
    pub(crate) fn of(spec: &TranscoderSpec) -> Share {
        let lanes = spec.concurrency.max(1);
        Share { memory: spec.memory.0 / u64::from(lanes), scratch: spec.scratch.0 / u64::from(lanes), lanes }
    }

    pub(crate) fn limits(&self) -> Limits {
        Limits { memory: self.memory, file: self.scratch, ..Limits::default() }
    }

    /// Refuses what has no room in this lane's part of the scratch space: the source, and what is made of it at a time.
    pub(crate) fn fits(&self, source: u64, made: u64) -> Result<()> {
        let needed = source.saturating_add(made);
        if needed <= self.scratch {
            return Ok(());
        }
        let mib = |bytes: u64| bytes.div_ceil(1 << 20);
        Err(Error::permanent(
            "scratch-full",
            format!(
                "an encode needs {} MiB of scratch space ({} MiB for the source), more than its share, {} MiB: raise \
                 `scratch` of the transcoder, or lower `concurrency`, which is {}",
                mib(needed),
                mib(source),
                mib(self.scratch),
                self.lanes
            ),
        ))
    }

    /// Says of a tool that ran into its share which attribute gave it.
    pub(crate) fn explain(&self, error: Error) -> Error {
        let told = |code: &'static str, what: &str, attribute: &str, bytes: u64| {
            let text = format!(
                "an encode needs more {what} than its share, {} MiB: raise `{attribute}` of the transcoder, or lower `concurrency`, which is {}",
                bytes.div_ceil(1 << 20),
                self.lanes
            );
            Error::permanent(code, text)
        };
        let says = |words: &[&str]| words.iter().any(|word| error.message.contains(word));
        if error.code == "tool-killed"
            || (error.code == "tool-failed" && says(&["Out of memory", "bad_alloc"]))
        {
            return told("tool-killed", "memory", "memory", self.memory).because(error);
        }
        if error.code == "tool-failed" && says(&["SIGXFSZ", "File too large"]) {
            return told("scratch-full", "space for one file", "scratch", self.scratch).because(error);
        }
        // Encoders that get no memory end like this, and the line that says why is far above the end of stderr.
        if error.code == "tool-failed" && says(&["external library", "Invalid argument"]) {
            return Error::permanent(
                error.code,
                format!(
                    "{}; an encoder that gets no memory ends like this too: this encode had {} MiB, the transcoder's `memory` divided by its `concurrency`",
                    error.message,
                    self.memory >> 20
                ),
            );
        }
        error
    }
}

/// The encoders of this worker's ffmpeg, asked for once.
#[derive(Debug, Default)]
pub(crate) struct Encoders(OnceCell<BTreeSet<String>>);

impl Encoders {
    /// Refuses a task that this ffmpeg cannot do, in words: ffmpeg itself says `Unknown encoder` on one line of many.
    /// Whether the device behind an encoder is there is seen only when it is used.
    pub(crate) async fn check(&self, cx: &ServiceContext, task: &Task, stop: &Stop) -> Result<()> {
        let known = self.0.get_or_try_init(|| async {
            let said = Tool::of(cx, "ffmpeg").args(["-v", "error", "-encoders"]).until(stop).run().await?;
            Ok::<_, Error>(read(&said.stdout))
        });
        let known = known.await?;
        let (wanted, instead) = match &task.track {
            Track::Video { rendition, .. } if task.acceleration == Acceleration::None => {
                (encoder(rendition.codec, task.acceleration)?, "choose another `codec` in the ladder")
            }
            Track::Video { rendition, .. } => (
                encoder(rendition.codec, task.acceleration)?,
                "set acceleration = \"none\" in the ladder, which encodes on the processor",
            ),
            Track::Audio { rendition, .. } => {
                (audio_encoder(rendition.codec), "choose another `codec` for the ladder's audio")
            }
        };
        if known.contains(wanted) {
            return Ok(());
        }
        Err(Error::permanent(
            "encoder-missing",
            format!(
                "{} on this worker has no encoder {wanted}: install an ffmpeg that was built with it, or {instead}",
                cx.tool("ffmpeg").display()
            ),
        ))
    }
}

/// The names in `ffmpeg -encoders`: after the legend's line of dashes, flags and a name in each line.
fn read(text: &str) -> BTreeSet<String> {
    let lines = text.lines().skip_while(|line| !line.trim().starts_with("---"));
    lines.skip(1).filter_map(|line| line.split_whitespace().nth(1)).map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn encoders_are_read_without_the_legend() {
        let said = "Encoders:\n V..... = Video\n .F.... = Frame-level\n ------\n V....D libx264   H.264 / AVC\n A....D aac   AAC\n";
        assert_eq!(read(said), BTreeSet::from(["aac".to_owned(), "libx264".to_owned()]));
    }

    #[test]
    fn a_lane_has_its_part_of_the_worker() {
        let spec = serde_json::json!({
            "concurrency": 4, "workers": 1, "scratch": "8GiB", "memory": "2GiB", "event_log": "", "object_store": "", "catalogue": "",
        });
        let share = Share::of(&serde_json::from_value(spec).unwrap());
        assert_eq!((share.limits().memory, share.limits().file), (512 << 20, 2 << 30));
        assert!(share.fits(1 << 30, 1 << 30).is_ok());
        let error = share.fits(2 << 30, 1).unwrap_err();
        assert!(!error.retry && error.message.contains("raise `scratch`"), "{}", error.message);
        let error = share.explain(Error::permanent("tool-failed", "ffmpeg ended with signal: 25 (SIGXFSZ)"));
        assert_eq!((error.code, error.message.contains("`scratch`")), ("scratch-full", true));
        assert_eq!(share.explain(Error::permanent("tool-failed", "other")).message, "other");
    }
}
