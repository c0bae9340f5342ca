//! Where the quickstart lives on this host, and the agent that runs there.

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use super::channel::Secrets;
use super::clips::{self, Clip, Role};
use crate::failure::{Failure, Outcome};
use crate::process::Run;
use crate::tools::Ready;
use crate::workspace::Workspace;

/// Who services and engines run as, where we are root: Traffic Server refuses root.
const USER: &str = "streamverse";
const TOOLS: &[(&str, &str)] = &[
    ("ffmpeg", "STREAMVERSE_FFMPEG"),
    ("ffprobe", "STREAMVERSE_FFPROBE"),
    ("packager", "STREAMVERSE_PACKAGER"),
];
/// Says that a folder is one of ours.
const MARK: &str = ".streamverse-quickstart";
const PROVIDER: &str = "registry.terraform.io/streamverse/streamverse/0.1.0";

pub(super) struct Place {
    base: PathBuf,
    root: bool,
}

impl Place {
    pub(super) fn find() -> Outcome<Place> {
        let root = Run::new("id", "id").args(["-u"]).output().is_ok_and(|id| id.trim() == "0");
        let home = std::env::var_os("HOME").map(PathBuf::from);
        let base = match (root, home) {
            (true, _) => PathBuf::from("/var/lib/streamverse-quickstart"),
            (false, Some(home)) => home.join(".local/share/streamverse-quickstart"),
            (false, None) => return Err(Failure::new("no home folder").next("set HOME")),
        };
        Ok(Place { base, root })
    }

    /// A folder that somebody chose. Its end is `--down`, which removes all of it: so it is new, empty, or a place of
    /// ours already.
    pub(super) fn at(folder: &Path) -> Outcome<Place> {
        let entries = fs::read_dir(folder).map(Iterator::count).unwrap_or_default();
        if entries > 0 && !folder.join(MARK).exists() {
            return Err(Failure::new(format!("{} holds something else", folder.display()))
                .next("choose a folder that is empty or not there yet"));
        }
        Ok(Place { base: folder.to_owned(), ..Place::find()? })
    }

    /// Where states of clusters are kept: not in the folder that taking down this host's quickstart removes.
    pub(super) fn of_clusters() -> Outcome<Place> {
        let Place { base, root } = Place::find()?;
        let name = format!("{}-kubernetes", base.file_name().unwrap_or_default().to_string_lossy());
        Ok(Place { base: base.with_file_name(name), root })
    }

    pub(super) fn base(&self) -> &Path {
        &self.base
    }

    pub(super) fn socket(&self) -> PathBuf {
        self.base.join("run").join("node.sock")
    }

    pub(super) fn variables(&self) -> PathBuf {
        self.base.join("quickstart.tfvars.json")
    }

    pub(super) fn state(&self) -> PathBuf {
        self.base.join("terraform.tfstate")
    }

    pub(super) fn cli_config(&self) -> PathBuf {
        self.base.join("terraform.rc")
    }

    pub(super) fn program(&self, name: &str) -> PathBuf {
        self.base.join("bin").join(name)
    }

    pub(super) fn tool(&self, name: &str) -> PathBuf {
        self.program(name)
    }

    fn agent_pid(&self) -> PathBuf {
        self.base.join("agent.pid")
    }

    /// Puts programs of a folder where the service user may run them, and the provider into a filesystem mirror: with an
    /// override for development, `terraform init` would ask a registry.
    pub(super) fn install(&self, built: &Path, ready: &Ready) -> Outcome {
        for folder in ["bin", "data", "run", "clips"] {
            make(&self.base.join(folder))?;
        }
        let mark = self.base.join(MARK);
        fs::write(&mark, "").map_err(|error| Failure::io("write", &mark, &error))?;
        if self.root && !user_exists() {
            Run::new("useradd", "useradd")
                .args(["--system", "--no-create-home", "--shell", "/usr/sbin/nologin", USER])
                .output()?;
        }
        for (name, variable) in TOOLS {
            let from = ready.path(variable).ok_or_else(|| Failure::new(format!("{name} is missing")))?;
            copy(&from, &self.program(name))?;
        }
        copy(&built.join("streamverse"), &self.program("streamverse"))?;
        self.install_provider(built)
    }

    /// Lays the provider where `terraform init` finds it.
    pub(super) fn install_provider(&self, built: &Path) -> Outcome {
        let platform =
            format!("linux_{}", if std::env::consts::ARCH == "aarch64" { "arm64" } else { "amd64" });
        let mirror = self.base.join("mirror").join(PROVIDER).join(platform);
        make(&mirror)?;
        copy(
            &built.join("terraform-provider-streamverse"),
            &mirror.join("terraform-provider-streamverse_v0.1.0"),
        )?;
        // OpenTofu asks its own registry's name.
        let (ours, theirs) =
            (self.base.join("mirror/registry.terraform.io"), self.base.join("mirror/registry.opentofu.org"));
        if !theirs.exists() {
            symlink(&ours, &theirs).map_err(|error| Failure::io("link", &theirs, &error))?;
        }
        let config = format!(
            "provider_installation {{\n  filesystem_mirror {{\n    path = \"{}\"\n  }}\n}}\n",
            self.base.join("mirror").display()
        );
        fs::write(self.cli_config(), config).map_err(|error| Failure::io("write", &self.cli_config(), &error))
    }

