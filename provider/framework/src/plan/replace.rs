//! Which changes need another object, and which are refused.

use tfplugin_schema::{
    Attribute, AttributeKind, BlockNesting, Diagnostics, Nesting, ObjectSchema, Path, Replace, Step, Value,
};

use super::at::At;
use super::tree::{Body, NULL, Node, ObjectNode};

/// What forces another object, sorted and each once, and errors for what must never change.
pub(super) fn replacements(root: &ObjectNode<'_>, diagnostics: &mut Diagnostics) -> Vec<Path> {
    let mut walk = Walk { found: Vec::new(), diagnostics };
    walk.object(root, true, &At::ROOT);
    merge_replace(walk.found, [])
}

/// Adds paths that force another object to others: sorted, each once, none inside an element of a set.
pub fn merge_replace(mut paths: Vec<Path>, more: impl IntoIterator<Item = Path>) -> Vec<Path> {
    for path in more {
        let before_sets = path.steps().iter().take_while(|step| !matches!(step, Step::Element(_)));
        paths.push(before_sets.cloned().fold(Path::root(), Path::step));
    }
    paths.sort();
    paths.dedup();
    paths
}

struct Walk<'d> {
    found: Vec<Path>,
    diagnostics: &'d mut Diagnostics,
}

impl Walk<'_> {
    /// `existed`: whether the object was there before.
    fn object(&mut self, object: &ObjectNode<'_>, existed: bool, at: &At<'_>) {
        for (attribute, node) in object.schema.attributes.iter().zip(&object.attributes) {
            let at = at.attribute(&attribute.name);
            if node.replace {
                self.found.push(at.path_before_sets());
            }
            if node.changed {
                self.changed(attribute, node, existed, &at);
            }
            self.inside(node, &at);
        }
        for (block, node) in object.schema.blocks.iter().zip(&object.blocks) {
            let at = at.attribute(&block.name);
            if matches!(block.nesting, BlockNesting::Single) {
                self.removed(&block.object, node, &at);
            }
            self.inside(node, &at);
        }
    }

    fn changed(&mut self, attribute: &Attribute, node: &Node<'_>, existed: bool, at: &At<'_>) {
        let replace = match &attribute.replace {
            Replace::Never => false,
            Replace::Always => true,
            Replace::IfConfigured => !node.config.is_null(),
            Replace::If(condition) => condition(node.prior, &node.value()),
        };
        if replace {
            self.found.push(at.path_before_sets());
        }
        // Of an unknown value nobody can say that it differs.
        if let Some(message) = &attribute.fixed
            && existed
            && node.value().is_wholly_known()
        {
            let summary = format!("{} cannot be changed", attribute.name);
            let detail = format!("`{}` can be set only when the resource is created. {message}", at.path());
            self.diagnostics.error_at(at.path(), summary, detail);
        }
        if let AttributeKind::Nested(Nesting::Single, schema) = &attribute.kind {
            self.removed(schema, node, at);
        }
    }

    /// A nested object that goes takes its attributes with it: each was something and is null now.
    fn removed(&mut self, schema: &ObjectSchema, node: &Node<'_>, at: &At<'_>) {
        let (Body::Whole(planned), Value::Map(prior)) = (&node.body, node.prior) else { return };
        if !planned.is_null() {
            return;
        }
        for attribute in &schema.attributes {
            let prior = prior.get(&attribute.name).unwrap_or(&NULL);
            let replace = match &attribute.replace {
                Replace::Never | Replace::IfConfigured => false,
                Replace::Always => true,
                Replace::If(condition) => condition(prior, &NULL),
            };
            if replace && !prior.is_null() {
                self.found.push(at.attribute(&attribute.name).path_before_sets());
            }
        }
    }

    fn inside(&mut self, node: &Node<'_>, at: &At<'_>) {
        match &node.body {
            Body::Whole(_) => {}
            Body::Object(object) => self.object(object, matches!(node.prior, Value::Map(_)), at),
            Body::List(elements) => {
                for (index, element) in elements.iter().enumerate() {
                    self.inside(element, &at.index(index));
                }
            }
            Body::Set(elements) => {
                for element in elements {
                    self.inside(element, &at.element(element.config));
                }
            }
            Body::Map(elements) => {
                for (key, element) in elements {
                    self.inside(element, &at.key(key));
                }
            }
        }
    }
}
