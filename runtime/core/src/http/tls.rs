//! TLS over TCP: the handshake, who is at the other end, and room that strangers cannot take from those who are known.

use std::net::SocketAddr;
use std::sync::Arc;
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

/// Serves TLS until told to stop. At most `strangers` connections are shaking hands or have shown no certificate, and at most
/// [`Limits::connections`] have shown one; what is above that is closed at once.
pub async fn serve_tls(
    listener: TcpListener,
    config: Arc<ServerConfig>,
    router: Router,
    limits: Limits,
    strangers: usize,
    stop: &Stop,
) {
    let acceptor = TlsAcceptor::from(config);
    let strangers = Arc::new(Semaphore::new(strangers));
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
        let Ok(stranger) = Arc::clone(&strangers).try_acquire_owned() else {
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
            let permit = if certificate.is_some() {
                let Ok(permit) = known.try_acquire_owned() else {
                    return debug!(%address, "Too many connections.");
                };
                drop(stranger);
                permit
            } else {
                stranger
            };
            let router = router.layer(Extension(Peer { address, certificate }));
            serve_stream(stream, router, limits, stop).await;
            drop(permit);
        });
    }
}
