//! A faulty way to the test cluster's API server: a proxy that passes requests on, and on demand loses an answer, cuts a
//! connection or answers itself, as overloaded servers, load balancers and networks do.

use std::convert::Infallible;
use std::os::fd::AsFd as _;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::Poll;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::BodyExt as _;
use hyper::body::{Body, Frame, Incoming, SizeHint};
use hyper::service::service_fn;
use hyper::{Request, Response};
use serde_json::json;

use crate::cluster::Cluster;

/// What happens to a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// It is carried out, and the connection is reset before the answer.
    AnswerLost,
    /// It is not carried out: the connection is reset.
    Reset,
    /// It is not carried out: this status, with so many seconds as `Retry-After`.
    Refused(u16, Option<u32>),
    /// It is carried out, and its answer ends in the middle.
    Torn,
}

/// One request as it is judged: the how-many'th it is, its method and its path with the query.
#[derive(Clone, Debug)]
pub struct Asked {
    /// From 0.
    pub number: usize,
    /// `PATCH`.
    pub method: String,
    /// `/api/v1/…?…`.
    pub path: String,
}

impl Asked {
    /// Whether it may change something.
    pub fn writes(&self) -> bool {
        self.method != "GET"
    }
}

type Judge = Box<dyn FnMut(&Asked) -> Option<Fault> + Send>;

#[derive(Default)]
struct Shared {
    judge: Option<Judge>,
    asked: usize,
    done: Vec<(Asked, Fault)>,
}

/// A running proxy; it ends with the value.
pub struct Proxy {
    folder: tempfile::TempDir,
    shared: Arc<Mutex<Shared>>,
    _runtime: tokio::runtime::Runtime,
}

impl Proxy {
    /// A proxy that passes everything on.
    ///
    /// # Errors
    /// When it cannot listen.
    pub fn start(cluster: &Cluster) -> Result<Proxy, Box<dyn std::error::Error>> {
        let folder = tempfile::tempdir()?;
        let listener = std::net::TcpListener::bind("127.0.0.1:0")?;
        listener.set_nonblocking(true)?;
        let address = listener.local_addr()?;
        let kubeconfig = json!({
            "apiVersion": "v1", "kind": "Config", "current-context": "test",
            "clusters": [{ "name": "test", "cluster": { "server": format!("http://{address}") } }],
            "users": [{ "name": "admin", "user": { "token": cluster.token() } }],
            "contexts": [{ "name": "test", "context": { "cluster": "test", "user": "admin" } }],
        });
        std::fs::write(kubeconfig_in(folder.path()), kubeconfig.to_string())?;
        let behind = Behind {
            server: cluster.server(),
            http: reqwest::Client::builder()
                .no_proxy()
                .tls_certs_only([reqwest::Certificate::from_pem(cluster.ca_pem().as_bytes())?])
                .timeout(Duration::from_secs(60))
                .build()?,
        };
        let shared = Arc::new(Mutex::new(Shared::default()));
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
        let listener = {
            let _inside = runtime.enter();
            tokio::net::TcpListener::from_std(listener)?
        };
        runtime.spawn(serve(listener, behind, Arc::clone(&shared)));
        Ok(Proxy { folder, shared, _runtime: runtime })
    }

    /// A kubeconfig that leads through here.
    pub fn kubeconfig(&self) -> PathBuf {
        kubeconfig_in(self.folder.path())
    }

    /// From now on, every request is judged; counted from 0 again.
    pub fn judge(&self, judge: impl FnMut(&Asked) -> Option<Fault> + Send + 'static) {
        let mut shared = self.shared.lock().unwrap_or_else(PoisonError::into_inner);
        *shared = Shared { judge: Some(Box::new(judge)), asked: 0, done: Vec::new() };
    }

    /// From now on, everything is passed on. Returns how many requests there were, and what was done to which.
    pub fn relent(&self) -> (usize, Vec<(Asked, Fault)>) {
        let mut shared = self.shared.lock().unwrap_or_else(PoisonError::into_inner);
        let before = std::mem::take(&mut *shared);
        (before.asked, before.done)
    }
}

fn kubeconfig_in(folder: &Path) -> PathBuf {
    folder.join("kubeconfig")
}

/// The API server itself.
#[derive(Clone)]
struct Behind {
    server: String,
    http: reqwest::Client,
}

