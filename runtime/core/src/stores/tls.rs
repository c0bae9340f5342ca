//! TLS to the servers of stores: whom we trust, who we are, and what is said when it fails.
//!
//! A server's certificate is always verified, and its name against the host of the URL. Nothing switches that off.

#[cfg(feature = "postgres")]
use std::sync::Arc;

#[cfg(feature = "postgres")]
use rustls::pki_types::pem::PemObject as _;
#[cfg(feature = "postgres")]
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
#[cfg(feature = "postgres")]
use rustls::{ClientConfig, RootCertStore};
use streamverse_model::platform::Certificates;

use crate::context::ServiceContext;
use crate::error::{Error, Result};

/// Certificates in PEM, as the site laid them.
#[derive(Default)]
pub(crate) struct Pems {
    /// Trusted authorities; the system's where there are none.
    pub(crate) ca: Option<String>,
    /// The client's own certificate, and its private key.
    pub(crate) own: Option<(String, String)>,
}

impl Pems {
    /// Reads them; `tls` says whether the store is reached by TLS at all.
    pub(crate) fn read(certificates: &Certificates, tls: bool, cx: &ServiceContext) -> Result<Pems> {
        if !tls {
            return if *certificates == Certificates::default() {
                Ok(Pems::default())
            } else {
                Err(Error::permanent("store-url", "certificates of a store that is not reached by TLS"))
            };
        }
        let ca = certificates.ca.as_ref().map(|secret| cx.credential(secret, "ca")).transpose()?;
        let own = match &certificates.own {
            Some(secret) => {
                Some((cx.credential(secret, "certificate")?, cx.credential(secret, "private-key")?))
            }
            None => None,
        };
        Ok(Pems { ca, own })
    }

    /// What rustls does with them.
    #[cfg(feature = "postgres")]
    pub(crate) fn client(&self) -> Result<ClientConfig> {
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let builder = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|error| unusable("TLS").because(error))?
            .with_root_certificates(self.roots()?);
        let Some((chain, key)) = &self.own else { return Ok(builder.with_no_client_auth()) };
        let chain = CertificateDer::pem_slice_iter(chain.as_bytes())
            .collect::<Result<Vec<_>, _>>()
            .map_err(|error| unusable("`certificate`").because(error))?;
        // What is wrong with a key is told without its text.
        let key = PrivateKeyDer::from_pem_slice(key.as_bytes()).map_err(|_| unusable("the private key"))?;
        builder
            .with_client_auth_cert(chain, key)
            .map_err(|error| unusable("`certificate` with its key").because(error))
    }

    #[cfg(feature = "postgres")]
    fn roots(&self) -> Result<RootCertStore> {
        let mut roots = RootCertStore::empty();
        if let Some(pem) = &self.ca {
            for certificate in CertificateDer::pem_slice_iter(pem.as_bytes()) {
                let certificate = certificate.map_err(|error| unusable("`ca`").because(error))?;
                roots.add(certificate).map_err(|error| unusable("`ca`").because(error))?;
            }
        } else {
            // A system may have some that nobody can use.
            roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        }
        if roots.is_empty() {
            let text = "no authority is trusted: give `ca` in the store's `tls`, or install ca-certificates";
            return Err(Error::permanent("store-tls", text));
        }
        Ok(roots)
    }
}

#[cfg(feature = "postgres")]
fn unusable(what: &str) -> Error {
    Error::permanent("store-tls", format!("{what} of the store's `tls` cannot be used: it must be PEM"))
}

/// What to do when a server and we do not come to trust each other.
pub(crate) fn distrust(what: &str) -> Error {
    let text = format!(
        "{what}: TLS to it fails: `tls` must have the authority of its certificate as `ca`, and the host must be named as in the certificate"
    );
    Error::passing("store-tls", text)
}

/// Whether TLS itself failed, somewhere among the causes.
pub(crate) fn failed(error: &(dyn std::error::Error + 'static)) -> bool {
    type Shared = std::sync::Arc<dyn std::error::Error + Send + Sync>;
    let mut next = Some(error);
    while let Some(error) = next {
        // An error within an I/O error is none of its sources.
        let within = error.downcast_ref::<std::io::Error>().and_then(std::io::Error::get_ref);
        let shared = error.downcast_ref::<Shared>();
        if error.is::<rustls::Error>()
            || within.is_some_and(|it| failed(it))
            || shared.is_some_and(|it| failed(&**it))
        {
            return true;
        }
        next = error.source();
    }
    false
}
