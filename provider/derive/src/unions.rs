//! Enums with data: an object in HCL of which exactly one attribute is set, as serde writes them
//! (`{ s3 = { … } }`). Variants without data are empty objects (`{ none = {} }`).

use proc_macro2::{Ident, TokenStream};
use quote::{format_ident, quote, quote_spanned};
use syn::punctuated::Punctuated;
use syn::spanned::Spanned;
use syn::{DeriveInput, Fields, Path, Token, Type, Variant, parse_quote};

use crate::choices::VARIANT_HINT;
use crate::docs::Docs;
use crate::errors::Errors;
use crate::model::{SchemaOptions, Struct};
use crate::options::Options;
use crate::paths::{self, Way};
use crate::structs::{allowances, field_impl};
use crate::{attribute, names};

/// What `#[attribute(…)]` can say about a variant.
const VARIANT_KEYS: &[&str] = &["name", "replace", "sensitive", "fixed", "deprecated", "validate", "modify"];

struct Payload {
    ident: Ident,
    docs: Docs,
    options: Options,
    name: String,
    kind: Kind,
}

enum Kind {
    Unit,
    /// `Variant(T)`
    Newtype(Box<Type>),
    /// `Variant { … }`: a struct of its own, called `EnumVariant`.
    Struct(Box<Struct>),
}

