//! The driver of Apache Traffic Server: where its folders are, how a configuration is checked, switched to and watched.
//!
//! ```text
//! <scratch>/engine/runroot.yaml   what the engine is started with (TS_RUNROOT)
//! <scratch>/engine/current        a link to the folder of the configuration that runs
//! <scratch>/engine/{cache,log}
//! <place>/s                       sockets: their paths must be short; the site made it for the engine's user
//! <place>/credentials/edge        keys and the token of PURGE
//! ```
//! Cache, log and sockets are the engine's; the rest is ours, and its user only reads it. Whatever of the engine is run to
//! check or to tell it something is run as that user: it writes where that user may have put links.
//! A reload switches the link and tells the engine; its process, its cache and its connections stay.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use async_trait::async_trait;
use serde_json::Value;
use sha2::{Digest as _, Sha256};
use streamverse_core::engine::{Change, EngineDriver, Prepared, Refused};
use streamverse_core::tool::{Limits, Tool};
use streamverse_core::{Error, Result, ServiceContext};
use streamverse_model::delivery::ats::{self, Paths, Version};
use streamverse_model::platform::EngineKind;
use streamverse_model::platform::node::EngineInfo;

mod checks;
mod health;
mod keys;

/// Where Debian and the project's own packages put plugins.
const PLUGINS: &[&str] = &[
    "/usr/lib/trafficserver/modules",
    "/opt/trafficserver/libexec/trafficserver",
    "/usr/libexec/trafficserver",
];

/// Apache Traffic Server, as it is installed on this host.
#[derive(Clone, Copy, Debug, Default)]
pub struct TrafficServer;

#[async_trait]
impl EngineDriver for TrafficServer {
    fn kind(&self) -> EngineKind {
        EngineKind::TrafficServer
    }

    async fn detect(&self) -> Result<Option<EngineInfo>> {
        let said = match Tool::at("traffic_server", "traffic_server")
            .args(["--version"])
            .limits(quick())
            .run()
            .await
        {
            Ok(said) => said,
            Err(error) if error.code == "binary-missing" => return Ok(None),
            Err(error) => return Err(error),
        };
        let text = format!("{}{}", said.stdout, said.stderr);
        let version = text.split_whitespace().find(|word| Version::parse(word).is_some());
        let Some(version) = version else {
            return Err(Error::permanent("engine-broken", "traffic_server does not tell its version"));
        };
        let plugins = plugin_folder().and_then(|folder| std::fs::read_dir(folder).ok());
        let mut plugins: Vec<String> = plugins
            .into_iter()
            .flatten()
            .flatten()
            .filter_map(|entry| entry.file_name().into_string().ok())
            .filter(|name| name.ends_with(".so"))
            .collect();
        plugins.sort();
        Ok(Some(EngineInfo { engine: EngineKind::TrafficServer, version: version.to_owned(), plugins }))
    }

    async fn refuses(&self, spec: &Value, scratch: &Path) -> Result<Option<Refused>> {
        let Some(info) = self.detect().await? else { return Ok(None) };
        Ok(checks::lacks(&checks::read(spec)?, &info, scratch))
    }

