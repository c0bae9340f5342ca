//! Which elements of two sets belong together, near-linear in their size. One side may be unknown in parts,
//! and fits whatever agrees with the rest of it.
//!
//! Elements with the same unknown places share a [`Mask`]; under one mask, what fits has an equal hash of all
//! that is not masked. So each element meets only those it nearly certainly fits.

use std::collections::{HashMap, HashSet};
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
#[derive(Clone, Copy, Debug, PartialEq)]
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

/// For each template the index of a value that completes it, each value at most once. As many as possible
/// find one: templates that leave less open choose first, and make way where another has no other choice.
pub(super) fn pair(templates: &[Option<Value>], values: &[Value]) -> Vec<Option<usize>> {
    let known = templates.iter().enumerate().filter_map(|(i, template)| Some((i, template.as_ref()?)));
    let mut seekers: Vec<Seeker<'_>> =
        known.map(|(index, template)| Seeker { index, template, mask: Mask::of(template) }).collect();
    seekers.sort_by_key(|seeker| seeker.mask.weight(MAX_WEIGHT));
    let mut groups: HashMap<&Mask<'_>, HashMap<u64, Bucket>> = HashMap::new();
    let mut pairing = Pairing { taken_by: vec![None; values.len()], values, steps: 8 * values.len() + 1_000 };
    let mut late = Vec::new();
    for (position, seeker) in seekers.iter().enumerate() {
        let buckets = groups.entry(&seeker.mask).or_insert_with(|| Bucket::all(&seeker.mask, values));
        if let Some(bucket) = buckets.get_mut(&seeker.mask.key(seeker.template))
            && !pairing.take_free(position, seeker.template, bucket)
        {
            late.push(position);
        }
    }
    let candidates = |position: usize| {
        let seeker: &Seeker<'_> = &seekers[position];
        let bucket =
            groups.get(&seeker.mask).and_then(|buckets| buckets.get(&seeker.mask.key(seeker.template)));
        (seeker.template, bucket.map(|bucket| bucket.members.as_slice()).unwrap_or_default())
    };
    for position in late {
        let mut seen = HashSet::new();
        pairing.make_way(position, &candidates, &mut seen, MAX_DEPTH);
    }
    let mut pairs = vec![None; templates.len()];
    for (value, position) in pairing.taken_by.iter().enumerate() {
        if let Some(position) = position {
            pairs[seekers[*position].index] = Some(value);
        }
    }
    pairs
}

type ByKey<'a> = HashMap<u64, Vec<(usize, &'a Value)>>;

/// Templates by what they leave open, to find those that a value completes.
pub(super) struct Index<'a> {
    groups: HashMap<Mask<'a>, ByKey<'a>>,
}

impl<'a> Index<'a> {
    pub(super) fn new(templates: &'a [Value]) -> Index<'a> {
        let mut groups: HashMap<Mask<'_>, ByKey<'_>> = HashMap::new();
        for (index, template) in templates.iter().enumerate() {
            let mask = Mask::of(template);
            let key = mask.key(template);
            groups.entry(mask).or_default().entry(key).or_default().push((index, template));
        }
        Index { groups }
    }

    /// Whether the value completes a template of which this is true.
    pub(super) fn any(&self, value: &Value, is: impl Fn(usize) -> bool) -> bool {
        self.groups.iter().any(|(mask, by_key)| {
            let found = by_key.get(&mask.key(value));
            found.is_some_and(|found| found.iter().any(|(i, template)| is(*i) && fits(template, value)))
        })
    }
}

/// What a template is worth that is unknown as a whole.
const MAX_WEIGHT: u64 = 1 << 32;

/// How many templates may make way for one.
const MAX_DEPTH: usize = 32;

/// A template in search of a value.
struct Seeker<'a> {
    index: usize,
    template: &'a Value,
    mask: Mask<'a>,
}

/// The values with one key under one mask.
#[derive(Default)]
struct Bucket {
    members: Vec<usize>,
    /// All before this are taken.
    next: usize,
}

impl Bucket {
    fn all(mask: &Mask<'_>, values: &[Value]) -> HashMap<u64, Bucket> {
        let mut buckets: HashMap<u64, Bucket> = HashMap::new();
        for (index, value) in values.iter().enumerate() {
            buckets.entry(mask.key(value)).or_default().members.push(index);
        }
        buckets
    }
}

/// Which template has which value: a bipartite matching.
struct Pairing<'a> {
    taken_by: Vec<Option<usize>>,
    values: &'a [Value],
    /// How many more steps may be taken to move templates: sets that need more are not of this world.
    steps: usize,
}

impl Pairing<'_> {
    fn take_free(&mut self, position: usize, template: &Value, bucket: &mut Bucket) -> bool {
        while bucket.members.get(bucket.next).is_some_and(|value| self.taken_by[*value].is_some()) {
            bucket.next += 1;
        }
        let rest = bucket.members.get(bucket.next..).unwrap_or_default();
        let free = |value: &&usize| self.taken_by[**value].is_none() && fits(template, &self.values[**value]);
        match rest.iter().find(free) {
            Some(value) => {
                self.taken_by[*value] = Some(position);
                true
            }
            None => false,
        }
    }

    fn make_way<'t>(
        &mut self,
        position: usize,
        candidates: &dyn Fn(usize) -> (&'t Value, &'t [usize]),
        seen: &mut HashSet<usize>,
        depth: usize,
    ) -> bool {
        let (template, values) = candidates(position);
        for value in values {
            if self.steps == 0 || depth == 0 {
                return false;
            }
            self.steps -= 1;
            if !fits(template, &self.values[*value]) || !seen.insert(*value) {
                continue;
            }
            let moved = match self.taken_by[*value] {
                Some(other) => self.make_way(other, candidates, seen, depth - 1),
                None => true,
            };
            if moved {
                self.taken_by[*value] = Some(position);
                return true;
            }
        }
        false
    }
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

    /// How much is left open: what is further inside counts for less.
    fn weight(&self, most: u64) -> u64 {
        let less = most >> 6;
        match self {
            Mask::Known => 0,
            Mask::Set => less,
            Mask::Unknown => most,
            Mask::Members(masks) => masks.iter().map(|(_, mask)| mask.weight(less)).sum::<u64>().min(most),
            Mask::Elements(masks) => masks.iter().map(|(_, mask)| mask.weight(less)).sum::<u64>().min(most),
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
