//! The plan while it is made: every attribute with what the configuration says, what was, and what will be.
//! Elements of sets are matched with their prior selves once, here; every later stage finds them matched.
//!
//! Building applies defaults, nulls what is write-only, takes over the configuration (in its prior spelling
//! where both mean the same), keeps prior values of computed attributes, and leaves unknown what is new.

use std::borrow::Cow;

use tfplugin_schema::{
    Attribute, AttributeKind, BlockNesting, ChangesWith, Members, Nesting, ObjectSchema, Presence, Value,
};

use super::sets;

pub(super) static NULL: Value = Value::Null;
static NO_MEMBERS: Members = Members::new();

/// One object: its attributes and blocks in the order of the schema.
pub(super) struct ObjectNode<'a> {
    pub(super) schema: &'a ObjectSchema,
    pub(super) attributes: Vec<Node<'a>>,
    pub(super) blocks: Vec<Node<'a>>,
}

/// One attribute, block, or element of either.
pub(super) struct Node<'a> {
    /// What the configuration says, before any default.
    pub(super) config: &'a Value,
    /// What it was; null where it is new.
    pub(super) prior: &'a Value,
    /// What it will be.
    pub(super) body: Body<'a>,
    /// Whether the provider chooses the value: computed, and neither configured nor defaulted.
    pub(super) free: bool,
    /// Whether it differs from what it was.
    pub(super) changed: bool,
    /// Whether a modifier has decided the value.
    pub(super) settled: bool,
    /// Whether a modifier asks for another object.
    pub(super) replace: bool,
}

