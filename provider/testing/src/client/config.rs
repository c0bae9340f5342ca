//! Configurations: JSON as a person would write it, filled up and typed by the schema, with what Terraform
//! core refuses before it asks the provider.

use serde_json::Value as Json;
use tfplugin_framework::schema::{BlockNesting, Members, Nesting, Path, Step, Type, Value};

use super::failure::Failure;
use super::render::{as_unknown, show_path, within};
use super::schema::{Attribute, Block, Kind, NestedBlock};

/// What a configuration says: `json!({"name": "a", "size": unknown()})`, where attributes and blocks that are
/// left out are null or empty, as in HCL; or a [`Value`] of exactly the schema's type.
#[derive(Clone, Debug)]
pub struct Config(Said);

#[derive(Clone, Debug)]
enum Said {
    Json(Json),
    Value(Value),
}

impl From<Json> for Config {
    fn from(json: Json) -> Config {
        Config(Said::Json(json))
    }
}

impl From<&Json> for Config {
    fn from(json: &Json) -> Config {
        Config(Said::Json(json.clone()))
    }
}

impl From<Value> for Config {
    fn from(value: Value) -> Config {
        Config(Said::Value(value))
    }
}

impl Config {
    /// As a value of the schema.
    pub(super) fn value(self, block: &Block) -> Result<Value, Failure> {
        let value = match self.0 {
            Said::Value(value) => value,
            Said::Json(json) => {
                let mut filler = Filler::default();
                let value = filler.block(&json, block, &mut Path::root());
                filler.done("the configuration does not fit the schema")?;
                value
            }
        };
        let mut check = Filler::default();
        check.complete_block(&value, block, &mut Path::root());
        check.done("Terraform itself refuses this configuration")?;
        Ok(value)
    }
}

/// JSON as a value of a type.
pub(super) fn typed(json: &Json, ty: &Type) -> Result<Value, Failure> {
    let mut filler = Filler::default();
    let value = filler.typed(json, ty, &mut Path::root());
    filler.done(&format!("this is no {ty}"))?;
    Ok(value)
}

#[derive(Default)]
struct Filler {
    faults: Vec<String>,
}

impl Filler {
    fn done(self, what: &str) -> Result<(), Failure> {
        if self.faults.is_empty() {
            return Ok(());
        }
        Err(Failure::Config(format!("{what}:\n  {}", self.faults.join("\n  "))))
    }

    fn fault(&mut self, at: &Path, what: impl std::fmt::Display) -> Value {
        self.faults.push(format!("{}: {what}", show_path(at)));
        Value::Null
    }

    fn block(&mut self, json: &Json, block: &Block, at: &mut Path) -> Value {
        if let Some(unknown) = as_unknown(json) {
            return unknown;
        }
        let given = match json {
            Json::Null => return Value::Null,
            Json::Object(given) => given,
            _ => return self.fault(at, "an object is needed here"),
        };
        let mut members = Members::new();
        for attribute in &block.attributes {
            let said = given.get(&attribute.name).unwrap_or(&Json::Null);
            let value = within(at, step(&attribute.name), |at| self.attribute(said, attribute, at));
            members.insert(attribute.name.clone(), value);
        }
        for nested in &block.blocks {
            let said = given.get(&nested.name).unwrap_or(&Json::Null);
            let value = within(at, step(&nested.name), |at| self.nested_block(said, nested, at));
            members.insert(nested.name.clone(), value);
        }
        for name in given.keys().filter(|name| !members.contains_key(*name)) {
            self.fault(at, format!("there is no attribute or block {name}"));
        }
        Value::Map(members)
    }

    fn attribute(&mut self, json: &Json, attribute: &Attribute, at: &mut Path) -> Value {
        match &attribute.kind {
            Kind::Plain(ty) => self.typed(json, ty, at),
            Kind::Nested(Nesting::Single, block) => self.block(json, block, at),
            Kind::Nested(nesting, block) => {
                self.collection(json, at, *nesting, |filler, json, at| filler.block(json, block, at))
            }
        }
    }

    fn nested_block(&mut self, json: &Json, nested: &NestedBlock, at: &mut Path) -> Value {
        let nesting = match nested.nesting {
            _ if json.is_null() => return nested.none(),
            BlockNesting::Single | BlockNesting::Group => return self.block(json, &nested.block, at),
            BlockNesting::List => Nesting::List,
            BlockNesting::Set => Nesting::Set,
            BlockNesting::Map => Nesting::Map,
        };
        self.collection(json, at, nesting, |filler, json, at| filler.block(json, &nested.block, at))
    }

    fn collection(
        &mut self,
        json: &Json,
        at: &mut Path,
        nesting: Nesting,
        mut each: impl FnMut(&mut Filler, &Json, &mut Path) -> Value,
    ) -> Value {
        if let Some(unknown) = as_unknown(json) {
            return unknown;
        }
        match (nesting, json) {
            (_, Json::Null) => Value::Null,
            (Nesting::List | Nesting::Set, Json::Array(elements)) => {
                let mut values = Vec::with_capacity(elements.len());
                for (index, element) in elements.iter().enumerate() {
                    values.push(within(at, Step::Index(index), |at| each(self, element, at)));
                }
                if nesting == Nesting::Set { Value::set(values) } else { Value::List(values) }
            }
            (Nesting::Map, Json::Object(elements)) => {
                let mut members = Members::new();
                for (key, element) in elements {
                    let value = within(at, Step::Key(key.clone()), |at| each(self, element, at));
                    members.insert(key.clone(), value);
                }
                Value::Map(members)
            }
            (Nesting::Map, _) => self.fault(at, "an object of elements by name is needed here"),
            _ => self.fault(at, "an array is needed here"),
        }
    }

