//! Channels over hours and days, looked at by every rule of [`rules`](super::rules): each segment for half an hour, and the
//! boundaries of what plays for hours.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::{Value, json};

use super::super::kit::{Asset, NOON, World, spec, text};
use super::super::service::Channel;
use super::super::time::utc;
use super::mpd::Mpd;
use super::playlist::{Playlist, Segment};
use super::rules::{Checks, Kept, Seen, lasting};
use super::truth::Truth;

const VIDEO: &str = "video/180p.m3u8";
const RENDITIONS: [&str; 4] = [VIDEO, "audio/en.m3u8", "audio/de.m3u8", "text/en.m3u8"];

/// Somebody who watches everything.
struct Watch<'w> {
    world: &'w World,
    channel: Arc<Channel>,
    checks: Checks,
    truth: Truth,
    seen: BTreeMap<&'static str, Seen>,
    mpd: Option<Mpd>,
    looks: u64,
    updates: u64,
}

fn stripped(list: &Playlist) -> Vec<Segment> {
    list.segments.iter().map(|it| Segment { at: 0, dated: None, ..it.clone() }).collect()
}

impl<'w> Watch<'w> {
    async fn of(
        world: &'w World,
        spec: &Value,
        encrypted: &[(&str, &'static str, &[&'static str])],
    ) -> Watch<'w> {
        let encrypted =
            encrypted.iter().map(|(name, scheme, systems)| ((*name).to_owned(), (*scheme, systems.to_vec())));
        Watch {
            world,
            channel: world.replica(spec).await,
            checks: Checks::default(),
            truth: Truth { encrypted: encrypted.collect(), ..Truth::default() },
            seen: BTreeMap::new(),
            mpd: None,
            looks: 0,
            updates: 0,
        }
    }

    /// Looks at all that is shown at an instant.
    async fn look(&mut self, now: u64) {
        self.world.at(now);
        self.channel.turn().await;
        assert_eq!(self.channel.announced.trouble(), None);
        self.truth.learn(&self.channel.announced.timeline());
        self.looks += 1;
        for path in RENDITIONS {
            let full = text(&self.channel, path).await;
            let kept = self.list(path, &full, now).await;
            kept.unwrap_or_else(|why| panic!("{path} at {}: {why}\n{full}", utc(now)));
        }
        let shape = |path: &str| -> Vec<(u64, u64, bool)> {
            self.seen[path].last.segments.iter().map(|it| (it.msn, it.dsn, it.discontinuity)).collect()
        };
        let lockstep = RENDITIONS.iter().all(|path| shape(path) == shape(VIDEO));
        self.checks.rule("lockstep", lockstep, || format!("at {}", utc(now))).unwrap();
        let manifest = text(&self.channel, "dash.mpd").await;
        let read = Mpd::read(&manifest);
        let kept = self.manifest(&read, now);
        kept.unwrap_or_else(|why| panic!("DASH at {}: {why}\n{manifest}", utc(now)));
        self.mpd = Some(read);
    }

    async fn list(&mut self, path: &'static str, full: &str, now: u64) -> Kept {
        let new = Playlist::read(full, None);
        let seen = self.seen.entry(path).or_default();
        let known = seen.last.segments.last().is_some_and(|it| it.msn >= new.msn);
        if self.looks % 4 == 1 && known {
            for (skip, version) in [("YES", 9), ("v2", 10)] {
                let update = text(&self.channel, &format!("{path}?_HLS_skip={skip}")).await;
                let Some(read) = Playlist::update(&update, &seen.last) else { continue };
                let good = read.skipped == 0 || read.version == version;
                self.checks.rule("version", good, || update.clone())?;
                self.updates += u64::from(read.skipped > 0);
                let same = stripped(&read) == stripped(&new) && (skip != "YES" || read.ranges == new.ranges);
                self.checks.rule("delta-same", same, || update.clone())?;
            }
        }
        seen.take(&mut self.checks, now, new, &self.truth)
    }

    fn manifest(&mut self, read: &Mpd, now: u64) -> Kept {
        read.rules(&mut self.checks, now, &self.truth)?;
        if let Some(before) = &self.mpd {
            read.follows(&mut self.checks, before)?;
        }
        read.same(&mut self.checks, &self.seen[VIDEO].last)
    }

    /// Start-over from an instant, and what was between two as a recording.
    async fn back(&mut self, from: u64, to: u64) {
        let at = |ms: u64| utc(ms / 1000 * 1000).replace(".000Z", "Z");
        let (over, both) = (format!("?from={}", at(from)), format!("?from={}&to={}", at(from), at(to)));
        for path in RENDITIONS {
            let (event, whole) = (
                text(&self.channel, &format!("{path}{over}")).await,
                text(&self.channel, &format!("{path}{both}")).await,
            );
            let (event, recording) = (Playlist::read(&event, None), Playlist::read(&whole, None));
            let grows = event.kind == "EVENT"
                && !event.ended
                && event.segments.last().map(lasting) == self.seen[path].last.segments.last().map(lasting);
            self.checks.rule("event-grows", grows, || format!("{path}{over}")).unwrap();
            let ends = recording.kind == "VOD" && recording.ended && recording.control.is_empty();
            self.checks.rule("recording-ends", ends, || whole.clone()).unwrap();
            for list in [event, recording] {
                let seen = self.seen.get_mut(path).unwrap();
                seen.whole(&mut self.checks, &list, &self.truth)
                    .unwrap_or_else(|why| panic!("{path}{both}: {why}"));
            }
        }
        let manifest = text(&self.channel, &format!("dash.mpd{both}")).await;
        let kept = Mpd::read(&manifest).recording(&mut self.checks, &self.truth);
        kept.unwrap_or_else(|why| panic!("dash.mpd{both}: {why}\n{manifest}"));
    }

    /// Watches for hours: just before and at each boundary, and more often than a window is long.
    async fn hours(&mut self, from: u64, hours: u64) {
        let until = from + hours * 3_600_000;
        let mut now = from;
        let mut hour = from + 3_600_000;
        while now < until {
            self.look(now).await;
            if now >= hour {
                self.back(now - 40 * 60_000, now - 35 * 60_000).await;
                hour += 3_600_000;
            }
            let timeline = self.channel.announced.timeline();
            let ends = timeline.entries().iter().map(|it| it.item.end_ms());
            let next = ends.flat_map(|end| [end - 1, end]).filter(|it| *it > now).min();
            now = next.unwrap_or(u64::MAX).min(now + 100_000);
        }
        let numbers: Vec<u64> = self.seen[VIDEO].segments.keys().copied().collect();
        assert!(numbers.windows(2).all(|two| two[1] == two[0] + 1), "every segment was shown");
    }
}

