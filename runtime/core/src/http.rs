//! How services listen: limits on headers, bodies, connections and slowness, a drain at the end, and ports that a newer
//! process of the same service may share (SO_REUSEPORT), so that an upgrade is no gap.

mod holder;
mod timed;
mod tls;

use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::{Body, HttpBody as _};
use axum::extract::{DefaultBodyLimit, Request};
use axum::http::{StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use axum::{Json, Router};
use hyper::service::Service as _;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, UnixListener};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::{Instant, Sleep};
use tracing::{Instrument as _, debug, debug_span, field};

use crate::telemetry::SPANS;

use crate::error::{Error, Result};
use crate::lifecycle::Stop;

pub use holder::{Holder, holder_of};
use timed::Timed;
pub use tls::{Peer, Room, network_of, serve_tls};

/// What a listener lets others do to it.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Connections at a time; more wait.
    pub connections: usize,
    /// Until the headers of a request are there.
    pub headers: Duration,
    /// Until the body of a request is there, however slowly it comes.
    pub request: Duration,
    /// In this time a new request must come, or [`SLOWEST`] bytes must move, unless we are the ones who are waited for.
    pub idle: Duration,
    /// Bytes of a request's body.
    pub body: usize,
    /// How long answers under way may take once we stop.
    pub drain: Duration,
}

/// Who reads or writes fewer bytes than this in [`Limits::idle`] only holds a place.
pub const SLOWEST: u64 = 1 << 10;

impl Default for Limits {
    fn default() -> Self {
        Limits {
            connections: 4096,
            headers: Duration::from_secs(10),
            request: Duration::from_secs(30),
            idle: Duration::from_secs(60),
            body: 1 << 20,
            drain: Duration::from_secs(10),
        }
    }
}

/// Listens on a TCP port that another process of the same service may listen on too.
///
/// # Errors
/// `port-taken`, naming the port.
pub fn listen(address: SocketAddr) -> Result<TcpListener> {
    let failed = |error: std::io::Error| match error.kind() {
        std::io::ErrorKind::AddrInUse => {
            let holder = holder_of(address.ip(), address.port())
                .and_then(|it| match it {
                    Holder::Process(pid) => Some(format!(" by process {pid}")),
                    Holder::Unseen => None,
                })
                .unwrap_or_default();
            Error::passing(
                "port-taken",
                format!("port {} is taken{holder}: choose another one or end what holds it", address.port()),
            )
        }
        std::io::ErrorKind::PermissionDenied => Error::permanent(
            "port-denied",
            format!("port {} needs more rights: choose one from 1024 on", address.port()),
        ),
        _ => Error::passing("listen", format!("{address} cannot be listened on")).because(error),
    };
    let domain = socket2::Domain::for_address(address);
    let socket =
        socket2::Socket::new(domain, socket2::Type::STREAM, Some(socket2::Protocol::TCP)).map_err(failed)?;
    socket.set_reuse_address(true).map_err(failed)?;
    socket.set_reuse_port(true).map_err(failed)?;
    socket.set_nonblocking(true).map_err(failed)?;
    socket.bind(&address.into()).map_err(failed)?;
    socket.listen(1024).map_err(failed)?;
    TcpListener::from_std(socket.into()).map_err(failed)
}

/// Serves on a TCP listener until told to stop, then drains.
pub async fn serve_tcp(listener: TcpListener, router: Router, limits: Limits, stop: &Stop) {
    let serving = Serving::new(router, limits, stop);
    serving
        .run(|| async {
            let (stream, _) = listener.accept().await?;
            stream.set_nodelay(true)?;
            Ok(stream)
        })
        .await;
}

/// Serves on a Unix listener until told to stop, then drains.
pub async fn serve_unix(listener: UnixListener, router: Router, limits: Limits, stop: &Stop) {
    let serving = Serving::new(router, limits, stop);
    serving
        .run(|| async {
            let (stream, _) = listener.accept().await?;
            Ok(stream)
        })
        .await;
}

/// Serves streams that somebody else accepts, such as TLS sessions: one call for each.
pub async fn serve_stream<S>(stream: S, router: Router, limits: Limits, stop: Stop)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    connection(stream, bounded(router, limits), limits, stop).await;
}

/// A router that takes no larger and no slower bodies than the limits say, whatever its handlers read.
fn bounded(router: Router, limits: Limits) -> Router {
    let bound = move |request: Request, next: Next| bound(limits, request, next);
    router.layer(DefaultBodyLimit::max(limits.body)).layer(axum::middleware::from_fn(bound))
}

