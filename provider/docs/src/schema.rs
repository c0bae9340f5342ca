//! The schema of a page: attributes in three groups, nested ones below with an anchor each. Headings, anchors and
//! the beginning of each line are those of tfplugindocs, in alphabetical order like there.

use std::collections::BTreeMap;

use tfplugin_schema::{
    Attribute, AttributeKind, BlockNesting, Duration, NestedBlock, ObjectSchema, ObjectType, Presence, Role,
    Type,
};

use crate::facts::{self, Facts, Place};
use crate::markdown::{code, first_paragraph, indent, is_prose, paragraph};
use crate::words;

/// What a page knows about the thing whose schema is told.
#[derive(Clone, Debug, Default)]
pub(crate) struct About {
    /// Whether it is a managed resource.
    pub(crate) managed: bool,
    /// How long each operation may take if the configuration does not say; none where there is no such operation.
    pub(crate) timeouts: BTreeMap<&'static str, Duration>,
    /// What stands before every name in nested headings and anchors.
    pub(crate) prefix: Option<&'static str>,
}

/// The groups and everything nested, without the heading `## Schema`.
pub(crate) fn render(object: &ObjectSchema, about: &About) -> String {
    let mut writer = Writer { about, sections: Vec::new() };
    let path: Vec<String> = about.prefix.iter().map(|&prefix| prefix.to_owned()).collect();
    let place = Place { managed: about.managed, read_only: false };
    writer.section(&Body::Schema(object), &path, place, String::new());
    writer.sections.join("\n\n")
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Group {
    Required,
    Optional,
    ReadOnly,
}

/// What has attributes.
enum Body<'a> {
    Schema(&'a ObjectSchema),
    /// The deadlines of the operations.
    Timeouts(&'a ObjectSchema),
    /// The attributes of an object type, which have no descriptions.
    Type(&'a ObjectType),
}

struct Item<'a> {
    name: &'a str,
    group: Group,
    words: String,
    description: &'a str,
    facts: Facts,
    nested: Option<(&'static str, Body<'a>)>,
}

struct Writer<'a> {
    about: &'a About,
    sections: Vec<String>,
}

impl Writer<'_> {
    fn section(&mut self, body: &Body<'_>, path: &[String], place: Place, heading: String) {
        let items = self.items(body, place);
        let top = heading.is_empty();
        let mut parts = if top { Vec::new() } else { vec![heading] };
        if let Body::Schema(object) = body {
            let rules = if place.read_only { Vec::new() } else { facts::rules(object) };
            match rules.as_slice() {
                [] => {}
                [one] => parts.push(one.clone()),
                rules => {
                    let rules: Vec<String> = rules.iter().map(|rule| format!("- {rule}")).collect();
                    parts.push(rules.join("\n"));
                }
            }
        }
        for (group, title) in
            [(Group::Required, "Required"), (Group::Optional, "Optional"), (Group::ReadOnly, "Read-Only")]
        {
            let lines = items.iter().filter(|item| item.group == group).map(|item| line(item, path));
            let lines = lines.collect::<Vec<_>>().join("\n");
            if !lines.is_empty() {
                let title = if top { format!("### {title}") } else { format!("{title}:") };
                parts.push(format!("{title}\n\n{lines}"));
            }
        }
        if items.is_empty() {
            parts.push("There are no attributes.".to_owned());
        }
        self.sections.push(parts.join("\n\n"));
        for item in items {
            let Some((kind, nested)) = item.nested else { continue };
            let path: Vec<String> = path.iter().cloned().chain([item.name.to_owned()]).collect();
            let heading = format!(
                "<a id=\"{}\"></a>\n### Nested Schema for {}",
                anchor(kind, &path),
                code(&path.join("."))
            );
            let place = Place { read_only: place.read_only || item.group == Group::ReadOnly, ..place };
            self.section(&nested, &path, place, heading);
        }
    }

    fn items<'a>(&self, body: &Body<'a>, place: Place) -> Vec<Item<'a>> {
        let mut items: Vec<Item<'a>> = match body {
            Body::Schema(object) => {
                let attributes = object.attributes.iter().map(|attribute| of_attribute(attribute, place));
                attributes.chain(object.blocks.iter().map(of_block)).collect()
            }
            Body::Timeouts(object) => {
                let attributes = object.attributes.iter();
                attributes.map(|attribute| self.of_timeout(attribute, place)).collect()
            }
            Body::Type(object) => {
                let attributes = object.attributes.iter();
                attributes.map(|(name, ty)| of_member(object, name, ty)).collect()
            }
        };
        for item in &mut items {
            if place.read_only {
                item.group = Group::ReadOnly;
            }
        }
        items.sort_by_key(|item| item.name);
        items
    }

    fn of_timeout<'a>(&self, attribute: &'a Attribute, place: Place) -> Item<'a> {
        let mut item = of_attribute(attribute, place);
        // How a span of time is written is in the description, and the same for each.
        item.facts.sentences = vec![match self.about.timeouts.get(attribute.name.as_str()) {
            Some(default) => format!("Default: {}.", code(&format!("\"{default}\""))),
            None => "Not used here.".to_owned(),
        }];
        item
    }
}

