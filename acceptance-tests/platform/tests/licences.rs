//! Licences on a node under the real Terraform: a key service and a licence service beside each other, who gets a key and
//! who is told why not, a policy that changes under it, and secrets that are nowhere.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use jsonwebtoken::{Algorithm, EncodingKey};
use reqwest::blocking::Client;
use serde_json::{Value, json};
use streamverse_acceptance::{ADDRESS, Node, crash, free_port, secrets};
use streamverse_core::stores::key_wire::AccessKey;
use streamverse_core::stores::{ContentKey, ContentKeys as _, KeyServiceClient, KeyWanted};
use streamverse_model::drm::KeyId;
use tfplugin_testing::cli::{Action, Case, Cli, Failure, Id, Step, action, not_tainted, value};

const ADMIN: &str = "planted-admin-token-0123456789abcdef-77aa";
const TOKEN: &str = "planted-token-secret-0123456789abcdef-88bb";
const KEK: [u8; 32] = [0x6b; 32];
const ACCESS: [u8; 32] = [0x61; 32];
const AT: &str = "streamverse_licence_service.main";

fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs()
}

/// A node with both services, and who talks to them.
struct Site<'a> {
    node: &'a Node,
    keys: u16,
    port: u16,
    admin: u16,
    /// The issuer's pair of ES256.
    pair: rcgen::KeyPair,
    http: Client,
    tokens: AtomicU32,
}

impl<'a> Site<'a> {
    fn new(node: &'a Node) -> Site<'a> {
        let [port, admin, _] = node.ports;
        let pair = rcgen::KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256).unwrap();
        Site { node, keys: free_port(), port, admin, pair, http: Client::new(), tokens: 0.into() }
    }

    /// The configuration: how many streams an account may have, the keys of tokens, and what else the service has.
    fn hcl(&self, streams: u32, keys: &str, rest: &str) -> String {
        format!(
            r#"{}
resource "streamverse_catalogue" "main" {{ name = "main" }}
resource "streamverse_key_service" "main" {{
  name               = "main"
  port               = {}
  catalogue          = streamverse_catalogue.main.url
  key_encryption_key = {{ secret = {{ value_ref = "env:PLANTED_KEK" }} }}
  access_key_ref     = "env:PLANTED_ACCESS"
}}
resource "streamverse_entitlement_policy" "main" {{
  packages         = [{{ name = "basic", assets = ["film"] }}]
  rental           = {{ window = "1h" }}
  streams          = {streams}
  licence_duration = "5m"
}}
resource "streamverse_licence_service" "main" {{
  name            = "main"
  port            = {}
  admin_port      = {}
  key_service     = streamverse_key_service.main.url
  catalogue       = streamverse_catalogue.main.url
  policy          = streamverse_entitlement_policy.main.definition
  token           = {{ issuer = "shop", audience = "tv", clock_skew = "1s" }}
  token_keys      = {{ {keys} }}
  admin_token_ref = "env:PLANTED_ADMIN"
  {rest}
}}
"#,
            self.node.block(),
            self.keys,
            self.port,
            self.admin
        )
    }

    fn both(&self) -> String {
        format!("one = {{ secret_ref = \"env:PLANTED_TOKEN\" }}, {}", self.second())
    }

    fn second(&self) -> String {
        format!("two = {{ public_key = {} }}", Value::from(self.pair.public_key_pem()))
    }

    /// A key of an asset, as a packager gets one.
    fn packaged(&self, asset: &str) -> ContentKey {
        let access = AccessKey::parse(&STANDARD.encode(ACCESS)).unwrap();
        let client =
            KeyServiceClient::new(&format!("127.0.0.1:{}", self.keys), "test/packager", access).unwrap();
        let kid = KeyId::derive("test", asset, "1", "all", 0);
        let wanted = [KeyWanted { kid, asset: asset.to_owned(), track: "all".to_owned() }];
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(client.obtain(&wanted)).unwrap().remove(0)
    }

    /// Claims that hold, of that device, with a token id of their own.
    fn claims(&self, device: &str) -> Value {
        let id = self.tokens.fetch_add(1, Ordering::Relaxed);
        let now = now();
        json!({
            "iss": "shop", "aud": "tv", "sub": "ann", "iat": now, "exp": now + 280, "jti": format!("t{id}"), "device": device,
        })
    }

    fn token(&self, kid: &str, claims: &Value) -> String {
        let (algorithm, key) = match kid {
            "one" => (Algorithm::HS256, EncodingKey::from_secret(TOKEN.as_bytes())),
            _ => (Algorithm::ES256, EncodingKey::from_ec_der(&self.pair.serialize_der())),
        };
        let part = |it: &Value| URL_SAFE_NO_PAD.encode(it.to_string());
        let message = format!("{}.{}", part(&json!({ "alg": algorithm, "kid": kid })), part(claims));
        let signature = jsonwebtoken::crypto::sign(message.as_bytes(), &key, algorithm).unwrap();
        format!("{message}.{signature}")
    }

