//! What a DRM configuration refuses, and what it warns of.

use std::time::Duration;

use tfplugin_schema::{Diagnostics, Maybe, Path};

use super::config::{DrmConfigSpec, DrmConfigSpecView, KeyGranularity, TrackUsageSpecView, UsageSpecView};
use super::{DrmSystem, Scheme};

/// No segment of a ladder is shorter.
const SHORTEST: Duration = Duration::from_secs(1);
/// Each viewer asks for a licence once in a crypto period.
const SHORT: Duration = Duration::from_secs(10);

/// Refuses what cannot work, and warns of what is not what it seems. What is not known yet is not judged.
pub fn check(view: &DrmConfigSpecView, out: &mut Diagnostics) {
    let scheme = match &view.scheme {
        Maybe::Known(scheme) => Some(*scheme),
        Maybe::Null => Some(Scheme::Cbcs),
        Maybe::Unknown => None,
    };
    let mut seen: Vec<DrmSystem> = Vec::new();
    let mut all_known = view.systems.known().is_some();
    for (at, system) in view.systems.known().into_iter().flatten().enumerate() {
        let place = || DrmConfigSpec::systems().at(at);
        let Some(system) = system.known() else {
            all_known = false;
            continue;
        };
        if seen.contains(system) {
            out.error_at(
                place(),
                "A system twice",
                format!("`{}` is named before. Leave it out here.", system.as_str()),
            );
        }
        match (system, scheme) {
            (DrmSystem::Fairplay, Some(Scheme::Cenc)) => out.error_at(
                place(),
                "FairPlay reads cbcs alone",
                "Apple's players decrypt no counter mode. Set scheme = \"cbcs\", which all four systems read, or leave `fairplay` out.",
            ),
            (DrmSystem::Playready, Some(Scheme::Cbcs)) => out.warning_at(
                place(),
                "Older PlayReady players read no cbcs",
                "cbcs needs a header of version 4.3, which players of PlayReady 4.0 (2017) and later read. For older ones set scheme = \"cenc\".",
            ),
            _ => {}
        }
        seen.push(*system);
    }
    if all_known && seen.is_empty() {
        out.error_at(
            DrmConfigSpec::systems(),
            "No system",
            "Nobody could play what is encrypted: name one at least, such as [\"clearkey\"].",
        );
    }
    period(view, out);
    let granularity = match &view.key_granularity {
        Maybe::Known(granularity) => Some(*granularity),
        Maybe::Null => Some(KeyGranularity::TrackType),
        Maybe::Unknown => None,
    };
    if let (Maybe::Known(usage), true) = (&view.usage, all_known) {
        check_usage(usage, granularity, &seen, out);
    }
}

fn period(view: &DrmConfigSpecView, out: &mut Diagnostics) {
    if let (Maybe::Known(_), Maybe::Known(_)) = (&view.crypto_period, &view.crypto_period_segments) {
        out.error_at(
            DrmConfigSpec::crypto_period_segments(),
            "Two crypto periods",
            "`crypto_period` says the same as a duration. Set one of them.",
        );
    }
    let Some(period) = view.crypto_period.known().map(|it| it.0) else { return };
    if period < SHORTEST {
        out.error_at(
            DrmConfigSpec::crypto_period(),
            "A crypto period shorter than any segment",
            "A key changes where a segment begins, and segments are 1 s at least.",
        );
    } else if period < SHORT {
        out.warning_at(
            DrmConfigSpec::crypto_period(),
            "A short crypto period",
            format!(
                "Each viewer asks for a licence every {} s, and each period has init segments of its own. Minutes to hours are usual.",
                period.as_secs_f64()
            ),
        );
    }
}

