//! A resource without its types: what the service calls. [`Typed`] makes one of every [`Resource`]; by hand,
//! implement [`ResourceHandler`] on values and a schema from the builder.

use std::collections::BTreeMap;
use std::future::{Future, ready};
use std::marker::PhantomData;
use std::pin::Pin;
use std::sync::{Arc, OnceLock};

use super::evolve::{Move, UpgradeStep};
use super::plan::has_write_only;
use super::{Draft, MoveSource, Plan, RawState, Read, Resource, Stored};
use crate::context::Context;
use crate::error::{Error, Result};
use crate::findings::collect;
use crate::provider::Provider;
use crate::request::Request;
use crate::schema::{Diagnostics, Members, ObjectSchema, Path, Schema, Timeouts, Value};

/// What a handler without types returns: a boxed future. `Box::pin(async move { … })` makes one.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// What is known of a resource without calling it.
pub struct ResourceInfo {
    /// The version of the schema.
    pub version: i64,
    /// The schema.
    pub schema: ObjectSchema,
    /// Whether a failed create is continued rather than tainted.
    pub resumable: bool,
    /// Whether objects can be imported.
    pub importable: bool,
    /// Whether objects can be changed in place.
    pub updatable: bool,
    /// How long operations may take.
    pub timeouts: Timeouts,
}

/// The values of a create or update.
pub struct PlanValues {
    /// What the configuration says, write-only values included.
    pub config: Value,
    /// What is stored; null in a create.
    pub prior: Value,
    /// What was planned.
    pub planned: Value,
}

/// What reading found.
pub enum ReadValue {
    /// The object.
    Found(Value),
    /// As it was stored.
    Unchanged,
    /// Nothing.
    Gone,
}

/// A resource without its types. All values are objects of the schema's type; the futures may be dropped at
/// any await when the time is up or the person interrupts.
pub trait ResourceHandler: Send + Sync {
    /// The whole type name: `acme_token_cache`.
    fn type_name(&self) -> String;
    /// What it is. Asked once, when it is first needed.
    fn info(&self) -> ResourceInfo;
    /// See [`Resource::validate`].
    fn validate(&self, config: &Value, diagnostics: &mut Diagnostics) {
        let _ = (config, diagnostics);
    }
    /// See [`Resource::modify_plan`]. Answers further paths that need replacement.
    fn modify_plan<'a>(
        &'a self,
        request: &'a Arc<Request>,
        values: PlanValues,
    ) -> BoxFuture<'a, Result<(Value, Vec<Path>)>> {
        let _ = request;
        Box::pin(ready(Ok((values.planned, Vec::new()))))
    }
    /// Whether [`modify_plan`](ResourceHandler::modify_plan) does anything.
    fn modifies_plan(&self) -> bool {
        false
    }
    /// See [`Resource::create`].
    fn create<'a>(&'a self, request: &'a Arc<Request>, values: PlanValues) -> BoxFuture<'a, Result<Value>>;
    /// See [`Resource::read`].
    fn read<'a>(&'a self, request: &'a Arc<Request>, state: Value) -> BoxFuture<'a, Result<ReadValue>>;
    /// See [`Resource::update`].
    fn update<'a>(&'a self, request: &'a Arc<Request>, values: PlanValues) -> BoxFuture<'a, Result<Value>>;
    /// See [`Resource::delete`].
    fn delete<'a>(&'a self, request: &'a Arc<Request>, state: Value) -> BoxFuture<'a, Result<()>>;
    /// See [`Resource::import`].
    fn import<'a>(&'a self, request: &'a Arc<Request>, id: String) -> BoxFuture<'a, Result<Value>> {
        let _ = (request, id);
        Box::pin(ready(Err(Error::invalid("this resource cannot be imported"))))
    }
    /// Takes a state of an earlier version one or more versions further.
    fn upgrade(&self, version: i64, state: &RawState) -> Result<Option<(i64, RawState)>> {
        let _ = (version, state);
        Ok(None)
    }
    /// Whether [`take_over`](ResourceHandler::take_over) does anything.
    fn takes_over(&self) -> bool {
        false
    }
    /// Takes an object of another type, if it knows how.
    fn take_over(&self, source: &MoveSource) -> Result<Option<Value>> {
        let _ = source;
        Ok(None)
    }
}

/// A [`Resource`] as a [`ResourceHandler`]: decodes, calls, encodes, and nothing else, because all of it is
/// compiled anew for every resource.
pub(crate) struct Typed<R> {
    /// The schema, if anything in it is write-only. Making a schema costs more than most plans.
    write_only: OnceLock<Option<ObjectSchema>>,
    upgrades: BTreeMap<i64, (i64, UpgradeStep)>,
    moves: Vec<Move>,
    of: PhantomData<fn() -> R>,
}

