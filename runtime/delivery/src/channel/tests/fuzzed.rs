//! What fuzzers ask of a channel, without a fuzzer: of the reader of questions, and of a channel that runs.

#[path = "../../../../fuzz/src/drive.rs"]
mod drive;
#[allow(unreachable_pub, reason = "it is public where fuzzers call it")]
#[path = "../../../../fuzz/src/playlist_query.rs"]
mod playlist_query;

use std::cell::RefCell;
use std::collections::BTreeSet;

use super::super::kit::{World, ask};
use super::asked::ran;

#[test]
fn any_question_is_read_or_refused_with_a_code() {
    drive::drive("playlist_query", 300, playlist_query::any);
}

#[tokio::test]
async fn any_question_to_a_channel_is_answered_refused_or_not_there() {
    let world = World::new().await;
    let one = ran(&world, 1).await;
    let all = RefCell::new(Vec::new());
    drive::drive("playlist_query", 20, |data| {
        all.borrow_mut().push(String::from_utf8_lossy(data).replace("720p", "180p"));
    });
    let mut met = BTreeSet::new();
    for question in all.into_inner() {
        let (status, _, body) = ask(&one, &question).await;
        assert!([200, 400, 404].contains(&status.as_u16()), "{question}: {status} {body}");
        met.insert(status.as_u16());
    }
    assert_eq!(met.len(), 3);
}
