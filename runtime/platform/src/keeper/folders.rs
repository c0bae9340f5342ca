//! Whose folder is whose. A service may do what it likes in its own, so nothing of ours is written, read or looked up in
//! one of those by a name that it could have put a link under:
//!
//! ```text
//! <data>/<deployment>                  ours
//!   log/, files/                       ours
//!   kept/<object>                      ours: which process it is, how a job ended, the engine's configuration
//!   scratch/<object>                   the service's; an engine's is ours, but for its cache and log
//!   stores/, logs/, catalogues/, leases/  the services'
//! <run>/<deployment>                   ours
//!   s                                  the services': sockets of local stores
//!   <object>                           ours: spec and context
//!     credentials/, specs/             ours; the files in them are the service's to read
//!     s                                the service's: its own socket
//! ```

use std::path::PathBuf;

use sha2::{Digest as _, Sha256};
use streamverse_core::run::{AdminAddress, RunOptions};
use streamverse_core::{Error, Metrics, Result, ServiceContext};
use streamverse_model::platform::{CredentialUse, Name, Owner, Port, Reason, SpecUse};

use super::Keeper;
use crate::agent::Shared;
use crate::files::{make, make_ours, write_whole};

impl Keeper {
    fn short_of(owner: &Owner, key: &str) -> String {
        hex::encode(&Sha256::digest(format!("{}/{key}", owner.key()))[..6])
    }

    /// Spec, context, credentials and the socket: short, for a socket's path has 108 bytes.
    pub(super) fn place(&self) -> PathBuf {
        Self::place_of(&self.shared, &self.owner, &self.key)
    }

    fn place_of(shared: &Shared, owner: &Owner, key: &str) -> PathBuf {
        shared.run.join(owner.deployment.as_str()).join(Self::short_of(owner, key))
    }

    fn below(shared: &Shared, owner: &Owner, key: &str, what: &str) -> PathBuf {
        let name = format!("{}.{}", owner.key(), key.replace('/', "."));
        shared.data.join(owner.deployment.as_str()).join(what).join(name)
    }

    pub(super) fn scratch(&self) -> PathBuf {
        Self::scratch_of(&self.shared, &self.owner, &self.key)
    }

    pub(crate) fn scratch_of(shared: &Shared, owner: &Owner, key: &str) -> PathBuf {
        Self::below(shared, owner, key, "scratch")
    }

    /// What we remember of it.
    pub(super) fn kept(&self) -> PathBuf {
        Self::below(&self.shared, &self.owner, &self.key, "kept")
    }

    pub(super) fn socket(&self) -> PathBuf {
        Self::socket_of(&self.shared, &self.owner, &self.key)
    }

    /// Where it answers about itself.
    pub(crate) fn socket_of(shared: &Shared, owner: &Owner, key: &str) -> PathBuf {
        Self::place_of(shared, owner, key).join("s").join("admin.sock")
    }

    /// Removes the log of what an owner had, with what was put aside.
    pub(crate) fn forget_log(shared: &Shared, owner: &Owner, object: &str) {
        let log = Self::log_of(shared, owner, &format!("{object}/{}", owner.kind));
        crate::files::remove(&crate::process::older_log(&log));
        crate::files::remove(&log);
    }

    pub(crate) fn log_of(shared: &Shared, owner: &Owner, key: &str) -> PathBuf {
        let name = format!("{}.{}.log", owner.key(), key.replace('/', "."));
        shared.data.join(owner.deployment.as_str()).join("log").join(name)
    }

    pub(super) fn context(&self, ports: &[Port]) -> ServiceContext {
        let deployment = self.owner.deployment.as_str();
        let public = ports.iter().any(|port| port.public);
        ServiceContext {
            site: self.shared.site.clone(),
            owner: self.owner.clone(),
            object: self.key.clone(),
            data_dir: self.shared.data.join(deployment),
            scratch_dir: self.scratch(),
            run_dir: self.shared.run.join(deployment).join("s"),
            credentials_dir: self.place().join("credentials"),
            specs_dir: self.place().join("specs"),
            tools: self.shared.tools.clone(),
            bind: if public { [0, 0, 0, 0].into() } else { self.shared.bind },
            metrics: Metrics::new(),
        }
    }

