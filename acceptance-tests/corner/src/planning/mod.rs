//! Planning: what is refused, computed, replaced, protected.

mod computed;
mod modified;
mod protected;
mod replaced;
mod validated;

use tfplugin_framework::Parts;

use crate::Corner;

pub(crate) fn register(parts: Parts<Corner>) -> Parts<Corner> {
    parts
        .resource::<computed::Derived>()
        .resource::<modified::Modified>()
        .resource::<protected::Protected>()
        .resource::<replaced::Replaced>()
        .resource::<validated::Validated>()
}
