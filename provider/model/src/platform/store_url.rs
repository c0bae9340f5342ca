//! Stores by URL: what is stored where, without the secret that opens it.
//!
//! | need | one machine | cluster |
//! |---|---|---|
//! | objects | `file://SITE/NAME`, `file:///absolute/path` | `s3://BUCKET/PREFIX?endpoint=…&region=…&secret=KIND.NAME` |
//! | event log | `embedded://SITE/NAME` | `kafka://HOST:PORT,HOST:PORT?secret=KIND.NAME&prefix=…` |
//! | catalogue | `sqlite://SITE/NAME` | `postgres://USER@HOST:PORT/DATABASE?secret=KIND.NAME` |
//! | cache | `memory://SITE/NAME` | `redis://HOST:PORT/0?secret=KIND.NAME` |
//! | content keys | `keys://HOST:PORT?secret=key-service.NAME` | the same |
//!
//! TLS is `sslmode=verify-full` (PostgreSQL), the scheme `rediss`, `tls=true` (Kafka) or an endpoint with `https` (S3). Two
//! parameters belong to it: `ca` and `certificate`, each `KIND.NAME.DIGEST`. They say whose secret has the trusted
//! authorities and the client's own certificate with its key; the digest makes another certificate another URL, so that
//! services start anew with it.
//!
//! With a site as its host, a `file:`, `embedded:`, `sqlite:` or `memory:` URL means a place that the node agent of that
//! site gives it (RFC 8089 section 2 gives a file URL's host the same meaning). `secret` names a secret of the same
//! deployment ([`CredentialUse`](super::CredentialUse)): the URL itself never holds one.

use std::fmt;

use url::Url;

use super::object::CredentialUse;
use super::owner::Name;

/// A store's URL, read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StoreUrl {
    /// A place of that name under the node agent of the site, by scheme (`file`, `embedded`, `sqlite`, `memory`).
    Local {
        /// The scheme.
        scheme: String,
        /// The site.
        site: Name,
        /// The store's name there.
        name: Name,
    },
    /// A folder of the host that the user gave: `file:///srv/media`.
    Folder(String),
    /// A remote system.
    Remote {
        /// The URL without `secret`, `ca` and `certificate`.
        url: Url,
        /// The secret that opens it.
        secret: Option<CredentialUse>,
        /// Certificates that its TLS needs.
        certificates: Certificates,
    },
}

/// Where the certificates of a remote system's TLS lie: each in the secret of a store.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Certificates {
    /// The authorities that are trusted instead of the system's, under the key `ca`.
    pub ca: Option<CredentialUse>,
    /// The client's own, under the keys `certificate` and `private-key`.
    pub own: Option<CredentialUse>,
}

/// Why a URL is no store's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoreUrlError(String);

/// Where a key service listens unless told otherwise.
pub const KEYS_PORT: u16 = 9180;

/// Schemes that mean a place under a node agent.
const LOCAL: &[&str] = &["file", "embedded", "sqlite", "memory"];
/// Schemes of remote systems.
const REMOTE: &[&str] = &["s3", "kafka", "postgres", "redis", "rediss", "keys"];

