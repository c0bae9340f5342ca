//! What is asked for, and how it is answered: methods, conditions, cache headers, stretches of time, hostile questions.

use axum::http::{HeaderMap, StatusCode, header};

use super::super::kit::{Asset, NOON, World, ask, ask_with, spec, text};
use super::super::time::utc;
use super::mpd::Mpd;
use super::playlist::Playlist;

fn at(ms: u64) -> String {
    utc(ms).replace(".000Z", "Z")
}

/// A channel that ran for so many minutes.
pub(super) async fn ran(world: &World, minutes: u64) -> std::sync::Arc<super::super::service::Channel> {
    world.usual().await;
    let one = world.replica(&spec()).await;
    for minute in 0..=minutes {
        world.at(NOON + minute * 60_000);
        one.turn().await;
    }
    one
}

#[tokio::test]
async fn start_over_grows_without_losing_anything_and_a_recording_has_an_end_and_never_changes() {
    let world = World::new().await;
    let one = ran(&world, 20).await;
    let from = NOON + 300_000;
    let over = format!("?from={}", at(from));
    let master = text(&one, &format!("hls.m3u8{over}")).await;
    assert!(master.contains(&format!("video/180p.m3u8{over}\n")), "{master}");
    let first = Playlist::read(&text(&one, &format!("video/180p.m3u8{over}")).await, None);
    assert_eq!((first.kind.as_str(), first.ended), ("EVENT", false));
    assert!(
        first.segments[0].at <= from * 1000 && first.segments[0].at + first.segments[0].micros > from * 1000
    );
    world.at(NOON + 21 * 60_000);
    one.turn().await;
    let later = Playlist::read(&text(&one, &format!("video/180p.m3u8{over}")).await, None);
    assert!(
        later.segments.len() > first.segments.len()
            && later.segments[..first.segments.len()] == first.segments
    );
    // The live playlist has long lost its beginning, but not its numbers.
    let live = Playlist::read(&text(&one, "video/180p.m3u8").await, None);
    assert!(live.msn > first.msn && live.segments.last() == later.segments.last());

    let to = from + 120_000;
    let recording = format!("video/180p.m3u8?from={}&to={}", at(from), at(to));
    let whole = text(&one, &recording).await;
    let read = Playlist::read(&whole, None);
    assert_eq!((read.kind.as_str(), read.ended, read.control.len()), ("VOD", true, 0));
    assert!(read.end() >= to * 1000 && read.end() < (to + 4_100) * 1000);
    world.at(NOON + 30 * 60_000);
    one.turn().await;
    assert_eq!(text(&one, &recording).await, whole);
    assert_eq!(
        text(&one, &format!("{recording}&_HLS_skip=YES&_HLS_msn=99999999")).await,
        whole,
        "directives are ignored"
    );

    let manifest = text(&one, &format!("dash.mpd?from={}&to={}", at(from), at(to))).await;
    assert!(manifest.contains("type=\"static\"") && !manifest.contains("UTCTiming"), "{manifest}");
    let read = Mpd::read(&manifest);
    let hls: std::collections::BTreeSet<String> =
        Playlist::read(&whole, None).segments.iter().map(|it| it.uri.replace("../../../vod/", "")).collect();
    assert_eq!(read.media("video-180p"), hls);
}

