//! A key service on a socket, asked by its client.

use std::path::Path;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use streamverse_core::stores::{ContentKeys, KeyWanted, open_keys};
use streamverse_core::{Metrics, Ready, ServiceContext, Start, Stop};
use streamverse_model::drm::KeyId;
use streamverse_model::platform::{Name, Owner};

use super::KEY_SERVICE;

struct Place {
    folder: tempfile::TempDir,
}

struct Running {
    keys: Arc<dyn ContentKeys>,
    port: u16,
    stop: Stop,
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
        private(&place.path("kek"), &STANDARD.encode([2; 32]));
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

    async fn running(&self) -> Running {
        let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let spec = serde_json::json!({
            "port": port, "replicas": 1, "catalogue": "sqlite://here/main", "audit_retention": "30days",
            "key_encryption_key": { "file": self.path("kek") },
        });
        let Start::Service(start) = KEY_SERVICE.start else { panic!("it is a service") };
        let service = start(spec, self.cx("key-service")).await.unwrap();
        let (ready, mut is_ready) = Ready::new();
        let stop = Stop::new();
        tokio::spawn(service.run(ready, stop.clone()));
        is_ready.wait_for(|ready| *ready).await.unwrap();
        let url = format!("keys://127.0.0.1:{port}?secret=key-service.main");
        Running { keys: open_keys(&url, &self.cx("packager")).unwrap(), port, stop }
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
    first.stop.stop();
    let second = place.running().await;
    assert_ne!(first.port, second.port);
    let found = second.keys.find(&[kid(7), kid(700), kid(599)]).await.unwrap();
    assert_eq!(found, [Some(made[7].clone()), None, Some(made[599].clone())]);
    let error = second.keys.obtain(&wanted("other", 7..8)).await.unwrap_err();
    assert_eq!((error.code, error.retry), ("key-of-another-asset", false));
    second.stop.stop();
}
