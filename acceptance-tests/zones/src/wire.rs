//! HTTP/1.1 over connections that are kept: a replay makes a million calls.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::Request;
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::net::TcpStream;

/// No answer is longer.
const LONGEST: usize = 64 << 20;

/// An answer.
#[derive(Clone, Debug)]
pub struct Answer {
    /// Its status.
    pub status: u16,
    /// `Retry-After`, in seconds.
    pub retry_after: Option<u64>,
    /// Its body.
    pub body: Value,
}

/// Why there is no answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Lost {
    /// The request never went out.
    Unsent(String),
    /// It went out, and what became of it is not known.
    Unanswered(String),
}

/// A client of one address.
pub struct Wire {
    host: String,
    key: String,
    kept: Mutex<Vec<SendRequest<Full<Bytes>>>>,
}

fn lock<T>(kept: &Mutex<T>) -> MutexGuard<'_, T> {
    kept.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Wire {
    /// A client; nothing is connected yet.
    pub fn new(endpoint: &str, key: &str) -> Wire {
        let host = endpoint.trim_start_matches("http://").trim_end_matches('/').to_owned();
        Wire { host, key: format!("Bearer {key}"), kept: Mutex::default() }
    }

    /// One call, within a time.
    ///
    /// # Errors
    /// When no answer comes, or none that can be read.
    pub async fn call(
        &self,
        method: &str,
        path: &str,
        body: Option<&Value>,
        within: Duration,
    ) -> Result<Answer, Lost> {
        let sent = std::sync::atomic::AtomicBool::new(false);
        match tokio::time::timeout(within, self.exchange(method, path, body, &sent)).await {
            Ok(answer) => answer,
            Err(_) if sent.into_inner() => Err(Lost::Unanswered(format!("no answer within {within:?}"))),
            Err(_) => Err(Lost::Unsent(format!("no connection within {within:?}"))),
        }
    }

    async fn exchange(
        &self,
        method: &str,
        path: &str,
        body: Option<&Value>,
        sent: &std::sync::atomic::AtomicBool,
    ) -> Result<Answer, Lost> {
        // It is put back when the answer was read: a call that is given up takes its connection along.
        let mut kept = lock(&self.kept).pop();
        let usable = match &mut kept {
            Some(sender) => sender.ready().await.is_ok(),
            None => false,
        };
        let mut sender = match kept.filter(|_| usable) {
            Some(sender) => sender,
            None => self.connect().await?,
        };
        let unsent = |error: &dyn std::fmt::Display| Lost::Unsent(error.to_string());
        let lost = |error: &dyn std::fmt::Display| Lost::Unanswered(error.to_string());
        let mut request = Request::builder()
            .method(method)
            .uri(path)
            .header("host", &self.host)
            .header("authorization", &self.key);
        let bytes = match body {
            Some(body) => {
                request = request.header("content-type", "application/json");
                Bytes::from(body.to_string())
            }
            None => Bytes::new(),
        };
        let request = request.body(Full::new(bytes)).map_err(|error| unsent(&error))?;
        sent.store(true, std::sync::atomic::Ordering::Relaxed);
        let answer = sender
            .send_request(request)
            .await
            .map_err(|error| if error.is_canceled() { unsent(&error) } else { lost(&error) })?;
        let status = answer.status().as_u16();
        let header = answer.headers().get("retry-after").and_then(|it| it.to_str().ok());
        let retry_after = header.and_then(|it| it.parse().ok());
        let bytes =
            Limited::new(answer.into_body(), LONGEST).collect().await.map_err(|error| lost(&error))?;
        let body = serde_json::from_slice(&bytes.to_bytes()).unwrap_or_default();
        lock(&self.kept).push(sender);
        Ok(Answer { status, retry_after, body })
    }

    async fn connect(&self) -> Result<SendRequest<Full<Bytes>>, Lost> {
        let failed = |error: &dyn std::fmt::Display| Lost::Unsent(format!("{}: {error}", self.host));
        let stream = TcpStream::connect(&self.host).await.map_err(|error| failed(&error))?;
        let _ = stream.set_nodelay(true);
        let (sender, connection) = handshake(TokioIo::new(stream)).await.map_err(|error| failed(&error))?;
        tokio::spawn(async move {
            let _ = connection.await;
        });
        Ok(sender)
    }
}
