//! The processes of a cluster, their certificates and flags, and the broom that outlives the test.

use std::fs::{self, File, OpenOptions};
use std::io::Write as _;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};

use base64::Engine as _;
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose,
};
use serde_json::json;

use super::client::Client;
use crate::free_port;

/// Waits until the test process has ended, by whatever means, then ends what it started and removes the folder.
/// A process is ours while its command line names the folder; its number may have gone to another.
const BROOM: &str = r#"
cat >/dev/null
while read -r pid; do
  tr '\0' ' ' 2>/dev/null <"/proc/$pid/cmdline" | grep -qF "$1" && kill -KILL "$pid"
done <"$1/pids"
for try in 1 2 3 4 5 6 7 8 9 10; do
  rm -rf "$1" 2>/dev/null && exit
  sleep 0.2
done
"#;
/// So much of a log is shown.
const END_OF_LOG: usize = 3000;

/// Everything that runs, in the order in which it was started.
pub(super) struct Parts {
    folder: PathBuf,
    running: Vec<(&'static str, Child)>,
    /// While this is open, the broom waits.
    _broom: ChildStdin,
}

impl Parts {
    /// Nothing but the broom.
    pub(super) fn new(folder: &Path) -> Result<Self, String> {
        fs::write(folder.join("pids"), "").map_err(|error| error.to_string())?;
        let mut broom = Command::new("sh")
            .args(["-c", BROOM, "broom"])
            .arg(folder)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .process_group(0) // so that what ends the test's group leaves it its work
            .spawn()
            .map_err(|error| format!("sh: {error}"))?;
        let input = broom.stdin.take().ok_or("sh has no input")?;
        Ok(Self { folder: folder.to_owned(), running: Vec::new(), _broom: input })
    }

    /// The store and the API server; the client knows how to reach it.
    pub(super) fn start_server(&mut self, control: &Path) -> Result<Client, String> {
        let store = format!("http://127.0.0.1:{}", free_port());
        let peer = format!("http://127.0.0.1:{}", free_port());
        self.start("etcd", control, &["etcd".to_owned(), self.path("etcd"), store.clone(), peer])?;
        certificates(&self.folder).map_err(|error| format!("certificates: {error}"))?;
        let token = fs::read_to_string("/proc/sys/kernel/random/uuid")
            .map_err(|error| format!("no random number: {error}"))?
            .trim()
            .to_owned();
        let known = format!("{token},admin,admin,\"system:masters\"\n");
        fs::write(self.folder.join("tokens"), known).map_err(|error| error.to_string())?;
        let port = free_port();
        let flags = [
            format!("--etcd-servers={store}"),
            "--bind-address=127.0.0.1".to_owned(),
            format!("--secure-port={port}"),
            // Endpoints may not name a loopback address, and nobody follows them here.
            "--advertise-address=192.0.2.1".to_owned(),
            "--endpoint-reconciler-type=none".to_owned(),
            format!("--tls-cert-file={}", self.path("server.pem")),
            format!("--tls-private-key-file={}", self.path("server.key")),
            format!("--client-ca-file={}", self.path("ca.pem")),
            format!("--token-auth-file={}", self.path("tokens")),
            "--authorization-mode=RBAC".to_owned(),
            "--service-account-issuer=https://kubernetes.default.svc".to_owned(),
            format!("--service-account-key-file={}", self.path("accounts.pub")),
            format!("--service-account-signing-key-file={}", self.path("accounts.key")),
            "--service-cluster-ip-range=10.96.0.0/16".to_owned(),
            "--allow-privileged=true".to_owned(),
        ];
        self.start("kube-apiserver", control, &words("kube-apiserver", &flags))?;
        let server = format!("https://127.0.0.1:{port}");
        let authority = fs::read_to_string(self.folder.join("ca.pem")).map_err(|error| error.to_string())?;
        let client = Client::new(server, token, authority)?;
        write_kubeconfig(&kubeconfig(&self.folder), &client, client.token())
            .map_err(|error| format!("kubeconfig: {error}"))?;
        Ok(client)
    }

    /// Controllers, scheduler and nodes, once the API server answers.
    pub(super) fn start_others(&mut self, control: &Path, kwok: &Path) -> Result<(), String> {
        let kubeconfig = format!("--kubeconfig={}", kubeconfig(&self.folder).display());
        let common = [kubeconfig.clone(), "--leader-elect=false".to_owned(), "--secure-port=0".to_owned()];
        let mut flags = common.to_vec();
        flags.extend([
            "--use-service-account-credentials=false".to_owned(),
            format!("--service-account-private-key-file={}", self.path("accounts.key")),
            format!("--root-ca-file={}", self.path("ca.pem")),
            "--kube-api-qps=200".to_owned(),
            "--kube-api-burst=400".to_owned(),
        ]);
        self.start("kube-controller-manager", control, &words("kube-controller-manager", &flags))?;
        self.start("kube-scheduler", control, &words("kube-scheduler", &common))?;
        let stages = self.folder.join("stages.yaml");
        fs::write(&stages, include_str!("../../stages/fast.yaml")).map_err(|error| error.to_string())?;
        let flags = [
            kubeconfig,
            format!("--config={}", stages.display()),
            "--manage-all-nodes=true".to_owned(),
            "--node-lease-duration-seconds=40".to_owned(),
            "--node-ip=10.0.0.1".to_owned(),
            "--node-port=0".to_owned(),
            "--cidr=10.128.0.1/16".to_owned(),
        ];
        self.start("kwok", kwok, &flags)
    }

