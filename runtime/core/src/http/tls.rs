//! TLS over TCP: the handshake, who is at the other end, and room that strangers cannot take from those who are known.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::{Extension, Router};
use rustls::ServerConfig;
use rustls::pki_types::CertificateDer;
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio_rustls::TlsAcceptor;
use tracing::debug;

use super::{Limits, serve_stream};
use crate::lifecycle::Stop;

/// A handshake that takes longer is somebody who only holds a connection.
const HANDSHAKE: Duration = Duration::from_secs(10);

/// Who is at the other end of a connection: an extension of each of its requests.
#[derive(Clone, Debug)]
pub struct Peer {
    /// Where it comes from.
    pub address: SocketAddr,
    /// The certificate that it showed, which the listener's verifier found good.
    pub certificate: Option<CertificateDer<'static>>,
}

/// The part of the strangers' room that one address may take.
const OF_ONE: usize = 8;

/// What stands for whoever is at an address: an IPv6 address for its /64, which one host may have whole.
pub fn network_of(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(it) => {
            let [a, b, c, d, ..] = it.segments();
            IpAddr::V6(Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0))
        }
        v4 @ IpAddr::V4(_) => v4,
    }
}

/// Connections whose other end is not known, each address' counted.
struct Strangers {
    most: usize,
    by_address: Mutex<HashMap<IpAddr, usize>>,
}

/// The place of one of them, until it is dropped.
struct Stranger(Arc<Strangers>, IpAddr);

impl Strangers {
    fn admit(self: &Arc<Self>, address: IpAddr) -> Option<Stranger> {
        let address = network_of(address);
        let mut all = self.by_address.lock().unwrap_or_else(PoisonError::into_inner);
        let (here, there) = (all.get(&address).copied().unwrap_or(0), all.values().sum::<usize>());
        if there >= self.most || here >= (self.most / OF_ONE).max(1) {
            return None;
        }
        all.insert(address, here + 1);
        Some(Stranger(Arc::clone(self), address))
    }
}

impl Drop for Stranger {
    fn drop(&mut self) {
        let mut all = self.0.by_address.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = all.get_mut(&self.1) {
            *count = count.saturating_sub(1);
            if *count == 0 {
                all.remove(&self.1);
            }
        }
    }
}

/// Serves TLS until told to stop. At most `strangers` connections are shaking hands or have shown no certificate, an eighth of
/// them from one address, and at most [`Limits::connections`] have shown one; what is above that is closed at once.
pub async fn serve_tls(
    listener: TcpListener,
    config: Arc<ServerConfig>,
    router: Router,
    limits: Limits,
    strangers: usize,
    stop: &Stop,
) {
    let acceptor = TlsAcceptor::from(config);
    let strangers = Arc::new(Strangers { most: strangers, by_address: Mutex::default() });
    let known = Arc::new(Semaphore::new(limits.connections));
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = stop.stopped() => return,
        };
        let Ok((stream, address)) = accepted else {
            // No file descriptors, for example: a moment's rest instead of a busy loop.
            tokio::time::sleep(Duration::from_millis(100)).await;
            continue;
        };
        let Some(stranger) = strangers.admit(address.ip()) else {
            debug!(%address, "Too many connections of strangers.");
            continue;
        };
        let (acceptor, known, router, stop) =
            (acceptor.clone(), Arc::clone(&known), router.clone(), stop.clone());
        tokio::spawn(async move {
            let stream = match tokio::time::timeout(HANDSHAKE, acceptor.accept(stream)).await {
                Ok(Ok(stream)) => stream,
                Ok(Err(error)) => return debug!(%address, %error, "A handshake failed."),
                Err(_) => return debug!(%address, "A handshake took too long."),
            };
            let shown = stream.get_ref().1.peer_certificates().and_then(|it| it.first());
            let certificate = shown.map(|it| it.clone().into_owned());
            let (mut permit, mut stranger) = (None, Some(stranger));
            if certificate.is_some() {
                permit = known.try_acquire_owned().ok();
                if permit.is_none() {
                    return debug!(%address, "Too many connections.");
                }
                stranger = None;
            }
            let router = router.layer(Extension(Peer { address, certificate }));
            serve_stream(stream, router, limits, stop).await;
            drop((permit, stranger));
        });
    }
}
