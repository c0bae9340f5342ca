//! How a key service and its clients talk, so that no content key and no access key is ever on a wire.
//!
//! Both know an access key of 32 bytes. A request is `POST` with the header
//! `Authorization: SV1 CLIENT TIME NONCE MAC`: who asks, milliseconds since the Unix epoch, 16 random bytes, and
//! HMAC-SHA256 over all of that, the path and the body. An answer with keys, and a body with keys, is sealed: AES-256-GCM
//! under a key of its own, which HKDF-SHA256 (RFC 5869) derives from the access key, the direction, the path and the
//! request's nonce, so that an answer fits one request alone. Without TLS an eavesdropper learns who asks for which key
//! identifier, which is no secret.

use std::fmt;
use std::time::Duration;

use aws_lc_rs::aead::{AES_256_GCM, Aad, NONCE_LEN, Nonce, RandomizedNonceKey};
use aws_lc_rs::{digest, hkdf, hmac, rand};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use streamverse_model::drm::KeyId;
use zeroize::{Zeroize as _, Zeroizing};

use super::ContentKey;
use crate::error::{Error, Result};

/// Get or create.
pub const OBTAIN: &str = "/v1/obtain";
/// Get what is there.
pub const FIND: &str = "/v1/find";
/// Keys of one request at most.
pub const MOST_KEYS: usize = 1000;
/// Bytes of a request's body at most.
pub const LARGEST_REQUEST: usize = 512 << 10;
/// Bytes of an answer at most.
pub const LARGEST_ANSWER: usize = 4 << 20;
/// How far the clocks of both may be apart.
pub const SKEW: Duration = Duration::from_secs(120);
/// Bytes of an asset's name and of what a key is for, at most.
pub const LONGEST_NAME: usize = 200;

const WORD: &str = "SV1";
const SALT: &[u8] = b"streamverse-keys-1";
const TAG: usize = 16;
/// What an encoding of keys begins with: its version.
const VERSION: u8 = 1;

/// Which way something sealed goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// From the client.
    Request,
    /// To the client.
    Answer,
}

/// What a key service and its clients share. It does not print.
pub struct AccessKey {
    secret: hkdf::Prk,
    mac: hmac::Key,
}

impl fmt::Debug for AccessKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AccessKey")
    }
}

/// What the header of a request says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claim {
    /// Who asks, in its own words.
    pub client: String,
    /// When, in milliseconds since the Unix epoch.
    pub time_ms: u64,
    /// What tells this request from all others.
    pub nonce: [u8; 16],
    mac: [u8; 32],
}

impl Claim {
    /// Reads the header `Authorization`.
    pub fn read(header: &str) -> Option<Claim> {
        let mut words = header.split(' ');
        let mut next = || words.next();
        let (word, client, time, nonce, mac) = (next()?, next()?, next()?, next()?, next()?);
        if word != WORD || next().is_some() || !is_client(client) || time.len() > 20 {
            return None;
        }
        let mut claim =
            Claim { client: client.to_owned(), time_ms: time.parse().ok()?, nonce: [0; 16], mac: [0; 32] };
        hex::decode_to_slice(nonce, &mut claim.nonce).ok()?;
        hex::decode_to_slice(mac, &mut claim.mac).ok()?;
        Some(claim)
    }
}

/// A client's name as it stands in headers and in the audit log.
pub fn is_client(text: &str) -> bool {
    (1..=128).contains(&text.len())
        && text.bytes().all(|it| it.is_ascii_alphanumeric() || b"-_./:@".contains(&it))
}

struct Bytes(usize);

impl hkdf::KeyType for Bytes {
    fn len(&self) -> usize {
        self.0
    }
}

impl AccessKey {
    /// From the credential's text: 32 bytes in base64.
    ///
    /// # Errors
    /// Anything else, without repeating it.
    pub fn parse(text: &str) -> Result<AccessKey> {
        let refused = || {
            Error::permanent(
                "access-key",
                "the access key of the key service is not 32 bytes in base64: make one with `openssl rand -base64 32`",
            )
        };
        let mut bytes = Zeroizing::new([0_u8; 33]);
        let length = STANDARD.decode_slice(text.trim(), &mut *bytes).map_err(|_| refused())?;
        match bytes.get(..length) {
            Some(key) if key.len() == 32 => AccessKey::of(key).ok_or_else(refused),
            _ => Err(refused()),
        }
    }

    fn of(key: &[u8]) -> Option<AccessKey> {
        let secret = hkdf::Salt::new(hkdf::HKDF_SHA256, SALT).extract(key);
        let mut mac = Zeroizing::new([0; 32]);
        secret.expand(&[b"mac"], Bytes(32)).ok()?.fill(&mut *mac).ok()?;
        Some(AccessKey { mac: hmac::Key::new(hmac::HMAC_SHA256, &*mac), secret })
    }

