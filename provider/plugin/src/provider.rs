//! The provider block: the deployment, and the sites that its resources go to.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use streamverse_model::platform::{Name, Owner};
use streamverse_sites::Site;
use streamverse_sites::node::{NodeConfig, NodeSite};
use tfplugin_framework::{Error, Findings, Maybe, Parts, Provider, Request, Result, Schema, provider};

use crate::{delivery, media, platform};

/// Video platforms as resources: stores, transcoding, packaging, origins, edges and players, on a host under a node agent.
#[derive(Clone, Schema)]
pub struct Configuration {
    /// The name of this installation. It is part of every name that is made, so that two workspaces never take each
    /// other's things: 1 to 40 characters of a-z, 0-9 and -.
    #[attribute(validate(regex(
        "^[a-z0-9]([a-z0-9-]{0,38}[a-z0-9])?$",
        says = "must be 1 to 40 characters of a-z, 0-9 and inner -"
    )))]
    pub deployment: String,
    /// The sites, by the name that resources give as `site`. Without any, there is `default`: the node agent of this host.
    pub sites: Option<BTreeMap<String, SiteBlock>>,
    /// Labels of everything that is made.
    pub default_labels: Option<BTreeMap<String, String>>,
}

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

/// A site as configured; its socket may still be unknown while planning.
#[derive(Clone, Debug)]
struct Configured {
    socket: Maybe<String>,
    host: Maybe<String>,
}

/// The configured provider.
pub struct Streamverse {
    deployment: Maybe<String>,
    sites: Maybe<BTreeMap<String, Configured>>,
    labels: BTreeMap<String, String>,
}

/// The site of resources that name none.
pub(crate) const DEFAULT: &str = "default";

#[provider(name = "streamverse")]
impl Provider for Streamverse {
    type Config = Configuration;

    async fn configure(_: &Request, config: ConfigurationView) -> Result<Streamverse> {
        let sites = config.sites.map(|sites| {
            let read = |(name, block): (String, Maybe<SiteBlockView>)| {
                let node = block.into_known().map(|block| block.node).unwrap_or(Maybe::Unknown);
                let configured = match node {
                    Maybe::Known(node) => Configured { socket: node.socket, host: node.host },
                    Maybe::Unknown => Configured { socket: Maybe::Unknown, host: Maybe::Unknown },
                    Maybe::Null => Configured { socket: Maybe::Null, host: Maybe::Null },
                };
                (name, configured)
            };
            sites.into_iter().map(read).collect()
        });
        let labels = config.default_labels.into_known().unwrap_or_default();
        let labels = labels.into_iter().filter_map(|(key, value)| Some((key, value.into_known()?))).collect();
        Ok(Streamverse { deployment: config.deployment, sites, labels })
    }

    fn validate(config: &ConfigurationView, findings: &mut Findings) {
        let Some(sites) = config.sites.known() else { return };
        for (name, block) in sites {
            let at = Configuration::sites().key(name.as_str());
            if Name::parse(name).is_err() {
                findings.refuse(
                    at.clone(),
                    "Invalid site name",
                    format!("{name:?} must be 1 to {} characters of a-z, 0-9 and -.", Name::LONGEST),
                );
            }
            if block.known().is_some_and(|block| block.node.is_null()) {
                findings.refuse(
                    at,
                    "No kind of site",
                    format!("Say what the site {name:?} is: node = {{}} is a host under a node agent."),
                );
            }
        }
    }

    fn parts(parts: Parts<Self>) -> Parts<Self> {
        delivery::parts(media::parts(platform::parts(parts)))
    }
}

impl Streamverse {
    /// The owner of a resource.
    pub(crate) fn owner(&self, kind: &str, name: &str) -> Result<Owner> {
        let deployment = self.deployment.known().ok_or_else(|| {
            Error::invalid("the deployment is not known").next(
                "Give `deployment` in the provider block a value that is known when the plan is applied.",
            )
        })?;
        Ok(Owner::new(deployment, kind, name)?)
    }

    pub(crate) fn labels(&self) -> BTreeMap<String, String> {
        self.labels.clone()
    }

    /// Names of the sites, where they are known.
    pub(crate) fn site_names(&self) -> Option<Vec<&str>> {
        match &self.sites {
            Maybe::Known(sites) => Some(sites.keys().map(String::as_str).collect()),
            Maybe::Null => Some(vec![DEFAULT]),
            Maybe::Unknown => None,
        }
    }

    /// The host in addresses of a site, where it is known.
    pub(crate) fn host(&self, site: Option<&str>) -> Maybe<String> {
        match self.configured(site) {
            Some(Configured { host: Maybe::Null, .. }) => Maybe::Known("127.0.0.1".to_owned()),
            Some(Configured { host, .. }) => host,
            None => Maybe::Unknown,
        }
    }

    fn configured(&self, site: Option<&str>) -> Option<Configured> {
        let name = site.unwrap_or(DEFAULT);
        match &self.sites {
            Maybe::Known(sites) => match sites.get(name) {
                Some(configured) => Some(configured.clone()),
                None if name == DEFAULT => Some(Configured { socket: Maybe::Null, host: Maybe::Null }),
                None => None,
            },
            Maybe::Null if name == DEFAULT => Some(Configured { socket: Maybe::Null, host: Maybe::Null }),
            _ => None,
        }
    }

    /// A client of the site. Nothing is asked yet.
    pub(crate) fn site(&self, site: Option<&str>) -> Result<Arc<dyn Site>> {
        let name = site.unwrap_or(DEFAULT);
        let configured = self.configured(site).ok_or_else(|| {
            let known = self.site_names().unwrap_or_default().join(", ");
            Error::invalid(format!("there is no site {name:?} in the provider block; there is {known}"))
                .next("Add it to `sites` of the provider block, or correct the resource's `site`.")
        })?;
        let socket = match configured.socket {
            Maybe::Known(socket) => PathBuf::from(socket),
            Maybe::Null => usual_socket(),
            Maybe::Unknown => {
                return Err(Error::invalid(format!("the socket of site {name:?} is not known yet"))
                    .next("Apply what it comes from first."));
            }
        };
        let mut config = NodeConfig::socket(name, socket);
        if let Some(host) = configured.host.into_known() {
            config.host = host;
        }
        Ok(Arc::new(NodeSite::new(config)))
    }
}

/// Where the agent of this host listens if nobody says otherwise.
fn usual_socket() -> PathBuf {
    match std::env::var_os("STREAMVERSE_NODE_SOCKET") {
        Some(socket) => socket.into(),
        None => PathBuf::from("/run/streamverse/node.sock"),
    }
}
