//! The guide.

use serde_json::json;

use super::kit::channel;
use crate::media::channel::{Guide, xmltv};

#[test]
fn a_guide_has_local_times_and_what_is_between_programmes_is_in_none() {
    let spec = channel(json!({
        "title": "Eins & <Zwei>", "time_zone": "Europe/Berlin", "start": "2026-10-24T22:00:00Z",
        "sources": {
            "news": { "title": "News \"now\"", "duration_ms": 1_800_000, "description": "a\u{1}b < c", "category": "News" },
            "film": { "duration_ms": 5_400_000 }, "slate": {},
        },
        "schedule": { "grid": { "programmes": [{ "at": "01:30", "asset": "news" }, { "at": "02:30", "asset": "film" }] } },
    }));
    let guide = Guide::of_first_day("one", &spec).unwrap();
    let told: Vec<String> =
        guide.programmes.iter().map(|it| format!("{} {} {}", it.start, it.stop, it.asset)).collect();
    assert_eq!(
        told,
        [
            "2026-10-25T01:30:00+02:00 2026-10-25T02:00:00+02:00 news",
            "2026-10-25T02:30:00+02:00 2026-10-25T03:00:00+01:00 film",
        ],
        "the day on which the clock goes back"
    );
    let xml = xmltv(&[guide]);
    assert!(xml.contains("<display-name>Eins &amp; &lt;Zwei&gt;</display-name>"), "{xml}");
    assert!(
        xml.contains(r#"<programme start="20261025013000 +0200" stop="20261025020000 +0200" channel="one">"#),
        "{xml}"
    );
    assert!(xml.contains(
        "<title>News &quot;now&quot;</title>\n    <desc>ab &lt; c</desc>\n    <category>News</category>"
    ));
}
