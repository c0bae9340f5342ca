//! Looks for planted secrets in everything that a run leaves behind: states, plan files (inflated), output, logs.
//!
//! Each secret is searched for as it is, as a JSON string, and in base64 at each of the three alignments, as
//! private state is kept. The configuration is left out, in a saved plan too: there the test itself wrote it.

use std::{fs, path::Path};

use base64::{Engine, engine::general_purpose::STANDARD};
use serde_json::Value;

use super::{
    Failure, planfile,
    sandbox::{PLAN_FILE, SHOW, Sandbox},
};

/// One secret in one spelling.
struct Needle {
    secret: String,
    spelling: &'static str,
    bytes: Vec<u8>,
}

/// An error when any of `secrets` is found; it names all places, and shows none of the secrets' surroundings.
pub(crate) fn absent(sandbox: &Sandbox, secrets: &[String]) -> Result<(), Failure> {
    if secrets.is_empty() {
        return Ok(());
    }
    let needles: Vec<Needle> = secrets.iter().flat_map(|secret| needles(secret)).collect();
    let mut found = Vec::new();
    search_dir(sandbox.root(), &mut |path, bytes| {
        let name = path.strip_prefix(sandbox.root()).unwrap_or(path).display().to_string();
        search_file(&name, bytes, &needles, &mut found);
    })?;
    if found.is_empty() {
        return Ok(());
    }
    Err(Failure::new(format!("planted secrets were found\n{}", found.join("\n"))))
}

fn search_dir(folder: &Path, visit: &mut impl FnMut(&Path, Vec<u8>)) -> Result<(), Failure> {
    let entries = fs::read_dir(folder).map_err(|error| Failure::io("list", folder, &error))?;
    for entry in entries.flatten() {
        let path = entry.path();
        let Ok(kind) = entry.file_type() else { continue };
        let name = entry.file_name().to_string_lossy().into_owned();
        let written_by_the_test = [".tf", ".tf.json", ".tfrc"].iter().any(|ending| name.ends_with(ending));
        if kind.is_dir() {
            search_dir(&path, visit)?;
        } else if kind.is_file() && !written_by_the_test {
            let bytes = fs::read(&path).map_err(|error| Failure::io("read", &path, &error))?;
            visit(&path, bytes);
        }
    }
    Ok(())
}

fn search_file(name: &str, bytes: Vec<u8>, needles: &[Needle], found: &mut Vec<String>) {
    if name.ends_with(PLAN_FILE) {
        match planfile::entries(bytes, |entry| !entry.starts_with("tfconfig/")) {
            Ok(entries) => entries.iter().for_each(|(entry, bytes)| {
                search(&format!("{name} ({entry})"), bytes, needles, found);
            }),
            // A plan that cannot be read must not pass for one without secrets.
            Err(error) => found.push(format!("  {name}: cannot be searched: {error}")),
        }
    } else if name.ends_with(&format!("-{SHOW}.stdout")) {
        search(name, &without_configuration(bytes), needles, found);
    } else {
        search(name, &bytes, needles, found);
    }
}

/// A plan in JSON repeats constants of the configuration in a section of its own.
fn without_configuration(bytes: Vec<u8>) -> Vec<u8> {
    match serde_json::from_slice::<Value>(&bytes) {
        Ok(Value::Object(mut json)) => {
            json.remove("configuration");
            Value::Object(json).to_string().into_bytes()
        }
        _ => bytes,
    }
}

fn search(name: &str, bytes: &[u8], needles: &[Needle], found: &mut Vec<String>) {
    // Output has colours, which could cut a secret in two.
    let plain = bytes
        .contains(&0x1b)
        .then(|| super::diagnostics::without_colours(&String::from_utf8_lossy(bytes)).into_bytes());
    let bytes = plain.as_deref().unwrap_or(bytes);
    for Needle { secret, spelling, bytes: needle } in needles {
        if let Some(at) = position(bytes, needle) {
            found.push(format!("  {name}: `{secret}` {spelling}, at byte {at}"));
        }
    }
}

fn position(hay: &[u8], needle: &[u8]) -> Option<usize> {
    let first = needle.first()?;
    let last_start = hay.len().checked_sub(needle.len())?;
    let mut from = 0;
    loop {
        let window = hay.get(from..=last_start)?;
        let at = from + window.iter().position(|byte| byte == first)?;
        if hay.get(at..at + needle.len()) == Some(needle) {
            return Some(at);
        }
        from = at + 1;
    }
}

fn needles(secret: &str) -> Vec<Needle> {
    let needle = |spelling, bytes: Vec<u8>| Needle { secret: secret.to_owned(), spelling, bytes };
    let mut all = vec![needle("as it is", secret.as_bytes().to_vec())];
    let quoted = Value::from(secret).to_string();
    let inner = quoted.get(1..quoted.len().saturating_sub(1)).unwrap_or_default();
    if inner != secret {
        all.push(needle("as a JSON string", inner.as_bytes().to_vec()));
    }
    for text in [secret, inner] {
        for shift in 0..3 {
            let encoded = base64_core(text.as_bytes(), shift);
            // A shorter piece says nothing: it is found anywhere.
            if encoded.len() >= 6 && !all.iter().any(|needle| needle.bytes == encoded) {
                all.push(needle("in base64", encoded));
            }
        }
    }
    all
}

/// The characters of base64 that depend on `bytes` alone when `shift` unknown bytes stand before them.
fn base64_core(bytes: &[u8], shift: usize) -> Vec<u8> {
    let padded = [vec![0; shift], bytes.to_vec()].concat();
    let encoded = STANDARD.encode(&padded).into_bytes();
    let start = (shift * 8).div_ceil(6);
    let end = padded.len() * 8 / 6;
    encoded.get(start..end).map(<[u8]>::to_vec).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn places(name: &str, bytes: &[u8]) -> Vec<String> {
        let mut found = Vec::new();
        search_file(name, bytes.to_vec(), &needles("s3cr\"3t-value"), &mut found);
        found
    }

    #[test]
    fn a_secret_is_found_in_every_spelling() {
        assert_eq!(places("log", b"x s3cr\"3t-value y"), ["  log: `s3cr\"3t-value` as it is, at byte 2"]);
        assert_eq!(places("log", b"{\"a\":\"s3cr\\\"3t-value\"}").len(), 1);
        assert_eq!(places("out", b"s3cr\x1b[4m\"3t\x1b[0m-value").len(), 1);
        for before in ["", "a", "ab", "abc"] {
            let encoded = STANDARD.encode(format!("{before}s3cr\"3t-value and more"));
            assert_eq!(places("state", encoded.as_bytes()).len(), 1, "{encoded}");
        }
        assert!(places("log", b"s3cr-3t-value").is_empty());
    }

    #[test]
    fn constants_of_the_configuration_are_not_counted_in_a_shown_plan() {
        let shown = br#"{"configuration":{"a":"s3cr\"3t-value"},"values":{}}"#;
        assert!(places("001-show.stdout", shown).is_empty());
        assert_eq!(places("001-other.stdout", shown).len(), 1);
        assert_eq!(places("001-show.stdout", br#"{"values":{"a":"s3cr\"3t-value"}}"#).len(), 1);
    }

    #[test]
    fn a_plan_file_that_cannot_be_read_does_not_pass() {
        assert!(
            places("work/tfplan", b"no zip").first().is_some_and(|line| line.contains("cannot be searched"))
        );
    }
}
