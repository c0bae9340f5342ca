//! Traffic Server as the edge resource renders it, against one with a configuration written by hand: hits, in turns.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use crate::children::{self, Server};
use crate::figures::{Rounds, Row};
use crate::load::Asking;
use crate::packages;
use crate::platform::{Platform, engine, user};
use crate::{Outcome, Setup, folder, free_port, origin, tell};

/// A Traffic Server as its manual's first pages set one up.
#[derive(Debug)]
pub struct ByHand {
    _server: Server,
    /// Where it listens.
    pub port: u16,
    // Last: it is removed when nothing runs in it any more.
    folder: tempfile::TempDir,
}

impl ByHand {
    /// Starts it in front of an address.
    ///
    /// # Errors
    /// When it does not start.
    pub async fn start(to: &str) -> Outcome<ByHand> {
        use std::os::unix::process::CommandExt as _;
        let folder = folder()?;
        let (base, port) = (folder.path(), free_port()?);
        for name in ["config", "cache", "log", "run"] {
            std::fs::create_dir_all(base.join(name))?;
        }
        let here = base.display();
        let plugins = ["/usr/lib/trafficserver/modules", "/usr/libexec/trafficserver"];
        let plugins = plugins.iter().find(|path| Path::new(path).is_dir()).ok_or("no Traffic Server")?;
        let files = [
            (
                "records.config",
                format!(
                    "CONFIG proxy.config.http.server_ports STRING {port}:ip-in=127.0.0.1\n\
                     CONFIG proxy.config.admin.user_id STRING #-1\n\
                     CONFIG proxy.config.cache.ram_cache.size INT 134217728\n"
                ),
            ),
            ("remap.config", format!("map / {to}/\n")),
            ("storage.config", format!("{here}/cache 536870912\n")),
            (
                "ip_allow.yaml",
                "ip_allow:\n  - apply: in\n    ip_addrs: 127.0.0.1\n    action: allow\n    methods: ALL\n"
                    .to_owned(),
            ),
            ("plugin.config", String::new()),
        ];
        for (name, text) in files {
            std::fs::write(base.join("config").join(name), text)?;
        }
        let root = format!(
            "prefix: {here}\nexec_prefix: /usr\nbindir: /usr/bin\nsbindir: /usr/sbin\nsysconfdir: {here}/config\ndatadir: {here}/cache\n\
             includedir: /usr/include\nlibdir: /usr/lib/trafficserver\nlibexecdir: {plugins}\nlocalstatedir: {here}/run\n\
             runtimedir: {here}/run\nlogdir: {here}/log\nmandir: /usr/share/man\ncachedir: {here}/cache\n"
        );
        std::fs::write(base.join("runroot.yaml"), root)?;
        let mut command = Command::new("traffic_manager");
        command.env("TS_RUNROOT", base);
        if let Some((user, group)) = user() {
            give(base, user, group)?;
            command.uid(user).gid(group);
        }
        // Its own folder may be one that this user cannot look into.
        command.current_dir(base);
        let mut server = Server::start("traffic_manager", &mut command, &base.join("out.log"))?;
        server.listens(port).await?;
        // The manager listens before there is a server.
        server.until("ran Traffic Server", || !engine(base).is_empty()).await?;
        answers(port).await?;
        Ok(ByHand { _server: server, port, folder })
    }

    /// Sends its requests elsewhere, as an administrator does: edit, then `traffic_ctl config reload`.
    ///
    /// # Errors
    /// What `traffic_ctl` said.
    pub async fn turn_to(&self, to: &str) -> Outcome<()> {
        let base = self.folder.path();
        std::fs::write(base.join("config/remap.config"), format!("map / {to}/\n"))?;
        let mut command = Command::new("traffic_ctl");
        command.arg(format!("--run-root={}", base.display())).args(["config", "reload"]);
        children::run("traffic_ctl", &mut command, Duration::from_secs(30)).await.map(|_| ())
    }

    fn processes(&self) -> Vec<u32> {
        engine(self.folder.path())
    }
}