    /// What the service answers: the key, or a code.
    fn asks(&self, kid: &str, claims: &Value, key: &ContentKey) -> Result<String, String> {
        self.asks_for("temporary", kid, claims, key)
    }

    fn asks_for(&self, kind: &str, kid: &str, claims: &Value, key: &ContentKey) -> Result<String, String> {
        let body = json!({ "kids": [URL_SAFE_NO_PAD.encode(key.kid.0)], "type": kind });
        let url = format!("http://127.0.0.1:{}/licence/clearkey", self.port);
        let answer = self.http.post(url).bearer_auth(self.token(kid, claims)).json(&body).send();
        let said: Value =
            answer.and_then(reqwest::blocking::Response::json).map_err(|error| error.to_string())?;
        match said["keys"][0]["k"].as_str() {
            Some(key) => Ok(key.to_owned()),
            None => Err(said["code"].as_str().unwrap_or_default().to_owned()),
        }
    }

    fn admin(&self, method: &str, path: &str, body: &Value) -> u16 {
        let url = format!("http://127.0.0.1:{}/admin/v1/accounts/{path}", self.admin);
        let request = self.http.request(method.parse().unwrap(), url).bearer_auth(ADMIN).json(body);
        request.send().map_or(0, |answer| answer.status().as_u16())
    }

    /// The process of the licence service.
    fn pid(&self) -> Option<u32> {
        match streamverse_core::http::holder_of([127, 0, 0, 1].into(), self.port)? {
            streamverse_core::http::Holder::Process(pid) => Some(pid),
            streamverse_core::http::Holder::Unseen => None,
        }
    }

    fn case<'c>(&'c self, cli: &'c Cli) -> Case<'c> {
        Case::new(cli)
            .provider(ADDRESS, self.node.provider())
            .env("PLANTED_ADMIN", ADMIN)
            .env("PLANTED_TOKEN", TOKEN)
            .env("PLANTED_SHORT", "short")
            .env("PLANTED_KEK", STANDARD.encode(KEK))
            .env("PLANTED_ACCESS", STANDARD.encode(ACCESS))
            .secrets_absent(&[ADMIN, TOKEN, &STANDARD.encode(KEK), &STANDARD.encode(ACCESS)])
            .check_destroyed(|_| self.node.nothing_left().map_err(Into::into))
    }
}

fn planted_nowhere(site: &Site<'_>, key: &ContentKey) -> Result<(), String> {
    let texts = [ADMIN.to_owned(), TOKEN.to_owned(), STANDARD.encode(KEK), STANDARD.encode(ACCESS)];
    let mut all: Vec<Vec<u8>> = texts.into_iter().map(String::into_bytes).collect();
    all.extend(secrets::forms(key.secret()));
    secrets::planted_nowhere(site.node, &all)
}

