//! A terraform that something is killed under, at moments that a printed seed decides.

use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// How long a terraform may take to end once something of it is gone.
const PATIENCE: Duration = Duration::from_secs(120);

/// Numbers from a seed (a linear congruential generator, Knuth's MMIX constants): no more is needed to spread moments.
pub struct Dice(u64);

impl Dice {
    /// A die whose seed is printed, and chosen by `STREAMVERSE_SEED`.
    #[allow(clippy::print_stderr, reason = "who repeats a failure needs the seed")]
    pub fn new(what: &str) -> Dice {
        let given = std::env::var("STREAMVERSE_SEED").ok().and_then(|text| text.parse().ok());
        let seed = given.unwrap_or_else(|| u64::from(std::process::id()));
        eprintln!("{what}: STREAMVERSE_SEED={seed}");
        Dice(seed)
    }

    /// A number from 0 to one less than `end`.
    pub fn below(&mut self, end: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % end.max(1)
    }
}

/// Runs a terraform that is met by a fault after `delay`, with its process id; how it ends is its own affair.
///
/// # Panics
/// When it cannot be started, or does not end after the fault.
pub fn hit(command: &mut Command, delay: Duration, fault: impl FnOnce(u32)) {
    let child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn();
    assert!(child.is_ok(), "terraform does not start: {:?}", child.err());
    let Ok(mut child) = child else { return };
    let mut ended = || matches!(child.try_wait(), Ok(Some(_)));
    let until = Instant::now() + delay;
    while Instant::now() < until && !ended() {
        std::thread::sleep(Duration::from_millis(10));
    }
    fault(child.id());
    let mut ended = || matches!(child.try_wait(), Ok(Some(_)));
    let until = Instant::now() + PATIENCE;
    while !ended() {
        assert!(Instant::now() < until, "terraform does not end after the fault");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// Kills (SIGKILL) the providers that a terraform started.
pub fn kill_providers_of(terraform: u32) {
    for entry in std::fs::read_dir("/proc").into_iter().flatten().flatten() {
        let Ok(pid) = entry.file_name().to_string_lossy().parse::<u32>() else { continue };
        let stat = std::fs::read_to_string(entry.path().join("stat")).unwrap_or_default();
        // `pid (name) state ppid …`: the name may have spaces, so from behind it.
        let Some((head, tail)) = stat.rsplit_once(')') else { continue };
        let parent = tail.split_whitespace().nth(1).and_then(|it| it.parse::<u32>().ok());
        if parent == Some(terraform) && head.contains("terraform-provi") {
            let _ = Command::new("kill").args(["-9", &pid.to_string()]).status();
        }
    }
}

/// Makes a process crash by this signal (`ABRT`, `SEGV`) as one whose limits let it dump its core, where we may lift them.
///
/// # Panics
/// When others of its user may read its memory, or it lives on.
pub fn dump(pid: u32, signal: &str) {
    use std::os::unix::fs::MetadataExt as _;
    // What nobody may dump belongs to root below /proc (proc(5)), whoever runs it.
    let owner = std::fs::metadata(format!("/proc/{pid}/environ")).map(|about| about.uid());
    assert!(owner.as_ref().is_ok_and(|it| *it == 0), "the memory of {pid} is open to {owner:?}");
    let pid = pid.to_string();
    let mut lift = Command::new("prlimit");
    lift.args(["--pid", &pid, "--core=unlimited:unlimited"]);
    let _ = lift.stdout(Stdio::null()).stderr(Stdio::null()).status();
    // What Rust does at the first SEGV is to take its handler away.
    for _ in 0..50 {
        let _ = Command::new("kill").args([&format!("-{signal}"), &pid]).stderr(Stdio::null()).status();
        std::thread::sleep(Duration::from_millis(100));
        if !std::path::Path::new("/proc").join(&pid).exists() {
            return;
        }
    }
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    assert!(stat.contains(") Z "), "{pid} lives on after {signal}");
}

/// Waits for the job of a node that packages something, and makes it crash, once: the packager within the limits that it
/// was given, then the job that has the keys, whatever its limits. False when none was there within `patience`.
pub fn dump_packaging(folder: &std::path::Path, patience: Duration) -> bool {
    let until = Instant::now() + patience;
    let packager = folder.join("packager");
    while Instant::now() < until {
        for entry in std::fs::read_dir("/proc").into_iter().flatten().flatten() {
            let Ok(pid) = entry.file_name().to_string_lossy().parse::<u32>() else { continue };
            let line = std::fs::read(entry.path().join("cmdline")).unwrap_or_default();
            let mut words = line.split(|byte| *byte == 0);
            let runs = words.next() == Some(packager.as_os_str().as_encoded_bytes());
            if !runs || !words.any(|word| word.starts_with(b"--flagfile=")) {
                continue;
            }
            let stat = std::fs::read_to_string(entry.path().join("stat")).unwrap_or_default();
            let parent =
                stat.rsplit_once(')').and_then(|(_, tail)| tail.split_whitespace().nth(1)?.parse().ok());
            let Some(parent) = parent.filter(|it| *it > 1) else { continue };
            let _ = Command::new("kill").args(["-SEGV", &pid.to_string()]).status();
            dump(parent, "ABRT");
            return true;
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    false
}
