//! `streamverse simulate`: what a channel plays, hour by hour, and what must not be in it, without asking a clock; a spot market and
//! a rehearsal are next door.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::{Args, Subcommand};
use serde_json::{Value, json};
use streamverse_core::{Error, Result};
use streamverse_model::media::channel::{
    AssetFacts, Audit, ChannelDefinition, Cue, FastChannelSpec, Item, ItemKind, Playout, Zone, check_spec,
    instant_ms, rfc_3339,
};
use streamverse_model::media::{LadderSpec, PackageIndex};
use streamverse_model::platform::Name;

/// What can be simulated.
#[derive(Debug, Subcommand)]
pub(crate) enum SimulateCommand {
    /// What a channel plays, and what must not be in it.
    Channel(ChannelArgs),
    /// What a policy is worth on a spot market: capacity, outages and cost, beside other policies and a bound.
    Spot(crate::simulate_spot::SpotArgs),
    /// A rehearsal: real encode jobs in the queue of a transcoder for a while; then all must be as it was.
    Load(crate::simulate_load::LoadArgs),
}

/// Which channel, and which hours.
#[derive(Debug, Args)]
pub(crate) struct ChannelArgs {
    /// A file with the channel: its `definition`, or the JSON of its spec.
    #[arg(long, required_unless_present = "state", conflicts_with = "state")]
    spec: Option<PathBuf>,
    /// What `terraform show -json` printed, of a state or a plan.
    #[arg(long)]
    state: Option<PathBuf>,
    /// The channel of a state that has several.
    #[arg(long)]
    channel: Option<String>,
    /// When it begins (RFC 3339); when the schedule does where it is not given.
    #[arg(long)]
    from: Option<String>,
    /// How many hours.
    #[arg(long, default_value_t = 24)]
    hours: u32,
    /// The index.json of an asset's package: ASSET=FILE. May be repeated. Assets without one have segments as their ladders
    /// say, and are as long as their `duration_ms`, or `assumed_duration`.
    #[arg(long = "index")]
    indexes: Vec<String>,
    /// Only what was found, without the timeline.
    #[arg(long)]
    quiet: bool,
}

/// The most hours: ten years.
const MOST_HOURS: u32 = 24 * 366 * 10;
/// The segment of a ladder that is not known.
const USUAL_SEGMENT: Duration = Duration::from_secs(4);

fn usage(text: impl Into<String>) -> Error {
    Error::permanent("usage", text)
}

fn read(path: &Path) -> Result<Value> {
    let text = std::fs::read_to_string(path)
        .map_err(|error| usage(format!("{} cannot be read", path.display())).because(error))?;
    serde_json::from_str(&text)
        .map_err(|error| usage(format!("{} is no JSON", path.display())).because(error))
}

pub(crate) async fn run(command: SimulateCommand) -> Result<()> {
    match command {
        SimulateCommand::Channel(args) => channel(&args),
        SimulateCommand::Spot(args) => crate::simulate_spot::run(&args),
        SimulateCommand::Load(args) => crate::simulate_load::run(args).await,
    }
}

#[allow(clippy::print_stdout, reason = "what it found is its answer")]
fn channel(args: &ChannelArgs) -> Result<()> {
    let ChannelDefinition { name, channel: spec } = definition(args)?;
    check_spec(&spec).map_err(|error| usage(format!("channel {name} cannot be planned: {error}")))?;
    if args.hours == 0 || args.hours > MOST_HOURS {
        return Err(usage(format!("--hours is 1 to {MOST_HOURS}, not {}", args.hours)));
    }
    let from = match &args.from {
        None => spec.start_ms(),
        Some(text) => instant(text)?,
    };
    let facts = facts(&spec, &args.indexes)?;
    let wrong = |error: streamverse_model::platform::SpecError| usage(error.to_string());
    let zone = Zone::named(&spec.time_zone).map_err(wrong)?;
    let (playout, mut audit) = (Playout::new(&spec).map_err(wrong)?, Audit::new(&spec).map_err(wrong)?);
    let until = from.saturating_add(u64::from(args.hours) * 3_600_000);
    let mut cursor = playout.begin(from);
    let mut sums = Sums::default();
    let mut silent = None;
    // As a service does it: from horizon to horizon.
    let step = u64::try_from(spec.horizon.0.as_millis()).unwrap_or(u64::MAX).clamp(60_000, 86_400_000);
    while cursor.at_ms < until {
        let aim = cursor.at_ms.saturating_add(step).min(until);
        let (items, next) = playout.extend(&cursor, &facts, aim);
        for item in &items {
            audit.see(item, &facts);
            sums.add(item);
            if !args.quiet {
                println!("{}", line(&zone, item));
            }
        }
        if next.at_ms < aim {
            silent = Some(next.at_ms);
            break;
        }
        cursor = next;
    }
    let found = audit.violations();
    for one in found {
        println!("VIOLATION {} {}: {}", rfc_3339(&zone, one.at_ms), one.rule, one.text);
    }
    if let Some(at) = silent {
        println!("VIOLATION {} silence: not even the slate {:?} can play", rfc_3339(&zone, at), spec.slate);
    }
    println!("{}", sums.told(args.hours));
    match found.len() + usize::from(silent.is_some()) {
        0 => Ok(()),
        count => Err(Error::permanent("violations", format!("{count} violations in channel {name}"))),
    }
}

fn instant(text: &str) -> Result<u64> {
    instant_ms(text).ok_or_else(|| {
        usage(format!(
            "--from {text:?} is no time of 1970 to 9998 as RFC 3339 has it, such as 2026-11-26T20:15:00Z"
        ))
    })
}

