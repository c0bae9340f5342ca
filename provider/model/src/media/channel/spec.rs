//! What is asked for of a channel.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use tfplugin_schema::{Duration, Schema, Timestamp};

use crate::platform::{self, Isolation, Name, Object, Resources, ServiceObject, SpecError};

/// A channel that never ends, made of assets: what plays is a function of its schedule and the clock, so that every
/// replica answers the same and a restart is not seen.
#[derive(Clone, Debug, PartialEq, Schema, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FastChannelSpec {
    /// The title that viewers see; the name where none is given.
    pub title: Option<String>,
    /// The TCP port.
    #[attribute(default = 8090, validate(range = 1..))]
    #[serde(default = "usual::port")]
    pub port: u16,
    /// How many run. A site of one host runs one.
    #[attribute(default = 1, validate(range = 1..=100))]
    #[serde(default = "usual::replicas")]
    pub replicas: u32,
    /// The object store that holds the packages: the `url` of a `streamverse_object_store`.
    pub object_store: String,
    /// The catalogue, which also keeps what was announced: the `url` of a `streamverse_catalogue`.
    pub catalogue: String,
    /// When the schedule begins (RFC 3339). An `order` and a `rotation` are counted from here; before it, filler plays.
    pub start: Timestamp,
    /// The time zone of a `grid`, of the hours that ads are counted in, and of the guide: a name of the IANA database.
    #[attribute(default = "UTC")]
    #[serde(default = "usual::time_zone")]
    pub time_zone: String,
    /// Everything that may play, by the name of its `streamverse_vod_asset`: programmes, spots, filler and slate.
    #[attribute(validate(length = 1..=10_000))]
    pub sources: BTreeMap<String, ChannelSource>,
    /// What plays when.
    pub schedule: ChannelSchedule,
    /// What plays between programmes, in turns; the slate where there is none.
    #[attribute(validate(length = 1..=1_000))]
    pub filler: Option<Vec<String>>,
    /// What plays when nothing else can: in breaks that no spot fills, and for an asset that is still being made.
    pub slate: String,
    /// Where ads go; nowhere where it is not set.
    pub ad_breaks: Option<AdBreaks>,
    /// The languages that every programme is announced with, so that a player's menu never changes; those of the first
    /// source that is there where it is not set.
    pub languages: Option<ChannelLanguages>,
    /// The slot of an asset whose length nobody knows yet: neither its `duration_ms` nor a package says it.
    #[attribute(default = "10m")]
    #[serde(default = "usual::assumed_duration")]
    pub assumed_duration: Duration,
    /// How far ahead it is announced what plays. What was announced never changes; a changed schedule holds from there on.
    #[attribute(default = "5m")]
    #[serde(default = "usual::horizon")]
    pub horizon: Duration,
    /// How long what was played can still be watched: from the start of a programme, or from any time. Who began within it goes
    /// on for 6 hours more when the beginning has left it, so that a programme is seen to its end; what was announced is kept
    /// so long in the catalogue.
    #[attribute(default = "4h")]
    #[serde(default = "usual::catch_up")]
    pub catch_up: Duration,
    /// How much a live playlist shows.
    #[attribute(default = "2m")]
    #[serde(default = "usual::playlist_window")]
    pub playlist_window: Duration,
    /// Origins (RFC 6454) whose pages may play: `https://tv.example.org`, or `*`.
    #[attribute(default = vec![String::from("*")])]
    #[serde(default = "usual::allowed_origins")]
    pub allowed_origins: Vec<String>,
    /// Content steering: who tells players which edge to load from. Nobody where it is not set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub steering: Option<ChannelSteering>,
    /// How long edges may use a playlist without asking again.
    #[attribute(default = "1s")]
    #[serde(default = "usual::playlist_max_age")]
    pub playlist_max_age: Duration,
    /// How long they may go on using it while they ask (RFC 5861), or when the channel is down. Players wait for the next
    /// segment meanwhile.
    #[attribute(default = "5s")]
    #[serde(default = "usual::playlist_stale")]
    pub playlist_stale: Duration,
}

mod usual {
    use tfplugin_schema::Duration;

