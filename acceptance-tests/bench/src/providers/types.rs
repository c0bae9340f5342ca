//! A provider of very many resource types, as that of a large cloud: what does starting it cost?

use std::collections::BTreeMap;
use std::future::{Future, ready};
use std::pin::Pin;
use std::sync::Arc;

use tfplugin_framework::schema::{Attribute, Computed, Nesting, ObjectSchema, Value};
use tfplugin_framework::{
    Parts, PlanValues, Provider, ReadValue, Request, ResourceHandler, ResourceInfo, Result, provider,
};

use super::{BenchConfig, BenchConfigView};

/// How many resource types it has.
pub const TYPES: usize = 500;
/// How many attributes each has.
pub const ATTRIBUTES: usize = 50;

/// The provider.
pub struct Types;

#[provider(name = "bench")]
impl Provider for Types {
    type Config = BenchConfig;

    async fn configure(_: &Request, _: BenchConfigView) -> Result<Types> {
        Ok(Types)
    }

    fn parts(parts: Parts<Types>) -> Parts<Types> {
        (0..TYPES).fold(parts, |parts, number| parts.resource_by_hand(Numbered(number)))
    }
}

struct Numbered(usize);

type Answer<'a, T> = Pin<Box<dyn Future<Output = Result<T>> + Send + 'a>>;

fn attribute(number: usize) -> Attribute {
    let name = format!("attribute_{number:02}");
    let attribute = match number % 6 {
        0 => Attribute::of::<Computed<String>>(name),
        1 => Attribute::of::<Option<i64>>(name),
        2 => Attribute::of::<Option<bool>>(name),
        3 => Attribute::of::<Option<Vec<String>>>(name),
        4 => Attribute::of::<Option<BTreeMap<String, String>>>(name),
        _ => Attribute::nested(name, Nesting::List, inner()).optional(),
    };
    attribute.describe("What it is for, in a sentence that is about as long as such sentences are.")
}

fn inner() -> ObjectSchema {
    ObjectSchema::new("An object.")
        .attribute(Attribute::of::<String>("name").describe("What it is called."))
        .attribute(Attribute::of::<Option<i64>>("size").describe("How large it is."))
}

impl ResourceHandler for Numbered {
    fn type_name(&self) -> String {
        format!("bench_type_{:03}", self.0)
    }

    fn info(&self) -> ResourceInfo {
        ResourceInfo {
            version: 0,
            schema: ObjectSchema::new("One of many.").attributes((0..ATTRIBUTES).map(attribute)),
            resumable: false,
            importable: false,
            updatable: true,
            timeouts: tfplugin_framework::DEFAULT_TIMEOUTS,
        }
    }

    fn create<'a>(&'a self, _: &'a Arc<Request>, values: PlanValues) -> Answer<'a, Value> {
        Box::pin(ready(Ok(values.planned)))
    }

    fn read<'a>(&'a self, _: &'a Arc<Request>, _: Value) -> Answer<'a, ReadValue> {
        Box::pin(ready(Ok(ReadValue::Unchanged)))
    }

    fn update<'a>(&'a self, _: &'a Arc<Request>, values: PlanValues) -> Answer<'a, Value> {
        Box::pin(ready(Ok(values.planned)))
    }

    fn delete<'a>(&'a self, _: &'a Arc<Request>, _: Value) -> Answer<'a, ()> {
        Box::pin(ready(Ok(())))
    }
}
