//! What a spot market is worth, and what GPUs can do and cost: asked in a configuration and at a terminal.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::process::Command;

use streamverse_acceptance::{ADDRESS, binaries};
use tfplugin_testing::cli::{Case, Cli, Failure, Feature, Step};

fn example(kind: &str, name: &str, file: &str) -> String {
    let root = concat!(env!("CARGO_MANIFEST_DIR"), "/../..");
    std::fs::read_to_string(format!("{root}/examples/{kind}/{name}/{file}")).unwrap()
}

/// What the functions say of what is less usual.
const VALUES: &str = r#"
locals {
  spot = provider::streamverse::hourly_cost("gcp", "us-central1", "g2-standard-4", "spot", 1)
  full = provider::streamverse::hourly_cost("gcp", "us-central1", "g2-standard-4", "on_demand", 1)
  pod  = provider::streamverse::hourly_cost("runpod", "", "L40S", "on_demand", 2)
  far  = provider::streamverse::hourly_cost("gcp", "mars-west1", "g2-standard-4", "spot", 1)
}
output "none" {
  value = provider::streamverse::gpu_encoder("NVIDIA A100-SXM4-80GB").codecs
}
output "a_pod" {
  value = local.pod.hourly > 0 && local.pod.region == "" && local.pod.date != ""
}
output "dearer" {
  value = local.full.hourly > local.spot.hourly
}
output "another_region" {
  value = local.far.region
}
"#;

