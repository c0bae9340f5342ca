//! Schemas and functions as messages of the protocol.

use bytes::Bytes;

use crate::function::{Function, Parameter};
use crate::proto::tfplugin6 as pb;
use crate::proto::tfplugin6::schema::{Attribute as PbAttribute, Block, NestedBlock as PbBlock, Object};
use crate::schema::{
    Attribute, AttributeKind, BlockNesting, NestedBlock, Nesting, ObjectSchema, Presence, Type,
};

const MARKDOWN: i32 = pb::StringKind::Markdown as i32;

pub(super) fn schema(object: &ObjectSchema, version: i64) -> pb::Schema {
    pb::Schema { version, block: Some(block(object, version)) }
}

fn block(object: &ObjectSchema, version: i64) -> Block {
    Block {
        version,
        attributes: object.attributes.iter().map(attribute).collect(),
        block_types: object.blocks.iter().map(nested_block).collect(),
        description: object.description.clone(),
        description_kind: MARKDOWN,
        deprecated: object.deprecation.is_some(),
        deprecation_message: object.deprecation.clone().unwrap_or_default(),
        computed: false,
    }
}

fn attribute(attribute: &Attribute) -> PbAttribute {
    let (r#type, nested_type) = match &attribute.kind {
        AttributeKind::Plain(ty) => (type_bytes(ty), None),
        AttributeKind::Nested(nesting, inner) => (Bytes::new(), Some(object(*nesting, inner))),
    };
    PbAttribute {
        name: attribute.name.clone(),
        r#type,
        nested_type,
        description: attribute.description.clone(),
        required: attribute.presence == Presence::Required,
        optional: matches!(attribute.presence, Presence::Optional | Presence::OptionalComputed),
        computed: attribute.presence.is_computed(),
        sensitive: attribute.sensitive,
        description_kind: MARKDOWN,
        deprecated: attribute.deprecation.is_some(),
        write_only: attribute.write_only,
        deprecation_message: attribute.deprecation.clone().unwrap_or_default(),
    }
}

fn object(nesting: Nesting, object: &ObjectSchema) -> Object {
    use pb::schema::object::NestingMode;
    let nesting = match nesting {
        Nesting::Single => NestingMode::Single,
        Nesting::List => NestingMode::List,
        Nesting::Set => NestingMode::Set,
        Nesting::Map => NestingMode::Map,
    };
    Object { attributes: object.attributes.iter().map(attribute).collect(), nesting: nesting as i32 }
}

fn nested_block(nested: &NestedBlock) -> PbBlock {
    use pb::schema::nested_block::NestingMode;
    let nesting = match nested.nesting {
        BlockNesting::Single => NestingMode::Single,
        BlockNesting::Group => NestingMode::Group,
        BlockNesting::List => NestingMode::List,
        BlockNesting::Set => NestingMode::Set,
        BlockNesting::Map => NestingMode::Map,
    };
    PbBlock {
        type_name: nested.name.clone(),
        block: Some(block(&nested.object, 0)),
        nesting: nesting as i32,
        min_items: i64::try_from(nested.min_items).unwrap_or(i64::MAX),
        max_items: i64::try_from(nested.max_items).unwrap_or(i64::MAX),
    }
}

pub(super) fn function(function: &Function) -> pb::Function {
    pb::Function {
        parameters: function.parameters.iter().map(parameter).collect(),
        variadic_parameter: function.variadic.as_ref().map(parameter),
        r#return: Some(pb::function::Return { r#type: type_bytes(&function.returns) }),
        summary: function.summary.clone(),
        description: function.description.clone(),
        description_kind: MARKDOWN,
        deprecation_message: function.deprecation.clone().unwrap_or_default(),
    }
}

fn parameter(parameter: &Parameter) -> pb::function::Parameter {
    pb::function::Parameter {
        name: parameter.name.clone(),
        r#type: type_bytes(&parameter.ty),
        allow_null_value: parameter.nullable,
        allow_unknown_values: parameter.unknown,
        description: parameter.description.clone(),
        description_kind: MARKDOWN,
    }
}

fn type_bytes(ty: &Type) -> Bytes {
    Bytes::from(ty.to_json().to_string())
}
