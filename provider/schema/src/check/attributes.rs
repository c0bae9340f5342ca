//! Rules for attributes.

use super::{Check, CheckKind, has, nearest};
use crate::validate::check_known;
use crate::{
    Attribute, AttributeKind, ChangesWith, Nesting, ObjectSchema, Presence, Replace, Role, Type, Value,
};

impl Check<'_> {
    pub(super) fn attribute(&mut self, siblings: &ObjectSchema, attribute: &Attribute) {
        if attribute.description.trim().is_empty() {
            self.add("it has no description: say what it is, with unit, default and limits.");
        }
        if attribute.deprecation.as_ref().is_some_and(|message| message.trim().is_empty()) {
            self.add("the deprecation says nothing: say what to use instead.");
        }
        self.write_only(attribute);
        self.default_value(attribute);
        self.change(siblings, attribute);
        self.role(attribute);
        match &attribute.kind {
            AttributeKind::Plain(ty) => self.plain(ty),
            AttributeKind::Nested(nesting, object) => {
                if !object.blocks.is_empty() {
                    self.add("nested attributes cannot contain blocks: make them nested attributes too.");
                }
                if *nesting == Nesting::Set {
                    self.set_elements(object);
                } else if *nesting != Nesting::Single && object.ty().has_dynamic() {
                    self.add(MIXED);
                }
                self.object(object);
            }
        }
    }

    fn plain(&mut self, ty: &Type) {
        if has_set_of_dynamic(ty) {
            self.add("a set cannot contain dynamic values, whose types may differ: use a list or map.");
        } else if has_mixed_elements(ty) {
            self.add(MIXED);
        }
    }

    /// What neither nested attributes nor blocks in a set may contain.
    pub(super) fn set_elements(&mut self, object: &ObjectSchema) {
        if object.ty().has_dynamic() {
            self.add("a set cannot contain dynamic attributes, whose types may differ: use a list or map.");
        }
        if has_write_only(object) {
            self.add("a set cannot contain write-only attributes, as they are no part of an element: use a list or map.");
        }
    }

    fn write_only(&mut self, attribute: &Attribute) {
        if !attribute.write_only {
            return;
        }
        if !matches!(self.kind, CheckKind::Resource { .. }) {
            self.add("only resources have write-only attributes: here it is enough to mark it sensitive.");
        }
        if attribute.presence.is_computed() {
            self.add("a write-only attribute cannot be computed, as nothing of it is stored: make it required or optional.");
        }
        if attribute.default.is_some() {
            self.add("a write-only attribute cannot have a default, which would be stored: handle null in the provider.");
        }
    }

    fn default_value(&mut self, attribute: &Attribute) {
        let Some(default) = &attribute.default else { return };
        match attribute.presence {
            Presence::Required => {
                self.add("a required attribute has no use for a default: make it optional.");
            }
            Presence::Computed => {
                self.add("the configuration cannot set it, so its default is its only value: make it optional too.");
            }
            Presence::Optional => {
                self.add("an attribute with a default must be optional and computed, or Terraform refuses the plan.");
            }
            Presence::OptionalComputed => {}
        }
        if default.is_null() || !default.is_wholly_known() {
            self.add("the default must be a known value that is not null: remove it or give one.");
        } else if !conforms(&attribute.ty(), default) {
            let (ty, kind) = (attribute.ty(), default.kind());
            self.add(format!("the default must be of type {ty}, but is {kind}: correct it."));
        } else {
            for validator in &attribute.validators {
                if let Err(why) = check_known(validator.as_ref(), default) {
                    self.add(format!(
                        "its own validator refuses the default: the value {why}. Correct one of them."
                    ));
                }
            }
        }
    }

    fn change(&mut self, siblings: &ObjectSchema, attribute: &Attribute) {
        if attribute.changes_with != ChangesWith::Nothing && !attribute.presence.is_computed() {
            self.add("only a computed attribute can change with others: make it computed or remove `changes_with`.");
        }
        if let ChangesWith::These(names) = &attribute.changes_with {
            for name in names {
                if *name == attribute.name {
                    self.add("it cannot change with itself: remove its own name from `changes_with`.");
                } else if !has(siblings, name) && !has(self.top, name) {
                    let hint = nearest(siblings, name);
                    self.add(format!(
                        "`changes_with` names `{name}`, which is not there{hint}: correct the name."
                    ));
                }
            }
        }
        if attribute.fixed.is_some() && !matches!(attribute.replace, Replace::Never) {
            self.add(
                "it can never change, so nothing needs replacement for it: remove `replace` or `fixed`.",
            );
        }
    }

    fn role(&mut self, attribute: &Attribute) {
        if attribute.role != Role::DeletionProtection {
            return;
        }
        if attribute.ty() != Type::Bool {
            self.add("the deletion protection must be a bool.");
        }
        if !attribute.presence.is_configurable() || attribute.write_only {
            self.add("the deletion protection must be configurable and stored, or nobody could lift it.");
        }
        let is_resource = matches!(self.kind, CheckKind::Resource { .. });
        if !is_resource || self.at.steps().len() > 1 {
            self.add("the deletion protection belongs at the top of a resource: move it there.");
        }
    }
}

