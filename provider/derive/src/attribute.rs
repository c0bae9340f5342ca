//! The expression that declares one attribute: `Attribute::named("…").describe("…")…`.

use proc_macro2::TokenStream;
use quote::{quote, quote_spanned};
use syn::spanned::Spanned;
use syn::{Expr, Lit, Path, Type};

use crate::checks;
use crate::docs::Docs;
use crate::errors::Errors;
use crate::model::{Field, Struct};
use crate::options::{Options, Replace};
use crate::types::{self, Spelling};

impl Struct {
    /// What a field adds to `object`, as statements.
    pub(crate) fn declaration(&self, field: &Field, errors: &mut Errors) -> TokenStream {
        let schema = &self.schema;
        let access = field.access(schema);
        if field.is_flat() {
            return quote!(let mut object = object.flatten(#access::object()););
        }
        if field.options.block.is_some() {
            let block = crate::blocks::tokens(field, schema, errors);
            return quote!(object.blocks.push(#block););
        }
        let mut attribute = declaration(&field.name, &field.docs, &field.options, &field.ty, schema, errors);
        if let Some(changes) = &field.options.changes_with {
            let changes = self.changes_with_tokens(changes, errors);
            attribute = quote! {{
                let mut attribute = #attribute;
                attribute.changes_with = #changes;
                attribute
            }};
        }
        let rules = secret_rules(field, schema);
        let declare = quote_spanned!(field.span()=> #access::declare);
        quote! {
            let attribute = #attribute;
            object.attributes.extend(#declare(attribute));
            #rules
        }
    }
}

fn secret_rules(field: &Field, schema: &Path) -> TokenStream {
    if !types::is_secret(&field.ty) {
        return TokenStream::new();
    }
    let (secret, required) = match types::inside(&field.ty, "Option") {
        Some(secret) => (secret, false),
        None => (&field.ty, true),
    };
    // `Secret` alone in an expression would not take the default of its parameter.
    let inner = types::inside(secret, "Secret");
    let inner = inner.map_or_else(|| quote!(::std::string::String), |inner| quote!(#inner));
    let name = &field.name;
    quote!(object.rules.extend(#schema::Secret::<#inner>::rules(#name, #required));)
}

/// The attribute with all that was said about it, but for its shape and what other fields decide.
pub(crate) fn declaration(
    name: &str,
    docs: &Docs,
    options: &Options,
    ty: &Type,
    schema: &Path,
    errors: &mut Errors,
) -> TokenStream {
    let text = docs.tokens();
    let mut chain = quote!(#schema::Attribute::named(#name).describe(#text));
    if let Some(message) = &options.deprecated {
        chain.extend(quote!(.deprecate(#message)));
    }
    if options.optional.is_some() {
        chain.extend(quote!(.optional()));
    }
    if options.sensitive.is_some() {
        chain.extend(quote!(.sensitive()));
    }
    if options.write_only.is_some() {
        chain.extend(quote!(.write_only()));
    }
    if let Some(default) = &options.default {
        let value = default_value(default, ty, schema);
        chain.extend(quote!(.default_value(#value)));
    }
    match &options.replace {
        Some(Replace::Always) => chain.extend(quote!(.replace())),
        Some(Replace::IfConfigured) => chain.extend(quote!(.replace_if_configured())),
        Some(Replace::If(condition)) => chain.extend(quote!(.replace_if(#condition))),
        None => {}
    }
    if let Some(message) = &options.fixed {
        chain.extend(quote!(.fixed(#message)));
    }
    if options.deletion_protection.is_some() {
        chain.extend(quote!(.deletion_protection()));
    }
    for check in checks::tokens(&options.checks, Some(ty), schema, errors) {
        chain.extend(quote!(.validate(#check)));
    }
    for modifier in &options.modifiers {
        chain.extend(quote!(.modify(#modifier)));
    }
    chain
}

// Text keeps its spelling ("90s"); all else is a value of the field's type, so a wrong one does not compile.
fn default_value(default: &Expr, ty: &Type, schema: &Path) -> TokenStream {
    let is_text = matches!(default, Expr::Lit(lit) if matches!(lit.lit, Lit::Str(_)));
    let spelling = types::spelling(ty);
    if is_text && matches!(spelling, Spelling::Text | Spelling::Format | Spelling::Other) {
        return quote!(#schema::Value::from(#default));
    }
    let span = default.span();
    let write = quote_spanned!(span=> <#ty as #schema::Field>::write(&value));
    quote!({ let value: #ty = #default; #write })
}
