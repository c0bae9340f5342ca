//! A Lease of `coordination.k8s.io/v1`, for the pods of one cluster.
//!
//! As Kubernetes' own components do it: a holder that has not renewed for the lease's time, by the clock of who looks, has lost it. The
//! holder counts from before it asked, and less: it stops a quarter of the time before anybody takes over.

use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use async_trait::async_trait;
use http::{Method, Request};
use http_body_util::BodyExt as _;
use kube::client::Body;
use kube::config::{KubeConfigOptions, Kubeconfig};
use serde_json::{Value, json};
use streamverse_core::{Error, Result};
use streamverse_model::compute::{FLEETS_ANNOTATION, FleetReport};
use tokio::time::Instant;

use super::Lease;

/// How long a lease lasts that nobody renews.
const LASTS: Duration = Duration::from_secs(20);
/// The fields of the API's times.
const MICROS: &str = "%Y-%m-%dT%H:%M:%S%.6fZ";

/// A Lease of a cluster.
pub struct KubernetesLease {
    client: kube::Client,
    namespace: String,
    name: String,
    identity: String,
    lasts: Duration,
    seen: Mutex<Seen>,
    /// What is said of fleets with the next renewal.
    report: Mutex<FleetReport>,
    /// One writes at a time: of two that read the same version one would be refused.
    turn: tokio::sync::Mutex<()>,
}

/// What is known of it.
#[derive(Default)]
struct Seen {
    held_until: Option<Instant>,
    /// The version that somebody else wrote last, and since when it is known.
    other: Option<(String, Instant)>,
}

impl std::fmt::Debug for KubernetesLease {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut it = f.debug_struct("KubernetesLease");
        it.field("namespace", &self.namespace).field("name", &self.name).finish_non_exhaustive()
    }
}

impl KubernetesLease {
    /// The Lease of this name, through the service account of the pod that this is, for a holder of this name.
    ///
    /// # Errors
    /// Where there is no service account.
    pub fn in_cluster(name: &str, holder: &str) -> Result<KubernetesLease> {
        let config = kube::Config::incluster().map_err(|error| {
            let text = "there is no service account of a pod here, which the lease needs";
            Error::permanent("lease", text).because(error)
        })?;
        KubernetesLease::new(config, name, holder, LASTS)
    }

    /// The Lease of this name, through a kubeconfig: for who is no pod.
    ///
    /// # Errors
    /// A kubeconfig that cannot be read or used.
    pub async fn by_kubeconfig(
        path: &Path,
        namespace: &str,
        name: &str,
        holder: &str,
        lasts: Duration,
    ) -> Result<KubernetesLease> {
        let unusable = || Error::permanent("lease", format!("{} cannot be used", path.display()));
        let file = Kubeconfig::read_from(path).map_err(|error| unusable().because(error))?;
        let options = KubeConfigOptions::default();
        let mut config = kube::Config::from_custom_kubeconfig(file, &options)
            .await
            .map_err(|error| unusable().because(error))?;
        namespace.clone_into(&mut config.default_namespace);
        KubernetesLease::new(config, name, holder, lasts)
    }

    /// Two holders never have one name: it is made unique.
    fn new(mut config: kube::Config, name: &str, holder: &str, lasts: Duration) -> Result<KubernetesLease> {
        let namespace = config.default_namespace.clone();
        config.default_retry = false;
        let client = kube::Client::try_from(config).map_err(|error| {
            Error::permanent("lease", "no client of the cluster can be made").because(error)
        })?;
        Ok(KubernetesLease {
            client,
            namespace,
            name: name.to_owned(),
            identity: format!("{holder}_{:016x}", rand::random::<u64>()),
            lasts,
            seen: Mutex::default(),
            report: Mutex::default(),
            turn: tokio::sync::Mutex::default(),
        })
    }

