//! A struct as the derive understands it.

use proc_macro2::{Ident, Span, TokenStream};
use quote::{format_ident, quote_spanned};
use syn::spanned::Spanned;
use syn::{Attribute, Fields, Path, Type, Visibility};

use crate::docs::Docs;
use crate::errors::Errors;
use crate::keys::{self, FieldName};
use crate::options::{Options, rust_deprecation};
use crate::rules::{self, StructRule};
use crate::{names, types};

const FIELD_HINT: &str =
    "write what it means for whoever writes HCL: unit, default, limits (`/// …` above the field)";
const STRUCT_HINT: &str = "write what it is for whoever writes HCL (`/// …` above it)";

/// A struct with named fields.
pub(crate) struct Struct {
    /// The crate of the traits: `::tfplugin_schema` or the framework's re-export.
    pub(crate) schema: Path,
    pub(crate) ident: Ident,
    pub(crate) vis: Visibility,
    pub(crate) docs: Docs,
    pub(crate) deprecated: Option<TokenStream>,
    pub(crate) fields: Vec<Field>,
    pub(crate) rules: Vec<StructRule>,
    /// Whether `T::field()` starts a path.
    pub(crate) path_functions: bool,
}

/// One field.
pub(crate) struct Field {
    pub(crate) ident: Ident,
    pub(crate) vis: Visibility,
    pub(crate) ty: Type,
    pub(crate) docs: Docs,
    /// Its name in HCL.
    pub(crate) name: String,
    pub(crate) options: Options,
}

/// What `#[schema(…)]` says.
#[derive(Default)]
pub(crate) struct SchemaOptions {
    pub(crate) no_paths: bool,
    pub(crate) deprecated: Option<TokenStream>,
    pub(crate) rules: Vec<StructRule>,
}