    /// Secrets of this place, made once. The key service reads the key-encryption key itself.
    pub(super) fn secrets(&self) -> Outcome<Secrets> {
        Secrets::ensure(self.base.join("secrets"), self.root.then_some(USER))
    }

    /// Files that the service user reads.
    pub(super) fn hand_over(&self, folder: &Path) -> Outcome {
        Run::new("chmod", "chmod").args(["-R", "a+rX"]).args([folder]).output().map(|_| ())
    }

    /// The user's own files, where the service user may read them. Two files of one name are two videos.
    pub(super) fn take(&self, inputs: &[PathBuf]) -> Outcome<Vec<Clip>> {
        let mut clips: Vec<Clip> = Vec::new();
        for input in inputs {
            let name =
                free_name(input, |name| clips::is_taken(name) || clips.iter().any(|clip| clip.name == name));
            let ending = input.extension().unwrap_or_default().to_string_lossy().into_owned();
            let file = self.base.join("clips").join(format!("{name}.{ending}"));
            copy(input, &file)?;
            clips.push(Clip { name, file, subtitles: Vec::new(), role: Role::Programme });
        }
        Ok(clips)
    }

    /// Whether an agent ever kept something here.
    pub(super) fn holds_something(&self) -> bool {
        self.program("streamverse").is_file() && self.base.join("data").join("owners").is_dir()
    }

    /// Processes that were started from here, as `ps` shows them.
    pub(super) fn processes(&self) -> Vec<String> {
        let base = self.base.to_string_lossy().into_owned();
        let mut found = Vec::new();
        for entry in fs::read_dir("/proc").into_iter().flatten().flatten() {
            let Some(pid) = entry.file_name().to_str().and_then(|name| name.parse::<u32>().ok()) else {
                continue;
            };
            let line = fs::read(entry.path().join("cmdline")).unwrap_or_default();
            let line = String::from_utf8_lossy(&line).replace('\0', " ");
            // Traffic Server names its folder in its environment only.
            let environ = fs::read(entry.path().join("environ")).unwrap_or_default();
            let environ = String::from_utf8_lossy(&environ);
            let ours = line.contains(&format!("{base}/"))
                || environ
                    .split('\0')
                    .any(|it| it.starts_with("TS_RUNROOT=") && it.contains(&format!("{base}/")));
            if ours && pid != std::process::id() {
                found.push(format!("{pid} {}", line.trim()));
            }
        }
        found
    }

    pub(super) fn terraform(
        &self,
        workspace: &Workspace,
        program: &Path,
        command: &str,
        args: &[&str],
    ) -> Outcome<Run> {
        let folder = super::configuration(workspace);
        let run = self.terraform_in(&folder, "terraform", program, command, &[])?;
        let run =
            if command == "init" { run } else { run.args([format!("-state={}", self.state().display())]) };
        Ok(run.args(args.iter().copied()))
    }

    /// A command on the configuration of a folder, which keeps its data in a folder of that name here.
    pub(super) fn terraform_in(
        &self,
        folder: &Path,
        data: &str,
        program: &Path,
        command: &str,
        args: &[&str],
    ) -> Outcome<Run> {
        make(&self.base)?;
        let run = Run::new(format!("terraform {command}"), program)
            .args([format!("-chdir={}", folder.display()), command.to_owned(), "-no-color".to_owned()])
            .env("TF_CLI_CONFIG_FILE", self.cli_config())
            .env("TF_DATA_DIR", self.base.join(data))
            .env("TF_IN_AUTOMATION", "1");
        Ok(run.args(args.iter().copied()))
    }

    pub(super) fn agent_answers(&self) -> bool {
        std::os::unix::net::UnixStream::connect(self.socket()).is_ok()
    }

    /// Starts the agent of the program that was just installed. What an older one started goes on running.
    pub(super) fn start_agent(&self) -> Outcome {
        self.stop_agent();
        let log = self.base.join("agent.log");
        let mut words = vec![format!(
            "{} node run --data {base}/data --run {base}/run",
            self.program("streamverse").display(),
            base = self.base.display()
        )];
        for (name, _) in TOOLS {
            words.push(format!("--tool {name}={}", self.program(name).display()));
        }
        if self.root {
            words.push(format!("--user {USER}"));
        }
        // A session of its own: it stays when this terminal goes.
        let script = format!(
            "setsid {} >> {} 2>&1 < /dev/null & echo $! > {}",
            words.join(" "),
            log.display(),
            self.agent_pid().display()
        );
        Run::new("node agent", "sh").args(["-c", &script]).output()?;
        let until = Instant::now() + Duration::from_secs(20);
        while !self.agent_answers() {
            if Instant::now() > until {
                return Err(
                    Failure::new("the node agent does not answer").next(format!("read {}", log.display()))
                );
            }
            std::thread::sleep(Duration::from_millis(100));
        }
        Ok(())
    }

