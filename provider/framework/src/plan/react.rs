//! What becomes unknown in an update because something else changes
//! ([`ChangesWith`](tfplugin_schema::ChangesWith)). Evaluated until nothing more happens, because what became
//! unknown is a change for others.

use std::collections::HashMap;

use tfplugin_schema::{ChangesWith, Value};

use super::tree::{Node, ObjectNode, any_attribute};

type Top<'a> = HashMap<&'a str, bool>;

/// Makes unknown what changes with what changed.
pub(super) fn react(root: &mut ObjectNode<'_>) {
    let reacts = |schema| any_attribute(schema, &|a| a.changes_with != ChangesWith::Nothing);
    if !root.changed() || !reacts(root.schema) {
        return;
    }
    // Each round but the last makes an attribute unknown, and none is made so twice.
    loop {
        let schema = root.schema;
        let names = schema.attributes.iter().map(|a| a.name.as_str());
        let names = names.chain(schema.blocks.iter().map(|b| b.name.as_str()));
        let nodes = root.attributes.iter().chain(&root.blocks);
        let top: Top<'_> = names.zip(nodes.map(|node| node.changed)).collect();
        if !object(root, &top) {
            return;
        }
    }
}

fn object(object: &mut ObjectNode<'_>, top: &Top<'_>) -> bool {
    let mut reacted = false;
    for (index, attribute) in object.schema.attributes.iter().enumerate() {
        // A name that is no sibling means the attribute of that name at the top.
        let changed = |name: &String| {
            object.changed_at(name).or_else(|| top.get(name.as_str()).copied()).unwrap_or(false)
        };
        let affected = match &attribute.changes_with {
            ChangesWith::Nothing => false,
            ChangesWith::Anything => true,
            ChangesWith::These(names) => names.iter().any(changed),
        };
        let Some(node) = object.attributes.get_mut(index) else { continue };
        if affected && node.free && !node.settled && !node.is_unknown() {
            node.put(Value::UNKNOWN);
            reacted = true;
        } else {
            reacted |= inside(node, top);
        }
    }
    for block in &mut object.blocks {
        reacted |= inside(block, top);
    }
    reacted
}

fn inside(node: &mut Node<'_>, top: &Top<'_>) -> bool {
    let mut reacted = false;
    node.each_object(&mut |child| reacted |= object(child, top));
    reacted
}
