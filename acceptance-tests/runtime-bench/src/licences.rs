//! Licences against bare verification: the licence service on one processor, beside a key service, asked by `wrk` with a
//! token of its own for each licence; and, in turns with it, the same tokens verified by the same library with nothing else,
//! and the same requests to the same server where it does nothing.

use std::fmt::Write as _;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use aws_lc_rs::hmac;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED, ParsedPublicKey};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use futures::StreamExt as _;
use jsonwebtoken::{Algorithm, EncodingKey};
use reqwest::Client;
use serde_json::json;
use streamverse_core::ServiceContext;
use streamverse_core::stores::{KeyWanted, open_keys};
use streamverse_model::drm::KeyId;
use streamverse_model::platform::Owner;

use crate::children::{self, Server};
use crate::figures::{Goal, Rounds, Row};
use crate::load;
use crate::origin::{context, run_target};
use crate::{Outcome, Setup, folder, free_port, tell};

const SECRET: &str = "the secret of the bench, which is no secret at all";
const ADMIN: &str = "the admin token of the bench, which is no secret";
/// Whose tokens take turns: an account has few streams, and a platform many accounts.
const ACCOUNTS: usize = 1000;
const CONNECTIONS: u32 = 32;
/// Licences a second of a processor.
const GOAL: f64 = 50_000.0;
/// Milliseconds in which 99 of 100 are there.
const GOAL_LATE: f64 = 5.0;
const LICENCE: &str = "/licence/clearkey";
/// What the same server answers without looking at anything.
const NOTHING: &str = "/livez";
/// Milliseconds between an answer and the next request of a connection, for `wrk`.
const REST: &str = "function delay() return 1 end\n";
/// What comes before the point of a public key on P-256.
const P256: &[u8] = &[
    0x30, 0x59, 0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06, 0x08, 0x2a, 0x86,
    0x48, 0xce, 0x3d, 0x03, 0x01, 0x07, 0x03, 0x42, 0x00,
];

/// An algorithm, and how many licences a second of it are prepared for: more than a processor gives.
struct Case {
    name: &'static str,
    kid: &'static str,
    algorithm: Algorithm,
    per_second: usize,
}

const CASES: &[Case] = &[
    Case { name: "HS256", kid: "one", algorithm: Algorithm::HS256, per_second: 100_000 },
    Case { name: "ES256", kid: "two", algorithm: Algorithm::ES256, per_second: 40_000 },
];

/// The issuer's keys.
struct Issuer {
    secret: EncodingKey,
    private: EncodingKey,
    public: [u8; 65],
}

impl Issuer {
    fn new() -> Outcome<Issuer> {
        let pair = rcgen::KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256)?;
        Ok(Issuer {
            secret: EncodingKey::from_secret(SECRET.as_bytes()),
            private: EncodingKey::from_ec_der(&pair.serialize_der()),
            public: pair.public_key_raw().try_into()?,
        })
    }

    fn pem(&self) -> String {
        let der = [P256, &self.public].concat();
        format!("-----BEGIN PUBLIC KEY-----\n{}\n-----END PUBLIC KEY-----\n", STANDARD.encode(der))
    }

    /// So many tokens that were never used.
    fn tokens(&self, case: &Case, round: usize, count: usize) -> Outcome<Vec<String>> {
        let now = SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs();
        let key = if case.algorithm == Algorithm::HS256 { &self.secret } else { &self.private };
        let header =
            URL_SAFE_NO_PAD.encode(json!({ "alg": case.name, "kid": case.kid, "typ": "JWT" }).to_string());
        let one = |number: usize| -> Outcome<String> {
            let claims = json!({
                "iss": "shop", "aud": "tv", "sub": format!("a{}", number % ACCOUNTS), "iat": now, "exp": now + 290,
                "jti": format!("{}-{round}-{number}", case.name), "device": "tv-1", "country": "FR",
            });
            let message = format!("{header}.{}", URL_SAFE_NO_PAD.encode(claims.to_string()));
            let signature = jsonwebtoken::crypto::sign(message.as_bytes(), key, case.algorithm)?;
            Ok(format!("{message}.{signature}"))
        };
        (0..count).map(one).collect()
    }

    /// Tokens that are verified in a second of processor time, and nothing else.
    fn floor(&self, case: &Case, tokens: &[String], time: Duration) -> Outcome<f64> {
        let secret = hmac::Key::new(hmac::HMAC_SHA256, SECRET.as_bytes());
        let public = ParsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, self.public)?;
        // As the server's: processor time, which a busy machine does not stretch.
        let own = [std::process::id()];
        let (started, before, mut count) = (Instant::now(), children::cpu_seconds(&own), 0_u32);
        for token in tokens.iter().cycle() {
            let (message, signature) = token.rsplit_once('.').ok_or("a token has three parts")?;
            let signature = URL_SAFE_NO_PAD.decode(signature)?;
            let holds = match case.algorithm {
                Algorithm::HS256 => hmac::verify(&secret, message.as_bytes(), &signature).is_ok(),
                _ => public.verify_sig(message.as_bytes(), &signature).is_ok(),
            };
            if !holds {
                return Err("a token does not hold".into());
            }
            count += 1;
            if count.is_multiple_of(100) && started.elapsed() > time {
                break;
            }
        }
        Ok(f64::from(count) / (children::cpu_seconds(&own) - before).max(0.01))
    }
}

