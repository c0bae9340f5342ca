//! What `#[derive(Schema)]` writes for structs: schema, views, state, paths, and that values go through.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test may stop at the first thing that is wrong")]

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use tfplugin_schema::validate::{Rule, check_known, satisfies};
use tfplugin_schema::{
    Attribute, AttributeChange, AttributeKind, BlockNesting, ChangesWith, Computed, Duration, Field, Json,
    Maybe, Members, Nesting, ObjectSchema, Path, PlanModifier, Presence, Replace, Role, Schema, Secret,
    SecretRef, Size, Timeouts, TypedPath, Value,
};

/// How connections are encrypted.
///
/// Both ends must agree.
#[derive(Clone, Debug, PartialEq, Schema, Serialize, Deserialize)]
pub struct Tls {
    /// Path of the certificate.
    pub certificate: String,
    /// Lowest version that is accepted.
    #[attribute(default = "1.2", validate(one_of = ["1.2", "1.3"]))]
    pub min_version: String,
}

/// One rule.
#[derive(Clone, Debug, PartialEq, Schema, Serialize, Deserialize)]
pub struct Listener {
    /// TCP port.
    #[attribute(validate(range = 1..=65_535))]
    pub port: u16,
    /// Names that it answers to.
    pub names: Option<Vec<String>>,
    /// Its own encryption.
    pub tls: Option<Tls>,
}

/// What every cache has.
#[derive(Clone, Debug, PartialEq, Schema, Serialize, Deserialize)]
pub struct CacheSpec {
    /// Unique on its site; a new name is a new cache.
    #[attribute(replace, validate(length = 1..=63, regex = "^[a-z][a-z0-9-]*$"))]
    pub name: String,
    /// Memory ceiling in bytes.
    #[attribute(default = 64 << 20, validate(range = 1 << 20..))]
    pub max_memory: u64,
}

/// A cache for playback tokens.
#[derive(Clone, Debug, PartialEq, Schema)]
#[schema(at_least_one_of(tls, listeners), rule = Rule::AtLeastOneOf(vec!["password_wo".into(), "tls".into()]))]
pub struct TokenCache {
    /// What every cache has.
    #[attribute(flatten)]
    pub spec: CacheSpec,
    /// Encryption.
    #[attribute(sensitive, conflicts_with = [plaintext])]
    pub tls: Option<Tls>,
    /// Whether connections are not encrypted.
    #[attribute(default = false, deprecated = "Use `tls`.")]
    pub plaintext: bool,
    /// Where it listens, in order.
    #[attribute(validate(length = ..=8, unique))]
    pub listeners: Vec<Listener>,
    /// Limits by tenant.
    #[attribute(validate(keys(regex = "^[a-z]+$"), each(range = 1..)))]
    pub quotas: Option<BTreeMap<String, u32>>,
    /// Zones.
    #[attribute(replace(if_configured))]
    pub zones: Option<BTreeSet<String>>,
    /// How long tokens live.
    #[attribute(default = "90s", fixed = "Make another cache.")]
    pub lifetime: Duration,
    /// Share of memory that is kept free.
    #[attribute(default = 0.1, validate(range = 0.0..=0.5))]
    pub reserve: f64,
    /// The administrator's password.
    #[attribute(replace)]
    pub password: Secret<String>,
    /// Whether it may not be destroyed.
    #[attribute(default = true, deletion_protection)]
    pub protected: bool,
    /// Kind of storage.
    #[attribute(name = "kind", replace(if = differs_in_case), required_when(plaintext = true, lifetime = [Duration::from_secs(5), "1h".parse::<Duration>().unwrap_or_default()]))]
    pub r#type: Option<String>,
    /// Its address.
    #[attribute(changes_with = [spec, password, spec.name, listeners])]
    pub address: Computed<String>,
    /// Its zone, unless chosen.
    #[attribute(optional, changes_with = any, modify = Keep, validate(with = satisfies("be short", |_| true), satisfies("be good", |_| true)))]
    pub zone: Computed<Option<String>>,
    /// Deadlines.
    pub timeouts: Timeouts,
}

fn differs_in_case(a: &Value, b: &Value) -> bool {
    a != b
}

#[derive(Debug)]
struct Keep;

impl PlanModifier for Keep {
    fn describe(&self) -> String {
        "keeps".to_owned()
    }

