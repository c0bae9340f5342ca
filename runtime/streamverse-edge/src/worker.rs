//! A rented worker from its first moment to its last: it proves who it is, fetches its work and the secrets of that, runs it
//! under the drain agent, and leaves nothing behind. The protocol and what it protects: docs/fleet-workers.md.

mod identity;
mod place;
mod settings;

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use streamverse_core::run::keep_memory_private;
use streamverse_core::{Error, Metrics, Result, ServiceContext};
use streamverse_model::compute::{DrainSpec, WorkOrder, enrol_variables as variables};
use streamverse_model::platform::Name;
use tracing::info;
use zeroize::Zeroize as _;

use crate::drain::controller::Controller;
use crate::drain::worker::Launch;
use crate::drain::{self, Ended};
use identity::Identity;
use place::Place;
use settings::Settings;

/// What may be said about a worker on its command line. Nothing of it is secret.
#[derive(Debug, clap::Args)]
pub(crate) struct WorkerArgs {
    /// The program that does the work.
    #[arg(long, default_value = "streamverse")]
    program: PathBuf,
    /// Where its private folder is made: a file system in memory unless given.
    #[arg(long, env = "STREAMVERSE_PRIVATE")]
    private: Option<PathBuf>,
    /// Where its scratch space is made: the folder for temporary files unless given.
    #[arg(long, env = "STREAMVERSE_SCRATCH")]
    scratch: Option<PathBuf>,
    /// For how many seconds it asks a controller that does not answer.
    #[arg(long, default_value_t = 900)]
    patience: u64,
}

/// The code of an environment that cannot be used: `EX_USAGE` of sysexits.h.
const USAGE: u8 = 64;
/// … of a controller that does not answer: `EX_UNAVAILABLE`.
const UNAVAILABLE: u8 = 69;
/// … of a controller that does not want this worker: `EX_NOPERM`.
const NO_PERMISSION: u8 = 77;

/// Runs a worker to its end, and says with which code its process ends.
pub(crate) async fn run(args: WorkerArgs) -> u8 {
    // Its secrets stay out of dumps, and its environment out of the sight of other processes of its user.
    keep_memory_private();
    match work(args).await {
        Ok(ended) => ended.code,
        Err(error) => {
            eprintln!("error: {}", error.chain());
            match error.code {
                "environment" => USAGE,
                identity::REFUSED => NO_PERMISSION,
                "controller" | "gone" => UNAVAILABLE,
                _ => 1,
            }
        }
    }
}

async fn work(args: WorkerArgs) -> Result<Ended> {
    let settings = Settings::read(|name| std::env::var_os(name))?;
    let patience = Duration::from_secs(args.patience);
    let mut place = Place::open(&settings.worker, args.private, args.scratch)?;
    // Before there is a worker, a signal simply ends this one: nothing was begun.
    let begun = tokio::select! {
        begun = begin(&settings, &place, patience) => begun,
        () = told_to_stop() => {
            info!("Told to stop before there was any work.");
            place.for_good = true;
            return Ok(Ended { code: 0, left: true });
        }
    };
    let (identity, controller, order) = begun?;
    let (target, drain_seconds) = (order.target.clone(), order.drain_seconds);
    lay(&place, order)?;
    let launch = Launch {
        words: words(args.program, &target, drain_seconds, &place),
        // Used up, but nobody's business.
        without: vec![variables::TOKEN],
        again: true,
        tied: true,
    };
    let spec = DrainSpec {
        worker: settings.worker.clone(),
        drain_seconds,
        notices: settings.notices.clone(),
        drain_on_rebalance: false,
        controller: None,
        node: None,
    };
    info!(worker = settings.worker, target, "The work begins.");
    let socket = place.at(SOCKET);
    let ended = tokio::select! {
        ended = drain::supervise(spec, None, Some(launch), Some(socket), Some(controller.clone())) => ended,
        () = identity.renew(&settings, &place, &controller) => Err(Error::permanent("worker", "unreachable")),
    };
    // Who only ended may be started again, and goes on as who it is.
    place.for_good = ended.as_ref().is_ok_and(|it| it.left);
    ended
}

async fn begin(
    settings: &Settings,
    place: &Place,
    patience: Duration,
) -> Result<(Identity, Controller, WorkOrder)> {
    let identity = Identity::obtain(settings, place, patience).await?;
    let controller = Controller::of(&settings.controller, identity.proof(settings), &settings.worker)?;
    let controller = controller.on(settings.instance.clone());
    let order = identity::work(&controller, patience).await?;
    Ok((identity, controller, order))
}

async fn told_to_stop() {
    use tokio::signal::unix::{SignalKind, signal};
    let (Ok(mut term), Ok(mut int)) = (signal(SignalKind::terminate()), signal(SignalKind::interrupt()))
    else {
        return std::future::pending().await;
    };
    tokio::select! {
        _ = term.recv() => {}
        _ = int.recv() => {}
    }
}

const SPEC: &str = "spec.json";
const CONTEXT: &str = "context.json";
const SOCKET: &str = "admin.sock";
const CREDENTIALS: &str = "credentials";

/// Writes what the target reads: its spec, where it runs, and its secrets.
fn lay(place: &Place, order: WorkOrder) -> Result<()> {
    let WorkOrder { spec, owner, credentials, target, drain_seconds: _ } = order;
    place.write(SPEC, spec.to_string().as_bytes())?;
    let context = ServiceContext {
        // Stores that lie on a site are not handed out, so that its name is of no matter.
        site: Name::parse("rented").map_err(|error| Error::permanent("work", error.to_string()))?,
        owner,
        object: format!("service/{target}"),
        data_dir: place.make("data")?,
        scratch_dir: place.scratch().to_owned(),
        run_dir: place.make("run")?,
        credentials_dir: place.make(CREDENTIALS)?,
        specs_dir: place.make("specs")?,
        tools: std::collections::BTreeMap::new(),
        bind: [127, 0, 0, 1].into(),
        metrics: Metrics::new(),
    };
    let context = serde_json::to_vec(&context)
        .map_err(|error| Error::permanent("work", "the context cannot be written").because(error))?;
    place.write(CONTEXT, &context)?;
    let plain = |it: &str| {
        let inner = |byte: u8| byte.is_ascii_alphanumeric() || b".-_".contains(&byte);
        !it.starts_with('.') && !it.is_empty() && it.bytes().all(inner)
    };
    for (secret, values) in credentials {
        for (key, mut value) in values {
            if !plain(&secret) || !plain(&key) {
                let text = "the controller names a secret that is no name";
                return Err(Error::permanent("work", text));
            }
            let written = place.write(&format!("{CREDENTIALS}/{secret}/{key}"), value.as_bytes());
            value.zeroize();
            written?;
        }
    }
    Ok(())
}

/// The worker's command line: names of files, and nothing that is in them.
fn words(program: PathBuf, target: &str, drain_seconds: u64, place: &Place) -> Vec<OsString> {
    let mut admin = OsString::from("unix:");
    admin.push(place.at(SOCKET));
    let mut words = vec![program.into_os_string()];
    words.extend(["run", "--target", target, "--spec"].map(OsString::from));
    words.push(place.at(SPEC).into());
    words.push("--context".into());
    words.push(place.at(CONTEXT).into());
    words.push("--admin".into());
    words.push(admin);
    // Who has less time than that is ended by the drain agent.
    words.extend(["--drain-seconds".into(), drain_seconds.to_string().into(), "--tied".into()]);
    words
}