    fn seen(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn report(&self) -> MutexGuard<'_, FleetReport> {
        self.report.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn path(&self, name: &str) -> String {
        format!("/apis/coordination.k8s.io/v1/namespaces/{}/leases{name}", self.namespace)
    }

    async fn ask(&self, method: Method, path: &str, body: Option<&Value>) -> Result<(u16, Value)> {
        let unreachable = || {
            let text =
                format!("the API server does not answer about the lease {}/{}", self.namespace, self.name);
            Error::passing("lease", text)
        };
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header("content-type", "application/json")
            .header("accept", "application/json")
            .body(Body::from(body.map(|it| it.to_string().into_bytes()).unwrap_or_default()))
            .map_err(|error| Error::permanent("lease", "a request cannot be written").because(error))?;
        let asking = async {
            let answer = self.client.send(request).await.map_err(|error| unreachable().because(error))?;
            let status = answer.status().as_u16();
            let bytes = answer.into_body().collect().await;
            let bytes =
                bytes.map_err(|error| unreachable().because(std::io::Error::other(error.to_string())))?;
            Ok((status, serde_json::from_slice(&bytes.to_bytes()).unwrap_or_default()))
        };
        tokio::time::timeout(self.lasts / 3, asking).await.unwrap_or_else(|_| {
            Err(unreachable().because(std::io::Error::from(std::io::ErrorKind::TimedOut)))
        })
    }

    /// The Lease with us as its holder.
    fn ours(&self, found: Option<&Value>, holder: &str) -> Value {
        let now = now();
        let spec = found.map(|it| &it["spec"]);
        let was = spec.and_then(|it| it["holderIdentity"].as_str()).unwrap_or_default();
        let transitions = spec.and_then(|it| it["leaseTransitions"].as_u64()).unwrap_or(0);
        let same = was == holder;
        let acquired = spec.map(|it| it["acquireTime"].clone()).filter(|it| same && it.is_string());
        let mut body = found.cloned().unwrap_or_else(|| {
            json!({
                "apiVersion": "coordination.k8s.io/v1", "kind": "Lease",
                "metadata": { "name": self.name, "namespace": self.namespace },
            })
        });
        let report = Some(self.report()).filter(|it| it.read_ms > 0 && !holder.is_empty());
        if let Some(report) = report {
            body["metadata"]["annotations"][FLEETS_ANNOTATION] = json!(report.text());
        }
        body["spec"] = json!({
            "holderIdentity": holder,
            "leaseDurationSeconds": self.lasts.as_secs().max(1),
            "acquireTime": acquired.unwrap_or_else(|| json!(now)),
            "renewTime": now,
            "leaseTransitions": if same || found.is_none() || holder.is_empty() { transitions } else { transitions + 1 },
        });
        body
    }

    fn refused(&self, status: u16, said: &Value) -> Error {
        let told = said["message"].as_str().unwrap_or_default();
        let text = format!(
            "the API server answers {status} about the lease {}/{}: {told:.300}; the service account needs get, create and update of it",
            self.namespace, self.name
        );
        Error::passing("lease", text)
    }

    /// Whether it may be taken: it is ours, nobody's, or its holder has not renewed it for its time.
    fn may_take(&self, found: &Value) -> bool {
        let spec = &found["spec"];
        let holder = spec["holderIdentity"].as_str().unwrap_or_default();
        let mut seen = self.seen();
        if holder == self.identity || holder.is_empty() {
            seen.other = None;
            return true;
        }
        // Somebody else has it, whatever we believed.
        seen.held_until = None;
        let version = found["metadata"]["resourceVersion"].as_str().unwrap_or_default();
        let lasts = Duration::from_secs(spec["leaseDurationSeconds"].as_u64().unwrap_or(1)).max(self.lasts);
        match &seen.other {
            Some((known, since)) if known == version => since.elapsed() >= lasts,
            _ => {
                seen.other = Some((version.to_owned(), Instant::now()));
                false
            }
        }
    }
}

fn now() -> String {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let micros = i64::try_from(since.as_micros()).unwrap_or(i64::MAX);
    jiff::Timestamp::from_microsecond(micros).unwrap_or_default().strftime(MICROS).to_string()
}

#[async_trait]
impl Lease for KubernetesLease {
    async fn renew(&self) -> Result<bool> {
        let _turn = self.turn.lock().await;
        let asked = Instant::now();
        let own = self.path(&format!("/{}", self.name));
        let (status, found) = self.ask(Method::GET, &own, None).await?;
        let (status, said) = match status {
            404 => {
                let body = self.ours(None, &self.identity);
                self.ask(Method::POST, &self.path(""), Some(&body)).await?
            }
            200 if self.may_take(&found) => {
                let body = self.ours(Some(&found), &self.identity);
                self.ask(Method::PUT, &own, Some(&body)).await?
            }
            200 => return Ok(false),
            _ => return Err(self.refused(status, &found)),
        };
        match status {
            200 | 201 => {
                // Others count from when they see it, which is after it was asked for.
                self.seen().held_until = Some(asked + self.lasts.mul_f64(0.75));
                Ok(self.held())
            }
            // Somebody was faster; the next look says who.
            409 => Ok(self.held()),
            _ => Err(self.refused(status, &said)),
        }
    }

    fn held_until(&self) -> Option<Instant> {
        self.seen().held_until
    }

    async fn tell(&self, report: &FleetReport) {
        let news = {
            let mut told = self.report();
            let news = told.fleets != report.fleets || told.read_ms == 0;
            told.clone_from(report);
            news
        };
        if news && report.is_too_long() {
            let fleets = report.fleets.len();
            tracing::warn!(
                fleets,
                "What is known of the fleets has no room in the lease: plans do not see what another hand changes of them."
            );
        }
        if news
            && self.held()
            && let Err(error) = self.renew().await
        {
            tracing::warn!(error = %error.chain(), "What is known of the fleets is not told yet; the next renewal does it.");
        }
    }

    async fn release(&self) {
        let _turn = self.turn.lock().await;
        if self.seen().held_until.take().is_none() {
            return;
        }
        let own = self.path(&format!("/{}", self.name));
        let Ok((200, found)) = self.ask(Method::GET, &own, None).await else { return };
        if found["spec"]["holderIdentity"].as_str() == Some(&self.identity) {
            let body = self.ours(Some(&found), "");
            if let Err(error) = self.ask(Method::PUT, &own, Some(&body)).await {
                tracing::warn!(error = %error.chain(), "The lease is not given back; it ends by itself.");
            }
        }
    }

    fn every(&self) -> Duration {
        self.lasts / 4
    }
}
