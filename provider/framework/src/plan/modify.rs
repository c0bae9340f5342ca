//! Runs the plan modifiers of attributes: containers before what they contain.

use tfplugin_schema::{AttributeChange, Diagnostics};

use super::at::At;
use super::tree::{Body, Node, ObjectNode, any_attribute};

/// Runs all modifiers. Tells whether one changed a value.
pub(super) fn modify(root: &mut ObjectNode<'_>, creating: bool, diagnostics: &mut Diagnostics) -> bool {
    if !any_attribute(root.schema, &|attribute| !attribute.modifiers.is_empty()) {
        return false;
    }
    Run { creating, diagnostics, modified: false }.object(root, &At::ROOT)
}

struct Run<'d> {
    creating: bool,
    diagnostics: &'d mut Diagnostics,
    modified: bool,
}

impl Run<'_> {
    fn object(&mut self, object: &mut ObjectNode<'_>, at: &At<'_>) -> bool {
        for (attribute, node) in object.schema.attributes.iter().zip(&mut object.attributes) {
            let at = at.attribute(&attribute.name);
            if !attribute.modifiers.is_empty() {
                let path = at.path();
                let before = node.value();
                let mut planned = before.clone();
                for modifier in &attribute.modifiers {
                    modifier.modify(&mut AttributeChange {
                        path: &path,
                        config: node.config,
                        prior: node.prior,
                        planned: &mut planned,
                        replace: &mut node.replace,
                        creating: self.creating,
                        diagnostics: self.diagnostics,
                    });
                }
                if planned != before {
                    node.put(planned);
                    node.settled = true;
                    self.modified = true;
                }
            }
            self.inside(node, &at);
        }
        for (block, node) in object.schema.blocks.iter().zip(&mut object.blocks) {
            self.inside(node, &at.attribute(&block.name));
        }
        self.modified
    }

    fn inside(&mut self, node: &mut Node<'_>, at: &At<'_>) {
        match &mut node.body {
            Body::Whole(_) => return,
            Body::Object(object) => {
                self.object(object, at);
            }
            Body::List(elements) => {
                for (index, element) in elements.iter_mut().enumerate() {
                    self.inside(element, &at.index(index));
                }
            }
            Body::Set(elements) => {
                for element in elements {
                    let config = element.config;
                    self.inside(element, &at.element(config));
                }
            }
            Body::Map(elements) => {
                for (key, element) in elements {
                    self.inside(element, &at.key(key));
                }
            }
        }
        node.refresh();
    }
}
