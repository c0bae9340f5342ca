//! The levels of video codecs, and the codec strings that name them (RFC 6381).
//!
//! A level bounds picture size, pictures per second, bit rate and the decoder's buffer at once; a stream has the lowest
//! one that holds all of them. Players choose by the string: one that says too little leads to pictures that stall, one
//! that says too much is not tried where it would play.

use super::{AudioCodec, FrameRate, VideoCodec};

/// What a decoder has to cope with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Picture {
    /// Width in pixels.
    pub width: u32,
    /// Height in pixels.
    pub height: u32,
    /// Frames per second.
    pub rate: FrameRate,
    /// The highest bit rate in bit/s, over a buffer of two seconds.
    pub max_bit_rate: u64,
}

impl Picture {
    /// A picture of this height in the usual shape, 16:9.
    pub fn wide(height: u32, rate: FrameRate, max_bit_rate: u64) -> Picture {
        let width = u64::from(height) * 16 / 9;
        Picture { width: u32::try_from(width).unwrap_or(u32::MAX), height, rate, max_bit_rate }
    }
}

/// One row of a codec's table. Sizes are macroblocks for H.264, luma samples otherwise; rates are bit/s.
struct Level {
    /// As the codec string has it.
    idc: u8,
    frame: u64,
    second: u64,
    bit_rate: u64,
    buffer: u64,
}

const fn level(idc: u8, frame: u64, second: u64, bit_rate: u64, buffer: u64) -> Level {
    Level { idc, frame, second, bit_rate, buffer }
}

/// ITU-T H.264 table A-1: MaxFS, MaxMBPS, MaxBR, MaxCPB, the last two with High profile's factor of 1250 (table A-2).
/// Without level 1b, which High profile writes as level 9 and nobody encodes.
const H264: &[Level] = &[
    level(10, 99, 1_485, 64 * 1250, 175 * 1250),
    level(11, 396, 3_000, 192 * 1250, 500 * 1250),
    level(12, 396, 6_000, 384 * 1250, 1_000 * 1250),
    level(13, 396, 11_880, 768 * 1250, 2_000 * 1250),
    level(20, 396, 11_880, 2_000 * 1250, 2_000 * 1250),
    level(21, 792, 19_800, 4_000 * 1250, 4_000 * 1250),
    level(22, 1_620, 20_250, 4_000 * 1250, 4_000 * 1250),
    level(30, 1_620, 40_500, 10_000 * 1250, 10_000 * 1250),
    level(31, 3_600, 108_000, 14_000 * 1250, 14_000 * 1250),
    level(32, 5_120, 216_000, 20_000 * 1250, 20_000 * 1250),
    level(40, 8_192, 245_760, 20_000 * 1250, 25_000 * 1250),
    level(41, 8_192, 245_760, 50_000 * 1250, 62_500 * 1250),
    level(42, 8_704, 522_240, 50_000 * 1250, 62_500 * 1250),
    level(50, 22_080, 589_824, 135_000 * 1250, 135_000 * 1250),
    level(51, 36_864, 983_040, 240_000 * 1250, 240_000 * 1250),
    level(52, 36_864, 2_073_600, 240_000 * 1250, 240_000 * 1250),
    level(60, 139_264, 4_177_920, 240_000 * 1250, 240_000 * 1250),
    level(61, 139_264, 8_355_840, 480_000 * 1250, 480_000 * 1250),
    level(62, 139_264, 16_711_680, 800_000 * 1250, 800_000 * 1250),
];

