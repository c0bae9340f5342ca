//! Ports for what tests start. Tests of other crates take this file in by its path: it needs nothing but std.
#![allow(unreachable_pub, reason = "a crate of tests has nobody outside")]

use std::sync::Mutex;
use std::sync::atomic::{AtomicU32, Ordering};

const FIRST: u32 = 12_000;
const PORTS: u32 = 20_000;

/// A port of this host that nobody listens on, and that no other test of ours is given while this one runs.
///
/// The kernel gives no port below its ephemeral ones (32768, /proc/sys/net/ipv4/ip_local_port_range) to anybody who did not
/// ask for it, and the claim is a name among abstract sockets (unix(7)), which ends with the process.
///
/// # Panics
/// When thousands of ports are taken.
pub fn free_port() -> u16 {
    static CLAIMS: Mutex<Vec<Claim>> = Mutex::new(Vec::new());
    static NEXT: AtomicU32 = AtomicU32::new(0);
    // Others begin elsewhere, so that few claims are in vain.
    let begin = std::process::id().wrapping_mul(2_654_435_761) >> 8;
    let found = (0..PORTS).find_map(|_| {
        let number = FIRST + begin.wrapping_add(NEXT.fetch_add(1, Ordering::Relaxed)) % PORTS;
        let port = u16::try_from(number).ok()?;
        let claim = claim(port)?;
        // Of all addresses and of the one that most listen at.
        let free = |address: &str| std::net::TcpListener::bind((address, port)).is_ok();
        (free("0.0.0.0") && free("127.0.0.1"))
            .then(|| CLAIMS.lock().map(|mut all| all.push(claim)).map(|()| port))?
            .ok()
    });
    assert!(found.is_some(), "no port of {PORTS} is free");
    found.unwrap_or_default()
}

#[cfg(target_os = "linux")]
type Claim = std::os::unix::net::UnixListener;
/// There are no abstract sockets: other processes begin elsewhere.
#[cfg(not(target_os = "linux"))]
type Claim = ();

#[cfg(target_os = "linux")]
fn claim(port: u16) -> Option<Claim> {
    use std::os::linux::net::SocketAddrExt as _;
    use std::os::unix::net::SocketAddr;

    let name = SocketAddr::from_abstract_name(format!("streamverse-test-port-{port}")).ok()?;
    Claim::bind_addr(&name).ok()
}

#[cfg(not(target_os = "linux"))]
#[expect(clippy::unnecessary_wraps, reason = "as where there are claims")]
fn claim(_: u16) -> Option<Claim> {
    Some(())
}
