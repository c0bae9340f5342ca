//! `#[attribute(…)]`: all that can be said about a field or about a variant of a union.

use proc_macro2::{Ident, Span, TokenStream};
use quote::quote;
use syn::parse::ParseStream;
use syn::{Attribute, Expr, LitInt, LitStr, Meta};

use crate::checks::{self, Check};
use crate::errors::Errors;
use crate::keys::{self, FieldName};

/// Everything that may stand in it. `*`: more than once.
const KEYS: &[&str] = &[
    "name",
    "replace",
    "default",
    "optional",
    "sensitive",
    "write_only",
    "changes_with",
    "fixed",
    "deletion_protection",
    "deprecated",
    "validate*",
    "modify*",
    "flatten",
    "computed_inside",
    "block",
    "conflicts_with",
    "requires",
    "required_when*",
];

/// What was said.
#[derive(Default)]
pub(crate) struct Options {
    pub(crate) name: Option<LitStr>,
    pub(crate) replace: Option<Replace>,
    pub(crate) default: Option<Expr>,
    pub(crate) optional: Option<Span>,
    pub(crate) sensitive: Option<Span>,
    pub(crate) write_only: Option<Span>,
    pub(crate) changes_with: Option<ChangesWith>,
    pub(crate) fixed: Option<Expr>,
    pub(crate) deletion_protection: Option<Span>,
    pub(crate) deprecated: Option<TokenStream>,
    pub(crate) checks: Vec<Check>,
    pub(crate) modifiers: Vec<Expr>,
    pub(crate) flatten: Option<Span>,
    pub(crate) computed_inside: Option<Span>,
    pub(crate) block: Option<Block>,
    pub(crate) conflicts_with: Vec<FieldName>,
    pub(crate) requires: Vec<FieldName>,
    pub(crate) required_when: Vec<RequiredWhen>,
    /// The keys, to say which of them make no sense together.
    pub(crate) given: Vec<Ident>,
}

/// When another value needs another object.
pub(crate) enum Replace {
    Always,
    IfConfigured,
    If(Box<Expr>),
}

/// What makes a computed value unknown in an update.
pub(crate) enum ChangesWith {
    Anything,
    These(Vec<FieldName>),
}

/// A nested block instead of a nested attribute.
pub(crate) struct Block {
    pub(crate) nesting: Option<Ident>,
    pub(crate) min: Option<LitInt>,
    pub(crate) max: Option<LitInt>,
}

/// Needed when a sibling has one of these values.
pub(crate) struct RequiredWhen {
    pub(crate) other: FieldName,
    pub(crate) values: Vec<Expr>,
}

impl Options {
    /// Reads all `#[attribute(…)]` and `#[deprecated]` among the attributes.
    pub(crate) fn of(attrs: &[Attribute], errors: &mut Errors) -> Options {
        let mut options = Options { deprecated: rust_deprecation(attrs), ..Options::default() };
        for attr in attrs.iter().filter(|attr| attr.path().is_ident("attribute")) {
            let Meta::List(list) = &attr.meta else {
                errors.at(attr, "`#[attribute(…)]` takes a list");
                continue;
            };
            let mut inner = Errors::default();
            keys::each_key(list.tokens.clone(), "attribute", KEYS, errors, |key, input| {
                options.given.push(key.clone());
                options.take(key, input, &mut inner)
            });
            errors.merge(inner);
        }
        options
    }

