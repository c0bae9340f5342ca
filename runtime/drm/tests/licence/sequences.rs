//! No sequence of requests, replays, clocks that are off, restarts, crashes, emptied caches, grants and revocations gives
//! more than the policy says. What was given is judged afterwards by a model that knows the true time, and nothing of how
//! the service works.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use proptest::prelude::{Just, Strategy, any, prop_oneof};
use proptest::test_runner::{Config, TestCaseError, TestRunner};
use serde_json::{Value, json};
use streamverse_core::stores::{Cache, open_cache};
use streamverse_drm::licence::Licensor;

use crate::kit::{Hand, Keys, SKEW, START, another, bearer, claims, context, grant, policy, wanted};

const ACCOUNTS: [&str; 2] = ["ann", "bob"];
const LEASE: u64 = 60_000;
const STREAMS: usize = 2;
const DEVICES: usize = 3;
const WINDOW: u64 = 60_000;
const START_WITHIN: u64 = 120_000;
/// Of the event in the kit's policy.
const EVENT: (u64, u64) = (1_800_000_020_000, 1_800_000_140_000);

/// A request: whose token, from when it is, and for what.
#[derive(Clone, Debug)]
struct Asked {
    account: usize,
    device: u8,
    session: bool,
    asset: usize,
    abroad: bool,
    /// Of the issuer's clock, in milliseconds; and how long it is kept before it is used.
    off: i64,
    service: usize,
    /// Instead of a new token, one that was made before.
    again: Option<usize>,
}

#[derive(Clone, Debug)]
enum Step {
    Pass(u64),
    /// All at once.
    Ask(Vec<Asked>),
    Grant(usize, u8),
    Revoke(usize, u8),
    Clock(usize, i64),
    Restart {
        service: usize,
        crash: bool,
    },
    /// The cache that replicas share loses everything.
    Empty,
    /// A service begins anew with another memory of tokens: none, or one of two caches. The old one may linger.
    Exchange {
        service: usize,
        cache: usize,
        end: End,
    },
}

/// How a process makes room for another one.
#[derive(Clone, Copy, Debug)]
enum End {
    InOrder,
    Crash,
    /// It answers on beside it.
    Lingers,
}

fn asked() -> impl Strategy<Value = Asked> {
    let half = i64::try_from(SKEW / 2).unwrap();
    let who = (0..ACCOUNTS.len(), 0..5_u8, any::<bool>(), 0..4_usize, proptest::bool::weighted(0.2));
    let what = (-half..=half, 0..2_usize, proptest::option::weighted(0.3, 0..40_usize));
    (who, what).prop_map(|((account, device, session, asset, abroad), (off, service, again))| Asked {
        account,
        device,
        session,
        asset,
        abroad,
        off,
        service,
        again,
    })
}

fn step(exchanges: u32) -> impl Strategy<Value = Step> {
    let end = prop_oneof![Just(End::InOrder), Just(End::Crash), Just(End::Lingers)];
    let half = i64::try_from(SKEW / 2).unwrap();
    prop_oneof![
        5 => prop_oneof![4 => 0..3_000_u64, 3 => 0..20_000_u64, 1 => 0..90_000_u64].prop_map(Step::Pass),
        10 => proptest::collection::vec(asked(), 1..6).prop_map(Step::Ask),
        3 => (0..ACCOUNTS.len(), 0..4_u8).prop_map(|(account, which)| Step::Grant(account, which)),
        1 => (0..ACCOUNTS.len(), 0..4_u8).prop_map(|(account, which)| Step::Revoke(account, which)),
        1 => (0..2_usize, -half..=half).prop_map(|(service, off)| Step::Clock(service, off)),
        1 => (0..2_usize, any::<bool>()).prop_map(|(service, crash)| Step::Restart { service, crash }),
        1 => Just(Step::Empty),
        exchanges => (0..2_usize, 0..3_usize, end)
            .prop_map(|(service, cache, end)| Step::Exchange { service, cache, end }),
    ]
}

/// A right as the model has it.
#[derive(Clone, Debug)]
struct Right {
    which: u8,
    since: u64,
    until: Option<u64>,
    /// When something was first given that nothing else gave a right to.
    played: Option<u64>,
}

