//! The files that rules look at: text that git tracks or would track, read once.

use std::collections::BTreeMap;

use crate::failure::Outcome;
use crate::process::Run;
use crate::workspace::Workspace;

/// Paths relative to the root, with `/` between the parts, and their text.
#[derive(Default)]
pub(super) struct Tree {
    files: BTreeMap<String, String>,
}

impl Tree {
    /// Everything that is committed or could be; what git ignores is nobody's business.
    pub(super) fn load(workspace: &Workspace) -> Outcome<Self> {
        let listing = Run::new("git ls-files", "git")
            .args(["-c", "core.quotepath=off", "ls-files", "--cached", "--others", "--exclude-standard"])
            .dir(workspace.root())
            .output()?;
        let mut tree = Self::default();
        for path in listing.lines() {
            // Deleted and not yet committed, a folder of another repository, no text: not for these rules.
            if let Ok(text) = std::fs::read_to_string(workspace.root().join(path)) {
                tree.files.insert(path.to_owned(), text);
            }
        }
        Ok(tree)
    }

    #[cfg(test)]
    pub(super) fn of<const N: usize>(files: [(&str, &str); N]) -> Self {
        Self { files: files.map(|(path, text)| (path.to_owned(), text.to_owned())).into() }
    }

    pub(super) fn len(&self) -> usize {
        self.files.len()
    }

    pub(super) fn text(&self, path: &str) -> Option<&str> {
        self.files.get(path).map(String::as_str)
    }

    pub(super) fn files(&self) -> impl Iterator<Item = (&str, &str)> {
        self.files.iter().map(|(path, text)| (path.as_str(), text.as_str()))
    }

    /// Files below `folder`, which ends without `/`.
    pub(super) fn below(&self, folder: &str) -> impl Iterator<Item = (&str, &str)> {
        self.files()
            .filter(move |(path, _)| path.strip_prefix(folder).is_some_and(|rest| rest.starts_with('/')))
    }

    pub(super) fn ending(&self, end: &str) -> impl Iterator<Item = (&str, &str)> {
        self.files().filter(move |(path, _)| path.ends_with(end))
    }

    /// Whether a file or a folder has this path.
    pub(super) fn has(&self, path: &str) -> bool {
        let path = path.trim_end_matches('/');
        self.files.contains_key(path) || self.below(path).next().is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_is_there_when_something_is_in_it() {
        let tree = Tree::of([("provider/schema/src/lib.rs", ""), ("LICENSE", "")]);
        assert!(tree.has("provider/schema") && tree.has("provider/schema/") && tree.has("LICENSE"));
        assert!(!tree.has("provider/sch"));
        assert_eq!(tree.below("provider").count(), 1);
    }
}
