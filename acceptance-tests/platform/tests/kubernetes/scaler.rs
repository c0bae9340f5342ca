//! How many of a service run: by an autoscaler of Kubernetes that works, by one of KEDA whose operator is scripted, and by
//! the service itself before and after. The number never jumps when it changes hands.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use serde_json::{Value, json};
use streamverse_acceptance::ADDRESS;
use streamverse_acceptance::cluster::Cluster;
use streamverse_acceptance::faults::{Fault, Proxy};
use tfplugin_testing::cli::{Action, Case, Cli, Failure, Id, Step, action, empty, not_tainted};

use crate::hcl::{binary, block};
use crate::lifecycle::nothing_left;

pub(crate) const KEDA: &[&str] = &["keda/scaledobjects.yaml", "keda/triggerauthentications.yaml"];
const AT: &str = "streamverse_keda_scaler.it";
const STORES: &str = "object_store = \"s3://media?region=us-east-1\"\n  catalogue = \"postgres://streamverse@db.example:5432/catalogue\"";

fn get(cluster: &Cluster, path: &str) -> Value {
    cluster.request("GET", path, None).1
}

/// How many a Deployment has, and who says so.
fn number(cluster: &Cluster, namespace: &str, name: &str) -> (i64, Vec<String>) {
    let live = get(cluster, &format!("/apis/apps/v1/namespaces/{namespace}/deployments/{name}"));
    let entries = live["metadata"]["managedFields"].as_array().cloned().unwrap_or_default();
    let says = |it: &&Value| it.pointer("/fieldsV1/f:spec/f:replicas").is_some();
    let who = entries.iter().filter(says).map(|it| it["manager"].as_str().unwrap_or_default().to_owned());
    let mut who: Vec<String> = who.collect();
    who.sort();
    (live["spec"]["replicas"].as_i64().unwrap_or(-1), who)
}

/// Tells another thread that it is over, also where a step failed: a test that failed must end.
pub(crate) struct Over<'a>(pub(crate) &'a AtomicBool);

impl Drop for Over<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Every number that a Deployment had while something was done, in order.
fn watched<T>(cluster: &Cluster, namespace: &str, name: &str, work: impl FnOnce() -> T) -> (T, Vec<i64>) {
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let watch = scope.spawn(|| {
            let mut seen = Vec::new();
            while !done.load(Ordering::Relaxed) {
                let (now, _) = number(cluster, namespace, name);
                if now >= 0 && seen.last() != Some(&now) {
                    seen.push(now);
                }
                std::thread::sleep(Duration::from_millis(20));
            }
            seen
        });
        let over = Over(&done);
        let result = work();
        drop(over);
        (result, watch.join().unwrap())
    })
}

/// KEDA's operator, as far as it can be seen: it says that it is ready, holds what it looks after with its finalizer, and lets
/// it go.
pub(crate) fn keda(cluster: &Cluster, namespace: &str, stop: &AtomicBool) {
    let path = format!("/apis/keda.sh/v1alpha1/namespaces/{namespace}/scaledobjects");
    while !stop.load(Ordering::Relaxed) {
        for item in get(cluster, &path)["items"].as_array().into_iter().flatten() {
            let name = item["metadata"]["name"].as_str().unwrap_or_default();
            let finalizers = match (&item["metadata"]["finalizers"], &item["metadata"]["deletionTimestamp"]) {
                (Value::Null, Value::Null) => json!(["finalizer.keda.sh"]),
                (Value::Array(_), Value::String(_)) => Value::Null,
                _ => continue,
            };
            cluster.merge(
                &format!("{path}/{name}?fieldManager=keda-operator"),
                &json!({ "metadata": { "finalizers": finalizers } }),
            );
            let ready = json!([{ "type": "Ready", "status": "True", "reason": "ScaledObjectReady" }]);
            cluster.merge(
                &format!("{path}/{name}/status?fieldManager=keda-operator"),
                &json!({ "status": { "conditions": ready } }),
            );
        }
        std::thread::sleep(Duration::from_millis(100));
    }
}

/// What an autoscaler does: it writes the number by the subresource.
fn scale(cluster: &Cluster, namespace: &str, name: &str, count: i64) {
    let path = format!(
        "/apis/apps/v1/namespaces/{namespace}/deployments/{name}/scale?fieldManager=kube-controller-manager"
    );
    let (status, told) = cluster.merge(&path, &json!({ "spec": { "replicas": count } }));
    assert_eq!(status, 200, "{told}");
}

