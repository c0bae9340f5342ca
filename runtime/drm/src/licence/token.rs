//! Tokens: JWT (RFC 7519) as this service takes them, and nothing else that the RFC allows.

use std::collections::BTreeMap;
use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::{Algorithm, DecodingKey};
use serde::Deserialize;
use serde::de::{IgnoredAny, SeqAccess, Visitor};
use streamverse_core::{Error, Result};
use streamverse_model::drm::entitlement::{Clock, Refusal};
use streamverse_model::drm::{TokenSpec, es256_point};

/// A longer token is none.
const LONGEST: usize = 8 << 10;
/// An account, a device, a session, a token's id.
const LONGEST_ID: usize = 128;
/// A shorter secret can be guessed (RFC 7518 section 3.2: as long as the hash).
const SHORTEST_SECRET: usize = 32;
/// Audiences of one token.
const MOST_AUDIENCES: usize = 16;

/// What a token says that holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Token {
    /// `sub`.
    pub account: String,
    /// `device`.
    pub device: String,
    /// `session`; empty where there is none.
    pub session: String,
    /// `country`.
    pub country: Option<String>,
    /// `jti`.
    pub id: String,
    /// `iat`, seconds since the Unix epoch.
    pub issued: u64,
    /// `exp`, seconds since the Unix epoch.
    pub expires: u64,
}

/// A key, and the one algorithm that it is for: what a token's header says is only compared with it.
struct Key {
    algorithm: Algorithm,
    name: &'static str,
    key: DecodingKey,
}

/// What judges tokens.
pub struct Verifier {
    keys: BTreeMap<String, Key>,
    issuer: String,
    audience: String,
    max_lifetime: u64,
}

impl fmt::Debug for Verifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let keys: Vec<&String> = self.keys.keys().collect();
        f.debug_struct("Verifier").field("keys", &keys).finish_non_exhaustive()
    }
}

#[derive(Deserialize)]
struct Header {
    alg: String,
    kid: Option<String>,
    /// Whatever it asks for, we do not have it (RFC 7515 section 4.1.11).
    crit: Option<IgnoredAny>,
}

#[derive(Deserialize)]
struct Claims {
    iss: String,
    aud: Audiences,
    sub: String,
    iat: u64,
    exp: u64,
    nbf: Option<u64>,
    jti: String,
    device: String,
    session: Option<String>,
    country: Option<String>,
}

/// One, or a list of a few.
struct Audiences(Vec<String>);

impl<'de> Deserialize<'de> for Audiences {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct OneOrMore;
        impl<'de> Visitor<'de> for OneOrMore {
            type Value = Audiences;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an audience, or a list of a few")
            }

            fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Audiences, E> {
                Ok(Audiences(vec![text.to_owned()]))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut all: A) -> Result<Audiences, A::Error> {
                let mut found = Vec::new();
                while let Some(one) = all.next_element::<String>()? {
                    if found.len() == MOST_AUDIENCES {
                        return Err(serde::de::Error::custom("too many audiences"));
                    }
                    found.push(one);
                }
                Ok(Audiences(found))
            }
        }
        deserializer.deserialize_any(OneOrMore)
    }
}

impl Verifier {
    /// A verifier without any key: it refuses all.
    pub fn new(spec: &TokenSpec) -> Verifier {
        Verifier {
            keys: BTreeMap::new(),
            issuer: spec.issuer.clone(),
            audience: spec.audience.clone(),
            max_lifetime: spec.max_lifetime.0.as_secs(),
        }
    }

    /// Takes tokens that are signed with this secret, HS256.
    ///
    /// # Errors
    /// A secret that can be guessed.
    pub fn with_secret(mut self, id: &str, secret: &[u8]) -> Result<Verifier> {
        if secret.len() < SHORTEST_SECRET {
            let text = format!("the secret of the token key {id:?} is shorter than {SHORTEST_SECRET} bytes");
            return Err(Error::permanent("spec-invalid", text));
        }
        let key = DecodingKey::from_secret(secret);
        self.keys.insert(id.to_owned(), Key { algorithm: Algorithm::HS256, name: "HS256", key });
        Ok(self)
    }

