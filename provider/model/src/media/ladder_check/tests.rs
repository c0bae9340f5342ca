//! What a ladder refuses, one fault at a time.

use serde_json::json;
use tfplugin_schema::{Field as _, Schema as _};

use super::*;

fn ladder() -> serde_json::Value {
    json!({
        "segment_duration": "4s", "acceleration": "none", "backend": "ffmpeg", "gpu": null,
        "video": [
            { "name": "720p", "codec": "h264", "height": 720, "frame_rate": "25", "bit_rate": 3_000_000, "max_bit_rate": null, "gop": "2s" },
            { "name": "360p", "codec": "h264", "height": 360, "frame_rate": null, "bit_rate": 800_000, "max_bit_rate": null, "gop": null },
        ],
        "audio": [{ "name": "stereo", "codec": "aac", "layout": "stereo", "bit_rate": 128_000, "sample_rate": 48_000, "loudness": null }],
    })
}

fn findings(change: impl FnOnce(&mut serde_json::Value)) -> Vec<String> {
    let mut ladder = ladder();
    change(&mut ladder);
    let spec: LadderSpec = serde_json::from_value(ladder).unwrap();
    let view = LadderSpec::view(&LadderSpec::write(&spec)).unwrap();
    let mut out = Diagnostics::new();
    check(view.known().unwrap(), &mut out);
    out.iter()
        .map(|it| {
            format!("{}: {}", it.path.as_ref().map(ToString::to_string).unwrap_or_default(), it.summary)
        })
        .collect()
}

#[test]
fn a_good_ladder_passes_and_each_fault_is_found_at_its_place() {
    assert_eq!(findings(|_| {}), [""; 0]);
    for (change, wanted) in [
        (json!([0, "gop", "3s"]), "video[0].gop: Key frames miss the segments"),
        (json!([0, "bit_rate", 700_000]), "video[1].bit_rate: Bit rates fall as sizes rise"),
        (json!([1, "name", "720p"]), "video[1].name: Name taken"),
        (json!([1, "codec", "av1"]), "video[1].codec: Codec not available"),
        (json!([1, "height", 361]), "video[1].height: Odd height"),
        (json!([0, "frame_rate", "29.97"]), "video[0].frame_rate: Not a frame rate"),
        (json!([0, "max_bit_rate", 1_000_000]), "video[0].max_bit_rate: Ceiling below the average"),
    ] {
        let found = findings(|ladder| {
            ladder["video"][change[0].as_u64().unwrap() as usize][change[1].as_str().unwrap()] =
                change[2].clone();
        });
        assert_eq!(found, [wanted]);
    }
    let found = findings(|ladder| {
        ladder["acceleration"] = json!("nvenc");
        ladder["gpu"] = json!("H100");
    });
    assert_eq!(found, ["gpu: GPU without an encoder"]);
}

#[test]
fn a_picture_has_no_name_of_sound() {
    for name in ["audio", "audio-stereo-0"] {
        let found = findings(|ladder| ladder["video"][0]["name"] = json!(name));
        assert_eq!(found, ["video[0].name: Reserved name"]);
    }
    let found = findings(|ladder| ladder["audio"][0]["name"] = json!("360p"));
    assert_eq!(found, ["audio[0].name: Name taken"], "a name of both");
}

#[test]
fn a_bit_rate_of_any_size_is_added_up() {
    let mut spec: LadderSpec = serde_json::from_value(ladder()).unwrap();
    for rendition in &mut spec.video {
        (rendition.bit_rate, rendition.max_bit_rate) = (u64::MAX, Some(u64::MAX));
    }
    assert_eq!(storage_per_hour(&spec), u64::MAX);
    codecs(&spec);
    // The attribute itself refuses what no level has.
    for name in ["bit_rate", "max_bit_rate"] {
        let schema = VideoRendition::object();
        let attribute = schema.attributes.iter().find(|it| it.name == name).unwrap();
        let refused = |rate: u64| attribute.validators.iter().any(|it| it.check(&rate.into()).is_err());
        assert!(refused(1_000_000_001) && !refused(1_000_000_000), "{name}");
    }
}

#[test]
fn a_gpu_is_known_by_its_whole_name() {
    let of = |gpu: &str| {
        findings(|ladder| {
            ladder["acceleration"] = json!("nvenc");
            ladder["gpu"] = json!(gpu);
        })
    };
    for gpu in ["A100", "a100", "NVIDIA A100-SXM4-80GB", "nvidia-h100-mega-80gb", "NC24ads_A100_v4"] {
        assert_eq!(of(gpu), ["gpu: GPU without an encoder"], "{gpu}");
    }
    for gpu in ["RTX A1000", "L40S", "NVIDIA A10G", "RTX A3000", "T4"] {
        assert_eq!(of(gpu), [""; 0], "{gpu}");
    }
}

#[test]
fn an_encoder_is_one_of_the_gpus_maker() {
    let of = |acceleration: &str, gpu: &str| {
        findings(|ladder| {
            ladder["acceleration"] = json!(acceleration);
            ladder["gpu"] = json!(gpu);
        })
    };
    for (acceleration, gpu) in [
        ("qsv", "L4"),
        ("vaapi", "NVIDIA A100-SXM4-80GB"),
        ("qsv", "AMD Radeon Pro V520"),
        ("nvenc", "Intel Arc A770"),
        ("nvenc", "Radeon RX 7900"),
        ("vaapi", "RTX A2000"),
    ] {
        assert_eq!(of(acceleration, gpu), ["gpu: Encoder of another maker"], "{acceleration} {gpu}");
    }
    for (acceleration, gpu) in [
        ("qsv", "Intel Arc A770"),
        ("vaapi", "AMD Radeon Pro V520"),
        ("vaapi", "Intel UHD 770"),
        ("none", "L4"),
        ("qsv", "something new"),
    ] {
        assert_eq!(of(acceleration, gpu), [""; 0], "{acceleration} {gpu}");
    }
}

