//! Who a controller is, and whom it knows: all of it follows from 32 secret bytes, so that a controller that starts again,
//! and the one that stands by, are the same to every worker.
//!
//! HKDF-SHA256 (RFC 5869) derives from the identity, for this deployment and controller alone, the Ed25519 key of a
//! certificate authority and the key of the [tokens](crate::token). The authority signs the certificate of the API, whose key
//! is another one at each start and in memory alone, and those of workers, whose private keys stay with them.

use std::fmt;
use std::net::IpAddr;
use std::time::Duration;

use aws_lc_rs::hkdf;
use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair as _};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer,
    KeyUsagePurpose, PKCS_ED25519, PublicKeyData, SanType, SerialNumber, SignatureAlgorithm, SigningKey,
};
use rustls::RootCertStore;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer, ServerName};
use sha2::{Digest as _, Sha256};
use streamverse_core::{Error, Result};
use streamverse_model::platform::Owner;
use zeroize::Zeroizing;

use crate::token::Tokens;

const SALT: &[u8] = b"streamverse-fleet-1";
/// How long a worker's certificate is good for. A worker asks for the next one after a third of it, so that a controller may
/// be away for most of a day; whether a worker is still wanted is asked at each request, and not of its certificate.
pub const WORKER_LIFETIME: Duration = Duration::from_secs(24 * 3600);
/// How far a worker's clock may be behind ours.
const SKEW: Duration = Duration::from_secs(3600);
/// The last moment that a certificate can name, in seconds since the epoch: 9999-12-31.
const LAST: u64 = 253_402_300_799;

/// A controller's authority. It does not print.
pub struct Authority {
    key: Key,
    params: CertificateParams,
    certificate: CertificateDer<'static>,
    tokens: Tokens,
}

impl fmt::Debug for Authority {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Authority")
    }
}

struct Key(Ed25519KeyPair);

impl PublicKeyData for Key {
    fn der_bytes(&self) -> &[u8] {
        self.0.public_key().as_ref()
    }

    fn algorithm(&self) -> &'static SignatureAlgorithm {
        &PKCS_ED25519
    }
}

impl SigningKey for Key {
    fn sign(&self, text: &[u8]) -> Result<Vec<u8>, rcgen::Error> {
        Ok(self.0.sign(text).as_ref().to_vec())
    }
}

/// The public key of a worker: Ed25519.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PublicKey([u8; 32]);

impl PublicKey {
    /// From base64 of its 32 bytes; `None` for anything else.
    pub fn parse(text: &str) -> Option<PublicKey> {
        let mut bytes = [0; 33];
        let length = STANDARD.decode_slice(text, &mut bytes).ok()?;
        bytes.get(..length)?.try_into().ok().map(PublicKey)
    }

    /// As [`PublicKey::parse`] reads it.
    pub fn text(&self) -> String {
        STANDARD.encode(self.0)
    }
}

impl PublicKeyData for PublicKey {
    fn der_bytes(&self) -> &[u8] {
        &self.0
    }

    fn algorithm(&self) -> &'static SignatureAlgorithm {
        &PKCS_ED25519
    }
}

/// A certificate with its key, for the TLS of the API.
pub struct ServerIdentity {
    /// The certificate.
    pub certificate: CertificateDer<'static>,
    /// Its key, in memory alone.
    pub key: PrivateKeyDer<'static>,
}

impl fmt::Debug for ServerIdentity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ServerIdentity")
    }
}

struct Bytes;

impl hkdf::KeyType for Bytes {
    fn len(&self) -> usize {
        32
    }
}

fn unusable(what: &str) -> Error {
    Error::permanent("identity", format!("the controller's {what}"))
}

impl Authority {
    /// From the value `identity` of the controller's secret: 32 bytes in base64.
    ///
    /// # Errors
    /// Anything else, without repeating it.
    pub fn new(identity: &str, owner: &Owner) -> Result<Authority> {
        let refused = || {
            unusable(
                "identity is not 32 bytes in base64: make one with `openssl rand -base64 32`, and keep it",
            )
        };
        let mut bytes = Zeroizing::new([0_u8; 33]);
        let length = STANDARD.decode_slice(identity.trim(), &mut *bytes).map_err(|_| refused())?;
        let bytes = bytes.get(..length).filter(|it| it.len() == 32).ok_or_else(refused)?;
        let secret = hkdf::Salt::new(hkdf::HKDF_SHA256, SALT).extract(bytes);
        let whose = format!("{}/{}", owner.deployment, owner.name);
        let derive = |what: &[u8]| {
            let mut key = Zeroizing::new([0_u8; 32]);
            secret
                .expand(&[what, b"\0", whose.as_bytes()], Bytes)
                .and_then(|it| it.fill(&mut *key))
                .map_err(|_| unusable("keys cannot be derived"))?;
            Ok(key)
        };
        let seed = derive(b"authority")?;
        let key = Ed25519KeyPair::from_seed_unchecked(&*seed)
            .map(Key)
            .map_err(|_| unusable("key cannot be derived"))?;
        let params = authority_params(owner);
        let made =
            params.self_signed(&key).map_err(|error| unusable("authority cannot be made").because(error))?;
        let tokens = Tokens::new(&*derive(b"tokens")?);
        Ok(Authority { key, params, certificate: made.into(), tokens })
    }

