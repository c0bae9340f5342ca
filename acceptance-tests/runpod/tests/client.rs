//! The client against the stand-in: every call as RunPod describes it, and every fault.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use std::time::{Duration, Instant};

use serde_json::json;
use streamverse_compute::cloud::{Candidate, Cloud as _, ErrorClass, GroupSpec, OfferQuery, Stock};
use streamverse_compute_runpod::{
    Action, ApiKey, Availability, Class, Client, Cloud, Config, GpuRequest, Limit, NetworkVolume,
    NetworkVolumeBody, Pod, PodBody, PodStatus, Product, Registry, RegistryBody, Runpod,
};
use streamverse_model::compute::{CloudKind, GroupName, InstanceName, Lifecycle, Money, Tenancy};
use streamverse_model::platform::Name;
use streamverse_runpod_stand_in::{KEY, StandIn};

fn client(it: &StandIn) -> Client {
    Client::new(Config::new(&it.endpoint, ApiKey::new(KEY).unwrap()).unwrap()).unwrap()
}

fn limit() -> Limit {
    Limit::within(Duration::from_secs(60))
}

fn pod(name: &str, gpu: &str, centre: &str) -> PodBody {
    PodBody {
        name: name.to_owned(),
        image: Some("registry.example/streamverse:1".to_owned()),
        gpu: Some(GpuRequest { id: gpu.to_owned(), count: Some(1), min_cuda_version: None }),
        cloud: Some(Cloud::Secure),
        data_center_ids: vec![centre.to_owned()],
        ..PodBody::default()
    }
}

fn volume(name: &str) -> NetworkVolumeBody {
    NetworkVolumeBody { name: name.to_owned(), size: 20, data_center: "EU-RO-1".to_owned(), tier: None }
}

