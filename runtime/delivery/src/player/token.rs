//! Tokens for demo accounts: what an operator's own sign-in hands out in production.
//!
//! A token is never logged, is good for a minute and for one licence request: its `jti` is random.

use std::time::Duration;

use jsonwebtoken::{Algorithm, EncodingKey, Header};
use rand::TryRngCore as _;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use streamverse_core::{Error, Result, ServiceContext};
use streamverse_model::delivery::{PlayerLicence, TOKEN_KEY};
use streamverse_model::platform::CredentialUse;

/// How long a token is good for.
const LIFETIME: Duration = Duration::from_secs(60);
/// Of a device's or session's id, in bytes.
const LONGEST_ID: usize = 64;
/// Less is guessed too soon (RFC 7518 section 3.2).
const SHORTEST_KEY: usize = 32;

/// What signs tokens.
pub(super) struct Signer {
    licence: PlayerLicence,
    key: EncodingKey,
}

/// What a page asks with.
#[derive(Debug, Default, Deserialize)]
pub(super) struct Asked {
    /// One of the demo accounts; the first where none is asked for.
    #[serde(default)]
    account: Option<String>,
    /// Made once by the browser, and kept in it.
    #[serde(default)]
    device: String,
    /// Made by each page that is open.
    #[serde(default)]
    session: Option<String>,
}

/// Why there is no token: a stable code and words for people.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Refused {
    pub(super) code: &'static str,
    pub(super) message: String,
}

#[derive(Serialize)]
struct Claims<'a> {
    iss: &'a str,
    aud: &'a str,
    sub: &'a str,
    iat: u64,
    exp: u64,
    jti: String,
    device: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    session: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    country: Option<&'a str>,
}

impl Signer {
    /// The signer of a page's licences.
    pub(super) fn open(licence: &PlayerLicence, cx: &ServiceContext) -> Result<Signer> {
        let own = CredentialUse { kind: cx.owner.kind.clone(), name: cx.owner.name.clone() };
        Signer::new(licence, cx.credential(&own, TOKEN_KEY)?.as_bytes())
    }

    fn new(licence: &PlayerLicence, key: &[u8]) -> Result<Signer> {
        if key.len() < SHORTEST_KEY {
            return Err(Error::permanent(
                "token-key",
                format!("the key of tokens has less than {SHORTEST_KEY} bytes: give a longer `token_key`"),
            ));
        }
        Ok(Signer { licence: licence.clone(), key: EncodingKey::from_secret(key) })
    }

    /// What a page answers to `/api/token.json` at this time, in seconds since 1970.
    pub(super) fn token(&self, asked: &Asked, now: u64) -> std::result::Result<Value, Refused> {
        let accounts = &self.licence.accounts;
        let account = match &asked.account {
            None => accounts.first(),
            Some(wanted) => accounts.iter().find(|it| it.id == *wanted),
        };
        let Some(account) = account else {
            let known: Vec<&str> = accounts.iter().map(|it| it.id.as_str()).collect();
            return Err(Refused {
                code: "account-unknown",
                message: format!("the page has no such demo account; it has: {}", known.join(", ")),
            });
        };
        for (what, id) in [("device", Some(&asked.device)), ("session", asked.session.as_ref())] {
            let Some(id) = id else { continue };
            let plain = |it: u8| it.is_ascii_alphanumeric() || it == b'-' || it == b'_';
            if id.is_empty() || id.len() > LONGEST_ID || !id.bytes().all(plain) {
                let message =
                    format!("`{what}` must be 1 to {LONGEST_ID} characters of A-Z, a-z, 0-9, _ and -");
                return Err(Refused { code: "id-invalid", message });
            }
        }
        let unable = |message: &str| Refused { code: "token-unable", message: message.to_owned() };
        let mut jti = [0_u8; 16];
        rand::rngs::OsRng.try_fill_bytes(&mut jti).map_err(|_| unable("there are no random numbers"))?;
        let claims = Claims {
            iss: &self.licence.issuer,
            aud: &self.licence.audience,
            sub: &account.id,
            iat: now,
            exp: now.saturating_add(LIFETIME.as_secs()),
            jti: hex::encode(jti),
            device: &asked.device,
            session: asked.session.as_deref(),
            country: self.licence.country.as_deref(),
        };
        let header = Header { kid: Some(self.licence.key_id.clone()), ..Header::new(Algorithm::HS256) };
        let token = jsonwebtoken::encode(&header, &claims, &self.key)
            .map_err(|_| unable("the token could not be signed"))?;
        Ok(json!({ "token": token, "account": account.id, "expires_in": LIFETIME.as_secs() }))
    }
}

#[cfg(test)]
mod tests {
    use jsonwebtoken::{DecodingKey, Validation};

    use super::*;

    const KEY: &[u8] = b"0123456789abcdef0123456789abcdef";

    fn signer() -> Signer {
        let licence = json!({
            "url": "http://127.0.0.1:1/licence/clearkey", "issuer": "https://page.example", "audience": "licences",
            "key_id": "demo", "accounts": [{ "id": "anna" }, { "id": "ben" }], "country": "DE",
        });
        Signer::new(&serde_json::from_value(licence).unwrap(), KEY).unwrap()
    }

    fn asked(account: Option<&str>, device: &str) -> Asked {
        Asked {
            account: account.map(str::to_owned),
            device: device.to_owned(),
            session: Some("s1".to_owned()),
        }
    }

    fn claims(answer: &Value, now: u64) -> Value {
        let token = answer["token"].as_str().unwrap();
        assert_eq!(jsonwebtoken::decode_header(token).unwrap().kid.as_deref(), Some("demo"));
        let mut validation = Validation::new(Algorithm::HS256);
        validation.set_audience(&["licences"]);
        validation.set_issuer(&["https://page.example"]);
        // The clock of this test is its own.
        validation.validate_exp = false;
        let read = jsonwebtoken::decode::<Value>(token, &DecodingKey::from_secret(KEY), &validation).unwrap();
        assert_eq!(read.claims["iat"], now);
        read.claims
    }

    #[test]
    fn a_token_is_for_one_account_one_device_and_a_minute() {
        let signer = signer();
        let first = claims(&signer.token(&asked(None, "tv-1"), 1000).unwrap(), 1000);
        assert_eq!(
            (&first["sub"], &first["device"], &first["exp"]),
            (&json!("anna"), &json!("tv-1"), &json!(1060))
        );
        assert_eq!((&first["country"], &first["session"]), (&json!("DE"), &json!("s1")));
        let second = claims(&signer.token(&asked(Some("ben"), "tv-1"), 1000).unwrap(), 1000);
        assert_eq!(second["sub"], "ben");
        assert_ne!(first["jti"], second["jti"]);
    }

    #[test]
    fn only_listed_accounts_and_plain_ids_get_a_token() {
        let signer = signer();
        let code = |asked: &Asked| signer.token(asked, 1).unwrap_err().code;
        assert_eq!(code(&asked(Some("root"), "tv")), "account-unknown");
        for device in ["", "a b", "ä", &"x".repeat(65)] {
            assert_eq!(code(&asked(None, device)), "id-invalid", "{device}");
        }
        assert_eq!(code(&Asked { session: Some(String::new()), ..asked(None, "tv") }), "id-invalid");
    }

    #[test]
    fn a_short_key_is_refused_without_being_told() {
        let licence = signer().licence;
        let refused = Signer::new(&licence, b"guess-me").err().unwrap().to_string();
        assert!(refused.contains("32 bytes") && !refused.contains("guess-me"), "{refused}");
    }
}
