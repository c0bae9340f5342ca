//! `tls` of the stores: whom they trust, and who they are themselves.

use streamverse_model::platform as model;
use tfplugin_framework::schema::{Path, Secret};
use tfplugin_framework::{Findings, Maybe, Schema};

use super::store::{Value, settled};

/// TLS to a server. Its certificate is always verified, and its name against the host that is configured.
#[derive(Clone, Schema)]
pub struct TlsBlock {
    /// The authorities that are trusted, PEM; those of the system where none is given.
    #[attribute(validate(regex(
        "-----BEGIN CERTIFICATE-----",
        says = "must be certificates in PEM: give `file(\"ca.pem\")`, not its path"
    )))]
    pub ca: Option<String>,
    /// The client's own certificate chain, PEM, where the server asks for one.
    #[attribute(validate(regex(
        "-----BEGIN CERTIFICATE-----",
        says = "must be certificates in PEM: give `file(\"client.pem\")`, not its path"
    )))]
    pub certificate: Option<String>,
    /// The private key of `certificate`, PEM.
    pub private_key: Option<Secret<String>>,
}

/// TLS to a server that asks for no certificate of ours. Its own is always verified, and its name too.
#[derive(Clone, Schema)]
pub struct ServerTlsBlock {
    /// The authorities that are trusted, PEM; those of the system where none is given.
    #[attribute(validate(regex(
        "-----BEGIN CERTIFICATE-----",
        says = "must be certificates in PEM: give `file(\"ca.pem\")`, not its path"
    )))]
    pub ca: Option<String>,
}

/// What a URL says about it: the certificates, which are no secrets.
#[derive(Clone, Default)]
pub(crate) struct Trust {
    ca: Option<String>,
    certificate: Option<String>,
}

impl TlsBlock {
    pub(crate) fn trust(&self) -> Trust {
        Trust { ca: self.ca.clone(), certificate: self.certificate.clone() }
    }

    /// What of it lies in the store's secret.
    pub(crate) fn values(&self) -> Vec<(&'static str, Value<'_>)> {
        let mut values: Vec<_> = self.ca.iter().map(|ca| ("ca", Value::Plain(ca))).collect();
        if let (Some(certificate), Some(key)) = (&self.certificate, &self.private_key) {
            values.push(("certificate", Value::Plain(certificate)));
            values.push(("private-key", Value::Secret(key)));
        }
        values
    }

    /// Such a block as import finds it: nobody can read the rest back.
    pub(crate) fn imported() -> TlsBlock {
        TlsBlock { ca: None, certificate: None, private_key: None }
    }
}

impl ServerTlsBlock {
    pub(crate) fn trust(&self) -> Trust {
        Trust { ca: self.ca.clone(), certificate: None }
    }

    pub(crate) fn values(&self) -> Vec<(&'static str, Value<'_>)> {
        self.ca.iter().map(|ca| ("ca", Value::Plain(ca))).collect()
    }
}

impl Trust {
    /// The parameters `ca` and `certificate` of a URL. `secret` is the store's own, `KIND.NAME`.
    pub(crate) fn parameters(this: Option<&Trust>, secret: &str) -> [(&'static str, Option<String>); 2] {
        let said = |pem: Option<&String>| pem.map(|pem| model::certificate_in(secret, pem));
        [
            ("ca", said(this.and_then(|it| it.ca.as_ref()))),
            ("certificate", said(this.and_then(|it| it.certificate.as_ref()))),
        ]
    }
}

/// The outer `None` while it is unknown.
pub(crate) fn planned(view: Maybe<TlsBlockView>) -> Option<Option<Trust>> {
    let Some(it) = settled(view)? else { return Some(None) };
    Some(Some(Trust { ca: settled(it.ca)?, certificate: settled(it.certificate)? }))
}

/// The outer `None` while it is unknown.
pub(crate) fn planned_of_server(view: Maybe<ServerTlsBlockView>) -> Option<Option<Trust>> {
    let Some(it) = settled(view)? else { return Some(None) };
    Some(Some(Trust { ca: settled(it.ca)?, certificate: None }))
}

/// Refuses half of a client's identity.
pub(crate) fn check(block: &str, tls: &Maybe<TlsBlockView>, findings: &mut Findings) {
    let Some(it) = tls.known() else { return };
    let key = &it.private_key;
    let given = !(key.value.is_null() && key.reference.is_null());
    if it.certificate.known().is_some() != given && !it.certificate.is_unknown() {
        findings.refuse(
            Path::attribute(block).attr("tls").attr("certificate"),
            "Half of a client's identity",
            "Give both certificate and private_key_wo (or private_key_ref), or neither.",
        );
    }
}

/// Warns about a password that would travel, or be guessed from what travels, where everybody can listen.
pub(crate) fn warn_without<'a, T>(
    block: &str,
    tls: &Maybe<T>,
    hosts: impl IntoIterator<Item = &'a str>,
    findings: &mut Findings,
) {
    let Some(host) = hosts.into_iter().find(|host| !is_loopback(host)) else { return };
    if tls.is_null() {
        findings.warn(
            Path::attribute(block).attr("tls"),
            "A login without TLS",
            format!(
                "The password goes to {host} over the network without TLS: who listens there has it, or can guess at it. Give `tls = {{}}`, with `ca` where the server's certificate is of an authority of your own."
            ),
        );
    }
}

fn is_loopback(host: &str) -> bool {
    let host = host.trim_matches(['[', ']']);
    let named = host == "localhost" || host.ends_with(".localhost");
    named || host.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
}
