//! The API that rented workers ask: TLS 1.3 alone, by a certificate of the controller's authority. A token opens `/v1/enrol`,
//! once; everything else is a worker's own, by its certificate. The messages: `streamverse_model::compute`.
//!
//! | answer | means |
//! |---|---|
//! | 401 | no certificate, or a token that is wrong or has run out |
//! | 403 | the certificate of another worker |
//! | 409 | the token was used already, for another key |
//! | 410 | the controller does not want this worker (any more) |
//! | 429 | too many tries from this address |
//! | 503 | another controller leads, or this one has not looked yet: ask again |

mod secrets;
mod throttle;

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, Path, Query, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use axum::routing::{get, post};
use axum::{Extension, Json, Router};
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use rustls::ServerConfig;
use rustls::server::{NoServerSessionStorage, WebPkiClientVerifier};
use serde::{Deserialize, Serialize};
use serde_json::json;
use streamverse_core::http::{Limits, Peer, Room, serve_tls};
use streamverse_core::stores::Records;
use streamverse_core::{Error, Metrics, Result, ServiceContext, Stop};
use streamverse_model::compute::{
    EnrolRequest, Enrolled, NAME_LIMIT, Order, Report, WorkOrder, fleet_collection,
};
use streamverse_model::platform::Owner;
use tokio::net::TcpListener;
use tracing::{debug, error, info, warn};

use crate::authority::{Authority, PublicKey, is_of};
use crate::clock::Clock;
use crate::registry::Registry;
use crate::roster::{Member, Roster, Standing};
use crate::token::{Refused, TOKEN_LIFETIME};
use throttle::Throttle;

/// Connections: of those who have shown no certificate yet, of workers, and of one worker. That one needs two, and those that
/// broke on the way are there for a while; one that turned bad has no more.
pub const ROOM: Room = Room { strangers: 512, known: 20_000, of_one: 16 };
/// Bytes of a request for enrolment; a report names pods.
const ENROL_BYTES: usize = 2 << 10;
const REPORT_BYTES: usize = 64 << 10;
/// How long a request for orders may be held.
const HELD: Duration = Duration::from_secs(30);
/// When enrolments of workers that are gone are first looked for.
const FIRST_FORGET: Duration = Duration::from_secs(300);
/// Records of one page.
const PAGE: u32 = 500;

/// Who enrolled, in `fleet-enrolled.CONTROLLER`: it is what makes a token of use once.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct EnrolledRecord {
    at_ms: u64,
    public_key: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Outcome {
    outcome: &'static str,
}

/// The API of one controller.
pub struct WorkerApi {
    registry: Registry,
    roster: Arc<Roster>,
    authority: Arc<Authority>,
    records: Arc<dyn Records>,
    stores: Vec<String>,
    cx: ServiceContext,
    clock: Arc<dyn Clock>,
    throttle: Throttle,
    enrolments: Family<Outcome, Counter>,
    lifetime: Duration,
    room: Room,
    /// Whoever is held is let go.
    stop: Stop,
}

/// What a [`WorkerApi`] is made of.
pub struct WorkerApiParts {
    /// What workers told, and are to be told.
    pub registry: Registry,
    /// Who is alive.
    pub roster: Arc<Roster>,
    /// Who signs.
    pub authority: Arc<Authority>,
    /// The controller's catalogue.
    pub records: Arc<dyn Records>,
    /// The stores whose credentials may be handed out.
    pub stores: Vec<String>,
    /// The controller's context: its owner, its credentials, its metrics.
    pub cx: ServiceContext,
    /// What time it is.
    pub clock: Arc<dyn Clock>,
    /// How long a worker's certificate is good for: [`WORKER_LIFETIME`](crate::authority::WORKER_LIFETIME) unless a test is in a hurry.
    pub lifetime: Duration,
    /// How many connections there may be: [`ROOM`] unless a test has less.
    pub room: Room,
}

type Answer = std::result::Result<Response, Refusal>;

/// An answer that is a refusal. Its words hold no secret.
struct Refusal {
    status: StatusCode,
    code: &'static str,
    message: String,
}

impl From<Refusal> for Response {
    fn from(it: Refusal) -> Response {
        let body = Json(json!({ "code": it.code, "message": it.message }));
        // Whoever is refused for what it is need not keep its place; whoever is early comes again.
        match it.status {
            StatusCode::SERVICE_UNAVAILABLE | StatusCode::TOO_MANY_REQUESTS => {
                // Not on this connection: another controller may lead by then.
                let head = [(header::RETRY_AFTER, "5"), (header::CONNECTION, "close")];
                (it.status, head, body).into_response()
            }
            status => (status, [(header::CONNECTION, "close")], body).into_response(),
        }
    }
}