/// Measures.
///
/// # Errors
/// What stopped it.
pub async fn measure(setup: &Setup) -> Outcome<Vec<Row>> {
    let issuer = Arc::new(Issuer::new()?);
    let folder = folder()?;
    let site = Site::start(setup, folder.path(), &issuer).await?;
    let mut rows = vec![site.first(&issuer).await?];
    for case in CASES {
        rows.extend(site.case(setup, &issuer, case).await?);
    }
    Ok(rows)
}

struct Site {
    _keys: Server,
    service: Server,
    port: u16,
    kid: KeyId,
}

fn credential(cx: &ServiceContext, of: &str, key: &str, value: &str) -> Outcome<()> {
    let folder = cx.credentials_dir.join(of);
    std::fs::create_dir_all(&folder)?;
    Ok(std::fs::write(folder.join(key), value)?)
}

impl Site {
    async fn start(setup: &Setup, folder: &Path, issuer: &Issuer) -> Outcome<Site> {
        use std::os::unix::fs::PermissionsExt as _;
        let (port, admin, keys) = (free_port()?, free_port()?, free_port()?);
        let cx = context(folder, "key-service")?;
        credential(&cx, "key-service.main", "access-key", &STANDARD.encode([5; 32]))?;
        credential(&cx, "licence-service.main", "admin-token", ADMIN)?;
        credential(&cx, "licence-service.main", "token-one", SECRET)?;
        let kek = folder.join("kek");
        std::fs::write(&kek, STANDARD.encode([7; 32]))?;
        std::fs::set_permissions(&kek, std::fs::Permissions::from_mode(0o600))?;
        let spec = json!({
            "port": keys, "replicas": 1, "catalogue": "sqlite://here/main", "audit_retention": "1day",
            "key_encryption_key": { "file": kek },
        });
        let mut key_service = run_target(setup, "key-service", &spec, &cx, None)?;
        key_service.listens(keys).await?;
        let url = format!("keys://127.0.0.1:{keys}?secret=key-service.main");
        let kid = KeyId::derive("bench", "film", "1", "all", 0);
        let packager = ServiceContext { owner: Owner::new("bench", "vod-asset", "film")?, ..cx };
        let wanted = KeyWanted { kid, asset: "film".to_owned(), track: "all".to_owned() };
        open_keys(&url, &packager)?.obtain(&[wanted]).await?;
        let cx = context(folder, "licence-service")?;
        let policy = json!({
            "packages": [{ "name": "basic", "assets": ["film"] }], "purchases": true, "streams": 2, "devices": 5,
            "licence_duration": "2m",
        });
        let spec = json!({
            "service": {
                "port": port, "admin_port": admin, "replicas": 1, "key_service": url, "catalogue": "sqlite://here/main",
                "cache": null, "policy": policy.to_string(), "allowed_origins": ["*"],
                "token": { "issuer": "shop", "audience": "tv", "max_lifetime": "5m", "clock_skew": "2s" },
            },
            "keys": { "one": { "secret": { "version": 1 } }, "two": { "public_key": issuer.pem() } },
        });
        let mut service = run_target(setup, "licence-service", &spec, &cx, Some(setup.cores.server))?;
        service.listens(admin).await?;
        granted(admin).await?;
        let site = Site { _keys: key_service, service, port, kid };
        site.opens(issuer).await?;
        Ok(site)
    }

