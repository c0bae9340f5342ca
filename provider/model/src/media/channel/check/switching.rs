//! Assets that players cannot switch between.

use tfplugin_schema::{Diagnostics, Maybe, Path};

use super::MOST;
use crate::drm::DrmDefinition;
use crate::media::LadderSpec;
use crate::media::channel::spec::{ChannelScheduleView, FastChannelSpecView, millis};

/// Ladders and protection of all sources against those of the first; the longest segment that a ladder says.
pub(super) fn check(view: &FastChannelSpecView, out: &mut Diagnostics) -> Option<u64> {
    let (mut ladders, mut drms) = (Vec::new(), Vec::new());
    for (name, source) in view.sources.known().into_iter().flatten() {
        let Some(source) = source.known() else { continue };
        let place = |attribute: &str| Path::attribute("sources").key(name.as_str()).attr(attribute);
        if let Some(text) = source.ladder.known() {
            match serde_json::from_str::<LadderSpec>(text) {
                Ok(ladder) => ladders.push((name.as_str(), ladder)),
                Err(error) => out.error_at(
                    place("ladder"),
                    "No ladder",
                    format!("Give the `definition` of a streamverse_transcode_ladder: {error}."),
                ),
            }
        }
        match &source.drm {
            Maybe::Known(text) => match serde_json::from_str::<DrmDefinition>(text) {
                Ok(drm) => drms.push((name.as_str(), Some(drm))),
                Err(error) => out.error_at(
                    place("drm"),
                    "No DRM configuration",
                    format!("Give the `definition` of a streamverse_drm_config: {error}."),
                ),
            },
            Maybe::Null => drms.push((name.as_str(), None)),
            Maybe::Unknown => {}
        }
    }
    // The programme that plays first is what the others are held against.
    let lead = lead(view);
    ladders.sort_by_key(|(name, _)| Some(*name) != lead);
    drms.sort_by_key(|(name, drm)| (drm.is_none(), Some(*name) != lead));
    let mut told = 0;
    if let Some(((first, wanted), rest)) = ladders.split_first() {
        for (name, ladder) in rest {
            let Some(fault) = differ(wanted, ladder) else { continue };
            told += 1;
            if told > MOST {
                break;
            }
            out.error_at(
                Path::attribute("sources").key(*name).attr("ladder"),
                "Renditions that players cannot switch between",
                format!("{name:?} {fault} of {first:?}. Make all of a channel with one ladder."),
            );
        }
    }
    protection(&drms, out);
    ladders.iter().map(|(_, ladder)| millis(ladder.segment_duration)).max()
}

/// The first programme, where it is known.
fn lead(view: &FastChannelSpecView) -> Option<&str> {
    let first = match view.schedule.known()? {
        ChannelScheduleView::Order(it) => it.known()?.items.known()?.first()?.known()?,
        ChannelScheduleView::Rotation(it) => it.known()?.items.known()?.first()?.known()?,
        ChannelScheduleView::Grid(it) => it.known()?.programmes.known()?.first()?.known()?.asset.known()?,
        _ => return None,
    };
    Some(first)
}

/// How a ladder differs so that a playlist of a rendition could not go on. Other sizes, rates and lengths of segments are
/// what a new init segment is for.
fn differ(wanted: &LadderSpec, other: &LadderSpec) -> Option<String> {
    for one in &wanted.video {
        match other.video.iter().find(|it| it.name == one.name) {
            None => return Some(format!("lacks the rendition {:?}", one.name)),
            Some(it) if it.codec != one.codec => {
                return Some(format!("has {:?} with another codec than that", one.name));
            }
            Some(_) => {}
        }
    }
    for one in &wanted.audio {
        match other.audio.iter().find(|it| it.name == one.name) {
            None => return Some(format!("lacks the sound {:?}", one.name)),
            Some(it) if it.codec != one.codec => {
                return Some(format!("has the sound {:?} with another codec than that", one.name));
            }
            Some(_) => {}
        }
    }
    let more =
        other.video.iter().map(|it| &it.name).find(|name| wanted.video.iter().all(|it| it.name != **name));
    let more = more.or_else(|| {
        other.audio.iter().map(|it| &it.name).find(|name| wanted.audio.iter().all(|it| it.name != **name))
    });
    more.map(|name| format!("has a rendition {name:?} that is none"))
}

fn protection(drms: &[(&str, Option<DrmDefinition>)], out: &mut Diagnostics) {
    let Some((first, Some(wanted))) = drms.first() else { return };
    let mut told = 0;
    for (name, drm) in drms.iter().skip(1) {
        let place = Path::attribute("sources").key(*name).attr("drm");
        let fault = match drm {
            None => {
                out.warning_at(
                    place,
                    "Clear between encrypted",
                    format!(
                        "{name:?} says no `drm` and {first:?} is encrypted: players switch from one to the other, but what is \
                         clear plays without a licence. Give it its `drm` if it has one."
                    ),
                );
                None
            }
            Some(drm) if drm.spec.scheme != wanted.spec.scheme => {
                Some("is encrypted with another scheme than")
            }
            Some(drm) if wanted.spec.systems.iter().any(|it| !drm.spec.systems.contains(it)) => {
                Some("is not signalled for all systems of")
            }
            Some(_) => None,
        };
        told += usize::from(fault.is_some() || drm.is_none());
        if let Some(fault) = fault {
            out.error_at(
                Path::attribute("sources").key(*name).attr("drm"),
                "Protection that players cannot switch between",
                format!(
                    "{name:?} {fault} {first:?}: a player chooses one key system and one scheme when it begins. Encrypt all of a \
                     channel with one streamverse_drm_config."
                ),
            );
        }
        if told >= MOST {
            break;
        }
    }
}
