//! Prometheus' promtool, which reads alert rules as Prometheus does: out of Debian's package, without installing it, for that
//! would start a server. apt checks the package against the archive's signature.

use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::cache;
use crate::failure::{Failure, Outcome};
use crate::process::{Run, on_path};
use crate::test::update_package_lists;

/// The variable with the program.
pub(super) const VARIABLE: &str = "STREAMVERSE_PROMTOOL";

const PACKAGE: &str = "prometheus";
/// 19 MB.
const FETCH_LIMIT: Duration = Duration::from_secs(10 * 60);

/// The program: the one on PATH, else that of the package.
pub(super) fn ensure(tools: &Path) -> Outcome<PathBuf> {
    if let Some(program) = on_path("promtool") {
        return Ok(program);
    }
    if on_path("apt-get").is_none() || on_path("dpkg-deb").is_none() {
        return Err(Failure::new("promtool is missing: the tests of alert rules need it")
            .next("put it on the PATH, or say where it is in STREAMVERSE_PROMTOOL; on Debian it is in the package prometheus"));
    }
    let place = cache::ensure(tools, "promtool-debian", "1", FETCH_LIMIT, |folder| {
        println!("  promtool: fetching Debian's package {PACKAGE}");
        // A machine that never asked has no lists of packages.
        if download(folder).is_err() {
            update_package_lists()?;
            download(folder)?;
        }
        let entries = std::fs::read_dir(folder).map_err(|error| Failure::io("list", folder, &error))?;
        let package = entries.flatten().map(|entry| entry.path());
        let package = package.into_iter().find(|path| path.extension().is_some_and(|it| it == "deb"));
        let package = package.ok_or_else(|| Failure::new("apt-get download left no package"))?;
        Run::new("dpkg-deb --extract", "dpkg-deb")
            .args(["--extract"])
            .args([package.as_path(), folder])
            .limit(FETCH_LIMIT)
            .output()?;
        // The server is of no use here.
        let server = folder.join("usr/bin/prometheus");
        std::fs::remove_file(&server).map_err(|error| Failure::io("remove", &server, &error))?;
        std::fs::remove_file(&package).map_err(|error| Failure::io("remove", &package, &error))
    })?;
    Ok(place.join("usr/bin/promtool"))
}

fn download(folder: &Path) -> Outcome {
    Run::new("apt-get download", "apt-get")
        .args(["download", PACKAGE])
        .dir(folder)
        .limit(FETCH_LIMIT)
        .output()
        .map(|_| ())
}
