//! Slow and greedy clients at everything that listens: the agent's socket and its TCP port, a service's own socket, the
//! embedded log's, the origin and the page.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stderr,
    reason = "a test fails by panicking"
)]

use std::io::{Read, Write};
use std::net::TcpStream;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use streamverse_acceptance::{ADDRESS, Node, certificates, free_port, kit};
use streamverse_model::platform::Owner;
use streamverse_sites::Site as _;
use tfplugin_testing::cli::{Case, Cli, Failure, Step};

/// What is stated: 10 s for a request's head, 30 s for its body. The rest is for a busy machine.
const HEAD: Duration = Duration::from_secs(10 + 20);
const BODY: Duration = Duration::from_secs(30 + 30);
const GREEDY: usize = 64 << 20;
/// What a process may hold more after such a request: far less than the request.
const GROWTH: u64 = 24 << 20;

#[derive(Clone, Debug)]
enum Place {
    Unix(PathBuf),
    Tcp(u16),
    /// Through `openssl s_client`, with the client's certificate in this folder.
    Tls(u16, PathBuf),
}

/// Both directions of a connection.
type Ends = (Box<dyn Read + Send>, Box<dyn Write + Send>);

impl Place {
    fn connect(&self) -> Ends {
        match self {
            Place::Unix(path) => {
                let stream = UnixStream::connect(path).unwrap();
                (Box::new(stream.try_clone().unwrap()), Box::new(stream))
            }
            Place::Tcp(port) => {
                let stream = TcpStream::connect(("127.0.0.1", *port)).unwrap();
                (Box::new(stream.try_clone().unwrap()), Box::new(stream))
            }
            Place::Tls(port, folder) => {
                let mut child = Command::new("openssl")
                    .args(["s_client", "-quiet", "-connect", &format!("127.0.0.1:{port}")])
                    .args(["-CAfile", "ca.pem", "-cert", "client.pem", "-key", "client.key"])
                    .current_dir(folder)
                    .stdin(Stdio::piped())
                    .stdout(Stdio::piped())
                    .stderr(Stdio::null())
                    .spawn()
                    .unwrap();
                let ends: Ends =
                    (Box::new(child.stdout.take().unwrap()), Box::new(child.stdin.take().unwrap()));
                // It ends with its connection, and is waited for then.
                std::thread::spawn(move || child.wait());
                ends
            }
        }
    }

    /// Sends `head`, then a byte a second, until the other side closes; how long that took, and what it said.
    fn drip(&self, head: &str, byte: u8, most: Duration) -> (Duration, String) {
        let (mut read, mut write) = self.connect();
        let since = Instant::now();
        let (sender, told) = std::sync::mpsc::channel();
        std::thread::spawn(move || {
            let mut all = Vec::new();
            let mut some = [0; 4096];
            while let Ok(count @ 1..) = read.read(&mut some) {
                all.extend_from_slice(&some[..count]);
            }
            let _ = sender.send(all);
        });
        write.write_all(head.as_bytes()).unwrap();
        while since.elapsed() < most {
            if let Ok(all) = told.recv_timeout(Duration::from_secs(1)) {
                return (since.elapsed(), String::from_utf8_lossy(&all).into_owned());
            }
            // A pipe, too, says that nobody reads any more.
            let _ = write.write_all(&[byte]).and_then(|()| write.flush());
        }
        panic!("{self:?} is still open after {most:?}");
    }

    /// Sends a request of 64 MiB, as much of it as is taken, and returns the answer.
    fn stuff(&self, path: &str) -> String {
        let (mut read, mut write) = self.connect();
        let head = format!(
            "POST {path} HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: {GREEDY}\r\n\r\n"
        );
        let writer = std::thread::spawn(move || {
            let part = vec![b' '; 1 << 20];
            let mut sent = 0;
            let mut more = write.write_all(head.as_bytes()).is_ok();
            while more && sent < GREEDY {
                more = write.write_all(&part).is_ok();
                sent += part.len();
            }
        });
        let mut said = Vec::new();
        let mut some = [0; 4096];
        // A reset after the answer is as good as an end.
        while let Ok(count @ 1..) = read.read(&mut some) {
            said.extend_from_slice(&some[..count]);
        }
        writer.join().unwrap();
        String::from_utf8_lossy(&said).into_owned()
    }

    fn serves(&self, path: &str) -> bool {
        let (mut read, mut write) = self.connect();
        let _ = write
            .write_all(format!("GET {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").as_bytes());
        let mut said = Vec::new();
        let mut some = [0; 4096];
        while let Ok(count @ 1..) = read.read(&mut some) {
            said.extend_from_slice(&some[..count]);
        }
        String::from_utf8_lossy(&said).starts_with("HTTP/1.1 200")
    }
}

