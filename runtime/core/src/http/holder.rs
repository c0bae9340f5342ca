//! Who listens where, as far as /proc tells us.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Who keeps others from a TCP port.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Holder {
    /// The process of this number.
    Process(u32),
    /// One into which we may not look: another user's, or one that does not let itself be looked into.
    Unseen,
}

/// Who on this host listens on a TCP port so that it keeps others from that address; for the address of all, from any.
pub fn holder_of(address: IpAddr, port: u16) -> Option<Holder> {
    let mut inodes = Vec::new();
    for table in ["/proc/net/tcp", "/proc/net/tcp6"] {
        let text = std::fs::read_to_string(table).unwrap_or_default();
        for line in text.lines().skip(1) {
            let words: Vec<&str> = line.split_whitespace().collect();
            // local address, state 0A (listening), inode
            if let [_, local, _, "0A", ..] = words.as_slice()
                && let Some((host, number)) = parsed(local)
                && number == port
                && clash(address, host)
            {
                inodes.extend(words.get(9).map(|inode| format!("socket:[{inode}]")));
            }
        }
    }
    if inodes.is_empty() {
        return None;
    }
    for process in std::fs::read_dir("/proc").into_iter().flatten().flatten() {
        let Some(pid) = process.file_name().to_str().and_then(|name| name.parse::<u32>().ok()) else {
            continue;
        };
        let Ok(files) = std::fs::read_dir(process.path().join("fd")) else { continue };
        for file in files.flatten() {
            let target = std::fs::read_link(file.path()).unwrap_or_default();
            if inodes.iter().any(|inode| target.as_os_str() == inode.as_str()) {
                return Some(Holder::Process(pid));
            }
        }
    }
    Some(Holder::Unseen)
}

/// `0100007F:1F90`: words of four bytes as the machine has them, then the port (proc(5)).
fn parsed(local: &str) -> Option<(IpAddr, u16)> {
    let (host, port) = local.split_once(':')?;
    let mut bytes = Vec::new();
    for at in (0..host.len()).step_by(8) {
        bytes.extend(u32::from_str_radix(host.get(at..at + 8)?, 16).ok()?.to_ne_bytes());
    }
    let host = match <[u8; 4]>::try_from(bytes.as_slice()) {
        Ok(four) => IpAddr::V4(Ipv4Addr::from(four)),
        Err(_) => IpAddr::V6(Ipv6Addr::from(<[u8; 16]>::try_from(bytes).ok()?)).to_canonical(),
    };
    Some((host, u16::from_str_radix(port, 16).ok()?))
}

/// Whether who listens at `there` keeps us from `here`. Linux gives the IPv6 address of all the IPv4 ones too.
fn clash(here: IpAddr, there: IpAddr) -> bool {
    let six = IpAddr::V6(Ipv6Addr::UNSPECIFIED);
    here == there
        || there == six
        || here == six
        || (here.is_ipv4() == there.is_ipv4() && (here.is_unspecified() || there.is_unspecified()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_listener_keeps_others_from_its_own_address_and_from_that_of_all() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let us = Some(Holder::Process(std::process::id()));
        for (address, holder) in
            [("127.0.0.1", us), ("0.0.0.0", us), ("::", us), ("127.0.0.2", None), ("::1", None)]
        {
            assert_eq!(holder_of(address.parse().unwrap(), port), holder, "{address}");
        }
        drop(listener);
        let listener = std::net::TcpListener::bind("0.0.0.0:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        assert_eq!(holder_of("127.0.0.2".parse().unwrap(), port), us);
    }
}
