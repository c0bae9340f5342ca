//! A Kubernetes cluster as a site: bundles rendered to objects, applied by server-side apply with strict field
//! validation, observed by the readiness rules of each kind, and removed with their finalizers waited for.
//!
//! What an owner has is written down beside it, in a ConfigMap (the record): the bundle, and the list of objects that came
//! of it. A crash between two calls leaves a record that names more than there is, never less, so the next apply adopts
//! and a deletion finds everything. No secret is in it.

mod client;
mod compare;
mod config;
mod credentials;
mod look;
mod names;
mod observe;
mod ready;
mod record;
mod render;
mod requests;
mod scaling;
mod secrets;
mod site;

pub use config::{Access, Exec, Expose, Image, KubernetesConfig, Token};
pub use names::host;
pub use render::{Others, Rendered, Rendering, UsedService, namespace, render};
pub use site::KubernetesSite;