    /// Why not, with the log, if one has ended.
    pub(super) fn all_run(&mut self) -> Result<(), String> {
        for (name, child) in &mut self.running {
            if let Ok(Some(status)) = child.try_wait() {
                return Err(format!("{name} ended, {status}:\n{}", end_of(&self.folder, name)));
            }
        }
        Ok(())
    }

    pub(super) fn logs(&self) -> String {
        let ends = self.running.iter().map(|(name, _)| format!("{name}:\n{}\n", end_of(&self.folder, name)));
        ends.collect()
    }

    pub(super) fn memory(&self) -> Vec<(&'static str, u64)> {
        self.running.iter().map(|(name, child)| (*name, resident(child.id()))).collect()
    }

    fn start(&mut self, name: &'static str, program: &Path, words: &[String]) -> Result<(), String> {
        let log = File::create(self.folder.join(format!("{name}.log"))).map_err(|error| error.to_string())?;
        let errors = log.try_clone().map_err(|error| error.to_string())?;
        let child = Command::new(program)
            .args(words)
            .current_dir(&self.folder)
            .env_remove("KUBECONFIG")
            .stdin(Stdio::null())
            .stdout(log)
            .stderr(errors)
            .spawn()
            .map_err(|error| format!("{} does not start: {error}", program.display()))?;
        OpenOptions::new()
            .append(true)
            .open(self.folder.join("pids"))
            .and_then(|mut pids| writeln!(pids, "{}", child.id()))
            .map_err(|error| error.to_string())?;
        self.running.push((name, child));
        Ok(())
    }

    fn path(&self, name: &str) -> String {
        self.folder.join(name).display().to_string()
    }
}

impl Drop for Parts {
    /// Of an attempt that failed; a running cluster is never dropped, the broom ends it.
    fn drop(&mut self) {
        for (_, child) in self.running.iter_mut().rev() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

pub(super) fn kubeconfig(folder: &Path) -> PathBuf {
    folder.join("kubeconfig")
}

fn words(part: &str, flags: &[String]) -> Vec<String> {
    std::iter::once(part.to_owned()).chain(flags.iter().cloned()).collect()
}

/// A kubeconfig of whoever has this token.
pub(super) fn write_kubeconfig(file: &Path, client: &Client, token: &str) -> std::io::Result<()> {
    let authority = base64::engine::general_purpose::STANDARD.encode(client.ca_pem());
    let text = json!({
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{
            "name": "test",
            "cluster": { "server": client.server(), "certificate-authority-data": authority },
        }],
        "users": [{ "name": "admin", "user": { "token": token } }],
        "contexts": [{ "name": "test", "context": { "cluster": "test", "user": "admin" } }],
        "current-context": "test",
    });
    fs::write(file, text.to_string())
}

/// An authority, what the API server shows, and the key pair that signs tokens of service accounts.
fn certificates(folder: &Path) -> Result<(), Box<dyn std::error::Error>> {
    let key = KeyPair::generate()?;
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, "kube-cluster");
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    fs::write(folder.join("ca.pem"), params.self_signed(&key)?.pem())?;
    let authority = Issuer::new(params, key);

    let key = KeyPair::generate()?;
    let names = ["127.0.0.1", "localhost", "kubernetes.default.svc"].map(str::to_owned);
    let mut params = CertificateParams::new(names)?;
    params.distinguished_name.push(DnType::CommonName, "kube-apiserver");
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    fs::write(folder.join("server.pem"), params.signed_by(&key, &authority)?.pem())?;
    fs::write(folder.join("server.key"), key.serialize_pem())?;

    let key = KeyPair::generate()?;
    fs::write(folder.join("accounts.key"), key.serialize_pem())?;
    fs::write(folder.join("accounts.pub"), key.public_key_pem())?;
    Ok(())
}

fn end_of(folder: &Path, name: &str) -> String {
    let log = fs::read(folder.join(format!("{name}.log"))).unwrap_or_default();
    let from = log.len().saturating_sub(END_OF_LOG);
    String::from_utf8_lossy(log.get(from..).unwrap_or_default()).into_owned()
}

/// Resident memory in MiB.
fn resident(pid: u32) -> u64 {
    let about = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let line = about.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap_or_default();
    let kib: u64 = line.trim().trim_end_matches("kB").trim().parse().unwrap_or(0);
    kib / 1024
}
