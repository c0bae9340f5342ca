//! The definition of done, resource by resource, on a real API server: created with an empty plan after it, changed in
//! place, replaced under another name without anything left of the old one, repaired after somebody's change by hand,
//! imported into an empty plan, destroyed without a trace.

use serde_json::{Value, json};
use streamverse_acceptance::ADDRESS;
use streamverse_acceptance::cluster::Cluster;
use tfplugin_testing::cli::{Action, Case, Cli, Failure, Id, Step, action, not_tainted};

use crate::hcl::{binary, block};
use crate::kafka::STRIMZI;
use crate::lifecycle::nothing_left;

/// Stores by their addresses alone: who uses them does not care who made them.
const STORES: &str = "object_store = \"s3://media?region=us-east-1\"\n  catalogue = \"postgres://streamverse@db.example:5432/catalogue\"";

/// A resource as this suite puts it to the test.
struct Subject {
    /// Its type, without `streamverse_`.
    kind: &'static str,
    /// Its arguments but for `name`, before and after a change in place.
    before: String,
    after: String,
    /// What else must be there.
    beside: String,
    /// An object of it below the namespace, for a name: what somebody changes or takes away.
    object: &'static str,
    /// What somebody changes in it; they delete it where that is none.
    spoil: Option<Value>,
}

impl Subject {
    fn new(
        kind: &'static str,
        before: &str,
        after: &str,
        object: &'static str,
        spoil: Option<Value>,
    ) -> Subject {
        Subject {
            kind,
            before: before.to_owned(),
            after: after.to_owned(),
            beside: String::new(),
            object,
            spoil,
        }
    }

    fn hcl(&self, block: &str, name: &str, arguments: &str) -> String {
        format!(
            "{block}{}resource \"streamverse_{}\" \"it\" {{\n  name = \"{name}\"\n  site = \"default\"\n  {arguments}\n}}\n",
            self.beside, self.kind
        )
    }

    fn done(&self) -> Result<(), Failure> {
        let Some(cluster) = Cluster::shared() else { return Ok(()) };
        if self.kind == "kafka_cluster" && !cluster.load_crds(STRIMZI) {
            return Ok(());
        }
        let cli = Cli::terraform()?;
        let namespace = &cluster.namespace(&self.kind.replace('_', "-"));
        let block = block(cluster, namespace);
        let at = format!("streamverse_{}.it", self.kind);
        let path = |name: &str| {
            let (root, rest) = self.object.split_once('/').unwrap_or_default();
            let (version, rest) = rest.rsplit_once("//").unwrap_or_default();
            format!("/{root}/{version}/namespaces/{namespace}/{}", rest.replace("NAME", name))
        };
        let there = |name: &str| cluster.request("GET", &path(name), None);
        let change = action(&at, Action::Update);
        let late = self.kind == "kafka_cluster"; // nobody plays its operator here
        let step = |name: &str, arguments: &str| {
            let step = Step::apply(self.hcl(&block, name, arguments)).state(not_tainted(&at));
            match self.kind {
                _ if late => step.expect_warning("(?s)not ready"),
                // Only the job reaches the bucket that its source lies in.
                "vod_asset" => step.expect_warning("The source was not looked at"),
                _ => step.expect_no_warnings(),
            }
        };
        let uid = std::cell::RefCell::new(Value::Null);
        Case::new(&cli)
            .named(self.kind)
            .provider(ADDRESS, binary("terraform-provider-streamverse"))
            .step(step("one", &self.before).named("create").plan(action(&at, Action::Create)).after(|_| {
                let (status, live) = there("one");
                assert_eq!(status, 200, "{}: {live}", path("one"));
                Ok(())
            }))
            .step(step("one", &self.after).named("change in place").plan(change).after(|_| {
                *uid.borrow_mut() = there("one").1["metadata"]["uid"].clone();
                Ok(())
            }))
            .step(
                Step::reapply()
                    .named("somebody changed it by hand")
                    .before(|_| {
                        let place = format!("{}?fieldManager=kubectl-edit", path("one"));
                        let (status, told) = match &self.spoil {
                            Some(spoil) => cluster.merge(&place, spoil),
                            None => cluster.request(
                                "DELETE",
                                &path("one"),
                                Some(json!({ "propagationPolicy": "Background" })),
                            ),
                        };
                        assert_eq!(status, 200, "{told}");
                        let gone = || {
                            self.spoil.is_some()
                                || there("one").0 == 404
                                || there("one").1["metadata"]["uid"] != *uid.borrow()
                        };
                        assert!((0..100).any(|_| gone() || {
                            std::thread::sleep(std::time::Duration::from_millis(100));
                            false
                        }));
                        Ok(())
                    })
                    .plan(action(&at, Action::Update))
                    .after(|_| {
                        let (status, live) = there("one");
                        assert_eq!(status, 200, "it was not repaired");
                        if let Some(spoil) = &self.spoil {
                            assert!(!contains(&live, spoil), "it was not repaired: {live}");
                        }
                        Ok(())
                    }),
            )
            .step({
                // Nobody but the configuration knows the deadlines.
                let timeless: String = self
                    .after
                    .lines()
                    .filter(|line| !line.contains("timeouts"))
                    .fold(String::new(), |all, line| all + line + "\n");
                Step::import(&at, Id::attribute("name"))
                    .by_block()
                    .config(self.hcl(&block, "one", &timeless))
                    .ignoring(&["timeouts"])
            })
            .step(step("two", &self.after).named("another name").plan(action(&at, Action::Replace)).after(
                |_| {
                    assert_eq!(there("one").0, 404, "the old one is still there");
                    assert_eq!(there("two").0, 200);
                    let left: Vec<String> =
                        cluster.left_in(namespace).into_iter().filter(|it| it.contains("-one")).collect();
                    assert!(left.is_empty(), "left of the old name: {left:?}");
                    Ok(())
                },
            ))
            .check_destroyed(|_| {
                assert_eq!(there("two").0, 404, "it is still there");
                nothing_left(cluster, namespace).map_err(Into::into)
            })
            .run()
            .map(|_| ())
    }
}

