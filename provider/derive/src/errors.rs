//! Errors found while reading what a macro is given: all are reported at once, each where it is.

use proc_macro2::TokenStream;
use quote::ToTokens;

/// The errors so far.
#[derive(Default)]
pub(crate) struct Errors(Option<syn::Error>);

impl Errors {
    /// Adds one.
    pub(crate) fn push(&mut self, error: syn::Error) {
        match &mut self.0 {
            Some(errors) => errors.combine(error),
            None => self.0 = Some(error),
        }
    }

    /// Adds one at these tokens.
    pub(crate) fn at(&mut self, tokens: impl ToTokens, message: impl std::fmt::Display) {
        self.push(syn::Error::new_spanned(tokens, message));
    }

    /// The value; an error is added and leaves none.
    pub(crate) fn keep<T>(&mut self, result: syn::Result<T>) -> Option<T> {
        result.map_err(|error| self.push(error)).ok()
    }

    /// Adds those of another list.
    pub(crate) fn merge(&mut self, other: Errors) {
        other.0.into_iter().for_each(|error| self.push(error));
    }

    /// Whether there was none.
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_none()
    }

    /// The generated code if there was no error, else the errors.
    pub(crate) fn or(self, code: TokenStream) -> TokenStream {
        match self.0 {
            Some(errors) => errors.to_compile_error(),
            None => code,
        }
    }
}

/// ", did you mean `x`?" if one of the names is near, else the names.
pub(crate) fn suggest(found: &str, names: &[&str]) -> String {
    let limit = 1 + found.chars().count() / 3;
    let near = names.iter().map(|name| (distance(found, name), name)).filter(|(far, _)| *far <= limit).min();
    match near {
        Some((_, name)) => format!(", did you mean `{name}`?"),
        None if names.is_empty() => String::new(),
        None => format!(" (known: `{}`)", names.join("`, `")),
    }
}

fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, left) in a.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, right) in b.iter().enumerate() {
            let replaced = diagonal + usize::from(left != *right);
            diagonal = row[j + 1];
            row[j + 1] = replaced.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use super::suggest;

    #[test]
    fn the_nearest_name_is_suggested_and_otherwise_all() {
        let names = ["default", "sensitive"];
        assert_eq!(suggest("defualt", &names), ", did you mean `default`?");
        assert_eq!(suggest("replace", &names), " (known: `default`, `sensitive`)");
        assert_eq!(suggest("x", &[]), "");
    }
}
