//! Indexes of packages that nobody needs any more are removed; one that is announced at that moment is not lost.

use std::sync::Arc;

use serde_json::{Value, json};
use streamverse_core::stores::{Records, open_records};

use super::super::kit::{Asset, NOON, World, spec, text};
use super::super::service::Channel;
use super::playlist::Playlist;

const PACKAGES: &str = "channel.one.packages";
const FILM: &str = "film/g1";

fn short() -> Value {
    let mut short = spec();
    short["catch_up"] = "10m".into();
    short
}

async fn film(world: &World, generation: &str) {
    world
        .has(&Asset { generation, parts: vec![vec![4000; 10]], captions: &["en"], ..Asset::default() })
        .await;
}

async fn records(world: &World) -> Arc<dyn Records> {
    open_records("sqlite://here/main", &world.cx).await.unwrap()
}

/// That a replica which begins now, when the film is gone, shows what the other one shows until the film was played.
async fn all_of_it_can_be_shown(world: &World, one: &Arc<Channel>) {
    let until = one.announced.timeline().known_until().unwrap();
    let played = one
        .announced
        .timeline()
        .entries()
        .iter()
        .any(|it| it.item.generation == "g1" && it.item.end_ms() > world.now());
    assert!(played, "the film of the first generation was announced");
    world.catalogue.withdraw("film").await.unwrap();
    for generation in ["g1", "g2"] {
        let path = object_store::path::Path::from(format!("vod/film/{generation}/index.json"));
        // Not in each test are there both.
        let _ = object_store::ObjectStoreExt::delete(&*world.store, &path).await;
    }
    let two = world.replica(&short()).await;
    two.turn().await;
    let mut films = 0;
    while world.now() + 10_000 < until {
        let (a, b) = (text(one, "video/180p.m3u8").await, text(&two, "video/180p.m3u8").await);
        assert_eq!(a, b, "at {}", world.now());
        films += Playlist::read(&b, None).segments.iter().filter(|it| it.uri.contains("/film/g1/")).count();
        world.at(world.now() + 10_000);
    }
    assert!(films > 0);
}

/// A channel whose film has another generation since its third minute, at the moment when the index of the first one is about
/// to be removed: the task that removes it, and what lets it.
async fn about_to_remove(
    world: &World,
    two: &Arc<Channel>,
) -> (tokio::task::JoinHandle<()>, tokio::sync::oneshot::Sender<()>) {
    // Sessions go on for hours, and need what they play.
    for minute in (0..3).chain((3..600_u64).step_by(4)) {
        world.at(NOON + minute * 60_000);
        if minute == 3 {
            film(world, "g2").await;
        }
        let (mut comes, lets) = world.holds("remove channel.one.packages");
        let replica = Arc::clone(two);
        let mut turn = tokio::spawn(async move { replica.turn().await });
        tokio::select! {
            came = &mut comes => {
                came.unwrap();
                return (turn, lets);
            }
            done = &mut turn => done.unwrap(),
        }
    }
    panic!("nothing is removed");
}

#[tokio::test]
async fn what_is_announced_while_it_is_removed_elsewhere_stays_and_what_nobody_needs_goes() {
    let world = World::new().await;
    world.usual().await;
    film(&world, "g1").await;
    let (one, two) = (world.replica(&short()).await, world.replica(&short()).await);
    let (turn, lets) = about_to_remove(&world, &two).await;
    // Somebody takes the new generation back, and the other replica announces the old one.
    film(&world, "g1").await;
    world.at(world.now() + 8 * 60_000);
    one.turn().await;
    lets.send(()).unwrap();
    turn.await.unwrap();
    assert!(records(&world).await.get(PACKAGES, FILM).await.unwrap().is_some(), "it was removed");
    all_of_it_can_be_shown(&world, &one).await;
    // What nobody announced again is gone.
    for minute in 0..200_u64 {
        world.at(world.now() + minute * 60_000);
        one.turn().await;
    }
    let left = records(&world).await.ids(PACKAGES, "", 100).await.unwrap();
    assert_eq!(left, ["news/g1", "slate/g1", "spot/g1"]);
}

#[tokio::test]
async fn what_is_removed_between_its_index_and_its_block_is_kept_by_who_announced_it_or_by_who_reads_it() {
    for dies in [false, true] {
        let world = World::new().await;
        world.usual().await;
        film(&world, "g1").await;
        let one = world.replica(&short()).await;
        let (comes, lets) = world.holds("insert channel.one");
        let replica = Arc::clone(&one);
        let turn = tokio::spawn(async move { replica.turn().await });
        comes.await.unwrap();
        let records = records(&world).await;
        assert!(records.get(PACKAGES, FILM).await.unwrap().is_some(), "kept before its block");
        if dies {
            // The block is there, and its maker is not.
            lets.send(()).unwrap();
            turn.await.unwrap();
            records.remove(PACKAGES, FILM).await.unwrap();
            world.replica(&short()).await.turn().await;
        } else {
            records.remove(PACKAGES, FILM).await.unwrap();
            lets.send(()).unwrap();
            turn.await.unwrap();
        }
        assert!(records.get(PACKAGES, FILM).await.unwrap().is_some(), "it died: {dies}");
        all_of_it_can_be_shown(&world, &one).await;
    }
}

#[tokio::test]
async fn looking_for_what_is_not_needed_reads_no_index() {
    let world = World::new().await;
    world.usual().await;
    let one = world.replica(&short()).await;
    one.turn().await;
    let records = records(&world).await;
    // Whoever read it would find that it is none.
    assert!(records.insert(PACKAGES, "broken/g1", &json!("no index")).await.unwrap());
    let (mut comes, _lets) = world.holds("list channel.one.packages");
    for minute in (1..600_u64).step_by(4) {
        world.at(NOON + minute * 60_000);
        one.turn().await;
        assert_eq!(one.announced.trouble(), None);
    }
    assert!(comes.try_recv().is_err(), "indexes were listed");
    assert!(records.get(PACKAGES, "broken/g1").await.unwrap().is_none());
}
