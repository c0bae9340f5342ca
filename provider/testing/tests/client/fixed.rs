//! Resources without `update`: what may change nevertheless, and what is refused at the start.

use std::future::ready;
use std::sync::Arc;

use serde_json::json;
use tfplugin_framework::schema::{Attribute, ObjectSchema, Timeouts, Value};
use tfplugin_framework::{
    BoxFuture, DEFAULT_TIMEOUTS, Error, Parts, PlanValues, Provider, ReadValue, Request, ResourceHandler,
    ResourceInfo, Result,
};
use tfplugin_testing::client::{Action, Client, Failure};
use tfplugin_testing::coverage;

use crate::hand::{HandConfig, HandConfigView};

/// A provider whose resource has, if `STUCK`, an attribute that could only change in place.
struct Fixed<const STUCK: bool>;

impl<const STUCK: bool> Provider for Fixed<STUCK> {
    type Config = HandConfig;
    const NAME: &'static str = "fixed";

    async fn configure(_: &Request, _: HandConfigView) -> Result<Fixed<STUCK>> {
        Ok(Fixed)
    }

    fn parts(parts: Parts<Self>) -> Parts<Self> {
        parts.resource_by_hand(Stone { stuck: STUCK })
    }
}

struct Stone {
    stuck: bool,
}

impl ResourceHandler for Stone {
    fn type_name(&self) -> String {
        "fixed_stone".to_owned()
    }

    fn info(&self) -> ResourceInfo {
        let name = Attribute::of::<String>("name").describe("Its name.");
        let keep = Attribute::of::<bool>("keep").describe("Kept.").default_value(false);
        let schema = ObjectSchema::new("Never changes.")
            .attribute(if self.stuck { name } else { name.replace() })
            .attribute(keep.deletion_protection())
            .attribute(Attribute::of::<Timeouts>("timeouts").describe("Deadlines."));
        ResourceInfo {
            version: 0,
            schema,
            resumable: false,
            importable: false,
            updatable: false,
            timeouts: DEFAULT_TIMEOUTS,
        }
    }

    fn create<'a>(&'a self, _: &'a Arc<Request>, values: PlanValues) -> BoxFuture<'a, Result<Value>> {
        Box::pin(ready(Ok(values.planned)))
    }

    fn read<'a>(&'a self, _: &'a Arc<Request>, _: Value) -> BoxFuture<'a, Result<ReadValue>> {
        Box::pin(ready(Ok(ReadValue::Unchanged)))
    }

    fn update<'a>(&'a self, _: &'a Arc<Request>, _: PlanValues) -> BoxFuture<'a, Result<Value>> {
        Box::pin(ready(Err(Error::bug("there is no update"))))
    }

    fn delete<'a>(&'a self, _: &'a Arc<Request>, _: Value) -> BoxFuture<'a, Result<()>> {
        Box::pin(ready(Ok(())))
    }
}

#[tokio::test]
async fn what_needs_no_handler_changes_without_update() -> Result<(), Failure> {
    let client = Client::of::<Fixed<false>>().await?;
    client.configure(json!({})).await?;
    let stones = client.resource("fixed_stone");
    let stone = stones.apply(json!({"name": "a"})).await?;
    let changed = json!({"name": "a", "keep": true, "timeouts": {"delete": "1m"}});
    let stone = stone.update(changed).await?;
    assert_eq!(stone["keep"], true);
    let plan = stones.plan(Some(&stone.update(json!({"name": "a"})).await?), json!({"name": "b"})).await?;
    assert_eq!(plan.action(), Action::Replace);
    coverage!("ApplyResourceChange", "a resource without update");
    Ok(())
}

#[tokio::test]
async fn an_attribute_that_could_only_change_in_place_is_refused_at_the_start() {
    let refused = Client::of::<Fixed<true>>().await.err().map(|failure| failure.to_string());
    let told = refused.unwrap_or_default();
    assert!(told.contains("name can change, but fixed_stone has no `update`"), "{told}");
    coverage!("GetProviderSchema", "a resource that could not be updated is refused");
}
