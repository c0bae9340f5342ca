//! Who a rented worker is: a key that never leaves it, and a certificate that its controller gives for a token, once.

use std::future::Future;
use std::time::Duration;

use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair as _};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};
use streamverse_core::{Error, Result};
use streamverse_model::compute::{EnrolRequest, Enrolled, WorkOrder};
use tokio::time::Instant;
use tracing::{info, warn};
use zeroize::Zeroizing;

use super::place::Place;
use super::settings::{Settings, pem};
use crate::drain::controller::{Controller, Proof};
use crate::drain::now_ms;

const WITHIN: Duration = Duration::from_secs(20);
/// The largest answer that is read.
const LARGEST: usize = 1 << 20;
const LONGEST_PAUSE: Duration = Duration::from_secs(15);
/// Who is told that it is not wanted asks for this long: the controller may have begun to lead a moment ago.
const UNWANTED: Duration = Duration::from_secs(60);
/// A certificate is good for this many times what the controller says of its renewal.
const LIVES: u64 = 3;

/// The code of an error after which the instance is of no use any more.
pub(super) const REFUSED: &str = "enrolment-refused";

/// What is kept beside the key.
#[derive(Serialize, Deserialize)]
struct Kept {
    at_ms: u64,
    renew_seconds: u64,
}

/// A worker that has enrolled: its certificate and key as one file of PEM, and what it must know to keep them.
pub(super) struct Identity {
    key: Zeroizing<String>,
    kept: Kept,
    pem: Zeroizing<Vec<u8>>,
}

impl Identity {
    /// The one that is kept, if it is still good; else the controller is asked for one.
    ///
    /// # Errors
    /// `enrolment-refused`, with what that means; a controller that does not answer for as long as `patience`.
    pub(super) async fn obtain(settings: &Settings, place: &Place, patience: Duration) -> Result<Identity> {
        let kept = place.read("enrolled.json")?.and_then(|it| serde_json::from_slice::<Kept>(&it).ok());
        let known = place.read("identity.pem")?.map(Zeroizing::new);
        if let (Some(kept), Some(pem)) = (kept, &known) {
            if now_ms().saturating_sub(kept.at_ms) / 1000 < kept.renew_seconds.saturating_mul(LIVES) {
                info!(worker = settings.worker, "This worker enrolled before and goes on.");
                return Ok(Identity { key: Zeroizing::new(key_of(pem)?), kept, pem: pem.clone() });
            }
            let text = "the certificate of this worker ran out while it did not run, and its token was used: the controller has to replace the instance";
            return Err(Error::permanent(REFUSED, text));
        }
        let failed = || Error::permanent("key", "no key can be made");
        // The key of an attempt whose answer was lost is used again: the token was used for it.
        let key = match &known {
            Some(pem) => Zeroizing::new(key_of(pem)?),
            None => {
                let pair = Ed25519KeyPair::generate().map_err(|error| failed().because(error))?;
                let der = pair.to_pkcs8v1().map_err(|error| failed().because(error))?;
                let base64 = Zeroizing::new(STANDARD.encode(der.as_ref()));
                let key = Zeroizing::new(pem(KEY, &base64));
                place.write("identity.pem", key.as_bytes())?;
                key
            }
        };
        let public_key = public_key(&key).ok_or_else(failed)?;
        let Some(token) = &settings.token else {
            let text = "there is no token in the environment (STREAMVERSE_TOKEN), and no certificate in the worker's folder";
            return Err(Error::permanent(REFUSED, text));
        };
        let proof = Proof { own: None, authority: Some(settings.authority.as_bytes()) };
        let controller = Controller::of(&settings.controller, proof, &settings.worker)?;
        let mut url = controller.at("");
        if let Ok(mut path) = url.path_segments_mut() {
            path.pop_if_empty().pop().pop().push("enrol");
        }
        let request = EnrolRequest { worker: settings.worker.clone(), token: token.to_string(), public_key };
        let body = Zeroizing::new(serde_json::to_vec(&request).unwrap_or_default());
        drop(Zeroizing::new(request.token));
        let answer = patiently("enrols", patience, || {
            let post = controller.http().post(url.clone()).header("content-type", "application/json");
            ask(post.body(body.to_vec()))
        })
        .await?;
        let identity = Identity::of(key, &answer)?;
        identity.keep(place)?;
        info!(worker = settings.worker, "This worker has enrolled.");
        Ok(identity)
    }

    fn of(key: Zeroizing<String>, answer: &[u8]) -> Result<Identity> {
        let enrolled: Enrolled = serde_json::from_slice(answer).map_err(|error| {
            Error::permanent("controller", "the controller's answer is no certificate").because(error)
        })?;
        let pem = Zeroizing::new([enrolled.certificate.as_bytes(), b"\n", key.as_bytes()].concat());
        let kept = Kept { at_ms: now_ms(), renew_seconds: enrolled.renew_seconds.max(1) };
        Ok(Identity { key, kept, pem })
    }

    fn keep(&self, place: &Place) -> Result<()> {
        place.write("identity.pem", &self.pem)?;
        place.write("enrolled.json", &serde_json::to_vec(&self.kept).unwrap_or_default())
    }

    /// What it shows.
    pub(super) fn proof<'a>(&'a self, settings: &'a Settings) -> Proof<'a> {
        Proof { own: Some(&self.pem), authority: Some(settings.authority.as_bytes()) }
    }