    async fn prepare(&self, spec: &Value, folder: &Path, cx: &ServiceContext) -> Result<Prepared> {
        let spec = checks::read(spec)?;
        let info = self.detect().await?.ok_or_else(|| {
            Error::permanent(
                "binary-missing",
                "Traffic Server is not installed on this host: apt-get install trafficserver",
            )
        })?;
        let version = Version::parse(&info.version).unwrap_or(Version { major: 0, minor: 0 });
        if let Some(refused) = checks::lacks(&spec, &info, &cx.scratch_dir) {
            return Err(Error::permanent(refused.code, format!("{}: {}", refused.message, refused.next)));
        }
        let engine = home(cx);
        let current = engine.join("current");
        let user = user_of(cx);
        for folder in [engine.join("cache"), engine.join("log")] {
            make(&folder).await?;
            own(&folder, user)?;
        }
        let paths = Paths {
            config: current.to_string_lossy().into_owned(),
            cache: engine.join("cache").to_string_lossy().into_owned(),
            bind: cx.bind.to_string(),
            tls_key: keys::lay(cx, user, spec.tls.as_ref().map(|tls| tls.certificate.as_str()))?,
            purge_guard: Some(keys::guard(cx, user)?),
        };
        let configuration = ats::configuration(&spec, version, &paths)
            .map_err(|why| Error::permanent("spec-invalid", why))?;
        let files = &configuration.files;
        if let Some(rules) = files.get("ip_allow.yaml") {
            ats::check_ip_allow(rules).map_err(|why| Error::permanent("check-failed", why))?;
        }
        // The check sees this folder as the current one, so that paths inside of files hold in both.
        for (name, text) in files {
            let written = text.replace(&paths.config, &folder.to_string_lossy());
            write(&folder.join(name), &written).await?;
        }
        write(&folder.join("runroot.yaml"), &runroot(&engine, folder, &sockets(cx))).await?;
        check(folder, user).await?;
        for (name, text) in files {
            write(&folder.join(name), text).await?;
        }
        write(&folder.join(health::MARK), &configuration.mark).await?;
        write(&folder.join(health::SPEC), &serde_json::to_string(&spec).unwrap_or_default()).await?;
        write(&engine.join("runroot.yaml"), &runroot(&engine, &current, &sockets(cx))).await?;
        let digests = |part: &BTreeMap<String, String>| -> BTreeMap<String, String> {
            part.iter().map(|(name, text)| (name.clone(), digest(text))).collect()
        };
        let all: String = files.iter().map(|(name, text)| format!("{name}\n{text}\n")).collect();
        Ok(Prepared {
            digest: digest(&all),
            folder: folder.to_owned(),
            program: PathBuf::from("traffic_manager"),
            args: Vec::new(),
            env: BTreeMap::from([("TS_RUNROOT".to_owned(), engine.to_string_lossy().into_owned())]),
            restart: digests(&configuration.restart),
            reload: digests(&configuration.reload),
            warnings: if version.major == 9 {
                Vec::new()
            } else {
                vec!["Traffic Server 10 was never run in our tests".to_owned()]
            },
        })
    }

    async fn before_start(&self, prepared: &Prepared, cx: &ServiceContext) -> Result<()> {
        point(&home(cx), &prepared.folder).await
    }

    fn change(&self, from: &Prepared, to: &Prepared) -> Change {
        if from.restart != to.restart {
            return Change::Restart;
        }
        if from.reload == to.reload { Change::None } else { Change::Reload }
    }

    async fn reload(&self, _: &Prepared, to: &Prepared, cx: &ServiceContext) -> Result<()> {
        // The engine reads a file again when it is newer than the one it read; one that is rolled back to is older.
        renew(&to.folder);
        point(&home(cx), &to.folder).await?;
        let said = control(to, &["config", "reload"], cx).await;
        said.map_err(|error| {
            Error::passing("reload-failed", "Traffic Server was not told to reload").because(error)
        })?;
        Ok(())
    }

    async fn drain(&self, running: &Prepared, cx: &ServiceContext, within: Duration) -> Result<()> {
        // With an engine that does not answer there is nothing to drain.
        if control(running, &["server", "drain"], cx).await.is_err() {
            return Ok(());
        }
        let until = tokio::time::Instant::now() + within;
        while tokio::time::Instant::now() < until {
            // Long enough for the count to be of now; the question itself is rarely in it, and then the next one is not.
            tokio::time::sleep(Duration::from_millis(500)).await;
            match health::transactions(running, cx).await {
                Ok(count) if count > 0 => {}
                _ => break,
            }
        }
        Ok(())
    }

    async fn health(&self, running: &Prepared, cx: &ServiceContext) -> Result<()> {
        health::serves(running, cx).await
    }
}

/// Makes a prepared configuration the one that the engine starts with.
async fn point(engine: &Path, folder: &Path) -> Result<()> {
    let (fresh, current) = (engine.join("current.new"), engine.join("current"));
    let _ = tokio::fs::remove_file(&fresh).await;
    let failed = |error: std::io::Error| {
        Error::passing("scratch", "the engine's folder cannot be written").because(error)
    };
    tokio::fs::symlink(folder, &fresh).await.map_err(failed)?;
    tokio::fs::rename(&fresh, &current).await.map_err(failed)
}

