//! A channel that never ends: what is asked for, which programme is to be on at an instant, and what plays.
//!
//! Two layers. The *schedule* says when programmes are to be on, pure in the spec, the lengths of assets and the instant.
//! The *playout* makes items of it, whole segments of packages, pure in the spec, what is known of assets, and a cursor.
//! There is no clock and no fraction of a millisecond in either.

mod audit;
mod check;
mod epg;
mod guide;
mod item;
mod playout;
mod schedule;
mod spec;
mod zone;

#[cfg(test)]
mod tests;

pub use audit::{Audit, Rule, Violation};
pub use check::{check, check_spec};
pub use epg::{EpgSpec, EpgSpecPath, EpgSpecView, channel_definition, check_epg};
pub use guide::{
    Guide, GuideProgramme, GuideProgrammePath, GuideProgrammeView, MAX_PROGRAMMES, day, instant_ms, rfc_3339,
    xmltv,
};
pub use item::{AssetFacts, Block, Cue, Cursor, Facts, InBreak, Item, ItemKind, OnAir, Splice, played_ms};
pub use playout::{EARLY_MS, Playout};
pub use schedule::{
    LAST_INSTANT_MS, Lengths, MAX_ENTRIES, MAX_ROTATION, Memo, Schedule, Scheduled, Slot, slot_ms,
};
pub use spec::{
    AdBreaks, AdBreaksPath, AdBreaksView, ChannelDefinition, ChannelLanguages, ChannelLanguagesPath,
    ChannelLanguagesView, ChannelSchedule, ChannelSchedulePath, ChannelScheduleView, ChannelSource,
    ChannelSourcePath, ChannelSourceView, ChannelSteering, ChannelSteeringPath, ChannelSteeringView,
    FastChannelSpec, FastChannelSpecPath, FastChannelSpecView, GridProgramme, GridProgrammePath,
    GridProgrammeView, GridSchedule, GridSchedulePath, GridScheduleView, OrderSchedule, OrderSchedulePath,
    OrderScheduleView, RotationSchedule, RotationSchedulePath, RotationScheduleView, Weekday,
};
pub use zone::Zone;
