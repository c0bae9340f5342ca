//! The clouds' API, one below `/aws`, `/gcp` and `/azure`: groups with a size, instances, notices, offers, quotas.

use serde_json::{Value, json};
use streamverse_model::compute::{CloudKind, Lifecycle};

use crate::ledger::Event;
use crate::world::{Herd, HerdSpec, Refusal, World, deployment_of, price};

/// A status and a body.
pub(crate) type Answer = (u16, Value);

/// A call of a cloud.
pub(crate) struct Call<'a> {
    pub(crate) cloud: CloudKind,
    pub(crate) method: &'a str,
    /// What follows the version.
    pub(crate) parts: &'a [&'a str],
    pub(crate) query: &'a [(String, String)],
    pub(crate) body: &'a Value,
}

/// The cloud of a path's first part.
pub(crate) fn cloud_of(name: &str) -> Option<CloudKind> {
    match name {
        "aws" => Some(CloudKind::Aws),
        "gcp" => Some(CloudKind::Gcp),
        "azure" => Some(CloudKind::Azure),
        _ => None,
    }
}

/// A refusal in a cloud's own words: EC2 says 400 for almost everything, the others use other statuses for the same.
pub(crate) fn refuse(cloud: CloudKind, why: Refusal, message: &str) -> Answer {
    use CloudKind::{Azure, Gcp};
    let (status, code) = match (why, cloud) {
        (Refusal::Capacity, Gcp) => (503, "ZONE_RESOURCE_POOL_EXHAUSTED"),
        (Refusal::Capacity, Azure) => (409, "AllocationFailed"),
        (Refusal::Capacity, _) => (400, "InsufficientInstanceCapacity"),
        (Refusal::Quota, Gcp) => (403, "quotaExceeded"),
        (Refusal::Quota, Azure) => (409, "QuotaExceeded"),
        (Refusal::Quota, _) => (400, "MaxSpotInstanceCountExceeded"),
        (Refusal::Throttle, Gcp) => (403, "rateLimitExceeded"),
        (Refusal::Throttle, Azure) => (429, "TooManyRequests"),
        (Refusal::Throttle, _) => (503, "RequestLimitExceeded"),
        (Refusal::Balance, _) => (402, "PaymentRequired"),
        (Refusal::Forbidden, _) => (403, "UnauthorizedOperation"),
        (Refusal::Internal, _) => (500, "InternalError"),
        (Refusal::Missing, _) => (404, "NotFound"),
        (Refusal::Invalid, _) => (400, "InvalidParameter"),
        (Refusal::Conflict, _) => (409, "ResourceInUse"),
    };
    (status, json!({ "error": { "code": code, "message": message } }))
}

/// Does it.
pub(crate) fn answer(world: &mut World, call: &Call<'_>) -> Answer {
    match (call.method, call.parts) {
        ("GET", ["offers"]) => (200, json!({ "items": offers(world, call.cloud) })),
        ("GET", ["quotas"]) => (200, json!({ "items": quotas(world, call.cloud) })),
        ("GET", ["groups"]) => page(world, call, groups(world, call)),
        ("GET", ["instances"]) => {
            let all = instances(world, call);
            page(world, call, all)
        }
        ("GET", ["notices"]) => page(world, call, notices(world, call)),
        ("PUT", ["groups", name]) => ensure(world, call, name),
        ("POST", ["groups", name, "size"]) => resize(world, call, name),
        ("DELETE", ["groups", name]) => delete(world, call, name),
        ("DELETE", ["instances", id]) => match world.find(id) {
            Some(index) => {
                world.end(index, world.now, Event::Terminate);
                (200, json!({}))
            }
            None => refuse(call.cloud, Refusal::Missing, "there is no such instance"),
        },
        _ => refuse(call.cloud, Refusal::Missing, "there is no such operation"),
    }
}

fn query<'a>(call: &'a Call<'_>, name: &str) -> &'a str {
    call.query.iter().find(|(its, _)| its == name).map_or("", |(_, value)| value)
}

/// A page of a list: its items have a member `id`, by which they are in order.
fn page(world: &World, call: &Call<'_>, mut items: Vec<(String, Value)>) -> Answer {
    let (size, after) = (world.config.settings.page_size, query(call, "after"));
    items.retain(|(id, _)| id.as_str() > after);
    let more = size > 0 && items.len() > size;
    if more {
        items.truncate(size);
    }
    let next = items.last().filter(|_| more).map(|(id, _)| id.clone());
    let items: Vec<Value> = items.into_iter().map(|(_, it)| it).collect();
    let body = match next {
        Some(next) => json!({ "items": items, "next": next }),
        None => json!({ "items": items }),
    };
    (200, body)
}

fn offers(world: &World, cloud: CloudKind) -> Vec<Value> {
    let mut all = Vec::new();
    for zone in world.config.zones.iter().filter(|it| it.cloud == cloud) {
        for lifecycle in [Lifecycle::Spot, Lifecycle::OnDemand] {
            if let Some(hourly) = price(zone, lifecycle) {
                all.push(json!({ "zone": zone.name, "region": zone.region, "lifecycle": lifecycle, "hourly": hourly }));
            }
        }
    }
    all
}

fn quotas(world: &World, cloud: CloudKind) -> Vec<Value> {
    let mut all = Vec::new();
    for quota in world.config.quotas.iter().filter(|it| it.cloud == cloud) {
        let used = world.machines.iter().filter(|it| {
            let zone = world.config.zones.get(it.zone);
            let there = quota.region.is_empty() || zone.is_some_and(|it| it.region == quota.region);
            it.gone_ms.is_none() && it.cloud == cloud && it.lifecycle == quota.lifecycle && there
        });
        all.push(json!({
            "name": format!("{} instances", quota.lifecycle), "region": quota.region,
            "used": used.count(), "limit": quota.limit,
        }));
    }
    all
}

