//! Rules that playlists must keep over hours, each a check of ours: those of RFC 8216 with the rules for delta updates of its
//! successor, of Apple's authoring specification, and of the guidelines of DASH-IF.

use std::collections::{BTreeMap, BTreeSet};

use super::super::kit::{NOON, World, spec, text};
use super::mpd::Mpd;
use super::playlist::{Playlist, Segment};

const RENDITIONS: [&str; 4] = ["video/180p.m3u8", "audio/en.m3u8", "audio/de.m3u8", "text/en.m3u8"];
/// Shorter than the shortest segment.
const STEP_MS: u64 = 1_900;
const STEPS: u64 = 2_500;

/// What was seen of a rendition until now.
#[derive(Default)]
struct Seen {
    segments: BTreeMap<u64, Segment>,
    last: Playlist,
    ranges: BTreeMap<String, BTreeMap<String, String>>,
}

impl Seen {
    /// Takes what is shown now, and says which rule it breaks.
    fn take(&mut self, now: u64, new: Playlist) -> Result<(), String> {
        let old = &self.last;
        let rule = |good: bool, what: &str| if good { Ok(()) } else { Err(what.to_owned()) };
        if let Some(first) = old.segments.first() {
            rule(new.target == old.target, "6.2.1: the target duration never changes")?;
            rule(new.msn >= old.msn && new.dsn >= old.dsn, "6.2.2: sequence numbers never fall")?;
            rule(
                new.segments.last().map(|it| it.msn) >= old.segments.last().map(|it| it.msn),
                "no segment is taken back",
            )?;
            rule(new.msn <= old.segments.last().map_or(0, |it| it.msn) + 1, "no segment is passed over")?;
            rule(
                first.msn < new.msn || first.dsn >= new.dsn,
                "4.3.3.3: it grows with discontinuities that go",
            )?;
        }
        rule(!new.ended && new.kind.is_empty(), "a live playlist has no end and no type")?;
        rule(new.keys.is_empty(), "ClearKey is in init segments alone")?;
        rule(new.version >= if new.skipped > 0 { 9 } else { 6 }, "7: the version that the tags need")?;
        let skip: f64 = new.control["CAN-SKIP-UNTIL"].parse().map_err(|_| "CAN-SKIP-UNTIL")?;
        let hold: f64 = new.control["HOLD-BACK"].parse().map_err(|_| "HOLD-BACK")?;
        #[allow(clippy::cast_precision_loss, reason = "small")]
        let target = new.target as f64;
        rule(skip >= 6.0 * target, "4.4.3.8: the skip boundary is six target durations at least")?;
        rule(hold >= 3.0 * target, "4.4.3.8: three target durations from the end at least")?;
        let whole: u64 = new.segments.iter().map(|it| it.micros).sum();
        rule(
            whole >= 6 * new.target * 1_000_000,
            "Apple 1.? / 6.2.2: a window of six target durations at least",
        )?;
        let end = new.end() / 1000;
        rule(end <= now + 100, "no segment is shown before its time is over")?;
        rule(end + new.target * 1000 + 600 > now, "6.2.2: a segment comes within 1.5 target durations")?;
        let mut before: Option<&Segment> = None;
        for it in &new.segments {
            rule(
                (it.micros + 500_000) / 1_000_000 <= new.target,
                "4.3.3.1: no segment is longer than the target",
            )?;
            if let Some(same) = self.segments.get(&it.msn) {
                let same =
                    Segment { dated: it.dated, at: it.at, discontinuity: same.discontinuity, ..same.clone() };
                let known = Segment { discontinuity: same.discontinuity, ..it.clone() };
                rule(same == known, &format!("a segment never changes: {same:?} {known:?}"))?;
                let drift = self.segments[&it.msn].at.abs_diff(it.at);
                rule(drift <= 2_000, "a segment's date never changes")?;
            }
            if let Some(before) = before {
                rule(it.dsn == before.dsn + u64::from(it.discontinuity), "discontinuities are counted")?;
                rule(
                    it.discontinuity || it.map == before.map,
                    "4.3.2.3: another init segment needs a discontinuity",
                )?;
                let gap = it.at.abs_diff(before.at + before.micros);
                rule(gap <= 60_000, &format!("4.3.2.6: dates and lengths agree, but for {gap} µs"))?;
                rule(!it.discontinuity || it.dated.is_some(), "a date after each discontinuity")?;
            }
            before = Some(it);
            self.segments.insert(it.msn, it.clone());
        }
        for range in &new.ranges {
            let id = range["ID"].clone();
            let known = self.ranges.entry(id.clone()).or_default();
            for (name, value) in range {
                let before = known.entry(name.clone()).or_insert_with(|| value.clone());
                rule(
                    before == value,
                    &format!("4.3.2.7: attributes of a date range never change: {id} {name}"),
                )?;
            }
            rule(
                !range.contains_key("SCTE35-IN") || known.contains_key("SCTE35-OUT"),
                "out comes before in",
            )?;
            rule(range.contains_key("START-DATE"), "4.3.2.7: START-DATE is required")?;
        }
        self.last = new;
        Ok(())
    }
}

