//! What the handlers of a resource are given, and what they answer.

use std::fmt;
use std::marker::PhantomData;
use std::ops::Deref;

use crate::error::{Error, ErrorExt, Result};
use crate::schema::field::members_of;
use crate::schema::{
    AttributeKind, BlockNesting, Field, Members, Nesting, ObjectSchema, Path, Schema, Step, Type, TypedPath,
    Value,
};

/// What was planned. Dereferences to the struct, in which only computed values may be unknown.
#[derive(Clone)]
pub struct Plan<R> {
    object: R,
    planned: Value,
    prior: Value,
}

/// What is stored. Dereferences to the struct; a computed value is missing only if a create that saved its
/// progress did not finish.
#[derive(Clone)]
pub struct Stored<R> {
    object: R,
    value: Value,
}

/// What reading found.
pub enum Read<R: Schema> {
    /// The object, as it is.
    Found(R::State),
    /// The object, as it was stored.
    Unchanged,
    /// Nothing: the object is gone and will be planned anew.
    Gone,
}

/// Part of a state: what is not set is null.
#[derive(Clone)]
pub struct Partial<R> {
    value: Value,
    of: PhantomData<fn() -> R>,
}

pub(crate) fn decode<R: Schema>(value: &Value, what: &str) -> Result<R> {
    let read = members_of(value).and_then(R::read_members);
    read.map_err(|error| {
        Error::permanent(format!("the {what} cannot be read: {}", error.message())).at(error.path()).next(
            "If the attribute is newer than the state, raise the resource's schema version and write an upgrade.",
        )
    })
}

impl<R: Schema> Plan<R> {
    /// `write_only`: the schema, where anything in it is write-only. Such values are null in the plan and only in
    /// the configuration, so the two are joined for the handler.
    pub(crate) fn decode(
        write_only: Option<&ObjectSchema>,
        config: &Value,
        planned: Value,
        prior: Value,
    ) -> Result<Plan<R>> {
        let object = match write_only {
            None => decode(&planned, "plan")?,
            Some(schema) => {
                let mut joined = planned.clone();
                join_write_only(schema, config, &mut joined);
                decode(&joined, "plan")?
            }
        };
        Ok(Plan { object, planned, prior })
    }

    /// Whether the value at the path differs from what is stored (or is unknown). In a create everything does.
    /// A secret has changed when its version or its reference has.
    pub fn changed(&self, path: impl Into<Path>) -> bool {
        differs(&self.planned, &self.prior, &path.into())
    }

    /// The planned values as Terraform knows them.
    pub fn value(&self) -> &Value {
        &self.planned
    }

    /// The struct itself.
    pub fn into_inner(self) -> R {
        self.object
    }

    /// What is known of the object so far, to be saved: everything planned, with what is unknown left out.
    pub fn partial(&self) -> Partial<R> {
        let mut value = self.planned.clone();
        forget_unknown(&mut value);
        Partial { value, of: PhantomData }
    }
}

impl<R> Deref for Plan<R> {
    type Target = R;

    fn deref(&self) -> &R {
        &self.object
    }
}

impl<R: Schema> Stored<R> {
    pub(crate) fn decode(value: Value) -> Result<Stored<R>> {
        Ok(Stored { object: decode(&value, "stored state")?, value })
    }

    /// The stored values as Terraform knows them.
    pub fn value(&self) -> &Value {
        &self.value
    }

    /// The struct itself.
    pub fn into_inner(self) -> R {
        self.object
    }

    /// What is stored, to be saved with changes.
    pub fn partial(&self) -> Partial<R> {
        Partial { value: self.value.clone(), of: PhantomData }
    }
}

impl<R> Deref for Stored<R> {
    type Target = R;

    fn deref(&self) -> &R {
        &self.object
    }
}

impl<R: Schema> Partial<R> {
    /// Nothing set.
    pub fn empty() -> Partial<R> {
        Partial { value: nulls(&R::object().ty()), of: PhantomData }
    }

