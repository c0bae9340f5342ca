//! What is known of a channel while it is planned, as a spec.

use std::collections::{BTreeMap, BTreeSet};

use tfplugin_schema::{Duration, Maybe};

use crate::media::channel::spec::{
    AdBreaks, ChannelSchedule, ChannelScheduleView, ChannelSource, ChannelSourceView, FastChannelSpec,
    FastChannelSpecView, GridProgramme, GridSchedule, OrderSchedule, RotationSchedule,
};

/// A spec, and whose facts in it are not known yet.
pub(crate) struct Known {
    pub(crate) spec: FastChannelSpec,
    /// Sources whose length will be said.
    pub(crate) open: BTreeSet<String>,
}

/// A list of known texts; `None` while anything in it is unknown.
fn texts(list: &Maybe<Vec<Maybe<String>>>) -> Option<Option<Vec<String>>> {
    match list {
        Maybe::Unknown => None,
        Maybe::Null => Some(None),
        Maybe::Known(all) => all.iter().map(|it| it.known().cloned()).collect::<Option<Vec<_>>>().map(Some),
    }
}

fn spans(list: &Maybe<Vec<Maybe<Duration>>>) -> Option<Option<Vec<Duration>>> {
    match list {
        Maybe::Unknown => None,
        Maybe::Null => Some(None),
        Maybe::Known(all) => all.iter().map(|it| it.known().copied()).collect::<Option<Vec<_>>>().map(Some),
    }
}

/// A value, its default, or nothing while it is unknown.
fn or<T: Clone>(value: &Maybe<T>, usual: T) -> Option<T> {
    match value {
        Maybe::Known(value) => Some(value.clone()),
        Maybe::Null => Some(usual),
        Maybe::Unknown => None,
    }
}

fn optional<T: Clone>(value: &Maybe<T>) -> Option<Option<T>> {
    match value {
        Maybe::Known(value) => Some(Some(value.clone())),
        Maybe::Null => Some(None),
        Maybe::Unknown => None,
    }
}

const fn seconds(count: u64) -> Duration {
    Duration(std::time::Duration::from_secs(count))
}

/// What is known as a spec; `None` while what plays when cannot be told.
pub(crate) fn known(view: &FastChannelSpecView) -> Option<Known> {
    let mut open = BTreeSet::new();
    let mut sources = BTreeMap::new();
    for (name, source) in view.sources.known()? {
        match source {
            Maybe::Known(source) => {
                if source.duration_ms.is_unknown() || source.ad_positions.is_unknown() {
                    open.insert(name.clone());
                }
                sources.insert(name.clone(), self::source(source));
            }
            Maybe::Null | Maybe::Unknown => {
                open.insert(name.clone());
                sources.insert(name.clone(), ChannelSource::default());
            }
        }
    }
    let ad_breaks = match &view.ad_breaks {
        Maybe::Unknown => return None,
        Maybe::Null => None,
        Maybe::Known(breaks) => Some(AdBreaks {
            every: optional(&breaks.every)?,
            positions: spans(&breaks.positions)?,
            duration: *breaks.duration.known()?,
            spots: texts(&breaks.spots)?,
            max_per_hour: or(&breaks.max_per_hour, seconds(720))?,
        }),
    };
    let spec = FastChannelSpec {
        title: None,
        port: 8090,
        replicas: 1,
        object_store: String::new(),
        catalogue: String::new(),
        start: *view.start.known()?,
        time_zone: or(&view.time_zone, "UTC".to_owned())?,
        sources,
        schedule: schedule(view.schedule.known()?)?,
        filler: texts(&view.filler)?,
        slate: view.slate.known()?.clone(),
        ad_breaks,
        languages: None,
        assumed_duration: or(&view.assumed_duration, seconds(600))?,
        horizon: or(&view.horizon, seconds(300)).unwrap_or(seconds(300)),
        catch_up: seconds(4 * 3600),
        playlist_window: seconds(120),
        allowed_origins: Vec::new(),
        steering: None,
        playlist_max_age: seconds(1),
        playlist_stale: seconds(5),
    };
    Some(Known { spec, open })
}

fn source(view: &ChannelSourceView) -> ChannelSource {
    ChannelSource {
        title: view.title.known().cloned(),
        description: view.description.known().cloned(),
        category: view.category.known().cloned(),
        series: view.series.known().cloned(),
        duration_ms: view.duration_ms.known().copied(),
        ladder: view.ladder.known().cloned(),
        drm: view.drm.known().cloned(),
        ad_positions: spans(&view.ad_positions).flatten(),
    }
}

fn schedule(view: &ChannelScheduleView) -> Option<ChannelSchedule> {
    match view {
        ChannelScheduleView::Order(it) => {
            let items = texts(&it.known()?.items)??;
            Some(ChannelSchedule::Order(OrderSchedule { items }))
        }
        ChannelScheduleView::Rotation(it) => {
            let it = it.known()?;
            Some(ChannelSchedule::Rotation(RotationSchedule {
                items: texts(&it.items)??,
                no_repeat_within: or(&it.no_repeat_within, 0)?,
                series_adjacent: or(&it.series_adjacent, false)?,
                seed: or(&it.seed, 1)?,
            }))
        }
        ChannelScheduleView::Grid(it) => {
            let programmes = it.known()?.programmes.known()?.iter().map(|programme| {
                let programme = programme.known()?;
                let days = match &programme.days {
                    Maybe::Unknown => return None,
                    Maybe::Null => None,
                    Maybe::Known(days) => {
                        Some(days.iter().map(|it| it.known().copied()).collect::<Option<Vec<_>>>()?)
                    }
                };
                Some(GridProgramme {
                    days,
                    at: programme.at.known()?.clone(),
                    asset: programme.asset.known()?.clone(),
                })
            });
            Some(ChannelSchedule::Grid(GridSchedule { programmes: programmes.collect::<Option<Vec<_>>>()? }))
        }
        _ => None,
    }
}
