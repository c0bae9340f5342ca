//! `bench_wide`: twenty attributes, of which a configuration sets twelve.

use std::collections::{BTreeMap, BTreeSet};

use tfplugin_framework::schema::Computed;
use tfplugin_framework::{Context, Plan, Read, Resource, Result, Schema, State, Stored, resource};

use super::Bench;

/// Twenty attributes of the usual kinds.
#[derive(Clone, Schema)]
pub struct Wide {
    /// Assigned by the provider.
    id: Computed<String>,
    /// What it is called.
    #[attribute(validate(length = 1..=63))]
    name: String,
    /// Where it is.
    #[attribute(replace)]
    zone: String,
    /// What kind it is.
    #[attribute(default = "standard")]
    kind: String,
    /// How large it is.
    #[attribute(validate(range = 1..=1_000_000))]
    size: i64,
    /// A part of one.
    ratio: f64,
    /// Whether it does anything.
    #[attribute(default = true)]
    enabled: bool,
    /// Whether it is dear.
    guarded: bool,
    /// Free text.
    note: Option<String>,
    /// Names and values.
    labels: Option<BTreeMap<String, String>>,
    /// Who belongs to it.
    members: Option<BTreeSet<String>>,
    /// What may pass.
    rules: Option<Vec<Rule>>,
    /// How much it may use.
    limits: Option<Limits>,
    /// Whose it is.
    owner: Option<String>,
    /// Which team's it is.
    team: Option<String>,
    /// How much it counts.
    weight: Option<f64>,
    /// How often it tries.
    #[attribute(default = 3_i64)]
    retries: i64,
    /// What it stands below.
    parent: Option<String>,
    /// Where it answers.
    #[attribute(changes_with = [zone])]
    endpoint: Computed<String>,
    /// When it was made, as a number.
    serial: Computed<i64>,
}

/// What may pass.
#[derive(Clone, Schema)]
pub struct Rule {
    /// What it is called.
    name: String,
    /// The port.
    port: u16,
    /// From where.
    sources: BTreeSet<String>,
    /// To where.
    targets: Option<BTreeSet<String>>,
    /// Whether it passes.
    #[attribute(default = true)]
    allow: bool,
}

/// How much it may use.
#[derive(Clone, Schema)]
pub struct Limits {
    /// Processors.
    cpu: f64,
    /// Bytes.
    memory: u64,
    /// How many at once.
    #[attribute(default = 10_i64)]
    parallel: i64,
}

/// A configuration of `bench_wide`'s arguments, each set one to something; `index` tells instances apart.
pub fn arguments(index: &str) -> String {
    let rule = |number: u16| {
        format!(
            r#"{{ name = "rule-{number}", port = {}, sources = ["10.0.{number}.0/24", "10.1.{number}.0/24"], targets = ["a", "b", "c"] }}"#,
            8000 + number
        )
    };
    format!(
        r#"  name    = "instance-{index}"
  zone    = "eu-central-1a"
  size    = 4096
  ratio   = 0.75
  guarded = false
  note    = "One of many, all of them alike but for the name."
  labels  = {{ stage = "bench", region = "eu", tier = "front", shift = "night" }}
  members = ["ada", "grace", "edsger", "barbara", "donald"]
  rules   = [{}, {}, {}]
  limits  = {{ cpu = 1.5, memory = 1073741824 }}
  owner   = "somebody@example.com"
  weight  = 12.5
"#,
        rule(1),
        rule(2),
        rule(3)
    )
}

impl Wide {
    fn done(&self) -> WideState {
        let computed = WideComputed {
            id: format!("wide-{}", self.name),
            endpoint: format!("https://{}.{}.example.com", self.name, self.zone),
            serial: 1,
        };
        self.complete(computed)
    }
}

#[resource(name = "wide")]
impl Resource for Wide {
    type Provider = Bench;

    async fn create(_: &Context<Bench>, plan: Plan<Self>) -> Result<State<Self>> {
        Ok(plan.done())
    }

    // Decodes and encodes the state again, as a resource does that looks at the real object.
    async fn read(_: &Context<Bench>, state: Stored<Self>) -> Result<Read<Self>> {
        Ok(Read::Found(state.done()))
    }

    async fn update(_: &Context<Bench>, _: Stored<Self>, plan: Plan<Self>) -> Result<State<Self>> {
        Ok(plan.done())
    }

    async fn delete(_: &Context<Bench>, _: Stored<Self>) -> Result<()> {
        Ok(())
    }
}
