//! One test for each rule.

use super::*;
use crate::validate::length;
use crate::{Attribute, BlockNesting, NestedBlock, Nesting, Type, Value};

const RESOURCE: CheckKind = CheckKind::Resource { resumable: false };

fn text(name: &str) -> Attribute {
    Attribute::plain(name, Type::String).describe("A text.")
}

fn object<const N: usize>(attributes: [Attribute; N]) -> ObjectSchema {
    ObjectSchema::new("A thing.").attributes(attributes)
}

fn findings(schema: &ObjectSchema, kind: CheckKind) -> Vec<String> {
    check_schema(schema, kind).iter().map(ToString::to_string).collect()
}

/// Exactly one finding, which says this.
#[track_caller]
fn refused(schema: &ObjectSchema, says: &str) {
    refused_as(schema, RESOURCE, says);
}

#[track_caller]
fn refused_as(schema: &ObjectSchema, kind: CheckKind, says: &str) {
    let found = findings(schema, kind);
    assert!(found.len() == 1 && found[0].contains(says), "expected {says:?} alone, found {found:#?}");
}

#[track_caller]
fn accepted(schema: &ObjectSchema) {
    assert_eq!(findings(schema, RESOURCE), Vec::<String>::new());
}

#[test]
fn a_schema_with_everything_in_order_is_accepted() {
    let element = object([text("name"), text("kind").default_value("ssd"), text("address").computed()]);
    let secret = text("password_wo").optional().sensitive().write_only();
    let protection = Attribute::plain("protected", Type::Bool).describe("Protects.").default_value(true);
    let schema = object([
        text("name").replace().validate(length(1..=9)),
        text("id").computed(),
        text("digest").computed().changes_with(["name", "listener"]),
        Attribute::nested("disks", Nesting::Set, element.clone()).describe("Disks.").optional(),
        secret,
        protection.deletion_protection(),
    ])
    .block(NestedBlock::new("listener", BlockNesting::List, element.clone()).items(1, 3))
    .block(NestedBlock::new("logging", BlockNesting::Single, element).required())
    .rule(Rule::Requires("password_wo".to_owned(), vec!["listener".to_owned()]));
    accepted(&schema);
    assert!(check_schema(&schema, CheckKind::Resource { resumable: true }).is_empty());
}

#[test]
fn names_are_lower_case_and_begin_with_no_digit() {
    refused(&object([text("Name")]), "`Name`: names consist of lower case");
    refused(&object([text("with-dash")]), "lower case");
    refused(&object([text("")]), "lower case");
    refused(&object([text("1st")]), "begin with a digit");
    let block = |name: &str| NestedBlock::new(name, BlockNesting::List, object([]));
    refused(&object([]).block(block("Listener")), "lower case");
}

#[test]
fn reserved_names_are_refused_at_the_top_alone() {
    for name in ["count", "for_each", "depends_on", "lifecycle", "provider", "connection", "provisioner"] {
        refused(&object([text(name)]), "Terraform itself uses this name");
    }
    refused_as(&object([text("alias")]), CheckKind::Provider, "Terraform itself");
    refused_as(&object([text("version")]), CheckKind::Provider, "Terraform itself");
    refused_as(&object([text("count")]), CheckKind::DataSource, "Terraform itself");
    refused_as(&object([text("provider")]), CheckKind::Ephemeral, "Terraform itself");
    accepted(&object([text("alias"), text("version")]));
    accepted(&object([
        Attribute::nested("disk", Nesting::Single, object([text("count")])).describe("A disk.")
    ]));
}

#[test]
fn two_of_a_name_are_refused_also_after_flattening() {
    refused(&object([text("name")]).flatten(object([text("name").optional()])), "`name`: there are two");
    let block = NestedBlock::new("name", BlockNesting::List, object([]));
    refused(&object([text("name")]).block(block), "`name`: there are two");
}

