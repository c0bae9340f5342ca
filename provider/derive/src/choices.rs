//! Enums without data: a string in HCL, one of the variants' names.

use proc_macro2::{Ident, TokenStream};
use quote::quote;
use syn::punctuated::Punctuated;
use syn::{DeriveInput, LitStr, Path, Token, Variant};

use crate::docs::Docs;
use crate::errors::Errors;
use crate::options::Options;
use crate::structs::allowances;
use crate::{keys, names};

/// Why a variant needs a doc comment.
pub(crate) const VARIANT_HINT: &str =
    "write what it means for whoever writes HCL (`/// …` above the variant)";

/// All that the derive writes for an enum without data.
pub(crate) fn expand(
    input: &DeriveInput,
    variants: &Punctuated<Variant, Token![,]>,
    schema: &Path,
    errors: &mut Errors,
) -> TokenStream {
    let ident = &input.ident;
    for attr in input.attrs.iter().filter(|attr| attr.path().is_ident("schema")) {
        if let Some(list) = errors.keep(attr.meta.require_list()) {
            keys::each_key(list.tokens.clone(), "schema option of an enum", &[], errors, |_, _| Ok(()));
        }
    }
    let rename_all = names::serde_rename_all(&input.attrs);
    let mut seen: Vec<String> = Vec::new();
    let mut choices = Vec::new();
    let mut idents: Vec<&Ident> = Vec::new();
    let mut spellings = Vec::new();
    for variant in variants {
        let what = format!("`{}`", variant.ident);
        let docs = Docs::required(&variant.attrs, &variant.ident, &what, VARIANT_HINT, errors);
        let options = Options::of(&variant.attrs, errors);
        options.allow_only(&["name"], "the variant is a string in HCL, no attribute", errors);
        let name = spelling(variant, &options, rename_all.as_deref());
        if seen.contains(&name) {
            errors.at(&variant.ident, format!("two variants are called `{name}`"));
        }
        seen.push(name.clone());
        let doc = docs.tokens();
        choices.push(quote!(#schema::derived::Choice { name: #name, doc: #doc }));
        idents.push(&variant.ident);
        spellings.push(name);
    }
    let indices = 0..idents.len();
    let (allow, path) = (allowances(), quote!(#schema::field::Leaf<#ident>));
    let vis = &input.vis;
    let result = quote!(::core::result::Result);
    quote! {
        #allow
        impl #ident {
            /// The name in HCL.
            #vis const fn as_str(&self) -> &'static str {
                match self {
                    #(#ident::#idents => #spellings,)*
                }
            }
        }

        #[automatically_derived]
        #allow
        impl #schema::Field for #ident {
            type View = #schema::Maybe<#ident>;
            type State = #ident;
            type Path = #path;

            fn shape() -> #schema::Shape {
                const CHOICES: &[#schema::derived::Choice] = &[#(#choices),*];
                #schema::derived::choice_shape(CHOICES)
            }

            fn view(value: &#schema::Value) -> #result<#schema::Maybe<#ident>, #schema::ValueError> {
                if value.is_null() {
                    return #result::Ok(#schema::Maybe::Null);
                }
                if value.is_unknown() {
                    return #result::Ok(#schema::Maybe::Unknown);
                }
                <#ident as #schema::Field>::read(value).map(#schema::Maybe::Known)
            }

            fn read(value: &#schema::Value) -> #result<#ident, #schema::ValueError> {
                const NAMES: &[&str] = &[#(#spellings),*];
                match #schema::derived::choice_index(NAMES, value)? {
                    #(#indices => #result::Ok(#ident::#idents),)*
                    _ => #result::Err(#schema::field::unexpected("one of the names", value)),
                }
            }

            fn write(state: &#ident) -> #schema::Value {
                #schema::Value::from(state.as_str())
            }
        }

        #[automatically_derived]
        impl #schema::Plain for #ident {}
    }
}

// Any string will do here; it is a value, not a name.
fn spelling(variant: &Variant, options: &Options, rename_all: Option<&str>) -> String {
    let given = options.name.clone().or_else(|| names::serde_rename(&variant.attrs));
    given.as_ref().map_or_else(|| names::variant(&variant.ident, rename_all), LitStr::value)
}
