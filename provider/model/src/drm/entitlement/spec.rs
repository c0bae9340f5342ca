//! What a policy says.

use serde::{Deserialize, Serialize};
use tfplugin_schema::{Diagnostics, Duration, Field as _, Maybe, Schema};

use crate::platform::SpecError;

/// Who may watch what: packages, rentals, events, blackouts, and how many screens at a time.
#[derive(Clone, Debug, PartialEq, Schema, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EntitlementPolicySpec {
    /// What is sold by subscription.
    #[serde(default)]
    pub packages: Option<Vec<Package>>,
    /// Whether assets may be bought for good. Where they may not, purchases that were granted before give nothing.
    #[attribute(default = true)]
    pub purchases: bool,
    /// How assets are rented. Where nothing is given, rentals that were granted before give nothing.
    pub rental: Option<Rental>,
    /// What is sold by the event (pay-per-view).
    #[serde(default)]
    pub events: Option<Vec<Event>>,
    /// What may not be watched where, whatever was paid.
    #[serde(default)]
    pub blackouts: Option<Vec<Blackout>>,
    /// How many streams an account may have at a time.
    #[attribute(default = 2, validate(range = 1..=100))]
    pub streams: u32,
    /// How many devices an account may have. A device counts from its first licence until the admin API removes it.
    #[attribute(default = 5, validate(range = 1..=100))]
    pub devices: u32,
    /// How long a licence counts as a stream. A player that goes on asks again after half of it; what does not ask again
    /// frees its place when one and a half of it is over.
    #[attribute(default = "2m")]
    pub licence_duration: Duration,
}

/// Assets that are sold together by subscription.
#[derive(Clone, Debug, PartialEq, Schema, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Package {
    /// What grants name: `basic`.
    #[attribute(validate(regex(
        "^[a-z0-9]([a-z0-9-]{0,38}[a-z0-9])?$",
        says = "must be 1 to 40 characters of a-z, 0-9 and inner -"
    )))]
    pub name: String,
    /// Names of assets; what ends in `*` means all that begin so, and `*` all.
    #[attribute(validate(length = 1..=10000))]
    pub assets: Vec<String>,
}

/// How assets are rented.
#[derive(Clone, Debug, PartialEq, Schema, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rental {
    /// How long a rented asset may be watched from its first play on.
    #[attribute(default = "2days")]
    pub window: Duration,
    /// How long after it was rented the first play may be.
    #[attribute(default = "30days")]
    pub start_within: Duration,
}

/// What is sold by the event.
#[derive(Clone, Debug, PartialEq, Schema, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Event {
    /// What grants name: `final-2026`.
    #[attribute(validate(regex(
        "^[a-z0-9]([a-z0-9-]{0,38}[a-z0-9])?$",
        says = "must be 1 to 40 characters of a-z, 0-9 and inner -"
    )))]
    pub name: String,
    /// Names of assets; what ends in `*` means all that begin so, and `*` all.
    #[attribute(validate(length = 1..=10000))]
    pub assets: Vec<String>,
    /// When it opens (RFC 3339): `2026-12-01T18:00:00Z`.
    pub from: String,
    /// When it closes (RFC 3339).
    pub to: String,
}

/// What may not be watched in some countries.
#[derive(Clone, Debug, PartialEq, Schema, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Blackout {
    /// ISO 3166-1 alpha-2: `DE`. A viewer whose token names no country is refused too.
    #[attribute(validate(length = 1..=300))]
    pub countries: Vec<String>,
    /// Names of assets; what ends in `*` means all that begin so, and `*` all.
    #[attribute(validate(length = 1..=10000))]
    pub assets: Vec<String>,
    /// When it begins (RFC 3339); it has always been where none is given.
    pub from: Option<String>,
    /// When it ends (RFC 3339); never where none is given.
    pub to: Option<String>,
}

impl EntitlementPolicySpec {
    /// Reads a policy's `definition`, and refuses what would not have passed as a `streamverse_entitlement_policy`.
    ///
    /// # Errors
    /// No JSON of a policy, or the first thing that is wrong with it.
    pub fn read(definition: &str) -> Result<EntitlementPolicySpec, SpecError> {
        let policy: EntitlementPolicySpec = serde_json::from_str(definition)
            .map_err(|error| SpecError::new(format!("this is no entitlement policy: {error}")))?;
        let written = EntitlementPolicySpec::view(&EntitlementPolicySpec::write(&policy))
            .map_err(|error| SpecError::new(error.to_string()))?;
        let mut found = Diagnostics::new();
        if let Maybe::Known(view) = written {
            super::check(&view, &mut found);
        }
        if !(1..=100).contains(&policy.streams) || !(1..=100).contains(&policy.devices) {
            return Err(SpecError::new("an account has 1 to 100 streams and 1 to 100 devices"));
        }
        match found.iter().next() {
            None => Ok(policy),
            Some(first) => Err(SpecError::new(format!("{}: {}", first.summary, first.detail))),
        }
    }

    /// The package of that name.
    pub fn package(&self, name: &str) -> Option<&Package> {
        self.packages.iter().flatten().find(|it| it.name == name)
    }

    /// The event of that name.
    pub fn event(&self, name: &str) -> Option<&Event> {
        self.events.iter().flatten().find(|it| it.name == name)
    }
}

/// Whether a list of assets has one: by its name, or by a pattern that ends in `*`.
pub(super) fn lists(assets: &[String], asset: &str) -> bool {
    assets.iter().any(|it| match it.strip_suffix('*') {
        Some(beginning) => asset.starts_with(beginning),
        None => it == asset,
    })
}

/// Milliseconds since the Unix epoch of an RFC 3339 instant; `None` for anything else, and for times before 1970.
pub fn instant(text: &str) -> Option<u64> {
    let at: jiff::Timestamp = text.parse().ok()?;
    u64::try_from(at.as_millisecond()).ok()
}
