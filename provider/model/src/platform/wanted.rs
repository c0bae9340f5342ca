//! What specs share when they say which objects they are on a site.

use std::fmt;

use serde::Serialize;
use serde_json::Value;

use super::object::{CredentialUse, EndpointObject, Object, Peer, Port, Protocol, Reach};
use super::owner::{Name, NameError};
use super::store_url::{StoreUrl, StoreUrlError};

/// Why a spec cannot be put on a site.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SpecError(String);

impl SpecError {
    /// What is wrong with a spec, in words.
    pub fn new(text: impl Into<String>) -> SpecError {
        SpecError(text.into())
    }
}

impl fmt::Display for SpecError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for SpecError {}

impl From<StoreUrlError> for SpecError {
    fn from(error: StoreUrlError) -> SpecError {
        SpecError(error.to_string())
    }
}

impl From<NameError> for SpecError {
    fn from(error: NameError) -> SpecError {
        SpecError(error.to_string())
    }
}

impl From<serde_json::Error> for SpecError {
    fn from(error: serde_json::Error) -> SpecError {
        SpecError(error.to_string())
    }
}

impl From<String> for SpecError {
    fn from(text: String) -> SpecError {
        SpecError(text)
    }
}

/// What a service needs for the stores that it uses.
pub(crate) struct Uses {
    pub(crate) credentials: Vec<CredentialUse>,
    pub(crate) reach: Vec<Reach>,
}

/// Secrets and network peers of stores' URLs, once each.
pub(crate) fn uses<'a>(urls: impl IntoIterator<Item = &'a str>) -> Result<Uses, SpecError> {
    let (mut credentials, mut reach) = (Vec::new(), Vec::new());
    for text in urls {
        let url = StoreUrl::parse(text)?;
        credentials.extend(url.credentials());
        // A key service of ours is told by its Service's name; other stores are mostly outside of the cluster.
        let peer = match url.scheme() {
            "keys" => url.host().map_or(Peer::Anywhere, peer),
            _ => Peer::Anywhere,
        };
        for one in url.ports().into_iter().map(|port| Reach { peer: peer.clone(), port }) {
            if !reach.contains(&one) {
                reach.push(one);
            }
        }
    }
    credentials.sort();
    credentials.dedup();
    reach.sort_by_key(|it| it.port);
    Ok(Uses { credentials, reach })
}

/// What is asked by URL, once each; what is no URL is not asked.
pub(crate) fn reach<'a>(urls: impl IntoIterator<Item = &'a str>) -> Vec<Reach> {
    let one = |text: &str| {
        let url = url::Url::parse(text).ok()?;
        Some(Reach { peer: peer(url.host_str()?), port: url.port_or_known_default()? })
    };
    let mut all: Vec<Reach> = Vec::new();
    for reach in urls.into_iter().filter_map(one) {
        if !all.contains(&reach) {
            all.push(reach);
        }
    }
    all.sort_by_key(|it| it.port);
    all
}

/// Who is behind a host: `NAME.NAMESPACE.svc` is a Service (Kubernetes documentation, "DNS for Services and Pods").
fn peer(host: &str) -> Peer {
    let host = host.strip_suffix(".cluster.local").unwrap_or(host);
    match host.split('.').collect::<Vec<_>>().as_slice() {
        [name, namespace, "svc"] => {
            Peer::Service { name: (*name).to_owned(), namespace: (*namespace).to_owned() }
        }
        _ => Peer::Anywhere,
    }
}

pub(crate) fn spec_value(spec: &impl Serialize) -> Result<Value, SpecError> {
    Ok(serde_json::to_value(spec)?)
}

/// The port of a service that speaks HTTP.
pub(crate) fn http(number: u16) -> Vec<Port> {
    vec![Port { name: Name::fixed("http"), number, protocol: Protocol::Tcp, public: false }]
}

/// The address of that port.
pub(crate) fn public_http(of: &str, public: bool) -> Object {
    let http = Name::fixed("http");
    Object::Endpoint(EndpointObject { name: http.clone(), of: of.to_owned(), port: http, public })
}

#[cfg(test)]
mod tests {
    use super::super::KEYS_PORT;
    use super::*;

    #[test]
    fn a_key_service_is_reached_by_its_name_and_other_stores_by_their_port() {
        let urls = [
            "keys://demo-key-service-main-http.video.svc:9180?secret=key-service.main",
            "postgres://u@db.example/d?secret=catalogue.main",
            "postgres://u@db.example/other",
        ];
        let uses = uses(urls).unwrap();
        let of: Vec<String> = uses.credentials.iter().map(|it| format!("{}.{}", it.kind, it.name)).collect();
        assert_eq!(of, ["catalogue.main", "key-service.main"]);
        let service =
            Peer::Service { name: "demo-key-service-main-http".to_owned(), namespace: "video".to_owned() };
        let wanted = [Reach { peer: Peer::Anywhere, port: 5432 }, Reach { peer: service, port: KEYS_PORT }];
        assert_eq!(uses.reach, wanted);
    }
}
