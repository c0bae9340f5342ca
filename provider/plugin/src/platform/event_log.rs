//! `streamverse_event_log`: what carries work and events, durable and in order.

use streamverse_model::platform as model;
use streamverse_model::platform::Object;
use tfplugin_framework::schema::{Computed, Path, Secret, Timeouts};
use tfplugin_framework::{
    Context, Draft, Error, Findings, Maybe, Plan, Read, Resource, Result, Schema, State, Stored, resource,
};

use super::store::{self, Remote, Store, Value, parameter, settled};
use super::tls::{self, TlsBlock, Trust};
use crate::deploy::{self, Imported, deployed};
use crate::provider::Streamverse;

/// An event log: topics of records, durable and in order, that groups of workers share.
///
/// On a node it is owned by one process and lies in a place that the agent gives it; destroying it removes what is in it.
/// With `kafka` it is a cluster of yours, whose topics stay.
///
/// Not proved live: on Kubernetes it was held by a real API server with simulated nodes, whose pods never ran.
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
    /// What begins the name of every topic and every group: the deployment's name and `-` where none is given, so that
    /// deployments may share a cluster. With `""` nothing does, and the cluster must be this deployment's alone.
    #[attribute(validate(regex(
        "^[A-Za-z0-9._-]{0,200}$",
        says = "must be at most 200 of the characters that Kafka allows in names: A-Z a-z 0-9 . _ -"
    )))]
    pub topic_prefix: Option<String>,
    /// Partitions of a topic: the most workers that share it. More of them are added to topics that are there; fewer are
    /// refused.
    #[attribute(default = 12, validate(range = 1..=10000))]
    pub partitions: u32,
    /// Copies of every record of a topic that is made. Those that are there keep theirs.
    #[attribute(default = 3, validate(range = 1..=15))]
    pub replication: u32,
    /// How long records are kept. Topics that are there are brought to it, and kept so when somebody changes them by hand.
    #[attribute(default = "7days")]
    pub retention: tfplugin_framework::schema::Duration,
    /// Who logs in.
    pub username: Option<String>,
    /// The password.
    pub password: Option<Secret<String>>,
    /// How the password is shown to the brokers: `PLAIN` tells it to them, `SCRAM-SHA-256` and `SCRAM-SHA-512` prove that
    /// it is known.
    #[attribute(
        default = "PLAIN",
        validate(one_of = ["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"])
    )]
    pub sasl: String,
    /// TLS to the brokers; none where it is not set.
    pub tls: Option<TlsBlock>,
}

/// What brokers understand where nothing is said.
const PLAIN: &str = "PLAIN";

/// What begins the names of a deployment's topics where nothing is said.
fn prefix_of(deployment: &str) -> String {
    format!("{deployment}-")
}

/// What a URL is made of.
struct Parts {
    name: String,
    brokers: Vec<String>,
    prefix: String,
    partitions: u32,
    replication: u32,
    retention: std::time::Duration,
    username: Option<String>,
    sasl: String,
    tls: Option<Trust>,
}

fn remote_url(parts: Parts) -> String {
    let own = store::secret_of::<EventLog>(&parts.name);
    let [ca, certificate] = Trust::parameters(parts.tls.as_ref(), &own);
    let secret = parts.username.is_some().then_some(own);
    let sasl = parts.username.as_ref().map(|_| parts.sasl).filter(|sasl| sasl != PLAIN);
    let parameters = [
        ("prefix", Some(parts.prefix).filter(|prefix| !prefix.is_empty())),
        ("partitions", Some(parts.partitions.to_string())),
        ("replication", Some(parts.replication.to_string())),
        ("retention_ms", Some(parts.retention.as_millis().to_string())),
        ("username", parts.username),
        ("sasl", sasl),
        ("tls", parts.tls.map(|_| "true".to_owned())),
        ca,
        certificate,
    ];
    model::remote_url("kafka", &parts.brokers.join(","), "", &parameters, secret)
}

impl Store for EventLog {
    const KIND: &'static str = "event-log";
    const SCHEME: &'static str = "embedded";

    fn place(&self) -> (&str, &str) {
        (&self.name, &self.site)
    }

