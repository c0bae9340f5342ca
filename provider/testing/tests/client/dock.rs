//! What only happens on bad days: creates that save little or much and then fail, secrets that change or come
//! by reference, spellings in sets, typed nulls. A provider of one resource whose `mode` says what happens.

use std::collections::BTreeSet;
use std::time::Duration as StdDuration;

use serde_json::json;
use tfplugin_framework::schema::{Computed, Duration, Dynamic, Secret, Type, Value};
use tfplugin_framework::{
    Context, Draft, Error, Partial, Parts, Plan, Provider, Read, Request, Resource, Result, Schema, State,
    Stored, provider, resource,
};
use tfplugin_testing::client::{Action, Client, ExpectError, Failure};

struct Dock;

/// The provider.
#[derive(Clone, Schema)]
struct DockConfig {}

#[provider(name = "dock")]
impl Provider for Dock {
    type Config = DockConfig;

    async fn configure(_: &Request, _: DockConfigView) -> Result<Dock> {
        Ok(Dock)
    }

    fn parts(parts: Parts<Dock>) -> Parts<Dock> {
        parts.resource::<Ship>()
    }
}

/// A ship.
#[derive(Clone, Schema)]
struct Ship {
    /// What happens.
    mode: String,
    /// Another name is another ship.
    #[attribute(replace)]
    name: Option<String>,
    /// Anything.
    cargo: Option<Dynamic>,
    /// When it sounds its horn.
    horns: Option<BTreeSet<Duration>>,
    /// Opens the hold.
    code: Option<Secret<String>>,
    /// Opens the safe.
    pin: Option<Secret<u64>>,
    /// What the provider saw, for the test.
    seen: Computed<Option<String>>,
    /// Its engine.
    engine: Computed<Engine>,
    /// Its number.
    number: Computed<String>,
}

/// An engine.
#[derive(Clone, Schema)]
struct Engine {
    /// Its serial number.
    serial: String,
}

fn all(seen: Option<String>) -> ShipComputed {
    ShipComputed { seen, engine: Engine { serial: "e1".to_owned() }, number: "n1".to_owned() }
}

#[resource(name = "ship")]
impl Resource for Ship {
    type Provider = Dock;
    const RESUMABLE: bool = true;

    async fn create(cx: &Context<Dock>, plan: Plan<Self>) -> Result<State<Self>> {
        let mut seen = cx.private::<String>("lease")?;
        match plan.mode.as_str() {
            "saves all" => {
                let partial = plan.partial().set(Ship::number(), &"n1".to_owned());
                let engine = Engine { serial: "e1".to_owned() };
                cx.save(&partial.set(Ship::engine(), &engine).set(Ship::seen(), &"early".to_owned()));
                return Err(Error::permanent("the tug is late"));
            }
            "saves little" => {
                cx.save(&Partial::<Ship>::empty().set(Ship::number(), &"n1".to_owned()));
                return Err(Error::permanent("the tug is late"));
            }
            "saves the engine" => {
                cx.save(&plan.partial().set(Ship::engine().serial(), &"e7".to_owned()));
                return Err(Error::permanent("the tug is late"));
            }
            "asks for the pin" => {
                seen = match &plan.pin {
                    Some(pin) => Some(cx.secret(pin).await?.to_string()),
                    None => None,
                };
            }
            _ => {}
        }
        cx.set_private("lease", &"of the first")?;
        Ok(plan.into_inner().complete(all(seen)))
    }

    async fn read(_: &Context<Dock>, _: Stored<Self>) -> Result<Read<Self>> {
        Ok(Read::Unchanged)
    }

    async fn update(_: &Context<Dock>, _: Stored<Self>, plan: Plan<Self>) -> Result<State<Self>> {
        let code = if plan.changed(Ship::code()) { "another code" } else { "the same code" };
        let computed = ShipComputed {
            seen: plan.seen.known().cloned().unwrap_or_else(|| Some(code.to_owned())),
            engine: plan.engine.known().cloned().unwrap_or(Engine { serial: "e1".to_owned() }),
            number: plan.number.known().cloned().unwrap_or_else(|| "n1".to_owned()),
        };
        if plan.mode == "tells" {
            return Err(Error::permanent(code));
        }
        Ok(plan.into_inner().complete(computed))
    }

    async fn delete(_: &Context<Dock>, _: Stored<Self>) -> Result<()> {
        Ok(())
    }

    async fn modify_plan(_: &Context<Dock>, draft: &mut Draft<Self>) -> Result<()> {
        if !draft.is_destroy() && draft.planned()?.mode == "hangs in plan".to_owned() {
            std::future::pending::<()>().await;
        }
        Ok(())
    }
}

async fn ships() -> Result<tfplugin_testing::client::Resource, Failure> {
    let client = Client::of::<Dock>().await?;
    client.configure(json!({})).await?;
    Ok(client.resource("dock_ship"))
}

