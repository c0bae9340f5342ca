//! `#[resource]`, `#[data_source]`, `#[ephemeral]`, `#[provider]`: constants that an implementation would
//! otherwise repeat, and the truth about which handlers it has.

use proc_macro2::{Ident, TokenStream};
use quote::{ToTokens, format_ident, quote};
use syn::{Expr, ImplItem, ItemImpl, LitInt, LitStr};

use crate::errors::Errors;
use crate::{keys, names, spans_of_time, types};

/// One of these macros.
pub(crate) struct Handler {
    /// The macro.
    pub(crate) attribute: &'static str,
    /// The trait that is implemented.
    pub(crate) of: &'static str,
    /// The keys.
    pub(crate) keys: &'static [&'static str],
}

/// `#[resource(…)] impl Resource for …`
pub(crate) const RESOURCE: Handler = Handler {
    attribute: "resource",
    of: "Resource",
    keys: &["name", "version", "resumable", "timeouts", "deprecated"],
};

/// `#[data_source(…)] impl DataSource for …`
pub(crate) const DATA_SOURCE: Handler =
    Handler { attribute: "data_source", of: "DataSource", keys: &["name", "timeout", "deprecated"] };

/// `#[ephemeral(…)] impl Ephemeral for …`
pub(crate) const EPHEMERAL: Handler =
    Handler { attribute: "ephemeral", of: "Ephemeral", keys: &["name", "timeout", "deprecated"] };

/// `#[provider(…)] impl Provider for …`
pub(crate) const PROVIDER: Handler =
    Handler { attribute: "provider", of: "Provider", keys: &["name", "issues"] };

const OPERATIONS: &[&str] = &["create", "read", "update", "delete"];

impl Handler {
    /// The implementation with its constants. Errors come beside it, not instead of it, so that nothing else
    /// seems missing.
    pub(crate) fn expand(&self, arguments: TokenStream, mut item: ItemImpl) -> TokenStream {
        let mut errors = Errors::default();
        self.check_trait(&item, &mut errors);
        if !errors.is_empty() {
            let errors = errors.or(TokenStream::new());
            return quote!(#errors #item);
        }
        let constants = self.constants(arguments, &item, &mut errors);
        let handles = item.items.iter().filter_map(|item| match item {
            ImplItem::Fn(method) => Some(names::plain(&method.sig.ident)),
            _ => None,
        });
        let handles = quote!(const HANDLES: &'static [&'static str] = &[#(#handles),*];);
        let own = constants.into_iter().chain([handles]).map(ImplItem::Verbatim);
        item.items = own.chain(item.items).collect();
        let errors = errors.or(TokenStream::new());
        quote!(#errors #item)
    }

    fn check_trait(&self, item: &ItemImpl, errors: &mut Errors) {
        let found = item.trait_.as_ref().and_then(|(path, _)| path.segments.last());
        if found.is_none_or(|segment| segment.ident != self.of) {
            let hint = format!("`#[{}]` goes on `impl {} for …`", self.attribute, self.of);
            match &item.trait_ {
                Some((path, _)) => errors.at(path, hint),
                None => errors.at(&item.self_ty, hint),
            }
        }
    }

    fn constants(&self, arguments: TokenStream, item: &ItemImpl, errors: &mut Errors) -> Vec<TokenStream> {
        let mut constants = Vec::new();
        let mut name: Option<LitStr> = None;
        let mut inner = Errors::default();
        keys::each_key(arguments, "key", self.keys, errors, |key, input| {
            match key.to_string().as_str() {
                "name" => name = Some(keys::value(key, input)?),
                "version" => {
                    let version: LitInt = keys::value(key, input)?;
                    version.base10_parse::<i64>()?;
                    constants.push(quote!(const VERSION: i64 = #version;));
                }
                "resumable" => constants.push(quote!(
                    const RESUMABLE: bool = true;
                )),
                "timeouts" => constants.push(timeouts(keys::list(key, input)?, &mut inner)),
                "timeout" => {
                    let duration = spans_of_time::tokens(&keys::value(key, input)?)?;
                    let ty = quote!(::tfplugin_framework::schema::Duration);
                    constants.push(quote!(const TIMEOUT: #ty = #duration;));
                }
                "issues" => {
                    let url: Expr = keys::value(key, input)?;
                    constants.push(quote!(const ISSUES: &'static str = #url;));
                }
                _ => {
                    let message: Expr = keys::value(key, input)?;
                    let some = quote!(::core::option::Option::Some(#message));
                    constants.push(quote! {
                        const DEPRECATED: ::core::option::Option<&'static str> = #some;
                    });
                }
            }
            Ok(())
        });
        errors.merge(inner);
        let name = self.name(name, item, errors);
        constants.insert(0, quote!(const NAME: &'static str = #name;));
        constants
    }

    fn name(&self, given: Option<LitStr>, item: &ItemImpl, errors: &mut Errors) -> String {
        let Some(given) = given else {
            let guess = names::snake_case(&types::last_name(&item.self_ty).unwrap_or_default());
            let hint = format!("missing name: `#[{}(name = \"{guess}\")]`", self.attribute);
            errors.at(item.self_ty.to_token_stream(), hint);
            return guess;
        };
        let name = given.value();
        if !names::is_hcl_name(&name) {
            let hint = format!(
                "`{name}` is no name in HCL: write it with lower case letters, digits and underscores, a letter first"
            );
            errors.at(&given, hint);
        }
        name
    }
}

fn timeouts(tokens: TokenStream, errors: &mut Errors) -> TokenStream {
    let mut fields: Vec<TokenStream> = Vec::new();
    keys::each_key(tokens, "operation", OPERATIONS, errors, |key, input| {
        let duration = spans_of_time::tokens(&keys::value(key, input)?)?;
        let field: Ident = format_ident!("{key}");
        fields.push(quote!(#field: ::core::option::Option::Some(#duration)));
        Ok(())
    });
    quote! {
        const TIMEOUTS: ::tfplugin_framework::schema::Timeouts = ::tfplugin_framework::schema::Timeouts {
            #(#fields,)*
            ..::tfplugin_framework::DEFAULT_TIMEOUTS
        };
    }
}
