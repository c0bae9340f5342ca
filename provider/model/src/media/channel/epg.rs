//! The programme guides of channels, over HTTP.

use serde::{Deserialize, Serialize};
use tfplugin_schema::{Diagnostics, Duration, Path, Schema};

use super::check::check_spec;
use super::spec::ChannelDefinition;
use crate::platform::{self, Isolation, Name, Object, Resources, ServiceObject, SpecError};

/// Serves the programme guides of channels, as XMLTV at `/epg/NAME.xml` and as JSON at `/epg/NAME.json`.
#[derive(Clone, Debug, PartialEq, Schema, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EpgSpec {
    /// The TCP port.
    #[attribute(default = 8091, validate(range = 1..))]
    #[serde(default = "usual_port")]
    pub port: u16,
    /// How many run. A site of one host runs one.
    #[attribute(default = 1, validate(range = 1..=100))]
    #[serde(default = "usual_replicas")]
    pub replicas: u32,
    /// The channels: each the `definition` of a `streamverse_fast_channel`.
    #[attribute(validate(length = 1..=1_000))]
    pub channels: Vec<String>,
    /// How many days after today a guide has.
    #[attribute(default = 7, validate(range = 0..=60))]
    #[serde(default = "usual_days")]
    pub days_ahead: u32,
    /// Origins (RFC 6454) whose pages may read: `https://tv.example.org`, or `*`.
    #[attribute(default = vec![String::from("*")])]
    #[serde(default = "usual_origins")]
    pub allowed_origins: Vec<String>,
    /// How long edges may use a guide without asking again.
    #[attribute(default = "1m")]
    #[serde(default = "usual_max_age")]
    pub max_age: Duration,
}

fn usual_port() -> u16 {
    8091
}
fn usual_replicas() -> u32 {
    1
}
fn usual_days() -> u32 {
    7
}
fn usual_origins() -> Vec<String> {
    vec!["*".to_owned()]
}
fn usual_max_age() -> Duration {
    Duration(std::time::Duration::from_secs(60))
}

/// A channel from its JSON.
///
/// # Errors
/// What is no `definition` of a channel.
pub fn channel_definition(text: &str) -> Result<ChannelDefinition, SpecError> {
    serde_json::from_str(text).map_err(|error| {
        SpecError::new(format!(
            "this is no channel, give the `definition` of a streamverse_fast_channel: {error}"
        ))
    })
}

/// Refuses channels that are none, cannot be planned, or have one name. What is not known yet is not judged.
pub fn check_epg(view: &EpgSpecView, out: &mut Diagnostics) {
    let mut seen: Vec<Name> = Vec::new();
    for (at, text) in view.channels.known().into_iter().flatten().enumerate() {
        let Some(text) = text.known() else { continue };
        let place = || Path::attribute("channels").index(at);
        let definition = match channel_definition(text) {
            Ok(definition) => definition,
            Err(error) => {
                out.error_at(place(), "No channel", error.to_string());
                continue;
            }
        };
        if let Err(error) = check_spec(&definition.channel) {
            out.error_at(place(), "A channel that cannot be planned", error.to_string());
        }
        if seen.contains(&definition.name) {
            out.error_at(
                place(),
                "One channel twice",
                format!("{} is there already: each has one guide. Leave it out.", definition.name),
            );
        }
        seen.push(definition.name);
    }
}

impl EpgSpec {
    /// The channels.
    ///
    /// # Errors
    /// What is no `definition` of a channel.
    pub fn definitions(&self) -> Result<Vec<ChannelDefinition>, SpecError> {
        self.channels.iter().map(|it| channel_definition(it)).collect()
    }

    /// The service and its address.
    ///
    /// # Errors
    /// A channel that is none, or whose store's address is none.
    pub fn objects(&self) -> Result<Vec<Object>, SpecError> {
        let definitions = self.definitions()?;
        let mut stores: Vec<&str> = definitions
            .iter()
            .flat_map(|it| [it.channel.object_store.as_str(), it.channel.catalogue.as_str()])
            .collect();
        stores.sort_unstable();
        stores.dedup();
        let uses = platform::uses(stores)?;
        let service = ServiceObject {
            name: Name::fixed("epg"),
            target: "epg".to_owned(),
            spec: platform::spec_value(self)?,
            replicas: self.replicas,
            ports: platform::http(self.port),
            credentials: uses.credentials,
            reach: uses.reach,
            resources: Resources { memory_bytes: 512 << 20, ..Resources::default() },
            isolation: Isolation::Process,
            drain_seconds: 10,
        };
        Ok(vec![Object::Service(service), platform::public_http("service/epg", false)])
    }
}
