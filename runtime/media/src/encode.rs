//! The arguments of ffmpeg, as pure functions.
//!
//! A run encodes consecutive segments of one rendition into MPEG-TS files whose time stamps go on from one to the next,
//! so that runs can be joined byte by byte whoever made them. All times are moved by [`FrameRate::shift`].

use std::path::Path;

use streamverse_core::{Error, Result};
use streamverse_model::media::{
    Acceleration, AudioCodec, AudioRendition, ChannelLayout, MediaFacts, VideoCodec, VideoRendition,
};

use crate::plan::{Cut, FrameRate, width};

/// Seconds that are decoded before the first frame that is wanted, for frames that are stored out of order.
const RUN_UP: u64 = 4;

/// A run of segments `first..end` of a rendition.
pub(crate) struct VideoRun<'a> {
    pub(crate) source: &'a Path,
    pub(crate) facts: &'a MediaFacts,
    pub(crate) rendition: &'a VideoRendition,
    pub(crate) rate: FrameRate,
    pub(crate) cut: Cut,
    pub(crate) first: u64,
    pub(crate) end: u64,
    pub(crate) acceleration: Acceleration,
}

impl VideoRun<'_> {
    /// ffmpeg writes `%06d.ts` into the folder that it runs in, and the name of each file that is finished to stdout.
    pub(crate) fn args(&self) -> Result<Vec<String>> {
        let frames = self.cut.frames(self.rate);
        let begin = self.cut.first_frame(self.first, self.rate);
        let end = self.cut.first_frame(self.end, self.rate).min(frames);
        let boundaries: Vec<String> = (self.first + 1..self.end)
            .map(|k| self.cut.first_frame(k, self.rate))
            .filter(|frame| *frame < end)
            .map(|frame| (frame - begin).to_string())
            .collect();
        let seek = (self.first * self.cut.segment_ms / 1000).saturating_sub(RUN_UP);
        let mut args = words("-v error -nostdin -y");
        if self.acceleration == Acceleration::Vaapi {
            args.extend(words("-vaapi_device /dev/dri/renderD128"));
        }
        args.extend(words("-copyts -start_at_zero -protocol_whitelist file,pipe"));
        args.extend([
            "-ss".to_owned(),
            seek.to_string(),
            "-i".to_owned(),
            self.source.to_string_lossy().into_owned(),
        ]);
        args.extend(words("-map 0:V:0 -an -sn -dn -map_metadata -1"));
        args.extend(["-vf".to_owned(), self.filters(begin, end)?]);
        args.extend(["-fps_mode", "passthrough", "-enc_time_base"].map(str::to_owned));
        args.push(format!("{}/{}", self.rate.denominator, self.rate.numerator));
        args.extend(self.codec()?);
        // A key frame where a segment begins, and wherever the picture group ends inside of it.
        args.extend(["-force_key_frames".to_owned(), self.key_frames(begin, end)]);
        args.extend(words("-muxdelay 0 -muxpreload 0 -f segment -segment_format mpegts -segment_list pipe:1 -segment_list_type flat"));
        args.extend(["-segment_start_number".to_owned(), self.first.to_string()]);
        // One segment alone needs a boundary that is never reached.
        let list = if boundaries.is_empty() { (end - begin + 1).to_string() } else { boundaries.join(",") };
        args.extend(["-segment_frames".to_owned(), list, "%06d.ts".to_owned()]);
        Ok(args)
    }

    fn filters(&self, begin: u64, end: u64) -> Result<String> {
        let FrameRate { numerator, denominator } = self.rate;
        let mut filters = deinterlacing(self.facts);
        filters.push(format!("fps={numerator}/{denominator}"));
        filters.push(format!("trim=start_pts={begin}:end_pts={end}"));
        let height = self.rendition.height / 2 * 2;
        filters.extend(scaling(self.facts, width(self.facts, height), height));
        filters.push(format!("setpts=PTS+{}", self.rate.shift_frames()));
        filters.push(match self.acceleration {
            Acceleration::None | Acceleration::Nvenc => "format=yuv420p".to_owned(),
            Acceleration::Qsv => "format=nv12".to_owned(),
            Acceleration::Vaapi => "format=nv12,hwupload".to_owned(),
        });
        Ok(filters.join(","))
    }

    fn key_frames(&self, begin: u64, end: u64) -> String {
        let seconds = |frame: u64| {
            let time = (frame as f64) * self.rate.denominator as f64 / self.rate.numerator as f64
                + self.rate.shift() as f64;
            format!("{time:.6}")
        };
        let starts = (self.first..self.end)
            .map(|k| self.cut.first_frame(k, self.rate))
            .filter(|it| (begin..end).contains(it));
        starts.map(seconds).collect::<Vec<_>>().join(",")
    }

    fn gop(&self) -> u64 {
        let gop_ms = self.rendition.gop.map_or(self.cut.segment_ms, |gop| {
            u64::try_from(gop.0.as_millis()).unwrap_or(self.cut.segment_ms).max(1)
        });
        (gop_ms * self.rate.numerator).div_ceil(1000 * self.rate.denominator).max(1)
    }

    fn codec(&self) -> Result<Vec<String>> {
        let rendition = self.rendition;
        let most = rendition.ceiling();
        let encoder = encoder(rendition.codec, self.acceleration)?;
        let mut args = vec!["-c:v".to_owned(), encoder.to_owned()];
        match encoder {
            "libx264" => args.extend(words("-preset veryfast -sc_threshold 0 -flags +cgop")),
            "libx265" => {
                args.extend(words(
                    "-preset veryfast -x265-params log-level=error:scenecut=0:open-gop=0:high-tier=0",
                ));
            }
            _ => args.extend(words("-bf 0 -forced-idr 1")),
        }
        args.extend([
            "-b:v".to_owned(),
            rendition.bit_rate.to_string(),
            "-maxrate".to_owned(),
            most.to_string(),
        ]);
        args.extend([
            "-bufsize".to_owned(),
            most.saturating_mul(2).to_string(),
            "-g".to_owned(),
            self.gop().to_string(),
        ]);
        Ok(args)
    }
}

