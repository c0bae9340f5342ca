//! Real servers, each of its own: started, killed without warning and started again with the same port and data.

use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;

use crate::authority::Authority;
use crate::kit::Place;
use crate::ports::free_port;

/// What must be found in no error and no log.
pub(crate) const PASSWORD: &str = "planted-password-93f1";
const PATIENCE: Duration = Duration::from_secs(60);
const POSTGRES: &str = "/usr/lib/postgresql/15/bin";
/// Debian's `nobody`: PostgreSQL does not run as root.
const NOBODY: u32 = 65534;

pub(crate) struct Server {
    pub(crate) port: u16,
    name: &'static str,
    start: Box<dyn Fn() -> Command + Send + Sync>,
    child: Option<Child>,
    folder: TempDir,
}

impl Server {
    fn new(
        name: &'static str,
        start: impl FnOnce(u16, &Path) -> Box<dyn Fn() -> Command + Send + Sync>,
    ) -> Server {
        let folder = tempfile::Builder::new().prefix("svc").tempdir().unwrap();
        let port = free_port();
        let start = start(port, folder.path());
        let mut server = Server { port, name, start, child: None, folder };
        server.start();
        server
    }

    /// Returns when it listens.
    pub(crate) fn start(&mut self) {
        let path = self.log();
        let log = std::fs::File::options().create(true).append(true).open(&path).unwrap();
        let mut command = (self.start)();
        command.stdin(Stdio::null()).stdout(log.try_clone().unwrap()).stderr(log);
        self.child = Some(command.spawn().unwrap());
        let until = Instant::now() + PATIENCE;
        while std::net::TcpStream::connect(("127.0.0.1", self.port)).is_err() {
            let log = || std::fs::read_to_string(&path).unwrap_or_default();
            let ended = self.child.as_mut().unwrap().try_wait().unwrap();
            assert!(ended.is_none() && Instant::now() < until, "{} does not listen: {}", self.name, log());
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    fn log(&self) -> PathBuf {
        self.folder.path().join(format!("{}.log", self.name))
    }

    /// As a machine that loses its power, but for its disk.
    pub(crate) fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            // PostgreSQL's processes are groups of their own, and live for a moment longer than their parent.
            let own = format!("/proc/{0}/task/{0}/children", child.id());
            let own = std::fs::read_to_string(own).unwrap_or_default();
            let _ = Command::new("kill")
                .args(["-KILL", "--", &format!("-{}", child.id())])
                .args(own.split_whitespace())
                .stderr(Stdio::null())
                .status();
            let _ = child.kill();
            let _ = child.wait();
            let until = Instant::now() + PATIENCE;
            let lives = |pid: &str| Path::new("/proc").join(pid).exists();
            while own.split_whitespace().any(lives) && Instant::now() < until {
                std::thread::sleep(Duration::from_millis(10));
            }
        }
    }

    /// Kills it, and starts it again while the test goes on.
    pub(crate) async fn restart_in(mut self, away: Duration) -> Server {
        tokio::time::sleep(away).await;
        // In this thread, which stays: a child that asked to be killed with its parent means the thread.
        self.start();
        self
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.kill();
    }
}

/// Tells aloud what is missing; in CI that is a failure.
fn missing(what: &str) {
    assert!(std::env::var_os("CI").is_none(), "{what} is missing: `cargo xtask test` installs it");
    eprintln!("SKIPPED: {what} is missing: `cargo xtask test` installs it");
}

/// A program in a process group of its own that is killed when this one ends.
fn dying(program: impl AsRef<std::ffi::OsStr>) -> Command {
    let mut command = Command::new("setpriv");
    command.args(["--pdeathsig", "KILL"]).arg(program).process_group(0);
    command
}

/// With an authority: by TLS alone, and to those alone who have a certificate of that authority too.
pub(crate) fn redis(tls: Option<&Authority>) -> Option<Server> {
    if !Path::new("/usr/bin/redis-server").exists() {
        missing("redis-server");
        return None;
    }
    Some(Server::new("redis", |port, folder| {
        let folder = folder.to_owned();
        let is_tls = tls.map(|authority| authority.lay(&folder)).is_some();
        Box::new(move || {
            let mut command = dying("redis-server");
            let port = port.to_string();
            command.args(["--bind", "127.0.0.1", "--requirepass", PASSWORD]);
            if is_tls {
                command.args(["--port", "0", "--tls-port", &port]);
                for (key, file) in
                    [("cert-file", "server.pem"), ("key-file", "server.key"), ("ca-cert-file", "ca.pem")]
                {
                    command.arg(format!("--tls-{key}")).arg(folder.join(file));
                }
            } else {
                command.args(["--port", &port]);
            }
            // Nothing is kept: what may be forgotten is forgotten.
            command.args(["--save", "", "--dir"]).arg(&folder);
            command
        })
    }))
}