/// Beside the credentials, where the site keeps what a reboot may take: a socket's path has 107 bytes at most.
fn sockets(cx: &ServiceContext) -> PathBuf {
    cx.credentials_dir.parent().unwrap_or(&cx.run_dir).join("s")
}

/// The engine's user and group, where that is not ours: whose the folder for its sockets is.
fn user_of(cx: &ServiceContext) -> Option<(u32, u32)> {
    use std::os::unix::fs::MetadataExt as _;
    let about = std::fs::symlink_metadata(sockets(cx)).ok()?;
    let us = std::fs::symlink_metadata(home(cx)).ok()?.uid();
    (about.uid() != us).then(|| (about.uid(), about.gid()))
}

/// Gives a folder of ours to the engine's user; not what a link leads to.
fn own(folder: &Path, user: Option<(u32, u32)>) -> Result<()> {
    let Some((user, group)) = user else { return Ok(()) };
    std::os::unix::fs::lchown(folder, Some(user), Some(group)).map_err(|error| {
        Error::passing("scratch", format!("{} cannot be given to its user", folder.display())).because(error)
    })
}

fn home(cx: &ServiceContext) -> PathBuf {
    cx.scratch_dir.join("engine")
}

async fn check(folder: &Path, user: Option<(u32, u32)>) -> Result<()> {
    let root = folder.to_string_lossy().into_owned();
    let done = Tool::at("traffic_server", "traffic_server")
        .args(["-C", "verify_config", &format!("--run-root={root}")])
        .limits(quick())
        .user(user)
        .run()
        .await;
    done.map(|_| ()).map_err(|error| match error.code {
        "tool-failed" => {
            Error::permanent("check-failed", "Traffic Server refuses the configuration").because(error)
        }
        _ => error,
    })
}

async fn control(prepared: &Prepared, words: &[&str], cx: &ServiceContext) -> Result<()> {
    let root = prepared.env.get("TS_RUNROOT").cloned().unwrap_or_default();
    let args: Vec<String> = std::iter::once(format!("--run-root={root}"))
        .chain(words.iter().map(|it| (*it).to_owned()))
        .collect();
    Tool::at("traffic_ctl", "traffic_ctl")
        .args(args)
        .limits(quick())
        .user(user_of(cx))
        .run()
        .await
        .map(|_| ())
}

fn quick() -> Limits {
    Limits { time: Duration::from_secs(20), ..Limits::default() }
}

fn plugin_folder() -> Option<&'static str> {
    PLUGINS.iter().copied().find(|folder| Path::new(folder).is_dir())
}

fn runroot(engine: &Path, config: &Path, sockets: &Path) -> String {
    let (engine, config, sockets) = (engine.display(), config.display(), sockets.display());
    let plugins = plugin_folder().unwrap_or("/usr/lib/trafficserver/modules");
    format!(
        "prefix: {engine}\nexec_prefix: /usr\nbindir: /usr/bin\nsbindir: /usr/sbin\nsysconfdir: {config}\ndatadir: {engine}/cache\n\
         includedir: /usr/include\nlibdir: /usr/lib/trafficserver\nlibexecdir: {plugins}\nlocalstatedir: {sockets}\n\
         runtimedir: {sockets}\nlogdir: {engine}/log\nmandir: /usr/share/man\ncachedir: {engine}/cache\n"
    )
}

fn renew(folder: &Path) {
    let now = std::time::SystemTime::now();
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        let _ =
            std::fs::File::options().append(true).open(entry.path()).and_then(|file| file.set_modified(now));
    }
}

async fn make(folder: &Path) -> Result<()> {
    let made = tokio::fs::create_dir_all(folder).await;
    made.map_err(|error| {
        Error::passing("scratch", format!("{} cannot be made", folder.display())).because(error)
    })
}

async fn write(path: &Path, text: &str) -> Result<()> {
    if let Some(folder) = path.parent() {
        make(folder).await?;
    }
    let written = tokio::fs::write(path, text).await;
    written.map_err(|error| {
        Error::passing("scratch", format!("{} cannot be written", path.display())).because(error)
    })
}

fn digest(text: &str) -> String {
    hex::encode(&Sha256::digest(text.as_bytes())[..8])
}
