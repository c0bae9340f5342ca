//! A certificate authority of a test's own.

use std::path::Path;

use rcgen::{
    BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, KeyUsagePurpose,
    PKCS_ECDSA_P256_SHA256,
};

/// Who vouches for servers and clients.
pub(crate) struct Authority {
    /// Its certificate, PEM.
    pub(crate) ca: String,
    issuer: Issuer<'static, KeyPair>,
}

impl Authority {
    pub(crate) fn new() -> Authority {
        let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).unwrap();
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.distinguished_name.push(DnType::CommonName, "an authority of a test");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let ca = params.self_signed(&key).unwrap().pem();
        Authority { ca, issuer: Issuer::new(params, key) }
    }

    /// A certificate for a name, and its private key, PEM.
    pub(crate) fn certificate(&self, name: &str) -> (String, String) {
        let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).unwrap();
        let mut params = CertificateParams::new(vec![name.to_owned()]).unwrap();
        params.distinguished_name.push(DnType::CommonName, name);
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        (certificate.pem(), key.serialize_pem())
    }

    /// Lays `ca.pem`, `server.pem`, `server.key` and, with both in one, `server-both.pem` of a server that is called
    /// `localhost` and nothing else.
    pub(crate) fn lay(&self, folder: &Path) {
        let (certificate, key) = self.certificate("localhost");
        let files = [
            ("ca.pem", self.ca.clone()),
            ("server-both.pem", format!("{key}{certificate}")),
            ("server.pem", certificate),
            ("server.key", key),
        ];
        for (name, text) in files {
            std::fs::write(folder.join(name), text).unwrap();
        }
    }
}
