//! The fleet controller as a service on a site, and what it refuses of its addresses.

use serde_json::Value;
use tfplugin_schema::{Diagnostics, Maybe, Path};

use super::fleet::{FleetControllerRun, RunpodAccess};
use super::within_reach::{OutOfReach, store_out_of_reach};
use crate::platform::{
    self, CredentialUse, EndpointObject, Isolation, Name, Object, Owner, Port, Protocol, Resources,
    SecretObject, ServiceObject, SpecError, StoreUrl,
};

/// The secret with what everything else of the controller is derived from.
pub const IDENTITY_SECRET: &str = "secret";
/// The secret with the key to RunPod.
pub const RUNPOD_SECRET: &str = "runpod";
/// What the identity is called in its secret.
pub const IDENTITY_KEY: &str = "identity";
/// What the key to RunPod is called in its secret.
pub const RUNPOD_KEY: &str = "runpod-api-key";
/// Where the API of workers listens unless told otherwise.
pub const CONTROLLER_PORT: u16 = 9190;

impl FleetControllerRun {
    /// The service, its address and its secrets. The versions are those of the identity and of the key to RunPod.
    ///
    /// # Errors
    /// A store's address that is none.
    pub fn objects(
        &self,
        owner: &Owner,
        replicas: u32,
        identity: Option<i64>,
        runpod: Option<i64>,
    ) -> Result<Vec<Object>, SpecError> {
        let stores = std::iter::once(&self.catalogue).chain(&self.stores);
        let uses = platform::uses(stores.map(String::as_str))?;
        let mut credentials = uses.credentials;
        credentials.push(CredentialUse { kind: owner.kind.clone(), name: owner.name.clone() });
        credentials.sort();
        let mut reach = uses.reach;
        for one in platform::reach(self.runpod.iter().map(|it| it.endpoint.as_str())) {
            if !reach.contains(&one) {
                reach.push(one);
            }
        }
        reach.sort_by_key(|it| it.port);
        let secret = |name, key, version: Option<i64>| {
            Object::Secret(SecretObject {
                name: Name::fixed(name),
                keys: vec![Name::fixed(key)],
                version: version.and_then(|it| u64::try_from(it).ok()).unwrap_or(0),
            })
        };
        let mut all = vec![secret(IDENTITY_SECRET, IDENTITY_KEY, identity)];
        if self.runpod.is_some() {
            all.push(secret(RUNPOD_SECRET, RUNPOD_KEY, runpod));
        }
        let https = Name::fixed("https");
        all.push(Object::Service(ServiceObject {
            name: Name::fixed("fleet-controller"),
            target: "fleet-controller".to_owned(),
            spec: platform::spec_value(self)?,
            replicas,
            ports: vec![Port {
                name: https.clone(),
                number: self.port,
                protocol: Protocol::Tcp,
                public: true,
            }],
            credentials,
            reach,
            resources: Resources { memory_bytes: 512 << 20, ..Resources::default() },
            isolation: Isolation::Process,
            drain_seconds: 15,
        }));
        all.push(Object::Endpoint(EndpointObject {
            name: https.clone(),
            of: "service/fleet-controller".to_owned(),
            port: https,
            public: true,
        }));
        Ok(all)
    }

