//! `cargo xtask quickstart` as a user runs it, in a folder and on ports of its own: from nothing, and again.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use crate::children;
use crate::figures::{Rounds, Row};
use crate::{Outcome, Setup, folder, free_port, tell};

const LIMIT: Duration = Duration::from_secs(20 * 60);

/// Measures.
///
/// # Errors
/// What stopped it.
pub async fn measure(setup: &Setup) -> Outcome<Vec<Row>> {
    let (mut cold, mut warm) = (Rounds::default(), Rounds::default());
    for round in 1..=setup.rounds(3) {
        let place = Place::new(setup)?;
        let first = place.up(setup).await?;
        place.serves().await?;
        let again = place.up(setup).await?;
        let plan = place.plan(setup).await?;
        tell(format!(
            "quickstart, round {round}: cold {:.1} s, warm {:.1} s, a plan alone {:.1} s",
            first.as_secs_f64(),
            again.as_secs_f64(),
            plan.as_secs_f64()
        ));
        cold.push_alone(first.as_secs_f64());
        warm.push(again.as_secs_f64(), plan.as_secs_f64());
        place.down(setup).await?;
    }
    Ok(vec![
        cold.row("quickstart cold", "s", "an empty folder; tools, programs and page were there"),
        warm.row("quickstart warm / terraform plan", "s", "nothing to change; less is better"),
    ])
}

struct Place {
    folder: tempfile::TempDir,
    ports: [u16; 3],
    xtask: PathBuf,
    up: bool,
}

impl Place {
    fn new(setup: &Setup) -> Outcome<Place> {
        let ports = [free_port()?, free_port()?, free_port()?];
        Ok(Place { folder: folder()?, ports, xtask: setup.xtask.clone(), up: true })
    }

    fn base(&self) -> PathBuf {
        self.folder.path().join("q")
    }

    fn command(&self) -> Command {
        let [origin, edge, page] = self.ports;
        let mut command = Command::new(&self.xtask);
        command.current_dir(root()).arg("quickstart").arg("--at").arg(self.base());
        command.arg("--ports").arg(format!("{origin},{edge},{page}"));
        command
    }

    async fn up(&self, _: &Setup) -> Outcome<Duration> {
        Ok(children::run("cargo xtask quickstart", &mut self.command(), LIMIT).await?.took)
    }

    /// What `quickstart` prints for doing it by hand.
    async fn plan(&self, setup: &Setup) -> Outcome<Duration> {
        let base = self.base();
        let mut command = Command::new(&setup.terraform);
        command
            .arg(format!("-chdir={}", root().join("examples/quickstart").display()))
            .args(["plan", "-input=false", "-no-color", "-detailed-exitcode"])
            .arg(format!("-state={}", base.join("terraform.tfstate").display()))
            .arg(format!("-var-file={}", base.join("quickstart.tfvars.json").display()))
            .env("TF_CLI_CONFIG_FILE", base.join("terraform.rc"))
            .env("TF_DATA_DIR", base.join("terraform"))
            .env("TF_IN_AUTOMATION", "1");
        // With changes it would end with 2.
        Ok(children::run("terraform plan", &mut command, LIMIT).await?.took)
    }

    /// A quickstart that shows nothing was none.
    async fn serves(&self) -> Outcome<()> {
        let client = reqwest::Client::builder().timeout(Duration::from_secs(10)).no_proxy().build()?;
        let [_, edge, _] = self.ports;
        let shown = client.get(format!("http://127.0.0.1:{edge}/catalogue.json")).send().await?;
        let shown: serde_json::Value = serde_json::from_slice(&shown.error_for_status()?.bytes().await?)?;
        match shown.as_array().is_some_and(|assets| !assets.is_empty()) {
            true => Ok(()),
            false => Err(format!("the quickstart's catalogue is empty: {shown}").into()),
        }
    }

    async fn down(mut self, _: &Setup) -> Outcome<()> {
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

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2).map(Path::to_owned).unwrap_or_default()
}
