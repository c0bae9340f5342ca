//! What the derive offers beyond plain attributes, seen by a host: blocks of every kind, unions, secrets,
//! spellings, protection, deadlines.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::json;
use tfplugin_framework::schema::{Computed, Json, Secret, Timeouts};
use tfplugin_framework::{
    Context, Error, Parts, Plan, Provider, Read, Request, Resource, Result, Schema, State, Stored, provider,
    resource,
};
use tfplugin_testing::client::{Action, Client, ExpectError, Failure, unknown};
use tfplugin_testing::coverage;

struct Bank;

/// The provider.
#[derive(Clone, Schema)]
struct BankConfig {}

#[provider(name = "bank")]
impl Provider for Bank {
    type Config = BankConfig;

    async fn configure(_: &Request, _: BankConfigView) -> Result<Bank> {
        Ok(Bank)
    }

    async fn secret(&self, store: &str, name: &str) -> Result<String> {
        match (store, name) {
            ("ledger", "first") => Ok("open sesame".to_owned()),
            ("ledger", _) => Err(Error::permanent(format!("the ledger has no {name:?}"))),
            _ => Err(Error::invalid(format!("this bank knows no secret store {store:?}"))),
        }
    }

    fn parts(parts: Parts<Bank>) -> Parts<Bank> {
        parts.resource::<Vault>()
    }
}

/// A vault.
#[derive(Clone, Schema)]
struct Vault {
    /// Its doors.
    #[attribute(block)]
    door: Vec<Door>,
    /// Its guards.
    #[attribute(block)]
    guard: BTreeSet<Guard>,
    /// Its boxes by number.
    #[attribute(block)]
    safe: BTreeMap<String, Guard>,
    /// Its floor.
    #[attribute(block)]
    floor: Option<Guard>,
    /// How it locks.
    lock: Option<Lock>,
    /// Opens it.
    code: Secret<String>,
    /// Rules in JSON.
    policy: Option<Json>,
    /// While true it stays.
    #[attribute(default = false, deletion_protection)]
    keep: bool,
    /// How it was opened, for the test.
    opened: Computed<String>,
    /// Deadlines.
    timeouts: Timeouts,
}

/// A door.
#[derive(Clone, Schema)]
struct Door {
    /// In centimetres.
    width: u32,
    /// Whether it squeaks.
    #[attribute(default = true)]
    squeaks: bool,
}

/// A guard.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Schema)]
struct Guard {
    /// The name.
    name: String,
}

/// A lock.
#[derive(Clone, Schema)]
enum Lock {
    /// With a key.
    Key(Guard),
    /// With a clock.
    Clock(Hours),
}

/// Opening hours.
#[derive(Clone, Schema)]
struct Hours {
    /// From.
    from: u8,
}

#[resource(name = "vault")]
impl Resource for Vault {
    type Provider = Bank;

    async fn create(cx: &Context<Bank>, plan: Plan<Self>) -> Result<State<Self>> {
        let opened = cx.secret(&plan.code).await?.chars().rev().collect();
        Ok(plan.into_inner().complete(VaultComputed { opened }))
    }

