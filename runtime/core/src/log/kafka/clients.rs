//! The clients that all calls share, and what they tell when something is wrong.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rdkafka::ClientContext;
use rdkafka::admin::AdminClient;
use rdkafka::config::{ClientConfig, FromClientConfigAndContext as _, RDKafkaLogLevel};
use rdkafka::consumer::{BaseConsumer, ConsumerContext};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::producer::{FutureProducer, Producer as _};
use tokio::sync::{OwnedMutexGuard, watch};
use tracing::{debug, warn};

use super::settings::Settings;
use super::{LARGEST, PATIENCE};
use crate::error::{Error, Result};
use crate::stores::tls::{self, Pems};

/// One question to a broker.
pub(super) const ANSWER: Duration = Duration::from_secs(15);
/// By when librdkafka tried a refused login again: its longest pause between connections, and the answer.
const LOGIN: Duration = Duration::from_secs(6);
/// More groups than this are asked for with connections of their own.
const MOST_GROUPS: usize = 64;

/// Sees what librdkafka tells apart from its answers.
#[derive(Clone)]
pub(super) struct Watch {
    brokers: String,
    /// Whether the last connection was refused. librdkafka tells it once, here only, and tries again until a deadline.
    refused: Arc<watch::Sender<Option<Refused>>>,
}

/// Why no broker lets us in.
#[derive(Clone, Debug)]
pub(super) enum Refused {
    Login,
    /// Either side does not trust the other; in OpenSSL's words.
    Tls(String),
}

impl ClientContext for Watch {
    fn log(&self, level: RDKafkaLogLevel, about: &str, text: &str) {
        debug!(?level, about, text, "librdkafka");
    }

    fn error(&self, error: KafkaError, reason: &str) {
        match error.rdkafka_error_code() {
            Some(RDKafkaErrorCode::Authentication | RDKafkaErrorCode::SaslAuthenticationFailed) => {
                self.refused.send_replace(Some(Refused::Login));
                warn!(brokers = self.brokers, "The event log refuses the login.");
            }
            Some(code) if is_distrust(code, reason) => {
                // A member is told the code alone: what is known in words stays.
                self.refused.send_if_modified(|refused| {
                    let better = !reason.is_empty() || refused.is_none();
                    if better {
                        *refused = Some(Refused::Tls(reason.to_owned()));
                    }
                    better
                });
                warn!(brokers = self.brokers, reason, "TLS to the event log fails.");
            }
            Some(RDKafkaErrorCode::AllBrokersDown) => {
                warn!(brokers = self.brokers, "No broker of the event log answers.");
            }
            _ => debug!(%error, reason, "librdkafka"),
        }
    }
}

/// Whether one side does not trust the other. A server that dies while it shakes hands is another matter; what a server
/// has against us comes after the handshake, as a broken connection.
fn is_distrust(code: RDKafkaErrorCode, reason: &str) -> bool {
    match code {
        RDKafkaErrorCode::SSL => !reason.contains("unexpected eof"),
        RDKafkaErrorCode::BrokerTransportFailure => reason.contains("SSL alert number"),
        _ => false,
    }
}

impl ConsumerContext for Watch {}

/// What a topic is like.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Shape {
    pub(super) partitions: i32,
    /// Of the partition that has the fewest.
    pub(super) copies: usize,
}

/// A consumer that is in no group.
pub(super) type Reader = BaseConsumer<Watch>;

pub(super) struct Clients {
    pub(super) producer: FutureProducer<Watch>,
    pub(super) admin: AdminClient<Watch>,
    config: ClientConfig,
    watch: Watch,
    reader: Arc<tokio::sync::Mutex<Reader>>,
    groups: Mutex<BTreeMap<String, Arc<Reader>>>,
}

