//! The sites of the provider block, as configured: what is known of them while planning, and clients of them.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use streamverse_model::platform::{Name, Owner};
use streamverse_sites::kubernetes::{
    self, Access, Exec, Expose, Image, KubernetesConfig, KubernetesSite, Token,
};
use streamverse_sites::node::{AgentAddress, NodeConfig, NodeSite};
use streamverse_sites::{Site, SiteKind};
use tfplugin_framework::schema::Path;
use tfplugin_framework::{Error, Findings, Maybe, Result, Schema};

/// One site.
#[derive(Clone, Schema)]
pub struct SiteBlock {
    /// A host under a node agent.
    pub node: Option<NodeBlock>,
    /// A Kubernetes cluster.
    pub kubernetes: Option<KubernetesBlock>,
}

/// A host under a node agent.
#[derive(Clone, Schema)]
pub struct NodeBlock {
    /// The agent's Unix socket; the usual one where neither it nor `address` is given.
    pub socket: Option<String>,
    /// The agent over TCP with mutual TLS: `https://HOST:PORT`. Needs `ca_file`, `certificate_file` and `key_file`.
    pub address: Option<String>,
    /// A file with the authority of the agent's certificate, PEM.
    pub ca_file: Option<String>,
    /// A file with our certificate chain, PEM.
    pub certificate_file: Option<String>,
    /// A file with our private key, PEM.
    pub key_file: Option<String>,
    /// The host name in addresses of what runs there; that of `address`, or `127.0.0.1`, where none is given. The agent lets
    /// services listen on 127.0.0.1 alone unless it is started with `--bind`.
    pub host: Option<String>,
}

/// A Kubernetes cluster: reached by a kubeconfig (with whatever that says: certificates, tokens, exec plugins), by an
/// address and a token or exec plugin from other resources, or as the service account of the pod in which Terraform runs.
#[derive(Clone, Schema)]
pub struct KubernetesBlock {
    /// The kubeconfig file; `KUBECONFIG` or `~/.kube/config` where neither it, `host` nor `in_cluster` is given.
    pub kubeconfig: Option<String>,
    /// A context of the kubeconfig; its current one where none is given.
    pub context: Option<String>,
    /// The API server, `https://HOST:PORT`, instead of a kubeconfig.
    pub host: Option<String>,
    /// The API server's certificate authority, PEM; the system's where none is given.
    pub cluster_ca_certificate: Option<String>,
    /// A bearer token for `host`.
    #[attribute(sensitive)]
    pub token: Option<String>,
    /// A program that prints a token for `host` (a client-go credential plugin).
    pub exec: Option<ExecBlock>,
    /// Whether Terraform runs in a pod of the cluster and uses its service account.
    pub in_cluster: Option<bool>,
    /// The namespace of everything that is made; the deployment's name where none is given. It is made where it is
    /// missing, and stays when everything else is destroyed.
    pub namespace: Option<String>,
    /// Images by digest, `NAME:TAG@sha256:…`: `streamverse` (ours), and one for each engine that is used
    /// (`traffic_server`, whose tag is the version that its configuration is written for).
    pub images: BTreeMap<String, String>,
    /// How viewers reach public addresses: `load_balancer` (where none is given), `node_port`, or `cluster_ip` when a
    /// Gateway or an Ingress of yours leads there.
    pub expose: Option<String>,
}

/// A program that prints an `ExecCredential`.
#[derive(Clone, Schema)]
pub struct ExecBlock {
    /// `client.authentication.k8s.io/v1` where none is given.
    pub api_version: Option<String>,
    /// The program.
    pub command: String,
    /// Its arguments.
    pub args: Option<Vec<String>>,
    /// Its environment, besides Terraform's.
    #[attribute(sensitive)]
    pub env: Option<BTreeMap<String, String>>,
}

/// A site as configured; parts of it may still be unknown while planning.
#[derive(Clone)]
pub(crate) enum Configured {
    Node(Box<NodeBlockView>),
    /// This host, under the agent at the usual place.
    Here,
    Kubernetes(Box<KubernetesBlockView>),
    /// Not even its kind is known yet.
    Unknown,
}

impl Configured {
    pub(crate) fn read(block: Maybe<SiteBlockView>) -> Configured {
        let Some(block) = block.into_known() else { return Configured::Unknown };
        match (block.node, block.kubernetes) {
            (_, Maybe::Known(cluster)) => Configured::Kubernetes(Box::new(cluster)),
            (Maybe::Known(node), _) => Configured::Node(Box::new(node)),
            (Maybe::Null, Maybe::Null) => Configured::Here,
            _ => Configured::Unknown,
        }
    }

    pub(crate) fn kind(&self) -> Option<SiteKind> {
        match self {
            Configured::Node(_) | Configured::Here => Some(SiteKind::Node),
            Configured::Kubernetes(_) => Some(SiteKind::Kubernetes),
            Configured::Unknown => None,
        }
    }