async fn bound(limits: Limits, request: Request, next: Next) -> Response {
    let told =
        request.headers().get(header::CONTENT_LENGTH).and_then(|it| it.to_str().ok()?.parse::<u64>().ok());
    if told.is_some_and(|bytes| bytes > limits.body as u64) {
        let message = format!("the request has {} bytes, more than {}", told.unwrap_or(0), limits.body);
        let text = Json(serde_json::json!({ "code": "too-large", "message": message }));
        return (StatusCode::PAYLOAD_TOO_LARGE, [(header::CONNECTION, "close")], text).into_response();
    }
    if request.body().is_end_stream() {
        return next.run(request).await;
    }
    let until = Instant::now() + limits.request;
    let timed = |body| Body::new(Timed::new(body, until));
    next.run(request.map(timed)).await
}

struct Serving {
    router: Router,
    limits: Limits,
    stop: Stop,
}

impl Serving {
    fn new(router: Router, limits: Limits, stop: &Stop) -> Serving {
        Serving { router: bounded(router, limits), limits, stop: stop.clone() }
    }

    async fn run<S, F>(self, accept: impl Fn() -> F)
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
        F: Future<Output = std::io::Result<S>>,
    {
        let room = Arc::new(Semaphore::new(self.limits.connections));
        let mut connections = JoinSet::new();
        loop {
            let Ok(permit) = Arc::clone(&room).acquire_owned().await else { break };
            let accepted = tokio::select! {
                accepted = accept() => accepted,
                () = self.stop.stopped() => break,
            };
            match accepted {
                Ok(stream) => {
                    let (router, limits, stop) = (self.router.clone(), self.limits, self.stop.clone());
                    connections.spawn(async move {
                        connection(stream, router, limits, stop).await;
                        drop(permit);
                    });
                }
                Err(error) => {
                    // Out of file descriptors, most likely: others must end first.
                    debug!(%error, "A connection was not accepted.");
                    tokio::time::sleep(Duration::from_millis(50)).await;
                }
            }
            while connections.try_join_next().is_some() {}
        }
        let all = async { while connections.join_next().await.is_some() {} };
        let _ = tokio::time::timeout(self.limits.drain, all).await;
    }
}

async fn connection<S>(stream: S, router: Router, limits: Limits, stop: Stop)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let turns = Arc::new(Turns::default());
    let io = TokioIo::new(Impatient::new(stream, limits.idle, Arc::clone(&turns)));
    let inner = TowerToHyperService::new(router);
    let service = hyper::service::service_fn(move |request: hyper::Request<hyper::body::Incoming>| {
        // Names of the semantic conventions for HTTP servers. A path may name an asset, never a secret.
        let span = debug_span!(
            target: SPANS,
            "request",
            http.request.method = %request.method(),
            url.path = request.uri().path(),
            http.response.status_code = field::Empty,
        );
        let (turns, answer) = (Arc::clone(&turns), inner.call(request));
        async move {
            turns.begun.fetch_add(1, Ordering::Relaxed);
            let answer = answer.instrument(span.clone()).await;
            turns.ended.fetch_add(1, Ordering::Relaxed);
            if let Ok(answer) = &answer {
                span.record("http.response.status_code", answer.status().as_u16());
            }
            answer
        }
    });
    let connection = hyper::server::conn::http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(limits.headers)
        .max_buf_size(64 << 10)
        .serve_connection(io, service);
    tokio::pin!(connection);
    tokio::select! {
        ended = connection.as_mut() => {
            if let Err(error) = ended {
                debug!(%error, "A connection ended early.");
            }
            return;
        }
        () = stop.stopped() => {}
    }
    connection.as_mut().graceful_shutdown();
    let _ = tokio::time::timeout(limits.drain, connection).await;
}

/// How many requests of a connection were begun, and answered as far as the answer's head.
#[derive(Default)]
struct Turns {
    begun: AtomicU64,
    ended: AtomicU64,
}

/// A stream that ends when next to nothing moves for too long: a slow client does not hold a place for ever. While a
/// request is with us it is we who are slow, and the client only waits.
struct Impatient<S> {
    stream: S,
    idle: Duration,
    timer: Pin<Box<Sleep>>,
    turns: Arc<Turns>,
    /// Bytes in this window, and requests begun before it.
    moved: u64,
    begun: u64,
}

impl<S> Impatient<S> {
    fn new(stream: S, idle: Duration, turns: Arc<Turns>) -> Impatient<S> {
        let timer = Box::pin(tokio::time::sleep(idle));
        Impatient { stream, idle, timer, turns, moved: 0, begun: 0 }
    }

