//! Objects: the attributes, nested blocks and rules of a resource, of a nested attribute or of a block.

use std::sync::Arc;

use crate::validate::Rule;
use crate::{Attribute, ObjectType, Type};

/// The attributes and nested blocks of a resource, of a nested attribute or of a block.
#[derive(Clone, Debug, Default)]
pub struct ObjectSchema {
    /// What it is, in Markdown.
    pub description: String,
    /// Why it should not be used any more, and what to use instead.
    pub deprecation: Option<String>,
    /// Its attributes, in the order of their declaration.
    pub attributes: Vec<Attribute>,
    /// Its nested blocks. Empty inside nested attributes. Prefer nested attributes for everything new.
    pub blocks: Vec<NestedBlock>,
    /// What must hold between attributes.
    pub rules: Vec<Rule>,
}

impl ObjectSchema {
    /// An object without attributes.
    pub fn new(description: impl Into<String>) -> ObjectSchema {
        ObjectSchema { description: description.into(), ..ObjectSchema::default() }
    }

    /// Adds an attribute.
    #[must_use]
    pub fn attribute(mut self, attribute: Attribute) -> ObjectSchema {
        self.attributes.push(attribute);
        self
    }

    /// Adds attributes.
    #[must_use]
    pub fn attributes(mut self, attributes: impl IntoIterator<Item = Attribute>) -> ObjectSchema {
        self.attributes.extend(attributes);
        self
    }

    /// Adds a nested block.
    #[must_use]
    pub fn block(mut self, block: NestedBlock) -> ObjectSchema {
        self.blocks.push(block);
        self
    }

    /// Adds a rule between attributes.
    #[must_use]
    pub fn rule(mut self, rule: Rule) -> ObjectSchema {
        self.rules.push(rule);
        self
    }

    /// Takes over attributes, blocks and rules of another: what `flatten` does.
    #[must_use]
    pub fn flatten(mut self, other: ObjectSchema) -> ObjectSchema {
        self.attributes.extend(other.attributes);
        self.blocks.extend(other.blocks);
        self.rules.extend(other.rules);
        self
    }

    /// Why not to use it any more, and what to use instead.
    #[must_use]
    pub fn deprecate(mut self, message: impl Into<String>) -> ObjectSchema {
        self.deprecation = Some(message.into());
        self
    }

    /// The attribute of that name.
    pub fn find(&self, name: &str) -> Option<&Attribute> {
        self.attributes.iter().find(|attribute| attribute.name == name)
    }

    /// The object type that values of it have.
    pub fn ty(&self) -> Type {
        let mut object = ObjectType::default();
        for attribute in &self.attributes {
            object.attributes.insert(attribute.name.clone(), attribute.ty());
        }
        for block in &self.blocks {
            object.attributes.insert(block.name.clone(), block.ty());
        }
        Type::Object(Arc::new(object))
    }
}

/// A block inside a block: `listener { … }`.
#[derive(Clone, Debug)]
pub struct NestedBlock {
    /// Its name in HCL.
    pub name: String,
    /// How many there may be and how they are held.
    pub nesting: BlockNesting,
    /// What is in each.
    pub object: Arc<ObjectSchema>,
    /// The fewest that a configuration must have.
    pub min_items: u64,
    /// The most that a configuration may have; 0 for any number.
    pub max_items: u64,
}

/// How nested blocks are held.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum BlockNesting {
    /// One or none (null).
    Single,
    /// Always one: where the configuration has none, one with null attributes.
    Group,
    /// In order.
    List,
    /// In no order, each once. Slow in Terraform itself beyond some hundred blocks.
    Set,
    /// By label.
    Map,
}

impl NestedBlock {
    /// A block that may be there any number of times (for [`BlockNesting::Single`] at most once).
    pub fn new(name: impl Into<String>, nesting: BlockNesting, object: ObjectSchema) -> NestedBlock {
        NestedBlock { name: name.into(), nesting, object: Arc::new(object), min_items: 0, max_items: 0 }
    }

    /// Must be there: exactly once for a single block, at least once for lists and sets.
    #[must_use]
    pub fn required(mut self) -> NestedBlock {
        self.min_items = 1;
        if self.nesting == BlockNesting::Single {
            self.max_items = 1;
        }
        self
    }

    /// How many there may be. For lists and sets.
    #[must_use]
    pub fn items(mut self, min: u64, max: u64) -> NestedBlock {
        (self.min_items, self.max_items) = (min, max);
        self
    }

    /// The type of the value.
    pub fn ty(&self) -> Type {
        let ty = self.object.ty();
        match self.nesting {
            BlockNesting::Single | BlockNesting::Group => ty,
            BlockNesting::List => Type::list(ty),
            BlockNesting::Set => Type::set(ty),
            BlockNesting::Map => Type::map(ty),
        }
    }
}
