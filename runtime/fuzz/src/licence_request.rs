//! Licence requests: whatever is sent, it is a few keys, each once, or a refusal with one of two codes.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use streamverse_drm::licence::request;
use streamverse_model::drm::entitlement::Refusal;

/// Any bytes as the body of a request.
pub fn any(data: &[u8]) {
    match request::read(data) {
        Ok(kids) => {
            assert!(data.len() <= request::LONGEST && (1..=32).contains(&kids.len()), "{}", kids.len());
            let written: Vec<String> = kids.iter().map(|it| URL_SAFE_NO_PAD.encode(it.0)).collect();
            let again = serde_json::json!({ "kids": written, "type": "temporary" }).to_string();
            // Each once and in the order that they came in.
            assert_eq!(request::read(again.as_bytes()), Ok(kids));
        }
        Err(refusal) => {
            assert!(["request-malformed", "request-too-large"].contains(&refusal.code()), "{refusal:?}");
        }
    }
    if data.len() > request::LONGEST {
        assert_eq!(request::read(data).map_err(Refusal::code), Err("request-too-large"));
    }
}
