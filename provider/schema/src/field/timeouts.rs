//! Deadlines of operations, as the configuration may set them.

use serde::{Deserialize, Serialize};

use super::{Duration, Field, Leaf, Maybe, Plain};
use crate::{Attribute, Members, Nesting, ObjectSchema, Path, Presence, Role, Shape, Value, ValueError};

/// How long each operation may take: `timeouts = { create = "30m" }`. What is not set has the resource's own
/// default.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Timeouts {
    /// For creating.
    pub create: Option<Duration>,
    /// For reading.
    pub read: Option<Duration>,
    /// For updating.
    pub update: Option<Duration>,
    /// For deleting.
    pub delete: Option<Duration>,
}

/// What is done with an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Operation {
    /// It comes into being.
    Create,
    /// Its state is looked at.
    Read,
    /// It is changed in place.
    Update,
    /// It goes.
    Delete,
}

impl Operation {
    /// All of them.
    pub const ALL: [Operation; 4] =
        [Operation::Create, Operation::Read, Operation::Update, Operation::Delete];

    /// Its name in HCL.
    pub fn name(self) -> &'static str {
        match self {
            Operation::Create => "create",
            Operation::Read => "read",
            Operation::Update => "update",
            Operation::Delete => "delete",
        }
    }
}

impl Timeouts {
    /// The deadline of an operation, if one is set.
    pub fn get(&self, operation: Operation) -> Option<Duration> {
        match operation {
            Operation::Create => self.create,
            Operation::Read => self.read,
            Operation::Update => self.update,
            Operation::Delete => self.delete,
        }
    }

    fn from_members(members: &Members) -> Result<Timeouts, ValueError> {
        // Not known before apply counts as not set: a deadline is only asked for when things happen.
        let get = |operation: Operation| {
            let value = members.get(operation.name()).unwrap_or(&Value::Null);
            let view = Duration::view(value).map_err(|e| e.in_attribute(operation.name()));
            view.map(Maybe::into_known)
        };
        Ok(Timeouts {
            create: get(Operation::Create)?,
            read: get(Operation::Read)?,
            update: get(Operation::Update)?,
            delete: get(Operation::Delete)?,
        })
    }
}

/// Paths to the deadlines.
#[derive(Clone, Debug)]
pub struct TimeoutsPath(Path);

impl From<Path> for TimeoutsPath {
    fn from(path: Path) -> Self {
        TimeoutsPath(path)
    }
}

impl From<TimeoutsPath> for Path {
    fn from(path: TimeoutsPath) -> Path {
        path.0
    }
}

impl TimeoutsPath {
    /// The deadline of one operation.
    pub fn of(self, operation: Operation) -> Leaf<Duration> {
        self.0.attr(operation.name()).into()
    }
}

impl Field for Timeouts {
    type View = Maybe<Timeouts>;
    type State = Timeouts;
    type Path = TimeoutsPath;

    fn shape() -> Shape {
        let object = Operation::ALL.into_iter().fold(ObjectSchema::default(), |object, operation| {
            let name = operation.name();
            let attribute = Attribute::of::<Duration>(name).optional().validate(super::formats::IsDuration);
            object.attribute(attribute.describe(format!("How long `{name}` may take, such as `\"30m\"`.")))
        });
        let mut shape = Shape::nested(Nesting::Single, object);
        shape.presence = Presence::Optional;
        shape.role = Role::Timeouts;
        shape
    }

    fn view(value: &Value) -> Result<Maybe<Timeouts>, ValueError> {
        match value {
            _ if value.is_null() => Ok(Maybe::Null),
            _ if value.is_unknown() => Ok(Maybe::Unknown),
            _ => Timeouts::from_members(super::members_of(value)?).map(Maybe::Known),
        }
    }

    fn read(value: &Value) -> Result<Timeouts, ValueError> {
        Timeouts::view(value).map(|view| view.into_known().unwrap_or_default())
    }

    fn write(state: &Timeouts) -> Value {
        if *state == Timeouts::default() {
            return Value::Null;
        }
        let write = |op: Operation| (op.name(), Option::<Duration>::write(&state.get(op)));
        Value::map(Operation::ALL.map(write))
    }
}

impl Plain for Timeouts {}
