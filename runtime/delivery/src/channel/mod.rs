//! The running part of a 24/7 channel (target `fast-channel`). What is asked for and what plays: `model::media::channel`.
//!
//! | path below `/channel/NAME/` | answer |
//! |---|---|
//! | `hls.m3u8`, `video/TRACK.m3u8`, `audio/TRACK.m3u8`, `text/LANGUAGE.m3u8` | HLS |
//! | `dash.mpd` | DASH |
//! | `…?from=RFC3339`, `…?from=RFC3339&to=RFC3339` | start-over, catch-up |
//! | `now.json` | what is on and what comes next |
//! | `cues/LANGUAGE/ASSET/GENERATION/PART/NUMBER.vtt` | captions, cut in step with pictures |
//! | `time` | the clock that DASH players follow |
//!
//! Segments stay where packages are, below `/vod/`: an edge leads both there and here. All that is answered is a pure function
//! of what was announced and of the instant; replicas agree on what was announced by documents that never change
//! ([`announced`]).

mod announced;
mod answers;
mod cues;
mod dash;
mod epg;
mod hls;
mod lineup;
mod now;
mod package;
mod packages;
mod query;
mod question;
mod scte35;
mod service;
mod shared;
mod time;
mod timeline;

pub use epg::EPG;
pub use question::{NoQuestion, Question};
pub use service::FAST_CHANNEL;

#[cfg(test)]
mod kit;
#[cfg(test)]
mod tests;
