//! The table of targets: all that `streamverse run --target …` can run, one row each.

use streamverse_core::TargetTable;

pub(crate) const ALL: TargetTable = &[
    streamverse_core::log::EVENT_LOG,
    streamverse_media::TRANSCODER,
    streamverse_media::VOD,
    streamverse_media::VOD_REMOVE,
    streamverse_media::PROBE,
    streamverse_drm::KEY_SERVICE,
    streamverse_drm::LICENCE_SERVICE,
    streamverse_fleet::jobs::FLEET,
    streamverse_fleet::jobs::FLEET_REMOVE,
    crate::clouds::FLEET_CONTROLLER,
    streamverse_delivery::FAST_CHANNEL,
    streamverse_delivery::EPG,
    streamverse_delivery::ORIGIN,
    streamverse_delivery::PLAYER,
];
