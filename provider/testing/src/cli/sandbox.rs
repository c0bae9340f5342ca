//! A place for one case: working directories, provider binaries, environment, logs. Gone afterwards.
//!
//! Nothing of the user's machine reaches the command line: an own home, an own CLI configuration, and of
//! the environment only what a process needs to start. No registry is ever asked.

use std::{
    cell::{Cell, RefCell},
    collections::BTreeMap,
    env,
    ffi::OsString,
    fs,
    path::{Path, PathBuf},
    sync::LazyLock,
    time::Duration,
};

use regex::Regex;
use serde_json::Value;

use super::{
    Failure, Output, PlanJson, StateJson,
    process::{self, Interrupt, Spec},
};

/// What is passed on from the environment of the test: enough to start, to link and to profile.
const INHERITED: [&str; 9] = [
    "PATH",
    "TMPDIR",
    "TEMP",
    "TMP",
    "SystemRoot",
    "LD_LIBRARY_PATH",
    "LLVM_PROFILE_FILE",
    "RUST_BACKTRACE",
    "TZ",
];

/// The name of every saved plan, so that looking for secrets finds them.
pub(crate) const PLAN_FILE: &str = "tfplan";
/// A command whose standard output is a whole plan or state in JSON.
pub(crate) const SHOW: &str = "show";

/// What a case asks of its sandbox.
#[derive(Default)]
pub(crate) struct Setup {
    pub(crate) providers: Vec<(String, PathBuf)>,
    pub(crate) reattach: Option<String>,
    pub(crate) env: BTreeMap<OsString, OsString>,
    pub(crate) inherited: Vec<String>,
    pub(crate) log_level: Option<String>,
}

pub(crate) struct Sandbox {
    base: tempfile::TempDir,
    program: PathBuf,
    env: BTreeMap<OsString, OsString>,
    log_level: Option<String>,
    /// Written as `required_providers` into each module that has none.
    addresses: Vec<String>,
    commands: Cell<u32>,
    /// Addresses in the order of their folders.
    overridden: Vec<String>,
}

/// How one command differs from the next.
#[derive(Clone, Copy)]
pub(crate) struct How<'a> {
    pub(crate) env: &'a BTreeMap<OsString, OsString>,
    pub(crate) timeout: Duration,
    pub(crate) interrupt: Option<&'a Interrupt>,
}

impl Sandbox {
    pub(crate) fn new(program: &Path, setup: Setup) -> Result<Self, Failure> {
        let base = tempfile::Builder::new()
            .prefix("tfplugin-")
            .tempdir()
            .map_err(|error| Failure::new(format!("cannot create a temporary directory: {error}")))?;
        let root = base.path();
        for folder in ["home", "mirror", "logs", "providers"] {
            create_dir(&root.join(folder))?;
        }
        let mut overrides = String::new();
        let mut addresses = Vec::new();
        for (number, (address, binary)) in setup.providers.iter().enumerate() {
            let folder = root.join("providers").join(number.to_string());
            install(address, binary, &folder)?;
            overrides.push_str(&format!("    {} = {}\n", hcl_string(address), hcl_path(&folder)));
            addresses.push(address.clone());
        }
        let mut env: BTreeMap<OsString, OsString> = INHERITED
            .into_iter()
            .chain(setup.inherited.iter().map(String::as_str))
            .filter_map(|name| Some((name.into(), env::var_os(name)?)))
            .collect();
        let config = root.join("cli.tfrc");
        for (name, value) in [
            ("HOME", root.join("home").into_os_string()),
            ("USERPROFILE", root.join("home").into_os_string()),
            ("APPDATA", root.join("home").into_os_string()),
            ("TF_CLI_CONFIG_FILE", config.clone().into_os_string()),
            ("TF_IN_AUTOMATION", "1".into()),
            ("TF_INPUT", "0".into()),
            ("CHECKPOINT_DISABLE", "1".into()),
            ("LANG", "C.UTF-8".into()),
        ] {
            env.insert(name.into(), value);
        }
        if let Some(reattach) = &setup.reattach {
            let servers: Value = serde_json::from_str(reattach)
                .map_err(|error| Failure::new(format!("the reattach text is no JSON: {error}")))?;
            addresses.extend(servers.as_object().into_iter().flatten().map(|(address, _)| address.clone()));
            env.insert("TF_REATTACH_PROVIDERS".into(), reattach.into());
        }
        env.extend(setup.env);
        // An empty mirror and nothing else: what no override names fails at once, without a network.
        let mirror = hcl_path(&root.join("mirror"));
        let text = format!(
            "provider_installation {{\n  dev_overrides {{\n{overrides}  }}\n  filesystem_mirror {{\n    path = {mirror}\n  }}\n}}\n"
        );
        write(&config, &text)?;
        Ok(Self {
            program: program.to_owned(),
            env,
            log_level: setup.log_level,
            addresses,
            commands: Cell::new(0),
            overridden: setup.providers.into_iter().map(|(address, _)| address).collect(),
            base,
        })
    }