/// What is there is accepted by a server-side dry run under another name, which makes nothing; what is no such object is not.
fn accepted_dry(cluster: &Cluster, collection: &str, live: &Value, wrong: &str) {
    let path = format!("{collection}?dryRun=All&fieldValidation=Strict");
    let mut body = json!({ "apiVersion": live["apiVersion"], "kind": live["kind"], "metadata": { "name": "dry-run" }, "spec": live["spec"] });
    let (status, told) = cluster.request("POST", &path, Some(body.clone()));
    assert_eq!(status, 201, "{told}");
    assert_eq!(get(cluster, &format!("{collection}/dry-run"))["code"], 404, "it was made");
    body["spec"][wrong] = json!("wrong");
    let (status, told) = cluster.request("POST", &path, Some(body));
    assert!(matches!(status, 400 | 422), "{status} {told}");
}

/// The pace that every scaler has, whatever carries it out.
fn has_the_pace(behavior: &Value) {
    let policy = |kind: &str, value: u32, seconds: u32| json!({ "type": kind, "value": value, "periodSeconds": seconds });
    let up = json!({
        "stabilizationWindowSeconds": 0, "selectPolicy": "Min", "policies": [policy("Percent", 100, 30), policy("Pods", 5, 30)],
    });
    let down = json!({ "stabilizationWindowSeconds": 300, "selectPolicy": "Max", "policies": [policy("Percent", 50, 60)] });
    assert_eq!((&behavior["scaleUp"], &behavior["scaleDown"]), (&up, &down), "{behavior}");
}

/// A transcoder of two workers, an origin of two, and the scaler of one of them.
fn workers(scaler: &str, concurrency: u32, memory: &str) -> String {
    format!(
        r#"resource "streamverse_event_log" "work" {{
  name  = "work"
  kafka = {{
    brokers             = ["kafka-0.example:9093"]
    partitions          = 12
    username            = "streamverse"
    password_wo         = "planted-kafka-31cc"
    password_wo_version = 1
    sasl                = "SCRAM-SHA-512"
    tls                 = {{ ca = "-----BEGIN CERTIFICATE-----\nMA==\n-----END CERTIFICATE-----" }}
  }}
}}
resource "streamverse_transcoder" "main" {{
  name        = "main"
  workers     = 2
  concurrency = {concurrency}
  memory      = "{memory}"
  event_log   = streamverse_event_log.work.url
  {STORES}
}}
resource "streamverse_origin" "main" {{
  name     = "main"
  replicas = 2
  {STORES}
}}
{scaler}"#
    )
}