    /// Out of the attributes of a `streamverse_fleet_controller`, as `terraform show -json` has them; with the number of replicas.
    ///
    /// # Errors
    /// What is not known before the apply.
    pub fn declared(attributes: &Value) -> Result<(FleetControllerRun, u32), SpecError> {
        let unknown = |name: &str| SpecError::new(format!("`{name}` is not known before the apply"));
        let text = |name: &str| attributes[name].as_str().map(str::to_owned).ok_or_else(|| unknown(name));
        let controller = serde_json::json!({
            "on_demand_limits": attributes["on_demand_limits"].as_array().cloned().unwrap_or_default(),
            "monthly_budget": attributes["monthly_budget"], "tick": attributes["tick"], "retention": attributes["retention"],
        });
        let runpod = match &attributes["runpod"] {
            Value::Null => None,
            it => Some(serde_json::from_value(serde_json::json!({ "endpoint": it["endpoint"] }))?),
        };
        let stores = attributes["stores"].as_array().cloned().unwrap_or_default();
        let port = attributes["port"].as_u64().and_then(|it| u16::try_from(it).ok());
        let replicas = attributes["replicas"].as_u64().and_then(|it| u32::try_from(it).ok());
        let run = FleetControllerRun {
            controller: serde_json::from_value(controller)?,
            port: port.ok_or_else(|| unknown("port"))?,
            public_url: text("public_url")?,
            catalogue: text("catalogue")?,
            stores: serde_json::from_value(Value::Array(stores))?,
            runpod,
        };
        Ok((run, replicas.unwrap_or(1)))
    }
}

/// Refuses stores that a rented worker cannot reach or has no business in: it transcodes, and content keys stay on the site. Where workers
/// are `elsewhere`, as all are but those of a stand-in, what only this host or cluster knows is refused too.
pub fn check_stores(stores: &Maybe<Vec<Maybe<String>>>, elsewhere: bool, out: &mut Diagnostics) {
    let mut seen: Vec<&String> = Vec::new();
    for (index, url) in stores.known().into_iter().flatten().enumerate() {
        let Some(url) = url.known() else { continue };
        let at = Path::attribute("stores").index(index);
        if seen.contains(&url) {
            out.error_at(at, "A store given twice", "Keep one of them.");
            continue;
        }
        seen.push(url);
        if let Err(why) = worker_store(url) {
            out.error_at(at, "No store for rented workers", why);
            continue;
        }
        match store_out_of_reach(url).filter(|_| elsewhere) {
            Some((host, OutOfReach::Never(why))) => {
                out.error_at(at, "Out of a rented worker's reach", never(&host, why));
            }
            Some((host, OutOfReach::Private(why))) => out.warning_at(
                at,
                "Out of a rented worker's reach",
                format!(
                    "{host} {why}, and workers are rented elsewhere: they reach it only where their image brings a way, such as a VPN. Give the store an address that the internet reaches."
                ),
            ),
            None => {}
        }
    }
}

/// Whether a worker that is rented elsewhere can reach a store, as far as its address says.
///
/// # Errors
/// Why it never does.
pub fn worker_reaches(url: &str) -> Result<(), String> {
    match store_out_of_reach(url) {
        Some((host, OutOfReach::Never(why))) => Err(never(&host, why)),
        _ => Ok(()),
    }
}

fn never(host: &str, why: &str) -> String {
    format!(
        "{host} {why}, and workers are rented elsewhere. Give the store an address that the internet reaches."
    )
}

/// Whether a rented worker may be given a store.
///
/// # Errors
/// Why not.
pub fn worker_store(url: &str) -> Result<(), String> {
    let next = "Give it a streamverse_object_store with `s3` and a streamverse_event_log with `kafka`";
    match StoreUrl::parse(url) {
        Err(error) => Err(format!("{error}.")),
        Ok(StoreUrl::Local { .. } | StoreUrl::Folder(_)) => {
            Err(format!("{url} is a place of one host, and workers are rented elsewhere. {next}."))
        }
        Ok(StoreUrl::Remote { url: read, .. }) => match read.scheme() {
            "s3" | "kafka" | "postgres" => Ok(()),
            "keys" => Err(
                "Rented workers transcode, and content keys stay on the site: packaging asks for them there."
                    .to_owned(),
            ),
            other => Err(format!("A transcoder uses no {other}:// store. {next}.")),
        },
    }
}