/// Something that was given.
#[derive(Clone, Debug)]
struct Given {
    at: u64,
    account: usize,
    device: String,
    session: String,
}

/// What is true.
#[derive(Default)]
struct Model {
    rights: BTreeMap<(usize, u8), Right>,
    given: Vec<Given>,
    tokens: BTreeSet<String>,
}

impl Model {
    /// Judges what was given at once.
    fn judge(&mut self, at: u64, given: &[(Asked, Value)]) -> Result<(), String> {
        for (asked, claims) in given {
            let id = claims["jti"].as_str().unwrap().to_owned();
            if !self.tokens.insert(id) {
                return Err(format!("twice for one token: {claims}"));
            }
            let (issued, expires) =
                (claims["iat"].as_u64().unwrap() * 1000, claims["exp"].as_u64().unwrap() * 1000);
            if at >= expires + 2 * SKEW || issued > at + 2 * SKEW {
                return Err(format!("for a token of another time: {claims} at {at}"));
            }
            self.entitled(at, asked.account, asset(asked.asset), claims["country"] == "DE")?;
            self.given.push(Given {
                at,
                account: asked.account,
                device: claims["device"].as_str().unwrap().to_owned(),
                session: claims["session"].as_str().unwrap_or_default().to_owned(),
            });
        }
        for account in 0..ACCOUNTS.len() {
            let own = || self.given.iter().filter(|it| it.account == account);
            let running: BTreeSet<_> =
                own().filter(|it| it.at + LEASE > at).map(|it| (&it.device, &it.session)).collect();
            if running.len() > STREAMS {
                return Err(format!("{running:?} run at once at {at}"));
            }
            let devices: BTreeSet<_> = own().map(|it| &it.device).collect();
            if devices.len() > DEVICES {
                return Err(format!("{devices:?} are more devices than may be"));
            }
        }
        Ok(())
    }

    fn entitled(&mut self, at: u64, account: usize, asset: &str, black: bool) -> Result<(), String> {
        if black && asset == "match" {
            return Err(format!("blacked out at {at}"));
        }
        let mut own = self.rights.iter_mut().filter(|((of, _), _)| *of == account).map(|(_, right)| right);
        let holds = own.any(|right| {
            let valid = right.since <= at && right.until.is_none_or(|until| at < until);
            match (right.which, asset) {
                (0, "film") | (1, "other") => valid,
                (2, "rented") => {
                    let open = match right.played {
                        Some(first) => at < first + WINDOW,
                        None => at < right.since + START_WITHIN,
                    };
                    right.played = right.played.or(Some(at));
                    valid && open
                }
                (3, "match") => valid && (EVENT.0..EVENT.1).contains(&at),
                _ => false,
            }
        });
        if holds { Ok(()) } else { Err(format!("no right to {asset} at {at}: {:?}", self.rights)) }
    }
}

fn asset(number: usize) -> &'static str {
    crate::kit::ASSETS[number]
}

/// What remembers used tokens.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Kind {
    /// One process after another.
    Alone,
    /// … and each finds the file of the one before.
    AloneWithFile,
    /// Two beside each other, with a cache.
    Replicas,
    /// Two that are given another memory now and then.
    Exchanged,
}

/// The world of one sequence.
struct World {
    cx: streamverse_core::ServiceContext,
    keys: Arc<Keys>,
    /// None, and two that there may be.
    caches: [Option<Arc<dyn Cache>>; 3],
    /// Which of them a service has.
    which: Vec<usize>,
    /// Where processes leave what they took for the next one.
    folder: Option<std::path::PathBuf>,
    now: u64,
    hands: Vec<Hand>,
    offs: Vec<i64>,
    services: Vec<Option<Arc<Licensor>>>,
    /// Those that were replaced and live on.
    lingering: Vec<Arc<Licensor>>,
    issued: Vec<(Asked, Value)>,
    model: Model,
    /// What the account documents have.
    grants: BTreeMap<usize, serde_json::Map<String, Value>>,
}

