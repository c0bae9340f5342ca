//! What the machine must have before anything else, and how it gets it: Debian packages, where we may.

use std::path::Path;
use std::time::Duration;

use crate::failure::{Failure, Outcome};
use crate::process::{Run, on_path};

/// A program that some step runs, and the Debian packages that bring it.
struct Need {
    program: &'static str,
    packages: &'static [&'static str],
    why: &'static str,
}

const NEEDS: &[Need] = &[
    Need { program: "cc", packages: &["gcc", "libc6-dev"], why: "aws-lc is C, and Rust links with it" },
    Need { program: "make", packages: &["make"], why: "the build of librdkafka and its OpenSSL" },
    Need { program: "perl", packages: &["perl"], why: "the build of OpenSSL" },
    Need { program: "python3", packages: &["python3", "python3-venv"], why: "to unpack wheels from PyPI" },
    Need {
        program: "traffic_server",
        packages: &["trafficserver", "trafficserver-experimental-plugins"],
        why: "the edge",
    },
    Need { program: "git", packages: &["git"], why: "tidy looks at the files that git tracks" },
];
/// What tests need besides.
const TEST_NEEDS: &[Need] = &[
    Need { program: "chromium", packages: &["chromium"], why: "the browser tests" },
    Need { program: "redis-server", packages: &["redis-server"], why: "the tests of the shared cache" },
    Need { program: "postgres", packages: &["postgresql-15"], why: "the tests of the catalogue" },
    Need {
        program: "java",
        packages: &["openjdk-17-jre-headless"],
        why: "Kafka, for the tests of the event log",
    },
    Need { program: "mvn", packages: &["maven"], why: "to fetch Kafka" },
];

/// What the bench of the runtime needs: a file server to compare with, who asks both, and who watches.
const BENCH_NEEDS: &[Need] = &[
    Need { program: "nginx", packages: &["nginx"], why: "what the origin is compared with" },
    Need { program: "chromium", packages: &["chromium"], why: "to play what is served" },
    Need { program: "wrk", packages: &["wrk"], why: "to make load" },
    Need {
        program: "taskset",
        packages: &["util-linux"],
        why: "a processor for the server, one for the load",
    },
];

const APT_LIMIT: Duration = Duration::from_secs(10 * 60);

/// Installs what is missing where apt and root (or sudo without a password) are there; says it otherwise.
pub(super) fn ensure() -> Outcome<String> {
    install(NEEDS.iter().chain(TEST_NEEDS))
}

/// What the quickstart needs of it.
pub(crate) fn ensure_engines() -> Outcome<String> {
    install(NEEDS.iter())
}

/// What the bench of the runtime needs of it.
pub(crate) fn ensure_bench() -> Outcome<String> {
    install(NEEDS.iter().chain(BENCH_NEEDS))
}

fn install(needs: impl Iterator<Item = &'static Need>) -> Outcome<String> {
    let missing = missing(needs, |program| match program {
        "python3" => on_path(program).is_some() && has_venv(),
        // Debian keeps the servers of all versions side by side, off the PATH.
        "postgres" => on_path(program).is_some() || Path::new("/usr/lib/postgresql/15/bin/postgres").exists(),
        // Servers lie where only root's PATH leads.
        "nginx" => on_path(program).is_some() || Path::new("/usr/sbin/nginx").exists(),
        _ => on_path(program).is_some(),
    });
    if missing.is_empty() {
        return Ok("nothing to install".to_owned());
    }
    let packages: Vec<&str> = missing.iter().flat_map(|need| need.packages).copied().collect();
    let Some(apt) = apt() else {
        let reasons: Vec<String> =
            missing.iter().map(|need| format!("`{}` ({})", need.program, need.why)).collect();
        return Err(Failure::new(format!("missing: {}", reasons.join(", ")))
            .next(format!("install them; on Debian: apt-get install {}", packages.join(" "))));
    };
    apt_get(&apt, &["update"])?;
    apt_get(&apt, &[&["install", "--yes", "--no-install-recommends"], packages.as_slice()].concat())?;
    // Debian starts what it installs; ours is started by the node agent or a test, on ports of its own.
    for (package, unit) in [
        ("trafficserver", "trafficserver"),
        ("redis-server", "redis-server"),
        ("postgresql-15", "postgresql"),
        ("nginx", "nginx"),
    ] {
        if packages.contains(&package) && on_path("systemctl").is_some() {
            let _ = Run::new("systemctl", "systemctl").args(["disable", "--now", unit]).output();
        }
    }
    Ok(format!("installed {}", packages.join(", ")))
}

/// Debian's python3 comes without the half of venv that brings pip.
fn has_venv() -> bool {
    Run::new("python3", "python3").args(["-c", "import venv, ensurepip"]).output().is_ok()
}

fn missing(
    needs: impl Iterator<Item = &'static Need>,
    is_there: impl Fn(&str) -> bool,
) -> Vec<&'static Need> {
    needs.filter(|need| !is_there(need.program)).collect()
}

/// The words before `update`: nothing else where we are root.
fn apt() -> Option<Vec<&'static str>> {
    on_path("apt-get")?;
    let root = Run::new("id", "id").args(["-u"]).output().is_ok_and(|id| id.trim() == "0");
    if root {
        return Some(vec!["apt-get"]);
    }
    let sudo = on_path("sudo").is_some() && Run::new("sudo", "sudo").args(["-n", "true"]).output().is_ok();
    sudo.then(|| vec!["sudo", "-n", "apt-get"])
}

/// Has apt ask its archives what there is.
pub(crate) fn update_package_lists() -> Outcome {
    let apt = apt().ok_or_else(|| {
        Failure::new("apt has no list of packages, and only root may ask for one").next("run: apt-get update")
    })?;
    apt_get(&apt, &["update"])
}

fn apt_get(apt: &[&str], args: &[&str]) -> Outcome {
    let words = [apt, args].concat();
    let Some((program, rest)) = words.split_first() else { return Ok(()) };
    println!("  {}", words.join(" "));
    Run::new(words.join(" "), program)
        .args(rest.iter().copied())
        .env("DEBIAN_FRONTEND", "noninteractive")
        .limit(APT_LIMIT)
        .output()
        .map(|_| ())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_missing_is_installed() {
        let programs = |there: &'static [&str]| -> Vec<&str> {
            missing(NEEDS.iter(), |program| there.contains(&program))
                .iter()
                .map(|need| need.program)
                .collect()
        };
        assert_eq!(programs(&["cc", "git", "make", "perl", "python3", "traffic_server"]), [""; 0]);
        assert_eq!(programs(&["git", "cc", "perl"]), ["make", "python3", "traffic_server"]);
    }
}
