//! Reading `key`, `key = value` and `key(…)` lists. An error in one key does not hide those after it.

use proc_macro2::{Delimiter, Group, Ident, TokenStream, TokenTree};
use syn::ext::IdentExt;
use syn::parse::{Parse, ParseStream, Parser};
use syn::punctuated::Punctuated;
use syn::{Expr, Token};

use crate::errors::{Errors, suggest};

/// Reads a list of keys. `what` they are keys of is said in errors; `known` are their names, those that end
/// in `*` may be repeated.
pub(crate) fn each_key(
    tokens: TokenStream,
    what: &str,
    known: &[&str],
    errors: &mut Errors,
    mut each: impl FnMut(&Ident, ParseStream<'_>) -> syn::Result<()>,
) {
    let mut seen: Vec<String> = Vec::new();
    let mut found = Vec::new();
    let parse = |input: ParseStream<'_>| {
        while !input.is_empty() {
            if let Err(error) = one_key(input, what, known, &mut seen, &mut each) {
                found.push(error);
                while !input.is_empty() && !input.peek(Token![,]) {
                    input.parse::<TokenTree>()?;
                }
            }
            if !input.is_empty() {
                input.parse::<Token![,]>()?;
            }
        }
        Ok(())
    };
    let parsed = parse.parse2(tokens);
    found.into_iter().chain(parsed.err()).for_each(|error| errors.push(error));
}

fn one_key(
    input: ParseStream<'_>,
    what: &str,
    known: &[&str],
    seen: &mut Vec<String>,
    each: &mut impl FnMut(&Ident, ParseStream<'_>) -> syn::Result<()>,
) -> syn::Result<()> {
    let key = input.call(Ident::parse_any)?;
    let name = key.to_string();
    let names: Vec<&str> = known.iter().map(|name| name.trim_end_matches('*')).collect();
    if !names.contains(&name.as_str()) {
        return Err(syn::Error::new(
            key.span(),
            format!("unknown {what} `{name}`{}", suggest(&name, &names)),
        ));
    }
    let repeatable = known.iter().any(|known| known.strip_suffix('*') == Some(&name));
    if !repeatable && seen.contains(&name) {
        return Err(syn::Error::new(key.span(), format!("`{name}` is given twice")));
    }
    seen.push(name);
    each(&key, input)?;
    if input.is_empty() || input.peek(Token![,]) {
        Ok(())
    } else {
        Err(input.error(format!("expected `,` after `{key}`")))
    }
}

/// The value of `key = value`.
pub(crate) fn value<T: Parse>(key: &Ident, input: ParseStream<'_>) -> syn::Result<T> {
    if !input.peek(Token![=]) {
        return Err(syn::Error::new(key.span(), format!("`{key}` needs a value: `{key} = …`")));
    }
    input.parse::<Token![=]>()?;
    input.parse()
}

/// The inside of `key(…)`.
pub(crate) fn list(key: &Ident, input: ParseStream<'_>) -> syn::Result<TokenStream> {
    match optional_list(input)? {
        Some(tokens) => Ok(tokens),
        None => Err(syn::Error::new(key.span(), format!("`{key}` takes a list: `{key}(…)`"))),
    }
}

/// The inside of `key(…)`, if it is not just `key`.
pub(crate) fn optional_list(input: ParseStream<'_>) -> syn::Result<Option<TokenStream>> {
    if !input.peek(syn::token::Paren) {
        return Ok(None);
    }
    // As one token: what is wrong inside is reported once, by whoever reads the inside.
    let group: Group = input.parse()?;
    Ok(Some(group.stream()))
}

/// The elements of `key = [a, b]`.
pub(crate) fn array<T: Parse>(key: &Ident, input: ParseStream<'_>) -> syn::Result<Vec<T>> {
    let group: Group = match value::<TokenTree>(key, input)? {
        TokenTree::Group(group) if group.delimiter() == Delimiter::Bracket => group,
        other => {
            return Err(syn::Error::new(other.span(), format!("`{key}` takes a list: `{key} = [a, b]`")));
        }
    };
    comma_separated(group.stream())
}

/// Elements between commas.
pub(crate) fn comma_separated<T: Parse>(tokens: TokenStream) -> syn::Result<Vec<T>> {
    Ok(Punctuated::<T, Token![,]>::parse_terminated.parse2(tokens)?.into_iter().collect())
}

/// One expression, or a list of them in brackets.
pub(crate) fn one_or_more(key: &Ident, input: ParseStream<'_>) -> syn::Result<Vec<Expr>> {
    Ok(match value::<Expr>(key, input)? {
        Expr::Array(array) => array.elems.into_iter().collect(),
        one => vec![one],
    })
}

/// The name of a field, or of one inside a flattened field: `name`, `spec.name`.
#[derive(Clone)]
pub(crate) struct FieldName {
    pub(crate) first: Ident,
    pub(crate) rest: Vec<Ident>,
}

impl Parse for FieldName {
    fn parse(input: ParseStream<'_>) -> syn::Result<FieldName> {
        let first = input.call(Ident::parse_any)?;
        let mut rest = Vec::new();
        while input.peek(Token![.]) {
            input.parse::<Token![.]>()?;
            rest.push(input.call(Ident::parse_any)?);
        }
        Ok(FieldName { first, rest })
    }
}
