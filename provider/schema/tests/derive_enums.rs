//! What `#[derive(Schema)]` writes for enums: strings of a few names, and unions.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use tfplugin_schema::validate::Rule;
use tfplugin_schema::{AttributeKind, Field, Maybe, Members, Nesting, Path, Presence, Schema, Type, Value};

/// What goes when memory is full.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Schema, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Eviction {
    /// What was read longest ago.
    LeastRecent,
    /// What is read least often.
    ///
    /// Costs more memory.
    #[serde(rename = "lfu")]
    LeastFrequent,
    /// Nothing: writes fail.
    #[attribute(name = "never-2")]
    #[serde(rename = "never-2")]
    Never,
}

/// A file.
#[derive(Clone, Debug, PartialEq, Schema, Serialize, Deserialize)]
pub struct FileSource {
    /// Where it is.
    pub path: String,
}

/// Where the data comes from.
#[derive(Clone, Debug, PartialEq, Schema, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Source {
    /// A file of this machine.
    File(FileSource),
    /// The text itself.
    #[attribute(sensitive, validate(length = 1..))]
    Inline(String),
    /// An object in a bucket.
    ObjectStore {
        /// The bucket.
        bucket: String,
        /// The key; the whole bucket without.
        key: Option<String>,
    },
    /// Nothing.
    Nothing,
}

/// A cache.
#[derive(Clone, Debug, PartialEq, Schema, Serialize, Deserialize)]
pub struct Cache {
    /// What goes.
    #[attribute(default = Eviction::LeastFrequent)]
    pub eviction: Eviction,
    /// First source.
    #[attribute(required_when(eviction = [Eviction::Never, Eviction::LeastRecent]))]
    pub source: Option<Source>,
    /// More sources.
    pub more: Vec<Source>,
    /// By name.
    pub named: BTreeMap<String, Eviction>,
}

/// The choice is among the attributes themselves.
#[derive(Clone, Debug, PartialEq, Schema)]
pub struct Flat {
    /// A name.
    pub name: String,
    /// The source.
    #[attribute(flatten)]
    pub source: Source,
}

fn inline(text: &str) -> Value {
    let mut members = Members::new();
    Source::write_members(&Source::Inline(text.into()), &mut members);
    Value::Map(members)
}

#[test]
fn an_enum_without_data_is_a_string_that_lists_its_names() {
    assert_eq!(Eviction::shape().ty(), Type::String);
    let validator = &Eviction::shape().validators[0];
    assert_eq!(
        validator.describe(),
        "must be one of:\n\n* `\"least_recent\"`: What was read longest ago.\n* `\"lfu\"`: What is read least \
         often.\n  \n  Costs more memory.\n* `\"never-2\"`: Nothing: writes fail."
    );
    let refused = validator.check(&"lsu".into()).unwrap_err();
    assert_eq!(refused, "must be \"least_recent\", \"lfu\" or \"never-2\" (did you mean \"lfu\"?)");
    assert_eq!(Eviction::read(&"lsu".into()).unwrap_err().message(), refused);
    for eviction in [Eviction::LeastRecent, Eviction::LeastFrequent, Eviction::Never] {
        assert!(validator.check(&eviction.as_str().into()).is_ok());
        assert_eq!(Eviction::read(&Eviction::write(&eviction)).unwrap(), eviction);
        assert_eq!(serde_json::to_value(eviction).unwrap(), serde_json::json!(eviction.as_str()));
    }
    assert_eq!(Eviction::view(&Value::UNKNOWN).unwrap(), Maybe::Unknown);
    assert_eq!(Eviction::view(&Value::Null).unwrap(), Maybe::Null);
    assert_eq!(Eviction::view(&"lfu".into()).unwrap(), Maybe::Known(Eviction::LeastFrequent));
}

#[test]
fn elements_of_a_collection_are_judged_as_the_enum_is() {
    let named = &Cache::object().find("named").unwrap().validators[0].clone();
    assert!(named.check(&Value::map([("a", Value::from("lfu"))])).is_ok());
    let refused = named.check(&Value::map([("a", Value::from("lru"))])).unwrap_err();
    assert!(refused.starts_with("has \"a\", which must be \"least_recent\""), "{refused}");
    assert!(named.describe().starts_with("each element must be one of:\n\n* `"));
}

#[test]
fn the_values_of_enums_are_defaults_and_conditions() {
    let object = Cache::object();
    assert_eq!(object.find("eviction").unwrap().default, Some("lfu".into()));
    let values = vec!["never-2".into(), "least_recent".into()];
    assert_eq!(object.rules, [Rule::RequiredWhen("source".into(), "eviction".into(), values)]);
}