/// ITU-T H.265 tables A.8 and A.9: MaxLumaPs, MaxLumaSr, and MaxBR of the main tier with Main profile's factor of 1000.
/// `general_level_idc` is thirty times the level. The buffer is not judged: x265 writes none into the stream, and chooses
/// its level without it.
const HEVC: &[Level] = &[
    level(30, 36_864, 552_960, 128_000, u64::MAX),
    level(60, 122_880, 3_686_400, 1_500_000, u64::MAX),
    level(63, 245_760, 7_372_800, 3_000_000, u64::MAX),
    level(90, 552_960, 16_588_800, 6_000_000, u64::MAX),
    level(93, 983_040, 33_177_600, 10_000_000, u64::MAX),
    level(120, 2_228_224, 66_846_720, 12_000_000, u64::MAX),
    level(123, 2_228_224, 133_693_440, 20_000_000, u64::MAX),
    level(150, 8_912_896, 267_386_880, 25_000_000, u64::MAX),
    level(153, 8_912_896, 534_773_760, 40_000_000, u64::MAX),
    level(156, 8_912_896, 1_069_547_520, 60_000_000, u64::MAX),
    level(180, 35_651_584, 1_069_547_520, 60_000_000, u64::MAX),
    level(183, 35_651_584, 2_139_095_040, 120_000_000, u64::MAX),
    level(186, 35_651_584, 4_278_190_080, 240_000_000, u64::MAX),
];

/// AV1 specification annex A.3: MaxPicSize, MaxDisplayRate, MainMbps; `seq_level_idx` counts from level 2.0. Its buffer is
/// a second of the level's own rate, and its decoder model is not the one of the others: not judged.
const AV1: &[Level] = &[
    level(0, 147_456, 4_423_680, 1_500_000, u64::MAX),
    level(1, 278_784, 8_363_520, 3_000_000, u64::MAX),
    level(4, 665_856, 19_975_680, 6_000_000, u64::MAX),
    level(5, 1_065_024, 31_950_720, 10_000_000, u64::MAX),
    level(8, 2_359_296, 70_778_880, 12_000_000, u64::MAX),
    level(9, 2_359_296, 141_557_760, 20_000_000, u64::MAX),
    level(12, 8_912_896, 267_386_880, 30_000_000, u64::MAX),
    level(13, 8_912_896, 534_773_760, 40_000_000, u64::MAX),
    level(14, 8_912_896, 1_069_547_520, 60_000_000, u64::MAX),
    level(16, 35_651_584, 1_069_547_520, 60_000_000, u64::MAX),
    level(17, 35_651_584, 2_139_095_040, 100_000_000, u64::MAX),
    level(18, 35_651_584, 4_278_190_080, 160_000_000, u64::MAX),
];

fn table(codec: VideoCodec) -> &'static [Level] {
    match codec {
        VideoCodec::H264 => H264,
        VideoCodec::Hevc => HEVC,
        VideoCodec::Av1 => AV1,
    }
}

/// The lowest level that holds a picture, as the codec's strings write it: `31` for level 3.1 of H.264, `93` for the one
/// of HEVC. `None` where no level does.
pub fn level_of(codec: VideoCodec, picture: &Picture) -> Option<u8> {
    // The unit in which the table counts; HEVC and AV1 pad pictures to blocks of eight.
    let unit = if codec == VideoCodec::H264 { 16 } else { 8 };
    let (wide, high) = (u64::from(picture.width.div_ceil(unit)), u64::from(picture.height.div_ceil(unit)));
    let samples = if codec == VideoCodec::H264 { 1 } else { 64 };
    let frame = u128::from(wide) * u128::from(high) * samples;
    let second = frame * u128::from(picture.rate.numerator);
    let holds = |level: &&Level| {
        // No side is longer than the root of eight times the largest picture (H.264 A.3.1, H.265 A.4.1).
        let side = u128::from(wide.max(high)).pow(2) * samples;
        frame <= u128::from(level.frame)
            && side <= 8 * u128::from(level.frame)
            && second <= u128::from(level.second) * u128::from(picture.rate.denominator)
            && picture.max_bit_rate <= level.bit_rate
            && picture.max_bit_rate.saturating_mul(2) <= level.buffer
    };
    table(codec).iter().find(holds).map(|level| level.idc)
}

