//! Planted secrets are looked for wherever somebody could read them who must not: arguments and environments of processes,
//! what the agent keeps, what it and its services answer and log.

use std::os::unix::fs::{FileTypeExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::Node;

/// Looks everywhere on the node of a test; the deployment is `test`.
///
/// A credential that a service reads is a file of its own below the run directory, readable by the service alone: the
/// one place where a secret may be.
///
/// # Errors
/// Where the first one was found.
pub fn planted_nowhere<S: AsRef<[u8]>>(node: &Node, secrets: &[S]) -> Result<(), String> {
    planted_only_with(node, secrets, &[])
}

/// … but for the environments of these processes, which were given a planted secret by a variable, and must have it.
///
/// # Errors
/// Where the first one was found, or which of the processes has none.
pub fn planted_only_with<S: AsRef<[u8]>>(node: &Node, secrets: &[S], given: &[u32]) -> Result<(), String> {
    let mut without: Vec<String> = given.iter().map(u32::to_string).collect();
    let given = without.clone();
    let needles = Needles::new(secrets.iter().map(AsRef::as_ref));
    let found = |text: &[u8]| needles.are_in(text);
    for entry in std::fs::read_dir("/proc").into_iter().flatten().flatten() {
        let read = |name: &str| std::fs::read(entry.path().join(name)).unwrap_or_default();
        let arguments = read("cmdline");
        let shown = String::from_utf8_lossy(&arguments).replace('\0', " ");
        if found(&arguments) {
            return Err(format!("arguments of a process: {shown}"));
        }
        let ours = contains(&arguments, node.folder().as_os_str().as_encoded_bytes());
        if ours && !shown.contains("terraform") && found(&read("environ")) {
            let pid = entry.file_name().to_string_lossy().into_owned();
            if !given.contains(&pid) {
                return Err(format!("the environment of {shown}"));
            }
            without.retain(|it| *it != pid);
        }
    }
    if !without.is_empty() {
        return Err(format!("the environments of {without:?} do not have what they were given"));
    }
    let (mut sockets, mut credentials) = (Vec::new(), 0);
    for path in below(node.folder()) {
        let Ok(about) = std::fs::symlink_metadata(&path) else { continue };
        // Programs were laid before there was a secret, and are large.
        let program = path.parent() == Some(node.folder()) && about.permissions().mode() & 0o111 != 0;
        if about.file_type().is_socket() {
            sockets.push(path);
        } else if about.is_file() && !program && found(&std::fs::read(&path).unwrap_or_default()) {
            let inside = path.strip_prefix(node.folder().join("run")).unwrap_or(Path::new(""));
            let meant = inside.components().any(|part| part.as_os_str() == "credentials");
            if !meant || about.permissions().mode() & 0o077 != 0 {
                return Err(format!("{} (mode {:o})", path.display(), about.permissions().mode()));
            }
            credentials += 1;
        }
    }
    // A search that looked into nothing proves nothing.
    if credentials == 0 {
        return Err("no service has a credential with a planted secret: nothing was searched".to_owned());
    }
    let mut asked = 0;
    for path in ["/v1/node", "/v1/deployments/test/owners", "/metrics", "/openapi.json"] {
        answer(&node.socket(), path, &found, &mut asked)?;
    }
    for owner in node.owners()? {
        let at = format!("/v1/deployments/test/owners/{}/{}", owner.kind, owner.name);
        for rest in ["", "/logs?lines=1000"] {
            answer(&node.socket(), &format!("{at}{rest}"), &found, &mut asked)?;
        }
    }
    for socket in sockets.iter().filter(|it| it.file_name().is_some_and(|name| name == "admin.sock")) {
        for path in ["/metrics", "/readyz", "/news"] {
            answer(socket, path, &found, &mut asked)?;
        }
    }
    for words in [&["status", "--deployment", "test"][..], &["status"][..]] {
        let said = Command::new(node.folder().join("streamverse"))
            .arg("node")
            .args(words)
            .arg("--socket")
            .arg(node.socket())
            .output()
            .map_err(|error| error.to_string())?;
        if found(&said.stdout) || found(&said.stderr) {
            return Err(format!("node {words:?}"));
        }
    }
    if asked < 4 { Err(format!("only {asked} answers were searched")) } else { Ok(()) }
}

/// A key in every form in which it could be written down: raw, hexadecimal, base64 with and without padding, for URLs, and
/// all of that of a GUID's order of bytes (the first three of its groups little-endian), in which PlayReady has keys.
pub fn forms(key: &[u8]) -> Vec<Vec<u8>> {
    use base64::Engine as _;
    use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};
    let mut orders = vec![key.to_vec()];
    if let Ok([a, b, c, d, e, f, g, h, rest @ ..]) = <[u8; 16]>::try_from(key) {
        orders.push([[d, c, b, a, f, e, h, g].as_slice(), &rest].concat());
    }
    let mut all = Vec::new();
    for order in orders {
        let hex: String = order.iter().map(|byte| format!("{byte:02x}")).collect();
        let mut texts = vec![hex.to_uppercase(), hex.clone()];
        for engine in [STANDARD_NO_PAD, URL_SAFE_NO_PAD] {
            texts.push(engine.encode(&order));
        }
        if order.len() == 16 {
            let group = |from: usize, to: usize| hex.get(from..to).unwrap_or_default();
            let groups = [group(0, 8), group(8, 12), group(12, 16), group(16, 20), group(20, 32)];
            texts.push(groups.join("-"));
        }
        all.push(order);
        all.extend(texts.into_iter().map(String::into_bytes));
    }
    all
}