    fn modify(&self, _: &mut AttributeChange<'_>) {}
}

fn attribute<'a>(object: &'a ObjectSchema, name: &str) -> &'a Attribute {
    object.find(name).unwrap_or_else(|| panic!("no attribute {name}"))
}

fn refuses(attribute: &Attribute, value: impl Into<Value>) -> bool {
    let value = value.into();
    attribute.validators.iter().any(|validator| check_known(validator.as_ref(), &value).is_err())
}

#[test]
fn the_schema_says_what_the_struct_says() {
    let object = TokenCache::object();
    assert_eq!(object.description, "A cache for playback tokens.");
    assert_eq!(Tls::object().description, "How connections are encrypted.\n\nBoth ends must agree.");
    let names: Vec<&str> = object.attributes.iter().map(|a| a.name.as_str()).collect();
    let expected = [
        "name",
        "max_memory",
        "tls",
        "plaintext",
        "listeners",
        "quotas",
        "zones",
        "lifetime",
        "reserve",
        "password_wo",
        "password_wo_version",
        "password_ref",
        "protected",
        "kind",
        "address",
        "zone",
        "timeouts",
    ];
    assert_eq!(names, expected);
    let presence = |name: &str| attribute(&object, name).presence;
    assert_eq!(presence("name"), Presence::Required);
    assert_eq!(presence("tls"), Presence::Optional);
    assert_eq!(presence("quotas"), Presence::Optional);
    assert_eq!(presence("plaintext"), Presence::OptionalComputed);
    assert_eq!(presence("address"), Presence::Computed);
    assert_eq!(presence("zone"), Presence::OptionalComputed);
    assert_eq!(attribute(&object, "max_memory").description, "Memory ceiling in bytes.");
    assert_eq!(attribute(&object, "plaintext").deprecation.as_deref(), Some("Use `tls`."));
    assert!(attribute(&object, "tls").sensitive);
    assert!(attribute(&object, "password_wo").write_only);
    assert_eq!(attribute(&object, "lifetime").fixed.as_deref(), Some("Make another cache."));
    assert_eq!(attribute(&object, "protected").role, Role::DeletionProtection);
    assert_eq!(attribute(&object, "timeouts").role, Role::Timeouts);
    assert!(matches!(attribute(&object, "name").replace, Replace::Always));
    assert!(matches!(attribute(&object, "zones").replace, Replace::IfConfigured));
    assert!(matches!(attribute(&object, "kind").replace, Replace::If(_)));
    assert_eq!(attribute(&object, "zone").modifiers.len(), 1);
    assert_eq!(attribute(&object, "zone").validators.len(), 2);
}

#[test]
fn nested_structs_are_nested_attributes_and_collections_nest_them() {
    let object = TokenCache::object();
    let AttributeKind::Nested(Nesting::List, listener) = &attribute(&object, "listeners").kind else {
        panic!("a Vec of structs is a nested list");
    };
    let AttributeKind::Nested(Nesting::Single, tls) = &attribute(listener, "tls").kind else {
        panic!("a struct is a single nested attribute");
    };
    assert_eq!(tls.ty().to_string(), "object({ certificate = string, min_version = string })");
}

#[test]
fn defaults_are_values_of_the_field_and_text_keeps_its_spelling() {
    let object = TokenCache::object();
    let default = |name: &str| attribute(&object, name).default.clone();
    assert_eq!(default("max_memory"), Some(Value::from(64u64 << 20)));
    assert_eq!(default("lifetime"), Some(Value::from("90s")));
    assert_eq!(default("plaintext"), Some(Value::from(false)));
    assert_eq!(default("reserve"), Some(Value::Number("0.1".parse().unwrap())));
    for attribute in &object.attributes {
        if let Some(default) = &attribute.default {
            assert!(!refuses(attribute, default.clone()), "{} refuses its own default", attribute.name);
        }
    }
}

#[test]
fn validators_judge_what_they_were_written_for() {
    let object = TokenCache::object();
    assert!(refuses(attribute(&object, "name"), "Upper"));
    assert!(refuses(attribute(&object, "name"), ""));
    assert!(!refuses(attribute(&object, "name"), "cache-1"));
    assert!(refuses(attribute(&object, "max_memory"), 1u64));
    let number = |text: &str| Value::Number(text.parse().unwrap());
    assert!(refuses(attribute(&object, "reserve"), number("0.50000000000000000001")));
    assert!(!refuses(attribute(&object, "reserve"), number("0.5")));
    assert!(refuses(attribute(&object, "quotas"), Value::map([("a", Value::from(0))])));
    assert!(refuses(attribute(&object, "quotas"), Value::map([("A", Value::from(1))])));
    assert!(!refuses(attribute(&object, "quotas"), Value::map([("a", Value::from(1))])));
}

