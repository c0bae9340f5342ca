//! Types and values made from bytes. A zero is always the simplest choice, and so is the end of the bytes: less
//! input makes a simpler value, and every input makes one.

use std::collections::BTreeMap;

use crate::{Bound, Members, Number, Refinement, SetValue, Type, Value};

/// Bytes to choose by, taken from the front.
pub struct Choices<'a> {
    bytes: &'a [u8],
    cty: bool,
}

/// As many bytes as wanted from one seed (splitmix64).
pub fn seeded(seed: u64, length: usize) -> Vec<u8> {
    let mut state = seed;
    let mut bytes = Vec::with_capacity(length + 8);
    while bytes.len() < length {
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = state;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        bytes.extend_from_slice(&(mixed ^ (mixed >> 31)).to_le_bytes());
    }
    bytes.truncate(length);
    bytes
}

// Words that have been trouble somewhere: empty, long, quotes and escapes, other scripts, pairs of surrogates, joined emoji,
// what looks like something else. All are in Unicode's form NFC.
const WORDS: &[&str] = &[
    "",
    "a",
    "name",
    "type",
    "value",
    "0",
    "-1.50",
    "true",
    "null",
    "é",
    "straße",
    "日本語",
    "\u{1f469}\u{200d}\u{1f4bb}",
    "\u{1f1eb}\u{1f1ee}",
    "❤\u{fe0f}",
    "\"quoted\" \\ back",
    "line\nbreak\ttab\r",
    "\u{0}\u{1}\u{7f}",
    "<b>&amp;</b>\u{2028}",
    "ends in accents x\u{323}\u{302}",
    "Việt Nam",
    "\u{10ffff}\u{fffd}",
    "${interpolated} %{ if }",
    "this one is longer than thirty-one bytes",
];

const NUMBERS: &[&str] = &[
    "0",
    "1",
    "-1",
    "127",
    "128",
    "255",
    "256",
    "-32",
    "-33",
    "-128",
    "-129",
    "65535",
    "65536",
    "-32768",
    "-32769",
    "2147483648",
    "-2147483649",
    "4294967296",
    "9223372036854775807",
    "-9223372036854775808",
    "9223372036854775808",
    "18446744073709551615",
    "18446744073709551616",
    "-9223372036854775809",
    "1208925819614629174706176",
    "3.1",
    "0.5",
    "-0.1",
    "0.1",
    "1e100",
    "1e-100",
    "-2.5e-7",
    "9007199254740993",
    "0.30000000000000004",
    "1e22",
    "1e23",
    "1e400",
    "3.14159265358979323846264338327950288419716939937510582097494459",
];

