//! Single rules: what each token and each account gives.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use jsonwebtoken::{Algorithm, EncodingKey};
use serde_json::{Value, json};
use streamverse_core::stores::{AssetRecord, open_cache, open_catalogue};
use streamverse_drm::licence::{Licensor, Verifier};
use streamverse_model::drm::entitlement::{Clock, Refusal};

use crate::kit::{
    Hand, Keys, SECRET, SKEW, START, another, bearer, claims, context, grant, key_of, kid, licensor, policy,
    signed, subscription, token_spec, verifier, wanted,
};

async fn ask(licensor: &Licensor, claims: &Value, assets: &[&str]) -> Result<(), &'static str> {
    licensor.answer(Some(&bearer(claims)), &wanted(assets)).await.map(|_| ()).map_err(Refusal::code)
}

#[tokio::test]
async fn a_licence_is_the_key_set_of_what_was_asked_for() {
    let (folder, hand) = (tempfile::tempdir().unwrap(), Hand::at(START));
    let cx = context(folder.path());
    let keys = Arc::new(Keys::default());
    let licensor = licensor(&cx, &keys, &policy(), &hand, None).await.unwrap();
    grant(&cx, "ann", &subscription()).await;
    let body = wanted(&["film", "film"]);
    let licence = licensor.answer(Some(&bearer(&claims("ann", "1", START))), &body).await.unwrap();
    let said: Value = serde_json::from_slice(&licence.body).unwrap();
    assert_eq!(
        said,
        json!({ "type": "temporary", "keys": [{
            "kty": "oct", "kid": URL_SAFE_NO_PAD.encode(kid("film").0), "k": URL_SAFE_NO_PAD.encode(key_of("film")),
        }] })
    );
    assert_eq!(licence.renew_after_ms, 30_000);
    assert!(!format!("{licence:?} {licensor:?}").contains(&URL_SAFE_NO_PAD.encode(key_of("film"))));
}

#[tokio::test]
async fn each_refusal_has_its_code_and_gives_no_key_of_several() {
    let (folder, hand) = (tempfile::tempdir().unwrap(), Hand::at(START));
    let cx = context(folder.path());
    let keys = Arc::new(Keys::default());
    let licensor = licensor(&cx, &keys, &policy(), &hand, None).await.unwrap();
    grant(&cx, "ann", &subscription()).await;
    let with = |id: &str, name: &str, value: Value| {
        let mut claims = claims("ann", id, START);
        claims[name] = value;
        claims
    };
    let seconds = START / 1000;
    for (claims, assets, code) in [
        (claims("ann", "1", START), vec!["film", "other"], "not-entitled"),
        (claims("ann", "1", START), vec!["film"], "token-replayed"),
        (claims("bob", "2", START), vec!["film"], "account-unknown"),
        (claims("ann", "3", START), vec!["nothing"], "key-unknown"),
        (claims("ann", "3", START), vec!["film", "nothing"], "key-unknown"),
        (claims("ann", "3", START), vec![], "request-malformed"),
        (with("4", "aud", json!("radio")), vec!["film"], "token-audience"),
        (with("4", "aud", json!(["radio", 1])), vec!["film"], "token-malformed"),
        (with("4", "iss", json!("thief")), vec!["film"], "token-issuer"),
        (with("4", "exp", json!(seconds + 301)), vec!["film"], "token-too-long"),
        (with("4", "exp", json!(seconds - 1)), vec!["film"], "token-malformed"),
        (with("4", "iat", json!(seconds + 3)), vec!["film"], "token-not-yet-valid"),
        (with("4", "nbf", json!(seconds + 30)), vec!["film"], "token-not-yet-valid"),
        (claims("ann", "4", START - 63_000), vec!["film"], "token-expired"),
        (with("4", "jti", Value::Null), vec!["film"], "token-malformed"),
        (with("4", "jti", json!("")), vec!["film"], "token-malformed"),
        (with("4", "device", json!("a b")), vec!["film"], "token-malformed"),
        (with("4", "country", json!("Germany")), vec!["film"], "token-malformed"),
        (with("4", "iat", json!(1.8e9)), vec!["film"], "token-malformed"),
    ] {
        assert_eq!(ask(&licensor, &claims, &assets).await, Err(code), "{claims} {assets:?}");
    }
    assert_eq!(ask(&licensor, &with("4", "aud", json!(["radio", "tv"])), &["film"]).await, Ok(()));
    for field in [None, Some("Basic abc"), Some("Bearer "), Some("Bearer")] {
        assert_eq!(licensor.answer(field, &wanted(&["film"])).await.unwrap_err().code(), "token-missing");
    }
    keys.away.store(true, Ordering::Relaxed);
    // What is known is given on; what is not, is not.
    assert_eq!(ask(&licensor, &claims("ann", "5", START), &["film"]).await, Ok(()));
    assert_eq!(ask(&licensor, &claims("ann", "6", START), &["match"]).await, Err("key-service-unavailable"));
    keys.away.store(false, Ordering::Relaxed);
    assert_eq!(
        ask(&licensor, &claims("ann", "6", START), &["match"]).await,
        Err("not-entitled"),
        "not used up"
    );
}