    fn typed(&mut self, json: &Json, ty: &Type, at: &mut Path) -> Value {
        if let Some(unknown) = as_unknown(json) {
            return unknown;
        }
        match (ty, json) {
            (_, Json::Null) => Value::Null,
            (Type::Bool, Json::Bool(bool)) => Value::Bool(*bool),
            (Type::String, Json::String(text)) => Value::String(text.clone()),
            (Type::Number, Json::Number(number)) => match number.to_string().parse() {
                Ok(number) => Value::Number(number),
                Err(error) => self.fault(at, error),
            },
            (Type::List(element), _) => {
                self.collection(json, at, Nesting::List, |filler, json, at| filler.typed(json, element, at))
            }
            (Type::Set(element), _) => {
                self.collection(json, at, Nesting::Set, |filler, json, at| filler.typed(json, element, at))
            }
            (Type::Map(element), _) => {
                self.collection(json, at, Nesting::Map, |filler, json, at| filler.typed(json, element, at))
            }
            (Type::Tuple(types), Json::Array(elements)) if types.len() == elements.len() => {
                let mut values = Vec::with_capacity(elements.len());
                for (index, (element, ty)) in elements.iter().zip(types.iter()).enumerate() {
                    values.push(within(at, Step::Index(index), |at| self.typed(element, ty, at)));
                }
                Value::List(values)
            }
            (Type::Object(object), Json::Object(given)) => {
                let mut members = Members::new();
                for (name, ty) in &object.attributes {
                    let said = given.get(name).unwrap_or(&Json::Null);
                    members.insert(name.clone(), within(at, step(name), |at| self.typed(said, ty, at)));
                }
                for name in given.keys().filter(|name| !members.contains_key(*name)) {
                    self.fault(at, format!("there is no attribute {name}"));
                }
                Value::Map(members)
            }
            (Type::Dynamic, _) => {
                let (ty, value) = infer(json);
                Value::dynamic(ty, value)
            }
            _ => self.fault(at, format!("a value of type {ty} is needed here")),
        }
    }

    // What HCL's decoder and core's own checks refuse, so that a provider never sees it.
    fn complete_block(&mut self, value: &Value, block: &Block, at: &mut Path) {
        let Value::Map(members) = value else { return };
        for attribute in &block.attributes {
            let value = members.get(&attribute.name).unwrap_or(&Value::Null);
            within(at, step(&attribute.name), |at| {
                if attribute.required && value.is_null() {
                    self.fault(at, "it is required");
                }
                if !attribute.is_configurable() && !value.is_null() {
                    self.fault(at, "its value is decided by the provider; it cannot be configured");
                }
                if let Kind::Nested(nesting, inner) = &attribute.kind {
                    self.complete_each(value, inner, *nesting == Nesting::Single, at);
                }
            });
        }
        for nested in &block.blocks {
            let value = members.get(&nested.name).unwrap_or(&Value::Null);
            within(at, step(&nested.name), |at| {
                if let Some(count) = block_count(value, nested.nesting) {
                    if count < nested.min {
                        self.fault(at, format!("at least {} of these blocks are needed", nested.min));
                    }
                    if nested.max > 0 && count > nested.max {
                        self.fault(at, format!("no more than {} of these blocks are allowed", nested.max));
                    }
                }
                let single = matches!(nested.nesting, BlockNesting::Single | BlockNesting::Group);
                self.complete_each(value, &nested.block, single, at);
            });
        }
    }

    fn complete_each(&mut self, value: &Value, block: &Block, single: bool, at: &mut Path) {
        match value {
            _ if single => self.complete_block(value, block, at),
            Value::Map(members) => {
                for (key, element) in members {
                    within(at, Step::Key(key.clone()), |at| self.complete_block(element, block, at));
                }
            }
            _ => {
                for (index, element) in value.as_elements().unwrap_or_default().iter().enumerate() {
                    within(at, Step::Index(index), |at| self.complete_block(element, block, at));
                }
            }
        }
    }
}

fn block_count(value: &Value, nesting: BlockNesting) -> Option<u64> {
    match (nesting, value) {
        (BlockNesting::Single, Value::Map(_)) => Some(1),
        (BlockNesting::Single, Value::Null) => Some(0),
        (BlockNesting::List | BlockNesting::Set, value) => {
            value.as_elements().and_then(|elements| u64::try_from(elements.len()).ok())
        }
        _ => None,
    }
}

fn step(name: &str) -> Step {
    Step::Attribute(name.to_owned())
}

/// The type that an HCL expression of this JSON would have. An unknown in it has no type of its own.
fn infer(json: &Json) -> (Type, Value) {
    if let Some(unknown) = as_unknown(json) {
        return (Type::Dynamic, unknown);
    }
    match json {
        Json::Null => (Type::Dynamic, Value::Null),
        Json::Bool(bool) => (Type::Bool, Value::Bool(*bool)),
        Json::String(text) => (Type::String, Value::String(text.clone())),
        Json::Number(number) => match number.to_string().parse() {
            Ok(number) => (Type::Number, Value::Number(number)),
            Err(_) => (Type::String, Value::String(number.to_string())),
        },
        Json::Array(elements) => {
            let (types, values): (Vec<_>, Vec<_>) = elements.iter().map(infer).unzip();
            (Type::tuple(types), Value::List(values))
        }
        Json::Object(members) => {
            let inferred = members.iter().map(|(name, member)| (name.clone(), infer(member)));
            let (types, values): (Vec<_>, Vec<_>) =
                inferred.map(|(name, (ty, value))| ((name.clone(), ty), (name, value))).unzip();
            (Type::object(types), Value::map(values))
        }
    }
}
