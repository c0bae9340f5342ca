//! The controller of this worker: it is told what happens here, and asked for orders. The worker calls, for a rented one
//! can rarely be called.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use streamverse_core::{Error, Result};
use streamverse_model::compute::{Identity, Order, Phase, Reason, Report, WorkReport};
use streamverse_model::platform::is_this_host;
use tokio::sync::{mpsc, watch};
use tracing::{debug, info, warn};
use url::Url;

use super::notices::Notice;

/// How long the controller may hold a request for orders.
const HELD: u64 = 25;
/// A report that did not change is sent again after this, as a sign of life.
const AGAIN: Duration = Duration::from_secs(20);
/// Who is told for so long that it is not wanted leaves. Not at once: a controller that began to lead while a cloud did not
/// answer may not know its workers yet.
const UNWANTED: Duration = Duration::from_secs(600);
/// The code of what a controller does not want any more.
const GONE: &str = "gone";
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// A client of the controller. Clones share what it shows.
#[derive(Clone)]
pub(crate) struct Controller {
    http: Arc<Mutex<reqwest::Client>>,
    base: Url,
    /// The cloud's id of the instance that we run on, where it is known.
    instance: Option<String>,
}

/// What proves who is who: PEM.
#[derive(Clone, Copy, Default)]
pub(crate) struct Proof<'a> {
    /// The worker's certificate and key.
    pub(crate) own: Option<&'a [u8]>,
    /// The authority of the controller.
    pub(crate) authority: Option<&'a [u8]>,
}

fn refused_here(text: String) -> Error {
    Error::permanent("controller", text)
}

/// A client that shows what is given and trusts who is named.
///
/// # Errors
/// What is no PEM.
fn client(proof: Proof<'_>) -> Result<reqwest::Client> {
    let mut http = reqwest::Client::builder()
        .redirect(reqwest::redirect::Policy::none())
        .connect_timeout(Duration::from_secs(5));
    if let Some(pem) = proof.own {
        let identity = reqwest::Identity::from_pem(pem).map_err(|error| {
            refused_here("the worker's certificate cannot be used with its key".to_owned()).because(error)
        })?;
        http = http.identity(identity);
    }
    if let Some(pem) = proof.authority {
        let roots = reqwest::Certificate::from_pem_bundle(pem).map_err(|error| {
            refused_here("the controller's authority is no certificate".to_owned()).because(error)
        })?;
        http = http.tls_certs_only(roots);
    }
    http.build()
        .map_err(|error| refused_here("no client of the controller can be made".to_owned()).because(error))
}

impl Controller {
    /// # Errors
    /// An address that is none or not safe, an identity that cannot be read.
    pub(crate) fn new(identity: &Identity, worker: &str) -> Result<Controller> {
        let own = identity.certificate_file.as_deref().map(pem).transpose()?;
        let authority = identity.authority_file.as_deref().map(pem).transpose()?;
        let proof = Proof { own: own.as_deref(), authority: authority.as_deref() };
        Controller::of(&identity.url, proof, worker)
    }

    /// # Errors
    /// An address that is none or not safe, what is no PEM.
    pub(crate) fn of(url: &str, proof: Proof<'_>, worker: &str) -> Result<Controller> {
        let mut base: Url = url
            .parse()
            .map_err(|error| refused_here(format!("the controller's url {url:?} is none")).because(error))?;
        if base.scheme() != "https" && !(base.scheme() == "http" && is_this_host(&base)) {
            return Err(refused_here(format!("the controller's url {base} must begin with https://")));
        }
        base.path_segments_mut()
            .map_err(|()| refused_here("the controller's url has no path".to_owned()))?
            .pop_if_empty()
            .extend(["v1", "workers", worker]);
        Ok(Controller { http: Arc::new(Mutex::new(client(proof)?)), base, instance: None })
    }

    /// Reports say on which instance we run: a cloud may have two of one name, of which one enrolled.
    pub(crate) fn on(self, instance: Option<String>) -> Controller {
        Controller { instance, ..self }
    }

    /// From now on something else is shown: a certificate that was renewed.
    ///
    /// # Errors
    /// What is no PEM; then nothing changes.
    pub(crate) fn show(&self, proof: Proof<'_>) -> Result<()> {
        let fresh = client(proof)?;
        *self.http.lock().unwrap_or_else(PoisonError::into_inner) = fresh;
        Ok(())
    }