#[test]
fn rules_name_attributes_as_hcl_does() {
    let rules = TokenCache::object().rules;
    let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
    for rule in [
        Rule::AtLeastOneOf(names(&["tls", "listeners"])),
        Rule::AtLeastOneOf(names(&["password_wo", "tls"])),
        Rule::Conflicts(names(&["tls", "plaintext"])),
        Rule::RequiredWhen("kind".into(), "plaintext".into(), vec![Value::Bool(true)]),
        Rule::RequiredWhen("kind".into(), "lifetime".into(), vec!["5s".into(), "1h".into()]),
        Rule::ExactlyOneOf(names(&["password_wo", "password_ref"])),
        Rule::Requires("password_wo_version".into(), names(&["password_wo"])),
    ] {
        assert!(rules.contains(&rule), "{rule:?} is missing in {rules:?}");
    }
    assert_eq!(rules.len(), 7);
}

#[test]
fn what_changes_a_computed_value_reaches_into_flattened_structs_and_secrets() {
    let object = TokenCache::object();
    let names = ["name", "max_memory", "password_wo_version", "password_ref", "name", "listeners"];
    assert_eq!(
        attribute(&object, "address").changes_with,
        ChangesWith::These(names.map(str::to_owned).into())
    );
    assert_eq!(attribute(&object, "zone").changes_with, ChangesWith::Anything);
}