fn answer(
    socket: &Path,
    path: &str,
    found: &impl Fn(&[u8]) -> bool,
    asked: &mut usize,
) -> Result<(), String> {
    let said = Command::new("curl")
        .args(["-s", "-i", "--max-time", "10", "--unix-socket"])
        .arg(socket)
        .arg(format!("http://node{path}"))
        .output()
        .map_err(|error| error.to_string())?;
    *asked += usize::from(!said.stdout.is_empty());
    if found(&said.stdout) { Err(format!("the answer of {} to {path}", socket.display())) } else { Ok(()) }
}

/// All files and sockets below a folder; links are not followed.
fn below(folder: &Path) -> Vec<PathBuf> {
    let (mut todo, mut all) = (vec![folder.to_owned()], Vec::new());
    while let Some(next) = todo.pop() {
        for entry in std::fs::read_dir(&next).into_iter().flatten().flatten() {
            match entry.file_type() {
                Ok(kind) if kind.is_dir() => todo.push(entry.path()),
                Ok(_) => all.push(entry.path()),
                Err(_) => {}
            }
        }
    }
    all
}

/// Many texts to look for at once: a table of their first two bytes tells where it is worth to look closer.
struct Needles<'a> {
    all: Vec<&'a [u8]>,
    begins: Vec<bool>,
}

impl<'a> Needles<'a> {
    fn new(all: impl Iterator<Item = &'a [u8]>) -> Needles<'a> {
        let all: Vec<&[u8]> = all.filter(|needle| needle.len() > 1).collect();
        let mut begins = vec![false; 1 << 16];
        for needle in &all {
            if let [a, b, ..] = needle
                && let Some(it) = begins.get_mut(usize::from(u16::from_be_bytes([*a, *b])))
            {
                *it = true;
            }
        }
        Needles { all, begins }
    }

    fn are_in(&self, text: &[u8]) -> bool {
        let mut two = 0;
        for (at, byte) in text.iter().enumerate() {
            two = (two << 8 | usize::from(*byte)) & 0xffff;
            if at > 0 && self.begins.get(two) == Some(&true) {
                let rest = text.get(at - 1..).unwrap_or_default();
                if self.all.iter().any(|needle| rest.starts_with(needle)) {
                    return true;
                }
            }
        }
        false
    }
}

fn contains(text: &[u8], part: &[u8]) -> bool {
    !part.is_empty() && text.windows(part.len()).any(|window| window == part)
}
