//! TLS over TCP: the handshake, who is at the other end, and room that strangers cannot take from those who are known.

use std::collections::HashMap;
use std::hash::Hash;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::{Extension, Router};
use rustls::ServerConfig;
use rustls::pki_types::CertificateDer;
use rustls::server::ParsedCertificate;
use tokio::net::TcpListener;
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

/// Room for connections: how many of each kind there may be. What is above that is closed at once.
#[derive(Clone, Copy, Debug)]
pub struct Room {
    /// Those that are shaking hands or have shown no certificate, an eighth of them from one address.
    pub strangers: usize,
    /// Those that have shown a certificate.
    pub known: usize,
    /// Of these, those of one key: whoever holds one has its share and no more, however often its certificate is renewed.
    pub of_one: usize,
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

/// Places for connections, of which each owner may have a share.
struct Places<K: Hash + Eq> {
    most: usize,
    share: usize,
    taken: Mutex<Taken<K>>,
}

struct Taken<K> {
    all: usize,
    by_owner: HashMap<K, usize>,
}

/// The place of one of them, until it is dropped.
struct Place<K: Hash + Eq>(Arc<Places<K>>, K);

impl<K: Hash + Eq + Clone> Places<K> {
    fn new(most: usize, share: usize) -> Arc<Places<K>> {
        let taken = Mutex::new(Taken { all: 0, by_owner: HashMap::new() });
        Arc::new(Places { most, share: share.max(1), taken })
    }

    fn admit(self: &Arc<Self>, owner: K) -> Option<Place<K>> {
        let mut taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        let its = taken.by_owner.get(&owner).copied().unwrap_or(0);
        if taken.all >= self.most || its >= self.share {
            return None;
        }
        taken.all += 1;
        taken.by_owner.insert(owner.clone(), its + 1);
        Some(Place(Arc::clone(self), owner))
    }
}

impl<K: Hash + Eq> Drop for Place<K> {
    fn drop(&mut self) {
        let mut taken = self.0.taken.lock().unwrap_or_else(PoisonError::into_inner);
        taken.all = taken.all.saturating_sub(1);
        if let Some(count) = taken.by_owner.get_mut(&self.1) {
            *count = count.saturating_sub(1);
            if *count == 0 {
                taken.by_owner.remove(&self.1);
            }
        }
    }
}

/// What stands for whoever holds a certificate's key.
fn key_of(certificate: &CertificateDer<'_>) -> Option<Vec<u8>> {
    let parsed = ParsedCertificate::try_from(certificate).ok()?;
    Some(parsed.subject_public_key_info().as_ref().to_vec())
}

/// Serves TLS until told to stop.
pub async fn serve_tls(
    listener: TcpListener,
    config: Arc<ServerConfig>,
    router: Router,
    limits: Limits,
    room: Room,
    stop: &Stop,
) {
    let acceptor = TlsAcceptor::from(config);
    let strangers = Places::new(room.strangers, room.strangers / OF_ONE);
    let known = Places::new(room.known, room.of_one);
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
        let Some(stranger) = strangers.admit(network_of(address.ip())) else {
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
            let (mut place, mut stranger) = (None, Some(stranger));
            if let Some(certificate) = &certificate {
                place = key_of(certificate).and_then(|key| known.admit(key));
                if place.is_none() {
                    return debug!(%address, "Too many connections, of all or of this key.");
                }
                stranger = None;
            }
            let router = router.layer(Extension(Peer { address, certificate }));
            serve_stream(stream, router, limits, stop).await;
            drop((place, stranger));
        });
    }
}
