//! What the derive writes for a struct: its views, its schema, and how values become structs and back.

use proc_macro2::{Ident, TokenStream};
use quote::{quote, quote_spanned};
use syn::Path;

use crate::errors::Errors;
use crate::model::{Field, Struct};
use crate::{paths, types};

/// What generated code is allowed: names and shapes are the user's, not ours.
pub(crate) fn allowances() -> TokenStream {
    quote!(#[allow(deprecated, dead_code, private_interfaces, clippy::all, clippy::pedantic, clippy::restriction)])
}

impl Struct {
    /// All that the derive writes.
    pub(crate) fn expand(&self, errors: &mut Errors) -> TokenStream {
        let view = self.view();
        let state = if self.has_computed() { self.state_and_complete() } else { self.plain() };
        let paths = paths::of_struct(self);
        let schema = self.schema_impl(errors);
        let field = field_impl(&self.schema, &self.ident, &self.companion("View"), &self.state_ident());
        quote!(#view #state #paths #schema #field)
    }

    /// The type of its state.
    fn state_ident(&self) -> Ident {
        if self.has_computed() { self.companion("State") } else { self.ident.clone() }
    }

    fn view(&self) -> TokenStream {
        let doc = format!("[`{}`] while anything may be null or unknown.", self.ident);
        self.companion_struct("View", &doc, "View", self.fields.iter())
    }

    fn companion_struct<'a>(
        &self,
        suffix: &str,
        doc: &str,
        associated: &str,
        fields: impl Iterator<Item = &'a Field>,
    ) -> TokenStream {
        let (vis, ident) = (&self.vis, self.companion(suffix));
        let allow = allowances();
        let fields = fields.map(|field| {
            let Field { ident, vis, .. } = field;
            let (docs, access) = (self.field_docs(field), field.access(&self.schema));
            let associated = Ident::new(associated, field.span());
            quote_spanned!(field.span()=> #docs #vis #ident: #access::#associated)
        });
        quote! {
            #[doc = #doc]
            #allow
            #[derive(::core::clone::Clone)]
            #vis struct #ident {
                #(#fields,)*
            }
        }
    }

    fn field_docs(&self, field: &Field) -> TokenStream {
        if field.is_flat() {
            let doc = format!("The attributes of `{}`.", field.ident);
            return quote!(#[doc = #doc]);
        }
        field.docs.attributes()
    }

    fn state_and_complete(&self) -> TokenStream {
        let Struct { schema, ident, vis, .. } = self;
        let doc = format!("[`{ident}`] when all is known: what create, update and read return.");
        let state = self.companion_struct("State", &doc, "State", self.fields.iter());
        let doc = format!("What only the provider knows of a [`{ident}`]: see [`{ident}::complete`].");
        let computed_fields = self.fields.iter().filter(|field| field.is_computed());
        let computed = self.companion_struct("Computed", &doc, "State", computed_fields);
        let (state_ident, computed_ident, allow) =
            (self.companion("State"), self.companion("Computed"), allowances());
        let fields = self.fields.iter().map(|field| {
            let name = &field.ident;
            if field.is_computed() {
                quote!(#name: computed.#name)
            } else {
                let plain = plain_value(schema, field, &quote!(this.#name), "");
                quote!(#name: #plain)
            }
        });
        quote! {
            #state
            #computed
            #allow
            impl #ident {
                /// The state of this plan, given what was not known before. Leaving a value out does not compile.
                #vis fn complete(&self, computed: #computed_ident) -> #state_ident {
                    // A plan and a stored state only lend the struct.
                    let this = ::core::clone::Clone::clone(self);
                    #state_ident { #(#fields,)* }
                }
            }
        }
    }

    fn plain(&self) -> TokenStream {
        let Struct { schema, ident, .. } = self;
        quote! {
            #[automatically_derived]
            impl #schema::Plain for #ident {}
            #[automatically_derived]
            impl #schema::PlainSchema for #ident {}
        }
    }

    fn schema_impl(&self, errors: &mut Errors) -> TokenStream {
        let Struct { schema, ident, .. } = self;
        let (view, state, path) = (self.companion("View"), self.state_ident(), self.companion("Path"));
        let allow = allowances();
        let docs = self.docs.tokens();
        let deprecation = self.deprecated.as_ref().map(|message| quote!(.deprecate(#message)));
        let declarations: Vec<TokenStream> =
            self.fields.iter().map(|field| self.declaration(field, errors)).collect();
        let rules = self.rule_tokens(errors);
        let read = |method: &str, flat: &str| -> Vec<TokenStream> {
            self.fields.iter().map(|field| read_field(schema, field, method, flat)).collect()
        };
        let views = read("view_member", "view_members");
        let reads = read("read_member", "read_members");
        let writes = self.fields.iter().map(|field| self.write_field(field));
        let names = self.fields.iter().map(|field| &field.ident);
        quote! {
            #[automatically_derived]
            #allow
            impl #schema::Schema for #ident {
                type View = #view;
                type State = #state;
                type Path = #path;

                fn object() -> #schema::ObjectSchema {
                    #[allow(unused_mut)]
                    let mut object = #schema::ObjectSchema::new(#docs) #deprecation;
                    #(#declarations)*
                    #(object.rules.push(#rules);)*
                    object
                }

                fn view_members(members: &#schema::Members) -> ::core::result::Result<#view, #schema::ValueError> {
                    let _ = members;
                    ::core::result::Result::Ok(#view { #(#views,)* })
                }

                fn read_members(members: &#schema::Members) -> ::core::result::Result<Self, #schema::ValueError> {
                    let _ = members;
                    let read = #ident { #(#reads,)* };
                    // A value that only Terraform reads is read all the same: no warning about a dead field.
                    #(let _ = &read.#names;)*
                    ::core::result::Result::Ok(read)
                }

                fn write_members(state: &#state, members: &mut #schema::Members) {
                    let _ = (state, &members);
                    #(#writes)*
                }
            }
        }
    }

    fn write_field(&self, field: &Field) -> TokenStream {
        let (schema, ident, name) = (&self.schema, &field.ident, &field.name);
        let access = field.access(schema);
        // Where plan and state are the same struct, its fields must be too.
        let state = if self.has_computed() {
            quote!(&state.#ident)
        } else {
            plain_value(schema, field, &quote!(&state.#ident), "_ref")
        };
        if field.is_flat() {
            quote_spanned!(field.span()=> #access::write_members(#state, members);)
        } else {
            quote_spanned!(field.span()=> #access::write_member(#state, #name, members);)
        }
    }
}

fn read_field(schema: &Path, field: &Field, method: &str, flat: &str) -> TokenStream {
    let (method, flat) = (Ident::new(method, field.span()), Ident::new(flat, field.span()));
    let (ident, name) = (&field.ident, &field.name);
    let access = field.access(schema);
    if field.is_flat() {
        quote_spanned!(field.span()=> #ident: #access::#flat(members)?)
    } else {
        quote_spanned!(field.span()=> #ident: #access::#method(members, #name)?)
    }
}

/// The value of a field whose state is its plan. Where it is not, the error stands at the field's type.
fn plain_value(schema: &Path, field: &Field, value: &TokenStream, function: &str) -> TokenStream {
    let function =
        if field.is_flat() { format!("plain_schema{function}") } else { format!("plain{function}") };
    let (ty, function) = (&field.ty, Ident::new(&function, field.span()));
    let schema = types::at(schema, field.span());
    let plain = quote_spanned!(field.span()=> #schema::derived::#function::<#ty>);
    quote_spanned!(field.span()=> #plain(#value))
}

/// `impl Field` for what is a nested attribute.
pub(crate) fn field_impl(schema: &Path, ident: &Ident, view: &Ident, state: &Ident) -> TokenStream {
    let path = quote::format_ident!("{ident}Path");
    let result = quote!(::core::result::Result);
    quote! {
        #[automatically_derived]
        impl #schema::Field for #ident {
            type View = #schema::Maybe<#view>;
            type State = #state;
            type Path = #path;

            fn shape() -> #schema::Shape {
                #schema::Shape::nested(#schema::Nesting::Single, <#ident as #schema::Schema>::object())
            }

            fn view(value: &#schema::Value) -> #result<#schema::Maybe<#view>, #schema::ValueError> {
                if value.is_null() {
                    return #result::Ok(#schema::Maybe::Null);
                }
                if value.is_unknown() {
                    return #result::Ok(#schema::Maybe::Unknown);
                }
                let members = #schema::field::members_of(value)?;
                <#ident as #schema::Schema>::view_members(members).map(#schema::Maybe::Known)
            }

            fn read(value: &#schema::Value) -> #result<Self, #schema::ValueError> {
                <#ident as #schema::Schema>::read_members(#schema::field::members_of(value)?)
            }

            fn write(state: &#state) -> #schema::Value {
                let mut members = #schema::Members::new();
                <#ident as #schema::Schema>::write_members(state, &mut members);
                #schema::Value::Map(members)
            }
        }
    }
}
