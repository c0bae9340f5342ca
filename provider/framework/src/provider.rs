//! The provider itself: its configuration, and the table of what it has.

use std::any::Any;
use std::future::{Future, ready};
use std::marker::PhantomData;
use std::sync::Arc;

use crate::data_source::{DataSource, DataSourceHandler, TypedDataSource};
use crate::ephemeral::{Ephemeral, EphemeralHandler, TypedEphemeral};
use crate::error::{Error, Result};
use crate::findings::{Findings, collect, invalid_value};
use crate::function::Function;
use crate::request::Request;
use crate::resource::{BoxFuture, Resource, ResourceHandler, Typed};
use crate::schema::field::members_of;
use crate::schema::{AttributeKind, Diagnostics, ObjectSchema, Schema, Value};

/// A provider: what its block in HCL configures, and what it has.
///
/// ```
/// use tfplugin_framework::{FunctionError, Maybe, Parts, Provider, Request, Result, Schema, function, provider};
///
/// struct Acme {
///     endpoint: Maybe<String>,
/// }
///
/// /// Manages caches.
/// #[derive(Clone, Schema)]
/// struct AcmeConfig {
///     /// Where the API is.
///     endpoint: Option<String>,
/// }
///
/// /// Adds two numbers.
/// #[function]
/// fn add(
///     /// One.
///     a: i64,
///     /// Another.
///     b: i64,
/// ) -> Result<i64, FunctionError> {
///     a.checked_add(b).ok_or_else(|| FunctionError::new("the sum has more than 64 bits"))
/// }
///
/// #[provider(name = "acme")]
/// impl Provider for Acme {
///     type Config = AcmeConfig;
///
///     async fn configure(_: &Request, config: AcmeConfigView) -> Result<Acme> {
///         Ok(Acme { endpoint: config.endpoint }) // unknown while planning, perhaps: no reason to fail
///     }
///
///     fn parts(parts: Parts<Acme>) -> Parts<Acme> {
///         parts.function(add())
///     }
/// }
/// ```
pub trait Provider: Sized + Send + Sync + 'static {
    /// What the provider block holds.
    type Config: Schema;

    /// The name, which begins every type name: `acme`. Written by `#[provider(name = …)]`.
    const NAME: &'static str;
    /// The handlers that the implementation defines. Written by `#[provider]`.
    const HANDLES: &'static [&'static str] = &[];
    /// Where to report bugs; part of every diagnostic that says it is one.
    const ISSUES: &'static str = "the provider's issue tracker";

    /// Makes the provider. Values may be unknown while planning, so build clients when they are first used. It
    /// runs in every process that plans or applies: keep it quick, and free of I/O where you can.
    fn configure(
        request: &Request,
        config: <Self::Config as Schema>::View,
    ) -> impl Future<Output = Result<Self>> + Send;

    /// Judges the provider block. Pure: no I/O.
    fn validate(config: &<Self::Config as Schema>::View, findings: &mut Findings) {
        let _ = (config, findings);
    }

    /// The table of resources, data sources, ephemeral resources and functions.
    fn parts(parts: Parts<Self>) -> Parts<Self>;

    /// What modules may say in their `provider_meta` block. Read with `Request::provider_meta`.
    fn meta() -> Option<ObjectSchema> {
        None
    }

    /// Finds a secret in a store that `x_ref = "STORE:NAME"` names; `env` and `file` are known already.
    fn secret(&self, store: &str, name: &str) -> impl Future<Output = Result<String>> + Send {
        let _ = name;
        ready(Err(Error::invalid(format!("this provider knows no secret store {store:?}"))
            .next("Use \"env:NAME\" or \"file:PATH\".")))
    }
}

/// The table of what a provider has.
pub struct Parts<P> {
    pub(crate) resources: Vec<Arc<dyn ResourceHandler>>,
    pub(crate) data_sources: Vec<Arc<dyn DataSourceHandler>>,
    pub(crate) ephemerals: Vec<Arc<dyn EphemeralHandler>>,
    pub(crate) functions: Vec<Function>,
    of: PhantomData<fn() -> P>,
}

impl<P: Provider> Parts<P> {
    fn new() -> Parts<P> {
        Parts {
            resources: Vec::new(),
            data_sources: Vec::new(),
            ephemerals: Vec::new(),
            functions: Vec::new(),
            of: PhantomData,
        }
    }

