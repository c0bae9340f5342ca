//! A Kafka cluster whose operator is scripted: late, then not ready, then ready.

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