/// With an authority: by TLS alone.
pub(crate) fn postgres(tls: Option<&Authority>) -> Option<Server> {
    if !Path::new(POSTGRES).exists() {
        missing("PostgreSQL 15");
        return None;
    }
    Some(Server::new("postgres", |port, folder| {
        let (data, word) = (folder.join("data"), folder.join("password"));
        std::fs::create_dir(&data).unwrap();
        std::fs::write(&word, PASSWORD).unwrap();
        let (key, certificate) = (folder.join("server.key"), folder.join("server.pem"));
        let is_tls = tls.map(|authority| authority.lay(folder)).is_some();
        let root =
            std::fs::metadata("/proc/self").is_ok_and(|it| std::os::unix::fs::MetadataExt::uid(&it) == 0);
        if root {
            for path in [folder, &data, &word] {
                std::os::unix::fs::chown(path, Some(NOBODY), Some(NOBODY)).unwrap();
            }
            if is_tls {
                std::os::unix::fs::chown(&key, Some(NOBODY), Some(NOBODY)).unwrap();
            }
        }
        if is_tls {
            let own = std::os::unix::fs::PermissionsExt::from_mode(0o600);
            std::fs::set_permissions(&key, own).unwrap();
        }
        let unprivileged = move |program: &str| {
            let mut command = Command::new("setpriv");
            command.args(["--pdeathsig", "KILL"]).process_group(0).current_dir("/");
            if root {
                command.args(["--reuid", "65534", "--regid", "65534", "--clear-groups"]);
            }
            command.arg(format!("{POSTGRES}/{program}"));
            command
        };
        let made = unprivileged("initdb")
            .args(["--username", "streamverse", "--auth", "scram-sha-256", "--no-sync", "--pwfile"])
            .arg(&word)
            .arg("--pgdata")
            .arg(&data)
            .output()
            .unwrap();
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        if is_tls {
            // Whoever comes without TLS is not even asked for a password.
            let rule = "hostssl all all 127.0.0.1/32 scram-sha-256\nhostssl all all ::1/128 scram-sha-256\n";
            std::fs::write(data.join("pg_hba.conf"), rule).unwrap();
        }
        Box::new(move || {
            let mut command = unprivileged("postgres");
            if is_tls {
                command.args(["-c", "ssl=on", "-c", &format!("ssl_key_file={}", key.display())]);
                command.args(["-c", &format!("ssl_cert_file={}", certificate.display())]);
            }
            command.arg("-D").arg(&data).args([
                "-p",
                &port.to_string(),
                "-c",
                "listen_addresses=127.0.0.1",
                "-k",
            ]);
            command.arg(&data);
            command
        })
    }))
}

/// Does this in the database `postgres`.
pub(crate) fn sql(server: &Server, statements: &str) {
    let mut psql = Command::new(format!("{POSTGRES}/psql"));
    psql.args(["-h", "127.0.0.1", "-p", &server.port.to_string(), "-U", "streamverse", "-d", "postgres"]);
    psql.args(["-q", "-c", statements]).env("PGPASSWORD", PASSWORD);
    let until = Instant::now() + PATIENCE;
    loop {
        // It listens before it takes anybody in.
        let said = psql.output().unwrap();
        if said.status.success() {
            return;
        }
        assert!(Instant::now() < until, "{}", String::from_utf8_lossy(&said.stderr));
        std::thread::sleep(Duration::from_millis(100));
    }
}

/// moto, by TLS with an authority; with a bucket `media`. It keeps nothing over a restart. `checks` makes it refuse keys that it does not know.
pub(crate) fn s3(checks: bool, tls: Option<&Authority>) -> Option<Server> {
    let Some(site) = std::env::var_os("STREAMVERSE_PYTHON_SITE").map(PathBuf::from) else {
        missing("STREAMVERSE_PYTHON_SITE (moto)");
        return None;
    };
    let server = Server::new("s3", |port, folder| {
        let folder = folder.to_owned();
        let is_tls = tls.map(|authority| authority.lay(&folder)).is_some();
        Box::new(move || {
            let mut command = dying("python3");
            command.args(["-m", "moto.server", "-p", &port.to_string()]).env("PYTHONPATH", &site);
            if is_tls {
                command.arg("-c").arg(folder.join("server.pem")).arg("-k").arg(folder.join("server.key"));
            }
            if checks {
                command.env("INITIAL_NO_AUTH_ACTION_COUNT", "1");
            }
            command
        })
    });
    Some(server)
}

