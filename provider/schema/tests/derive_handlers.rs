//! What `#[resource]` and its kin add to an implementation, and what `#[function]` makes of a function. The
//! framework is a stand-in of a few lines here, so that these macros are tested where the others are.
#![allow(missing_docs, clippy::unwrap_used, reason = "a stand-in")]

extern crate self as tfplugin_framework;

pub use tfplugin_schema as schema;

use tfplugin_derive::{data_source, ephemeral, function, provider, resource};
use tfplugin_schema::{Duration, Field, Maybe, Timeouts, Value};

pub const DEFAULT_TIMEOUTS: Timeouts =
    Timeouts { create: None, read: Some(Duration::from_secs(7)), update: None, delete: None };

pub trait Resource {
    const NAME: &'static str;
    const VERSION: i64 = 0;
    const HANDLES: &'static [&'static str] = &[];
    const RESUMABLE: bool = false;
    const TIMEOUTS: Timeouts = DEFAULT_TIMEOUTS;
    const DEPRECATED: Option<&'static str> = None;

    fn create() {}
    fn read() {}
    fn update() {}
}

pub trait DataSource {
    const NAME: &'static str;
    const HANDLES: &'static [&'static str];
    const TIMEOUT: Duration;
    fn read() {}
}

pub trait Ephemeral {
    const NAME: &'static str;
    const HANDLES: &'static [&'static str];
    const DEPRECATED: Option<&'static str> = None;
}

pub trait Provider {
    const NAME: &'static str;
    const HANDLES: &'static [&'static str];
    const ISSUES: &'static str = "";
    fn configure() {}
}

struct Cache;

#[resource(
    name = "token_cache",
    version = 2,
    resumable,
    timeouts(create = "20m", delete = "1h30m"),
    deprecated = "Old."
)]
impl Resource for Cache {
    fn create() {}
    fn read() {}
}

struct Plain;

#[resource(name = "plain")]
impl tfplugin_framework::Resource for Plain {
    fn update() {}
}

#[data_source(name = "site", timeout = "250ms")]
impl DataSource for Plain {
    fn read() {}
}

#[ephemeral(name = "token", deprecated = "Gone.")]
impl Ephemeral for Plain {}

#[provider(name = "acme", issues = "the tracker")]
impl Provider for Plain {
    fn configure() {}
}

#[test]
fn handlers_know_their_name_and_what_was_written() {
    assert_eq!((Cache::NAME, Cache::VERSION), ("token_cache", 2));
    assert_eq!(Cache::HANDLES, ["create", "read"]);
    const { assert!(Cache::RESUMABLE) };
    assert_eq!(Cache::TIMEOUTS.create, Some(Duration::from_secs(1200)));
    assert_eq!(Cache::TIMEOUTS.delete, Some(Duration::from_secs(5400)));
    assert_eq!(Cache::TIMEOUTS.read, Some(Duration::from_secs(7)), "what is not said stays as it was");
    assert_eq!(<Cache as Resource>::DEPRECATED, Some("Old."));
    assert_eq!(<Plain as Resource>::HANDLES, ["update"]);
    assert_eq!(<Plain as Resource>::VERSION, 0);
    assert_eq!(<Plain as DataSource>::NAME, "site");
    assert_eq!(<Plain as DataSource>::HANDLES, ["read"]);
    assert_eq!(<Plain as DataSource>::TIMEOUT.0.as_millis(), 250);
    assert_eq!((<Plain as Ephemeral>::NAME, <Plain as Ephemeral>::DEPRECATED), ("token", Some("Gone.")));
    assert!(<Plain as Ephemeral>::HANDLES.is_empty());
    assert_eq!((<Plain as Provider>::NAME, <Plain as Provider>::ISSUES), ("acme", "the tracker"));
    assert_eq!(<Plain as Provider>::HANDLES, ["configure"]);
}

pub struct Arguments(Vec<Value>);

impl Arguments {
    pub fn get<T: Field>(&self, index: usize) -> Result<T, FunctionError> {
        T::read(&self.0[index]).map_err(|error| FunctionError(error.to_string()))
    }

    pub fn maybe<T: Field>(&self, index: usize) -> Result<T::View, FunctionError> {
        T::view(&self.0[index]).map_err(|error| FunctionError(error.to_string()))
    }

