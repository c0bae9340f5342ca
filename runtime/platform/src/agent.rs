//! The agent: what is desired on disk, a keeper for each object.

mod judge;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use serde::{Deserialize, Serialize};
use serde_json::Value;
use streamverse_core::engine::EngineDriver;
use streamverse_core::{Error, Result, TargetTable};
use streamverse_model::platform::node::Applied;
use streamverse_model::platform::{
    Bundle, CredentialUse, EngineKind, Name, Object, ObjectStatus, Observed, Owner, Phase,
};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tracing::{error, info};

use crate::files::{User, make, make_ours, remove, write_whole};
use crate::keeper::{Board, Keeper, Order, Turn};
use crate::metrics::NodeMetrics;
use crate::secrets::Vault;

/// How an agent is set up.
#[derive(Clone)]
pub struct Config {
    /// The site's name, as local stores carry it in their URLs.
    pub site: Name,
    /// Where services and engines listen.
    pub bind: std::net::IpAddr,
    /// Durable data.
    pub data: PathBuf,
    /// Sockets and credentials; may be emptied by a reboot.
    pub run: PathBuf,
    /// The program that runs services: `streamverse`.
    pub program: PathBuf,
    /// The user that services and engines run as, where the agent is root.
    pub user: Option<String>,
    /// External tools by name.
    pub tools: BTreeMap<String, PathBuf>,
    /// What the binary can run.
    pub targets: TargetTable,
    /// The engines that it can drive.
    pub engines: Vec<Arc<dyn EngineDriver>>,
}

/// What keepers share.
pub(crate) struct Shared {
    pub(crate) site: Name,
    pub(crate) bind: std::net::IpAddr,
    pub(crate) data: PathBuf,
    pub(crate) run: PathBuf,
    pub(crate) program: PathBuf,
    pub(crate) user: Option<User>,
    pub(crate) tools: BTreeMap<String, PathBuf>,
    pub(crate) targets: TargetTable,
    pub(crate) vault: Vault,
    pub(crate) metrics: NodeMetrics,
    /// How many sources may be looked at now.
    pub(crate) probes: tokio::sync::Semaphore,
    engines: Vec<Arc<dyn EngineDriver>>,
    owners: Mutex<BTreeMap<Owner, Kept>>,
    /// What is wrong with the agent's own state, in words.
    problems: Mutex<Vec<String>>,
    /// Held as long as the agent lives: no other one keeps the same folder.
    _lock: fs::File,
}

/// An owner's file.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Desired {
    bundle: Bundle,
    /// It is being removed.
    #[serde(default)]
    deleting: bool,
}

struct Kept {
    desired: Desired,
    board: Board,
    keepers: BTreeMap<String, (watch::Sender<Order>, JoinHandle<()>)>,
}

impl Shared {
    pub(crate) fn driver(&self, kind: EngineKind) -> Option<Arc<dyn EngineDriver>> {
        self.engines.iter().find(|engine| engine.kind() == kind).cloned()
    }

    pub(crate) fn engines(&self) -> &[Arc<dyn EngineDriver>] {
        &self.engines
    }

    /// The spec of an owner's service, and the credentials that it reads.
    pub(crate) fn spec_of(&self, owner: &Owner, service: &Name) -> Option<(Value, Vec<CredentialUse>)> {
        self.owners(|owners| {
            let kept = owners.get(owner).filter(|kept| !kept.desired.deleting)?;
            kept.desired.bundle.objects.iter().find_map(|object| match object {
                Object::Service(it) if it.name == *service => Some((it.spec.clone(), it.credentials.clone())),
                _ => None,
            })
        })
    }

    /// The keys of an owner's secrets: of all of them for itself, of the first for others.
    pub(crate) fn secret_keys(&self, owner: &Owner, own: bool) -> Option<Vec<Name>> {
        self.owners(|owners| {
            let secrets = owners.get(owner)?.desired.bundle.secrets();
            let those = secrets.take(if own { usize::MAX } else { 1 });
            Some(those.flat_map(|it| it.keys.iter().cloned()).collect())
        })
    }