    /// Asks for the next certificate in time, and shows it from then on, until it is aborted.
    pub(super) async fn renew(mut self, settings: &Settings, place: &Place, controller: &Controller) {
        let mut wait = self.due();
        loop {
            tokio::time::sleep(wait.mul_f64(rand::random_range(0.9..1.0))).await;
            let renewed = async {
                let answer = ask(controller.http().post(controller.at("renew"))).await?;
                let next = Identity::of(self.key.clone(), &answer)?;
                controller.show(next.proof(settings))?;
                next.keep(place)?;
                Ok::<_, Error>(next)
            };
            match renewed.await {
                Ok(next) => {
                    self = next;
                    wait = self.due();
                }
                Err(error) => {
                    warn!(error = %error.chain(), "The certificate was not renewed; it is tried again.");
                    wait = (Duration::from_secs(self.kept.renew_seconds) / 10).max(Duration::from_secs(1));
                }
            }
        }
    }

    fn due(&self) -> Duration {
        let age = Duration::from_millis(now_ms().saturating_sub(self.kept.at_ms));
        Duration::from_secs(self.kept.renew_seconds).saturating_sub(age)
    }
}

/// What this worker is to run, from its controller.
///
/// # Errors
/// As for [`Identity::obtain`].
pub(super) async fn work(controller: &Controller, patience: Duration) -> Result<WorkOrder> {
    let answer =
        patiently("asks for its work", patience, || ask(controller.http().get(controller.at("work"))))
            .await?;
    serde_json::from_slice(&answer).map_err(|_| {
        // Its words may be secret.
        Error::permanent("controller", "the controller's answer is no work of this version of the worker")
    })
}

const KEY: &str = "PRIVATE KEY";

fn key_of(pem: &[u8]) -> Result<String> {
    let unusable = || Error::permanent("key", "identity.pem in the worker's folder holds no key: remove it");
    let text = std::str::from_utf8(pem).map_err(|_| unusable())?;
    let at = text.find("-----BEGIN PRIVATE KEY-----").ok_or_else(unusable)?;
    Ok(text.get(at..).unwrap_or_default().to_owned())
}

fn public_key(key: &str) -> Option<String> {
    let lines: Zeroizing<String> = Zeroizing::new(key.lines().filter(|it| !it.starts_with('-')).collect());
    let der = Zeroizing::new(STANDARD.decode(lines.as_bytes()).ok()?);
    let pair = Ed25519KeyPair::from_pkcs8_maybe_unchecked(&der).ok()?;
    Some(STANDARD.encode(pair.public_key().as_ref()))
}

/// An answer of the controller.
async fn ask(request: reqwest::RequestBuilder) -> Result<Zeroizing<Vec<u8>>> {
    let away = |error: reqwest::Error| {
        Error::passing("controller", "the controller does not answer").because(error.without_url())
    };
    let mut answer = request.timeout(WITHIN).send().await.map_err(away)?;
    let status = answer.status().as_u16();
    let mut body = Zeroizing::new(Vec::with_capacity(16 << 10));
    while let Some(part) = answer.chunk().await.map_err(away)? {
        if body.len() + part.len() > LARGEST {
            return Err(Error::passing("controller", "the controller answers more than 1 MiB"));
        }
        body.extend_from_slice(&part);
    }
    if status == 200 {
        return Ok(body);
    }
    #[derive(Deserialize)]
    struct Said {
        #[serde(default)]
        message: String,
    }
    let said = serde_json::from_slice::<Said>(&body).map(|it| it.message).unwrap_or_default();
    let text = format!("the controller answers {status}: {said}");
    Err(match status {
        409 => Error::permanent(
            REFUSED,
            format!(
                "{text}. This container was started again without its folder, or somebody else used its environment: the controller has to replace the instance"
            ),
        ),
        410 => Error::passing("gone", text),
        429 | 500.. => Error::passing("controller", text),
        _ => Error::permanent(REFUSED, text),
    })
}

/// Tries until it goes well, or would not by trying again, or all of the patience is used up.
async fn patiently<T, F>(what: &str, patience: Duration, mut action: impl FnMut() -> F) -> Result<T>
where
    F: Future<Output = Result<T>>,
{
    let until = Instant::now() + patience;
    let mut unwanted: Option<Instant> = None;
    let mut pause = Duration::from_millis(500);
    loop {
        let error = match action().await {
            Ok(done) => return Ok(done),
            Err(error) => error,
        };
        let gone = error.code == "gone";
        if gone && unwanted.get_or_insert_with(Instant::now).elapsed() >= UNWANTED.min(patience) {
            return Err(Error::permanent(REFUSED, error.message));
        }
        if !gone {
            unwanted = None;
        }
        if !error.retry || Instant::now() >= until {
            return Err(error);
        }
        warn!(error = %error.chain(), "This worker {what}: it is tried again.");
        pause = (pause * 2).min(LONGEST_PAUSE);
        tokio::time::sleep(pause.mul_f64(rand::random_range(0.5..1.0))).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_that_was_kept_is_the_same_key() {
        let pair = Ed25519KeyPair::generate().unwrap();
        let key = pem(KEY, &STANDARD.encode(pair.to_pkcs8v1().unwrap().as_ref()));
        let whole = format!("-----BEGIN CERTIFICATE-----\nAAEC\n-----END CERTIFICATE-----\n\n{key}");
        let again = key_of(whole.as_bytes()).unwrap();
        assert_eq!(public_key(&again), Some(STANDARD.encode(pair.public_key().as_ref())));
        assert_eq!(public_key("nonsense"), None);
        assert!(key_of(b"nonsense").is_err());
    }
}
