//! What a worker of Azure's can ask, with nothing to say: its metadata service and its fleet's controller, on a port of this host. It is in this
//! process, so that what it costs is not the agent's.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crate::Outcome;

/// So long a request for orders is held where there are none, as a controller does.
const HELD: Duration = Duration::from_secs(25);
/// No body of the agent's is longer.
const LONGEST: usize = 1 << 20;

/// How often each was asked for.
#[derive(Default)]
pub(crate) struct Asked {
    pub(crate) events: AtomicU64,
    pub(crate) orders: AtomicU64,
    pub(crate) reports: AtomicU64,
}

/// Begins to answer, until this process ends. Its address.
pub(crate) fn begin(asked: &Arc<Asked>) -> Outcome<String> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    let url = format!("http://{}", listener.local_addr()?);
    let asked = Arc::clone(asked);
    std::thread::spawn(move || {
        for connection in listener.incoming().flatten() {
            let asked = Arc::clone(&asked);
            // Who hangs up is answered no more.
            std::thread::spawn(move || drop(answer(&connection, &asked)));
        }
    });
    Ok(url)
}

/// One connection, to its end.
fn answer(connection: &TcpStream, asked: &Asked) -> std::io::Result<()> {
    let (mut lines, mut out) = (BufReader::new(connection), connection);
    loop {
        let (mut first, mut length) = (String::new(), 0);
        if lines.read_line(&mut first)? == 0 {
            return Ok(());
        }
        loop {
            let mut line = String::new();
            lines.read_line(&mut line)?;
            let Some((name, value)) = line.trim().split_once(':') else { break };
            if name.eq_ignore_ascii_case("content-length") {
                length = value.trim().parse().unwrap_or(0).min(LONGEST);
            }
        }
        lines.read_exact(&mut vec![0; length])?;
        let path = first.split(' ').nth(1).unwrap_or_default();
        let (status, body) = if path.starts_with("/metadata/instance") {
            ("200 OK", "vm-1")
        } else if path.starts_with("/metadata/scheduledevents") {
            asked.events.fetch_add(1, Ordering::Relaxed);
            ("200 OK", r#"{"DocumentIncarnation":1,"Events":[]}"#)
        } else if path.contains("/orders") {
            asked.orders.fetch_add(1, Ordering::Relaxed);
            std::thread::sleep(HELD);
            ("204 No Content", "")
        } else if path.contains("/report") {
            asked.reports.fetch_add(1, Ordering::Relaxed);
            ("200 OK", "")
        } else {
            ("404 Not Found", "")
        };
        let length = if status.starts_with("204") {
            String::new()
        } else {
            format!("content-length: {}\r\n", body.len())
        };
        out.write_all(format!("HTTP/1.1 {status}\r\n{length}\r\n{body}").as_bytes())?;
    }
}
