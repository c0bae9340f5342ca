//! What is not as it should be with the pages of a provider.

use std::fmt;

/// Something about the pages of a provider that its author should know.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Finding {
    /// A page has no example because there is no such file.
    MissingExample {
        /// The page.
        page: String,
        /// The file, below the folder of examples.
        file: String,
    },
    /// An example belongs to nothing that the provider has.
    UnusedExample {
        /// The folder, below the folder of examples.
        folder: String,
    },
    /// An example cannot be read.
    UnreadableExample {
        /// The file, below the folder of examples.
        file: String,
        /// Why.
        why: String,
    },
    /// A name that is none in HCL; it has no page.
    InvalidName {
        /// Of what.
        what: &'static str,
        /// The name.
        name: String,
    },
    /// Two parts of the provider have the same page; the first has it.
    Duplicate {
        /// The page.
        page: String,
    },
    /// The registry does not take pages of this size.
    TooLarge {
        /// The page.
        page: String,
        /// Its size.
        bytes: usize,
    },
    /// The registry does not take so many pages.
    TooMany {
        /// How many there are.
        pages: usize,
    },
}

/// Bytes in one page (the registry's provider documentation, "Storage Limits").
pub(crate) const MAX_BYTES: usize = 500_000;
/// Pages of one provider (the same).
pub(crate) const MAX_PAGES: usize = 2_000;

impl Finding {
    /// Whether a release must not go out like this. Examples that are missing or of no use are no errors here.
    pub fn is_error(&self) -> bool {
        !matches!(self, Finding::MissingExample { .. } | Finding::UnusedExample { .. })
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Finding::MissingExample { page, file } => {
                write!(f, "{page}: missing example: write {file} in the folder of examples")
            }
            Finding::UnusedExample { folder } => {
                write!(f, "{folder}: is an example of nothing that the provider has: rename or remove it")
            }
            Finding::UnreadableExample { file, why } => write!(f, "{file}: cannot be read: {why}"),
            Finding::InvalidName { what, name } => {
                let hint = "use lower-case letters, digits and underscores, beginning with a letter";
                write!(f, "{name:?} is no name for a {what}: {hint}")
            }
            Finding::Duplicate { page } => {
                write!(f, "{page}: is the page of two parts of the provider: give one of them another name")
            }
            Finding::TooLarge { page, bytes } => write!(
                f,
                "{page}: has {bytes} bytes, the registry takes {MAX_BYTES}: shorten the descriptions or the example"
            ),
            Finding::TooMany { pages } => {
                write!(f, "there are {pages} pages, the registry takes {MAX_PAGES}")
            }
        }
    }
}
