//! Load: `wrk` on a processor of its own, with connections that are kept, over a list of paths.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use crate::children::{self, Cores};
use crate::{Outcome, Setup};

/// One round of load.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Load {
    /// Answered with 200.
    pub requests: f64,
    /// Headers included.
    pub bytes: f64,
    /// Wall time.
    pub seconds: f64,
    /// Processor seconds of the server in that time.
    pub cpu: f64,
    /// Milliseconds in which half of them were answered whole.
    pub p50: f64,
    /// Milliseconds in which 99 of 100 were answered whole.
    pub p99: f64,
}

impl Load {
    /// Requests in a second of the server's processor time.
    pub fn requests_per_core(&self) -> f64 {
        self.requests / self.cpu.max(0.01)
    }

    /// Megabytes in a second of the server's processor time.
    pub fn megabytes_per_core(&self) -> f64 {
        self.bytes / 1e6 / self.cpu.max(0.01)
    }

    /// Requests in a second of everybody's.
    pub fn requests_per_second(&self) -> f64 {
        self.requests / self.seconds
    }

    /// Megabytes in a second of everybody's.
    pub fn megabytes_per_second(&self) -> f64 {
        self.bytes / 1e6 / self.seconds
    }
}

/// Asks one server for many paths in turn.
#[derive(Debug)]
pub struct Asking<'a> {
    /// Its port on this host.
    pub port: u16,
    /// What is asked for.
    pub paths: &'a [String],
    /// How many connections.
    pub connections: u32,
}

impl Asking<'_> {
    /// One round, with the server's processor time as `cpu` tells it.
    ///
    /// # Errors
    /// A request that was not answered with 200.
    pub async fn round(&self, setup: &Setup, cpu: impl Fn() -> f64) -> Outcome<Load> {
        self.of(setup.cores, setup.seconds(), cpu).await
    }

    /// A short one that counts for nothing: caches fill, connections and code get warm.
    ///
    /// # Errors
    /// A request that was not answered with 200.
    pub async fn warm_up(&self, setup: &Setup) -> Outcome<()> {
        self.of(setup.cores, 1, || 0.0).await.map(|_| ())
    }

    async fn of(&self, cores: Cores, seconds: u32, cpu: impl Fn() -> f64) -> Outcome<Load> {
        let folder = tempfile::tempdir()?;
        let script = folder.path().join("paths.lua");
        std::fs::write(&script, lua(self.paths))?;
        let before = cpu();
        let said = children::run(
            "wrk",
            &mut self.command(cores, seconds, &script),
            // It waits for answers under way.
            Duration::from_secs(u64::from(seconds) + 60),
        )
        .await?;
        let used = cpu() - before;
        read(&said.stdout, used)
    }

    fn command(&self, cores: Cores, seconds: u32, script: &Path) -> Command {
        let mut command = children::pinned(cores.load, "wrk");
        command
            .args(["--threads", "1", "--timeout", "20s", "--connections", &self.connections.to_string()])
            .args(["--duration", &format!("{seconds}s"), "--script"])
            .arg(script)
            .arg(format!("http://127.0.0.1:{}", self.port));
        command
    }
}

/// Lua of `wrk` that says at the end what it counted, in a line that programs can read.
pub(crate) const RESULT: &str = "function done(s, latency)\n  local e = s.errors\n  \
     io.write(string.format(\"\\nresult %d %d %d %d %d %d %d\\n\", s.requests, s.bytes, s.duration, e.status, \
     e.connect + e.read + e.write + e.timeout, latency:percentile(99), latency:percentile(50)))\nend\n";

/// Paths in turn, and that line.
fn lua(paths: &[String]) -> String {
    let list: Vec<String> = paths.iter().map(|path| format!("\"{path}\"")).collect();
    format!(
        "local paths = {{ {} }}\nlocal requests, at = {{}}, 0\n\
         function init(args) for i, path in ipairs(paths) do requests[i] = wrk.format(\"GET\", path) end end\n\
         function request() at = at % #requests + 1; return requests[at] end\n{RESULT}",
        list.join(", ")
    )
}

pub(crate) fn read(text: &str, cpu: f64) -> Outcome<Load> {
    let line = text.lines().find_map(|line| line.strip_prefix("result "));
    let numbers = line.map(|line| line.split(' ').map(str::parse::<f64>).collect::<Result<Vec<_>, _>>());
    let Some(Ok(numbers)) = numbers else { return Err(format!("wrk said: {text}").into()) };
    let [requests, bytes, micros, refused, broken, p99, p50] = numbers[..] else {
        return Err(format!("wrk said: {text}").into());
    };
    if requests < 1.0 || refused > 0.0 || broken > 0.0 {
        let text = format!("of {requests} requests {refused} were refused and {broken} broken off");
        return Err(text.into());
    }
    Ok(Load { requests, bytes, seconds: micros / 1e6, cpu, p50: p50 / 1e3, p99: p99 / 1e3 })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_wrk_counted_is_read_and_a_failed_request_fails_the_round() -> Outcome<()> {
        let load = read("Running 2s test\n\nresult 1000 2000000 2000000 0 0 1500 700\n", 0.5)?;
        assert_eq!(load, Load { requests: 1000.0, bytes: 2e6, seconds: 2.0, cpu: 0.5, p50: 0.7, p99: 1.5 });
        assert_eq!((load.requests_per_core(), load.requests_per_second()), (2000.0, 500.0));
        assert_eq!((load.megabytes_per_core(), load.megabytes_per_second()), (4.0, 1.0));
        for bad in
            ["result 1000 1 1 1 0 1 1", "result 1000 1 1 0 1 1 1", "result 0 0 1 0 0 0 0", "result 1", ""]
        {
            assert!(read(bad, 0.5).is_err(), "{bad}");
        }
        Ok(())
    }
}
