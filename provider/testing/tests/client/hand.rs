//! A resource written by hand on values, which does what its `mode` says, mostly wrong.

use std::sync::Arc;

use serde_json::json;
use tfplugin_framework::schema::{Attribute, ObjectSchema, Path, Type, Value};
use tfplugin_framework::{
    DEFAULT_TIMEOUTS, Error, Parts, PlanValues, Provider, ReadValue, Request, ResourceHandler, ResourceInfo,
    Result, Schema, provider,
};
use tfplugin_testing::client::{Client, Failure, Resource};

use std::future::Future;
use std::pin::Pin;

type Answer<'a, T> = Pin<Box<dyn Future<Output = Result<T>> + Send + 'a>>;

pub struct Hand;

/// The things of a configured provider.
pub async fn things() -> Result<(Client, Resource), Failure> {
    let client = Client::of::<Hand>().await?;
    client.configure(json!({})).await?;
    Ok((client.clone(), client.resource("hand_thing")))
}

/// The provider.
#[derive(Clone, Schema)]
pub struct HandConfig {}

#[provider(name = "hand", issues = "https://example.com/issues")]
impl Provider for Hand {
    type Config = HandConfig;

    async fn configure(_: &Request, _: HandConfigView) -> Result<Hand> {
        Ok(Hand)
    }

    fn parts(parts: Parts<Hand>) -> Parts<Hand> {
        parts.resource_by_hand(Thing)
    }
}

struct Thing;

fn with(mut object: Value, name: &str, value: impl Into<Value>) -> Value {
    if let Value::Map(members) = &mut object {
        members.insert(name.to_owned(), value.into());
    }
    object
}

impl ResourceHandler for Thing {
    fn type_name(&self) -> String {
        "hand_thing".to_owned()
    }

    fn info(&self) -> ResourceInfo {
        let object = Type::object([("name", Type::String), ("size", Type::Number)]);
        let schema = ObjectSchema::new("A thing.")
            .attribute(Attribute::of::<String>("mode").describe("What goes wrong."))
            .attribute(Attribute::of::<Option<String>>("note").describe("Anything."))
            .attribute(Attribute::plain("any", Type::Dynamic).optional().describe("Of any type."))
            .attribute(Attribute::plain("set", Type::set(object)).optional().describe("Objects."))
            .attribute(Attribute::plain("id", Type::String).computed().describe("Its id."));
        ResourceInfo {
            version: 0,
            schema,
            resumable: true,
            importable: true,
            updatable: true,
            timeouts: DEFAULT_TIMEOUTS,
        }
    }

    fn modifies_plan(&self) -> bool {
        true
    }

    fn modify_plan<'a>(&'a self, _: &'a Arc<Request>, values: PlanValues) -> Answer<'a, (Value, Vec<Path>)> {
        Box::pin(async move {
            let planned = match values.planned.get("mode").as_str() {
                Some("plans another") => with(values.planned, "note", "mine"),
                Some("plans null") => Value::Null,
                Some("plans another type") => with(values.planned, "id", 1),
                _ => values.planned,
            };
            Ok((planned, Vec::new()))
        })
    }

    fn create<'a>(&'a self, request: &'a Arc<Request>, values: PlanValues) -> Answer<'a, Value> {
        Box::pin(async move {
            let planned = values.planned;
            let mode = planned.get("mode").as_str().unwrap_or_default().to_owned();
            Ok(match mode.as_str() {
                "leaves unknown" => planned,
                "returns null" => Value::Null,
                "returns another type" => with(planned, "id", 7),
                "returns another" => with(with(planned, "id", "made"), "note", "mine"),
                "resumes" => {
                    request.save_value(with(planned, "id", Value::Null));
                    request.unfinished("open the door");
                    return Err(Error::permanent("the door is stuck"));
                }
                _ => {
                    request.set_private("mode", &mode)?;
                    request.warn("Made", mode);
                    tokio::task::yield_now().await;
                    with(planned, "id", "made")
                }
            })
        })
    }

    fn read<'a>(&'a self, _: &'a Arc<Request>, state: Value) -> Answer<'a, ReadValue> {
        Box::pin(async move {
            Ok(match state.get("mode").as_str() {
                Some("reads unknown") => ReadValue::Found(with(state, "id", Value::UNKNOWN)),
                Some("vanishes") => ReadValue::Gone,
                _ => ReadValue::Unchanged,
            })
        })
    }

    fn update<'a>(&'a self, request: &'a Arc<Request>, values: PlanValues) -> Answer<'a, Value> {
        Box::pin(async move {
            let id = request.pending().unwrap_or_else(|| "changed".to_owned());
            Ok(if values.planned.get("id").is_unknown() {
                with(values.planned, "id", id)
            } else {
                values.planned
            })
        })
    }

    fn delete<'a>(&'a self, _: &'a Arc<Request>, _: Value) -> Answer<'a, ()> {
        Box::pin(async { Ok(()) })
    }

    fn import<'a>(&'a self, _: &'a Arc<Request>, id: String) -> Answer<'a, Value> {
        Box::pin(async move {
            let none = ["note", "any", "set"].map(|name| (name, Value::Null));
            Ok(Value::map(none.into_iter().chain([("mode", Value::from(id)), ("id", "x".into())])))
        })
    }
}
