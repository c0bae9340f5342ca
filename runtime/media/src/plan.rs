//! The arithmetic of segments: which frames a segment has, in whole numbers.
//!
//! All renditions are cut at the same times, `k × segment duration`. Segment `k` begins with the first frame at or after
//! its time, so that rates like 30000/1001 neither drift nor lose a frame.

use std::time::Duration;

use streamverse_core::{Error, Result};
use streamverse_model::media::{self, LadderSpec, MediaFacts, VideoRendition};

/// Frames per second as a fraction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct FrameRate {
    pub(crate) numerator: u64,
    pub(crate) denominator: u64,
}

impl FrameRate {
    pub(crate) fn parse(text: &str) -> Result<FrameRate> {
        let rate = media::FrameRate::parse(text).ok_or_else(|| {
            Error::permanent(
                "spec-invalid",
                format!("{text:?} is no frame rate: write 25, 50 or a fraction such as 30000/1001"),
            )
        })?;
        Ok(FrameRate { numerator: rate.numerator.into(), denominator: rate.denominator.into() })
    }
}

impl std::fmt::Display for FrameRate {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.denominator {
            1 => write!(f, "{}", self.numerator),
            denominator => write!(f, "{}/{denominator}", self.numerator),
        }
    }
}

impl FrameRate {
    /// Seconds by which the time stamps of segments are moved, because the first B-frame's decoding time would be below
    /// zero. Whole seconds and whole frames at once, so that nothing is rounded.
    pub(crate) fn shift(self) -> u64 {
        if self.denominator == 1 { 10 } else { self.denominator }
    }

    /// The same in frames.
    pub(crate) fn shift_frames(self) -> u64 {
        self.shift() * self.numerator / self.denominator
    }
}

/// How a source is cut.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Cut {
    /// Milliseconds of a segment.
    pub(crate) segment_ms: u64,
    /// Milliseconds of the source.
    pub(crate) duration_ms: u64,
}

impl Cut {
    /// How the renditions that are made of a source are cut.
    ///
    /// # Errors
    /// Frame rates of which no segment length is right for all.
    pub(crate) fn new(ladder: &LadderSpec, facts: &MediaFacts, made: &[VideoRendition]) -> Result<Cut> {
        let sounds = if facts.audio.is_empty() { &[] } else { ladder.audio.as_slice() };
        let kept = made.iter().any(|it| it.frame_rate.is_none());
        let own =
            facts.video.as_ref().filter(|_| kept).and_then(|it| media::FrameRate::parse(&it.frame_rate));
        let others: Vec<media::FrameRate> =
            made.iter().filter_map(|it| media::FrameRate::parse(it.frame_rate.as_deref()?)).collect();
        let length = Duration::from_millis(facts.duration_ms);
        let segment = media::segment_for(ladder.segment_duration.0, own, &others, sounds, length)
            .map_err(|why| Error::permanent("segment-boundaries", why))?;
        let segment_ms = u64::try_from(segment.as_millis()).unwrap_or(4000).max(1);
        Ok(Cut { segment_ms, duration_ms: facts.duration_ms })
    }

    /// The first frame of segment `k`.
    pub(crate) fn first_frame(&self, k: u64, rate: FrameRate) -> u64 {
        let numerator = u128::from(k) * u128::from(self.segment_ms) * u128::from(rate.numerator);
        u64::try_from(numerator.div_ceil(1000 * u128::from(rate.denominator))).unwrap_or(u64::MAX)
    }

    /// Frames in all: those that begin before the end.
    pub(crate) fn frames(&self, rate: FrameRate) -> u64 {
        let numerator = u128::from(self.duration_ms) * u128::from(rate.numerator);
        u64::try_from((numerator / (1000 * u128::from(rate.denominator))).max(1)).unwrap_or(u64::MAX)
    }

    /// Segments in all: the last one has a frame at least.
    pub(crate) fn segments(&self, rate: FrameRate) -> u64 {
        let frames = self.frames(rate);
        let about = self.duration_ms / self.segment_ms + 1;
        (1..=about).rev().find(|count| self.first_frame(count - 1, rate) < frames).unwrap_or(1)
    }
}

