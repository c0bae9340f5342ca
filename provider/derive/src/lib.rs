//! Derive macros.

mod attribute;
mod blocks;
mod checks;
mod choices;
mod docs;
mod errors;
mod function;
mod handlers;
mod keys;
mod model;
mod names;
mod options;
mod paths;
mod rules;
mod spans_of_time;
mod structs;
mod types;
mod unions;

use proc_macro::TokenStream;
use syn::{Data, DeriveInput, Fields, ItemFn, ItemImpl, Path, parse_macro_input, parse_quote};

use crate::errors::Errors;
use crate::model::Struct;

/// Makes a struct or enum a schema; for users of `tfplugin-schema`.
#[proc_macro_derive(Schema, attributes(schema, attribute))]
pub fn schema(input: TokenStream) -> TokenStream {
    derive_schema(&parse_macro_input!(input as DeriveInput), parse_quote!(::tfplugin_schema))
}

/// The same for users of `tfplugin-framework`, which re-exports it as `Schema`.
#[proc_macro_derive(SchemaViaFramework, attributes(schema, attribute))]
pub fn schema_via_framework(input: TokenStream) -> TokenStream {
    derive_schema(&parse_macro_input!(input as DeriveInput), parse_quote!(::tfplugin_framework::schema))
}

/// On `impl Resource for …`.
#[proc_macro_attribute]
pub fn resource(arguments: TokenStream, item: TokenStream) -> TokenStream {
    handlers::RESOURCE.expand(arguments.into(), parse_macro_input!(item as ItemImpl)).into()
}

/// On `impl DataSource for …`.
#[proc_macro_attribute]
pub fn data_source(arguments: TokenStream, item: TokenStream) -> TokenStream {
    handlers::DATA_SOURCE.expand(arguments.into(), parse_macro_input!(item as ItemImpl)).into()
}

/// On `impl Ephemeral for …`.
#[proc_macro_attribute]
pub fn ephemeral(arguments: TokenStream, item: TokenStream) -> TokenStream {
    handlers::EPHEMERAL.expand(arguments.into(), parse_macro_input!(item as ItemImpl)).into()
}

/// On `impl Provider for …`.
#[proc_macro_attribute]
pub fn provider(arguments: TokenStream, item: TokenStream) -> TokenStream {
    handlers::PROVIDER.expand(arguments.into(), parse_macro_input!(item as ItemImpl)).into()
}

/// On a function.
#[proc_macro_attribute]
pub fn function(arguments: TokenStream, item: TokenStream) -> TokenStream {
    function::expand(arguments.into(), parse_macro_input!(item as ItemFn)).into()
}

fn derive_schema(input: &DeriveInput, schema: Path) -> TokenStream {
    let mut errors = Errors::default();
    if !input.generics.params.is_empty() {
        let hint = "a schema is one fixed set of attributes, so its type has no parameters: write one struct \
                    for each type that it is used with";
        errors.at(&input.generics, hint);
        return errors.or(proc_macro2::TokenStream::new()).into();
    }
    let code = match &input.data {
        Data::Struct(data) => {
            let named = (&input.ident, &input.vis);
            Struct::of(schema, named, &input.attrs, &data.fields, &mut errors)
                .map(|item| item.expand(&mut errors))
        }
        Data::Enum(data) if data.variants.is_empty() => {
            errors.at(&input.ident, "an enum without variants has no values: write one");
            None
        }
        Data::Enum(data) if data.variants.iter().all(|variant| matches!(variant.fields, Fields::Unit)) => {
            Some(choices::expand(input, &data.variants, &schema, &mut errors))
        }
        Data::Enum(data) => Some(unions::expand(input, &data.variants, &schema, &mut errors)),
        Data::Union(data) => {
            errors.at(data.union_token, "a Rust `union` cannot be a schema; an `enum` can");
            None
        }
    };
    errors.or(code.unwrap_or_default()).into()
}
