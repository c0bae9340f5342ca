//! `validate(…)`: what a value must satisfy. What can be judged at compile time is: regular expressions, and
//! whether a question makes sense for the field's type.

use proc_macro2::{Ident, TokenStream};
use quote::{quote, quote_spanned};
use syn::parse::ParseStream;
use syn::spanned::Spanned;
use syn::{Expr, ExprLit, ExprRange, ExprUnary, Lit, LitStr, Path, Type, UnOp};

use crate::errors::Errors;
use crate::keys;
use crate::types::{self, Spelling};

const KEYS: &[&str] =
    &["length", "regex", "range", "one_of", "unique", "each", "keys", "any_of", "with", "satisfies"];

/// One validator.
pub(crate) struct Check {
    key: Ident,
    kind: Kind,
}

enum Kind {
    Length(Expr),
    Regex(LitStr, Option<Expr>),
    Range(Expr),
    OneOf(Vec<Expr>),
    Unique,
    Each(Vec<Check>),
    Keys(Vec<Check>),
    AnyOf(Vec<Check>),
    With(Expr),
    Satisfies(Vec<Expr>),
}

/// Reads the inside of `validate(…)`.
pub(crate) fn parse(tokens: TokenStream, errors: &mut Errors) -> Vec<Check> {
    let mut checks = Vec::new();
    let mut inner = Errors::default();
    keys::each_key(tokens, "validator", KEYS, errors, |key, input| {
        let kind = kind(key, input, &mut inner)?;
        checks.push(Check { key: key.clone(), kind });
        Ok(())
    });
    errors.merge(inner);
    checks
}

fn kind(key: &Ident, input: ParseStream<'_>, errors: &mut Errors) -> syn::Result<Kind> {
    Ok(match key.to_string().as_str() {
        "length" => Kind::Length(keys::value(key, input)?),
        "regex" => match keys::optional_list(input)? {
            Some(tokens) => regex_that_says(tokens, errors)?,
            None => {
                let pattern = keys::value(key, input)?;
                check_regex(&pattern, errors);
                Kind::Regex(pattern, None)
            }
        },
        "range" => Kind::Range(keys::value(key, input)?),
        "one_of" => Kind::OneOf(keys::array(key, input)?),
        "each" => Kind::Each(parse(keys::list(key, input)?, errors)),
        "keys" => Kind::Keys(parse(keys::list(key, input)?, errors)),
        "any_of" => Kind::AnyOf(parse(keys::list(key, input)?, errors)),
        "with" => Kind::With(keys::value(key, input)?),
        "satisfies" => {
            let parts: Vec<Expr> = keys::comma_separated(keys::list(key, input)?)?;
            if parts.len() != 2 {
                let hint = "`satisfies` takes what the value must do and a function of it: \
                            `satisfies(\"be a prime\", is_prime)`";
                return Err(syn::Error::new(key.span(), hint));
            }
            Kind::Satisfies(parts)
        }
        _ => Kind::Unique,
    })
}

// `regex("^[a-z]+$", says = "must be lower case")`
fn regex_that_says(tokens: TokenStream, errors: &mut Errors) -> syn::Result<Kind> {
    use syn::parse::Parser;
    let parse = |input: ParseStream<'_>| {
        let pattern: LitStr = input.parse()?;
        input.parse::<syn::Token![,]>()?;
        let says: Ident = input.parse()?;
        if says != "says" {
            return Err(syn::Error::new(says.span(), "expected `says = \"must …\"`"));
        }
        Ok((pattern, keys::value(&says, input)?))
    };
    let (pattern, says) = parse.parse2(tokens)?;
    check_regex(&pattern, errors);
    Ok(Kind::Regex(pattern, Some(says)))
}

fn check_regex(pattern: &LitStr, errors: &mut Errors) {
    if let Err(error) = regex_syntax::parse(&pattern.value()) {
        let why = match &error {
            regex_syntax::Error::Parse(error) => error.kind().to_string(),
            regex_syntax::Error::Translate(error) => error.kind().to_string(),
            other => other.to_string(),
        };
        errors.at(pattern, format!("not a regular expression: {why}"));
    }
}

/// The validators as expressions, for a field of type `ty` (`None`: unknown).
pub(crate) fn tokens(
    checks: &[Check],
    ty: Option<&Type>,
    schema: &Path,
    errors: &mut Errors,
) -> Vec<TokenStream> {
    checks.iter().flat_map(|check| check.tokens(ty, schema, errors)).collect()
}