    fn take(&mut self, key: &Ident, input: ParseStream<'_>, errors: &mut Errors) -> syn::Result<()> {
        let span = Some(key.span());
        match key.to_string().as_str() {
            "name" => self.name = Some(keys::value(key, input)?),
            "replace" => self.replace = Some(replace(key, input)?),
            "default" => self.default = Some(keys::value(key, input)?),
            "optional" => self.optional = span,
            "sensitive" => self.sensitive = span,
            "write_only" => self.write_only = span,
            "changes_with" => self.changes_with = Some(changes_with(key, input)?),
            "fixed" => self.fixed = Some(keys::value(key, input)?),
            "deletion_protection" => self.deletion_protection = span,
            "deprecated" => {
                let message: Expr = keys::value(key, input)?;
                self.deprecated = Some(quote!(#message));
            }
            "validate" => self.checks.extend(checks::parse(keys::list(key, input)?, errors)),
            "modify" => self.modifiers.push(keys::value(key, input)?),
            "flatten" => self.flatten = span,
            "computed_inside" => self.computed_inside = span,
            "block" => self.block = Some(block(input, errors)?),
            "conflicts_with" => self.conflicts_with = keys::array(key, input)?,
            "requires" => self.requires = keys::array(key, input)?,
            "required_when" => self.required_when.extend(required_when(key, input)?),
            _ => {}
        }
        Ok(())
    }

    /// Adds an error for each key that was given and is not among these.
    pub(crate) fn allow_only(&self, allowed: &[&str], why: &str, errors: &mut Errors) {
        for key in &self.given {
            if !allowed.contains(&key.to_string().as_str()) {
                errors.at(key, format!("`{key}` has no meaning here: {why}"));
            }
        }
    }
}

/// The message of Rust's own `#[deprecated(note = "…")]`.
pub(crate) fn rust_deprecation(attrs: &[Attribute]) -> Option<TokenStream> {
    let attr = attrs.iter().find(|attr| attr.path().is_ident("deprecated"))?;
    let mut note = quote!("Do not use it any more.");
    match &attr.meta {
        Meta::NameValue(pair) => {
            let message = &pair.value;
            note = quote!(#message);
        }
        Meta::List(list) => {
            // Misspellings in there are rustc's to report.
            let _ = list.parse_nested_meta(|meta| {
                let value: LitStr = meta.value()?.parse()?;
                if meta.path.is_ident("note") {
                    note = quote!(#value);
                }
                Ok(())
            });
        }
        Meta::Path(_) => {}
    }
    Some(note)
}

fn replace(key: &Ident, input: ParseStream<'_>) -> syn::Result<Replace> {
    use syn::parse::Parser;
    let Some(tokens) = keys::optional_list(input)? else { return Ok(Replace::Always) };
    let parse = |input: ParseStream<'_>| {
        if input.peek(syn::Token![if]) {
            let word: syn::Token![if] = input.parse()?;
            let word = Ident::new("if", word.span);
            return keys::value(&word, input).map(|condition| Replace::If(Box::new(condition)));
        }
        match input.parse::<Ident>() {
            Ok(word) if word == "if_configured" => Ok(Replace::IfConfigured),
            _ => {
                let hint = "expected `replace`, `replace(if_configured)` or `replace(if = function)`";
                Err(syn::Error::new(key.span(), hint))
            }
        }
    };
    parse.parse2(tokens)
}

fn changes_with(key: &Ident, input: ParseStream<'_>) -> syn::Result<ChangesWith> {
    let ahead = input.fork();
    if let Ok(word) = keys::value::<Ident>(key, &ahead) {
        if word != "any" {
            let hint = format!("expected `any` or a list of fields: `changes_with = [{word}]`");
            return Err(syn::Error::new(word.span(), hint));
        }
        keys::value::<Ident>(key, input)?;
        return Ok(ChangesWith::Anything);
    }
    keys::array(key, input).map(ChangesWith::These)
}

fn block(input: ParseStream<'_>, errors: &mut Errors) -> syn::Result<Block> {
    let mut block = Block { nesting: None, min: None, max: None };
    if let Some(tokens) = keys::optional_list(input)? {
        let known = &["single", "group", "list", "set", "map", "min", "max"];
        keys::each_key(tokens, "word about blocks", known, errors, |key, input| {
            match key.to_string().as_str() {
                "min" => block.min = Some(keys::value(key, input)?),
                "max" => block.max = Some(keys::value(key, input)?),
                _ => block.nesting = Some(key.clone()),
            }
            Ok(())
        });
    }
    Ok(block)
}

fn required_when(key: &Ident, input: ParseStream<'_>) -> syn::Result<Vec<RequiredWhen>> {
    use syn::parse::Parser;
    let tokens = keys::list(key, input)?;
    let parse = |input: ParseStream<'_>| {
        let mut conditions = Vec::new();
        while !input.is_empty() {
            let other: FieldName = input.parse()?;
            let values = keys::one_or_more(&other.first, input)?;
            conditions.push(RequiredWhen { other, values });
            if !input.is_empty() {
                input.parse::<syn::Token![,]>()?;
            }
        }
        Ok(conditions)
    };
    parse.parse2(tokens)
}