fn refusal(status: StatusCode, code: &'static str, message: impl Into<String>) -> Refusal {
    Refusal { status, code, message: message.into() }
}

fn gone() -> Refusal {
    refusal(StatusCode::GONE, "gone", "the controller does not want this worker any more")
}

fn answer(it: Answer) -> Response {
    it.unwrap_or_else(Response::from)
}

/// What went wrong here is told in the log; the worker learns that it may come again.
fn failed(error: &Error) -> Refusal {
    error!(code = error.code, error = %error.chain(), "A worker cannot be served.");
    refusal(
        StatusCode::SERVICE_UNAVAILABLE,
        "unavailable",
        "the controller cannot serve this now: its log says why",
    )
}

impl WorkerApi {
    /// Nothing listens yet.
    pub fn new(parts: WorkerApiParts) -> Arc<WorkerApi> {
        let WorkerApiParts { registry, roster, authority, records, stores, cx, clock, lifetime, room } =
            parts;
        let enrolments = Family::default();
        register(&cx.metrics, &enrolments);
        let (throttle, stop) = (Throttle::default(), Stop::new());
        Arc::new(WorkerApi {
            registry,
            roster,
            authority,
            records,
            stores,
            cx,
            clock,
            throttle,
            enrolments,
            lifetime,
            room,
            stop,
        })
    }

    /// Serves at the host of `public_url` until told to stop.
    ///
    /// # Errors
    /// A URL without a host, an authority that cannot be used.
    pub async fn serve(self: Arc<Self>, listener: TcpListener, public_url: &str, stop: &Stop) -> Result<()> {
        let config = Arc::new(self.tls(public_url)?);
        let limits = Limits { body: REPORT_BYTES, ..Limits::default() };
        tokio::select! {
            () = serve_tls(listener, config, Arc::clone(&self).router(), limits, self.room, stop) => {}
            () = self.forget() => {}
        }
        self.stop.stop();
        Ok(())
    }

    fn tls(&self, public_url: &str) -> Result<ServerConfig> {
        let unusable = || {
            let text = format!("the public URL {public_url:?} of the controller is no https://HOST:PORT");
            Error::permanent("public-url", text)
        };
        let url: url::Url = public_url.parse().map_err(|error| unusable().because(error))?;
        let host = url.host_str().filter(|_| url.scheme() == "https").ok_or_else(unusable)?;
        let identity = self.authority.server(host)?;
        let failed = |text: &str| Error::permanent("identity", text);
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let roots = Arc::new(self.authority.roots()?);
        let verifier = WebPkiClientVerifier::builder_with_provider(roots, Arc::clone(&provider))
            .allow_unauthenticated()
            .build()
            .map_err(|error| failed("the controller's authority cannot be trusted").because(error))?;
        let mut config = ServerConfig::builder_with_provider(provider)
            .with_protocol_versions(&[&rustls::version::TLS13])
            .map_err(|error| failed("TLS 1.3 is not usable").because(error))?
            .with_client_cert_verifier(verifier)
            .with_single_cert(vec![identity.certificate], identity.key)
            .map_err(|error| failed("the controller's certificate cannot be used").because(error))?;
        // A session that is taken up again is not asked for its certificate, which may have run out meanwhile.
        config.send_tls13_tickets = 0;
        config.session_storage = Arc::new(NoServerSessionStorage {});
        Ok(config)
    }

    fn router(self: Arc<Self>) -> Router {
        let enrol = post(enrol).layer(DefaultBodyLimit::max(ENROL_BYTES));
        Router::new()
            .route("/v1/enrol", enrol)
            .route("/v1/workers/{name}/renew", post(renew))
            .route("/v1/workers/{name}/work", get(work))
            .route("/v1/workers/{name}/orders", get(orders))
            .route("/v1/workers/{name}/report", post(report))
            .with_state(self)
    }

    fn enrolled(&self) -> String {
        fleet_collection("enrolled", self.cx.owner.name.as_str())
    }

    fn count(&self, outcome: &'static str) {
        self.enrolments.get_or_create(&Outcome { outcome }).inc();
    }