    const fn seconds(count: u64) -> Duration {
        Duration(std::time::Duration::from_secs(count))
    }
    pub(super) fn port() -> u16 {
        8090
    }
    pub(super) fn replicas() -> u32 {
        1
    }
    pub(super) fn time_zone() -> String {
        "UTC".to_owned()
    }
    pub(super) fn assumed_duration() -> Duration {
        seconds(600)
    }
    pub(super) fn horizon() -> Duration {
        seconds(300)
    }
    pub(super) fn catch_up() -> Duration {
        seconds(4 * 3600)
    }
    pub(super) fn playlist_window() -> Duration {
        seconds(120)
    }
    pub(super) fn allowed_origins() -> Vec<String> {
        vec!["*".to_owned()]
    }
    pub(super) fn playlist_max_age() -> Duration {
        seconds(1)
    }
    pub(super) fn playlist_stale() -> Duration {
        seconds(5)
    }
    pub(super) fn pathway() -> String {
        super::ChannelSteering::USUAL_PATHWAY.to_owned()
    }
    pub(super) fn seed() -> u64 {
        1
    }
    pub(super) fn max_per_hour() -> Duration {
        seconds(12 * 60)
    }
}

/// What is said of an asset.
#[derive(Clone, Debug, Default, PartialEq, Schema, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ChannelSource {
    /// The title in the guide; the asset's name where none is given.
    pub title: Option<String>,
    /// What it is about, for the guide.
    pub description: Option<String>,
    /// Its genre, for the guide.
    pub category: Option<String>,
    /// What it is an episode of. A rotation keeps episodes of one series apart.
    pub series: Option<String>,
    /// Its length: the `duration_ms` of its `streamverse_vod_asset`. It is how long its slot is; without it, its package
    /// says it once it is made, and until then the plan assumes `assumed_duration`.
    #[attribute(validate(range = 1..=604_800_000))]
    pub duration_ms: Option<u64>,
    /// Its `ladder`, to be told while planning of what players cannot switch between.
    pub ladder: Option<String>,
    /// Its `drm`, likewise.
    pub drm: Option<String>,
    /// Where its own breaks are, counted from its beginning, in place of those of `ad_breaks`; `[]` for none.
    #[attribute(validate(length = 0..=100))]
    pub ad_positions: Option<Vec<Duration>>,
}

/// What plays when.
#[derive(Clone, Debug, PartialEq, Schema, Serialize, Deserialize)]
#[serde(try_from = "OneSchedule", into = "OneSchedule")]
pub enum ChannelSchedule {
    /// One after the other, and again from the first: `order = { items = ["news", "film"] }`.
    Order(OrderSchedule),
    /// At local times of the week: `grid = { programmes = [{ at = "20:15", asset = "film" }] }`.
    Grid(GridSchedule),
    /// In an order that changes with every round: `rotation = { items = ["one", "two", "three"] }`.
    Rotation(RotationSchedule),
}

/// As Terraform writes a choice: what was not chosen is null.
#[derive(Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct OneSchedule {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    order: Option<OrderSchedule>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    grid: Option<GridSchedule>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    rotation: Option<RotationSchedule>,
}

impl TryFrom<OneSchedule> for ChannelSchedule {
    type Error = &'static str;

    fn try_from(one: OneSchedule) -> Result<ChannelSchedule, &'static str> {
        match (one.order, one.grid, one.rotation) {
            (Some(order), None, None) => Ok(ChannelSchedule::Order(order)),
            (None, Some(grid), None) => Ok(ChannelSchedule::Grid(grid)),
            (None, None, Some(rotation)) => Ok(ChannelSchedule::Rotation(rotation)),
            _ => Err("a schedule is one of order, grid and rotation"),
        }
    }
}

impl From<ChannelSchedule> for OneSchedule {
    fn from(schedule: ChannelSchedule) -> OneSchedule {
        let mut one = OneSchedule { order: None, grid: None, rotation: None };
        match schedule {
            ChannelSchedule::Order(it) => one.order = Some(it),
            ChannelSchedule::Grid(it) => one.grid = Some(it),
            ChannelSchedule::Rotation(it) => one.rotation = Some(it),
        }
        one
    }
}

/// One after the other, and again from the first.
#[derive(Clone, Debug, PartialEq, Schema, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OrderSchedule {
    /// Names of sources. The same one may come again.
    #[attribute(validate(length = 1..=10_000))]
    pub items: Vec<String>,
}

