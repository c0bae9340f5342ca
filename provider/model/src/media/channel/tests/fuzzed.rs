//! What fuzzers ask for of a channel, without a fuzzer.

#[path = "../../../../../../runtime/fuzz/src/drive.rs"]
mod drive;
#[allow(unreachable_pub, reason = "it is public where fuzzers call it")]
#[path = "../../../../../../runtime/fuzz/src/schedule.rs"]
mod schedule;

#[test]
fn any_spec_is_none_or_is_refused_or_plays_by_the_rules() {
    drive::drive("schedule", 200, schedule::any);
}
