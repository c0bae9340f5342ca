//! A key service on a socket, asked by its client.

use std::path::Path;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use streamverse_core::stores::key_wire::AccessKey;
use streamverse_core::stores::{ContentKeys, KeyServiceClient, KeyWanted, open_keys};
use streamverse_core::{Metrics, Ready, Result, ServiceContext, Start, Stop};
use streamverse_model::drm::KeyId;
use streamverse_model::platform::{Name, Owner};

use super::{KEY_SERVICE, KeyKeeper};

mod hostile;
mod looked_after;
mod races;
mod rotation;

struct Place {
    folder: tempfile::TempDir,
}

struct Running {
    keys: Arc<dyn ContentKeys>,
    keeper: KeyKeeper,
    port: u16,
    stop: Stop,
    task: tokio::task::JoinHandle<Result<()>>,
    metrics: Metrics,
}

fn private(path: &Path, text: &str) {
    use std::os::unix::fs::PermissionsExt as _;
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, text).unwrap();
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600)).unwrap();
}

impl Place {
    fn new() -> Place {
        let place = Place { folder: tempfile::tempdir().unwrap() };
        private(&place.path("credentials/key-service.main/access-key"), &STANDARD.encode([1; 32]));
        place
    }

    fn path(&self, name: &str) -> std::path::PathBuf {
        self.folder.path().join(name)
    }

    fn cx(&self, kind: &str) -> ServiceContext {
        ServiceContext {
            site: Name::parse("here").unwrap(),
            owner: Owner::new("test", kind, "main").unwrap(),
            object: format!("service/{kind}"),
            data_dir: self.path("data"),
            scratch_dir: self.path("scratch"),
            run_dir: self.path("run"),
            credentials_dir: self.path("credentials"),
            specs_dir: self.path("specs"),
            tools: std::collections::BTreeMap::new(),
            bind: [127, 0, 0, 1].into(),
            metrics: Metrics::new(),
        }
    }

    fn kek(&self, name: &str, seed: u8) -> serde_json::Value {
        private(&self.path(name), &STANDARD.encode([seed; 32]));
        serde_json::json!({ "file": self.path(name) })
    }

    async fn running(&self) -> Running {
        self.started(serde_json::json!({ "key_encryption_key": self.kek("kek", 2) })).await.unwrap()
    }

    /// A key service with this in its spec.
    async fn started(&self, change: serde_json::Value) -> Result<Running> {
        let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let mut spec = serde_json::json!({
            "port": port, "replicas": 1, "catalogue": "sqlite://here/main", "audit_retention": "30days",
        });
        for (name, value) in change.as_object().unwrap() {
            spec[name] = value.clone();
        }
        let Start::Service(start) = KEY_SERVICE.start else { panic!("it is a service") };
        let cx = self.cx("key-service");
        let service = start(spec, cx.clone()).await?;
        let (ready, mut is_ready) = Ready::new();
        let stop = Stop::new();
        let task = tokio::spawn(service.run(ready, stop.clone()));
        is_ready.wait_for(|ready| *ready).await.unwrap();
        let url = format!("keys://127.0.0.1:{port}?secret=key-service.main");
        let keys = open_keys(&url, &self.cx("packager")).unwrap();
        Ok(Running { keys, keeper: keeper(port), port, stop, task, metrics: cx.metrics })
    }
}

/// Who looks after the keys of the service at this port.
fn keeper(port: u16) -> KeyKeeper {
    let access = AccessKey::parse(&STANDARD.encode([1; 32])).unwrap();
    KeyKeeper::new(KeyServiceClient::new(&format!("127.0.0.1:{port}"), "operator/test", access).unwrap())
}

impl Running {
    async fn ended(self) {
        self.stop.stop();
        self.task.await.unwrap().unwrap();
    }
}

fn kid(number: u32) -> KeyId {
    KeyId::derive("test", "film", "g", "all", number)
}

fn wanted(asset: &str, numbers: std::ops::Range<u32>) -> Vec<KeyWanted> {
    numbers.map(|it| KeyWanted { kid: kid(it), asset: asset.to_owned(), track: "all".to_owned() }).collect()
}

#[tokio::test]
async fn keys_are_made_once_and_found_again_by_a_service_that_was_started_anew() {
    let place = Place::new();
    let first = place.running().await;
    first.keys.probe().await.unwrap();
    let made = first.keys.obtain(&wanted("film", 0..600)).await.unwrap();
    assert_eq!(made.len(), 600);
    assert_eq!(first.keys.obtain(&wanted("film", 0..600)).await.unwrap(), made);
    first.ended().await;
    let second = place.running().await;
    let found = second.keys.find(&[kid(7), kid(700), kid(599)]).await.unwrap();
    assert_eq!(found, [Some(made[7].clone()), None, Some(made[599].clone())]);
    let error = second.keys.obtain(&wanted("other", 7..8)).await.unwrap_err();
    assert_eq!((error.code, error.retry), ("key-of-another-asset", false));
    second.ended().await;
}