    /// The header of a request.
    pub fn sign(&self, client: &str, time_ms: u64, nonce: &[u8; 16], path: &str, body: &[u8]) -> String {
        let mac = hmac::sign(&self.mac, &signed(client, time_ms, nonce, path, body));
        format!("{WORD} {client} {time_ms} {} {}", hex::encode(nonce), hex::encode(mac))
    }

    /// Whether a request comes from somebody who knows the access key.
    pub fn verify(&self, claim: &Claim, path: &str, body: &[u8]) -> bool {
        let text = signed(&claim.client, claim.time_ms, &claim.nonce, path, body);
        hmac::verify(&self.mac, &text, &claim.mac).is_ok()
    }

    /// Seals what belongs to the request with this nonce.
    ///
    /// # Errors
    /// When there is no randomness.
    pub fn seal(
        &self,
        way: Way,
        nonce: &[u8; 16],
        path: &str,
        mut plain: Zeroizing<Vec<u8>>,
    ) -> Result<Vec<u8>> {
        let key = self.key(way, nonce, path)?;
        let mut sealed = Vec::with_capacity(NONCE_LEN + plain.len() + TAG);
        // Sealed in a buffer that never grows: what is moved would leave a copy behind.
        sealed.resize(NONCE_LEN, 0);
        sealed.extend_from_slice(&plain);
        plain.zeroize();
        let (head, body) = sealed.split_at_mut(NONCE_LEN);
        let Ok((fresh, tag)) = key.seal_in_place_separate_tag(Aad::from(path.as_bytes()), body) else {
            sealed.zeroize();
            return Err(unsealed());
        };
        head.copy_from_slice(fresh.as_ref());
        sealed.extend_from_slice(tag.as_ref());
        Ok(sealed)
    }

    /// Opens it again.
    ///
    /// # Errors
    /// What was sealed for another request, with another key, or changed on the way.
    pub fn open(
        &self,
        way: Way,
        nonce: &[u8; 16],
        path: &str,
        mut sealed: Vec<u8>,
    ) -> Result<Zeroizing<Vec<u8>>> {
        let key = self.key(way, nonce, path)?;
        let (head, body) = sealed.split_at_mut_checked(NONCE_LEN).ok_or_else(unsealed)?;
        let head = Nonce::try_assume_unique_for_key(head).map_err(|_| unsealed())?;
        let length = key.open_in_place(head, Aad::from(path.as_bytes()), body).map_err(|_| unsealed())?.len();
        let plain = Zeroizing::new(body.get(..length).unwrap_or_default().to_vec());
        sealed.zeroize();
        Ok(plain)
    }

    fn key(&self, way: Way, nonce: &[u8; 16], path: &str) -> Result<RandomizedNonceKey> {
        let way: &[u8] = match way {
            Way::Request => b"request",
            Way::Answer => b"answer",
        };
        let mut key = Zeroizing::new([0; 32]);
        let info: [&[u8]; 4] = [way, b"/", nonce, path.as_bytes()];
        let filled = self.secret.expand(&info, Bytes(32)).and_then(|okm| okm.fill(&mut *key));
        filled.map_err(|_| unsealed())?;
        RandomizedNonceKey::new(&AES_256_GCM, &*key).map_err(|_| unsealed())
    }
}

fn unsealed() -> Error {
    Error::passing("key-answer", "what the key service and its client told each other cannot be opened")
}

fn signed(client: &str, time_ms: u64, nonce: &[u8; 16], path: &str, body: &[u8]) -> Vec<u8> {
    let body = digest::digest(&digest::SHA256, body);
    format!("{WORD}\nPOST\n{path}\n{client}\n{time_ms}\n{}\n{}", hex::encode(nonce), hex::encode(body))
        .into_bytes()
}

/// Random bytes.
///
/// # Errors
/// When the system has none.
pub fn fresh<const N: usize>() -> Result<Zeroizing<[u8; N]>> {
    let mut bytes = Zeroizing::new([0; N]);
    rand::fill(&mut *bytes).map_err(|_| Error::passing("randomness", "the system gives no random bytes"))?;
    Ok(bytes)
}

/// Keys as an answer or a request holds them, before they are sealed.
pub fn encode(keys: &[Option<ContentKey>]) -> Zeroizing<Vec<u8>> {
    let most = keys.len().saturating_mul(34 + LONGEST_NAME).saturating_add(1);
    let mut all = Zeroizing::new(Vec::with_capacity(most));
    all.push(VERSION);
    for key in keys {
        let Some(key) = key else {
            all.push(0);
            continue;
        };
        let asset = key.asset.as_bytes().get(..LONGEST_NAME).unwrap_or(key.asset.as_bytes());
        all.extend_from_slice(&[1, u8::try_from(asset.len()).unwrap_or(u8::MAX)]);
        all.extend_from_slice(&key.kid.0);
        all.extend_from_slice(key.secret());
        all.extend_from_slice(asset);
    }
    all
}