#[test]
fn an_enum_with_data_is_an_object_of_which_one_attribute_is_set() {
    let object = Source::object();
    let names: Vec<&str> = object.attributes.iter().map(|a| a.name.as_str()).collect();
    assert_eq!(names, ["file", "inline", "object_store", "nothing"]);
    assert!(object.attributes.iter().all(|a| a.presence == Presence::Optional));
    assert!(object.find("inline").unwrap().sensitive);
    assert_eq!(object.find("inline").unwrap().validators.len(), 1);
    let all = names.iter().map(|name| (*name).to_owned()).collect();
    assert_eq!(object.rules, [Rule::ExactlyOneOf(all)]);
    assert_eq!(object.find("nothing").unwrap().ty().to_string(), "object({})");
    let store = object.find("object_store").unwrap();
    assert_eq!(store.ty().to_string(), "object({ bucket = string, key = string })");
    assert_eq!(store.description, "An object in a bucket.");
    assert!(matches!(&Cache::object().find("more").unwrap().kind, AttributeKind::Nested(Nesting::List, _)));
}

#[test]
fn every_variant_is_read_as_it_was_written() {
    let store = |key: Option<&str>| Source::ObjectStore { bucket: "b".into(), key: key.map(Into::into) };
    for source in [
        Source::File(FileSource { path: "/a".into() }),
        Source::Inline("text".into()),
        store(None),
        store(Some("k")),
        Source::Nothing,
    ] {
        assert_eq!(Source::read(&Source::write(&source)).unwrap(), source);
    }
    let file = Value::map([("path", Value::from("/a"))]);
    let expected = Value::map([
        ("file", file),
        ("inline", Value::Null),
        ("object_store", Value::Null),
        ("nothing", Value::Null),
    ]);
    assert_eq!(Source::write(&Source::File(FileSource { path: "/a".into() })), expected);
}

#[test]
fn serde_writes_the_variant_that_hcl_sets() {
    let json = serde_json::json!({
        "eviction": "lfu",
        "source": {"object_store": {"bucket": "b", "key": null}},
        "more": [{"inline": "x"}, {"file": {"path": "/p"}}],
        "named": {"a": "never-2"},
    });
    let cache: Cache = serde_json::from_value(json.clone()).unwrap();
    let value = Cache::write(&cache);
    assert_eq!(value.get("source").get("object_store").get("bucket"), &Value::from("b"));
    assert_eq!(value.get("named").get("a"), &Value::from("never-2"));
    assert_eq!(serde_json::to_value(Cache::read(&value).unwrap()).unwrap(), json);
}

#[test]
fn a_view_is_undecided_until_it_is_known_which_variant_is_set() {
    let mut members = Members::new();
    let view = |members: &Members| Source::view_members(members).unwrap();
    assert!(matches!(view(&members), SourceView::Undecided));
    members.insert("file".into(), Value::UNKNOWN);
    assert!(matches!(view(&members), SourceView::Undecided));
    assert_eq!(
        Source::read_members(&members).unwrap_err().message(),
        "which variant it is must be known, but `file` is unknown"
    );
    members.insert("file".into(), Value::map([("path", Value::UNKNOWN)]));
    match view(&members) {
        SourceView::File(Maybe::Known(file)) => assert!(file.path.is_unknown()),
        _ => panic!("the variant is decided, its path is not"),
    }
    members.insert("inline".into(), "x".into());
    assert!(matches!(view(&members), SourceView::Undecided));
    let error = Source::read_members(&members).unwrap_err();
    assert_eq!(error.message(), "only one may be set, not `file`, `inline`");
}

#[test]
fn a_flattened_union_puts_its_variants_among_the_attributes() {
    let object = Flat::object();
    assert!(object.find("inline").is_some() && object.find("name").is_some());
    assert_eq!(object.rules.len(), 1);
    let flat = Flat { name: "n".into(), source: Source::Inline("x".into()) };
    let written = Flat::write(&flat);
    assert_eq!(written.get("inline"), &Value::from("x"));
    assert_eq!(Flat::read(&written).unwrap(), flat);
}

#[test]
fn paths_lead_into_variants_and_errors_come_out_of_them() {
    let path: Path = Cache::more().at(2).object_store().bucket().into();
    assert_eq!(path.to_string(), "more[2].object_store.bucket");
    let path: Path = Flat::source().inline().into();
    assert_eq!(path.to_string(), "inline");
    let mut broken = inline("x");
    *broken.at_mut(&Path::attribute("inline")).unwrap() = Value::from(7);
    let cache = Value::map([
        ("eviction", Value::from("lfu")),
        ("source", Value::Null),
        ("more", Value::list([inline("y"), broken])),
        ("named", Value::map::<String>([])),
    ]);
    assert_eq!(
        Cache::read(&cache).unwrap_err().to_string(),
        "more[1].inline: must be a string, not a number"
    );
}