/// At local times of the week.
#[derive(Clone, Debug, PartialEq, Schema, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GridSchedule {
    /// What begins when. Each plays to its end or until the next begins; filler plays in between.
    #[attribute(validate(length = 1..=10_000))]
    pub programmes: Vec<GridProgramme>,
}

/// In an order that changes with every round, each once in a round.
#[derive(Clone, Debug, PartialEq, Schema, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RotationSchedule {
    /// Names of sources, each once.
    #[attribute(validate(length = 1..=1_000, unique))]
    pub items: Vec<String>,
    /// How many others play at least before one comes again: less than half of them.
    #[attribute(default = 0, validate(range = 0..=499))]
    #[serde(default)]
    pub no_repeat_within: u32,
    /// Whether episodes of one `series` may follow each other.
    #[attribute(default = false)]
    #[serde(default)]
    pub series_adjacent: bool,
    /// Another number is another order.
    #[attribute(default = 1)]
    #[serde(default = "usual::seed")]
    pub seed: u64,
}

/// A programme of a week.
#[derive(Clone, Debug, PartialEq, Schema, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GridProgramme {
    /// The days on which it begins; every day where none is given.
    #[attribute(validate(length = 1..=7, unique))]
    pub days: Option<Vec<Weekday>>,
    /// The local time, `20:15` or `20:15:30`. On a day whose clock skips it, it begins as much later as the clock skips;
    /// on one that has it twice, at the first (RFC 5545 section 3.3.5).
    #[attribute(validate(regex(
        "^([01][0-9]|2[0-3]):[0-5][0-9](:[0-5][0-9])?$",
        says = "must be a time of the day such as 20:15"
    )))]
    pub at: String,
    /// The name of a source.
    pub asset: String,
}

/// A day of the week.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Schema, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Weekday {
    /// The first of the week (ISO 8601).
    Monday,
    /// The second.
    Tuesday,
    /// The third.
    Wednesday,
    /// The fourth.
    Thursday,
    /// The fifth.
    Friday,
    /// The sixth.
    Saturday,
    /// The last.
    Sunday,
}

/// Where ads go, and which.
#[derive(Clone, Debug, PartialEq, Schema, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AdBreaks {
    /// A break after every such span of a programme, at the end of the segment that is playing then.
    pub every: Option<Duration>,
    /// Breaks at these places of every programme, in place of `every`.
    #[attribute(validate(length = 1..=100))]
    pub positions: Option<Vec<Duration>>,
    /// How long a break is.
    pub duration: Duration,
    /// Names of sources, which play in turns. What of a break no spot fills is slate.
    #[attribute(validate(length = 1..=1_000))]
    pub spots: Option<Vec<String>>,
    /// The most that spots may take of an hour of the local clock.
    #[attribute(default = "12m")]
    #[serde(default = "usual::max_per_hour")]
    pub max_per_hour: Duration,
}

/// The languages that a channel has all the time.
#[derive(Clone, Debug, PartialEq, Schema, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ChannelLanguages {
    /// Of sound (BCP 47), the one that plays first. A programme without one of them has its first sound there.
    #[attribute(validate(length = 1..=32, unique))]
    pub audio: Vec<String>,
    /// Of captions; a programme without one of them has none there.
    #[attribute(validate(length = 1..=32, unique))]
    pub captions: Option<Vec<String>>,
}

/// Content steering: a server tells players, while they play, which edge to load from. With the stable names that a channel's
/// HLS always has (`STABLE-VARIANT-ID`, `STABLE-RENDITION-ID`), its steering manifest may name further edges, `PATHWAY-CLONES`.
#[derive(Clone, Debug, PartialEq, Schema, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ChannelSteering {
    /// Where the steering manifest is: `https://steering.example/live`. HLS has it in `EXT-X-CONTENT-STEERING`
    /// (draft-pantos-hls-rfc8216bis section 4.4.6.6), DASH in `ContentSteering` (ETSI TS 103 998). Pages must be allowed to
    /// ask there.
    pub server_url: String,
    /// What the steering manifest calls the edge that the manifests come from: `PATHWAY-ID` in HLS, `serviceLocation` in DASH.
    /// Players begin there.
    #[attribute(default = "main")]
    #[serde(default = "usual::pathway")]
    pub pathway: String,
    /// Whether DASH players ask the steering server before they begin.
    #[attribute(default = false)]
    #[serde(default)]
    pub query_before_start: bool,
}

