//! Ephemeral resources: opened while Terraform runs, never stored (Terraform 1.10).

use std::future::{Future, ready};
use std::marker::PhantomData;
use std::sync::Arc;
use std::time::SystemTime;

use crate::context::Context;
use crate::data_source::{SourceInfo, validate_view, write_state};
use crate::error::Result;
use crate::findings::Findings;
use crate::provider::Provider;
use crate::request::Request;
use crate::resource::BoxFuture;
use crate::schema::{Diagnostics, Duration, Schema, Value};

/// An ephemeral resource: a token, a tunnel, a lease. What renew and close need to know is kept in the private
/// state of the [`Request`].
pub trait Ephemeral: Schema {
    /// The provider whose configuration the handlers need.
    type Provider: Provider;

    /// The name without the provider's prefix. Written by `#[ephemeral(name = …)]`.
    const NAME: &'static str;
    /// The handlers that the implementation defines. Written by `#[ephemeral]`.
    const HANDLES: &'static [&'static str] = &["open"];
    /// How long each operation may take, where the configuration has no `timeouts`.
    const TIMEOUT: Duration = Duration::from_secs(5 * 60);
    /// Why not to use it any more, and what to use instead.
    const DEPRECATED: Option<&'static str> = None;

    /// Opens it.
    fn open(cx: &Context<Self::Provider>, config: Self) -> impl Future<Output = Result<Opened<Self>>> + Send;

    /// Keeps it open, at the time that `open` or the last `renew` named. Answers when to renew next.
    fn renew(cx: &Context<Self::Provider>) -> impl Future<Output = Result<Option<SystemTime>>> + Send {
        let _ = cx;
        ready(Ok(None))
    }

    /// Closes it.
    fn close(cx: &Context<Self::Provider>) -> impl Future<Output = Result<()>> + Send {
        let _ = cx;
        ready(Ok(()))
    }

    /// Judges a configuration of which anything may be null or unknown. Pure: no I/O.
    fn validate(config: &Self::View, findings: &mut Findings) {
        let _ = (config, findings);
    }
}

/// An ephemeral resource that was opened.
pub struct Opened<E: Schema> {
    result: E::State,
    renew_at: Option<SystemTime>,
}

impl<E: Schema> Opened<E> {
    /// Opened, with these values.
    pub fn new(result: E::State) -> Opened<E> {
        Opened { result, renew_at: None }
    }

    /// To be renewed then.
    #[must_use]
    pub fn renew_at(mut self, time: SystemTime) -> Opened<E> {
        self.renew_at = Some(time);
        self
    }
}

/// An ephemeral resource without its types.
pub trait EphemeralHandler: Send + Sync {
    /// The whole type name.
    fn type_name(&self) -> String;
    /// What it is. Asked once, when it is first needed.
    fn info(&self) -> SourceInfo;
    /// See [`Ephemeral::validate`].
    fn validate(&self, config: &Value, diagnostics: &mut Diagnostics);
    /// See [`Ephemeral::open`]. Answers the values and when to renew.
    fn open<'a>(
        &'a self,
        request: &'a Arc<Request>,
        config: Value,
    ) -> BoxFuture<'a, Result<(Value, Option<SystemTime>)>>;
    /// See [`Ephemeral::renew`].
    fn renew<'a>(&'a self, request: &'a Arc<Request>) -> BoxFuture<'a, Result<Option<SystemTime>>>;
    /// See [`Ephemeral::close`].
    fn close<'a>(&'a self, request: &'a Arc<Request>) -> BoxFuture<'a, Result<()>>;
}

pub(crate) struct TypedEphemeral<E>(PhantomData<fn() -> E>);

impl<E> TypedEphemeral<E> {
    pub(crate) fn new() -> Self {
        TypedEphemeral(PhantomData)
    }
}

impl<E: Ephemeral> EphemeralHandler for TypedEphemeral<E> {
    fn type_name(&self) -> String {
        format!("{}_{}", E::Provider::NAME, E::NAME)
    }

    fn info(&self) -> SourceInfo {
        let mut schema = E::object();
        schema.deprecation = E::DEPRECATED.map(str::to_owned).or(schema.deprecation);
        SourceInfo { schema, timeout: E::TIMEOUT }
    }

    fn validate(&self, config: &Value, diagnostics: &mut Diagnostics) {
        validate_view::<E>(config, diagnostics, E::validate);
    }

    fn open<'a>(
        &'a self,
        request: &'a Arc<Request>,
        config: Value,
    ) -> BoxFuture<'a, Result<(Value, Option<SystemTime>)>> {
        Box::pin(async move {
            let cx = Context::<E::Provider>::new(request)?;
            let config = crate::resource::decode::<E>(&config, "configuration")?;
            let opened = E::open(&cx, config).await?;
            Ok((write_state::<E>(&opened.result), opened.renew_at))
        })
    }

    fn renew<'a>(&'a self, request: &'a Arc<Request>) -> BoxFuture<'a, Result<Option<SystemTime>>> {
        Box::pin(async move { E::renew(&Context::<E::Provider>::new(request)?).await })
    }

    fn close<'a>(&'a self, request: &'a Arc<Request>) -> BoxFuture<'a, Result<()>> {
        Box::pin(async move { E::close(&Context::<E::Provider>::new(request)?).await })
    }
}
