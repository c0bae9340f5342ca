//! A plan while it is made: what `modify_plan` looks at and changes.

use std::marker::PhantomData;

use crate::error::{Error, Result};
use crate::resource::plan::{differs, view};
use crate::schema::{Field, Path, Refinement, Schema, TypedPath, Value};

/// A plan while it is made. Null prior: a create. Null planned: a destroy.
pub struct Draft<R> {
    config: Value,
    prior: Value,
    pub(crate) planned: Value,
    pub(crate) replace: Vec<Path>,
    of: PhantomData<fn() -> R>,
}

impl<R: Schema> Draft<R> {
    pub(crate) fn new(config: Value, prior: Value, planned: Value) -> Draft<R> {
        Draft { config, prior, planned, replace: Vec::new(), of: PhantomData }
    }

    /// What the configuration says. Not in a destroy.
    pub fn config(&self) -> Result<R::View> {
        view::<R>(&self.config, "reading the configuration")
    }

    /// What is planned so far. Not in a destroy.
    pub fn planned(&self) -> Result<R::View> {
        view::<R>(&self.planned, "reading the plan")
    }

    /// What is stored. None in a create.
    pub fn prior(&self) -> Result<Option<R::View>> {
        if self.prior.is_null() {
            Ok(None)
        } else {
            view::<R>(&self.prior, "reading the stored state").map(Some)
        }
    }

    /// Whether the object is being created.
    pub fn is_create(&self) -> bool {
        self.prior.is_null()
    }

    /// Whether the object is being destroyed.
    pub fn is_destroy(&self) -> bool {
        self.planned.is_null()
    }

    /// Whether the planned value at the path differs from what is stored (or is unknown). A secret has changed
    /// when its version or its reference has.
    pub fn changed(&self, path: impl Into<Path>) -> bool {
        differs(&self.planned, &self.prior, &path.into())
    }

    /// Whether the object changes at all.
    pub fn is_change(&self) -> bool {
        self.planned != self.prior
    }

    /// Plans a computed value that is known already.
    pub fn set<P: TypedPath>(&mut self, path: P, value: &<P::Target as Field>::State) -> Result<()> {
        self.put(&path.into(), <P::Target as Field>::write(value))
    }

    /// Plans a computed value as null.
    pub fn set_null(&mut self, path: impl Into<Path>) -> Result<()> {
        self.put(&path.into(), Value::Null)
    }

    /// Plans a computed value as "(known after apply)".
    pub fn set_unknown(&mut self, path: impl Into<Path>) -> Result<()> {
        self.put(&path.into(), Value::UNKNOWN)
    }

    /// Plans a computed value as unknown, but this much is known, and must hold.
    pub fn set_refined(&mut self, path: impl Into<Path>, refinement: Refinement) -> Result<()> {
        self.put(&path.into(), Value::refined(refinement))
    }

    fn put(&mut self, path: &Path, value: Value) -> Result<()> {
        if self.planned.is_null() {
            return Err(Error::bug("a destroy plan has no values to set"));
        }
        match self.planned.at_mut(path) {
            Some(place) => *place = value,
            None => return Err(Error::bug(format!("there is nothing at {path} to plan"))),
        }
        Ok(())
    }

    /// The change at this path needs another object.
    pub fn replace(&mut self, path: impl Into<Path>) {
        self.replace.push(path.into());
    }

    /// The stored values as Terraform knows them; null in a create.
    pub fn prior_value(&self) -> &Value {
        &self.prior
    }

    /// The planned values as Terraform knows them.
    pub fn value(&self) -> &Value {
        &self.planned
    }
}