/// The renditions that a source can be made into: none larger than it, one at least.
pub(crate) fn fitting(ladder: &LadderSpec, facts: &MediaFacts) -> (Vec<VideoRendition>, Vec<String>) {
    let Some(video) = &facts.video else {
        let left =
            ladder.video.iter().map(|it| format!("{} is left out: the source has no picture", it.name));
        return (Vec::new(), left.collect());
    };
    let (mut fit, large): (Vec<_>, Vec<_>) =
        ladder.video.iter().cloned().partition(|it| it.height <= video.height);
    let mut told: Vec<String> = large
        .iter()
        .map(|it| format!("{} is left out: the source has {} lines", it.name, video.height))
        .collect();
    if fit.is_empty() {
        // The smallest, at the source's own size.
        if let Some(mut smallest) = large.into_iter().min_by_key(|it| it.height) {
            told.retain(|text| !text.starts_with(&format!("{} is", smallest.name)));
            told.push(format!("{} has the source's {} lines", smallest.name, video.height));
            smallest.height = video.height / 2 * 2;
            fit.push(smallest);
        }
    }
    (fit, told)
}

/// Width for a height, in the source's shape, even.
pub(crate) fn width(facts: &MediaFacts, height: u32) -> u32 {
    let (wide, high) =
        facts.video.as_ref().map_or((16, 9), |video| (u64::from(video.width), u64::from(video.height)));
    let width = (u64::from(height) * wide + high) / (2 * high) * 2;
    u32::try_from(width).unwrap_or(u32::MAX).max(2)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_source_of_broken_frames_is_cut_where_sound_can_follow() {
        let facts = |rate: &str| -> MediaFacts {
            serde_json::from_value(serde_json::json!({
                "digest": "x", "bytes": 1, "container": "mov", "duration_ms": 600_000, "subtitles": [], "remarks": [],
                "video": { "codec": "h264", "width": 1280, "height": 720, "frame_rate": rate,
                    "variable_frame_rate": false, "interlaced": false, "rotation": 0, "hdr": false },
                "audio": [{ "codec": "aac", "channels": 2, "sample_rate": 48_000, "language": "und" }],
            }))
            .unwrap()
        };
        let mut ladder = media::default_ladder(720, None);
        let cut = |ladder: &LadderSpec, rate: &str| {
            Cut::new(ladder, &facts(rate), &ladder.video)
                .map(|cut| cut.segment_ms)
                .map_err(|error| error.code)
        };
        assert_eq!(cut(&ladder, "25"), Ok(4000));
        assert_eq!(cut(&ladder, "30000/1001"), Ok(4004));
        assert_eq!(cut(&ladder, "24000/1001"), Ok(4004));
        // A rendition of its own rate that no length of the others fits.
        ladder.video[0].frame_rate = Some("25".to_owned());
        assert_eq!(cut(&ladder, "30000/1001"), Err("segment-boundaries"));
    }

    proptest! {
        #[test]
        fn every_frame_is_in_one_segment(
            segment_ms in 1000_u64..10_000, duration_ms in 1_u64..10_000_000,
            rate in prop::sample::select(vec!["25", "24000/1001", "30000/1001", "60000/1001", "50", "10"])
        ) {
            let rate = FrameRate::parse(rate).unwrap();
            let cut = Cut { segment_ms, duration_ms };
            let count = cut.segments(rate);
            prop_assert_eq!(cut.first_frame(0, rate), 0);
            prop_assert!(cut.first_frame(count - 1, rate) < cut.frames(rate));
            prop_assert!(cut.first_frame(count, rate) >= cut.frames(rate));
            // A segment begins at its time or less than a frame later.
            let k = count / 2;
            let begin = cut.first_frame(k, rate) as f64 * rate.denominator as f64 / rate.numerator as f64;
            let late = begin - (k * segment_ms) as f64 / 1000.0;
            prop_assert!((-1e-6..rate.denominator as f64 / rate.numerator as f64).contains(&late));
        }
    }
}