/// What takes two fields apart, for a source that has them.
pub(crate) fn deinterlacing(facts: &MediaFacts) -> Vec<String> {
    let interlaced = facts.video.as_ref().is_some_and(|video| video.interlaced);
    interlaced.then(|| "bwdif=mode=send_frame".to_owned()).into_iter().collect()
}

/// To a size, with square pixels, and from HDR to SDR where the source is HDR: ffmpeg's own tone mapping, which its
/// scaler has since version 8.
pub(crate) fn scaling(facts: &MediaFacts, width: u32, height: u32) -> [String; 2] {
    let hdr = facts.video.as_ref().is_some_and(|video| video.hdr);
    let mapped =
        ":out_primaries=bt709:out_transfer=bt709:out_color_matrix=bt709:out_range=tv:intent=perceptual";
    [format!("scale={width}:{height}:flags=bicubic{}", if hdr { mapped } else { "" }), "setsar=1".to_owned()]
}

/// ffmpeg's name of an encoder.
pub(crate) fn encoder(codec: VideoCodec, acceleration: Acceleration) -> Result<&'static str> {
    Ok(match (codec, acceleration) {
        (VideoCodec::H264, Acceleration::None) => "libx264",
        (VideoCodec::H264, Acceleration::Nvenc) => "h264_nvenc",
        (VideoCodec::H264, Acceleration::Qsv) => "h264_qsv",
        (VideoCodec::H264, Acceleration::Vaapi) => "h264_vaapi",
        (VideoCodec::Hevc, Acceleration::None) => "libx265",
        (VideoCodec::Hevc, Acceleration::Nvenc) => "hevc_nvenc",
        (VideoCodec::Hevc, Acceleration::Qsv) => "hevc_qsv",
        (VideoCodec::Hevc, Acceleration::Vaapi) => "hevc_vaapi",
        (VideoCodec::Av1, _) => {
            return Err(Error::permanent(
                "codec-unsupported",
                "this version cannot encode AV1 in segments: use h264 or hevc in the ladder",
            ));
        }
    })
}

/// ffmpeg's name of an encoder of sound.
pub(crate) fn audio_encoder(codec: AudioCodec) -> &'static str {
    match codec {
        AudioCodec::Aac => "aac",
        AudioCodec::Opus => "libopus",
        AudioCodec::Ac3 => "ac3",
    }
}

/// The whole of one sound track, from the source's beginning to its end, into one MP4 file.
pub(crate) fn audio_args(
    source: &Path,
    target: &Path,
    facts: &MediaFacts,
    rendition: &AudioRendition,
    stream: usize,
) -> Vec<String> {
    let seconds = facts.duration_ms as f64 / 1000.0;
    let layout = match rendition.layout {
        ChannelLayout::Mono => ("mono", "1"),
        ChannelLayout::Stereo => ("stereo", "2"),
        ChannelLayout::FiveOne => ("5.1", "6"),
    };
    // Gaps become silence, so that sound and picture stay together.
    let mut filters = vec!["aresample=async=1000:first_pts=0".to_owned()];
    if let Some(loudness) = rendition.loudness {
        filters.push(format!("loudnorm=I={loudness}:TP=-1.5:LRA=11"));
    }
    filters.push(format!("aresample={}", rendition.sample_rate));
    filters.push(format!("aformat=channel_layouts={}", layout.0));
    filters.push(format!("apad,atrim=end={seconds:.3}"));
    let mut args = words("-v error -nostdin -y -copyts -start_at_zero -protocol_whitelist file,pipe -i");
    args.push(source.to_string_lossy().into_owned());
    args.extend(["-map".to_owned(), format!("0:a:{stream}")]);
    args.extend(words("-vn -sn -dn -map_metadata -1"));
    args.extend(["-af".to_owned(), filters.join(","), "-c:a".to_owned()]);
    args.push(audio_encoder(rendition.codec).to_owned());
    args.extend(["-b:a".to_owned(), rendition.bit_rate.to_string(), "-ac".to_owned(), layout.1.to_owned()]);
    args.extend(words("-movflags +faststart -f mp4"));
    args.push(target.to_string_lossy().into_owned());
    args
}

/// Words without spaces inside.
pub(crate) fn words(text: &str) -> Vec<String> {
    text.split_whitespace().map(str::to_owned).collect()
}
