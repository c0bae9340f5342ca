//! How a broken promise of the provider is reported: at the attribute, with both values, and whose fault it is.

use std::fmt::Write;

use tfplugin_schema::{
    AttributeKind, BlockNesting, Diagnostics, NestedBlock, Nesting, ObjectSchema, Type, Value,
};

use super::at::At;

/// Values are cut off after about so many bytes.
const MAX_SHOWN: usize = 200;

/// Who answers for what a provider plans and returns.
#[derive(Clone, Copy, Debug)]
pub struct Blame<'a> {
    /// The provider's name or address.
    pub provider: &'a str,
    /// Where to report bugs: a URL, or empty.
    pub issues: &'a str,
}

impl Blame<'_> {
    /// The end of every message: not the reader's fault, and where to go.
    fn sentence(&self) -> String {
        let provider = self.provider;
        if self.issues.is_empty() {
            format!(
                "This is a bug in the provider {provider}, not in the configuration. Please report it to the \
                 provider's developers."
            )
        } else {
            format!(
                "This is a bug in the provider {provider}, not in the configuration. Please report it at {}.",
                self.issues
            )
        }
    }
}

/// Collects findings against the provider.
pub(super) struct Report<'b> {
    blame: &'b Blame<'b>,
    what: &'static str,
    pub(super) found: Diagnostics,
}

/// More findings than anybody reads are not worth their time: diagnostics are searched for duplicates.
const MAX_FOUND: usize = 50;

impl<'b> Report<'b> {
    /// `what` begins the summary: `Invalid plan`.
    pub(super) fn new(what: &'static str, blame: &'b Blame<'b>) -> Report<'b> {
        Report { blame, what, found: Diagnostics::new() }
    }

    /// Adds a finding: the sentence says what is wrong.
    pub(super) fn add(&mut self, at: &At<'_>, sentence: &str) {
        if self.found.len() < MAX_FOUND {
            let summary = format!("{} for {}", self.what, at.name());
            self.found.error_at(at.path(), summary, format!("{sentence} {}", self.blame.sentence()));
        }
    }
}

/// What is known of the inside of a value, for its paths and for what must not be shown.
#[derive(Clone, Copy)]
pub(super) enum Kind<'a> {
    /// Attributes of an object.
    Object(&'a ObjectSchema),
    /// Such objects, in a collection.
    Objects(&'a ObjectSchema),
    /// A value of a type.
    Plain(&'a Type),
}

impl<'a> Kind<'a> {
    pub(super) fn of(kind: &'a AttributeKind) -> Kind<'a> {
        match kind {
            AttributeKind::Plain(ty) => Kind::Plain(ty),
            AttributeKind::Nested(Nesting::Single, object) => Kind::Object(object),
            AttributeKind::Nested(_, object) => Kind::Objects(object),
        }
    }

    pub(super) fn of_block(block: &'a NestedBlock) -> Kind<'a> {
        match block.nesting {
            BlockNesting::Single | BlockNesting::Group => Kind::Object(&block.object),
            BlockNesting::List | BlockNesting::Set | BlockNesting::Map => Kind::Objects(&block.object),
        }
    }

    /// The kind of an element or member, and whether its name is that of an attribute (else a key).
    pub(super) fn child(self, name: &str, index: usize) -> Child<'a> {
        match self {
            Kind::Object(schema) => {
                let attribute = schema.find(name);
                let block = || schema.blocks.iter().find(|block| block.name == name);
                let kind = match attribute {
                    Some(attribute) => Kind::of(&attribute.kind),
                    None => block().map_or(Kind::Plain(&Type::Dynamic), Kind::of_block),
                };
                let sensitive =
                    attribute.is_some_and(|attribute| attribute.sensitive || attribute.write_only);
                Child { kind, sensitive, is_attribute: true }
            }
            Kind::Objects(schema) => {
                Child { kind: Kind::Object(schema), sensitive: false, is_attribute: false }
            }
            Kind::Plain(Type::Object(object)) => {
                let ty = object.attributes.get(name).unwrap_or(&Type::Dynamic);
                Child { kind: Kind::Plain(ty), sensitive: false, is_attribute: true }
            }
            Kind::Plain(Type::List(ty) | Type::Set(ty) | Type::Map(ty)) => {
                Child { kind: Kind::Plain(ty), sensitive: false, is_attribute: false }
            }
            Kind::Plain(Type::Tuple(types)) => {
                let ty = types.get(index).unwrap_or(&Type::Dynamic);
                Child { kind: Kind::Plain(ty), sensitive: false, is_attribute: false }
            }
            Kind::Plain(_) => {
                Child { kind: Kind::Plain(&Type::Dynamic), sensitive: false, is_attribute: false }
            }
        }
    }
}

/// See [`Kind::child`].
pub(super) struct Child<'a> {
    pub(super) kind: Kind<'a>,
    pub(super) sensitive: bool,
    pub(super) is_attribute: bool,
}

/// A value as HCL spells it, not too long, without what is sensitive.
pub(super) fn show(kind: Kind<'_>, value: &Value, sensitive: bool) -> String {
    let mut out = String::new();
    write(kind, value, sensitive, &mut out);
    if out.len() > MAX_SHOWN {
        let end = (0..=MAX_SHOWN).rev().find(|end| out.is_char_boundary(*end)).unwrap_or(0);
        out.truncate(end);
        out.push('…');
    }
    out
}

fn write(kind: Kind<'_>, value: &Value, sensitive: bool, out: &mut String) {
    if out.len() > MAX_SHOWN {
        return;
    }
    match value {
        Value::Null => out.push_str("null"),
        Value::Unknown(_) => out.push_str("(known after apply)"),
        _ if sensitive => out.push_str("(sensitive value)"),
        Value::Bool(bool) => out.push_str(if *bool { "true" } else { "false" }),
        Value::Number(number) => out.push_str(&number.to_string()),
        Value::String(text) => quote(text, out),
        Value::List(elements) => sequence(kind, elements, out),
        Value::Set(elements) => sequence(kind, elements.as_slice(), out),
        Value::Map(members) => {
            out.push('{');
            for (i, (name, value)) in members.iter().enumerate() {
                if out.len() > MAX_SHOWN {
                    return;
                }
                out.push_str(if i == 0 { " " } else { ", " });
                let child = kind.child(name, i);
                if child.is_attribute {
                    out.push_str(name);
                } else {
                    quote(name, out);
                }
                out.push_str(" = ");
                write(child.kind, value, child.sensitive, out);
            }
            out.push_str(if members.is_empty() { "}" } else { " }" });
        }
        Value::Dynamic(dynamic) => write(Kind::Plain(&dynamic.ty), &dynamic.value, false, out),
    }
}

fn sequence(kind: Kind<'_>, elements: &[Value], out: &mut String) {
    out.push('[');
    for (i, element) in elements.iter().enumerate() {
        if out.len() > MAX_SHOWN {
            return;
        }
        out.push_str(if i == 0 { "" } else { ", " });
        write(kind.child("", i).kind, element, false, out);
    }
    out.push(']');
}

fn quote(text: &str, out: &mut String) {
    out.push('"');
    for c in text.chars().take(MAX_SHOWN) {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            c if c.is_control() => {
                // Writing to a string cannot fail.
                let _ = write!(out, "\\u{:04x}", u32::from(c));
            }
            c => out.push(c),
        }
    }
    out.push('"');
}
