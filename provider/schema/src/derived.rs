//! What derived code calls. Not for use by hand: it may change with the derive.

use std::sync::Arc;

use crate::validate::{Validator, nearest};
use crate::{Member, Plain, PlainMember, Refinement, Schema, Shape, Type, Value, ValueError};

/// The state of a field that is its plan.
pub fn plain<T: PlainMember>(value: T) -> <T as Member>::State {
    value
}

/// The state of a field that is its plan.
pub fn plain_ref<T: PlainMember>(value: &T) -> &<T as Member>::State {
    value
}

/// The state of a flattened field that is its plan.
pub fn plain_schema<T: Plain + Schema<State = T>>(value: T) -> T {
    value
}

/// The state of a flattened field that is its plan.
pub fn plain_schema_ref<T: Plain + Schema<State = T>>(value: &T) -> &T {
    value
}

/// The shape of an enum without data: a string, one of these names.
pub fn choice_shape(choices: &'static [Choice]) -> Shape {
    Shape { validators: vec![Arc::new(Choices(choices))], ..Shape::plain(Type::String) }
}

/// Which of the names a known string is.
pub fn choice_index(choices: &'static [Choice], value: &Value) -> Result<usize, ValueError> {
    let Some(text) = value.as_str() else { return Err(crate::field::unexpected("a string", value)) };
    choices
        .iter()
        .position(|choice| choice.name == text)
        .ok_or_else(|| ValueError::new(Choices(choices).refusal(Some(text))))
}

/// One variant of an enum without data.
#[derive(Clone, Copy, Debug)]
pub struct Choice {
    /// Its name in HCL.
    pub name: &'static str,
    /// Its doc comment.
    pub doc: &'static str,
}

// Beyond `one_of`: the documentation says what each name means.
#[derive(Debug)]
struct Choices(&'static [Choice]);

impl Choices {
    fn refusal(&self, found: Option<&str>) -> String {
        let names: Vec<String> = self.0.iter().map(|choice| format!("\"{}\"", choice.name)).collect();
        let names = match names.split_last() {
            Some((last, [])) => last.clone(),
            Some((last, others)) => format!("{} or {last}", others.join(", ")),
            None => return "has no allowed value".to_owned(),
        };
        match found.and_then(|text| nearest(text, self.0.iter().map(|choice| choice.name))) {
            Some(near) => format!("must be {names} (did you mean \"{near}\"?)"),
            None => format!("must be {names}"),
        }
    }
}

impl Validator for Choices {
    fn describe(&self) -> String {
        let line = |choice: &Choice| {
            // A list item ends where the next begins, so its lines are indented.
            format!("* `\"{}\"`: {}", choice.name, choice.doc.replace('\n', "\n  "))
        };
        let lines: Vec<String> = self.0.iter().map(line).collect();
        format!("must be one of:\n\n{}", lines.join("\n"))
    }

    fn check(&self, value: &Value) -> Result<(), String> {
        match value.as_str() {
            Some(text) if self.0.iter().any(|choice| choice.name == text) => Ok(()),
            found => Err(self.refusal(found)),
        }
    }

    fn check_refined(&self, refinement: &Refinement) -> Result<(), String> {
        let admitted = |choice: &Choice| refinement.admits(&Value::from(choice.name));
        if self.0.iter().any(admitted) { Ok(()) } else { Err(self.refusal(None)) }
    }
}