impl<'a> Choices<'a> {
    /// Choices without limits of others.
    pub fn new(bytes: &'a [u8]) -> Choices<'a> {
        Choices { bytes, cty: false }
    }

    /// Choices within what cty carries without loss: numbers of 150 digits, nothing dynamic inside of what is dynamic, no unknown value that is known in truth.
    pub fn for_cty(bytes: &'a [u8]) -> Choices<'a> {
        Choices { bytes, cty: true }
    }

    /// The bytes that are left.
    pub fn rest(&self) -> &'a [u8] {
        self.bytes
    }

    /// The next byte; zero after the end.
    pub fn byte(&mut self) -> u8 {
        match self.bytes.split_first() {
            Some((first, rest)) => {
                self.bytes = rest;
                *first
            }
            None => 0,
        }
    }

    fn below(&mut self, limit: usize) -> usize {
        usize::from(self.byte()) % limit.max(1)
    }

    fn array<const N: usize>(&mut self) -> [u8; N] {
        std::array::from_fn(|_| self.byte())
    }

    fn pick<T: Copy>(&mut self, from: &[T]) -> Option<T> {
        let index = self.below(from.len());
        from.get(index).copied()
    }

    /// Any type.
    pub fn ty(&mut self) -> Type {
        // One in sixteen is deep and narrow.
        match self.byte() {
            levels @ 0xf1..=0xff => self.deep(usize::from(levels & 0xf) * 4),
            _ => self.type_within(5, true),
        }
    }

    fn deep(&mut self, levels: usize) -> Type {
        (0..levels).fold(Type::String, |inner, _| match self.below(5) {
            0 => Type::list(inner),
            1 => Type::set(inner),
            2 => Type::map(inner),
            3 => Type::tuple([inner]),
            _ => Type::object([("deep", inner)]),
        })
    }

    fn type_within(&mut self, levels: usize, dynamic: bool) -> Type {
        let inside = dynamic && !self.cty;
        match self.below(if levels == 0 { 4 } else { 16 }) {
            0 | 12 => Type::String,
            1 | 13 => Type::Number,
            2 | 14 => Type::Bool,
            3 if dynamic => Type::Dynamic,
            // cty: directly in a collection dynamic will do, further inside it would have to be of one type everywhere.
            4 if dynamic && self.cty && self.below(4) == 3 => Type::list(Type::Dynamic),
            6 if dynamic && self.cty && self.below(4) == 3 => Type::map(Type::Dynamic),
            4 => Type::list(self.type_within(levels - 1, inside)),
            5 => Type::set(self.type_within(levels - 1, inside)),
            6 => Type::map(self.type_within(levels - 1, inside)),
            7 | 8 => {
                let length = self.below(5);
                Type::tuple((0..length).map(|_| self.type_within(levels - 1, dynamic)).collect::<Vec<_>>())
            }
            9..=11 => {
                let length = self.below(6);
                Type::object(
                    (0..length)
                        .map(|_| (self.word(), self.type_within(levels - 1, dynamic)))
                        .collect::<BTreeMap<_, _>>(),
                )
            }
            _ => Type::String,
        }
    }

    /// Any value of that type: null and unknown at any place, refined or not.
    pub fn value(&mut self, ty: &Type) -> Value {
        match self.byte() {
            1..=20 => Value::Null,
            21..=40 if *ty == Type::Dynamic => Value::UNKNOWN,
            21..=30 => Value::UNKNOWN,
            31..=40 => Value::refined(self.refinement(ty)),
            _ => self.known(ty, Choices::value),
        }
    }

    /// Any value of that type in which nothing is unknown.
    pub fn known_value(&mut self, ty: &Type) -> Value {
        match self.byte() {
            1..=20 => Value::Null,
            _ => self.known(ty, Choices::known_value),
        }
    }

    // A value that is neither null nor unknown itself; `inside` makes what is inside.
    fn known(&mut self, ty: &Type, inside: fn(&mut Self, &Type) -> Value) -> Value {
        match ty {
            Type::Bool => Value::Bool(self.byte() & 1 == 1),
            Type::Number => Value::Number(self.number()),
            Type::String => Value::String(self.text()),
            Type::Dynamic => {
                let ty = self.concrete();
                let value = inside(self, &ty);
                Value::dynamic(ty, value)
            }
            Type::List(element) => Value::List(self.elements(element, inside)),
            Type::Set(element) => Value::Set(SetValue::new(self.elements(element, inside))),
            Type::Map(element) => Value::Map(
                self.elements(element, inside).into_iter().map(|value| (self.text(), value)).collect(),
            ),
            Type::Tuple(types) => Value::List(types.iter().map(|ty| inside(self, ty)).collect()),
            Type::Object(object) => Value::Map(
                object
                    .attributes
                    .iter()
                    .map(|(name, ty)| (name.clone(), inside(self, ty)))
                    .collect::<Members>(),
            ),
        }
    }

    // The type of a dynamic value.
    fn concrete(&mut self) -> Type {
        match self.type_within(3, !self.cty) {
            Type::Dynamic => Type::Bool,
            ty => ty,
        }
    }

    fn elements(&mut self, ty: &Type, inside: fn(&mut Self, &Type) -> Value) -> Vec<Value> {
        // Now and then enough for a length of two bytes.
        let length = match self.byte() {
            0xff if ty.is_primitive() => 20,
            byte => usize::from(byte) % 4,
        };
        if *ty == Type::Dynamic {
            let ty = self.concrete();
            return (0..length).map(|_| Value::dynamic(ty.clone(), inside(self, &ty))).collect();
        }
        (0..length).map(|_| inside(self, ty)).collect()
    }

    fn word(&mut self) -> String {
        self.pick(WORDS).unwrap_or_default().to_owned()
    }

    fn text(&mut self) -> String {
        match self.byte() {
            0xff => "long ".repeat(60),
            0xfe => "longer ".repeat(10_000),
            byte if byte & 1 == 1 => self.word() + " " + &self.word(),
            _ => self.word(),
        }
    }

    fn number(&mut self) -> Number {
        let number = match self.below(8) {
            0 => Number::from(self.byte().cast_signed()),
            1 => Number::from(i64::from_le_bytes(self.array())),
            2 => Number::from(i128::from_le_bytes(self.array())),
            3 => self.parsed(|c| format!("{}e-{}", i32::from_le_bytes(c.array()), c.below(12))),
            4 => Number::from_f64_exact(f64::from_le_bytes(self.array())).unwrap_or(Number::from(0)),
            5 => Number::from_f64(f64::from_le_bytes(self.array())).unwrap_or(Number::from(0)),
            6 => self.parsed(|c| {
                let digits: String = (0..=c.below(130)).map(|_| char::from(b'0' + c.byte() % 10)).collect();
                let exponent = i16::from_le_bytes(c.array()) % if c.cty { 300 } else { 9_000 };
                format!("{digits}e{exponent}")
            }),
            _ => self.parsed(|c| c.pick(NUMBERS).unwrap_or("0").to_owned()),
        };
        // cty keeps 512 bits.
        let long = number.to_decimal().digits() > 150;
        if self.cty && long { number.round_to_significant(100) } else { number }
    }

    fn parsed(&mut self, text: impl FnOnce(&mut Self) -> String) -> Number {
        text(self).parse().unwrap_or(Number::from(0))
    }

    // Something about a value of that type; never that it is null, and never so much that it is known.
    fn refinement(&mut self, ty: &Type) -> Refinement {
        let mut refinement =
            Refinement { null: (self.byte() & 1 == 1).then_some(false), ..Refinement::default() };
        let which = self.byte();
        match ty {
            Type::String if which & 1 == 1 => {
                refinement.prefix = Some(self.word()).filter(|word| !word.is_empty());
            }
            Type::Number => {
                let lower = i64::from(self.byte().cast_signed());
                let upper = lower + 1 + i64::from(self.byte());
                let mut bound = |base: i64| Bound {
                    number: self
                        .parsed(|c| format!("{base}{}", c.pick(&["", ".1", ".5", "e18"]).unwrap_or(""))),
                    inclusive: self.byte() & 1 == 1,
                };
                let (lower, upper) = (bound(lower), bound(upper));
                if lower.number < upper.number {
                    refinement.lower = (which & 1 == 1).then_some(lower);
                    refinement.upper = (which & 2 == 2).then_some(upper);
                }
            }
            Type::List(_) | Type::Set(_) | Type::Map(_) => {
                let min = u64::from(self.byte()) + 1;
                refinement.min_length = (which & 1 == 1).then_some(min);
                refinement.max_length = (which & 2 == 2).then_some(min + 1 + u64::from(self.byte()));
            }
            _ => {}
        }
        refinement
    }
}
