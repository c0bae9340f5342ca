//! Managed resources: what you write ([`Resource`]) and what the tables hold ([`ResourceHandler`]).

mod draft;
mod evolve;
mod handler;
mod plan;

use std::future::{Future, ready};

pub use draft::Draft;
pub use evolve::{MoveSource, Moves, RawState, Upgrades};
pub(crate) use handler::Typed;
pub use handler::{BoxFuture, PlanValues, ReadValue, ResourceHandler, ResourceInfo};
pub use plan::{Partial, Plan, Read, Stored};
pub(crate) use plan::{decode, fill_saved, forget_unknown, forget_write_only};

use crate::context::Context;
use crate::error::{Error, Result};
use crate::findings::Findings;
use crate::provider::Provider;
use crate::schema::{Schema, Timeouts};

/// What a handler returns: the struct with every value known. For a struct without computed values it is the
/// struct itself.
pub type State<R> = <R as Schema>::State;

/// A managed resource: a struct that derives `Schema`, and what happens to the objects it describes.
///
/// ```
/// use tfplugin_framework::schema::Computed;
/// use tfplugin_framework::{Context, Plan, Read, Resource, Result, Schema, State, Stored, resource};
/// # use tfplugin_framework::{Parts, Provider, Request, provider};
/// # /// The provider.
/// # #[derive(Clone, Schema)]
/// # struct Acme {}
/// # #[provider(name = "acme")]
/// # impl Provider for Acme {
/// #     type Config = Acme;
/// #     async fn configure(_: &Request, _: AcmeView) -> Result<Acme> { Ok(Acme {}) }
/// #     fn parts(parts: Parts<Acme>) -> Parts<Acme> { parts.resource::<TokenCache>() }
/// # }
/// # impl Acme {
/// #     async fn create(&self, name: &str) -> Result<String> { Ok(name.to_owned()) }
/// #     async fn delete(&self, _: &str) -> Result<()> { Ok(()) }
/// # }
///
/// /// A cache for playback tokens.
/// #[derive(Clone, Schema)]
/// struct TokenCache {
///     /// Another name is another cache.
///     #[attribute(replace)]
///     name: String,
///     /// Assigned by the server.
///     endpoint: Computed<String>,
/// }
///
/// #[resource(name = "token_cache", version = 2)]
/// impl Resource for TokenCache {
///     type Provider = Acme;
///
///     async fn create(cx: &Context<Acme>, plan: Plan<Self>) -> Result<State<Self>> {
///         let endpoint = cx.provider().create(&plan.name).await?;
///         Ok(plan.complete(TokenCacheComputed { endpoint }))
///     }
///
///     async fn read(_: &Context<Acme>, _: Stored<Self>) -> Result<Read<Self>> {
///         Ok(Read::Unchanged)
///     }
///
///     async fn delete(cx: &Context<Acme>, stored: Stored<Self>) -> Result<()> {
///         cx.provider().delete(&stored.name).await
///     }
/// }
/// ```
///
/// What core demands, and the framework checks before core sees it: every known planned value is returned as
/// planned; nothing is left unknown (that does not compile); a failed operation returns what exists, which
/// [`Request::save_value`](crate::Request::save_value) and [`Context::save`] are for.
///
/// Every handler must be repeatable: Terraform may have died between the call and the saving of the state.
pub trait Resource: Schema {
    /// The provider whose configuration the handlers need.
    type Provider: Provider;

    /// The name without the provider's prefix: `token_cache`. Written by `#[resource(name = …)]`.
    const NAME: &'static str;
    /// The version of the schema. Raise it when stored states must be rewritten, and say how in
    /// [`upgrades`](Resource::upgrades).
    const VERSION: i64 = 0;
    /// The handlers that the implementation defines. Written by `#[resource]`.
    const HANDLES: &'static [&'static str] = &["create", "read", "update", "delete"];
    /// Whether a create that saved its progress and then failed is continued by the next apply, as an update,
    /// rather than tainted. Needs a computed attribute.
    const RESUMABLE: bool = false;
    /// How long the operations may take where the configuration does not say.
    const TIMEOUTS: Timeouts = DEFAULT_TIMEOUTS;
    /// Why not to use the resource any more, and what to use instead.
    const DEPRECATED: Option<&'static str> = None;

    /// Makes the object.
    fn create(
        cx: &Context<Self::Provider>,
        plan: Plan<Self>,
    ) -> impl Future<Output = Result<State<Self>>> + Send;

    /// Looks at the object.
    fn read(
        cx: &Context<Self::Provider>,
        state: Stored<Self>,
    ) -> impl Future<Output = Result<Read<Self>>> + Send;

    /// Changes the object in place. A resource whose every attribute needs replacement leaves it out.
    fn update(
        cx: &Context<Self::Provider>,
        prior: Stored<Self>,
        plan: Plan<Self>,
    ) -> impl Future<Output = Result<State<Self>>> + Send {
        let _ = (cx, prior, plan);
        ready(Err(Error::bug(format!("{} cannot be updated in place", Self::NAME))))
    }

    /// Removes the object. One that is gone already is a success.
    fn delete(cx: &Context<Self::Provider>, state: Stored<Self>) -> impl Future<Output = Result<()>> + Send;

    /// Judges a configuration of which anything may be null or unknown. Pure: no I/O. Refuse only what no
    /// completion of the unknowns can save.
    fn validate(config: &Self::View, findings: &mut Findings) {
        let _ = (config, findings);
    }

    /// Looks at the whole plan after the attributes are planned: sets computed values that are known already,
    /// asks for replacement, warns, refuses. Also called for a destroy, where only warnings and errors count.
    fn modify_plan(
        cx: &Context<Self::Provider>,
        draft: &mut Draft<Self>,
    ) -> impl Future<Output = Result<()>> + Send {
        let _ = (cx, draft);
        ready(Ok(()))
    }

    /// Finds an object that exists by what the person calls it, and returns all of it: a stub would be a state in
    /// which values are missing that the types say are there. Most resources read and import with one function.
    fn import(cx: &Context<Self::Provider>, id: &str) -> impl Future<Output = Result<State<Self>>> + Send {
        let _ = (cx, id);
        ready(Err(Error::invalid(format!("{} cannot be imported", Self::NAME))))
    }

    /// How states of earlier versions become states of this one.
    fn upgrades() -> Upgrades<Self> {
        Upgrades::none()
    }

    /// From which other resource types, perhaps of other providers, objects may be moved here.
    fn moves() -> Moves<Self> {
        Moves::none()
    }
}

/// Twenty minutes for what changes things, five for looking.
pub const DEFAULT_TIMEOUTS: Timeouts = {
    use crate::schema::Duration;
    Timeouts {
        create: Some(Duration::from_secs(20 * 60)),
        read: Some(Duration::from_secs(5 * 60)),
        update: Some(Duration::from_secs(20 * 60)),
        delete: Some(Duration::from_secs(20 * 60)),
    }
};

impl<P: Provider> Context<P> {
    /// Saves what exists so far: `cx.save(&plan.partial().set(Vm::id(), &id))`. If the create fails, is
    /// interrupted or times out after this, the state holds it, so that nothing is lost.
    pub fn save<R: Resource<Provider = P>>(&self, partial: &Partial<R>) {
        self.save_value(partial.value().clone());
    }
}
