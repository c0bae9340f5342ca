//! A client of RunPod's REST API v2 (`https://api.runpod.io/v2`). API v1 is gone, and there is no spot to ask for.
//!
//! The API has no tags and no idempotency keys: what is ours carries its owner in its name ([`RemoteName`]), and a create whose
//! answer was lost is looked up by that name before it is asked for again ([`Client::obtain`]).
//!
//! Every call has a deadline. Calls that may be repeated are, with jitter, a bound, and the server's `Retry-After`.
//!
//! Not proved live: nothing here ever spoke to RunPod. It is held to the API description of 2026-08-18 by a stand-in that checks
//! requests and answers against it.

/// A thing with an `id` and a `name` is of a kind: what it is called, where its list is, and the list's member.
macro_rules! kind {
    ($thing:ty, $what:literal, $path:literal, $list:literal $(; $($rest:tt)*)?) => {
        impl $crate::Kind for $thing {
            const WHAT: &'static str = $what;
            const PATH: &'static str = $path;
            const LIST: &'static str = $list;

            fn id(&self) -> &str {
                &self.id
            }

            fn name(&self) -> &str {
                &self.name
            }

            $($($rest)*)?
        }
    };
}

mod answer;
mod catalogue;
mod client;
mod cloud;
mod config;
mod endpoints;
mod error;
mod list;
mod name;
mod obtain;
mod pods;
mod retry;
mod shared;
mod sweep;
mod things;

pub use catalogue::{Availability, Cloud, DataCenter, DataCenterStock, GpuPrice, GpuType, PerCloud, Product};
pub use client::{Client, Limit};
pub use cloud::Runpod;
pub use config::{ApiKey, Config, DEFAULT_ENDPOINT};
pub use endpoints::{Endpoint, EndpointBody, EndpointGpu, EndpointGpuBody, Scaling, Workers};
pub use error::{Class, Error};
pub use name::{RemoteName, Standing};
pub use obtain::Obtained;
pub use pods::{
    Action, GpuRequest, Mounts, NetworkMount, PersistentMount, Pod, PodBody, PodStatus, Port, Runtime,
};
pub use sweep::Belonging;
pub use things::{
    NetworkVolume, NetworkVolumeBody, NetworkVolumeChange, Registry, RegistryBody, Template, TemplateBody,
    TemplateMounts,
};

/// A kind of thing that the API keeps.
pub trait Kind {
    /// What it is called in sentences.
    const WHAT: &'static str;
    /// Where its list is: `/v2/pods`.
    const PATH: &'static str;
    /// The member of a list's answer that has the things.
    const LIST: &'static str;
    /// Whether people's data is in it: then none is deleted because there is another of its name.
    const KEEPS_DATA: bool = false;
    /// Whether the API gives it another name when it is asked to.
    const RENAMES: bool = true;

    /// The API's identifier.
    fn id(&self) -> &str;
    /// Its name, which says whose it is.
    fn name(&self) -> &str;
    /// When it was made, RFC 3339 in UTC, where the API says so.
    fn created_at(&self) -> Option<&str> {
        None
    }
    /// Whether what runs on it may have begun something that is lost with it.
    fn is_at_work(&self) -> bool {
        false
    }
    /// Whether it is only still told of.
    fn is_over(&self) -> bool {
        false
    }
}
