//! A gate between the provider and its node's agent: it knows which requests change something, and holds or loses their answers.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

const PATIENCE: Duration = Duration::from_secs(60);

/// What happens to a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum What {
    /// It never takes effect: it waits here until its caller is gone.
    HoldBefore,
    /// It takes effect, and its answer waits here until its caller is gone.
    HoldAfter,
    /// It takes effect, and its answer is lost.
    Lose,
}

/// The gate. It ends when this is dropped.
pub(crate) struct Gate {
    /// Where the provider finds the agent.
    pub(crate) socket: PathBuf,
    shared: Arc<Shared>,
}

struct Shared {
    agent: PathBuf,
    over: AtomicBool,
    held: AtomicUsize,
    /// Requests that change something, `PUT runpod-fleet/one`, each once, in their order.
    seen: Mutex<Vec<String>>,
    /// What waits for which of them.
    faults: Mutex<Vec<(String, What)>>,
    /// Whether the first answer of each is lost.
    losing: AtomicBool,
}

fn lock<T>(it: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    it.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Gate {
    pub(crate) fn start(agent: &Path, folder: &Path) -> Gate {
        let socket = folder.join("gate.sock");
        let listener = UnixListener::bind(&socket).unwrap();
        let shared = Arc::new(Shared {
            agent: agent.to_owned(),
            over: AtomicBool::new(false),
            held: AtomicUsize::new(0),
            seen: Mutex::default(),
            faults: Mutex::default(),
            losing: AtomicBool::new(false),
        });
        let served = Arc::clone(&shared);
        std::thread::spawn(move || {
            for caller in listener.incoming().flatten() {
                if served.over.load(Ordering::SeqCst) {
                    return;
                }
                let served = Arc::clone(&served);
                // A caller that goes takes its request with it.
                std::thread::spawn(move || drop(served.one(caller)));
            }
        });
        Gate { socket, shared }
    }

    /// From now on the first answer of each request that changes something is lost, or none is. Which there were since the last time.
    pub(crate) fn losing(&self, losing: bool) -> Vec<String> {
        self.shared.losing.store(losing, Ordering::SeqCst);
        std::mem::take(&mut *lock(&self.shared.seen))
    }

    /// This happens to the next such request.
    pub(crate) fn meets(&self, call: &str, what: What) {
        lock(&self.shared.faults).push((call.to_owned(), what));
    }

    /// Waits until one is held.
    pub(crate) fn until_held(&self, why: &str) {
        let until = Instant::now() + PATIENCE;
        while self.shared.held.load(Ordering::SeqCst) == 0 {
            assert!(Instant::now() < until, "{why}: no request is held: {:?}", lock(&self.shared.seen));
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// Waits until the caller of what is held is gone.
    pub(crate) fn until_gone(&self) {
        let until = Instant::now() + PATIENCE;
        while self.shared.held.load(Ordering::SeqCst) > 0 {
            assert!(Instant::now() < until, "whoever was killed is still there");
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}

impl Drop for Gate {
    fn drop(&mut self) {
        self.shared.over.store(true, Ordering::SeqCst);
        let _ = UnixStream::connect(&self.socket);
    }
}

impl Shared {
    /// One connection carries one request.
    fn one(&self, mut caller: UnixStream) -> std::io::Result<()> {
        let (head, body) = read(&caller)?;
        let what = self.what(head.lines().next().unwrap_or_default());
        if what == Some(What::HoldBefore) {
            return self.hold(&mut caller);
        }
        let mut agent = UnixStream::connect(&self.agent)?;
        agent.write_all(head.replacen("\r\n", "\r\nconnection: close\r\n", 1).as_bytes())?;
        agent.write_all(&body)?;
        let mut answer = Vec::new();
        agent.read_to_end(&mut answer)?;
        match what {
            Some(What::HoldAfter) => self.hold(&mut caller),
            Some(What::Lose) => Ok(()),
            _ => caller.write_all(&answer),
        }
    }

    /// What happens to the request that begins with this line.
    fn what(&self, line: &str) -> Option<What> {
        let mut words = line.split(' ');
        let (method, target) = (words.next()?, words.next()?);
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        if !["PUT", "DELETE"].contains(&method) || query.contains("dry_run=true") {
            return None;
        }
        let call = format!("{method} {}", path.split_once("/owners/")?.1);
        let mut seen = lock(&self.seen);
        let first = !seen.contains(&call);
        if first {
            seen.push(call.clone());
        }
        let mut faults = lock(&self.faults);
        if let Some(at) = faults.iter().position(|(of, _)| *of == call) {
            return Some(faults.remove(at).1);
        }
        (first && self.losing.load(Ordering::SeqCst)).then_some(What::Lose)
    }

    fn hold(&self, caller: &mut UnixStream) -> std::io::Result<()> {
        self.held.fetch_add(1, Ordering::SeqCst);
        // Nothing more comes of it: this ends when it does.
        let ended = caller.read(&mut [0; 64]);
        self.held.fetch_sub(1, Ordering::SeqCst);
        ended.map(drop)
    }
}

/// A request: its head as it is, and its body.
fn read(caller: &UnixStream) -> std::io::Result<(String, Vec<u8>)> {
    let mut reader = BufReader::new(caller);
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        if reader.read_line(&mut head)? == 0 {
            return Err(std::io::ErrorKind::UnexpectedEof.into());
        }
    }
    let length = head.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("content-length").then(|| value.trim().parse::<usize>().ok())?
    });
    let mut body = vec![0; length.unwrap_or(0)];
    reader.read_exact(&mut body)?;
    Ok((head, body))
}