/// Whether a value has all of another.
fn contains(value: &Value, part: &Value) -> bool {
    match part {
        Value::Object(part) => part.iter().all(|(key, part)| contains(&value[key], part)),
        part => value == part,
    }
}

#[test]
fn an_object_store_is_done() -> Result<(), Failure> {
    let s3 = |bucket: &str, version: u32| {
        format!(
            "s3 = {{ bucket = \"{bucket}\", access_key_id = \"id\", secret_access_key_wo = \"planted-{version}\", secret_access_key_wo_version = {version} }}"
        )
    };
    let spoil = json!({ "data": { "url": "s3://mine" } });
    let object = "api/v1//configmaps/test-object-store-NAME-files-store";
    Subject::new("object_store", &s3("media", 1), &s3("films", 2), object, Some(spoil)).done()
}

#[test]
fn an_event_log_is_done() -> Result<(), Failure> {
    let kafka = |partitions: u32| {
        format!(
            "kafka = {{ brokers = [\"a.example:9092\", \"b.example:9092\"], partitions = {partitions}, username = \"u\", tls = {{}}, password_wo = \"planted\", password_wo_version = {partitions} }}"
        )
    };
    Subject::new(
        "event_log",
        &kafka(6),
        &kafka(12),
        "api/v1//secrets/test-event-log-NAME-secret",
        Some(json!({ "metadata": { "annotations": { "streamverse.io/version": "77" } } })),
    )
    .done()
}

#[test]
fn a_catalogue_is_done() -> Result<(), Failure> {
    let postgres = |host: &str| {
        format!(
            "postgres = {{ host = \"{host}\", user = \"streamverse\", database = \"catalogue\", tls = {{}}, password_wo = \"planted\", password_wo_version = 1 }}"
        )
    };
    let object = "api/v1//configmaps/test-catalogue-NAME-files-store";
    Subject::new("catalogue", &postgres("a.example"), &postgres("b.example"), object, None).done()
}

#[test]
fn a_cache_is_done() -> Result<(), Failure> {
    let redis = |database: u32| format!("redis = {{ host = \"cache.example\", database = {database} }}");
    let object = "api/v1//configmaps/test-cache-NAME-files-store";
    Subject::new("cache", &redis(0), &redis(1), object, Some(json!({ "data": { "url": "redis://mine" } })))
        .done()
}

#[test]
fn a_transcoder_is_done() -> Result<(), Failure> {
    let it = |concurrency: u32| {
        format!(
            "concurrency = {concurrency}\n  event_log = \"kafka://kafka.example:9092?partitions=12&replication=3\"\n  {STORES}"
        )
    };
    let object = "apis/apps/v1//deployments/test-transcoder-NAME";
    Subject::new("transcoder", &it(1), &it(2), object, None).done()
}

#[test]
fn a_vod_asset_is_done() -> Result<(), Failure> {
    let it = |digit: &str| {
        format!(
            "source = {{ url = \"s3://media/film.mp4\", digest = \"sha256:{}\" }}\n  ladder = streamverse_transcode_ladder.small.definition\n  transcoder = streamverse_transcoder.main.name",
            digit.repeat(64)
        )
    };
    let mut subject = Subject::new(
        "vod_asset",
        &it("a"),
        &it("b"),
        "apis/networking.k8s.io/v1//networkpolicies/test-vod-asset-NAME",
        None,
    );
    subject.beside = format!(
        "resource \"streamverse_transcode_ladder\" \"small\" {{\n  video = [{{ name = \"180p\", height = 180, bit_rate = 200000 }}]\n  audio = [{{ name = \"stereo\" }}]\n}}\nresource \"streamverse_transcoder\" \"main\" {{\n  name = \"main\"\n  event_log = \"kafka://kafka.example:9092?partitions=12&replication=3\"\n  {STORES}\n}}\n"
    );
    subject.done()
}