fn groups(world: &World, call: &Call<'_>) -> Vec<(String, Value)> {
    let deployment = query(call, "deployment");
    let shown = world
        .groups
        .iter()
        .filter(|(_, it)| it.cloud == call.cloud && it.deployment == deployment && it.listed_ms <= world.now);
    shown
        .map(|(name, it)| {
            let refused =
                it.refused.map(|why| refuse(call.cloud, why, "the group is short").1["error"].clone());
            (name.clone(), json!({ "name": name, "size": it.size, "refused": refused }))
        })
        .collect()
}

fn instances(world: &mut World, call: &Call<'_>) -> Vec<(String, Value)> {
    let deployment = query(call, "deployment");
    let mut shown = Vec::new();
    for index in 0..world.machines.len() {
        let forgotten = world.faults.forgets();
        let Some(one) = world.machines.get(index) else { continue };
        let its = one.cloud == call.cloud && deployment_of(&one.group).is_some_and(|it| it == deployment);
        // A list that is behind shows what is gone as it was.
        let told = one.gone_ms.is_none_or(|it| it + world.config.settings.gone_late_ms > world.now);
        if !its || !told || one.listed_ms > world.now || forgotten {
            continue;
        }
        shown.push((
            one.id.clone(),
            json!({
                "id": one.id, "group": one.group, "lifecycle": one.lifecycle,
                "phase": if one.ready { "running" } else { "starting" },
                "zone": world.config.zones.get(one.zone).map(|it| &it.name),
                "hourly": one.hourly, "launched_ms": one.launched_ms,
            }),
        ));
    }
    shown
}

fn notices(world: &World, call: &Call<'_>) -> Vec<(String, Value)> {
    let deployment = query(call, "deployment");
    let announced = world.machines.iter().filter(|it| {
        let its = deployment_of(&it.group).is_some_and(|it| it == deployment);
        it.cloud == call.cloud && its && it.gone_ms.is_none()
    });
    announced
        .filter_map(|it| {
            Some((it.id.clone(), json!({ "id": it.id, "kind": "preemption", "at_ms": it.doomed_ms? })))
        })
        .collect()
}

fn ensure(world: &mut World, call: &Call<'_>, name: &str) -> Answer {
    let spec: HerdSpec = match serde_json::from_value(call.body.clone()) {
        Ok(spec) => spec,
        Err(error) => return refuse(call.cloud, Refusal::Invalid, &error.to_string()),
    };
    let Some(deployment) = deployment_of(name) else {
        return refuse(call.cloud, Refusal::Invalid, "the group's name is none of a deployment");
    };
    let known = |it: &crate::config::ZoneConfig| {
        it.cloud == call.cloud && spec.zone.as_ref().map_or(it.region == spec.region, |zone| *zone == it.name)
    };
    if !world.config.zones.iter().any(known) {
        return refuse(call.cloud, Refusal::Invalid, "there is no such place");
    }
    if let Some(herd) = world.groups.get_mut(name) {
        if herd.spec.lifecycle != spec.lifecycle || herd.cloud != call.cloud {
            return refuse(call.cloud, Refusal::Invalid, "a group's lifecycle and cloud cannot be changed");
        }
        herd.spec = spec;
        return (200, json!({}));
    }
    let listed_ms = world.now + world.config.settings.list_late_ms;
    let herd = Herd { cloud: call.cloud, deployment, spec, size: 0, refused: None, listed_ms };
    world.groups.insert(name.to_owned(), herd);
    world.note_group(name, Event::Group, String::new());
    (201, json!({}))
}

fn resize(world: &mut World, call: &Call<'_>, name: &str) -> Answer {
    let size = call.body["size"].as_u64().and_then(|it| u32::try_from(it).ok());
    let held = world.held(name);
    let Some(herd) = world.groups.get_mut(name).filter(|it| it.cloud == call.cloud) else {
        return refuse(call.cloud, Refusal::Missing, "there is no such group");
    };
    let Some(size) = size else { return refuse(call.cloud, Refusal::Invalid, "a size is a number") };
    if size > herd.spec.max {
        return refuse(call.cloud, Refusal::Invalid, &format!("the group holds {} at most", herd.spec.max));
    }
    if size < held {
        return refuse(
            call.cloud,
            Refusal::Invalid,
            &format!("{held} run: end those that must go by their ids"),
        );
    }
    herd.size = size;
    let (made, refused) = world.fill(name, "");
    let keeps = world.config.settings.keeps;
    if let Some(why) = refused {
        world.note_group(name, Event::Refused, format!("{why:?}").to_lowercase());
        if !keeps {
            let held = world.held(name);
            if let Some(herd) = world.groups.get_mut(name) {
                herd.size = held;
            }
            if made == 0 {
                return refuse(call.cloud, why, "the group gets no more");
            }
        }
    }
    (200, json!({ "size": size }))
}

fn delete(world: &mut World, call: &Call<'_>, name: &str) -> Answer {
    if world.groups.get(name).is_none_or(|it| it.cloud != call.cloud) {
        return refuse(call.cloud, Refusal::Missing, "there is no such group");
    }
    if world.held(name) > 0 {
        return refuse(call.cloud, Refusal::Conflict, "the group still has instances");
    }
    world.note_group(name, Event::GroupDeleted, String::new());
    world.groups.remove(name);
    (200, json!({}))
}