impl StoreUrl {
    /// Reads a store's URL.
    ///
    /// # Errors
    /// An unknown scheme, a password in the URL, a path that leaves its place, a `secret` that is no `KIND.NAME`.
    pub fn parse(text: &str) -> Result<StoreUrl, StoreUrlError> {
        let fail = |why: &str| Err(StoreUrlError(why.to_owned()));
        // Several brokers are no valid host, so they are read as one.
        let (scheme, rest) =
            text.split_once("://").ok_or_else(|| StoreUrlError("it has no scheme".to_owned()))?;
        if LOCAL.contains(&scheme) {
            if scheme == "file" && rest.starts_with('/') {
                if rest.split('/').any(|part| part == ".." || part == ".") || rest.contains(['?', '#', '\0'])
                {
                    return fail("a folder's path has no `.`, `..`, `?` or `#`");
                }
                return Ok(StoreUrl::Folder(rest.to_owned()));
            }
            let Some((site, name)) = rest.split_once('/') else {
                return fail("it must be SCHEME://SITE/NAME");
            };
            let name_of = |text: &str| Name::parse(text).map_err(|error| StoreUrlError(error.to_string()));
            return Ok(StoreUrl::Local {
                scheme: scheme.to_owned(),
                site: name_of(site)?,
                name: name_of(name)?,
            });
        }
        if !REMOTE.contains(&scheme) {
            return fail(
                "its scheme is none of file, embedded, sqlite, memory, s3, kafka, postgres, redis, rediss, keys",
            );
        }
        // A URL has one host: the other brokers travel as a parameter.
        let authority = rest.split(['/', '?']).next().unwrap_or_default();
        let single = match (scheme, authority.split_once(',')) {
            ("kafka", Some((first, _))) => text.replacen(authority, first, 1),
            _ => text.to_owned(),
        };
        let mut url = Url::parse(&single).map_err(|error| StoreUrlError(error.to_string()))?;
        if url.password().is_some() {
            return fail("it holds a password: give the password to the resource's secret, not to the URL");
        }
        let (mut secret, mut certificates) = (None, Certificates::default());
        let pairs: Vec<(String, String)> = url.query_pairs().into_owned().collect();
        url.set_query(None);
        for (key, value) in pairs {
            if key == "secret" {
                secret =
                    Some(used(&value).ok_or_else(|| StoreUrlError::new("its `secret` is no KIND.NAME"))?);
            } else if key == "ca" || key == "certificate" {
                let found = value.rsplit_once('.').and_then(|(of, _)| used(of));
                let found =
                    found.ok_or_else(|| StoreUrlError(format!("its `{key}` is no KIND.NAME.DIGEST")))?;
                *(if key == "ca" { &mut certificates.ca } else { &mut certificates.own }) = Some(found);
            } else if ["password", "secret_key", "access_key", "sslkey", "token"].contains(&key.as_str()) {
                return fail("it holds a secret: give it to the resource's secret, not to the URL");
            } else {
                url.query_pairs_mut().append_pair(&key, &value);
            }
        }
        if scheme == "kafka" {
            url.query_pairs_mut().append_pair("brokers", authority);
        }
        Ok(StoreUrl::Remote { url, secret, certificates })
    }

    /// The site that the store is bound to, if it is.
    pub fn site(&self) -> Option<&Name> {
        match self {
            StoreUrl::Local { site, .. } => Some(site),
            _ => None,
        }
    }

    /// The secret that opens it.
    pub fn secret(&self) -> Option<&CredentialUse> {
        match self {
            StoreUrl::Remote { secret, .. } => secret.as_ref(),
            _ => None,
        }
    }

    /// Every secret that whoever opens it needs, once each.
    pub fn credentials(&self) -> Vec<CredentialUse> {
        let StoreUrl::Remote { secret, certificates, .. } = self else { return Vec::new() };
        let mut all: Vec<_> =
            [secret, &certificates.ca, &certificates.own].into_iter().flatten().cloned().collect();
        all.sort();
        all.dedup();
        all
    }

    /// The TCP ports at which a remote system is reached: of each broker, or of the endpoint that an S3 URL names.
    pub fn ports(&self) -> Vec<u16> {
        let StoreUrl::Remote { url, .. } = self else { return Vec::new() };
        let parameter =
            |key: &str| url.query_pairs().find(|(name, _)| name == key).map(|(_, value)| value.into_owned());
        let mut ports = match url.scheme() {
            "s3" => {
                let endpoint = parameter("endpoint").and_then(|endpoint| Url::parse(&endpoint).ok());
                vec![endpoint.and_then(|endpoint| endpoint.port_or_known_default()).unwrap_or(443)]
            }
            "kafka" => {
                let brokers = parameter("brokers").unwrap_or_default();
                let port = |broker: &str| broker.rsplit_once(':').and_then(|(_, port)| port.parse().ok());
                brokers.split(',').map(|broker| port(broker).unwrap_or(9092)).collect()
            }
            "postgres" => vec![url.port().unwrap_or(5432)],
            "keys" => vec![url.port().unwrap_or(KEYS_PORT)],
            _ => vec![url.port().unwrap_or(6379)],
        };
        ports.sort_unstable();
        ports.dedup();
        ports
    }