#[tokio::test]
async fn a_process_that_ended_in_order_is_followed_at_once_and_one_that_crashed_after_all_it_may_have_taken()
{
    let (folder, hand) = (tempfile::tempdir().unwrap(), Hand::at(START));
    let cx = context(folder.path());
    let keys = Arc::new(Keys::default());
    grant(&cx, "ann", &subscription()).await;
    let first = licensor(&cx, &keys, &policy(), &hand, None).await.unwrap();
    assert!(first.opens_ms() < START, "of nobody before, what may have been taken is past");
    assert_eq!(ask(&first, &claims("ann", "1", START), &["film"]).await, Ok(()));
    first.close().await.unwrap();
    assert_eq!(ask(&first, &claims("ann", "2", START + 1000), &["film"]).await, Err("token-before-start"));
    let second = another(&cx, &keys, &policy(), &hand, None, None).await.unwrap();
    assert!(second.opens_ms() <= START);
    hand.0.store(START + 2001, Ordering::SeqCst);
    assert_eq!(ask(&second, &claims("ann", "1", START), &["film"]).await, Err("token-before-start"));
    assert_eq!(ask(&second, &claims("ann", "2", START + 1000), &["film"]).await, Ok(()));
    hand.0.store(START, Ordering::SeqCst);
    // It crashes.
    drop(second);
    let third = another(&cx, &keys, &policy(), &hand, None, None).await.unwrap();
    assert_eq!(third.opens_ms(), START + 2 * SKEW);
    let new = claims("ann", "5", START + 1000);
    assert_eq!(ask(&third, &new, &["film"]).await, Err("service-starting"), "another token is as early");
    hand.0.store(START + 7000, Ordering::SeqCst);
    for (id, issued, wanted) in
        [("2", 1000, Err("token-before-start")), ("3", 4000, Err("token-before-start")), ("4", 5000, Ok(()))]
    {
        assert_eq!(ask(&third, &claims("ann", id, START + issued), &["film"]).await, wanted, "{id}");
    }
}

