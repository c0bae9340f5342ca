//! The client of a key service.

use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use async_trait::async_trait;
use serde::Serialize;
use streamverse_model::drm::KeyId;
use streamverse_model::platform::{CredentialUse, StoreUrl};
use tokio::time::Instant;
use tracing::debug;
use zeroize::Zeroizing;

use super::wire::{self, AccessKey, Way};
use super::{ContentKey, ContentKeys, KeyWanted};
use crate::context::ServiceContext;
use crate::error::{Error, Result};

/// One try.
const TRY: Duration = Duration::from_secs(10);
/// A packager can wait while a key service is started anew.
const OBTAIN_WITHIN: Duration = Duration::from_secs(60);
/// A viewer cannot.
const FIND_WITHIN: Duration = Duration::from_secs(8);
const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(3);
/// Keys in one request: an answer of them is far below what may be answered.
const BATCH: usize = 250;

/// The codes that a key service answers with, and whether the same request may succeed later.
const CODES: &[(&str, bool)] = &[
    ("access-denied", true), // while an access key is exchanged, one side has it first
    ("backup-key", false),
    ("clock", true),
    ("key-conflict", false),
    ("key-damaged", false),
    ("key-encryption-key", true),
    ("key-of-another-asset", false),
    ("replayed", true),
    ("request-invalid", false),
    ("too-large", false),
];

/// Where the access key comes from.
enum Source {
    Fixed,
    Credential(CredentialUse, Box<ServiceContext>),
}

/// A key service, as those reach it who know its access key.
pub struct KeyServiceClient {
    http: reqwest::Client,
    /// `HOST:PORT`, for messages too.
    place: String,
    client: String,
    access: RwLock<Arc<AccessKey>>,
    source: Source,
}

impl std::fmt::Debug for KeyServiceClient {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "KeyServiceClient {{ place: {:?}, client: {:?} }}", self.place, self.client)
    }
}

#[derive(Serialize)]
struct Wanted<'a> {
    keys: &'a [KeyWanted],
}

#[derive(Serialize)]
struct Sought<'a> {
    kids: &'a [KeyId],
}

impl KeyServiceClient {
    /// A client for this `HOST:PORT`. `client` is who asks, as the audit log has it.
    ///
    /// # Errors
    /// A name that is none.
    pub fn new(place: &str, client: &str, access: AccessKey) -> Result<KeyServiceClient> {
        KeyServiceClient::with(place, client, access, Source::Fixed)
    }

    pub(super) fn open(url: &str, cx: &ServiceContext) -> Result<KeyServiceClient> {
        let StoreUrl::Remote { url: read, secret, .. } = crate::stores::read_url(url, cx)? else {
            return Err(crate::stores::wrong_scheme(url, "keys://"));
        };
        if read.scheme() != "keys" {
            return Err(crate::stores::wrong_scheme(url, "keys://"));
        }
        let refused = |text: &str| Error::permanent("store-url", text);
        let secret = secret.ok_or_else(|| refused("a keys:// address has `?secret=key-service.NAME`"))?;
        if read.query().is_some() || !read.path().trim_matches('/').is_empty() || !read.username().is_empty()
        {
            return Err(refused("a keys:// address is keys://HOST:PORT?secret=key-service.NAME"));
        }
        let host = read.host_str().filter(|host| !host.is_empty());
        let host = host.ok_or_else(|| refused("a keys:// address has a host"))?;
        let port = read.port().unwrap_or(streamverse_model::platform::KEYS_PORT);
        let access = access_key(&secret, cx)?;
        let client = format!("{}/{}", cx.owner.key().replace('.', "/"), cx.object.replace(' ', "-"));
        let source = Source::Credential(secret, Box::new(cx.clone()));
        KeyServiceClient::with(&format!("{host}:{port}"), &client, access, source)
    }