    /// Takes tokens that are signed with the private key of this public one (PEM), ES256.
    ///
    /// # Errors
    /// What is no public key on P-256.
    pub fn with_public_key(mut self, id: &str, pem: &str) -> Result<Verifier> {
        let wrong = |why: String| Error::permanent("spec-invalid", format!("the token key {id:?}: {why}"));
        let point = es256_point(pem).map_err(|error| wrong(error.to_string()))?;
        // A point that is not on the curve.
        aws_lc_rs::signature::ParsedPublicKey::new(&aws_lc_rs::signature::ECDSA_P256_SHA256_FIXED, point)
            .map_err(|_| wrong("it is no point of the curve P-256".to_owned()))?;
        let key = DecodingKey::from_ec_der(&point);
        self.keys.insert(id.to_owned(), Key { algorithm: Algorithm::ES256, name: "ES256", key });
        Ok(self)
    }

    /// Judges the text of a token: its shape, its signature, then what it says.
    ///
    /// # Errors
    /// Why it does not hold.
    pub fn verify(&self, token: &str, clock: Clock) -> Result<Token, Refusal> {
        if token.len() > LONGEST {
            return Err(Refusal::TokenMalformed);
        }
        let mut parts = token.split('.');
        let (Some(header), Some(claims), Some(signature), None) =
            (parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return Err(Refusal::TokenMalformed);
        };
        let signed = token.get(..header.len() + 1 + claims.len()).ok_or(Refusal::TokenMalformed)?;
        let header: Header = part(header)?;
        if header.crit.is_some() {
            return Err(Refusal::TokenMalformed);
        }
        if !["HS256", "ES256"].contains(&header.alg.as_str()) {
            return Err(Refusal::TokenAlgorithm);
        }
        let id = header.kid.ok_or(Refusal::TokenMalformed)?;
        let key = self.keys.get(&id).ok_or(Refusal::TokenKeyUnknown)?;
        if key.name != header.alg {
            return Err(Refusal::TokenAlgorithm);
        }
        match jsonwebtoken::crypto::verify(signature, signed.as_bytes(), &key.key, key.algorithm) {
            Ok(true) => {}
            _ => return Err(Refusal::TokenSignature),
        }
        self.judge(part(claims)?, clock)
    }

    fn judge(&self, claims: Claims, clock: Clock) -> Result<Token, Refusal> {
        if claims.iss != self.issuer {
            return Err(Refusal::TokenIssuer);
        }
        if !claims.aud.0.contains(&self.audience) {
            return Err(Refusal::TokenAudience);
        }
        let millis = |seconds: u64| seconds.saturating_mul(1000);
        let Some(lifetime) = claims.exp.checked_sub(claims.iat) else { return Err(Refusal::TokenMalformed) };
        if lifetime > self.max_lifetime {
            return Err(Refusal::TokenTooLong);
        }
        if millis(claims.iat.max(claims.nbf.unwrap_or(0))) > clock.latest_ms {
            return Err(Refusal::TokenNotYetValid);
        }
        if millis(claims.exp) <= clock.earliest_ms {
            return Err(Refusal::TokenExpired);
        }
        let session = claims.session.unwrap_or_default();
        let named = [&claims.sub, &claims.device, &claims.jti].into_iter().all(|it| is_id(it));
        let country = claims
            .country
            .as_deref()
            .is_none_or(|it| it.len() == 2 && it.bytes().all(|it| it.is_ascii_uppercase()));
        if !named || !country || !(session.is_empty() || is_id(&session)) {
            return Err(Refusal::TokenMalformed);
        }
        Ok(Token {
            account: claims.sub,
            device: claims.device,
            session,
            country: claims.country,
            id: claims.jti,
            issued: claims.iat,
            expires: claims.exp,
        })
    }
}

/// Whether a text may name an account, a device, a session or a token: printable ASCII without spaces, not too long.
pub(super) fn is_id(text: &str) -> bool {
    !text.is_empty() && text.len() <= LONGEST_ID && text.bytes().all(|it| it.is_ascii_graphic())
}

/// One part of a token: base64url without padding, JSON without duplicates.
fn part<T: serde::de::DeserializeOwned>(text: &str) -> Result<T, Refusal> {
    let bytes = URL_SAFE_NO_PAD.decode(text).map_err(|_| Refusal::TokenMalformed)?;
    serde_json::from_slice(&bytes).map_err(|_| Refusal::TokenMalformed)
}
