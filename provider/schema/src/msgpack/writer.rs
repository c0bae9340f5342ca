//! Writes msgpack items, each in its shortest form. Knows nothing of types and values.

use super::marker::{
    ARRAY_16, ARRAY_32, BIN_8, BIN_16, BIN_32, EXT_8, EXT_16, EXT_32, FALSE, FIXEXT_1, FLOAT_64, INT_8,
    INT_16, INT_32, INT_64, MAP_16, MAP_32, NIL, STR_8, STR_16, STR_32, TRUE, UINT_8, UINT_16, UINT_32,
    UINT_64,
};
use crate::ValueError;

pub(super) fn nil(out: &mut Vec<u8>) {
    out.push(NIL);
}

pub(super) fn bool(bool: bool, out: &mut Vec<u8>) {
    out.push(if bool { TRUE } else { FALSE });
}

pub(super) fn int(int: i64, out: &mut Vec<u8>) {
    if let Ok(uint) = u64::try_from(int) {
        if uint < 0x80 {
            out.push(uint as u8);
        } else if let Ok(int) = u8::try_from(uint) {
            put(UINT_8, int.to_be_bytes(), out);
        } else if let Ok(int) = u16::try_from(uint) {
            put(UINT_16, int.to_be_bytes(), out);
        } else if let Ok(int) = u32::try_from(uint) {
            put(UINT_32, int.to_be_bytes(), out);
        } else {
            put(UINT_64, uint.to_be_bytes(), out);
        }
    } else if let Ok(int) = i8::try_from(int) {
        if int >= -32 {
            out.push(int.cast_unsigned());
        } else {
            put(INT_8, int.to_be_bytes(), out);
        }
    } else if let Ok(int) = i16::try_from(int) {
        put(INT_16, int.to_be_bytes(), out);
    } else if let Ok(int) = i32::try_from(int) {
        put(INT_32, int.to_be_bytes(), out);
    } else {
        put(INT_64, int.to_be_bytes(), out);
    }
}

pub(super) fn float(float: f64, out: &mut Vec<u8>) {
    put(FLOAT_64, float.to_be_bytes(), out);
}

pub(super) fn text(text: &str, out: &mut Vec<u8>) -> Result<(), ValueError> {
    match text.len() {
        length @ 0..32 => out.push(0xa0 | length as u8),
        length => sized([STR_8, STR_16, STR_32], length, out)?,
    }
    out.extend_from_slice(text.as_bytes());
    Ok(())
}

pub(super) fn binary(bytes: &[u8], out: &mut Vec<u8>) -> Result<(), ValueError> {
    sized([BIN_8, BIN_16, BIN_32], bytes.len(), out)?;
    out.extend_from_slice(bytes);
    Ok(())
}

/// The head of an array; its elements must follow.
pub(super) fn array(length: usize, out: &mut Vec<u8>) -> Result<(), ValueError> {
    match length {
        0..16 => out.push(0x90 | length as u8),
        0x10..0x1_0000 => put(ARRAY_16, (length as u16).to_be_bytes(), out),
        _ => put(ARRAY_32, length_32(length)?, out),
    }
    Ok(())
}

/// The head of a map; its pairs must follow.
pub(super) fn map(length: usize, out: &mut Vec<u8>) -> Result<(), ValueError> {
    match length {
        0..16 => out.push(0x80 | length as u8),
        0x10..0x1_0000 => put(MAP_16, (length as u16).to_be_bytes(), out),
        _ => put(MAP_32, length_32(length)?, out),
    }
    Ok(())
}

pub(super) fn extension(code: i8, body: &[u8], out: &mut Vec<u8>) -> Result<(), ValueError> {
    match body.len() {
        1 => out.push(FIXEXT_1),
        2 => out.push(FIXEXT_1 + 1),
        4 => out.push(FIXEXT_1 + 2),
        8 => out.push(FIXEXT_1 + 3),
        16 => out.push(FIXEXT_1 + 4),
        length => sized([EXT_8, EXT_16, EXT_32], length, out)?,
    }
    out.push(code.cast_unsigned());
    out.extend_from_slice(body);
    Ok(())
}

// The marker for the shortest length that holds it, then the length.
fn sized(
    [marker_8, marker_16, marker_32]: [u8; 3],
    length: usize,
    out: &mut Vec<u8>,
) -> Result<(), ValueError> {
    if let Ok(length) = u8::try_from(length) {
        put(marker_8, length.to_be_bytes(), out);
    } else if let Ok(length) = u16::try_from(length) {
        put(marker_16, length.to_be_bytes(), out);
    } else {
        put(marker_32, length_32(length)?, out);
    }
    Ok(())
}

fn length_32(length: usize) -> Result<[u8; 4], ValueError> {
    match u32::try_from(length) {
        Ok(length) => Ok(length.to_be_bytes()),
        Err(_) => Err(ValueError::new("longer than 4 GiB or 4 billion elements, which msgpack cannot carry")),
    }
}

fn put<const N: usize>(marker: u8, bytes: [u8; N], out: &mut Vec<u8>) {
    out.push(marker);
    out.extend_from_slice(&bytes);
}
