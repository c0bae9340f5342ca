//! The quickstart's module on a cluster, as its example has it: first plain, then with encrypted videos, their keys, licences
//! and a channel. Who may reach whom is evaluated from the policies, of what was rendered and of what the API server holds;
//! where secrets may be is a list, and everything else is searched.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::Command;

use serde_json::Value;
use streamverse_acceptance::ADDRESS;
use streamverse_acceptance::cluster::Cluster;
use tfplugin_testing::cli::{Action, Case, Cli, Failure, Step, action};

use crate::examples::{ROOT, text};
use crate::hcl::{binary, image};
use crate::lifecycle::nothing_left;
use crate::policies::{Peer, Policies, ways};

/// The variables of the provider's environment that the example refers to: 32 bytes in base64 where a key must be one.
const SECRETS: [(&str, &str); 8] = [
    ("MEDIA_SECRET_KEY", "planted-media-key-55aa"),
    ("CATALOGUE_PASSWORD", "planted-catalogue-77bb"),
    ("EVENT_LOG_PASSWORD", "planted-event-log-99cc"),
    ("TOKEN_CACHE_PASSWORD", "planted-token-cache-11dd"),
    ("KEY_ENCRYPTION_KEY", "cGxhbnRlZC1rZXktZW5jcnlwdGlvbi1rZXktb25lIWI="),
    ("KEY_ACCESS", "cGxhbnRlZC1hY2Nlc3Mta2V5LW9mLTMyLWJ5dGVzIWE="),
    ("LICENCE_ADMIN_TOKEN", "cGxhbnRlZC1saWNlbmNlLWFkbWluLXRva2VuLXh5enU="),
    ("LICENCE_TOKEN_KEY", "cGxhbnRlZC1saWNlbmNlLXRva2VuLWtleS14eXp1dnc="),
];
/// Which of them each Secret holds. There is no other Secret.
const HELD: [(&str, &[&str]); 8] = [
    ("video-object-store-main-media-secret", &["MEDIA_SECRET_KEY"]),
    ("video-catalogue-main-catalogue-secret", &["CATALOGUE_PASSWORD"]),
    ("video-event-log-main-work-secret", &["EVENT_LOG_PASSWORD"]),
    ("video-cache-main-tokens-secret", &["TOKEN_CACHE_PASSWORD"]),
    ("video-key-service-main-keys-own", &["KEY_ENCRYPTION_KEY"]),
    ("video-key-service-main-keys-secret", &["KEY_ACCESS"]),
    ("video-licence-service-main-licence-secret", &["LICENCE_ADMIN_TOKEN", "LICENCE_TOKEN_KEY"]),
    ("video-web-player-main-page-secret", &["LICENCE_TOKEN_KEY"]),
];
/// Who mounts which of them, by the parts of their names.
const READ: [(&str, &[&str]); 11] = [
    ("transcoder/main-transcoder", &["catalogue", "event-log", "object-store"]),
    ("origin/main-origin", &["catalogue", "object-store"]),
    ("ats-edge/main-edge", &[]),
    ("web-player/main-page", &["catalogue", "web-player"]),
    ("key-service/main-keys", &["catalogue", "key-service", "key-service own"]),
    ("licence-service/main-licence", &["cache", "catalogue", "key-service", "licence-service"]),
    ("fast-channel/one", &["catalogue", "object-store"]),
    ("epg/main-guide", &["catalogue", "object-store"]),
    // Who packages gets the keys of what is encrypted, and what its transcoder has.
    ("vod-asset/film", &["catalogue", "event-log", "key-service", "object-store"]),
    ("vod-asset/slate", &["catalogue", "event-log", "key-service", "object-store"]),
    ("vod-asset/open", &["catalogue", "event-log", "object-store"]),
];
/// Every way inside of the deployment. What stays clear does not reach the keys, nor do those who only pass on what is
/// encrypted.
const WAYS: [&str; 10] = [
    "ats-edge/main-edge → epg/main-guide:8093",
    "ats-edge/main-edge → fast-channel/one:8092",
    "ats-edge/main-edge → licence-service/main-licence:8090",
    "ats-edge/main-edge → origin/main-origin:8080",
    "licence-service/main-licence → key-service/main-keys:8095",
    "vod-asset/film → key-service/main-keys:8095",
    "vod-asset/slate → key-service/main-keys:8095",
    "web-player/main-page → fast-channel/one:8092",
    "web-player/main-page → licence-service/main-licence:8090",
    "web-player/main-page → origin/main-origin:8080",
];