#[test]
fn a_queue_scales_workers_and_no_plan_ever_fights_it() -> Result<(), Failure> {
    let Some(cluster) = Cluster::shared() else { return Ok(()) };
    if !cluster.load_crds(KEDA) {
        return Ok(());
    }
    let cli = Cli::terraform()?;
    let namespace = &cluster.namespace("queue");
    let proxy = Proxy::start(cluster).unwrap();
    let direct = cluster.kubeconfig().display().to_string();
    let block = block(cluster, namespace).replace(&direct, &proxy.kubeconfig().display().to_string());
    let named = |name: &str, rest: &str| {
        format!(
            "resource \"streamverse_keda_scaler\" \"it\" {{\n  name = \"{name}\"\n  target = {{ kind = \"transcoder\", name = streamverse_transcoder.main.name }}\n  {rest}\n}}\n"
        )
    };
    let queue = "queue = { event_log = streamverse_event_log.work.url, activation = 2 }";
    let config = |scaler: &str| format!("{block}{}", workers(scaler, 1, "2GiB"));
    let side_by_side = |max: u32| {
        let scaler = named("one", &format!("min = 0\n  max = {max}\n  {queue}"));
        format!("{block}{}", workers(&scaler, 2, "2GiB"))
    };
    let scaled = |name: &str| {
        get(
            cluster,
            &format!("/apis/keda.sh/v1alpha1/namespaces/{namespace}/scaledobjects/test-keda-scaler-{name}"),
        )
    };
    let hpas = || {
        let list =
            get(cluster, &format!("/apis/autoscaling/v2/namespaces/{namespace}/horizontalpodautoscalers"));
        list["items"].as_array().map_or(0, Vec::len)
    };
    let of = |name: &str| number(cluster, namespace, name);
    let (service, ours) = ("test-transcoder-main", "streamverse-test-transcoder-main");
    let (origin, its) = ("test-origin-main", "streamverse-test-origin-main");
    // What was scaled is the origin now, by a topic of somebody else.
    let elsewhere = named("two", "min = 1\n  max = 10\n  queue = { event_log = streamverse_event_log.work.url, topic = \"visits\", group = \"origins\" }")
        .replace("kind = \"transcoder\", name = streamverse_transcoder.main.name", "kind = \"origin\", name = streamverse_origin.main.name");
    let by_scaler = || vec!["streamverse-test-keda-scaler-one".to_owned()];
    let first = config(&named("one", &format!("min = 0\n  max = 12\n  {queue}")));
    let change = action(AT, Action::Update);
    let none = action("streamverse_transcoder.main", Action::NoOp);
    let template_of = |name: &str| {
        get(cluster, &format!("/apis/apps/v1/namespaces/{namespace}/deployments/{name}"))["spec"]["template"]
            .clone()
    };
    let template = std::cell::RefCell::new(Value::Null);
    let stop = AtomicBool::new(false);
    let seen = std::cell::RefCell::new(Vec::new());
    let run = || {
        Case::new(&cli)
            .provider(ADDRESS, binary("terraform-provider-streamverse"))
            .secrets_absent(&["planted-kafka-31cc"])
            .step(Step::apply(config("")).named("two by themselves").after(|_| {
                assert_eq!(of(service), (2, vec![ours.to_owned()]));
                Ok(())
            }))
            .step(
                Step::apply(config(&named("one", &format!("max = 13\n  {queue}"))))
                    .expect_plan_error("(?s)More at most than there are partitions.*there are 12"),
            )
            .step(
                Step::apply(config(&named("one", &format!("min = 5\n  max = 4\n  {queue}"))))
                    .expect_plan_error("(?s)Fewer at most than at least"),
            )
            .step(
                Step::apply(config(&named("one", "max = 4\n  queue = { event_log = \"redis://a.example:6379\" }")))
                    .named("what is wrong in a nested attribute is shown at the attribute that has it")
                    .expect_plan_error(r"(?s)No queue that KEDA can ask.*in resource.*keda_scaler.*queue = \{.*Give `event_log`"),
            )
            .step(
                Step::apply(config(&named("one", "min = 0\n  max = 4")))
                    .expect_plan_error("(?s)Nothing starts the first"),
            )
            .step(
                Step::apply(config(&named("one", &format!("site = \"here\"\n  max = 4\n  {queue}"))))
                    .expect_plan_error("(?s)A node runs one process.*Kubernetes cluster: default"),
            )
            .step(
                Step::apply(first.clone())
                    .named("a scaler, while the API server fails now and then")
                    .before(|_| {
                        let kinds = [Fault::AnswerLost, Fault::Refused(503, None), Fault::Reset, Fault::Torn];
                        proxy.judge(move |asked| (asked.number % 4 == 2).then(|| kinds[asked.number / 4 % kinds.len()]));
                        Ok(())
                    })
                    .plan(action(AT, Action::Create))
                    .plan(none)
                    .state(not_tainted(AT))
                    .expect_no_warnings()
                    .after(|_| {
                        let (asked, faults) = proxy.relent();
                        assert!(faults.len() > 3, "{asked} requests, {faults:?}");
                        // The number is as it was, and the service says nothing about it any more.
                        assert_eq!(of(service), (2, by_scaler()));
                        let spec = &scaled("one")["spec"];
                        let metadata = &spec["triggers"][0]["metadata"];
                        assert_eq!(metadata["topic"], "test-transcode", "{spec}");
                        assert_eq!(metadata["consumerGroup"], "test-transcoders");
                        assert_eq!(metadata["scaleToZeroOnInvalidOffset"], "false");
                        assert_eq!((&spec["minReplicaCount"], &spec["maxReplicaCount"]), (&json!(0), &json!(12)));
                        assert_eq!(spec["scaleTargetRef"]["name"], service);
                        // Nobody gave these: they are the defaults.
                        let used: Vec<_> = spec["triggers"].as_array().unwrap()[1..]
                            .iter()
                            .map(|it| (it["type"].clone(), it["metricType"].clone(), it["metadata"]["value"].clone()))
                            .collect();
                        let percent = |of: &str, value: &str| (json!(of), json!("Utilization"), json!(value));
                        assert_eq!(used, [percent("cpu", "70"), percent("memory", "80")], "{spec}");
                        has_the_pace(&spec["advanced"]["horizontalPodAutoscalerConfig"]["behavior"]);
                        let all = format!("/apis/keda.sh/v1alpha1/namespaces/{namespace}/scaledobjects");
                        accepted_dry(cluster, &all, &scaled("one"), "maxReplicaCount");
                        let path = format!("/apis/keda.sh/v1alpha1/namespaces/{namespace}/triggerauthentications/test-keda-scaler-one");
                        let secrets = get(cluster, &path)["spec"]["secretTargetRef"].clone();
                        // Each value is where it refers to.
                        for it in secrets.as_array().unwrap() {
                            let name = it["name"].as_str().unwrap();
                            let secret = get(cluster, &format!("/api/v1/namespaces/{namespace}/secrets/{name}"));
                            assert!(secret["data"][it["key"].as_str().unwrap()].is_string(), "{it}: {secret}");
                        }
                        assert_eq!(secrets.as_array().unwrap().len(), 2);
                        assert_eq!(hpas(), 0);
                        Ok(())
                    }),
            )
            .step(Step::replan().named("KEDA started more").before(|_| {
                scale(cluster, namespace, service, 7);
                assert_eq!(of(service), (7, vec!["kube-controller-manager".to_owned()]));
                Ok(())
            }))
            .step(
                Step::apply(format!("{block}{}", workers(&named("one", &format!("min = 0\n  max = 12\n  {queue}")), 1, "1GiB")))
                    .named("the service changes, the number does not")
                    .plan(action("streamverse_transcoder.main", Action::Update))
                    .after(|_| {
                        assert_eq!(of(service).0, 7);
                        Ok(())
                    }),
            )
            .step(Step::apply(first.clone()).named("and back"))
            .step(
                Step::apply(side_by_side(11))
                    .named("two encodes side by side are two members of the group")
                    .expect_apply_error(r"(?s)max\s+=\s+11\s+workers\s+need\s+22,\s+and\s+there\s+are\s+12"),
            )
            .step(
                Step::plan_only(side_by_side(12))
                    .named("what is there by now with more than have work is a warning")
                    .plan(empty())
                    .expect_warning(r"(?s)More at most than there are.*max\s+=\s+12\s+workers\s+need\s+24"),
            )
            .step(
                Step::apply(side_by_side(10))
                    .named("and they are counted while planning, where the service is there")
                    .expect_plan_error(r"(?s)max\s+=\s+10\s+workers\s+need\s+20.*Lower\s+max\s+to\s+6"),
            )
            .step(
                Step::apply(config(&named("one", &format!("min = 1\n  max = 10\n  {queue}"))))
                    .named("changed in place")
                    .plan(action(AT, Action::Update))
                    .after(|_| {
                        assert_eq!(scaled("one")["spec"]["maxReplicaCount"], 10);
                        assert_eq!(of(service).0, 7);
                        Ok(())
                    }),
            )
            .step(
                Step::reapply()
                    .named("somebody changed it by hand")
                    .before(|_| {
                        let path = format!("/apis/keda.sh/v1alpha1/namespaces/{namespace}/scaledobjects/test-keda-scaler-one?fieldManager=kubectl-edit");
                        let (status, told) = cluster.merge(&path, &json!({ "spec": { "maxReplicaCount": 90 } }));
                        assert_eq!(status, 200, "{told}");
                        Ok(())
                    })
                    .plan(change)
                    .after(|_| {
                        assert_eq!(scaled("one")["spec"]["maxReplicaCount"], 10);
                        Ok(())
                    }),
            )
            .step(
                Step::reapply()
                    .named("somebody took the service away: it begins with its own number")
                    .before(|_| {
                        let path = format!("/apis/apps/v1/namespaces/{namespace}/deployments/{service}");
                        let now = json!({ "propagationPolicy": "Background", "gracePeriodSeconds": 0 });
                        assert_eq!(cluster.request("DELETE", &path, Some(now)).0, 200);
                        Ok(())
                    })
                    .plan(action("streamverse_transcoder.main", Action::Update))
                    .after(|_| {
                        assert_eq!(of(service), (2, by_scaler()));
                        scale(cluster, namespace, service, 0);
                        Ok(())
                    }),
            )
            .step(Step::import(AT, Id::attribute("name")).by_block())
            .step(
                Step::apply(config(&named("one", "min = 3\n  max = 10\n  timeouts = { update = \"6s\" }")))
                    .named("without a queue: never both")
                    .plan(action(AT, Action::Update))
                    // Nobody measures simulated pods here.
                    .expect_warning("(?s)there, but not ready")
                    .after(|_| {
                        assert_eq!(scaled("one")["code"], 404, "both are there");
                        // What Kubernetes' own autoscaler finds at none it would leave there.
                        assert_eq!((hpas(), of(service).0), (1, 3));
                        let all = format!("/apis/autoscaling/v2/namespaces/{namespace}/horizontalpodautoscalers");
                        let mut live = get(cluster, &all)["items"][0].clone();
                        (live["apiVersion"], live["kind"]) = (json!("autoscaling/v2"), json!("HorizontalPodAutoscaler"));
                        accepted_dry(cluster, &all, &live, "maxReplicas");
                        let used = live["spec"]["metrics"].as_array().unwrap().iter().map(|it| {
                            let of = &it["resource"];
                            (of["name"].clone(), of["target"].clone())
                        });
                        let percent = |of: &str, value: u32| {
                            (json!(of), json!({ "type": "Utilization", "averageUtilization": value }))
                        };
                        assert_eq!(used.collect::<Vec<_>>(), [percent("cpu", 70), percent("memory", 80)], "{live}");
                        has_the_pace(&live["spec"]["behavior"]);
                        Ok(())
                    }),
            )
            .step(
                Step::apply(config(&named("two", &format!("min = 1\n  max = 10\n  {queue}"))))
                    .named("another name")
                    .plan(action(AT, Action::Replace))
                    .after(|_| {
                        assert_eq!((hpas(), of(service).0), (0, 2), "the number between is the service's");
                        assert!(scaled("two")["spec"].is_object());
                        scale(cluster, namespace, service, 5);
                        Ok(())
                    }),
            )
            .step(
                Step::apply(config(&elsewhere)).named("another service").plan(action(AT, Action::Replace)).after(|_| {
                    assert_eq!(of(service), (2, vec![ours.to_owned()]), "the first has its own number again");
                    assert_eq!(of(origin), (2, vec!["streamverse-test-keda-scaler-two".to_owned()]));
                    assert_eq!(scaled("two")["spec"]["scaleTargetRef"]["name"], origin);
                    scale(cluster, namespace, origin, 5);
                    Ok(())
                }),
            )
            .step(
                Step::apply(format!(
                    "{}resource \"streamverse_keda_scaler\" \"other\" {{\n  name = \"other\"\n  target = {{ kind = \"origin\", name = \"main\" }}\n  max = 3\n}}\n",
                    config(&elsewhere)
                ))
                .named("a second one on the same service")
                .expect_apply_error("(?s)belongs to keda-scaler/two"),
            )
            .step(
                // Nobody applied the service since a new version of us renders it otherwise.
                Step::command(["apply", "-destroy", "-auto-approve", "-input=false", "-no-color", &format!("-target={AT}")])
                    .config(config(&elsewhere).replace("streamverse:0.1.0", "streamverse:0.2.0"))
                    .named("the scaler goes after an upgrade, and the service is not rolled out by that")
                    .before(|_| {
                        *template.borrow_mut() = template_of(origin);
                        Ok(())
                    })
                    .after(|_| {
                        assert_eq!(of(origin), (2, vec![its.to_owned()]));
                        assert_eq!(template_of(origin), *template.borrow());
                        assert!(template.borrow().to_string().contains("streamverse:0.1.0"));
                        Ok(())
                    }),
            )
            .step(Step::apply(config("")).named("the scaler is gone").expect_no_warnings().after(|_| {
                assert_eq!(of(service), (2, vec![ours.to_owned()]));
                assert_eq!(of(origin), (2, vec![its.to_owned()]));
                Ok(())
            }))
            .check_destroyed(|_| nothing_left(cluster, namespace).map_err(Into::into))
            .run()
            .map(|_| ())
    };
    std::thread::scope(|scope| {
        let operator = scope.spawn(|| keda(cluster, namespace, &stop));
        let over = Over(&stop);
        let (done, numbers) = watched(cluster, namespace, service, run);
        drop(over);
        let _ = operator.join();
        *seen.borrow_mut() = numbers;
        done
    })?;
    assert!(!seen.borrow().contains(&1), "the number jumped to 1: {:?}", seen.borrow());
    Ok(())
}