    pub(crate) fn root(&self) -> &Path {
        self.base.path()
    }

    /// Puts another binary in the place of a provider's.
    pub(crate) fn replace_provider(&self, address: &str, binary: &Path) -> Result<(), Failure> {
        let Some(number) = self.overridden.iter().position(|known| known == address) else {
            let known = self.overridden.join(", ");
            return Err(Failure::new(format!(
                "the case has no provider {address} to replace, only [{known}]"
            )));
        };
        let folder = self.root().join("providers").join(number.to_string());
        fs::remove_dir_all(&folder).map_err(|error| Failure::io("empty", &folder, &error))?;
        install(address, binary, &folder)
    }

    /// The number of the next command: logs before it belong to earlier steps.
    pub(crate) fn next_command(&self) -> u32 {
        self.commands.get()
    }

    /// The log text of all commands since number `first`.
    pub(crate) fn log_since(&self, first: u32) -> Result<String, Failure> {
        let mut text = String::new();
        for number in first..self.commands.get() {
            let path = self.log_path(number);
            if path.exists() {
                let log = fs::read(&path).map_err(|error| Failure::io("read", &path, &error))?;
                text.push_str(&String::from_utf8_lossy(&log));
            }
        }
        Ok(text)
    }

    fn log_path(&self, number: u32) -> PathBuf {
        self.root().join("logs").join(format!("{number:03}.log"))
    }

    /// Leaves everything on disk and says where.
    pub(crate) fn keep(self) -> PathBuf {
        self.base.keep()
    }

    /// A working directory of this name, new and empty.
    pub(crate) fn working_dir(&self, name: &str) -> Result<WorkingDir<'_>, Failure> {
        let path = self.root().join(name);
        create_dir(&path)?;
        Ok(WorkingDir { sandbox: self, path, files: RefCell::default(), good: RefCell::default() })
    }
}

/// A configuration that Terraform could plan, and the environment that it was planned with.
#[derive(Clone, Default)]
pub(crate) struct Good {
    files: BTreeMap<String, String>,
    pub(crate) env: BTreeMap<OsString, OsString>,
}

/// One directory in which commands run.
pub(crate) struct WorkingDir<'s> {
    pub(crate) sandbox: &'s Sandbox,
    pub(crate) path: PathBuf,
    files: RefCell<BTreeMap<String, String>>,
    good: RefCell<Good>,
}

