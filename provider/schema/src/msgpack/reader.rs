//! Reads one msgpack item after the other from a slice, without copying. Knows nothing of types and values.

use super::marker::{
    ARRAY_16, ARRAY_32, BIN_8, BIN_16, BIN_32, EXT_8, EXT_16, EXT_32, FALSE, FIXEXT_1, FIXEXT_16, FLOAT_32,
    FLOAT_64, INT_8, INT_16, INT_32, INT_64, MAP_16, MAP_32, NIL, STR_8, STR_16, STR_32, TRUE, UINT_8,
    UINT_16, UINT_32, UINT_64,
};
use crate::ValueError;

pub(super) struct Reader<'a> {
    rest: &'a [u8],
}

/// A number as the wire has it.
pub(super) enum Digits<'a> {
    Int(i64),
    Uint(u64),
    Float(f64),
    Text(&'a str),
}

impl<'a> Reader<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Reader<'a> {
        Reader { rest: bytes }
    }

    /// How many bytes are left: no honest length is larger.
    pub(super) fn left(&self) -> usize {
        self.rest.len()
    }

    pub(super) fn finish(&self) -> Result<(), ValueError> {
        match self.rest.len() {
            0 => Ok(()),
            left => Err(ValueError::new(format!("{left} bytes follow after the end of the value"))),
        }
    }

    /// The first byte of the next item.
    pub(super) fn peek(&self) -> Result<u8, ValueError> {
        self.rest.first().copied().ok_or_else(truncated)
    }

    /// Takes a nil, if it is next.
    pub(super) fn nil(&mut self) -> Result<bool, ValueError> {
        let nil = self.peek()? == NIL;
        if nil {
            self.rest = &self.rest[1..];
        }
        Ok(nil)
    }

    pub(super) fn bool(&mut self, expected: &str) -> Result<bool, ValueError> {
        match self.peek()? {
            FALSE => self.take(1).map(|_| false),
            TRUE => self.take(1).map(|_| true),
            _ => Err(self.required(expected)),
        }
    }

    /// Takes a string; binary counts as one, as in cty.
    pub(super) fn text(&mut self, expected: &str) -> Result<&'a str, ValueError> {
        let bytes = self.bytes(expected)?;
        std::str::from_utf8(bytes)
            .map_err(|_| ValueError::new(format!("{expected} is required; this one is not UTF-8")))
    }

    /// Takes binary or a string.
    pub(super) fn bytes(&mut self, expected: &str) -> Result<&'a [u8], ValueError> {
        let marker = self.peek()?;
        let length = match marker {
            0xa0..=0xbf => self.take(1).map(|_| usize::from(marker & 0x1f))?,
            STR_8 | BIN_8 => self.length::<1>()?,
            STR_16 | BIN_16 => self.length::<2>()?,
            STR_32 | BIN_32 => self.length::<4>()?,
            _ => return Err(self.required(expected)),
        };
        self.take(length)
    }

    pub(super) fn digits(&mut self, expected: &str) -> Result<Digits<'a>, ValueError> {
        let marker = self.peek()?;
        Ok(match marker {
            0x00..=0x7f => self.take(1).map(|_| Digits::Int(i64::from(marker)))?,
            // The marker is the number in two's complement.
            0xe0..=0xff => self.take(1).map(|_| Digits::Int(i64::from(marker.cast_signed())))?,
            UINT_8 => Digits::Uint(u64::from(u8::from_be_bytes(self.after()?))),
            UINT_16 => Digits::Uint(u64::from(u16::from_be_bytes(self.after()?))),
            UINT_32 => Digits::Uint(u64::from(u32::from_be_bytes(self.after()?))),
            UINT_64 => Digits::Uint(u64::from_be_bytes(self.after()?)),
            INT_8 => Digits::Int(i64::from(i8::from_be_bytes(self.after()?))),
            INT_16 => Digits::Int(i64::from(i16::from_be_bytes(self.after()?))),
            INT_32 => Digits::Int(i64::from(i32::from_be_bytes(self.after()?))),
            INT_64 => Digits::Int(i64::from_be_bytes(self.after()?)),
            FLOAT_32 => Digits::Float(f64::from(f32::from_be_bytes(self.after()?))),
            FLOAT_64 => Digits::Float(f64::from_be_bytes(self.after()?)),
            _ => Digits::Text(self.text(expected)?),
        })
    }

    /// Enters an array: how many elements follow.
    pub(super) fn array(&mut self, expected: &str) -> Result<usize, ValueError> {
        let marker = self.peek()?;
        let length = match marker {
            0x90..=0x9f => self.take(1).map(|_| usize::from(marker & 0x0f))?,
            ARRAY_16 => self.length::<2>()?,
            ARRAY_32 => self.length::<4>()?,
            _ => return Err(self.required(expected)),
        };
        self.plausible(length)
    }

    /// Enters a map: how many pairs follow.
    pub(super) fn map(&mut self, expected: &str) -> Result<usize, ValueError> {
        let marker = self.peek()?;
        let length = match marker {
            0x80..=0x8f => self.take(1).map(|_| usize::from(marker & 0x0f))?,
            MAP_16 => self.length::<2>()?,
            MAP_32 => self.length::<4>()?,
            _ => return Err(self.required(expected)),
        };
        self.plausible(length)
    }

    /// Takes an extension, its number and body, if one is next.
    pub(super) fn extension(&mut self) -> Result<Option<(i8, &'a [u8])>, ValueError> {
        let marker = self.peek()?;
        let length = match marker {
            FIXEXT_1..=FIXEXT_16 => self.take(1).map(|_| 1_usize << (marker - FIXEXT_1))?,
            EXT_8 => self.length::<1>()?,
            EXT_16 => self.length::<2>()?,
            EXT_32 => self.length::<4>()?,
            _ => return Ok(None),
        };
        let [code] = self.fixed()?;
        Ok(Some((code.cast_signed(), self.take(length)?)))
    }

    /// Passes over an item of any kind and depth; needs no stack.
    pub(super) fn skip(&mut self) -> Result<(), ValueError> {
        // Each pending item takes a byte at least, and lengths are plausible, so the sum cannot overflow.
        let mut pending: usize = 1;
        while pending > 0 {
            pending -= 1;
            match self.peek()? {
                NIL | FALSE | TRUE => drop(self.take(1)?),
                0x90..=0x9f | ARRAY_16 | ARRAY_32 => pending += self.array("an array")?,
                0x80..=0x8f | MAP_16 | MAP_32 => pending += 2 * self.map("a map")?,
                FIXEXT_1..=FIXEXT_16 | EXT_8 | EXT_16 | EXT_32 => drop(self.extension()?),
                _ => {
                    // A number or anything with bytes.
                    if matches!(self.peek()?, 0xa0..=0xbf | STR_8..=STR_32 | BIN_8..=BIN_32) {
                        self.bytes("a string")?;
                    } else {
                        self.digits("a value")?;
                    }
                }
            }
            if pending > self.left() {
                return Err(truncated());
            }
        }
        Ok(())
    }

    /// The error that something else is required here. Names what is there, never its content.
    pub(super) fn required(&self, expected: &str) -> ValueError {
        let found = match self.rest.first() {
            None => return truncated(),
            Some(&NIL) => "null",
            Some(&(FALSE | TRUE)) => "a bool",
            Some(0x00..=0x7f | 0xe0..=0xff | FLOAT_32..=INT_64) => "a number",
            Some(0xa0..=0xbf | STR_8..=STR_32) => "a string",
            Some(BIN_8..=BIN_32) => "binary",
            Some(0x90..=0x9f | ARRAY_16..=ARRAY_32) => "an array",
            Some(0x80..=0x8f | MAP_16..=MAP_32) => "a map",
            Some(EXT_8..=EXT_32 | FIXEXT_1..=FIXEXT_16) => "an unknown value",
            Some(0xc1) => "a byte that msgpack does not use",
        };
        ValueError::new(format!("{expected} is required, not {found}"))
    }

    // An element takes a byte at least: more elements than bytes is a lie, found before anything is allocated.
    fn plausible(&self, length: usize) -> Result<usize, ValueError> {
        if length > self.left() { Err(truncated()) } else { Ok(length) }
    }

    fn take(&mut self, length: usize) -> Result<&'a [u8], ValueError> {
        let (taken, rest) = self.rest.split_at_checked(length).ok_or_else(truncated)?;
        self.rest = rest;
        Ok(taken)
    }

    fn fixed<const N: usize>(&mut self) -> Result<[u8; N], ValueError> {
        let (taken, rest) = self.rest.split_first_chunk::<N>().ok_or_else(truncated)?;
        self.rest = rest;
        Ok(*taken)
    }

    // The bytes after the marker.
    fn after<const N: usize>(&mut self) -> Result<[u8; N], ValueError> {
        self.take(1)?;
        self.fixed()
    }

    // The length after the marker.
    fn length<const N: usize>(&mut self) -> Result<usize, ValueError> {
        let bytes: [u8; N] = self.after()?;
        Ok(bytes.iter().fold(0, |length, byte| (length << 8) | usize::from(*byte)))
    }
}

fn truncated() -> ValueError {
    ValueError::new("the data ends in the middle of a value")
}
