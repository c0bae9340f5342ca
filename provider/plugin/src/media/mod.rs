//! What becomes of a source file.

mod epg;
mod fast_channel;
mod functions;
mod ladder;
mod media_probe;
mod schedule;
mod transcoder;
mod vod_asset;
mod vod_channels;
mod vod_drm;
mod vod_made;

use tfplugin_framework::Parts;

use crate::provider::Streamverse;

pub(crate) fn parts(parts: Parts<Streamverse>) -> Parts<Streamverse> {
    functions::register(parts)
        .data_source::<media_probe::MediaProbe>()
        .data_source::<vod_made::VodMade>()
        .data_source::<schedule::ChannelTimes>()
        .resource::<epg::Epg>()
        .resource::<fast_channel::FastChannel>()
        .resource::<ladder::TranscodeLadder>()
        .resource::<transcoder::Transcoder>()
        .resource::<vod_asset::VodAsset>()
}
