//! A host under a node agent, over the agent's HTTP API on a Unix socket.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use async_trait::async_trait;
use reqwest::{Certificate, Client, Identity, Method, StatusCode};
use serde::Serialize;
use serde::de::DeserializeOwned;
use streamverse_model::media::MediaFacts;
use streamverse_model::platform::node::{
    ApiError, Applied, ApplyRequest, Looked, NodeInfo, OwnerList, ProbeRequest,
};
use streamverse_model::platform::{Bundle, Name, Object, Observed, Owner, SecretValue};
use tokio::sync::OnceCell;

use crate::error::{Class, Error, Result};
use crate::site::{Address, Capability, Deletion, Site, SiteInfo, SiteKind, port_of};

/// A request that changes nothing or everything; the agent writes a file.
const LIMIT: Duration = Duration::from_secs(30);
/// How long an agent that is being restarted is waited for.
const PATIENCE: Duration = Duration::from_secs(8);

/// Until a connection over TCP stands.
const CONNECT: Duration = Duration::from_secs(10);

fn unusable(files: &str) -> Error {
    Error::new(Class::Invalid, format!("{files}: not usable as PEM"))
        .next("Correct the site's `ca_file`, `certificate_file` or `key_file` in the provider block.")
}

fn read_pem(path: &Path) -> Result<Vec<u8>> {
    std::fs::read(path).map_err(|error| {
        Error::new(Class::Invalid, format!("{} cannot be read", path.display()))
            .next("Correct the site's `ca_file`, `certificate_file` or `key_file` in the provider block.")
            .because(error)
    })
}

/// How an agent is reached.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NodeConfig {
    /// The site's name.
    pub site: Name,
    /// Where the agent answers.
    pub agent: AgentAddress,
    /// The host in addresses of endpoints.
    pub host: String,
}

/// Where an agent answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AgentAddress {
    /// A Unix socket of this host.
    Socket(PathBuf),
    /// TCP with mutual TLS. Files are read when the client is made, so that no key is ever part of a configuration.
    Tcp {
        /// `https://HOST:PORT`.
        url: String,
        /// The authority of the agent's certificate, PEM.
        authority: PathBuf,
        /// Our certificate chain, PEM.
        certificate: PathBuf,
        /// Our private key, PEM.
        key: PathBuf,
    },
}

impl std::fmt::Display for AgentAddress {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            AgentAddress::Socket(socket) => write!(f, "{}", socket.display()),
            AgentAddress::Tcp { url, .. } => f.write_str(url),
        }
    }
}

impl NodeConfig {
    /// Where the agent of this host listens if nobody says otherwise: the variable that its command line reads too, a
    /// user's own run directory, or the system's.
    pub fn usual_socket() -> PathBuf {
        if let Some(socket) = std::env::var_os("STREAMVERSE_NODE_SOCKET") {
            return socket.into();
        }
        let own =
            std::env::var_os("XDG_RUNTIME_DIR").map(|run| PathBuf::from(run).join("streamverse/node.sock"));
        own.filter(|socket| socket.exists()).unwrap_or_else(|| PathBuf::from("/run/streamverse/node.sock"))
    }

    /// An agent of this host. A site that is no name is called `default`.
    pub fn socket(site: &str, socket: impl AsRef<Path>) -> NodeConfig {
        let fallback = || Name::parse("default");
        let site = Name::parse(site).or_else(|_| fallback());
        #[allow(clippy::expect_used, reason = "a literal that is a name")]
        let site = site.expect("`default` is a name");
        NodeConfig {
            site,
            agent: AgentAddress::Socket(socket.as_ref().to_owned()),
            host: "127.0.0.1".to_owned(),
        }
    }
}

/// A host under a node agent. Making one touches nothing.
pub struct NodeSite {
    config: NodeConfig,
    client: OnceCell<Client>,
}

impl NodeSite {
    /// A site that is reached as the configuration says.
    pub fn new(config: NodeConfig) -> NodeSite {
        NodeSite { config, client: OnceCell::new() }
    }

    /// Why nobody reaches the endpoints of a bundle at the address that they were given, if that is so.
    async fn listens_elsewhere(&self, bundle: &Bundle) -> Option<String> {
        let host = self.config.host.as_str();
        let loopback = |host: &str| {
            host == "localhost" || host.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
        };
        let listens = bundle.objects.iter().any(|object| matches!(object, Object::Endpoint(_)));
        if !listens || loopback(host) {
            return None;
        }
        let info: NodeInfo = self.ask(Method::GET, "/v1/node", NO_BODY).await.ok()??;
        loopback(&info.bind).then(|| {
            format!(
                "Its address is at {host}, but the agent lets services listen on {} alone: start it with --bind 0.0.0.0, or \
                 with an address of that host.",
                info.bind
            )
        })
    }