    pub fn rest<T: Field>(&self, first: usize) -> Result<Vec<T>, FunctionError> {
        (first..self.0.len()).map(|index| self.get(index)).collect()
    }
}

#[derive(Debug, PartialEq)]
pub struct FunctionError(String);

type Call = Box<dyn Fn(Arguments) -> Result<Value, FunctionError>>;

#[derive(Default)]
pub struct Function {
    declared: Vec<String>,
    call: Option<Call>,
}

impl Function {
    pub fn build(name: &str) -> Function {
        Function::default().add("build", name, "")
    }

    fn add(mut self, what: &str, name: &str, doc: &str) -> Function {
        self.declared.push(format!("{what} {name}: {doc}"));
        self
    }

    pub fn summary(self, text: &str) -> Function {
        self.add("summary", "", text)
    }

    pub fn description(self, text: &str) -> Function {
        self.add("description", "", text)
    }

    pub fn deprecate(self, text: &str) -> Function {
        self.add("deprecated", "", text)
    }

    pub fn parameter<T: Field>(self, name: &str, doc: &str) -> Function {
        self.add(&T::shape().ty().to_string(), name, doc)
    }

    pub fn nullable_parameter<T: Field>(self, name: &str, doc: &str) -> Function {
        self.add(&format!("nullable {}", T::shape().ty()), name, doc)
    }

    pub fn unknown_parameter<T: Field>(self, name: &str, doc: &str) -> Function {
        self.add(&format!("unknown {}", T::shape().ty()), name, doc)
    }

    pub fn variadic<T: Field>(self, name: &str, doc: &str) -> Function {
        self.add(&format!("variadic {}", T::shape().ty()), name, doc)
    }

    pub fn returns<T: Field>(self) -> Returning<T> {
        Returning(self.add("returns", "", &T::shape().ty().to_string()), std::marker::PhantomData)
    }
}

pub struct Returning<T>(Function, std::marker::PhantomData<T>);

impl<T: Field> Returning<T> {
    pub fn handler(self, call: impl Fn(Arguments) -> Result<T::State, FunctionError> + 'static) -> Function {
        Function {
            call: Some(Box::new(move |arguments| call(arguments).map(|state| T::write(&state)))),
            ..self.0
        }
    }
}

fn call(function: &Function, arguments: impl IntoIterator<Item = Value>) -> Result<Value, FunctionError> {
    function.call.as_ref().unwrap()(Arguments(arguments.into_iter().collect()))
}

/// Adds numbers.
///
/// All of them,
/// in order.
#[function(name = "sum", deprecated = "Use `+`.")]
fn add(
    /// The first.
    mut a: i64,
    /// Perhaps a second.
    b: Option<i64>,
    /// Perhaps known.
    c: Maybe<i64>,
    /// The rest.
    #[variadic]
    rest: Vec<i64>,
) -> Result<i64, FunctionError> {
    a += b.unwrap_or(0) + c.into_known().unwrap_or(100);
    let sum = rest.iter().try_fold(a, |sum, number| sum.checked_add(*number));
    sum.ok_or_else(|| FunctionError("too large".into()))
}

/// Greets.
#[function]
fn greeting(#[doc = "Whom."] name: String) -> String {
    format!("Hello, {name}!")
}

#[test]
fn a_function_declares_its_parameters_and_is_called_with_them() {
    let function = add();
    let expected = [
        "build sum: ",
        "summary : Adds numbers.",
        "description : All of them,\nin order.",
        "deprecated : Use `+`.",
        "number a: The first.",
        "nullable number b: Perhaps a second.",
        "unknown number c: Perhaps known.",
        "variadic number rest: The rest.",
        "returns : number",
    ];
    assert_eq!(function.declared, expected);
    let numbers = |numbers: [i64; 4]| numbers.map(Value::from);
    assert_eq!(call(&function, numbers([1, 2, 3, 4])), Ok(10.into()));
    assert_eq!(call(&function, [1.into(), Value::Null, Value::UNKNOWN]), Ok(101.into()));
    assert_eq!(call(&function, numbers([1, 2, 3, i64::MAX])), Err(FunctionError("too large".into())));
    assert!(call(&function, ["x".into(), Value::Null, Value::Null]).is_err());
    assert_eq!(call(&greeting(), ["you".into()]), Ok("Hello, you!".into()));
}
