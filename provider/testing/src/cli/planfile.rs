//! Saved plans as the archives that they are: for looking into them without starting a process.

use std::io::{Cursor, Read};

use serde_json::Value;

/// The most that one entry may inflate to.
const INFLATE_LIMIT: u64 = 1 << 30;

/// Name and content of every entry that `wanted` accepts.
pub(crate) fn entries(
    bytes: Vec<u8>,
    wanted: impl Fn(&str) -> bool,
) -> Result<Vec<(String, Vec<u8>)>, String> {
    let mut archive = zip::ZipArchive::new(Cursor::new(bytes)).map_err(|error| error.to_string())?;
    let mut entries = Vec::new();
    for index in 0..archive.len() {
        let file = archive.by_index(index).map_err(|error| error.to_string())?;
        let name = file.name().map_err(|error| error.to_string())?.into_owned();
        if wanted(&name) {
            let mut bytes = Vec::new();
            file.take(INFLATE_LIMIT).read_to_end(&mut bytes).map_err(|error| error.to_string())?;
            entries.push((name, bytes));
        }
    }
    Ok(entries)
}

/// Whether refreshing, while this was planned, certainly changed nothing: the states before and after it have
/// the same resources. False when that cannot be told.
pub(crate) fn is_free_of_drift(bytes: Vec<u8>) -> bool {
    const STATES: [&str; 2] = ["tfstate", "tfstate-prev"];
    let Ok(found) = entries(bytes, |name| STATES.contains(&name)) else { return false };
    let resources = |(_, bytes): &(String, Vec<u8>)| {
        serde_json::from_slice::<Value>(bytes).ok().and_then(|state| state.get("resources").cloned())
    };
    match found.as_slice() {
        [one, other] => resources(one).is_some_and(|one| resources(other).is_some_and(|other| one == other)),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    fn archive(files: &[(&str, &str)]) -> Vec<u8> {
        let mut writer = zip::ZipWriter::new(Cursor::new(Vec::new()));
        for (name, text) in files {
            writer.start_file(*name, zip::write::SimpleFileOptions::default()).unwrap();
            writer.write_all(text.as_bytes()).unwrap();
        }
        writer.finish().unwrap().into_inner()
    }

    #[test]
    fn only_two_equal_states_are_free_of_drift() {
        let [one, other] =
            [r#"{"serial":1,"resources":[{"a":1}]}"#, r#"{"serial":2,"resources":[ {"a":1} ]}"#];
        let drifted = r#"{"resources":[{"a":2}]}"#;
        assert!(is_free_of_drift(archive(&[("tfstate", one), ("tfplan", "x"), ("tfstate-prev", other)])));
        assert!(!is_free_of_drift(archive(&[("tfstate", one), ("tfstate-prev", drifted)])));
        assert!(!is_free_of_drift(archive(&[("tfstate", one)])));
        assert!(!is_free_of_drift(archive(&[("tfstate", "no"), ("tfstate-prev", "no")])));
        assert!(!is_free_of_drift(b"no zip".to_vec()));
    }
}
