//! The API over TCP: mutual TLS, TLS 1.3 or 1.2. Who has no certificate of the given authority gets no byte of an answer.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use axum::Router;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};
use streamverse_core::http::{self, Limits, Room};
use streamverse_core::{Error, Result, Stop};
use tokio::net::TcpListener;

/// Where the API is offered over TCP, and what proves who is who.
#[derive(Clone, Debug)]
pub(crate) struct Tcp {
    /// The address to listen on.
    pub(crate) listen: SocketAddr,
    /// The agent's certificate chain, PEM.
    pub(crate) certificate: PathBuf,
    /// Its private key, PEM.
    pub(crate) key: PathBuf,
    /// The authority whose certificates clients show, PEM.
    pub(crate) client_authority: PathBuf,
}

/// A listener that is ready to be served.
pub(crate) struct Listening {
    listener: TcpListener,
    config: Arc<ServerConfig>,
}

fn unusable(path: &Path, what: &str) -> Error {
    Error::permanent("usage", format!("{} is no {what}: give a PEM file", path.display()))
}

fn certificates(path: &Path, what: &str) -> Result<Vec<CertificateDer<'static>>> {
    let read =
        CertificateDer::pem_file_iter(path).and_then(Iterator::collect::<std::result::Result<Vec<_>, _>>);
    match read {
        Ok(all) if !all.is_empty() => Ok(all),
        Ok(_) => Err(unusable(path, what)),
        Err(error) => Err(unusable(path, what).because(error)),
    }
}

impl Tcp {
    /// Reads the files and takes the port.
    ///
    /// # Errors
    /// A file that cannot be read or is not what it should be, an address that is taken.
    pub(crate) async fn bind(&self) -> Result<Listening> {
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let mut roots = RootCertStore::empty();
        for root in certificates(&self.client_authority, "authority of clients")? {
            roots.add(root).map_err(|error| unusable(&self.client_authority, "authority").because(error))?;
        }
        let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider))
            .build()
            .map_err(|error| unusable(&self.client_authority, "authority of clients").because(error))?;
        let chain = certificates(&self.certificate, "certificate")?;
        let key = PrivateKeyDer::from_pem_file(&self.key)
            .map_err(|error| unusable(&self.key, "private key").because(error))?;
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|error| Error::permanent("usage", "no TLS version is usable").because(error))?
            .with_client_cert_verifier(verifier)
            .with_single_cert(chain, key)
            .map_err(|error| unusable(&self.certificate, "certificate of that key").because(error))?;
        let listener = TcpListener::bind(self.listen).await.map_err(|error| {
            Error::permanent("port-taken", format!("{} cannot be listened on", self.listen)).because(error)
        })?;
        Ok(Listening { listener, config: Arc::new(config) })
    }
}

impl Listening {
    /// Serves until told to stop.
    pub(crate) async fn serve(self, router: Router, limits: Limits, stop: Stop) {
        // A client may do everything here: none is kept from taking what there is.
        let room =
            Room { strangers: limits.connections, known: limits.connections, of_one: limits.connections };
        http::serve_tls(self.listener, self.config, router, limits, room, &stop).await;
    }
}
