//! The rows of the target table: a name, and how to start what it stands for.

use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use serde_json::Value;
use streamverse_model::platform::Progress;

use crate::context::ServiceContext;
use crate::error::Result;
use crate::lifecycle::{Service, Stop};

/// What a start function returns.
pub type Starting<T> = Pin<Box<dyn Future<Output = Result<T>> + Send>>;

/// How a target is started from its spec.
#[derive(Clone, Copy)]
pub enum Start {
    /// A service: its stores are opened and probed, nothing listens yet.
    Service(fn(Value, ServiceContext) -> Starting<Box<dyn Service>>),
    /// A job.
    Job(fn(Value, ServiceContext) -> Starting<Box<dyn Job>>),
}

/// A row of the target table.
#[derive(Clone, Copy)]
pub struct Target {
    /// `origin`, as in a `ServiceObject`'s or `JobObject`'s `target`.
    pub name: &'static str,
    /// How it is started.
    pub start: Start,
}

/// All targets of a binary.
pub type TargetTable = &'static [Target];

/// Work that ends.
#[async_trait]
pub trait Job: Send {
    /// Does the work; continues where an earlier run stopped. Returns what it made, at most 4 KiB of JSON.
    ///
    /// # Errors
    /// What stopped it; with `retry` it is run again.
    async fn run(self: Box<Self>, handle: JobHandle, stop: Stop) -> Result<Value>;
}

/// Where a job tells how far it is.
#[derive(Clone, Debug, Default)]
pub struct JobHandle(Arc<Mutex<JobNews>>);

/// What a job told so far.
#[derive(Clone, Debug, Default, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct JobNews {
    /// How far it is.
    pub progress: Option<Progress>,
    /// What it found out before its end, such as a source's facts.
    pub result: Option<Value>,
}

impl JobHandle {
    /// Nothing told yet.
    pub fn new() -> JobHandle {
        JobHandle::default()
    }

    /// How far it is.
    pub fn progress(&self, done: u64, total: u64, unit: &str) {
        self.with(|news| news.progress = Some(Progress { done, total, unit: unit.to_owned() }));
    }

    /// What it found out before its end.
    pub fn found(&self, result: Value) {
        self.with(|news| news.result = Some(result));
    }

    /// What was told so far.
    pub fn news(&self) -> JobNews {
        self.with(|news| news.clone())
    }

    fn with<T>(&self, f: impl FnOnce(&mut JobNews) -> T) -> T {
        f(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}
