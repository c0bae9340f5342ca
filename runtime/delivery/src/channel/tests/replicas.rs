//! Several replicas on one catalogue: the same answers, whoever announced what, through restarts, outages and changes.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use axum::http::StatusCode;
use object_store::ObjectStoreExt as _;
use serde_json::json;
use streamverse_core::ServiceContext;
use streamverse_core::stores::open_records;
use streamverse_model::platform::Owner;

use super::super::kit::{Asset, NOON, World, ask, spec, text};
use super::super::packages::Packages;
use super::super::service::Channel;
use super::super::shared::Stores;
use super::playlist::{Playlist, Segment};

const ALL: [&str; 8] = [
    "hls.m3u8",
    "video/180p.m3u8",
    "video/360p.m3u8?_HLS_skip=v2",
    "audio/de.m3u8",
    "text/en.m3u8",
    "dash.mpd",
    "now.json",
    "dash.mpd?from=2026-11-26T11:59:00Z",
];

async fn whole(channel: &Channel) -> Vec<(StatusCode, String)> {
    let mut all = Vec::new();
    for path in ALL {
        let (status, _, body) = ask(channel, path).await;
        all.push((status, body));
    }
    all
}

async fn segments(channel: &Channel) -> Vec<Segment> {
    Playlist::read(&text(channel, "video/180p.m3u8").await, None).segments
}

/// What was shown until now stays as it was, and nothing is passed over.
#[derive(Default)]
struct Watched(BTreeMap<u64, Segment>);

impl Watched {
    async fn look(&mut self, channel: &Channel) {
        for it in segments(channel).await {
            let it = Segment { dated: None, discontinuity: false, ..it };
            let same = self.0.entry(it.msn).or_insert_with(|| it.clone());
            assert_eq!((same.dsn, &same.uri, &same.map), (it.dsn, &it.uri, &it.map), "a segment changed");
            assert!(same.at.abs_diff(it.at) <= 2_000, "a segment moved");
        }
        let numbers: Vec<u64> = self.0.keys().copied().collect();
        assert!(numbers.windows(2).all(|two| two[1] == two[0] + 1), "a segment was passed over");
    }
}

#[tokio::test]
async fn replicas_that_begin_at_once_take_turns_and_are_restarted_answer_byte_for_byte_the_same() {
    let world = World::new().await;
    world.usual().await;
    let mut all = [world.replica(&spec()).await, world.replica(&spec()).await];
    tokio::join!(all[0].turn(), all[1].turn());
    let mut watched = Watched::default();
    for step in 0..400_u64 {
        world.at(NOON + step * 3_700);
        match step % 5 {
            // At once, one after the other, one alone; then one begins anew.
            0 => drop(tokio::join!(all[0].turn(), all[1].turn())),
            1 => all[1].turn().await,
            2 => all[0].turn().await,
            3 if step % 35 == 3 => {
                all[0] = world.replica(&spec()).await;
                all[0].turn().await;
            }
            _ => {}
        }
        let (one, two) = (whole(&all[0]).await, whole(&all[1]).await);
        assert!(one == two, "they differ at {}:\n{one:?}\n{two:?}", world.now());
        watched.look(&all[(step % 2) as usize]).await;
    }
    assert!(watched.0.len() > 300);
}

