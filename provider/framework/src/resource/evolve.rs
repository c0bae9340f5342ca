//! States that were written by others: earlier versions of a resource, and other resource types.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::de::DeserializeOwned;

use crate::error::{Error, ErrorExt, Result};
use crate::schema::field::members_of;
use crate::schema::{Members, Schema, Type, Value, json};

/// A state as it lies in the state file: JSON of whatever schema it was written with.
#[derive(Clone, Debug)]
pub struct RawState {
    json: serde_json::Value,
}

impl RawState {
    /// From the bytes of a state file.
    pub fn from_json(bytes: &[u8]) -> Result<RawState> {
        serde_json::from_slice(bytes).map(|json| RawState { json }).context("reading the stored state")
    }

    /// As a struct of your own: `#[derive(Deserialize)] struct V0 { … }`.
    pub fn read<T: DeserializeOwned>(&self) -> Result<T> {
        let read = serde_json::from_value(self.json.clone());
        read.map_err(|error| Error::permanent("the stored state has another shape").because(error))
    }

    /// As a struct that derives `Schema`. What it does not have is ignored, what is missing is null.
    pub fn read_schema<S: Schema>(&self) -> Result<S> {
        let value = self.value(&S::object().ty())?;
        let read = members_of(&value).and_then(S::read_members);
        read.map_err(|error| Error::permanent(error.message().to_owned()).at(error.path()))
    }

    /// As a value of a type. What the type does not have is ignored, what is missing is null.
    pub fn value(&self, ty: &Type) -> Result<Value> {
        let bytes = serde_json::to_vec(&self.json)?;
        json::decode_state(&bytes, ty)
            .map_err(|error| Error::permanent(error.message().to_owned()).at(error.path()))
    }

    /// As JSON, to look into.
    pub fn json(&self) -> &serde_json::Value {
        &self.json
    }
}

// One step of a chain, without types.
pub(crate) type UpgradeStep = Arc<dyn Fn(&RawState) -> Result<RawState> + Send + Sync>;

/// How states of earlier versions become states of this one: a chain of steps, each from one version to the
/// next, or straight to the current one.
pub struct Upgrades<R> {
    pub(crate) steps: BTreeMap<i64, (i64, UpgradeStep)>,
    of: std::marker::PhantomData<fn() -> R>,
}

impl<R: Schema> Upgrades<R> {
    /// There are no earlier versions.
    pub fn none() -> Upgrades<R> {
        Upgrades { steps: BTreeMap::new(), of: std::marker::PhantomData }
    }

    /// From a version straight to the current one. `Old` is the struct as it was then; it derives `Schema`.
    #[must_use]
    pub fn from<Old: Schema>(
        self,
        version: i64,
        current: i64,
        upgrade: fn(Old) -> Result<R::State>,
    ) -> Upgrades<R> {
        self.step(version, current, move |raw| {
            let state = upgrade(raw.read_schema::<Old>()?)?;
            let mut members = Members::new();
            R::write_members(&state, &mut members);
            to_raw(&Value::Map(members), &R::object().ty())
        })
    }

    /// From a version to the next, which has a struct of its own too: the chain goes on from there.
    #[must_use]
    pub fn chain<Old: Schema, New: Schema<State = New>>(
        self,
        version: i64,
        upgrade: fn(Old) -> Result<New>,
    ) -> Upgrades<R> {
        self.step(version, version + 1, move |raw| {
            let state = upgrade(raw.read_schema::<Old>()?)?;
            let mut members = Members::new();
            New::write_members(&state, &mut members);
            to_raw(&Value::Map(members), &New::object().ty())
        })
    }

    /// From a version to a later one by hand, on the JSON of the state.
    #[must_use]
    pub fn step(
        mut self,
        version: i64,
        to: i64,
        upgrade: impl Fn(&RawState) -> Result<RawState> + Send + Sync + 'static,
    ) -> Upgrades<R> {
        self.steps.insert(version, (to, Arc::new(upgrade)));
        self
    }
}

impl RawState {
    /// A state from JSON that an upgrade by hand made.
    pub fn new(json: serde_json::Value) -> RawState {
        RawState { json }
    }
}

pub(crate) fn to_raw(value: &Value, ty: &Type) -> Result<RawState> {
    let bytes = json::encode(value, ty).map_err(|e| Error::bug(e.message().to_owned()).at(e.path()))?;
    RawState::from_json(&bytes)
}

/// Where a moved object comes from.
#[derive(Clone, Debug)]
pub struct MoveSource {
    /// The address of the provider that wrote it: `registry.terraform.io/hashicorp/aws`.
    pub provider: String,
    /// The resource type: `aws_instance`.
    pub type_name: String,
    /// The version of its schema.
    pub version: i64,
    /// Its state.
    pub state: RawState,
}

pub(crate) type Move = Arc<dyn Fn(&MoveSource) -> Result<Option<Value>> + Send + Sync>;

/// From which other resource types objects may be moved here (`moved` blocks, Terraform 1.8).
pub struct Moves<R> {
    pub(crate) moves: Vec<Move>,
    of: std::marker::PhantomData<fn() -> R>,
}

impl<R: Schema> Moves<R> {
    /// From none.
    pub fn none() -> Moves<R> {
        Moves { moves: Vec::new(), of: std::marker::PhantomData }
    }

    /// From another type. The function answers None for sources that are not its own.
    #[must_use]
    pub fn from(
        mut self,
        take: impl Fn(&MoveSource) -> Result<Option<R::State>> + Send + Sync + 'static,
    ) -> Moves<R> {
        self.moves.push(Arc::new(move |source| {
            Ok(take(source)?.map(|state| {
                let mut members = Members::new();
                R::write_members(&state, &mut members);
                Value::Map(members)
            }))
        }));
        self
    }

    /// From a type of this provider whose struct it has: `moves().renamed_from::<OldCache>("acme_old_cache", …)`.
    #[must_use]
    pub fn from_type<Old: Schema>(
        self,
        type_name: &'static str,
        take: fn(Old) -> Result<R::State>,
    ) -> Moves<R> {
        self.from(move |source| {
            if source.type_name != type_name {
                return Ok(None);
            }
            take(source.state.read_schema::<Old>()?).map(Some)
        })
    }
}