    /// Sets one value. Objects on the way that are not there come into being; elements of lists do not.
    #[must_use]
    pub fn set<P: TypedPath>(mut self, path: P, value: &<P::Target as Field>::State) -> Partial<R> {
        let path: Path = path.into();
        let written = <P::Target as Field>::write(value);
        match self.value.at_mut(&path) {
            Some(place) => *place = written,
            None => match place(&mut self.value, &R::object().ty(), path.steps()) {
                Some(place) => *place = written,
                None => tracing::error!(%path, "Nothing is saved: the path leads nowhere."),
            },
        }
        self
    }

    /// The values as Terraform knows them.
    pub fn value(&self) -> &Value {
        &self.value
    }
}

/// An object of which nothing is set.
fn nulls(ty: &Type) -> Value {
    match ty {
        Type::Object(object) => {
            let nulls = object.attributes.keys().map(|name| (name.clone(), Value::Null));
            Value::Map(nulls.collect::<Members>())
        }
        Type::Map(_) => Value::Map(Members::new()),
        _ => Value::Null,
    }
}

/// The place at the end of a path; objects and maps on the way are made where there are none.
fn place<'v>(value: &'v mut Value, ty: &Type, steps: &[Step]) -> Option<&'v mut Value> {
    let Some((step, rest)) = steps.split_first() else { return Some(value) };
    if value.is_null() {
        *value = nulls(ty);
    }
    let (inside, ty) = match (step, value, ty) {
        (Step::Attribute(name), Value::Map(members), Type::Object(object)) => {
            (members.get_mut(name)?, object.attributes.get(name)?)
        }
        (Step::Key(key), Value::Map(members), Type::Map(element)) => {
            (members.entry(key.clone()).or_insert(Value::Null), &**element)
        }
        (Step::Index(index), Value::List(elements), Type::List(element)) => {
            (elements.get_mut(*index)?, &**element)
        }
        _ => return None,
    };
    place(inside, ty, rest)
}

impl<R> fmt::Debug for Plan<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Plan(…)")
    }
}

impl<R> fmt::Debug for Stored<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Stored(…)")
    }
}

/// Whether two values differ at a path. A write-only value is in neither of them: its twins tell.
pub(crate) fn differs(planned: &Value, prior: &Value, path: &Path) -> bool {
    if planned.at(path) != prior.at(path) {
        return true;
    }
    let mut object = path.clone();
    let Some(Step::Attribute(name)) = object.pop() else { return false };
    let Some(secret) = name.strip_suffix("_wo") else { return false };
    [format!("{secret}_wo_version"), format!("{secret}_ref")].into_iter().any(|twin| {
        let twin = object.clone().attr(twin);
        planned.at(&twin) != prior.at(&twin)
    })
}

/// Whether anything at any depth is write-only.
pub(crate) fn has_write_only(object: &ObjectSchema) -> bool {
    object.attributes.iter().any(|attribute| {
        attribute.write_only
            || matches!(&attribute.kind, AttributeKind::Nested(_, inner) if has_write_only(inner))
    }) || object.blocks.iter().any(|block| has_write_only(&block.object))
}

/// Puts the configuration's write-only values where the plan has null.
fn join_write_only(object: &ObjectSchema, config: &Value, planned: &mut Value) {
    let (Value::Map(config), Value::Map(planned)) = (config, planned) else { return };
    for attribute in &object.attributes {
        let (Some(from), Some(to)) = (config.get(&attribute.name), planned.get_mut(&attribute.name)) else {
            continue;
        };
        if attribute.write_only {
            to.clone_from(from);
        } else if let AttributeKind::Nested(nesting, inner) = &attribute.kind {
            match nesting {
                Nesting::Single => join_write_only(inner, from, to),
                Nesting::List | Nesting::Map => join_each(inner, from, to),
                // Sets cannot hold write-only attributes (core's rule).
                Nesting::Set => {}
            }
        }
    }
    for block in &object.blocks {
        let (Some(from), Some(to)) = (config.get(&block.name), planned.get_mut(&block.name)) else {
            continue;
        };
        match block.nesting {
            BlockNesting::Single | BlockNesting::Group => join_write_only(&block.object, from, to),
            BlockNesting::List | BlockNesting::Map => join_each(&block.object, from, to),
            BlockNesting::Set => {}
        }
    }
}