#[test]
fn an_origin_is_done() -> Result<(), Failure> {
    let it = |port: u16| format!("port = {port}\n  {STORES}");
    let spoil = json!({ "spec": { "replicas": 5 } });
    Subject::new("origin", &it(8080), &it(8090), "apis/apps/v1//deployments/test-origin-NAME", Some(spoil))
        .done()
}

#[test]
fn an_edge_is_done() -> Result<(), Failure> {
    let it = |memory: &str| {
        format!(
            "origins = [{{ url = \"http://origin.example:8080\" }}]\n  storage = \"64MiB\"\n  memory = \"{memory}\""
        )
    };
    let spoil = json!({ "spec": { "updateStrategy": { "rollingUpdate": { "maxUnavailable": 2 } } } });
    Subject::new(
        "ats_edge",
        &it("32MiB"),
        &it("64MiB"),
        "apis/apps/v1//daemonsets/test-ats-edge-NAME",
        Some(spoil),
    )
    .done()
}

#[test]
fn a_web_player_is_done() -> Result<(), Failure> {
    let it = |title: &str| {
        format!(
            "title = \"{title}\"\n  catalogue = \"postgres://streamverse@db.example:5432/catalogue\"\n  delivery = \"http://edge.example\""
        )
    };
    Subject::new("web_player", &it("One"), &it("Two"), "api/v1//services/test-web-player-NAME-http", None)
        .done()
}

#[test]
fn a_kafka_cluster_is_done() -> Result<(), Failure> {
    let it = |brokers: u32| {
        format!(
            "brokers = {brokers}\n  storage = \"120GiB\"\n  topics = {{ work = {{ partitions = 12, retention = \"1day\", rate = \"1MiB\" }} }}\n  timeouts = {{ create = \"4s\", update = \"4s\" }}"
        )
    };
    let object = "apis/kafka.strimzi.io/v1//kafkatopics/test-NAME-work";
    let spoil = json!({ "spec": { "partitions": 48 } });
    Subject::new("kafka_cluster", &it(3), &it(4), object, Some(spoil)).done()
}

#[test]
fn a_licence_service_is_done() -> Result<(), Failure> {
    let secret = |of: &str| format!("planted-{of}-0123456789abcdef0123456789");
    let it = |replicas: u32, version: u32| {
        format!(
            "replicas = {replicas}\n  key_service = streamverse_key_service.main.url\n  catalogue = \"postgres://streamverse@db.example:5432/catalogue\"\n  cache = \"redis://cache.example:6379/0\"\n  policy = jsonencode({{ packages = [{{ name = \"basic\", assets = [\"*\"] }}], purchases = true, streams = 2, devices = 5, licence_duration = \"2m\" }})\n  token = {{ issuer = \"shop\", audience = \"tv\" }}\n  token_keys = {{ one = {{ secret_wo = \"{}\", secret_wo_version = 3 }} }}\n  admin_token_wo = \"{}\"\n  admin_token_wo_version = {version}",
            secret("token"),
            secret("admin")
        )
    };
    // 32 bytes in base64.
    let key = |digit: &str| digit.repeat(42) + "A=";
    let beside = format!(
        "resource \"streamverse_key_service\" \"main\" {{\n  name = \"main\"\n  site = \"default\"\n  catalogue = \"postgres://streamverse@db.example:5432/catalogue\"\n  key_encryption_key = {{ secret = {{ value_wo = \"{}\", value_wo_version = 1 }} }}\n  access_key_wo = \"{}\"\n  access_key_wo_version = 1\n}}\n",
        key("A"),
        key("B")
    );
    let object = "apis/apps/v1//deployments/test-licence-service-NAME";
    let spoil = json!({ "spec": { "replicas": 5 } });
    Subject { beside, ..Subject::new("licence_service", &it(2, 1), &it(3, 2), object, Some(spoil)) }.done()
}

/// A channel of one asset.
fn channel(title: &str) -> String {
    format!(
        "title = \"{title}\"\n  start = \"2026-11-26T12:00:00Z\"\n  slate = \"slate\"\n  replicas = 2\n  sources = {{ film = {{ duration_ms = 60000 }}, slate = {{}} }}\n  schedule = {{ order = {{ items = [\"film\"] }} }}\n  {STORES}"
    )
}

#[test]
fn a_channel_is_done() -> Result<(), Failure> {
    let spoil = json!({ "spec": { "replicas": 5 } });
    let object = "apis/apps/v1//deployments/test-fast-channel-NAME";
    Subject::new("fast_channel", &channel("One"), &channel("Two"), object, Some(spoil)).done()
}

#[test]
fn a_guide_is_done() -> Result<(), Failure> {
    let it =
        |days: u32| format!("days_ahead = {days}\n  channels = [streamverse_fast_channel.beside.definition]");
    let object = "apis/apps/v1//deployments/test-epg-NAME";
    let mut subject = Subject::new("epg", &it(1), &it(2), object, Some(json!({ "spec": { "replicas": 5 } })));
    subject.beside = format!(
        "resource \"streamverse_fast_channel\" \"beside\" {{\n  name = \"beside\"\n  {}\n}}\n",
        channel("One")
    );
    subject.done()
}