async fn serve(listener: tokio::net::TcpListener, behind: Behind, shared: Arc<Mutex<Shared>>) {
    while let Ok((stream, _)) = listener.accept().await {
        let (behind, shared) = (behind.clone(), Arc::clone(&shared));
        // A second handle on the connection, to have it reset instead of closed.
        let Ok(line) = stream.as_fd().try_clone_to_owned().map(std::net::TcpStream::from) else { continue };
        tokio::spawn(async move {
            let line = Arc::new(line);
            let reset = Arc::clone(&line);
            let service = service_fn(move |request| {
                let (behind, shared, reset) = (behind.clone(), Arc::clone(&shared), Arc::clone(&reset));
                async move { answer(request, &behind, &shared, &reset).await }
            });
            let io = hyper_util::rt::TokioIo::new(stream);
            let _ = hyper::server::conn::http1::Builder::new().serve_connection(io, service).await;
        });
    }
}

/// Why a connection ends.
#[derive(Debug)]
struct Cut;

impl std::fmt::Display for Cut {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("cut")
    }
}

impl std::error::Error for Cut {}

/// A body in one piece, which may be less than it promised.
struct Answer {
    bytes: Option<Bytes>,
    whole: bool,
}

impl Answer {
    fn whole(bytes: impl Into<Bytes>) -> Answer {
        Answer { bytes: Some(bytes.into()), whole: true }
    }
}

impl Body for Answer {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut std::task::Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        Poll::Ready(self.bytes.take().map(|bytes| Ok(Frame::data(bytes))))
    }

    fn size_hint(&self) -> SizeHint {
        match (&self.bytes, self.whole) {
            (Some(bytes), true) => SizeHint::with_exact(bytes.len() as u64),
            _ => SizeHint::default(),
        }
    }
}

async fn answer(
    request: Request<Incoming>,
    behind: &Behind,
    shared: &Mutex<Shared>,
    line: &std::net::TcpStream,
) -> Result<Response<Answer>, Cut> {
    let path = request.uri().path_and_query().map(ToString::to_string).unwrap_or_default();
    let fault = {
        let mut shared = shared.lock().unwrap_or_else(PoisonError::into_inner);
        let asked = Asked { number: shared.asked, method: request.method().to_string(), path: path.clone() };
        shared.asked += 1;
        let fault = shared.judge.as_mut().and_then(|judge| judge(&asked));
        if let Some(fault) = fault {
            shared.done.push((asked, fault));
        }
        fault
    };
    let cut = || {
        // Unsent data is thrown away and the other side gets a reset (socket(7), SO_LINGER).
        let _ = socket2::SockRef::from(line).set_linger(Some(Duration::ZERO));
        Cut
    };
    match fault {
        Some(Fault::Reset) => return Err(cut()),
        Some(Fault::Refused(status, after)) => {
            let mut response = Response::builder().status(status).header("content-type", "application/json");
            if let Some(seconds) = after {
                response = response.header("retry-after", seconds);
            }
            let body = json!({ "kind": "Status", "apiVersion": "v1", "status": "Failure", "code": status,
                "message": "the server is not able to handle the request (injected)" });
            return response.body(Answer::whole(body.to_string())).map_err(|_| Cut);
        }
        _ => {}
    }
    let (status, kind, body) = pass(request, &path, behind).await.map_err(|_| cut())?;
    let mut response = Response::builder().status(status).header("content-type", kind);
    match fault {
        Some(Fault::AnswerLost) => return Err(cut()),
        Some(Fault::Torn) => {
            // Half of it under the length of the whole: the connection ends where the body ends too early.
            response = response.header("content-length", body.len());
            let half = body.slice(..body.len() / 2);
            return response.body(Answer { bytes: Some(half), whole: false }).map_err(|_| Cut);
        }
        _ => {}
    }
    response.body(Answer::whole(body)).map_err(|_| Cut)
}

async fn pass(
    request: Request<Incoming>,
    path: &str,
    behind: &Behind,
) -> Result<(u16, String, Bytes), Box<dyn std::error::Error + Send + Sync>> {
    let (head, body) = request.into_parts();
    let body = body.collect().await?.to_bytes();
    let mut onward = behind.http.request(head.method, format!("{}{path}", behind.server)).body(body);
    for name in ["authorization", "content-type", "accept"] {
        if let Some(value) = head.headers.get(name) {
            onward = onward.header(name, value);
        }
    }
    let said = onward.send().await?;
    let status = said.status().as_u16();
    let kind =
        said.headers().get("content-type").and_then(|it| it.to_str().ok()).unwrap_or("text/plain").to_owned();
    Ok((status, kind, said.bytes().await?))
}
