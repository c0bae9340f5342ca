//! Names in HCL: what they may look like, how Rust's become them, and what serde says about them.

use syn::ext::IdentExt;
use syn::punctuated::Punctuated;
use syn::{Attribute, Expr, Ident, Lit, LitStr, Meta, Token};

use crate::errors::Errors;

/// Whether HCL and the protocol allow it as a name.
pub(crate) fn is_hcl_name(name: &str) -> bool {
    name.starts_with(|c: char| c.is_ascii_lowercase())
        && name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_')
}

/// What to tell about a name that is none.
pub(crate) fn refusal(name: &str) -> String {
    let hint = format!("give another with `#[attribute(name = \"{}\")]`", nearest_hcl_name(name));
    format!("`{name}` is no name in HCL (lower case letters, digits and underscores, a letter first): {hint}")
}

fn nearest_hcl_name(name: &str) -> String {
    let snake: String = snake_case(name)
        .chars()
        .map(|c| if c.is_ascii_lowercase() || c.is_ascii_digit() { c } else { '_' })
        .collect();
    let trimmed = snake.trim_start_matches(|c: char| !c.is_ascii_lowercase());
    if trimmed.is_empty() { "name".to_owned() } else { trimmed.to_owned() }
}

/// `HttpProxy` → `http_proxy`, as serde does it: each capital begins a word.
pub(crate) fn snake_case(name: &str) -> String {
    let mut snake = String::new();
    for (index, c) in name.chars().enumerate() {
        if index > 0 && c.is_uppercase() && !snake.ends_with('_') {
            snake.push('_');
        }
        snake.extend(c.to_lowercase());
    }
    snake
}

/// The name of a field without `r#`.
pub(crate) fn plain(ident: &Ident) -> String {
    ident.unraw().to_string()
}

/// The name of a variant under serde's `rename_all`; snake case without.
pub(crate) fn variant(ident: &Ident, rename_all: Option<&str>) -> String {
    let name = plain(ident);
    match rename_all {
        Some("lowercase") => name.to_lowercase(),
        Some("UPPERCASE") => name.to_uppercase(),
        Some("PascalCase") => name,
        Some("camelCase") => {
            let mut chars = name.chars();
            chars.next().map_or_else(String::new, |first| first.to_lowercase().chain(chars).collect())
        }
        Some("SCREAMING_SNAKE_CASE") => snake_case(&name).to_uppercase(),
        Some("kebab-case") => snake_case(&name).replace('_', "-"),
        Some("SCREAMING-KEBAB-CASE") => snake_case(&name).replace('_', "-").to_uppercase(),
        _ => snake_case(&name),
    }
}

/// What `#[serde(rename = "…")]` says.
pub(crate) fn serde_rename(attrs: &[Attribute]) -> Option<LitStr> {
    serde_text(attrs, "rename")
}

/// What `#[serde(rename_all = "…")]` says.
pub(crate) fn serde_rename_all(attrs: &[Attribute]) -> Option<String> {
    serde_text(attrs, "rename_all").map(|text| text.value())
}

// Whatever else is in there is serde's business, its errors too.
fn serde_text(attrs: &[Attribute], key: &str) -> Option<LitStr> {
    let metas = attrs
        .iter()
        .filter(|attr| attr.path().is_ident("serde"))
        .filter_map(|attr| attr.parse_args_with(Punctuated::<Meta, Token![,]>::parse_terminated).ok());
    metas.flatten().filter(|meta| meta.path().is_ident(key)).find_map(|meta| text_of(&meta))
}

fn text_of(meta: &Meta) -> Option<LitStr> {
    match meta {
        Meta::NameValue(pair) => match &pair.value {
            Expr::Lit(lit) => match &lit.lit {
                Lit::Str(text) => Some(text.clone()),
                _ => None,
            },
            _ => None,
        },
        // `rename(serialize = "a", deserialize = "b")`: what is read is what the configuration would say.
        Meta::List(list) => {
            let metas = list.parse_args_with(Punctuated::<Meta, Token![,]>::parse_terminated).ok()?;
            metas.iter().filter(|meta| meta.path().is_ident("deserialize")).find_map(text_of)
        }
        Meta::Path(_) => None,
    }
}

/// The name of a field or of a union's variant in HCL: given, else serde's, else Rust's. Refused where HCL
/// would.
pub(crate) fn attribute_name(
    given: Option<&LitStr>,
    attrs: &[Attribute],
    rust_name: String,
    ident: &Ident,
    errors: &mut Errors,
) -> String {
    let renamed = given.cloned().or_else(|| serde_rename(attrs));
    let name = renamed.as_ref().map_or(rust_name, LitStr::value);
    if !is_hcl_name(&name) {
        match &renamed {
            Some(text) => errors.at(text, refusal(&name)),
            None => errors.at(ident, refusal(&name)),
        }
    }
    name
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variants_are_called_as_serde_calls_them() {
        let ident = Ident::new("LeastRecent", proc_macro2::Span::call_site());
        let name = |rule| variant(&ident, rule);
        assert_eq!(name(None), "least_recent");
        assert_eq!(name(Some("camelCase")), "leastRecent");
        assert_eq!(name(Some("kebab-case")), "least-recent");
        assert_eq!(name(Some("SCREAMING_SNAKE_CASE")), "LEAST_RECENT");
        assert_eq!(snake_case("S3"), "s3");
        assert_eq!(snake_case("IPv4"), "i_pv4");
    }

    #[test]
    fn a_name_that_hcl_refuses_is_told_a_near_one() {
        assert!(is_hcl_name("api_version2"));
        for wrong in ["", "2nd", "_a", "apiVersion", "kebab-case", "ä"] {
            assert!(!is_hcl_name(wrong), "{wrong}");
        }
        assert!(refusal("apiVersion").ends_with("`#[attribute(name = \"api_version\")]`"));
        assert_eq!(nearest_hcl_name("2ndKey"), "nd_key");
        assert_eq!(nearest_hcl_name("42"), "name");
    }
}
