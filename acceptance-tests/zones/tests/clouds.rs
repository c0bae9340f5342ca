//! The adapter against the stand-in's process: groups, markets, notices, lists, and every way in which a call goes wrong.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test stops at the first thing that is not as it must be"
)]

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::{Value, json};
use streamverse_compute::cloud::{
    Candidate, Cloud as _, CloudError, ErrorClass, GroupSpec, Instance, NoticeKind, OfferQuery, Phase,
    group_key,
};
use streamverse_model::compute::{CloudKind, GpuClass, GroupName, Lifecycle, Money, Tenancy};
use streamverse_model::platform::Name;
use streamverse_zones_stand_in::{Config, EPOCH_MS, KEY, QuotaConfig, Settings, StandIn, ZonesCloud};

const CLOUDS: [CloudKind; 3] = [CloudKind::Aws, CloudKind::Gcp, CloudKind::Azure];
const MINUTE: u64 = 60_000;

fn deployment() -> Name {
    Name::parse("test").unwrap()
}

fn spec(cloud: CloudKind, zone: &str, lifecycle: Lifecycle) -> GroupSpec {
    let candidate = Candidate {
        key: zone.to_owned(),
        cloud,
        region: zone.trim_end_matches(['a', 'b']).to_owned(),
        zone: Some(zone.to_owned()),
        shape: "g6.xlarge".to_owned(),
        gpus: 1,
        tenancy: Tenancy::Secure,
    };
    GroupSpec {
        name: GroupName::new("test", "encode", &group_key(lifecycle, zone)).unwrap(),
        candidate,
        lifecycle,
        max: 8,
        max_hourly: None,
        image: "worker:1".to_owned(),
        environment: BTreeMap::new(),
        options: BTreeMap::new(),
    }
}

/// A stand-in with two zones, and a group in the first.
async fn begin(kind: CloudKind, spot: u32) -> (StandIn, ZonesCloud, GroupSpec) {
    let config = Config::new().zone(kind, "z-1a", spot).zone(kind, "z-1b", spot);
    let stand_in = StandIn::start(&config);
    let cloud = stand_in.cloud(kind);
    let spec = spec(kind, "z-1a", Lifecycle::Spot);
    cloud.ensure_group(&spec).await.unwrap();
    (stand_in, cloud, spec)
}

async fn all(cloud: &ZonesCloud) -> Vec<Instance> {
    cloud.instances(&deployment()).await.unwrap()
}

fn class(result: Result<(), CloudError>) -> Option<ErrorClass> {
    result.err().map(|error| error.class)
}

#[tokio::test]
async fn a_group_grows_to_its_size_and_shrinks_by_what_is_ended_on_each_cloud() {
    for kind in CLOUDS {
        let (stand_in, cloud, spec) = begin(kind, 4).await;
        cloud.resize(&spec.name, 3).await.unwrap();
        cloud.resize(&spec.name, 3).await.unwrap();
        let found = all(&cloud).await;
        assert_eq!((found.len(), found[0].phase), (3, Phase::Starting));
        assert_eq!((&found[0].group, found[0].zone.as_deref()), (&spec.name, Some("z-1a")));
        assert_eq!(found[0].launched_ms, Some(EPOCH_MS));
        assert_eq!(
            class(cloud.resize(&spec.name, 2).await),
            Some(ErrorClass::Permanent),
            "whose turn is it?"
        );
        assert_eq!(
            class(cloud.delete_group(&spec.name).await),
            Some(ErrorClass::Permanent),
            "it has instances"
        );
        stand_in.advance(5 * MINUTE);
        assert!(all(&cloud).await.iter().all(|it| it.phase == Phase::Running));
        for one in &found {
            cloud.terminate(one).await.unwrap();
            cloud.terminate(one).await.unwrap();
        }
        assert_eq!(cloud.groups(&deployment()).await.unwrap()[0].size, 0);
        assert!(cloud.groups(&Name::parse("other").unwrap()).await.unwrap().is_empty());
        cloud.delete_group(&spec.name).await.unwrap();
        cloud.delete_group(&spec.name).await.unwrap();
        let account = stand_in.account();
        assert_eq!((account.launches(), account.left()), (3, Vec::new()));
        assert!((account.seconds(Lifecycle::Spot, stand_in.now()) - 900.0).abs() < 1e-9);
        assert_eq!(account.cost(Some("encode"), 0, stand_in.now()), Money::micros(82_500));
    }
}