fn of_attribute(attribute: &Attribute, place: Place) -> Item<'_> {
    let (inner_text, nested) = match &attribute.kind {
        AttributeKind::Nested(_, object) if attribute.role == Role::Timeouts => {
            (object.description.as_str(), Some(("nestedatt", Body::Timeouts(object))))
        }
        AttributeKind::Nested(_, object) => {
            (object.description.as_str(), Some(("nestedatt", Body::Schema(object))))
        }
        AttributeKind::Plain(ty) => {
            ("", words::object_in(ty).map(|object| ("nestedatt", Body::Type(object))))
        }
    };
    let mut words = words::of_attribute(&attribute.kind);
    let flags = [
        (attribute.sensitive, "Sensitive"),
        (attribute.write_only, "Write-only"),
        (attribute.deprecation.is_some(), "Deprecated"),
    ];
    for (_, flag) in flags.iter().filter(|(is, _)| *is) {
        words.push_str(", ");
        words.push_str(flag);
    }
    let described = !attribute.description.trim().is_empty();
    Item {
        name: &attribute.name,
        group: match attribute.presence {
            Presence::Required => Group::Required,
            Presence::Optional | Presence::OptionalComputed => Group::Optional,
            Presence::Computed => Group::ReadOnly,
        },
        words,
        description: if described { &attribute.description } else { inner_text },
        facts: facts::of(attribute, place),
        nested,
    }
}

fn of_block(block: &NestedBlock) -> Item<'_> {
    let mut words = words::of_block(block);
    let mut facts = Facts::default();
    if let Some(message) = &block.object.deprecation {
        words.push_str(", Deprecated");
        facts.sentences.push(facts::deprecation(message));
    }
    let must = block.min_items > 0 && !matches!(block.nesting, BlockNesting::Group | BlockNesting::Map);
    let group = match (must, is_read_only(&block.object)) {
        (true, _) => Group::Required,
        (false, true) => Group::ReadOnly,
        (false, false) => Group::Optional,
    };
    let nested = Some(("nestedblock", Body::Schema(&block.object)));
    Item { name: &block.name, group, words, description: &block.object.description, facts, nested }
}

/// Whether a configuration can set nothing in it. A block without attributes can at least be there.
fn is_read_only(object: &ObjectSchema) -> bool {
    let empty = object.attributes.is_empty() && object.blocks.is_empty();
    let computed = object.attributes.iter().all(|attribute| attribute.presence == Presence::Computed);
    !empty
        && computed
        && object.blocks.iter().all(|block| block.min_items == 0 && is_read_only(&block.object))
}

fn of_member<'a>(object: &'a ObjectType, name: &'a str, ty: &'a Type) -> Item<'a> {
    Item {
        name,
        group: if object.optional.contains(name) { Group::Optional } else { Group::Required },
        words: words::of_type(ty),
        description: "",
        facts: Facts::default(),
        nested: words::object_in(ty).map(|object| ("nestedobjatt", Body::Type(object))),
    }
}

fn anchor(kind: &str, path: &[String]) -> String {
    format!("{kind}--{}", path.join("--"))
}

/// One attribute: on one line if its description is one paragraph, else with further paragraphs below.
fn line(item: &Item<'_>, path: &[String]) -> String {
    let head = format!("- {} ({})", code(item.name), item.words);
    let link = item.nested.as_ref().map(|(kind, _)| {
        let path: Vec<String> = path.iter().cloned().chain([item.name.to_owned()]).collect();
        format!("(see [below for nested schema](#{}))", anchor(kind, &path))
    });
    let description = item.description.trim();
    let (first, rest) = first_paragraph(description);
    let mut sentences = item.facts.sentences.clone();
    sentences.extend(link);
    let mut parts = Vec::new();
    if rest.is_empty() && is_prose(first) {
        let words = [head, paragraph(first)].into_iter().filter(|text| !text.is_empty());
        let words: Vec<String> = words.chain(sentences).collect();
        parts.push(words.join(" "));
    } else {
        let first = if is_prose(first) { paragraph(first) } else { first.to_owned() };
        // A list or a table begins on a line of its own.
        let gap = if is_prose(&first) { " " } else { "\n\n" };
        parts.push(format!("{head}{gap}{first}"));
        parts.extend([rest.to_owned(), sentences.join(" ")].into_iter().filter(|text| !text.is_empty()));
    }
    parts.extend(item.facts.blocks.iter().cloned());
    indent(&parts.join("\n\n")).trim_start().to_owned()
}

#[cfg(test)]
mod tests;
