//! `streamverse_playback`: the addresses of an asset for a player. Pure: nothing is asked.

use tfplugin_framework::schema::Computed;
use tfplugin_framework::{Context, DataSource, Result, Schema, State, data_source};

use crate::provider::Streamverse;

/// Where a player finds an asset. The addresses stay the same when the asset is made anew.
#[derive(Clone, Schema)]
pub struct Playback {
    /// The name of a `streamverse_vod_asset`.
    pub asset: String,
    /// Where browsers fetch from: the `url` of a `streamverse_ats_edge`, or the `address` of a `streamverse_origin`.
    pub delivery: String,
    /// The HLS manifest (RFC 8216).
    pub hls: Computed<String>,
    /// The DASH manifest (ISO/IEC 23009-1).
    pub dash: Computed<String>,
}

#[data_source(name = "playback")]
impl DataSource for Playback {
    type Provider = Streamverse;

    async fn read(_: &Context<Streamverse>, config: Self) -> Result<State<Self>> {
        let base = format!("{}/vod/{}", config.delivery.trim_end_matches('/'), config.asset);
        Ok(config
            .complete(PlaybackComputed { hls: format!("{base}/hls.m3u8"), dash: format!("{base}/dash.mpd") }))
    }
}
