//! Real servers for stores: PostgreSQL, Redis, Kafka, and moto for the S3 wire format, each on ports and in a folder of
//! its own, all reached by TLS alone, with a login. They end with the test process.

mod certificates;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::time::{Duration, Instant};

use crate::broom::{self, Broom};
use crate::free_port;

const PATIENCE: Duration = Duration::from_secs(60);
const POSTGRES: &str = "/usr/lib/postgresql/15/bin";

/// The password that PostgreSQL, Redis and Kafka ask for.
pub const PASSWORD: &str = "planted-password-4c1d";

/// All four. Each is called `localhost`; the user is `streamverse`.
pub struct Servers {
    broom: Broom,
    running: BTreeMap<&'static str, (Start, Option<Child>)>,
    /// Where PostgreSQL listens. User and database are `streamverse`.
    pub postgres: u16,
    /// Where Redis listens. It asks for a client's certificate.
    pub redis: u16,
    /// Where Kafka listens. It asks for SCRAM-SHA-512.
    pub kafka: u16,
    /// Where S3 is; the bucket `media` is there.
    pub s3: u16,
}

/// How a server is started, and where it listens then.
struct Start {
    command: Box<dyn Fn() -> Command + Send + Sync>,
    port: u16,
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
        let made = Broom::new("svs").and_then(|broom| {
            certificates::lay(broom.folder())?;
            Ok(broom)
        });
        assert!(made.is_ok(), "no place for servers: {:?}", made.err());
        let mut servers = Servers {
            broom: made.ok()?,
            running: BTreeMap::new(),
            postgres: free_port(),
            redis: free_port(),
            kafka: free_port(),
            s3: free_port(),
        };
        let [kafka, redis, s3, postgres] =
            [servers.kafka(&jars), servers.redis(), servers.s3(site), servers.postgres()];
        for (name, start) in [("kafka", kafka), ("redis", redis), ("s3", s3), ("postgres", postgres)] {
            servers.running.insert(name, (start, None));
            servers.begin(name);
        }
        for name in ["redis", "s3", "postgres", "kafka"] {
            servers.wait(name);
        }
        servers.make_bucket();
        servers.make_database();
        Some(servers)
    }

    fn begin(&mut self, name: &'static str) {
        let Some((start, child)) = self.running.get_mut(name) else { return };
        let started = self.broom.start(name, (start.command)());
        assert!(started.is_ok(), "{}", started.err().unwrap_or_default());
        *child = started.ok();
    }

    fn wait(&mut self, name: &'static str) {
        let until = Instant::now() + PATIENCE;
        let Some((start, Some(child))) = self.running.get_mut(name) else { return };
        while std::net::TcpStream::connect(("127.0.0.1", start.port)).is_err() {
            let alive = matches!(child.try_wait(), Ok(None));
            assert!(alive && Instant::now() < until, "{name} does not listen: {}", self.broom.log(name));
            std::thread::sleep(Duration::from_millis(100));
        }
    }

    /// Kills one at once, as a crash would: `kafka`, `postgres`, `redis` or `s3`, which forgets everything by it.
    pub fn kill(&mut self, name: &str) {
        if let Some((_, child)) = self.running.get_mut(name)
            && let Some(mut child) = child.take()
        {
            broom::kill(&mut child);
        }
    }

    /// Starts one that was killed, at the same port with what is on its disk, and returns when it listens.
    ///
    /// # Panics
    /// When it does not start.
    pub fn start_again(&mut self, name: &'static str) {
        self.begin(name);
        self.wait(name);
    }

    /// A file of theirs: `ca.pem`; `client.pem` and `client.key` of a client whom they know; `stranger-ca.pem`.
    pub fn file(&self, name: &str) -> PathBuf {
        self.broom.folder().join(name)
    }

    /// What must be found nowhere of the client's private key.
    pub fn planted_key(&self) -> String {
        let text = std::fs::read_to_string(self.file("client.key")).unwrap_or_default();
        text.lines().nth(1).unwrap_or_default().to_owned()
    }

    fn redis(&self) -> Start {
        let (port, folder) = (self.redis, self.broom.folder().to_owned());
        let command = move || {
            let mut redis = Command::new("redis-server");
            redis.args(["--port", "0", "--tls-port", &port.to_string(), "--bind", "127.0.0.1", "--save", ""]);
            for (key, file) in [("cert", "server.pem"), ("key", "server.key"), ("ca-cert", "ca.pem")] {
                redis.arg(format!("--tls-{key}-file")).arg(folder.join(file));
            }
            redis.args(["--requirepass", PASSWORD, "--dir"]).arg(&folder);
            redis
        };
        Start { command: Box::new(command), port }
    }

    fn s3(&self, site: PathBuf) -> Start {
        let (port, folder) = (self.s3, self.broom.folder().to_owned());
        let command = move || {
            let mut moto = Command::new("python3");
            moto.args(["-m", "moto.server", "-p", &port.to_string()]).env("PYTHONPATH", &site);
            moto.arg("-c").arg(folder.join("server.pem")).arg("-k").arg(folder.join("server.key"));
            moto
        };
        Start { command: Box::new(command), port }
    }

    fn kafka(&self, jars: &Path) -> Start {
        let (port, controller, inner) = (self.kafka, free_port(), free_port());
        let folder = self.broom.folder();
        let file = folder.join("kafka.properties");
        let text = format!(
            "process.roles=broker,controller\nnode.id=1\ncontroller.quorum.voters=1@127.0.0.1:{controller}\n\
             listeners=CLIENT://127.0.0.1:{port},INNER://127.0.0.1:{inner},CONTROLLER://127.0.0.1:{controller}\n\
             advertised.listeners=CLIENT://localhost:{port},INNER://127.0.0.1:{inner}\n\
             listener.security.protocol.map=CLIENT:SASL_SSL,INNER:PLAINTEXT,CONTROLLER:PLAINTEXT\n\
             controller.listener.names=CONTROLLER\ninter.broker.listener.name=INNER\n\
             sasl.enabled.mechanisms=SCRAM-SHA-512\n\
             listener.name.client.scram-sha-512.sasl.jaas.config=\
             org.apache.kafka.common.security.scram.ScramLoginModule required;\n\
             ssl.keystore.type=PEM\nssl.keystore.location={place}/server-both.pem\n\
             offsets.topic.replication.factor=1\ntransaction.state.log.replication.factor=1\n\
             transaction.state.log.min.isr=1\ngroup.initial.rebalance.delay.ms=0\nlog.dirs={place}/kafka\n",
            place = folder.display()
        );
        assert!(std::fs::write(&file, text).is_ok(), "kafka.properties cannot be written");
        let classes = format!("{}/*", jars.display());
        let java = move || {
            let mut java = Command::new("java");
            java.args(["-Xmx512m", "-XX:TieredStopAtLevel=1", "-cp", &classes]);
            java
        };
        let user = format!("--add-scram=SCRAM-SHA-512=[name=streamverse,password={PASSWORD}]");
        let formatted = java()
            .args(["kafka.tools.StorageTool", "format", "-t", "MkU3OEVBNTcwNTJENDM2Qk", &user, "-c"])
            .arg(&file)
            .current_dir(folder)
            .output();
        let formatted = formatted.map(|it| (it.status.success(), it.stderr));
        assert!(formatted.as_ref().is_ok_and(|it| it.0), "Kafka's storage: {formatted:?}");
        let command = move || {
            let mut java = java();
            java.arg("kafka.Kafka").arg(&file);
            java
        };
        Start { command: Box::new(command), port }
    }

    fn postgres(&self) -> Start {
        let folder = self.broom.folder();
        let (data, word) = (folder.join("postgres"), folder.join("password"));
        let made = std::fs::create_dir(&data).and_then(|()| std::fs::write(&word, PASSWORD));
        assert!(made.is_ok(), "no place for PostgreSQL: {made:?}");
        let key = folder.join("postgres.key");
        let laid = std::fs::copy(folder.join("server.key"), &key).and_then(|_| {
            std::fs::set_permissions(&key, std::os::unix::fs::PermissionsExt::from_mode(0o600))
        });
        assert!(laid.is_ok(), "no key for PostgreSQL: {laid:?}");
        if crate::is_root() {
            for path in [&data, &word, &key] {
                let done = Command::new("chown").arg("postgres").arg(path).status();
                assert!(done.is_ok_and(|it| it.success()), "{} cannot be given away", path.display());
            }
        }
        let made = as_postgres("initdb")
            .args(["--username", "streamverse", "--auth", "scram-sha-256", "--pwfile"])
            .arg(&word)
            .arg("--pgdata")
            .arg(&data)
            .current_dir(folder)
            .output();
        let made = made.map(|it| (it.status.success(), String::from_utf8_lossy(&it.stderr).into_owned()));
        assert!(made.as_ref().is_ok_and(|it| it.0), "initdb: {made:?}");
        // Whoever comes without TLS is not even asked for a password.
        let rule = "hostssl all all 127.0.0.1/32 scram-sha-256\nhostssl all all ::1/128 scram-sha-256\n";
        assert!(std::fs::write(data.join("pg_hba.conf"), rule).is_ok(), "pg_hba.conf cannot be written");
        let (port, certificate) = (self.postgres, folder.join("server.pem"));
        let command = move || {
            let mut postgres = as_postgres("postgres");
            postgres.arg("-D").arg(&data).args(["-p", &port.to_string(), "-c", "listen_addresses=127.0.0.1"]);
            postgres.args(["-c", "ssl=on", "-c", &format!("ssl_key_file={}", key.display())]);
            postgres.args(["-c", &format!("ssl_cert_file={}", certificate.display()), "-k"]).arg(&data);
            postgres
        };
        Start { command: Box::new(command), port }
    }

    /// What S3 answers to this method at this place of the bucket.
    fn ask_s3(&self, method: &str, rest: &str) -> Result<String, String> {
        let url = format!("https://localhost:{}/media{rest}", self.s3);
        let said = Command::new("curl")
            .args(["-sS", "--max-time", "20", "-f", "-X", method, &url, "--cacert"])
            .arg(self.file("ca.pem"))
            .output()
            .map_err(|error| error.to_string())?;
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        if said.status.success() { Ok(text(&said.stdout)) } else { Err(text(&said.stderr)) }
    }

    fn make_bucket(&self) {
        let made = self.ask_s3("PUT", "");
        assert!(made.is_ok(), "no bucket: {made:?}");
    }

    fn make_database(&self) {
        let until = Instant::now() + PATIENCE;
        loop {
            let said = self.sql("postgres", "create database streamverse");
            if said.is_ok() || Instant::now() > until {
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
            .args(["-h", "localhost", "-p", &self.postgres.to_string(), "-U", "streamverse", "-d", database])
            .args(["-A", "-t", "-c", statement])
            .env("PGPASSWORD", PASSWORD)
            .env("PGSSLMODE", "verify-full")
            .env("PGSSLROOTCERT", self.file("ca.pem"))
            .output()
            .map_err(|error| error.to_string())?;
        if said.status.success() {
            return Ok(String::from_utf8_lossy(&said.stdout).into_owned());
        }
        Err(String::from_utf8_lossy(&said.stderr).into_owned())
    }

    /// The keys of the bucket, as S3 lists them.
    pub fn objects(&self) -> Vec<String> {
        let text = self.ask_s3("GET", "?list-type=2").unwrap_or_default();
        let keys = text.split("<Key>").skip(1).filter_map(|part| part.split("</Key>").next());
        keys.map(str::to_owned).collect()
    }
}

impl Drop for Servers {
    fn drop(&mut self) {
        for (_, child) in self.running.values_mut() {
            if let Some(child) = child {
                broom::kill(child);
            }
        }
    }
}

/// A program of PostgreSQL, which does not run as root.
fn as_postgres(program: &str) -> Command {
    let program = format!("{POSTGRES}/{program}");
    if !crate::is_root() {
        return Command::new(program);
    }
    let mut command = Command::new("setpriv");
    command.args(["--reuid", "postgres", "--regid", "postgres", "--clear-groups"]).arg(program);
    command
}