impl<R: Resource> Typed<R> {
    pub(crate) fn new() -> Typed<R> {
        Typed {
            write_only: OnceLock::new(),
            upgrades: R::upgrades().steps,
            moves: R::moves().moves,
            of: PhantomData,
        }
    }

    fn decode_plan(&self, values: PlanValues) -> Result<Plan<R>> {
        let write_only = self.write_only.get_or_init(|| Some(R::object()).filter(has_write_only));
        Plan::decode(write_only.as_ref(), &values.config, values.planned, values.prior)
    }
}

fn write<S: Schema>(state: &S::State) -> Value {
    let mut members = Members::new();
    S::write_members(state, &mut members);
    Value::Map(members)
}

impl<R: Resource> ResourceHandler for Typed<R> {
    fn type_name(&self) -> String {
        format!("{}_{}", R::Provider::NAME, R::NAME)
    }

    fn info(&self) -> ResourceInfo {
        let mut schema = R::object();
        if let Some(message) = R::DEPRECATED {
            schema.deprecation = Some(message.to_owned());
        }
        ResourceInfo {
            version: R::VERSION,
            schema,
            resumable: R::RESUMABLE,
            importable: R::HANDLES.contains(&"import"),
            updatable: R::HANDLES.contains(&"update"),
            timeouts: R::TIMEOUTS,
        }
    }

    fn validate(&self, config: &Value, diagnostics: &mut Diagnostics) {
        let members = crate::schema::field::members_of(config);
        match members.and_then(R::view_members) {
            Ok(view) => collect(diagnostics, |findings| R::validate(&view, findings)),
            Err(error) => diagnostics.push(crate::findings::invalid_value(&error)),
        }
    }

    fn modifies_plan(&self) -> bool {
        R::HANDLES.contains(&"modify_plan")
    }

    fn modify_plan<'a>(
        &'a self,
        request: &'a Arc<Request>,
        values: PlanValues,
    ) -> BoxFuture<'a, Result<(Value, Vec<Path>)>> {
        Box::pin(async move {
            let cx = Context::<R::Provider>::new(request)?;
            let mut draft = Draft::<R>::new(values.config, values.prior, values.planned);
            R::modify_plan(&cx, &mut draft).await?;
            Ok((draft.planned, draft.replace))
        })
    }

    fn create<'a>(&'a self, request: &'a Arc<Request>, values: PlanValues) -> BoxFuture<'a, Result<Value>> {
        Box::pin(async move {
            let cx = Context::<R::Provider>::new(request)?;
            let plan = self.decode_plan(values)?;
            R::create(&cx, plan).await.map(|state| write::<R>(&state))
        })
    }

    fn read<'a>(&'a self, request: &'a Arc<Request>, state: Value) -> BoxFuture<'a, Result<ReadValue>> {
        Box::pin(async move {
            let cx = Context::<R::Provider>::new(request)?;
            Ok(match R::read(&cx, Stored::decode(state)?).await? {
                Read::Found(state) => ReadValue::Found(write::<R>(&state)),
                Read::Unchanged => ReadValue::Unchanged,
                Read::Gone => ReadValue::Gone,
            })
        })
    }

    fn update<'a>(&'a self, request: &'a Arc<Request>, values: PlanValues) -> BoxFuture<'a, Result<Value>> {
        Box::pin(async move {
            let cx = Context::<R::Provider>::new(request)?;
            let prior = Stored::decode(values.prior.clone())?;
            let plan = self.decode_plan(values)?;
            R::update(&cx, prior, plan).await.map(|state| write::<R>(&state))
        })
    }

    fn delete<'a>(&'a self, request: &'a Arc<Request>, state: Value) -> BoxFuture<'a, Result<()>> {
        Box::pin(async move {
            let cx = Context::<R::Provider>::new(request)?;
            R::delete(&cx, Stored::decode(state)?).await
        })
    }

    fn import<'a>(&'a self, request: &'a Arc<Request>, id: String) -> BoxFuture<'a, Result<Value>> {
        Box::pin(async move {
            let cx = Context::<R::Provider>::new(request)?;
            R::import(&cx, &id).await.map(|state| write::<R>(&state))
        })
    }

    fn upgrade(&self, version: i64, state: &RawState) -> Result<Option<(i64, RawState)>> {
        match self.upgrades.get(&version) {
            Some((to, step)) => Ok(Some((*to, step(state)?))),
            None => Ok(None),
        }
    }

    fn takes_over(&self) -> bool {
        !self.moves.is_empty()
    }

    fn take_over(&self, source: &MoveSource) -> Result<Option<Value>> {
        for take in &self.moves {
            if let Some(value) = take(source)? {
                return Ok(Some(value));
            }
        }
        Ok(None)
    }
}