impl RunpodAccess {
    /// Whether its pods are elsewhere: those of a stand-in on this host are not.
    pub fn is_elsewhere(&self) -> bool {
        url::Url::parse(&self.endpoint).is_ok_and(|url| !platform::is_this_host(&url))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::platform::{Peer, Reach};

    #[test]
    fn the_controller_reads_its_stores_its_own_secrets_and_nothing_else() {
        let run: FleetControllerRun = serde_json::from_value(json!({
            "controller": { "tick": "15s", "retention": "30days" },
            "port": 9190, "public_url": "https://fleet.example:9190",
            "catalogue": "postgres://u@db.example/d?secret=catalogue.main",
            "stores": ["kafka://k.example:9093?partitions=12&secret=event-log.main", "s3://media?secret=object-store.media"],
            "runpod": { "endpoint": "https://api.runpod.io" },
        }))
        .unwrap();
        let owner = Owner::new("demo", "fleet-controller", "main").unwrap();
        let objects = run.objects(&owner, 2, Some(3), Some(4)).unwrap();
        let keys: Vec<String> = objects.iter().map(Object::key).collect();
        assert_eq!(keys, ["secret/secret", "secret/runpod", "service/fleet-controller", "endpoint/https"]);
        let Some(Object::Service(service)) = objects.get(2) else { panic!("{objects:?}") };
        let of: Vec<String> =
            service.credentials.iter().map(|it| format!("{}.{}", it.kind, it.name)).collect();
        assert_eq!(of, ["catalogue.main", "event-log.main", "fleet-controller.main", "object-store.media"]);
        let open = |port| Reach { peer: Peer::Anywhere, port };
        assert_eq!(service.reach, [open(443), open(5432), open(9093)]);
        let without = FleetControllerRun { runpod: None, ..run };
        assert_eq!(without.objects(&owner, 1, None, None).unwrap().len(), 3, "no key without an account");
    }

    #[test]
    fn a_rented_worker_is_given_neither_a_place_of_a_host_nor_content_keys() {
        for good in ["s3://media", "kafka://a:1,b:1", "postgres://u@h/d"] {
            assert_eq!(worker_store(good), Ok(()), "{good}");
        }
        for (bad, why) in [
            ("file://default/media", "one host"),
            ("file:///srv/media", "one host"),
            ("embedded://default/work", "one host"),
            ("sqlite://default/main", "one host"),
            ("keys://h?secret=key-service.main", "content keys"),
            ("redis://h", "redis"),
            ("nonsense", "no store's URL"),
        ] {
            assert!(worker_store(bad).unwrap_err().contains(why), "{bad}: {:?}", worker_store(bad));
        }
    }

    #[test]
    fn what_only_this_host_or_cluster_knows_is_no_store_of_workers_elsewhere() {
        let told = |url: &str, elsewhere: bool| {
            let stores = Maybe::Known(vec![Maybe::Known(url.to_owned()), Maybe::Unknown]);
            let mut out = Diagnostics::new();
            check_stores(&stores, elsewhere, &mut out);
            out.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
        };
        let refused = told("s3://media?endpoint=http://localhost:9000", true);
        assert!(
            refused.contains("Error") && refused.contains("localhost is each worker itself"),
            "{refused}"
        );
        let refused = told("kafka://kafka.media.svc:9092", true);
        assert!(refused.contains("Error") && refused.contains("stores[0]"), "{refused}");
        let warned = told("kafka://10.0.0.7:9092", true);
        assert!(warned.contains("Warning") && warned.contains("a VPN"), "{warned}");
        for url in ["s3://media?endpoint=http://localhost:9000", "kafka://10.0.0.7:9092"] {
            assert_eq!(told(url, false), "", "a stand-in's workers are here");
        }
        assert_eq!(told("s3://media?region=eu-central-1", true), "");
        let at = |endpoint: &str| RunpodAccess { endpoint: endpoint.to_owned() }.is_elsewhere();
        assert!(at("https://api.runpod.io") && !at("http://127.0.0.1:8080") && !at("nonsense"));
    }
}