/// The channel that the arguments name.
fn definition(args: &ChannelArgs) -> Result<ChannelDefinition> {
    if let Some(path) = &args.spec {
        let value = read(path)?;
        let known = if value.get("channel").is_some() {
            serde_json::from_value(value)
        } else {
            let name = Name::parse("channel").map_err(|error| usage(error.to_string()))?;
            serde_json::from_value(value).map(|channel| ChannelDefinition { name, channel })
        };
        return known.map_err(|error| usage(format!("{} is no channel", path.display())).because(error));
    }
    let path = args.state.as_deref().ok_or_else(|| usage("give --spec or --state"))?;
    let mut found: Vec<ChannelDefinition> = Vec::new();
    channels(&read(path)?, 0, &mut found);
    let wanted = |it: &ChannelDefinition| args.channel.as_deref().is_none_or(|name| it.name.as_str() == name);
    let names: Vec<String> = found.iter().map(|it| it.name.to_string()).collect();
    let mut all = found.into_iter().filter(wanted);
    match (all.next(), all.next()) {
        (Some(one), None) => Ok(one),
        (None, _) => Err(usage(format!(
            "{} has no such streamverse_fast_channel whose definition is known; it has {names:?}",
            path.display()
        ))),
        _ => Err(usage(format!(
            "{} has several channels: name one of {names:?} with --channel",
            path.display()
        ))),
    }
}

/// Every channel in what `terraform show -json` printed, each once.
fn channels(value: &Value, depth: usize, found: &mut Vec<ChannelDefinition>) {
    if depth > 64 {
        return;
    }
    match value {
        Value::Array(all) => all.iter().for_each(|it| channels(it, depth + 1, found)),
        Value::Object(members) => {
            let definition = members
                .get("type")
                .filter(|it| it.as_str() == Some("streamverse_fast_channel"))
                .and_then(|_| members.get("values")?.get("definition")?.as_str())
                .and_then(|it| serde_json::from_str::<ChannelDefinition>(it).ok());
            match definition {
                Some(it) if found.iter().all(|other| other.name != it.name) => found.push(it),
                Some(_) => {}
                None => members.values().for_each(|it| channels(it, depth + 1, found)),
            }
        }
        _ => {}
    }
}

/// Packages: those that were given, and for the others what their sources and ladders say.
fn facts(spec: &FastChannelSpec, indexes: &[String]) -> Result<BTreeMap<String, AssetFacts>> {
    let mut facts = BTreeMap::new();
    for asset in spec.assets() {
        let source = spec.source(&asset).cloned().unwrap_or_default();
        let ladder = source.ladder.as_deref().and_then(|it| serde_json::from_str::<LadderSpec>(it).ok());
        let segment = ladder.map_or(USUAL_SEGMENT, |it| it.segment_duration.0).as_millis().max(1);
        let length = source.duration_ms.map_or(spec.assumed_duration.0.as_millis(), u128::from);
        let (count, rest) = (length / segment, length % segment);
        let mut segments = vec![segment; usize::try_from(count).unwrap_or(0)];
        if rest > 0 {
            segments.push(rest);
        }
        let index = json!({ "version": 1, "duration_ms": length, "segment_ms": segment, "parts": [{
            "duration_ms": length, "tracks": [{ "name": "video", "kind": "video", "codecs": "", "bandwidth": 0,
                "timescale": 1000, "init": "", "media": "", "first_number": 1, "segments": segments }] }] });
        let index: PackageIndex =
            serde_json::from_value(index).map_err(|error| usage(format!("{asset}: {error}")))?;
        facts.insert(asset, AssetFacts { generation: "assumed".to_owned(), index });
    }
    for given in indexes {
        let (asset, path) =
            given.split_once('=').ok_or_else(|| usage(format!("--index {given:?} is not ASSET=FILE")))?;
        let index: PackageIndex = serde_json::from_value(read(Path::new(path))?)
            .map_err(|error| usage(format!("{path} is no index of a package")).because(error))?;
        facts.insert(asset.to_owned(), AssetFacts { generation: "given".to_owned(), index });
    }
    Ok(facts)
}

fn word(kind: ItemKind) -> &'static str {
    match kind {
        ItemKind::Programme => "programme",
        ItemKind::Ad => "ad",
        ItemKind::Filler => "filler",
        ItemKind::Slate => "slate",
    }
}

fn line(zone: &Zone, item: &Item) -> String {
    let mark = match item.splice.as_ref().map(|it| (it.event_id, &it.cue)) {
        Some((id, Cue::Out { duration_ms })) => {
            format!(" out {id} for {}.{:03} s", duration_ms / 1000, duration_ms % 1000)
        }
        Some((id, Cue::In)) => format!(" in {id}"),
        None => String::new(),
    };
    format!(
        "{} {:<9} {} part {} segments {}..{} {}.{:03} s msn {} dsn {}{mark}",
        rfc_3339(zone, item.start_ms),
        word(item.kind),
        item.asset,
        item.part,
        item.first,
        item.first.saturating_add(item.count),
        item.duration_ms / 1000,
        item.duration_ms % 1000,
        item.msn,
        item.dsn,
    )
}

/// What played how long.
#[derive(Default)]
struct Sums {
    items: u64,
    segments: u64,
    by_kind: BTreeMap<ItemKind, u64>,
}

impl Sums {
    fn add(&mut self, item: &Item) {
        self.items += 1;
        self.segments = self.segments.saturating_add(item.count);
        let sum = self.by_kind.entry(item.kind).or_default();
        *sum = sum.saturating_add(item.duration_ms);
    }

    fn told(&self, hours: u32) -> String {
        let kinds: Vec<String> =
            self.by_kind.iter().map(|(kind, ms)| format!("{} {} s", word(*kind), ms / 1000)).collect();
        format!("{hours} h: {} items, {} segments; {}", self.items, self.segments, kinds.join(", "))
    }
}