#[test]
fn descriptions_and_deprecations_say_something() {
    refused(&object([Attribute::plain("name", Type::String)]), "no description");
    refused(&object([text("name").deprecate(" ")]), "deprecation says nothing");
    refused(&object([]).deprecate(""), "deprecation says nothing");
    accepted(&object([text("name").deprecate("Use `title`.")]));
}

#[test]
fn nested_attributes_contain_no_blocks() {
    let inner = object([]).block(NestedBlock::new("listener", BlockNesting::List, object([])));
    refused(
        &object([Attribute::nested("a", Nesting::Single, inner).describe("A.")]),
        "cannot contain blocks",
    );
}

#[test]
fn sets_contain_nothing_dynamic_and_nothing_write_only() {
    let dynamic = || object([Attribute::plain("any", Type::Dynamic).describe("Any.")]);
    let hidden = || object([text("secret").write_only()]);
    let nested = |nesting, inner| object([Attribute::nested("a", nesting, inner).describe("A.")]);
    refused(&nested(Nesting::Set, dynamic()), "cannot contain dynamic");
    refused(&nested(Nesting::Set, hidden()), "cannot contain write-only");
    refused(&nested(Nesting::Set, nested(Nesting::Single, hidden())), "cannot contain write-only");
    accepted(&nested(Nesting::Map, hidden()));
    let block = |inner| object([]).block(NestedBlock::new("a", BlockNesting::Set, inner));
    refused(&block(dynamic()), "cannot contain dynamic");
    refused(&block(hidden()), "cannot contain write-only");
    let plain = |ty| object([Attribute::plain("a", ty).describe("A.")]);
    refused(&plain(Type::list(Type::set(Type::Dynamic))), "cannot contain dynamic");
    accepted(&plain(Type::list(Type::Dynamic)));
}

#[test]
fn blocks_are_counted_as_their_nesting_allows() {
    let block =
        |nesting, min, max| object([]).block(NestedBlock::new("a", nesting, object([])).items(min, max));
    for (nesting, min, max) in [
        (BlockNesting::Single, 0, 1),
        (BlockNesting::Single, 2, 2),
        (BlockNesting::Group, 0, 1),
        (BlockNesting::Map, 1, 0),
        (BlockNesting::List, 3, 2),
        (BlockNesting::Set, 3, 2),
    ] {
        assert_eq!(findings(&block(nesting, min, max), RESOURCE).len(), 1, "{nesting:?} {min} {max}");
    }
    for (nesting, min, max) in [
        (BlockNesting::Single, 0, 0),
        (BlockNesting::Single, 1, 1),
        (BlockNesting::Group, 0, 0),
        (BlockNesting::Map, 0, 0),
        (BlockNesting::List, 3, 0),
        (BlockNesting::Set, 2, 2),
    ] {
        accepted(&block(nesting, min, max));
    }
}

#[test]
fn write_only_attributes_are_in_resources_and_neither_computed_nor_defaulted() {
    refused(&object([text("a_wo").computed().write_only()]), "cannot be computed");
    let found = findings(&object([text("a_wo").default_value("x").write_only()]), RESOURCE);
    assert!(found.iter().any(|finding| finding.contains("cannot have a default")), "{found:?}");
    for kind in [CheckKind::Provider, CheckKind::DataSource, CheckKind::Ephemeral] {
        refused_as(&object([text("a_wo").write_only()]), kind, "only resources have write-only");
    }
}

#[test]
fn defaults_belong_to_what_is_optional_and_computed() {
    let with = |presence| {
        let mut attribute = text("a").default_value("x");
        attribute.presence = presence;
        object([attribute])
    };
    refused(&with(crate::Presence::Required), "no use for a default");
    refused(&with(crate::Presence::Computed), "its only value");
    refused(&with(crate::Presence::Optional), "must be optional and computed");
    accepted(&with(crate::Presence::OptionalComputed));
}