#[tokio::test]
async fn who_finds_the_file_of_the_process_before_goes_on_at_once_however_that_ended() {
    let (folder, hand) = (tempfile::tempdir().unwrap(), Hand::at(START));
    let cx = context(folder.path());
    let keys = Arc::new(Keys::default());
    grant(&cx, "ann", &subscription()).await;
    let begin = async || {
        let found = Some(cx.run_dir.clone());
        another(&cx, &keys, &policy(), &hand, None, found).await.unwrap()
    };
    let first = begin().await;
    assert_eq!(first.opens_ms(), START + 2 * SKEW);
    hand.0.store(START + 5000, Ordering::SeqCst);
    let issued = |id: &str| claims("ann", id, START + 5000);
    assert_eq!(ask(&first, &issued("1"), &["film"]).await, Ok(()));
    // It crashes.
    drop(first);
    let second = begin().await;
    assert_eq!((second.has_rival(), second.opens_ms()), (false, START + 2 * SKEW));
    assert_eq!(ask(&second, &issued("1"), &["film"]).await, Err("token-replayed"));
    assert_eq!(ask(&second, &issued("2"), &["film"]).await, Ok(()));
    // It ends in order.
    second.close().await.unwrap();
    assert_eq!(ask(&second, &issued("3"), &["film"]).await, Err("token-before-start"));
    let third = begin().await;
    for (id, wanted) in [("1", Err("token-replayed")), ("2", Err("token-replayed")), ("3", Ok(()))] {
        assert_eq!(ask(&third, &issued(id), &["film"]).await, wanted, "{id}");
    }
    // Two at once: the file is not that of who came last.
    let fourth = begin().await;
    assert_eq!((fourth.has_rival(), fourth.opens_ms()), (true, START + 5000 + 2 * SKEW));
    assert_eq!(ask(&fourth, &issued("4"), &["film"]).await, Err("service-starting"));
    assert_eq!(ask(&third, &issued("4"), &["film"]).await, Ok(()));
    drop((third, fourth));
    let fifth = begin().await;
    assert_eq!((fifth.has_rival(), fifth.opens_ms()), (false, START + 5000 + 2 * SKEW));
    assert_eq!(ask(&fifth, &issued("4"), &["film"]).await, Err("service-starting"));
}

#[tokio::test]
async fn a_cache_that_is_added_taken_away_or_exchanged_gives_no_token_twice() {
    let (folder, hand) = (tempfile::tempdir().unwrap(), Hand::at(START));
    let cx = context(folder.path());
    let keys = Arc::new(Keys::default());
    grant(&cx, "ann", &subscription()).await;
    let mut caches = vec![None];
    for name in ["one", "two"] {
        caches.push(Some(open_cache(&format!("memory://here/{name}"), 1 << 20, &cx).await.unwrap()));
    }
    let mut before = licensor(&cx, &keys, &policy(), &hand, None).await.unwrap();
    for (round, which) in [1, 0, 1, 2, 2, 1, 0, 0].into_iter().enumerate() {
        let now = hand.0.load(Ordering::SeqCst);
        let used = claims("ann", &format!("used {round}").replace(' ', "-"), now);
        assert_eq!(ask(&before, &used, &["film"]).await, Ok(()), "{round}");
        // The process ends in some way, and another one begins with another cache.
        if round % 2 == 0 {
            before.close().await.unwrap();
        }
        let next = another(&cx, &keys, &policy(), &hand, caches[which].clone(), None).await.unwrap();
        let said = ask(&next, &used, &["film"]).await.unwrap_err();
        assert!(
            ["service-starting", "token-before-start", "token-replayed"].contains(&said),
            "{round}: {said}"
        );
        let later = now + 2 * SKEW + 1000;
        hand.0.store(later, Ordering::SeqCst);
        assert!(ask(&next, &used, &["film"]).await.is_err(), "{round}");
        let fresh = claims("ann", &format!("fresh-{round}"), later);
        assert_eq!(ask(&next, &fresh, &["film"]).await, Ok(()), "{round}");
        // The one before may still be there.
        assert!(ask(&before, &fresh, &["film"]).await.is_err(), "{round}");
        before = next;
    }
}

#[tokio::test]
async fn of_two_processes_at_once_each_token_is_for_one() {
    let (folder, hand) = (tempfile::tempdir().unwrap(), Hand::at(START));
    let cx = context(folder.path());
    let keys = Arc::new(Keys::default());
    grant(&cx, "ann", &subscription()).await;
    let old = licensor(&cx, &keys, &policy(), &hand, None).await.unwrap();
    let new = another(&cx, &keys, &policy(), &hand, None, None).await.unwrap();
    hand.0.store(new.opens_ms(), Ordering::SeqCst);
    for (id, issued) in (0..9).map(|it| (it.to_string(), new.opens_ms() - 3000 + it * 1000)) {
        let claims = claims("ann", &id, issued);
        let both = [ask(&old, &claims, &["film"]).await, ask(&new, &claims, &["film"]).await];
        assert_eq!(
            both.iter().filter(|it| it.is_ok()).count(),
            usize::from(it_is_past(issued, &new)),
            "{issued} {both:?}"
        );
    }
}

