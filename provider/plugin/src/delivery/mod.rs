//! What viewers reach.

mod ats_edge;
mod origin;
mod playback;
mod web_player;

use tfplugin_framework::Parts;

use crate::provider::Streamverse;

pub(crate) fn parts(parts: Parts<Streamverse>) -> Parts<Streamverse> {
    parts
        .resource::<origin::Origin>()
        .resource::<ats_edge::AtsEdge>()
        .resource::<web_player::WebPlayer>()
        .data_source::<playback::Playback>()
}