    async fn client(&self) -> Result<&Client> {
        let build = || async {
            let builder = Client::builder().timeout(LIMIT);
            let builder = match &self.config.agent {
                AgentAddress::Socket(socket) => builder.unix_socket(socket.as_path()),
                AgentAddress::Tcp { authority, certificate, key, .. } => {
                    let mut own = read_pem(certificate)?;
                    own.extend(read_pem(key)?);
                    let identity = Identity::from_pem(&own).map_err(|error| {
                        unusable(&format!("{} and {}", certificate.display(), key.display())).because(error)
                    })?;
                    let roots = Certificate::from_pem_bundle(&read_pem(authority)?)
                        .map_err(|error| unusable(&authority.display().to_string()).because(error))?;
                    builder.tls_certs_only(roots).identity(identity).connect_timeout(CONNECT)
                }
            };
            builder.build().map_err(|error| Error::new(Class::Permanent, "no HTTP client").because(error))
        };
        self.client.get_or_try_init(build).await
    }

    fn path(owner: &Owner) -> String {
        format!("/v1/deployments/{}/owners/{}/{}", owner.deployment, owner.kind, owner.name)
    }

    /// One request, again while the agent is away. Every request of this API may be repeated.
    async fn send(
        &self,
        method: Method,
        path: &str,
        body: Option<&impl Serialize>,
        limit: Duration,
    ) -> Result<(StatusCode, Vec<u8>)> {
        let until = tokio::time::Instant::now() + PATIENCE;
        let mut pause = Duration::from_millis(100);
        loop {
            let mut request = self.client().await?.request(method.clone(), self.url(path)).timeout(limit);
            if let Some(body) = body {
                request = request.json(body);
            }
            let failure = match request.send().await {
                Ok(answer) => {
                    let status = answer.status();
                    match answer.bytes().await {
                        Ok(bytes) => return Ok((status, bytes.to_vec())),
                        Err(error) => error,
                    }
                }
                Err(error) => error,
            };
            let timed_out = failure.is_timeout();
            if timed_out || tokio::time::Instant::now() + pause > until {
                return Err(self.unreachable(failure));
            }
            tokio::time::sleep(pause.mul_f64(rand::random_range(0.5..1.0))).await;
            pause = (pause * 2).min(Duration::from_secs(2));
        }
    }

    fn url(&self, path: &str) -> String {
        match &self.config.agent {
            AgentAddress::Socket(_) => format!("http://node{path}"),
            AgentAddress::Tcp { url, .. } => format!("{}{path}", url.trim_end_matches('/')),
        }
    }

    fn unreachable(&self, error: reqwest::Error) -> Error {
        let (site, place) = (&self.config.site, &self.config.agent);
        let next = match place {
            AgentAddress::Socket(_) => format!(
                "Start it with `streamverse node run --socket {place}`, or correct the site's `socket` in the provider block."
            ),
            AgentAddress::Tcp { .. } => "Check that it runs with --listen, that its certificate is of `ca_file` and has that host's name, and that ours is of its --client-ca.".to_owned(),
        };
        Error::new(Class::Unreachable, format!("the node agent of site {site} does not answer at {place}"))
            .next(next)
            .because(error.without_url())
    }

    async fn ask<T: DeserializeOwned>(
        &self,
        method: Method,
        path: &str,
        body: Option<&impl Serialize>,
    ) -> Result<Option<T>> {
        let (status, bytes) = self.send(method, path, body, LIMIT).await?;
        answer(status, &bytes)
    }

    async fn put(&self, bundle: &Bundle, secrets: &[SecretValue], dry_run: bool) -> Result<Applied> {
        for object in &bundle.objects {
            if let Object::Endpoint(endpoint) = object {
                port_of(bundle, endpoint)?;
            }
        }
        let values: BTreeMap<Name, BTreeMap<Name, String>> =
            secrets.iter().map(|secret| (secret.name.clone(), secret.values.clone())).collect();
        let request = ApplyRequest { bundle: bundle.clone(), secrets: values };
        let path = format!("{}?dry_run={dry_run}", Self::path(&bundle.owner));
        let applied = self.ask(Method::PUT, &path, Some(&request)).await?;
        applied.ok_or_else(|| {
            Error::new(Class::Permanent, "the node agent does not know its own API")
                .next("Upgrade the agent.")
        })
    }
}

/// Nothing of the body is needed.
const NO_BODY: Option<&()> = None;