/// Whether a token of then is one of a clock that is off by no more than it may.
fn it_is_past(issued: u64, licensor: &Licensor) -> bool {
    issued / 1000 * 1000 <= licensor.opens_ms() + SKEW
}

#[tokio::test]
async fn replicas_with_a_cache_take_a_token_once_and_a_cache_that_forgot_takes_none_from_before() {
    let (folder, hand) = (tempfile::tempdir().unwrap(), Hand::at(START));
    let cx = context(folder.path());
    let keys = Arc::new(Keys::default());
    grant(&cx, "ann", &subscription()).await;
    let cache = || open_cache("memory://here/main", 1 << 20, &cx);
    let shared = cache().await.unwrap();
    let mut replicas = Vec::new();
    for _ in 0..2 {
        let cache = Some(Arc::clone(&shared));
        replicas.push(another(&cx, &keys, &policy(), &hand, cache, None).await.unwrap());
    }
    hand.0.store(START + 2 * SKEW + 1000, Ordering::SeqCst);
    let claims = claims("ann", "1", START + 2 * SKEW + 1000);
    let both = futures::future::join_all(replicas.iter().map(|it| ask(it, &claims, &["film"]))).await;
    assert_eq!(both.iter().filter(|it| it.is_ok()).count(), 1, "{both:?}");
    // The server was emptied.
    let window = format!("licence-window/{}", scope());
    shared.remove(&window).await.unwrap();
    shared.remove(&format!("licence-token/{}/{}", scope(), digest("1"))).await.unwrap();
    assert_eq!(ask(&replicas[0], &claims, &["film"]).await, Err("service-starting"));
    // Both go on, in a turn that they share again.
    let later = START + 5 * SKEW;
    hand.0.store(later, Ordering::SeqCst);
    for (number, replica) in replicas.iter().enumerate() {
        let claims = self::claims("ann", &format!("later-{number}"), later);
        assert_eq!(ask(replica, &claims, &["film"]).await, Ok(()), "{number}");
        assert_eq!(ask(&replicas[1 - number], &claims, &["film"]).await, Err("token-replayed"), "{number}");
    }
}

#[tokio::test]
async fn what_the_catalogue_says_of_an_assets_licences_is_obeyed() {
    let (folder, hand) = (tempfile::tempdir().unwrap(), Hand::at(START));
    let cx = context(folder.path());
    let keys = Arc::new(Keys::default());
    let licensor = licensor(&cx, &keys, &policy(), &hand, None).await.unwrap();
    let catalogue = open_catalogue("sqlite://here/main", &cx).await.unwrap();
    for (name, offline, expiry) in [("film", true, Value::Null), ("other", false, json!("90s"))] {
        let usage = json!({ "expiry": expiry, "offline": offline, "rental": null, "tracks": null });
        let usage = serde_json::from_value(usage).unwrap();
        let record = AssetRecord { name: name.to_owned(), usage: Some(usage), ..AssetRecord::default() };
        catalogue.publish(&record).await.unwrap();
    }
    let mut grants = subscription();
    grants["b"] = json!({ "kind": "purchase", "of": "other", "from_ms": 0 });
    grants["c"] = json!({ "kind": "rental", "of": "rented", "from_ms": START });
    grant(&cx, "ann", &grants).await;
    for (id, asset, wanted) in [
        ("1", "film", Ok(json!("persistent-license"))),
        ("2", "other", Err("offline-not-allowed")),
        // The catalogue does not list it.
        ("3", "rented", Err("offline-not-allowed")),
    ] {
        let body = String::from_utf8(wanted_bytes(asset)).unwrap().replace("temporary", "persistent-license");
        let said = licensor.answer(Some(&bearer(&claims("ann", id, START))), body.as_bytes()).await;
        let said = said.map(|it| serde_json::from_slice::<Value>(&it.body).unwrap()["type"].clone());
        assert_eq!(said.map_err(Refusal::code), wanted, "{asset}");
    }
    for (seconds, wanted) in [(0, Ok(30)), (50, Ok(30)), (80, Ok(6)), (86, Err("licence-expired"))] {
        let now = START + seconds * 1000;
        hand.0.store(now, Ordering::SeqCst);
        let mut claims = claims("ann", &format!("s{seconds}"), now);
        claims["device"] = json!("tv-2");
        let said = licensor.answer(Some(&bearer(&claims)), &wanted_bytes("other")).await;
        let said = said.map(|it| it.renew_after_ms / 1000).map_err(Refusal::code);
        assert_eq!(said, wanted, "{seconds}");
    }
}

