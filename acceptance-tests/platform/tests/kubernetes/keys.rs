//! A key service on a cluster: its secrets are its own, and only those who read its access key reach it.

use serde_json::{Value, json};
use streamverse_acceptance::ADDRESS;
use streamverse_acceptance::cluster::Cluster;
use tfplugin_testing::cli::{Action, Case, Cli, Failure, Id, Step, action, not_tainted, value};

use crate::hcl::{binary, block};
use crate::lifecycle::nothing_left;

const AT: &str = "streamverse_key_service.main";
/// base64 of 32 bytes.
const ACCESS: &str = "cGxhbnRlZC1hY2Nlc3Mta2V5LW9mLTMyLWJ5dGVzIWE=";
const KEK: &str = "cGxhbnRlZC1rZXktZW5jcnlwdGlvbi1rZXktb25lIWI=";
const OTHER_KEK: &str = "cGxhbnRlZC1rZXktZW5jcnlwdGlvbi1rZXktdHdvIWM=";

#[test]
fn a_key_service_lives_on_a_cluster_where_only_its_readers_reach_it() -> Result<(), Failure> {
    let Some(cluster) = Cluster::shared() else { return Ok(()) };
    let cli = Cli::terraform()?;
    let namespace = &cluster.namespace("keys");
    let by_secret = |variable: &str, version: u32| {
        format!("{{ secret = {{ value_wo = var.{variable}, value_wo_version = {version} }} }}")
    };
    let config = |rest: &str| {
        let variable = |name: &str| format!("variable \"{name}\" {{ ephemeral = true }}\n");
        let variables: String = ["access", "kek", "other"].map(variable).concat();
        format!(
            r#"{}{variables}
resource "streamverse_key_service" "main" {{
  name                  = "main"
  replicas              = 2
  catalogue             = "postgres://streamverse@db.example:5432/catalogue"
  access_key_wo         = var.access
  access_key_wo_version = 1
  {rest}
}}
resource "streamverse_origin" "main" {{
  name         = "main"
  object_store = "s3://media?region=us-east-1"
  catalogue    = "postgres://streamverse@db.example:5432/catalogue"
}}
"#,
            block(cluster, namespace)
        )
    };
    let first = config(&format!("key_encryption_key = {}", by_secret("kek", 1)));
    let both = config(&format!(
        "key_encryption_key = {}\n  previous_key_encryption_key = {}",
        by_secret("other", 2),
        by_secret("kek", 1)
    ));
    let get = |path: &str| {
        let (group, rest) = path.split_once(' ').unwrap();
        let (status, live) = cluster.request("GET", &format!("/{group}/namespaces/{namespace}/{rest}"), None);
        assert_eq!(status, 200, "{path}: {live}");
        live
    };
    let keys_of = |name: &str| -> Vec<String> {
        get(&format!("api/v1 secrets/{name}"))["data"].as_object().unwrap().keys().cloned().collect()
    };
    let template = |name: &str| get(&format!("apis/apps/v1 deployments/{name}"))["spec"]["template"].clone();
    let url = format!("keys://test-key-service-main-http.{namespace}.svc:9180?secret=key-service.main");
    let rolled = std::cell::RefCell::new(Value::Null);
    Case::new(&cli)
        .provider(ADDRESS, binary("terraform-provider-streamverse"))
        .var("access", ACCESS)
        .var("kek", KEK)
        .var("other", OTHER_KEK)
        .secrets_absent(&[ACCESS, KEK, OTHER_KEK])
        .step(
            Step::apply(first.clone())
                .named("create")
                .expect_no_warnings()
                .plan(action(AT, Action::Create))
                .state(not_tainted(AT))
                .state(value(AT, "url", url.as_str()))
                .after(|_| {
                    // What others mount has the access key alone.
                    assert_eq!(keys_of("test-key-service-main-secret"), ["access-key"]);
                    assert_eq!(keys_of("test-key-service-main-own"), ["key-encryption-key"]);
                    let (ours, origins) = (template("test-key-service-main"), template("test-origin-main"));
                    let sources = ours["spec"]["volumes"].as_array().unwrap();
                    let projected = sources.iter().find(|it| it["projected"].is_object()).unwrap();
                    let names: Vec<&str> = projected["projected"]["sources"]
                        .as_array()
                        .unwrap()
                        .iter()
                        .filter_map(|it| it["secret"]["name"].as_str())
                        .collect();
                    assert_eq!(names, ["test-key-service-main-own", "test-key-service-main-secret"]);
                    let label = "streamverse.io/reads-key-service.main";
                    assert_eq!(ours["metadata"]["labels"][label], "true");
                    assert!(origins["metadata"]["labels"][label].is_null());
                    assert!(!origins.to_string().contains("test-key-service"), "{origins}");
                    let policy = get("apis/networking.k8s.io/v1 networkpolicies/test-key-service-main");
                    let wanted = json!([{ "podSelector": { "matchLabels": {
                        "streamverse.io/deployment": "test", label: "true",
                    } } }]);
                    assert_eq!(policy["spec"]["ingress"][0]["from"], wanted, "{policy}");
                    assert_eq!(
                        policy["spec"]["ingress"][0]["ports"],
                        json!([{ "port": 9180, "protocol": "TCP" }])
                    );
                    // Nobody else comes in, but for whoever collects metrics.
                    assert_eq!(policy["spec"]["ingress"].as_array().unwrap().len(), 2, "{policy}");
                    *rolled.borrow_mut() = ours["metadata"]["annotations"].clone();
                    Ok(())
                }),
        )
        .step(Step::apply(both).named("another key-encryption key").plan(action(AT, Action::Update)).after(
            |_| {
                let keys = keys_of("test-key-service-main-own");
                assert_eq!(keys, ["key-encryption-key", "previous-key-encryption-key"]);
                let now = template("test-key-service-main")["metadata"]["annotations"].clone();
                assert_ne!(now, *rolled.borrow(), "pods with the old key go on");
                Ok(())
            },
        ))
        .step(Step::apply(first).named("the old one is gone").after(|_| {
            assert_eq!(keys_of("test-key-service-main-own"), ["key-encryption-key"]);
            Ok(())
        }))
        .step(Step::import(AT, Id::attribute("name")).ignoring(&["timeouts"]))
        .check_destroyed(|_| nothing_left(cluster, namespace).map_err(Into::into))
        .run()
        .map(|_| ())
}