impl World {
    async fn new(folder: &std::path::Path, kind: Kind) -> World {
        let cx = context(folder);
        let mut caches = [None, None, None];
        for (place, name) in [(1, "one"), (2, "two")] {
            let url = format!("memory://here/{name}");
            caches[place] = Some(open_cache(&url, 1 << 20, &cx).await.unwrap());
        }
        // Without a cache, one process at a time has the audience.
        let which = match kind {
            Kind::Replicas => vec![1, 1],
            Kind::Alone | Kind::AloneWithFile => vec![0],
            Kind::Exchanged => vec![0, 1],
        };
        let count = which.len();
        let mut world = World {
            folder: Some(cx.run_dir.clone()).filter(|_| kind != Kind::Alone),
            cx,
            keys: Arc::new(Keys::default()),
            caches,
            which,
            now: START,
            hands: (0..count).map(|_| Hand::at(START)).collect(),
            offs: vec![0; count],
            services: vec![None; count],
            lingering: Vec::new(),
            issued: Vec::new(),
            model: Model::default(),
            grants: BTreeMap::new(),
        };
        for service in 0..count {
            world.start(service).await;
        }
        // The first ones wait until nobody else can have taken anything.
        world.now += 2 * SKEW + 1000;
        for account in 0..ACCOUNTS.len() {
            world.written(account).await;
        }
        world
    }

    fn set(&self) {
        for (hand, off) in self.hands.iter().zip(&self.offs) {
            hand.0.store(self.now.saturating_add_signed(*off), Ordering::SeqCst);
        }
    }

    async fn start(&mut self, service: usize) {
        self.set();
        let (hand, cache) = (&self.hands[service], self.caches[self.which[service]].clone());
        let folder = self.folder.clone();
        let started = another(&self.cx, &self.keys, &policy(), hand, cache, folder).await.unwrap();
        self.services[service] = Some(Arc::new(started));
    }

    async fn written(&self, account: usize) {
        let grants = self.grants.get(&account).cloned().unwrap_or_default();
        grant(&self.cx, ACCOUNTS[account], &grants.into()).await;
    }

    async fn granted(&mut self, account: usize, which: u8) {
        if self.model.rights.contains_key(&(account, which)) {
            return;
        }
        let (kind, of) =
            [("subscription", "basic"), ("purchase", "other"), ("rental", "rented"), ("event", "final")]
                [usize::from(which)];
        // Some end.
        let until = (which < 2).then_some(self.now + 100_000);
        let right = Right { which, since: self.now, until, played: None };
        self.model.rights.insert((account, which), right);
        let document = json!({ "kind": kind, "of": of, "from_ms": self.now, "until_ms": until });
        self.change(account).await;
        self.grants.entry(account).or_default().insert(which.to_string(), document);
        self.written(account).await;
    }

    async fn revoked(&mut self, account: usize, which: u8) {
        self.model.rights.remove(&(account, which));
        self.change(account).await;
        self.grants.entry(account).or_default().remove(&which.to_string());
        self.written(account).await;
    }

    /// What the service wrote into the grants meanwhile: first plays.
    async fn change(&mut self, account: usize) {
        let records = streamverse_core::stores::open_records("sqlite://here/main", &self.cx).await.unwrap();
        let held = records.get("entitlement-accounts", ACCOUNTS[account]).await.unwrap().unwrap();
        self.grants.insert(account, held.value["grants"].as_object().unwrap().clone());
    }

    fn token(&mut self, asked: &Asked) -> (Asked, Value) {
        if let Some(again) = asked.again.and_then(|at| self.issued.get(at)) {
            return again.clone();
        }
        let issued = self.now.saturating_add_signed(asked.off);
        let mut claims = claims(ACCOUNTS[asked.account], &format!("t{}", self.issued.len()), issued);
        claims["device"] = json!(format!("d{}", asked.device));
        if asked.session {
            claims["session"] = json!("s");
        }
        claims["country"] = json!(if asked.abroad { "DE" } else { "FR" });
        self.issued.push((asked.clone(), claims.clone()));
        (asked.clone(), claims)
    }

