//! go-plugin's AutoMTLS: host and plugin each make a certificate for this one run and trust exactly the other's.
//!
//! The host's certificate is an ECDSA P-521 CA that signed itself. Two things follow. The crypto provider is
//! aws-lc-rs (ring cannot verify P-521), passed explicitly, so that a dependency's choice of another one as the
//! process default changes nothing. And the certificate is compared byte for byte instead of being built into a
//! chain, which WebPKI refuses for a CA that presents itself; the handshake signature is still verified, so that
//! only who holds the key gets in.

use super::error::ServeError;
use rustls::client::danger::HandshakeSignatureValid;
use rustls::crypto::{WebPkiSupportedAlgorithms, aws_lc_rs, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer, UnixTime};
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::{
    CertificateError, DigitallySignedStruct, DistinguishedName, ServerConfig, SignatureScheme, version,
};
use std::sync::Arc;

/// Our side of the channel.
pub(super) struct Identity {
    pub(super) config: Arc<ServerConfig>,
    /// What the host must trust.
    pub(super) certificate: CertificateDer<'static>,
}

/// A fresh certificate, and a configuration that lets in nobody but the holder of `client_pem`.
pub(super) fn identity(client_pem: &str) -> Result<Identity, ServeError> {
    let accepted = CertificateDer::pem_slice_iter(client_pem.as_bytes())
        .collect::<Result<Vec<_>, _>>()
        .ok()
        .filter(|certificates| !certificates.is_empty())
        .ok_or_else(|| ServeError::Setting {
            name: "PLUGIN_CLIENT_CERT",
            problem: "it holds no certificate in PEM form".to_owned(),
        })?;
    let (certificate, key) = certificate()?;

    let crypto = Arc::new(aws_lc_rs::default_provider());
    let verifier = Pinned { accepted, algorithms: crypto.signature_verification_algorithms };
    let mut config = ServerConfig::builder_with_provider(crypto)
        .with_protocol_versions(&[&version::TLS13, &version::TLS12])
        .map_err(tls_error)?
        .with_client_cert_verifier(Arc::new(verifier))
        .with_single_cert(vec![certificate.clone()], key)
        .map_err(tls_error)?;
    config.alpn_protocols = vec![b"h2".to_vec()];
    // One host, one connection: nothing is ever resumed.
    config.send_tls13_tickets = 0;
    config.session_storage = Arc::new(rustls::server::NoServerSessionStorage {});
    Ok(Identity { config: Arc::new(config), certificate })
}

/// What go-plugin's host accepts: a CA, because it serves as its own root; for `localhost`; for server and client
/// use. Valid at any time, because both ends of a pipe share one clock and a wrong one should not matter.
fn certificate() -> Result<(CertificateDer<'static>, PrivateKeyDer<'static>), ServeError> {
    use rcgen::{
        BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, KeyPair, KeyUsagePurpose,
    };
    let key = KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256).map_err(tls_error)?;
    let mut params = CertificateParams::new(vec!["localhost".to_owned()]).map_err(tls_error)?;
    params.distinguished_name.push(DnType::CommonName, "localhost");
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![
        KeyUsagePurpose::DigitalSignature,
        KeyUsagePurpose::KeyEncipherment,
        KeyUsagePurpose::KeyAgreement,
        KeyUsagePurpose::KeyCertSign,
    ];
    params.extended_key_usages =
        vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
    let certificate = params.self_signed(&key).map_err(tls_error)?;
    Ok((certificate.into(), PrivatePkcs8KeyDer::from(key.serialize_der()).into()))
}

fn tls_error(error: impl std::fmt::Display) -> ServeError {
    ServeError::Tls(error.to_string())
}

/// Accepts exactly the certificates given.
#[derive(Debug)]
struct Pinned {
    accepted: Vec<CertificateDer<'static>>,
    algorithms: WebPkiSupportedAlgorithms,
}

impl ClientCertVerifier for Pinned {
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    fn verify_client_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _now: UnixTime,
    ) -> Result<ClientCertVerified, rustls::Error> {
        if self.accepted.iter().any(|accepted| accepted == end_entity) {
            return Ok(ClientCertVerified::assertion());
        }
        Err(CertificateError::ApplicationVerificationFailure.into())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, certificate, signature, &self.algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, certificate, signature, &self.algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}