#[tokio::test]
async fn a_zone_takes_back_its_spot_after_each_clouds_own_notice_and_leaves_on_demand_alone() {
    for kind in CLOUDS {
        let (stand_in, cloud, spot) = begin(kind, 4).await;
        let full = spec(kind, "z-1a", Lifecycle::OnDemand);
        cloud.ensure_group(&full).await.unwrap();
        cloud.resize(&spot.name, 3).await.unwrap();
        cloud.resize(&full.name, 1).await.unwrap();
        stand_in.advance(10 * MINUTE);
        stand_in.market(&json!({ "zone": "z-1a", "spot": 1 }));
        let notice = cloud.capabilities().notice.unwrap().as_millis() as u64;
        let told = cloud.notices(&deployment()).await.unwrap();
        assert_eq!(told.len(), 2, "one of three may stay");
        let at = EPOCH_MS + 10 * MINUTE + notice;
        assert!(told.iter().all(|it| it.kind == NoticeKind::Preemption && it.at_ms == Some(at)), "{told:?}");
        stand_in.advance(notice - 1);
        assert_eq!(all(&cloud).await.len(), 4);
        stand_in.advance(1);
        let left = all(&cloud).await;
        assert_eq!(left.len(), 2);
        assert!(left.iter().all(|it| told.iter().all(|gone| gone.id != it.id)));
        assert_eq!(class(cloud.resize(&spot.name, 2).await), Some(ErrorClass::Capacity));
        stand_in.market(&json!({ "zone": "z-1a", "spot": null }));
        cloud.resize(&spot.name, 2).await.unwrap();
        let account = stand_in.account();
        assert_eq!(account.preemptions(), 2);
        let gone: Vec<_> = account.lives().into_iter().filter(|it| it.preempted).collect();
        assert!(gone.iter().all(|it| it.end_ms.unwrap() - it.notice_ms.unwrap() == notice));
        assert_eq!(account.most_on_demand(), [(kind, GpuClass::Gpu, 1)]);
    }
}

#[tokio::test]
async fn what_a_trace_takes_is_announced_before_it_goes_and_the_clock_may_jump() {
    let mut config = Config::new().zone(CloudKind::Aws, "z-1a", 0).zone(CloudKind::Gcp, "z-1b", 0);
    config.gap_ms = 10 * MINUTE;
    for zone in &mut config.zones {
        zone.available = vec![4, 4, 0, 4];
    }
    let stand_in = StandIn::start(&config);
    for (kind, zone) in [(CloudKind::Aws, "z-1a"), (CloudKind::Gcp, "z-1b")] {
        let (cloud, spec) = (stand_in.cloud(kind), spec(kind, zone, Lifecycle::Spot));
        cloud.ensure_group(&spec).await.unwrap();
        cloud.resize(&spec.name, 4).await.unwrap();
    }
    stand_in.advance(60 * MINUTE);
    let lives = stand_in.account().lives();
    assert_eq!(lives.len(), 8);
    for life in lives {
        let notice = if life.launch.cloud == CloudKind::Aws { 120_000 } else { 30_000 };
        let end = EPOCH_MS + 20 * MINUTE;
        assert_eq!((life.ready_ms, life.end_ms), (Some(EPOCH_MS + 5 * MINUTE), Some(end)));
        assert_eq!(life.notice_ms, Some(end - notice));
    }
    let ready = stand_in.account().timeline(4, EPOCH_MS, EPOCH_MS + 60 * MINUTE);
    assert!((ready.all_ready - 0.25).abs() < 1e-9 && (ready.none_ready - 0.75).abs() < 1e-9, "{ready:?}");
}

#[tokio::test]
async fn each_refusal_has_its_class_whatever_words_a_cloud_has_for_it() {
    for kind in CLOUDS {
        let (stand_in, cloud, spec) = begin(kind, 4).await;
        for (why, class) in [
            ("capacity", ErrorClass::Capacity),
            ("quota", ErrorClass::Quota),
            ("balance", ErrorClass::Auth),
            ("forbidden", ErrorClass::Auth),
            ("invalid", ErrorClass::Permanent),
            ("internal", ErrorClass::Unknown),
        ] {
            stand_in.faults(&json!([{ "method": "POST", "what": { "refuse": { "why": why } } }]));
            let error = cloud.resize(&spec.name, 1).await.unwrap_err();
            assert_eq!(error.class, class, "{kind} {why}: {error}");
            assert!(!format!("{error:?}").contains(KEY), "{error:?}");
        }
        stand_in.faults(&json!([
            { "what": { "refuse": { "why": "throttle", "retry_after": 17 } } },
            { "what": { "answer": { "status": 400, "message": "There are no longer any instances available" } } },
            { "what": { "answer": { "status": 503, "retry_after": 3 } } },
            { "method": "GET", "what": { "refuse": { "why": "internal" } } },
        ]));
        let error = cloud.resize(&spec.name, 1).await.unwrap_err();
        assert_eq!((error.class, error.retry_after), (ErrorClass::Throttle, Some(Duration::from_secs(17))));
        assert_eq!(class(cloud.resize(&spec.name, 1).await), Some(ErrorClass::Capacity));
        assert_eq!(class(cloud.resize(&spec.name, 1).await), Some(ErrorClass::Throttle));
        assert_eq!(cloud.instances(&deployment()).await.unwrap_err().class, ErrorClass::Transient);
        assert_eq!((stand_in.clear_faults(), stand_in.account().launches()), (0, 0));
        let stranger = ZonesCloud::new(&stand_in.endpoint, "wrong", kind, Duration::from_secs(5));
        assert_eq!(stranger.instances(&deployment()).await.unwrap_err().class, ErrorClass::Auth);
    }
}