/// All that the derive writes for an enum with data.
pub(crate) fn expand(
    input: &DeriveInput,
    variants: &Punctuated<Variant, Token![,]>,
    schema: &Path,
    errors: &mut Errors,
) -> TokenStream {
    let what = format!("`{}`", input.ident);
    let docs = Docs::required(&input.attrs, &input.ident, &what, "write what the choice is about", errors);
    let options = SchemaOptions::of(&input.attrs, errors);
    let rename_all = names::serde_rename_all(&input.attrs);
    let payloads: Vec<Payload> = variants
        .iter()
        .filter_map(|variant| payload(input, variant, rename_all.as_deref(), schema, errors))
        .collect();
    let structs: Vec<TokenStream> = payloads.iter().map(|payload| payload.inner_struct(errors)).collect();
    let deprecation = options.deprecated.map(|message| quote!(.deprecate(#message)));
    let union = Union { schema, input, payloads: &payloads };
    let view = union.view();
    let schema_impl = union.schema_impl(&docs, deprecation.as_ref(), errors);
    let (view_ident, ident) = (format_ident!("{}View", input.ident), &input.ident);
    let field = field_impl(schema, ident, &view_ident, ident);
    let ways: Vec<Way> = payloads.iter().map(|payload| payload.way(schema)).collect();
    let path = paths::path_type(schema, &input.vis, ident, &ways);
    quote! {
        #(#structs)*
        #view
        #schema_impl
        #field
        #path
        #[automatically_derived]
        impl #schema::Plain for #ident {}
        #[automatically_derived]
        impl #schema::PlainSchema for #ident {}
    }
}

fn payload(
    input: &DeriveInput,
    variant: &Variant,
    rename_all: Option<&str>,
    schema: &Path,
    errors: &mut Errors,
) -> Option<Payload> {
    let ident = &variant.ident;
    let docs = match variant.fields {
        // Asked for by its struct.
        Fields::Named(_) => Docs::of(&variant.attrs),
        _ => Docs::required(&variant.attrs, ident, &format!("`{ident}`"), VARIANT_HINT, errors),
    };
    let options = Options::of(&variant.attrs, errors);
    options.allow_only(VARIANT_KEYS, "a variant is an optional attribute without default", errors);
    let rust_name = names::variant(ident, rename_all);
    let name = names::attribute_name(options.name.as_ref(), &variant.attrs, rust_name, ident, errors);
    if ident == "Undecided" {
        errors.at(ident, "the view of the enum has a variant `Undecided` of its own: choose another name");
    }
    let kind = match &variant.fields {
        Fields::Unit => Kind::Unit,
        Fields::Unnamed(fields) if fields.unnamed.len() == 1 => {
            fields.unnamed.first().map(|field| Kind::Newtype(Box::new(field.ty.clone())))?
        }
        Fields::Unnamed(fields) => {
            errors
                .at(fields, "attributes have names: write one type `A(T)` or fields with names `A { b: T }`");
            return None;
        }
        Fields::Named(_) => {
            let inner = format_ident!("{}{ident}", input.ident);
            let named = (&inner, &input.vis);
            let mut inner = Struct::of(schema.clone(), named, &variant.attrs, &variant.fields, errors)?;
            // What is said of the variant is said of the attribute.
            inner.deprecated = None;
            inner.path_functions = false;
            // Fields of variants are as public as the enum.
            inner.fields.iter_mut().for_each(|field| field.vis = input.vis.clone());
            if let Some(field) = inner.fields.iter().find(|field| field.is_computed()) {
                let hint = "nothing in an enum can be computed: whether it is there at all depends on the \
                            variant. Move it out of the enum";
                errors.at(&field.ty, hint);
            }
            Kind::Struct(Box::new(inner))
        }
    };
    Some(Payload { ident: ident.clone(), docs, options, name, kind })
}

impl Payload {
    fn inner_struct(&self, errors: &mut Errors) -> TokenStream {
        let Kind::Struct(inner) = &self.kind else { return TokenStream::new() };
        let (ident, vis, allow) = (&inner.ident, &inner.vis, allowances());
        let docs = self.docs.attributes();
        let fields = inner.fields.iter().map(|field| {
            let (docs, ident, ty) = (field.docs.attributes(), &field.ident, &field.ty);
            quote!(#docs #vis #ident: #ty)
        });
        let expanded = inner.expand(errors);
        quote! {
            #docs
            #allow
            #[derive(::core::clone::Clone)]
            #vis struct #ident {
                #(#fields,)*
            }
            #expanded
        }
    }

    // The type of the attribute; none for variants without data.
    fn ty(&self) -> Option<Type> {
        match &self.kind {
            Kind::Unit => None,
            Kind::Newtype(ty) => Some((**ty).clone()),
            Kind::Struct(inner) => {
                let ident = &inner.ident;
                Some(parse_quote!(#ident))
            }
        }
    }

    fn span(&self) -> proc_macro2::Span {
        let span = match &self.kind {
            Kind::Newtype(ty) => ty.span(),
            Kind::Unit | Kind::Struct(_) => self.ident.span(),
        };
        proc_macro2::Span::call_site().located_at(span)
    }

    fn field(&self, schema: &Path) -> Option<TokenStream> {
        self.ty().map(|ty| quote_spanned!(self.span()=> <#ty as #schema::Field>))
    }

    fn way(&self, schema: &Path) -> Way {
        let method = names::snake_case(&names::plain(&self.ident));
        let method = syn::parse_str(&method).unwrap_or_else(|_| format_ident!("r#{method}"));
        let ty = match self.field(schema) {
            Some(field) => quote!(#field::Path),
            None => quote!(#schema::Path),
        };
        Way::new(method, ty, Some(self.name.clone()), self.span())
    }
}

struct Union<'a> {
    schema: &'a Path,
    input: &'a DeriveInput,
    payloads: &'a [Payload],
}

impl Union<'_> {
    fn view(&self) -> TokenStream {
        let (ident, vis, allow) = (format_ident!("{}View", self.input.ident), &self.input.vis, allowances());
        let doc = format!("[`{}`] while anything may be null or unknown.", self.input.ident);
        let variants = self.payloads.iter().map(|payload| {
            let (docs, ident) = (payload.docs.attributes(), &payload.ident);
            match payload.field(self.schema) {
                Some(field) => quote_spanned!(payload.span()=> #docs #ident(#field::View)),
                None => quote!(#docs #ident),
            }
        });
        quote! {
            #[doc = #doc]
            #allow
            #[derive(::core::clone::Clone)]
            #vis enum #ident {
                #(#variants,)*
                /// Which one is not known yet, or not exactly one is set (which is refused elsewhere).
                Undecided,
            }
        }
    }

    fn schema_impl(
        &self,
        docs: &Docs,
        deprecation: Option<&TokenStream>,
        errors: &mut Errors,
    ) -> TokenStream {
        let (schema, ident, allow) = (self.schema, &self.input.ident, allowances());
        let (view, path) = (format_ident!("{ident}View"), format_ident!("{ident}Path"));
        let docs = docs.tokens();
        let names: Vec<&str> = self.payloads.iter().map(|payload| payload.name.as_str()).collect();
        let declarations: Vec<TokenStream> =
            self.payloads.iter().map(|payload| self.declaration(payload, errors)).collect();
        let views = self.payloads.iter().map(|payload| self.read(payload, &view, "view"));
        let reads = self.payloads.iter().map(|payload| self.read(payload, ident, "read"));
        let writes = self.payloads.iter().map(|payload| self.write(payload));
        let result = quote!(::core::result::Result);
        quote! {
            #[automatically_derived]
            #allow
            impl #schema::Schema for #ident {
                type View = #view;
                type State = #ident;
                type Path = #path;

                fn object() -> #schema::ObjectSchema {
                    let mut object = #schema::ObjectSchema::new(#docs) #deprecation;
                    #(object.attributes.extend(#declarations);)*
                    let names = ::std::vec![#(::std::string::String::from(#names)),*];
                    object.rules.push(#schema::validate::Rule::ExactlyOneOf(names));
                    object
                }

                fn view_members(members: &#schema::Members) -> #result<#view, #schema::ValueError> {
                    match #schema::derived::set_variant(members, &[#(#names),*]) {
                        #(#schema::derived::Variant::One(#names, value) => #views,)*
                        _ => #result::Ok(#view::Undecided),
                    }
                }

                fn read_members(members: &#schema::Members) -> #result<Self, #schema::ValueError> {
                    match #schema::derived::set_variant(members, &[#(#names),*]) {
                        #(#schema::derived::Variant::One(#names, value) => #reads,)*
                        other => #result::Err(other.error()),
                    }
                }

                fn write_members(state: &#ident, members: &mut #schema::Members) {
                    for name in [#(#names),*] {
                        members.insert(::std::string::String::from(name), #schema::Value::Null);
                    }
                    let (name, value) = match state {
                        #(#writes,)*
                    };
                    members.insert(::std::string::String::from(name), value);
                }
            }
        }
    }

    fn declaration(&self, payload: &Payload, errors: &mut Errors) -> TokenStream {
        let schema = self.schema;
        let Payload { name, docs, options, .. } = payload;
        let ty = payload.ty().unwrap_or_else(|| parse_quote!(()));
        let attribute = attribute::declaration(name, docs, options, &ty, schema, errors);
        match payload.field(schema) {
            Some(_) => quote_spanned!(payload.span()=>
                <#ty as #schema::Member>::declare(#attribute.optional())),
            None => {
                let empty = quote!(#schema::Shape::nested(
                    #schema::Nesting::Single,
                    #schema::ObjectSchema::default()
                ));
                quote!([#attribute.optional().shaped(#empty)])
            }
        }
    }

    // From `value` to the variant, of the enum or of its view.
    fn read(&self, payload: &Payload, target: &Ident, method: &str) -> TokenStream {
        let Payload { ident, name, .. } = payload;
        let Some(field) = payload.field(self.schema) else {
            return quote!({ let _ = value; ::core::result::Result::Ok(#target::#ident) });
        };
        let span = payload.span();
        let is_view = method == "view";
        let method = Ident::new(method, span);
        let read = quote_spanned!(span=> #field::#method(value).map_err(|error| error.in_attribute(#name)));
        match &payload.kind {
            Kind::Struct(inner) if !is_view => {
                let fields: Vec<&Ident> = inner.fields.iter().map(|field| &field.ident).collect();
                quote!(#read.map(|payload| #target::#ident { #(#fields: payload.#fields),* }))
            }
            _ => quote!(#read.map(#target::#ident)),
        }
    }

    // `Enum::Variant(payload) => ("name", value)`
    fn write(&self, payload: &Payload) -> TokenStream {
        let schema = self.schema;
        let Payload { ident, name, kind, .. } = payload;
        let span = payload.span();
        match kind {
            Kind::Unit => quote! {
                Self::#ident => (#name, #schema::Value::Map(#schema::Members::new()))
            },
            Kind::Newtype(ty) => {
                // Only what is plain: an error stands at the type.
                let plain = quote_spanned!(span=> #schema::derived::payload_ref::<#ty>);
                let write = quote_spanned!(span=> <#ty as #schema::Field>::write);
                quote!(Self::#ident(payload) => (#name, #write(#plain(payload))))
            }
            Kind::Struct(inner) => {
                let (fields, inner): (Vec<&Ident>, &Ident) =
                    (inner.fields.iter().map(|field| &field.ident).collect(), &inner.ident);
                let own = quote!(#inner { #(#fields: ::core::clone::Clone::clone(#fields)),* });
                quote! {
                    Self::#ident { #(#fields),* } => (#name, <#inner as #schema::Field>::write(&#own))
                }
            }
        }
    }
}
