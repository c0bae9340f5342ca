//! Data sources: what can be looked up.

use std::future::Future;
use std::marker::PhantomData;
use std::sync::Arc;

use crate::context::Context;
use crate::error::Result;
use crate::findings::{Findings, collect, invalid_value};
use crate::provider::Provider;
use crate::request::Request;
use crate::resource::{BoxFuture, State};
use crate::schema::field::members_of;
use crate::schema::{Diagnostics, Duration, Members, ObjectSchema, Schema, Value};

/// A data source: a struct that derives `Schema`, of which the configuration gives some values and reading
/// the computed ones.
pub trait DataSource: Schema {
    /// The provider whose configuration the handler needs.
    type Provider: Provider;

    /// The name without the provider's prefix. Written by `#[data_source(name = …)]`.
    const NAME: &'static str;
    /// The handlers that the implementation defines. Written by `#[data_source]`.
    const HANDLES: &'static [&'static str] = &["read"];
    /// How long reading may take, where the configuration has no `timeouts`.
    const TIMEOUT: Duration = Duration::from_secs(5 * 60);
    /// Why not to use it any more, and what to use instead.
    const DEPRECATED: Option<&'static str> = None;

    /// Looks it up. Every configured value comes back as it was given.
    fn read(cx: &Context<Self::Provider>, config: Self) -> impl Future<Output = Result<State<Self>>> + Send;

    /// Judges a configuration of which anything may be null or unknown. Pure: no I/O.
    fn validate(config: &Self::View, findings: &mut Findings) {
        let _ = (config, findings);
    }
}

/// What is known of a data source or ephemeral resource without calling it.
pub struct SourceInfo {
    /// The schema.
    pub schema: ObjectSchema,
    /// How long an operation may take.
    pub timeout: Duration,
}

/// A data source without its types.
pub trait DataSourceHandler: Send + Sync {
    /// The whole type name.
    fn type_name(&self) -> String;
    /// What it is. Asked once, when it is first needed.
    fn info(&self) -> SourceInfo;
    /// See [`DataSource::validate`].
    fn validate(&self, config: &Value, diagnostics: &mut Diagnostics);
    /// See [`DataSource::read`].
    fn read<'a>(&'a self, request: &'a Arc<Request>, config: Value) -> BoxFuture<'a, Result<Value>>;
}

pub(crate) struct TypedDataSource<D>(PhantomData<fn() -> D>);

impl<D> TypedDataSource<D> {
    pub(crate) fn new() -> Self {
        TypedDataSource(PhantomData)
    }
}

pub(crate) fn validate_view<S: Schema>(
    config: &Value,
    diagnostics: &mut Diagnostics,
    validate: fn(&S::View, &mut Findings),
) {
    match members_of(config).and_then(S::view_members) {
        Ok(view) => collect(diagnostics, |findings| validate(&view, findings)),
        Err(error) => diagnostics.push(invalid_value(&error)),
    }
}

pub(crate) fn write_state<S: Schema>(state: &S::State) -> Value {
    let mut members = Members::new();
    S::write_members(state, &mut members);
    Value::Map(members)
}

impl<D: DataSource> DataSourceHandler for TypedDataSource<D> {
    fn type_name(&self) -> String {
        format!("{}_{}", D::Provider::NAME, D::NAME)
    }

    fn info(&self) -> SourceInfo {
        let mut schema = D::object();
        schema.deprecation = D::DEPRECATED.map(str::to_owned).or(schema.deprecation);
        SourceInfo { schema, timeout: D::TIMEOUT }
    }

    fn validate(&self, config: &Value, diagnostics: &mut Diagnostics) {
        validate_view::<D>(config, diagnostics, D::validate);
    }

    fn read<'a>(&'a self, request: &'a Arc<Request>, config: Value) -> BoxFuture<'a, Result<Value>> {
        Box::pin(async move {
            let cx = Context::<D::Provider>::new(request)?;
            let config = crate::resource::decode::<D>(&config, "configuration")?;
            D::read(&cx, config).await.map(|state| write_state::<D>(&state))
        })
    }
}
