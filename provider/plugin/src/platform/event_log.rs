//! `streamverse_event_log`: what carries work and events, durable and in order.

use streamverse_model::platform as model;
use streamverse_model::platform::Object;
use tfplugin_framework::schema::{Computed, Path, Secret, Timeouts};
use tfplugin_framework::{
    Context, Draft, Findings, Plan, Read, Resource, Result, Schema, State, Stored, resource,
};

use super::store::{self, Remote, Store, Value, parameter, settled};
use crate::deploy::{self, Imported, deployed};
use crate::provider::Streamverse;

/// An event log: topics of records, durable and in order, that groups of workers share.
///
/// On a node it is owned by one process and lies in a place that the agent gives it; destroying it removes what is in it.
/// With `kafka` it is a cluster of yours, whose topics stay.
#[derive(Clone, Schema)]
pub struct EventLog {
    /// Unique in the deployment; another name is another log.
    #[attribute(
        replace,
        validate(regex(
            "^[a-z0-9]([a-z0-9-]{0,38}[a-z0-9])?$",
            says = "must be 1 to 40 characters of a-z, 0-9 and inner -"
        ))
    )]
    pub name: String,
    /// The site that holds it; where it is remote, the site that holds its secret.
    #[attribute(replace, default = "default")]
    pub site: String,
    /// An Apache Kafka cluster. Required on Kubernetes.
    pub kafka: Option<KafkaBlock>,
    /// Its address for those who use it, known before it is there.
    #[attribute(changes_with = [name, site, kafka])]
    pub url: Computed<String>,
    /// What the site holds, as a digest. It changes when somebody else changed it there: the next apply repairs that.
    #[attribute(changes_with = any)]
    pub revision: Computed<String>,
    /// Deadlines.
    pub timeouts: Timeouts,
}

/// An Apache Kafka cluster.
#[derive(Clone, Schema)]
pub struct KafkaBlock {
    /// Brokers to begin with, `HOST:PORT`.
    #[attribute(validate(length = 1..=64))]
    pub brokers: Vec<String>,
    /// What begins the name of every topic.
    #[attribute(validate(regex(
        "^[A-Za-z0-9._-]{1,200}$",
        says = "must be 1 to 200 of the characters that Kafka allows in names: A-Z a-z 0-9 . _ -"
    )))]
    pub topic_prefix: Option<String>,
    /// Partitions of a topic that is made: the most workers that share it.
    #[attribute(default = 12, validate(range = 1..=10000))]
    pub partitions: u32,
    /// Copies of every record.
    #[attribute(default = 3, validate(range = 1..=15))]
    pub replication: u32,
    /// How long records are kept.
    #[attribute(default = "7days")]
    pub retention: tfplugin_framework::schema::Duration,
    /// Who logs in, by SASL PLAIN without TLS: for a private network. Brokers that ask for TLS are not supported yet.
    pub username: Option<String>,
    /// The password.
    pub password: Option<Secret<String>>,
}

/// What a URL is made of.
struct Parts {
    name: String,
    brokers: Vec<String>,
    prefix: Option<String>,
    partitions: u32,
    replication: u32,
    retention: std::time::Duration,
    username: Option<String>,
}

fn remote_url(parts: Parts) -> String {
    let secret = parts.username.is_some().then(|| store::secret_of::<EventLog>(&parts.name));
    let parameters = [
        ("prefix", parts.prefix),
        ("partitions", Some(parts.partitions.to_string())),
        ("replication", Some(parts.replication.to_string())),
        ("retention_ms", Some(parts.retention.as_millis().to_string())),
        ("username", parts.username),
    ];
    model::remote_url("kafka", &parts.brokers.join(","), "", &parameters, secret)
}

impl Store for EventLog {
    const KIND: &'static str = "event-log";
    const SCHEME: &'static str = "embedded";

    fn place(&self) -> (&str, &str) {
        (&self.name, &self.site)
    }

    fn remote(&self) -> Option<Remote<'_>> {
        let it = self.kafka.as_ref()?;
        let values = it.password.iter().map(|password| ("password", Value::Secret(password))).collect();
        let url = remote_url(Parts {
            name: self.name.clone(),
            brokers: it.brokers.clone(),
            prefix: it.topic_prefix.clone(),
            partitions: it.partitions,
            replication: it.replication,
            retention: it.retention.0,
            username: it.username.clone(),
        });
        Some(Remote { url, values })
    }

    fn local(&self) -> Vec<Object> {
        model::embedded_event_log(&self.name)
    }

    fn known_url(&self) -> Option<String> {
        self.url.known().cloned()
    }

    fn done(self, url: String, revision: String) -> State<Self> {
        self.complete(EventLogComputed { url, revision })
    }
}