async fn until(client: &Client, id: &str, wanted: PodStatus) -> Pod {
    let end = Instant::now() + Duration::from_secs(30);
    loop {
        let pod = client.get::<Pod>(id, limit()).await.unwrap().unwrap();
        if pod.status == wanted {
            return pod;
        }
        assert!(Instant::now() < end, "{pod:?}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

#[tokio::test]
async fn a_pod_lives_as_the_description_says() {
    let it = StandIn::start();
    let client = client(&it);
    let made = client.obtain::<Pod>("p", &pod("p", "NVIDIA L40S", "EU-RO-1"), limit()).await.unwrap();
    assert!(!made.adopted && made.thing.status == PodStatus::Provisioning, "{made:?}");
    let id = made.thing.id;
    let running = until(&client, &id, PodStatus::Running).await;
    assert_eq!(running.data_center_id.as_deref(), Some("EU-RO-1"));
    assert!(running.cost > 0.0 && running.runtime.is_some());
    let error = client.act(&id, Action::Start, limit()).await.unwrap_err();
    assert_eq!((error.class, error.status), (Class::Conflict, Some(409)));
    client.act(&id, Action::Stop, limit()).await.unwrap();
    let stopped = until(&client, &id, PodStatus::Exited).await;
    assert!(stopped.cost.abs() < f64::EPSILON && stopped.actions.contains(&Action::Start));
    client.act(&id, Action::Start, limit()).await.unwrap();
    until(&client, &id, PodStatus::Running).await;
    assert!(client.delete::<Pod>(&id, limit()).await.unwrap());
    assert!(!client.delete::<Pod>(&id, limit()).await.unwrap(), "twice is once");
    assert!(client.get::<Pod>(&id, limit()).await.unwrap().is_none());
    it.clean().unwrap();
    let account = it.account();
    let end = account.entries.last().unwrap();
    assert!(
        end.seconds.unwrap() > 0.0 && end.dollars.unwrap() > 0.0 && end.class == "NVIDIA L40S/EU-RO-1/SECURE"
    );
}

#[tokio::test]
async fn the_catalogue_tells_stock_and_price_and_a_full_place_is_of_the_class_capacity() {
    let it = StandIn::start();
    let client = client(&it);
    it.stock(&json!({ "gpu": "NVIDIA L4", "free": 0 }));
    it.stock(&json!({ "gpu": "NVIDIA L4", "data_center": "EU-CZ-1", "cloud": "SECURE", "free": 1 }));
    let gpus = client.gpus(Product::Pod, Cloud::Secure, 1, limit()).await.unwrap();
    let of = |id: &str| gpus.iter().find(|gpu| gpu.id == id).unwrap();
    assert_eq!(of("NVIDIA L4").availability, Some(Availability::Low));
    assert_eq!(of("NVIDIA L4").data_centers.iter().map(|it| it.id.as_str()).collect::<Vec<_>>(), ["EU-CZ-1"]);
    assert_eq!(of("NVIDIA L40S").availability, Some(Availability::High));
    assert!(of("NVIDIA L40S").price.secure > 0.0 && of("NVIDIA L40S").pool.as_deref() == Some("ADA_48_PRO"));
    assert!(client.data_centers(limit()).await.unwrap().len() > 1);
    let error = client.obtain::<Pod>("p", &pod("p", "NVIDIA L4", "EU-RO-1"), limit()).await.unwrap_err();
    assert_eq!((error.class, error.status), (Class::Capacity, Some(400)), "{error}");
    client.obtain::<Pod>("p", &pod("p", "NVIDIA L4", "EU-CZ-1"), limit()).await.unwrap();
    let error = client.obtain::<Pod>("q", &pod("q", "NVIDIA L4", "EU-CZ-1"), limit()).await.unwrap_err();
    assert_eq!(error.class, Class::Capacity);
    assert_eq!(it.violations(), Vec::<String>::new());
}

#[tokio::test]
async fn each_refusal_has_its_class_and_is_not_asked_again() {
    let it = StandIn::start();
    let client = client(&it);
    let poor = json!({ "balance": false });
    it.settings(&poor);
    let error = client.obtain::<Pod>("p", &pod("p", "NVIDIA L40S", "EU-RO-1"), limit()).await.unwrap_err();
    assert_eq!((error.class, error.status), (Class::Quota, Some(402)));
    it.settings(&json!({ "spend_limit": 0.5 }));
    let error = client.obtain::<Pod>("p", &pod("p", "NVIDIA L40S", "EU-RO-1"), limit()).await.unwrap_err();
    assert_eq!(error.class, Class::Quota, "{error}");
    it.settings(&json!({}));
    let error = client.obtain::<Pod>("p", &pod("p", "NVIDIA L40", "EU-RO-1"), limit()).await.unwrap_err();
    assert_eq!((error.class, error.status), (Class::Invalid, Some(400)), "{error}");
    let stranger = Config::new(&it.endpoint, ApiKey::new("rpa_of-somebody-else").unwrap()).unwrap();
    let error = Client::new(stranger).unwrap().list::<Pod>(limit()).await.unwrap_err();
    assert_eq!((error.class, error.status), (Class::Auth, Some(401)));
    assert!(!format!("{error} {error:?}").contains("somebody-else"), "a key is in an error");
    if !it.is_checking() {
        return;
    }
    let mut nameless = pod("", "NVIDIA L40S", "EU-RO-1");
    nameless.name = String::new();
    let error = client.obtain::<Pod>("", &nameless, limit()).await.unwrap_err();
    assert_eq!((error.class, error.status), (Class::Invalid, Some(422)), "{error}");
    assert!(error.fields.iter().any(|field| field.starts_with("/name")), "the field is named: {error}");
    let posts = it.calls().iter().filter(|call| call.starts_with("POST")).count();
    assert_eq!(posts, 4, "a refusal was asked again: {:?}", it.calls());
}

#[tokio::test]
async fn too_many_calls_wait_as_long_as_the_answer_says_and_server_faults_pass() {
    let it = StandIn::start();
    let client = client(&it);
    it.faults(&json!([
        { "method": "POST", "path": "/v2/network-volumes", "what": { "answer": { "status": 429, "retry_after": 1 } } },
        { "method": "GET", "path": "/v2/network-volumes", "what": { "answer": { "status": 502 } }, "times": 2 },
        { "method": "DELETE", "path": "/v2/network-volumes", "what": "drop" },
    ]));
    let began = Instant::now();
    let made = client.obtain::<NetworkVolume>("v", &volume("v"), limit()).await.unwrap();
    assert!(began.elapsed() >= Duration::from_secs(1), "the server was not left alone");
    assert!(client.delete::<NetworkVolume>(&made.thing.id, limit()).await.unwrap());
    assert_eq!(it.account().created("volume"), 1);
    it.clean().unwrap();
    // Longer than the call may take: told at once, with the time.
    it.faults(&json!([{ "method": "GET", "what": { "answer": { "status": 429, "retry_after": 300 } } }]));
    let began = Instant::now();
    let error = client.list::<Pod>(Limit::within(Duration::from_secs(5))).await.unwrap_err();
    assert_eq!(error.class, Class::Throttle(Some(Duration::from_secs(300))));
    assert!(began.elapsed() < Duration::from_secs(4));
    // The quota of the minute itself.
    it.settings(&json!({ "per_minute": 1 }));
    let error = client.list::<Pod>(Limit::within(Duration::from_secs(1))).await.unwrap_err();
    assert!(matches!(error.class, Class::Throttle(Some(_))), "{error}");
    assert_eq!(it.violations(), Vec::<String>::new());
}

#[tokio::test]
async fn a_create_whose_answer_is_lost_is_found_by_its_name_and_made_once() {
    let it = StandIn::start();
    let client = client(&it);
    for (number, what) in
        [json!("lose"), json!("done_then500"), json!({ "garbage": { "id": 7 } })].into_iter().enumerate()
    {
        let name = format!("p{number}");
        // Lists miss it for a while, too.
        it.settings(&json!({ "list_lag_ms": 700 }));
        it.faults(&json!([{ "method": "POST", "path": "/v2/pods", "what": what }]));
        let made = client.obtain::<Pod>(&name, &pod(&name, "NVIDIA L40S", "EU-RO-1"), limit()).await.unwrap();
        assert_eq!(made.thing.name, name);
        assert!(!made.adopted);
        assert_eq!(it.account().created("pod"), number + 1, "{what}: {:?}", it.calls());
    }
    // Nothing was done: it is asked for again.
    it.faults(&json!([{ "method": "POST", "path": "/v2/registries", "what": "drop" }]));
    let body = RegistryBody { name: "r".into(), username: "u".into(), password: "planted-7".into() };
    client.obtain::<Registry>("r", &body, limit()).await.unwrap();
    assert_eq!(it.account().created("registry"), 1);
    assert_eq!(it.violations(), Vec::<String>::new());
}

#[tokio::test]
async fn what_an_earlier_run_made_and_lists_did_not_show_yet_is_found_and_one_is_kept() {
    let it = StandIn::start();
    let client = client(&it);
    it.settings(&json!({ "list_lag_ms": 1500 }));
    let by_hand = json!({ "name": "v", "size": 20, "dataCenter": "EU-RO-1" });
    // A run that was killed right after its call.
    assert_eq!(it.api("POST", "/v2/network-volumes", Some(&by_hand)).0, 201);
    // Lists show it well before they show ours.
    tokio::time::sleep(Duration::from_secs(1)).await;
    let made = client.obtain::<NetworkVolume>("v", &volume("v"), limit()).await.unwrap();
    assert_eq!(it.account().created("volume"), 2);
    assert_eq!(it.account().open(), ["volume v"]);
    assert_eq!(it.things("volume")[0]["id"], made.thing.id);
    // And a third time it is simply there.
    assert!(client.obtain::<NetworkVolume>("v", &volume("v"), limit()).await.unwrap().adopted);
    // Two that none of our calls made, with what people put there: people must look.
    it.settings(&json!({}));
    let _ = it.api("POST", "/v2/network-volumes", Some(&by_hand));
    let error = client.obtain::<NetworkVolume>("v", &volume("v"), limit()).await.unwrap_err();
    assert!(error.to_string().contains("there are 2 things named"), "{error}");
}

#[tokio::test]
async fn of_two_creators_at_once_and_of_two_lost_creates_one_pod_is_left() {
    let it = StandIn::start();
    let client = client(&it);
    // None of them runs yet: who runs is not ended under its work.
    it.settings(&json!({ "list_lag_ms": 600, "start_ms": 600_000 }));
    // Several rounds: neither the first nor the second wins always.
    for round in 0..4 {
        let name = format!("p{round}");
        let body = pod(&name, "NVIDIA L40S", "EU-RO-1");
        let (one, two) = tokio::join!(
            client.obtain::<Pod>(&name, &body, limit()),
            client.obtain::<Pod>(&name, &body, limit())
        );
        assert_eq!(one.unwrap().thing.id, two.unwrap().thing.id, "they keep different ones");
        assert_eq!(it.things("pod").len(), round + 1, "{:?}", it.calls());
    }
    // Lists miss the first for longer than it is looked for, and both answers are lost.
    it.settings(&json!({ "list_lag_ms": 3300, "start_ms": 600_000 }));
    it.faults(&json!([{ "method": "POST", "path": "/v2/pods", "what": "lose", "times": 2 }]));
    let body = pod("q", "NVIDIA L40S", "EU-RO-1");
    let kept = client.obtain::<Pod>("q", &body, limit()).await.unwrap().thing;
    assert_eq!((it.clear_faults(), it.account().created("pod")), (0, 10));
    tokio::time::sleep(Duration::from_secs(2)).await;
    let left: Vec<Pod> = client.named("q", limit()).await.unwrap();
    assert_eq!(left.iter().map(|it| it.id.as_str()).collect::<Vec<_>>(), [kept.id.as_str()]);
    // Two that killed runs left: the next run finds both.
    it.settings(&json!({ "start_ms": 600_000 }));
    let again = json!({ "name": "q", "image": "x", "gpu": { "id": "NVIDIA L40S" } });
    assert_eq!(it.api("POST", "/v2/pods", Some(&again)).0, 201);
    assert!(client.obtain::<Pod>("q", &body, limit()).await.unwrap().adopted);
    assert_eq!(it.things("pod").len(), 5);
    assert_eq!(it.violations(), Vec::<String>::new());
}

#[tokio::test]
async fn what_lists_still_show_after_it_was_deleted_is_not_taken_over() {
    let it = StandIn::start();
    let client = client(&it);
    it.settings(&json!({ "list_ghost_ms": 60_000, "terminated_ms": 60_000 }));
    let body = pod("p", "NVIDIA L40S", "EU-RO-1");
    let first = client.obtain::<Pod>("p", &body, limit()).await.unwrap().thing;
    client.delete::<Pod>(&first.id, limit()).await.unwrap();
    let second = client.obtain::<Pod>("p", &body, limit()).await.unwrap();
    assert!(!second.adopted && second.thing.id != first.id, "a terminated pod was taken over");
    let first = client.obtain::<NetworkVolume>("v", &volume("v"), limit()).await.unwrap().thing;
    client.delete::<NetworkVolume>(&first.id, limit()).await.unwrap();
    let second = client.obtain::<NetworkVolume>("v", &volume("v"), limit()).await.unwrap();
    assert!(!second.adopted && second.thing.id != first.id, "a deleted volume was taken over");
    assert_eq!(
        client.named::<NetworkVolume>("v", limit()).await.unwrap().len(),
        2,
        "the list lags no longer"
    );
    let mut open = it.account().open();
    open.sort();
    assert_eq!(open, ["pod p", "volume v"]);
}

#[tokio::test]
async fn lists_are_whole_with_pages_and_without() {
    let it = StandIn::start();
    let client = client(&it);
    for number in 0..7 {
        let body =
            RegistryBody { name: format!("r{number}"), username: "u".into(), password: "planted-7".into() };
        client.obtain::<Registry>(&format!("r{number}"), &body, limit()).await.unwrap();
    }
    for size in [0, 1, 3, 7, 50] {
        it.settings(&json!({ "page_size": size }));
        let all = client.list::<Registry>(limit()).await.unwrap();
        let names: Vec<String> = all.into_iter().map(|it| it.name).collect();
        assert_eq!(names, (0..7).map(|it| format!("r{it}")).collect::<Vec<_>>(), "pages of {size}");
    }
    // Pages that go in a circle, and an answer that is no list.
    it.settings(&json!({}));
    it.faults(&json!([{ "method": "GET", "path": "/v2/registries", "what": { "garbage": { "registries": [], "nextCursor": "x" } }, "times": 2 }]));
    assert!(client.list::<Registry>(limit()).await.unwrap_err().to_string().contains("circle"));
    it.faults(&json!([{ "method": "GET", "path": "/v2/registries", "what": { "garbage": {} } }]));
    assert!(client.list::<Registry>(limit()).await.unwrap_err().to_string().contains("no list"));
}

#[tokio::test]
async fn an_answer_that_never_comes_ends_at_the_deadline() {
    let it = StandIn::start();
    let client = client(&it);
    it.faults(&json!([{ "method": "GET", "what": { "late": 20_000 }, "times": 9 }]));
    let began = Instant::now();
    assert!(client.list::<Pod>(Limit::within(Duration::from_secs(1))).await.is_err());
    assert!(began.elapsed() < Duration::from_secs(10), "{:?}", began.elapsed());
}

#[tokio::test]
async fn a_pod_is_a_real_program_that_gets_sigterm_and_then_sigkill() {
    let it = StandIn::start();
    let client = client(&it);
    let script = r#"trap 'echo term >> "$OUT"; [ -n "$STUBBORN" ] || exit 0' TERM; echo "up $RUNPOD_POD_ID $RUNPOD_STAND_IN_IMAGE $*" >> "$OUT"; while :; do sleep 0.05; done"#;
    // The image decides what runs; the pod's arguments follow.
    let images = json!({ "registry.example/streamverse:1": ["bash", "-c", script, "worker"] });
    it.settings(&json!({ "command": ["false"], "images": images, "grace_ms": 300 }));
    for stubborn in [false, true] {
        let out = it.folder().join(format!("out-{stubborn}"));
        let name = format!("p-{stubborn}");
        let mut body = pod(&name, "NVIDIA L40S", "EU-RO-1");
        body.env = [("OUT".to_owned(), out.display().to_string())].into();
        body.args = Some("--gpu 0".to_owned());
        if stubborn {
            body.env.insert("STUBBORN".to_owned(), "1".to_owned());
        }
        let id = client.obtain::<Pod>(&name, &body, limit()).await.unwrap().thing.id;
        until(&client, &id, PodStatus::Running).await;
        let said = || std::fs::read_to_string(&out).unwrap_or_default();
        let wait = |what: String| {
            let end = Instant::now() + Duration::from_secs(20);
            while !said().contains(&what) {
                assert!(Instant::now() < end, "{}", said());
                std::thread::sleep(Duration::from_millis(10));
            }
        };
        wait(format!("up {id} registry.example/streamverse:1 --gpu 0"));
        client.delete::<Pod>(&id, limit()).await.unwrap();
        wait("term".to_owned());
        let end = Instant::now() + Duration::from_secs(20);
        while running(&out.display().to_string()) {
            assert!(Instant::now() < end, "the program outlives its pod");
            std::thread::sleep(Duration::from_millis(20));
        }
    }
    it.clean().unwrap();
    // A host fails; and what still ends when the stand-in does, does not outlive it.
    it.settings(&json!({ "images": images, "grace_ms": 600_000 }));
    let out = it.folder().join("out-last").display().to_string();
    let mut body = pod("last", "NVIDIA L40S", "EU-RO-1");
    body.env = [("OUT".to_owned(), out.clone()), ("STUBBORN".to_owned(), "1".to_owned())].into();
    let gone = || {
        let end = Instant::now() + Duration::from_secs(20);
        while running(&out) {
            assert!(Instant::now() < end, "a program is left");
            std::thread::sleep(Duration::from_millis(20));
        }
    };
    let id = client.obtain::<Pod>("last", &body, limit()).await.unwrap().thing.id;
    until(&client, &id, PodStatus::Running).await;
    it.kill_pod(&id);
    until(&client, &id, PodStatus::Exited).await;
    gone();
    client.act(&id, Action::Start, limit()).await.unwrap();
    until(&client, &id, PodStatus::Running).await;
    it.lose_pod(&id);
    assert!(client.get::<Pod>(&id, limit()).await.unwrap().is_none());
    gone();
    let id = client.obtain::<Pod>("last", &body, limit()).await.unwrap().thing.id;
    until(&client, &id, PodStatus::Running).await;
    client.delete::<Pod>(&id, limit()).await.unwrap();
    drop(it);
    gone();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_call_is_held_before_or_after_it_took_effect_until_its_client_dies_or_the_test_lets_it_go() {
    let it = StandIn::start();
    let client = client(&it);
    let ask = |name: &'static str| {
        let client = client.clone();
        tokio::spawn(async move { client.obtain::<NetworkVolume>(name, &volume(name), limit()).await })
    };
    // The second call that changes something, whatever was read in between.
    it.faults(&json!([{ "mutating": true, "after": 1, "what": "hold_before" }]));
    ask("a").await.unwrap().unwrap();
    let second = ask("b");
    tokio::task::block_in_place(|| it.until_held());
    second.abort();
    let _ = second.await;
    // The stand-in sees that its client is gone, and forgets the call.
    while it.held() > 0 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    it.release();
    assert_eq!(it.account().open(), ["volume a"], "it was done");
    it.faults(&json!([{ "mutating": true, "what": "hold_after" }]));
    let third = ask("c");
    tokio::task::block_in_place(|| it.until_held());
    assert_eq!(it.account().created("volume"), 2, "it was not done");
    it.release();
    assert!(!third.await.unwrap().unwrap().adopted);
    // Prices change under what runs.
    it.price(&json!({ "gpu": "NVIDIA L4", "of": "community", "dollars": 0.11 }));
    let gpus = client.gpus(Product::Pod, Cloud::Community, 1, limit()).await.unwrap();
    let l4 = gpus.iter().find(|gpu| gpu.id == "NVIDIA L4").unwrap();
    assert_eq!((l4.price.community, l4.price.secure), (0.11, 0.43));
    assert_eq!(it.violations(), Vec::<String>::new());
}

#[tokio::test]
async fn a_fleet_buys_finds_and_gives_back_pods_by_their_names() {
    let it = StandIn::start();
    let runpod = Runpod::new(client(&it), Duration::from_secs(60));
    let candidate = |gpu: &str, region: &str| Candidate {
        key: format!("{}-{}", gpu.replace("NVIDIA ", "").to_lowercase(), region.to_lowercase()),
        cloud: CloudKind::Runpod,
        region: region.to_owned(),
        zone: None,
        shape: gpu.to_owned(),
        gpus: 1,
        tenancy: Tenancy::Secure,
    };
    it.stock(&json!({ "gpu": "NVIDIA L4", "data_center": "EU-RO-1", "free": 0 }));
    let query = OfferQuery {
        candidates: vec![
            candidate("NVIDIA L4", "EU-RO-1"),
            candidate("NVIDIA L40S", "EU-CZ-1"),
            candidate("NVIDIA X9", "EU-CZ-1"),
        ],
    };
    let offers = runpod.offers(&query).await.unwrap();
    let told: Vec<_> = offers.iter().map(|it| (it.candidate.shape.as_str(), it.stock, it.hourly)).collect();
    assert_eq!(
        told,
        [
            ("NVIDIA L4", Stock::None, Money::micros(430_000)),
            ("NVIDIA L40S", Stock::High, Money::micros(860_000))
        ]
    );
    assert!(runpod.offers(&OfferQuery::default()).await.unwrap().len() > 20, "all that the catalogue lists");

    let spec = |deployment: &str, gpu: &str, region: &str| GroupSpec {
        name: GroupName::new(deployment, "encode", "d-l40s").unwrap(),
        candidate: candidate(gpu, region),
        lifecycle: Lifecycle::OnDemand,
        max: 4,
        max_hourly: Some(Money::micros(900_000)),
        image: "registry.example/streamverse:1".to_owned(),
        environment: [("MODE".to_owned(), "gpu".to_owned())].into(),
        options: [("disk_gb".to_owned(), "30".to_owned())].into(),
    };
    let one = spec("prod", "NVIDIA L40S", "EU-CZ-1");
    let name = |spec: &GroupSpec, number| InstanceName { group: spec.name.clone(), number };
    runpod.ensure_group(&one).await.unwrap();
    it.faults(&json!([{ "method": "POST", "path": "/v2/pods", "what": "lose" }]));
    let first = runpod.launch(&one, &name(&one, 1)).await.unwrap();
    let again = runpod.launch(&one, &name(&one, 1)).await.unwrap();
    assert_eq!((first.id.as_str(), it.account().created("pod")), (again.id.as_str(), 1), "one name, one pod");
    let other = spec("other", "NVIDIA L40S", "EU-RO-1");
    runpod.launch(&other, &name(&other, 1)).await.unwrap();
    let _ = it.api(
        "POST",
        "/v2/pods",
        Some(&json!({ "name": "by hand", "image": "x", "gpu": { "id": "NVIDIA L40S" } })),
    );
    let prod = Name::parse("prod").unwrap();
    let mine = runpod.instances(&prod).await.unwrap();
    assert_eq!(
        mine.iter().map(|it| it.id.as_str()).collect::<Vec<_>>(),
        [first.id.as_str()],
        "others' and people's are not ours"
    );
    // A launch whose answer was lost came to two after all: the younger goes.
    let (_, pod) = it.api("GET", &format!("/v2/pods/{}", first.id), None);
    let twin = json!({ "name": pod["name"], "image": "x", "gpu": { "id": "NVIDIA L40S" } });
    tokio::time::sleep(Duration::from_millis(1100)).await;
    assert_eq!(it.api("POST", "/v2/pods", Some(&twin)).0, 201);
    let again = runpod.instances(&prod).await.unwrap();
    assert_eq!(again.iter().map(|it| it.id.as_str()).collect::<Vec<_>>(), [first.id.as_str()]);
    assert_eq!(it.things("pod").iter().filter(|it| it["name"] == pod["name"]).count(), 1);
    assert!(mine[0].launched_ms.is_some() && mine[0].hourly == Some(Money::micros(860_000)));

    // A full place, a price above the ceiling, no money, and what RunPod has not.
    let full = spec("prod", "NVIDIA L4", "EU-RO-1");
    assert_eq!(runpod.launch(&full, &name(&full, 2)).await.unwrap_err().class, ErrorClass::Capacity);
    let dear = spec("prod", "NVIDIA A100 80GB PCIe", "EU-RO-1");
    assert_eq!(runpod.launch(&dear, &name(&dear, 3)).await.unwrap_err().class, ErrorClass::Capacity);
    assert!(!it.account().open().iter().any(|open| open.contains("--3")), "what is too dear was kept");
    // It is too dear, and giving it back fails: it may be there, and whoever asked must know.
    it.faults(&json!([{ "method": "DELETE", "what": { "answer": { "status": 409, "detail": "the pod is locked" } } }]));
    let error = runpod.launch(&dear, &name(&dear, 5)).await.unwrap_err();
    assert_eq!(error.class, ErrorClass::Unknown, "{error}");
    let kept = runpod.instances(&prod).await.unwrap();
    let kept = kept.iter().find(|it| it.name == Some(name(&dear, 5))).expect("it is listed under its name");
    runpod.terminate(kept).await.unwrap();
    it.settings(&json!({ "balance": false }));
    assert_eq!(runpod.launch(&one, &name(&one, 4)).await.unwrap_err().class, ErrorClass::Auth);
    // Refusals by their status, and how long the server wants to be left alone.
    it.settings(&json!({}));
    let brief = Runpod::new(client(&it), Duration::from_secs(5));
    for (answer, class, after) in [
        (json!({ "status": 401 }), ErrorClass::Auth, None),
        // This account may not have this: others it may.
        (json!({ "status": 403 }), ErrorClass::Permanent, None),
        (json!({ "status": 402 }), ErrorClass::Auth, None),
        (json!({ "status": 400, "detail": "Your account balance is too low" }), ErrorClass::Auth, None),
        (json!({ "status": 400, "detail": "the quota of pods is reached" }), ErrorClass::Quota, None),
        (json!({ "status": 429, "retry_after": 77 }), ErrorClass::Throttle, Some(77)),
        (json!({ "status": 503, "retry_after": 9 }), ErrorClass::Throttle, Some(9)),
    ] {
        it.faults(&json!([{ "method": "POST", "what": { "answer": answer } }]));
        let error = brief.launch(&one, &name(&one, 4)).await.unwrap_err();
        assert_eq!(
            (error.class, error.retry_after),
            (class, after.map(Duration::from_secs)),
            "{answer}: {error}"
        );
    }
    let spot = GroupSpec { lifecycle: Lifecycle::Spot, ..one.clone() };
    assert_eq!(runpod.ensure_group(&spot).await.unwrap_err().class, ErrorClass::Permanent);
    let odd = GroupSpec { options: [("bid".to_owned(), "1".to_owned())].into(), ..one };
    assert!(runpod.ensure_group(&odd).await.unwrap_err().message.contains("there is no option \"bid\""));

    runpod.terminate(&first).await.unwrap();
    runpod.terminate(&first).await.unwrap();
    assert_eq!(runpod.instances(&prod).await.unwrap(), []);
    assert_eq!(it.violations(), Vec::<String>::new());
}

/// Whether a process has this in its environment.
fn running(text: &str) -> bool {
    std::fs::read_dir("/proc").unwrap().flatten().any(|entry| {
        let environment = std::fs::read(entry.path().join("environ")).unwrap_or_default();
        String::from_utf8_lossy(&environment).contains(&format!("OUT={text}"))
    })
}