fn check_usage(
    usage: &UsageSpecView,
    granularity: Option<KeyGranularity>,
    systems: &[DrmSystem],
    out: &mut Diagnostics,
) {
    let at = |name: &str| Path::attribute("usage").attr(name);
    let clearkey = systems.contains(&DrmSystem::Clearkey);
    let vendors = systems.iter().any(|it| *it != DrmSystem::Clearkey);
    if clearkey && usage.offline.known() == Some(&true) {
        out.warning_at(
            at("offline"),
            "Few browsers keep a ClearKey licence",
            "The licence service gives one to be kept where `offline` is true and neither `expiry` nor `rental` is set: a ClearKey licence is a key and nothing else, and obeys nobody once it is kept. The other systems' licences obey all of it.",
        );
    }
    for (name, set) in
        [("expiry", usage.expiry.known().is_some()), ("rental", usage.rental.known().is_some())]
    {
        if clearkey && set {
            out.warning_at(
                at(name),
                "A browser keeps a ClearKey key",
                "The licence service renews none beyond it; a stream that is begun anew begins it anew, and a rental never does. But a ClearKey licence is a key and nothing else (W3C EME, \"Clear Key\"): what a page has, it has until its next crypto period. Set `crypto_period` to bound that. The licences of the other systems obey it by themselves.",
            );
        }
    }
    if let Some(rental) = usage.rental.known()
        && let (Some(start), Some(watch)) = (rental.start_within.known(), rental.watch_within.known())
        && (start.0.is_zero() || watch.0.is_zero())
    {
        out.error_at(
            at("rental"),
            "A rental of no time",
            "`start_within` and `watch_within` must be longer than nothing.",
        );
    }
    for (label, track) in usage.tracks.known().into_iter().flatten() {
        let place = at("tracks").key(label.as_str());
        if let Some(granularity) = granularity
            && !granularity.labels().contains(&label.as_str())
        {
            out.error_at(
                place.clone(),
                "No key is for this",
                format!("With this `key_granularity`, keys are for: {}.", granularity.labels().join(", ")),
            );
        }
        let Some(track) = track.known() else { continue };
        check_track(track, &place, systems, out);
        if clearkey && promises(track) {
            let rest = if vendors { " The licences of the other systems demand it." } else { "" };
            out.warning_at(
                place,
                "ClearKey cannot promise this",
                format!("A browser's ClearKey decrypts in software and knows nothing of HDCP: whoever has a licence may do with the pictures what they like.{rest}"),
            );
        }
    }
}

fn promises(track: &TrackUsageSpecView) -> bool {
    track.hdcp.known().is_some()
        || track.widevine_robustness.known().is_some()
        || track.playready_security_level.known().is_some()
}