#[test]
fn bit_rates_are_compared_within_a_codec() {
    // HEVC needs less for the same picture: 1080 lines of it beside 720 lines of H.264.
    let hevc = |ladder: &mut serde_json::Value, bit_rate: u64| {
        let mut more = ladder["video"][0].clone();
        more["name"] = json!("1080p-hevc");
        (more["codec"], more["height"], more["bit_rate"]) = (json!("hevc"), json!(1080), json!(bit_rate));
        ladder["video"].as_array_mut().unwrap().push(more);
    };
    assert_eq!(findings(|ladder| hevc(ladder, 2_500_000)), [""; 0]);
    let two = findings(|ladder| {
        hevc(ladder, 2_500_000);
        let mut small = ladder["video"][2].clone();
        (small["name"], small["height"]) = (json!("540p-hevc"), json!(540));
        ladder["video"].as_array_mut().unwrap().push(small);
    });
    assert_eq!(two, ["video[3].bit_rate: Bit rates fall as sizes rise"]);
}

#[test]
fn a_frame_rate_is_one_that_pictures_have() {
    for rate in ["300000", "0", "121", "25000/1002", "25/1001", "240000/1001", "x"] {
        let found = findings(|ladder| ladder["video"][0]["frame_rate"] = json!(rate));
        assert_eq!(found, ["video[0].frame_rate: Not a frame rate"], "{rate}");
    }
    for rate in ["1", "24", "50", "60", "120"] {
        assert_eq!(findings(|ladder| ladder["video"][0]["frame_rate"] = json!(rate)), [""; 0], "{rate}");
    }
}

#[test]
fn a_segment_and_a_group_have_whole_frames() {
    let rated = |segment: &str, gop: Option<&str>, rate: &str| {
        findings(|ladder| {
            ladder["segment_duration"] = json!(segment);
            (ladder["video"][0]["gop"], ladder["video"][0]["frame_rate"]) = (json!(gop), json!(rate));
        })
    };
    assert_eq!(rated("4s", None, "30000/1001"), ["video[0].frame_rate: Segments of broken frames"]);
    assert_eq!(rated("4004ms", Some("2002ms"), "30000/1001"), [""; 0]);
    assert_eq!(rated("2100ms", None, "25"), ["video[0].frame_rate: Segments of broken frames"]);
    assert_eq!(rated("2s", Some("500ms"), "25"), ["video[0].gop: Groups of broken frames"]);
    assert_eq!(rated("2s", Some("500ms"), "50"), [""; 0]);
}

#[test]
fn sound_stays_within_its_codec() {
    let sound = |change: serde_json::Value| {
        findings(|ladder| {
            for (name, value) in change.as_object().unwrap() {
                ladder["audio"][0][name] = value.clone();
            }
        })
    };
    for (change, wanted) in [
        (json!({ "codec": "ac3", "bit_rate": 768_000 }), "audio[0].bit_rate: Not a rate of AC-3"),
        (json!({ "codec": "ac3", "bit_rate": 200_000 }), "audio[0].bit_rate: Not a rate of AC-3"),
        (json!({ "codec": "ac3", "sample_rate": 96_000 }), "audio[0].sample_rate: Not a rate of AC-3"),
        (json!({ "codec": "opus", "sample_rate": 44_100 }), "audio[0].sample_rate: Opus is 48 kHz"),
        (
            json!({ "codec": "opus", "layout": "mono", "bit_rate": 320_000 }),
            "audio[0].bit_rate: More than the codec holds",
        ),
        (
            json!({ "codec": "aac", "layout": "mono", "bit_rate": 320_000 }),
            "audio[0].bit_rate: More than the codec holds",
        ),
    ] {
        assert_eq!(sound(change), [wanted]);
    }
    for good in [
        json!({ "codec": "ac3", "layout": "5.1", "bit_rate": 640_000 }),
        json!({ "codec": "aac", "layout": "5.1", "bit_rate": 384_000 }),
        json!({ "codec": "opus", "bit_rate": 192_000 }),
    ] {
        assert_eq!(sound(good), [""; 0]);
    }
}

#[test]
fn what_no_level_holds_is_refused() {
    let found = findings(|ladder| {
        for (name, value) in [("codec", json!("hevc")), ("max_bit_rate", json!(500_000_000))] {
            ladder["video"][0][name] = value;
        }
    });
    assert_eq!(found, ["video[0].max_bit_rate: Beyond every level"]);
}

#[test]
fn codec_strings_and_storage_follow() {
    let spec: LadderSpec = serde_json::from_value(ladder()).unwrap();
    assert_eq!(codecs(&spec)["720p"], "avc1.64001f");
    assert_eq!(codecs(&spec)["stereo"], "mp4a.40.2");
    assert_eq!(storage_per_hour(&spec), (3_000_000 + 800_000 + 128_000) / 8 * 3600);
}
