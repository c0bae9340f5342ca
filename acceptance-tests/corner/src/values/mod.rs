//! Values: every shape that the protocol carries, and back.

mod big;
mod blocks;
mod dynamic;
mod empty;
mod nested;
mod number;
mod set;
mod spelling;
mod union;

use tfplugin_framework::Parts;

use crate::Corner;

pub(crate) fn register(parts: Parts<Corner>) -> Parts<Corner> {
    parts
        .resource::<big::Big>()
        .resource::<blocks::Blocks>()
        .resource::<dynamic::Dynamic>()
        .resource::<empty::Empty>()
        .resource::<nested::Nested>()
        .resource::<number::Numbers>()
        .resource::<set::Sets>()
        .resource::<spelling::Spelling>()
        .resource::<union::Union>()
}
