//! A key-encryption key in the transit secrets engine of a Vault (HTTP API, "Transit secrets engine"): the data keys go
//! there to be sealed and opened, the key itself never leaves it.
//!
//! Never proved against a real Vault: in our tests a stand-in answers as the documentation says, and fails as one may.

use std::fmt;
use std::time::Duration;

use async_trait::async_trait;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use serde_json::{Value, json};
use streamverse_core::{Error, Result, ServiceContext};
use streamverse_model::drm::VaultTransitSpec;
use streamverse_model::platform::CredentialUse;
use tokio::time::Instant;
use tracing::debug;
use zeroize::{Zeroize as _, Zeroizing};

use super::{DataKey, KeyEncryptionKey};

/// One try, and all tries: a licence waits for it.
const TRY: Duration = Duration::from_secs(3);
const WITHIN: Duration = Duration::from_secs(8);
const FIRST_PAUSE: Duration = Duration::from_millis(100);
/// Items of one batch.
const BATCH: usize = 250;
/// Bytes of an answer.
const LARGEST: usize = 1 << 20;

pub(super) struct VaultKey {
    id: String,
    spec: VaultTransitSpec,
    http: reqwest::Client,
    token: CredentialUse,
    cx: ServiceContext,
}

impl fmt::Debug for VaultKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "VaultKey {{ id: {:?} }}", self.id)
    }
}

#[derive(Deserialize)]
struct Answer {
    data: Data,
}

#[derive(Deserialize)]
struct Data {
    #[serde(default)]
    batch_results: Vec<Item>,
}

/// One result: what it has besides is of no interest.
#[derive(Deserialize)]
struct Item {
    #[serde(default)]
    ciphertext: Option<String>,
    #[serde(default, deserialize_with = "wiped")]
    plaintext: Option<Zeroizing<String>>,
    #[serde(default)]
    error: Option<String>,
}

fn wiped<'de, D: serde::Deserializer<'de>>(
    from: D,
) -> std::result::Result<Option<Zeroizing<String>>, D::Error> {
    Ok(Option::<String>::deserialize(from)?.map(Zeroizing::new))
}

impl VaultKey {
    pub(super) fn open(
        spec: &VaultTransitSpec,
        token: CredentialUse,
        cx: &ServiceContext,
    ) -> Result<VaultKey> {
        let mut http = reqwest::Client::builder()
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none())
            .connect_timeout(TRY)
            .timeout(TRY);
        if let Some(pem) = &spec.ca_certificate {
            let refused = |error| {
                Error::permanent("spec-invalid", "the CA certificate of the Vault is no PEM").because(error)
            };
            http =
                http.tls_certs_only(reqwest::Certificate::from_pem_bundle(pem.as_bytes()).map_err(refused)?);
        }
        let http = http.build().map_err(|error| {
            Error::permanent("key-encryption-key", "no client of a Vault can be made").because(error)
        })?;
        let namespace = spec.namespace.as_deref().unwrap_or_default();
        // Without its address: a Vault may move.
        let id = format!("vault:{namespace}/{}/{}", spec.mount, spec.key);
        Ok(VaultKey { id, spec: spec.clone(), http, token, cx: cx.clone() })
    }

    fn title(&self) -> String {
        format!("the key {}/{} of the Vault at {}", self.spec.mount, self.spec.key, self.spec.address)
    }

    async fn batch(&self, verb: &str, items: Vec<Value>) -> Result<Vec<Item>> {
        let count = items.len();
        let mut body = json!({ "batch_input": items });
        let text = serde_json::to_vec(&body).map(Zeroizing::new);
        wipe(&mut body);
        let text = text.map_err(|error| {
            Error::permanent("key-encryption-key", "a request to a Vault cannot be written").because(error)
        })?;
        let until = Instant::now() + WITHIN;
        let mut pause = FIRST_PAUSE;
        loop {
            let error = match self.once(verb, &text).await {
                Ok(items) if items.len() == count => return Ok(items),
                Ok(_) => {
                    let text = format!("{} did not answer what it was asked", self.title());
                    return Err(Error::permanent("key-encryption-key", text));
                }
                Err(Failed { error, again: true }) => error,
                Err(Failed { error, again: false }) => return Err(error),
            };
            let rest = pause.mul_f64(rand::random_range(0.5..1.5));
            if Instant::now() + rest + FIRST_PAUSE >= until {
                return Err(error);
            }
            debug!(error = %error.chain(), "The Vault is asked again.");
            tokio::time::sleep(rest).await;
            pause *= 2;
        }
    }

    async fn once(&self, verb: &str, body: &[u8]) -> Result<Vec<Item>, Failed> {
        // Read each time: tokens are exchanged while we run.
        let token = self.cx.credential(&self.token, self.spec.token.as_str()).map(Zeroizing::new);
        let token = token.map_err(|error| Failed { error, again: false })?;
        let path = format!("{}/v1/{}/{verb}/{}", self.spec.address, self.spec.mount, self.spec.key);
        let mut request = self
            .http
            .post(path)
            .header("x-vault-token", token.trim())
            .header("x-vault-request", "true")
            .header("content-type", "application/json")
            .body(body.to_vec());
        if let Some(namespace) = &self.spec.namespace {
            request = request.header("x-vault-namespace", namespace);
        }
        let away = |error: reqwest::Error| Failed {
            error: Error::passing("key-encryption-key", format!("{} is not reached", self.title()))
                .because(error.without_url()),
            again: true,
        };
        let mut answer = request.send().await.map_err(away)?;
        let status = answer.status();
        let mut bytes = Zeroizing::new(Vec::with_capacity(64 << 10));
        while let Some(part) = answer.chunk().await.map_err(away)? {
            if bytes.len() + part.len() > LARGEST {
                let text = format!("{} answers too much", self.title());
                return Err(Failed { error: Error::permanent("key-encryption-key", text), again: false });
            }
            bytes.extend_from_slice(&part);
        }
        // A batch of which some failed has the status 400 and its results all the same.
        let read: Option<Answer> = serde_json::from_slice(&bytes).ok();
        match (status.as_u16(), read) {
            (200 | 400, Some(read)) if !read.data.batch_results.is_empty() => Ok(read.data.batch_results),
            (status, _) => Err(self.refused(status, &bytes)),
        }
    }

    fn refused(&self, status: u16, bytes: &[u8]) -> Failed {
        let told: Value = serde_json::from_slice(bytes).unwrap_or_default();
        let why = told["errors"][0].as_str().unwrap_or_default().trim().to_owned();
        let (again, next) = match status {
            403 => {
                (false, "its token may have ended, or must be allowed to update encrypt, decrypt and rewrap")
            }
            404 => (false, "is the engine mounted there, and does it have the key?"),
            429 | 472 | 473 | 500 | 502 | 503 | 504 => (true, "it may be sealed or on standby"),
            _ => (false, "look into its log"),
        };
        let text = format!("{} answers {status} {why}: {next}", self.title());
        // A person mends it while the service goes on asking.
        Failed { error: Error::passing("key-encryption-key", text), again }
    }

    fn damaged(&self, why: Option<&str>) -> Error {
        let why = why.unwrap_or_default().trim();
        let text = format!("a data key was not sealed under {}, or was changed since {why}", self.title());
        Error::permanent("key-damaged", text.trim_end().to_owned())
    }
}