    pub(super) fn make_folders(&self) -> Result<()> {
        let user = self.shared.user;
        let deployment = self.owner.deployment.as_str();
        let (data, run) = (self.shared.data.join(deployment), self.shared.run.join(deployment));
        for folder in [&data, &run, &data.join("log"), &data.join("kept"), &data.join("scratch")] {
            make_ours(folder)?;
        }
        for folder in [&self.kept(), &self.place()] {
            make_ours(folder)?;
        }
        for folder in ["credentials", "specs"] {
            make_ours(&self.place().join(folder))?;
        }
        for folder in ["stores", "logs", "catalogues", "leases"] {
            make(&data.join(folder), user)?;
        }
        for folder in [&run.join("s"), &self.place().join("s")] {
            make(folder, user)?;
        }
        // An engine is told by its driver where it may write.
        if self.key.starts_with("engine/") { make_ours(&self.scratch()) } else { make(&self.scratch(), user) }
    }

    /// Lays credentials and specs; says what is still missing.
    pub(super) fn lay(&self, credentials: &[CredentialUse], uses: &[SpecUse]) -> Result<Option<Reason>> {
        let user = self.shared.user;
        let folder = self.place().join("credentials");
        for one in credentials {
            let owner = self.other(&one.kind, &one.name);
            // Of an owner that is not known yet nobody can say what others may have.
            let keys = self.shared.secret_keys(&owner, owner == self.owner);
            let laid = keys.map(|keys| self.shared.vault.lay(&owner, &keys, &folder, user)).transpose()?;
            if laid != Some(true) {
                return Ok(Some(Reason::new(
                    "secret-missing",
                    format!("the secret of {owner} is not here yet"),
                )));
            }
        }
        for one in uses {
            let owner = self.other(&one.kind, &one.name);
            let Some((spec, mut credentials)) = self.shared.spec_of(&owner, &one.service) else {
                return Ok(Some(Reason::new("owner-missing", format!("{owner} is not here yet"))));
            };
            let path = self.place().join("specs").join(format!("{}.json", owner.key()));
            write_whole(&path, spec.to_string().as_bytes(), 0o600, user)?;
            // What is that service's own stays its own: whoever reads its spec needs its stores.
            credentials.retain(|it| it.kind != one.kind || it.name != one.name);
            if let Some(missing) = self.lay(&credentials, &[])? {
                return Ok(Some(missing));
            }
        }
        Ok(None)
    }

    fn other(&self, kind: &Name, name: &Name) -> Owner {
        Owner { deployment: self.owner.deployment.clone(), kind: kind.clone(), name: name.clone() }
    }

    /// What `streamverse run` is told, or what a service inside of us is.
    pub(super) fn options(&self, target: &str) -> RunOptions {
        RunOptions {
            target: target.to_owned(),
            spec: self.place().join("spec.json"),
            context: self.place().join("context.json"),
            admin: AdminAddress::Unix(self.socket()),
            outcome: Some(self.scratch().join("end.json")),
        }
    }

    pub(super) fn write_orders(&self, spec: &serde_json::Value, cx: &ServiceContext) -> Result<()> {
        let user = self.shared.user;
        write_whole(&self.place().join("spec.json"), spec.to_string().as_bytes(), 0o600, user)?;
        let context = serde_json::to_vec(cx)
            .map_err(|error| Error::permanent("node", "the context cannot be written").because(error))?;
        write_whole(&self.place().join("context.json"), &context, 0o600, user)
    }
}

/// The words of `streamverse run` that say the same.
pub(crate) fn run_args(options: &RunOptions) -> Vec<String> {
    let path = |path: &std::path::Path| path.to_string_lossy().into_owned();
    let admin = match &options.admin {
        AdminAddress::Unix(socket) => format!("unix:{}", socket.display()),
        AdminAddress::Tcp(address) => format!("tcp:{address}"),
    };
    let mut args = vec!["run".to_owned(), "--target".to_owned(), options.target.clone()];
    args.extend(["--spec".to_owned(), path(&options.spec), "--context".to_owned(), path(&options.context)]);
    args.extend(["--admin".to_owned(), admin]);
    args.extend(options.outcome.iter().flat_map(|it| ["--outcome".to_owned(), path(it)]));
    args
}