/// The example's variables as they stand, and with what it has as a comment.
fn variables(cluster: &Cluster, namespace: &str) -> (String, String) {
    let plain = text("examples/kubernetes/terraform.tfvars.example")
        .replace("~/.kube/config", &cluster.kubeconfig().display().to_string())
        .replace("  context    = \"video\"\n", "")
        .replace("\"load_balancer\"", &format!("\"node_port\"\n  namespace = \"{namespace}\""))
        .replace("registry.example/streamverse:0.1.0", image("streamverse:0.1.0").split('@').next().unwrap());
    let (before, commented) = plain.split_once("# protection = {").unwrap();
    let commented: String =
        commented.lines().map(|line| format!("{}\n", line.strip_prefix("# ").unwrap_or(line))).collect();
    let film = "source = { url = \"s3://media/video/film.mp4\"";
    let other = |name: &str, digit: &str, protected: bool| {
        format!(
            "  {name} = {{\n    protected = {protected}\n    source = {{ url = \"s3://media/video/{name}.mp4\", digest = \"sha256:{}\" }}\n  }}\n",
            digit.repeat(64)
        )
    };
    let assets = format!("assets = {{\n{}{}", other("slate", "1", true), other("open", "2", false));
    let protected =
        before.replace("assets = {\n", &assets).replace(film, &format!("protected = true\n    {film}"));
    (plain.clone(), format!("{protected}protection = {{{commented}"))
}

/// What there is of a kind in the namespace.
fn list(cluster: &Cluster, namespace: &str, group: &str, plural: &str) -> Vec<Value> {
    let (status, list) = cluster.request("GET", &format!("/{group}/namespaces/{namespace}/{plural}"), None);
    assert_eq!(status, 200, "{plural}: {list}");
    list["items"].as_array().cloned().unwrap_or_default()
}

/// The names of the secrets that a pod is given in any way: as volumes, or in its environment.
fn given(part: &Value) -> BTreeSet<String> {
    let named = |key: &str, value: &Value| match key {
        "secretName" => value.as_str().map(str::to_owned),
        "secret" | "secretKeyRef" | "secretRef" => value["name"].as_str().map(str::to_owned),
        _ => None,
    };
    match part {
        Value::Object(members) => {
            let here = members.iter().filter_map(|(key, value)| named(key, value));
            here.chain(members.values().flat_map(given)).collect()
        }
        Value::Array(all) => all.iter().flat_map(given).collect(),
        _ => BTreeSet::new(),
    }
}

/// Pods and policies of files that `streamverse render` wrote.
fn rendered(folder: &Path) -> (Vec<Value>, Vec<Value>) {
    let (mut pods, mut policies) = (Vec::new(), Vec::new());
    for entry in std::fs::read_dir(folder).unwrap().flatten() {
        let text = std::fs::read_to_string(entry.path()).unwrap();
        for (_, secret) in SECRETS {
            assert!(!text.contains(secret), "{} has a secret in it", entry.path().display());
        }
        let body: Value = serde_json::from_str(&text).unwrap();
        match body["kind"].as_str().unwrap() {
            "Deployment" | "DaemonSet" | "Job" => pods.push(body["spec"]["template"].clone()),
            "NetworkPolicy" => policies.push(body),
            "Secret" => assert!(body["data"].is_null() && body["stringData"].is_null(), "{body}"),
            _ => {}
        }
    }
    (pods, policies)
}