impl Clients {
    pub(super) fn new(
        settings: &Settings,
        password: Option<String>,
        pems: Pems,
        owner: &str,
    ) -> Result<Clients> {
        let mut config = ClientConfig::new();
        config
            .set("bootstrap.servers", &settings.brokers)
            .set("client.id", format!("streamverse-{owner}"))
            .set("socket.keepalive.enable", "true")
            .set("reconnect.backoff.ms", "100")
            .set("reconnect.backoff.max.ms", "5000")
            // A topic is made by ensure_topic, with the partitions it needs; never by a wrong name.
            .set("allow.auto.create.topics", "false")
            .set("topic.metadata.propagation.max.ms", "5000")
            .set_log_level(RDKafkaLogLevel::Warning);
        config.set(
            "security.protocol",
            match (settings.tls, &password) {
                (false, None) => "PLAINTEXT",
                (false, Some(_)) => "SASL_PLAINTEXT",
                (true, None) => "SSL",
                (true, Some(_)) => "SASL_SSL",
            },
        );
        if let (Some(username), Some(password)) = (&settings.username, password) {
            config
                .set("sasl.mechanism", settings.sasl.name())
                .set("sasl.username", username)
                .set("sasl.password", password);
        }
        if settings.tls {
            trust(&mut config, pems);
        }
        let watch = Watch { brokers: settings.brokers.clone(), refused: Arc::new(watch::Sender::new(None)) };
        let unusable = |error| unusable(&settings.brokers, error);
        let mut producing = config.clone();
        producing
            .set("acks", "all")
            .set("enable.idempotence", "true")
            // As Java's clients place keys, so that a topic may be written by both.
            .set("partitioner", "murmur2_random")
            .set("linger.ms", "1") // callers wait for each record: what is sent together came together
            .set("compression.type", "lz4")
            .set("message.max.bytes", most_bytes())
            .set("delivery.timeout.ms", PATIENCE.as_millis().to_string());
        let producer =
            FutureProducer::from_config_and_context(&producing, watch.clone()).map_err(unusable)?;
        let admin = AdminClient::from_config_and_context(&config, watch.clone()).map_err(unusable)?;
        let reader = make_reader(&config, "streamverse-readers", &watch)?;
        let reader = Arc::new(tokio::sync::Mutex::new(reader));
        Ok(Clients { producer, admin, config, watch, reader, groups: Mutex::default() })
    }

    /// The consumer that reads whole topics, for one caller at a time.
    pub(super) async fn reader(&self) -> Result<OwnedMutexGuard<Reader>> {
        let waiting = Arc::clone(&self.reader).lock_owned();
        tokio::time::timeout(PATIENCE, waiting)
            .await
            .map_err(|_| self.away("others read from it for too long"))
    }

    /// A consumer that sees what a group committed, without joining it.
    pub(super) fn group(&self, group: &str) -> Result<Arc<Reader>> {
        let mut groups = self.groups.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(reader) = groups.get(group) {
            return Ok(Arc::clone(reader));
        }
        let reader = Arc::new(make_reader(&self.config, group, &self.watch)?);
        if groups.len() < MOST_GROUPS {
            groups.insert(group.to_owned(), Arc::clone(&reader));
        }
        Ok(reader)
    }

    /// For a client of its own: a member of a group.
    pub(super) fn config(&self) -> ClientConfig {
        self.config.clone()
    }

    pub(super) fn watch(&self) -> &Watch {
        &self.watch
    }

    /// How many partitions a topic has; 0 where it is not there.
    pub(super) async fn partitions(&self, topic: &str) -> Result<i32> {
        Ok(self.shape(topic).await?.partitions)
    }

    /// What a topic is like; no partitions where it is not there.
    pub(super) async fn shape(&self, topic: &str) -> Result<Shape> {
        let (producer, topic) = (self.producer.clone(), topic.to_owned());
        let asked = move || {
            let told = match producer.client().fetch_metadata(Some(&topic), ANSWER) {
                Err(error) if is_unknown_topic(&error) => return Ok(Shape::default()),
                told => told?,
            };
            let found = told.topics().iter().find(|it| it.name() == topic && it.error().is_none());
            Ok(found.map_or_else(Shape::default, |it| Shape {
                partitions: i32::try_from(it.partitions().len()).unwrap_or(i32::MAX),
                copies: it.partitions().iter().map(|one| one.replicas().len()).min().unwrap_or_default(),
            }))
        };
        self.blocking("it does not answer", asked).await
    }

    /// A question that waits in a thread of its own, asked again while brokers are away.
    pub(super) async fn blocking<T: Send + 'static>(
        &self,
        what: &str,
        ask: impl FnMut() -> std::result::Result<T, KafkaError> + Send + 'static,
    ) -> Result<T> {
        let until = std::time::Instant::now() + PATIENCE;
        let work = tokio::task::spawn_blocking(move || patiently(until, ask));
        let answer = async {
            work.await
                .map_err(|error| Error::permanent("panicked", "a question to Kafka panicked").because(error))
        };
        self.unless_refused(answer).await?.map_err(|error| self.failed(what, error))
    }

    /// An answer, or the refusal of the connection, if that comes first.
    pub(super) async fn unless_refused<T, E>(
        &self,
        answer: impl Future<Output = Result<std::result::Result<T, E>>>,
    ) -> Result<std::result::Result<T, E>> {
        let refusal = async {
            let mut refused = self.watch.refused.subscribe();
            if refused.borrow_and_update().is_some() {
                // An earlier connection was refused: this call is the chance for one that is not.
                tokio::time::sleep(LOGIN).await;
            }
            let told = refused.wait_for(Option::is_some).await.is_ok();
            debug!(told, "No answer is waited for where the connection is refused.");
        };
        tokio::select! {
            biased;
            answer = answer => {
                if matches!(answer, Ok(Ok(_))) {
                    self.watch.refused.send_if_modified(|refused| refused.take().is_some());
                }
                answer
            }
            () = refusal => Err(self.watch.refusal()),
        }
    }

    pub(super) fn failed(&self, what: &str, error: KafkaError) -> Error {
        self.watch.failed(what, error)
    }

    pub(super) fn away(&self, what: &str) -> Error {
        Error::passing("store-unreachable", format!("the event log at {}: {what}", self.watch.brokers))
    }
}