    fn judge<T>(
        &mut self,
        cx: &mut Context<'_>,
        moved: Poll<std::io::Result<T>>,
        bytes: impl FnOnce(&T) -> usize,
    ) -> Poll<std::io::Result<T>> {
        if let Poll::Ready(moved) = moved {
            if let Ok(it) = &moved {
                self.moved = self.moved.saturating_add(bytes(it) as u64);
            }
            return Poll::Ready(moved);
        }
        while self.timer.as_mut().poll(cx).is_ready() {
            let begun = self.turns.begun.load(Ordering::Relaxed);
            let ours = begun > self.turns.ended.load(Ordering::Relaxed);
            if !ours && begun == self.begun && self.moved < SLOWEST {
                return Poll::Ready(Err(std::io::ErrorKind::TimedOut.into()));
            }
            (self.begun, self.moved) = (begun, 0);
            let later = Instant::now() + self.idle;
            self.timer.as_mut().reset(later);
        }
        Poll::Pending
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Impatient<S> {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<std::io::Result<()>> {
        let this = self.get_mut();
        let before = buffer.filled().len();
        let moved = Pin::new(&mut this.stream).poll_read(cx, buffer);
        this.judge(cx, moved, |()| buffer.filled().len() - before)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Impatient<S> {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, data: &[u8]) -> Poll<std::io::Result<usize>> {
        let this = self.get_mut();
        let moved = Pin::new(&mut this.stream).poll_write(cx, data);
        this.judge(cx, moved, |bytes| *bytes)
    }

    // Without these two hyper copies every body into a buffer of its own before it writes it.
    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        parts: &[std::io::IoSlice<'_>],
    ) -> Poll<std::io::Result<usize>> {
        let this = self.get_mut();
        let moved = Pin::new(&mut this.stream).poll_write_vectored(cx, parts);
        this.judge(cx, moved, |bytes| *bytes)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        let this = self.get_mut();
        let moved = Pin::new(&mut this.stream).poll_flush(cx);
        this.judge(cx, moved, |()| 0)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        let this = self.get_mut();
        Pin::new(&mut this.stream).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::routing::get;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::TcpStream;

    async fn started(limits: Limits) -> (SocketAddr, Stop, tokio::task::JoinHandle<()>) {
        let (address, stop, task, _) = watched(limits).await;
        (address, stop, task)
    }

    /// … and what counts the requests for `/slow` that have arrived.
    async fn watched(
        limits: Limits,
    ) -> (SocketAddr, Stop, tokio::task::JoinHandle<()>, tokio::sync::watch::Receiver<u32>) {
        let listener = listen(SocketAddr::from(([127, 0, 0, 1], 0))).unwrap();
        let address = listener.local_addr().unwrap();
        let (arrived, seen) = tokio::sync::watch::channel(0);
        let slow = get(move || {
            arrived.send_modify(|count| *count += 1);
            async {
                tokio::time::sleep(Duration::from_millis(400)).await;
                "late"
            }
        });
        let read = axum::routing::post(|body: String| async move { body.len().to_string() });
        let router =
            Router::new().route("/", get(|| async { "hello" })).route("/slow", slow).route("/read", read);
        let stop = Stop::new();
        let told = stop.clone();
        let task = tokio::spawn(async move { serve_tcp(listener, router, limits, &told).await });
        (address, stop, task, seen)
    }

    #[tokio::test]
    async fn an_answer_under_way_is_finished_after_the_stop() {
        let (address, stop, task, mut arrived) = watched(Limits::default()).await;
        let answer = tokio::spawn(reqwest::get(format!("http://{address}/slow")));
        // Told by the handler: on a busy machine the request may still be on its way after any time that we would guess.
        arrived.wait_for(|count| *count == 1).await.unwrap();
        stop.stop();
        assert_eq!(answer.await.unwrap().unwrap().text().await.unwrap(), "late");
        task.await.unwrap();
        assert!(TcpStream::connect(address).await.is_err());
    }

    #[tokio::test]
    async fn a_client_that_never_ends_its_headers_is_cut_off() {
        let limits = Limits {
            headers: Duration::from_millis(200),
            idle: Duration::from_millis(300),
            ..Limits::default()
        };
        let (address, stop, task) = started(limits).await;
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all(b"GET / HTTP/1.1\r\nhost: x\r\nx-slow: ").await.unwrap();
        let mut all = Vec::new();
        let read = tokio::time::timeout(Duration::from_secs(20), stream.read_to_end(&mut all)).await;
        assert!(read.is_ok(), "the connection is still open");
        stop.stop();
        task.await.unwrap();
    }

    async fn ends_within(stream: &mut TcpStream, time: Duration) -> String {
        let mut all = Vec::new();
        let read = tokio::time::timeout(time, stream.read_to_end(&mut all)).await;
        assert!(read.is_ok(), "the connection is still open: {}", String::from_utf8_lossy(&all));
        String::from_utf8_lossy(&all).into_owned()
    }

    #[tokio::test]
    async fn a_body_that_comes_byte_by_byte_is_cut_off_though_it_never_rests() {
        let limits = Limits { request: Duration::from_millis(500), ..Limits::default() };
        let (address, stop, task) = started(limits).await;
        let (mut read, mut write) = TcpStream::connect(address).await.unwrap().into_split();
        write.write_all(b"POST /read HTTP/1.1\r\nhost: x\r\ncontent-length: 100000\r\n\r\n").await.unwrap();
        let drip = tokio::spawn(async move {
            while write.write_all(b"x").await.is_ok() {
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        });
        let mut all = Vec::new();
        let read = tokio::time::timeout(Duration::from_secs(20), read.read_to_end(&mut all)).await;
        assert!(read.is_ok(), "the connection is still open");
        assert!(
            String::from_utf8_lossy(&all).starts_with("HTTP/1.1 400 "),
            "{}",
            String::from_utf8_lossy(&all)
        );
        drip.abort();
        stop.stop();
        task.await.unwrap();
    }

    #[tokio::test]
    async fn too_large_a_request_is_refused_before_its_body_comes_even_where_nobody_reads_it() {
        let (address, stop, task) = started(Limits::default()).await;
        for line in ["POST /read", "GET /"] {
            let mut stream = TcpStream::connect(address).await.unwrap();
            let head = format!("{line} HTTP/1.1\r\nhost: x\r\ncontent-length: 67108864\r\n\r\n");
            stream.write_all(head.as_bytes()).await.unwrap();
            let said = ends_within(&mut stream, Duration::from_secs(20)).await;
            assert!(said.starts_with("HTTP/1.1 413 ") && said.contains("too-large"), "{said}");
        }
        stop.stop();
        task.await.unwrap();
    }

    #[tokio::test]
    async fn who_waits_for_our_answer_is_not_cut_off_and_who_then_says_nothing_is() {
        let limits = Limits { idle: Duration::from_millis(100), ..Limits::default() };
        let (address, stop, task) = started(limits).await;
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all(b"GET /slow HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
        let said = ends_within(&mut stream, Duration::from_secs(20)).await;
        assert!(said.ends_with("late"), "{said}");
        stop.stop();
        task.await.unwrap();
    }

    #[tokio::test]
    async fn more_connections_than_there_is_room_for_wait_and_are_served_then() {
        let (address, stop, task) = started(Limits { connections: 1, ..Limits::default() }).await;
        let first = TcpStream::connect(address).await.unwrap();
        let second = tokio::spawn(reqwest::get(format!("http://{address}/")));
        tokio::time::sleep(Duration::from_millis(300)).await;
        assert!(!second.is_finished());
        drop(first);
        assert_eq!(second.await.unwrap().unwrap().text().await.unwrap(), "hello");
        stop.stop();
        task.await.unwrap();
    }

    #[tokio::test]
    async fn head_and_body_are_written_together_and_a_reader_that_stops_is_still_cut_off() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let mut reader = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        let (stream, _) = listener.accept().await.unwrap();
        let mut impatient = Impatient::new(stream, Duration::from_millis(200), Arc::default());
        assert!(impatient.is_write_vectored());
        let parts = [std::io::IoSlice::new(b"head"), std::io::IoSlice::new(b"body")];
        assert_eq!(impatient.write_vectored(&parts).await.unwrap(), 8);
        let mut both = [0; 8];
        reader.read_exact(&mut both).await.unwrap();
        assert_eq!(&both, b"headbody");
        // Nobody reads any more: when the buffers between are full, nothing moves.
        let large = vec![0; 64 << 10];
        let filling = async {
            loop {
                if let Err(error) = impatient.write_vectored(&[std::io::IoSlice::new(&large)]).await {
                    return error.kind();
                }
            }
        };
        let kind = tokio::time::timeout(Duration::from_secs(60), filling).await.unwrap();
        assert_eq!(kind, std::io::ErrorKind::TimedOut);
    }

    #[tokio::test]
    async fn a_second_process_of_a_service_may_listen_beside_the_first() {
        let (address, stop, task) = started(Limits::default()).await;
        assert!(listen(address).is_ok());
        stop.stop();
        task.await.unwrap();
    }

    #[tokio::test]
    async fn a_taken_port_names_its_holder() {
        let holder = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let error = listen(holder.local_addr().unwrap()).unwrap_err();
        assert_eq!(error.code, "port-taken");
        assert!(error.message.contains(&format!("by process {}", std::process::id())), "{error}");
    }
}
