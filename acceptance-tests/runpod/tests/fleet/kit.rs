//! A node, an account at the stand-in, and the HCL of a controller and its fleet.

use std::time::{Duration, Instant};

use serde_json::Value;
use streamverse_acceptance::{ADDRESS, Node};
use streamverse_runpod_stand_in::{KEY, StandIn};
use tfplugin_testing::cli::{Case, Cli};

/// 32 bytes in base64.
pub(crate) const IDENTITY: &str = "cGxhbnRlZC1mbGVldC1pZGVudGl0eS0zMi1ieXRlcyE=";
const PATIENCE: Duration = Duration::from_secs(90);

/// A node with an account.
pub(crate) struct Place {
    pub(crate) node: Node,
    pub(crate) it: StandIn,
}

impl Place {
    /// `None`, told aloud, where a program is missing.
    pub(crate) fn start() -> Option<Place> {
        let node = Node::start()?;
        let it = StandIn::start();
        Some(Place { node, it })
    }

    /// Nothing is left in the account and on the node.
    pub(crate) fn nothing_left(&self) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
        self.it.clean()?;
        self.node.nothing_left().map_err(Into::into)
    }

    /// The provider block of a deployment, with or without the account.
    pub(crate) fn block(&self) -> String {
        let runpod = format!("runpod = {{ endpoint = \"{}\" }}\n  deployment", self.it.endpoint);
        self.node.block().replacen("deployment", &runpod, 1)
    }

    /// A catalogue and a controller that looks every five seconds.
    pub(crate) fn controller(&self, more: &str) -> String {
        format!(
            r#"
resource "streamverse_catalogue" "main" {{ name = "main" }}
resource "streamverse_fleet_controller" "main" {{
  name                = "main"
  port                = {}
  public_url          = "https://127.0.0.1:{}"
  catalogue           = streamverse_catalogue.main.url
  stores              = ["kafka://k.example:9092?partitions=12"]
  tick                = "5s"
  identity_wo         = "{IDENTITY}"
  identity_wo_version = 1
  runpod              = {{ endpoint = "{}", api_key_ref = "env:RUNPOD_API_KEY" }}
  {more}
}}
"#,
            self.node.ports[0], self.node.ports[0], self.it.endpoint
        )
    }

    /// Pods of a fleet that are there, by their names.
    pub(crate) fn pods(&self, fleet: &str) -> Vec<String> {
        let prefix = format!("sv--test--{fleet}--");
        let all = self.it.things("pod");
        let live = all.iter().filter(|it| it["status"] != "TERMINATED");
        let mut names: Vec<String> = live
            .filter_map(|it| it["name"].as_str().filter(|name| name.starts_with(&prefix)))
            .map(str::to_owned)
            .collect();
        names.sort();
        names
    }

    /// Waits for so many pods of a fleet.
    pub(crate) fn wait_for_pods(&self, fleet: &str, count: usize) {
        self.until(&format!("{count} pods of {fleet}"), || self.pods(fleet).len() == count);
    }

    pub(crate) fn until(&self, what: &str, done: impl Fn() -> bool) {
        let until = Instant::now() + PATIENCE;
        while !done() {
            assert!(
                Instant::now() < until,
                "{what}: {:#?}\n{:?}\n{}",
                self.it.things("pod"),
                self.it.calls(),
                self.logs()
            );
            std::thread::sleep(Duration::from_millis(200));
        }
    }

    /// Changes the controller's catalogue by hand; how many records it met.
    pub(crate) fn sql(&self, statement: &str) -> u32 {
        let file = self.node.folder().join("data/test/catalogues/main.sqlite");
        let script = "import sqlite3, sys; it = sqlite3.connect(sys.argv[1], timeout=30); done = it.execute(sys.argv[2]); it.commit(); print(done.rowcount)";
        let said =
            std::process::Command::new("python3").args(["-c", script]).arg(file).arg(statement).output();
        let said = said.unwrap();
        assert!(said.status.success(), "{}", String::from_utf8_lossy(&said.stderr));
        String::from_utf8_lossy(&said.stdout).trim().parse().unwrap()
    }

    /// The controller's log.
    pub(crate) fn logs(&self) -> String {
        let path = "http://node/v1/deployments/test/owners/fleet-controller/main/logs?object=service/fleet-controller&lines=40";
        let said = std::process::Command::new("curl")
            .arg("-s")
            .arg("--unix-socket")
            .arg(self.node.socket())
            .arg(path)
            .output();
        said.map(|said| String::from_utf8_lossy(&said.stdout).into_owned()).unwrap_or_default()
    }
}

/// A fleet of pods that do nothing but run.
pub(crate) fn fleet(name: &str, range: &str, more: &str) -> String {
    format!(
        r#"
resource "streamverse_runpod_fleet" "it" {{
  name       = "{name}"
  controller = streamverse_fleet_controller.main.name
  image      = "registry.example/worker:1"
  candidates = [{{ gpu = "L40S", data_centre = "EU-RO-1" }}, {{ gpu = "L4" }}]
  range      = {{ {range} }}
  {more}
}}
"#
    )
}

/// A case whose provider has the key; neither it nor the identity may be seen anywhere.
pub(crate) fn case<'a>(cli: &'a Cli, place: &Place) -> Case<'a> {
    Case::new(cli)
        .provider(ADDRESS, place.node.provider())
        .env("RUNPOD_API_KEY", KEY)
        .secrets_absent(&[KEY, IDENTITY])
}

/// The text of a member.
pub(crate) fn text(of: &Value, member: &str) -> String {
    of[member].as_str().unwrap_or_default().to_owned()
}
