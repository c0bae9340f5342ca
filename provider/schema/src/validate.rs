//! Validators: one for each question, whatever the type. Each sees known values only; what a refinement
//! already rules out is refused too. Messages never repeat the value: it may be a secret.

use std::fmt;
use std::ops::{Bound as RangeBound, RangeBounds};
use std::sync::Arc;

use regex::Regex;

use crate::{Number, Refinement, Value};

/// Judges a value.
pub trait Validator: fmt::Debug + Send + Sync {
    /// What is allowed, for the documentation: `must be between 1 and 63 characters long`.
    fn describe(&self) -> String;

    /// Judges a known value: the error completes the sentence "the value …".
    fn check(&self, value: &Value) -> Result<(), String>;

    /// Judges a value of which only this is known. Refuses only what no value can save.
    fn check_refined(&self, refinement: &Refinement) -> Result<(), String> {
        let _ = refinement;
        Ok(())
    }
}

impl<V: Validator + ?Sized> Validator for Arc<V> {
    fn describe(&self) -> String {
        (**self).describe()
    }

    fn check(&self, value: &Value) -> Result<(), String> {
        (**self).check(value)
    }

    fn check_refined(&self, refinement: &Refinement) -> Result<(), String> {
        (**self).check_refined(refinement)
    }
}

/// What must hold between the attributes of one object. Names are those of the attributes in HCL.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Rule {
    /// At most one of these is set.
    Conflicts(Vec<String>),
    /// At least one of these is set.
    AtLeastOneOf(Vec<String>),
    /// Exactly one of these is set.
    ExactlyOneOf(Vec<String>),
    /// All of these are set, or none.
    RequiredTogether(Vec<String>),
    /// If the first is set, so are the others.
    Requires(String, Vec<String>),
    /// The first is set when the second has one of these values.
    RequiredWhen(String, String, Vec<Value>),
}

/// Length of a string (in characters), or number of elements.
pub fn length(range: impl RangeBounds<u64>) -> Length {
    let min = match range.start_bound() {
        RangeBound::Included(min) => Some(*min),
        RangeBound::Excluded(min) => Some(min.saturating_add(1)),
        RangeBound::Unbounded => None,
    };
    let max = match range.end_bound() {
        RangeBound::Included(max) => Some(*max),
        RangeBound::Excluded(max) => Some(max.saturating_sub(1)),
        RangeBound::Unbounded => None,
    };
    Length { min, max }
}

/// See [`length`].
#[derive(Clone, Debug)]
pub struct Length {
    min: Option<u64>,
    max: Option<u64>,
}

impl Length {
    fn refuse(&self, unit: &str, found: impl fmt::Display) -> String {
        format!("must {}, not {found}", self.words(unit))
    }

    fn words(&self, unit: &str) -> String {
        match (self.min, self.max) {
            (Some(min), Some(max)) if min == max => format!("have exactly {min} {unit}"),
            (Some(min), Some(max)) => format!("have between {min} and {max} {unit}"),
            (Some(min), None) => format!("have at least {min} {unit}"),
            (None, Some(max)) => format!("have at most {max} {unit}"),
            (None, None) => format!("have any number of {unit}"),
        }
    }
}

impl Validator for Length {
    fn describe(&self) -> String {
        format!("must {}", self.words("characters or elements"))
    }

    fn check(&self, value: &Value) -> Result<(), String> {
        let (length, unit) = match value {
            Value::String(text) => (text.chars().count(), "characters"),
            Value::Map(members) => (members.len(), "elements"),
            other => match other.as_elements() {
                Some(elements) => (elements.len(), "elements"),
                None => return Ok(()),
            },
        };
        let length = length as u64;
        if self.min.is_some_and(|min| length < min) || self.max.is_some_and(|max| length > max) {
            return Err(self.refuse(unit, length));
        }
        Ok(())
    }

    fn check_refined(&self, refinement: &Refinement) -> Result<(), String> {
        let prefix = refinement.prefix.as_ref().map(|prefix| prefix.chars().count() as u64);
        if let (Some(max), Some(at_least)) = (self.max, refinement.min_length.or(prefix))
            && at_least > max
        {
            return Err(self.refuse("characters or elements", format!("{at_least} or more")));
        }
        if let (Some(min), Some(at_most)) = (self.min, refinement.max_length)
            && at_most < min
        {
            return Err(self.refuse("elements", format!("{at_most} or fewer")));
        }
        Ok(())
    }
}

/// A string that matches a regular expression, anywhere unless anchored.
///
/// An expression that does not compile refuses every value and says so; the derive refuses it earlier.
pub fn regex(pattern: &str) -> Pattern {
    Pattern { pattern: pattern.to_owned(), compiled: Regex::new(pattern).ok(), hint: None }
}