/// Films and a serial of which each has its systems and its scheme, news in clear, spots, filler and slate.
async fn programmes(world: &World) -> [(&'static str, &'static str, &'static [&'static str]); 3] {
    let minutes = |minutes: usize, rest: u64| {
        let mut all = vec![4000; minutes * 15];
        all.push(rest);
        all
    };
    let encrypted: [(&str, &str, &[&str]); 3] = [
        ("film", "cbcs", &["clearkey", "widevine", "playready", "fairplay"]),
        ("serial", "cenc", &["clearkey", "widevine", "playready"]),
        ("docu", "cbcs", &["clearkey"]),
    ];
    for (name, scheme, systems) in encrypted {
        // The film's keys change while it plays.
        let parts = match name {
            "film" => vec![minutes(10, 4000), minutes(10, 4000), minutes(9, 1960)],
            "serial" => vec![minutes(21, 3280)],
            _ => vec![minutes(25, 2400), minutes(12, 80)],
        };
        world
            .has(&Asset {
                name,
                parts,
                captions: &["en"],
                encrypted: true,
                scheme,
                systems,
                ..Asset::default()
            })
            .await;
    }
    for (name, segments, languages) in [
        ("news", minutes(14, 2760), &["en", "de"][..]),
        ("spot", vec![4000, 4000, 4000, 3040], &["en"]),
        ("fill", vec![4000; 45], &["en"]),
        ("slate", vec![2000; 10], &["en"]),
    ] {
        world.has(&Asset { name, parts: vec![segments], languages, ..Asset::default() }).await;
    }
    encrypted
}

fn channel(start: u64, members: &Value) -> Value {
    let mut all = json!({
        "object_store": "file://here/media", "catalogue": "sqlite://here/main", "start": utc(start), "slate": "slate",
        "sources": { "film": {}, "serial": {}, "docu": {}, "news": {}, "spot": {}, "fill": {}, "slate": {} },
        "languages": { "audio": ["en", "de"], "captions": ["en"] }, "playlist_window": "2m", "catch_up": "1h",
    });
    all.as_object_mut().unwrap().extend(members.as_object().unwrap().clone());
    all
}

