//! Which elements of two sets belong together, near-linear in their size. One side may be unknown in parts,
//! and fits whatever agrees with the rest of it.
//!
//! Elements with the same unknown places share a [`Mask`]; under one mask, what fits has an equal hash of all
//! that is not masked. So each element meets only those it nearly certainly fits.

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher};

use tfplugin_schema::{SetValue, Value};

/// Whether a value is a possible completion of a template: equal where the template is known, within what is
/// known of it elsewhere.
pub(super) fn fits(template: &Value, value: &Value) -> bool {
    match (template, value) {
        (Value::Unknown(None), _) => true,
        (Value::Unknown(Some(refinement)), value) => refinement.admits(value),
        (Value::Map(a), Value::Map(b)) => {
            a.len() == b.len() && a.iter().zip(b).all(|((ka, a), (kb, b))| ka == kb && fits(a, b))
        }
        (Value::List(a), Value::List(b)) => a.len() == b.len() && a.iter().zip(b).all(|(a, b)| fits(a, b)),
        (Value::Set(a), Value::Set(b)) => correlate(a, b).is_ok(),
        // Of unknown type too: the value brings its own.
        (Value::Dynamic(a), Value::Dynamic(b)) => a.ty == b.ty && fits(&a.value, &b.value),
        (a, b) => a == b || (a.is_null() && b.is_null()),
    }
}