    fn remote(&self, deployment: &str) -> Option<Remote<'_>> {
        let it = self.kafka.as_ref()?;
        let mut values: Vec<_> =
            it.password.iter().map(|password| ("password", Value::Secret(password))).collect();
        values.extend(it.tls.iter().flat_map(TlsBlock::values));
        let url = remote_url(Parts {
            name: self.name.clone(),
            brokers: it.brokers.clone(),
            prefix: it.topic_prefix.clone().unwrap_or_else(|| prefix_of(deployment)),
            partitions: it.partitions,
            replication: it.replication,
            retention: it.retention.0,
            username: it.username.clone(),
            sasl: it.sasl.clone(),
            tls: it.tls.as_ref().map(TlsBlock::trust),
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
        tls::check("kafka", &it.tls, findings);
        if given {
            let brokers = it.brokers.known().into_iter().flatten().filter_map(Maybe::known);
            let hosts =
                brokers.map(|broker| broker.rsplit_once(':').map_or(broker.as_str(), |(host, _)| host));
            tls::warn_without("kafka", &it.tls, hosts, findings);
        }
        store::warn_shared("kafka", "topic_prefix", &it.topic_prefix, findings);
    }

    async fn modify_plan(cx: &Context<Streamverse>, draft: &mut Draft<Self>) -> Result<()> {
        if draft.is_destroy() {
            return Ok(());
        }
        check_topics(cx, draft)?;
        let remote = planned_url(draft.config()?, cx.provider().deployment());
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
        let kafka =
            remote.as_ref().map(|url| imported(url, &observed.bundle.owner, deploy::found_secret(&observed)));
        let timeouts = Timeouts::default();
        Ok(EventLogState { name, site, kafka, url, revision: observed.revision, timeouts })
    }
}

/// What cannot be done to topics that are there, while they stay the same ones.
fn check_topics(cx: &Context<Streamverse>, draft: &Draft<EventLog>) -> Result<()> {
    let Some(prior) = draft.prior()? else { return Ok(()) };
    let (Maybe::Known(before), Maybe::Known(now)) = (prior.kafka, draft.planned()?.kafka) else {
        return Ok(());
    };
    let brokers = |block: &KafkaBlockView| -> Vec<String> {
        block.brokers.known().into_iter().flatten().filter_map(Maybe::known).cloned().collect()
    };
    let (old, new) = (brokers(&before), brokers(&now));
    let same_cluster = new.iter().any(|broker| old.contains(broker));
    if !same_cluster || before.topic_prefix.known() != now.topic_prefix.known() {
        return Ok(());
    }
    let at = |attribute: &str| Path::attribute("kafka").attr(attribute);
    if let (Some(had), Some(wanted)) = (before.partitions.known(), now.partitions.known())
        && wanted < had
    {
        let text = format!("partitions cannot be taken from topics that are there: they have {had}");
        return Err(Error::invalid(text)
            .at(at("partitions"))
            .next(format!("Keep {had} or more, or give another topic_prefix: its topics are new.")));
    }
    if let (Some(had), Some(wanted)) = (before.replication.known(), now.replication.known())
        && wanted != had
    {
        cx.warn_at(
            at("replication"),
            "Topics that are there keep their copies",
            format!(
                "Topics that are made from now on have {wanted} copies of every record, those that are there go on with {had}: `kafka-reassign-partitions` changes them."
            ),
        );
    }
    Ok(())
}

/// The remote URL; the outer `None` while it is unknown.
fn planned_url(view: EventLogView, deployment: Option<&str>) -> Option<Option<String>> {
    let name = view.name;
    let Some(it) = settled(view.kafka)? else { return Some(None) };
    let mut brokers = Vec::new();
    for broker in settled(it.brokers)?? {
        brokers.push(settled(broker)??);
    }
    let prefix = match settled(it.topic_prefix)? {
        Some(prefix) => prefix,
        None => prefix_of(deployment?),
    };
    let week = std::time::Duration::from_secs(7 * 24 * 3600);
    Some(Some(remote_url(Parts {
        name: settled(name)??,
        brokers,
        prefix,
        partitions: settled(it.partitions)?.unwrap_or(12),
        replication: settled(it.replication)?.unwrap_or(3),
        retention: settled(it.retention)?.map_or(week, |it| it.0),
        username: settled(it.username)?,
        sasl: settled(it.sasl)?.unwrap_or_else(|| PLAIN.to_owned()),
        tls: tls::planned(it.tls)?,
    })))
}

/// The block of a URL; of its secret the version is all that can be read back.
fn imported(url: &url::Url, owner: &model::Owner, password: Option<Secret<String>>) -> KafkaBlock {
    let number = |name: &str| parameter(url, name).and_then(|text| text.parse().ok());
    let retention = std::time::Duration::from_millis(number("retention_ms").unwrap_or_default());
    // A URL has one host, so the model keeps all of them as a parameter.
    let brokers = parameter(url, "brokers").unwrap_or_default();
    KafkaBlock {
        brokers: brokers.split(',').map(str::to_owned).collect(),
        topic_prefix: Some(parameter(url, "prefix").unwrap_or_default())
            .filter(|prefix| *prefix != prefix_of(owner.deployment.as_str())),
        partitions: number("partitions").and_then(|it| u32::try_from(it).ok()).unwrap_or(12),
        replication: number("replication").and_then(|it| u32::try_from(it).ok()).unwrap_or(3),
        retention: tfplugin_framework::schema::Duration(retention),
        username: parameter(url, "username"),
        password,
        sasl: parameter(url, "sasl").unwrap_or_else(|| PLAIN.to_owned()),
        tls: parameter(url, "tls").map(|_| TlsBlock::imported()),
    }
}
