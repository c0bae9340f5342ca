//! The plan of an object whose creation did not finish: always an update, for that is what finishes it.

use tfplugin_schema::{ChangesWith, Replace, Value};

use super::tree::ObjectNode;

/// Makes an update of a plan that changes nothing, because all computed values were saved before the creation
/// failed: some of them are computed again. Preferably those that change anyway; else one, and not the `id`,
/// by which other resources know the object.
pub(super) fn resume(root: &mut ObjectNode<'_>) {
    if root.changed() {
        return;
    }
    let schema = root.schema;
    let mut free: Vec<usize> = (0..schema.attributes.len())
        .filter(|index| root.attributes.get(*index).is_some_and(|node| node.free && !node.settled))
        .filter(|index| matches!(schema.attributes[*index].replace, Replace::Never))
        .collect();
    let changing = |index: &usize| schema.attributes[*index].changes_with != ChangesWith::Nothing;
    if free.iter().any(changing) {
        free.retain(changing);
    } else {
        let one = free.iter().rev().find(|index| schema.attributes[**index].name != "id");
        free = one.or(free.last()).copied().into_iter().collect();
    }
    for index in free {
        if let Some(node) = root.attributes.get_mut(index) {
            node.put(Value::UNKNOWN);
        }
    }
}