/// Clocks that differ by seconds, and by more than anybody's clock should. What a replica shows follows from its instant alone;
/// so a viewer who is sent from one to another finds nothing changed and nothing missing, and is set back by no more than the
/// clocks differ.
#[tokio::test]
async fn replicas_whose_clocks_differ_answer_the_same_for_the_same_instant_and_no_viewer_sees_a_change() {
    let offsets = [0_i64, 2_000, -2_000, 30_000, -30_000];
    let world = World::new().await;
    world.usual().await;
    let mut all = Vec::new();
    for offset in offsets {
        all.push(world.replica_whose(&spec(), move |now| now.saturating_add_signed(offset)).await);
    }
    let (mut told, mut watched) = (BTreeMap::new(), Watched::default());
    let (mut compared, mut latest, mut own) = (0, 0, [0_u64; 5]);
    for step in 0..220_usize {
        world.at(NOON + step as u64 * 2_000);
        // Who announces is another one each time.
        for turn in 0..all.len() {
            all[(turn + step) % all.len()].turn().await;
        }
        for (at, offset) in offsets.iter().enumerate() {
            let instant = world.now().saturating_add_signed(*offset);
            let says = whole(&all[at]).await;
            if let Some(other) = told.get(&instant) {
                compared += 1;
                assert!(*other == says, "{offset} ms off at {instant}:\n{other:?}\n{says:?}");
            } else {
                told.insert(instant, says);
            }
        }
        let at = step * 7 % all.len();
        watched.look(&all[at]).await;
        let list = Playlist::read(&text(&all[at], "video/180p.m3u8").await, None);
        let end = list.segments.last().map(|it| it.at / 1000 + it.micros / 1000).unwrap();
        assert!(end + 60_000 + list.target * 1000 >= latest, "set back from {latest} to {end}");
        assert!(end >= own[at], "one replica by itself never goes back");
        (latest, own[at]) = (latest.max(end), end);
    }
    assert!(compared > 700, "{compared}");
}

/// A leap second as a clock that is set back by a second, and as one that is slower for some minutes, at once: 2026-11-26T12:10.
#[tokio::test]
async fn a_leap_second_takes_nothing_back_whether_a_clock_is_set_back_or_smears_it() {
    let world = World::new().await;
    world.usual().await;
    let leap = NOON + 600_000;
    let set_back = world.replica_whose(&spec(), move |now| now - if now >= leap { 1_000 } else { 0 }).await;
    let smeared = world
        .replica_whose(&spec(), move |now| now - now.saturating_sub(leap - 300_000).min(600_000) / 600)
        .await;
    let all = [set_back, smeared];
    let (mut watched, mut latest, mut times) =
        (Watched::default(), [0_u64; 2], [String::new(), String::new()]);
    for step in 0..1_300_u64 {
        // Four times in a second around the leap: the clock says the same second twice.
        let fine = leap - 3_000 + step.saturating_sub(500) * 250;
        world.at(if step < 500 { NOON + step * 1_194 } else { fine.max(NOON + 597_000) });
        for (at, replica) in all.iter().enumerate() {
            replica.turn().await;
            assert_eq!(replica.announced.trouble(), None);
            watched.look(replica).await;
            let end = segments(replica).await.last().map(|it| it.msn).unwrap();
            assert!(end >= latest[at], "{at} went back at {}", world.now());
            latest[at] = end;
            let (_, _, time) = ask(replica, "time").await;
            assert!(time >= times[at], "{at}: {time} after {}", times[at]);
            times[at] = time;
        }
    }
    // The smear is over when the leap was five minutes ago.
    world.at(leap + 300_000);
    for replica in &all {
        replica.turn().await;
    }
    assert!(whole(&all[0]).await == whole(&all[1]).await, "both are a second later than before");
}

#[tokio::test]
async fn a_changed_schedule_never_rewrites_what_was_announced_and_holds_from_the_horizon_on() {
    let world = World::new().await;
    world.usual().await;
    let one = world.replica(&spec()).await;
    one.turn().await;
    let announced: Vec<_> = one.announced.timeline().entries().iter().map(|it| it.item.clone()).collect();
    let horizon = one.announced.timeline().known_until().unwrap();
    let mut changed = spec();
    changed["schedule"] = json!({ "order": { "items": ["spot"] } });
    changed["ad_breaks"] = serde_json::Value::Null;
    let two = world.replica(&changed).await;
    let mut watched = Watched::default();
    for step in 0..300_u64 {
        world.at(NOON + step * 3_700);
        two.turn().await;
        watched.look(&two).await;
    }
    let after: Vec<_> = two.announced.timeline().entries().iter().map(|it| it.item.clone()).collect();
    assert_eq!(after[..announced.len()], announced[..]);
    let later = after.iter().filter(|it| it.start_ms >= horizon + 100_000);
    assert!(later.clone().count() > 10 && later.clone().all(|it| it.asset == "spot" || it.asset == "slate"));
}

