//! Whether an address is of this host, where what is sent in the clear is seen by nobody else.

use url::{Host, Url};

/// Whether a URL leads to this host: `localhost`, or a loopback address.
pub fn is_this_host(url: &Url) -> bool {
    match url.host() {
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        Some(Host::Domain(name)) => name == "localhost",
        None => false,
    }
}
