//! A Kafka cluster whose operator is scripted: late, then not ready, then ready.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use serde_json::{Value, json};
use streamverse_acceptance::ADDRESS;
use streamverse_acceptance::cluster::Cluster;
use tfplugin_testing::cli::{Action, Case, Cli, Failure, Id, Step, action, value};

use crate::hcl::{binary, block};
use crate::lifecycle::nothing_left;

pub(crate) const STRIMZI: &[&str] =
    &["strimzi/kafka.yaml", "strimzi/kafkanodepool.yaml", "strimzi/kafkatopic.yaml"];

/// What Strimzi's operators would write into the status of everything in the namespace.
fn operator(cluster: &Cluster, namespace: &str, condition: &Value) {
    for plural in ["kafkas", "kafkanodepools", "kafkatopics"] {
        let path = format!("/apis/kafka.strimzi.io/v1/namespaces/{namespace}/{plural}");
        let (_, list) = cluster.request("GET", &path, None);
        for item in list["items"].as_array().into_iter().flatten() {
            let name = item["metadata"]["name"].as_str().unwrap_or_default();
            let status = json!({ "status": {
                "observedGeneration": item["metadata"]["generation"], "conditions": [condition],
            } });
            let (code, told) = cluster.merge(&format!("{path}/{name}/status?fieldManager=strimzi"), &status);
            assert_eq!(code, 200, "{told}");
        }
    }
}

/// Strimzi's topic operator: it holds topics with its finalizer, and lets them go while it runs, which is as long as its
/// cluster is declared.
fn topic_operator(cluster: &Cluster, namespace: &str, stop: &AtomicBool) {
    let root = format!("/apis/kafka.strimzi.io/v1/namespaces/{namespace}");
    while !stop.load(Ordering::Relaxed) {
        let (status, kafka) = cluster.request("GET", &format!("{root}/kafkas/test-events"), None);
        let runs = status == 200 && kafka["metadata"]["deletionTimestamp"].is_null();
        let (_, list) = cluster.request("GET", &format!("{root}/kafkatopics"), None);
        for topic in list["items"].as_array().into_iter().flatten().filter(|_| runs) {
            let held = !topic["metadata"]["finalizers"].is_null();
            let going = !topic["metadata"]["deletionTimestamp"].is_null();
            let finalizers = match (held, going) {
                (false, false) => json!(["strimzi.io/topic-operator"]),
                (true, true) => Value::Null,
                _ => continue,
            };
            let name = topic["metadata"]["name"].as_str().unwrap_or_default();
            cluster.merge(
                &format!("{root}/kafkatopics/{name}?fieldManager=strimzi"),
                &json!({ "metadata": { "finalizers": finalizers } }),
            );
        }
        std::thread::sleep(Duration::from_millis(100));
    }
}

#[test]
fn topics_go_while_their_operator_still_works() -> Result<(), Failure> {
    let Some(cluster) = Cluster::shared() else { return Ok(()) };
    if !cluster.load_crds(STRIMZI) {
        return Ok(());
    }
    let cli = Cli::terraform()?;
    let namespace = &cluster.namespace("topics");
    let config = format!(
        r#"{}
resource "streamverse_kafka_cluster" "events" {{
  name    = "events"
  site    = "default"
  brokers = 3
  storage = "120GiB"
  topics  = {{ work = {{ partitions = 3, retention = "1day", rate = "1KiB" }}, other = {{ partitions = 3 }} }}
  timeouts = {{ create = "4s", delete = "60s" }}
}}
"#,
        block(cluster, namespace)
    );
    let topics = format!("/apis/kafka.strimzi.io/v1/namespaces/{namespace}/kafkatopics");
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let operator = scope.spawn(|| topic_operator(cluster, namespace, &stop));
        let run = Case::new(&cli)
            .provider(ADDRESS, binary("terraform-provider-streamverse"))
            .step(Step::apply(config).after(|_| {
                cluster.until(&topics, Duration::from_secs(30), |list| {
                    let items = list["items"].as_array().map(Vec::as_slice).unwrap_or_default();
                    items.len() == 2 && items.iter().all(|it| !it["metadata"]["finalizers"].is_null())
                });
                Ok(())
            }))
            .check_destroyed(|_| nothing_left(cluster, namespace).map_err(Into::into))
            .run();
        stop.store(true, Ordering::Relaxed);
        let _ = operator.join();
        run.map(|_| ())
    })
}

