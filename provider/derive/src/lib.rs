//! The derive and attribute macros of `tfplugin-schema` and `tfplugin-framework`, which re-export them: depend
//! on those. What there is to write:
//!
//! * [`Schema`](macro@Schema) on structs and enums: the reference of all its keys;
//! * [`macro@resource`], [`macro@data_source`], [`macro@ephemeral`], [`macro@provider`] on implementations;
//! * [`macro@function`] on functions.
//!
//! Everything that can be judged at compile time is, with the error where the mistake is: misspelt keys and
//! fields (with what was probably meant), missing documentation, regular expressions, defaults of another
//! type, questions that make no sense for a type.
//!
//! Inside, [`model`] is a struct as it was read, [`options`] what was said about a field; [`structs`],
//! [`choices`] and [`unions`] write the code.
#![allow(rustdoc::private_intra_doc_links)]

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

#[doc = include_str!("../docs/schema.md")]
#[proc_macro_derive(Schema, attributes(schema, attribute))]
pub fn schema(input: TokenStream) -> TokenStream {
    derive_schema(&parse_macro_input!(input as DeriveInput), parse_quote!(::tfplugin_schema))
}

/// [`Schema`](macro@Schema) for users of `tfplugin-framework`, which re-exports it as `Schema`: all keys are
/// explained there.
#[proc_macro_derive(SchemaViaFramework, attributes(schema, attribute))]
pub fn schema_via_framework(input: TokenStream) -> TokenStream {
    derive_schema(&parse_macro_input!(input as DeriveInput), parse_quote!(::tfplugin_framework::schema))
}

#[doc = include_str!("../docs/handlers.md")]
#[proc_macro_attribute]
pub fn resource(arguments: TokenStream, item: TokenStream) -> TokenStream {
    handlers::RESOURCE.expand(arguments.into(), parse_macro_input!(item as ItemImpl)).into()
}

/// On `impl DataSource for …`: `#[data_source(name = "site")]`. Further keys: `timeout = "5m"` for a read where
/// the configuration sets none, `deprecated = "…"`.
#[proc_macro_attribute]
pub fn data_source(arguments: TokenStream, item: TokenStream) -> TokenStream {
    handlers::DATA_SOURCE.expand(arguments.into(), parse_macro_input!(item as ItemImpl)).into()
}

/// On `impl Ephemeral for …`: `#[ephemeral(name = "token")]`. Further keys: `timeout = "5m"` for each operation
/// where the configuration sets none, `deprecated = "…"`.
#[proc_macro_attribute]
pub fn ephemeral(arguments: TokenStream, item: TokenStream) -> TokenStream {
    handlers::EPHEMERAL.expand(arguments.into(), parse_macro_input!(item as ItemImpl)).into()
}

/// On `impl Provider for …`: `#[provider(name = "acme")]`. Its types are called `acme_…`. Further key:
/// `issues = "…"`, where to report bugs.
#[proc_macro_attribute]
pub fn provider(arguments: TokenStream, item: TokenStream) -> TokenStream {
    handlers::PROVIDER.expand(arguments.into(), parse_macro_input!(item as ItemImpl)).into()
}

/// Makes a Rust function a function of HCL: `provider::acme::add(1, 2)`.
///
/// ```
/// use tfplugin_framework::{FunctionError, function};
///
/// /// Adds numbers.
/// ///
/// /// However many there are.
/// #[function]
/// fn add(
///     /// The first.
///     a: i64,
///     /// All others.
///     #[variadic]
///     rest: Vec<i64>,
/// ) -> Result<i64, FunctionError> {
///     let sum = rest.iter().try_fold(a, |sum, number| sum.checked_add(*number));
///     sum.ok_or_else(|| FunctionError::new("the sum has more than 64 bits"))
/// }
///
/// let function: tfplugin_framework::Function = add();
/// assert_eq!(function.summary, "Adds numbers.");
/// ```
///
/// A parameter `Option<T>` takes null, `Maybe<T>` null and unknowns, the last one with `#[variadic] Vec<T>` all
/// further arguments. The result is `T` or `Result<T, FunctionError>`. Keys: `name = "…"` (else the Rust name),
/// `deprecated = "…"`.
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

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