/// A viewer who started at the very edge of the window, and one who turned up when it had passed.
#[tokio::test]
async fn a_session_that_began_in_the_window_goes_on_when_its_beginning_has_left_it_and_none_begins_then() {
    let world = World::new().await;
    world.usual().await;
    let mut spec = spec();
    spec["catch_up"] = serde_json::json!("10m");
    let one = world.replica(&spec).await;
    // As often as it has to be announced on.
    let until = async |one: &super::super::service::Channel, minutes: u64| {
        for ms in (world.now()..=NOON + minutes * 60_000).step_by(240_000) {
            world.at(ms);
            one.turn().await;
        }
        world.at(NOON + minutes * 60_000);
        one.turn().await;
    };
    until(&one, 14).await;
    let from = at(NOON + 130_000);
    let master = text(&one, &format!("hls.m3u8?from={from}")).await;
    assert!(master.contains(&format!("video/180p.m3u8?from={from}")), "{master}");
    let (video, manifest) = (format!("video/180p.m3u8?from={from}"), format!("dash.mpd?from={from}"));
    let first = Playlist::read(&text(&one, &video).await, None);
    let mut before = first.clone();
    for minutes in [16, 60, 180, 370] {
        until(&one, minutes).await;
        let (status, _, body) = ask(&one, &format!("hls.m3u8?from={from}")).await;
        assert!(status == StatusCode::BAD_REQUEST && body.contains("time-out-of-range"), "{status} {body}");
        // The same of a replica that was not there when it began.
        let two = world.replica(&spec).await;
        two.turn().await;
        let now = text(&two, &video).await;
        assert_eq!(now, text(&one, &video).await);
        let now = Playlist::read(&now, None);
        let known = before.segments.len();
        assert!(
            now.msn == first.msn && now.segments.len() > known && now.segments[..known] == before.segments
        );
        let read = Mpd::read(&text(&two, &manifest).await);
        let hls: std::collections::BTreeSet<String> =
            now.segments.iter().map(|it| it.uri.replace("../../../vod/", "")).collect();
        assert_eq!(read.media("video-180p"), hls);
        before = now;
    }
    // Nothing is kept for ever.
    until(&one, 376).await;
    for path in [video, manifest] {
        let (status, _, body) = ask(&one, &path).await;
        assert!(
            status == StatusCode::BAD_REQUEST && body.contains("time-out-of-range"),
            "{path} {status} {body}"
        );
    }
}

#[tokio::test]
async fn times_out_of_the_window_and_absurd_directives_are_refused_with_a_code() {
    let world = World::new().await;
    let one = ran(&world, 3).await;
    let now = world.now();
    let code = |body: &str| {
        serde_json::from_str::<serde_json::Value>(body).unwrap()["code"].as_str().unwrap().to_owned()
    };
    for (query, wanted) in [
        ("from=0001-01-01T00:00:00Z".to_owned(), "time-out-of-range"),
        ("from=9999-12-31T23:59:59Z".to_owned(), "time-out-of-range"),
        (format!("from={}", at(now + 60_000)), "time-out-of-range"),
        (format!("from={}&to=9999-12-31T23:59:59Z", at(NOON)), "time-out-of-range"),
        (format!("from={}", at(now - 11 * 3_600_000)), "time-out-of-range"),
        ("from=-1".to_owned(), "time-invalid"),
        ("_HLS_skip=always".to_owned(), "skip-invalid"),
        ("_HLS_msn=18446744073709551616".to_owned(), "number-invalid"),
        ("_HLS_msn=9999999999".to_owned(), "msn-too-far"),
        ("_HLS_part=1".to_owned(), "part-without-msn"),
    ] {
        for path in ["video/180p.m3u8", "dash.mpd", "text/en.m3u8"] {
            let (status, fields, body) = ask(&one, &format!("{path}?{query}")).await;
            assert_eq!((status, code(&body).as_str()), (StatusCode::BAD_REQUEST, wanted), "{path}?{query}");
            assert_eq!(fields[header::CACHE_CONTROL], "no-store");
        }
    }
    for path in [
        "",
        "x",
        "hls.m3u8/",
        "../one/hls.m3u8",
        "video/999p.m3u8",
        "video/../180p.m3u8",
        "text/xx.m3u8",
        "audio/%2e.m3u8",
        "cues/en/film/g1/0/99.vtt",
        "cues/en/film/g1/9/0.vtt",
        "cues/en/other/g1/0/0.vtt",
        "cues/xx/film/g1/0/0.vtt",
        "cues/en/film/g1/0/99999999999999999999.vtt",
        "cues/en/film/g1/0/-1.vtt",
    ] {
        assert_eq!(ask(&one, path).await.0, StatusCode::NOT_FOUND, "{path}");
    }
}