impl Check {
    fn tokens(&self, ty: Option<&Type>, schema: &Path, errors: &mut Errors) -> Vec<TokenStream> {
        let validate = quote!(#schema::validate);
        let spelling = ty.map_or(Spelling::Other, types::spelling);
        self.judge(spelling, errors);
        let span = self.key.span();
        let one = match &self.kind {
            Kind::Length(range @ Expr::Lit(_)) => quote!(#validate::length(#range..=#range)),
            Kind::Length(range) => quote!(#validate::length(#range)),
            Kind::Regex(pattern, None) => quote!(#validate::regex(#pattern)),
            Kind::Regex(pattern, Some(says)) => quote!(#validate::regex(#pattern).says(#says)),
            Kind::Range(range) => range_tokens(range, ty, spelling, schema),
            Kind::OneOf(values) => one_of_tokens(values, ty, spelling, schema),
            Kind::Unique => quote!(#validate::unique()),
            Kind::With(validator) => quote!(#validator),
            Kind::Satisfies(parts) => quote_spanned!(span=> #validate::satisfies(#(#parts),*)),
            Kind::AnyOf(checks) => {
                let any = tokens(checks, ty, schema, errors);
                quote!(#validate::any_of(::std::vec![#(::std::boxed::Box::new(#any)),*]))
            }
            Kind::Each(checks) => {
                let element = ty.and_then(types::element);
                let each = tokens(checks, element, schema, errors);
                return each.iter().map(|check| quote!(#validate::each(#check))).collect();
            }
            Kind::Keys(checks) => {
                let text: Type = syn::parse_quote!(String);
                let keys = tokens(checks, Some(&text), schema, errors);
                return keys.iter().map(|check| quote!(#validate::keys(#check))).collect();
            }
        };
        vec![one]
    }

    // At run time a question that makes no sense would pass in silence.
    fn judge(&self, spelling: Spelling, errors: &mut Errors) {
        use Spelling::{Bool, Collection, Format, Fraction, Integer, Text};
        let hint = match (&self.kind, spelling) {
            (Kind::Length(_), Bool | Integer | Fraction) => {
                "`length` counts characters or elements, and this field has neither; for numbers use `range`"
            }
            (Kind::Range(_), Text | Bool) => {
                "`range` judges numbers, and this field is none; for text and collections use `length`"
            }
            (Kind::Range(_), Format) => {
                "`range` judges numbers, and this field is spelled as text; use `satisfies(\"…\", function)`"
            }
            (Kind::Range(_) | Kind::Regex(..) | Kind::OneOf(_), Collection) => {
                "this judges one value, and this field is a collection; for its elements write `each(…)`"
            }
            (Kind::Regex(..), Bool | Integer | Fraction) => {
                "`regex` judges text, and this field is none; for numbers use `range`"
            }
            (Kind::Unique | Kind::Each(_) | Kind::Keys(_), Bool | Integer | Fraction | Text | Format) => {
                "this judges collections, and this field is none"
            }
            _ => return,
        };
        errors.at(&self.key, hint);
    }
}

fn range_tokens(range: &Expr, ty: Option<&Type>, spelling: Spelling, schema: &Path) -> TokenStream {
    let range_of = quote!(#schema::validate::range);
    match (spelling, range) {
        (Spelling::Integer, _) => {
            let int = ty.map(types::peeled);
            quote!(#range_of::<#int>(#range))
        }
        (Spelling::Fraction, Expr::Range(ExprRange { start, limits, end, .. })) => {
            let [start, end] =
                [start, end].map(|bound| bound.as_ref().map(|bound| number_tokens(bound, schema)));
            quote!(#range_of::<#schema::Number>(#start #limits #end))
        }
        _ => quote!(#range_of(#range)),
    }
}

fn one_of_tokens(values: &[Expr], ty: Option<&Type>, spelling: Spelling, schema: &Path) -> TokenStream {
    let one_of = quote!(#schema::validate::one_of);
    match spelling {
        Spelling::Integer => {
            let int = ty.map(types::peeled);
            quote!(#one_of::<#int>([#(#values),*]))
        }
        Spelling::Fraction => {
            let numbers = values.iter().map(|value| number_tokens(value, schema));
            quote!(#one_of::<#schema::Number>([#(#numbers),*]))
        }
        _ => quote!(#one_of([#(#values),*])),
    }
}

/// A number with all the digits that the literal has: `0.1` is no float here.
fn number_tokens(expr: &Expr, schema: &Path) -> TokenStream {
    let span = expr.span();
    match decimal_literal(expr) {
        Some(digits) => quote_spanned! {span=>
            // The digits were checked at compile time.
            #digits.parse::<#schema::Number>().unwrap_or_else(|_| #schema::Number::from(0))
        },
        None => quote_spanned! {span=> ::core::convert::Into::<#schema::Number>::into(#expr) },
    }
}

fn decimal_literal(expr: &Expr) -> Option<String> {
    match expr {
        Expr::Lit(ExprLit { lit: Lit::Float(float), .. }) => Some(float.base10_digits().to_owned()),
        Expr::Lit(ExprLit { lit: Lit::Int(int), .. }) => Some(int.base10_digits().to_owned()),
        Expr::Unary(ExprUnary { op: UnOp::Neg(_), expr, .. }) => {
            decimal_literal(expr).map(|digits| format!("-{digits}"))
        }
        _ => None,
    }
}
