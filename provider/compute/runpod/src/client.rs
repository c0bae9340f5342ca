//! The calls themselves.

use std::time::Duration;

use reqwest::{Method, Response};
use serde::Serialize;
use serde::de::DeserializeOwned;
use streamverse_model::platform::is_this_host;
use tokio::time::Instant;

use crate::Kind;
use crate::answer::{failure, retry_after};
use crate::config::Config;
use crate::error::{Class, Error};
use crate::retry::{ATTEMPTS, pause};
use crate::shared::Lists;

/// One request may take so long.
const ONE: Duration = Duration::from_secs(60);
/// No answer is longer: a list of some ten thousand pods is not.
const LONGEST_ANSWER: usize = 64 << 20;

/// A moment at which a call gives up.
#[derive(Clone, Copy, Debug)]
pub struct Limit(Instant);

impl Limit {
    /// So long from now.
    pub fn within(duration: Duration) -> Limit {
        Limit(Instant::now() + duration)
    }

    /// What is left.
    pub fn left(self) -> Duration {
        self.0.saturating_duration_since(Instant::now())
    }
}

/// A client. Making one asks nothing; clones share connections and lists.
#[derive(Clone, Debug)]
pub struct Client {
    http: reqwest::Client,
    config: Config,
    pub(crate) lists: Lists,
}

/// Whether a call may be repeated as it is.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Repeat {
    /// It says how things are to be, so that twice is once.
    Safe,
    /// Twice would be twice: only when it certainly was not done.
    Unsafe,
}

impl Client {
    /// A client.
    ///
    /// # Errors
    /// A machine without usable TLS.
    pub fn new(config: Config) -> Result<Client, Error> {
        let mut builder = reqwest::Client::builder()
            .user_agent(concat!("streamverse/", env!("CARGO_PKG_VERSION")))
            .redirect(reqwest::redirect::Policy::none())
            .connect_timeout(Duration::from_secs(10))
            .pool_idle_timeout(Duration::from_secs(30));
        if is_this_host(&config.endpoint) {
            builder = builder.no_proxy();
        }
        let http = builder.build().map_err(|error| {
            Error::new(Class::Permanent, "making a client", reqwest::Error::without_url(error).to_string())
        })?;
        Ok(Client { http, config, lists: Lists::default() })
    }

