//! Pages on disk: writing them, and finding out which are stale. Only pages that carry our mark are changed or
//! removed; guides and pages written by hand stay.

use std::collections::BTreeSet;
use std::fmt;
use std::fs;
use std::io;
use std::path::Path;

use crate::page::MARK;
use crate::pages::Pages;

/// The folders of pages. The empty one is that of the index, and of nothing else.
const FOLDERS: [&str; 4] = ["resources", "data-sources", "ephemeral-resources", "functions"];

/// A page on disk that is not as it would be written now.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Stale {
    /// The page, below the folder of pages.
    pub page: String,
    /// What is wrong with it.
    pub difference: Difference,
}

/// How a page on disk differs.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Difference {
    /// It is not there.
    Missing,
    /// It says something else.
    Line {
        /// The first line that differs, from 1.
        number: usize,
        /// What it says. Nothing where the page ends before.
        found: Option<String>,
        /// What it should say.
        expected: Option<String>,
    },
    /// It was generated, and nothing of the provider belongs to it any more.
    Leftover,
    /// It was written by hand, where a generated page should be.
    ByHand,
    /// It cannot be read.
    Unreadable(String),
}

impl fmt::Display for Stale {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let page = &self.page;
        let line = |line: &Option<String>| match line {
            Some(line) => format!("{line:?}"),
            None => "the end of the page".to_owned(),
        };
        match &self.difference {
            Difference::Missing => write!(f, "{page}: is missing"),
            Difference::Line { number, found, expected } => {
                write!(f, "{page}:{number}: is {}, should be {}", line(found), line(expected))
            }
            Difference::Leftover => write!(f, "{page}: is left over: nothing in the provider has this page"),
            Difference::ByHand => {
                write!(
                    f,
                    "{page}: was not generated here: move it away or remove it, so that it can be written"
                )
            }
            Difference::Unreadable(why) => write!(f, "{page}: cannot be read: {why}"),
        }
    }
}

/// What writing did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Written {
    /// Pages that were made or changed.
    pub written: usize,
    /// Pages that were as they should be.
    pub unchanged: usize,
    /// Pages that nothing in the provider has any more.
    pub removed: usize,
}

impl Pages {
    /// Makes the folder hold these pages: writes what differs, removes generated pages that are left over. Fails
    /// before anything is written if a page was written by hand where one of these belongs.
    pub fn write_to(&self, dir: &Path) -> io::Result<Written> {
        let stale = self.check(dir);
        for one in &stale {
            if matches!(one.difference, Difference::ByHand | Difference::Unreadable(_)) {
                return Err(io::Error::other(format!("{}: {one}", dir.display())));
            }
        }
        let mut done = Written::default();
        for one in &stale {
            let path = dir.join(&one.page);
            if let Some(text) = self.pages.get(&one.page) {
                if let Some(parent) = path.parent() {
                    fs::create_dir_all(parent).map_err(|error| at(parent, &error))?;
                }
                fs::write(&path, text).map_err(|error| at(&path, &error))?;
                done.written += 1;
            } else {
                fs::remove_file(&path).map_err(|error| at(&path, &error))?;
                done.removed += 1;
            }
        }
        done.unchanged = self.pages.len() - done.written;
        Ok(done)
    }

    /// What differs between the folder and these pages, in the order of paths.
    pub fn check(&self, dir: &Path) -> Vec<Stale> {
        let mut stale = BTreeSet::new();
        for (page, expected) in &self.pages {
            let difference = match fs::read_to_string(dir.join(page)) {
                Ok(found) => difference(&found, expected),
                Err(error) if error.kind() == io::ErrorKind::NotFound => Some(Difference::Missing),
                Err(error) => Some(Difference::Unreadable(error.to_string())),
            };
            stale.extend(difference.map(|difference| Stale { page: page.clone(), difference }));
        }
        for folder in FOLDERS {
            stale.extend(self.leftovers(dir, folder));
        }
        stale.into_iter().collect()
    }

    fn leftovers(&self, dir: &Path, folder: &str) -> Vec<Stale> {
        let entries = match fs::read_dir(dir.join(folder)) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Vec::new(),
            Err(error) => {
                let difference = Difference::Unreadable(error.to_string());
                return vec![Stale { page: folder.to_owned(), difference }];
            }
        };
        let mut leftovers = Vec::new();
        for entry in entries.flatten() {
            // A name that is no UTF-8 was not written here.
            let Ok(name) = entry.file_name().into_string() else { continue };
            let page = format!("{folder}/{name}");
            let ours = || fs::read_to_string(entry.path()).is_ok_and(|text| is_ours(&text));
            if name.ends_with(".md") && !self.pages.contains_key(&page) && ours() {
                leftovers.push(Stale { page, difference: Difference::Leftover });
            }
        }
        leftovers
    }
}

fn at(path: &Path, error: &io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("{}: {error}", path.display()))
}

fn is_ours(text: &str) -> bool {
    text.lines().nth(1) == Some(MARK)
}

// Line ends are whatever the checkout made of them.
fn difference(found: &str, expected: &str) -> Option<Difference> {
    if !is_ours(found) {
        return Some(Difference::ByHand);
    }
    let (mut found, mut expected) = (found.lines(), expected.lines());
    let mut number = 0;
    loop {
        number += 1;
        match (found.next(), expected.next()) {
            (None, None) => return None,
            (one, other) if one == other => {}
            (found, expected) => {
                let owned = |line: Option<&str>| line.map(str::to_owned);
                return Some(Difference::Line { number, found: owned(found), expected: owned(expected) });
            }
        }
    }
}