impl WorkingDir<'_> {
    /// Replaces the whole configuration: files of an earlier one are removed.
    pub(crate) fn configure(&self, files: BTreeMap<String, String>) -> Result<(), Failure> {
        static REQUIRED: LazyLock<Option<Regex>> =
            LazyLock::new(|| Regex::new(r"(?m)^\s*required_providers\s*\{").ok());
        let mut files = files;
        let mut modules: BTreeMap<String, String> = BTreeMap::from([(String::new(), String::new())]);
        for (name, text) in files.iter().filter(|(name, _)| name.ends_with(".tf")) {
            let folder = name.rfind('/').and_then(|end| name.get(..=end)).unwrap_or_default();
            modules.entry(folder.to_owned()).or_default().push_str(text);
        }
        for (folder, text) in modules {
            if REQUIRED.as_ref().is_some_and(|regex| regex.is_match(&text)) {
                continue;
            }
            // Only those that it names: each one listed is started. A root that names none may have any.
            let named: Vec<&String> =
                self.sandbox.addresses.iter().filter(|address| text.contains(local_name(address))).collect();
            let all = || self.sandbox.addresses.iter().collect();
            let listed = if named.is_empty() && folder.is_empty() { all() } else { named };
            if !listed.is_empty() {
                files.insert(format!("{folder}required_providers.tf"), required_providers(&listed));
            }
        }
        for name in self.files.borrow().keys() {
            let _ = fs::remove_file(self.path.join(name));
        }
        for (name, text) in &files {
            let path = self.path.join(name);
            if let Some(folder) = path.parent() {
                create_dir(folder)?;
            }
            write(&path, text)?;
        }
        *self.files.borrow_mut() = files;
        Ok(())
    }

    /// The configuration as it is now.
    pub(crate) fn configuration(&self) -> BTreeMap<String, String> {
        self.files.borrow().clone()
    }

    /// Notes that Terraform could plan this configuration, so that the last destroy can use it.
    pub(crate) fn configuration_is_good(&self, env: &BTreeMap<OsString, OsString>) {
        *self.good.borrow_mut() = Good { files: self.configuration(), env: env.clone() };
    }

    /// Goes back to the last configuration that Terraform could plan.
    pub(crate) fn restore_good_configuration(&self) -> Result<Good, Failure> {
        let good = self.good.borrow().clone();
        if good.files != *self.files.borrow() {
            self.configure(good.files.clone())?;
        }
        Ok(good)
    }

    /// Takes a file that a command wrote into the configuration.
    pub(crate) fn adopt(&self, name: &str) -> Result<(), Failure> {
        let path = self.path.join(name);
        if path.exists() {
            let text = fs::read_to_string(&path).map_err(|error| Failure::io("read", &path, &error))?;
            self.files.borrow_mut().insert(name.to_owned(), text);
        }
        Ok(())
    }

    pub(crate) fn uses_modules(&self) -> bool {
        static MODULE: LazyLock<Option<Regex>> = LazyLock::new(|| Regex::new(r#"(?m)^\s*module\s+""#).ok());
        self.files.borrow().values().any(|text| MODULE.as_ref().is_some_and(|regex| regex.is_match(text)))
    }

    pub(crate) fn has_state(&self) -> bool {
        self.path.join("terraform.tfstate").exists()
    }

    /// Runs the command line here. An exit status other than 0 is no error.
    pub(crate) fn run<S: Into<OsString>>(
        &self,
        args: impl IntoIterator<Item = S>,
        how: How<'_>,
    ) -> Result<Output, Failure> {
        let args: Vec<OsString> = args.into_iter().map(Into::into).collect();
        let number = self.sandbox.commands.get();
        self.sandbox.commands.set(number + 1);
        let mut env = self.sandbox.env.clone();
        if let Some(level) = &self.sandbox.log_level {
            env.insert("TF_LOG".into(), level.into());
            env.insert("TF_LOG_PATH".into(), self.sandbox.log_path(number).into_os_string());
        }
        env.extend(how.env.iter().map(|(name, value)| (name.clone(), value.clone())));
        let verb = args.first().map_or_else(String::new, |verb| verb.to_string_lossy().into_owned());
        let verb: String = verb.chars().filter(char::is_ascii_alphanumeric).collect();
        process::run(&Spec {
            program: &self.sandbox.program,
            args,
            dir: &self.path,
            env,
            timeout: how.timeout,
            interrupt: how.interrupt,
            output: self.sandbox.root().join("logs").join(format!("{number:03}-{verb}")),
        })
    }

    /// Runs a command that must succeed.
    pub(crate) fn must<S: Into<OsString>>(
        &self,
        args: impl IntoIterator<Item = S>,
        how: How<'_>,
    ) -> Result<Output, Failure> {
        let output = self.run(args, how)?;
        if output.success() { Ok(output) } else { Err(Failure::new("the command failed").command(&output)) }
    }

    pub(crate) fn show_plan(&self, how: How<'_>) -> Result<PlanJson, Failure> {
        let how = How { interrupt: None, ..how };
        Ok(PlanJson(json_of(&self.must([SHOW, "-json", PLAN_FILE], how)?)?))
    }

    /// The bytes of the plan that was saved last.
    pub(crate) fn plan_file(&self) -> Result<Vec<u8>, Failure> {
        let path = self.path.join(PLAN_FILE);
        fs::read(&path).map_err(|error| Failure::io("read", &path, &error))
    }

    pub(crate) fn show_state(&self, how: How<'_>) -> Result<StateJson, Failure> {
        let how = How { interrupt: None, ..how };
        Ok(StateJson(json_of(&self.must([SHOW, "-json"], how)?)?))
    }
}

/// The JSON document that a command printed.
pub(crate) fn json_of(output: &Output) -> Result<Value, Failure> {
    serde_json::from_str(output.stdout())
        .map_err(|error| Failure::new(format!("the command printed no JSON: {error}")).command(output))
}

/// Puts the binary into a folder of its own, under the name that the command line looks for.
fn install(address: &str, binary: &Path, folder: &Path) -> Result<(), Failure> {
    create_dir(folder)?;
    let binary = binary.canonicalize().map_err(|error| Failure::io("find the provider", binary, &error))?;
    let name = local_name(address);
    let target = folder.join(format!("terraform-provider-{name}{}", env::consts::EXE_SUFFIX));
    #[cfg(unix)]
    let done = std::os::unix::fs::symlink(&binary, &target);
    #[cfg(not(unix))]
    let done = fs::hard_link(&binary, &target).or_else(|_| fs::copy(&binary, &target).map(|_| ()));
    done.map_err(|error| Failure::io("link", &target, &error))
}

/// The text files of a directory and those below it, by relative path.
pub(crate) fn files_of(folder: &Path) -> Result<BTreeMap<String, String>, Failure> {
    let mut files = BTreeMap::new();
    collect(folder, "", &mut files)?;
    if files.is_empty() {
        return Err(Failure::new(format!("{} has no configuration", folder.display())));
    }
    Ok(files)
}

fn collect(folder: &Path, prefix: &str, files: &mut BTreeMap<String, String>) -> Result<(), Failure> {
    let entries = fs::read_dir(folder).map_err(|error| Failure::io("list", folder, &error))?;
    for entry in entries {
        let entry = entry.map_err(|error| Failure::io("list", folder, &error))?;
        let (name, path) = (entry.file_name().to_string_lossy().into_owned(), entry.path());
        let written_by_terraform = name.contains(".tfstate") || name == PLAN_FILE;
        if name.starts_with('.') || written_by_terraform {
            continue;
        }
        let inner = format!("{prefix}{name}");
        if path.is_dir() {
            collect(&path, &format!("{inner}/"), files)?;
        } else {
            let text = fs::read_to_string(&path).map_err(|error| Failure::io("read", &path, &error))?;
            files.insert(inner, text);
        }
    }
    Ok(())
}

fn required_providers(addresses: &[&String]) -> String {
    let mut text = "terraform {\n  required_providers {\n".to_owned();
    for address in addresses {
        text.push_str(&format!("    {} = {{ source = {} }}\n", local_name(address), hcl_string(address)));
    }
    text + "  }\n}\n"
}

/// `acme` of `registry.terraform.io/acme/acme`.
fn local_name(address: &str) -> &str {
    address.rsplit('/').next().unwrap_or(address)
}

/// A string literal of HCL, without interpolation.
pub(crate) fn hcl_string(text: &str) -> String {
    Value::from(text).to_string().replace("${", "$${").replace("%{", "%%{")
}

fn hcl_path(path: &Path) -> String {
    hcl_string(&path.to_string_lossy())
}

fn create_dir(path: &Path) -> Result<(), Failure> {
    fs::create_dir_all(path).map_err(|error| Failure::io("create", path, &error))
}

fn write(path: &Path, text: &str) -> Result<(), Failure> {
    fs::write(path, text).map_err(|error| Failure::io("write", path, &error))
}
