//! A ladder for who has no opinion.

use std::time::Duration;

use super::{
    Acceleration, AudioCodec, AudioRendition, Backend, ChannelLayout, FrameRate, LadderSpec, VideoCodec,
    VideoRendition,
};

/// Height and bit rate, after the tables of Apple's HLS Authoring Specification for Apple Devices. Those of H.264, and the 30
/// frames per second up to 432 lines, are as copies of its table from 2020 and 2022 have them; Apple's archived first text
/// has 365 kbit/s for 270 lines and 730 for 360. The two rows of HEVC could not be compared with Apple's page. Its older
/// texts allow H.264 up to level 4.2 only (1.3; a later one is quoted with 5.2), so what is larger than 1080 lines is HEVC,
/// and a player without it stays at 1080.
const STEPS: &[(u32, VideoCodec, u64)] = &[
    (2160, VideoCodec::Hevc, 11_600_000),
    (1440, VideoCodec::Hevc, 8_100_000),
    (1080, VideoCodec::H264, 6_000_000),
    (720, VideoCodec::H264, 3_000_000),
    (540, VideoCodec::H264, 2_000_000),
    (432, VideoCodec::H264, 730_000),
    (360, VideoCodec::H264, 365_000),
    (234, VideoCodec::H264, 145_000),
];
/// Up to this height the table has 30 frames per second at most.
const CALM: u32 = 432;

/// A sensible ladder for pictures of up to `max_height` lines: renditions at standard heights, none above it, the largest
/// first, and stereo sound. A picture smaller than every step gets one rendition of its own height; below 16 lines there
/// is nothing to encode, and the ladder is sound alone. Without a frame rate each source keeps its own.
pub fn default_ladder(max_height: u32, frame_rate: Option<FrameRate>) -> LadderSpec {
    let mut steps: Vec<(u32, VideoCodec, u64)> =
        STEPS.iter().copied().filter(|(height, _, _)| *height <= max_height).collect();
    if steps.is_empty() && max_height >= 16 {
        steps.push((max_height / 2 * 2, VideoCodec::H264, 145_000));
    }
    // 4 s, or 4.004 s where a second has no whole number of frames.
    let whole = |span: Duration| frame_rate.map_or(span, |rate| rate.nearest(span));
    let video = steps.into_iter().map(|(height, codec, bit_rate)| VideoRendition {
        name: format!("{height}p"),
        codec,
        height,
        frame_rate: frame_rate.map(|rate| if height > CALM { rate } else { calm(rate) }.to_string()),
        bit_rate,
        max_bit_rate: None,
        gop: None,
    });
    LadderSpec {
        segment_duration: whole(Duration::from_secs(4)).into(),
        video: video.collect(),
        audio: vec![AudioRendition {
            name: "stereo".to_owned(),
            codec: AudioCodec::Aac,
            layout: ChannelLayout::Stereo,
            bit_rate: 128_000,
            sample_rate: 48_000,
            loudness: None,
        }],
        acceleration: Acceleration::None,
        backend: Backend::Ffmpeg,
        gpu: None,
    }
}

/// Every second frame, until there are 30 per second or fewer; as far as that is even.
fn calm(mut rate: FrameRate) -> FrameRate {
    while rate.numerator > 30 * rate.denominator
        && let Some(half) = FrameRate::parse(
            &FrameRate { numerator: rate.numerator / 2, denominator: rate.denominator }.to_string(),
        )
        && half.numerator * 2 == rate.numerator
    {
        rate = half;
    }
    rate
}

#[cfg(test)]
mod tests {
    use tfplugin_schema::{Diagnostics, Field as _};

    use super::super::ladder_check;
    use super::*;

    #[test]
    fn the_default_ladder_passes_its_own_checks_and_never_enlarges() {
        let rates =
            ["24000/1001", "24", "25", "30000/1001", "30", "48", "50", "60000/1001", "60", "100", "120"];
        let rates = rates.iter().map(|rate| Some(FrameRate::parse(rate).unwrap())).chain([None]);
        for rate in rates {
            for height in (0..400).chain([431, 480, 540, 576, 719, 720, 1080, 1440, 2160, 4320, u32::MAX]) {
                let spec = default_ladder(height, rate);
                assert!(spec.video.iter().all(|it| it.height <= height), "{height}");
                assert_eq!(spec.video.is_empty(), height < 16, "{height}");
                let view = LadderSpec::view(&LadderSpec::write(&spec)).unwrap();
                let mut out = Diagnostics::new();
                ladder_check::check(view.known().unwrap(), &mut out);
                let found: Vec<_> = out.iter().map(|it| it.detail.clone()).collect();
                assert_eq!(found, [""; 0], "{height} {rate:?}");
            }
        }
    }

    #[test]
    fn small_pictures_have_thirty_frames_at_most() {
        let spec = default_ladder(1080, FrameRate::parse("60000/1001"));
        let steps: Vec<_> =
            spec.video.iter().map(|it| (it.name.as_str(), it.frame_rate.as_deref())).collect();
        let (fast, slow) = (Some("60000/1001"), Some("30000/1001"));
        assert_eq!(
            steps,
            [("1080p", fast), ("720p", fast), ("540p", fast), ("432p", slow), ("360p", slow), ("234p", slow)]
        );
        assert_eq!(spec.segment_duration.to_string(), "4s4ms");
        assert_eq!(ladder_check::codecs(&default_ladder(2160, None))["2160p"], "hvc1.1.6.L153.90");
    }
}
