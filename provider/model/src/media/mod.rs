//! What becomes of a source file: ladders, workers, assets.

pub mod announced;
mod asset;
mod boundaries;
pub mod channel;
mod default_ladder;
mod facts;
mod frame_rate;
mod ladder;
pub mod ladder_check;
pub mod levels;
mod made;
mod package_index;
mod transcoder;

pub use asset::{
    PACKAGE_FORMAT, SourceSpec, SourceSpecPath, SourceSpecView, SubtitleSpec, SubtitleSpecPath,
    SubtitleSpecView, ThumbnailSpec, ThumbnailSpecPath, ThumbnailSpecView, VodAssetSpec, VodAssetSpecPath,
    VodAssetSpecView, VodJobSpec, check_subtitles, generation, playlist_name,
};
pub use boundaries::segment_for;
pub use default_ladder::default_ladder;
pub use facts::{AudioFacts, MediaFacts, SubtitleFacts, VideoFacts};
pub use frame_rate::FrameRate;
pub use ladder::{
    Acceleration, AudioCodec, AudioRendition, AudioRenditionPath, AudioRenditionView, Backend, ChannelLayout,
    LadderSpec, LadderSpecPath, LadderSpecView, VideoCodec, VideoRendition, VideoRenditionPath,
    VideoRenditionView,
};
pub use made::{MadeAsset, MadeTrack};
pub use package_index::{IndexTrack, PACKAGE_INDEX, PackageIndex, Part, Protection, TextFile, TrackKind};
pub use transcoder::{
    DRAIN_SECONDS, TRANSCODE_GROUP, TRANSCODE_PARTITIONS, TRANSCODE_TOPIC, TranscoderSpec,
    TranscoderSpecPath, TranscoderSpecView,
};