/// With an authority: by TLS alone, to those alone who have a certificate of that authority too, and who prove by SCRAM
/// that they know the password. Without one by SASL PLAIN.
pub(crate) fn kafka(tls: Option<&Authority>) -> Option<Server> {
    let jars = std::env::var_os("STREAMVERSE_KAFKA").map(PathBuf::from);
    let (Some(jars), true) = (jars, Path::new("/usr/bin/java").exists()) else {
        missing("STREAMVERSE_KAFKA or java");
        return None;
    };
    Some(Server::new("kafka", |port, folder| {
        let file = folder.join("kafka.properties");
        let controller = free_port();
        let text = format!(
            "process.roles=broker,controller\nnode.id=1\ncontroller.quorum.voters=1@127.0.0.1:{controller}\n\
             controller.listener.names=CONTROLLER\n\
             {}\n\
             offsets.topic.replication.factor=1\noffsets.topic.num.partitions=4\n\
             transaction.state.log.replication.factor=1\ntransaction.state.log.min.isr=1\n\
             group.initial.rebalance.delay.ms=0\nlog.dirs={}\n",
            kafka_listeners(port, controller, folder, tls),
            folder.join("data").display()
        );
        std::fs::write(&file, text).unwrap();
        let java = move |what: &[&str]| {
            let mut command = dying("java");
            command.args(["-Xmx512m", "-XX:TieredStopAtLevel=1", "-cp"]);
            command.arg(format!("{}/*", jars.display())).args(what).arg(&file);
            command
        };
        let known: Vec<String> = ["SCRAM-SHA-256", "SCRAM-SHA-512"]
            .map(|how| format!("--add-scram={how}=[name=streamverse,password={PASSWORD}]"))
            .into();
        let mut format = vec!["kafka.tools.StorageTool", "format", "-t", "MkU3OEVBNTcwNTJENDM2Qk"];
        format.extend(known.iter().map(String::as_str));
        format.push("-c");
        let made = java(&format).output().unwrap();
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        Box::new(move || java(&["kafka.Kafka"]))
    }))
}

fn kafka_listeners(port: u16, controller: u16, folder: &Path, tls: Option<&Authority>) -> String {
    let Some(authority) = tls else {
        return format!(
            "listeners=CLIENT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller}\n\
             advertised.listeners=CLIENT://127.0.0.1:{port}\n\
             listener.security.protocol.map=CLIENT:SASL_PLAINTEXT,CONTROLLER:PLAINTEXT\n\
             inter.broker.listener.name=CLIENT\nsasl.enabled.mechanisms=PLAIN\n\
             sasl.mechanism.inter.broker.protocol=PLAIN\n\
             listener.name.client.plain.sasl.jaas.config=\
             org.apache.kafka.common.security.plain.PlainLoginModule required username=\"broker\" \
             password=\"broker\" user_broker=\"broker\" user_streamverse=\"{PASSWORD}\";"
        );
    };
    authority.lay(folder);
    let inner = free_port();
    let place = folder.display();
    let scram = |how: &str| {
        format!(
            "listener.name.client.{how}.sasl.jaas.config=\
             org.apache.kafka.common.security.scram.ScramLoginModule required;"
        )
    };
    format!(
        "listeners=CLIENT://127.0.0.1:{port},INNER://127.0.0.1:{inner},CONTROLLER://127.0.0.1:{controller}\n\
         advertised.listeners=CLIENT://localhost:{port},INNER://127.0.0.1:{inner}\n\
         listener.security.protocol.map=CLIENT:SASL_SSL,INNER:PLAINTEXT,CONTROLLER:PLAINTEXT\n\
         inter.broker.listener.name=INNER\nsasl.enabled.mechanisms=SCRAM-SHA-256,SCRAM-SHA-512\n\
         {}\n{}\nlistener.name.client.ssl.client.auth=required\n\
         ssl.keystore.type=PEM\nssl.keystore.location={place}/server-both.pem\n\
         ssl.truststore.type=PEM\nssl.truststore.location={place}/ca.pem",
        scram("scram-sha-256"),
        scram("scram-sha-512"),
    )
}

/// A credential as a site lays it.
pub(crate) fn credential(place: &Place, name: &str, values: &[(&str, &str)]) {
    let folder = place.cx.credentials_dir.join(name);
    std::fs::create_dir_all(&folder).unwrap();
    for (key, value) in values {
        std::fs::write(folder.join(key), value).unwrap();
    }
}