    async fn enrol(&self, from: IpAddr, body: &Bytes) -> Answer {
        let now_ms = self.clock.now_ms();
        if !self.throttle.may(from, now_ms) {
            self.count("throttled");
            return Err(refusal(
                StatusCode::TOO_MANY_REQUESTS,
                "throttled",
                "too many tries from this address",
            ));
        }
        let request: EnrolRequest = serde_json::from_slice(body)
            .map_err(|_| refusal(StatusCode::BAD_REQUEST, "request", "this is no request for enrolment"))?;
        let worker = request.worker.as_str();
        if let Err(why) = self.authority.tokens().check(&request.token, worker, now_ms) {
            let (outcome, message) = match why {
                Refused::Wrong => ("wrong", "this token is none of this controller's for this worker"),
                Refused::Expired => ("expired", "the token has run out: this instance began too late"),
            };
            self.count(outcome);
            debug!(%from, outcome, "An enrolment was refused.");
            return Err(refusal(StatusCode::UNAUTHORIZED, "token", message));
        }
        self.standing(worker)?;
        let key = PublicKey::parse(&request.public_key)
            .ok_or_else(|| refusal(StatusCode::BAD_REQUEST, "request", "the public key is no Ed25519 key"))?;
        let record = json!(EnrolledRecord { at_ms: now_ms, public_key: key.text() });
        let first = self.records.insert(&self.enrolled(), worker, &record).await;
        // Whoever asks again with the same key had no answer: nobody else can use what it gets.
        if !first.map_err(|error| failed(&error))? && self.key_of(worker).await? != Some(key) {
            self.count("used");
            warn!(worker, %from, "A token was used again, with another key: whoever has it saw the instance's environment.");
            return Err(refusal(
                StatusCode::CONFLICT,
                "token-used",
                "the token was used already: an instance enrols once, and keeps its key and certificate",
            ));
        }
        self.count("enrolled");
        info!(worker, %from, "A worker enrolled.");
        self.certify(worker, &key, now_ms)
    }

    fn certify(&self, worker: &str, key: &PublicKey, now_ms: u64) -> Answer {
        let certificate =
            self.authority.worker(worker, key, now_ms, self.lifetime).map_err(|error| failed(&error))?;
        let renew_seconds = (self.lifetime / 3).as_secs().max(1);
        Ok(Json(Enrolled { certificate, renew_seconds }).into_response())
    }

    async fn key_of(&self, worker: &str) -> std::result::Result<Option<PublicKey>, Refusal> {
        let found = self.records.get(&self.enrolled(), worker).await.map_err(|error| failed(&error))?;
        let record = found.and_then(|it| serde_json::from_value::<EnrolledRecord>(it.value).ok());
        Ok(record.and_then(|it| PublicKey::parse(&it.public_key)))
    }

    fn standing(&self, worker: &str) -> std::result::Result<Member, Refusal> {
        match self.roster.standing(worker) {
            Standing::Alive(member) => Ok(member),
            Standing::NotKnown => Err(refusal(
                StatusCode::SERVICE_UNAVAILABLE,
                "not-leading",
                "another controller leads, or this one has not looked yet: ask again",
            )),
            Standing::Gone => Err(gone()),
        }
    }

    /// The worker that the certificate names, if it is this one and still wanted.
    fn admit(&self, peer: &Peer, worker: &str) -> std::result::Result<Member, Refusal> {
        let Some(certificate) = &peer.certificate else {
            let text = "a worker's certificate is needed: enrol first";
            return Err(refusal(StatusCode::UNAUTHORIZED, "certificate", text));
        };
        if worker.len() > NAME_LIMIT || !is_of(certificate, worker) {
            return Err(refusal(StatusCode::FORBIDDEN, "certificate", "the certificate is another worker's"));
        }
        self.standing(worker)
    }

    fn work(&self, member: Member) -> Answer {
        let work = member.work.ok_or_else(gone)?;
        let mut spec = work.spec.clone();
        let credentials = secrets::of(&spec, &self.stores, &self.cx).map_err(|error| failed(&error))?;
        let owner = Owner::new(self.cx.owner.deployment.as_str(), "transcoder", work.transcoder.as_str())
            .map_err(|error| failed(&Error::permanent("record", error.to_string())))?;
        // What lists finished assets is the site's alone: a transcoder never opens it.
        spec.catalogue = String::new();
        let order = WorkOrder {
            target: "transcoder".to_owned(),
            spec: serde_json::to_value(spec).unwrap_or_default(),
            owner,
            drain_seconds: member.drain_seconds,
            credentials,
        };
        // One buffer from the start: what is moved as it grows would leave copies behind.
        let mut body = zeroize::Zeroizing::new(Vec::with_capacity(256 << 10));
        let written = serde_json::to_writer(&mut *body, &order);
        wipe(order);
        written.map_err(|error| {
            failed(&Error::permanent("record", "the work cannot be written").because(error))
        })?;
        let answer = [(header::CONTENT_TYPE, "application/json"), (header::CACHE_CONTROL, "no-store")];
        Ok((answer, Bytes::from_owner(body)).into_response())
    }

