//! What strangers send: a stable code, no panic, and nothing that grows with what they send.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::{Algorithm, EncodingKey};
use proptest::prelude::{Just, Strategy, any, prop_assert, prop_assert_eq, prop_oneof, proptest};
use serde_json::{Value, json};
use streamverse_drm::licence::{Token, request};
use streamverse_model::drm::entitlement::{Clock, Refusal};

use crate::kit::{
    Hand, Keys, SECRET, SKEW, START, claims, context, grant, kid, licensor, policy, signed, subscription,
    verifier, wanted,
};

fn clock() -> Clock {
    Clock::around(START, SKEW)
}

fn key() -> EncodingKey {
    EncodingKey::from_secret(SECRET.as_bytes())
}

/// A token that holds, or would if this were its claims.
fn token(claims: &Value) -> String {
    signed(&json!({ "alg": "HS256", "kid": "one" }), claims, &key(), Algorithm::HS256)
}

/// One whose parts are any text, signed as they are.
fn raw(header: &str, claims: &str) -> String {
    let message = format!("{}.{}", URL_SAFE_NO_PAD.encode(header), URL_SAFE_NO_PAD.encode(claims));
    format!("{message}.{}", jsonwebtoken::crypto::sign(message.as_bytes(), &key(), Algorithm::HS256).unwrap())
}

fn code(said: &Result<Token, Refusal>) -> &'static str {
    said.as_ref().map_or_else(|refusal| refusal.code(), |_| "")
}

/// JSON that a parser may stumble over.
fn nasty() -> impl Strategy<Value = String> {
    let number = prop_oneof![
        Just("1e999999999".to_owned()),
        Just("-1".to_owned()),
        Just("1.8e9".to_owned()),
        Just("18446744073709551616".to_owned()),
        Just("9".repeat(3000)),
        Just(format!("0.{}1", "0".repeat(2000))),
        any::<u64>().prop_map(|it| it.to_string()),
    ];
    let nested = (1..1000_usize, any::<bool>()).prop_map(|(depth, list)| match list {
        true => format!("{}{}", "[".repeat(depth), "]".repeat(depth)),
        false => format!("{}1{}", "{\"a\":".repeat(depth), "}".repeat(depth)),
    });
    let text = ".{0,40}".prop_map(|it| Value::from(it).to_string());
    prop_oneof![
        number,
        nested,
        text,
        Just("null".to_owned()),
        Just("true".to_owned()),
        Just("\"\\ud800\"".to_owned())
    ]
}

/// Who signed it is no excuse for what it says.
const NAMES: &[&str] = &[
    "iss", "aud", "sub", "iat", "exp", "nbf", "jti", "device", "session", "country", "else", "alg", "kid",
    "crit",
];

proptest! {
    #[test]
    fn any_text_is_a_refusal(text in ".{0,200}", dots in proptest::collection::vec("[A-Za-z0-9_-]{0,40}", 0..5)) {
        let verifier = verifier();
        prop_assert!(verifier.verify(&text, clock()).is_err());
        prop_assert!(verifier.verify(&dots.join("."), clock()).is_err());
    }

    #[test]
    fn a_token_of_which_one_character_is_another_is_refused(at in any::<proptest::sample::Index>(), by in any::<u8>()) {
        let good = token(&claims("ann", "1", START));
        prop_assert!(verifier().verify(&good, clock()).is_ok());
        let mut bytes = good.clone().into_bytes();
        let place = at.index(bytes.len());
        bytes[place] = by & 0x7f;
        let changed = String::from_utf8(bytes).unwrap();
        let said = verifier().verify(&changed, clock());
        prop_assert!(said.is_err() == (changed != good), "{changed}");
    }

    #[test]
    fn claims_and_headers_of_any_shape_are_refused_or_mean_what_they_say(
        name in proptest::sample::select(NAMES), value in nasty(), twice in any::<bool>(),
    ) {
        let mut all: Vec<(String, String)> = claims("ann", "1", START)
            .as_object().unwrap().iter().map(|(name, value)| (name.clone(), value.to_string())).collect();
        if !twice {
            all.retain(|(held, _)| held != name);
        }
        let written = |all: &[(String, String)]| {
            let members: Vec<String> = all.iter().map(|(name, value)| format!("{name:?}:{value}")).collect();
            format!("{{{}}}", members.join(","))
        };
        let in_header = ["alg", "kid", "crit"].contains(&name);
        let mut header: Vec<(String, String)> =
            [("alg", "\"HS256\""), ("kid", "\"one\"")].map(|(name, value)| (name.to_owned(), value.to_owned())).into();
        if in_header && !twice {
            header.retain(|(held, _)| held != name);
        }
        if in_header { &mut header } else { &mut all }.push((name.to_owned(), value));
        let said = verifier().verify(&raw(&written(&header), &written(&all)), clock());
        if let Ok(token) = said {
            prop_assert_eq!((token.account.len() <= 128, token.id.len() <= 128), (true, true));
            prop_assert!(token.expires - token.issued <= 300 && token.issued <= START / 1000 + SKEW / 1000);
        }
    }

    #[test]
    fn any_body_is_a_few_keys_or_a_refusal(
        bytes in proptest::collection::vec(any::<u8>(), 0..300), value in nasty(), count in 0..3000_usize,
        at in any::<proptest::sample::Index>(), by in any::<u8>(),
    ) {
        let mut changed = wanted(&["film", "other"]);
        let place = at.index(changed.len());
        changed[place] = by;
        let many = json!({ "kids": vec!["AAAAAAAAAAAAAAAAAAAAAA"; count], "type": "temporary" }).to_string().into_bytes();
        for body in [bytes, value.clone().into_bytes(), format!("{{\"kids\":{value}}}").into_bytes(),
            format!("{{\"kids\":[{value}]}}").into_bytes(), changed, many] {
            match request::read(&body) {
                Ok(kids) => prop_assert!((1..=32).contains(&kids.len())),
                Err(refusal) => prop_assert!(["request-malformed", "request-too-large"].contains(&refusal.code())),
            }
        }
    }
}