    async fn ask(&mut self, all: &[Asked]) -> Result<usize, String> {
        let mut tasks = Vec::new();
        for asked in all {
            let (of, claims) = self.token(asked);
            let service = self.services[asked.service % self.services.len()].clone();
            // Also who was replaced may be asked.
            let old = self.lingering.get(usize::from(asked.device)).cloned().filter(|_| asked.session);
            let Some(service) = old.or(service) else { continue };
            tasks.push(tokio::spawn(async move {
                let answer = service.answer(Some(&bearer(&claims)), &wanted(&[asset(of.asset)])).await;
                (answer.is_ok(), of, claims)
            }));
        }
        let mut given = Vec::new();
        for task in tasks {
            let (ok, asked, claims) = task.await.unwrap();
            if ok {
                given.push((asked, claims));
            }
        }
        self.model.judge(self.now, &given)?;
        Ok(given.len())
    }

    async fn step(&mut self, step: &Step) -> Result<usize, String> {
        match step {
            Step::Pass(time) => self.now += time,
            Step::Ask(all) => {
                self.set();
                return self.ask(all).await;
            }
            Step::Grant(account, which) => self.granted(*account, *which).await,
            Step::Revoke(account, which) => self.revoked(*account, *which).await,
            Step::Clock(service, off) => {
                let place = service % self.offs.len();
                self.offs[place] = *off;
            }
            Step::Restart { service, crash } => {
                self.set();
                let place = service % self.services.len();
                if let Some(old) = self.services[place].take()
                    && !crash
                {
                    old.close().await.unwrap();
                }
                self.start(place).await;
            }
            Step::Exchange { service, cache, end } => {
                self.set();
                let place = service % self.services.len();
                let old = self.services[place].take();
                self.which[place] = *cache;
                match (old, end) {
                    (Some(old), End::InOrder) => old.close().await.unwrap(),
                    (Some(old), End::Lingers) => self.lingering.push(old),
                    _ => {}
                }
                self.start(place).await;
            }
            Step::Empty => {
                // A cache that forgot is a new one to everybody, at once.
                for cache in self.caches.iter().flatten() {
                    for key in self.keys_of_cache() {
                        cache.remove(&key).await.unwrap();
                    }
                }
            }
        }
        Ok(0)
    }

    fn keys_of_cache(&self) -> Vec<String> {
        let digest = |text: &str| {
            use aws_lc_rs::digest;
            hex::encode(&digest::digest(&digest::SHA256, text.as_bytes()).as_ref()[..16])
        };
        let scope = digest("[\"shop\",\"tv\"]");
        let tokens =
            (0..self.issued.len()).map(|it| format!("licence-token/{scope}/{}", digest(&format!("t{it}"))));
        tokens.chain([format!("licence-window/{scope}")]).collect()
    }
}

/// Runs random sequences; how many licences were given in all is told, and must be enough to judge.
fn run(kind: Kind, cases: u32) {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(4).enable_all().build().unwrap();
    let given = AtomicUsize::new(0);
    let mut runner = TestRunner::new(Config {
        cases,
        max_shrink_iters: 200,
        failure_persistence: None,
        ..Config::default()
    });
    let exchanges = if kind == Kind::Exchanged { 3 } else { 0 };
    let sequences = proptest::collection::vec(step(exchanges), 10..50);
    let done = runner.run(&sequences, |steps| {
        let folder = tempfile::tempdir().unwrap();
        runtime.block_on(async {
            let mut world = World::new(folder.path(), kind).await;
            for account in 0..ACCOUNTS.len() {
                for which in 0..4 {
                    world.granted(account, which).await;
                }
            }
            for step in &steps {
                let count = world.step(step).await.map_err(TestCaseError::fail)?;
                given.fetch_add(count, Ordering::Relaxed);
            }
            Ok(())
        })
    });
    if let Err(error) = done {
        panic!("{error}");
    }
    let given = given.into_inner();
    eprintln!("{given} licences were given");
    assert!(given > usize::try_from(cases).unwrap(), "only {given} licences were given: nothing was judged");
}

#[test]
fn one_process_after_another_gives_no_more_than_the_policy_says() {
    run(Kind::Alone, 60);
}

#[test]
fn a_process_that_finds_what_the_one_before_took_gives_no_more_than_the_policy_says() {
    run(Kind::AloneWithFile, 60);
}

#[test]
fn replicas_beside_each_other_give_no_more_than_the_policy_says() {
    run(Kind::Replicas, 60);
}

#[test]
fn no_change_of_what_remembers_tokens_gives_more_than_the_policy_says() {
    run(Kind::Exchanged, 60);
}
