//! `cargo xtask quickstart` as a user runs it, in a folder and on ports of its own.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use serde_json::Value;

use crate::children;
use crate::{Outcome, Setup, folder, free_port};

const LIMIT: Duration = Duration::from_secs(20 * 60);

/// A quickstart, until it is taken down or dropped.
#[derive(Debug)]
pub struct Place {
    folder: tempfile::TempDir,
    ports: [u16; 3],
    xtask: PathBuf,
    terraform: PathBuf,
    /// Where the programs are, where they are not to be built in the profile of the tests.
    programs: Option<PathBuf>,
    up: bool,
}

impl Place {
    /// A folder and ports for one.
    ///
    /// # Errors
    /// When there is no folder or no port.
    pub fn new(setup: &Setup) -> Outcome<Place> {
        let ports = [free_port()?, free_port()?, free_port()?];
        let (xtask, terraform) = (setup.xtask.clone(), setup.terraform.clone());
        Ok(Place { folder: folder()?, ports, xtask, terraform, programs: None, up: true })
    }

    /// … of the programs that are measured.
    ///
    /// # Errors
    /// See [`Place::new`].
    pub fn of_release(setup: &Setup) -> Outcome<Place> {
        let mut place = Place::new(setup)?;
        place.programs = Some(setup.binaries.clone());
        Ok(place)
    }

    /// The page's address.
    pub fn page(&self) -> String {
        format!("http://127.0.0.1:{}/", self.ports[2])
    }

    fn base(&self) -> PathBuf {
        self.folder.path().join("q")
    }

    fn command(&self) -> Command {
        let [origin, edge, page] = self.ports;
        let mut command = Command::new(&self.xtask);
        command.current_dir(root()).arg("quickstart").arg("--at").arg(self.base());
        command.arg("--ports").arg(format!("{origin},{edge},{page}"));
        if let Some(programs) = &self.programs {
            command.arg("--programs").arg(programs);
        }
        command
    }

    /// Brings it up, or finds that it is.
    ///
    /// # Errors
    /// What it said.
    pub async fn up(&self) -> Outcome<Duration> {
        Ok(children::run("cargo xtask quickstart", &mut self.command(), LIMIT).await?.took)
    }

    /// What `quickstart` prints for doing it by hand.
    fn by_hand(&self, words: &[&str], variables: &Path) -> Command {
        let base = self.base();
        let mut command = Command::new(&self.terraform);
        command
            .arg(format!("-chdir={}", root().join("examples/quickstart").display()))
            .args(words)
            .args(["-input=false", "-no-color"])
            .arg(format!("-state={}", base.join("terraform.tfstate").display()))
            .arg(format!("-var-file={}", variables.display()))
            .env("TF_CLI_CONFIG_FILE", base.join("terraform.rc"))
            .env("TF_DATA_DIR", base.join("terraform"))
            .env("TF_IN_AUTOMATION", "1");
        command
    }

    fn variables(&self) -> PathBuf {
        self.base().join("quickstart.tfvars.json")
    }

    /// A plan of what was applied.
    ///
    /// # Errors
    /// What it said; that there are changes.
    pub async fn plan(&self) -> Outcome<Duration> {
        // With changes it would end with 2.
        let mut command = self.by_hand(&["plan", "-detailed-exitcode"], &self.variables());
        Ok(children::run("terraform plan", &mut command, LIMIT).await?.took)
    }

    /// Applies the same with other variables.
    ///
    /// # Errors
    /// What it said.
    pub async fn apply(&self, change: impl FnOnce(&mut Value)) -> Outcome<()> {
        let mut variables: Value = serde_json::from_str(&std::fs::read_to_string(self.variables())?)?;
        change(&mut variables);
        let file = self.base().join("bench.tfvars.json");
        std::fs::write(&file, variables.to_string())?;
        let mut command = self.by_hand(&["apply", "-auto-approve"], &file);
        children::run("terraform apply", &mut command, LIMIT).await.map(|_| ())
    }

    /// A quickstart that shows nothing was none.
    ///
    /// # Errors
    /// An edge that does not answer, or has nothing.
    pub async fn serves(&self) -> Outcome<()> {
        let client = reqwest::Client::builder().timeout(Duration::from_secs(10)).no_proxy().build()?;
        let [_, edge, _] = self.ports;
        let shown = client.get(format!("http://127.0.0.1:{edge}/catalogue.json")).send().await?;
        let shown: Value = serde_json::from_slice(&shown.error_for_status()?.bytes().await?)?;
        match shown.as_array().is_some_and(|assets| !assets.is_empty()) {
            true => Ok(()),
            false => Err(format!("the quickstart's catalogue is empty: {shown}").into()),
        }
    }

    /// Takes it down.
    ///
    /// # Errors
    /// What it said.
    pub async fn down(mut self) -> Outcome<()> {
        children::run("cargo xtask quickstart --down", self.command().arg("--down"), LIMIT).await?;
        self.up = false;
        Ok(())
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if self.up {
            let mut command = Command::new("timeout");
            command.arg("180").arg(&self.xtask).current_dir(root()).arg("quickstart").arg("--at");
            command.arg(self.base()).arg("--down").stdin(Stdio::null());
            let _ = command.stdout(Stdio::null()).stderr(Stdio::null()).status();
        }
    }
}

/// The checkout.
pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2).map(Path::to_owned).unwrap_or_default()
}
