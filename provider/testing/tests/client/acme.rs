//! A small provider with one of everything, on objects that live in its memory.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use serde_json::json;
use tfplugin_framework::schema::{Attribute, Computed, ObjectSchema};
use tfplugin_framework::{
    Context, DataSource, Ephemeral, Error, Findings, FunctionError, Maybe, Moves, Opened, Parts, Plan,
    Provider, Read, Request, Resource, Result, Schema, State, Stored, Upgrades, data_source, ephemeral,
    function, provider, resource,
};
use tfplugin_testing::client::{Client, Failure};

#[derive(Clone, Default)]
pub struct Acme {
    zone: String,
    shelves: Arc<Mutex<BTreeMap<String, ShelfState>>>,
    serial: Arc<AtomicU64>,
}

/// A connected and configured host.
pub async fn acme() -> Result<Client, Failure> {
    let client = Client::of::<Acme>().await?;
    client.configure(json!({"zone": "a"})).await?;
    Ok(client)
}

/// The provider.
#[derive(Clone, Schema)]
pub struct AcmeConfig {
    /// Where everything is.
    #[attribute(validate(length = 1..=5))]
    pub zone: Option<String>,
}

#[provider(name = "acme", issues = "https://example.com/issues")]
impl Provider for Acme {
    type Config = AcmeConfig;

    async fn configure(request: &Request, config: AcmeConfigView) -> Result<Acme> {
        if config.zone.is_unknown() {
            request.warn("The zone is not known yet", "Objects are planned without it.");
        }
        Ok(Acme { zone: config.zone.into_known().unwrap_or_else(|| "nowhere".to_owned()), ..Acme::default() })
    }

    fn parts(parts: Parts<Acme>) -> Parts<Acme> {
        parts
            .resource::<Shelf>()
            .data_source::<Lookup>()
            .ephemeral::<Lease>()
            .function(add())
            .function(clock())
    }

    fn meta() -> Option<ObjectSchema> {
        let team = Attribute::of::<Option<String>>("team").describe("Who pays.");
        Some(ObjectSchema::new("What a module says.").attribute(team))
    }
}

/// A shelf.
#[derive(Clone, Debug, Schema)]
pub struct Shelf {
    /// Unique; a new name is a new shelf.
    #[attribute(replace, validate(length = 1..=20))]
    pub name: String,
    /// How much goes in.
    #[attribute(default = 10)]
    pub size: u64,
    /// Free words.
    pub labels: Option<BTreeMap<String, String>>,
    /// What it serves.
    pub ports: Option<BTreeSet<u16>>,
    /// Its rows from below.
    pub rows: Option<Vec<Row>>,
    /// Opens it.
    #[attribute(write_only)]
    pub token: Option<String>,
    /// Where it stands.
    #[attribute(changes_with = [size])]
    pub address: Computed<String>,
}

/// A row of a shelf.
#[derive(Clone, Debug, Schema)]
pub struct Row {
    /// In centimetres.
    pub height: f64,
    /// What is in it.
    #[attribute(default = "air")]
    pub content: String,
}

impl Acme {
    fn put(&self, name: &str, shelf: ShelfState) -> ShelfState {
        self.shelves.lock().unwrap().insert(name.to_owned(), shelf.clone());
        shelf
    }

    fn get(&self, name: &str) -> Option<ShelfState> {
        self.shelves.lock().unwrap().get(name).cloned()
    }
}

#[resource(name = "shelf", version = 2)]
impl Resource for Shelf {
    type Provider = Acme;

    async fn create(cx: &Context<Acme>, plan: Plan<Self>) -> Result<State<Self>> {
        let name = plan.name.clone();
        let address = format!("{}/{name}/{}", cx.provider().zone, plan.size);
        match name.as_str() {
            "full" => {
                return Err(Error::invalid("there is no room").at(Shelf::name()).next("Take another zone."));
            }
            "collapses" => {
                cx.save(&plan.partial().set(Shelf::address(), &address));
                return Err(Error::permanent("the shelf collapsed"));
            }
            "slow" => {
                cx.cancelled().await;
                return Err(cx.interruption());
            }
            "panics" => panic!("a screw is loose"),
            "locked" if plan.token.as_deref() != Some("sesame") => return Err(Error::invalid("wrong token")),
            _ => {}
        }
        cx.set_private("serial", &cx.provider().serial.fetch_add(1, Ordering::SeqCst))?;
        if let Some(team) = cx.provider_meta().get("team").as_str() {
            cx.warn("Somebody pays", team);
        }
        let mut shelf = plan.into_inner().complete(ShelfComputed { address });
        if name == "liar" {
            shelf.size += 1;
        }
        Ok(cx.provider().put(&name, shelf))
    }

    async fn read(cx: &Context<Acme>, state: Stored<Self>) -> Result<Read<Self>> {
        if state.name == "unreadable" {
            return Err(Error::retry("the line is dead"));
        }
        Ok(cx.provider().get(&state.name).map_or(Read::Gone, Read::Found))
    }

