//! What must hold between attributes: `#[schema(exactly_one_of(a, b))]` at the struct, `conflicts_with = [a]`
//! at a field. Fields are named as in Rust; a misspelt one is an error.

use proc_macro2::{Ident, TokenStream};
use quote::{format_ident, quote};
use syn::parse::ParseStream;
use syn::{Expr, Lit};

use crate::errors::Errors;
use crate::keys::{self, FieldName};
use crate::model::{Field, Struct};
use crate::options::ChangesWith;
use crate::{names, types};

/// One key of `#[schema(…)]` that is a rule.
pub(crate) enum StructRule {
    /// A rule of that name between these.
    Between(Ident, Vec<FieldName>),
    /// `rule = EXPR`.
    Written(Expr),
}

/// Reads one.
pub(crate) fn parse(key: &Ident, input: ParseStream<'_>) -> syn::Result<StructRule> {
    if key == "rule" {
        return keys::value(key, input).map(StructRule::Written);
    }
    let fields: Vec<FieldName> = keys::comma_separated(keys::list(key, input)?)?;
    if fields.len() < 2 {
        return Err(syn::Error::new(key.span(), format!("`{key}` holds between two attributes at least")));
    }
    Ok(StructRule::Between(key.clone(), fields))
}

impl Struct {
    /// All rules, as expressions of type `Rule`.
    pub(crate) fn rule_tokens(&self, errors: &mut Errors) -> Vec<TokenStream> {
        let rule = {
            let schema = &self.schema;
            quote!(#schema::validate::Rule)
        };
        let mut rules = Vec::new();
        for struct_rule in &self.rules {
            match struct_rule {
                StructRule::Written(expr) => rules.push(quote!(#expr)),
                StructRule::Between(key, fields) => {
                    let variant = match key.to_string().as_str() {
                        "exactly_one_of" => quote!(ExactlyOneOf),
                        "at_least_one_of" => quote!(AtLeastOneOf),
                        "required_together" => quote!(RequiredTogether),
                        _ => quote!(Conflicts),
                    };
                    let names = self.rule_names(fields, errors);
                    rules.push(quote!(#rule::#variant(::std::vec![#(#names),*])));
                }
            }
        }
        for field in &self.fields {
            let own = &field.name;
            let own = quote!(::std::string::String::from(#own));
            for name in self.rule_names(&field.options.conflicts_with, errors) {
                rules.push(quote!(#rule::Conflicts(::std::vec![#own, #name])));
            }
            if !field.options.requires.is_empty() {
                let names = self.rule_names(&field.options.requires, errors);
                rules.push(quote!(#rule::Requires(#own, ::std::vec![#(#names),*])));
            }
            for condition in &field.options.required_when {
                let Some(other) = self.rule_name(&condition.other, errors) else { continue };
                let values = self.values(&condition.other, &condition.values, errors);
                rules.push(quote!(#rule::RequiredWhen(#own, #other, ::std::vec![#(#values),*])));
            }
        }
        rules
    }

    fn rule_names(&self, fields: &[FieldName], errors: &mut Errors) -> Vec<TokenStream> {
        fields.iter().filter_map(|name| self.rule_name(name, errors)).collect()
    }

    // The name in HCL, as an expression of type String.
    fn rule_name(&self, name: &FieldName, errors: &mut Errors) -> Option<TokenStream> {
        let field = self.find(name, errors)?;
        if types::is_secret(&field.ty) {
            let ident = names::plain(&field.ident);
            let hint = format!(
                "`{ident}` is a secret, which is the attributes `{0}_wo`, `{0}_wo_version` and `{0}_ref`: say which \
                 with `#[schema(rule = Rule::…)]` at the struct",
                field.name
            );
            errors.at(&name.first, hint);
            return None;
        }
        if field.is_flat() {
            if name.rest.is_empty() {
                let hint = format!("`{0}` is flattened: name the attribute in it, `{0}.…`", name.first);
                errors.at(&name.first, hint);
                return None;
            }
            return Some(self.flat_name(field, &name.rest));
        }
        if let Some(inner) = name.rest.first() {
            let hint = format!("only siblings can be named: `{}` as a whole", name.first);
            errors.at(inner, hint);
            return None;
        }
        let hcl = &field.name;
        Some(quote!(::std::string::String::from(#hcl)))
    }

    // `spec.bit_rate`: the typed path knows whether it is there, and how it is called in HCL.
    fn flat_name(&self, field: &Field, rest: &[Ident]) -> TokenStream {
        let (schema, access) = (&self.schema, field.access(&self.schema));
        quote! {{
            let path = #access::Path::from(#schema::Path::root())#(.#rest())*;
            ::core::convert::Into::<#schema::Path>::into(path).to_string()
        }}
    }

    /// What makes a computed attribute unknown, as an expression of type `ChangesWith`.
    pub(crate) fn changes_with_tokens(&self, changes: &ChangesWith, errors: &mut Errors) -> TokenStream {
        let changes_with = {
            let schema = &self.schema;
            quote!(#schema::ChangesWith)
        };
        let ChangesWith::These(fields) = changes else { return quote!(#changes_with::Anything) };
        let mut names = Vec::new();
        for name in fields {
            let Some(field) = self.find(name, errors) else { continue };
            if types::is_secret(&field.ty) {
                // The write-only value itself is null in every plan; its version stands for it.
                for suffix in ["_wo_version", "_ref"] {
                    let hcl = format!("{}{suffix}", field.name);
                    names.push(quote!(names.push(::std::string::String::from(#hcl));));
                }
            } else if field.is_flat() && name.rest.is_empty() {
                let access = field.access(&self.schema);
                names.push(quote! {
                    let object = #access::object();
                    names.extend(object.attributes.into_iter().map(|attribute| attribute.name));
                    names.extend(object.blocks.into_iter().map(|block| block.name));
                });
            } else if let Some(hcl) = self.rule_name(name, errors) {
                names.push(quote!(names.push(#hcl);));
            }
        }
        quote! {{
            let mut names = ::std::vec::Vec::<::std::string::String>::new();
            #(#names)*
            #changes_with::These(names)
        }}
    }

    // Values of another attribute: literals as they stand, all else as a value of the field's type.
    fn values(&self, other: &FieldName, values: &[Expr], errors: &mut Errors) -> Vec<TokenStream> {
        let schema = &self.schema;
        let Some(field) = self.find(other, errors) else { return Vec::new() };
        let literal = |value: &Expr| match value {
            Expr::Lit(lit) => !matches!(lit.lit, Lit::Float(_)),
            _ => false,
        };
        let value = |value: &Expr| {
            if literal(value) || !other.rest.is_empty() {
                return quote!(#schema::Value::from(#value));
            }
            let ty = types::peeled(&field.ty);
            let variable = format_ident!("value");
            quote!({ let #variable: #ty = #value; <#ty as #schema::Field>::write(&#variable) })
        };
        values.iter().map(value).collect()
    }
}