impl SchemaOptions {
    /// Reads it.
    pub(crate) fn of(attrs: &[Attribute], errors: &mut Errors) -> SchemaOptions {
        let mut options = SchemaOptions { deprecated: rust_deprecation(attrs), ..SchemaOptions::default() };
        for attr in attrs.iter().filter(|attr| attr.path().is_ident("schema")) {
            let Some(list) = errors.keep(attr.meta.require_list()) else { continue };
            keys::each_key(list.tokens.clone(), "schema option", SCHEMA_KEYS, errors, |key, input| {
                match key.to_string().as_str() {
                    "no_paths" => options.no_paths = true,
                    "deprecated" => {
                        let message: syn::Expr = keys::value(key, input)?;
                        options.deprecated = Some(quote::quote!(#message));
                    }
                    _ => options.rules.push(rules::parse(key, input)?),
                }
                Ok(())
            });
        }
        options
    }
}

const SCHEMA_KEYS: &[&str] = &[
    "no_paths",
    "deprecated",
    "exactly_one_of*",
    "at_least_one_of*",
    "required_together*",
    "conflicts*",
    "rule*",
];

impl Struct {
    /// Reads a struct. `None` if it is of a kind that cannot be a schema.
    pub(crate) fn of(
        schema: Path,
        (ident, vis): (&Ident, &Visibility),
        attrs: &[Attribute],
        fields: &Fields,
        errors: &mut Errors,
    ) -> Option<Struct> {
        let fields: Vec<Field> = match fields {
            Fields::Named(fields) => {
                fields.named.iter().filter_map(|field| Field::of(field, errors)).collect()
            }
            Fields::Unit => Vec::new(),
            Fields::Unnamed(_) => {
                let hint = "attributes have names: give each field one (`struct X { name: T }`); for a type \
                            that is spelled as a string, number or bool implement `Scalar`";
                errors.at(ident, hint);
                return None;
            }
        };
        let docs = Docs::required(attrs, ident, &format!("`{ident}`"), STRUCT_HINT, errors);
        let options = SchemaOptions::of(attrs, errors);
        let result = Struct {
            schema,
            ident: ident.clone(),
            vis: vis.clone(),
            docs,
            deprecated: options.deprecated,
            fields,
            rules: options.rules,
            path_functions: !options.no_paths,
        };
        result.check(errors);
        Some(result)
    }

    fn check(&self, errors: &mut Errors) {
        for (index, field) in self.fields.iter().enumerate() {
            let twin = self.fields[..index].iter().find(|other| !other.is_flat() && other.name == field.name);
            if let (false, Some(twin)) = (field.is_flat(), twin) {
                errors.at(&field.ident, format!("`{}` is called `{}` too", twin.ident, field.name));
            }
            if self.has_computed() && self.path_functions && field.ident == "complete" {
                let hint =
                    "`complete` completes a plan; leave the path functions out with `#[schema(no_paths)]`";
                errors.at(&field.ident, hint);
            }
        }
    }

    /// Whether part of the state is only known after apply, so that plan and state are two types.
    pub(crate) fn has_computed(&self) -> bool {
        self.fields.iter().any(Field::is_computed)
    }

    /// The name of a type that belongs to this one.
    pub(crate) fn companion(&self, suffix: &str) -> Ident {
        format_ident!("{}{suffix}", self.ident)
    }

    /// The field that is meant; an error if there is none.
    pub(crate) fn find(&self, name: &FieldName, errors: &mut Errors) -> Option<&Field> {
        let found = self.fields.iter().find(|field| names::plain(&field.ident) == names::plain(&name.first));
        if found.is_none() {
            let known: Vec<String> = self.fields.iter().map(|field| names::plain(&field.ident)).collect();
            let known: Vec<&str> = known.iter().map(String::as_str).collect();
            let wanted = names::plain(&name.first);
            let hint = crate::errors::suggest(&wanted, &known);
            errors.at(&name.first, format!("`{}` has no field `{wanted}`{hint}", self.ident));
        }
        found
    }
}

impl Field {
    fn of(field: &syn::Field, errors: &mut Errors) -> Option<Field> {
        let ident = field.ident.clone()?;
        let options = Options::of(&field.attrs, errors);
        let docs = if options.flatten.is_some() {
            Docs::of(&field.attrs)
        } else {
            Docs::required(&field.attrs, &ident, &format!("`{ident}`"), FIELD_HINT, errors)
        };
        let rust_name = names::plain(&ident);
        let name = if options.flatten.is_some() {
            rust_name
        } else {
            names::attribute_name(options.name.as_ref(), &field.attrs, rust_name, &ident, errors)
        };
        let field = Field { ident, vis: field.vis.clone(), ty: field.ty.clone(), docs, name, options };
        field.check(errors);
        Some(field)
    }

    // What the keys demand of the type and of each other.
    fn check(&self, errors: &mut Errors) {
        let Field { options, ty, .. } = self;
        if options.flatten.is_some() {
            let why = "a flattened field is no attribute; say it inside of its type";
            options.allow_only(&["flatten", "computed_inside"], why, errors);
        }
        if options.block.is_some() {
            let allowed = ["block", "name", "computed_inside", "conflicts_with", "requires", "required_when"];
            options.allow_only(&allowed, "nested blocks know nothing of it; use a nested attribute", errors);
        }
        if types::is_secret(ty) {
            let allowed = ["name", "replace", "sensitive", "deprecated", "validate"];
            let why = "a secret is three attributes of which one is write-only";
            options.allow_only(&allowed, why, errors);
        }
        if let Some(span) = options.deletion_protection
            && types::last_name(types::peeled(ty)).as_deref() != Some("bool")
        {
            let hint = "`deletion_protection` needs a `bool`: true protects";
            errors.push(syn::Error::new(span, hint));
        }
        if let Some(default) = &options.default {
            if types::is_computed(ty) {
                let hint = "a computed value has no default: the provider fills it in. For an attribute that is \
                            optional and has a default, leave `Computed` away";
                errors.at(default, hint);
            } else if let Some(inner) = types::inside(ty, "Option") {
                let inner = quote::quote!(#inner).to_string();
                let hint = format!("with a default it is never null: make the field a `{inner}`");
                errors.at(default, hint);
            }
        }
        let may_be_null = types::inside(ty, "Option").is_some();
        if let (Some(span), false) = (options.optional, may_be_null || types::is_computed(ty)) {
            let hint =
                "a value that is left out is null: make the field an `Option<…>`, or give it a `default`";
            errors.push(syn::Error::new(span, hint));
        }
        if let Some(span) = options.write_only {
            if types::is_computed(ty) {
                let hint = "a computed value cannot be write-only: it would be kept nowhere";
                errors.push(syn::Error::new(span, hint));
            } else if !may_be_null {
                let hint = "a write-only value is null in plan and state: make the field an `Option<…>`";
                errors.push(syn::Error::new(span, hint));
            }
        }
        if let (Some(_), false) = (&options.changes_with, self.is_computed()) {
            errors.at(&self.ident, "`changes_with` is for computed values: make the field a `Computed<…>`");
        }
        if let (Some(span), true) = (options.computed_inside, types::is_computed(ty)) {
            errors.push(syn::Error::new(
                span,
                "the field is computed as a whole: `computed_inside` adds nothing",
            ));
        }
    }

    /// Whether the attributes of its type become attributes of the struct.
    pub(crate) fn is_flat(&self) -> bool {
        self.options.flatten.is_some()
    }

    /// Whether its state is only known after apply.
    pub(crate) fn is_computed(&self) -> bool {
        types::is_computed(&self.ty) || self.options.computed_inside.is_some()
    }

    /// The trait that reads and writes it.
    pub(crate) fn access(&self, schema: &Path) -> TokenStream {
        let (ty, span) = (&self.ty, self.span());
        let schema = types::at(schema, span);
        if self.is_flat() {
            quote_spanned!(span=> <#ty as #schema::Schema>)
        } else {
            quote_spanned!(span=> <#ty as #schema::Member>)
        }
    }

    /// Where its type stands.
    pub(crate) fn span(&self) -> Span {
        // Resolved like the macro's own code, reported at the type.
        Span::call_site().located_at(self.ty.span())
    }
}
