//! Pictures that say which one they are, in the order in which the channel plays them.

use serde_json::{Value, json};

/// Frames of a second, and of a group of pictures: a segment of the ladder below.
pub(crate) const RATE: i64 = 25;
pub(crate) const GROUP: i64 = 2 * RATE;
/// Clips by the number in their block code, with their seconds.
pub(crate) const FEATURE: (u32, u32) = (1, 12);
pub(crate) const SHORT: (u32, u32) = (2, 4);
pub(crate) const SPOT: (u32, u32) = (3, 4);
pub(crate) const SLATE: (u32, u32) = (4, 2);
/// Where the break in the feature is, in seconds. A key is used for four seconds, so that it is exchanged at the fourth, too.
pub(crate) const BREAK_AT: i64 = 8;

/// Where a picture is in what the channel plays over and over, in frames: the feature up to its break, the spot, the rest of
/// the feature, the short one. Slate is not counted: it stands where nothing else is.
pub(crate) fn place(clip: i64, frame: i64) -> Option<i64> {
    let (feature, spot) = (i64::from(FEATURE.1) * RATE, i64::from(SPOT.1) * RATE);
    let of = |clip: (u32, u32)| i64::from(clip.0);
    match clip {
        _ if clip == of(FEATURE) && frame < BREAK_AT * RATE => Some(frame),
        _ if clip == of(FEATURE) => Some(frame + spot),
        _ if clip == of(SPOT) => Some(BREAK_AT * RATE + frame),
        _ if clip == of(SHORT) => Some(feature + spot + frame),
        _ => None,
    }
}

const ROUND: i64 = (FEATURE.1 + SPOT.1 + SHORT.1) as i64 * RATE;

/// Judges what was seen on the screen: pictures in order, none skipped or repeated beyond one group of pictures.
pub(crate) fn in_order(seen: &[Value]) -> Result<(), String> {
    let mut before: Option<(i64, i64)> = None;
    for one in seen {
        let number = |at: usize| one[at].as_i64().unwrap_or(-1);
        let (clip, frame, at) = (number(0), number(1), number(2));
        let Some(now) = place(clip, frame) else { continue };
        if let Some((last, then)) = before {
            let step = (now - last).rem_euclid(ROUND);
            // Half a round ahead is half a round back.
            let step = if step > ROUND / 2 { step - ROUND } else { step };
            let passed = (at - then) * RATE / 1000;
            if step < -GROUP {
                return Err(format!("after place {last} comes {now}: {} pictures again", -step));
            }
            if step > passed + GROUP {
                return Err(format!("after place {last} comes {now}, {passed} later: pictures are missing"));
            }
        }
        before = Some((now, at));
    }
    Ok(())
}

#[test]
fn pictures_out_of_order_are_told_apart_from_those_in_order() {
    let frame = |clip: u32, frame: i64, at: i64| json!([clip, frame, at]);
    let feature = FEATURE.0;
    assert!(in_order(&[frame(feature, 0, 0), frame(feature, 25, 1000), frame(feature, 26, 1040)]).is_ok());
    // Over the break, with slate in it, and from the last to the first.
    assert!(
        in_order(&[
            frame(feature, 199, 0),
            frame(SPOT.0, 0, 40),
            frame(SLATE.0, 9, 3000),
            frame(feature, 200, 4040)
        ])
        .is_ok()
    );
    assert!(in_order(&[frame(SHORT.0, 99, 0), frame(feature, 0, 40)]).is_ok());
    assert!(in_order(&[frame(feature, 100, 0), frame(feature, 160, 40)]).is_err());
    assert!(in_order(&[frame(feature, 100, 0), frame(feature, 40, 40)]).is_err());
    assert!(in_order(&[frame(feature, 199, 0), frame(feature, 260, 40)]).is_err());
}