#[tokio::test]
async fn a_lost_answer_is_an_unknown_outcome_and_a_list_says_what_became_of_it() {
    let (stand_in, cloud, spec) = begin(CloudKind::Aws, 4).await;
    for (what, had) in
        [(json!("lose"), 1), (json!("drop"), 1), (json!("done_then500"), 2), (json!({ "garbage": "?" }), 3)]
    {
        stand_in.faults(&json!([{ "mutating": true, "path": "/size", "what": what }]));
        let size = all(&cloud).await.len() as u32 + 1;
        let class = class(cloud.resize(&spec.name, size).await);
        assert!(matches!(class, Some(ErrorClass::Unknown) | None), "{what}: {class:?}");
        assert_eq!(all(&cloud).await.len(), had, "{what}");
    }
    // A read that is lost was only not answered.
    stand_in.faults(&json!([{ "method": "GET", "what": "lose" }]));
    assert_eq!(cloud.groups(&deployment()).await.unwrap_err().class, ErrorClass::Transient);
    // What comes too late is lost as well, and what was ended then is ended.
    let hasty = ZonesCloud::new(&stand_in.endpoint, KEY, CloudKind::Aws, Duration::from_millis(300));
    stand_in.faults(&json!([{ "method": "DELETE", "what": { "late": 2000 } }]));
    let one = all(&cloud).await.remove(0);
    assert_eq!(class(hasty.terminate(&one).await), Some(ErrorClass::Unknown));
    assert_eq!(all(&cloud).await.len(), 2);
    // Nobody listens: nothing was sent.
    let nobody = ZonesCloud::new("http://127.0.0.1:9", KEY, CloudKind::Aws, Duration::from_secs(5));
    assert_eq!(class(nobody.resize(&spec.name, 1).await), Some(ErrorClass::Transient));
}

#[tokio::test]
async fn a_call_is_held_before_or_after_it_is_done_until_it_is_let_go() {
    let (stand_in, cloud, spec) = begin(CloudKind::Aws, 4).await;
    for (what, had) in [("hold_before", 0), ("hold_after", 2)] {
        stand_in.faults(&json!([{ "mutating": true, "after": 0, "what": what }]));
        let size = all(&cloud).await.len() as u32 + 1;
        let look = stand_in.cloud(CloudKind::Aws);
        let held = async {
            loop {
                tokio::time::sleep(Duration::from_millis(10)).await;
                if stand_in.is_held() {
                    break;
                }
            }
            assert_eq!(all(&look).await.len(), had, "{what}");
            stand_in.clear_faults();
        };
        let (done, ()) = tokio::join!(cloud.resize(&spec.name, size), held);
        done.unwrap();
        assert_eq!(all(&cloud).await.len(), size as usize);
    }
}

#[tokio::test]
async fn lists_have_pages_show_late_what_is_new_and_for_a_while_what_is_gone() {
    let (stand_in, cloud, spec) = begin(CloudKind::Gcp, 7).await;
    cloud.resize(&spec.name, 7).await.unwrap();
    for page_size in [1, 3, 7, 0] {
        stand_in.settings(&Settings { page_size, ..Settings::default() });
        let ids: Vec<String> = all(&cloud).await.into_iter().map(|it| it.id).collect();
        assert_eq!(ids.len(), 7, "pages of {page_size}");
        assert!(ids.is_sorted() && ids.windows(2).all(|it| it[0] != it[1]));
    }
    let late = Settings { list_late_ms: 40_000, gone_late_ms: 20_000, ..Settings::default() };
    stand_in.settings(&late);
    cloud.terminate(&all(&cloud).await[0]).await.unwrap();
    cloud.resize(&spec.name, 7).await.unwrap();
    assert_eq!(all(&cloud).await.len(), 7, "the old one is still listed, the new one not yet");
    stand_in.advance(20_000);
    assert_eq!(all(&cloud).await.len(), 6);
    stand_in.advance(20_000);
    assert_eq!(all(&cloud).await.len(), 7);
    assert_eq!(stand_in.account().launches(), 8);
}

