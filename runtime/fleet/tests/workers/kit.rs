//! The API of a controller on a port of this host, with records in a temporary folder, and workers that ask it.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use async_trait::async_trait;
use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair as _};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use streamverse_core::http::Room;
use streamverse_core::stores::{Records, open_records};
use streamverse_core::{Metrics, Result, ServiceContext, Stop};
use streamverse_fleet::api::{ROOM, WorkerApi, WorkerApiParts};
use streamverse_fleet::authority::{Authority, WORKER_LIFETIME};
use streamverse_fleet::registry::Registry;
use streamverse_fleet::workers::Workers as _;
use streamverse_fleet::{Clock, Lease, Member, Roster};
use streamverse_model::compute::{FleetWork, InstanceName};
use streamverse_model::platform::{Name, Owner};
use tempfile::TempDir;
use tokio::task::JoinHandle;
use tokio::time::Instant;

pub(crate) const IDENTITY: &str = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";
pub(crate) const ONE: &str = "sv--prod--encode--a--1";
pub(crate) const TWO: &str = "sv--prod--encode--a--2";
pub(crate) const LOG: &str = "kafka://k:9092?username=u&secret=event-log.main";
pub(crate) const OBJECTS: &str = "s3://media?endpoint=https://s3.example&secret=object-store.media";

pub(crate) struct Setting {
    pub(crate) registry: Registry,
    pub(crate) roster: Arc<Roster>,
    pub(crate) leads: Arc<AtomicBool>,
    member: Member,
    pub(crate) authority: Arc<Authority>,
    pub(crate) records: Arc<dyn Records>,
    pub(crate) metrics: Metrics,
    pub(crate) address: SocketAddr,
    later_ms: Arc<AtomicU64>,
    stop: Stop,
    served: JoinHandle<()>,
    _folder: TempDir,
}

/// A worker with a key of its own, and a certificate once it enrolled.
pub(crate) struct Worker {
    pub(crate) key: Vec<u8>,
    pub(crate) public_key: String,
    pub(crate) certificate: Option<String>,
}

/// What a controller's workers work with, and how long their certificates are good for.
pub(crate) struct Stores {
    pub(crate) log: String,
    pub(crate) objects: String,
    pub(crate) secrets: Vec<(&'static str, &'static str, String)>,
    pub(crate) lifetime: Duration,
    /// Of workers, all of them.
    pub(crate) connections: usize,
}

impl Default for Stores {
    fn default() -> Stores {
        let planted = |secret, key| (secret, key, format!("planted-{secret}-{key}"));
        let secrets = vec![
            planted("event-log.main", "password"),
            planted("object-store.media", "access-key"),
            planted("object-store.media", "secret-key"),
            planted("catalogue.main", "password"),
        ];
        let (log, objects) = (LOG.to_owned(), OBJECTS.to_owned());
        Stores { log, objects, secrets, lifetime: WORKER_LIFETIME, connections: ROOM.known }
    }
}

impl Setting {
    /// A controller that leads.
    pub(crate) async fn new() -> Setting {
        Setting::with(Stores::default()).await
    }

    /// … of workers with these stores.
    pub(crate) async fn with(stores: Stores) -> Setting {
        let folder = tempfile::tempdir().unwrap();
        for (secret, key, value) in &stores.secrets {
            let place = folder.path().join("credentials").join(secret);
            std::fs::create_dir_all(&place).unwrap();
            std::fs::write(place.join(key), value).unwrap();
        }
        let at = |name: &str| folder.path().join(name);
        let cx = ServiceContext {
            site: Name::parse("here").unwrap(),
            owner: Owner::new("prod", "fleet-controller", "main").unwrap(),
            object: "service/fleet-controller".to_owned(),
            data_dir: at("data"),
            scratch_dir: at("scratch"),
            run_dir: at("run"),
            credentials_dir: at("credentials"),
            specs_dir: at("specs"),
            tools: BTreeMap::new(),
            bind: [127, 0, 0, 1].into(),
            metrics: Metrics::new(),
        };
        let records = open_records("sqlite://here/main", &cx).await.unwrap();
        let authority = Arc::new(Authority::new(IDENTITY, &cx.owner).unwrap());
        let later_ms = Arc::new(AtomicU64::new(0));
        let clock = Arc::new(Later(Arc::clone(&later_ms)));
        let leads = Arc::new(AtomicBool::new(true));
        let roster = Arc::new(Roster::new(Arc::new(Switch(Arc::clone(&leads)))));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let url = format!("https://{address}");
        let registry = Registry::new(Arc::clone(&authority), Arc::clone(&roster), &url, clock.clone());
        let (stop, metrics) = (Stop::new(), cx.metrics.clone());
        let parts = WorkerApiParts {
            registry: registry.clone(),
            roster: Arc::clone(&roster),
            authority: Arc::clone(&authority),
            records: Arc::clone(&records),
            stores: vec![stores.log.clone(), stores.objects.clone()],
            cx,
            clock,
            lifetime: stores.lifetime,
            room: Room { known: stores.connections, ..ROOM },
        };
        let (api, told) = (WorkerApi::new(parts), stop.clone());
        let served = tokio::spawn(async move { api.serve(listener, &url, &told).await.unwrap() });
        Setting {
            registry,
            roster,
            leads,
            member: member(&stores.log, &stores.objects),
            authority,
            records,
            metrics,
            address,
            later_ms,
            stop,
            served,
            _folder: folder,
        }
    }

    /// Has time pass for the controller.
    pub(crate) fn later(&self, by: Duration) {
        self.later_ms.fetch_add(u64::try_from(by.as_millis()).unwrap(), Ordering::Relaxed);
    }

