//! When two values are one to cty, where an encoding leaves a choice, and the count of what was compared.

use tfplugin_schema::{Number, Type, Value};

/// The value with its numbers as cty compares them: a fraction that is exactly a double is the shortest decimal of that double,
/// because cty sends it as one and compares what it would write.
pub(crate) fn as_cty_compares(value: &Value) -> Value {
    match value {
        Value::Number(number) => Value::Number(shortest(number)),
        Value::Unknown(Some(refinement)) => {
            let mut refinement = (**refinement).clone();
            for bound in [&mut refinement.lower, &mut refinement.upper].into_iter().flatten() {
                bound.number = shortest(&bound.number);
            }
            Value::refined(refinement)
        }
        Value::List(elements) => Value::List(elements.iter().map(as_cty_compares).collect()),
        Value::Set(set) => Value::set(set.iter().map(as_cty_compares)),
        Value::Map(members) => Value::map(members.iter().map(|(k, v)| (k.clone(), as_cty_compares(v)))),
        Value::Dynamic(dynamic) => Value::dynamic(dynamic.ty.clone(), as_cty_compares(&dynamic.value)),
        _ => value.clone(),
    }
}

/// What cty makes of a message that nobody meant: of large doubles it keeps 15 digits, and what it knows of unknown values
/// it may have read from the middle of something else.
pub(crate) fn roughly(value: &Value) -> Value {
    match value {
        Value::Unknown(_) => Value::UNKNOWN,
        Value::Number(number) => Value::Number(number.round_to_significant(15)),
        Value::List(elements) => Value::List(elements.iter().map(roughly).collect()),
        Value::Set(set) => Value::set(set.iter().map(roughly)),
        Value::Map(members) => Value::map(members.iter().map(|(k, v)| (k.clone(), roughly(v)))),
        Value::Dynamic(dynamic) => Value::dynamic(dynamic.ty.clone(), roughly(&dynamic.value)),
        _ => value.clone(),
    }
}

fn shortest(number: &Number) -> Number {
    match number.to_f64_exact() {
        Some(float) if !number.is_integer() => Number::from_f64(float).unwrap(),
        _ => number.clone(),
    }
}

/// Whether both sides must write the same bytes: sets are in any order, and Go escapes more in JSON than must
/// be.
pub(crate) fn bytes_are_determined(ty: &Type, value: &Value, encoded: &[u8]) -> bool {
    !has_set(ty) && !brings_set(value) && !encoded.windows(2).any(|pair| pair == b"\\u")
}

/// Whether no set in it has two elements that are not wholly known.
pub(crate) fn order_is_settled(value: &Value) -> bool {
    match value {
        Value::Set(set) => {
            set.iter().filter(|e| !e.is_wholly_known()).count() < 2 && set.iter().all(order_is_settled)
        }
        Value::Dynamic(dynamic) => order_is_settled(&dynamic.value),
        Value::List(elements) => elements.iter().all(order_is_settled),
        Value::Map(members) => members.values().all(order_is_settled),
        _ => true,
    }
}

fn has_set(ty: &Type) -> bool {
    match ty {
        Type::Set(_) => true,
        Type::List(element) | Type::Map(element) => has_set(element),
        Type::Tuple(types) => types.iter().any(has_set),
        Type::Object(object) => object.attributes.values().any(has_set),
        _ => false,
    }
}

fn brings_set(value: &Value) -> bool {
    match value {
        Value::Dynamic(dynamic) => has_set(&dynamic.ty) || brings_set(&dynamic.value),
        Value::List(elements) => elements.iter().any(brings_set),
        Value::Map(members) => members.values().any(brings_set),
        _ => false,
    }
}

/// What was compared, and what differed.
pub(crate) struct Report {
    name: &'static str,
    compared: u64,
    compared_bytes: u64,
    disagreements: Vec<String>,
}

impl Report {
    pub(crate) fn new(name: &'static str) -> Report {
        println!("{name}: first seed {}", super::first_seed());
        Report { name, compared: 0, compared_bytes: 0, disagreements: Vec::new() }
    }

    pub(crate) fn compared(&mut self) {
        self.compared += 1;
    }

    pub(crate) fn compared_bytes(&mut self) {
        self.compared_bytes += 1;
    }

    pub(crate) fn disagree(&mut self, name: &str, problem: &str) {
        self.disagreements.push(format!("{name}: {problem}"));
    }

    /// Panics if anything differed.
    pub(crate) fn finish_broken(self) {
        self.finish_with(0, 0);
    }

    /// Panics if anything differed, or if less was compared than was promised.
    pub(crate) fn finish(self, promised: u64) {
        self.finish_with(promised, promised / 3);
    }

    fn finish_with(self, promised: u64, promised_bytes: u64) {
        let Report { name, compared, compared_bytes, disagreements } = self;
        println!("{name}: {compared} values compared, of {compared_bytes} the bytes too");
        let shown: Vec<String> =
            disagreements.iter().take(5).map(|d| d.chars().take(3_000).collect()).collect();
        assert!(disagreements.is_empty(), "{} disagreements\n{}", disagreements.len(), shown.join("\n\n"));
        assert!(compared >= promised, "only {compared} values were compared");
        assert!(compared_bytes >= promised_bytes, "only of {compared_bytes} values the bytes were compared");
    }
}
