//! Strings as Terraform keeps them: in Unicode's composed form (NFC, Unicode Standard Annex 15). What a remote
//! side spells another way is made so before it is compared with a plan.

use unicode_normalization::{IsNormalized, UnicodeNormalization as _, is_nfc_quick};

use crate::schema::{Members, Value};

/// Composes every string inside, keys of maps included.
pub(super) fn compose(value: &mut Value) {
    match value {
        Value::String(text) => compose_text(text),
        Value::List(elements) => elements.iter_mut().for_each(compose),
        Value::Set(set) => {
            if !set.iter().all(is_composed) {
                let mut elements = std::mem::take(set).into_vec();
                elements.iter_mut().for_each(compose);
                *value = Value::set(elements);
            }
        }
        Value::Map(members) => {
            if members.keys().all(|key| is_nfc(key)) {
                members.values_mut().for_each(compose);
            } else {
                let composed = std::mem::take(members).into_iter().map(|(mut key, mut value)| {
                    compose_text(&mut key);
                    compose(&mut value);
                    (key, value)
                });
                *members = composed.collect::<Members>();
            }
        }
        Value::Dynamic(dynamic) => compose(&mut dynamic.value),
        Value::Null | Value::Unknown(_) | Value::Bool(_) | Value::Number(_) => {}
    }
}

/// Gives a null of dynamic type the type that it had before: Rust's `None` has no type, but to Terraform a null
/// string is not a null of any type.
pub(super) fn keep_null_types(old: &Value, new: &mut Value) {
    match (old, new) {
        (Value::Dynamic(typed), new @ Value::Null) if typed.value.is_null() => new.clone_from(old),
        (Value::Dynamic(old), Value::Dynamic(new)) if old.ty == new.ty => {
            keep_null_types(&old.value, &mut new.value);
        }
        (Value::Map(old), Value::Map(new)) => {
            for (name, new) in new {
                if let Some(old) = old.get(name) {
                    keep_null_types(old, new);
                }
            }
        }
        (Value::List(old), Value::List(new)) => {
            old.iter().zip(new).for_each(|(old, new)| keep_null_types(old, new));
        }
        _ => {}
    }
}

fn compose_text(text: &mut String) {
    if !is_nfc(text) {
        *text = text.nfc().collect();
    }
}

// "Maybe" is composed again, which changes nothing if it was composed.
fn is_nfc(text: &str) -> bool {
    text.is_ascii() || is_nfc_quick(text.chars()) == IsNormalized::Yes
}

fn is_composed(value: &Value) -> bool {
    match value {
        Value::String(text) => is_nfc(text),
        Value::List(elements) => elements.iter().all(is_composed),
        Value::Set(set) => set.iter().all(is_composed),
        Value::Map(members) => members.iter().all(|(key, value)| is_nfc(key) && is_composed(value)),
        Value::Dynamic(dynamic) => is_composed(&dynamic.value),
        Value::Null | Value::Unknown(_) | Value::Bool(_) | Value::Number(_) => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decomposed_text_is_composed_wherever_it_stands() {
        let (apart, together) = ("e\u{301}", "\u{e9}");
        let with = |text: &str| {
            Value::map([
                ("plain", Value::from(text)),
                ("list", Value::list([Value::from(text)])),
                ("set", Value::set([Value::from(text), Value::from("z")])),
                ("keys", Value::map([(text, Value::Null)])),
            ])
        };
        let mut value = with(apart);
        compose(&mut value);
        assert_eq!(value, with(together));
    }
}