#[tokio::test]
async fn live_playlists_keep_every_rule_over_an_hour_and_more_in_lockstep_and_updates_lead_to_the_same() {
    let world = World::new().await;
    world.usual().await;
    let one = world.replica(&spec()).await;
    let mut all: BTreeMap<&str, Seen> = BTreeMap::new();
    let (mut updates, mut mpd) = (0, Option::<Mpd>::None);
    for step in 0..STEPS {
        let now = NOON + step * STEP_MS;
        world.at(now);
        one.turn().await;
        assert_eq!(one.announced.trouble(), None);
        for path in RENDITIONS {
            let seen = all.entry(path).or_default();
            let full = text(&one, path).await;
            let new = Playlist::read(&full, None);
            if step % 4 == 1 {
                for (skip, version) in [("YES", 9), ("v2", 10)] {
                    let update = text(&one, &format!("{path}?_HLS_skip={skip}")).await;
                    let read = Playlist::read(&update, Some(&seen.last));
                    assert!(read.skipped == 0 || read.version == version);
                    updates += u32::from(read.skipped > 0);
                    let stripped = |list: &Playlist| -> Vec<Segment> {
                        list.segments.iter().map(|it| Segment { at: 0, dated: None, ..it.clone() }).collect()
                    };
                    assert_eq!(stripped(&read), stripped(&new), "{path} at {now}:\n{update}");
                    assert!(skip != "YES" || read.ranges == new.ranges, "all date ranges are in an update");
                }
            }
            seen.take(now, new).unwrap_or_else(|why| panic!("{path} at {now}: {why}\n{full}"));
        }
        let shape = |path: &str| -> Vec<(u64, u64, bool)> {
            all[path].last.segments.iter().map(|it| (it.msn, it.dsn, it.discontinuity)).collect()
        };
        assert!(
            RENDITIONS.iter().all(|path| shape(path) == shape(RENDITIONS[0])),
            "renditions in lockstep at {now}"
        );
        let manifest = text(&one, "dash.mpd").await;
        let read = Mpd::read(&manifest);
        read.rules(now).unwrap_or_else(|why| panic!("at {now}: {why}\n{manifest}"));
        if let Some(before) = &mpd {
            read.follows(before).unwrap_or_else(|why| panic!("at {now}: {why}\n{manifest}"));
        }
        // Both tell of the same segments.
        let uris: BTreeSet<String> = all["video/180p.m3u8"]
            .last
            .segments
            .iter()
            .map(|it| it.uri.replace("../../../vod/", ""))
            .collect();
        assert_eq!(read.media("video-180p"), uris, "at {now}");
        mpd = Some(read);
    }
    // Every segment was shown, once, and breaks too.
    let video = &all["video/180p.m3u8"];
    let numbers: Vec<u64> = video.segments.keys().copied().collect();
    assert!(numbers.windows(2).all(|two| two[1] == two[0] + 1));
    assert!(numbers.len() > 1_000 && updates > 30, "{} {updates}", numbers.len());
    assert!(
        video.ranges.values().filter(|it| it.contains_key("SCTE35-IN")).count() > 10,
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
