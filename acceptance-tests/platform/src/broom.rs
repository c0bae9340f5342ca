//! Ends servers of a test with the test process, however that ends.
//!
//! A signal on the parent's death (`prctl`) would come when the *thread* ends that started them, which may be long before.

use std::io::Write as _;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::time::{Duration, Instant};

/// Waits until its input is closed, then ends the groups and removes the folder. A group is ours while its first process
/// works in the folder; its number may have gone to another.
const BROOM: &str = r#"
cat >/dev/null
while read -r pid; do
  case "$(readlink "/proc/$pid/cwd")" in "$1"|"$1"/*) kill -KILL -- "-$pid" ;; esac
done <"$1/pids"
for try in 1 2 3 4 5 6 7 8 9 10; do
  rm -rf "$1" 2>/dev/null && exit
  sleep 0.2
done
"#;

/// A folder, and what runs in it.
pub(crate) struct Broom {
    folder: PathBuf,
    /// While this is open, the broom waits.
    _input: ChildStdin,
}

impl Broom {
    /// A new folder that everybody may read.
    pub(crate) fn new(prefix: &str) -> Result<Broom, String> {
        let told = |error: std::io::Error| format!("no broom: {error}");
        let folder = tempfile::Builder::new().prefix(prefix).tempdir().map_err(told)?.keep();
        crate::open(&folder);
        std::fs::write(folder.join("pids"), "").map_err(told)?;
        let mut broom = Command::new("sh")
            .args(["-c", BROOM, "broom"])
            .arg(&folder)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .process_group(0) // so that what ends the test's group leaves it its work
            .spawn()
            .map_err(told)?;
        let input = broom.stdin.take().ok_or("sh has no input")?;
        Ok(Broom { folder, _input: input })
    }

    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    /// Starts a server in a group of its own; what it says goes to `NAME.log`.
    pub(crate) fn start(&self, name: &str, mut command: Command) -> Result<Child, String> {
        let told = |error: std::io::Error| format!("{name} does not start: {error}");
        let log = self.folder.join(format!("{name}.log"));
        let log = std::fs::File::options().create(true).append(true).open(log).map_err(told)?;
        command.stdin(Stdio::null()).stderr(log.try_clone().map_err(told)?).stdout(log);
        let child = command.current_dir(&self.folder).process_group(0).spawn().map_err(told)?;
        let pids = std::fs::File::options().append(true).open(self.folder.join("pids"));
        pids.and_then(|mut pids| writeln!(pids, "{}", child.id())).map_err(told)?;
        Ok(child)
    }

    /// What a server said last.
    pub(crate) fn log(&self, name: &str) -> String {
        let text = std::fs::read(self.folder.join(format!("{name}.log"))).unwrap_or_default();
        let begin = text.len().saturating_sub(3000);
        String::from_utf8_lossy(text.get(begin..).unwrap_or_default()).into_owned()
    }
}

/// Ends a server with all of its group at once, as a crash would.
pub(crate) fn kill(child: &mut Child) {
    // PostgreSQL's processes are groups of their own, and live for a moment longer than their parent.
    let own = std::fs::read_to_string(format!("/proc/{0}/task/{0}/children", child.id())).unwrap_or_default();
    let _ = Command::new("kill")
        .args(["-KILL", "--", &format!("-{}", child.id())])
        .args(own.split_whitespace())
        .stderr(Stdio::null())
        .status();
    let _ = child.kill();
    let _ = child.wait();
    let until = Instant::now() + Duration::from_secs(30);
    while own.split_whitespace().any(|pid| Path::new("/proc").join(pid).exists()) && Instant::now() < until {
        std::thread::sleep(Duration::from_millis(10));
    }
}