fn answer<T: DeserializeOwned>(status: StatusCode, bytes: &[u8]) -> Result<Option<T>> {
    if status == StatusCode::NOT_FOUND {
        return Ok(None);
    }
    if status.is_success() {
        let read = serde_json::from_slice(bytes);
        return read.map(Some).map_err(|error| {
            Error::new(Class::Permanent, "the node agent's answer is not understood")
                .next("Use the same version of the agent and of the provider.")
                .because(error)
        });
    }
    let refusal: ApiError = serde_json::from_slice(bytes).unwrap_or_else(|_| ApiError {
        code: "unavailable".to_owned(),
        message: format!("the node agent answered {status}"),
        next: None,
        field: None,
    });
    let class = match (status, refusal.code.as_str()) {
        (StatusCode::CONFLICT, _) => Class::Conflict,
        (StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN, _) => Class::Denied,
        (_, "unsupported") => Class::Unsupported,
        (StatusCode::BAD_REQUEST | StatusCode::UNPROCESSABLE_ENTITY, _) => Class::Invalid,
        (status, _) if status.is_server_error() => Class::Retry,
        _ => Class::Permanent,
    };
    let mut error = Error::new(class, refusal.message);
    error.next = refusal.next;
    error.field = refusal.field.or_else(|| ProbeRequest::field_of(&refusal.code).map(str::to_owned));
    Err(error)
}

#[async_trait]
impl Site for NodeSite {
    fn kind(&self) -> SiteKind {
        SiteKind::Node
    }

    fn name(&self) -> &Name {
        &self.config.site
    }

    fn address(&self, _: &Owner, _: &Name, port: u16) -> Address {
        Address { host: self.config.host.clone(), port }
    }

    async fn describe(&self) -> Result<SiteInfo> {
        let info: Option<NodeInfo> = self.ask(Method::GET, "/v1/node", NO_BODY).await?;
        let info =
            info.ok_or_else(|| Error::new(Class::Permanent, "the node agent does not know its own API"))?;
        let one = |name: String, version: &str| Capability { name, version: version.to_owned() };
        let targets = info.targets.iter().map(|name| one(format!("target/{name}"), &info.version));
        let engines =
            info.engines.iter().map(|(name, engine)| one(format!("engine/{name}"), &engine.version));
        let plugins = info.engines.values().flat_map(|engine| {
            engine.plugins.iter().map(|name| one(format!("plugin/{name}"), &engine.version))
        });
        let tools = info.tools.keys().map(|name| one(format!("tool/{name}"), ""));
        let capabilities = targets.chain(engines).chain(plugins).chain(tools).collect();
        Ok(SiteInfo {
            healthy: info.problems.is_empty(),
            version: info.version,
            problems: info.problems,
            capabilities,
        })
    }

    async fn rehearse(&self, bundle: &Bundle) -> Result<Applied> {
        self.put(bundle, &[], true).await
    }

    async fn apply(&self, bundle: &Bundle, secrets: &[SecretValue]) -> Result<Applied> {
        if let Some(object) = bundle.objects.iter().find(|object| !SiteKind::Node.holds(object)) {
            return Err(Error::new(Class::Unsupported, format!("a node cannot hold {}", object.key()))
                .next("Choose a Kubernetes site."));
        }
        let mut applied = self.put(bundle, secrets, false).await?;
        applied.warnings.extend(self.listens_elsewhere(bundle).await);
        Ok(applied)
    }

    async fn observe(&self, owner: &Owner) -> Result<Option<Observed>> {
        self.ask(Method::GET, &Self::path(owner), NO_BODY).await
    }

    async fn delete(&self, owner: &Owner) -> Result<Deletion> {
        let (status, bytes) = self.send(Method::DELETE, &Self::path(owner), NO_BODY, LIMIT).await?;
        match status {
            StatusCode::NO_CONTENT | StatusCode::NOT_FOUND => Ok(Deletion::Gone),
            StatusCode::ACCEPTED => Ok(Deletion::Pending(String::from_utf8_lossy(&bytes).into_owned())),
            _ => Err(answer::<()>(status, &bytes)
                .err()
                .unwrap_or_else(|| Error::new(Class::Retry, "the node agent answered something else"))),
        }
    }

    async fn list(&self, deployment: &Name) -> Result<Vec<Owner>> {
        let list: Option<OwnerList> =
            self.ask(Method::GET, &format!("/v1/deployments/{deployment}/owners"), NO_BODY).await?;
        Ok(list.map(|list| list.owners).unwrap_or_default())
    }

    async fn probe(
        &self,
        deployment: &Name,
        request: &ProbeRequest,
        limit: Duration,
    ) -> Result<Option<MediaFacts>> {
        let (status, bytes) = self
            .send(Method::POST, &format!("/v1/deployments/{deployment}/probe"), Some(request), limit)
            .await?;
        answer(status, &bytes)
    }

    async fn look(&self, owner: &Owner) -> Result<Option<String>> {
        let looked: Option<Looked> =
            self.ask(Method::POST, &format!("{}/look", Self::path(owner)), NO_BODY).await?;
        Ok(looked.and_then(|it| it.changed))
    }

    async fn logs(&self, owner: &Owner, object: &str, lines: usize) -> Result<String> {
        let path = format!("{}/logs?object={object}&lines={lines}", Self::path(owner));
        let (status, bytes) = self.send(Method::GET, &path, NO_BODY, LIMIT).await?;
        if status.is_success() {
            return Ok(String::from_utf8_lossy(&bytes).into_owned());
        }
        answer::<()>(status, &bytes)?;
        Ok(String::new())
    }
}