#[test]
fn an_operator_that_is_late_then_unhappy_then_done_taints_nothing() -> Result<(), Failure> {
    let Some(cluster) = Cluster::shared() else { return Ok(()) };
    if !cluster.load_crds(STRIMZI) {
        return Ok(());
    }
    let cli = Cli::terraform()?;
    let namespace = &cluster.namespace("kafka");
    let at = "streamverse_kafka_cluster.events";
    let config = |brokers: u32, storage: &str, partitions: u32| {
        format!(
            r#"{}
resource "streamverse_kafka_cluster" "events" {{
  name    = "events"
  site    = "default"
  brokers = {brokers}
  storage = "{storage}"
  topics  = {{ work = {{ partitions = {partitions}, retention = "1day", rate = "1MiB" }} }}
  timeouts = {{ create = "6s", update = "6s" }}
}}
"#,
            block(cluster, namespace)
        )
    };
    let kafka = || {
        let path = format!("/apis/kafka.strimzi.io/v1/namespaces/{namespace}/kafkas/test-events");
        cluster.request("GET", &path, None).1
    };
    let uid = std::cell::RefCell::new(Value::Null);
    Case::new(&cli)
        .provider(ADDRESS, binary("terraform-provider-streamverse"))
        .step(
            Step::apply(config(3, "100GiB", 12))
                .named("disks that a day overflows")
                .expect_plan_error("(?s)Disks too small"),
        )
        .step(
            Step::apply(config(3, "120GiB", 12))
                .named("nobody looks at it yet")
                .plan(action(at, Action::Create))
                .expect_warning("(?s)not ready.*no controller has looked at it yet")
                .state(value(at, "storage_needed", 86_400_u64 << 20))
                .state(value(
                    at,
                    "bootstrap",
                    format!("test-events-kafka-bootstrap.{namespace}.svc:9093").as_str(),
                ))
                .after(|_| {
                    *uid.borrow_mut() = kafka()["metadata"]["uid"].clone();
                    assert!(uid.borrow().is_string());
                    Ok(())
                }),
        )
        .step(
            Step::apply(config(4, "120GiB", 12))
                .named("the operator refuses the change")
                .before(|_| {
                    let not = json!({ "type": "NotReady", "status": "True", "reason": "InvalidResourceException",
                        "message": "the version is not supported" });
                    operator(cluster, namespace, &not);
                    Ok(())
                })
                .plan(action(at, Action::Update))
                .expect_warning("(?s)not ready"),
        )
        .step(
            Step::apply(config(5, "120GiB", 24))
                .named("the operator is content")
                .before(|_| {
                    operator(cluster, namespace, &json!({ "type": "Ready", "status": "True" }));
                    Ok(())
                })
                .plan(action(at, Action::Update)),
        )
        .step(Step::apply(config(4, "120GiB", 24)).named("fewer brokers").expect_plan_error("(?s)Fewer brokers"))
        .step(Step::apply(config(5, "110GiB", 24)).named("smaller disks").expect_plan_error("(?s)Disks cannot shrink"))
        .step(Step::apply(config(5, "120GiB", 12)).named("fewer partitions").expect_plan_error("(?s)Partitions cannot become fewer"))
        .step(Step::apply(config(5, "120GiB", 24)).named("as before").after(|_| {
            assert_eq!(kafka()["metadata"]["uid"], *uid.borrow(), "it was made anew");
            Ok(())
        }))
        .step(Step::import(at, Id::attribute("name")).ignoring(&["timeouts"]))
        .check_destroyed(|_| {
            assert_eq!(kafka()["code"], 404, "{}", kafka());
            nothing_left(cluster, namespace).map_err(Into::into)
        })
        .run()
        .map(|_| ())
}