fn give(folder: &Path, user: u32, group: u32) -> Outcome<()> {
    let mut folders: Vec<PathBuf> = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        std::os::unix::fs::chown(&folder, Some(user), Some(group))?;
        for entry in std::fs::read_dir(&folder)? {
            let path = entry?.path();
            if path.is_dir() {
                folders.push(path);
            } else {
                std::os::unix::fs::chown(&path, Some(user), Some(group))?;
            }
        }
    }
    Ok(())
}

/// Measures on a platform that runs.
///
/// # Errors
/// What stopped it; also that a measured request was no hit.
pub async fn measure(setup: &Setup, platform: &Platform) -> Outcome<Vec<Row>> {
    let paths = packages::write(&platform.store())?;
    let by_hand = ByHand::start(&format!("http://127.0.0.1:{}", platform.origin)).await?;
    answers(platform.edge).await?;
    // Traffic Server spreads its threads over all processors when it starts.
    let (ours, theirs) = (platform.traffic_server(), by_hand.processes());
    if ours.is_empty() || theirs.is_empty() {
        return Err("Traffic Server's processes are not found".into());
    }
    children::pin(&ours, setup.cores.server)?;
    children::pin(&theirs, setup.cores.server)?;
    let mut rows = Vec::new();
    for (name, paths, connections, heavy) in
        [("hits of 2 KiB", &paths.manifests, 32, false), ("hits of 1 MiB", &paths.segments, 8, true)]
    {
        let asking = |port| Asking { port, paths, connections };
        let (mut per_core, mut whole) = (Rounds::default(), Rounds::default());
        for port in [platform.edge, by_hand.port] {
            // The first fills the cache on disk, the second that in memory.
            asking(port).warm_up(setup).await?;
            asking(port).warm_up(setup).await?;
        }
        let fetched = fetched(platform.origin).await?;
        for round in 1..=setup.rounds(5) {
            let ours = asking(platform.edge).round(setup, || children::cpu_seconds(&ours)).await?;
            let theirs = asking(by_hand.port).round(setup, || children::cpu_seconds(&theirs)).await?;
            origin::push(heavy, &mut per_core, &mut whole, &ours, &theirs);
            let (ours, theirs) = (origin::told(&ours), origin::told(&theirs));
            tell(format!("{name}, round {round}: edge {ours}, by hand {theirs}"));
        }
        let missed = self::fetched(platform.origin).await? - fetched;
        if missed > 0 {
            return Err(format!("{name}: {missed} requests were no hits").into());
        }
        let (of_core, of_all) = origin::units(heavy);
        let note = "no request reached the origin";
        rows.push(per_core.row(format!("edge: {name}, per core / by hand"), of_core, note));
        rows.push(whole.row(format!("edge: {name}, wall / by hand"), of_all, note));
    }
    Ok(rows)
}

/// Waits until a server answers anything at all.
async fn answers(port: u16) -> Outcome<()> {
    let client = reqwest::Client::builder().timeout(Duration::from_secs(10)).no_proxy().build()?;
    let until = std::time::Instant::now() + Duration::from_secs(30);
    loop {
        match client.get(format!("http://127.0.0.1:{port}/")).send().await {
            Ok(_) => return Ok(()),
            Err(error) if std::time::Instant::now() > until => return Err(error.into()),
            Err(_) => tokio::time::sleep(Duration::from_millis(50)).await,
        }
    }
}

/// Requests that the origin answered so far.
async fn fetched(port: u16) -> Outcome<u64> {
    let client = reqwest::Client::builder().timeout(Duration::from_secs(10)).no_proxy().build()?;
    let text = client.get(format!("http://127.0.0.1:{port}/metrics")).send().await?.text().await?;
    let line = text.lines().find(|line| !line.starts_with('#') && line.contains("origin_served_total"));
    let count = line.and_then(|line| line.split_whitespace().last());
    Ok(count.ok_or("the origin does not count")?.parse()?)
}
