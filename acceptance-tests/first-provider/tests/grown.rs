//! What a provider grows into, for the guide: a secret, deadlines, a create that is continued, a second version of
//! the state. Driven in the test's own process.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use serde_json::json;
use tfplugin_framework::schema::{Computed, Secret, Size, Timeouts};
use tfplugin_framework::{
    Backoff, Context, Error, Parts, Plan, Progress, Provider, Read, Request, Resource, Result, Schema, State,
    Stored, Upgrades, provider, resource, unique_id,
};
use tfplugin_testing::client::{Action, Client, Failure};

/// A remote API, as far as this needs one: machines by id, with what they were asked to be.
static MACHINES: Mutex<BTreeMap<String, Machine>> = Mutex::new(BTreeMap::new());

#[derive(Clone)]
struct Machine {
    password_length: usize,
    asked: u32,
}

fn machines<T>(with: impl FnOnce(&mut BTreeMap<String, Machine>) -> T) -> T {
    with(&mut MACHINES.lock().unwrap_or_else(PoisonError::into_inner))
}

fn start(id: &str, password: &str) -> Result<()> {
    let machine = Machine { password_length: password.len(), asked: 0 };
    machines(|all| {
        all.entry(id.to_owned()).or_insert(machine); // the same id twice is the same machine
    });
    Ok(())
}

/// The first look fails for a machine that is called "slow", as if the network did.
fn address_of(id: &str, name: &str) -> Result<Option<String>> {
    machines(|all| {
        let machine = all.get_mut(id).ok_or_else(|| Error::permanent("there is no such machine"))?;
        machine.asked += 1;
        match (name, machine.asked) {
            ("slow", 1) => Err(Error::permanent("the API does not answer")),
            (_, 1) => Ok(None),
            _ => Ok(Some(format!("10.0.0.1/{name}"))),
        }
    })
}

/// Runs machines.
#[derive(Clone, Schema)]
struct Cloud {}

#[provider(name = "cloud")]
impl Provider for Cloud {
    type Config = Cloud;

    async fn configure(_: &Request, _: CloudView) -> Result<Cloud> {
        Ok(Cloud {})
    }

    fn parts(parts: Parts<Cloud>) -> Parts<Cloud> {
        parts.resource::<Vm>()
    }
}

/// A virtual machine.
#[derive(Clone, Schema)]
struct Vm {
    /// Unique in the account.
    #[attribute(replace)]
    name: String,
    /// How much it holds.
    #[attribute(default = "1GiB")]
    memory: Size,
    /// The administrator's password.
    password: Secret<String>,
    /// Assigned when it is made.
    id: Computed<String>,
    /// Where it listens, once it runs.
    address: Computed<String>,
    /// How long operations may take.
    timeouts: Timeouts,
}

/// Version 0: memory was a number of megabytes.
#[derive(Clone, Schema)]
struct VmV0 {
    /// As now.
    name: String,
    /// In MiB.
    memory_mib: u64,
    /// As now.
    id: String,
    /// As now.
    address: String,
}

async fn address(cx: &Context<Cloud>, id: &str, name: &str) -> Result<String> {
    cx.wait_until("the machine's address", Duration::from_millis(10), || async move {
        Ok(match address_of(id, name)? {
            Some(address) => Progress::Done(address),
            None => Progress::Waiting("starting".to_owned()),
        })
    })
    .await
}

#[resource(name = "vm", version = 1, resumable, timeouts(create = "10m", delete = "2m"))]
impl Resource for Vm {
    type Provider = Cloud;

    async fn create(cx: &Context<Cloud>, plan: Plan<Self>) -> Result<State<Self>> {
        let password = cx.secret(&plan.password).await?;
        let id = unique_id("vm");
        cx.save(&plan.partial().set(Vm::id(), &id)); // before the call that has an effect
        cx.unfinished("the machine has no address yet");
        cx.retry(Backoff::default(), || async { start(&id, &password) }).await?;
        let address = address(cx, &id, &plan.name).await?;
        Ok(plan.complete(VmComputed { id, address }))
    }

    async fn read(_: &Context<Cloud>, stored: Stored<Self>) -> Result<Read<Self>> {
        let there = machines(|all| stored.id.known().is_some_and(|id| all.contains_key(id)));
        Ok(if there { Read::Unchanged } else { Read::Gone })
    }

    async fn update(cx: &Context<Cloud>, prior: Stored<Self>, plan: Plan<Self>) -> Result<State<Self>> {
        let id = prior.id.get()?.clone();
        let address = match prior.address.known() {
            Some(address) => address.clone(),
            None => address(cx, &id, &plan.name).await?, // what the create did not come to
        };
        Ok(plan.complete(VmComputed { id, address }))
    }

    async fn delete(_: &Context<Cloud>, stored: Stored<Self>) -> Result<()> {
        machines(|all| stored.id.known().and_then(|id| all.remove(id)));
        Ok(())
    }

    fn upgrades() -> Upgrades<Self> {
        Upgrades::none().from::<VmV0>(0, 1, |old| {
            let memory = Size(old.memory_mib << 20);
            let (password, timeouts) = (Secret::default(), Timeouts::default());
            Ok(VmState { name: old.name, memory, password, id: old.id, address: old.address, timeouts })
        })
    }
}

async fn vms() -> Result<tfplugin_testing::client::Resource, Failure> {
    let client = Client::of::<Cloud>().await?;
    client.configure(json!({})).await?;
    Ok(client.resource("cloud_vm"))
}

#[tokio::test]
async fn the_password_reaches_the_machine_and_is_stored_nowhere() -> Result<(), Failure> {
    let vm = vms().await?.apply(json!({ "name": "a", "password_wo": "hunter2" })).await?;
    let id = vm["id"].as_str().expect("an id").to_owned();
    assert_eq!(machines(|all| all.get(&id).map(|machine| machine.password_length)), Some(7));
    assert!(vm["password_wo"].is_null());
    assert!(vm.settled().await?);
    vm.destroy().await
}

#[tokio::test]
async fn a_create_that_failed_half_way_is_continued_in_place() -> Result<(), Failure> {
    let config = json!({ "name": "slow", "password_wo": "x" });
    let vm = vms().await?.apply(config.clone()).await?;
    assert!(!vm.tainted && vm["address"].is_null());
    assert!(vm.warnings[0].to_string().contains("the machine has no address yet"), "{:?}", vm.warnings);
    let vm = vm.refresh().await?.expect("it is there");
    let plan = vm.plan(config).await?;
    assert_eq!(plan.action(), Action::Update);
    let finished = plan.apply().await?.expect("it is there");
    assert_eq!((&finished["id"], &finished["address"]), (&vm["id"], &json!("10.0.0.1/slow")));
    finished.destroy().await
}

#[tokio::test]
async fn a_state_of_version_0_is_read() -> Result<(), Failure> {
    let client = Client::of::<Cloud>().await?;
    client.configure(json!({})).await?;
    let old = json!({ "name": "a", "memory_mib": 2048, "id": "vm-1", "address": "10.0.0.1/a" });
    let vm = client.upgrade("cloud_vm", 0, old).await?;
    assert_eq!(vm["memory"], "2GiB");
    Ok(())
}
