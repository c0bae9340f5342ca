//! What becomes of a source file: ladders, workers, assets.

mod asset;
mod facts;
mod ladder;
pub mod ladder_check;
mod transcoder;

pub use asset::{
    SourceSpec, SourceSpecPath, SourceSpecView, SubtitleSpec, SubtitleSpecPath, SubtitleSpecView,
    ThumbnailSpec, ThumbnailSpecPath, ThumbnailSpecView, VodAssetSpec, VodAssetSpecPath, VodAssetSpecView,
    VodJobSpec,
};
pub use facts::{AudioFacts, MediaFacts, SubtitleFacts, VideoFacts};
pub use ladder::{
    Acceleration, AudioCodec, AudioRendition, AudioRenditionPath, AudioRenditionView, Backend, ChannelLayout,
    LadderSpec, LadderSpecPath, LadderSpecView, VideoCodec, VideoRendition, VideoRenditionPath,
    VideoRenditionView,
};
pub use transcoder::{TranscoderSpec, TranscoderSpecPath, TranscoderSpecView};