#[resource(name = "event_log", timeouts(create = "2m", update = "2m", delete = "2m"))]
impl Resource for EventLog {
    type Provider = Streamverse;

    deployed!();

    async fn update(cx: &Context<Streamverse>, _: Stored<Self>, plan: Plan<Self>) -> Result<State<Self>> {
        deploy::put(cx, plan).await
    }

    fn validate(config: &EventLogView, findings: &mut Findings) {
        let Some(it) = config.kafka.known() else { return };
        for (at, broker) in it.brokers.known().into_iter().flatten().enumerate() {
            if let Some(text) = broker.known().filter(|text| !model::is_broker(text)) {
                findings.refuse(
                    Path::attribute("kafka").attr("brokers").index(at),
                    "No address of a broker",
                    format!(
                        "{text:?} must be HOST:PORT, such as kafka-0.example.org:9092 or [2001:db8::1]:9092."
                    ),
                );
            }
        }
        let secret = &it.password;
        let given = !(secret.value.is_null() && secret.reference.is_null());
        if it.username.known().is_some() != given && !it.username.is_unknown() {
            findings.refuse(
                Path::attribute("kafka").attr("username"),
                "Half of a credential",
                "Give both username and password_wo (or password_ref), or neither.",
            );
        }
    }

    async fn modify_plan(cx: &Context<Streamverse>, draft: &mut Draft<Self>) -> Result<()> {
        if draft.is_destroy() {
            return Ok(());
        }
        let remote = planned_url(draft.config()?);
        match store::plan(cx, draft, remote, "kafka")? {
            Some(Some(url)) => draft.set(Self::url(), &url),
            Some(None) => draft.set_unknown(Self::url()),
            None => Ok(()),
        }
    }

    async fn import(cx: &Context<Streamverse>, id: &str) -> Result<State<Self>> {
        let (found, remote) = store::find::<Self>(cx, id).await?;
        let Imported { site, name, observed } = found;
        let local = deploy::local_url(Self::SCHEME, &site, &name);
        let url = model::remote_store_url(&observed.bundle.objects).map_or(local, str::to_owned);
        let kafka = remote.as_ref().map(imported);
        let timeouts = Timeouts::default();
        Ok(EventLogState { name, site, kafka, url, revision: observed.revision, timeouts })
    }
}

/// The remote URL; the outer `None` while it is unknown.
fn planned_url(view: EventLogView) -> Option<Option<String>> {
    let name = view.name;
    let Some(it) = settled(view.kafka)? else { return Some(None) };
    let mut brokers = Vec::new();
    for broker in settled(it.brokers)?? {
        brokers.push(settled(broker)??);
    }
    let week = std::time::Duration::from_secs(7 * 24 * 3600);
    Some(Some(remote_url(Parts {
        name: settled(name)??,
        brokers,
        prefix: settled(it.topic_prefix)?,
        partitions: settled(it.partitions)?.unwrap_or(12),
        replication: settled(it.replication)?.unwrap_or(3),
        retention: settled(it.retention)?.map_or(week, |it| it.0),
        username: settled(it.username)?,
    })))
}

/// The block of a URL, without its secret: nobody can read that back.
fn imported(url: &url::Url) -> KafkaBlock {
    let number = |name: &str| parameter(url, name).and_then(|text| text.parse().ok());
    let retention = std::time::Duration::from_millis(number("retention_ms").unwrap_or_default());
    // A URL has one host, so the model keeps all of them as a parameter.
    let brokers = parameter(url, "brokers").unwrap_or_default();
    KafkaBlock {
        brokers: brokers.split(',').map(str::to_owned).collect(),
        topic_prefix: parameter(url, "prefix"),
        partitions: number("partitions").and_then(|it| u32::try_from(it).ok()).unwrap_or(12),
        replication: number("replication").and_then(|it| u32::try_from(it).ok()).unwrap_or(3),
        retention: tfplugin_framework::schema::Duration(retention),
        username: parameter(url, "username"),
        password: None,
    }
}
