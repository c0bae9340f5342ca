//! The sites of the provider block, as configured: what is known of them while planning, and clients of them.

use std::path::PathBuf;
use std::sync::Arc;

use streamverse_model::platform::{Name, Owner};
use streamverse_sites::node::{NodeConfig, NodeSite};
use streamverse_sites::{Site, SiteKind};
use tfplugin_framework::schema::Path;
use tfplugin_framework::{Findings, Maybe, Result, Schema};

/// One site.
#[derive(Clone, Schema)]
pub struct SiteBlock {
    /// A host under a node agent.
    pub node: Option<NodeBlock>,
}

/// A host under a node agent.
#[derive(Clone, Schema)]
pub struct NodeBlock {
    /// The agent's Unix socket; the usual one where none is given.
    pub socket: Option<String>,
    /// The host name in addresses of what runs there; `127.0.0.1` where none is given.
    pub host: Option<String>,
}

/// A site as configured; parts of it may still be unknown while planning.
#[derive(Clone)]
pub(crate) enum Configured {
    Node {
        socket: Maybe<String>,
        host: Maybe<String>,
    },
    /// Not even its kind is known yet.
    Unknown,
}

impl Configured {
    /// This host, under the agent at the usual place.
    pub(crate) const HERE: Configured = Configured::Node { socket: Maybe::Null, host: Maybe::Null };

    pub(crate) fn read(block: Maybe<SiteBlockView>) -> Configured {
        let Some(block) = block.into_known() else { return Configured::Unknown };
        match block.node {
            Maybe::Known(node) => Configured::Node { socket: node.socket, host: node.host },
            Maybe::Null => Configured::HERE,
            Maybe::Unknown => Configured::Unknown,
        }
    }

    pub(crate) fn kind(&self) -> Option<SiteKind> {
        match self {
            Configured::Node { .. } => Some(SiteKind::Node),
            Configured::Unknown => None,
        }
    }

    /// Where an endpoint of an owner is reached, if that is known: `http://HOST:PORT`.
    pub(crate) fn address(&self, _owner: Option<&Owner>, _endpoint: &str, port: u16) -> Option<String> {
        match self {
            Configured::Node { host: Maybe::Unknown, .. } | Configured::Unknown => None,
            Configured::Node { host, .. } => {
                let host = host.known().map_or("127.0.0.1", String::as_str);
                Some(streamverse_sites::Address { host: host.to_owned(), port }.http())
            }
        }
    }

    /// A client of the site; `None` while what it needs is unknown. Nothing is asked yet.
    pub(crate) fn client(&self, name: &str) -> Result<Option<Arc<dyn Site>>> {
        Ok(match self {
            Configured::Unknown | Configured::Node { socket: Maybe::Unknown, .. } => None,
            Configured::Node { socket, host } => {
                let socket = socket.known().map_or_else(usual_socket, PathBuf::from);
                let mut config = NodeConfig::socket(name, socket);
                if let Some(host) = host.known() {
                    config.host.clone_from(host);
                }
                Some(Arc::new(NodeSite::new(config)))
            }
        })
    }
}

/// Refuses what no completion of a site's block can save.
pub(crate) fn validate(name: &str, block: &Maybe<SiteBlockView>, at: &Path, findings: &mut Findings) {
    if Name::parse(name).is_err() {
        findings.refuse(
            at.clone(),
            "Invalid site name",
            format!("{name:?} must be 1 to {} characters of a-z, 0-9 and -.", Name::LONGEST),
        );
    }
    let Some(block) = block.known() else { return };
    if block.node.is_null() {
        findings.refuse(
            at.clone(),
            "No kind of site",
            format!("Say what the site {name:?} is: node = {{}} is a host under a node agent."),
        );
    }
}

/// Where the agent of this host listens if nobody says otherwise: the variable that its command line reads too, a
/// user's own run directory, or the system's.
fn usual_socket() -> PathBuf {
    if let Some(socket) = std::env::var_os("STREAMVERSE_NODE_SOCKET") {
        return socket.into();
    }
    let own = std::env::var_os("XDG_RUNTIME_DIR").map(|run| PathBuf::from(run).join("streamverse/node.sock"));
    own.filter(|socket| socket.exists()).unwrap_or_else(|| PathBuf::from("/run/streamverse/node.sock"))
}