#[tokio::test]
async fn an_unfinished_create_is_finished_also_if_it_had_saved_everything() -> Result<(), Failure> {
    let ships = ships().await?;
    let config = json!({"mode": "saves all"});
    let ship = ships.apply(config.clone()).await?;
    let plan = ship.plan(config).await?;
    assert_eq!(plan.action(), Action::Update);
    let ship = plan.apply().await?.unwrap();
    assert_eq!((&ship["number"], &ship["engine"]["serial"]), (&json!("n1"), &json!("e1")));
    assert!(ship.settled().await?, "and nothing is left now");
    Ok(())
}

#[tokio::test]
async fn what_a_save_leaves_out_is_as_it_was_planned() -> Result<(), Failure> {
    let ships = ships().await?;
    let config = json!({"mode": "saves little", "name": "Anna"});
    let ship = ships.apply(config.clone()).await?;
    assert_eq!((&ship["name"], &ship["number"]), (&json!("Anna"), &json!("n1")));
    assert_eq!(ship.plan(config).await?.action(), Action::Update);
    ship.destroy().await
}

#[tokio::test]
async fn a_value_can_be_saved_inside_an_object_that_is_not_known_yet() -> Result<(), Failure> {
    let ship = ships().await?.apply(json!({"mode": "saves the engine"})).await?;
    assert_eq!(ship["engine"], json!({"serial": "e7"}));
    Ok(())
}

#[tokio::test]
async fn another_object_begins_without_what_the_old_one_kept() -> Result<(), Failure> {
    let ships = ships().await?;
    let ship = ships.apply(json!({"mode": "", "name": "Anna"})).await?;
    let ship = ship.update(json!({"mode": "", "name": "Berta"})).await?;
    assert_eq!(ship["seen"], json!(null));
    let unfinished = ships.apply(json!({"mode": "saves all", "name": "Anna"})).await?;
    let plan = unfinished.plan(json!({"mode": "", "name": "Berta"})).await?;
    assert_eq!(plan.action(), Action::Replace);
    assert!(!String::from_utf8_lossy(plan.private()).contains("tug"));
    Ok(())
}

#[tokio::test]
async fn a_secret_has_changed_when_its_version_or_reference_has() -> Result<(), Failure> {
    let ships = ships().await?;
    let ship = ships.apply(json!({"mode": "", "code_wo": "a", "code_wo_version": 1})).await?;
    for (config, told) in [
        (json!({"mode": "tells", "code_wo": "a", "code_wo_version": 1}), "The same code"),
        (json!({"mode": "tells", "code_wo": "b", "code_wo_version": 2}), "Another code"),
        (json!({"mode": "tells", "code_ref": "env:CODE"}), "Another code"),
    ] {
        ship.update(config).await.expect_error(told);
    }
    Ok(())
}

#[tokio::test]
async fn a_secret_of_any_type_is_found_by_reference() -> Result<(), Failure> {
    let file = std::env::temp_dir().join(format!("tfplugin-pin-{}", std::process::id()));
    std::fs::write(&file, "4711\n").unwrap();
    let config = json!({"mode": "asks for the pin", "pin_ref": format!("file:{}", file.display())});
    let ship = ships().await?.apply(config).await;
    std::fs::remove_file(&file).unwrap();
    assert_eq!(ship?["seen"], "4711");
    Ok(())
}

#[tokio::test]
async fn elements_of_a_set_keep_their_spelling() -> Result<(), Failure> {
    let config = json!({"mode": "", "horns": ["60s", "90m"]});
    let ship = ships().await?.apply(config).await?;
    assert_eq!(ship["horns"], json!(["60s", "90m"]));
    assert!(ship.settled().await?);
    Ok(())
}

#[tokio::test]
async fn a_null_of_dynamic_type_keeps_its_type() -> Result<(), Failure> {
    let null = Value::Null;
    let names = ["name", "horns", "code_wo", "code_wo_version", "code_ref", "pin_wo", "pin_wo_version"];
    let names = names.into_iter().chain(["pin_ref", "seen", "engine", "number"]);
    let config = Value::map(
        names
            .map(|name| (name, null.clone()))
            .chain([("mode", Value::from("")), ("cargo", Value::dynamic(Type::String, Value::Null))]),
    );
    let ship = ships().await?.apply(config).await?;
    assert_eq!(ship.value().get("cargo"), &Value::dynamic(Type::String, Value::Null));
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn a_plan_that_does_not_end_is_ended_when_its_time_is_up() -> Result<(), Failure> {
    let client = Client::of::<Dock>().await?.patience(StdDuration::from_secs(3600));
    client.configure(json!({})).await?;
    let planned = client.resource("dock_ship").plan(None, json!({"mode": "hangs in plan"})).await;
    planned.expect_error("not finished within 5m");
    Ok(())
}
