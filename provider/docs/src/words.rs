//! Types in the words that readers of registry pages know: `List of String`.

use tfplugin_schema::{AttributeKind, BlockNesting, NestedBlock, Nesting, ObjectType, Type};

/// The type of an attribute.
pub(crate) fn of_attribute(kind: &AttributeKind) -> String {
    match kind {
        AttributeKind::Plain(ty) => of_type(ty),
        AttributeKind::Nested(nesting, _) => match nesting {
            Nesting::Single => "Attributes",
            Nesting::List => "Attributes List",
            Nesting::Set => "Attributes Set",
            Nesting::Map => "Attributes Map",
        }
        .to_owned(),
    }
}

/// A type.
pub(crate) fn of_type(ty: &Type) -> String {
    match ty {
        Type::Bool => "Boolean".to_owned(),
        Type::Number => "Number".to_owned(),
        Type::String => "String".to_owned(),
        Type::Dynamic => "Dynamic".to_owned(),
        Type::List(element) => format!("List of {}", of_type(element)),
        Type::Set(element) => format!("Set of {}", of_type(element)),
        Type::Map(element) => format!("Map of {}", of_type(element)),
        Type::Tuple(elements) => {
            let elements: Vec<String> = elements.iter().map(of_type).collect();
            format!(
                "Tuple of {}",
                if elements.is_empty() { "nothing".to_owned() } else { elements.join(", ") }
            )
        }
        Type::Object(_) => "Object".to_owned(),
    }
}

/// A block, and how many there may be.
pub(crate) fn of_block(block: &NestedBlock) -> String {
    let (word, counted) = match block.nesting {
        BlockNesting::Single if block.min_items > 0 => return "Block, Required".to_owned(),
        BlockNesting::Single | BlockNesting::Group => return "Block, Optional".to_owned(),
        BlockNesting::List => ("Block List", true),
        BlockNesting::Set => ("Block Set", true),
        BlockNesting::Map => ("Block Map", false),
    };
    let mut words = word.to_owned();
    if counted && block.min_items > 0 {
        words.push_str(&format!(", Min: {}", block.min_items));
    }
    if counted && block.max_items > 0 {
        words.push_str(&format!(", Max: {}", block.max_items));
    }
    words
}

/// The object in a type, if there is one below collections alone.
pub(crate) fn object_in(ty: &Type) -> Option<&ObjectType> {
    match ty {
        Type::Object(object) if !object.attributes.is_empty() => Some(object),
        Type::List(element) | Type::Set(element) | Type::Map(element) => object_in(element),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tfplugin_schema::ObjectSchema;

    #[test]
    fn types_are_told_in_words() {
        assert_eq!(of_type(&Type::list(Type::map(Type::Bool))), "List of Map of Boolean");
        assert_eq!(of_type(&Type::set(Type::object([("a", Type::Number)]))), "Set of Object");
        assert_eq!(of_type(&Type::tuple([Type::String, Type::Dynamic])), "Tuple of String, Dynamic");
        let nested = AttributeKind::Nested(Nesting::Map, ObjectSchema::default().into());
        assert_eq!(of_attribute(&nested), "Attributes Map");
    }

    #[test]
    fn blocks_say_how_many_there_may_be() {
        let block = |nesting| NestedBlock::new("b", nesting, ObjectSchema::default());
        assert_eq!(of_block(&block(BlockNesting::List).items(1, 3)), "Block List, Min: 1, Max: 3");
        assert_eq!(of_block(&block(BlockNesting::Set)), "Block Set");
        assert_eq!(of_block(&block(BlockNesting::Map)), "Block Map");
        assert_eq!(of_block(&block(BlockNesting::Single)), "Block, Optional");
        assert_eq!(of_block(&block(BlockNesting::Single).required()), "Block, Required");
        assert_eq!(of_block(&block(BlockNesting::Group)), "Block, Optional");
    }
}