fn wanted_bytes(asset: &str) -> Vec<u8> {
    wanted(&[asset])
}

fn digest(text: &str) -> String {
    use aws_lc_rs::digest;
    hex::encode(&digest::digest(&digest::SHA256, text.as_bytes()).as_ref()[..16])
}

fn scope() -> String {
    digest("[\"shop\",\"tv\"]")
}

#[test]
fn a_key_is_for_its_own_algorithm_alone() {
    let pkcs8 =
        EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &aws_lc_rs::rand::SystemRandom::new());
    let pkcs8 = pkcs8.unwrap();
    let pair = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, pkcs8.as_ref()).unwrap();
    let mut spki = hex::decode("3059301306072a8648ce3d020106082a8648ce3d030107034200").unwrap();
    spki.extend(pair.public_key().as_ref());
    let pem = format!("-----BEGIN PUBLIC KEY-----\n{}\n-----END PUBLIC KEY-----\n", STANDARD.encode(&spki));
    let both = verifier().with_public_key("two", &pem).unwrap();
    let (es, hs) = (EncodingKey::from_ec_der(pkcs8.as_ref()), EncodingKey::from_secret(SECRET.as_bytes()));
    let public = EncodingKey::from_secret(pem.as_bytes());
    let clock = Clock::around(START, SKEW);
    let claims = claims("ann", "1", START);
    for (alg, kid, key, algorithm, wanted) in [
        ("ES256", "two", &es, Algorithm::ES256, Ok("ann")),
        ("HS256", "one", &hs, Algorithm::HS256, Ok("ann")),
        // The public key as if it were a secret.
        ("HS256", "two", &public, Algorithm::HS256, Err("token-algorithm")),
        ("ES256", "one", &es, Algorithm::ES256, Err("token-algorithm")),
        ("HS256", "one", &public, Algorithm::HS256, Err("token-signature")),
        ("ES256", "two", &hs, Algorithm::HS256, Err("token-signature")),
        ("none", "one", &hs, Algorithm::HS256, Err("token-algorithm")),
        ("None", "one", &hs, Algorithm::HS256, Err("token-algorithm")),
        ("HS512", "one", &hs, Algorithm::HS256, Err("token-algorithm")),
        ("HS256", "three", &hs, Algorithm::HS256, Err("token-key-unknown")),
    ] {
        let token = signed(&json!({ "alg": alg, "kid": kid }), &claims, key, algorithm);
        let said = both.verify(&token, clock).map(|it| it.account);
        assert_eq!(said.as_deref().map_err(|it| it.code()), wanted, "{alg} {kid}");
    }
    let asks =
        signed(&json!({ "alg": "HS256", "kid": "one", "crit": ["b64"] }), &claims, &hs, Algorithm::HS256);
    assert_eq!(both.verify(&asks, clock), Err(Refusal::TokenMalformed));
    assert!(Verifier::new(&token_spec()).with_secret("x", b"short").is_err());
    spki.truncate(27);
    spki.extend([7; 64]);
    let off = format!("-----BEGIN PUBLIC KEY-----\n{}\n-----END PUBLIC KEY-----\n", STANDARD.encode(&spki));
    assert!(Verifier::new(&token_spec()).with_public_key("x", &off).is_err(), "no point of the curve");
}