/// What an attribute will be: one value, or something with attributes inside.
pub(super) enum Body<'a> {
    Whole(Cow<'a, Value>),
    Object(ObjectNode<'a>),
    List(Vec<Node<'a>>),
    Set(Vec<Node<'a>>),
    Map(Vec<(&'a str, Node<'a>)>),
}

/// Starts the plan of an object. Without prior it is a create; `pending` says that the create did not finish.
pub(super) fn build<'a>(
    schema: &'a ObjectSchema,
    config: &'a Members,
    prior: Option<&'a Members>,
    pending: bool,
) -> ObjectNode<'a> {
    Builder { pending }.object(schema, config, prior, false)
}

/// What the configuration says of an attribute, or its default. A value for an attribute that is only
/// computed does not count (`ignore_changes` can put one there).
pub(super) fn said<'a>(attribute: &'a Attribute, config: &'a Value) -> &'a Value {
    let said = if attribute.presence == Presence::Computed { &NULL } else { config };
    match &attribute.default {
        Some(default) if said.is_null() => default,
        _ => said,
    }
}

/// Whether anything in it can become unknown in an update, or is planned by a modifier.
fn reacts(schema: &ObjectSchema) -> bool {
    any_attribute(schema, &|attribute| {
        attribute.changes_with != ChangesWith::Nothing || !attribute.modifiers.is_empty()
    })
}

/// Whether an attribute at any depth is such.
pub(super) fn any_attribute(schema: &ObjectSchema, is: &dyn Fn(&Attribute) -> bool) -> bool {
    schema.attributes.iter().any(|attribute| {
        is(attribute)
            || matches!(&attribute.kind, AttributeKind::Nested(_, object) if any_attribute(object, is))
    }) || schema.blocks.iter().any(|block| any_attribute(&block.object, is))
}

#[derive(Clone, Copy)]
struct Builder {
    pending: bool,
}

impl Builder {
    /// `owned`: a computed attribute contains it, so the configuration says nothing about any of it.
    fn object<'a>(
        self,
        schema: &'a ObjectSchema,
        config: &'a Members,
        prior: Option<&'a Members>,
        owned: bool,
    ) -> ObjectNode<'a> {
        let prior_of = |name: &str| prior.map(|prior| prior.get(name).unwrap_or(&NULL));
        let attributes = schema.attributes.iter().map(|attribute| {
            let config = config.get(&attribute.name).unwrap_or(&NULL);
            self.attribute(attribute, config, prior_of(&attribute.name), owned)
        });
        let attributes = attributes.collect();
        let blocks = schema.blocks.iter().map(|block| {
            let config = config.get(&block.name).unwrap_or(&NULL);
            let prior = prior_of(&block.name).unwrap_or(&NULL);
            let body = self.block(block.nesting, &block.object, config, prior);
            Node::new(config, prior, body, false)
        });
        let blocks = blocks.collect();
        ObjectNode { schema, attributes, blocks }
    }

    fn attribute<'a>(
        self,
        attribute: &'a Attribute,
        config: &'a Value,
        prior: Option<&'a Value>,
        owned: bool,
    ) -> Node<'a> {
        let before = prior.unwrap_or(&NULL);
        if attribute.write_only {
            return Node::new(config, before, Body::Whole(Cow::Borrowed(&NULL)), false);
        }
        let said = if owned { &NULL } else { said(attribute, config) };
        let free = said.is_null() && (owned || attribute.presence.is_computed());
        let body = if free {
            self.kept(attribute, prior)
        } else if means_prior(attribute, said, before) {
            Body::Whole(Cow::Borrowed(before))
        } else {
            match &attribute.kind {
                AttributeKind::Plain(_) => Body::Whole(Cow::Borrowed(said)),
                AttributeKind::Nested(nesting, object) => self.container(*nesting, object, said, before),
            }
        };
        Node::new(config, before, body, free)
    }

    /// A value that the provider chooses: the prior one, unknown where there is none.
    fn kept<'a>(self, attribute: &'a Attribute, prior: Option<&'a Value>) -> Body<'a> {
        match (prior, &attribute.kind) {
            (None, _) => Body::Whole(Cow::Owned(Value::UNKNOWN)),
            (Some(prior), _) if prior.is_null() && self.pending => Body::Whole(Cow::Owned(Value::UNKNOWN)),
            (Some(prior), AttributeKind::Nested(nesting, object)) if self.pending || reacts(object) => {
                self.owned(*nesting, object, prior)
            }
            (Some(prior), _) => Body::Whole(Cow::Borrowed(prior)),
        }
    }

    /// A computed value with attributes inside, some of which may change on their own.
    fn owned<'a>(self, nesting: Nesting, schema: &'a ObjectSchema, prior: &'a Value) -> Body<'a> {
        let element =
            |prior: &'a Value| Node::new(&NULL, prior, self.owned(Nesting::Single, schema, prior), true);
        match (nesting, prior) {
            (Nesting::Single, Value::Map(members)) => {
                Body::Object(self.object(schema, &NO_MEMBERS, Some(members), true))
            }
            (Nesting::Map, Value::Map(members)) => {
                Body::Map(members.iter().map(|(key, prior)| (key.as_str(), element(prior))).collect())
            }
            (Nesting::List, Value::List(elements)) => Body::List(elements.iter().map(element).collect()),
            (Nesting::Set, Value::Set(elements)) => Body::Set(elements.iter().map(element).collect()),
            (_, other) => Body::Whole(Cow::Borrowed(other)),
        }
    }

    fn block<'a>(
        self,
        nesting: BlockNesting,
        schema: &'a ObjectSchema,
        config: &'a Value,
        prior: &'a Value,
    ) -> Body<'a> {
        let nesting = match nesting {
            // Always there: with null attributes where the configuration has none.
            BlockNesting::Group if config.is_null() => {
                return Body::Object(self.object(schema, &NO_MEMBERS, prior.as_map(), false));
            }
            BlockNesting::Single | BlockNesting::Group => Nesting::Single,
            // Collections of blocks are empty, never null.
            BlockNesting::List if config.is_null() => return Body::List(Vec::new()),
            BlockNesting::Set if config.is_null() => return Body::Set(Vec::new()),
            BlockNesting::Map if config.is_null() => return Body::Map(Vec::new()),
            BlockNesting::List => Nesting::List,
            BlockNesting::Set => Nesting::Set,
            BlockNesting::Map => Nesting::Map,
        };
        self.container(nesting, schema, config, prior)
    }

    fn container<'a>(
        self,
        nesting: Nesting,
        schema: &'a ObjectSchema,
        config: &'a Value,
        prior: &'a Value,
    ) -> Body<'a> {
        match (nesting, config) {
            (Nesting::Single, Value::Map(members)) => {
                Body::Object(self.object(schema, members, prior.as_map(), false))
            }
            (Nesting::List, Value::List(elements)) => {
                let prior = prior.as_elements().unwrap_or_default();
                let element = |(i, config)| self.element(schema, config, prior.get(i));
                Body::List(elements.iter().enumerate().map(element).collect())
            }
            (Nesting::Set, Value::Set(elements)) => {
                let prior = prior.as_elements().unwrap_or_default();
                let priors = sets::match_prior(schema, elements.as_slice(), prior);
                let pairs = elements.iter().zip(priors);
                Body::Set(pairs.map(|(config, prior)| self.element(schema, config, prior)).collect())
            }
            (Nesting::Map, Value::Map(elements)) => {
                let prior = prior.as_map().unwrap_or(&NO_MEMBERS);
                let element = |(key, config): (&'a String, &'a Value)| {
                    (key.as_str(), self.element(schema, config, prior.get(key)))
                };
                Body::Map(elements.iter().map(element).collect())
            }
            // Null, unknown, or of a type that `check_type` refuses.
            (_, other) => Body::Whole(Cow::Borrowed(other)),
        }
    }

    fn element<'a>(self, schema: &'a ObjectSchema, config: &'a Value, prior: Option<&'a Value>) -> Node<'a> {
        let body = match config {
            Value::Map(members) => {
                Body::Object(self.object(schema, members, prior.and_then(Value::as_map), false))
            }
            other => Body::Whole(Cow::Borrowed(other)),
        };
        Node::new(config, prior.unwrap_or(&NULL), body, false)
    }
}

