//! The metadata service of each instance, below `/_metadata/ID`: its own cloud's protocol and no other, on the virtual clock.
//!
//! What it says of protocols is of the clouds' documentation: EC2 "Spot Instance interruption notices" and IMDSv2, Compute Engine
//! "Query VM metadata" (`wait_for_change`) and `instance/preempted`, Azure "Scheduled Events for Linux VMs".

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use jiff::fmt::rfc2822::DateTimePrinter;
use serde_json::{Value, json};
use streamverse_model::compute::CloudKind;
use streamverse_stand_in::lock;

use crate::ledger::Event;
use crate::server::{Plain, Shared};
use crate::world::{Machine, World};

const TOKEN: &str = "metadata-token";

/// What an instance asks.
pub(crate) struct Asked<'a> {
    pub(crate) id: &'a str,
    pub(crate) method: &'a str,
    /// What follows the instance, with its first `/`.
    pub(crate) path: &'a str,
    pub(crate) query: &'a [(String, String)],
    pub(crate) headers: &'a hyper::HeaderMap,
    pub(crate) body: &'a Value,
}

/// The answer; none where the instance is gone, and its metadata service with it.
pub(crate) async fn answer(world: &Shared, asked: &Asked<'_>) -> Option<Plain> {
    if asked.path == "/computeMetadata/v1/instance/preempted" && asked.method == "GET" {
        return preempted(world, asked).await;
    }
    let mut world = lock(world);
    world.catch_up();
    let index = world.find(asked.id)?;
    let one = world.machines.get(index)?.clone();
    Some(match one.cloud {
        CloudKind::Aws => ec2(asked, &one),
        CloudKind::Azure => azure(&mut world, asked, index, &one),
        _ => Plain::status(404),
    })
}

fn header<'a>(asked: &Asked<'a>, name: &str) -> Option<&'a str> {
    asked.headers.get(name).and_then(|it| it.to_str().ok())
}

fn ec2(asked: &Asked<'_>, one: &Machine) -> Plain {
    if (asked.method, asked.path) == ("PUT", "/latest/api/token") {
        let lasts = header(asked, "x-aws-ec2-metadata-token-ttl-seconds").is_some();
        return if lasts { Plain::text(TOKEN) } else { Plain::status(400) };
    }
    if header(asked, "x-aws-ec2-metadata-token") != Some(TOKEN) {
        return Plain::status(401);
    }
    let seconds = |at_ms: u64| i64::try_from(at_ms / 1000).unwrap_or(0);
    match (asked.method, asked.path, one.doomed_ms) {
        ("GET", "/latest/meta-data/spot/instance-action", Some(at)) => {
            let time = Timestamp::from_second(seconds(at)).unwrap_or_default().to_string();
            Plain::text(json!({ "action": "terminate", "time": time }).to_string())
        }
        ("GET", "/latest/meta-data/instance-id", _) => Plain::text(one.id.as_str()),
        ("GET", "/latest/meta-data/autoscaling/target-lifecycle-state", _) => Plain::text("InService"),
        _ => Plain::status(404),
    }
}

async fn preempted(world: &Shared, asked: &Asked<'_>) -> Option<Plain> {
    if header(asked, "metadata-flavor") != Some("Google") {
        return Some(Plain::status(403));
    }
    let value = |name: &str| asked.query.iter().find(|(its, _)| its == name).map(|(_, value)| value.as_str());
    let waits = value("wait_for_change") == Some("true");
    let seconds = value("timeout_sec").and_then(|it| it.parse().ok()).unwrap_or(3600);
    let until = tokio::time::Instant::now() + Duration::from_secs(seconds);
    loop {
        let (cloud, doomed) = {
            let mut world = lock(world);
            world.catch_up();
            let one = world.machines.get(world.find(asked.id)?)?;
            (one.cloud, one.doomed_ms.is_some())
        };
        if cloud != CloudKind::Gcp {
            return Some(Plain::status(404));
        }
        let now = if doomed { "TRUE" } else { "FALSE" };
        let etag = format!("{now}4711");
        let over = tokio::time::Instant::now() >= until;
        if !waits || over || value("last_etag").is_some_and(|last| last != etag) {
            return Some(Plain { etag: Some(etag), ..Plain::text(now) });
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

fn azure(world: &mut World, asked: &Asked<'_>, index: usize, one: &Machine) -> Plain {
    if header(asked, "metadata") != Some("true") {
        return Plain::status(400);
    }
    let event = format!("event-{}", one.id);
    match (asked.method, asked.path) {
        ("GET", "/metadata/instance/compute/name") => Plain::text(one.id.as_str()),
        ("GET", "/metadata/scheduledevents") => {
            let at = one.doomed_ms.map(|it| i64::try_from(it / 1000).unwrap_or(0));
            let events: Vec<Value> = at
                .into_iter()
                .map(|at| {
                    let time = Timestamp::from_second(at).unwrap_or_default();
                    let time = DateTimePrinter::new().timestamp_to_rfc9110_string(&time).unwrap_or_default();
                    json!({
                        "EventId": event, "EventType": "Preempt", "ResourceType": "VirtualMachine",
                        "Resources": [one.id], "EventStatus": "Scheduled", "NotBefore": time,
                        "Description": "", "EventSource": "Platform", "DurationInSeconds": -1,
                    })
                })
                .collect();
            Plain::text(json!({ "DocumentIncarnation": events.len(), "Events": events }).to_string())
        }
        ("POST", "/metadata/scheduledevents") => {
            let named = asked.body["StartRequests"].as_array().into_iter().flatten();
            if one.doomed_ms.is_none() || !named.into_iter().any(|it| it["EventId"] == json!(event)) {
                return Plain::status(400);
            }
            world.end(index, world.now, Event::Preempt);
            Plain::text("")
        }
        _ => Plain::status(404),
    }
}

/// Which instances may be asked, for a test that wants to know where to send its agent.
pub(crate) fn list(world: &Arc<std::sync::Mutex<World>>) -> Value {
    let world = lock(world);
    let alive = world.machines.iter().filter(|it| it.gone_ms.is_none());
    alive
        .map(|it| {
            json!({
                "id": it.id, "group": it.group, "cloud": it.cloud, "lifecycle": it.lifecycle, "ready": it.ready,
                "zone": world.config.zones.get(it.zone).map(|it| &it.name), "doomed_ms": it.doomed_ms,
            })
        })
        .collect()
}