    /// The authority's certificate, the same after each start.
    pub fn certificate(&self) -> &CertificateDer<'static> {
        &self.certificate
    }

    /// … in base64, as a worker's environment has it.
    pub fn text(&self) -> String {
        STANDARD.encode(&self.certificate)
    }

    /// The tokens of this controller.
    pub fn tokens(&self) -> &Tokens {
        &self.tokens
    }

    /// Whose certificates clients may show.
    ///
    /// # Errors
    /// When its own certificate is none, which is a bug of ours.
    pub fn roots(&self) -> Result<RootCertStore> {
        let mut roots = RootCertStore::empty();
        roots
            .add(self.certificate.clone())
            .map_err(|error| unusable("authority cannot be trusted").because(error))?;
        Ok(roots)
    }

    /// A certificate of the API at this host, with a key of its own.
    ///
    /// # Errors
    /// A host that is neither a name nor an address.
    pub fn server(&self, host: &str) -> Result<ServerIdentity> {
        let failed = |error| unusable("certificate cannot be made").because(error);
        let key = rcgen::KeyPair::generate_for(&PKCS_ED25519).map_err(failed)?;
        let mut params = leaf(ExtendedKeyUsagePurpose::ServerAuth, "StreamVerse fleet controller");
        // As long as its authority: the key is gone when this process is.
        (params.not_before, params.not_after) = (self.params.not_before, self.params.not_after);
        let host = host.trim_start_matches('[').trim_end_matches(']');
        params.subject_alt_names = vec![match host.parse::<IpAddr>() {
            Ok(address) => SanType::IpAddress(address),
            Err(_) => SanType::DnsName(host.try_into().map_err(failed)?),
        }];
        let made = params.signed_by(&key, &Issuer::from_params(&self.params, &self.key)).map_err(failed)?;
        let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(key.serialize_der()));
        Ok(ServerIdentity { certificate: made.into(), key })
    }

    /// A certificate of a worker, PEM, from an hour ago until [`WORKER_LIFETIME`] from now.
    ///
    /// # Errors
    /// When it cannot be made.
    pub fn worker(&self, name: &str, key: &PublicKey, now_ms: u64, lifetime: Duration) -> Result<String> {
        let failed = |error| unusable("authority cannot sign").because(error);
        let mut params = leaf(ExtendedKeyUsagePurpose::ClientAuth, "StreamVerse worker");
        let now = Duration::from_millis(now_ms);
        let epoch = rcgen::date_time_ymd(1970, 1, 1);
        params.not_before = epoch + whole(now.saturating_sub(SKEW));
        params.not_after = epoch + whole(now.saturating_add(lifetime));
        let readable = format!("streamverse:worker:{name}").try_into().map_err(failed)?;
        let digest = digest(name).try_into().map_err(failed)?;
        params.subject_alt_names = vec![SanType::DnsName(digest), SanType::URI(readable)];
        let made = params.signed_by(key, &Issuer::from_params(&self.params, &self.key)).map_err(failed)?;
        Ok(made.pem())
    }
}

/// Whether a certificate, which TLS found to be of our authority and good now, is this worker's.
pub fn is_of(certificate: &CertificateDer<'_>, name: &str) -> bool {
    let (Ok(parsed), Ok(name)) =
        (rustls::server::ParsedCertificate::try_from(certificate), ServerName::try_from(digest(name)))
    else {
        return false;
    };
    rustls::client::verify_server_name(&parsed, &name).is_ok()
}

/// A name that fits a host name's rules whatever the worker's is: those of instances may be longer.
fn digest(name: &str) -> String {
    let digest = Sha256::digest(name.as_bytes());
    let (one, two) = digest.split_at(16);
    format!("{}.{}.worker.streamverse.invalid", hex::encode(one), hex::encode(two))
}

fn whole(since_epoch: Duration) -> Duration {
    Duration::from_secs(since_epoch.as_secs().min(LAST))
}