    async fn orders(&self, worker: &str, wait: Duration) -> Answer {
        let until = tokio::time::Instant::now() + wait.min(HELD);
        loop {
            let (_, wake) = self.registry.order(worker);
            let woken = wake.notified();
            tokio::pin!(woken);
            // Listening before looking: no order falls between the two.
            woken.as_mut().enable();
            self.standing(worker)?;
            if let (Some(seconds), _) = self.registry.order(worker) {
                return Ok(Json(Order::Drain { seconds }).into_response());
            }
            tokio::select! {
                () = &mut woken => {}
                () = tokio::time::sleep_until(until) => return Ok(StatusCode::NO_CONTENT.into_response()),
                () = self.stop.stopped() => return Ok(StatusCode::NO_CONTENT.into_response()),
            }
        }
    }

    /// Forgets the enrolments of workers that are gone, once no token of theirs can be good any more.
    async fn forget(&self) {
        // Soon after the first looks: a controller that is started anew each hour would never come to it.
        let mut wait = FIRST_FORGET;
        loop {
            tokio::time::sleep(wait.mul_f64(rand::random_range(0.9..1.1))).await;
            wait = TOKEN_LIFETIME;
            if let Err(error) = self.forget_once().await {
                warn!(error = %error.chain(), "Old enrolments stay; it is tried again.");
            }
        }
    }

    async fn forget_once(&self) -> Result<()> {
        let (collection, mut after) = (self.enrolled(), String::new());
        loop {
            let page = self.records.list(&collection, &after, PAGE).await?;
            let Some((last, _)) = page.last() else { return Ok(()) };
            after.clone_from(last);
            for (worker, record) in page {
                let record: Option<EnrolledRecord> = serde_json::from_value(record.value).ok();
                let at_ms = record.map_or(0, |it| it.at_ms);
                let old =
                    u128::from(self.clock.now_ms().saturating_sub(at_ms)) > 2 * TOKEN_LIFETIME.as_millis();
                if old && matches!(self.roster.standing(&worker), Standing::Gone) {
                    self.records.remove(&collection, &worker).await?;
                }
            }
        }
    }
}

fn register(metrics: &Metrics, enrolments: &Family<Outcome, Counter>) {
    metrics.register(|registry| {
        registry.register("fleet_enrolments", "Tries to enrol, by what came of them", enrolments.clone());
    });
}

fn wipe(order: WorkOrder) {
    use zeroize::Zeroize as _;
    for values in order.credentials.into_values() {
        for mut value in values.into_values() {
            value.zeroize();
        }
    }
}

type Api = State<Arc<WorkerApi>>;

async fn enrol(State(api): Api, Extension(peer): Extension<Peer>, body: Bytes) -> Response {
    answer(api.enrol(peer.address.ip(), &body).await)
}

async fn renew(State(api): Api, Extension(peer): Extension<Peer>, Path(worker): Path<String>) -> Response {
    let renewed = async {
        api.admit(&peer, &worker)?;
        // Always for the key that enrolled: a certificate that was stolen without its key stays of no use.
        let key = api.key_of(&worker).await?.ok_or_else(gone)?;
        api.certify(&worker, &key, api.clock.now_ms())
    };
    answer(renewed.await)
}

async fn work(State(api): Api, Extension(peer): Extension<Peer>, Path(worker): Path<String>) -> Response {
    match api.admit(&peer, &worker) {
        Ok(member) => answer(api.work(member)),
        Err(refusal) => refusal.into(),
    }
}

#[derive(Deserialize)]
struct Wait {
    #[serde(default)]
    wait: u64,
}

async fn orders(
    State(api): Api,
    Extension(peer): Extension<Peer>,
    Path(worker): Path<String>,
    Query(asked): Query<Wait>,
) -> Response {
    match api.admit(&peer, &worker) {
        Ok(_) => answer(api.orders(&worker, Duration::from_secs(asked.wait)).await),
        Err(refusal) => refusal.into(),
    }
}

#[derive(Deserialize)]
struct RunsOn {
    /// The cloud's id of its instance.
    instance: Option<String>,
}

async fn report(
    State(api): Api,
    Extension(peer): Extension<Peer>,
    Path(worker): Path<String>,
    Query(on): Query<RunsOn>,
    body: Bytes,
) -> Response {
    if let Err(refusal) = api.admit(&peer, &worker) {
        return refusal.into();
    }
    match serde_json::from_slice::<Report>(&body) {
        Ok(report) => {
            if let Some(instance) = on.instance.filter(|it| (1..=NAME_LIMIT).contains(&it.len())) {
                api.registry.runs_on(&worker, &instance);
            }
            api.registry.report(&worker, &report);
            StatusCode::NO_CONTENT.into_response()
        }
        Err(_) => refusal(StatusCode::BAD_REQUEST, "request", "this is no report").into(),
    }
}