#[tokio::test]
async fn an_answer_says_how_long_it_holds_whom_it_is_for_and_what_it_is() {
    let world = World::new().await;
    let one = ran(&world, 1).await;
    let (_, fields, body) = ask(&one, "video/180p.m3u8").await;
    // Half a segment is two seconds; one second is what the spec has.
    assert_eq!(
        fields[header::CACHE_CONTROL],
        "public, max-age=1, stale-while-revalidate=5, stale-if-error=5"
    );
    assert_eq!(fields[header::CONTENT_TYPE], "application/vnd.apple.mpegurl");
    let mut conditional = HeaderMap::new();
    conditional.insert(header::IF_NONE_MATCH, fields[header::ETAG].clone());
    let (status, again, nothing) = ask_with(&one, "video/180p.m3u8", &conditional, true).await;
    assert_eq!((status, nothing.as_str()), (StatusCode::NOT_MODIFIED, ""));
    assert_eq!(again[header::ETAG], fields[header::ETAG]);
    let (status, head, nothing) = ask_with(&one, "video/180p.m3u8", &HeaderMap::new(), false).await;
    assert_eq!((status, nothing.as_str()), (StatusCode::OK, ""));
    assert_eq!(head[header::CONTENT_LENGTH], body.len().to_string().as_str());
    world.at(world.now() + 4_000);
    let (status, ..) = ask_with(&one, "video/180p.m3u8", &conditional, true).await;
    assert_eq!(status, StatusCode::OK, "a segment later it is another");
    let (_, fields, time) = ask(&one, "time").await;
    assert_eq!((fields[header::CACHE_CONTROL].to_str().unwrap(), time), ("no-store", utc(world.now())));
}

#[tokio::test]
async fn what_is_on_has_its_title_its_times_and_its_keys() {
    let world = World::new().await;
    let one = ran(&world, 0).await;
    world.at(NOON + 10_000);
    let page: serde_json::Value = serde_json::from_str(&text(&one, "now.json").await).unwrap();
    assert_eq!(
        (&page["now"]["title"], &page["now"]["start"]),
        (&"film".into(), &"2026-11-26T12:00:00.000Z".into())
    );
    assert_eq!(page["now"]["kids"].as_array().unwrap().len(), 2, "{page}");
    assert_eq!(page["next"]["kind"], "ad", "{page}");
    let items = page["items"].as_array().unwrap();
    assert!(items.windows(2).all(|two| two[0]["end"] == two[1]["start"]), "{page}");
}

#[tokio::test]
async fn captions_are_in_step_and_a_programme_without_has_none_there() {
    let world = World::new().await;
    let one = ran(&world, 2).await;
    let list = Playlist::read(&text(&one, "text/en.m3u8").await, None);
    let mut spoken = 0;
    for it in &list.segments {
        let (status, fields, body) = ask(&one, it.uri.strip_prefix("../").unwrap()).await;
        assert_eq!(status, StatusCode::OK, "{}", it.uri);
        assert!(fields[header::CACHE_CONTROL].to_str().unwrap().contains("immutable"));
        assert!(body.starts_with("WEBVTT\nX-TIMESTAMP-MAP=MPEGTS:0,LOCAL:00:00:00.000\n"), "{body}");
        assert!(!body.contains("-->") || it.uri.contains("/film/"), "{} {body}", it.uri);
        spoken += u32::from(body.contains("-->"));
    }
    assert!(spoken >= 2, "the cue lies over a boundary: {spoken}");
    // In DASH times are counted from the period.
    let manifest = Mpd::read(&text(&one, "dash.mpd").await);
    for uri in manifest.media("text-en") {
        assert_eq!(ask(&one, &uri).await.0, StatusCode::OK, "{uri}");
    }
}

#[tokio::test]
async fn dash_says_keys_breaks_and_what_goes_on_after_them() {
    let world = World::new().await;
    let one = ran(&world, 2).await;
    let manifest = text(&one, "dash.mpd").await;
    let read = Mpd::read(&manifest);
    // Two parts of the film, each with a key for pictures and one for sound.
    assert_eq!(read.kids().len(), 4, "{manifest}");
    assert!(manifest.contains("urn:uuid:1077efec-c0b2-4d02-ace3-3c1e52e2fb4b"));
    let events = read.events();
    assert!(events.iter().any(|(back, _)| !back) && events.iter().any(|(back, _)| *back), "{manifest}");
    let continued = read.continued();
    assert!(!continued.is_empty(), "after a break a programme goes on: {manifest}");
    for (period, before) in continued {
        assert!(manifest.contains(&format!("<Period id=\"{before}\"")) || period != before);
    }
}

