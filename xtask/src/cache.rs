//! Where built tools are kept: outside the checkout, so that a second checkout is warm.
//!
//! A tool appears under its final name only when it is complete (built beside it, then renamed), and one
//! process builds while others wait. The key is name and version; a changed recipe rebuilds in place.

use std::fs::{self, File, TryLockError};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use crate::failure::{Failure, Outcome};
use crate::process::clock;

/// The file inside a published folder that says by which recipe it was built.
const STAMP: &str = "recipe";

/// `$XDG_CACHE_HOME` or `~/.cache`, then `streamverse/tools`.
pub(crate) fn tools_dir() -> Outcome<PathBuf> {
    let absolute = |name: &str| std::env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
    let base = absolute("XDG_CACHE_HOME")
        .or_else(|| absolute("HOME").map(|home| home.join(".cache")))
        .or_else(|| absolute("LOCALAPPDATA"))
        .ok_or_else(|| {
            Failure::new("no cache folder").next("set HOME or XDG_CACHE_HOME to an absolute path")
        })?;
    Ok(base.join("streamverse").join("tools"))
}

/// The folder of `name`, built by `build` unless it is already there by the same recipe.
///
/// `build` gets an empty folder and fills it. `limit` bounds the wait for another process that builds it.
pub(crate) fn ensure(
    tools: &Path,
    name: &str,
    recipe: &str,
    limit: Duration,
    build: impl FnOnce(&Path) -> Outcome,
) -> Outcome<PathBuf> {
    let place = tools.join(name);
    if is_current(&place, recipe) {
        return Ok(place);
    }
    fs::create_dir_all(tools).map_err(|error| Failure::io("create", tools, &error))?;
    let _lock = lock(&tools.join(format!("{name}.lock")), name, limit)?;
    if is_current(&place, recipe) {
        return Ok(place); // the process that we waited for built it
    }
    // Under the lock the temporary names are ours; what is there was left by a run that was interrupted.
    let fresh = tools.join(format!("{name}.building"));
    let old = tools.join(format!("{name}.old"));
    remove(&fresh)?;
    remove(&old)?;
    fs::create_dir_all(&fresh).map_err(|error| Failure::io("create", &fresh, &error))?;
    build(&fresh)?;
    let stamp = fresh.join(STAMP);
    fs::write(&stamp, recipe).map_err(|error| Failure::io("write", &stamp, &error))?;
    if place.exists() {
        fs::rename(&place, &old).map_err(|error| Failure::io("move", &place, &error))?;
    }
    fs::rename(&fresh, &place).map_err(|error| Failure::io("publish", &place, &error))?;
    remove(&old)?;
    Ok(place)
}

fn is_current(place: &Path, recipe: &str) -> bool {
    fs::read_to_string(place.join(STAMP)).is_ok_and(|stamp| stamp == recipe)
}

fn remove(folder: &Path) -> Outcome {
    match fs::remove_dir_all(folder) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(Failure::io("remove", folder, &error))
        }
        _ => Ok(()),
    }
}

/// Waits for the lock, telling why; the file stays, the lock ends with the process that holds it.
fn lock(path: &Path, name: &str, limit: Duration) -> Outcome<File> {
    let file = File::options()
        .create(true)
        .truncate(false)
        .write(true)
        .open(path)
        .map_err(|error| Failure::io("open", path, &error))?;
    let started = Instant::now();
    let mut told = None::<Instant>;
    loop {
        match file.try_lock() {
            Ok(()) => return Ok(file),
            Err(TryLockError::Error(error)) => return Err(Failure::io("lock", path, &error)),
            Err(TryLockError::WouldBlock) => {}
        }
        if started.elapsed() >= limit {
            return Err(Failure::new(format!(
                "{name}: another process holds {} for {}",
                path.display(),
                clock(limit)
            ))
            .next("see whether another checkout is building, then run this again"));
        }
        if told.is_none_or(|told| told.elapsed() >= Duration::from_secs(30)) {
            told = Some(Instant::now());
            println!("  … {name}: another process builds it, waiting ({})", clock(started.elapsed()));
        }
        std::thread::sleep(Duration::from_millis(200));
    }
}

/// A short name for content: FNV-1a over labelled parts. It tells versions apart, and protects nothing.
pub(crate) fn fingerprint<'a>(parts: impl IntoIterator<Item = &'a [u8]>) -> String {
    let mut hash: u64 = 0xcbf2_9ce4_8422_2325;
    let mut eat = |bytes: &[u8]| {
        for byte in bytes {
            hash = (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
        }
    };
    for part in parts {
        eat(&part.len().to_le_bytes()); // so that "ab" + "c" is not "a" + "bc"
        eat(part);
    }
    format!("{hash:016x}")
}

#[cfg(test)]
mod tests {
    use super::*;

    const SOON: Duration = Duration::from_secs(20);

    fn write(content: &'static str) -> impl FnOnce(&Path) -> Outcome {
        move |folder| {
            let file = folder.join("tool");
            fs::write(&file, content).map_err(|error| Failure::io("write", &file, &error))
        }
    }

    fn never(_: &Path) -> Outcome {
        Err(Failure::new("built again"))
    }

    #[test]
    fn a_tool_is_built_once_and_again_when_its_recipe_changes() {
        let tools = tempfile::tempdir().unwrap();
        let place = ensure(tools.path(), "tool-1", "a", SOON, write("one")).unwrap();
        assert_eq!(ensure(tools.path(), "tool-1", "a", SOON, never).unwrap(), place);
        ensure(tools.path(), "tool-1", "b", SOON, write("two")).unwrap();
        assert_eq!(fs::read_to_string(place.join("tool")).unwrap(), "two");
    }

    #[test]
    fn a_failed_build_publishes_nothing_and_leaves_the_old_one() {
        let tools = tempfile::tempdir().unwrap();
        let place = ensure(tools.path(), "tool-1", "a", SOON, write("one")).unwrap();
        ensure(tools.path(), "tool-1", "b", SOON, never).unwrap_err();
        assert_eq!(fs::read_to_string(place.join("tool")).unwrap(), "one");
        assert_eq!(fs::read_to_string(place.join(STAMP)).unwrap(), "a");
        ensure(tools.path(), "tool-2", "a", SOON, never).unwrap_err();
        assert!(!tools.path().join("tool-2").exists());
    }

    #[test]
    fn two_at_once_build_once() {
        let tools = tempfile::tempdir().unwrap();
        let built = std::sync::atomic::AtomicUsize::new(0);
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    let build = |folder: &Path| {
                        built.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
                        std::thread::sleep(Duration::from_millis(300));
                        write("one")(folder)
                    };
                    ensure(tools.path(), "tool-1", "a", SOON, build).unwrap();
                });
            }
        });
        assert_eq!(built.into_inner(), 1);
    }

    #[test]
    fn waiting_for_another_builder_has_an_end() {
        let tools = tempfile::tempdir().unwrap();
        let _held = lock(&tools.path().join("tool-1.lock"), "tool-1", SOON).unwrap();
        let failure = ensure(tools.path(), "tool-1", "a", Duration::from_millis(300), never).unwrap_err();
        assert!(failure.to_string().contains("another process holds"), "{failure}");
    }

    #[test]
    fn a_fingerprint_sees_where_parts_begin() {
        let of = |parts: &[&str]| fingerprint(parts.iter().map(|part| part.as_bytes()));
        assert_ne!(of(&["ab", "c"]), of(&["a", "bc"]));
        assert_eq!(of(&["ab", "c"]), of(&["ab", "c"]));
    }
}