/// See [`regex()`].
#[derive(Clone, Debug)]
pub struct Pattern {
    pattern: String,
    compiled: Option<Regex>,
    hint: Option<String>,
}

impl Pattern {
    /// Says in words what the expression demands: `must be a DNS label`.
    #[must_use]
    pub fn says(mut self, hint: impl Into<String>) -> Pattern {
        self.hint = Some(hint.into());
        self
    }
}

impl Validator for Pattern {
    fn describe(&self) -> String {
        self.hint.clone().unwrap_or_else(|| format!("must match `{}`", self.pattern))
    }

    fn check(&self, value: &Value) -> Result<(), String> {
        let Some(text) = value.as_str() else { return Ok(()) };
        match &self.compiled {
            Some(regex) if regex.is_match(text) => Ok(()),
            Some(_) => Err(self.describe()),
            None => Err(format!("cannot be checked: the provider's pattern `{}` is invalid", self.pattern)),
        }
    }
}

/// A number within a range.
pub fn range<N: Into<Number> + Clone>(range: impl RangeBounds<N>) -> Range {
    let bound = |bound: RangeBound<&N>| match bound {
        RangeBound::Included(number) => Some((number.clone().into(), true)),
        RangeBound::Excluded(number) => Some((number.clone().into(), false)),
        RangeBound::Unbounded => None,
    };
    Range { min: bound(range.start_bound()), max: bound(range.end_bound()) }
}

/// See [`range`].
#[derive(Clone, Debug)]
pub struct Range {
    min: Option<(Number, bool)>,
    max: Option<(Number, bool)>,
}

impl Range {
    fn too_small(&self, number: &Number) -> bool {
        self.min.as_ref().is_some_and(|(min, inclusive)| number < min || (!inclusive && number == min))
    }

    fn too_large(&self, number: &Number) -> bool {
        self.max.as_ref().is_some_and(|(max, inclusive)| number > max || (!inclusive && number == max))
    }
}

impl Validator for Range {
    fn describe(&self) -> String {
        let least = self.min.as_ref().map(|(min, inclusive)| {
            if *inclusive { format!("at least {min}") } else { format!("more than {min}") }
        });
        let most = self.max.as_ref().map(|(max, inclusive)| {
            if *inclusive { format!("at most {max}") } else { format!("less than {max}") }
        });
        match (least, most) {
            (Some(least), Some(most)) => format!("must be {least} and {most}"),
            (Some(one), None) | (None, Some(one)) => format!("must be {one}"),
            (None, None) => "may be any number".to_owned(),
        }
    }

    fn check(&self, value: &Value) -> Result<(), String> {
        match value.as_number() {
            Some(number) if self.too_small(number) || self.too_large(number) => Err(self.describe()),
            _ => Ok(()),
        }
    }

    fn check_refined(&self, refinement: &Refinement) -> Result<(), String> {
        let below = refinement.upper.as_ref().is_some_and(|bound| {
            self.too_small(&bound.number)
                || (!bound.inclusive && self.min.as_ref().is_some_and(|(min, _)| *min == bound.number))
        });
        let above = refinement.lower.as_ref().is_some_and(|bound| {
            self.too_large(&bound.number)
                || (!bound.inclusive && self.max.as_ref().is_some_and(|(max, _)| *max == bound.number))
        });
        if below || above { Err(self.describe()) } else { Ok(()) }
    }
}

/// One of these values. Strings near to one of them are told so.
pub fn one_of<V: Into<Value>>(allowed: impl IntoIterator<Item = V>) -> OneOf {
    OneOf { allowed: allowed.into_iter().map(Into::into).collect() }
}

/// See [`one_of`].
#[derive(Clone, Debug)]
pub struct OneOf {
    allowed: Vec<Value>,
}

impl Validator for OneOf {
    fn describe(&self) -> String {
        let words: Vec<String> = self.allowed.iter().map(show).collect();
        match words.split_last() {
            Some((last, [])) => format!("must be {last}"),
            Some((last, others)) => format!("must be {} or {last}", others.join(", ")),
            None => "has no allowed value".to_owned(),
        }
    }

    fn check(&self, value: &Value) -> Result<(), String> {
        if self.allowed.contains(value) {
            return Ok(());
        }
        let near = value.as_str().and_then(|text| {
            let names = self.allowed.iter().filter_map(Value::as_str);
            nearest(text, names)
        });
        match near {
            Some(name) => Err(format!("{} (did you mean \"{name}\"?)", self.describe())),
            None => Err(self.describe()),
        }
    }

    fn check_refined(&self, refinement: &Refinement) -> Result<(), String> {
        if self.allowed.iter().any(|allowed| refinement.admits(allowed)) {
            Ok(())
        } else {
            Err(self.describe())
        }
    }
}