    /// Whether it can run something that comes as an image of this name; `None` while that is not known.
    pub(crate) fn has_image(&self, name: &str) -> Option<bool> {
        match self {
            Configured::Node(_) | Configured::Here => Some(true),
            Configured::Kubernetes(cluster) => Some(cluster.images.known()?.contains_key(name)),
            Configured::Unknown => None,
        }
    }

    /// Where an endpoint of an owner is reached, if that is known: `http://HOST:PORT`.
    pub(crate) fn address(&self, owner: Option<&Owner>, endpoint: &str, port: u16) -> Option<String> {
        match self {
            Configured::Unknown => None,
            Configured::Kubernetes(cluster) => {
                let owner = owner?;
                let namespace = namespace(cluster, owner.deployment.as_str())?;
                let host = kubernetes::host(owner, endpoint, &namespace);
                Some(streamverse_sites::Address { host, port }.http())
            }
            Configured::Here => {
                Some(streamverse_sites::Address { host: "127.0.0.1".to_owned(), port }.http())
            }
            Configured::Node(node) => {
                Some(streamverse_sites::Address { host: node_host(node)?, port }.http())
            }
        }
    }

    /// The namespace of an owner's objects, on a cluster, while it is known.
    pub(crate) fn namespace(&self, owner: &Owner) -> Option<String> {
        match self {
            Configured::Kubernetes(cluster) => namespace(cluster, owner.deployment.as_str()),
            _ => None,
        }
    }

    /// A client of the site; `None` while what it needs is unknown. Nothing is asked yet.
    pub(crate) fn client(&self, name: &str, deployment: &str) -> Result<Option<Arc<dyn Site>>> {
        Ok(match self {
            Configured::Kubernetes(cluster) => {
                let Some(config) = cluster_config(name, deployment, cluster)? else { return Ok(None) };
                Some(Arc::new(KubernetesSite::new(config)))
            }
            Configured::Unknown => None,
            Configured::Here => {
                Some(Arc::new(NodeSite::new(NodeConfig::socket(name, NodeConfig::usual_socket()))))
            }
            Configured::Node(node) => match (node_address(node)?, node_host(node)) {
                (Some(agent), Some(host)) => {
                    Some(Arc::new(NodeSite::new(NodeConfig { site: Name::parse(name)?, agent, host })))
                }
                _ => None,
            },
        })
    }
}

/// The host in addresses of what runs on a node, while it is known.
fn node_host(node: &NodeBlockView) -> Option<String> {
    let of_address = || {
        let address = settled(&node.address)?;
        let host = address.and_then(|text| Some(url::Url::parse(&text).ok()?.host_str()?.to_owned()));
        Some(host.unwrap_or_else(|| "127.0.0.1".to_owned()))
    };
    settled(&node.host)?.map_or_else(of_address, Some)
}

/// Where the agent of a node answers, while that is known.
fn node_address(node: &NodeBlockView) -> Result<Option<AgentAddress>> {
    let read = || {
        let files = (settled(&node.ca_file)?, settled(&node.certificate_file)?, settled(&node.key_file)?);
        Some((settled(&node.address)?, settled(&node.socket)?, files))
    };
    let Some((address, socket, files)) = read() else { return Ok(None) };
    let Some(url) = address else {
        return Ok(Some(AgentAddress::Socket(socket.map_or_else(NodeConfig::usual_socket, PathBuf::from))));
    };
    let (Some(authority), Some(certificate), Some(key)) = files else {
        return Err(Error::invalid("a node's `address` needs mutual TLS")
            .next("Give `ca_file`, `certificate_file` and `key_file` too."));
    };
    let (authority, certificate, key) = (authority.into(), certificate.into(), key.into());
    Ok(Some(AgentAddress::Tcp { url, authority, certificate, key }))
}

/// The namespace of a cluster's objects, while it is known.
fn namespace(cluster: &KubernetesBlockView, deployment: &str) -> Option<String> {
    match &cluster.namespace {
        Maybe::Unknown => None,
        Maybe::Null => Some(deployment.to_owned()),
        Maybe::Known(name) => Some(name.clone()),
    }
}

/// The value, or null, of something that is no longer unknown.
fn settled<T: Clone>(value: &Maybe<T>) -> Option<Option<T>> {
    match value {
        Maybe::Unknown => None,
        Maybe::Null => Some(None),
        Maybe::Known(value) => Some(Some(value.clone())),
    }
}

/// The configuration of a client; `None` while anything in it is unknown.
fn cluster_config(
    site: &str,
    deployment: &str,
    cluster: &KubernetesBlockView,
) -> Result<Option<KubernetesConfig>> {
    let read = || {
        let mut images = BTreeMap::new();
        for (of, image) in cluster.images.known()? {
            images.insert(of.clone(), image.known()?.clone());
        }
        let expose = settled(&cluster.expose)?;
        Some((images, expose, namespace(cluster, deployment)?, access(cluster)?))
    };
    let Some((images, expose, namespace, access)) = read() else { return Ok(None) };
    let mut read = BTreeMap::new();
    for (of, image) in images {
        let image =
            Image::parse(&image).map_err(|why| Error::invalid(format!("the image of {of}: {why}")))?;
        read.insert(of, image);
    }
    let expose = expose.as_deref().and_then(Expose::parse).unwrap_or_default();
    Ok(Some(KubernetesConfig { site: Name::parse(site)?, namespace, images: read, expose, access }))
}

