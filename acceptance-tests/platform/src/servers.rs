//! Real servers for stores: PostgreSQL, Redis, Kafka, and moto for the S3 wire format, each on ports and in a folder of
//! its own. They end with the test.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;

use crate::free_port;

const PATIENCE: Duration = Duration::from_secs(60);
const POSTGRES: &str = "/usr/lib/postgresql/15/bin";

/// The password that PostgreSQL and Redis ask for.
pub const PASSWORD: &str = "planted-password-4c1d";

/// All four.
pub struct Servers {
    folder: TempDir,
    children: Vec<Child>,
    /// Where PostgreSQL listens. User and database are `streamverse`.
    pub postgres: u16,
    /// Where Redis listens.
    pub redis: u16,
    /// Where Kafka listens.
    pub kafka: u16,
    /// Where S3 is; the bucket `media` is there.
    pub s3: u16,
}

impl Servers {
    /// Starts them. `None`, told aloud, where one is not installed; with `CI` set that is a failure.
    ///
    /// # Panics
    /// When one does not start.
    pub fn start() -> Option<Servers> {
        let site = std::env::var_os("STREAMVERSE_PYTHON_SITE").map(PathBuf::from);
        let jars = std::env::var_os("STREAMVERSE_KAFKA").map(PathBuf::from);
        let there = Path::new(POSTGRES).exists() && Path::new("/usr/bin/redis-server").exists();
        let (Some(site), Some(jars), true) = (site, jars, there) else {
            let what = "PostgreSQL 15, redis-server, STREAMVERSE_PYTHON_SITE or STREAMVERSE_KAFKA is missing: `cargo xtask test` installs them";
            assert!(std::env::var_os("CI").is_none(), "{what}");
            eprintln!("SKIPPED: {what}");
            return None;
        };
        let folder = tempfile::Builder::new().prefix("svs").tempdir().ok()?;
        crate::open(folder.path());
        let mut servers = Servers {
            folder,
            children: Vec::new(),
            postgres: free_port(),
            redis: free_port(),
            kafka: free_port(),
            s3: free_port(),
        };
        servers.start_kafka(&jars);
        servers.start_redis();
        servers.start_s3(&site);
        servers.start_postgres();
        for port in [servers.redis, servers.s3, servers.postgres, servers.kafka] {
            wait(port, servers.folder.path());
        }
        servers.make_bucket();
        servers.make_database();
        Some(servers)
    }

    fn spawn(&mut self, name: &str, command: &mut Command) {
        let log = std::fs::File::create(self.folder.path().join(format!("{name}.log")));
        if let Ok(log) = log {
            if let Ok(both) = log.try_clone() {
                command.stderr(both);
            }
            command.stdout(log);
        }
        let child = command.stdin(Stdio::null()).spawn();
        assert!(child.is_ok(), "{name} does not start: {:?}", child.err());
        self.children.extend(child);
    }

    fn start_redis(&mut self) {
        let (port, folder) = (self.redis.to_string(), self.folder.path().to_owned());
        self.spawn(
            "redis",
            dying("redis-server")
                .args([
                    "--port",
                    &port,
                    "--bind",
                    "127.0.0.1",
                    "--save",
                    "",
                    "--requirepass",
                    PASSWORD,
                    "--dir",
                ])
                .arg(folder),
        );
    }

    fn start_s3(&mut self, site: &Path) {
        let port = self.s3.to_string();
        self.spawn("s3", dying("python3").args(["-m", "moto.server", "-p", &port]).env("PYTHONPATH", site));
    }

    fn start_kafka(&mut self, jars: &Path) {
        let (port, controller) = (self.kafka, free_port());
        let data = self.folder.path().join("kafka");
        let file = self.folder.path().join("kafka.properties");
        let text = format!(
            "process.roles=broker,controller\nnode.id=1\ncontroller.quorum.voters=1@127.0.0.1:{controller}\n\
             listeners=PLAINTEXT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller}\n\
             advertised.listeners=PLAINTEXT://127.0.0.1:{port}\ncontroller.listener.names=CONTROLLER\n\
             offsets.topic.replication.factor=1\ntransaction.state.log.replication.factor=1\n\
             transaction.state.log.min.isr=1\ngroup.initial.rebalance.delay.ms=0\nlog.dirs={}\n",
            data.display()
        );
        assert!(std::fs::write(&file, text).is_ok(), "kafka.properties cannot be written");
        let classes = format!("{}/*", jars.display());
        let java = || {
            let mut java = dying("java");
            java.args(["-Xmx512m", "-XX:TieredStopAtLevel=1", "-cp", &classes]);
            java
        };
        let formatted = java()
            .args(["kafka.tools.StorageTool", "format", "-t", "MkU3OEVBNTcwNTJENDM2Qk", "-c"])
            .arg(&file)
            .output();
        let formatted = formatted.map(|it| (it.status.success(), it.stderr));
        assert!(formatted.as_ref().is_ok_and(|it| it.0), "Kafka's storage: {formatted:?}");
        self.spawn("kafka", java().arg("kafka.Kafka").arg(&file));
    }