fn join_each(object: &ObjectSchema, from: &Value, to: &mut Value) {
    match (from, to) {
        (Value::List(from), Value::List(to)) => {
            from.iter().zip(to).for_each(|(from, to)| join_write_only(object, from, to));
        }
        (Value::Map(from), Value::Map(to)) => {
            for (key, to) in to {
                if let Some(from) = from.get(key) {
                    join_write_only(object, from, to);
                }
            }
        }
        _ => {}
    }
}

/// Null in the place of write-only values: they are in the configuration alone, and a handler that returns what
/// it was given means no harm.
pub(crate) fn forget_write_only(object: &crate::schema::ObjectSchema, value: &mut Value) {
    use crate::schema::{AttributeKind, BlockNesting, Nesting};
    let Value::Map(members) = value else { return };
    for attribute in &object.attributes {
        let Some(inner) = members.get_mut(&attribute.name) else { continue };
        match &attribute.kind {
            _ if attribute.write_only => *inner = Value::Null,
            AttributeKind::Nested(Nesting::Single, object) => forget_write_only(object, inner),
            AttributeKind::Nested(Nesting::List | Nesting::Map, object) => forget_in_each(object, inner),
            AttributeKind::Nested(Nesting::Set, _) | AttributeKind::Plain(_) => {}
        }
    }
    for block in &object.blocks {
        let Some(inner) = members.get_mut(&block.name) else { continue };
        match block.nesting {
            BlockNesting::Single | BlockNesting::Group => forget_write_only(&block.object, inner),
            BlockNesting::List | BlockNesting::Map => forget_in_each(&block.object, inner),
            BlockNesting::Set => {}
        }
    }
}

fn forget_in_each(object: &crate::schema::ObjectSchema, value: &mut Value) {
    match value {
        Value::List(elements) => {
            elements.iter_mut().for_each(|element| forget_write_only(object, element));
        }
        Value::Map(members) => members.values_mut().for_each(|element| forget_write_only(object, element)),
        _ => {}
    }
}

/// Where a save left out what the plan says, it is as it was known: else the object could not be read back.
pub(crate) fn fill_saved(saved: &mut Value, planned: &Value, known: &Value) {
    let (Value::Map(saved), Value::Map(planned)) = (saved, planned) else { return };
    for (name, saved) in saved {
        match planned.get(name) {
            None | Some(Value::Null | Value::Unknown(_)) => {}
            Some(_) if saved.is_null() => saved.clone_from(known.get(name)),
            Some(planned) => fill_saved(saved, planned, known.get(name)),
        }
    }
}

/// Null in the place of everything unknown.
pub(crate) fn forget_unknown(value: &mut Value) {
    match value {
        Value::Unknown(_) => *value = Value::Null,
        Value::List(elements) => elements.iter_mut().for_each(forget_unknown),
        Value::Map(members) => members.values_mut().for_each(forget_unknown),
        Value::Set(set) => {
            if !set.iter().all(Value::is_wholly_known) {
                let mut elements = std::mem::take(set).into_vec();
                elements.iter_mut().for_each(forget_unknown);
                *value = Value::set(elements);
            }
        }
        Value::Dynamic(dynamic) => forget_unknown(&mut dynamic.value),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

/// Looks an error up the way a handler does: kept here so that the message is the same everywhere.
pub(crate) fn view<R: Schema>(value: &Value, what: &str) -> Result<R::View> {
    let view = members_of(value).and_then(R::view_members);
    view.map_err(|error| Error::invalid(format!("the value {}", error.message())).at(error.path()))
        .context(what)
}