/// … and read again.
pub fn decode(bytes: &[u8]) -> Option<Vec<Option<ContentKey>>> {
    let (version, mut rest) = bytes.split_first()?;
    if *version != VERSION {
        return None;
    }
    let mut keys = Vec::new();
    while let Some((there, after)) = rest.split_first() {
        rest = after;
        if *there == 0 {
            keys.push(None);
            continue;
        }
        let (length, after) = rest.split_first()?;
        let (kid, after) = after.split_at_checked(16)?;
        let (secret, after) = after.split_at_checked(16)?;
        let (asset, after) = after.split_at_checked(usize::from(*length))?;
        let mut key = Zeroizing::new([0; 16]);
        key.copy_from_slice(secret);
        let asset = std::str::from_utf8(asset).ok()?;
        keys.push(Some(ContentKey::new(KeyId(kid.try_into().ok()?), asset, key)));
        rest = after;
    }
    Some(keys)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn access(seed: u8) -> AccessKey {
        AccessKey::parse(&STANDARD.encode([seed; 32])).unwrap()
    }

    #[test]
    fn a_request_is_that_of_somebody_with_the_access_key_and_of_nobody_else() {
        let header = access(1).sign("vod-asset/film", 17, &[3; 16], OBTAIN, b"{}");
        let claim = Claim::read(&header).unwrap();
        assert_eq!((claim.client.as_str(), claim.time_ms), ("vod-asset/film", 17));
        assert!(access(1).verify(&claim, OBTAIN, b"{}"));
        assert!(!access(2).verify(&claim, OBTAIN, b"{}"));
        assert!(!access(1).verify(&claim, FIND, b"{}"));
        assert!(!access(1).verify(&claim, OBTAIN, b"{ }"));
        assert!(!access(1).verify(&Claim { time_ms: 18, ..claim.clone() }, OBTAIN, b"{}"));
        assert!(!access(1).verify(&Claim { client: "other".to_owned(), ..claim }, OBTAIN, b"{}"));
    }

    #[test]
    fn what_is_sealed_opens_for_its_request_alone() {
        let key = ContentKey::new(KeyId([7; 16]), "film", Zeroizing::new([9; 16]));
        let plain = encode(&[Some(key.clone()), None]);
        let sealed = access(1).seal(Way::Answer, &[3; 16], FIND, plain.clone()).unwrap();
        assert!(!sealed.windows(16).any(|part| part == [9; 16]));
        let open = |key: AccessKey, way, nonce: u8, path, sealed: &[u8]| {
            key.open(way, &[nonce; 16], path, sealed.to_vec()).ok().map(|plain| decode(&plain).unwrap())
        };
        assert_eq!(open(access(1), Way::Answer, 3, FIND, &sealed), Some(vec![Some(key), None]));
        assert_eq!(open(access(2), Way::Answer, 3, FIND, &sealed), None);
        assert_eq!(open(access(1), Way::Request, 3, FIND, &sealed), None);
        assert_eq!(open(access(1), Way::Answer, 4, FIND, &sealed), None);
        assert_eq!(open(access(1), Way::Answer, 3, OBTAIN, &sealed), None);
        for at in 0..sealed.len() {
            let mut torn = sealed.clone();
            torn[at] ^= 1;
            assert_eq!(open(access(1), Way::Answer, 3, FIND, &torn), None, "byte {at}");
            assert_eq!(open(access(1), Way::Answer, 3, FIND, &sealed[..at]), None, "cut at {at}");
        }
    }

    #[test]
    fn an_access_key_that_is_none_is_refused_without_being_repeated() {
        for wrong in ["", "hunter2", "aHVudGVyMg==", &STANDARD.encode([1; 31]), &STANDARD.encode([1; 64])] {
            let error = AccessKey::parse(wrong).unwrap_err().to_string();
            assert!(wrong.is_empty() || !error.contains(wrong), "{error}");
        }
        assert_eq!(format!("{:?}", access(1)), "AccessKey");
    }

    proptest::proptest! {
        #[test]
        fn nothing_that_arrives_panics(header in ".{0,300}", bytes in proptest::collection::vec(0_u8.., 0..300)) {
            let _ = Claim::read(&header);
            let _ = Claim::read(&format!("SV1 a 1 {} {}", "0".repeat(32), header));
            let _ = decode(&bytes);
            let _ = access(1).open(Way::Answer, &[0; 16], FIND, bytes);
        }
    }
}