fn access(cluster: &KubernetesBlockView) -> Option<Access> {
    if settled(&cluster.in_cluster)?.unwrap_or(false) {
        return Some(Access::InCluster);
    }
    let Some(host) = settled(&cluster.host)? else {
        let path = settled(&cluster.kubeconfig)?.map(PathBuf::from);
        return Some(Access::Kubeconfig { path, context: settled(&cluster.context)? });
    };
    let exec = match &cluster.exec {
        Maybe::Unknown => return None,
        Maybe::Null => None,
        Maybe::Known(exec) => Some(read_exec(exec)?),
    };
    Some(Access::Direct {
        host,
        certificate_authority: settled(&cluster.cluster_ca_certificate)?,
        token: settled(&cluster.token)?.map(Token),
        exec,
    })
}

fn read_exec(exec: &ExecBlockView) -> Option<Exec> {
    let usual = || "client.authentication.k8s.io/v1".to_owned();
    let mut args = Vec::new();
    for arg in settled(&exec.args)?.unwrap_or_default() {
        args.push(arg.into_known()?);
    }
    let mut env = BTreeMap::new();
    for (name, value) in settled(&exec.env)?.unwrap_or_default() {
        env.insert(name, value.into_known()?);
    }
    Some(Exec {
        api_version: settled(&exec.api_version)?.unwrap_or_else(usual),
        command: exec.command.known()?.clone(),
        args,
        env,
    })
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
    match (&block.node, &block.kubernetes) {
        (Maybe::Null, Maybe::Null) => findings.refuse(
            at.clone(),
            "No kind of site",
            format!(
                "Say what the site {name:?} is: node = {{}} is a host under a node agent, kubernetes = {{…}} a cluster."
            ),
        ),
        (Maybe::Known(_), Maybe::Known(_)) => findings.refuse(
            at.clone(),
            "Two kinds of site",
            format!("The site {name:?} is either a node or a kubernetes cluster: remove one of the two."),
        ),
        _ => {}
    }
    if let Some(node) = block.node.known() {
        validate_node(node, &at.clone().attr("node"), findings);
    }
    if let Some(cluster) = block.kubernetes.known() {
        validate_cluster(cluster, &at.clone().attr("kubernetes"), findings);
    }
}

fn validate_node(node: &NodeBlockView, at: &Path, findings: &mut Findings) {
    if node.socket.known().is_some() && node.address.known().is_some() {
        findings.refuse(
            at.clone().attr("address"),
            "Two ways to one agent",
            "Give `socket` for an agent of this host, or `address` for one elsewhere.",
        );
    }
    let files = [
        ("ca_file", node.ca_file.is_null()),
        ("certificate_file", node.certificate_file.is_null()),
        ("key_file", node.key_file.is_null()),
    ];
    let missing: Vec<&str> = files.iter().filter(|(_, missing)| *missing).map(|(name, _)| *name).collect();
    if node.address.known().is_some() && !missing.is_empty() {
        findings.refuse(
            at.clone().attr("address"),
            "An agent over TCP without mutual TLS",
            format!("Give {} too: an agent answers nobody whom it does not know.", missing.join(", ")),
        );
    }
    if node.address.known().is_some_and(|address| !address.starts_with("https://")) {
        findings.refuse(
            at.clone().attr("address"),
            "No address of an agent",
            "It must be https://HOST:PORT.",
        );
    }
}

fn validate_cluster(cluster: &KubernetesBlockView, at: &Path, findings: &mut Findings) {
    let ways = [
        ("kubeconfig", cluster.kubeconfig.known().is_some()),
        ("host", cluster.host.known().is_some()),
        ("in_cluster", cluster.in_cluster.is_known_and(|it| *it)),
    ];
    let given: Vec<&str> = ways.iter().filter(|(_, given)| *given).map(|(name, _)| *name).collect();
    if given.len() > 1 {
        findings.refuse(
            at.clone(),
            "Several ways to one cluster",
            format!("Give one of {}: each says where the API server is.", given.join(", ")),
        );
    }
    if let Some(expose) = cluster.expose.known()
        && Expose::parse(expose).is_none()
    {
        findings.refuse(
            at.clone().attr("expose"),
            "Unknown way to expose",
            format!("{expose:?} is none of load_balancer, node_port, cluster_ip."),
        );
    }
    let Some(images) = cluster.images.known() else { return };
    if !images.contains_key("streamverse") {
        findings.refuse(
            at.clone().attr("images"),
            "No image of StreamVerse",
            "`images` must have `streamverse`, by digest: NAME:TAG@sha256:…".to_owned(),
        );
    }
    for (of, image) in images {
        if let Some(Err(why)) = image.known().map(|image| Image::parse(image)) {
            findings.refuse(
                at.clone().attr("images").key(of.as_str()),
                "No image by digest",
                format!("{why}."),
            );
        }
    }
}
