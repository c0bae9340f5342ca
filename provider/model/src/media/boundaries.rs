//! Where pictures and sound are cut, and how far apart.
//!
//! Both are cut at `k ×` segment length: pictures at the first frame at or after it, sound at the first of its own frames
//! (1024 samples of AAC are 21.3 ms). A player that switches or seeks at a boundary has a gap as long as the two are apart,
//! so they may differ by one frame of sound at most. Where a segment is a whole number of pictures they always do: the
//! picture is exact, and sound is late by less than one of its frames. Where it is not, the picture is late by up to a
//! frame of its own: 33 ms at 30000/1001.

use std::time::Duration;

use super::{AudioCodec, AudioRendition, FrameRate};

/// How far boundaries are looked at: after so many segments of a second the pattern of every rate has come back.
const FURTHEST: u64 = 100_000;

impl AudioRendition {
    /// Samples of one of its frames: AAC-LC (ISO/IEC 14496-3), Opus in frames of 20 ms, AC-3 (ETSI TS 102 366).
    pub fn frame_samples(&self) -> u32 {
        match self.codec {
            AudioCodec::Aac => 1024,
            AudioCodec::Opus => 960,
            AudioCodec::Ac3 => 1536,
        }
    }

    /// Whether the first `segments` boundaries of pictures and sound differ by one frame of sound at most.
    pub fn keeps_up(&self, rate: FrameRate, segment: Duration, segments: u64) -> bool {
        let (frames, seconds) = (u128::from(rate.numerator), u128::from(rate.denominator));
        let (samples, each) = (u128::from(self.sample_rate.max(1)), u128::from(self.frame_samples()));
        let ns = segment.as_nanos();
        (1..=segments.min(FURTHEST)).all(|k| {
            let at = u128::from(k) * ns;
            let picture = (at * frames).div_ceil(1_000_000_000 * seconds);
            let sound = (at * samples).div_ceil(1_000_000_000 * each);
            // Both times, in parts of 1/(frames × samples) of a second.
            let apart = (picture * seconds * samples).abs_diff(sound * each * frames);
            apart <= each * frames
        })
    }
}

/// The segment length of a source: the wished one, or the nearest that is whole pictures where the wished one lets sound
/// and pictures drift apart by more than a frame of sound.
///
/// `own` is the source's rate where a rendition keeps it, `others` are the rates that the ladder gives itself.
///
/// # Errors
/// The lengths that the rates want, where none is right for all of them.
pub fn segment_for(
    wished: Duration,
    own: Option<FrameRate>,
    others: &[FrameRate],
    sounds: &[AudioRendition],
    length: Duration,
) -> Result<Duration, String> {
    let Some(rate) = own else { return Ok(wished) };
    let count =
        u64::try_from(length.as_nanos() / wished.as_nanos().max(1)).unwrap_or(u64::MAX).saturating_add(1);
    if sounds.iter().all(|sound| sound.keeps_up(rate, wished, count)) {
        return Ok(wished);
    }
    let near = rate.nearest(wished);
    match others.iter().find(|other| !other.divides(near)) {
        None => Ok(near),
        Some(other) => Err(format!(
            "with segments of {} s, sound and pictures of {rate} frames per second are cut more than a frame of sound apart, and {} s, which would be right, has no whole frames at {other} per second: set segment_duration and frame_rate in the ladder so that they fit each other",
            wished.as_secs_f64(),
            near.as_secs_f64()
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::media::ChannelLayout;

    fn sound(sample_rate: u32) -> AudioRendition {
        AudioRendition {
            name: "stereo".to_owned(),
            codec: AudioCodec::Aac,
            layout: ChannelLayout::Stereo,
            bit_rate: 128_000,
            sample_rate,
            loudness: None,
        }
    }

    const HOUR: Duration = Duration::from_secs(3600);

    #[test]
    fn segments_of_whole_pictures_keep_sound_within_a_frame_of_it() {
        for (rate, wished) in
            [("24000/1001", 4000), ("25", 4000), ("30000/1001", 4000), ("24", 6000), ("60000/1001", 2000)]
        {
            let rate = FrameRate::parse(rate).unwrap();
            let whole = rate.nearest(Duration::from_millis(wished));
            assert!(rate.divides(whole));
            for samples in [44_100, 48_000] {
                assert!(sound(samples).keeps_up(rate, whole, FURTHEST), "{rate} {samples}");
            }
        }
    }

    #[test]
    fn broken_pictures_let_sound_fall_behind() {
        let four = Duration::from_secs(4);
        for (rate, samples, wanted) in [
            // By hand: 4 s are 119.88 pictures, so the eighth boundary is 0.96 of 33.4 ms late, that of the sound (187.5
            // frames each) not at all: 32 ms are more than 21.3.
            ("30000/1001", 48_000, false),
            ("30000/1001", 44_100, false),
            // 95.904 pictures of 41.7 ms.
            ("24000/1001", 48_000, false),
            ("24000/1001", 44_100, false),
            ("25", 48_000, true),
            ("25", 44_100, true),
            // A picture is 16.7 ms: less than a frame of sound, however late.
            ("60000/1001", 48_000, true),
        ] {
            let rate = FrameRate::parse(rate).unwrap();
            assert_eq!(sound(samples).keeps_up(rate, four, 900), wanted, "{rate} {samples}");
        }
        let ntsc = FrameRate::parse("30000/1001").unwrap();
        assert!(sound(48_000).keeps_up(ntsc, four, 3), "not yet: 8 ms at most");
    }

    #[test]
    fn a_source_of_another_rate_has_segments_of_its_own_length_or_is_refused() {
        let (four, ntsc) = (Duration::from_secs(4), FrameRate::parse("30000/1001"));
        let of = |own, others: &[FrameRate], sounds: &[AudioRendition]| {
            segment_for(four, own, others, sounds, HOUR)
        };
        let all = [sound(48_000)];
        assert_eq!(of(ntsc, &[], &all), Ok(Duration::from_millis(4004)));
        assert_eq!(of(FrameRate::parse("24000/1001"), &[], &all), Ok(Duration::from_millis(4004)));
        assert_eq!(of(FrameRate::parse("25"), &[], &all), Ok(four));
        assert_eq!(of(ntsc, &[], &[]), Ok(four), "without sound nothing is apart");
        assert_eq!(of(None, &[FrameRate::whole(25)], &all), Ok(four), "the ladder's own rate was checked");
        assert!(of(ntsc, &[FrameRate::whole(25)], &all).unwrap_err().contains("4.004 s"));
    }
}
