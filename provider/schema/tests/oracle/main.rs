//! Our codecs against go-cty, the library that Terraform itself uses: thousands of values in both directions, through msgpack
//! and JSON. What either writes, the other must read as the same value and write again; and where an encoding leaves no
//! choice, the bytes must be the same.
//!
//! Another seed: `TFPLUGIN_CODEC_SEED=7 cargo test -p tfplugin-schema --test oracle`.

#![allow(clippy::unwrap_used, clippy::panic, clippy::print_stdout, reason = "all of it is a test")]

mod compare;
mod process;

use compare::{Report, as_cty_compares, bytes_are_determined, order_is_settled, roughly};
use process::{Answer, Encoding, Oracle, decode_json, decode_msgpack, generate, same};
use tfplugin_schema::testing::{Choices, seeded};
use tfplugin_schema::{Type, Value, json, msgpack};

const PAIRS: u64 = 12_000;
const BATCH: u64 = 1_000;

// The first byte of a double. Where one may be, the bytes may differ: we send as decimal digits what cty would send as a double
// and read back as another number.
const DOUBLE: u8 = 0xcb;

fn first_seed() -> u64 {
    std::env::var("TFPLUGIN_CODEC_SEED").ok().and_then(|text| text.parse().ok()).unwrap_or(1)
}

#[test]
fn what_cty_writes_we_read_and_write_again() {
    let Some(mut oracle) = Oracle::start() else { return };
    let mut report = Report::new("cty to us and back");
    for batch in 0..PAIRS / BATCH {
        let seed = first_seed().wrapping_mul(1_000_003).wrapping_add(batch);
        let pairs = oracle.ask(&[generate(seed, BATCH)], BATCH as usize);
        let mut questions = Vec::new();
        let mut asked = Vec::new();
        for (index, pair) in pairs.iter().enumerate() {
            let name = format!("oracle seed {seed}, pair {index}");
            match read_and_write(pair, &mut report) {
                Ok((ty, value, ours, text)) => {
                    // cty compares sets in their order, and unknown elements have none: it is told what to compare
                    // only where that is settled, else only asked to read.
                    questions.push(if order_is_settled(&value) {
                        same(&ty, &Encoding::Msgpack(&pair.msgpack), &Encoding::Msgpack(&ours))
                    } else {
                        decode_msgpack(&ty, &ours)
                    });
                    asked.push((name.clone(), ty.clone(), value.clone()));
                    if let (Some(theirs), Some(ours)) = (&pair.json, text) {
                        questions.push(same(&ty, &Encoding::Json(theirs), &Encoding::Json(&ours)));
                        asked.push((name + ", as JSON", ty, value));
                    }
                }
                Err(problem) => report.disagree(&name, &problem),
            }
        }
        for (answer, (name, ty, value)) in oracle.ask(&questions, questions.len()).iter().zip(&asked) {
            report.compared();
            let same = answer.same || msgpack::decode(&answer.msgpack, ty).as_ref() == Ok(value);
            if !same {
                let cty = if answer.error.is_empty() { &answer.value } else { &answer.error };
                report.disagree(name, &format!("not the same\ntype {ty}\nours {value:?}\ncty  {cty}"));
            }
        }
    }
    report.finish(PAIRS);
}

// Type, value, and the value as we write it: as msgpack and, if it is known, as JSON.
type Ours = (Type, Value, Vec<u8>, Option<Vec<u8>>);