/// Who reaches whom, and who mounts what.
fn judge(of: &str, pods: &[Value], policies: Vec<Value>) {
    let policies = Policies(policies);
    let peers: BTreeMap<String, Peer> =
        pods.iter().map(Peer::of).map(|peer| (peer.name.clone(), peer)).collect();
    let read: BTreeMap<String, BTreeSet<String>> =
        pods.iter().map(|pod| (Peer::of(pod).name, given(&pod["spec"]))).collect();
    let wanted = READ.iter().map(|(who, what)| {
        let names = what.iter().map(|it| {
            let (kind, part) = it.split_once(' ').unwrap_or((it, "secret"));
            let held = HELD
                .iter()
                .find(|(name, _)| name.contains(&format!("video-{kind}-")) && name.ends_with(part));
            held.unwrap().0.to_owned()
        });
        ((*who).to_owned(), names.collect())
    });
    assert_eq!(read, wanted.collect(), "{of}: who mounts which secrets");
    let all: Vec<Peer> = peers.values().cloned().collect();
    let wanted: BTreeSet<String> = WAYS.iter().map(|it| (*it).to_owned()).collect();
    assert_eq!(ways(&policies, &all), wanted, "{of}");
    let (keys, licences) = (&peers["key-service/main-keys"], &peers["licence-service/main-licence"]);
    // The same labels elsewhere, in another deployment, without the one that says who reads its secret, or none at all.
    let label = "streamverse.io/reads-key-service.main-keys";
    let watching = licences.elsewhere(&[("streamverse.io/metrics", "true")]);
    for stranger in [
        licences.elsewhere(&[]),
        licences.with("streamverse.io/deployment", "other"),
        licences.with(label, "false"),
        watching.clone(),
        Peer::outside(),
    ] {
        assert!(!policies.allow(&stranger, keys, 8095), "{of}: {stranger:?}");
    }
    assert!(policies.allow(&watching, keys, 9900) && !policies.allow(licences, keys, 9900), "{of}");
    // What a licence needs: catalogue, cache, names; its keys are a way above. Nothing else leaves, and nothing leaves the
    // key service but for its catalogue.
    let outside = |who: &Peer| -> Vec<(u16, &str)> {
        let asked =
            [53, 80, 443, 5432, 6379, 8095, 9000, 9093].iter().flat_map(|it| [(*it, "TCP"), (*it, "UDP")]);
        asked.filter(|(port, protocol)| policies.lets_out(who, *port, protocol)).collect()
    };
    let names = [(53, "TCP"), (53, "UDP")];
    assert_eq!(outside(keys), [names.as_slice(), &[(5432, "TCP")]].concat(), "{of}");
    assert_eq!(outside(licences), [names.as_slice(), &[(5432, "TCP"), (6379, "TCP")]].concat(), "{of}");
}

/// A planted secret stands in its Secret alone, as a reference everywhere else.
fn secrets(cluster: &Cluster, namespace: &str) {
    use base64::Engine as _;
    let encode = |text: &str| base64::engine::general_purpose::STANDARD.encode(text);
    let mut found: BTreeMap<String, BTreeSet<&str>> = BTreeMap::new();
    for secret in list(cluster, namespace, "api/v1", "secrets") {
        let name = secret["metadata"]["name"].as_str().unwrap().to_owned();
        let values: Vec<&str> =
            secret["data"].as_object().unwrap().values().filter_map(Value::as_str).collect();
        let held = SECRETS.iter().filter(|(_, text)| values.contains(&encode(text).as_str()));
        found.insert(name, held.map(|(variable, _)| *variable).collect());
    }
    let wanted = HELD.iter().map(|(name, held)| ((*name).to_owned(), held.iter().copied().collect()));
    assert_eq!(found, wanted.collect());
    let others = [
        ("api/v1", "configmaps"),
        ("api/v1", "pods"),
        ("api/v1", "services"),
        ("api/v1", "events"),
        ("apis/apps/v1", "deployments"),
        ("apis/apps/v1", "daemonsets"),
        ("apis/apps/v1", "replicasets"),
        ("apis/batch/v1", "jobs"),
        ("apis/networking.k8s.io/v1", "networkpolicies"),
    ];
    let mut orders = String::new();
    for (group, plural) in others {
        for item in list(cluster, namespace, group, plural) {
            let text = item.to_string();
            for (variable, secret) in SECRETS {
                assert!(
                    !text.contains(secret) && !text.contains(&encode(secret)),
                    "{variable} in {plural}: {text}"
                );
            }
            if plural == "configmaps" {
                orders.push_str(&text);
            }
        }
    }
    // The key service is told the name of the value that its key-encryption key is, and nothing of it.
    let reference = r#"\"key_encryption_key\":{\"secret\":\"key-encryption-key\"}"#;
    assert!(orders.contains(reference), "{orders}");
    let shaped: Vec<&str> = words(&orders).filter(|it| is_key(it)).collect();
    assert!(shaped.is_empty(), "these could be keys: {shaped:?}");
}

/// Runs of what hexadecimal digits and base64, also that of URLs, are written with. `sha256:` is no part of a digest after it.
fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split(|it: char| !it.is_ascii_alphanumeric() && !"+/_=-:".contains(it))
        .filter(|it| !it.starts_with("sha256:"))
        .flat_map(|it| it.split(':'))
}

