//! What happens to objects: drift, failure half-way, interruption, time-outs, panics, old states, moves.

mod by_hand;
mod failing;
mod file;
mod moved;
mod partial;
mod private;
mod slow;
mod thing;
mod upgraded;

use tfplugin_framework::Parts;

use crate::Corner;

pub(crate) fn register(parts: Parts<Corner>) -> Parts<Corner> {
    parts
        .resource::<failing::Panicking>()
        .resource::<moved::Moved>()
        .resource::<partial::Partly>()
        .resource::<partial::Resumable>()
        .resource::<private::PrivateState>()
        .resource::<slow::Slow>()
        .resource::<thing::Thing>()
        .resource::<upgraded::Upgraded>()
        .resource_by_hand(by_hand::ByHand)
        .resource_by_hand(failing::Lying)
        .data_source::<file::ThingSource>()
}
