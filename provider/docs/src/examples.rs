//! The examples of a provider: `provider/provider.tf`, `resources/TYPE/resource.tf` and so on.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::fs;
use std::io::ErrorKind;
use std::path::PathBuf;

use crate::finding::Finding;

/// The folders that hold one folder for each part of the provider.
const FOLDERS: [&str; 4] = ["resources", "data-sources", "ephemeral-resources", "functions"];

/// A folder of examples, and what was found wrong with it.
pub(crate) struct Examples {
    root: PathBuf,
    findings: RefCell<Vec<Finding>>,
    /// The parts that may have examples: `resources/acme_cache`.
    known: RefCell<BTreeSet<String>>,
}

impl Examples {
    pub(crate) fn new(root: PathBuf) -> Examples {
        Examples { root, findings: RefCell::default(), known: RefCell::default() }
    }

    /// The file `folder/file`, if it is there and has any text.
    pub(crate) fn get(&self, folder: &str, file: &str) -> Option<String> {
        self.known.borrow_mut().insert(folder.to_owned());
        let file = format!("{folder}/{file}");
        match fs::read_to_string(self.root.join(&file)) {
            Ok(text) => {
                // Whoever checked it out, the page has the same bytes.
                let text = text.replace("\r\n", "\n");
                Some(text.trim_start_matches('\u{feff}').to_owned()).filter(|text| !text.trim().is_empty())
            }
            Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => None,
            Err(error) => {
                self.findings.borrow_mut().push(Finding::UnreadableExample { file, why: error.to_string() });
                None
            }
        }
    }

    /// The same; if it is not there, that is a finding.
    pub(crate) fn demand(&self, page: &str, folder: &str, file: &str) -> Option<String> {
        let before = self.findings.borrow().len();
        let text = self.get(folder, file);
        if text.is_none() && self.findings.borrow().len() == before {
            self.miss(page, folder, file);
        }
        text
    }

    /// Says that an example is missing.
    pub(crate) fn miss(&self, page: &str, folder: &str, file: &str) {
        let file = format!("{folder}/{file}");
        self.findings.borrow_mut().push(Finding::MissingExample { page: page.to_owned(), file });
    }

    /// Everything that was found, and the folders that nobody asked for.
    pub(crate) fn into_findings(self) -> Vec<Finding> {
        let mut findings = self.findings.into_inner();
        let known = self.known.into_inner();
        for kind in FOLDERS {
            // A folder that is not there holds nothing; one that cannot be read shows at its examples.
            let Ok(entries) = fs::read_dir(self.root.join(kind)) else { continue };
            for entry in entries.flatten() {
                let folder = format!("{kind}/{}", entry.file_name().to_string_lossy());
                if entry.path().is_dir() && !known.contains(&folder) {
                    findings.push(Finding::UnusedExample { folder });
                }
            }
        }
        findings
    }
}