fn check_track(track: &TrackUsageSpecView, place: &Path, systems: &[DrmSystem], out: &mut Diagnostics) {
    let wanted = [
        ("widevine_robustness", track.widevine_robustness.known().is_some(), DrmSystem::Widevine),
        ("playready_security_level", track.playready_security_level.known().is_some(), DrmSystem::Playready),
    ];
    for (name, set, system) in wanted {
        if set && !systems.contains(&system) {
            let told = system.as_str();
            out.error_at(
                place.clone().attr(name),
                "A demand on a system that is not used",
                format!("`systems` does not name `{told}`: nobody would check it. Add \"{told}\" there, or leave this out."),
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};
    use tfplugin_schema::{Field as _, Severity};

    use super::*;

    fn spec(change: &Value) -> DrmConfigSpec {
        let mut spec = json!({
            "scheme": "cbcs", "systems": ["clearkey"], "key_granularity": "track_type", "crypto_period": null,
            "crypto_period_segments": null, "key_service": "keys://127.0.0.1:1?secret=key-service.main", "usage": null,
        });
        for (name, value) in change.as_object().unwrap() {
            spec[name] = value.clone();
        }
        serde_json::from_value(spec).unwrap()
    }

    /// Errors with `!` before their path, warnings without.
    fn found(change: &Value) -> Vec<String> {
        let view = DrmConfigSpec::view(&DrmConfigSpec::write(&spec(change))).unwrap();
        let Maybe::Known(view) = view else { panic!("{change} is not known") };
        let mut out = Diagnostics::new();
        check(&view, &mut out);
        let told = |it: &tfplugin_schema::Diagnostic| {
            let mark = if it.severity == Severity::Error { "!" } else { "" };
            format!("{mark}{}", it.path.clone().unwrap_or_default())
        };
        out.iter().map(told).collect()
    }

    #[test]
    fn what_no_player_could_play_is_refused_at_its_place() {
        let none: [&str; 0] = [];
        assert_eq!(found(&json!({})), none);
        assert_eq!(found(&json!({ "systems": [] })), ["!systems"]);
        assert_eq!(found(&json!({ "systems": ["clearkey", "clearkey"] })), ["!systems[1]"]);
        assert_eq!(found(&json!({ "scheme": "cenc", "systems": ["widevine", "fairplay"] })), ["!systems[1]"]);
        assert_eq!(found(&json!({ "systems": ["playready"] })), ["systems[0]"]);
        assert_eq!(found(&json!({ "scheme": "cenc", "systems": ["playready"] })), none);
    }

    #[test]
    fn a_crypto_period_is_said_once_and_not_shorter_than_a_segment() {
        let none: [&str; 0] = [];
        assert_eq!(found(&json!({ "crypto_period": "500ms" })), ["!crypto_period"]);
        assert_eq!(found(&json!({ "crypto_period": "4s" })), ["crypto_period"]);
        assert_eq!(found(&json!({ "crypto_period": "1m" })), none);
        assert_eq!(
            found(&json!({ "crypto_period": "1m", "crypto_period_segments": 4 })),
            ["!crypto_period_segments"]
        );
    }

    #[test]
    fn what_clearkey_cannot_promise_is_a_warning_and_what_nobody_would_check_an_error() {
        let usage = |usage: Value| json!({ "systems": ["clearkey"], "usage": usage });
        let track = |label: &str, track: Value| {
            let mut whole =
                json!({ "hdcp": null, "widevine_robustness": null, "playready_security_level": null });
            for (name, value) in track.as_object().unwrap() {
                whole[name] = value.clone();
            }
            json!({ "expiry": null, "offline": false, "rental": null, "tracks": { label: whole } })
        };
        assert_eq!(found(&usage(track("video", json!({ "hdcp": "2.2" })))), ["usage.tracks[\"video\"]"]);
        assert_eq!(found(&usage(track("video-hd", json!({})))), ["!usage.tracks[\"video-hd\"]"]);
        let hard = track("video", json!({ "widevine_robustness": "HW_SECURE_ALL" }));
        assert_eq!(
            found(&usage(hard.clone())),
            ["!usage.tracks[\"video\"].widevine_robustness", "usage.tracks[\"video\"]"]
        );
        let none: [&str; 0] = [];
        assert_eq!(found(&json!({ "systems": ["widevine"], "usage": hard })), none);
        let offline = json!({ "expiry": null, "offline": true, "rental": null, "tracks": null });
        assert_eq!(found(&usage(offline)), ["usage.offline"]);
        let times = json!({ "expiry": "1h", "offline": false, "tracks": null,
            "rental": { "start_within": "30days", "watch_within": "2days" } });
        assert_eq!(found(&usage(times.clone())), ["usage.expiry", "usage.rental"]);
        assert_eq!(found(&json!({ "systems": ["widevine"], "usage": times })), none);
    }

    #[test]
    fn a_period_is_whole_segments_of_the_ladder() {
        let ladder = crate::media::default_ladder(720, None);
        let segments =
            |change: &Value| spec(change).period_segments(&ladder).map_err(|error| error.to_string());
        assert_eq!(segments(&json!({})), Ok(None));
        assert_eq!(segments(&json!({ "crypto_period_segments": 3 })), Ok(Some(3)));
        assert_eq!(segments(&json!({ "crypto_period": "12s" })), Ok(Some(3)));
        let error = segments(&json!({ "crypto_period": "10s" })).unwrap_err();
        assert!(error.contains("Choose 12 s"), "{error}");
    }

    #[test]
    fn usage_and_the_key_service_change_no_byte_and_the_order_of_systems_does_not_either() {
        let usage = json!({ "expiry": "1h", "offline": false, "rental": null, "tracks": null });
        let one = spec(&json!({ "systems": ["clearkey", "widevine"], "usage": usage }));
        let two = spec(&json!({ "systems": ["widevine", "clearkey"], "key_service": "keys://10.0.0.1:1" }));
        assert_eq!(one.bytes(), two.bytes());
        assert_ne!(
            one.bytes(),
            spec(&json!({ "scheme": "cenc", "systems": ["clearkey", "widevine"] })).bytes()
        );
    }

    #[test]
    fn keys_are_named_by_what_they_are_for() {
        let mut ladder = crate::media::default_ladder(1080, None);
        ladder.video.truncate(1);
        ladder.video[0].height = 2160;
        let labels = |granularity: &str| {
            let spec = spec(&json!({ "key_granularity": granularity }));
            spec.key_ids("demo", "film", "g", &ladder).into_keys().collect::<Vec<_>>()
        };
        assert_eq!(labels("asset"), ["all"]);
        assert_eq!(labels("track_type"), ["audio", "video"]);
        assert_eq!(labels("resolution_tier"), ["audio", "video-uhd"]);
    }
}
