//! A schema as it came over the wire: all that a host knows of a provider's values. Made from the protocol's
//! message alone, so that what the framework believes of its own schemas cannot hide a mistake.

use std::sync::Arc;

use tfplugin_framework::proto::tfplugin6 as pb;
use tfplugin_framework::schema::{BlockNesting, Nesting, ObjectType, Type, Value};

/// Attributes and nested blocks.
#[derive(Clone, Debug, Default)]
pub(super) struct Block {
    pub(super) attributes: Vec<Attribute>,
    pub(super) blocks: Vec<NestedBlock>,
}

/// One attribute.
#[derive(Clone, Debug)]
pub(super) struct Attribute {
    pub(super) name: String,
    pub(super) kind: Kind,
    pub(super) required: bool,
    pub(super) optional: bool,
    pub(super) computed: bool,
    pub(super) write_only: bool,
}

/// A type, or nested attributes.
#[derive(Clone, Debug)]
pub(super) enum Kind {
    Plain(Type),
    Nested(Nesting, Arc<Block>),
}

/// A nested block.
#[derive(Clone, Debug)]
pub(super) struct NestedBlock {
    pub(super) name: String,
    pub(super) nesting: BlockNesting,
    pub(super) block: Arc<Block>,
    pub(super) min: u64,
    pub(super) max: u64,
}

/// A schema that Terraform core would load, or all that it would say against it.
pub(super) fn load(schema: Option<&pb::Schema>) -> Result<Block, Vec<String>> {
    let mut faults = Vec::new();
    let block = match schema.and_then(|schema| schema.block.as_ref()) {
        Some(message) => block(message, "", &mut faults),
        None => {
            faults.push("there is no block".to_owned());
            Block::default()
        }
    };
    if faults.is_empty() { Ok(block) } else { Err(faults) }
}

fn block(message: &pb::schema::Block, at: &str, faults: &mut Vec<String>) -> Block {
    if message.computed {
        faults.push(format!("{at}: computed blocks need Terraform 1.16"));
    }
    if !message.deprecated && !message.deprecation_message.is_empty() {
        faults.push(format!("{at}: a deprecation message without being deprecated"));
    }
    let attributes = attributes(&message.attributes, at, faults);
    let mut blocks: Vec<NestedBlock> = Vec::new();
    for nested in &message.block_types {
        let at = format!("{at}{}", nested.type_name);
        check_name(&nested.type_name, &at, faults);
        let taken = attributes.iter().any(|attribute| attribute.name == nested.type_name)
            || blocks.iter().any(|block| block.name == nested.type_name);
        if taken {
            faults.push(format!("{at}: the name is there twice"));
        }
        blocks.extend(nested_block(nested, &at, faults));
    }
    Block { attributes, blocks }
}

fn nested_block(nested: &pb::schema::NestedBlock, at: &str, faults: &mut Vec<String>) -> Option<NestedBlock> {
    use pb::schema::nested_block::NestingMode;
    let nesting = match NestingMode::try_from(nested.nesting) {
        Ok(NestingMode::Single) => BlockNesting::Single,
        Ok(NestingMode::Group) => BlockNesting::Group,
        Ok(NestingMode::List) => BlockNesting::List,
        Ok(NestingMode::Set) => BlockNesting::Set,
        Ok(NestingMode::Map) => BlockNesting::Map,
        Ok(NestingMode::Invalid) | Err(_) => {
            faults.push(format!("{at}: no nesting mode that exists ({})", nested.nesting));
            return None;
        }
    };
    let (Ok(min), Ok(max)) = (u64::try_from(nested.min_items), u64::try_from(nested.max_items)) else {
        faults.push(format!("{at}: min_items and max_items cannot be negative"));
        return None;
    };
    let counts_fit = match nesting {
        BlockNesting::Single => min == max && max <= 1,
        BlockNesting::Group | BlockNesting::Map => min == 0 && max == 0,
        BlockNesting::List | BlockNesting::Set => max == 0 || min <= max,
    };
    if !counts_fit {
        faults.push(format!("{at}: min_items {min} and max_items {max} do not fit its nesting"));
    }
    let Some(inner) = &nested.block else {
        faults.push(format!("{at}: there is no block in it"));
        return None;
    };
    let block = block(inner, &format!("{at}."), faults);
    if nesting == BlockNesting::Set {
        check_in_set(&block, at, faults);
    }
    Some(NestedBlock { name: nested.type_name.clone(), nesting, block: Arc::new(block), min, max })
}

fn attributes(messages: &[pb::schema::Attribute], at: &str, faults: &mut Vec<String>) -> Vec<Attribute> {
    let mut attributes: Vec<Attribute> = Vec::with_capacity(messages.len());
    for message in messages {
        let at = format!("{at}{}", message.name);
        check_name(&message.name, &at, faults);
        if attributes.iter().any(|attribute| attribute.name == message.name) {
            faults.push(format!("{at}: the name is there twice"));
        }
        attributes.extend(attribute(message, &at, faults));
    }
    attributes
}

