//! The controller of this worker: it is told what happens here, and asked for orders. The worker calls, for a rented one
//! can rarely be called.

use std::time::Duration;

use streamverse_core::{Error, Result};
use streamverse_model::compute::{Identity, Order, Phase, Reason, Report};
use streamverse_model::platform::is_this_host;
use tokio::sync::{mpsc, watch};
use tracing::{debug, info, warn};
use url::Url;

use super::notices::Notice;

/// How long the controller may hold a request for orders.
const HELD: u64 = 25;
/// A report that did not change is sent again after this, as a sign of life.
const AGAIN: Duration = Duration::from_secs(30);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// A client of the controller.
#[derive(Clone)]
pub(super) struct Controller {
    http: reqwest::Client,
    base: Url,
}

impl Controller {
    /// # Errors
    /// An address that is none or not safe, an identity that cannot be read.
    pub(super) fn new(identity: &Identity, worker: &str) -> Result<Controller> {
        let refused = |text: String| Error::permanent("controller", text);
        let mut base: Url = identity.url.parse().map_err(|error| {
            refused(format!("the controller's url {:?} is none", identity.url)).because(error)
        })?;
        if base.scheme() != "https" && !(base.scheme() == "http" && is_this_host(&base)) {
            return Err(refused(format!("the controller's url {base} must begin with https://")));
        }
        let mut http = reqwest::Client::builder()
            .redirect(reqwest::redirect::Policy::none())
            .connect_timeout(Duration::from_secs(5));
        if let Some(path) = &identity.certificate_file {
            let pem = pem(path)?;
            let identity = reqwest::Identity::from_pem(&pem).map_err(|error| {
                refused(format!("{path} holds no certificate with its key")).because(error)
            })?;
            http = http.identity(identity);
        }
        if let Some(path) = &identity.authority_file {
            let roots = reqwest::Certificate::from_pem_bundle(&pem(path)?)
                .map_err(|error| refused(format!("{path} holds no certificate")).because(error))?;
            http = http.tls_certs_only(roots);
        }
        let http = http
            .build()
            .map_err(|error| refused("no client of the controller can be made".to_owned()).because(error))?;
        base.path_segments_mut()
            .map_err(|()| refused("the controller's url has no path".to_owned()))?
            .pop_if_empty()
            .extend(["v1", "workers", worker]);
        Ok(Controller { http, base })
    }

    fn at(&self, what: &str) -> Url {
        let mut url = self.base.clone();
        if let Ok(mut path) = url.path_segments_mut() {
            path.push(what);
        }
        url
    }

    /// Asks for orders until it is aborted.
    pub(super) async fn orders(self, tell: mpsc::Sender<Notice>) {
        let (mut pause, mut failing) = (Duration::from_secs(1), false);
        while !tell.is_closed() {
            let asked = tokio::time::Instant::now();
            match self.order().await {
                Ok(order) => {
                    if failing {
                        info!("The controller answers again.");
                    }
                    (pause, failing) = (Duration::from_secs(1), false);
                    if let Some(Order::Drain { seconds }) = order {
                        let notice = Notice {
                            reason: Reason::ScaleIn,
                            gone_ms: None,
                            seconds: Some(seconds),
                            release: None,
                        };
                        if tell.send(notice).await.is_err() {
                            return;
                        }
                        // The same order is answered until it is done.
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
                    tokio::time::sleep(pause.mul_f64(rand::random_range(0.5..1.0))).await;
                    pause = (pause * 2).min(LONGEST_PAUSE);
                }
            }
        }
    }

    async fn order(&self) -> Result<Option<Order>> {
        let request = self.http.get(self.at("orders")).query(&[("wait", HELD)]);
        let answer = request.timeout(Duration::from_secs(HELD + 10)).send().await.map_err(unreachable)?;
        match answer.status().as_u16() {
            204 => Ok(None),
            200 => answer.json().await.map(Some).map_err(unreachable),
            status => Err(refused("orders", status)),
        }
    }

    /// Sends the newest report whenever it changes, until nobody can change it any more and the last one arrived.
    pub(super) async fn reports(self, mut told: watch::Receiver<Report>) {
        let mut pause = Duration::from_millis(500);
        loop {
            let report = told.borrow_and_update().clone();
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
                () = tokio::time::sleep(wait) => {}
            }
        }
    }

    async fn report(&self, report: &Report) -> Result<()> {
        let request = self.http.post(self.at("report")).timeout(Duration::from_secs(5)).json(report);
        match request.send().await.map_err(unreachable)?.status().as_u16() {
            200..=299 => Ok(()),
            status => Err(refused("report", status)),
        }
    }
}

fn unreachable(error: reqwest::Error) -> Error {
    Error::passing("controller", "the controller does not answer").because(error.without_url())
}

fn refused(what: &str, status: u16) -> Error {
    let text = format!("the controller answers {what} with {status}");
    match status {
        429 | 500.. => Error::passing("controller", text),
        _ => Error::permanent("controller", text),
    }
}

fn pem(path: &str) -> Result<Vec<u8>> {
    std::fs::read(path)
        .map_err(|error| Error::permanent("controller", format!("{path} cannot be read")).because(error))
}