/// A failure, and whether the same may succeed in a moment.
struct Failed {
    error: Error,
    again: bool,
}

#[async_trait]
impl KeyEncryptionKey for VaultKey {
    fn id(&self) -> &str {
        &self.id
    }

    async fn wrap(&self, data_key: &DataKey) -> Result<String> {
        let item = json!({ "plaintext": STANDARD.encode(**data_key) });
        let sealed = self.batch("encrypt", vec![item]).await?.pop().and_then(|it| it.ciphertext);
        sealed.filter(|it| it.starts_with("vault:")).ok_or_else(|| {
            Error::passing(
                "key-encryption-key",
                format!("{} did not encrypt: is it a key that can?", self.title()),
            )
        })
    }

    async fn unwrap(&self, wrapped: &[String]) -> Result<Vec<DataKey>> {
        let mut keys = Vec::with_capacity(wrapped.len());
        for part in wrapped.chunks(BATCH) {
            let items = part.iter().map(|one| json!({ "ciphertext": one })).collect();
            for item in self.batch("decrypt", items).await? {
                let damaged = || self.damaged(item.error.as_deref());
                let text = item.plaintext.as_ref().ok_or_else(damaged)?;
                let mut key = DataKey::default();
                match STANDARD.decode_slice(text.as_bytes(), &mut *key) {
                    Ok(32) => keys.push(key),
                    _ => return Err(damaged()),
                }
            }
        }
        Ok(keys)
    }

    async fn renew(&self, wrapped: &[String]) -> Result<Vec<Option<String>>> {
        let mut fresh = Vec::with_capacity(wrapped.len());
        for part in wrapped.chunks(BATCH) {
            let items = part.iter().map(|one| json!({ "ciphertext": one })).collect();
            for (item, before) in self.batch("rewrap", items).await?.into_iter().zip(part) {
                let sealed = item.ciphertext.ok_or_else(|| self.damaged(item.error.as_deref()))?;
                // `vault:v2:…`: where the version is the same there is nothing to replace.
                fresh.push((version(&sealed) != version(before)).then_some(sealed));
            }
        }
        Ok(fresh)
    }

    async fn probe(&self) -> Result<()> {
        let key = streamverse_core::stores::key_wire::fresh::<32>()?;
        let wrapped = self.wrap(&key).await?;
        match self.unwrap(&[wrapped]).await?.pop() == Some(key) {
            true => Ok(()),
            false => Err(self.damaged(Some("a moment ago"))),
        }
    }
}

fn version(sealed: &str) -> Option<&str> {
    sealed.split(':').nth(1)
}

/// Wipes the texts of a request.
fn wipe(value: &mut Value) {
    match value {
        Value::String(text) => text.zeroize(),
        Value::Array(all) => all.iter_mut().for_each(wipe),
        Value::Object(all) => all.values_mut().for_each(wipe),
        _ => {}
    }
}