/// Why two sets do not belong together.
#[derive(Debug, PartialEq)]
pub(super) enum Stray<'a> {
    /// A planned element that no actual one completes.
    Planned(&'a Value),
    /// An actual element that completes no planned one.
    Actual(&'a Value),
    /// There are more elements than planned.
    Grew,
}

/// Whether each planned element has an actual one that completes it, and each actual one a planned. Sets may
/// shrink (unknown elements can turn out equal), never grow.
pub(super) fn correlate<'a>(planned: &'a SetValue, actual: &'a SetValue) -> Result<(), Stray<'a>> {
    if planned == actual {
        return Ok(());
    }
    let mut found = vec![false; actual.len()];
    let mut groups: HashMap<Mask<'_>, Vec<&Value>> = HashMap::new();
    for element in planned.iter() {
        match Mask::of(element) {
            Mask::Known => match actual.as_slice().binary_search(element) {
                Ok(index) => found[index] = true,
                Err(_) => return Err(Stray::Planned(element)),
            },
            mask => groups.entry(mask).or_default().push(element),
        }
    }
    for (mask, elements) in &groups {
        let mut by_key: HashMap<u64, (Vec<&Value>, Vec<usize>)> = HashMap::new();
        for element in elements {
            by_key.entry(mask.key(element)).or_default().0.push(element);
        }
        for (index, element) in actual.iter().enumerate() {
            if let Some((_, actual)) = by_key.get_mut(&mask.key(element)) {
                actual.push(index);
            }
        }
        for (elements, candidates) in by_key.values() {
            let actual = actual.as_slice();
            for element in elements {
                if !candidates.iter().any(|index| fits(element, &actual[*index])) {
                    return Err(Stray::Planned(element));
                }
            }
            for index in candidates {
                found[*index] |= elements.iter().any(|element| fits(element, &actual[*index]));
            }
        }
    }
    match found.iter().position(|found| !found) {
        Some(index) => Err(Stray::Actual(&actual.as_slice()[index])),
        None if actual.len() > planned.len() => Err(Stray::Grew),
        None => Ok(()),
    }
}

/// For each template the index of a value that completes it, each value at most once. Templates that leave
/// less open choose first, so that one which fits anything takes nothing from them.
pub(super) fn pair(templates: &[Option<Value>], values: &[Value]) -> Vec<Option<usize>> {
    let mut pairs = vec![None; templates.len()];
    let mut used = vec![false; values.len()];
    let mut order: Vec<(usize, &Value, Mask<'_>)> = templates
        .iter()
        .enumerate()
        .filter_map(|(index, template)| template.as_ref().map(|template| (index, template)))
        .map(|(index, template)| (index, template, Mask::of(template)))
        .collect();
    order.sort_by_key(|(_, _, mask)| mask.weight());
    let mut groups: HashMap<&Mask<'_>, HashMap<u64, Vec<usize>>> = HashMap::new();
    for (index, template, mask) in &order {
        let by_key = groups.entry(mask).or_insert_with(|| {
            let mut by_key: HashMap<u64, Vec<usize>> = HashMap::new();
            // From the last to the first, so that the first is taken off the end first.
            for (index, value) in values.iter().enumerate().rev() {
                by_key.entry(mask.key(value)).or_default().push(index);
            }
            by_key
        });
        let Some(candidates) = by_key.get_mut(&mask.key(template)) else { continue };
        while candidates.last().is_some_and(|candidate| used[*candidate]) {
            candidates.pop();
        }
        let fitting = candidates.iter().rposition(|candidate| {
            !used[*candidate] && values.get(*candidate).is_some_and(|value| fits(template, value))
        });
        if let Some(position) = fitting {
            let value = candidates.remove(position);
            used[value] = true;
            pairs[*index] = Some(value);
        }
    }
    pairs
}

/// Where a value is unknown.
#[derive(Debug, PartialEq, Eq, Hash)]
enum Mask<'a> {
    /// Nowhere.
    Known,
    /// As a whole.
    Unknown,
    /// In these members.
    Members(Vec<(&'a str, Mask<'a>)>),
    /// In these elements of a list.
    Elements(Vec<(usize, Mask<'a>)>),
    /// Somewhere in a set, whose elements have no name.
    Set,
}

impl<'a> Mask<'a> {
    fn of(value: &'a Value) -> Mask<'a> {
        match value {
            Value::Unknown(_) => Mask::Unknown,
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => Mask::Known,
            Value::Map(members) => {
                let masks = members.iter().map(|(name, value)| (name.as_str(), Mask::of(value)));
                let masks: Vec<_> = masks.filter(|(_, mask)| *mask != Mask::Known).collect();
                if masks.is_empty() { Mask::Known } else { Mask::Members(masks) }
            }
            Value::List(elements) => {
                let masks = elements.iter().enumerate().map(|(index, value)| (index, Mask::of(value)));
                let masks: Vec<_> = masks.filter(|(_, mask)| *mask != Mask::Known).collect();
                if masks.is_empty() { Mask::Known } else { Mask::Elements(masks) }
            }
            Value::Set(set) if set.iter().all(Value::is_wholly_known) => Mask::Known,
            Value::Set(_) => Mask::Set,
            Value::Dynamic(dynamic) if dynamic.value.is_wholly_known() => Mask::Known,
            // Rare: compared by `fits` alone.
            Value::Dynamic(_) => Mask::Unknown,
        }
    }

    /// How much is left open.
    fn weight(&self) -> usize {
        match self {
            Mask::Known => 0,
            Mask::Set => 1,
            Mask::Unknown => 1_000,
            Mask::Members(masks) => masks.iter().map(|(_, mask)| 1 + mask.weight()).sum(),
            Mask::Elements(masks) => masks.iter().map(|(_, mask)| 1 + mask.weight()).sum(),
        }
    }

    /// A hash of all that the mask leaves.
    fn key(&self, value: &Value) -> u64 {
        let mut hasher = DefaultHasher::new();
        self.hash_rest(value, &mut hasher);
        hasher.finish()
    }

    fn hash_rest(&self, value: &Value, hasher: &mut DefaultHasher) {
        match (self, value) {
            (Mask::Known, value) => value.hash(hasher),
            (Mask::Unknown | Mask::Set, _) => {}
            // Both sides are in the order of their names.
            (Mask::Members(masks), Value::Map(members)) => {
                members.len().hash(hasher);
                let mut masks = masks.iter().peekable();
                for (name, value) in members {
                    name.hash(hasher);
                    while masks.next_if(|(masked, _)| *masked < name.as_str()).is_some() {}
                    match masks.next_if(|(masked, _)| *masked == name.as_str()) {
                        Some((_, mask)) => mask.hash_rest(value, hasher),
                        None => value.hash(hasher),
                    }
                }
            }
            (Mask::Elements(masks), Value::List(elements)) => {
                elements.len().hash(hasher);
                let mut masks = masks.iter().peekable();
                for (index, value) in elements.iter().enumerate() {
                    match masks.next_if(|(masked, _)| *masked == index) {
                        Some((_, mask)) => mask.hash_rest(value, hasher),
                        None => value.hash(hasher),
                    }
                }
            }
            (Mask::Members(_) | Mask::Elements(_), other) => other.hash(hasher),
        }
    }
}