    /// Has a managed resource.
    #[must_use]
    pub fn resource<R: Resource<Provider = P>>(self) -> Parts<P> {
        self.resource_by_hand(Typed::<R>::new())
    }

    /// Has a managed resource that is written by hand, on values.
    #[must_use]
    pub fn resource_by_hand(mut self, handler: impl ResourceHandler + 'static) -> Parts<P> {
        self.resources.push(Arc::new(handler));
        self
    }

    /// Has a data source.
    #[must_use]
    pub fn data_source<D: DataSource<Provider = P>>(mut self) -> Parts<P> {
        self.data_sources.push(Arc::new(TypedDataSource::<D>::new()));
        self
    }

    /// Has an ephemeral resource.
    #[must_use]
    pub fn ephemeral<E: Ephemeral<Provider = P>>(mut self) -> Parts<P> {
        self.ephemerals.push(Arc::new(TypedEphemeral::<E>::new()));
        self
    }

    /// Has a function.
    #[must_use]
    pub fn function(mut self, function: Function) -> Parts<P> {
        self.functions.push(function);
        self
    }
}

type Configure = for<'a> fn(&'a Request, Value) -> BoxFuture<'a, Result<Arc<dyn Any + Send + Sync>>>;

/// A provider without its types: what the service calls.
pub struct ProviderTable {
    /// The name, which begins every type name.
    pub name: &'static str,
    /// Where to report bugs.
    pub issues: &'static str,
    /// What the provider block holds.
    pub config: ObjectSchema,
    /// What modules may say in their `provider_meta` block.
    pub meta: Option<ObjectSchema>,
    /// The managed resources.
    pub resources: Vec<Arc<dyn ResourceHandler>>,
    /// The data sources.
    pub data_sources: Vec<Arc<dyn DataSourceHandler>>,
    /// The ephemeral resources.
    pub ephemerals: Vec<Arc<dyn EphemeralHandler>>,
    /// The functions.
    pub functions: Vec<Function>,
    pub(crate) validate: fn(&Value, &mut Diagnostics),
    pub(crate) configure: Configure,
}

impl ProviderTable {
    /// The table of a provider.
    pub fn of<P: Provider>() -> ProviderTable {
        let parts = P::parts(Parts::new());
        ProviderTable {
            name: P::NAME,
            issues: P::ISSUES,
            config: without_write_only(P::Config::object()),
            meta: P::meta(),
            resources: parts.resources,
            data_sources: parts.data_sources,
            ephemerals: parts.ephemerals,
            functions: parts.functions,
            validate: validate::<P>,
            configure: configure::<P>,
        }
    }
}

// A provider block is never stored, so a secret in it may come any way, with every command line; Terraform
// refuses write-only attributes there.
fn without_write_only(mut object: ObjectSchema) -> ObjectSchema {
    for attribute in &mut object.attributes {
        attribute.write_only = false;
        if let AttributeKind::Nested(nesting, inner) = &attribute.kind {
            attribute.kind = AttributeKind::Nested(*nesting, Arc::new(without_write_only((**inner).clone())));
        }
    }
    for block in &mut object.blocks {
        block.object = Arc::new(without_write_only((*block.object).clone()));
    }
    object
}

fn validate<P: Provider>(config: &Value, diagnostics: &mut Diagnostics) {
    match members_of(config).and_then(P::Config::view_members) {
        Ok(view) => collect(diagnostics, |findings| P::validate(&view, findings)),
        Err(error) => diagnostics.push(invalid_value(&error)),
    }
}

fn configure<P: Provider>(
    request: &Request,
    config: Value,
) -> BoxFuture<'_, Result<Arc<dyn Any + Send + Sync>>> {
    Box::pin(async move {
        let view = members_of(&config).and_then(P::Config::view_members);
        let view =
            view.map_err(|error| Error::invalid(format!("the value {}", error.message())).at(error.path()))?;
        let provider = P::configure(request, view).await?;
        Ok(Arc::new(provider) as Arc<dyn Any + Send + Sync>)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schema::{Attribute, BlockNesting, NestedBlock};

    #[test]
    fn nothing_in_a_provider_block_is_write_only_at_any_depth() {
        let secret = || ObjectSchema::new("").attribute(Attribute::of::<Option<String>>("code").write_only());
        let mut object = secret();
        object.blocks.push(NestedBlock::new("login", BlockNesting::List, secret()));
        let object = without_write_only(object);
        assert!(!object.attributes[0].write_only);
        assert!(!object.blocks[0].object.attributes[0].write_only);
    }
}
