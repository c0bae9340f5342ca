//! What every domain stands on: owners, the objects that a site holds and their status, stores by URL, the node's API.

mod declared;
pub mod node;
mod object;
mod owner;
mod status;
mod store_address;
mod store_url;
mod store_use;
mod this_host;
mod wanted;

pub use declared::{declared_kind, declared_objects};
pub use object::{
    ADMIN_PORT, Bundle, CredentialUse, EndpointObject, EngineKind, EngineObject, FilesObject, Isolation,
    JobObject, ManifestObject, Object, Peer, Port, Protocol, Reach, Resources, ScalerObject, SecretObject,
    SecretValue, ServiceObject, SpecUse, is_leased, lease_name,
};
pub use owner::{Name, NameError, Owner};
pub use status::{ObjectStatus, Observed, Phase, Progress, Reason};
pub use store_address::{
    certificate_in, embedded_event_log, is_broker, remote_keys, remote_store, remote_store_file,
    remote_store_url, remote_url,
};
pub use store_url::{Certificates, KEYS_PORT, StoreUrl, StoreUrlError};
pub use store_use::StoreUse;
pub use this_host::is_this_host;
pub use wanted::SpecError;
pub(crate) use wanted::{http, public_http, reach, spec_value, uses};
