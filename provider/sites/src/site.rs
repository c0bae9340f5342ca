//! The trait that every kind of site implements.

use std::fmt;
use std::time::Duration;

use async_trait::async_trait;
use streamverse_model::media::MediaFacts;
use streamverse_model::platform::node::{Applied, ProbeRequest};
use streamverse_model::platform::{Bundle, EndpointObject, Name, Object, Observed, Owner, Port, SecretValue};

use crate::error::{Class, Error, Result};

/// A place where services and engines run. Every method may be repeated; those that talk to the site end within the
/// deadline that the client was made with, and can be dropped at any await.
#[async_trait]
pub trait Site: Send + Sync {
    /// Which kind.
    fn kind(&self) -> SiteKind;

    /// The name in the provider block: `default`, `london`.
    fn name(&self) -> &Name;

    /// Where an endpoint of an owner is reached from within the site, known without asking: it is part of plans.
    fn address(&self, owner: &Owner, endpoint: &Name, port: u16) -> Address;

    /// What the site is, whether it is well, and what it can do at the moment.
    async fn describe(&self) -> Result<SiteInfo>;

    /// What [`apply`](Site::apply) would do, checked by the site itself, without doing it.
    async fn rehearse(&self, bundle: &Bundle) -> Result<Applied>;

    /// Makes the site hold these objects for the owner, and no others. Returns once they are persisted.
    ///
    /// `secrets` has the values of secret objects that are new or have a new version.
    async fn apply(&self, bundle: &Bundle, secrets: &[SecretValue]) -> Result<Applied>;

    /// What the site holds for the owner, and how it is; `None` when it holds nothing.
    async fn observe(&self, owner: &Owner) -> Result<Option<Observed>>;

    /// Removes all that the owner has. [`Deletion::Pending`] says what it still waits for: ask again.
    async fn delete(&self, owner: &Owner) -> Result<Deletion>;

    /// The owners of a deployment that have something here, sorted.
    async fn list(&self, deployment: &Name) -> Result<Vec<Owner>>;

    /// Looks at a source file from the site, within `limit`. `None` when nothing could run in time.
    async fn probe(
        &self,
        deployment: &Name,
        request: &ProbeRequest,
        limit: Duration,
    ) -> Result<Option<MediaFacts>>;

    /// What another hand changed of what an owner's job made, in words; `None` where nothing was, and where the site cannot look.
    async fn look(&self, _owner: &Owner) -> Result<Option<String>> {
        Ok(None)
    }

    /// The last lines of an object's log.
    async fn logs(&self, owner: &Owner, object: &str, lines: usize) -> Result<String>;
}

/// Which kind of site.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum SiteKind {
    /// One host under a node agent.
    Node,
    /// A Kubernetes cluster.
    Kubernetes,
}

impl SiteKind {
    /// `node` or `kubernetes`, as in the provider block.
    pub fn as_str(self) -> &'static str {
        match self {
            SiteKind::Node => "node",
            SiteKind::Kubernetes => "kubernetes",
        }
    }

    /// Whether a site of this kind can hold such an object at all, known without asking it.
    pub fn holds(self, object: &Object) -> bool {
        !matches!((self, object), (SiteKind::Node, Object::Manifest(_) | Object::Scaler(_)))
    }
}

impl fmt::Display for SiteKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Where an endpoint is reached.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Address {
    /// A host name or address.
    pub host: String,
    /// The port.
    pub port: u16,
}

impl Address {
    /// `http://HOST:PORT`.
    pub fn http(&self) -> String {
        if self.host.contains(':') {
            return format!("http://[{}]:{}", self.host, self.port);
        }
        format!("http://{}:{}", self.host, self.port)
    }
}

/// The port that an endpoint of a bundle is of.
///
/// # Errors
/// When nothing of the bundle has it.
pub(crate) fn port_of<'a>(bundle: &'a Bundle, it: &EndpointObject) -> Result<&'a Port> {
    let of = bundle.objects.iter().find(|object| object.key() == it.of);
    let ports = match of {
        Some(Object::Service(it)) => it.ports.as_slice(),
        Some(Object::Engine(it)) => it.ports.as_slice(),
        _ => &[],
    };
    ports.iter().find(|port| port.name == it.port).ok_or_else(|| {
        let (name, port) = (it.name.as_str(), it.port.as_str());
        let what = format!("endpoint/{name} is of port {port:?} of {}, which is not there", it.of);
        Error::new(Class::Invalid, what)
    })
}

/// What a site is, now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SiteInfo {
    /// The agent's or the cluster's version.
    pub version: String,
    /// Whether it can be worked with.
    pub healthy: bool,
    /// What is wrong, in words.
    pub problems: Vec<String>,
    /// What it can do.
    pub capabilities: Vec<Capability>,
}

/// Something a site can do.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Capability {
    /// `target/origin`, `engine/traffic_server`, `tool/ffmpeg`, `kind/kafkas.kafka.strimzi.io`.
    pub name: String,
    /// Its version, where it has one.
    pub version: String,
}

/// How far a deletion is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Deletion {
    /// Nothing is left.
    Gone,
    /// Something is left; what, and what it waits for.
    Pending(String),
}
