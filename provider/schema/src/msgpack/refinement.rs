//! Unknown values on the wire: an extension, and in number 12 a map of what is known about the value.

use super::decode::decode_number;
use super::encode::write_number;
use super::reader::Reader;
use super::writer;
use crate::{Bound, Refinement, Type, Value, ValueError};

const REFINED: i8 = 12;

// The keys of the map.
const NULLNESS: i64 = 1;
const STRING_PREFIX: i64 = 2;
const NUMBER_MIN: i64 = 3;
const NUMBER_MAX: i64 = 4;
const LENGTH_MIN: i64 = 5;
const LENGTH_MAX: i64 = 6;

// Longer prefixes are cut, as cty does: it refuses an extension of more than 1 KiB.
const MAX_PREFIX: usize = 256;

// Two bounds of this length fit as well. A longer one is left out: to know less is not wrong.
const MAX_BOUND: usize = 480;

/// Writes an unknown value. A refinement that contradicts itself or does not fit the type is an error: cty would end
/// the process that reads it.
pub(super) fn write(refinement: Option<&Refinement>, ty: &Type, out: &mut Vec<u8>) -> Result<(), ValueError> {
    // Nothing can be known about a value of unknown type.
    let Some(refinement) = refinement.filter(|_| *ty != Type::Dynamic) else { return write_plain(out) };
    check(refinement, ty)?;
    let mut entries = Vec::new();
    let mut count = 0;
    let mut key = |key: i64, entries: &mut Vec<u8>| {
        count += 1;
        writer::int(key, entries);
    };
    if let Some(null) = refinement.null {
        key(NULLNESS, &mut entries);
        writer::bool(null, &mut entries);
    }
    if let Some(prefix) = refinement.prefix.as_deref().filter(|prefix| !prefix.is_empty()) {
        key(STRING_PREFIX, &mut entries);
        writer::text(&prefix[..prefix.floor_char_boundary(MAX_PREFIX)], &mut entries)?;
    }
    for (code, bound) in [(NUMBER_MIN, &refinement.lower), (NUMBER_MAX, &refinement.upper)] {
        if let Some(bound) = bound.as_ref().filter(|bound| bound.number.to_string().len() <= MAX_BOUND) {
            key(code, &mut entries);
            writer::array(2, &mut entries)?;
            write_number(&bound.number, &mut entries)?;
            writer::bool(bound.inclusive, &mut entries);
        }
    }
    // A length that excludes nothing is not said.
    let min = refinement.min_length.filter(|min| *min > 0);
    let max = refinement.max_length.filter(|max| *max < i64::MAX.cast_unsigned());
    for (code, length) in [(LENGTH_MIN, min), (LENGTH_MAX, max)] {
        if let Some(length) = length {
            key(code, &mut entries);
            writer::int(i64::try_from(length).unwrap_or(i64::MAX), &mut entries);
        }
    }
    if count == 0 {
        return write_plain(out);
    }
    let mut body = Vec::with_capacity(entries.len() + 1);
    writer::map(count, &mut body)?;
    body.extend_from_slice(&entries);
    writer::extension(REFINED, &body, out)
}

fn write_plain(out: &mut Vec<u8>) -> Result<(), ValueError> {
    writer::extension(0, &[0], out)
}

/// Reads the body of an extension: always an unknown value, but for one refined to null.
pub(super) fn decode(code: i8, body: &[u8], ty: &Type) -> Result<Value, ValueError> {
    // A body of one byte is no map with content; cty writes a zero there.
    if code != REFINED || body.len() <= 1 || *ty == Type::Dynamic {
        return Ok(Value::UNKNOWN);
    }
    let refinement =
        read(body).map_err(|e| ValueError::new(format!("what is known of the value: {}", e.message())))?;
    check(&refinement, ty)?;
    if refinement.null == Some(true) {
        return Ok(Value::Null);
    }
    Ok(Value::refined(refinement))
}

fn read(body: &[u8]) -> Result<Refinement, ValueError> {
    let mut reader = Reader::new(body);
    let mut refinement = Refinement::default();
    for _ in 0..reader.map("a map of refinements")? {
        match decode_number(&mut reader)?.to_i64() {
            Some(NULLNESS) => refinement.null = Some(reader.bool("a bool")?),
            Some(STRING_PREFIX) => {
                let prefix = reader.text("the start of a string")?;
                refinement.prefix = (!prefix.is_empty()).then(|| prefix.to_owned());
            }
            Some(NUMBER_MIN) => refinement.lower = Some(read_bound(&mut reader)?),
            Some(NUMBER_MAX) => refinement.upper = Some(read_bound(&mut reader)?),
            Some(LENGTH_MIN) => {
                refinement.min_length = Some(read_length(&mut reader)?).filter(|min| *min > 0);
            }
            Some(LENGTH_MAX) => {
                let max = read_length(&mut reader)?;
                refinement.max_length = Some(max).filter(|max| *max < i64::MAX.cast_unsigned());
            }
            // A refinement of the future.
            _ => reader.skip()?,
        }
    }
    // Whatever follows the map is of the future too.
    Ok(refinement)
}

fn read_bound(reader: &mut Reader<'_>) -> Result<Bound, ValueError> {
    if reader.array("a number and whether it is included")? != 2 {
        return Err(ValueError::new("a number and whether it is included are required"));
    }
    Ok(Bound { number: decode_number(reader)?, inclusive: reader.bool("a bool")? })
}

fn read_length(reader: &mut Reader<'_>) -> Result<u64, ValueError> {
    decode_number(reader)?.to_u64().ok_or_else(|| ValueError::new("a length is required"))
}

fn check(refinement: &Refinement, ty: &Type) -> Result<(), ValueError> {
    let Refinement { prefix, lower, upper, min_length, max_length, null: _ } = refinement;
    let wrong = |what: &str, of: &str| {
        Err(ValueError::new(format!(
            "the value is said to have {what}, which only {of} has; correct its refinement"
        )))
    };
    if prefix.is_some() && *ty != Type::String {
        return wrong("a prefix", "a string");
    }
    if (lower.is_some() || upper.is_some()) && *ty != Type::Number {
        return wrong("a smallest or largest value", "a number");
    }
    let collection = matches!(ty, Type::List(_) | Type::Set(_) | Type::Map(_));
    if (min_length.is_some() || max_length.is_some()) && !collection {
        return wrong("a length", "a list, set or map");
    }
    let contradiction = match (lower, upper) {
        (Some(lower), Some(upper)) if lower.number == upper.number => !(lower.inclusive && upper.inclusive),
        (Some(lower), Some(upper)) => lower.number > upper.number,
        _ => false,
    };
    let impossible =
        min_length.is_some_and(|min| max_length.is_some_and(|max| min > max) || i64::try_from(min).is_err());
    if contradiction || impossible {
        return Err(ValueError::new(
            "what is known of the value contradicts itself: its lower bound is above its upper",
        ));
    }
    Ok(())
}