/// Arguments of `hourly_cost` that are refused, and with which words.
const WRONG: [(&str, &str); 3] = [
    (r#""moon", "", "L4", "spot", 1"#, "(?s)is\\s+none\\s+of\\s+aws"),
    (r#""gcp", "us-central1", "g2-standard-4", "forever", 1"#, "(?s)is\\s+none\\s+of\\s+spot"),
    (r#""aws", "us-east-1", "g99.huge", "spot", 1"#, "(?s)has\\s+no\\s+spot\\s+price"),
];

#[test]
fn a_configuration_and_a_terminal_are_told_the_same_of_a_market() -> Result<(), Failure> {
    let traces = concat!(env!("CARGO_MANIFEST_DIR"), "/../../provider/compute/testdata");
    let folder = tempfile::tempdir().unwrap();
    let picture = folder.path().join("spot.svg");
    let policy = folder.path().join("policy.json").display().to_string();
    std::fs::write(&policy, "{}").unwrap();
    let said = Command::new(binaries().join("streamverse"))
        .args(["simulate", "spot", "--trace", traces, "--notice", "120", "--svg"])
        .arg(&picture)
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&said.stdout).into_owned();
    assert!(said.status.success(), "{text}{}", String::from_utf8_lossy(&said.stderr));
    let row: Vec<&str> =
        text.lines().find(|it| it.starts_with("StreamVerse ")).unwrap().split_whitespace().collect();
    assert!(text.contains("omniscient bound") && text.contains("SpotHedge"), "{text}");
    assert!(std::fs::read_to_string(&picture).unwrap().starts_with("<svg"));
    // Another policy is another table and another picture: without a net nothing is on demand. What it is compared with stays.
    let (netless, bare) = (folder.path().join("netless.json"), folder.path().join("bare.svg"));
    std::fs::write(&netless, r#"{ "fallback": { "max": 0 } }"#).unwrap();
    let other = Command::new(binaries().join("streamverse"))
        .args(["simulate", "spot", "--trace", traces, "--notice", "120", "--policy"])
        .arg(&netless)
        .arg("--svg")
        .arg(&bare)
        .output()
        .unwrap();
    let other = String::from_utf8_lossy(&other.stdout).into_owned();
    let most = |text: &str| {
        let row = text.lines().find(|it| it.starts_with("StreamVerse ")).unwrap_or_default();
        row.split_whitespace().last().map(str::to_owned)
    };
    assert_eq!((most(&text).as_deref(), most(&other).as_deref()), (Some("1"), Some("0")), "{text}{other}");
    let rivals = |text: &str| -> Vec<String> {
        text.lines().filter(|it| !it.starts_with("StreamVerse")).map(str::to_owned).collect()
    };
    assert_eq!(rivals(&text), rivals(&other));
    assert_ne!(std::fs::read(&picture).unwrap(), std::fs::read(&bare).unwrap());
    let refused = Command::new(binaries().join("streamverse"))
        .args(["simulate", "spot", "--trace", "/nowhere"])
        .output()
        .unwrap();
    assert!(
        !refused.status.success()
            && String::from_utf8_lossy(&refused.stderr).contains("/nowhere cannot be read")
    );

    for (arguments, word) in [
        (["--seed", "1", "--days", "3000", "--workers", "40"], "3000.0 days of 9 zones with 40 workers"),
        (["--trace", traces, "--limit", "3", "--policy", &policy], "fallback.max to 3"),
    ] {
        let refused =
            Command::new(binaries().join("streamverse")).args(["simulate", "spot"]).args(arguments).output();
        let refused = refused.unwrap();
        let told = String::from_utf8_lossy(&refused.stderr).into_owned();
        assert!(!refused.status.success() && told.contains(word), "{told}");
    }

    let block = "provider \"streamverse\" {\n  deployment = \"test\"\n}\n";
    let same = format!(
        "{block}data \"streamverse_spot_forecast\" \"it\" {{\n  trace = \"{traces}\"\n  notice = \"120s\"\n}}\n\
         output \"told\" {{\n  value = format(\"%.2f%% %.3f\", data.streamverse_spot_forecast.it.all_ready.value * 100, \
         data.streamverse_spot_forecast.it.cost.value)\n}}\n\
         locals {{\n  lost = data.streamverse_spot_forecast.it.preemptions_per_day\n}}\n\
         output \"bounded\" {{\n  value = local.lost.value > 0 && local.lost.low <= local.lost.value && local.lost.value <= local.lost.high\n}}\n"
    );
    let both = format!("{} {}", row[1], row[4]);
    let cli = Cli::terraform()?;
    let mut case = Case::new(&cli)
        .provider(ADDRESS, binaries().join("terraform-provider-streamverse"))
        .requires(Feature::Functions)
        .step(Step::apply(same).output("told", both.as_str()).output("bounded", true))
        .step(
            Step::apply(format!(
                "{block}{}{}{}",
                example("data-sources", "streamverse_spot_forecast", "data-source.tf"),
                example("functions", "gpu_encoder", "function.tf"),
                example("functions", "hourly_cost", "function.tf")
            ))
            .output("encodes", serde_json::json!(["h264", "hevc", "av1"]))
            .output("two_hours_of_four", 3.176),
        )
        .step(
            Step::apply(format!(
                "{block}output \"x\" {{\n  value = provider::streamverse::gpu_encoder(\"L40X\")\n}}\n"
            ))
            .expect_error("(?s)Did you mean \"L40"),
        )
        .step(
            Step::apply(format!("{block}{VALUES}"))
                .output("none", serde_json::json!([]))
                .output("a_pod", true)
                .output("dearer", true)
                .output("another_region", "us-central1"),
        )
        .step(
            Step::apply(format!(
                "{block}data \"streamverse_spot_forecast\" \"it\" {{\n  synthetic = {{ days = 366, regions = 20, zones = 26 }}\n  workers = 1000\n}}\n"
            ))
            .expect_error("(?s)366.0\\s+days\\s+of\\s+520\\s+zones.*Give\\s+at\\s+most"),
        )
        .step(
            Step::apply(format!(
                "{block}data \"streamverse_spot_forecast\" \"it\" {{\n  synthetic = {{}}\n  on_demand_limit = 3\n  policy = {{}}\n}}\n"
            ))
            .expect_error("(?s)fallback.max\\s+to\\s+3"),
        )
        .step(
            Step::validate(format!(
                "{block}data \"streamverse_spot_forecast\" \"it\" {{\n  synthetic = {{}}\n  cold_start = \"25h\"\n}}\n"
            ))
            .expect_error_at("data.streamverse_spot_forecast.it", "cold_start", "`cold_start` is a day at most"),
        )
        .step(
            Step::validate(format!(
                "{block}data \"streamverse_spot_forecast\" \"it\" {{\n  synthetic = {{}}\n  notice = \"48h\"\n}}\n"
            ))
            .expect_error_at("data.streamverse_spot_forecast.it", "notice", "`notice` is a day at most"),
        )
        .step(
            Step::apply(format!(
                "{block}data \"streamverse_spot_forecast\" \"it\" {{\n  trace = \"/nowhere\"\n}}\n"
            ))
            .expect_error("(?s)nowhere cannot be\\s+read"),
        );
    for (arguments, word) in WRONG {
        let text = format!(
            "{block}output \"x\" {{\n  value = provider::streamverse::hourly_cost({arguments})\n}}\n"
        );
        case = case.step(Step::apply(text).expect_error(word));
    }
    case.run().map(|_| ())
}
