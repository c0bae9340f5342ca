//! The unix socket's file: where it lies, who may open it, and that it goes away with us.

use super::error::ServeError;
use super::host::Host;
use std::fs;
use std::hash::{BuildHasher as _, Hasher as _, RandomState};
use std::io;
use std::os::unix::fs::{PermissionsExt as _, chown};
use std::path::{Path, PathBuf};
use tokio::net::{UnixListener, UnixStream};

/// A name is taken only by ill will; then it is, and we say so instead of searching for ever.
const ATTEMPTS: usize = 16;

pub(super) struct Listener {
    socket: UnixListener,
    file: File,
}

impl Listener {
    pub(super) fn bind(host: &Host) -> Result<Listener, ServeError> {
        let directory = host.socket_dir.clone().unwrap_or_else(std::env::temp_dir);
        let tried = || format!("listen on a unix socket in {}", directory.display());
        let (socket, file) =
            bind(&directory).map_err(|source| ServeError::Socket { tried: tried(), source })?;
        restrict(&file.path, host.socket_group.as_deref())?;
        Ok(Listener { socket, file })
    }

    pub(super) fn path(&self) -> &str {
        &self.file.path
    }

    pub(super) async fn accept(&self) -> io::Result<UnixStream> {
        Ok(self.socket.accept().await?.0)
    }
}

fn bind(directory: &Path) -> io::Result<(UnixListener, File)> {
    let mut last = io::Error::from(io::ErrorKind::AddrInUse);
    for _ in 0..ATTEMPTS {
        let path = directory.join(format!("plugin{}", unique()));
        let path = name(path)?;
        match UnixListener::bind(&path) {
            Ok(socket) => return Ok((socket, File { path })),
            Err(error) if error.kind() == io::ErrorKind::AddrInUse => last = error,
            Err(error) => return Err(error),
        }
    }
    Err(last)
}

/// The handshake line is text in which `|` and line ends separate.
fn name(path: PathBuf) -> io::Result<String> {
    let wrong = |problem: &str| Err(io::Error::new(io::ErrorKind::InvalidInput, problem.to_owned()));
    match path.into_os_string().into_string() {
        Err(_) => wrong("the directory's name is not UTF-8; set TMPDIR to another"),
        Ok(name) if name.contains(['|', '\n', '\r']) => {
            wrong("the directory's name holds a bar or a line end; set TMPDIR to another")
        }
        // 104 bytes on macOS and BSD, 108 on Linux, with the final zero.
        Ok(name) if name.len() > 103 => {
            wrong("the path is longer than a socket's may be; set TMPDIR to a shorter one")
        }
        Ok(name) => Ok(name),
    }
}

/// Different in each process and each call, from the standard library's hash seeds.
fn unique() -> u64 {
    RandomState::new().build_hasher().finish()
}

/// Only its owner, or the group that the host names, may connect.
fn restrict(path: &str, group: Option<&str>) -> Result<(), ServeError> {
    let failed = |source| ServeError::Socket { tried: format!("set the permissions of {path}"), source };
    let mode = match group {
        None => 0o600,
        Some(group) => {
            let id =
                group_id(group, &fs::read_to_string("/etc/group").unwrap_or_default()).ok_or_else(|| {
                    ServeError::Setting {
                        name: "PLUGIN_UNIX_SOCKET_GROUP",
                        problem: format!("there is no group {group:?}"),
                    }
                })?;
            chown(path, None, Some(id)).map_err(failed)?;
            0o660
        }
    };
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).map_err(failed)
}

/// A number, or a name in `/etc/group`.
fn group_id(group: &str, table: &str) -> Option<u32> {
    group.parse().ok().or_else(|| {
        table.lines().find_map(|line| {
            let mut fields = line.split(':');
            (fields.next() == Some(group)).then(|| fields.nth(1)?.parse().ok())?
        })
    })
}

/// Removed when dropped.
struct File {
    path: String,
}

impl Drop for File {
    fn drop(&mut self) {
        // The host removes its directory anyway, and may have done so already.
        let _ = fs::remove_file(&self.path);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn directory(name: &str) -> PathBuf {
        let path = std::env::temp_dir().join(format!("{name}{}", unique()));
        fs::create_dir(&path).unwrap();
        path
    }

    #[tokio::test]
    async fn the_socket_is_its_owners_and_goes_away_with_the_listener() {
        let directory = directory("sock");
        let host = Host { socket_dir: Some(directory.clone()), ..Host::default() };
        let listener = Listener::bind(&host).unwrap();
        let path = PathBuf::from(listener.path());
        assert_eq!(path.parent(), Some(directory.as_path()));
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        drop(listener);
        assert!(!path.exists());
        fs::remove_dir(directory).unwrap();
    }

    #[tokio::test]
    async fn a_group_gets_access_and_an_unknown_one_is_named() {
        let directory = directory("group");
        let own = fs::metadata(&directory).unwrap();
        let group = std::os::unix::fs::MetadataExt::gid(&own).to_string();
        let mut host =
            Host { socket_dir: Some(directory.clone()), socket_group: Some(group), ..Host::default() };
        let listener = Listener::bind(&host).unwrap();
        assert_eq!(fs::metadata(listener.path()).unwrap().permissions().mode() & 0o777, 0o660);
        host.socket_group = Some("no-such-group".to_owned());
        let error = Listener::bind(&host).err().unwrap().to_string();
        assert!(error.contains("no-such-group"), "{error}");
        drop(listener);
        fs::remove_dir(directory).unwrap();
    }

    #[tokio::test]
    async fn a_directory_too_deep_for_a_socket_says_what_to_change() {
        let deep = std::env::temp_dir().join("d".repeat(120));
        let host = Host { socket_dir: Some(deep), ..Host::default() };
        let Err(error) = Listener::bind(&host) else { panic!("bound") };
        assert!(std::error::Error::source(&error).unwrap().to_string().contains("TMPDIR"));
    }

    #[test]
    fn groups_are_found_by_number_and_by_name() {
        let table = "root:x:0:\nvideo:x:44:anna,ben\n";
        assert_eq!(group_id("44", table), Some(44));
        assert_eq!(group_id("video", table), Some(44));
        assert_eq!(group_id("vide", table), None);
    }
}
