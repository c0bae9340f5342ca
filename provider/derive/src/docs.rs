//! Doc comments are the documentation of the provider: nothing goes without.

use proc_macro2::TokenStream;
use quote::{ToTokens, quote};
use syn::{Attribute, Expr, Lit, Meta};

use crate::errors::Errors;

/// A doc comment.
pub(crate) struct Docs {
    lines: Vec<Expr>,
}

impl Docs {
    /// The doc comment among these.
    pub(crate) fn of(attrs: &[Attribute]) -> Docs {
        let lines = attrs.iter().filter(|attr| attr.path().is_ident("doc")).filter_map(|attr| {
            match &attr.meta {
                Meta::NameValue(pair) => Some(pair.value.clone()),
                // `#[doc(hidden)]`, `#[doc(alias)]`
                Meta::List(_) | Meta::Path(_) => None,
            }
        });
        Docs { lines: lines.collect() }
    }

    /// The doc comment among these, which must be there: it is what users of the provider read.
    pub(crate) fn required(
        attrs: &[Attribute],
        at: impl ToTokens,
        what: &str,
        hint: &str,
        errors: &mut Errors,
    ) -> Docs {
        let docs = Docs::of(attrs);
        if docs.text().is_some_and(|text| text.is_empty()) {
            errors.at(at, format!("missing documentation of {what}: {hint}"));
        }
        docs
    }

    /// The text, unless a macro writes it.
    pub(crate) fn text(&self) -> Option<String> {
        let lines: Option<Vec<String>> = self.lines.iter().map(literal).collect();
        let lines = lines?;
        // The blank after `///` is no part of the text, nor is what indents a whole block comment.
        let indented = |line: &&str| line.is_empty() || line.starts_with(' ');
        let lines: Vec<&str> = lines.iter().flat_map(|text| text.split('\n')).map(str::trim_end).collect();
        let strip = lines.iter().all(indented);
        let line = |line: &&str| if strip { line.strip_prefix(' ').unwrap_or(line) } else { line }.to_owned();
        Some(lines.iter().map(line).collect::<Vec<_>>().join("\n").trim().to_owned())
    }

    /// The first paragraph and the rest.
    pub(crate) fn summary_and_rest(&self) -> (String, String) {
        let text = self.text().unwrap_or_default();
        match text.split_once("\n\n") {
            Some((summary, rest)) => (summary.replace('\n', " "), rest.trim().to_owned()),
            None => (text.replace('\n', " "), String::new()),
        }
    }

    /// An expression for the text.
    pub(crate) fn tokens(&self) -> TokenStream {
        match self.text() {
            Some(text) => quote!(#text),
            None => {
                let lines = &self.lines;
                quote!(::core::concat!(#(#lines, "\n"),*).trim_ascii())
            }
        }
    }

    /// The comment again, for what is generated.
    pub(crate) fn attributes(&self) -> TokenStream {
        let lines = &self.lines;
        quote!(#(#[doc = #lines])*)
    }
}

fn literal(expr: &Expr) -> Option<String> {
    match expr {
        Expr::Lit(lit) => match &lit.lit {
            Lit::Str(text) => Some(text.value()),
            _ => None,
        },
        Expr::Group(group) => literal(&group.expr),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::Docs;

    fn docs(item: &syn::ItemStruct) -> Docs {
        Docs::of(&item.attrs)
    }

    #[test]
    fn the_text_is_as_it_was_written_without_what_belongs_to_rust() {
        let item = syn::parse_quote! {
            /// A cache
            /// for tokens.
            ///
            /// * one
            ///   more
            #[doc(hidden)]
            struct Cache;
        };
        let docs = docs(&item);
        assert_eq!(docs.text().as_deref(), Some("A cache\nfor tokens.\n\n* one\n  more"));
        assert_eq!(docs.summary_and_rest(), ("A cache for tokens.".to_owned(), "* one\n  more".to_owned()));
    }

    #[test]
    fn a_text_that_a_macro_writes_is_left_to_the_compiler() {
        let item = syn::parse_quote! {
            #[doc = include_str!("cache.md")]
            struct Cache;
        };
        let docs = docs(&item);
        assert_eq!(docs.text(), None);
        assert!(docs.tokens().to_string().contains("include_str"));
    }
}
