//! The command lines under test: where they are, what they are, which version.

use std::{
    collections::BTreeMap,
    env,
    ffi::OsString,
    fmt,
    io::{self, Write as _},
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::Mutex,
};

use super::Failure;

/// Whose command line it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Product {
    /// HashiCorp's `terraform`.
    Terraform,
    /// OpenTofu's `tofu`.
    OpenTofu,
}

impl fmt::Display for Product {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Terraform => "terraform",
            Self::OpenTofu => "opentofu",
        })
    }
}

/// A released version; what follows the numbers (`-dev`, `-rc1`) is ignored.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Version {
    /// `1` in `1.11.4`.
    pub major: u32,
    /// `11` in `1.11.4`.
    pub minor: u32,
    /// `4` in `1.11.4`.
    pub patch: u32,
}

impl Version {
    /// The three numbers at the start of `text`, with an optional `v` before them.
    pub fn parse(text: &str) -> Option<Self> {
        let numbers = text.trim().trim_start_matches('v').split(['-', '+']).next()?;
        let mut numbers = numbers.split('.').map(|number| number.parse().ok());
        let (major, minor, patch) = (numbers.next()??, numbers.next()??, numbers.next()??);
        numbers.next().is_none().then_some(Self { major, minor, patch })
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.major, self.minor, self.patch)
    }
}

/// One command line, present or not.
///
/// A missing one is no error by itself: a [`Case`](super::Case) that is run with it says so on stderr and
/// counts as skipped. On a build server (`CI=true`) it is an error, so that nothing is skipped there unseen.
#[derive(Clone, Debug)]
pub struct Cli {
    product: Product,
    found: Result<(PathBuf, Version), String>,
}

impl Cli {
    /// `TFPLUGIN_TERRAFORM`, or `terraform` on the `PATH`.
    pub fn terraform() -> Result<Self, Failure> {
        Self::find(Product::Terraform, "TFPLUGIN_TERRAFORM", Some("terraform"))
    }

    /// `TFPLUGIN_TOFU`, or `tofu` on the `PATH`.
    pub fn tofu() -> Result<Self, Failure> {
        Self::find(Product::OpenTofu, "TFPLUGIN_TOFU", Some("tofu"))
    }

    /// `TFPLUGIN_TERRAFORM_1_5`: the last version under the MPL.
    pub fn terraform_1_5() -> Result<Self, Failure> {
        Self::find(Product::Terraform, "TFPLUGIN_TERRAFORM_1_5", None)
    }

    /// `TFPLUGIN_TERRAFORM_1_15`: identity import, list resources, actions.
    pub fn terraform_1_15() -> Result<Self, Failure> {
        Self::find(Product::Terraform, "TFPLUGIN_TERRAFORM_1_15", None)
    }

    /// Each of the four that is present; the others are announced on stderr.
    pub fn all() -> Result<Vec<Self>, Failure> {
        Ok(Self::present([
            Self::terraform()?,
            Self::tofu()?,
            Self::terraform_1_5()?,
            Self::terraform_1_15()?,
        ]))
    }

    /// The two whole-suite command lines, `terraform` and `tofu`, as far as present.
    pub fn both() -> Result<Vec<Self>, Failure> {
        Ok(Self::present([Self::terraform()?, Self::tofu()?]))
    }

    fn present<const N: usize>(candidates: [Self; N]) -> Vec<Self> {
        let (present, missing): (Vec<_>, Vec<_>) = candidates.into_iter().partition(|cli| cli.found.is_ok());
        for cli in missing {
            skipped(&cli.found.err().unwrap_or_default());
        }
        present
    }

    /// The command line that the environment variable `variable` points to, or else `name` on the `PATH`.
    pub fn find(product: Product, variable: &str, name: Option<&str>) -> Result<Self, Failure> {
        if let Some(path) = env::var_os(variable).filter(|path| !path.is_empty()) {
            return Self::at(product, &path);
        }
        if let Some(path) = name.and_then(|name| on_path(name, env::var_os("PATH"))) {
            return Self::at(product, path);
        }
        let mut reason = format!("no {product}: set {variable} to a binary");
        if let Some(name) = name {
            reason.push_str(&format!(" or put `{name}` on the PATH"));
        }
        if on_build_server() {
            return Err(Failure::new(format!("{reason} (with CI=true nothing may be skipped)")));
        }
        Ok(Self { product, found: Err(reason) })
    }

