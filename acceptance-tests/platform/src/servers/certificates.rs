//! Certificates of the servers, of a client, and of a stranger.

use std::path::Path;

use rcgen::{
    BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, KeyUsagePurpose,
    PKCS_ECDSA_P256_SHA256,
};

/// Lays `ca.pem`, of servers that are called `localhost` `server.pem`, `server.key` and both in `server-both.pem`,
/// `client.pem` and `client.key`, and `stranger-ca.pem`.
pub(super) fn lay(folder: &Path) -> Result<(), String> {
    let write = |name: &str, text: &str| {
        std::fs::write(folder.join(name), text).map_err(|error| format!("{name}: {error}"))
    };
    let (ca, issuer) = authority("an authority of a test").map_err(|error| error.to_string())?;
    let (stranger, _) = authority("a stranger").map_err(|error| error.to_string())?;
    write("ca.pem", &ca)?;
    write("stranger-ca.pem", &stranger)?;
    for (file, name) in [("server", "localhost"), ("client", "streamverse")] {
        let (certificate, key) = leaf(name, &issuer).map_err(|error| error.to_string())?;
        write(&format!("{file}.pem"), &certificate)?;
        write(&format!("{file}.key"), &key)?;
        write(&format!("{file}-both.pem"), &format!("{key}{certificate}"))?;
    }
    Ok(())
}

fn authority(name: &str) -> Result<(String, Issuer<'static, KeyPair>), rcgen::Error> {
    let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256)?;
    let mut params = CertificateParams::new(Vec::new())?;
    params.distinguished_name.push(DnType::CommonName, name);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    let ca = params.self_signed(&key)?.pem();
    Ok((ca, Issuer::new(params, key)))
}

fn leaf(name: &str, issuer: &Issuer<'static, KeyPair>) -> Result<(String, String), rcgen::Error> {
    let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256)?;
    let mut params = CertificateParams::new(vec![name.to_owned()])?;
    params.distinguished_name.push(DnType::CommonName, name);
    Ok((params.signed_by(&key, issuer)?.pem(), key.serialize_pem()))
}