    /// The versions of the secrets that a service reads: another version is another process.
    pub(crate) fn secret_versions(&self, of: &Owner, credentials: &[CredentialUse]) -> Vec<(String, u64)> {
        self.owners(|owners| {
            let mut versions = Vec::new();
            for credential in credentials {
                let owner = Owner {
                    deployment: of.deployment.clone(),
                    kind: credential.kind.clone(),
                    name: credential.name.clone(),
                };
                let secrets = owners.get(&owner).into_iter().flat_map(|kept| kept.desired.bundle.secrets());
                for it in secrets.take(if owner == *of { usize::MAX } else { 1 }) {
                    versions.push((format!("{}/{}", owner.key(), it.name), it.version));
                }
            }
            versions
        })
    }

    /// Whether services run as the user that we are.
    pub(crate) fn is_service_user(&self) -> bool {
        self.user.is_none_or(|user| user.uid == rustix::process::geteuid().as_raw())
    }

    /// Free space where the data lies, in bytes.
    pub(crate) fn free(&self) -> u64 {
        rustix::fs::statvfs(&self.data).map_or(0, |about| about.f_bavail * about.f_frsize)
    }

    /// What is wrong with the agent's own state.
    pub(crate) fn problems(&self) -> Vec<String> {
        self.problems.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn owners<T>(&self, with: impl FnOnce(&mut BTreeMap<Owner, Kept>) -> T) -> T {
        with(&mut self.owners.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// The agent. Dropping it leaves processes alone.
pub struct Agent {
    pub(crate) shared: Arc<Shared>,
    /// Held while desired state is judged and changed, so that two never take one port, or one name.
    pub(crate) gate: tokio::sync::Mutex<()>,
    /// Held while somebody looks at what a job made.
    pub(crate) looks: tokio::sync::Mutex<()>,
}

/// Why a request was refused, for the API.
#[derive(Debug)]
pub(crate) struct Refusal {
    pub(crate) code: &'static str,
    pub(crate) message: String,
    pub(crate) next: Option<String>,
    pub(crate) field: Option<String>,
}

/// Takes the folder for this agent alone.
fn lock(data: &Path) -> Result<fs::File> {
    let path = data.join("agent.lock");
    let file = fs::OpenOptions::new().create(true).read(true).write(true).truncate(false).open(&path);
    let file = file.map_err(|error| crate::files::failed(&path, error))?;
    if let Err(error) = rustix::fs::flock(&file, rustix::fs::FlockOperation::NonBlockingLockExclusive) {
        let holder = fs::read_to_string(&path).unwrap_or_default();
        let text = format!(
            "another agent (process {}) keeps {}: stop it, or give another --data",
            holder.trim(),
            data.display()
        );
        return Err(Error::permanent("locked", text).because(error));
    }
    fs::write(&path, format!("{}\n", std::process::id()))
        .map_err(|error| crate::files::failed(&path, error))?;
    Ok(file)
}

impl Agent {
    /// Opens the agent's state and goes on keeping what is desired.
    ///
    /// # Errors
    /// A folder that cannot be used, a user that does not exist, state that cannot be read.
    pub fn open(config: Config) -> Result<Agent> {
        let user = match &config.user {
            Some(name) => Some(User::find(name).ok_or_else(|| {
                Error::permanent(
                    "user",
                    format!("there is no user {name:?} on this host: useradd --system {name}"),
                )
            })?),
            None => None,
        };
        for folder in [&config.data, &config.run] {
            make(folder, None)?;
        }
        make_ours(&config.data.join("owners"))?;
        let lock = lock(&config.data)?;
        crate::files::forget_fresh(&config.data.join("owners"));
        for folder in [&config.data, &config.run] {
            remove(&folder.join(crate::probe::FOLDER));
        }
        let shared = Arc::new(Shared {
            problems: Mutex::default(),
            _lock: lock,
            vault: Vault::open(&config.data)?,
            metrics: NodeMetrics::new(),
            probes: crate::probe::room(),
            site: config.site,
            bind: config.bind,
            data: config.data,
            run: config.run,
            program: config.program,
            user,
            tools: config.tools,
            targets: config.targets,
            engines: config.engines,
            owners: Mutex::default(),
        });
        let agent =
            Agent { shared, gate: tokio::sync::Mutex::default(), looks: tokio::sync::Mutex::default() };
        agent.load()?;
        Ok(agent)
    }

    fn folder(&self) -> PathBuf {
        self.shared.data.join("owners")
    }

    fn file(&self, owner: &Owner) -> PathBuf {
        self.folder().join(format!("{}.{}.json", owner.deployment, owner.key()))
    }

    fn load(&self) -> Result<()> {
        let folder = self.folder();
        let entries = fs::read_dir(&folder).map_err(|error| crate::files::failed(&folder, error))?;
        for entry in entries.flatten() {
            let path = entry.path();
            if path.extension().is_none_or(|end| end != "json") {
                continue;
            }
            // Written whole or not at all, so what cannot be read is a broken disk's, another version's or somebody's
            // hand's. It is set aside, and everything else comes up.
            let read = fs::read(&path)
                .map_err(|error| error.to_string())
                .and_then(|text| serde_json::from_slice::<Desired>(&text).map_err(|error| error.to_string()));
            let desired = match read {
                Ok(desired) => desired,
                Err(error) => {
                    self.set_aside(&path, &error);
                    continue;
                }
            };
            info!(owner = %desired.bundle.owner, "Keeping.");
            self.keep(desired, false);
        }
        Ok(())
    }

    fn set_aside(&self, path: &Path, why: &str) {
        let aside = path.with_extension("unreadable");
        let moved = fs::rename(path, &aside);
        let text = format!(
            "{} could not be read ({why}) and is now {}: apply its resource again",
            path.display(),
            if moved.is_ok() { aside.display() } else { path.display() }
        );
        error!("{text}");
        self.shared.problems.lock().unwrap_or_else(PoisonError::into_inner).push(text);
    }

    /// Makes the bundle the owner's, durably, and keeps it.
    pub(crate) fn apply(&self, bundle: Bundle, values: &BTreeMap<Name, String>) -> Result<Applied> {
        let applied = self.compare(&bundle);
        if !values.is_empty() {
            self.shared.vault.put(&bundle.owner, values)?;
        }
        let owner = bundle.owner.clone();
        self.lay_files(&bundle)?;
        let desired = Desired { bundle, deleting: false };
        self.write(&desired)?;
        self.keep(desired, true);
        if !values.is_empty() {
            self.tell_readers(&owner);
        }
        Ok(applied)
    }

    /// Sets of files, each in a folder of its own below the owner's. They are there whole, or those before them are.
    fn lay_files(&self, bundle: &Bundle) -> Result<()> {
        let folder = self.files(&bundle.owner);
        let sets = bundle.objects.iter().filter_map(|object| match object {
            Object::Files(it) => Some(it),
            _ => None,
        });
        let sets: Vec<_> = sets.collect();
        if sets.is_empty() {
            remove(&folder);
            return Ok(());
        }
        let deployment = self.shared.data.join(bundle.owner.deployment.as_str());
        for folder in [&deployment, &deployment.join("files")] {
            make_ours(folder)?;
        }
        // No owner's key ends like these: names have no `.` in them.
        let (fresh, old) = (folder.with_extension("files.new"), folder.with_extension("files.old"));
        let lay = || -> Result<()> {
            for set in sets {
                let place = fresh.join(set.name.as_str());
                make(&place, None)?;
                for (name, text) in &set.files {
                    write_whole(&place.join(name), text.as_bytes(), 0o644, None)?;
                }
            }
            Ok(())
        };
        remove(&fresh);
        remove(&old);
        if let Err(error) = lay() {
            remove(&fresh);
            return Err(error);
        }
        let _ = fs::rename(&folder, &old);
        fs::rename(&fresh, &folder).map_err(|error| crate::files::failed(&folder, error))?;
        remove(&old);
        Ok(())
    }

    fn files(&self, owner: &Owner) -> PathBuf {
        self.shared.data.join(owner.deployment.as_str()).join("files").join(owner.key())
    }

    /// Services that read an owner's secret look at it again.
    fn tell_readers(&self, secret: &Owner) {
        let reads = |object: &Object| {
            let credentials = match object {
                Object::Service(it) => &it.credentials,
                Object::Engine(it) => &it.credentials,
                _ => return false,
            };
            credentials.iter().any(|it| it.kind == secret.kind && it.name == secret.name)
        };
        self.shared.owners(|owners| {
            for (_, kept) in owners.iter().filter(|(owner, _)| owner.deployment == secret.deployment) {
                for (key, (orders, _)) in &kept.keepers {
                    let told = orders.send_if_modified(|order| match order {
                        Order::Keep(object, turn) if reads(object) => {
                            turn.again += 1;
                            true
                        }
                        _ => false,
                    });
                    // What was ready was so with the secret before.
                    let mut board = kept.board.lock().unwrap_or_else(PoisonError::into_inner);
                    if let Some(status) = board.get_mut(key).filter(|_| told) {
                        status.phase = Phase::Applied;
                        status.reason = None;
                    }
                }
            }
        });
    }

    fn write(&self, desired: &Desired) -> Result<()> {
        let text = serde_json::to_vec_pretty(desired)
            .map_err(|error| Error::permanent("state", "it cannot be written").because(error))?;
        write_whole(&self.file(&desired.bundle.owner), &text, 0o600, None)
    }

    /// Gives every object a keeper, and tells those that have one.
    ///
    /// `applied`: somebody asked for it now, so a job that failed runs again.
    fn keep(&self, desired: Desired, applied: bool) {
        self.shared.owners(|owners| {
            let owner = desired.bundle.owner.clone();
            let kept = owners.entry(owner.clone()).or_insert_with(|| Kept {
                desired: desired.clone(),
                board: Board::default(),
                keepers: BTreeMap::new(),
            });
            kept.desired = desired;
            kept.keepers.retain(|_, (_, task)| !task.is_finished());
            let wanted: BTreeMap<String, &Object> = match kept.desired.deleting {
                true => BTreeMap::new(),
                false => {
                    let running = kept.desired.bundle.objects.iter().filter(|it| is_run(it));
                    running.map(|object| (object.key(), object)).collect()
                }
            };
            for (key, (orders, _)) in &kept.keepers {
                if !wanted.contains_key(key) {
                    orders.send_replace(Order::Remove);
                }
            }
            for (key, object) in wanted {
                let mut order = Order::Keep(Box::new(object.clone()), Turn::default());
                if let Some((orders, _)) =
                    kept.keepers.get(&key).filter(|(orders, _)| *orders.borrow() != Order::Remove)
                {
                    let failed = {
                        let board = kept.board.lock().unwrap_or_else(PoisonError::into_inner);
                        let tried = |phase| matches!(phase, Phase::Failed | Phase::Degraded);
                        board.get(&key).is_some_and(|status| tried(status.phase))
                    };
                    if let (Order::Keep(_, before), Order::Keep(_, turn)) = (&*orders.borrow(), &mut order) {
                        *turn = Turn { again: before.again + u64::from(applied && failed), ..*before };
                    }
                    let new = orders.send_if_modified(|now| {
                        let new = *now != order;
                        *now = order;
                        new
                    });
                    // What was ready was the object before: nobody is to take it for this one.
                    let mut board = kept.board.lock().unwrap_or_else(PoisonError::into_inner);
                    if let Some(status) = board.get_mut(&key).filter(|_| new) {
                        status.phase = Phase::Applied;
                        status.reason = None;
                        status.progress = None;
                    }
                    continue;
                }
                let (sender, receiver) = watch::channel(order);
                let keeper = Keeper::new(
                    Arc::clone(&self.shared),
                    owner.clone(),
                    key.clone(),
                    Arc::clone(&kept.board),
                    receiver,
                );
                kept.keepers.insert(key, (sender, tokio::spawn(keeper.run())));
            }
        });
    }

    /// What is held for an owner.
    pub(crate) fn observe(&self, owner: &Owner) -> Option<Observed> {
        self.shared.owners(|owners| {
            let kept = owners.get(owner)?;
            let board = kept.board.lock().unwrap_or_else(PoisonError::into_inner);
            let status = |object: &Object| {
                let runs = is_run(object);
                board.get(&object.key()).cloned().unwrap_or_else(|| ObjectStatus {
                    object: object.key(),
                    phase: match (kept.desired.deleting, runs) {
                        (true, _) => Phase::Stopping,
                        (false, true) => Phase::Applied,
                        (false, false) => Phase::Ready,
                    },
                    reason: None,
                    restarts: 0,
                    pids: Vec::new(),
                    progress: None,
                    result: None,
                })
            };
            let bundle = kept.desired.bundle.clone();
            Some(Observed {
                revision: bundle.revision(),
                objects: bundle.objects.iter().map(status).collect(),
                bundle,
                drift: Vec::new(),
                outdated: Vec::new(),
            })
        })
    }

    pub(crate) fn list(&self, deployment: &Name) -> Vec<Owner> {
        self.shared
            .owners(|owners| owners.keys().filter(|owner| owner.deployment == *deployment).cloned().collect())
    }

    /// Has an owner's services started anew, after draining; which ones.
    pub(crate) fn restart(&self, owner: &Owner) -> Vec<String> {
        self.shared.owners(|owners| {
            let keepers = owners.get(owner).into_iter().flat_map(|kept| &kept.keepers);
            let told = keepers.filter(|(_, (orders, _))| {
                orders.send_if_modified(|order| match order {
                    Order::Keep(object, turn) if matches!(**object, Object::Service(_)) => {
                        turn.restart += 1;
                        true
                    }
                    _ => false,
                })
            });
            told.map(|(key, _)| key.clone()).collect()
        })
    }

    /// The agent's figures, with what is held now.
    pub(crate) fn metrics(&self) -> streamverse_core::Metrics {
        let (count, all) = self.shared.owners(|owners| {
            let mut all: BTreeMap<(String, &'static str), usize> = BTreeMap::new();
            for kept in owners.values() {
                for status in kept.board.lock().unwrap_or_else(PoisonError::into_inner).values() {
                    let kind = status.object.split('/').next().unwrap_or_default().to_owned();
                    *all.entry((kind, status.phase.as_str())).or_default() += 1;
                }
            }
            (owners.len(), all)
        });
        let of = |kind: &str, phase: Phase| all.get(&(kind.to_owned(), phase.as_str())).copied().unwrap_or(0);
        self.shared.metrics.page(count, self.shared.free(), of)
    }

    /// Goes on with a deletion that was begun; anything else only loses the keepers that are done.
    pub(crate) fn let_go(&self, owner: &Owner) -> Result<Option<String>> {
        let deleting =
            self.shared.owners(|owners| owners.get(owner).is_some_and(|kept| kept.desired.deleting));
        if deleting { self.delete(owner) } else { Ok(Some("an object of it".to_owned())) }
    }

    /// Removes an owner: what it waits for, or nothing when it is gone.
    pub(crate) fn delete(&self, owner: &Owner) -> Result<Option<String>> {
        let Some(desired) = self.shared.owners(|owners| owners.get(owner).map(|kept| kept.desired.clone()))
        else {
            return Ok(None);
        };
        if !desired.deleting {
            let desired = Desired { deleting: true, ..desired };
            self.write(&desired)?;
            self.keep(desired, false);
        }
        let waiting = self.shared.owners(|owners| {
            let kept = owners.get_mut(owner)?;
            kept.keepers.retain(|_, (_, task)| !task.is_finished());
            kept.keepers.keys().next().cloned()
        });
        if let Some(key) = waiting {
            return Ok(Some(format!("{key} is being stopped")));
        }
        remove(&self.files(owner));
        self.forget_data(owner);
        self.shared.vault.remove(owner);
        remove(&self.file(owner));
        self.shared.owners(|owners| owners.remove(owner));
        Ok(None)
    }

    /// The data of a local store goes with its owner, and the deployment's folders with its last owner.
    fn forget_data(&self, owner: &Owner) {
        let data = self.shared.data.join(owner.deployment.as_str());
        let name = owner.name.as_str();
        match owner.kind.as_str() {
            "object-store" => remove(&data.join("stores").join(name)),
            "event-log" => remove(&data.join("logs").join(name)),
            "catalogue" => {
                for end in ["", "-wal", "-shm"] {
                    remove(&data.join("catalogues").join(format!("{name}.sqlite{end}")));
                }
            }
            "fleet-controller" => remove(&data.join("leases").join(format!("{}.lock", owner.key()))),
            _ => {}
        }
        for object in ["service", "job", "engine"] {
            Keeper::forget_log(&self.shared, owner, object);
        }
        if self.list(&owner.deployment).len() <= 1 {
            remove(&data);
            remove(&self.shared.run.join(owner.deployment.as_str()));
        }
    }

    /// Ends all keepers and leaves their processes to the next agent; what runs inside of this one is drained.
    pub async fn leave(&self) {
        let keepers: Vec<(watch::Sender<Order>, JoinHandle<()>)> = self.shared.owners(|owners| {
            owners.values_mut().flat_map(|kept| std::mem::take(&mut kept.keepers).into_values()).collect()
        });
        for (orders, _) in &keepers {
            orders.send_replace(Order::Leave);
        }
        for (_, task) in keepers {
            let _ = tokio::time::timeout(std::time::Duration::from_secs(20), task).await;
        }
    }
}

/// Whether an object runs here. A service of which none is to run, because others do its work, is only held.
fn is_run(object: &Object) -> bool {
    match object {
        Object::Service(it) => it.replicas > 0,
        Object::Job(_) | Object::Engine(_) => true,
        _ => false,
    }
}
