//! `#[function]`: a plain Rust function becomes a function in HCL.

use proc_macro2::{Ident, TokenStream};
use quote::{format_ident, quote, quote_spanned};
use syn::spanned::Spanned;
use syn::{Expr, FnArg, ItemFn, LitStr, Pat, PatType, ReturnType, Type};

use crate::docs::Docs;
use crate::errors::Errors;
use crate::{keys, names, types};

const FUNCTION_HINT: &str =
    "write what it computes for whoever writes HCL: the first paragraph is the summary";
const PARAMETER_HINT: &str = "write what it means for whoever writes HCL (`/// …` before the parameter)";

struct Parameter {
    ident: Ident,
    name: String,
    docs: Docs,
    kind: Kind,
    span: proc_macro2::Span,
}

enum Kind {
    /// `T`: known and not null.
    Plain(Type),
    /// `Option<T>`: null is an argument.
    Nullable(Type),
    /// `Maybe<T>`: so is an unknown.
    Unknown(Type),
    /// `#[variadic] Vec<T>`
    Variadic(Type),
}

/// A function of the same name that returns the `Function`.
pub(crate) fn expand(arguments: TokenStream, mut item: ItemFn) -> TokenStream {
    let mut errors = Errors::default();
    let mut name: Option<LitStr> = None;
    let mut deprecated: Option<Expr> = None;
    let keys = &["name", "deprecated"];
    keys::each_key(arguments, "key", keys, &mut errors, |key, input| {
        match key.to_string().as_str() {
            "name" => name = Some(keys::value(key, input)?),
            _ => deprecated = Some(keys::value(key, input)?),
        }
        Ok(())
    });
    check_signature(&item, &mut errors);
    let ident = item.sig.ident.clone();
    let rust_name = names::plain(&ident);
    let hcl_name = name.as_ref().map_or_else(|| rust_name.clone(), LitStr::value);
    if !names::is_hcl_name(&hcl_name) {
        let hint = format!("`{hcl_name}` is no name in HCL: give another with `#[function(name = \"…\")]`");
        match &name {
            Some(name) => errors.at(name, hint),
            None => errors.at(&ident, hint),
        }
    }
    let docs = Docs::required(&item.attrs, &ident, &format!("`{rust_name}`"), FUNCTION_HINT, &mut errors);
    let parameters = parameters(&mut item, &mut errors);
    let (returns, fallible) = returned(&item, &mut errors);

    let (summary, rest) = docs.summary_and_rest();
    let description = if rest.is_empty() { docs.text().unwrap_or_default() } else { rest };
    let deprecation = deprecated.map(|message| quote!(.deprecate(#message)));
    let declared = parameters.iter().map(Parameter::declaration);
    let bound = parameters.iter().enumerate().map(|(index, parameter)| parameter.binding(index));
    let arguments: Vec<&Ident> = parameters.iter().map(|parameter| &parameter.ident).collect();
    let question_mark = fallible.then(|| quote!(?));
    let attributes = std::mem::take(&mut item.attrs);
    let (for_docs, for_body): (Vec<_>, Vec<_>) =
        attributes.into_iter().partition(|attr| attr.path().is_ident("doc"));
    item.attrs = for_body;
    let vis = std::mem::replace(&mut item.vis, syn::Visibility::Inherited);
    errors.or(quote! {
        #(#for_docs)*
        // Arguments come as values, and a result wants its error converted.
        #[allow(clippy::needless_pass_by_value, clippy::needless_question_mark, clippy::unnecessary_wraps)]
        #vis fn #ident() -> ::tfplugin_framework::Function {
            #item
            ::tfplugin_framework::Function::build(#hcl_name)
                .summary(#summary)
                .description(#description)
                #deprecation
                #(#declared)*
                .returns::<#returns>()
                .handler(|arguments: ::tfplugin_framework::Arguments| {
                    let _ = &arguments;
                    #(#bound)*
                    ::core::result::Result::Ok(#ident(#(#arguments),*) #question_mark)
                })
        }
    })
}

fn check_signature(item: &ItemFn, errors: &mut Errors) {
    if let Some(word) = &item.sig.asyncness {
        let hint = "functions are pure: no I/O, so nothing to wait for; look things up in a data source";
        errors.at(word, hint);
    }
    if !item.sig.generics.params.is_empty() {
        errors.at(&item.sig.generics, "parameters have one type each: write it out");
    }
}

fn parameters(item: &mut ItemFn, errors: &mut Errors) -> Vec<Parameter> {
    let count = item.sig.inputs.len();
    let mut parameters = Vec::new();
    for (index, input) in item.sig.inputs.iter_mut().enumerate() {
        match input {
            FnArg::Receiver(receiver) => {
                errors.at(&*receiver, "functions have no `self`: they know no provider");
            }
            FnArg::Typed(typed) => parameters.extend(parameter(typed, index + 1 == count, errors)),
        }
    }
    parameters
}

fn parameter(typed: &mut PatType, last: bool, errors: &mut Errors) -> Option<Parameter> {
    let Pat::Ident(pattern) = &*typed.pat else {
        errors.at(&typed.pat, "a parameter has a name: take it apart inside of the function");
        return None;
    };
    // The argument is bound under a name of ours, so `mut` stays the function's own.
    let (name, ty) = (names::plain(&pattern.ident), (*typed.ty).clone());
    if !names::is_hcl_name(&name) {
        errors.at(&pattern.ident, format!("`{name}` is no name in HCL: begin with a letter, all lower case"));
    }
    let what = format!("`{name}`");
    let docs = Docs::required(&typed.attrs, &pattern.ident, &what, PARAMETER_HINT, errors);
    let variadic = typed.attrs.iter().any(|attr| attr.path().is_ident("variadic"));
    typed.attrs.retain(|attr| !attr.path().is_ident("doc") && !attr.path().is_ident("variadic"));
    let inside = |name: &str| types::inside(&ty, name).cloned();
    let kind = if variadic {
        if !last {
            errors.at(&typed.pat, "only the last parameter can be variadic");
        }
        match inside("Vec") {
            Some(element) => Kind::Variadic(element),
            None => {
                errors.at(&ty, "a variadic parameter takes all further arguments: make it a `Vec<…>`");
                return None;
            }
        }
    } else if let Some(inner) = inside("Option") {
        Kind::Nullable(inner)
    } else if let Some(inner) = inside("Maybe") {
        Kind::Unknown(inner)
    } else {
        Kind::Plain(ty.clone())
    };
    let span = proc_macro2::Span::call_site().located_at(ty.span());
    Some(Parameter { ident: format_ident!("argument_{name}"), name, docs, kind, span })
}

impl Parameter {
    fn declaration(&self) -> TokenStream {
        let (name, docs) = (&self.name, self.docs.tokens());
        match &self.kind {
            Kind::Plain(ty) => quote_spanned!(self.span=> .parameter::<#ty>(#name, #docs)),
            Kind::Nullable(ty) => quote_spanned!(self.span=> .nullable_parameter::<#ty>(#name, #docs)),
            Kind::Unknown(ty) => quote_spanned!(self.span=> .unknown_parameter::<#ty>(#name, #docs)),
            Kind::Variadic(ty) => quote_spanned!(self.span=> .variadic::<#ty>(#name, #docs)),
        }
    }

    fn binding(&self, index: usize) -> TokenStream {
        let ident = &self.ident;
        let read = match &self.kind {
            Kind::Plain(ty) => quote_spanned!(self.span=> arguments.get::<#ty>(#index)),
            Kind::Nullable(ty) => {
                quote_spanned!(self.span=> arguments.get::<::core::option::Option<#ty>>(#index))
            }
            Kind::Unknown(ty) => quote_spanned!(self.span=> arguments.maybe::<#ty>(#index)),
            Kind::Variadic(ty) => quote_spanned!(self.span=> arguments.rest::<#ty>(#index)),
        };
        quote!(let #ident = #read?;)
    }
}

// The type of the result, and whether the call can fail.
fn returned(item: &ItemFn, errors: &mut Errors) -> (TokenStream, bool) {
    match &item.sig.output {
        ReturnType::Type(_, ty) => match types::inside(ty, "Result") {
            Some(ok) => (quote!(#ok), true),
            None => (quote!(#ty), false),
        },
        ReturnType::Default => {
            errors.at(&item.sig, "a function returns something: `-> Result<T, FunctionError>` or `-> T`");
            (quote!(()), false)
        }
    }
}
