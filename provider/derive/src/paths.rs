//! Typed paths: `TokenCache::rules().at(3).port()`.

use proc_macro2::{Ident, TokenStream};
use quote::{format_ident, quote, quote_spanned};
use syn::{Path, Visibility};

use crate::model::{Field, Struct};
use crate::structs::allowances;

/// One way to go on.
pub(crate) struct Way {
    /// The method.
    pub(crate) ident: Ident,
    /// What it returns.
    pub(crate) ty: TokenStream,
    /// The step, none for flattened fields.
    pub(crate) name: Option<String>,
    /// Its documentation.
    pub(crate) docs: TokenStream,
    span: proc_macro2::Span,
}

impl Way {
    /// Into an attribute.
    pub(crate) fn new(ident: Ident, ty: TokenStream, name: Option<String>, span: proc_macro2::Span) -> Way {
        let doc = match &name {
            Some(name) => format!("The path to `{name}`."),
            None => format!("The attributes of `{ident}`, which stand at this very path."),
        };
        Way { ident, ty, name, docs: quote!(#[doc = #doc]), span }
    }

    fn of(field: &Field, schema: &Path) -> Way {
        let access = field.access(schema);
        let name = (!field.is_flat()).then(|| field.name.clone());
        Way::new(field.ident.clone(), quote_spanned!(field.span()=> #access::Path), name, field.span())
    }
}

/// The path type of a struct, and the functions that start paths.
pub(crate) fn of_struct(item: &Struct) -> TokenStream {
    let ways: Vec<Way> = item.fields.iter().map(|field| Way::of(field, &item.schema)).collect();
    let path_type = path_type(&item.schema, &item.vis, &item.ident, &ways);
    if !item.path_functions {
        return path_type;
    }
    let (schema, vis, ident, allow) = (&item.schema, &item.vis, &item.ident, allowances());
    let functions = ways.iter().map(|Way { ident, ty, name, docs, span }| {
        let path = match name {
            Some(name) => quote!(#schema::Path::attribute(#name)),
            None => quote!(#schema::Path::root()),
        };
        quote_spanned!(*span=> #docs #vis fn #ident() -> #ty { ::core::convert::From::from(#path) })
    });
    quote! {
        #path_type
        #allow
        impl #ident {
            #(#functions)*
        }
    }
}

/// A type `…Path` with a method for each way to go on.
pub(crate) fn path_type(schema: &Path, vis: &Visibility, target: &Ident, ways: &[Way]) -> TokenStream {
    let (ident, allow) = (format_ident!("{target}Path"), allowances());
    let doc = format!("A path to a [`{target}`]. Its methods lead on to the attributes.");
    let methods = ways.iter().map(|Way { ident, ty, name, docs, span }| {
        let path = match name {
            Some(name) => quote!(self.0.attr(#name)),
            None => quote!(self.0),
        };
        quote_spanned!(*span=> #docs #vis fn #ident(self) -> #ty { ::core::convert::From::from(#path) })
    });
    quote! {
        #[doc = #doc]
        #allow
        #[derive(::core::clone::Clone, ::core::fmt::Debug)]
        #vis struct #ident(#schema::Path);

        #allow
        impl #ident {
            #(#methods)*
        }

        #[automatically_derived]
        impl ::core::convert::From<#schema::Path> for #ident {
            fn from(path: #schema::Path) -> Self {
                #ident(path)
            }
        }

        #[automatically_derived]
        impl ::core::convert::From<#ident> for #schema::Path {
            fn from(path: #ident) -> #schema::Path {
                path.0
            }
        }

        #[automatically_derived]
        impl #schema::field::TypedPath for #ident {
            type Target = #target;
        }
    }
}