/// A week of another day each, whose nights have no programmes everywhere.
fn grid() -> Value {
    let programmes = [
        (json!(["saturday"]), "19:00", "film"),
        (json!(["saturday"]), "20:15", "serial"),
        (json!(null), "21:00", "film"),
        (json!(null), "22:10", "news"),
        (json!(null), "00:00", "docu"),
        (json!(null), "01:45", "serial"),
        // The hour that is lost in spring, and that there is twice in autumn.
        (json!(["sunday"]), "02:30", "film"),
        (json!(null), "03:15", "news"),
        (json!(["sunday"]), "04:00", "docu"),
    ];
    let all: Vec<Value> = programmes
        .iter()
        .map(|(days, at, asset)| json!({ "days": days, "at": at, "asset": asset }))
        .collect();
    json!({ "grid": { "programmes": all } })
}

#[tokio::test]
async fn live_playlists_keep_every_rule_at_every_segment_and_updates_lead_to_the_same() {
    let world = World::new().await;
    world.usual().await;
    let mut watch = Watch::of(&world, &spec(), &[("film", "cbcs", &["clearkey"])]).await;
    // Shorter than the shortest segment.
    for step in 0..900 {
        watch.look(NOON + step * 1_900).await;
    }
    let video = &watch.seen[VIDEO];
    let numbers: Vec<u64> = video.segments.keys().copied().collect();
    assert!(numbers.windows(2).all(|two| two[1] == two[0] + 1));
    assert!(numbers.len() > 400 && watch.updates > 30, "{} {}", numbers.len(), watch.updates);
    assert!(
        video.ranges.values().filter(|it| it.contains_key("SCTE35-IN")).count() > 5,
        "{:?}",
        video.ranges.len()
    );
    // Each address leads to a segment of the package.
    for it in video.segments.values() {
        let name = it.uri.rsplit('/').next().unwrap().trim_end_matches(".m4s");
        let (asset, most) = [("film", 10), ("news", 23), ("spot", 3), ("slate", 5)]
            .into_iter()
            .find(|(asset, _)| it.uri.contains(&format!("/vod/{asset}/g1/")))
            .unwrap_or_else(|| panic!("{}", it.uri));
        assert!((1..=most).contains(&name.parse::<u32>().unwrap()), "{asset}: {}", it.uri);
    }
}

#[tokio::test]
async fn a_weekly_grid_keeps_every_rule_over_both_nights_whose_clock_changes_with_breaks_of_slate_and_of_spots()
 {
    // 2026-03-28T17:00:00Z and 2026-10-24T16:00:00Z: Saturday, six in the evening in Berlin.
    for (start, spots) in [(1_774_717_200_000, json!([])), (1_792_857_600_000, json!(["spot"]))] {
        let world = World::new().await;
        let encrypted = programmes(&world).await;
        let breaks = json!({ "every": "12m", "duration": "45s", "spots": spots });
        let spec = channel(
            start,
            &json!({ "schedule": grid(), "time_zone": "Europe/Berlin", "filler": ["fill"], "ad_breaks": breaks }),
        );
        let mut watch = Watch::of(&world, &spec, &encrypted).await;
        watch.hours(start, 12).await;
        watch.checks.all_were_looked_at();
        let played = |asset: &str| {
            watch.seen[VIDEO].segments.values().any(|it| it.uri.contains(&format!("/vod/{asset}/")))
        };
        assert!(["film", "serial", "docu", "news", "fill", "slate"].iter().all(|it| played(it)));
        eprintln!("{} looks, {} updates", watch.looks, watch.updates);
    }
}

#[tokio::test]
async fn an_encrypted_rotation_keeps_every_rule_over_a_leap_day() {
    // 2028-02-28T22:00:00Z, until after the day.
    let start = 1_835_388_000_000;
    let world = World::new().await;
    let encrypted = programmes(&world).await;
    let spec = channel(
        start,
        &json!({
            "schedule": { "rotation": { "items": ["film", "serial", "docu", "news"], "no_repeat_within": 1, "seed": 7 } },
            "time_zone": "America/New_York", "ad_breaks": { "every": "14m", "duration": "30s", "spots": ["spot"] },
        }),
    );
    let mut watch = Watch::of(&world, &spec, &encrypted).await;
    watch.hours(start, 27).await;
    watch.checks.all_were_looked_at();
    eprintln!("{} looks, {} updates", watch.looks, watch.updates);
}
