//! Nested blocks: `listener { … }` instead of `listener = { … }`. The field's type says how many there may be.

use proc_macro2::TokenStream;
use quote::{quote, quote_spanned};
use syn::spanned::Spanned;
use syn::{Path, Type};

use crate::errors::Errors;
use crate::model::Field;
use crate::types;

/// The block that a field stands for, as an expression.
pub(crate) fn tokens(field: &Field, schema: &Path, errors: &mut Errors) -> TokenStream {
    let Some(block) = &field.options.block else { return TokenStream::new() };
    let ty = types::inside(&field.ty, "Option").unwrap_or(&field.ty);
    let optional = types::inside(&field.ty, "Option").is_some();
    let (held, element): (&str, &Type) = match (types::last_name(ty).as_deref(), types::element(ty)) {
        (Some("Vec"), Some(element)) => ("list", element),
        (Some("BTreeSet"), Some(element)) => ("set", element),
        (Some("BTreeMap" | "HashMap"), Some(element)) => ("map", element),
        _ => ("single", ty),
    };
    let is_collection = held != "single";
    if optional && is_collection {
        errors.at(&field.ty, "blocks are never null, there are just none: leave `Option` away");
    }
    let mut nesting = held;
    if let Some(word) = &block.nesting {
        match word.to_string().as_str() {
            "group" if !is_collection && !optional => nesting = "group",
            "group" => errors.at(word, "a group is always there: its field is the struct itself"),
            said if said == held => {}
            said => {
                let hint = format!(
                    "the field's type makes this a {held} block: `{said}` needs {}",
                    match said {
                        "list" => "a `Vec<T>`",
                        "set" => "a `BTreeSet<T>`",
                        "map" => "a `BTreeMap<String, T>`",
                        _ => "an `Option<T>` or a `T`",
                    }
                );
                errors.at(word, hint);
            }
        }
    }
    if let (Some(limit), "single" | "group" | "map") = (block.min.as_ref().or(block.max.as_ref()), nesting) {
        errors.at(
            limit,
            "only lists and sets of blocks have limits; for a block that must be there leave `Option` away",
        );
    }
    let required = (nesting == "single" && !optional).then(|| quote!(.required()));
    let nesting = match nesting {
        "list" => quote!(List),
        "set" => quote!(Set),
        "map" => quote!(Map),
        "group" => quote!(Group),
        _ => quote!(Single),
    };
    let (name, docs) = (&field.name, field.docs.tokens());
    let span = proc_macro2::Span::call_site().located_at(element.span());
    let object = quote_spanned!(span=> <#element as #schema::Schema>::object());
    let limits = (block.min.is_some() || block.max.is_some()).then(|| {
        let limit = |limit: &Option<syn::LitInt>| limit.as_ref().map_or(quote!(0), |limit| quote!(#limit));
        let (min, max) = (limit(&block.min), limit(&block.max));
        quote!(.items(#min, #max))
    });
    quote! {{
        let mut inner = #object;
        inner.description = ::std::string::String::from(#docs);
        #schema::NestedBlock::new(#name, #schema::BlockNesting::#nesting, inner) #required #limits
    }}
}