#[tokio::test]
async fn an_asset_that_is_made_later_plays_then_and_slate_until_then() {
    let world = World::new().await;
    world.has(&Asset { name: "slate", parts: vec![vec![2000; 5]], ..Asset::default() }).await;
    let one = world.replica(&spec()).await;
    one.turn().await;
    assert!(one.announced.timeline().entries().iter().all(|it| it.item.asset == "slate"));
    world.usual().await;
    let mut watched = Watched::default();
    for step in 0..200_u64 {
        world.at(NOON + step * 3_700);
        one.turn().await;
        watched.look(&one).await;
    }
    let played = |asset: &str| watched.0.values().any(|it| it.uri.contains(&format!("/vod/{asset}/")));
    assert!(played("slate") && played("film") && played("news") && played("spot"));
}

#[tokio::test]
async fn nothing_is_served_before_the_slate_is_there_and_everything_after() {
    let world = World::new().await;
    let one = world.replica(&spec()).await;
    one.turn().await;
    assert!(one.announced.trouble().unwrap().contains("slate"));
    let (status, fields, _) = ask(&one, "hls.m3u8").await;
    assert_eq!((status, fields["retry-after"].to_str().unwrap()), (StatusCode::SERVICE_UNAVAILABLE, "1"));
    world.usual().await;
    one.turn().await;
    assert_eq!(one.announced.trouble(), None);
    assert!(segments(&one).await.len() > 20);
}

#[tokio::test]
async fn what_was_announced_of_an_asset_is_served_after_it_was_removed_also_by_a_replica_that_begins_then() {
    let world = World::new().await;
    world.usual().await;
    let one = world.replica(&spec()).await;
    one.turn().await;
    world.catalogue.withdraw("film").await.unwrap();
    let path = object_store::path::Path::from("vod/film/g1/index.json");
    object_store::ObjectStoreExt::delete(&*world.store, &path).await.unwrap();
    let two = world.replica(&spec()).await;
    let mut watched = Watched::default();
    for step in 0..250_u64 {
        world.at(NOON + step * 3_700);
        one.turn().await;
        two.turn().await;
        assert_eq!((one.announced.trouble(), two.announced.trouble()), (None, None));
        assert!(whole(&one).await == whole(&two).await);
        watched.look(&two).await;
    }
    // It is not announced any more.
    let last = watched.0.values().filter(|it| it.uri.contains("/film/")).map(|it| it.at).max().unwrap();
    assert!(last < (NOON + 8 * 60_000) * 1000);
}

#[tokio::test]
async fn while_the_catalogue_is_away_what_was_announced_is_served_and_said_so() {
    let world = World::new().await;
    world.usual().await;
    let one = world.replica(&spec()).await;
    one.turn().await;
    world.away.store(true, Ordering::SeqCst);
    let mut watched = Watched::default();
    for step in 0..70_u64 {
        world.at(NOON + step * 3_700);
        one.turn().await;
        watched.look(&one).await;
    }
    assert!(one.announced.trouble().is_some_and(|why| why.contains("away")));
    // Longer than the horizon: the playlist stands still and is not taken back.
    world.at(NOON + 20 * 60_000);
    one.turn().await;
    watched.look(&one).await;
    world.away.store(false, Ordering::SeqCst);
    one.turn().await;
    assert_eq!(one.announced.trouble(), None);
    // It goes on where it stood, up to now.
    let whole = text(&one, "video/180p.m3u8?from=2026-11-26T12:04:00Z").await;
    for it in Playlist::read(&whole, None).segments {
        let known = watched.0.entry(it.msn).or_insert_with(|| it.clone());
        assert_eq!(known.uri, it.uri);
    }
    let numbers: Vec<u64> = watched.0.keys().copied().collect();
    assert!(numbers.windows(2).all(|two| two[1] == two[0] + 1));
    let end = watched.0.values().last().map(|it| it.at + it.micros).unwrap();
    assert!(end > (NOON + 19 * 60_000) * 1000);
}

