//! What derived code calls. Not for use by hand: it may change with the derive.

use std::sync::Arc;

use crate::field::unexpected;
use crate::validate::{Validator, nearest};
use crate::{
    Field, Member, Members, Plain, PlainMember, PlainSchema, Refinement, Schema, Shape, Type, Value,
    ValueError,
};

/// The state of a field that is its plan.
pub fn plain<T: PlainMember>(value: T) -> <T as Member>::State {
    value
}

/// The state of a field that is its plan.
pub fn plain_ref<T: PlainMember>(value: &T) -> &<T as Member>::State {
    value
}

/// The state of a flattened field that is its plan.
pub fn plain_schema<T: PlainSchema>(value: T) -> <T as Schema>::State {
    value
}

/// The state of a flattened field that is its plan.
pub fn plain_schema_ref<T: PlainSchema>(value: &T) -> &<T as Schema>::State {
    value
}

/// What a variant of a union can hold.
#[diagnostic::on_unimplemented(
    message = "`{Self}` has computed attributes inside, so it cannot be the value of a variant",
    note = "whether it is there at all depends on the variant: move what is computed out of the enum"
)]
pub trait Payload: Plain {}

#[diagnostic::do_not_recommend]
impl<T: Plain> Payload for T {}

/// The state of a variant's value.
pub fn payload_ref<T: Payload>(value: &T) -> &<T as Field>::State {
    value
}

/// The shape of an enum without data: a string, one of these names.
pub fn choice_shape(choices: &'static [Choice]) -> Shape {
    Shape { validators: vec![Arc::new(Choices(choices))], ..Shape::plain(Type::String) }
}

/// Which of the names a known string is.
pub fn choice_index(names: &[&str], value: &Value) -> Result<usize, ValueError> {
    let Some(text) = value.as_str() else { return Err(unexpected("a string", value)) };
    let found = names.iter().position(|name| *name == text);
    found.ok_or_else(|| ValueError::new(refusal(names.iter().copied(), Some(text))))
}

/// Which variant of a union is set.
pub enum Variant<'a> {
    /// This one, and no other.
    One(&'a str, &'a Value),
    /// None, or several, or it is not known.
    Other {
        /// Whether something is unknown.
        unknown: bool,
        /// The names of those that are set.
        set: Vec<&'a str>,
        /// The names of all.
        all: &'a [&'a str],
    },
}

/// Which variant of a union is set.
pub fn set_variant<'a>(members: &'a Members, all: &'a [&'a str]) -> Variant<'a> {
    let value = |name: &&'a str| members.get(*name).map(|value| (*name, value));
    let present: Vec<(&str, &Value)> =
        all.iter().filter_map(value).filter(|(_, value)| !value.is_null()).collect();
    match present[..] {
        [(name, value)] if !value.is_unknown() => Variant::One(name, value),
        _ => {
            let unknown = present.iter().any(|(_, value)| value.is_unknown());
            Variant::Other { unknown, set: present.iter().map(|(name, _)| *name).collect(), all }
        }
    }
}

impl Variant<'_> {
    /// Why it cannot be read.
    pub fn error(&self) -> ValueError {
        let quoted = |names: &[&str]| names.iter().map(|n| format!("`{n}`")).collect::<Vec<_>>().join(", ");
        ValueError::new(match self {
            Variant::Other { unknown: true, set, .. } => {
                format!("which variant it is must be known, but {} is unknown", quoted(set))
            }
            Variant::Other { set, all, .. } if set.is_empty() => {
                format!("one of {} must be set", quoted(all))
            }
            Variant::Other { set, .. } => format!("only one may be set, not {}", quoted(set)),
            Variant::One(name, _) => format!("`{name}` is no variant of it"),
        })
    }
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

fn refusal<'a>(names: impl Iterator<Item = &'a str> + Clone, found: Option<&str>) -> String {
    let quoted: Vec<String> = names.clone().map(|name| format!("\"{name}\"")).collect();
    let quoted = match quoted.split_last() {
        Some((last, [])) => last.clone(),
        Some((last, others)) => format!("{} or {last}", others.join(", ")),
        None => return "has no allowed value".to_owned(),
    };
    match found.and_then(|text| nearest(text, names)) {
        Some(near) => format!("must be {quoted} (did you mean \"{near}\"?)"),
        None => format!("must be {quoted}"),
    }
}

impl Choices {
    fn refusal(&self, found: Option<&str>) -> String {
        refusal(self.0.iter().map(|choice| choice.name), found)
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
