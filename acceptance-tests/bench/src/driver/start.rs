//! From the start of a provider's process to its handshake and its first answer; and what it writes to its log when
//! nobody asked for one.

use tfplugin_framework::proto::tfplugin6 as pb;

use super::collections::{Messages, large_text};
use super::plugin::{Identity, Plugin};
use super::row::{Row, Samples};
use super::{Outcome, Setup, tell};
use crate::providers::types::{ATTRIBUTES, TYPES};

/// Measures.
pub async fn measure(setup: &Setup) -> Outcome<Vec<Row>> {
    let host = Identity::new()?;
    let mut rows = Vec::new();
    let many = format!("{TYPES} types of {ATTRIBUTES} attributes");
    for (binary, what, goal) in [
        ("bench-wide", "4 types", 20.0),
        ("terraform-provider-corner", "corner provider", 20.0),
        ("bench-types", many.as_str(), 30.0),
    ] {
        let (mut handshakes, mut schemas, mut memory) =
            (Samples::default(), Samples::default(), Samples::default());
        for _ in 0..setup.repetitions(21) {
            let plugin = Plugin::start(&setup.binary(binary)?, &host)?;
            handshakes.push(plugin.handshake.as_secs_f64() * 1e3);
            let mut client = plugin.connect(&host).await?;
            client.get_provider_schema(pb::get_provider_schema::Request {}).await?;
            schemas.push(plugin.age().as_secs_f64() * 1e3);
            memory.push(plugin.usage().map(|(_, peak)| peak).unwrap_or_default());
            plugin.end()?;
        }
        tell(format!("start, {what}: {:.1} ms, schemas at {:.1} ms", handshakes.median(), schemas.median()));
        rows.push(
            Row::new(format!("start to handshake, {what}"), handshakes.median(), "ms")
                .goal(goal)
                .note(format!("{} ms, with a client certificate", handshakes.spread(1))),
        );
        rows.push(
            Row::new(format!("start to all schemas, {what}"), schemas.median(), "ms")
                .note(format!("{} ms", schemas.spread(1))),
        );
        rows.push(
            Row::new(format!("RSS after the schemas, {what}"), memory.median(), "MB")
                .note(format!("{} MB", memory.spread(1))),
        );
    }
    rows.extend(over_the_wire(setup, &host).await?);
    Ok(rows)
}

/// A life with a value of 10 MB in it, and no log.
async fn over_the_wire(setup: &Setup, host: &Identity) -> Outcome<Vec<Row>> {
    let plugin = Plugin::start(&setup.binary("bench-wide")?, host)?;
    let mut client = plugin.connect(host).await?;
    let messages = Messages::new::<crate::providers::collections::List>("bench_list");
    client.get_provider_schema(pb::get_provider_schema::Request {}).await?;
    client.configure_provider(messages.configure()?).await?;
    let value = large_text(10_000_000);
    let started = std::time::Instant::now();
    let valid = client.validate_resource_config(messages.validate(&value)?).await?.into_inner();
    Messages::clean(&valid.diagnostics)?;
    let planned = client.plan_resource_change(messages.plan(None, &value)?).await?.into_inner();
    Messages::clean(&planned.diagnostics)?;
    let applied = client
        .apply_resource_change(messages.apply(None, &value, planned.planned_state)?)
        .await?
        .into_inner();
    Messages::clean(&applied.diagnostics)?;
    let seconds = started.elapsed().as_secs_f64();
    let state = messages.decode(applied.new_state.as_ref())?;
    if state.get("text") != value.get("text") {
        return Err("10 MB went out and something else came back".into());
    }
    let peak = plugin.usage().map(|(_, peak)| peak).unwrap_or_default();
    let said = plugin.end()?;
    Ok(vec![
        Row::new("a text of 10 MB validated, planned, applied over gRPC", seconds, "s")
            .note(format!("what came back is what went out; provider RSS {peak:.0} MB")),
        Row::new("bytes of log in that life, TF_LOG unset", said.len() as f64, "B").goal(0.0),
    ])
}