/// The codec string of a picture, of the profiles that are encoded here: High for H.264, Main for HEVC and AV1, 8 bits,
/// progressive. `None` where no level holds it.
pub fn codec_string(codec: VideoCodec, picture: &Picture) -> Option<String> {
    level_of(codec, picture).map(|idc| codec_string_at(codec, idc))
}

/// The codec string of a level, as [`level_of`] gives it.
pub fn codec_string_at(codec: VideoCodec, level: u8) -> String {
    match codec {
        // RFC 6381 section 3.3: profile, constraints, level, each two hexadecimal digits.
        VideoCodec::H264 => format!("avc1.6400{level:02x}"),
        // ISO/IEC 14496-15 annex E.3: profile, compatibility reversed, tier and level, constraints (progressive frames).
        VideoCodec::Hevc => format!("hvc1.1.6.L{level}.90"),
        VideoCodec::Av1 => format!("av01.0.{level:02}M.08"),
    }
}

/// The highest codec string there is: what is told of a picture that no level holds, which the checks refuse.
pub(super) fn highest(codec: VideoCodec) -> String {
    codec_string_at(codec, table(codec).last().map_or(0, |level| level.idc))
}

/// The codec string of sound.
pub fn audio_codec_string(codec: AudioCodec) -> &'static str {
    match codec {
        AudioCodec::Aac => "mp4a.40.2",
        AudioCodec::Opus => "opus",
        AudioCodec::Ac3 => "ac-3",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_level_follows_from_size_rate_and_bit_rate() {
        use VideoCodec::{Av1, H264, Hevc};
        for (codec, height, rate, max_bit_rate, wanted) in [
            (H264, 360, "25", 1_200_000, "avc1.64001e"),
            (H264, 720, "25", 4_500_000, "avc1.64001f"),
            (H264, 720, "50", 4_500_000, "avc1.640020"),
            (H264, 1080, "30", 9_000_000, "avc1.640028"),
            (H264, 1080, "60", 9_000_000, "avc1.64002a"),
            (H264, 2160, "30", 24_000_000, "avc1.640033"),
            // The bit rate alone, and the buffer of two seconds: 14 Mbit/s × 1.25 is 3.1's.
            (H264, 720, "25", 8_750_000, "avc1.64001f"),
            (H264, 720, "25", 8_750_001, "avc1.640020"),
            (H264, 1080, "30", 30_000_000, "avc1.640029"),
            (Hevc, 720, "30", 3_000_000, "hvc1.1.6.L93.90"),
            (Hevc, 1080, "30", 6_000_000, "hvc1.1.6.L120.90"),
            (Hevc, 1080, "60", 6_000_000, "hvc1.1.6.L123.90"),
            (Hevc, 720, "60", 3_000_000, "hvc1.1.6.L120.90"),
            (Hevc, 1080, "120", 6_000_000, "hvc1.1.6.L150.90"),
            (Hevc, 1080, "30", 12_000_000, "hvc1.1.6.L120.90"),
            (Hevc, 1080, "30", 12_000_001, "hvc1.1.6.L123.90"),
            (Hevc, 2160, "60", 20_000_000, "hvc1.1.6.L153.90"),
            (Av1, 1080, "30", 6_000_000, "av01.0.08M.08"),
            (Av1, 2160, "60", 20_000_000, "av01.0.13M.08"),
        ] {
            let picture = Picture::wide(height, FrameRate::parse(rate).unwrap(), max_bit_rate);
            assert_eq!(codec_string(codec, &picture).as_deref(), Some(wanted), "{codec:?} {picture:?}");
        }
    }

    #[test]
    fn what_is_beyond_the_last_level_has_none() {
        let rate = FrameRate::whole(25);
        assert_eq!(level_of(VideoCodec::H264, &Picture::wide(720, rate, u64::MAX)), None);
        let thin = Picture { width: u32::MAX, height: 16, rate, max_bit_rate: 1 };
        assert_eq!(level_of(VideoCodec::Hevc, &thin), None, "a side that is too long");
        assert_eq!(highest(VideoCodec::H264), "avc1.64003e");
    }
}
