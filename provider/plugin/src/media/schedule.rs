//! `streamverse_schedule`: what plays when on a channel. Pure: nothing is asked, no clock is read.

use streamverse_model::media::channel::{
    FastChannelSpec, Guide, GuideProgramme, LAST_INSTANT_MS, Lengths, MAX_PROGRAMMES, Schedule, Scheduled,
    channel_definition,
};
use tfplugin_framework::schema::{Computed, Path, Timestamp};
use tfplugin_framework::{Context, DataSource, Error, Result, Schema, State, data_source};

use crate::provider::Streamverse;

/// What plays when on a channel, for any instant and window. Sources without a `duration_ms` are taken for the
/// `assumed_duration`.
#[derive(Clone, Schema)]
#[schema(at_least_one_of(at, from), required_together(from, to))]
pub struct ChannelTimes {
    /// The channel: the `definition` of a `streamverse_fast_channel`.
    pub channel: String,
    /// An instant (RFC 3339): `on` and `next` are what it asks for.
    pub at: Option<Timestamp>,
    /// The beginning of a window (RFC 3339): `programmes` is what is on in it.
    pub from: Option<Timestamp>,
    /// Its end, not part of it.
    pub to: Option<Timestamp>,
    /// What is on at `at`; null where that is filler.
    pub on: Computed<Option<GuideProgramme>>,
    /// What begins after that.
    pub next: Computed<Option<GuideProgramme>>,
    /// What is on from `from` to `to`, with what was on before and still is.
    pub programmes: Computed<Vec<GuideProgramme>>,
}

/// Milliseconds since the epoch of an instant that can be planned for.
fn instant(attribute: &str, time: Timestamp) -> Result<u64> {
    let ms = u64::try_from(time.0.as_millisecond()).ok().filter(|ms| *ms <= LAST_INSTANT_MS);
    ms.ok_or_else(|| {
        Error::invalid(format!("{time} is not a time that channels have: those of the years 1970 to 9998"))
            .at(Path::attribute(attribute))
    })
}

/// What is on at an instant, and what begins next.
fn around(
    name: &str,
    spec: &FastChannelSpec,
    lengths: &Lengths,
    at: u64,
) -> Result<(Option<GuideProgramme>, Option<GuideProgramme>)> {
    let schedule = Schedule::new(spec, lengths)?;
    let one = |from: u64| -> Result<Option<GuideProgramme>> {
        Ok(Guide::of(name, spec, lengths, from, from.saturating_add(1))?.programmes.into_iter().next())
    };
    Ok(match schedule.at(at) {
        Scheduled::Slot(slot) => {
            let on = if at < slot.end_ms { one(at)? } else { None };
            (on, one(slot.limit_ms)?)
        }
        Scheduled::Nothing { until_ms: Some(until) } => (None, one(until)?),
        Scheduled::Nothing { until_ms: None } => (None, None),
    })
}

#[data_source(name = "schedule")]
impl DataSource for ChannelTimes {
    type Provider = Streamverse;

    async fn read(_: &Context<Streamverse>, config: Self) -> Result<State<Self>> {
        let definition = channel_definition(&config.channel)
            .map_err(|error| Error::from(error).at(Path::attribute("channel")))?;
        let (name, spec) = (definition.name.as_str(), &definition.channel);
        let lengths = Lengths::of(spec, &|_| None);
        let (mut on, mut next) = (None, None);
        if let Some(at) = config.at {
            (on, next) = around(name, spec, &lengths, instant("at", at)?)?;
        }
        let mut programmes = Vec::new();
        if let (Some(from), Some(to)) = (config.from, config.to) {
            let (from, to) = (instant("from", from)?, instant("to", to)?);
            if to < from {
                return Err(Error::invalid("the window ends before it begins").at(Path::attribute("to")));
            }
            programmes = Guide::of(name, spec, &lengths, from, to)?.programmes;
            if programmes.len() >= MAX_PROGRAMMES {
                return Err(Error::invalid(format!("the window has more than {MAX_PROGRAMMES} programmes"))
                    .at(Path::attribute("to"))
                    .next("Ask for a shorter one."));
            }
        }
        Ok(config.complete(ChannelTimesComputed { on, next, programmes }))
    }
}
