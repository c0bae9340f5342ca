//! What is on and what comes next, as `now.json`.

use serde_json::{Value, json};
use streamverse_model::media::channel::{FastChannelSpec, ItemKind};

use super::announced::millis;
use super::time::utc;
use super::timeline::{Entry, Timeline};

/// How far ahead is told: half of the horizon, so that all replicas know it.
fn ahead(spec: &FastChannelSpec, now: u64) -> u64 {
    now.saturating_add(millis(spec.horizon.0) / 2)
}

/// Items that are told at most.
const MOST: usize = 200;

/// What is on at an instant: `now` and `next` change with the programme or the break, `items` with each item.
pub(super) fn page(name: &str, spec: &FastChannelSpec, timeline: &Timeline, now: u64, from: u64) -> Value {
    let entries = timeline.entries();
    let Some(on) = timeline.on(now) else {
        return json!({ "channel": name, "title": title(name, spec), "now": null, "next": null, "items": [] });
    };
    let end = entries.len();
    let first = stretch(timeline, on);
    let last = (first..end).find(|at| *at > on && !same(timeline, first, *at)).unwrap_or(end);
    let next = (last < end).then(|| {
        let after = (last..end).find(|at| !same(timeline, last, *at)).unwrap_or(end);
        // Until when it goes on is told once all replicas know it.
        described(timeline, spec, last, after, now)
    });
    let begin = entries.partition_point(|it| it.item.end_ms() <= from);
    let shown = entries.get(begin..).unwrap_or_default().iter();
    let shown = shown.take_while(|it| it.item.start_ms <= ahead(spec, now)).take(MOST);
    json!({
        "channel": name,
        "title": title(name, spec),
        "now": described(timeline, spec, first, last, now),
        "next": next.flatten(),
        "items": shown.map(|it| item(spec, it)).collect::<Vec<_>>(),
    })
}

pub(super) fn title<'a>(name: &'a str, spec: &'a FastChannelSpec) -> &'a str {
    spec.title.as_deref().unwrap_or(name)
}

/// Where what is on at a place began.
fn stretch(timeline: &Timeline, on: usize) -> usize {
    let mut first = on;
    while let Some(before) = first.checked_sub(1).filter(|before| same(timeline, *before, on)) {
        first = before;
    }
    first
}

/// Whether two items are of one programme, or one break, as a viewer sees it.
fn same(timeline: &Timeline, a: usize, b: usize) -> bool {
    let (Some(a), Some(b)) = (timeline.entries().get(a), timeline.entries().get(b)) else { return false };
    (a.item.kind, a.item.programme, &a.item.asset) == (b.item.kind, b.item.programme, &b.item.asset)
}

/// The items `first..last` as one; `None` where it begins later than replicas agree on.
fn described(
    timeline: &Timeline,
    spec: &FastChannelSpec,
    first: usize,
    last: usize,
    now: u64,
) -> Option<Value> {
    let entries = timeline.entries().get(first..last)?;
    let (head, tail) = (entries.first()?, entries.last()?);
    if head.item.start_ms > ahead(spec, now) {
        return None;
    }
    // What ends later may still go on, as far as all replicas know.
    let known = entries.iter().take_while(|it| it.item.start_ms <= ahead(spec, now)).last().unwrap_or(tail);
    let mut kids: Vec<_> = entries
        .iter()
        .filter(|it| it.item.start_ms <= ahead(spec, now))
        .flat_map(|it| it.package.kids(&it.item))
        .collect();
    kids.sort_unstable();
    kids.dedup();
    Some(json!({
        "title": spec.title_of(&head.item.asset),
        "kind": head.item.kind,
        "asset": head.item.asset,
        "start": utc(head.item.start_ms),
        "end": utc(known.item.end_ms()),
        "kids": kids,
    }))
}

fn item(spec: &FastChannelSpec, entry: &Entry) -> Value {
    let it = &entry.item;
    json!({
        "title": if it.kind == ItemKind::Slate { "" } else { spec.title_of(&it.asset) },
        "kind": it.kind,
        "asset": it.asset,
        "generation": it.generation,
        "part": it.part,
        "start": utc(it.start_ms),
        "end": utc(it.end_ms()),
        "media_sequence": it.msn,
        "discontinuity_sequence": it.dsn,
        "kids": entry.package.kids(it),
    })
}