#[test]
fn the_known_tricks_have_their_codes() {
    let good = claims("ann", "1", START);
    let text = good.to_string();
    let unsigned = |alg: &str| {
        let header = URL_SAFE_NO_PAD.encode(json!({ "alg": alg, "kid": "one" }).to_string());
        format!("{header}.{}.", URL_SAFE_NO_PAD.encode(&text))
    };
    let padded = format!("{}=", token(&good));
    let large = json!({ "x": "y".repeat(9000) });
    for (token, wanted) in [
        (unsigned("none"), "token-algorithm"),
        (unsigned("nOnE"), "token-algorithm"),
        (unsigned(""), "token-algorithm"),
        (unsigned("HS256"), "token-signature"),
        (raw("{\"alg\":\"HS256\"}", &text), "token-malformed"),
        (raw("{\"alg\":\"HS256\",\"kid\":\"../../one\"}", &text), "token-key-unknown"),
        (raw("{\"alg\":\"HS256\",\"kid\":\"one\",\"kid\":\"one\"}", &text), "token-malformed"),
        (raw("{\"alg\":\"HS256\",\"kid\":\"one\",\"jwk\":{\"kty\":\"oct\",\"k\":\"AA\"}}", &text), ""),
        (
            raw("{\"alg\":\"HS256\",\"kid\":\"one\"}", &text.replace('{', "{\"sub\":\"eve\",")),
            "token-malformed",
        ),
        (raw("{\"alg\":\"HS256\",\"kid\":\"one\"}", "[]"), "token-malformed"),
        (raw("{\"alg\":\"HS256\",\"kid\":\"one\"}", ""), "token-malformed"),
        (format!("{}.x", token(&good)), "token-malformed"),
        (padded, "token-signature"),
        (token(&large), "token-malformed"),
        ("..".to_owned(), "token-malformed"),
        (String::new(), "token-malformed"),
        (".".repeat(8000), "token-malformed"),
        ("A".repeat(1 << 20), "token-malformed"),
    ] {
        let shown: String = token.chars().take(60).collect();
        assert_eq!(code(&verifier().verify(&token, clock())), wanted, "{shown}");
    }
}

#[tokio::test]
async fn another_assets_key_among_ones_own_gives_none_of_them() {
    let folder = tempfile::tempdir().unwrap();
    let cx = context(folder.path());
    let hand = Hand::at(START);
    let licensor = licensor(&cx, &Arc::new(Keys::default()), &policy(), &hand, None).await.unwrap();
    grant(&cx, "ann", &subscription()).await;
    let film = URL_SAFE_NO_PAD.encode(kid("film").0);
    for (kids, wanted) in [
        (vec![film.clone(), URL_SAFE_NO_PAD.encode(kid("other").0)], "not-entitled"),
        (vec![film.clone(), URL_SAFE_NO_PAD.encode([0; 16])], "key-unknown"),
        (vec![film.clone(), URL_SAFE_NO_PAD.encode([0; 15])], "request-malformed"),
        (vec![film.clone(), format!("{film}==")], "request-malformed"),
        (vec![film.clone(); 33], "request-too-large"),
        (vec![film.clone(); 3000], "request-too-large"),
        (vec![film; 32], ""),
    ] {
        let body = json!({ "kids": kids, "type": "temporary" }).to_string();
        let bearer = format!("Bearer {}", token(&claims("ann", &format!("{wanted}{}", kids.len()), START)));
        let said = licensor.answer(Some(&bearer), body.as_bytes()).await;
        assert_eq!(said.map_or_else(Refusal::code, |_| ""), wanted, "{}", kids.len());
    }
}