fn holds(pid: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find(|line| line.starts_with("RssAnon:")).unwrap().to_owned();
    line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() << 10
}

fn pid(node: &Node, kind: &str, name: &str) -> u32 {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let owner = Owner::new("test", kind, name).unwrap();
    runtime.block_on(node.site().observe(&owner)).unwrap().unwrap().objects[0].pids[0]
}

/// The own sockets of all services below a folder.
fn admin_socket(run: &Path, pid: u32) -> PathBuf {
    let line = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap();
    let line = String::from_utf8_lossy(&line).into_owned();
    let socket = line.split('\0').find_map(|word| word.strip_prefix("unix:")).unwrap();
    assert!(socket.starts_with(&run.display().to_string()), "{socket}");
    socket.into()
}

#[test]
fn slow_and_greedy_clients_are_sent_away_and_others_served_meanwhile() -> Result<(), Failure> {
    let cli = Cli::terraform()?;
    let tls = free_port();
    let Some(node) = Node::start_with(|folder| {
        certificates::make(folder, &["ca"], &[("server", "ca"), ("client", "ca")]);
        let file = |name: &str| folder.join(name).display().to_string();
        let listen = format!("127.0.0.1:{tls}");
        let words = ["--listen", &listen, "--certificate", &file("server.pem"), "--key", &file("server.key")];
        let mut words: Vec<String> = words.map(str::to_owned).to_vec();
        words.extend(["--client-ca".to_owned(), file("ca.pem")]);
        words
    }) else {
        return Ok(());
    };
    let [port, page, _] = node.ports;
    let player = format!(
        "resource \"streamverse_web_player\" \"page\" {{\n  name = \"page\"\n  port = {page}\n  catalogue = streamverse_catalogue.main.url\n  delivery = streamverse_origin.main.address\n}}\n"
    );
    let config = format!("{}{}{}{player}", node.block(), kit::stores(), kit::origin(port, "64MiB"));
    let all = || {
        let run = node.folder().join("run");
        let agent = node.agent_pid().unwrap();
        let [origin, player, log] =
            [pid(&node, "origin", "main"), pid(&node, "web-player", "page"), pid(&node, "event-log", "work")];
        // Where, whose process, an address that takes a body where there is one, and one that answers.
        let apply = "/v1/deployments/test/probe";
        let listeners = [
            (Place::Unix(node.socket()), agent, apply, "/livez"),
            (Place::Tls(tls, node.folder().to_owned()), agent, apply, "/livez"),
            (Place::Unix(admin_socket(&run, origin)), origin, "/livez", "/livez"),
            (Place::Unix(run.join("test/s/event-log.work.sock")), log, "/append", "/lag?group=g&topic=t"),
            (Place::Tcp(port), origin, "/catalogue.json", "/catalogue.json"),
            (Place::Tcp(page), player, "/api/assets.json", "/api/assets.json"),
        ];
        std::thread::scope(|scope| {
            let mut slow = Vec::new();
            for (place, _, body, _) in &listeners {
                slow.push(scope.spawn(move || {
                    let (took, _) = place.drip("GET / HTTP/1.1\r\nhost: x\r\nx-slow: ", b'x', HEAD);
                    assert!(took < HEAD, "{place:?}: {took:?}");
                }));
                slow.push(scope.spawn(move || {
                    let head = format!("POST {body} HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: 10000\r\n\r\n");
                    let (took, _) = place.drip(&head, b' ', BODY);
                    assert!(took < BODY, "{place:?}: {took:?}");
                }));
            }
            // Meanwhile: greedy ones, and people who only want an answer.
            std::thread::sleep(Duration::from_secs(2));
            for (place, process, body, good) in &listeners {
                let before = holds(*process);
                for _ in 0..3 {
                    let said = place.stuff(body);
                    assert!(said.is_empty() || said.starts_with("HTTP/1.1 413 "), "{place:?}: {said}");
                }
                let after = holds(*process);
                assert!(after < before + GROWTH, "{place:?}: {before} bytes became {after}");
                // A log without that topic refuses it, and so answers.
                let lives = place.serves(good) || body == &"/append";
                assert!(lives, "{place:?} serves nobody else");
            }
            for one in slow {
                one.join().unwrap();
            }
            for (place, _, body, good) in &listeners {
                assert!(place.serves(good) || body == &"/append", "{place:?}");
            }
        });
        Ok(())
    };
    Case::new(&cli)
        .provider(ADDRESS, node.provider())
        .step(Step::apply(config).after(|_| all()))
        .check_destroyed(|_| node.nothing_left().map_err(Into::into))
        .run()
        .map(|_| ())
}
