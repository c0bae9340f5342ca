//! `corner_panic`: panics where it is told. `corner_lying`: breaks core's rules where it is told, by hand,
//! because the types would not let it.

use std::future::ready;
use std::sync::Arc;

use tfplugin_framework::schema::{Attribute, Computed, ObjectSchema, Path, Value};
use tfplugin_framework::{
    BoxFuture, Context, Draft, Plan, PlanValues, Read, ReadValue, Request, Resource, ResourceHandler,
    ResourceInfo, Result, Schema, State, Stored, resource,
};

use crate::Corner;

/// Panics.
#[derive(Clone, Schema)]
pub(crate) struct Panicking {
    /// Assigned by the provider.
    id: Computed<String>,
    /// In which handler: `create`, `modify_plan` or `validate`.
    r#in: String,
}

#[allow(clippy::panic, reason = "what this resource is for")]
fn panic_in(wanted: Option<&String>, here: &str) {
    if wanted.is_some_and(|wanted| wanted == here) {
        panic!("told to panic in {here}");
    }
}

#[resource(name = "panic")]
impl Resource for Panicking {
    type Provider = Corner;

    async fn create(_: &Context<Corner>, plan: Plan<Self>) -> Result<State<Self>> {
        panic_in(Some(&plan.r#in), "create");
        Ok(plan.complete(PanickingComputed { id: "panic-1".to_owned() }))
    }

    async fn read(_: &Context<Corner>, _: Stored<Self>) -> Result<Read<Self>> {
        Ok(Read::Unchanged)
    }

    async fn update(_: &Context<Corner>, _: Stored<Self>, plan: Plan<Self>) -> Result<State<Self>> {
        Ok(plan.complete(PanickingComputed { id: "panic-1".to_owned() }))
    }

    async fn delete(_: &Context<Corner>, _: Stored<Self>) -> Result<()> {
        Ok(())
    }

    fn validate(config: &PanickingView, _: &mut tfplugin_framework::Findings) {
        panic_in(config.r#in.known(), "validate");
    }

    async fn modify_plan(_: &Context<Corner>, draft: &mut Draft<Self>) -> Result<()> {
        if !draft.is_destroy() {
            panic_in(draft.planned()?.r#in.known(), "modify_plan");
        }
        Ok(())
    }
}

/// Lies.
pub(crate) struct Lying;

type Answer<'a, T> = BoxFuture<'a, Result<T>>;

fn with(value: Value, name: &str, set: Value) -> Value {
    let mut value = value;
    if let Some(place) = value.at_mut(&Path::attribute(name)) {
        *place = set;
    }
    value
}

impl ResourceHandler for Lying {
    fn type_name(&self) -> String {
        "corner_lying".to_owned()
    }

    fn info(&self) -> ResourceInfo {
        let schema = ObjectSchema::new("Breaks core's rules where it is told.")
            .attribute(Attribute::of::<String>("about").describe(
                "What to lie about: `plan`, `apply`, `unknown`, `null`, or anything else for the truth.",
            ))
            .attribute(Attribute::of::<Option<String>>("name").describe("What is lied about."))
            .attribute(Attribute::of::<Computed<String>>("id").describe("Assigned by the provider."));
        ResourceInfo {
            version: 0,
            schema,
            resumable: false,
            importable: false,
            updatable: true,
            timeouts: tfplugin_framework::DEFAULT_TIMEOUTS,
        }
    }

    fn modifies_plan(&self) -> bool {
        true
    }

    fn modify_plan<'a>(&'a self, _: &'a Arc<Request>, values: PlanValues) -> Answer<'a, (Value, Vec<Path>)> {
        let planned = match values.planned.get("about").as_str() {
            Some("plan") => with(values.planned, "name", Value::from("another name")),
            _ => values.planned,
        };
        Box::pin(ready(Ok((planned, Vec::new()))))
    }

    fn create<'a>(&'a self, _: &'a Arc<Request>, values: PlanValues) -> Answer<'a, Value> {
        let about = values.planned.get("about").as_str().map(str::to_owned);
        let honest = with(values.planned, "id", Value::from("lying-1"));
        let state = match about.as_deref() {
            Some("apply") => with(honest, "name", Value::from("another name")),
            Some("unknown") => with(honest, "id", Value::UNKNOWN),
            Some("null") => Value::Null,
            _ => honest,
        };
        Box::pin(ready(Ok(state)))
    }

    fn read<'a>(&'a self, _: &'a Arc<Request>, _: Value) -> Answer<'a, ReadValue> {
        Box::pin(ready(Ok(ReadValue::Unchanged)))
    }

    fn update<'a>(&'a self, request: &'a Arc<Request>, values: PlanValues) -> Answer<'a, Value> {
        self.create(request, values)
    }

    fn delete<'a>(&'a self, _: &'a Arc<Request>, _: Value) -> Answer<'a, ()> {
        Box::pin(ready(Ok(())))
    }
}