    /// Waits until tokens are taken: a service that knows of none before it waits a little.
    async fn opens(&self, issuer: &Issuer) -> Outcome<()> {
        let case = CASES.first().ok_or("there is no case")?;
        let (http, url) = (Client::new(), format!("http://127.0.0.1:{}{LICENCE}", self.port));
        for attempt in 0..200 {
            let token = issuer.tokens(case, 1_000_000 + attempt, 1)?.concat();
            let request = http.post(&url).bearer_auth(token).header("content-type", "application/json");
            let answer = request.body(self.body()).send().await?;
            if answer.status().is_success() {
                return Ok(());
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        Err("the licence service takes no tokens".into())
    }

    async fn case(&self, setup: &Setup, issuer: &Arc<Issuer>, case: &'static Case) -> Outcome<Vec<Row>> {
        let (mut per_core, mut late, mut later) = (Rounds::default(), Rounds::default(), Rounds::default());
        let (mut idle, mut pace) = (Rounds::default(), Vec::new());
        for round in 1..=setup.rounds(5) {
            let tokens = self.tokens(setup, issuer, case, round).await?;
            let floor = issuer.floor(case, &tokens, Duration::from_secs(u64::from(setup.seconds())) / 2)?;
            let (now, then) = tokens.split_at(tokens.len() * 2 / 3);
            let load = self.asked(setup, now, LICENCE, CONNECTIONS, "").await?;
            let nothing = self.asked(setup, now, NOTHING, CONNECTIONS, "").await?;
            // Each connection rests for a millisecond after each answer: about half of what the processor can.
            let some = (load.requests_per_second() / 2000.0 * 1.2).round().max(2.0);
            let half = self.asked(setup, then, LICENCE, some as u32, REST).await?;
            per_core.push(load.requests_per_core(), floor);
            idle.push(load.requests_per_core(), nothing.requests_per_core());
            late.push_alone(half.p99);
            later.push_alone(load.p99);
            pace.push(half.requests_per_second() / load.requests_per_second());
            tell(format!(
                "licences {}, round {round}: {:.0}/s of a core, {:.0}/s in all with a p99 of {:.2} ms, {:.0}/s with one of \
                 {:.2} ms; bare verification {floor:.0}/s, nothing at all {:.0}/s",
                case.name,
                load.requests_per_core(),
                load.requests_per_second(),
                load.p99,
                half.requests_per_second(),
                half.p99,
                nothing.requests_per_core()
            ));
        }
        let per_core = per_core.row(
            format!("licences: {}, per core / bare verification", case.name),
            "1/CPU-s",
            "each with a token of its own and a read of its account; the baseline verifies the same tokens and does nothing else",
        );
        let late = late.row(
            format!("licences: {}, 99th percentile at half load", case.name),
            "ms",
            format!("at {:.2} of what it can", crate::figures::median(&pace)),
        );
        let (per_core, late) = match case.algorithm {
            Algorithm::HS256 => (per_core.goal(Goal::AtLeast(GOAL)), late.goal(Goal::AtMost(GOAL_LATE))),
            _ => (per_core, late),
        };
        Ok(vec![
            per_core,
            idle.row(
                format!("licences: {}, per core / the same requests answered at once", case.name),
                "1/CPU-s",
                "the baseline is /livez of the same server, asked with the same header and body",
            ),
            late,
            later.row(
                format!("licences: {}, 99th percentile at full load", case.name),
                "ms",
                format!("{CONNECTIONS} connections, as fast as they can: mostly the queue"),
            ),
        ])
    }

    async fn tokens(
        &self,
        setup: &Setup,
        issuer: &Arc<Issuer>,
        case: &'static Case,
        round: usize,
    ) -> Outcome<Vec<String>> {
        let (signer, count) = (Arc::clone(issuer), case.per_second * setup.seconds() as usize * 3 / 2);
        tokio::task::spawn_blocking(move || signer.tokens(case, round, count)).await?
    }

    /// The first licence of each account, which begins a stream and is on disk when it is answered. In a second of wall time.
    async fn first(&self, issuer: &Issuer) -> Outcome<Row> {
        let case = CASES.first().ok_or("there is no case")?;
        let tokens = issuer.tokens(case, 0, ACCOUNTS)?;
        let (http, url) = (Client::new(), format!("http://127.0.0.1:{}{LICENCE}", self.port));
        let body = self.body();
        let started = Instant::now();
        let asking = tokens.into_iter().map(|token| {
            let request = http.post(&url).bearer_auth(token).header("content-type", "application/json");
            let request = request.body(body.clone());
            async move { request.send().await?.error_for_status().map(|_| ()) }
        });
        let mut asking = futures::stream::iter(asking).buffer_unordered(CONNECTIONS as usize);
        while let Some(answer) = asking.next().await {
            answer?;
        }
        let mut rounds = Rounds::default();
        rounds.push_alone(ACCOUNTS as f64 / started.elapsed().as_secs_f64());
        let note = "each changes its account, durably, on SQLite; wall time";
        Ok(rounds.row("licences: the first of a stream", "1/s", note))
    }

    /// What a load of these tokens brings.
    async fn asked(
        &self,
        setup: &Setup,
        tokens: &[String],
        path: &str,
        connections: u32,
        lua: &str,
    ) -> Outcome<load::Load> {
        let seconds = setup.seconds();
        let folder = tempfile::tempdir()?;
        let list = folder.path().join("tokens");
        let mut text = String::new();
        for token in tokens {
            writeln!(text, "{token}")?;
        }
        std::fs::write(&list, text)?;
        let script = folder.path().join("licences.lua");
        std::fs::write(&script, format!("{}{lua}", self.lua(&list, path)))?;
        let mut command = children::pinned(setup.cores.load, "wrk");
        command
            .args(["--threads", "1", "--timeout", "20s", "--connections", &connections.to_string()])
            .args(["--duration", &format!("{seconds}s"), "--script"])
            .arg(script)
            .arg(format!("http://127.0.0.1:{}", self.port));
        let before = self.service.cpu_seconds();
        let said = children::run("wrk", &mut command, Duration::from_secs(u64::from(seconds) + 60)).await?;
        load::read(&said.stdout, self.service.cpu_seconds() - before)
    }

    fn body(&self) -> String {
        json!({ "kids": [URL_SAFE_NO_PAD.encode(self.kid.0)], "type": "temporary" }).to_string()
    }

    /// A token for each request; who runs out of them asks for a licence in vain, and the round fails.
    fn lua(&self, list: &Path, path: &str) -> String {
        let body = self.body();
        // What looks at no token takes one as well twice.
        let (method, run_out) = match path {
            LICENCE => ("POST", "token = \"none\""),
            _ => ("GET", "tokens:seek(\"set\") token = tokens:read(\"*l\")"),
        };
        format!(
            "local tokens = assert(io.open(\"{}\"))\nlocal body = '{body}'\n\
             function request()\n  local token = tokens:read(\"*l\")\n  \
             if not token then {run_out} end\n  \
             return wrk.format(\"{method}\", \"{path}\", {{ [\"Authorization\"] = \"Bearer \" .. token, \
             [\"Content-Type\"] = \"application/json\" }}, body)\nend\n{}",
            list.display(),
            load::RESULT
        )
    }
}

async fn granted(admin: u16) -> Outcome<()> {
    let http = Client::new();
    let grant = json!({ "kind": "subscription", "package": "basic" });
    for account in 0..ACCOUNTS {
        let url = format!("http://127.0.0.1:{admin}/admin/v1/accounts/a{account}/grants/g");
        http.put(url).bearer_auth(ADMIN).json(&grant).send().await?.error_for_status()?;
    }
    Ok(())
}
