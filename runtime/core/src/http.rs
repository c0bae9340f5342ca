//! How services listen: limits on headers, bodies, connections and slowness, a drain at the end, and ports that a newer
//! process of the same service may share (SO_REUSEPORT), so that an upgrade is no gap.

use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, UnixListener};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::{Instant, Sleep};
use tracing::debug;

use crate::error::{Error, Result};
use crate::lifecycle::Stop;

/// What a listener lets others do to it.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Connections at a time; more wait.
    pub connections: usize,
    /// Until the headers of a request are there.
    pub headers: Duration,
    /// Without a byte in either direction, in the middle of a request or between two.
    pub idle: Duration,
    /// Bytes of a request's body.
    pub body: usize,
    /// How long answers under way may take once we stop.
    pub drain: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Limits {
            connections: 4096,
            headers: Duration::from_secs(10),
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
            let holder =
                holder_of(address.port()).map(|pid| format!(" by process {pid}")).unwrap_or_default();
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

/// The process that listens on a TCP port of this host, as far as /proc tells us.
pub fn holder_of(port: u16) -> Option<u32> {
    let wanted = format!(":{port:04X}");
    let mut inodes = Vec::new();
    for table in ["/proc/net/tcp", "/proc/net/tcp6"] {
        let text = std::fs::read_to_string(table).unwrap_or_default();
        for line in text.lines().skip(1) {
            let words: Vec<&str> = line.split_whitespace().collect();
            // local address, state 0A (listening), inode
            if let [_, local, _, "0A", ..] = words.as_slice()
                && local.ends_with(&wanted)
            {
                inodes.extend(words.get(9).map(|inode| format!("socket:[{inode}]")));
            }
        }
    }
    if inodes.is_empty() {
        return None;
    }
    let processes = std::fs::read_dir("/proc").ok()?;
    for process in processes.flatten() {
        let Some(pid) = process.file_name().to_str().and_then(|name| name.parse::<u32>().ok()) else {
            continue;
        };
        let Ok(files) = std::fs::read_dir(process.path().join("fd")) else { continue };
        for file in files.flatten() {
            let target = std::fs::read_link(file.path()).unwrap_or_default();
            if inodes.iter().any(|inode| target.as_os_str() == inode.as_str()) {
                return Some(pid);
            }
        }
    }
    None
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
    connection(stream, router.layer(DefaultBodyLimit::max(limits.body)), limits, stop).await;
}

struct Serving {
    router: Router,
    limits: Limits,
    stop: Stop,
}

impl Serving {
    fn new(router: Router, limits: Limits, stop: &Stop) -> Serving {
        Serving { router: router.layer(DefaultBodyLimit::max(limits.body)), limits, stop: stop.clone() }
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
    let io = TokioIo::new(Impatient::new(stream, limits.idle));
    let connection = hyper::server::conn::http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(limits.headers)
        .max_buf_size(64 << 10)
        .serve_connection(io, TowerToHyperService::new(router));
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

/// A stream that ends when nothing moves for too long: a slow client does not hold a place for ever.
struct Impatient<S> {
    stream: S,
    idle: Duration,
    timer: Pin<Box<Sleep>>,
}

impl<S> Impatient<S> {
    fn new(stream: S, idle: Duration) -> Impatient<S> {
        Impatient { stream, idle, timer: Box::pin(tokio::time::sleep(idle)) }
    }

    fn judge<T>(
        &mut self,
        cx: &mut Context<'_>,
        moved: Poll<std::io::Result<T>>,
    ) -> Poll<std::io::Result<T>> {
        if moved.is_ready() {
            let later = Instant::now() + self.idle;
            self.timer.as_mut().reset(later);
            return moved;
        }
        match self.timer.as_mut().poll(cx) {
            Poll::Ready(()) => Poll::Ready(Err(std::io::ErrorKind::TimedOut.into())),
            Poll::Pending => Poll::Pending,
        }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Impatient<S> {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<std::io::Result<()>> {
        let this = self.get_mut();
        let moved = Pin::new(&mut this.stream).poll_read(cx, buffer);
        this.judge(cx, moved)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Impatient<S> {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, data: &[u8]) -> Poll<std::io::Result<usize>> {
        let this = self.get_mut();
        let moved = Pin::new(&mut this.stream).poll_write(cx, data);
        this.judge(cx, moved)
    }

    // Without these two hyper copies every body into a buffer of its own before it writes it.
    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        parts: &[std::io::IoSlice<'_>],
    ) -> Poll<std::io::Result<usize>> {
        let this = self.get_mut();
        let moved = Pin::new(&mut this.stream).poll_write_vectored(cx, parts);
        this.judge(cx, moved)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        let this = self.get_mut();
        let moved = Pin::new(&mut this.stream).poll_flush(cx);
        this.judge(cx, moved)
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
        let listener = listen(SocketAddr::from(([127, 0, 0, 1], 0))).unwrap();
        let address = listener.local_addr().unwrap();
        let slow = get(|| async {
            tokio::time::sleep(Duration::from_millis(400)).await;
            "late"
        });
        let router = Router::new().route("/", get(|| async { "hello" })).route("/slow", slow);
        let stop = Stop::new();
        let told = stop.clone();
        let task = tokio::spawn(async move { serve_tcp(listener, router, limits, &told).await });
        (address, stop, task)
    }

    #[tokio::test]
    async fn an_answer_under_way_is_finished_after_the_stop() {
        let (address, stop, task) = started(Limits::default()).await;
        let answer = tokio::spawn(reqwest::get(format!("http://{address}/slow")));
        tokio::time::sleep(Duration::from_millis(150)).await;
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

    #[tokio::test]
    async fn head_and_body_are_written_together_and_a_reader_that_stops_is_still_cut_off() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let mut reader = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        let (stream, _) = listener.accept().await.unwrap();
        let mut impatient = Impatient::new(stream, Duration::from_millis(200));
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
