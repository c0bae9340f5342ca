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