    /// Ends the agent as a crash would: what it runs goes on.
    pub(super) fn kill_agent(&self) -> Outcome {
        let pid = fs::read_to_string(self.agent_pid())
            .map_err(|error| Failure::io("read", &self.agent_pid(), &error))?;
        Run::new("kill", "kill").args(["-9", pid.trim()]).output().map(|_| ())
    }

    pub(super) fn stop_agent(&self) {
        let Ok(pid) = fs::read_to_string(self.agent_pid()) else { return };
        let pid = pid.trim();
        // A process id that was given to somebody else is not ours to end.
        let ours = fs::read(format!("/proc/{pid}/cmdline"))
            .is_ok_and(|line| String::from_utf8_lossy(&line).contains(&*self.base.to_string_lossy()));
        if ours {
            let _ = Run::new("kill", "kill").args([pid]).output();
            let until = Instant::now() + Duration::from_secs(20);
            while Path::new(&format!("/proc/{pid}")).exists() && Instant::now() < until {
                std::thread::sleep(Duration::from_millis(50));
            }
        }
        let _ = fs::remove_file(self.agent_pid());
    }

    /// Removes what the deployment has on this host, whatever the state says.
    pub(super) fn sweep(&self) -> Outcome {
        Run::new("sweep", self.program("streamverse"))
            .args(["sweep", "--deployment", "quickstart", "--socket"])
            .args([self.socket()])
            .limit(Duration::from_secs(300))
            .output()
            .map(|_| ())
    }

    pub(super) fn remove(&self) -> Outcome {
        match fs::remove_dir_all(&self.base) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                Err(Failure::io("remove", &self.base, &error))
            }
            _ => Ok(()),
        }
    }
}

/// A name in the sense of the provider, out of a file's name.
fn free_name(input: &Path, taken: impl Fn(&str) -> bool) -> String {
    let stem = input.file_stem().unwrap_or_default().to_string_lossy().to_lowercase();
    let name: String =
        stem.chars().map(|it| if it.is_ascii_alphanumeric() { it } else { '-' }).take(40).collect();
    let name = match name.trim_matches('-') {
        "" => "input",
        name => name,
    };
    let mut numbered = (2..).map(|number| format!("{name}-{number}"));
    if taken(name) { numbered.find(|name| !taken(name)).unwrap_or_default() } else { name.to_owned() }
}

fn user_exists() -> bool {
    fs::read_to_string("/etc/passwd")
        .is_ok_and(|text| text.lines().any(|line| line.starts_with(&format!("{USER}:"))))
}

fn make(folder: &Path) -> Outcome {
    fs::create_dir_all(folder).map_err(|error| Failure::io("create", folder, &error))?;
    fs::set_permissions(folder, fs::Permissions::from_mode(0o755))
        .map_err(|error| Failure::io("open", folder, &error))
}

/// Copies a program or clip under another name first: what runs keeps its own file.
fn copy(from: &Path, to: &Path) -> Outcome {
    let fresh = to.with_extension("new");
    fs::copy(from, &fresh).map_err(|error| Failure::io("copy", from, &error))?;
    fs::set_permissions(&fresh, fs::Permissions::from_mode(0o755))
        .map_err(|error| Failure::io("open", &fresh, &error))?;
    fs::rename(&fresh, to).map_err(|error| Failure::io("move", &fresh, &error))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_files_of_one_name_are_two_videos() {
        assert_eq!(free_name(Path::new("/a/My Film.mp4"), |_| false), "my-film");
        assert_eq!(free_name(Path::new("/b/my film.mkv"), |name| name == "my-film"), "my-film-2");
        assert_eq!(free_name(Path::new("/b/---.mkv"), |_| false), "input");
    }

    #[test]
    fn a_folder_that_holds_something_else_is_not_taken_as_a_place() {
        let folder = tempfile::tempdir().unwrap();
        assert!(Place::at(folder.path()).is_ok() && Place::at(&folder.path().join("new")).is_ok());
        fs::write(folder.path().join("letter"), "dear").unwrap();
        let refused = Place::at(folder.path()).err().unwrap().to_string();
        assert!(refused.contains("holds something else"), "{refused}");
        fs::write(folder.path().join(MARK), "").unwrap();
        assert!(Place::at(folder.path()).is_ok());
    }
}