// Reads what cty wrote, and writes it again.
fn read_and_write(pair: &Answer, report: &mut Report) -> Result<Ours, String> {
    if !pair.error.is_empty() {
        return Err(format!("the oracle failed: {}", pair.error));
    }
    let ty = Type::from_json(&pair.ty).map_err(|e| format!("{}: {e}", String::from_utf8_lossy(&pair.ty)))?;
    report.compared();
    if ty.to_json().as_bytes() != pair.ty && !pair.ty.contains(&b'\\') {
        return Err(format!("type {}, ours {}", String::from_utf8_lossy(&pair.ty), ty.to_json()));
    }
    let value = msgpack::decode(&pair.msgpack, &ty).map_err(|e| format!("we cannot read it as {ty}: {e}"))?;
    let ours = msgpack::encode(&value, &ty).map_err(|e| format!("we cannot write {value:?} as {ty}: {e}"))?;
    if bytes_are_determined(&ty, &value, &pair.msgpack) && !pair.msgpack.contains(&DOUBLE) {
        report.compared_bytes();
        if ours != pair.msgpack {
            return Err(format!(
                "other bytes\ntype {ty}\nvalue {value:?}\ncty  {:02x?}\nours {ours:02x?}",
                pair.msgpack
            ));
        }
    }
    let Some(text) = &pair.json else { return Ok((ty, value, ours, None)) };
    let from_json = json::decode(text, &ty).map_err(|e| format!("{}: {e}", String::from_utf8_lossy(text)))?;
    report.compared();
    if as_cty_compares(&from_json) != as_cty_compares(&value) {
        return Err(format!("JSON differs\ntype {ty}\nmsgpack {value:?}\nJSON    {from_json:?}"));
    }
    let written =
        json::encode(&from_json, &ty).map_err(|e| format!("no JSON of {from_json:?} as {ty}: {e}"))?;
    if bytes_are_determined(&ty, &value, text) {
        report.compared_bytes();
        if written != *text {
            let (text, written) = (String::from_utf8_lossy(text), String::from_utf8_lossy(&written));
            return Err(format!("other JSON\ntype {ty}\ncty  {text}\nours {written}"));
        }
    }
    Ok((ty, value, ours, Some(written)))
}

#[test]
fn what_we_write_cty_reads_and_writes_again() {
    let Some(mut oracle) = Oracle::start() else { return };
    let mut report = Report::new("us to cty and back");
    for batch in 0..PAIRS / BATCH {
        let mut questions = Vec::new();
        let mut asked = Vec::new();
        for index in 0..BATCH {
            let seed = first_seed().wrapping_mul(1_000_033).wrapping_add(batch * BATCH + index);
            let bytes = seeded(seed, 300);
            let mut choices = Choices::for_cty(&bytes);
            let ty = choices.ty();
            // Half of them wholly known, for JSON.
            let value = if seed.is_multiple_of(2) { choices.value(&ty) } else { choices.known_value(&ty) };
            let wire = msgpack::encode(&value, &ty).unwrap_or_else(|e| panic!("seed {seed}: {e}"));
            questions.push(decode_msgpack(&ty, &wire));
            asked.push((format!("seed {seed}"), ty.clone(), value.clone(), Sent::Msgpack(wire)));
            if value.is_wholly_known() {
                let text = json::encode(&value, &ty).unwrap_or_else(|e| panic!("seed {seed}: {e}"));
                questions.push(decode_json(&ty, &text));
                asked.push((format!("seed {seed}, as JSON"), ty, value, Sent::Json(text)));
            }
        }
        for (answer, (name, ty, value, sent)) in oracle.ask(&questions, questions.len()).iter().zip(&asked) {
            if let Err(problem) = compare_answer(answer, ty, value, sent, &mut report) {
                report.disagree(name, &format!("{problem}\ntype  {ty}\nours  {value:?}"));
            }
        }
    }
    report.finish(PAIRS);
}

fn compare_answer(
    answer: &Answer,
    ty: &Type,
    value: &Value,
    sent: &Sent,
    report: &mut Report,
) -> Result<(), String> {
    if !answer.error.is_empty() {
        return Err(format!("cty cannot read it: {}", answer.error));
    }
    report.compared();
    if Type::from_json(&answer.ty).as_ref() != Ok(ty) {
        return Err(format!("cty reads another type: {}", String::from_utf8_lossy(&answer.ty)));
    }
    let back = msgpack::decode(&answer.msgpack, ty)
        .map_err(|e| format!("we cannot read what cty made of it: {e}"))?;
    if as_cty_compares(&back) != as_cty_compares(value) {
        return Err(format!("cty reads {back:?}"));
    }
    if answer.json.is_some() != value.is_wholly_known() {
        return Err("cty and we disagree on whether it is wholly known".to_owned());
    }
    if let Some(text) = &answer.json {
        let back = json::decode(text, ty).map_err(|e| format!("we cannot read cty's JSON: {e}"))?;
        if as_cty_compares(&back) != as_cty_compares(value) {
            return Err(format!("as JSON cty reads {back:?}"));
        }
    }
    let (sent, theirs) = match sent {
        Sent::Msgpack(sent) => (sent, Some(&answer.msgpack).filter(|theirs| !theirs.contains(&DOUBLE))),
        Sent::Json(sent) => (sent, answer.json.as_ref()),
    };
    if let Some(theirs) = theirs.filter(|theirs| bytes_are_determined(ty, value, theirs)) {
        report.compared_bytes();
        if theirs != sent {
            return Err(format!("other bytes\nsent {sent:02x?}\ncty  {theirs:02x?}"));
        }
    }
    Ok(())
}