/// Whether the configuration says what was, only in other words.
fn means_prior(attribute: &Attribute, said: &Value, prior: &Value) -> bool {
    attribute.same.is_some_and(|same| {
        !said.is_null() && !prior.is_null() && said.is_wholly_known() && same(said, prior)
    })
}

impl<'a> Node<'a> {
    fn new(config: &'a Value, prior: &'a Value, body: Body<'a>, free: bool) -> Node<'a> {
        let mut node = Node { config, prior, body, free, changed: false, settled: false, replace: false };
        node.refresh();
        node
    }

    /// Looks again whether it changed, given that its children already know.
    pub(super) fn refresh(&mut self) {
        self.changed = match &self.body {
            Body::Whole(value) => value.as_ref() != self.prior,
            Body::Object(object) => !matches!(self.prior, Value::Map(_)) || object.changed(),
            Body::List(elements) => {
                !matches!(self.prior, Value::List(prior) if prior.len() == elements.len())
                    || elements.iter().any(|element| element.changed)
            }
            Body::Set(elements) => {
                !matches!(self.prior, Value::Set(prior) if prior.len() == elements.len())
                    || elements.iter().any(|element| element.changed)
            }
            Body::Map(elements) => {
                !matches!(self.prior, Value::Map(prior) if prior.len() == elements.len())
                    || elements.iter().any(|(_, element)| element.changed)
            }
        };
    }

    /// Gives it another value as a whole.
    pub(super) fn put(&mut self, value: Value) {
        self.body = Body::Whole(Cow::Owned(value));
        self.refresh();
    }

    /// Whether it is unknown as a whole.
    pub(super) fn is_unknown(&self) -> bool {
        matches!(&self.body, Body::Whole(value) if value.is_unknown())
    }

    /// Visits the objects directly inside, and then looks again whether it changed.
    pub(super) fn each_object(&mut self, visit: &mut dyn FnMut(&mut ObjectNode<'a>)) {
        match &mut self.body {
            Body::Whole(_) => return,
            Body::Object(object) => visit(object),
            Body::List(elements) | Body::Set(elements) => {
                elements.iter_mut().for_each(|element| element.each_object(visit));
            }
            Body::Map(elements) => {
                elements.iter_mut().for_each(|(_, element)| element.each_object(visit));
            }
        }
        self.refresh();
    }

    /// What it will be, so far.
    pub(super) fn value(&self) -> Value {
        match &self.body {
            Body::Whole(value) => value.as_ref().clone(),
            Body::Object(object) => object.value(),
            Body::List(elements) => Value::list(elements.iter().map(Node::value)),
            Body::Set(elements) => Value::set(elements.iter().map(Node::value)),
            Body::Map(elements) => Value::map(elements.iter().map(|(key, element)| (*key, element.value()))),
        }
    }
}

impl ObjectNode<'_> {
    /// Whether anything in it differs from what it was.
    pub(super) fn changed(&self) -> bool {
        self.attributes.iter().chain(&self.blocks).any(|node| node.changed)
    }

    /// Whether the attribute or block of that name differs from what it was. None: there is no such name.
    pub(super) fn changed_at(&self, name: &str) -> Option<bool> {
        let attribute = self.schema.attributes.iter().position(|attribute| attribute.name == name);
        let block = || self.schema.blocks.iter().position(|block| block.name == name);
        match attribute {
            Some(index) => self.attributes.get(index),
            None => block().and_then(|index| self.blocks.get(index)),
        }
        .map(|node| node.changed)
    }

    /// What it will be, so far.
    pub(super) fn value(&self) -> Value {
        let attributes = self.schema.attributes.iter().map(|attribute| &attribute.name);
        let blocks = self.schema.blocks.iter().map(|block| &block.name);
        let names = attributes.chain(blocks);
        let nodes = self.attributes.iter().chain(&self.blocks);
        Value::map(names.zip(nodes).map(|(name, node)| (name.as_str(), node.value())))
    }
}