/// No element stands twice in a list.
pub fn unique() -> Unique {
    Unique
}

/// See [`unique`].
#[derive(Clone, Debug)]
pub struct Unique;

impl Validator for Unique {
    fn describe(&self) -> String {
        "must have no element twice".to_owned()
    }

    fn check(&self, value: &Value) -> Result<(), String> {
        let Some(elements) = value.as_elements() else { return Ok(()) };
        let mut sorted: Vec<&Value> = elements.iter().filter(|e| e.is_wholly_known()).collect();
        sorted.sort_unstable();
        if sorted.windows(2).any(|pair| pair[0] == pair[1]) { Err(self.describe()) } else { Ok(()) }
    }
}

/// Every element of a collection (for maps: every value) is accepted by a validator.
pub fn each<V: Validator>(validator: V) -> Each<V> {
    Each { validator, keys: false }
}

/// Every key of a map is accepted by a validator.
pub fn keys<V: Validator>(validator: V) -> Each<V> {
    Each { validator, keys: true }
}

/// See [`each`] and [`keys`].
#[derive(Clone, Debug)]
pub struct Each<V> {
    validator: V,
    keys: bool,
}

impl<V: Validator> Validator for Each<V> {
    fn describe(&self) -> String {
        format!("{} {}", if self.keys { "each key" } else { "each element" }, self.validator.describe())
    }

    fn check(&self, value: &Value) -> Result<(), String> {
        match value {
            Value::Map(members) => {
                for (key, element) in members {
                    let judged = if self.keys {
                        self.validator.check(&Value::String(key.clone()))
                    } else {
                        check_known(&self.validator, element)
                    };
                    judged.map_err(|why| format!("has {key:?}, which {why}"))?;
                }
                Ok(())
            }
            other => {
                for (index, element) in other.as_elements().unwrap_or_default().iter().enumerate() {
                    check_known(&self.validator, element)
                        .map_err(|why| format!("has element {index}, which {why}"))?;
                }
                Ok(())
            }
        }
    }
}

/// Accepted by a function, for what only this provider knows. The text completes "must …".
pub fn satisfies(must: impl Into<String>, test: fn(&Value) -> bool) -> Satisfies {
    Satisfies { must: must.into(), test }
}

/// See [`satisfies`].
#[derive(Clone, Debug)]
pub struct Satisfies {
    must: String,
    test: fn(&Value) -> bool,
}

impl Validator for Satisfies {
    fn describe(&self) -> String {
        format!("must {}", self.must)
    }

    fn check(&self, value: &Value) -> Result<(), String> {
        if (self.test)(value) { Ok(()) } else { Err(self.describe()) }
    }
}

/// Accepted by any of these.
pub fn any_of(validators: Vec<Box<dyn Validator>>) -> AnyOf {
    AnyOf { validators }
}

/// See [`any_of`].
#[derive(Debug)]
pub struct AnyOf {
    validators: Vec<Box<dyn Validator>>,
}

impl Validator for AnyOf {
    fn describe(&self) -> String {
        self.validators.iter().map(|v| v.describe()).collect::<Vec<_>>().join(", or ")
    }

    fn check(&self, value: &Value) -> Result<(), String> {
        if self.validators.iter().any(|v| v.check(value).is_ok()) { Ok(()) } else { Err(self.describe()) }
    }
}

/// Judges a value as far as it is known: null passes, an unknown is judged by its refinement.
pub fn check_known(validator: &dyn Validator, value: &Value) -> Result<(), String> {
    match value {
        Value::Null | Value::Unknown(None) => Ok(()),
        Value::Unknown(Some(refinement)) => validator.check_refined(refinement),
        Value::Dynamic(dynamic) => check_known(validator, &dynamic.value),
        known => validator.check(known),
    }
}

/// The name that was probably meant: within a third of its length in edits.
pub fn nearest<'a>(text: &str, names: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let limit = 1 + text.chars().count() / 3;
    names
        .into_iter()
        .map(|name| (edit_distance(text, name), name))
        .filter(|(distance, _)| *distance <= limit)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, name)| name)
}

fn edit_distance(a: &str, b: &str) -> usize {
    // Names are short; a long text is never near to one.
    if a.len() > 100 || b.len() > 100 {
        return usize::MAX;
    }
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, left) in a.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, right) in b.iter().enumerate() {
            let replaced = diagonal + usize::from(left != *right);
            diagonal = row[j + 1];
            row[j + 1] = replaced.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[b.len()]
}

fn show(value: &Value) -> String {
    match value {
        Value::String(text) => format!("\"{text}\""),
        Value::Number(number) => number.to_string(),
        Value::Bool(bool) => bool.to_string(),
        other => other.kind().to_owned(),
    }
}