/// Whether a word is as long as 16 or 32 bytes, the sizes of keys, and has what a name has not: both cases and digits, or
/// nothing but hexadecimal digits.
fn is_key(word: &str) -> bool {
    let bare = word.trim_end_matches('=');
    let has = |what: fn(&u8) -> bool| bare.as_bytes().iter().any(what);
    let mixed = has(u8::is_ascii_uppercase) && has(u8::is_ascii_lowercase) && has(u8::is_ascii_digit);
    let hex = bare.bytes().all(|it| it.is_ascii_hexdigit());
    matches!(bare.len(), 22 | 43) && mixed || matches!(bare.len(), 32 | 64) && hex
}

#[test]
fn a_key_is_known_by_its_shape() {
    let key = [7_u8, 211, 34, 250, 9, 120, 77, 3, 45, 61, 200, 133, 91, 16, 8, 255];
    for form in streamverse_acceptance::secrets::forms(&key) {
        let Ok(form) = String::from_utf8(form) else { continue };
        let text = format!("{{\\\"key\\\":\\\"{form}\\\",\\\"digest\\\":\\\"sha256:{}\\\"}}", "0".repeat(64));
        // A UUID is how identifiers are written, which are no secret.
        assert_eq!(
            words(&text).filter(|it| is_key(it)).count(),
            usize::from(!form.contains("-") || form.len() == 22),
            "{text}"
        );
    }
}

#[test]
fn the_example_of_a_cluster_is_the_quickstart_s_module_on_another_site_plain_and_protected()
-> Result<(), Failure> {
    let Some(cluster) = Cluster::shared() else { return Ok(()) };
    let cli = Cli::terraform()?;
    let namespace = &cluster.namespace("example");
    let root = std::fs::canonicalize(ROOT).unwrap();
    let config =
        text("examples/kubernetes/main.tf").replace("../../modules", &format!("{}/modules", root.display()));
    let (plain, protected) = variables(cluster, namespace);
    let folder = tempfile::tempdir().unwrap();
    let (state, out) = (folder.path().join("state.json"), folder.path().join("out"));
    let mut case = Case::new(&cli)
        .provider(ADDRESS, binary("terraform-provider-streamverse"))
        .secrets_absent(&SECRETS.map(|(_, secret)| secret));
    for (variable, secret) in SECRETS {
        case = case.env(variable, secret);
    }
    // Its videos lie in the bucket, which only their jobs reach.
    let unseen = "The source was not looked at";
    case.step(
        Step::apply(config.clone()).named("plain").file("terraform.tfvars", plain).expect_warning(unseen),
    )
    .step(
        Step::apply(config)
            .named("protected, with a channel")
            .file("terraform.tfvars", protected)
            .plan(action("module.platform.streamverse_key_service.keys[\"main\"]", Action::Create))
            .plan(action("module.platform.streamverse_vod_asset.asset[\"film\"]", Action::Update))
            .expect_warning(unseen)
            .after(|cx| {
                for it in list(cluster, namespace, "apis/apps/v1", "deployments") {
                    let (wanted, name) = (&it["spec"]["replicas"], &it["metadata"]["name"]);
                    assert_eq!(it["status"]["availableReplicas"], *wanted, "{name}");
                    let twice = ["origin", "licence-service"]
                        .iter()
                        .any(|kind| name.as_str().unwrap().contains(kind));
                    assert_eq!(*wanted, 1 + u32::from(twice), "{name}");
                }
                let pods = list(cluster, namespace, "api/v1", "pods");
                let policies = list(cluster, namespace, "apis/networking.k8s.io/v1", "networkpolicies");
                // Of an update, pods that are on their way out have the labels of the old template.
                let pods: Vec<Value> =
                    pods.into_iter().filter(|it| it["metadata"]["deletionTimestamp"].is_null()).collect();
                judge("what the API server holds", &pods, policies);
                secrets(cluster, namespace);
                std::fs::write(&state, cx.state()?.json().to_string())?;
                let said = Command::new(binary("streamverse"))
                    .arg("render")
                    .arg(&state)
                    .arg("--out")
                    .arg(&out)
                    .args(["--deployment", "video", "--namespace", namespace, "--expose", "node_port"])
                    .args(["--image", &format!("streamverse={}", image("streamverse:0.1.0"))])
                    .args(["--image", &format!("traffic_server={}", image("trafficserver:9.2.9"))])
                    .output()?;
                assert!(said.status.success(), "{}", String::from_utf8_lossy(&said.stderr));
                let (pods, policies) = rendered(&out);
                judge("what is rendered", &pods, policies);
                Ok(())
            }),
    )
    .check_destroyed(|_| nothing_left(cluster, namespace).map_err(Into::into))
    .run()
    .map(|_| ())
}
