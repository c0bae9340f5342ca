//! Exact text of schemas: ordinary attributes as tfplugindocs writes them, and what it does not know.

use std::collections::BTreeSet;
use std::sync::Arc;

use tfplugin_schema::validate::{Rule, length, range};
use tfplugin_schema::{Nesting, Timeouts};

use super::*;

fn managed() -> About {
    About { managed: true, ..About::default() }
}

fn text(name: &str) -> Attribute {
    Attribute::of::<String>(name)
}

#[test]
fn ordinary_attributes_read_as_those_of_tfplugindocs() {
    let object = ObjectSchema::new("A thing.")
        .attribute(text("name").describe("The name."))
        .attribute(Attribute::of::<bool>("flag").describe("A flag.").optional().sensitive())
        .attribute(Attribute::of::<Vec<String>>("zones").describe("Zones.").optional())
        .attribute(Attribute::of::<f64>("number").optional().describe("A number.").deprecate("Use `x`."))
        .attribute(text("id").describe("The ID of this resource.").computed());
    assert_eq!(
        render(&object, &managed()),
        "\
### Required

- `name` (String) The name.

### Optional

- `flag` (Boolean, Sensitive) A flag.
- `number` (Number, Deprecated) A number. **Deprecated:** Use `x`.
- `zones` (List of String) Zones.

### Read-Only

- `id` (String) The ID of this resource."
    );
}

#[test]
fn what_the_schema_knows_follows_the_description() {
    let object = ObjectSchema::default()
        .attribute(text("name").describe("Unique in\nthe site.").replace().validate(length(1..=63)))
        .attribute(
            Attribute::of::<u64>("memory")
                .describe("In bytes.")
                .default_value(64u64)
                .validate(range(1..=9u64)),
        )
        .attribute(text("endpoint").describe("Where it is.").computed().changes_with(["name"]))
        .attribute(text("password_wo").describe("The password.").optional().sensitive().write_only());
    assert_eq!(
        render(&object, &managed()),
        "\
### Required

- `name` (String) Unique in the site. Must have between 1 and 63 characters. Changing this replaces the resource.

### Optional

- `memory` (Number) In bytes. Default: `64`. Must be at least 1 and at most 9.
- `password_wo` (String, Sensitive, Write-only) The password.

### Read-Only

- `endpoint` (String) Where it is. May change with `name`."
    );
}

