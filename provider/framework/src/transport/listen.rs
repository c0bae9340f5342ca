//! The socket: a unix socket that only its owner can open, or TCP on this machine where there are none.

use super::error::ServeError;
use super::host::{Address, Host};
use std::io;
use std::net::Ipv4Addr;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpListener;

/// Which kind of socket to open.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Network {
    /// As go-plugin does: unix sockets everywhere but on Windows.
    #[default]
    Auto,
    /// TCP on 127.0.0.1, within `PLUGIN_MIN_PORT` and `PLUGIN_MAX_PORT`.
    Tcp,
}

/// A connection of any kind. Boxed, so that the HTTP/2 machinery is compiled once.
pub(super) trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

pub(super) enum Listener {
    #[cfg(unix)]
    Unix(super::unix::Listener),
    Tcp(TcpListener),
}

impl Listener {
    /// Must be called within a tokio runtime.
    pub(super) fn bind(network: Network, host: &Host) -> Result<Listener, ServeError> {
        match network {
            #[cfg(unix)]
            Network::Auto => super::unix::Listener::bind(host).map(Listener::Unix),
            #[cfg(not(unix))]
            Network::Auto => bind_tcp(host),
            Network::Tcp => bind_tcp(host),
        }
    }

    pub(super) fn address(&self) -> Result<Address, ServeError> {
        match self {
            #[cfg(unix)]
            Listener::Unix(listener) => Ok(Address { network: "unix", address: listener.path().to_owned() }),
            Listener::Tcp(listener) => match listener.local_addr() {
                Ok(address) => Ok(Address { network: "tcp", address: address.to_string() }),
                Err(source) => {
                    Err(ServeError::Socket { tried: "read the socket's address".to_owned(), source })
                }
            },
        }
    }

    pub(super) async fn accept(&self) -> io::Result<Box<dyn Stream>> {
        match self {
            #[cfg(unix)]
            Listener::Unix(listener) => Ok(Box::new(listener.accept().await?)),
            Listener::Tcp(listener) => {
                let (stream, _) = listener.accept().await?;
                // Without it a small answer waits 40 ms for the acknowledgement of the one before.
                stream.set_nodelay(true)?;
                Ok(Box::new(stream))
            }
        }
    }
}

fn bind_tcp(host: &Host) -> Result<Listener, ServeError> {
    let [low, high] = ports(host)?;
    let mut last = io::Error::from(io::ErrorKind::AddrInUse);
    for port in low..=high {
        let bound = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, port)).and_then(|listener| {
            listener.set_nonblocking(true)?;
            TcpListener::from_std(listener)
        });
        match bound {
            Ok(listener) => return Ok(Listener::Tcp(listener)),
            Err(error) => last = error,
        }
    }
    Err(ServeError::Socket { tried: format!("listen on 127.0.0.1, ports {low} to {high}"), source: last })
}

/// The range that the host allows; 0 to 0 lets the system choose.
fn ports(host: &Host) -> Result<[u16; 2], ServeError> {
    let read = |name: &'static str, text: &Option<String>| match text {
        None => Ok(0),
        Some(text) => text.parse().map_err(|_| ServeError::Setting {
            name,
            problem: format!("{text:?} is no port number (0 to 65535)"),
        }),
    };
    let low = read("PLUGIN_MIN_PORT", &host.ports[0])?;
    let high = read("PLUGIN_MAX_PORT", &host.ports[1])?;
    if low > high {
        let problem = format!("it is {low}, greater than PLUGIN_MAX_PORT, which is {high}");
        return Err(ServeError::Setting { name: "PLUGIN_MIN_PORT", problem });
    }
    Ok([low, high])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn host(low: Option<&str>, high: Option<&str>) -> Host {
        Host { ports: [low.map(str::to_owned), high.map(str::to_owned)], ..Host::default() }
    }

    #[test]
    fn a_port_range_is_read_and_a_wrong_one_named() {
        assert_eq!(ports(&host(None, None)).unwrap(), [0, 0]);
        assert_eq!(ports(&host(Some("10000"), Some("25000"))).unwrap(), [10000, 25000]);
        for (low, high) in
            [(Some("2"), Some("1")), (Some("70000"), Some("70001")), (Some("x"), None), (Some("1"), None)]
        {
            let error = ports(&host(low, high)).unwrap_err().to_string();
            assert!(error.contains("PLUGIN_MIN_PORT"), "{error}");
        }
    }

    #[tokio::test]
    async fn a_taken_port_is_stepped_over() {
        let taken = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let port = taken.local_addr().unwrap().port();
        let (low, high) = (port.to_string(), port.saturating_add(50).to_string());
        let listener = bind_tcp(&host(Some(&low), Some(&high))).unwrap();
        assert_ne!(listener.address().unwrap().address, format!("127.0.0.1:{port}"));
    }
}