#[tokio::test]
async fn quotas_balances_prices_and_limits_of_calls_are_kept() {
    let mut config = Config::new().zone(CloudKind::Azure, "z-1a", 9).zone(CloudKind::Azure, "y-1a", 9);
    let quota = |region: &str, limit| QuotaConfig {
        cloud: CloudKind::Azure,
        region: region.to_owned(),
        lifecycle: Lifecycle::Spot,
        limit,
    };
    config.quotas = vec![quota("z-1", 2), quota("", 3)];
    let stand_in = StandIn::start(&config);
    let cloud = stand_in.cloud(CloudKind::Azure);
    let (here, there) =
        (spec(CloudKind::Azure, "z-1a", Lifecycle::Spot), spec(CloudKind::Azure, "y-1a", Lifecycle::Spot));
    cloud.ensure_group(&here).await.unwrap();
    cloud.ensure_group(&there).await.unwrap();
    cloud.resize(&here.name, 2).await.unwrap();
    assert_eq!(class(cloud.resize(&here.name, 3).await), Some(ErrorClass::Quota));
    // Half of it is had: the group says why it is no more.
    cloud.resize(&there.name, 2).await.unwrap();
    let groups = cloud.groups(&deployment()).await.unwrap();
    let short = groups.iter().find(|it| it.name == there.name).unwrap();
    assert_eq!((short.size, short.refused.as_ref().unwrap().0), (1, ErrorClass::Quota));
    let quotas = cloud.quotas().await.unwrap();
    assert_eq!(quotas.iter().map(|it| (it.used, it.limit)).collect::<Vec<_>>(), [(2, 2), (3, 3)]);
    let offers = cloud.offers(&OfferQuery { candidates: vec![here.candidate.clone()] }).await.unwrap();
    assert_eq!(
        offers.iter().map(|it| it.hourly).collect::<Vec<_>>(),
        [330_000, 1_000_000].map(Money::micros)
    );
    stand_in.settings(&Settings { no_balance: true, ..Settings::default() });
    assert_eq!(class(cloud.resize(&there.name, 2).await), Some(ErrorClass::Auth));
    stand_in.settings(&Settings { per_minute: 2, ..Settings::default() });
    stand_in.advance(MINUTE);
    for _ in 0..2 {
        assert_eq!(all(&cloud).await.len(), 3);
    }
    let error = cloud.instances(&deployment()).await.unwrap_err();
    assert_eq!((error.class, error.retry_after), (ErrorClass::Throttle, Some(Duration::from_secs(60))));
    stand_in.advance(MINUTE);
    assert_eq!(all(&cloud).await.len(), 3);
}

#[tokio::test]
async fn a_group_that_keeps_its_size_takes_what_comes_back() {
    let (stand_in, cloud, spec) = begin(CloudKind::Aws, 1).await;
    stand_in.settings(&Settings { keeps: true, ..Settings::default() });
    cloud.resize(&spec.name, 2).await.unwrap();
    let group: Value = json!(all(&cloud).await.len());
    assert_eq!(group, 1);
    let found = cloud.groups(&deployment()).await.unwrap().remove(0);
    assert_eq!((found.size, found.refused.unwrap().0), (2, ErrorClass::Capacity));
    stand_in.market(&json!({ "zone": "z-1a", "spot": 2 }));
    assert_eq!(all(&cloud).await.len(), 2);
    assert!(cloud.groups(&deployment()).await.unwrap()[0].refused.is_none());
    stand_in.market(&json!({ "zone": "z-1a", "spot": 0 }));
    stand_in.advance(2 * MINUTE);
    assert!(all(&cloud).await.is_empty());
    // It goes on asking until it is told to be smaller.
    cloud.resize(&spec.name, 0).await.unwrap();
    stand_in.market(&json!({ "zone": "z-1a", "spot": 2 }));
    assert!(all(&cloud).await.is_empty());
}

#[tokio::test]
async fn the_same_seed_gives_the_same_faults_and_time_can_run_by_itself() {
    let mut said = Vec::new();
    for _ in 0..2 {
        let (stand_in, cloud, spec) = begin(CloudKind::Aws, 100).await;
        stand_in.chances(&json!({ "seed": 7, "throttle": 200, "quota": 100, "lose": 100, "drop": 100, "done_then_500": 100 }));
        let mut classes = Vec::new();
        for size in 1..8 {
            classes.push(class(cloud.resize(&spec.name, size).await));
        }
        assert!(classes.iter().any(Option::is_some), "{classes:?}");
        said.push(classes);
        stand_in.run(100_000.0);
        let before = stand_in.now();
        std::thread::sleep(Duration::from_millis(20));
        assert!(stand_in.now() >= before + 2000 * 1000, "100,000 times as fast");
        stand_in.run(0.0);
        assert_eq!(stand_in.now(), stand_in.now());
    }
    assert_eq!(said[0], said[1]);
}
