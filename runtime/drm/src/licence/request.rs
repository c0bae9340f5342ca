//! Licence requests of W3C ClearKey (Encrypted Media Extensions, section 9.1.3), and their answers.

use std::borrow::Cow;

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
/// The types of licences (Encrypted Media Extensions, section 3, `MediaKeySessionType`).
const TEMPORARY: &str = "temporary";
const PERSISTENT: &str = "persistent-license";

#[derive(Deserialize)]
struct Asked<'a> {
    #[serde(borrow)]
    kids: Vec<Cow<'a, str>>,
    #[serde(rename = "type", borrow)]
    kind: Option<Cow<'a, str>>,
}

/// What a request wants.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wanted {
    /// The keys, each once.
    pub kids: Vec<KeyId>,
    /// Whether the player keeps the licence.
    pub is_persistent: bool,
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
    wanted(body).map(|it| it.kids)
}

/// Reads a request.
///
/// # Errors
/// As [`read`].
pub fn wanted(body: &[u8]) -> Result<Wanted, Refusal> {
    if body.len() > LONGEST {
        return Err(Refusal::RequestTooLarge);
    }
    let asked: Asked<'_> = serde_json::from_slice(body).map_err(|_| Refusal::RequestMalformed)?;
    let is_persistent = match asked.kind.as_deref() {
        None | Some(TEMPORARY) => false,
        Some(PERSISTENT) => true,
        Some(_) => return Err(Refusal::RequestMalformed),
    };
    if asked.kids.is_empty() {
        return Err(Refusal::RequestMalformed);
    }
    if asked.kids.len() > MOST_KEYS {
        return Err(Refusal::RequestTooLarge);
    }
    let mut kids = Vec::with_capacity(asked.kids.len());
    for text in &asked.kids {
        let mut bytes = [0; 18];
        let length =
            URL_SAFE_NO_PAD.decode_slice(&**text, &mut bytes).map_err(|_| Refusal::RequestMalformed)?;
        let kid = bytes.get(..length).and_then(|it| <[u8; 16]>::try_from(it).ok());
        let kid = KeyId(kid.ok_or(Refusal::RequestMalformed)?);
        if !kids.contains(&kid) {
            kids.push(kid);
        }
    }
    Ok(Wanted { kids, is_persistent })
}

/// The licence: a set of JSON Web Keys.
pub(super) fn licence<'a>(keys: impl Iterator<Item = &'a ContentKey>, is_persistent: bool) -> Vec<u8> {
    let key = |it: &ContentKey| Key {
        kty: "oct",
        kid: URL_SAFE_NO_PAD.encode(it.kid.0),
        k: URL_SAFE_NO_PAD.encode(it.secret()),
    };
    let licence =
        Licence { keys: keys.map(key).collect(), kind: if is_persistent { PERSISTENT } else { TEMPORARY } };
    // Strings and a list of them can always be written.
    serde_json::to_vec(&licence).unwrap_or_default()
}
