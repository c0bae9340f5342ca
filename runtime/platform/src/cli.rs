//! `streamverse node …`: run the agent, look at what it holds.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use clap::{Args, Subcommand};
use streamverse_core::engine::EngineDriver;
use streamverse_core::{Error, Result, Stop, TargetTable, http, run as process};
use streamverse_model::platform::{Name, Observed};
use tracing::info;

use crate::agent::{Agent, Config};
use crate::install;
use crate::tls::Tcp;

/// What can be done with a node.
#[derive(Debug, Subcommand)]
pub enum NodeCommand {
    /// Run the agent until it is told to stop; what it started goes on running.
    Run(RunArgs),
    /// Print what every owner of a deployment has, and how it is.
    Status(AskArgs),
    /// Print the last lines of an object's log.
    Logs(LogArgs),
    /// Print why an owner is not ready, or that it is.
    Why(WhyArgs),
    /// Start an owner's services anew, after draining: after an upgrade, with the new program.
    Restart(WhyArgs),
    /// Write a systemd unit for the agent to stdout.
    Install(RunArgs),
    /// Run the agent and start it again whenever it ends: for hosts without systemd.
    Supervise(RunArgs),
    /// Replace the agent's program by another one and have the agent start again. What it runs goes on.
    Upgrade(UpgradeArgs),
}

/// How the agent is run.
#[derive(Debug, Args)]
pub struct RunArgs {
    /// Durable data.
    #[arg(long, default_value = "/var/lib/streamverse")]
    pub(crate) data: PathBuf,
    /// Sockets and credentials.
    #[arg(long, default_value = "/run/streamverse")]
    pub(crate) run: PathBuf,
    /// The API's Unix socket; `node.sock` in the run directory where none is given.
    #[arg(long)]
    pub(crate) socket: Option<PathBuf>,
    /// Offer the API over TCP too, with mutual TLS: ADDRESS:PORT.
    #[arg(long, requires_all = ["certificate", "key", "client_ca"])]
    pub(crate) listen: Option<std::net::SocketAddr>,
    /// The agent's certificate chain, PEM.
    #[arg(long, requires = "listen")]
    pub(crate) certificate: Option<PathBuf>,
    /// Its private key, PEM.
    #[arg(long, requires = "listen")]
    pub(crate) key: Option<PathBuf>,
    /// The authority whose certificates clients show, PEM.
    #[arg(long, requires = "listen")]
    pub(crate) client_ca: Option<PathBuf>,
    /// The site's name in the provider block.
    #[arg(long, default_value = "default")]
    pub(crate) site: String,
    /// The address on which services and engines listen. The usual one is reached from this host alone; give 0.0.0.0, or an
    /// address of this host, where viewers and other sites are to reach them, and `host` in the provider block.
    #[arg(long, default_value = "127.0.0.1")]
    pub(crate) bind: std::net::IpAddr,
    /// The user that services and engines run as, where the agent is root.
    #[arg(long)]
    pub(crate) user: Option<String>,
    /// Where a tool is: NAME=PATH. May be repeated.
    #[arg(long = "tool", value_name = "NAME=PATH")]
    pub(crate) tools: Vec<String>,
}

/// What the agent becomes.
#[derive(Debug, Args)]
pub struct UpgradeArgs {
    /// The new program.
    #[arg(long)]
    pub(crate) binary: PathBuf,
    /// The agent's durable data.
    #[arg(long, default_value = "/var/lib/streamverse")]
    pub(crate) data: PathBuf,
}

/// Where the agent is asked.
#[derive(Debug, Args)]
pub struct AskArgs {
    /// The API's Unix socket.
    #[arg(long, env = "STREAMVERSE_NODE_SOCKET", default_value = "/run/streamverse/node.sock")]
    socket: PathBuf,
    /// The deployment.
    #[arg(long)]
    deployment: String,
}

/// Whose log.
#[derive(Debug, Args)]
pub struct LogArgs {
    #[command(flatten)]
    ask: AskArgs,
    /// KIND/NAME of the owner, such as `origin/main`.
    owner: String,
    /// Lines from the end.
    #[arg(long, default_value_t = 100)]
    lines: usize,
}

/// Who.
#[derive(Debug, Args)]
pub struct WhyArgs {
    #[command(flatten)]
    ask: AskArgs,
    /// KIND/NAME of the owner, such as `origin/main`.
    owner: String,
}

