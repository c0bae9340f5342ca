//! What becomes of a source file.

mod ladder;
mod transcoder;
mod vod_asset;

use tfplugin_framework::Parts;

use crate::provider::Streamverse;

pub(crate) fn parts(parts: Parts<Streamverse>) -> Parts<Streamverse> {
    parts
        .resource::<ladder::TranscodeLadder>()
        .resource::<transcoder::Transcoder>()
        .resource::<vod_asset::VodAsset>()
}
