//! Stores, and what a site is.

mod cache;
mod catalogue;
mod event_log;
mod object_store;
mod site;
mod store;
mod tls;

pub(crate) use store::settled;

use tfplugin_framework::Parts;

use crate::provider::Streamverse;

pub(crate) fn parts(parts: Parts<Streamverse>) -> Parts<Streamverse> {
    parts
        .resource::<object_store::ObjectStore>()
        .resource::<event_log::EventLog>()
        .resource::<catalogue::Catalogue>()
        .resource::<cache::Cache>()
        .data_source::<site::SiteInfo>()
}