#[test]
fn a_key_is_for_who_was_granted_it_through_every_change_of_the_service() -> Result<(), Failure> {
    let cli = Cli::terraform()?;
    let Some(node) = Node::start() else { return Ok(()) };
    let site = Site::new(&node);
    let film = std::cell::OnceCell::new();
    let old = std::cell::OnceCell::new();
    let before = std::cell::Cell::new(None);
    let denied = |kid: &str, claims: Value, code: &str| {
        let key = film.get().unwrap();
        assert_eq!(site.asks(kid, &claims, key), Err(code.to_owned()), "{claims}");
    };
    let given = |kid: &str, claims: &Value| {
        let key: &ContentKey = film.get().unwrap();
        assert_eq!(site.asks(kid, claims, key), Ok(URL_SAFE_NO_PAD.encode(key.secret())), "{claims}");
    };
    let with = |name: &str, value: Value| {
        let mut claims = site.claims("tv-1");
        claims[name] = value;
        claims
    };
    site.case(&cli)
        .step(
            Step::apply(site.hcl(1, &site.both(), ""))
                .named("create")
                .expect_no_warnings()
                .plan(action(AT, Action::Create))
                .state(not_tainted(AT))
                .state(value(AT, "url", format!("http://127.0.0.1:{}/licence/clearkey", site.port).as_str()))
                .state(value(AT, "admin_address", format!("http://127.0.0.1:{}", site.admin).as_str()))
                .after(|_| {
                    film.set(site.packaged("film")).unwrap();
                    denied("one", site.claims("tv-1"), "account-unknown");
                    assert_eq!(site.admin("PUT", "ann", &Value::Null), 200);
                    denied("one", site.claims("tv-1"), "not-entitled");
                    let basic = json!({ "kind": "subscription", "package": "basic" });
                    assert_eq!(site.admin("PUT", "ann/grants/g", &basic), 200);
                    let used = site.claims("tv-1");
                    given("one", &used);
                    given("two", &site.claims("tv-1"));
                    denied("one", used.clone(), "token-replayed");
                    // The same token by another key is the same token.
                    denied("two", used.clone(), "token-replayed");
                    old.set(used).unwrap();
                    // Nothing allows that it is kept.
                    let key = film.get().unwrap();
                    let said = site.asks_for("persistent-license", "one", &site.claims("tv-1"), key);
                    assert_eq!(said, Err("offline-not-allowed".to_owned()));
                    denied("one", with("aud", json!("radio")), "token-audience");
                    denied("two", with("iss", json!("thief")), "token-issuer");
                    let (from, to) = (now() - 70, now() - 10);
                    let mut expired = with("iat", json!(from));
                    expired["exp"] = json!(to);
                    denied("one", expired, "token-expired");
                    denied("one", with("exp", json!(now() + 1000)), "token-too-long");
                    denied("three", site.claims("tv-1"), "token-key-unknown");
                    denied("one", site.claims("tv-2"), "too-many-streams");
                    // Somebody else's film.
                    let other = site.packaged("other");
                    let said = site.asks("one", &site.claims("tv-1"), &other);
                    assert_eq!(said, Err("not-entitled".to_owned()));
                    before.set(site.pid());
                    planted_nowhere(&site, film.get().unwrap()).map_err(Into::into)
                }),
        )
        .step(
            Step::apply(site.hcl(2, &site.both(), ""))
                .named("another policy is a change in place")
                .plan(action(AT, Action::Update))
                .plan(action("streamverse_entitlement_policy.main", Action::Update))
                .expect_no_warnings()
                .after(|_| {
                    eprintln!("its process was {:?} and is {:?}", before.get(), site.pid());
                    denied("one", old.get().unwrap().clone(), "token-replayed");
                    given("two", &site.claims("tv-2"));
                    denied("one", site.claims("tv-3"), "too-many-streams");
                    Ok(())
                }),
        )
        .step(
            Step::apply(site.hcl(2, &site.both(), "replicas = 2"))
                .named("two processes of it on one host")
                .expect_plan_error("(?s)node runs one process of it"),
        )
        .step(
            Step::apply(site.hcl(2, "one = { secret_ref = \"env:PLANTED_SHORT\" }", ""))
                .named("a secret that can be guessed")
                .expect_apply_error("(?s)fewer than 32.*guessed"),
        )
        .step(
            Step::apply(site.hcl(2, &site.second(), ""))
                .named("the first key of tokens is retired")
                .plan(action(AT, Action::Update))
                .after(|_| {
                    std::thread::sleep(Duration::from_millis(1100));
                    denied("one", site.claims("tv-2"), "token-key-unknown");
                    given("two", &site.claims("tv-2"));
                    Ok(())
                }),
        )
        .step(
            Step::reapply()
                .named("somebody removed it: what was granted is still there")
                .before(|_| {
                    node.behind("licence-service", "main", false)?;
                    Ok(())
                })
                .plan(action(AT, Action::Create))
                .after(|_| {
                    std::thread::sleep(Duration::from_millis(1100));
                    given("two", &site.claims("tv-2"));
                    assert_eq!(site.admin("DELETE", "ann/grants/g", &Value::Null), 204);
                    denied("two", site.claims("tv-2"), "not-entitled");
                    planted_nowhere(&site, film.get().unwrap()).map_err(Into::into)
                }),
        )
        .step(Step::reapply().named("its process crashed").before(|_| {
            let killed = site.claims("tv-2");
            assert_eq!(site.admin("PUT", "ann/grants/h", &json!({ "kind": "rental", "asset": "film" })), 200);
            given("two", &killed);
            let pid = site.pid().unwrap();
            crash::dump(pid, "SEGV");
            let until = Instant::now() + Duration::from_secs(60);
            while site.pid().is_none_or(|now| now == pid) {
                assert!(Instant::now() < until, "it does not come back: {}", node.log());
                std::thread::sleep(Duration::from_millis(100));
            }
            denied("two", killed, "token-replayed");
            // Nobody who plays is kept waiting.
            given("two", &site.claims("tv-2"));
            planted_nowhere(&site, film.get().unwrap()).map_err(Into::into)
        }))
        .step(Step::import(AT, Id::attribute("name")).ignoring(&[
            "timeouts",
            "admin_token_ref",
            "token_keys",
        ]))
        .run()
        .map(|_| ())
}
