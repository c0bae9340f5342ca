//! `streamverse fleet`: what a fleet controller keeps, and why it did what it did, out of its catalogue. Secrets come from files, never
//! from arguments, which everybody on the host sees.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::{Args, Subcommand};
use streamverse_core::stores::{Records, open_records};
use streamverse_core::{Error, Metrics, Result, ServiceContext};
use streamverse_fleet::journal::{self, Told};
use streamverse_model::compute::{FleetControllerRun, FleetDecision, Money};
use streamverse_model::platform::{Name, Owner, StoreUrl};

/// What a site calls a controller.
const KIND: &str = "fleet-controller";
/// Where a pod finds what it is to run.
const POD: &str = "/etc/streamverse/orders";

/// Which controller, and what to ask.
#[derive(Debug, Args)]
pub(crate) struct FleetArgs {
    /// The controller; needed where there are several.
    #[arg(long, global = true)]
    controller: Option<String>,
    /// Its deployment; needed where there are several of the controller's name.
    #[arg(long, global = true)]
    deployment: Option<String>,
    /// Where the node's agent has the orders of its services. In a controller's pod its own are read.
    #[arg(long, global = true, default_value = "/run/streamverse")]
    run_dir: PathBuf,
    /// The controller's catalogue, from anywhere else: `url` of a `streamverse_catalogue`. Needs --controller.
    #[arg(long, global = true, requires = "controller")]
    catalogue: Option<String>,
    /// A folder with the secrets of that catalogue: files KIND.NAME/KEY, such as catalogue.main/password.
    #[arg(long, global = true)]
    credentials: Option<PathBuf>,
    /// The deployment's data on this host, where the catalogue is a `sqlite:` one.
    #[arg(long, global = true)]
    data_dir: Option<PathBuf>,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Fleets, how many workers they have, what waits, what they cost.
    List {
        /// One JSON object per line.
        #[arg(long)]
        json: bool,
    },
    /// The last decisions about a fleet, one line each, with what a cloud refused.
    Why {
        /// The fleet; all of them where none is given.
        name: Option<String>,
        /// So many.
        #[arg(long, default_value_t = 20)]
        last: usize,
        /// One JSON object per line.
        #[arg(long)]
        json: bool,
    },
}

#[allow(clippy::print_stdout, reason = "what it finds is its answer")]
pub(crate) async fn run(args: FleetArgs) -> Result<()> {
    for line in lines(&args).await? {
        println!("{line}");
    }
    Ok(())
}

fn usage(text: impl Into<String>) -> Error {
    Error::permanent("usage", text)
}

async fn lines(args: &FleetArgs) -> Result<Vec<String>> {
    let (records, controller) = open(args).await?;
    match &args.command {
        Command::List { json } => {
            let all = journal::fleets(&*records, &controller).await?;
            if *json {
                return all.iter().map(|it| line(&(&it.record, &it.status))).collect();
            }
            Ok(table(&all))
        }
        Command::Why { name, last, json } => {
            let all = journal::why(&*records, &controller, name.as_deref(), *last).await?;
            if all.is_empty()
                && let Some(name) = name
                && !journal::fleets(&*records, &controller).await?.iter().any(|it| it.name == *name)
            {
                return Err(usage(format!(
                    "the controller {controller} has no fleet {name:?}: see `streamverse fleet list`"
                )));
            }
            if *json {
                return all.iter().map(line).collect();
            }
            // What is wrong now stands at the end, where it is read.
            let fleets = journal::fleets(&*records, &controller).await?;
            let its = fleets.iter().filter(|it| name.as_ref().is_none_or(|name| it.name == *name));
            let wrong = its.filter_map(|it| {
                let trouble = it.status.as_ref()?.trouble.as_ref()?;
                Some(format!("{}: not served as it is described: {trouble}", it.name))
            });
            Ok(all.iter().map(told).chain(wrong).collect())
        }
    }
}

fn line(value: &impl serde::Serialize) -> Result<String> {
    serde_json::to_string(value)
        .map_err(|error| Error::permanent("json", "it cannot be written as JSON").because(error))
}

fn time(ms: u64) -> String {
    let at = i64::try_from(ms).ok().and_then(|it| jiff::Timestamp::from_millisecond(it).ok());
    at.map_or_else(|| "-".to_owned(), |it| it.to_string())
}

