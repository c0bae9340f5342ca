//! The secrets that a worker's work needs, and no others: those of its event log and its object store.

use std::collections::BTreeMap;

use streamverse_core::{Error, Result, ServiceContext};
use streamverse_model::media::TranscoderSpec;
use streamverse_model::platform::{CredentialUse, StoreUrl};

/// Values by secret and key.
pub(super) type Credentials = BTreeMap<String, BTreeMap<String, String>>;

/// What the transcoder needs to open its two stores.
///
/// # Errors
/// A store that no rented worker can reach, one that is not the controller's to hand out, a credential that is not there.
pub(super) fn of(spec: &TranscoderSpec, stores: &[String], cx: &ServiceContext) -> Result<Credentials> {
    let mut all = Credentials::new();
    for (what, url) in [("event log", &spec.event_log), ("object store", &spec.object_store)] {
        // Else a fleet could name a secret of something else in the URL of its store, and would be given it.
        if !stores.contains(url) {
            let text = format!(
                "the transcoder's {what} is none of the controller's `stores`: add it there, and its workers are served"
            );
            return Err(Error::permanent("store-not-given", text));
        }
        let read = StoreUrl::parse(url).map_err(|error| Error::permanent("store-url", error.to_string()))?;
        let StoreUrl::Remote { url, secret, certificates } = &read else {
            let text = format!("the transcoder's {what} lies on a site, where no rented worker reaches it");
            return Err(Error::permanent("store-elsewhere", text));
        };
        let opened_with: &[&str] = match url.scheme() {
            "s3" => &["access-key", "secret-key"],
            // Without a user's name no password is asked for.
            "kafka" if url.query_pairs().any(|(key, _)| key == "username") => &["password"],
            "kafka" => &[],
            _ => {
                let text = format!("the transcoder's {what} is neither kafka:// nor s3://");
                return Err(Error::permanent("store-url", text));
            }
        };
        let mut give = |of: Option<&CredentialUse>, keys: &[&str]| -> Result<()> {
            let Some(of) = of else { return Ok(()) };
            for key in keys {
                let values = all.entry(format!("{}.{}", of.kind, of.name)).or_default();
                values.insert((*key).to_owned(), cx.credential(of, key)?);
            }
            Ok(())
        };
        give(secret.as_ref(), opened_with)?;
        give(certificates.ca.as_ref(), &["ca"])?;
        give(certificates.own.as_ref(), &["certificate", "private-key"])?;
    }
    Ok(all)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;
    use streamverse_core::Metrics;
    use streamverse_model::platform::{Name, Owner};

    const LOG: &str = "kafka://k:9092?username=u&tls=true&secret=event-log.main&ca=event-log.main.0123&certificate=event-log.main.4567";
    const OBJECTS: &str = "s3://media?endpoint=https://s3.example&secret=object-store.media";

    fn setting() -> (tempfile::TempDir, ServiceContext) {
        let folder = tempfile::tempdir().unwrap();
        for (secret, keys) in [
            ("event-log.main", vec!["password", "ca", "certificate", "private-key", "other"]),
            ("object-store.media", vec!["access-key", "secret-key", "other"]),
            ("catalogue.main", vec!["password"]),
            ("fleet-controller.main", vec!["identity", "runpod-api-key"]),
        ] {
            let folder = folder.path().join(secret);
            std::fs::create_dir_all(&folder).unwrap();
            for key in keys {
                std::fs::write(folder.join(key), format!("{secret}/{key}")).unwrap();
            }
        }
        let at = folder.path().to_owned();
        let cx = ServiceContext {
            site: Name::parse("here").unwrap(),
            owner: Owner::new("prod", "fleet-controller", "main").unwrap(),
            object: "service/fleet-controller".to_owned(),
            data_dir: at.clone(),
            scratch_dir: at.clone(),
            run_dir: at.clone(),
            credentials_dir: at.clone(),
            specs_dir: at,
            tools: BTreeMap::new(),
            bind: [127, 0, 0, 1].into(),
            metrics: Metrics::new(),
        };
        (folder, cx)
    }

    fn spec(log: &str, objects: &str) -> TranscoderSpec {
        let catalogue = "postgres://u@h/d?secret=catalogue.main";
        serde_json::from_value(json!({
            "concurrency": 1, "workers": 1, "scratch": "1GiB", "memory": "1GiB",
            "event_log": log, "object_store": objects, "catalogue": catalogue,
        }))
        .unwrap()
    }

    #[test]
    fn a_worker_is_given_what_opens_its_two_stores_and_nothing_else() {
        let (_folder, cx) = setting();
        let stores = [LOG.to_owned(), OBJECTS.to_owned(), "s3://other?secret=catalogue.main".to_owned()];
        let given = of(&spec(LOG, OBJECTS), &stores, &cx).unwrap();
        let given = serde_json::to_value(given).unwrap();
        let expected = json!({
            "event-log.main": {
                "password": "event-log.main/password", "ca": "event-log.main/ca",
                "certificate": "event-log.main/certificate", "private-key": "event-log.main/private-key",
            },
            "object-store.media": {
                "access-key": "object-store.media/access-key", "secret-key": "object-store.media/secret-key",
            },
        });
        assert_eq!(given, expected);
    }

    #[test]
    fn a_store_that_names_somebody_elses_secret_gets_nothing() {
        let (_folder, cx) = setting();
        let stores = vec![LOG.to_owned(), OBJECTS.to_owned()];
        for secret in ["catalogue.main", "fleet-controller.main"] {
            let stolen = format!("s3://media?endpoint=https://s3.example&secret={secret}");
            let error = of(&spec(LOG, &stolen), &stores, &cx).unwrap_err();
            assert_eq!(error.code, "store-not-given");
        }
        for local in ["file:///srv/media", "file://here/media", "keys://h?secret=catalogue.main"] {
            let error = of(&spec(LOG, local), &[LOG.to_owned(), local.to_owned()], &cx).unwrap_err();
            assert!(["store-elsewhere", "store-url"].contains(&error.code), "{error}");
        }
    }
}
