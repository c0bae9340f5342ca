//! Tokens: JWT (RFC 7519) as this service takes them, and nothing else that the RFC allows.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;

use aws_lc_rs::hmac;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED, ParsedPublicKey};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
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

/// A key, and the one algorithm that it is for: what a token's header says is only compared with it. It is made ready once,
/// not for each token.
enum Key {
    /// HS256 (RFC 7518 section 3.2).
    Secret(Box<hmac::Key>),
    /// ES256 (section 3.4).
    Public(ParsedPublicKey),
}

impl Key {
    fn algorithm(&self) -> &'static str {
        match self {
            Key::Secret(_) => "HS256",
            Key::Public(_) => "ES256",
        }
    }

    fn holds(&self, signed: &[u8], signature: &[u8]) -> bool {
        match self {
            Key::Secret(key) => hmac::verify(key, signed, signature).is_ok(),
            Key::Public(key) => key.verify_sig(signed, signature).is_ok(),
        }
    }
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
struct Header<'a> {
    #[serde(borrow)]
    alg: Cow<'a, str>,
    #[serde(borrow)]
    kid: Option<Cow<'a, str>>,
    /// Whatever it asks for, we do not have it (RFC 7515 section 4.1.11).
    crit: Option<IgnoredAny>,
}

#[derive(Deserialize)]
struct Claims<'a> {
    #[serde(borrow)]
    iss: Cow<'a, str>,
    #[serde(borrow)]
    aud: Audiences<'a>,
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
struct Audiences<'a>(Vec<Cow<'a, str>>);

impl<'de: 'a, 'a> Deserialize<'de> for Audiences<'a> {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct OneOrMore;
        impl<'de> Visitor<'de> for OneOrMore {
            type Value = Audiences<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an audience, or a list of a few")
            }

            fn visit_borrowed_str<E: serde::de::Error>(self, text: &'de str) -> Result<Audiences<'de>, E> {
                Ok(Audiences(vec![text.into()]))
            }

            fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Audiences<'de>, E> {
                Ok(Audiences(vec![text.to_owned().into()]))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut all: A) -> Result<Audiences<'de>, A::Error> {
                let mut found = Vec::new();
                while let Some(one) = all.next_element::<Cow<'de, str>>()? {
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
        self.keys.insert(id.to_owned(), Key::Secret(Box::new(hmac::Key::new(hmac::HMAC_SHA256, secret))));
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
        let key = ParsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, point)
            .map_err(|_| wrong("it is no point of the curve P-256".to_owned()))?;
        self.keys.insert(id.to_owned(), Key::Public(key));
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
        let header = decoded(header)?;
        let header: Header<'_> = part(&header)?;
        if header.crit.is_some() {
            return Err(Refusal::TokenMalformed);
        }
        if !["HS256", "ES256"].contains(&&*header.alg) {
            return Err(Refusal::TokenAlgorithm);
        }
        let id = header.kid.ok_or(Refusal::TokenMalformed)?;
        let key = self.keys.get(&*id).ok_or(Refusal::TokenKeyUnknown)?;
        if key.algorithm() != header.alg {
            return Err(Refusal::TokenAlgorithm);
        }
        let signature = URL_SAFE_NO_PAD.decode(signature).map_err(|_| Refusal::TokenSignature)?;
        if !key.holds(signed.as_bytes(), &signature) {
            return Err(Refusal::TokenSignature);
        }
        self.judge(part(&decoded(claims)?)?, clock)
    }

    fn judge(&self, claims: Claims<'_>, clock: Clock) -> Result<Token, Refusal> {
        if claims.iss != self.issuer {
            return Err(Refusal::TokenIssuer);
        }
        if !claims.aud.0.iter().any(|it| *it == self.audience) {
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

/// One part of a token: base64url without padding …
fn decoded(text: &str) -> Result<Vec<u8>, Refusal> {
    URL_SAFE_NO_PAD.decode(text).map_err(|_| Refusal::TokenMalformed)
}

/// … and JSON without duplicates.
fn part<'a, T: Deserialize<'a>>(bytes: &'a [u8]) -> Result<T, Refusal> {
    serde_json::from_slice(bytes).map_err(|_| Refusal::TokenMalformed)
}
