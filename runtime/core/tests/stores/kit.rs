//! A service's place in a temporary folder.

use streamverse_core::{Metrics, ServiceContext};
use streamverse_model::platform::{Name, Owner};
use tempfile::TempDir;

pub(crate) struct Place {
    _folder: TempDir,
    pub(crate) cx: ServiceContext,
}

impl Place {
    pub(crate) fn new() -> Place {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| {
            let path = folder.path().join(name);
            std::fs::create_dir_all(&path).unwrap();
            path
        };
        let cx = ServiceContext {
            site: Name::parse("here").unwrap(),
            owner: Owner::new("test", "event-log", "main").unwrap(),
            object: "service/event-log".to_owned(),
            data_dir: at("data"),
            scratch_dir: at("scratch"),
            run_dir: at("run"),
            credentials_dir: at("credentials"),
            specs_dir: at("specs"),
            tools: std::collections::BTreeMap::new(),
            bind: [127, 0, 0, 1].into(),
            metrics: Metrics::new(),
        };
        Place { _folder: folder, cx }
    }
}
