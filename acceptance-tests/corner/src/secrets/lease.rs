//! Ephemeral `corner_lease`: opened while Terraform runs, renewed while it takes long, closed at the end. What
//! happened is written to the store, for tests to read.

use std::time::{Duration, SystemTime};

use serde::{Deserialize, Serialize};
use tfplugin_framework::schema::{self, Computed};
use tfplugin_framework::{Context, Ephemeral, Opened, Result, Schema, ephemeral};

use crate::Corner;

/// A lease.
#[derive(Clone, Schema)]
pub(crate) struct Lease {
    /// What it is for; the name of its record in the store.
    purpose: String,
    /// How long it holds before it is renewed.
    #[attribute(default = "1h")]
    holds: schema::Duration,
    /// The token that it gives.
    #[attribute(sensitive)]
    token: Computed<String>,
}

#[derive(Default, Serialize, Deserialize)]
struct Record {
    opened: u32,
    renewed: u32,
    closed: u32,
}

fn note(cx: &Context<Corner>, purpose: &str, what: impl FnOnce(&mut Record)) -> Result<()> {
    let store = &cx.provider().store;
    let mut record = store.get::<Record>("lease", purpose)?.unwrap_or_default();
    what(&mut record);
    store.put("lease", purpose, &record)
}

#[ephemeral(name = "lease")]
impl Ephemeral for Lease {
    type Provider = Corner;

    async fn open(cx: &Context<Corner>, config: Self) -> Result<Opened<Self>> {
        note(cx, &config.purpose, |record| record.opened += 1)?;
        cx.set_private("purpose", &config.purpose)?;
        cx.set_private("holds_ms", &(config.holds.0.as_millis() as u64))?;
        let renew_at = SystemTime::now() + config.holds.0;
        let token = tfplugin_framework::unique_id("token");
        Ok(Opened::new(config.complete(LeaseComputed { token })).renew_at(renew_at))
    }

    async fn renew(cx: &Context<Corner>) -> Result<Option<SystemTime>> {
        let purpose: String = cx.private("purpose")?.unwrap_or_default();
        note(cx, &purpose, |record| record.renewed += 1)?;
        let holds = Duration::from_millis(cx.private("holds_ms")?.unwrap_or(60_000));
        Ok(Some(SystemTime::now() + holds))
    }

    async fn close(cx: &Context<Corner>) -> Result<()> {
        let purpose: String = cx.private("purpose")?.unwrap_or_default();
        note(cx, &purpose, |record| record.closed += 1)
    }
}
