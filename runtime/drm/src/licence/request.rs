//! Licence requests of W3C ClearKey (Encrypted Media Extensions, section 9.1.3), and their answers.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};
use streamverse_core::stores::ContentKey;
use streamverse_model::drm::KeyId;
use streamverse_model::drm::entitlement::Refusal;

/// Bytes of a request.
pub const LONGEST: usize = 4 << 10;
/// Keys of a request: an asset has a few tracks.
const MOST_KEYS: usize = 32;

#[derive(Deserialize)]
struct Asked {
    kids: Vec<String>,
    #[serde(rename = "type")]
    kind: Option<String>,
}

#[derive(Serialize)]
struct Licence {
    keys: Vec<Key>,
    #[serde(rename = "type")]
    kind: &'static str,
}

/// A symmetric key (RFC 7517, RFC 7518 section 6.4).
#[derive(Serialize)]
struct Key {
    kty: &'static str,
    kid: String,
    k: String,
}

/// Reads a request: the keys that it wants, each once.
///
/// # Errors
/// `request-too-large`, `request-malformed`.
pub fn read(body: &[u8]) -> Result<Vec<KeyId>, Refusal> {
    if body.len() > LONGEST {
        return Err(Refusal::RequestTooLarge);
    }
    let asked: Asked = serde_json::from_slice(body).map_err(|_| Refusal::RequestMalformed)?;
    if asked.kids.is_empty() || asked.kind.is_some_and(|kind| kind != "temporary") {
        return Err(Refusal::RequestMalformed);
    }
    if asked.kids.len() > MOST_KEYS {
        return Err(Refusal::RequestTooLarge);
    }
    let mut kids = Vec::with_capacity(asked.kids.len());
    for text in &asked.kids {
        let bytes = URL_SAFE_NO_PAD.decode(text).ok().and_then(|it| <[u8; 16]>::try_from(it).ok());
        let kid = KeyId(bytes.ok_or(Refusal::RequestMalformed)?);
        if !kids.contains(&kid) {
            kids.push(kid);
        }
    }
    Ok(kids)
}

/// The licence: a set of JSON Web Keys.
pub(super) fn licence(keys: &[ContentKey]) -> Vec<u8> {
    let key = |it: &ContentKey| Key {
        kty: "oct",
        kid: URL_SAFE_NO_PAD.encode(it.kid.0),
        k: URL_SAFE_NO_PAD.encode(it.secret()),
    };
    let licence = Licence { keys: keys.iter().map(key).collect(), kind: "temporary" };
    // Strings and a list of them can always be written.
    serde_json::to_vec(&licence).unwrap_or_default()
}