    fn with(place: &str, client: &str, access: AccessKey, source: Source) -> Result<KeyServiceClient> {
        if !wire::is_client(client) {
            let text = format!("{client:?} is no name of a client: letters, digits and - _ . / : @");
            return Err(Error::permanent("client-name", text));
        }
        // Keys are not asked for through somebody else.
        let http = reqwest::Client::builder()
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none())
            .connect_timeout(Duration::from_secs(3))
            .pool_idle_timeout(Duration::from_secs(20));
        let http = http.build().map_err(|error| {
            Error::permanent("key-service", "no client of a key service can be made").because(error)
        })?;
        let access = RwLock::new(Arc::new(access));
        Ok(KeyServiceClient { http, place: place.to_owned(), client: client.to_owned(), access, source })
    }

    /// Asks until it is answered, refused for good, or the time is over. The request is repeated as it is: each must be one
    /// that may be.
    ///
    /// # Errors
    /// The service's own refusal, or that it did not answer.
    pub async fn ask(
        &self,
        path: &str,
        body: &Zeroizing<Vec<u8>>,
        sealed: bool,
        within: Duration,
    ) -> Result<Zeroizing<Vec<u8>>> {
        let until = Instant::now() + within;
        let mut pause = FIRST_PAUSE;
        loop {
            let left = until.saturating_duration_since(Instant::now());
            let tried = tokio::time::timeout(TRY.min(left), self.once(path, body, sealed)).await;
            let error = match tried {
                Ok(Ok(answer)) => return Ok(answer),
                Ok(Err(error)) if !error.retry => return Err(error),
                Ok(Err(error)) => error,
                Err(_) => self.away("it did not answer in time"),
            };
            if error.code == "access-denied" {
                self.read_again();
            }
            // Jitter: many packagers wait for one key service that comes back.
            let rest = pause.mul_f64(rand::random_range(0.5..1.5));
            if Instant::now() + rest >= until {
                return Err(error);
            }
            debug!(error = %error.chain(), "The key service is asked again.");
            tokio::time::sleep(rest).await;
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }

    async fn once(&self, path: &str, body: &[u8], sealed: bool) -> Result<Zeroizing<Vec<u8>>> {
        let access = Arc::clone(&self.access.read().unwrap_or_else(PoisonError::into_inner));
        let nonce = wire::fresh::<16>()?;
        let body = match sealed {
            true => access.seal(Way::Request, &nonce, path, Zeroizing::new(body.to_vec()))?,
            false => body.to_vec(),
        };
        let header = access.sign(&self.client, now_ms(), &nonce, path, &body);
        let request = self.http.post(format!("http://{}{path}", self.place));
        let answer = request.header("authorization", header).body(body).send().await;
        let mut answer = answer.map_err(|error| self.away("it is not reached").because(error))?;
        let status = answer.status();
        let mut bytes = Vec::new();
        loop {
            let part = answer.chunk().await;
            let Some(part) = part.map_err(|error| self.away("its answer broke off").because(error))? else {
                break;
            };
            if bytes.len() + part.len() > wire::LARGEST_ANSWER {
                return Err(Error::permanent("key-answer", format!("{} answers too much", self.title())));
            }
            bytes.extend_from_slice(&part);
        }
        if status.is_success() {
            return access.open(Way::Answer, &nonce, path, bytes);
        }
        Err(self.refused(status, &bytes))
    }

    fn refused(&self, status: reqwest::StatusCode, bytes: &[u8]) -> Error {
        let told: serde_json::Value = serde_json::from_slice(bytes).unwrap_or_default();
        let message = told["message"].as_str().unwrap_or_default();
        let known = CODES.iter().find(|(code, _)| told["code"] == *code);
        let text = format!("{} answers {}: {message}", self.title(), status.as_u16());
        match known {
            Some((code, true)) => Error::passing(code, text),
            Some((code, false)) => Error::permanent(code, text),
            None if status.is_server_error() || status == reqwest::StatusCode::TOO_MANY_REQUESTS => {
                Error::passing("key-service", text)
            }
            None => Error::permanent("key-service", text),
        }
    }

    /// The access key may have been exchanged since it was read.
    fn read_again(&self) {
        let Source::Credential(secret, cx) = &self.source else { return };
        if let Ok(access) = access_key(secret, cx) {
            *self.access.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(access);
        }
    }

    fn title(&self) -> String {
        format!("the key service at {}", self.place)
    }

    fn away(&self, why: &str) -> Error {
        Error::passing("key-service-away", format!("{} cannot be asked: {why}", self.title()))
    }

    async fn keys(
        &self,
        path: &str,
        body: &impl Serialize,
        within: Duration,
    ) -> Result<Vec<Option<ContentKey>>> {
        let body = serde_json::to_vec(body)
            .map_err(|error| Error::permanent("key-service", "a request cannot be written").because(error))?;
        let answer = self.ask(path, &Zeroizing::new(body), false, within).await?;
        wire::decode(&answer)
            .ok_or_else(|| Error::permanent("key-answer", format!("{} is of another version", self.title())))
    }

    fn incomplete(&self) -> Error {
        Error::permanent("key-answer", format!("{} did not answer what it was asked", self.title()))
    }
}

#[async_trait]
impl ContentKeys for KeyServiceClient {
    async fn obtain(&self, wanted: &[KeyWanted]) -> Result<Vec<ContentKey>> {
        let mut all = Vec::with_capacity(wanted.len());
        for part in wanted.chunks(BATCH) {
            let keys = self.keys(wire::OBTAIN, &Wanted { keys: part }, OBTAIN_WITHIN).await?;
            let fits = |(key, wanted): (&Option<ContentKey>, &KeyWanted)| {
                key.as_ref().is_some_and(|key| key.kid == wanted.kid && key.asset == wanted.asset)
            };
            if keys.len() != part.len() || !keys.iter().zip(part).all(fits) {
                return Err(self.incomplete());
            }
            all.extend(keys.into_iter().flatten());
        }
        Ok(all)
    }

    async fn find(&self, kids: &[KeyId]) -> Result<Vec<Option<ContentKey>>> {
        let mut all = Vec::with_capacity(kids.len());
        for part in kids.chunks(BATCH) {
            let keys = self.keys(wire::FIND, &Sought { kids: part }, FIND_WITHIN).await?;
            let fits =
                |(key, kid): (&Option<ContentKey>, &KeyId)| key.as_ref().is_none_or(|key| key.kid == *kid);
            if keys.len() != part.len() || !keys.iter().zip(part).all(fits) {
                return Err(self.incomplete());
            }
            all.extend(keys);
        }
        Ok(all)
    }

    async fn probe(&self) -> Result<()> {
        self.keys(wire::FIND, &Sought { kids: &[] }, FIND_WITHIN).await.map(|_| ())
    }
}

fn access_key(secret: &CredentialUse, cx: &ServiceContext) -> Result<AccessKey> {
    AccessKey::parse(&Zeroizing::new(cx.credential(secret, "access-key")?))
}

pub(super) fn now_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}