#[tokio::test]
async fn after_hours_or_a_year_of_silence_it_goes_on_with_higher_numbers_and_few_documents() {
    let world = World::new().await;
    world.usual().await;
    let one = world.replica(&spec()).await;
    one.turn().await;
    let mut before = segments(&one).await.last().unwrap().clone();
    let mut now = NOON;
    for silence in [3 * 3_600_000, 10 * 3_600_000, 366 * 86_400_000_u64] {
        now += silence;
        world.at(now);
        let two = world.replica(&spec()).await;
        two.turn().await;
        assert_eq!(two.announced.trouble(), None);
        let after = segments(&two).await;
        let last = after.last().unwrap();
        assert!(after[0].msn > before.msn && after[0].dsn > before.dsn);
        assert!((last.at + last.micros) / 1000 > now - 5_000, "it is there again at once");
        let entries = two.announced.timeline();
        assert!(entries.entries().len() < 2_500, "{}", entries.entries().len());
        before = last.clone();
    }
}

#[tokio::test]
async fn what_nobody_can_watch_any_more_is_removed() {
    let world = World::new().await;
    world.usual().await;
    let mut short = spec();
    short["catch_up"] = "10m".into();
    let one = world.replica(&short).await;
    let records = open_records("sqlite://here/main", &world.cx).await.unwrap();
    let mut most = 0;
    for minute in (0..700_u64).step_by(4) {
        world.at(NOON + minute * 60_000);
        one.turn().await;
        most = most.max(records.list("channel.one", "", 1000).await.unwrap().len());
    }
    let left = records.list("channel.one", "", 1000).await.unwrap();
    // What a session that began in time still needs, an hour in which a break may have begun, the window and the horizon.
    assert!(left.len() <= 120 && most <= 130, "{} {most}", left.len());
    assert!(left[0].0.as_str() > "00000000000000000020", "{}", left[0].0);
    assert!(one.announced.timeline().entries().len() < 1_600);
    let packages = records.list("channel.one.packages", "", 100).await.unwrap();
    assert_eq!(packages.len(), 4, "those that play are kept");
}

#[tokio::test]
async fn two_replicas_race_for_every_block_and_none_is_made_twice() {
    let world = World::new().await;
    world.usual().await;
    let all: Vec<Arc<Channel>> =
        futures::future::join_all((0..6).map(|_| async { world.replica(&spec()).await })).await;
    for step in 0..40_u64 {
        world.at(NOON + step * 31_000);
        futures::future::join_all(all.iter().map(|it| it.turn())).await;
        let first = whole(&all[0]).await;
        for other in &all[1..] {
            assert!(whole(other).await == first);
        }
    }
}

#[tokio::test]
async fn channels_of_one_process_that_name_the_same_stores_have_them_and_what_was_read_in_common() {
    let world = World::new().await;
    world.usual().await;
    let open = async |cx: &ServiceContext| {
        Stores::open("file://here/media", "sqlite://here/main", cx).await.unwrap()
    };
    let (one, other) = (open(&world.cx).await, open(&world.cx).await);
    assert!(Arc::ptr_eq(&one, &other));
    let of = |collection: &str| Packages::of(&one, collection.to_owned());
    let read = of("channel.one.packages").published("news", "g1").await.unwrap().unwrap();
    world.store.delete(&"vod/news/g1/index.json".into()).await.unwrap();
    let again = of("channel.two.packages").published("news", "g1").await.unwrap().unwrap();
    assert!(Arc::ptr_eq(&read, &again), "an index is in memory once");
    // Another deployment on this host, or another place, shares nothing.
    let mut elsewhere = world.cx.clone();
    elsewhere.data_dir = world.cx.data_dir.join("elsewhere");
    assert!(!Arc::ptr_eq(&one, &open(&elsewhere).await));
    let mut others = world.cx.clone();
    others.owner = Owner::new("others", "fast-channel", "one").unwrap();
    assert!(!Arc::ptr_eq(&one, &open(&others).await));
    // Nobody holds them: they are closed, and opened anew.
    let gone = Arc::downgrade(&one);
    drop((one, other));
    assert!(gone.upgrade().is_none());
    assert!(
        Packages::of(&*open(&world.cx).await, String::new()).published("news", "g1").await.unwrap().is_none()
    );
}
