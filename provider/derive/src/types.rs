//! What can be seen of a field's type in its spelling alone.

use proc_macro2::{Span, TokenStream};
use quote::quote;
use syn::{GenericArgument, Path, PathArguments, Type};

/// The type behind parentheses and macro groups.
fn bare(ty: &Type) -> &Type {
    match ty {
        Type::Group(group) => bare(&group.elem),
        Type::Paren(paren) => bare(&paren.elem),
        other => other,
    }
}

/// The path as if it stood there: an error about it is reported there alone.
pub(crate) fn at(path: &Path, span: Span) -> TokenStream {
    let respanned = quote!(#path).into_iter().map(|mut token| {
        token.set_span(span);
        token
    });
    respanned.collect()
}

/// The last name of a path: `Option` of `std::option::Option<T>`.
pub(crate) fn last_name(ty: &Type) -> Option<String> {
    match bare(ty) {
        Type::Path(path) if path.qself.is_none() => path.path.segments.last().map(|s| s.ident.to_string()),
        _ => None,
    }
}

/// The types in angle brackets.
pub(crate) fn arguments(ty: &Type) -> Vec<&Type> {
    let Type::Path(path) = bare(ty) else { return Vec::new() };
    match path.path.segments.last().map(|segment| &segment.arguments) {
        Some(PathArguments::AngleBracketed(arguments)) => {
            let types = arguments.args.iter().filter_map(|argument| match argument {
                GenericArgument::Type(ty) => Some(ty),
                _ => None,
            });
            types.collect()
        }
        _ => Vec::new(),
    }
}

/// `T` of `Name<T>`.
pub(crate) fn inside<'a>(ty: &'a Type, name: &str) -> Option<&'a Type> {
    if last_name(ty)? == name { arguments(ty).first().copied() } else { None }
}

/// The type without `Option` and `Computed` around it.
pub(crate) fn peeled(ty: &Type) -> &Type {
    let inner = ["Option", "Computed", "Secret"].iter().find_map(|name| inside(ty, name));
    inner.map_or_else(|| bare(ty), peeled)
}

/// Whether the provider fills it in.
pub(crate) fn is_computed(ty: &Type) -> bool {
    match inside(ty, "Option") {
        Some(inner) => is_computed(inner),
        None => last_name(ty).is_some_and(|name| name == "Computed"),
    }
}

/// Whether it is a secret.
pub(crate) fn is_secret(ty: &Type) -> bool {
    let ty = inside(ty, "Option").unwrap_or(ty);
    last_name(ty).is_some_and(|name| name == "Secret")
}

/// The type of the elements of a collection.
pub(crate) fn element(ty: &Type) -> Option<&Type> {
    let ty = peeled(ty);
    match last_name(ty)?.as_str() {
        "Vec" | "BTreeSet" => arguments(ty).first().copied(),
        "BTreeMap" | "HashMap" => arguments(ty).get(1).copied(),
        _ => None,
    }
}

/// How a value of the type is spelled, as far as its name tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Spelling {
    /// True or false.
    Bool,
    /// An integer of this Rust type.
    Integer,
    /// A number with a fraction.
    Fraction,
    /// Text of any kind.
    Text,
    /// Text with a meaning of its own (a duration, an address).
    Format,
    /// Elements.
    Collection,
    /// Cannot be seen.
    Other,
}

/// How a value of the type is spelled.
pub(crate) fn spelling(ty: &Type) -> Spelling {
    match last_name(peeled(ty)).as_deref() {
        Some("bool") => Spelling::Bool,
        Some("i8" | "i16" | "i32" | "i64" | "i128" | "u8" | "u16" | "u32" | "u64" | "usize") => {
            Spelling::Integer
        }
        Some("f32" | "f64" | "Number" | "BigDecimal") => Spelling::Fraction,
        Some("String") => Spelling::Text,
        Some("Duration" | "Size" | "Json" | "Cidr" | "Timestamp" | "IpAddr") => Spelling::Format,
        Some("Vec" | "BTreeSet" | "BTreeMap" | "HashMap") => Spelling::Collection,
        _ => Spelling::Other,
    }
}