fn told(decision: &FleetDecision) -> String {
    let outcome = decision.outcome.as_ref().map(|it| format!("; {it}")).unwrap_or_default();
    format!("{} {}{outcome}", time(decision.at_ms), decision.line)
}

fn table(all: &[Told]) -> Vec<String> {
    let row = |cells: [&str; 8]| {
        let [name, target, instances, ready, waiting, spent, looked, trouble] = cells;
        format!(
            "{name:<24} {target:>6} {instances:>9} {ready:>5} {waiting:>8} {spent:>12} {looked:<24} {trouble}"
        )
        .trim_end()
        .to_owned()
    };
    let mut lines =
        vec![row(["FLEET", "TARGET", "INSTANCES", "READY", "WAITING", "SPENT", "LOOKED AT", "TROUBLE"])];
    for it in all {
        let going = it.record.as_ref().is_some_and(|it| it.tombstone);
        let Some(status) = &it.status else {
            lines.push(row([&it.name, "-", "-", "-", "-", "-", "-", "no controller has looked at it yet"]));
            continue;
        };
        let trouble = match (&status.trouble, going) {
            (Some(trouble), _) => trouble.as_str(),
            (None, true) => "it is being destroyed",
            (None, false) => "",
        };
        lines.push(row([
            &it.name,
            &status.target.to_string(),
            &status.instances.to_string(),
            &status.ready.to_string(),
            &status.waiting.map_or_else(|| "-".to_owned(), |it| it.to_string()),
            &Money::micros(status.spent_micros).to_string(),
            &time(status.looked_ms),
            trouble,
        ]));
    }
    lines
}

/// The records, and the controller's name.
async fn open(args: &FleetArgs) -> Result<(Arc<dyn Records>, String)> {
    if let (Some(url), Some(controller)) = (&args.catalogue, &args.controller) {
        let cx = context(args, url, controller)?;
        return Ok((open_records(url, &cx).await?, controller.clone()));
    }
    let mut found = orders(args);
    let (Some((run, cx)), None) = (found.pop(), found.pop()) else {
        return Err(usage(format!(
            "there is not one fleet controller here (in {POD} or below {}): name it by --controller and --deployment, or give --catalogue",
            args.run_dir.display()
        )));
    };
    Ok((open_records(&run.catalogue, &cx).await?, cx.owner.name.to_string()))
}

/// Where a catalogue is opened that no site gave us.
fn context(args: &FleetArgs, url: &str, controller: &str) -> Result<ServiceContext> {
    let read = StoreUrl::parse(url).map_err(|error| usage(error.to_string()))?;
    let fallback = Name::parse("here").map_err(|error| usage(error.to_string()))?;
    let deployment = args.deployment.clone().unwrap_or_else(|| "default".to_owned());
    let nowhere = || PathBuf::from("/nonexistent");
    if matches!(read, StoreUrl::Local { .. }) && args.data_dir.is_none() {
        return Err(usage(
            "a catalogue on this host needs --data-dir: the deployment's folder below the agent's data",
        ));
    }
    Ok(ServiceContext {
        site: read.site().cloned().unwrap_or(fallback),
        owner: Owner::new(&deployment, KIND, controller).map_err(|error| usage(error.to_string()))?,
        object: "command/fleet".to_owned(),
        data_dir: args.data_dir.clone().unwrap_or_else(nowhere),
        scratch_dir: nowhere(),
        run_dir: nowhere(),
        credentials_dir: args.credentials.clone().unwrap_or_else(nowhere),
        specs_dir: nowhere(),
        tools: std::collections::BTreeMap::new(),
        bind: std::net::Ipv4Addr::LOCALHOST.into(),
        metrics: Metrics::new(),
    })
}

/// The controllers whose orders lie here: those of this pod, or of the node's agent.
fn orders(args: &FleetArgs) -> Vec<(FleetControllerRun, ServiceContext)> {
    let mut folders = vec![PathBuf::from(POD)];
    for deployment in below(&args.run_dir) {
        folders.extend(below(&deployment));
    }
    let fits = |cx: &ServiceContext| {
        cx.owner.kind.as_str() == KIND
            && args.controller.as_ref().is_none_or(|it| cx.owner.name.as_str() == it)
            && args.deployment.as_ref().is_none_or(|it| cx.owner.deployment.as_str() == it)
    };
    let read = |folder: &PathBuf| {
        let cx: ServiceContext = json(&folder.join("context.json"))?;
        let run = fits(&cx).then(|| json(&folder.join("spec.json")))??;
        Some((run, cx))
    };
    // Jobs of fleets have other specs.
    folders.iter().filter_map(read).collect()
}

