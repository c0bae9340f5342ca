//! An origin of a test: it counts what it is asked, can be slow, and can be away.

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// Bytes of `/big…`.
pub(crate) const BIG: usize = 24 << 20;

pub(crate) struct Upstream {
    pub(crate) port: u16,
    name: &'static str,
    seen: Arc<Mutex<BTreeMap<String, u32>>>,
    stop: Arc<AtomicBool>,
}

pub(crate) fn big() -> Vec<u8> {
    (0..BIG).map(|at| u8::try_from(((at * 2_654_435_761) >> 9) & 0xff).unwrap_or(0)).collect()
}

impl Upstream {
    pub(crate) fn start(name: &'static str) -> Upstream {
        let mut upstream = Upstream { port: 0, name, seen: Arc::default(), stop: Arc::default() };
        upstream.come_back();
        upstream
    }

    /// Listens, on the port that it had.
    pub(crate) fn come_back(&mut self) {
        let listener = TcpListener::bind(("127.0.0.1", self.port)).unwrap();
        listener.set_nonblocking(true).unwrap();
        self.port = listener.local_addr().unwrap().port();
        self.stop = Arc::default();
        let (name, seen, stop) = (self.name, Arc::clone(&self.seen), Arc::clone(&self.stop));
        std::thread::spawn(move || {
            while !stop.load(Ordering::SeqCst) {
                match listener.accept() {
                    Ok((stream, _)) => {
                        let seen = Arc::clone(&seen);
                        std::thread::spawn(move || answer(name, &stream, &seen));
                    }
                    Err(_) => std::thread::sleep(Duration::from_millis(5)),
                }
            }
        });
    }

    /// Listens no more.
    pub(crate) fn go_away(&self) {
        self.stop.store(true, Ordering::SeqCst);
        std::thread::sleep(Duration::from_millis(200));
    }

    /// How often a path was asked for.
    pub(crate) fn asked(&self, path: &str) -> u32 {
        self.seen.lock().unwrap().get(path).copied().unwrap_or(0)
    }

    pub(crate) fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }
}

impl Drop for Upstream {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::SeqCst);
    }
}

fn answer(name: &str, stream: &TcpStream, seen: &Mutex<BTreeMap<String, u32>>) {
    let _ = stream.set_nonblocking(false);
    let _ = stream.set_read_timeout(Some(Duration::from_secs(20)));
    let mut reader = BufReader::new(stream);
    let mut head = Vec::new();
    let mut line = String::new();
    while reader.read_line(&mut line).is_ok_and(|_| !line.trim().is_empty()) {
        head.push(std::mem::take(&mut line).trim().to_owned());
    }
    let mut words = head.first().map(String::as_str).unwrap_or_default().split(' ');
    let method = words.next().unwrap_or_default().to_owned();
    let path = words.next().unwrap_or_default().to_owned();
    let field = |name: &str| {
        let fields = head.iter().filter_map(|line| line.split_once(": "));
        let mut of = fields.filter(|(key, _)| key.eq_ignore_ascii_case(name));
        of.next().map(|(_, value)| value.to_owned()).unwrap_or_default()
    };
    let mut sent = vec![0; field("content-length").parse().unwrap_or(0)];
    let _ = reader.read_exact(&mut sent);
    let told =
        format!("{method} {} {} {}", field("host"), field("authorization"), String::from_utf8_lossy(&sent));
    *seen.lock().unwrap().entry(path.clone()).or_default() += 1;
    if path.starts_with("/late") {
        std::thread::sleep(Duration::from_millis(800));
    }
    let body = match &path {
        path if path.starts_with("/big") => big(),
        path if path.starts_with("/licence") => format!("{name} {path} {told}\n").into_bytes(),
        path => format!("{name} {path}\n").into_bytes(),
    };
    let status = if path.starts_with("/none") { "404 Not Found" } else { "200 OK" };
    let policy = if path.contains("brief") {
        "Cache-Control: public, max-age=1\r\n"
    } else if path.contains("plain") {
        ""
    } else {
        "Cache-Control: public, max-age=3600\r\n"
    };
    let head = format!(
        "HTTP/1.1 {status}\r\nContent-Length: {}\r\n{policy}Access-Control-Allow-Origin: *\r\nX-From: {name}\r\nConnection: close\r\n\r\n",
        body.len()
    );
    let mut stream = stream;
    let _ = stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(&body));
}