fn attribute(message: &pb::schema::Attribute, at: &str, faults: &mut Vec<String>) -> Option<Attribute> {
    match (message.required, message.optional, message.computed) {
        (false, false, false) => faults.push(format!("{at}: neither required nor optional nor computed")),
        (true, true, _) | (true, _, true) => {
            faults.push(format!("{at}: required together with optional or computed"));
        }
        _ => {}
    }
    if message.write_only && message.computed {
        faults.push(format!("{at}: write-only together with computed"));
    }
    if !message.deprecated && !message.deprecation_message.is_empty() {
        faults.push(format!("{at}: a deprecation message without being deprecated"));
    }
    let kind = match (&message.nested_type, message.r#type.is_empty()) {
        (Some(object), true) => nested_attributes(object, at, faults)?,
        (None, false) => match Type::from_json(&message.r#type) {
            Ok(ty) => {
                if dynamic_in_set(&ty) {
                    faults.push(format!("{at}: a dynamic type in a set"));
                }
                Kind::Plain(ty)
            }
            Err(error) => {
                faults.push(format!("{at}: its type cannot be read: {error}"));
                return None;
            }
        },
        (Some(_), false) => {
            faults.push(format!("{at}: type and nested_type are both set"));
            return None;
        }
        (None, true) => {
            faults.push(format!("{at}: neither type nor nested_type is set"));
            return None;
        }
    };
    Some(Attribute {
        name: message.name.clone(),
        kind,
        required: message.required,
        optional: message.optional,
        computed: message.computed,
        write_only: message.write_only,
    })
}

fn nested_attributes(object: &pb::schema::Object, at: &str, faults: &mut Vec<String>) -> Option<Kind> {
    use pb::schema::object::NestingMode;
    let nesting = match NestingMode::try_from(object.nesting) {
        Ok(NestingMode::Single) => Nesting::Single,
        Ok(NestingMode::List) => Nesting::List,
        Ok(NestingMode::Set) => Nesting::Set,
        Ok(NestingMode::Map) => Nesting::Map,
        Ok(NestingMode::Invalid) | Err(_) => {
            faults.push(format!("{at}: no nesting mode that exists ({})", object.nesting));
            return None;
        }
    };
    let attributes = attributes(&object.attributes, &format!("{at}."), faults);
    let block = Block { attributes, blocks: Vec::new() };
    if nesting == Nesting::Set {
        check_in_set(&block, at, faults);
    }
    Some(Kind::Nested(nesting, Arc::new(block)))
}

fn check_name(name: &str, at: &str, faults: &mut Vec<String>) {
    let allowed = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
    if name.is_empty() || !name.chars().all(allowed) {
        faults.push(format!("{at}: names are of lower case letters, digits and underscores"));
    }
}

// Terraform core cannot compare such elements with one another.
fn check_in_set(block: &Block, at: &str, faults: &mut Vec<String>) {
    if block.any(&|attribute| matches!(&attribute.kind, Kind::Plain(ty) if ty.has_dynamic())) {
        faults.push(format!("{at}: a dynamic type in a set"));
    }
    if block.any(&|attribute| attribute.write_only) {
        faults.push(format!("{at}: a write-only attribute in a set"));
    }
}

fn dynamic_in_set(ty: &Type) -> bool {
    match ty {
        Type::Set(element) => element.has_dynamic(),
        Type::List(element) | Type::Map(element) => dynamic_in_set(element),
        Type::Tuple(elements) => elements.iter().any(dynamic_in_set),
        Type::Object(object) => object.attributes.values().any(dynamic_in_set),
        Type::Bool | Type::Number | Type::String | Type::Dynamic => false,
    }
}

impl Block {
    /// The type of its values.
    pub(super) fn ty(&self) -> Type {
        let attributes = self.attributes.iter().map(|attribute| (attribute.name.clone(), attribute.ty()));
        let blocks = self.blocks.iter().map(|block| (block.name.clone(), block.ty()));
        Type::Object(Arc::new(ObjectType {
            attributes: attributes.chain(blocks).collect(),
            ..ObjectType::default()
        }))
    }

    /// Whether any attribute at any depth is like this.
    pub(super) fn any(&self, test: &dyn Fn(&Attribute) -> bool) -> bool {
        let inside = |attribute: &Attribute| match &attribute.kind {
            Kind::Nested(_, inner) => inner.any(test),
            Kind::Plain(_) => false,
        };
        self.attributes.iter().any(|attribute| test(attribute) || inside(attribute))
            || self.blocks.iter().any(|block| block.block.any(test))
    }

    /// The object as it is where the configuration says nothing: null attributes, no blocks.
    pub(super) fn empty(&self) -> Value {
        let attributes = self.attributes.iter().map(|attribute| (attribute.name.as_str(), Value::Null));
        let blocks = self.blocks.iter().map(|block| (block.name.as_str(), block.none()));
        Value::map(attributes.chain(blocks))
    }
}

impl Attribute {
    pub(super) fn ty(&self) -> Type {
        match &self.kind {
            Kind::Plain(ty) => ty.clone(),
            Kind::Nested(nesting, block) => {
                let object = block.ty();
                match nesting {
                    Nesting::Single => object,
                    Nesting::List => Type::list(object),
                    Nesting::Set => Type::set(object),
                    Nesting::Map => Type::map(object),
                }
            }
        }
    }

    /// Whether the configuration may set it.
    pub(super) fn is_configurable(&self) -> bool {
        self.required || self.optional
    }
}

impl NestedBlock {
    fn ty(&self) -> Type {
        let object = self.block.ty();
        match self.nesting {
            BlockNesting::Single | BlockNesting::Group => object,
            BlockNesting::List => Type::list(object),
            BlockNesting::Set => Type::set(object),
            BlockNesting::Map => Type::map(object),
        }
    }

    /// The value where there is no such block.
    pub(super) fn none(&self) -> Value {
        match self.nesting {
            BlockNesting::Single => Value::Null,
            BlockNesting::Group => self.block.empty(),
            BlockNesting::List => Value::list([]),
            BlockNesting::Set => Value::set([]),
            BlockNesting::Map => Value::map::<String>([]),
        }
    }
}