#[test]
fn nested_attributes_have_an_anchor_and_a_section_at_any_depth() {
    let third = ObjectSchema::new("").attribute(text("cipher").describe("A cipher."));
    let second = ObjectSchema::new("")
        .attribute(text("cert").describe("PEM.").optional())
        .attribute(text("key").describe("PEM.").optional())
        .attribute(Attribute::nested("ciphers", Nesting::List, third).optional().describe("In order."))
        .rule(Rule::RequiredTogether(vec!["cert".to_owned(), "key".to_owned()]));
    let first = ObjectSchema::new("")
        .attribute(Attribute::nested("server", Nesting::Single, second).describe("This side."));
    let object = ObjectSchema::new("")
        .attribute(Attribute::nested("tls", Nesting::Map, first).optional().describe("TLS by name."));
    assert_eq!(
        render(&object, &managed()),
        "\
### Optional

- `tls` (Attributes Map) TLS by name. (see [below for nested schema](#nestedatt--tls))

<a id=\"nestedatt--tls\"></a>
### Nested Schema for `tls`

Required:

- `server` (Attributes) This side. (see [below for nested schema](#nestedatt--tls--server))

<a id=\"nestedatt--tls--server\"></a>
### Nested Schema for `tls.server`

`cert` and `key` are set together or not at all.

Optional:

- `cert` (String) PEM.
- `ciphers` (Attributes List) In order. (see [below for nested schema](#nestedatt--tls--server--ciphers))
- `key` (String) PEM.

<a id=\"nestedatt--tls--server--ciphers\"></a>
### Nested Schema for `tls.server.ciphers`

Required:

- `cipher` (String) A cipher."
    );
}

#[test]
fn a_union_says_that_exactly_one_is_set() {
    let object = ObjectSchema::default()
        .attribute(text("a").describe("One.").optional())
        .attribute(text("b").describe("Other.").optional())
        .rule(Rule::ExactlyOneOf(vec!["a".to_owned(), "b".to_owned()]))
        .rule(Rule::Requires("a".to_owned(), vec!["b".to_owned()]));
    let page = render(&object, &managed());
    let begin = "- Exactly one of `a` and `b` must be set.\n- `a` needs `b` too.\n\n### Optional\n\n- `a` (String) One.";
    assert!(page.starts_with(begin), "{page}");
}

#[test]
fn what_is_in_something_read_only_is_read_only() {
    let inner = ObjectSchema::default()
        .attribute(text("host").describe("A host.").validate(length(1..)))
        .attribute(text("port").describe("A port.").optional())
        .rule(Rule::Conflicts(vec!["host".to_owned(), "port".to_owned()]));
    let object = ObjectSchema::default()
        .attribute(Attribute::nested("endpoints", Nesting::List, inner).computed().describe("All of them."));
    let page = render(&object, &managed());
    let end = "\
### Nested Schema for `endpoints`

Read-Only:

- `host` (String) A host. Has at least 1 characters.
- `port` (String) A port.";
    assert!(page.ends_with(end), "{page}");
}

#[test]
fn blocks_and_their_attributes_have_anchors_of_their_own() {
    let tls = ObjectSchema::default().attribute(text("cert").describe("PEM."));
    let listener = ObjectSchema::new("Where to listen.")
        .attribute(Attribute::of::<u16>("port").describe("The port."))
        .attribute(Attribute::nested("tls", Nesting::Single, tls).optional().describe("With TLS."));
    let state = ObjectSchema::new("What it does.").attribute(text("phase").describe("The phase.").computed());
    let old = ObjectSchema::new("Old.").attribute(text("x").describe("X.")).deprecate("Use `listener`");
    let object = ObjectSchema::default()
        .block(NestedBlock::new("listener", BlockNesting::List, listener).items(1, 3))
        .block(NestedBlock::new("old", BlockNesting::Single, old))
        .block(NestedBlock::new("state", BlockNesting::List, state));
    assert_eq!(
        render(&object, &managed()),
        "\
### Required

- `listener` (Block List, Min: 1, Max: 3) Where to listen. (see [below for nested schema](#nestedblock--listener))

### Optional

- `old` (Block, Optional, Deprecated) Old. **Deprecated:** Use `listener`. (see [below for nested schema](#nestedblock--old))

### Read-Only

- `state` (Block List) What it does. (see [below for nested schema](#nestedblock--state))

<a id=\"nestedblock--listener\"></a>
### Nested Schema for `listener`

Required:

- `port` (Number) The port.

Optional:

- `tls` (Attributes) With TLS. (see [below for nested schema](#nestedatt--listener--tls))

<a id=\"nestedatt--listener--tls\"></a>
### Nested Schema for `listener.tls`

Required:

- `cert` (String) PEM.

<a id=\"nestedblock--old\"></a>
### Nested Schema for `old`

Required:

- `x` (String) X.

<a id=\"nestedblock--state\"></a>
### Nested Schema for `state`

Read-Only:

- `phase` (String) The phase."
    );
}

#[test]
fn object_types_are_told_member_by_member() {
    let inner = Type::object([("deep", Type::Bool)]);
    let ty = Type::Object(Arc::new(ObjectType {
        attributes: [("a".to_owned(), Type::String), ("b".to_owned(), Type::list(inner))].into(),
        optional: BTreeSet::from(["b".to_owned()]),
    }));
    let object = ObjectSchema::default().attribute(Attribute::plain("o", Type::map(ty)).describe("Objects."));
    assert_eq!(
        render(&object, &managed()),
        "\
### Required

- `o` (Map of Object) Objects. (see [below for nested schema](#nestedatt--o))

<a id=\"nestedatt--o\"></a>
### Nested Schema for `o`

Required:

- `a` (String)

Optional:

- `b` (List of Object) (see [below for nested schema](#nestedobjatt--o--b))

<a id=\"nestedobjatt--o--b\"></a>
### Nested Schema for `o.b`

Required:

- `deep` (Boolean)"
    );
}

#[test]
fn timeouts_tell_the_defaults_of_this_resource() {
    let object = ObjectSchema::default()
        .attribute(Attribute::of::<Timeouts>("timeouts").describe("How long operations may take."));
    let timeouts = BTreeMap::from([("create", Duration::from_secs(1200)), ("read", Duration::from_secs(90))]);
    let page = render(&object, &About { managed: true, timeouts, prefix: None });
    let lines: Vec<&str> = page.lines().filter(|line| line.starts_with("- `")).collect();
    assert!(lines[0].starts_with("- `timeouts` (Attributes) How long operations may take. (see"), "{page}");
    assert!(lines[1].starts_with("- `create` (String) How long `create` may take"), "{page}");
    assert!(lines[1].contains("Default: `\"20m\"`."), "{page}");
    assert!(lines[2].starts_with("- `delete`") && lines[2].contains("Not used here."), "{page}");
    assert!(lines[3].contains("Default: `\"1m30s\"`."), "{page}");
}

#[test]
fn further_paragraphs_and_lists_stay_inside_the_item() {
    let object = ObjectSchema::default()
        .attribute(
            text("a").describe("First\nparagraph.\n\nSecond:\n\n```hcl\nx = 1\n\ny = 2\n```").replace(),
        )
        .attribute(text("b").describe("- one\n- two"));
    assert_eq!(
        render(&object, &managed()),
        "\
### Required

- `a` (String) First paragraph.

  Second:

  ```hcl
  x = 1

  y = 2
  ```

  Changing this replaces the resource.
- `b` (String)

  - one
  - two"
    );
}

#[test]
fn nothing_to_configure_is_said() {
    assert_eq!(render(&ObjectSchema::default(), &managed()), "There are no attributes.");
}

#[test]
fn a_prefix_keeps_the_anchors_of_two_schemas_on_a_page_apart() {
    let inner = ObjectSchema::default().attribute(text("x").describe("X."));
    let object =
        ObjectSchema::default().attribute(Attribute::nested("a", Nesting::Single, inner).describe("A."));
    let page = render(&object, &About { prefix: Some("provider_meta"), ..About::default() });
    assert!(page.contains("<a id=\"nestedatt--provider_meta--a\"></a>"), "{page}");
    assert!(page.contains("### Nested Schema for `provider_meta.a`"), "{page}");
}