impl Watch {
    /// Why no connection comes about.
    pub(super) fn refusal(&self) -> Error {
        if let Some(Refused::Tls(reason)) = &*self.refused.borrow() {
            return tls::distrust(&format!("the event log at {}", self.brokers))
                .because(std::io::Error::other(reason.clone()));
        }
        let text = format!(
            "the event log at {} refuses the login: set user and password in its resource",
            self.brokers
        );
        Error::passing("store-credentials", text)
    }

    /// What went wrong with the brokers.
    pub(super) fn failed(&self, what: &str, error: KafkaError) -> Error {
        use RDKafkaErrorCode as Code;
        let code = match error.rdkafka_error_code() {
            Some(Code::SSL) => {
                return tls::distrust(&format!("the event log at {}", self.brokers)).because(error);
            }
            Some(Code::SaslAuthenticationFailed | Code::Authentication) => {
                return self.refusal().because(error);
            }
            Some(
                Code::TopicAuthorizationFailed
                | Code::GroupAuthorizationFailed
                | Code::ClusterAuthorizationFailed,
            ) => "store-credentials",
            _ => "store-unreachable",
        };
        Error::passing(code, format!("the event log at {}: {what}", self.brokers)).because(error)
    }
}

/// Whom we trust, and who we are.
fn trust(config: &mut ClientConfig, pems: Pems) {
    config
        .set("enable.ssl.certificate.verification", "true")
        .set("ssl.endpoint.identification.algorithm", "https");
    match pems.ca {
        Some(ca) => config.set("ssl.ca.pem", ca),
        // OpenSSL is our own and knows no system: librdkafka looks where systems keep theirs.
        None => config.set("ssl.ca.location", "probe"),
    };
    if let Some((chain, key)) = pems.own {
        config.set("ssl.certificate.pem", chain).set("ssl.key.pem", key);
    }
}

/// Asks again while it may help. Metadata and watermarks fail at once on a connection that has just broken.
pub(super) fn patiently<T>(
    until: std::time::Instant,
    mut ask: impl FnMut() -> std::result::Result<T, KafkaError>,
) -> std::result::Result<T, KafkaError> {
    let mut pause = Duration::from_millis(50);
    loop {
        let error = match ask() {
            Err(error) if passes(&error) => error,
            settled => return settled,
        };
        if std::time::Instant::now() + pause >= until {
            return Err(error);
        }
        debug!(%error, "The event log is away; trying again.");
        std::thread::sleep(pause.mul_f64(rand::random_range(0.5..1.0)));
        pause = (pause * 2).min(Duration::from_secs(2));
    }
}

fn passes(error: &KafkaError) -> bool {
    use RDKafkaErrorCode as Code;
    matches!(
        error.rdkafka_error_code(),
        Some(
            Code::BrokerTransportFailure
                | Code::AllBrokersDown
                | Code::OperationTimedOut
                | Code::RequestTimedOut
                | Code::Resolve
                | Code::WaitingForCoordinator
                | Code::CoordinatorLoadInProgress
                | Code::CoordinatorNotAvailable
                | Code::NotCoordinator
                | Code::NotLeaderForPartition
                | Code::LeaderNotAvailable
                | Code::BrokerNotAvailable
                | Code::NetworkException
                | Code::RebalanceInProgress
                | Code::InProgress
        )
    )
}

pub(super) fn is_unknown_topic(error: &KafkaError) -> bool {
    use RDKafkaErrorCode as Code;
    matches!(
        error.rdkafka_error_code(),
        Some(Code::UnknownTopic | Code::UnknownTopicOrPartition | Code::UnknownPartition)
    )
}

/// What a broker must take: the largest record, and what is written around it.
pub(super) fn most_bytes() -> String {
    (LARGEST + (1 << 20)).to_string()
}

fn make_reader(config: &ClientConfig, group: &str, watch: &Watch) -> Result<Reader> {
    let mut config = config.clone();
    config
        .set("group.id", group)
        .set("enable.auto.commit", "false")
        .set("enable.auto.offset.store", "false")
        .set("enable.partition.eof", "true")
        .set("auto.offset.reset", "earliest");
    Reader::from_config_and_context(&config, watch.clone()).map_err(|error| unusable(&watch.brokers, error))
}

/// The text of such an error may hold the value of a setting, so only its kind is told.
pub(super) fn unusable(brokers: &str, error: KafkaError) -> Error {
    let kind = match error {
        KafkaError::ClientConfig(_, _, key, _) => format!("librdkafka does not take {key}"),
        _ => "librdkafka makes no client".to_owned(),
    };
    Error::permanent("store-url", format!("the event log at {brokers} cannot be used: {kind}"))
}