#[test]
fn defaults_have_the_type_and_pass_the_validators() {
    refused(&object([text("a").default_value(3)]), "must be of type string, but is a number");
    refused(&object([text("a").default_value("long").validate(length(..=3))]), "refuses the default");
    refused(&object([text("a").default_value(Value::Null)]), "not null");
    refused(&object([text("a").default_value(Value::UNKNOWN)]), "known value");
    let inner = || object([text("name"), text("kind").optional()]);
    let nested = |default| {
        object([Attribute::nested("a", Nesting::List, inner()).describe("A.").default_value(default)])
    };
    accepted(&nested(Value::list([Value::map([("name", Value::from("x"))])])));
    refused(&nested(Value::list([Value::map([("title", Value::from("x"))])])), "must be of type");
}

#[test]
fn changes_with_names_what_is_there_on_what_is_computed() {
    refused(&object([text("a"), text("b").changes_with(["a"])]), "`b`: only a computed");
    refused(&object([text("a").changes_with_anything()]), "only a computed");
    refused(&object([text("name"), text("b").computed().changes_with(["nam"])]), "did you mean `name`?");
    refused(&object([text("b").computed().changes_with(["b"])]), "with itself");
    let inner = object([text("c").computed().changes_with(["a"])]);
    accepted(&object([text("a"), Attribute::nested("n", Nesting::List, inner).describe("N.")]));
}

#[test]
fn what_is_fixed_is_not_replaced() {
    refused(&object([text("a").fixed("No.").replace()]), "can never change");
    accepted(&object([text("a").fixed("No.")]));
}

#[test]
fn rules_name_attributes_that_are_there() {
    let rule = |rule| object([text("a"), text("b")]).rule(rule);
    let names = |names: [&str; 2]| names.map(str::to_owned).to_vec();
    refused(&rule(Rule::Conflicts(names(["a", "x"]))), "a rule names `x`");
    refused(&rule(Rule::Requires("x".to_owned(), names(["a", "b"]))), "a rule names `x`");
    refused(&rule(Rule::RequiredWhen("a".to_owned(), "x".to_owned(), vec![])), "a rule names `x`");
    refused(&rule(Rule::AtLeastOneOf(vec![])), "names no attribute");
    accepted(&rule(Rule::ExactlyOneOf(names(["a", "b"]))));
}

#[test]
fn deletion_protection_is_one_bool_at_the_top_of_a_resource() {
    let bool = |name: &str| Attribute::plain(name, Type::Bool).describe("Protects.").deletion_protection();
    refused(&object([text("a").deletion_protection()]), "must be a bool");
    refused(&object([bool("a").computed()]), "must be configurable");
    refused(&object([bool("a"), bool("b")]), "only one attribute");
    refused(
        &object([Attribute::nested("n", Nesting::Single, object([bool("a")])).describe("N.")]),
        "at the top of a resource",
    );
    refused_as(&object([bool("a")]), CheckKind::DataSource, "at the top of a resource");
}

#[test]
fn a_resumable_resource_has_something_that_can_be_unfinished() {
    let resumable = CheckKind::Resource { resumable: true };
    refused_as(&object([text("a")]), resumable, "needs a computed attribute");
    refused_as(&object([text("a").default_value("x")]), resumable, "needs a computed attribute");
    assert!(check_schema(&object([text("a").computed()]), resumable).is_empty());
}

#[test]
fn elements_of_one_collection_have_one_type() {
    let mixed = Type::list(Type::object([("any", Type::Dynamic)]));
    refused(
        &object([Attribute::plain("a", mixed).describe("Any.")]),
        "elements of one collection have one type",
    );
    let any = object([Attribute::plain("any", Type::Dynamic).describe("Any.")]);
    let nested = |nesting| object([Attribute::nested("a", nesting, any.clone()).describe("Any.")]);
    refused(&nested(Nesting::List), "elements of one collection have one type");
    refused(&nested(Nesting::Map), "elements of one collection have one type");
    accepted(&nested(Nesting::Single));
    accepted(&object([Attribute::plain("a", Type::list(Type::Dynamic)).describe("Any.")]));
}