    /// The token of an instance that is launched.
    pub(crate) fn token(&self, worker: &str) -> String {
        self.environment(worker)["STREAMVERSE_TOKEN"].clone()
    }

    /// The environment of an instance that is launched.
    pub(crate) fn environment(&self, worker: &str) -> BTreeMap<String, String> {
        let name = InstanceName::parse(worker).unwrap();
        self.roster.add(worker.to_owned(), self.member.clone());
        let now_ms = real_ms() + self.later_ms.load(Ordering::Relaxed);
        self.registry.invite(&name.group.pool, &name, now_ms)
    }

    /// A look of the controller found these.
    pub(crate) fn look(&self, names: &[&str]) {
        self.roster.set(names.iter().map(|name| ((*name).to_owned(), self.member.clone())).collect());
        self.registry.keep_only(&|name| self.roster.has(name));
    }

    pub(crate) fn at(&self, path: &str) -> String {
        format!("https://{}{path}", self.address)
    }

    /// A client that trusts this controller alone, and shows what is given: certificate and key, PEM.
    pub(crate) fn client(&self, identity: Option<&str>) -> reqwest::Client {
        let authority = reqwest::Certificate::from_der(self.authority.certificate()).unwrap();
        let mut client = reqwest::Client::builder()
            .no_proxy()
            .tls_certs_only([authority])
            .timeout(Duration::from_secs(60));
        if let Some(identity) = identity {
            client = client.identity(reqwest::Identity::from_pem(identity.as_bytes()).unwrap());
        }
        client.build().unwrap()
    }

    /// … from another address of this host.
    pub(crate) fn client_at(&self, from: std::net::IpAddr, identity: &str) -> reqwest::Client {
        let authority = reqwest::Certificate::from_der(self.authority.certificate()).unwrap();
        let identity = reqwest::Identity::from_pem(identity.as_bytes()).unwrap();
        let client = reqwest::Client::builder().no_proxy().tls_certs_only([authority]).identity(identity);
        client.local_address(from).timeout(Duration::from_secs(60)).build().unwrap()
    }

    /// … or none, where the certificate is not of that key.
    pub(crate) fn client_or_none(&self, identity: &str) -> Option<reqwest::Client> {
        let authority = reqwest::Certificate::from_der(self.authority.certificate()).ok()?;
        let identity = reqwest::Identity::from_pem(identity.as_bytes()).ok()?;
        reqwest::Client::builder().no_proxy().tls_certs_only([authority]).identity(identity).build().ok()
    }

    /// Asks to enrol: the status, and the answer.
    pub(crate) async fn enrol(&self, body: &Value) -> (u16, Value) {
        let sent = self.client(None).post(self.at("/v1/enrol")).json(body).send().await.unwrap();
        (sent.status().as_u16(), sent.json().await.unwrap())
    }

    /// A worker that has enrolled.
    pub(crate) async fn enrolled(&self, name: &str) -> Worker {
        let mut worker = Worker::new();
        let (status, answer) = self.enrol(&worker.asks(name, &self.token(name))).await;
        assert_eq!(status, 200, "{answer}");
        worker.certificate = Some(answer["certificate"].as_str().unwrap().to_owned());
        worker
    }

    pub(crate) async fn end(self) {
        self.stop.stop();
        self.served.await.unwrap();
    }
}

impl Worker {
    pub(crate) fn new() -> Worker {
        let pair = Ed25519KeyPair::generate().unwrap();
        Worker {
            key: pair.to_pkcs8().unwrap().as_ref().to_vec(),
            public_key: STANDARD.encode(pair.public_key()),
            certificate: None,
        }
    }

    pub(crate) fn asks(&self, name: &str, token: &str) -> Value {
        json!({ "worker": name, "token": token, "public_key": self.public_key })
    }

    pub(crate) fn pem(&self) -> String {
        identity(self.certificate.as_deref().unwrap(), &self.key)
    }
}

pub(crate) fn identity(certificate: &str, key: &[u8]) -> String {
    format!(
        "{certificate}\n-----BEGIN PRIVATE KEY-----\n{}\n-----END PRIVATE KEY-----\n",
        STANDARD.encode(key)
    )
}

pub(crate) fn real_ms() -> u64 {
    u64::try_from(SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis()).unwrap()
}

fn member(log: &str, objects: &str) -> Member {
    let work: FleetWork = serde_json::from_value(json!({
        "transcoder": "main",
        "spec": {
            "concurrency": 1, "workers": 1, "scratch": "1GiB", "memory": "1GiB",
            "event_log": log, "object_store": objects, "catalogue": "postgres://u@h/d?secret=catalogue.main",
        },
    }))
    .unwrap();
    Member { fleet: Name::parse("encode").unwrap(), work: Some(Arc::new(work)), drain_seconds: 300 }
}

/// The machine's clock, and what a test adds to it.
struct Later(Arc<AtomicU64>);

#[async_trait]
impl Clock for Later {
    fn now_ms(&self) -> u64 {
        real_ms() + self.0.load(Ordering::Relaxed)
    }

    async fn sleep(&self, time: Duration) {
        tokio::time::sleep(time).await;
    }
}

/// A lease that a test gives and takes.
struct Switch(Arc<AtomicBool>);

#[async_trait]
impl Lease for Switch {
    async fn renew(&self) -> Result<bool> {
        Ok(self.held())
    }

    fn held_until(&self) -> Option<Instant> {
        self.0.load(Ordering::Relaxed).then(|| Instant::now() + Duration::from_secs(60))
    }

    async fn release(&self) {}

    fn every(&self) -> Duration {
        Duration::from_secs(60)
    }
}