    fn start_postgres(&mut self) {
        let data = self.folder.path().join("postgres");
        let word = self.folder.path().join("password");
        let made = std::fs::create_dir(&data).and_then(|()| std::fs::write(&word, PASSWORD));
        assert!(made.is_ok(), "no place for PostgreSQL: {made:?}");
        if crate::is_root() {
            for path in [&data, &word] {
                let done = Command::new("chown").arg("postgres").arg(path).status();
                assert!(done.is_ok_and(|it| it.success()), "{} cannot be given away", path.display());
            }
        }
        let made = as_postgres(&format!("{POSTGRES}/initdb"))
            .args(["--username", "streamverse", "--auth", "scram-sha-256", "--pwfile"])
            .arg(&word)
            .arg("--pgdata")
            .arg(&data)
            .output();
        let made = made.map(|it| (it.status.success(), String::from_utf8_lossy(&it.stderr).into_owned()));
        assert!(made.as_ref().is_ok_and(|it| it.0), "initdb: {made:?}");
        let port = self.postgres.to_string();
        self.spawn(
            "postgres",
            as_postgres(&format!("{POSTGRES}/postgres"))
                .arg("-D")
                .arg(&data)
                .args(["-p", &port, "-c", "listen_addresses=127.0.0.1", "-c", "fsync=off", "-k"])
                .arg(&data),
        );
    }

    fn make_bucket(&self) {
        let url = format!("http://127.0.0.1:{}/media", self.s3);
        let said = Command::new("curl").args(["-sS", "--max-time", "20", "-f", "-X", "PUT", &url]).output();
        assert!(said.as_ref().is_ok_and(|it| it.status.success()), "no bucket: {said:?}");
    }

    fn make_database(&self) {
        let until = Instant::now() + PATIENCE;
        loop {
            let said = self.sql("postgres", "create database streamverse");
            if said.as_ref().is_ok_and(|it| !it.is_empty()) || Instant::now() > until {
                assert!(said.is_ok(), "no database: {said:?}");
                return;
            }
            std::thread::sleep(Duration::from_millis(200));
        }
    }

    /// What a statement answers.
    ///
    /// # Errors
    /// What psql said.
    pub fn sql(&self, database: &str, statement: &str) -> Result<String, String> {
        let said = Command::new(format!("{POSTGRES}/psql"))
            .args(["-h", "127.0.0.1", "-p", &self.postgres.to_string(), "-U", "streamverse", "-d", database])
            .args(["-A", "-t", "-c", statement])
            .env("PGPASSWORD", PASSWORD)
            .output()
            .map_err(|error| error.to_string())?;
        if said.status.success() {
            return Ok(String::from_utf8_lossy(&said.stdout).into_owned());
        }
        Err(String::from_utf8_lossy(&said.stderr).into_owned())
    }

    /// The keys of the bucket, as S3 lists them.
    pub fn objects(&self) -> Vec<String> {
        let url = format!("http://127.0.0.1:{}/media?list-type=2", self.s3);
        let said = Command::new("curl").args(["-sS", "--max-time", "20", &url]).output();
        let text = said.map(|it| String::from_utf8_lossy(&it.stdout).into_owned()).unwrap_or_default();
        let keys = text.split("<Key>").skip(1).filter_map(|part| part.split("</Key>").next());
        keys.map(str::to_owned).collect()
    }
}

impl Drop for Servers {
    fn drop(&mut self) {
        for child in &mut self.children {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// A program that is killed when this one ends.
fn dying(program: &str) -> Command {
    let mut command = Command::new("setpriv");
    command.args(["--pdeathsig", "KILL", program]);
    command
}

fn as_postgres(program: &str) -> Command {
    let mut command = Command::new("setpriv");
    command.args(["--pdeathsig", "KILL"]);
    if crate::is_root() {
        command.args(["--reuid", "postgres", "--regid", "postgres", "--clear-groups"]);
    }
    command.arg(program).current_dir("/");
    command
}

fn wait(port: u16, folder: &Path) {
    let until = Instant::now() + PATIENCE;
    while std::net::TcpStream::connect(("127.0.0.1", port)).is_err() {
        assert!(Instant::now() < until, "nobody listens on {port}: see {}", folder.display());
        std::thread::sleep(Duration::from_millis(100));
    }
}