#[test]
fn typed_paths_lead_to_every_depth() {
    let shown = |path: Path| path.to_string();
    assert_eq!(
        shown(TokenCache::listeners().at(3).tls().certificate().into()),
        "listeners[3].tls.certificate"
    );
    assert_eq!(shown(TokenCache::quotas().key("a").into()), "quotas[\"a\"]");
    assert_eq!(shown(TokenCache::spec().max_memory().into()), "max_memory");
    assert_eq!(shown(TokenCache::r#type().into()), "kind");
    assert_eq!(shown(TokenCache::password().into()), "password_wo");
    assert_eq!(shown(TokenCache::password().version().into()), "password_wo_version");
    assert_eq!(shown(TokenCachePath::from(Path::root()).tls().min_version().into()), "tls.min_version");
    fn leads_to<T: 'static>(_: &impl TypedPath<Target = T>) {}
    leads_to::<Tls>(&TokenCache::tls());
    leads_to::<u16>(&TokenCache::listeners().at(0).port());
}

fn members() -> Members {
    let tls = Value::map([("certificate", Value::from("/a.pem")), ("min_version", "1.3".into())]);
    let listener = Value::map([
        ("port", Value::from(443)),
        ("names", Value::list(["a".into(), "b".into()])),
        ("tls", tls.clone()),
    ]);
    let Value::Map(members) = Value::map([
        ("name", Value::from("tokens")),
        ("max_memory", Value::from(1u64 << 30)),
        ("tls", Value::Null),
        ("plaintext", false.into()),
        ("listeners", Value::list([listener])),
        ("quotas", Value::map([("a", Value::from(7))])),
        ("zones", Value::set(["x".into(), "y".into()])),
        ("lifetime", "1h30m".into()),
        ("reserve", Value::Number("0.25".parse().unwrap())),
        ("password_wo", "open sesame".into()),
        ("password_wo_version", 3.into()),
        ("password_ref", Value::Null),
        ("protected", true.into()),
        ("kind", Value::Null),
        ("address", Value::UNKNOWN),
        ("zone", Value::UNKNOWN),
        (
            "timeouts",
            Value::map([
                ("create", Value::from("5m")),
                ("read", Value::Null),
                ("update", Value::Null),
                ("delete", Value::Null),
            ]),
        ),
    ]) else {
        panic!("a map")
    };
    members
}

#[test]
fn a_plan_is_read_completed_and_written_as_the_state() {
    let plan = TokenCache::read_members(&members()).unwrap();
    assert_eq!(plan.spec, CacheSpec { name: "tokens".into(), max_memory: 1 << 30 });
    assert_eq!(plan.listeners[0].tls.as_ref().unwrap().min_version, "1.3");
    assert_eq!(plan.password.expose().map(String::as_str), Some("open sesame"));
    assert!(plan.address.get().is_err());
    let state = plan.complete(TokenCacheComputed { address: "10.0.0.1".into(), zone: None });
    let mut written = Members::new();
    TokenCache::write_members(&state, &mut written);
    let mut expected = members();
    expected.insert("password_wo".into(), Value::Null);
    expected.insert("address".into(), "10.0.0.1".into());
    expected.insert("zone".into(), Value::Null);
    assert_eq!(written, expected);
}

#[test]
fn a_view_shows_null_unknown_and_known_at_every_depth() {
    let mut members = members();
    members.insert("tls".into(), Value::UNKNOWN);
    members.insert("name".into(), Value::UNKNOWN);
    let listener = Value::map([("port", Value::UNKNOWN), ("names", Value::Null), ("tls", Value::Null)]);
    members.insert("listeners".into(), Value::list([listener, Value::UNKNOWN]));
    members.insert("password_wo".into(), Value::UNKNOWN);
    members.insert("password_ref".into(), "env:PASSWORD".into());
    let view = TokenCache::view_members(&members).unwrap();
    assert_eq!(view.spec.name, Maybe::Unknown);
    assert_eq!(view.spec.max_memory, 1 << 30);
    assert!(view.tls.is_unknown());
    let listeners = view.listeners.known().unwrap();
    assert!(listeners[0].known().unwrap().port.is_unknown());
    assert!(listeners[0].known().unwrap().names.is_null());
    assert!(listeners[1].is_unknown());
    assert!(view.password.value.is_unknown());
    assert_eq!(view.password.reference, SecretRef::Env("PASSWORD".into()));
}

#[test]
fn an_error_names_the_attribute_however_deep() {
    let mut members = members();
    let listener =
        Value::map([("port", Value::from(70_000)), ("names", Value::list([])), ("tls", Value::Null)]);
    members.insert("listeners".into(), Value::list([listener]));
    let error = TokenCache::read_members(&members).unwrap_err();
    assert_eq!(error.path(), TokenCache::listeners().at(0).port().into());
}

/// Blocks of every kind.
#[derive(Clone, Debug, PartialEq, Schema)]
#[schema(no_paths)]
pub struct Blocks {
    /// One that must be there.
    #[attribute(block)]
    pub needed: Tls,
    /// One that may be there.
    #[attribute(block)]
    pub perhaps: Option<Tls>,
    /// One that always is.
    #[attribute(block(group), name = "always")]
    pub grouped: Group,
    /// Some in order.
    #[attribute(block(min = 1, max = 3))]
    pub some: Vec<Tls>,
    /// Some by label.
    #[attribute(block)]
    pub labelled: BTreeMap<String, Tls>,
}

/// A group.
#[derive(Clone, Debug, PartialEq, Schema)]
pub struct Group {
    /// A size.
    pub size: Option<Size>,
}

#[test]
fn blocks_nest_as_the_type_of_the_field_says() {
    let object = Blocks::object();
    assert!(object.attributes.is_empty());
    let blocks: Vec<_> =
        object.blocks.iter().map(|b| (b.name.as_str(), b.nesting, b.min_items, b.max_items)).collect();
    let expected = [
        ("needed", BlockNesting::Single, 1, 1),
        ("perhaps", BlockNesting::Single, 0, 0),
        ("always", BlockNesting::Group, 0, 0),
        ("some", BlockNesting::List, 1, 3),
        ("labelled", BlockNesting::Map, 0, 0),
    ];
    assert_eq!(blocks, expected);
    assert_eq!(object.blocks[0].object.description, "One that must be there.");
}

/// A part with something computed in it.
#[derive(Clone, Debug, PartialEq, Schema)]
pub struct Part {
    /// Its name.
    pub name: String,
    /// Its identifier.
    pub id: Computed<String>,
}

/// A whole of parts.
#[derive(Clone, Debug, PartialEq, Schema)]
pub struct Whole {
    /// The parts.
    #[attribute(computed_inside)]
    pub parts: Vec<Part>,
    /// The first part.
    #[attribute(flatten, computed_inside)]
    pub main: Part,
    /// A note.
    pub note: Option<String>,
}

#[test]
fn what_is_computed_inside_is_given_with_the_rest_of_its_field() {
    let part = |id: Value| Value::map([("name", Value::from("p")), ("id", id)]);
    let Value::Map(mut members) = part(Value::UNKNOWN) else { panic!("a map") };
    members.insert("parts".into(), Value::list([part(Value::UNKNOWN)]));
    members.insert("note".into(), Value::Null);
    let plan = Whole::read_members(&members).unwrap();
    let done = |part: Part, id: &str| part.complete(PartComputed { id: id.to_owned() });
    let parts = plan.parts.clone().into_iter().map(|part| done(part, "inner")).collect();
    let main = done(plan.main.clone(), "outer");
    let written = Whole::write(&plan.complete(WholeComputed { parts, main }));
    assert_eq!(written.get("id"), &Value::from("outer"));
    assert_eq!(written.get("parts"), &Value::list([part("inner".into())]));
}

mod hidden {
    #![deny(warnings, reason = "what the derive writes gives no warnings")]
    #![deny(unreachable_pub, private_interfaces, deprecated, dead_code)]

    use std::collections::HashMap;

    use tfplugin_schema::{Computed, Schema};

    const HUGE: u64 = 1 << 40;

    /// Seen here alone.
    #[derive(Clone, Debug, PartialEq, Schema)]
    struct Inner {
        /// A number.
        #[attribute(default = HUGE)]
        number: u64,
        /// Old.
        #[deprecated(note = "Use `number`.")]
        old: Option<bool>,
    }

    /// Seen outside.
    #[derive(Clone, Debug, PartialEq, Schema)]
    pub(crate) struct Outer {
        /// Not seen outside.
        inner: Inner,
        #[doc = concat!(" By", " name. ")]
        #[attribute(default = HashMap::from([("a".to_owned(), Inner { number: 1, old: None })]))]
        by_name: HashMap<String, Inner>,
        /// Perhaps computed.
        pub(crate) perhaps: Option<Computed<String>>,
    }

    /// Nothing at all.
    #[derive(Clone, Debug, PartialEq, Schema)]
    #[schema(deprecated = "Use something.")]
    pub(crate) struct Empty;
}

#[test]
fn what_is_private_stays_so_without_warnings() {
    use hidden::{Empty, Outer};
    let object = Outer::object();
    let AttributeKind::Nested(Nesting::Single, inner) = &attribute(&object, "inner").kind else {
        panic!("a struct is a single nested attribute");
    };
    assert_eq!(attribute(inner, "old").deprecation.as_deref(), Some("Use `number`."));
    assert_eq!(attribute(inner, "number").default, Some(Value::from(1u64 << 40)));
    let one = Value::map([("number", Value::from(1)), ("old", Value::Null)]);
    assert_eq!(attribute(&object, "by_name").description, "By name.");
    assert_eq!(attribute(&object, "by_name").default, Some(Value::map([("a", one.clone())])));
    assert_eq!(attribute(&object, "perhaps").presence, Presence::OptionalComputed);
    assert_eq!(Empty::object().deprecation.as_deref(), Some("Use something."));
    assert_eq!(Empty::write(&Empty), Value::map::<String>([]));
    let value =
        Value::map([("inner", one), ("by_name", Value::map::<String>([])), ("perhaps", Value::UNKNOWN)]);
    assert!(Outer::read(&value).unwrap().perhaps.unwrap().known().is_none());
}

/// Types with a spelling of their own.
#[derive(Clone, Debug, PartialEq, Schema, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub struct Spelled {
    /// A document.
    pub document: Json,
    /// A size.
    #[serde(rename = "bytes")]
    pub size: Size,
    /// Listeners by name.
    pub listeners: BTreeMap<String, Listener>,
}

#[test]
fn serde_and_hcl_see_the_same_struct() {
    let json = serde_json::json!({
        "document": {"a": [1, 2]},
        "bytes": "64MiB",
        "listeners": {"main": {"port": 80, "names": ["a"], "tls": {"certificate": "c", "min_version": "1.2"}}},
    });
    let from_serde: Spelled = serde_json::from_value(json.clone()).unwrap();
    let written = Spelled::write(&from_serde);
    assert_eq!(written.get("bytes"), &Value::from("64MiB"));
    assert_eq!(serde_json::to_value(Spelled::read(&written).unwrap()).unwrap(), json);
    let names: Vec<String> = Spelled::object().attributes.into_iter().map(|a| a.name).collect();
    assert_eq!(names, ["document", "bytes", "listeners"]);
}
