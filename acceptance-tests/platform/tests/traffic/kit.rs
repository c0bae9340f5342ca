//! An edge in HCL, transfers, certificates.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use streamverse_acceptance::Node;

pub(crate) type Checked = Result<(), Box<dyn std::error::Error + Send + Sync>>;

pub(crate) const AT: &str = "streamverse_ats_edge.main";

/// An edge before these origins.
pub(crate) fn edge(node: &Node, port: u16, origins: &[String], rest: &str) -> String {
    let origins: Vec<String> = origins.iter().map(|url| format!("{{ url = \"{url}\" }}")).collect();
    let sizes = if rest.contains("memory") { "" } else { "memory = \"32MiB\"" };
    let storage = if rest.contains("storage") { "" } else { "storage = \"256MiB\"" };
    format!(
        "{}resource \"streamverse_ats_edge\" \"main\" {{\n  name = \"main\"\n  port = {port}\n  origins = [{}]\n  {storage}\n  {sizes}\n  {rest}\n}}\n",
        node.block(),
        origins.join(", ")
    )
}

/// What curl says: status, header fields and body.
pub(crate) fn ask(args: &[&str], url: &str) -> (u16, String, String) {
    let said =
        Command::new("curl").args(["-s", "-i", "--max-time", "20"]).args(args).arg(url).output().unwrap();
    let text = String::from_utf8_lossy(&said.stdout).replace('\r', "");
    let (head, body) = text.split_once("\n\n").unwrap_or((&text, ""));
    let status = head.split(' ').nth(1).and_then(|code| code.parse().ok()).unwrap_or(0);
    (status, head.to_ascii_lowercase(), body.to_owned())
}

/// Serves within a minute.
pub(crate) fn serves(url: &str) -> Checked {
    let mut last = (0, String::new(), String::new());
    for _ in 0..200 {
        last = ask(&[], url);
        if last.0 == 200 {
            return Ok(());
        }
        std::thread::sleep(std::time::Duration::from_millis(300));
    }
    Err(format!("{url} answers {last:?}").into())
}

/// A download that takes its time.
pub(crate) struct Transfer {
    child: Option<Child>,
    file: PathBuf,
}

impl Transfer {
    pub(crate) fn start(folder: &Path, url: &str, rate: &str) -> Transfer {
        static NUMBER: std::sync::atomic::AtomicU32 = std::sync::atomic::AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
        let file = folder.join(format!("transfer-{number}"));
        let child = Command::new("curl")
            .args([
                "-sS",
                "-k",
                "--max-time",
                "120",
                "--limit-rate",
                rate,
                "-w",
                "%{http_code} %{num_connects}",
            ])
            .arg("-o")
            .arg(&file)
            .arg(url)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn();
        Transfer { child: child.ok(), file }
    }

    pub(crate) fn is_in_flight(&mut self) -> bool {
        self.child.as_mut().is_some_and(|child| matches!(child.try_wait(), Ok(None)))
    }

    /// Every byte arrived, on one connection.
    pub(crate) fn arrives(mut self) -> Checked {
        let done = self.child.take().ok_or("curl did not start")?.wait_with_output()?;
        let said = String::from_utf8_lossy(&done.stdout).into_owned();
        let errors = String::from_utf8_lossy(&done.stderr).into_owned();
        let whole = std::fs::read(&self.file)? == crate::upstream::big();
        if said == "200 1" && whole {
            Ok(())
        } else {
            Err(format!("{said:?} {errors} whole: {whole}").into())
        }
    }
}

impl Drop for Transfer {
    fn drop(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

fn openssl(args: &[&str], folder: &Path) {
    let done = Command::new("openssl").args(args).current_dir(folder).output().unwrap();
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
}

/// A key, PEM.
pub(crate) fn key(folder: &Path, name: &str) -> String {
    openssl(&["genrsa", "-out", &format!("{name}.key"), "2048"], folder);
    std::fs::read_to_string(folder.join(format!("{name}.key"))).unwrap()
}

/// A certificate for a key that is there, PEM.
pub(crate) fn certificate(folder: &Path, name: &str) -> String {
    let (key, pem) = (format!("{name}.key"), format!("{name}.pem"));
    let subject = format!("/CN={name}");
    openssl(&["req", "-x509", "-new", "-key", &key, "-days", "2", "-subj", &subject, "-out", &pem], folder);
    std::fs::read_to_string(folder.join(pem)).unwrap()
}