fn has_write_only(object: &ObjectSchema) -> bool {
    let nested = |kind: &AttributeKind| matches!(kind, AttributeKind::Nested(_, o) if has_write_only(o));
    object.attributes.iter().any(|attribute| attribute.write_only || nested(&attribute.kind))
        || object.blocks.iter().any(|block| has_write_only(&block.object))
}

fn has_set_of_dynamic(ty: &Type) -> bool {
    match ty {
        Type::Bool | Type::Number | Type::String | Type::Dynamic => false,
        Type::Set(element) => element.has_dynamic(),
        Type::List(element) | Type::Map(element) => has_set_of_dynamic(element),
        Type::Tuple(elements) => elements.iter().any(has_set_of_dynamic),
        Type::Object(object) => object.attributes.values().any(has_set_of_dynamic),
    }
}

const MIXED: &str = "elements of one collection have one type, and with a dynamic value inside they might not, \
                     which ends Terraform with a panic: make the whole attribute dynamic, or give the value a type.";

/// Whether elements of a list or map could differ in type, because something dynamic is inside them. A list or
/// map of dynamic values itself is judged value by value.
fn has_mixed_elements(ty: &Type) -> bool {
    match ty {
        Type::Bool | Type::Number | Type::String | Type::Dynamic => false,
        Type::List(element) | Type::Map(element) => **element != Type::Dynamic && element.has_dynamic(),
        Type::Set(element) => has_mixed_elements(element),
        Type::Tuple(elements) => elements.iter().any(has_mixed_elements),
        Type::Object(object) => object.attributes.values().any(has_mixed_elements),
    }
}

/// Whether a value is of a type. Attributes of objects may be missing: they are null then.
fn conforms(ty: &Type, value: &Value) -> bool {
    match (ty, value) {
        (_, Value::Null | Value::Unknown(_))
        | (Type::Bool, Value::Bool(_))
        | (Type::Number, Value::Number(_))
        | (Type::String, Value::String(_)) => true,
        (Type::Dynamic, Value::Dynamic(dynamic)) => conforms(&dynamic.ty, &dynamic.value),
        (Type::List(element), Value::List(elements)) => elements.iter().all(|value| conforms(element, value)),
        (Type::Set(element), Value::Set(elements)) => elements.iter().all(|value| conforms(element, value)),
        (Type::Map(element), Value::Map(members)) => members.values().all(|value| conforms(element, value)),
        (Type::Tuple(types), Value::List(elements)) => {
            types.len() == elements.len() && types.iter().zip(elements).all(|(ty, value)| conforms(ty, value))
        }
        (Type::Object(object), Value::Map(members)) => members
            .iter()
            .all(|(name, value)| object.attributes.get(name).is_some_and(|ty| conforms(ty, value))),
        _ => false,
    }
}