#[tokio::test]
async fn a_steered_channel_says_who_steers_and_has_the_same_names_for_its_renditions_every_time() {
    let world = World::new().await;
    world.usual().await;
    let mut spec = spec();
    let plain = world.replica(&spec).await;
    plain.turn().await;
    let server = "https://steering.example/live?a=1&b=2";
    spec["steering"] = serde_json::json!({ "server_url": server, "pathway": "edge-a" });
    let one = world.replica(&spec).await;
    one.turn().await;
    let master = text(&one, "hls.m3u8").await;
    let steering = format!("#EXT-X-CONTENT-STEERING:SERVER-URI=\"{server}\",PATHWAY-ID=\"edge-a\"\n");
    assert_eq!(master.matches("CONTENT-STEERING").count(), 1);
    assert!(master.contains(&steering), "{master}");
    let unsteered = text(&plain, "hls.m3u8").await;
    assert_eq!(
        unsteered.replace("PATHWAY-ID=\"main\"", "PATHWAY-ID=\"edge-a\""),
        master.replace(&steering, "")
    );
    for id in ["video-180p", "video-360p"] {
        assert_eq!(
            master.matches(&format!(",STABLE-VARIANT-ID=\"{id}\",PATHWAY-ID=\"edge-a\"\n")).count(),
            1
        );
    }
    for id in ["audio-en", "audio-de", "text-en"] {
        assert_eq!(master.matches(&format!(",STABLE-RENDITION-ID=\"{id}\",")).count(), 1, "{master}");
    }
    let manifest = text(&one, "dash.mpd").await;
    assert!(
        manifest.contains(
            " <BaseURL serviceLocation=\"edge-a\">./</BaseURL>\n <ContentSteering defaultServiceLocation=\"edge-a\" \
             queryBeforeStart=\"false\">https://steering.example/live?a=1&amp;b=2</ContentSteering>\n <Period "
        ),
        "{manifest}"
    );
    let at = |text: &str| Mpd::read(text).media("video-180p");
    let unsteered = text(&plain, "dash.mpd").await;
    assert!(!unsteered.contains("BaseURL") && at(&unsteered) == at(&manifest));
}

#[tokio::test]
async fn a_channel_of_sound_alone_plays_too() {
    let world = World::new().await;
    for name in ["film", "news", "spot", "slate"] {
        world.has(&Asset { name, heights: &[], ..Asset::default() }).await;
    }
    let one = world.replica(&spec()).await;
    one.turn().await;
    let master = text(&one, "hls.m3u8").await;
    assert!(master.contains("#EXT-X-STREAM-INF:") && master.contains("\naudio/en.m3u8"), "{master}");
    let list = Playlist::read(&text(&one, "audio/en.m3u8").await, None);
    assert!(list.segments.len() > 20);
}

/// Addresses made of pieces that mean something and pieces that do not (xorshift64): whatever is asked, the answer is one of
/// three, and soon there.
#[tokio::test]
async fn whatever_is_asked_is_answered_refused_or_not_there() {
    let world = World::new().await;
    let one = ran(&world, 1).await;
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut pick = move |all: &[&'static str]| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        all[usize::try_from(state % all.len() as u64).unwrap()]
    };
    let paths = [
        "hls.m3u8",
        "dash.mpd",
        "now.json",
        "time",
        "video/",
        "audio/",
        "text/",
        "cues/",
        "180p",
        "en",
        ".m3u8",
        "/",
        "..",
        "film/",
        "g1/",
        "0/",
        "1.vtt",
        "18446744073709551615",
        "4294967296/",
        "%",
        "%00",
        "é",
        "\"",
        "\n",
        "",
    ];
    let queries = [
        "from",
        "to",
        "_HLS_skip",
        "_HLS_msn",
        "_HLS_part",
        "=",
        "=",
        "=",
        "&",
        "&",
        "2026-11-26T12:00:00Z",
        "0001-01-01T00:00:00Z",
        "9999-12-31T23:59:60Z",
        "-",
        ".5",
        "YES",
        "v2",
        "0",
        "18446744073709551615",
        "1e308",
        "NaN",
        "%",
        "%ff",
        "+",
        "x",
    ];
    let mut met = std::collections::BTreeSet::new();
    for turn in 0..6_000 {
        let mut path: String = (0..turn % 9).map(|_| pick(&paths)).collect();
        if turn % 3 == 0 {
            path = pick(&["hls.m3u8", "video/180p.m3u8", "dash.mpd", "text/en.m3u8"]).to_owned();
        }
        let query: String = (0..turn % 11).map(|_| pick(&queries)).collect();
        let (status, _, body) = ask(&one, &format!("{path}?{query}")).await;
        assert!([200, 400, 404].contains(&status.as_u16()), "{path}?{query}: {status} {body}");
        met.insert(status.as_u16());
    }
    assert_eq!(met.len(), 3);
}