    /// One thing; `None` where there is none of that id.
    ///
    /// # Errors
    /// Calls that fail.
    pub async fn get<K: Kind + DeserializeOwned>(&self, id: &str, limit: Limit) -> Result<Option<K>, Error> {
        let found = self.ask(Method::GET, &path_of::<K>(id), &[], None::<&()>, Repeat::Safe, limit).await;
        match found {
            Ok(thing) => Ok(Some(thing)),
            Err(error) if error.is_not_found() => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Changes a thing; what the body does not name stays as it is.
    ///
    /// # Errors
    /// Calls that fail.
    pub async fn change<K: Kind + DeserializeOwned>(
        &self,
        id: &str,
        body: &impl Serialize,
        limit: Limit,
    ) -> Result<K, Error> {
        self.ask(Method::PATCH, &path_of::<K>(id), &[], Some(body), Repeat::Safe, limit).await
    }

    /// Deletes a thing. Whether it was there.
    ///
    /// # Errors
    /// Calls that fail.
    pub async fn delete<K: Kind>(&self, id: &str, limit: Limit) -> Result<bool, Error> {
        let done = self.call(Method::DELETE, &path_of::<K>(id), &[], None::<&()>, Repeat::Safe, limit).await;
        match done {
            Ok(_) => Ok(true),
            Err(error) if error.is_not_found() => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Asks for one new thing, once. Prefer [`Client::obtain`], which knows what to do when the answer is lost.
    pub(crate) async fn create<K: Kind + DeserializeOwned>(
        &self,
        body: &impl Serialize,
        limit: Limit,
    ) -> Result<K, Error> {
        self.ask(Method::POST, K::PATH, &[], Some(body), Repeat::Unsafe, limit).await
    }

    /// A call whose answer is read.
    pub(crate) async fn ask<T: DeserializeOwned>(
        &self,
        method: Method,
        path: &str,
        query: &[(&str, String)],
        body: Option<&impl Serialize>,
        repeat: Repeat,
        limit: Limit,
    ) -> Result<T, Error> {
        let call = format!("{method} {path}");
        let answer = self.call(method, path, query, body, repeat, limit).await?;
        serde_json::from_slice(&answer).map_err(|error| {
            // It was done: a create of which we do not understand the answer must be looked up.
            let class = if repeat == Repeat::Unsafe { Class::UnknownOutcome } else { Class::Permanent };
            Error::new(class, &call, format!("the answer cannot be read: {error}"))
        })
    }

    /// A call, repeated where that is allowed and helps.
    pub(crate) async fn call(
        &self,
        method: Method,
        path: &str,
        query: &[(&str, String)],
        body: Option<&impl Serialize>,
        repeat: Repeat,
        limit: Limit,
    ) -> Result<Vec<u8>, Error> {
        let call = format!("{method} {path}");
        let mut attempts = 0;
        loop {
            let error = match self.once(&call, &method, path, query, body, repeat, limit).await {
                Ok(answer) => return Ok(answer),
                Err(error) => error,
            };
            attempts += 1;
            let asked = match error.class {
                Class::Throttle(after) => after,
                _ => None,
            };
            let wait = pause(attempts, asked);
            if !error.class.is_passing() || attempts >= ATTEMPTS || wait >= limit.left() {
                return Err(error);
            }
            tracing::debug!(%error, attempts, ?wait, "RunPod is asked again.");
            tokio::time::sleep(wait).await;
        }
    }

    #[expect(clippy::too_many_arguments, reason = "one request has so many parts")]
    async fn once(
        &self,
        call: &str,
        method: &Method,
        path: &str,
        query: &[(&str, String)],
        body: Option<&impl Serialize>,
        repeat: Repeat,
        limit: Limit,
    ) -> Result<Vec<u8>, Error> {
        let left = limit.left().min(ONE);
        if left.is_zero() {
            return Err(Error::new(Class::Unavailable, call, "the time for it is up"));
        }
        let mut url = self.config.endpoint.clone();
        url.set_path(&format!("{}{path}", url.path().trim_end_matches('/')));
        let mut request = self
            .http
            .request(method.clone(), url)
            .bearer_auth(self.config.key.bearer())
            .timeout(left)
            .query(query);
        if let Some(body) = body {
            request = request.json(body);
        }
        let lost = |error: reqwest::Error| {
            // A connection that was never there carried nothing.
            let class = if repeat == Repeat::Safe || error.is_connect() {
                Class::Unavailable
            } else {
                Class::UnknownOutcome
            };
            Error::new(class, call, told(&error.without_url()))
        };
        let answer = request.send().await.map_err(lost)?;
        let (status, headers) = (answer.status().as_u16(), answer.headers().clone());
        if let Some(after) = retry_after(&headers) {
            tracing::debug!(call, status, ?after, "RunPod wants to be left alone.");
        }
        let bytes = read(answer).await.map_err(|error| match error {
            Some(error) => lost(error),
            None => Error::new(Class::Permanent, call, "the answer is too long"),
        })?;
        if (200..300).contains(&status) {
            return Ok(bytes);
        }
        Err(failure(call, status, &headers, &bytes, repeat == Repeat::Safe))
    }
}

async fn read(mut answer: Response) -> Result<Vec<u8>, Option<reqwest::Error>> {
    let mut all = Vec::new();
    while let Some(chunk) = answer.chunk().await.map_err(Some)? {
        if all.len() + chunk.len() > LONGEST_ANSWER {
            return Err(None);
        }
        all.extend_from_slice(&chunk);
    }
    Ok(all)
}

/// Where a thing is. An id is a path's part, whatever it is.
pub(crate) fn path_of<K: Kind>(id: &str) -> String {
    format!("{}/{}", K::PATH, part(id))
}

pub(crate) fn part(id: &str) -> String {
    // `set_path` encodes what no path may have, but leaves slashes and what looks like a way upwards.
    id.replace('%', "%25").replace('/', "%2F").replace('?', "%3F").replace('#', "%23").replace("..", "%2E%2E")
}

/// What a fault of the way says, with its causes.
fn told(error: &reqwest::Error) -> String {
    let mut text = error.to_string();
    let mut cause = std::error::Error::source(error);
    while let Some(it) = cause {
        let more = it.to_string();
        if !text.contains(&more) {
            text = format!("{text}: {more}");
        }
        cause = it.source();
    }
    text
}