    /// The command line at `path`, which is asked for its version once.
    pub fn at(product: Product, path: impl AsRef<Path>) -> Result<Self, Failure> {
        let path = path.as_ref();
        let path = path.canonicalize().map_err(|error| Failure::io("find", path, &error))?;
        let version = version_of(&path)?;
        Ok(Self { product, found: Ok((path, version)) })
    }

    /// Whose command line it is.
    pub fn product(&self) -> Product {
        self.product
    }

    /// Its version, when it is present.
    pub fn version(&self) -> Option<Version> {
        self.found.as_ref().ok().map(|(_, version)| *version)
    }

    /// The binary, or the reason why there is none.
    pub fn path(&self) -> Result<&Path, &str> {
        match &self.found {
            Ok((path, _)) => Ok(path),
            Err(reason) => Err(reason),
        }
    }
}

impl fmt::Display for Cli {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.version() {
            Some(version) => write!(f, "{} {version}", self.product),
            None => write!(f, "{} (missing)", self.product),
        }
    }
}

/// Whether this is a build server, where a missing tool is an error.
pub(crate) fn on_build_server() -> bool {
    env::var("CI").is_ok_and(|value| value == "true" || value == "1")
}

fn on_path(name: &str, path: Option<OsString>) -> Option<PathBuf> {
    let name = format!("{name}{}", env::consts::EXE_SUFFIX);
    env::split_paths(&path?).map(|folder| folder.join(&name)).find(|candidate| candidate.is_file())
}

/// Asked once per binary and process: hundreds of cases share a handful of binaries.
fn version_of(path: &Path) -> Result<Version, Failure> {
    static KNOWN: Mutex<BTreeMap<PathBuf, Version>> = Mutex::new(BTreeMap::new());
    let mut known = KNOWN.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    if let Some(version) = known.get(path) {
        return Ok(*version);
    }
    let output = Command::new(path)
        .args(["version", "-json"])
        .env("CHECKPOINT_DISABLE", "1")
        .env_remove("TF_CLI_CONFIG_FILE")
        .stdin(Stdio::null())
        .output()
        .map_err(|error| Failure::io("run", path, &error))?;
    let version = serde_json::from_slice::<serde_json::Value>(&output.stdout)
        .ok()
        .and_then(|json| Version::parse(json.get("terraform_version")?.as_str()?))
        .ok_or_else(|| {
            let text = String::from_utf8_lossy(&output.stdout).into_owned();
            Failure::new(format!("`{} version -json` named no version: {text}", path.display()))
        })?;
    known.insert(path.to_owned(), version);
    Ok(version)
}

/// Says what did not run. Not `eprintln!`: the test runner would swallow it, since the test passes.
pub(super) fn skipped(what: &str) {
    // A closed stderr is no reason to fail a test.
    let _ = writeln!(io::stderr(), "SKIPPED: {what}");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_compared_by_number_and_suffixes_are_ignored() {
        let parse = |text| Version::parse(text).unwrap();
        assert!(parse("1.9.8") < parse("1.11.0"));
        assert_eq!(parse("v1.12.6-dev"), Version { major: 1, minor: 12, patch: 6 });
        for wrong in ["", "1.2", "1.2.x", "1.2.3.4"] {
            assert_eq!(Version::parse(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn a_command_line_that_is_not_there_is_named_with_what_to_set() {
        if on_build_server() {
            let failure = Cli::find(Product::OpenTofu, "TFPLUGIN_NOWHERE", None).unwrap_err();
            assert!(failure.message().contains("CI=true"));
            return;
        }
        let cli = Cli::find(Product::OpenTofu, "TFPLUGIN_NOWHERE", None).unwrap();
        assert_eq!(cli.path(), Err("no opentofu: set TFPLUGIN_NOWHERE to a binary"));
        assert_eq!(cli.to_string(), "opentofu (missing)");
    }
}