fn named(name: &str) -> DistinguishedName {
    let mut subject = DistinguishedName::new();
    subject.push(DnType::CommonName, name);
    subject
}

/// The same bytes whenever it is asked for.
fn authority_params(owner: &Owner) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.not_before = rcgen::date_time_ymd(2020, 1, 1);
    params.not_after = rcgen::date_time_ymd(2120, 1, 1);
    params.serial_number = Some(SerialNumber::from(1_u64));
    params.distinguished_name = named(&format!("StreamVerse fleet {}", owner.name));
    params.distinguished_name.push(DnType::OrganizationName, owner.deployment.as_str());
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
    params
}

fn leaf(purpose: ExtendedKeyUsagePurpose, name: &str) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.serial_number = Some(SerialNumber::from(rand::random::<u64>() >> 1));
    params.distinguished_name = named(name);
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![purpose];
    params
}

#[cfg(test)]
mod tests {
    use super::*;

    const IDENTITY: &str = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";
    const NOW: u64 = 1_700_000_000_000;

    fn authority(identity: &str, deployment: &str) -> Authority {
        Authority::new(identity, &Owner::new(deployment, "fleet-controller", "main").unwrap()).unwrap()
    }

    fn der(pem: &str) -> CertificateDer<'static> {
        use rustls::pki_types::pem::PemObject as _;
        CertificateDer::from_pem_slice(pem.as_bytes()).unwrap()
    }

    #[test]
    fn the_same_identity_is_the_same_authority_after_a_restart_and_another_owner_has_another() {
        let one = authority(IDENTITY, "prod");
        assert_eq!(one.certificate(), authority(IDENTITY, "prod").certificate());
        // Workers that run have this in their environment: a change of it would part them from their controller.
        let known = hex::encode(Sha256::digest(one.certificate()));
        assert_eq!(known, "80467ff2940bcb8379c3a56c32ae322cb4665e02fddef6057d5cddd83c132b02");
        assert_ne!(one.certificate(), authority(IDENTITY, "test").certificate());
        let token = one.tokens().make("a", u64::MAX);
        assert!(authority(IDENTITY, "prod").tokens().check(&token, "a", NOW).is_ok());
        assert!(authority(IDENTITY, "test").tokens().check(&token, "a", NOW).is_err());
    }

    #[test]
    fn an_identity_that_is_none_is_refused_without_being_repeated() {
        let owner = Owner::new("prod", "fleet-controller", "main").unwrap();
        for text in ["", "planted-identity", "AAEC", &STANDARD.encode([1; 33]), &STANDARD.encode([1; 31])] {
            let error = Authority::new(text, &owner).unwrap_err();
            assert!(error.message.contains("openssl rand -base64 32"), "{error}");
            assert!(text.is_empty() || !error.chain().contains(text), "{error}");
        }
        assert_eq!(format!("{:?}", authority(IDENTITY, "prod")), "Authority");
    }

    #[test]
    fn a_certificate_is_its_workers_and_nobody_elses() {
        let authority = authority(IDENTITY, "prod");
        let key = PublicKey::parse(&STANDARD.encode([9; 32])).unwrap();
        assert_eq!(PublicKey::parse(&key.text()), Some(key));
        assert_eq!(PublicKey::parse(&STANDARD.encode([9; 31])), None);
        let long = "sv--".to_owned() + &"x".repeat(140);
        for name in ["sv--prod--encode--a--7", long.as_str()] {
            let made = der(&authority.worker(name, &key, NOW, WORKER_LIFETIME).unwrap());
            assert!(is_of(&made, name));
            for other in ["sv--prod--encode--a--8", "", "*", &format!("{name} ")] {
                assert!(!is_of(&made, other), "{other}");
            }
        }
        assert!(!is_of(authority.certificate(), "sv--prod--encode--a--7"));
        assert!(!is_of(&CertificateDer::from(vec![1, 2, 3]), "a"));
        assert!(authority.worker("a", &key, u64::MAX, WORKER_LIFETIME).is_ok(), "no moment is too late");
    }

    #[test]
    fn a_host_is_a_name_or_an_address() {
        let authority = authority(IDENTITY, "prod");
        for host in ["fleet.example.com", "127.0.0.1", "[::1]"] {
            let made = authority.server(host).unwrap();
            let parsed = rustls::server::ParsedCertificate::try_from(&made.certificate).unwrap();
            let name = ServerName::try_from(host.trim_matches(['[', ']']).to_owned()).unwrap();
            assert!(rustls::client::verify_server_name(&parsed, &name).is_ok(), "{host}");
        }
    }
}
