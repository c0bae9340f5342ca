//! Which matches of set elements could still be lost when the rest of the configuration becomes known.
//!
//! Two elements can claim the same prior one only if they leave different attributes to the provider:
//! `{ name = "a" }` and `{ name = "a", zone = "z" }` may both have been `{ name = "a", zone = "z" }`, and the
//! more specific one is served first. If that one is not known yet, then what the other will be is not known
//! either; promising it would break the promise in the plan that is made during the apply.

use std::collections::HashSet;
use std::hash::{DefaultHasher, Hash, Hasher};

use tfplugin_schema::{AttributeKind, BlockNesting, Nesting, ObjectSchema, Presence, Value};

use super::correlate::Index;
use super::sets::template;
use super::tree::{NULL, any_attribute};

/// Gives up matches that an element which is not wholly known may claim.
pub(super) fn contest(schema: &ObjectSchema, config: &[Value], prior: &[Value], pairs: &mut [Option<usize>]) {
    let is_choice = |presence, defaulted: bool| presence == Presence::OptionalComputed && !defaulted;
    if !any_attribute(schema, &|a| is_choice(a.presence, a.default.is_some())) {
        return;
    }
    let open: Vec<&Value> = config.iter().filter(|element| !element.is_wholly_known()).collect();
    if open.is_empty() {
        return;
    }
    let rivals: Vec<Choices> = open.iter().map(|element| Choices::of(schema, element)).collect();
    let templates: Vec<Value> = open.iter().map(|element| template(schema, element)).collect();
    let index = Index::new(&templates);
    for (element, pair) in config.iter().zip(pairs) {
        let Some(value) = pair.and_then(|value| prior.get(value)) else { continue };
        let choices = Choices::of(schema, element);
        if !choices.left.is_empty() && index.any(value, |rival| !choices.precede(&rivals[rival])) {
            *pair = None;
        }
    }
}

/// Which choices a configured element leaves to the provider: hashes of the places of attributes that it
/// could set and does not.
#[derive(Default)]
struct Choices {
    left: HashSet<u64>,
    /// Whether some are in a set, where places have no name.
    unnamed: bool,
}

impl Choices {
    fn of(schema: &ObjectSchema, element: &Value) -> Choices {
        let mut choices = Choices::default();
        choices.object(schema, element, 0);
        choices
    }

    /// Whether this one leaves no choice that the rival is not certain to leave too.
    fn precede(&self, rival: &Choices) -> bool {
        !self.unnamed && !rival.unnamed && self.left.is_subset(&rival.left)
    }

    fn object(&mut self, schema: &ObjectSchema, value: &Value, at: u64) {
        if !matches!(value, Value::Map(_)) {
            return;
        }
        for attribute in &schema.attributes {
            let at = place(at, &attribute.name);
            let value = value.get(&attribute.name);
            if value.is_null() {
                if attribute.presence == Presence::OptionalComputed && attribute.default.is_none() {
                    self.left.insert(at);
                }
            } else if let AttributeKind::Nested(nesting, object) = &attribute.kind {
                self.nested(*nesting, object, value, at);
            }
        }
        for block in &schema.blocks {
            let nesting = match block.nesting {
                BlockNesting::Single | BlockNesting::Group => Nesting::Single,
                BlockNesting::List => Nesting::List,
                BlockNesting::Set => Nesting::Set,
                BlockNesting::Map => Nesting::Map,
            };
            let value = value.as_map().and_then(|members| members.get(&block.name)).unwrap_or(&NULL);
            self.nested(nesting, &block.object, value, place(at, &block.name));
        }
    }

    fn nested(&mut self, nesting: Nesting, schema: &ObjectSchema, value: &Value, at: u64) {
        match (nesting, value) {
            (Nesting::Single, value) => self.object(schema, value, at),
            (Nesting::List, Value::List(elements)) => {
                for (index, element) in elements.iter().enumerate() {
                    self.object(schema, element, place(at, &index));
                }
            }
            (Nesting::Map, Value::Map(elements)) => {
                for (key, element) in elements {
                    self.object(schema, element, place(at, key));
                }
            }
            (Nesting::Set, Value::Set(elements)) => {
                let before = self.left.len();
                elements.iter().for_each(|element| self.object(schema, element, place(at, &())));
                self.unnamed |= self.left.len() > before;
            }
            _ => {}
        }
    }
}

fn place(at: u64, step: &(impl Hash + ?Sized)) -> u64 {
    let mut hasher = DefaultHasher::new();
    at.hash(&mut hasher);
    step.hash(&mut hasher);
    hasher.finish()
}