    async fn read(_: &Context<Bank>, state: Stored<Self>) -> Result<Read<Self>> {
        // A server that spells JSON in its own way.
        let mut found = state.into_inner();
        if found.policy.is_some() {
            found.policy = Some(r#"{"b":2,"a":1}"#.parse().unwrap());
        }
        let opened = found.opened.get()?.clone();
        Ok(Read::Found(found.complete(VaultComputed { opened })))
    }

    async fn update(_: &Context<Bank>, _: Stored<Self>, plan: Plan<Self>) -> Result<State<Self>> {
        let opened = plan.opened.get()?.clone();
        Ok(plan.into_inner().complete(VaultComputed { opened }))
    }

    async fn delete(_: &Context<Bank>, _: Stored<Self>) -> Result<()> {
        Ok(())
    }
}

async fn vaults() -> Result<tfplugin_testing::client::Resource, Failure> {
    let client = Client::of::<Bank>().await?;
    client.configure(json!({})).await?;
    Ok(client.resource("bank_vault"))
}

#[tokio::test]
async fn blocks_unions_and_spellings_hold_through_a_life() -> Result<(), Failure> {
    let config = json!({
        "door": [{"width": 80}, {"width": 90, "squeaks": false}],
        "guard": [{"name": "b"}, {"name": "a"}],
        "safe": {"1": {"name": "x"}},
        "floor": {"name": "f"},
        "lock": {"clock": {"from": 8}},
        "code_wo": "drab", "code_wo_version": 1,
        "policy": "{ \"a\": 1, \"b\": 2 }",
        "timeouts": {"create": "5m"},
    });
    let vault = vaults().await?.apply(config.clone()).await?;
    assert_eq!(vault["opened"], "bard");
    assert_eq!(vault["code_wo"], json!(null));
    assert_eq!(vault["door"][0], json!({"width": 80, "squeaks": true}));
    assert_eq!(vault["lock"], json!({"clock": {"from": 8}, "key": null}));
    assert_eq!(vault["policy"], "{ \"a\": 1, \"b\": 2 }", "as it was written");
    assert!(vault.settled().await?, "another spelling is no change");

    let mut other = config;
    other["door"] = unknown();
    other["guard"] = json!([{"name": unknown()}, {"name": unknown()}]);
    other["lock"] = json!({"key": {"name": unknown()}});
    let plan = vault.plan(other.clone()).await?;
    assert_eq!(plan.action(), Action::Update);
    other["door"] = json!([]);
    other["guard"] = json!([{"name": "same"}, {"name": "same"}]);
    other["lock"] = json!({"key": {"name": "k"}});
    let vault = plan.apply_with(other).await?.unwrap();
    assert_eq!(vault["guard"], json!([{"name": "same"}]), "two unknown elements became one");
    vault.destroy().await?;
    coverage!("PlanResourceChange", "blocks of every kind, unions, spellings");
    Ok(())
}

#[tokio::test]
async fn a_secret_has_a_way_in_for_every_host() -> Result<(), Failure> {
    let vaults = vaults().await?;
    vaults.validate(json!({})).await.expect_error("code_wo.*code_ref");
    vaults.validate(json!({"code_wo": "a", "code_ref": "env:X"})).await.expect_error("code_(wo|ref)");
    vaults.validate(json!({"code_ref": "nonsense"})).await.expect_error("env:NAME");
    let failure = vaults.apply(json!({"code_ref": "env:SURELY_NOT_SET"})).await;
    failure.expect_error("(?s)env:SURELY_NOT_SET.*Set the environment variable");
    let vault = vaults.apply(json!({"code_ref": "env:CARGO_PKG_NAME"})).await?;
    assert_eq!(vault["opened"], "gnitset-nigulpft");
    let vault = vaults.apply(json!({"code_ref": "ledger:first"})).await?;
    assert_eq!(vault["opened"], "emases nepo");
    let failure = vaults.apply(json!({"code_ref": "ledger:second"})).await;
    failure.expect_error("(?is)reading the secret ledger:second.*has no \"second\"");
    vaults.apply(json!({"code_ref": "safe:first"})).await.expect_error("knows no secret store \"safe\"");
    coverage!("ApplyResourceChange", "secrets by value and by reference");
    Ok(())
}

#[tokio::test]
async fn a_protected_object_is_neither_destroyed_nor_replaced() -> Result<(), Failure> {
    let vault = vaults().await?.apply(json!({"code_wo": "a", "keep": true})).await?;
    let refused = vault.destroy().await.expect_error("keep");
    assert!(refused.errors().next().is_some_and(|error| error.detail.contains("keep")), "{refused}");
    vault.update(json!({"code_wo": "a", "keep": false})).await?.destroy().await?;
    coverage!("PlanResourceChange", "deletion protection");
    Ok(())
}

#[tokio::test]
async fn a_union_has_exactly_one_of_its_forms() -> Result<(), Failure> {
    let vaults = vaults().await?;
    for lock in [json!({}), json!({"clock": {"from": 1}, "key": {"name": "k"}})] {
        vaults.validate(json!({"code_wo": "a", "lock": lock})).await.expect_error("lock");
    }
    vaults.validate(json!({"code_wo": "a", "lock": {"clock": unknown(), "key": unknown()}})).await?;
    vaults
        .validate(json!({"code_wo": "a", "timeouts": {"create": "soon"}}))
        .await
        .expect_error("timeouts.create");
    coverage!("ValidateResourceConfig", "unions, and unknown parts are not judged");
    Ok(())
}