    pub(crate) fn http(&self) -> reqwest::Client {
        self.http.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(crate) fn at(&self, what: &str) -> Url {
        let mut url = self.base.clone();
        if let Ok(mut path) = url.path_segments_mut() {
            path.push(what);
        }
        url
    }

    /// Asks for orders until it is aborted.
    pub(super) async fn orders(self, tell: mpsc::Sender<Notice>) {
        let (mut pause, mut failing) = (Duration::from_secs(1), false);
        let (mut unwanted, mut ordered): (Option<tokio::time::Instant>, Option<tokio::time::Instant>) =
            (None, None);
        while !tell.is_closed() {
            let asked = tokio::time::Instant::now();
            match self.order().await {
                Ok(order) => {
                    if failing {
                        info!("The controller answers again.");
                    }
                    (pause, failing, unwanted) = (Duration::from_secs(1), false, None);
                    if let Some(Order::Drain { seconds }) = order {
                        // The same order is answered until it is done, with what is left of its time.
                        let until = tokio::time::Instant::now() + Duration::from_secs(seconds);
                        if ordered.is_some_and(|it| until + Duration::from_secs(2) >= it) {
                            tokio::time::sleep(Duration::from_secs(5)).await;
                            continue;
                        }
                        ordered = Some(until);
                        let notice = Notice {
                            reason: Reason::ScaleIn,
                            gone_ms: None,
                            seconds: Some(seconds),
                            release: None,
                        };
                        if tell.send(notice).await.is_err() {
                            return;
                        }
                        tokio::time::sleep(Duration::from_secs(5)).await;
                    } else {
                        // Whoever does not hold the request is not asked without a pause.
                        tokio::time::sleep_until(asked + Duration::from_secs(1)).await;
                    }
                }
                Err(error) => {
                    if !failing {
                        warn!(error = %error.chain(), "The controller cannot be asked for orders; it is tried again.");
                    }
                    failing = true;
                    if error.code == GONE {
                        if unwanted.get_or_insert(asked).elapsed() >= UNWANTED {
                            warn!("The controller has not wanted this worker for ten minutes.");
                            let notice = Notice {
                                reason: Reason::ScaleIn,
                                gone_ms: None,
                                seconds: None,
                                release: None,
                            };
                            let _ = tell.send(notice).await;
                            return;
                        }
                    } else {
                        unwanted = None;
                    }
                    tokio::time::sleep(pause.mul_f64(rand::random_range(0.5..1.0))).await;
                    pause = (pause * 2).min(LONGEST_PAUSE);
                }
            }
        }
    }

    async fn order(&self) -> Result<Option<Order>> {
        let request = self.http().get(self.at("orders")).query(&[("wait", HELD)]);
        let answer = request.timeout(Duration::from_secs(HELD + 10)).send().await.map_err(unreachable)?;
        match answer.status().as_u16() {
            204 => Ok(None),
            200 => answer.json().await.map(Some).map_err(unreachable),
            status => Err(refused("orders", status)),
        }
    }

    /// Sends the newest report whenever it changes, until nobody can change it any more and the last one arrived.
    pub(super) async fn reports(
        self,
        mut told: watch::Receiver<Report>,
        mut works: Option<watch::Receiver<Option<WorkReport>>>,
    ) {
        let mut pause = Duration::from_millis(500);
        loop {
            let mut report = told.borrow_and_update().clone();
            report.work = works.as_mut().and_then(|it| *it.borrow_and_update());
            let sent = self.report(&report).await;
            let last = matches!(report.phase, Phase::Drained | Phase::Overrun);
            let wait = match sent {
                Ok(()) if last => return,
                Ok(()) => {
                    pause = Duration::from_millis(500);
                    AGAIN
                }
                Err(error) => {
                    debug!(error = %error.chain(), "The controller was not told.");
                    if !error.retry && last {
                        return;
                    }
                    pause = (pause * 2).min(LONGEST_PAUSE);
                    pause.mul_f64(rand::random_range(0.5..1.0))
                }
            };
            tokio::select! {
                changed = told.changed() => if changed.is_err() {
                    // The agent is done; what it said last is sent as often as its patience allows.
                    tokio::time::sleep(pause.min(Duration::from_secs(1))).await;
                },
                () = turned(works.as_mut()) => {}
                () = tokio::time::sleep(wait) => {}
            }
        }
    }

    async fn report(&self, report: &Report) -> Result<()> {
        // Not in the report: a controller of before knows no such member, and ignores what a query has more than it asks for.
        let on: Vec<(&str, &String)> = self.instance.iter().map(|it| ("instance", it)).collect();
        let request = self.http().post(self.at("report")).query(&on).json(report);
        let request = request.timeout(Duration::from_secs(5));
        match request.send().await.map_err(unreachable)?.status().as_u16() {
            200..=299 => Ok(()),
            status => Err(refused("report", status)),
        }
    }
}

/// Resolves when the worker begins to work, or has nothing to do any more.
async fn turned(works: Option<&mut watch::Receiver<Option<WorkReport>>>) {
    if let Some(works) = works
        && works.changed().await.is_ok()
    {
        return;
    }
    std::future::pending::<()>().await;
}

fn unreachable(error: reqwest::Error) -> Error {
    Error::passing("controller", "the controller does not answer").because(error.without_url())
}

fn refused(what: &str, status: u16) -> Error {
    let text = format!("the controller answers {what} with {status}");
    match status {
        410 => Error::permanent(GONE, text),
        429 | 500.. => Error::passing("controller", text),
        _ => Error::permanent("controller", text),
    }
}

fn pem(path: &str) -> Result<Vec<u8>> {
    std::fs::read(path)
        .map_err(|error| Error::permanent("controller", format!("{path} cannot be read")).because(error))
}