enum Sent {
    Msgpack(Vec<u8>),
    Json(Vec<u8>),
}

/// A message with a changed bit is refused by both, or is the same value to both. The exceptions are known.
#[test]
fn a_broken_message_is_the_same_to_us_and_to_cty() {
    let Some(mut oracle) = Oracle::start() else { return };
    let mut report = Report::new("broken messages");
    for batch in 0..4 {
        let mut questions = Vec::new();
        let mut asked = Vec::new();
        for index in 0..BATCH * 2 {
            let seed = first_seed().wrapping_mul(1_000_081).wrapping_add(batch * BATCH * 2 + index);
            let bytes = seeded(seed, 300);
            let mut choices = Choices::for_cty(&bytes);
            let ty = choices.ty();
            let value = choices.value(&ty);
            let mut wire = msgpack::encode(&value, &ty).unwrap();
            // A changed letter before a combining mark may become one letter with it, in cty, which composes them.
            if wire.len() > 500 || wire.windows(2).any(|pair| pair == "\u{323}".as_bytes()) {
                continue;
            }
            let at = usize::from(u16::from_le_bytes([choices.byte(), choices.byte()])) % wire.len();
            wire[at] ^= 1 << (choices.byte() % 8);
            questions.push(decode_msgpack(&ty, &wire));
            asked.push((seed, ty, wire));
        }
        for (answer, (seed, ty, wire)) in oracle.ask(&questions, questions.len()).iter().zip(&asked) {
            report.compared();
            if let Err(problem) = compare_broken(answer, ty, wire) {
                report.disagree(&format!("seed {seed}"), &format!("{problem}\ntype {ty}\nwire {wire:02x?}"));
            }
        }
    }
    report.finish_broken();
}

// What we refuse, and cty takes: a value with something behind it, what is not Unicode, numbers in other notations (hexadecimal
// exponents, infinity), null for a bool, keys that are no
// strings, objects without any attribute or with one twice, and
// refinements that make no sense.
const REFUSED_BY_US: &[&str] = &[
    "after the end",
    "not UTF-8",
    "the text is none",
    "a bool is required, not null",
    "a key is required",
    "finite",
    "is missing",
    "twice",
    "known of the value",
];

// What we take, and cty refuses: extensions of other numbers, and refinements of the future (it reads the next key from their
// middle).
const REFUSED_BY_CTY: &[&str] = &["unsupported extension type", "msgpack extension body"];

fn compare_broken(answer: &Answer, ty: &Type, wire: &[u8]) -> Result<(), String> {
    let known = |list: &[&str], error: &str| list.iter().any(|known| error.contains(known));
    match (msgpack::decode(wire, ty), answer.error.as_str()) {
        (Err(error), "") if !known(REFUSED_BY_US, &error.to_string()) => {
            Err(format!("only we refuse it: {error}"))
        }
        (Ok(value), error) if !error.is_empty() && !known(REFUSED_BY_CTY, error) => {
            Err(format!("only cty refuses it: {error}\nours {value:?}"))
        }
        (Ok(value), "") => {
            let back = msgpack::decode(&answer.msgpack, ty)
                .map_err(|e| format!("cty makes of it what we refuse: {e}"))?;
            let (ours, theirs) = (roughly(&value), roughly(&back));
            if ours == theirs { Ok(()) } else { Err(format!("ours {ours:?}\ncty  {theirs:?}")) }
        }
        _ => Ok(()),
    }
}