    async fn update(cx: &Context<Acme>, prior: Stored<Self>, plan: Plan<Self>) -> Result<State<Self>> {
        if cx.private::<u64>("serial")?.is_none() && prior.name != "imported" {
            return Err(Error::bug("the serial number is lost"));
        }
        let name = plan.name.clone();
        let address = format!("{}/{name}/{}", cx.provider().zone, plan.size);
        Ok(cx.provider().put(&name, plan.into_inner().complete(ShelfComputed { address })))
    }

    async fn delete(cx: &Context<Acme>, state: Stored<Self>) -> Result<()> {
        if state.name == "stuck" {
            return Err(Error::permanent("it is screwed to the wall"));
        }
        cx.provider().shelves.lock().unwrap().remove(&state.name);
        Ok(())
    }

    fn validate(config: &ShelfView, findings: &mut Findings) {
        if config.name.known().is_some_and(|name| name == "desk") {
            findings.refuse(Shelf::name(), "This is no shelf", "A desk is something else.");
        }
    }

    async fn import(cx: &Context<Acme>, id: &str) -> Result<State<Self>> {
        cx.provider().get(id).ok_or_else(|| Error::invalid(format!("there is no shelf {id:?}")))
    }

    fn upgrades() -> Upgrades<Self> {
        Upgrades::none()
            .chain::<ShelfV0, ShelfV1>(0, |old| Ok(ShelfV1 { name: old.title, volume: old.volume }))
            .from::<ShelfV1>(1, 2, |old| Ok(plain_shelf(old.name, old.volume)))
    }

    fn moves() -> Moves<Self> {
        Moves::none().from_type::<ShelfV0>("other_rack", |rack| Ok(plain_shelf(rack.title, rack.volume)))
    }
}

fn plain_shelf(name: String, size: u64) -> ShelfState {
    let address = format!("old/{name}");
    ShelfState { name, size, labels: None, ports: None, rows: None, token: None, address }
}

/// A shelf as it was at first.
#[derive(Clone, Schema)]
pub struct ShelfV0 {
    /// Its name.
    pub title: String,
    /// Its size.
    pub volume: u64,
}

/// A shelf as it was then.
#[derive(Clone, Schema)]
pub struct ShelfV1 {
    /// Its name.
    pub name: String,
    /// Its size.
    pub volume: u64,
}

/// Finds a shelf.
#[derive(Clone, Schema)]
pub struct Lookup {
    /// Which.
    #[attribute(validate(length = 1..))]
    pub name: String,
    /// Where it stands.
    pub address: Computed<Option<String>>,
}

#[data_source(name = "shelf")]
impl DataSource for Lookup {
    type Provider = Acme;

    async fn read(cx: &Context<Acme>, config: Self) -> Result<State<Self>> {
        if config.name == "secret" {
            return Err(Error::invalid("nobody may look").at(Lookup::name()));
        }
        let address = cx.provider().get(&config.name).map(|shelf| shelf.address);
        Ok(config.complete(LookupComputed { address }))
    }
}

/// The key to a shelf, for a while.
#[derive(Clone, Schema)]
pub struct Lease {
    /// Which shelf.
    #[attribute(validate(length = 1..))]
    pub name: String,
    /// The key.
    pub key: Computed<String>,
}

#[ephemeral(name = "lease")]
impl Ephemeral for Lease {
    type Provider = Acme;

    async fn open(cx: &Context<Acme>, config: Self) -> Result<Opened<Self>> {
        cx.set_private("renewed", &0)?;
        if config.name == "broken" {
            return Err(tfplugin_framework::Error::permanent("the lock broke after it was opened"));
        }
        let key = format!("key of {}", config.name);
        let renew_at = SystemTime::UNIX_EPOCH + Duration::from_secs(4_000_000_000);
        Ok(Opened::new(config.complete(LeaseComputed { key })).renew_at(renew_at))
    }

    async fn renew(cx: &Context<Acme>) -> Result<Option<SystemTime>> {
        let renewed = cx.private::<u64>("renewed")?.unwrap_or_default() + 1;
        cx.set_private("renewed", &renewed)?;
        Ok((renewed < 2).then(|| SystemTime::UNIX_EPOCH + Duration::from_secs(4_000_000_060)))
    }

    async fn close(cx: &Context<Acme>) -> Result<()> {
        let renewed = cx.private::<u64>("renewed")?.unwrap_or_default();
        cx.warn("The key is worn", format!("It was renewed {renewed} times."));
        Ok(())
    }
}

/// Adds numbers.
#[function]
fn add(
    /// The first.
    first: i64,
    /// All others.
    #[variadic]
    rest: Vec<i64>,
) -> std::result::Result<i64, FunctionError> {
    match rest.iter().position(|number| *number < 0) {
        Some(at) => Err(FunctionError::at(at + 1, "a negative number")),
        None => Ok(first + rest.iter().sum::<i64>()),
    }
}

/// Never the same, which no function may be; and takes anything.
#[function]
fn clock(
    /// Ignored.
    ignored: Maybe<String>,
) -> String {
    static CALLS: AtomicU64 = AtomicU64::new(0);
    let call = CALLS.fetch_add(1, Ordering::SeqCst);
    if ignored.is_unknown() { "unknown".to_owned() } else { call.to_string() }
}
