//! `corner_by_hand`: a resource without a derive: a schema from the builder, handlers on values.

use std::future::ready;
use std::sync::Arc;

use tfplugin_framework::schema::validate::length;
use tfplugin_framework::schema::{Attribute, Computed, ObjectSchema, Path, Value};
use tfplugin_framework::{BoxFuture, PlanValues, ReadValue, Request, ResourceHandler, ResourceInfo, Result};

/// A resource by hand.
pub(crate) struct ByHand;

type Answer<'a, T> = BoxFuture<'a, Result<T>>;

fn state(values: PlanValues) -> Value {
    let mut state = values.planned;
    let length = state.get("name").as_str().map_or(0, str::len);
    if let Some(place) = state.at_mut(&Path::attribute("length")) {
        *place = Value::from(length);
    }
    state
}

impl ResourceHandler for ByHand {
    fn type_name(&self) -> String {
        "corner_by_hand".to_owned()
    }

    fn info(&self) -> ResourceInfo {
        let name = Attribute::of::<String>("name").describe("What it is called.").validate(length(1..=20));
        let length = Attribute::of::<Computed<u64>>("length").describe("The length of the name.");
        ResourceInfo {
            version: 0,
            schema: ObjectSchema::new("A resource that no derive made.")
                .attribute(name)
                .attribute(length.changes_with(["name"])),
            resumable: false,
            importable: true,
            updatable: true,
            timeouts: tfplugin_framework::DEFAULT_TIMEOUTS,
        }
    }

    fn create<'a>(&'a self, _: &'a Arc<Request>, values: PlanValues) -> Answer<'a, Value> {
        Box::pin(ready(Ok(state(values))))
    }

    fn read<'a>(&'a self, _: &'a Arc<Request>, _: Value) -> Answer<'a, ReadValue> {
        Box::pin(ready(Ok(ReadValue::Unchanged)))
    }

    fn update<'a>(&'a self, _: &'a Arc<Request>, values: PlanValues) -> Answer<'a, Value> {
        Box::pin(ready(Ok(state(values))))
    }

    fn delete<'a>(&'a self, _: &'a Arc<Request>, _: Value) -> Answer<'a, ()> {
        Box::pin(ready(Ok(())))
    }

    fn import<'a>(&'a self, _: &'a Arc<Request>, id: String) -> Answer<'a, Value> {
        let length = Value::from(id.len());
        Box::pin(ready(Ok(Value::map([("name", Value::String(id)), ("length", length)]))))
    }
}
