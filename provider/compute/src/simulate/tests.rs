//! Replays: of made-up markets always, of the recorded one where it is at hand.

use super::*;
use streamverse_model::compute::PolicySpec;

fn recorded() -> Option<Market> {
    let root = concat!(env!("CARGO_MANIFEST_DIR"), "/../../..");
    let folder =
        std::env::var("STREAMVERSE_SPOT_TRACES").unwrap_or_else(|_| format!("{root}/shared/traces/spot"));
    let mut files = Vec::new();
    for entry in std::fs::read_dir(&folder).ok()?.flatten() {
        if entry.path().extension().is_some_and(|it| it == "json") {
            files.push((entry.file_name().into_string().ok()?, std::fs::read_to_string(entry.path()).ok()?));
        }
    }
    files.sort();
    Market::read(files.iter().map(|(name, text)| (name.as_str(), text.as_str()))).ok()
}

#[test]
fn on_the_recorded_market_the_goals_are_met() {
    let Some(market) = recorded() else {
        eprintln!(
            "SKIPPED: the recorded spot market is not there: set STREAMVERSE_SPOT_TRACES to the folder of its files"
        );
        return;
    };
    let setting = Setting::default();
    let reports = compare(&market, &setting, pool_of(&market, &setting, PolicySpec::default()).unwrap());
    println!("{}", table(&reports, &setting));
}