fn below(folder: &Path) -> Vec<PathBuf> {
    std::fs::read_dir(folder).into_iter().flatten().filter_map(|it| it.ok().map(|it| it.path())).collect()
}

fn json<T: serde::de::DeserializeOwned>(path: &Path) -> Option<T> {
    serde_json::from_slice(&std::fs::read(path).ok()?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;
    use serde_json::{Value, json};
    use streamverse_model::compute::fleet_collection;

    #[derive(Parser)]
    struct Cli {
        #[command(flatten)]
        args: FleetArgs,
    }

    async fn asked(words: &[&str]) -> Result<Vec<String>> {
        lines(&Cli::parse_from([&["fleet"], words].concat()).args).await
    }

    #[tokio::test]
    async fn fleets_and_the_last_decisions_are_told_from_the_catalogue_here_or_elsewhere() {
        let folder = tempfile::tempdir().unwrap();
        let (run, data) = (folder.path().join("run"), folder.path().join("data"));
        let orders = run.join("live").join("0123");
        std::fs::create_dir_all(&orders).unwrap();
        let cx = json!({
            "site": "here", "owner": { "deployment": "live", "kind": KIND, "name": "buyer" }, "object": "service/x",
            "data_dir": data, "scratch_dir": data, "run_dir": data, "credentials_dir": data, "specs_dir": data, "bind": "127.0.0.1",
        });
        std::fs::write(orders.join("context.json"), cx.to_string()).unwrap();
        let spec = json!({
            "controller": { "tick": "15s", "retention": "30days" }, "port": 9300, "public_url": "https://x:9300",
            "catalogue": "sqlite://here/main", "stores": [],
        });
        std::fs::write(orders.join("spec.json"), spec.to_string()).unwrap();
        let cx: ServiceContext = serde_json::from_value(cx).unwrap();
        let records = open_records("sqlite://here/main", &cx).await.unwrap();
        let status = json!({ "target": 2, "instances": 2, "ready": 1, "spent_micros": 1_500_000, "looked_ms": 1_794_744_000_000_u64 });
        records.insert(&fleet_collection("status", "buyer"), "gpu", &status).await.unwrap();
        let day = 86_400_000_u64;
        for at in 0..30_u64 {
            let at_ms = 1_794_744_000_000 + at * day;
            let name = if at % 3 == 0 { "cpu" } else { "gpu" };
            let decision: Value = json!({
                "at_ms": at_ms, "fleet": name, "line": format!("{name}: launch {at}"), "why": "short", "outcome": "it was refused: none left",
            });
            let id = format!("{:020}", at_ms * 1000);
            records.insert(&fleet_collection("why", "buyer"), &id, &decision).await.unwrap();
        }
        let place = run.to_str().unwrap();
        let all = asked(&["--run-dir", place, "list"]).await.unwrap();
        assert!(all.len() == 2 && all[1].starts_with("gpu") && all[1].contains("$1.5"), "{all:?}");
        let last = asked(&["--run-dir", place, "why", "cpu", "--last", "2"]).await.unwrap();
        assert_eq!(last.len(), 2, "{last:?}");
        assert!(last[1].ends_with("cpu: launch 27; it was refused: none left"), "{last:?}");
        assert_eq!(asked(&["--run-dir", place, "why", "--last", "100"]).await.unwrap().len(), 30);
        assert!(asked(&["--run-dir", place, "why", "tpu"]).await.unwrap_err().message.contains("tpu"));
        assert!(asked(&["--run-dir", "/nonexistent", "list"]).await.is_err());
        let elsewhere = [
            "--catalogue",
            "sqlite://here/main",
            "--controller",
            "buyer",
            "--data-dir",
            data.to_str().unwrap(),
        ];
        assert_eq!(asked(&[&elsewhere[..], &["list"]].concat()).await.unwrap(), all);
    }
}