impl ChannelSteering {
    /// The pathway of a channel that nobody steers.
    pub const USUAL_PATHWAY: &str = "main";
}

/// A channel with its name: what `streamverse_epg` and `streamverse_schedule` take as JSON.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ChannelDefinition {
    /// The name, a part of its addresses.
    pub name: Name,
    /// What is asked for of it.
    pub channel: FastChannelSpec,
}

impl FastChannelSpec {
    /// The service and its address.
    ///
    /// # Errors
    /// A store's address that is none.
    pub fn objects(&self) -> Result<Vec<Object>, SpecError> {
        let uses = platform::uses([self.object_store.as_str(), self.catalogue.as_str()])?;
        let service = ServiceObject {
            name: Name::fixed("fast-channel"),
            target: "fast-channel".to_owned(),
            spec: platform::spec_value(self)?,
            replicas: self.replicas,
            ports: platform::http(self.port),
            credentials: uses.credentials,
            reach: uses.reach,
            resources: Resources { memory_bytes: 512 << 20, ..Resources::default() },
            isolation: Isolation::Process,
            drain_seconds: 10,
        };
        Ok(vec![Object::Service(service), platform::public_http("service/fast-channel", false)])
    }

    /// What is said of an asset.
    pub fn source(&self, asset: &str) -> Option<&ChannelSource> {
        self.sources.get(asset)
    }

    /// The title of an asset in the guide.
    pub fn title_of<'a>(&'a self, asset: &'a str) -> &'a str {
        self.source(asset).and_then(|it| it.title.as_deref()).unwrap_or(asset)
    }

    /// Names of everything that it may play, each once.
    pub fn assets(&self) -> Vec<String> {
        let mut all: Vec<String> = match &self.schedule {
            ChannelSchedule::Order(it) => it.items.clone(),
            ChannelSchedule::Rotation(it) => it.items.clone(),
            ChannelSchedule::Grid(it) => it.programmes.iter().map(|it| it.asset.clone()).collect(),
        };
        all.extend(self.filler.iter().flatten().cloned());
        all.extend(self.ad_breaks.iter().filter_map(|it| it.spots.as_ref()).flatten().cloned());
        all.push(self.slate.clone());
        all.sort();
        all.dedup();
        all
    }

    /// Where the breaks of an asset of this length are, in milliseconds from its beginning, ascending.
    pub fn ad_positions(&self, asset: &str, length_ms: u64) -> Vec<u64> {
        let Some(breaks) = &self.ad_breaks else { return Vec::new() };
        let own = self.source(asset).and_then(|it| it.ad_positions.as_ref()).or(breaks.positions.as_ref());
        let mut all: Vec<u64> = match (own, breaks.every) {
            (Some(positions), _) => positions.iter().map(|it| millis(*it)).collect(),
            (None, Some(every)) => {
                // Not one in the last moments of a programme, and never more than a plan would have let through.
                let step = millis(every).max(MIN_EVERY_MS);
                (1..=MAX_BREAKS).map(|at| at.saturating_mul(step)).take_while(|at| *at < length_ms).collect()
            }
            (None, None) => Vec::new(),
        };
        all.retain(|at| *at > 0 && *at < length_ms);
        all.sort_unstable();
        all.dedup();
        all
    }

    /// What steering servers call the edge that the manifests come from.
    pub fn pathway(&self) -> &str {
        self.steering.as_ref().map_or(ChannelSteering::USUAL_PATHWAY, |it| it.pathway.as_str())
    }

    /// How long a break is, in milliseconds.
    pub fn break_ms(&self) -> u64 {
        self.ad_breaks.as_ref().map_or(0, |it| millis(it.duration))
    }

    /// When the schedule begins, in milliseconds since the epoch.
    pub fn start_ms(&self) -> u64 {
        u64::try_from(self.start.0.as_millisecond()).unwrap_or(0)
    }
}

/// The least that `every` may be.
pub(super) const MIN_EVERY_MS: u64 = 60_000;
/// The most breaks in a programme.
pub(super) const MAX_BREAKS: u64 = 1_000;

/// Whole milliseconds, as many as there are.
pub(super) fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.0.as_millis()).unwrap_or(u64::MAX)
}
