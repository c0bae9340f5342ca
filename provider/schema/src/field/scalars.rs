//! Bools, numbers and strings, and Rust types that are spelled as one of these.

use bigdecimal::BigDecimal;

use super::{Field, Leaf, Maybe, Plain, unexpected};
use crate::{Dynamic, Number, Shape, Type, Value, ValueError};

/// A type that is spelled as a bool, number or string. Implement it for your own types (an ARN, a region),
/// and they are [`Field`]s. Two spellings that parse to equal values mean the same, and the prior spelling
/// is kept, so normalisation never shows as a change.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be an attribute",
    note = "derive `Schema` for structs and enums; implement `tfplugin_schema::Scalar` for types that are spelled as a string, number or bool",
    note = "attributes can be: bool, integers, f32/f64, Number, String, Vec, BTreeMap<String, _>, BTreeSet, Option, Computed, Secret, Duration, Size, Json, Cidr, Timestamp, Dynamic"
)]
pub trait Scalar: Clone + PartialEq + Send + Sync + 'static {
    /// How it is spelled.
    const TYPE: Type;
    /// Whether a value can have several spellings.
    const SPELLINGS: bool = true;

    /// Reads a known value that is not null. The error completes "the value …" and does not repeat it.
    fn parse(value: &Value) -> Result<Self, String>;
    /// Spells the value.
    fn spell(&self) -> Value;
}

fn same<T: Scalar>(a: &Value, b: &Value) -> bool {
    a == b || matches!((T::parse(a), T::parse(b)), (Ok(a), Ok(b)) if a == b)
}

#[diagnostic::do_not_recommend]
impl<T: Scalar> Field for T {
    type View = Maybe<T>;
    type State = T;
    type Path = Leaf<T>;

    fn shape() -> Shape {
        Shape { same: if T::SPELLINGS { Some(same::<T>) } else { None }, ..Shape::plain(T::TYPE) }
    }

    fn view(value: &Value) -> Result<Maybe<T>, ValueError> {
        match value {
            _ if value.is_null() => Ok(Maybe::Null),
            _ if value.is_unknown() => Ok(Maybe::Unknown),
            known => T::parse(known).map(Maybe::Known).map_err(ValueError::new),
        }
    }

    fn read(value: &Value) -> Result<T, ValueError> {
        if value.is_null() || value.is_unknown() {
            return Err(unexpected(&format!("a {}", T::TYPE), value));
        }
        T::parse(value).map_err(ValueError::new)
    }

    fn write(state: &T) -> Value {
        state.spell()
    }
}

#[diagnostic::do_not_recommend]
impl<T: Scalar> Plain for T {}

impl Scalar for bool {
    const TYPE: Type = Type::Bool;
    const SPELLINGS: bool = false;

    fn parse(value: &Value) -> Result<bool, String> {
        value.as_bool().ok_or_else(|| format!("must be a bool, not {}", value.kind()))
    }

    fn spell(&self) -> Value {
        Value::Bool(*self)
    }
}

impl Scalar for String {
    const TYPE: Type = Type::String;
    const SPELLINGS: bool = false;

    fn parse(value: &Value) -> Result<String, String> {
        value.as_str().map(str::to_owned).ok_or_else(|| format!("must be a string, not {}", value.kind()))
    }

    fn spell(&self) -> Value {
        Value::String(self.clone())
    }
}

fn number(value: &Value) -> Result<&Number, String> {
    value.as_number().ok_or_else(|| format!("must be a number, not {}", value.kind()))
}

impl Scalar for Number {
    const TYPE: Type = Type::Number;
    const SPELLINGS: bool = false;

    fn parse(value: &Value) -> Result<Number, String> {
        number(value).cloned()
    }

    fn spell(&self) -> Value {
        Value::Number(self.clone())
    }
}

impl Scalar for BigDecimal {
    const TYPE: Type = Type::Number;
    const SPELLINGS: bool = false;

    fn parse(value: &Value) -> Result<BigDecimal, String> {
        number(value).map(Number::to_decimal)
    }

    fn spell(&self) -> Value {
        Value::Number(Number::from_decimal(self.clone()))
    }
}

macro_rules! integers {
    ($($int:ty),*) => { $(
        impl Scalar for $int {
            const TYPE: Type = Type::Number;
            const SPELLINGS: bool = false;

            fn parse(value: &Value) -> Result<$int, String> {
                let whole = number(value)?.to_i128().and_then(|int| <$int>::try_from(int).ok());
                whole.ok_or_else(|| {
                    format!("must be a whole number between {} and {}", <$int>::MIN, <$int>::MAX)
                })
            }

            fn spell(&self) -> Value {
                Value::Number(Number::from(*self))
            }
        }
    )* };
}
integers!(i8, i16, i32, i64, i128, u8, u16, u32, u64, usize);

macro_rules! floats {
    ($($float:ty),*) => { $(
        /// The nearest float. Digits beyond its precision are kept as they were spelled.
        impl Scalar for $float {
            const TYPE: Type = Type::Number;

            fn parse(value: &Value) -> Result<$float, String> {
                let float = number(value)?.to_f64() as $float;
                if float.is_finite() { Ok(float) } else { Err("is too large for a float".to_owned()) }
            }

            // Not a number has no spelling: null, which the framework then refuses with the attribute's name.
            fn spell(&self) -> Value {
                let shortest = if self.is_finite() { self.to_string().parse().ok() } else { None };
                shortest.map_or(Value::Null, Value::Number)
            }
        }
    )* };
}
floats!(f32, f64);

impl Scalar for std::net::IpAddr {
    const TYPE: Type = Type::String;

    fn parse(value: &Value) -> Result<Self, String> {
        let text = String::parse(value)?;
        text.parse().map_err(|_| "must be an IP address, such as \"192.0.2.1\" or \"2001:db8::1\"".to_owned())
    }

    fn spell(&self) -> Value {
        Value::String(self.to_string())
    }
}

/// An attribute of dynamic type: any value, with its type.
impl Field for Dynamic {
    type View = Maybe<Dynamic>;
    type State = Dynamic;
    type Path = Leaf<Dynamic>;

    fn shape() -> Shape {
        Shape::plain(Type::Dynamic)
    }

    fn view(value: &Value) -> Result<Maybe<Dynamic>, ValueError> {
        match value {
            Value::Null => Ok(Maybe::Null),
            Value::Unknown(_) => Ok(Maybe::Unknown),
            Value::Dynamic(dynamic) => Ok(Maybe::Known((**dynamic).clone())),
            other => Err(unexpected("a value with its type", other)),
        }
    }

    fn read(value: &Value) -> Result<Dynamic, ValueError> {
        match value {
            Value::Dynamic(dynamic) => Ok((**dynamic).clone()),
            other => Err(unexpected("a value with its type", other)),
        }
    }

    fn write(state: &Dynamic) -> Value {
        Value::dynamic(state.ty.clone(), state.value.clone())
    }
}

impl Plain for Dynamic {}
