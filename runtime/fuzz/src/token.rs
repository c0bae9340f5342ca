//! Tokens: whatever is sent, it is refused with a code, or was signed by the issuer and means what it says.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::{Algorithm, EncodingKey};
use serde_json::Value;
use streamverse_drm::licence::{Token, Verifier};
use streamverse_model::drm::entitlement::{Clock, Refusal};

const SECRET: &[u8] = b"the secret of the issuer, 32 bytes at least";
/// 2027-01-15T08:00:00Z.
const NOW_MS: u64 = 1_800_000_000_000;
const SKEW_MS: u64 = 2_000;

/// Any bytes as a token; and, where they have two lines, these as the header and the claims of one that is signed.
pub fn any(data: &[u8]) {
    let spec =
        serde_json::json!({ "issuer": "shop", "audience": "tv", "max_lifetime": "5m", "clock_skew": "2s" });
    let spec = serde_json::from_value(spec).expect("a spec of tokens");
    let verifier = Verifier::new(&spec).with_secret("one", SECRET).expect("a secret that is long enough");
    let clock = Clock::around(NOW_MS, SKEW_MS);
    let text = String::from_utf8_lossy(data);
    let said = verifier.verify(&text, clock);
    has_a_code(&said);
    assert!(said.is_err(), "nobody but the issuer makes a token: {text}");
    let Some((header, claims)) = text.split_once('\n') else { return };
    let signed = format!("{}.{}", URL_SAFE_NO_PAD.encode(header), URL_SAFE_NO_PAD.encode(claims));
    let signature =
        jsonwebtoken::crypto::sign(signed.as_bytes(), &EncodingKey::from_secret(SECRET), Algorithm::HS256);
    let token = format!("{signed}.{}", signature.expect("a signature"));
    let said = verifier.verify(&token, clock);
    has_a_code(&said);
    assert_eq!(said, verifier.verify(&token, clock), "the same token, the same answer");
    if let Ok(token) = said {
        means_what_it_says(&token, header, claims);
    }
}

fn has_a_code(said: &Result<Token, Refusal>) {
    if let Err(refusal) = said {
        assert!(refusal.code().starts_with("token-"), "{refusal:?}");
    }
}

fn means_what_it_says(token: &Token, header: &str, claims: &str) {
    // A claim that nobody reads is skipped however deep it is; a `Value` may not be so deep.
    let read = |text: &str| serde_json::from_str::<Value>(text);
    let (Ok(header), Ok(claims)) = (read(header), read(claims)) else { return };
    assert_eq!((&header["alg"], &header["kid"]), (&"HS256".into(), &"one".into()));
    assert_eq!(claims["iss"], "shop");
    let audiences = claims["aud"].as_array().map_or(1, Vec::len);
    let named = claims["aud"].as_array().is_none_or(|all| all.contains(&"tv".into()));
    assert!(audiences <= 16 && named && (claims["aud"].is_array() || claims["aud"] == "tv"), "{claims}");
    assert_eq!((claims["iat"].as_u64(), claims["exp"].as_u64()), (Some(token.issued), Some(token.expires)));
    assert!(token.expires - token.issued <= 300, "{token:?}");
    assert!(token.issued * 1000 <= NOW_MS + SKEW_MS && token.expires * 1000 > NOW_MS - SKEW_MS, "{token:?}");
    for id in [&token.account, &token.device, &token.id] {
        assert!((1..=128).contains(&id.len()) && id.bytes().all(|it| it.is_ascii_graphic()), "{id:?}");
    }
    assert!(token.session.len() <= 128 && token.country.as_ref().is_none_or(|it| it.len() == 2), "{token:?}");
}