/// Does what the command says.
///
/// # Errors
/// What the agent or its API refused.
pub async fn run(
    command: NodeCommand,
    targets: TargetTable,
    engines: Vec<Arc<dyn EngineDriver>>,
) -> Result<()> {
    match command {
        NodeCommand::Run(args) => serve(args, targets, engines).await,
        NodeCommand::Install(args) => print(&install::unit(&args)?),
        NodeCommand::Supervise(args) => install::supervise(&args).await,
        NodeCommand::Upgrade(args) => print(&install::upgrade(&args).await?),
        NodeCommand::Status(args) => {
            let list: streamverse_model::platform::node::OwnerList =
                ask(&args.socket, &format!("/v1/deployments/{}/owners", args.deployment)).await?;
            let mut text = String::new();
            for owner in list.owners {
                let path =
                    format!("/v1/deployments/{}/owners/{}/{}", args.deployment, owner.kind, owner.name);
                let observed: Observed = ask(&args.socket, &path).await?;
                text.push_str(&format!("{}/{}\n", owner.kind, owner.name));
                for status in &observed.objects {
                    text.push_str(&format!("  {}\n", status.line()));
                }
            }
            print(&text)
        }
        NodeCommand::Why(args) => {
            let observed: Observed = ask(
                &args.ask.socket,
                &format!("/v1/deployments/{}/owners/{}", args.ask.deployment, args.owner),
            )
            .await?;
            match observed.why_not().as_slice() {
                [] => print(&format!("{} is ready\n", args.owner)),
                lines => print(&(lines.join("\n") + "\n")),
            }
        }
        NodeCommand::Restart(args) => {
            let path = format!("/v1/deployments/{}/owners/{}/restart", args.ask.deployment, args.owner);
            print(&text(&args.ask.socket, reqwest::Method::POST, &path).await?)
        }
        NodeCommand::Logs(args) => {
            let path = format!("/v1/deployments/{}/owners/{}", args.ask.deployment, args.owner);
            let observed: Observed = ask(&args.ask.socket, &path).await?;
            for status in &observed.objects {
                let path = format!("{path}/logs?object={}&lines={}", status.object, args.lines);
                print(&text(&args.ask.socket, reqwest::Method::GET, &path).await?)?;
            }
            Ok(())
        }
    }
}

async fn serve(args: RunArgs, targets: TargetTable, engines: Vec<Arc<dyn EngineDriver>>) -> Result<()> {
    // What we hold in memory has no place in a file.
    let none = rustix::process::Rlimit { current: Some(0), maximum: Some(0) };
    let _ = rustix::process::setrlimit(rustix::process::Resource::Core, none);
    let site = Name::parse(&args.site).map_err(|error| Error::permanent("usage", error.to_string()))?;
    let mut tools = BTreeMap::new();
    for tool in &args.tools {
        let (name, path) = tool
            .split_once('=')
            .ok_or_else(|| Error::permanent("usage", format!("--tool {tool} must be NAME=PATH")))?;
        tools.insert(name.to_owned(), PathBuf::from(path));
    }
    let program = std::env::current_exe()
        .map_err(|error| Error::permanent("usage", "this program cannot be found").because(error))?;
    let tcp = match (args.listen, args.certificate, args.key, args.client_ca) {
        (Some(listen), Some(certificate), Some(key), Some(client_authority)) => {
            Some(Tcp { listen, certificate, key, client_authority }.bind().await?)
        }
        _ => None,
    };
    let absolute = |path: PathBuf| std::path::absolute(&path).unwrap_or(path);
    let (data, run) = (absolute(args.data), absolute(args.run));
    let socket = args.socket.map_or_else(|| run.join("node.sock"), absolute);
    let agent = Agent::open(Config {
        site,
        bind: args.bind,
        data,
        run,
        program,
        user: args.user,
        tools,
        targets,
        engines,
    })?;
    let agent = Arc::new(agent);
    let listener = process::listen_unix(&socket)?;
    let stop = Stop::new();
    let told = stop.clone();
    tokio::spawn(async move {
        use tokio::signal::unix::{SignalKind, signal};
        let (Ok(mut term), Ok(mut int)) = (signal(SignalKind::terminate()), signal(SignalKind::interrupt()))
        else {
            return;
        };
        tokio::select! {
            _ = term.recv() => {}
            _ = int.recv() => {}
        }
        told.stop();
    });
    info!(socket = %socket.display(), "The agent answers.");
    let router = crate::api::router(Arc::clone(&agent));
    if let Some(tcp) = tcp {
        tokio::spawn(tcp.serve(router.clone(), http::Limits::default(), stop.clone()));
    }
    http::serve_unix(listener, router, http::Limits::default(), &stop).await;
    agent.leave().await;
    let _ = std::fs::remove_file(&socket);
    Ok(())
}

async fn ask<T: serde::de::DeserializeOwned>(socket: &std::path::Path, path: &str) -> Result<T> {
    let text = text(socket, reqwest::Method::GET, path).await?;
    serde_json::from_str(&text)
        .map_err(|error| Error::permanent("answer", "the agent's answer is not understood").because(error))
}

async fn text(socket: &std::path::Path, method: reqwest::Method, path: &str) -> Result<String> {
    let away = || {
        Error::passing(
            "agent-away",
            format!("no agent answers at {}: start it with `streamverse node run`", socket.display()),
        )
    };
    let client =
        reqwest::Client::builder().unix_socket(socket).timeout(std::time::Duration::from_secs(30)).build();
    let client = client.map_err(|error| away().because(error))?;
    let answer = client
        .request(method, format!("http://node{path}"))
        .send()
        .await
        .map_err(|error| away().because(error.without_url()))?;
    let good = answer.status().is_success();
    let body = answer.text().await.map_err(|error| away().because(error.without_url()))?;
    if good {
        return Ok(body);
    }
    let message = serde_json::from_str::<streamverse_model::platform::node::ApiError>(&body)
        .map_or(body, |error| error.message);
    Err(Error::permanent("refused", message))
}

fn print(text: &str) -> Result<()> {
    use std::io::Write as _;
    // A reader that left early, such as `head`, is no error.
    let _ = std::io::stdout().write_all(text.as_bytes());
    Ok(())
}