    /// The host of a remote system, where it has one: several brokers, or an S3 endpoint, have none here.
    pub fn host(&self) -> Option<&str> {
        match self {
            StoreUrl::Remote { url, .. } if !["s3", "kafka"].contains(&url.scheme()) => url.host_str(),
            _ => None,
        }
    }

    /// The scheme.
    pub fn scheme(&self) -> &str {
        match self {
            StoreUrl::Local { scheme, .. } => scheme,
            StoreUrl::Folder(_) => "file",
            StoreUrl::Remote { url, .. } => url.scheme(),
        }
    }
}

/// `KIND.NAME`.
fn used(text: &str) -> Option<CredentialUse> {
    let (kind, name) = text.split_once('.')?;
    Some(CredentialUse { kind: Name::parse(kind).ok()?, name: Name::parse(name).ok()? })
}

impl StoreUrlError {
    fn new(text: &str) -> StoreUrlError {
        StoreUrlError(text.to_owned())
    }
}

impl fmt::Display for StoreUrlError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "this is no store's URL: {}", self.0)
    }
}

impl std::error::Error for StoreUrlError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_on_a_site_is_no_path() {
        let url = StoreUrl::parse("file://here/media").unwrap();
        assert_eq!(url.site().map(Name::as_str), Some("here"));
        assert!(StoreUrl::parse("file://here/../etc").is_err());
        assert!(StoreUrl::parse("file:///srv/../etc").is_err());
        assert_eq!(StoreUrl::parse("file:///srv/media").unwrap(), StoreUrl::Folder("/srv/media".to_owned()));
    }

    #[test]
    fn a_password_in_a_url_is_refused_without_being_repeated() {
        for text in ["postgres://a:hunter2@h/db", "redis://:hunter2@h", "s3://b?secret_key=hunter2"] {
            let error = StoreUrl::parse(text).unwrap_err().to_string();
            assert!(!error.contains("hunter2"), "{error}");
        }
    }

    #[test]
    fn the_ports_of_a_remote_system_are_those_that_its_url_names() {
        let ports = |text: &str| StoreUrl::parse(text).unwrap().ports();
        assert_eq!(ports("kafka://a:9092,b:9093,c:9092"), [9092, 9093]);
        assert_eq!(ports("s3://b/p?endpoint=http://s3.local:9000&region=x"), [9000]);
        assert_eq!(ports("s3://b"), [443]);
        assert_eq!(ports("postgres://u@h/d"), [5432]);
        assert_eq!(ports("redis://h:7000/0"), [7000]);
        assert_eq!(ports("keys://h:7001?secret=key-service.main"), [7001]);
        assert_eq!(ports("keys://h"), [KEYS_PORT]);
        assert!(ports("file://default/media").is_empty());
    }

    #[test]
    fn certificates_are_found_in_secrets() {
        let text = "rediss://h:1/0?secret=cache.a&ca=cache.a.00ff&certificate=cache.b.17";
        let url = StoreUrl::parse(text).unwrap();
        assert_eq!(url.credentials().iter().map(|it| it.name.as_str()).collect::<Vec<_>>(), ["a", "b"]);
        assert_eq!(url.ports(), [1]);
        let StoreUrl::Remote { url, .. } = url else { panic!() };
        assert_eq!(url.as_str(), "rediss://h:1/0");
        assert!(StoreUrl::parse("rediss://h:1/0?ca=cache").is_err());
    }

    #[test]
    fn several_brokers_and_a_secret_are_read() {
        let url = StoreUrl::parse("kafka://a:9092,b:9092?secret=event-log.main&prefix=x").unwrap();
        assert_eq!(url.secret().map(|it| it.kind.as_str().to_owned()), Some("event-log".to_owned()));
        let StoreUrl::Remote { url, .. } = url else { panic!() };
        assert_eq!(url.query(), Some("prefix=x&brokers=a%3A9092%2Cb%3A9092"));
    }
}
