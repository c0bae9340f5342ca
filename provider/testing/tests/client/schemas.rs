//! A schema that core would not load is refused, with the attribute and the reason.

use bytes::Bytes;
use tfplugin_framework::proto::tfplugin6 as pb;
use tfplugin_framework::schema::Type;
use tfplugin_testing::client::{Client, Failure, Rule};
use tfplugin_testing::coverage;

use crate::puppet::{Puppet, attribute, block, nested, schema_of};

async fn faults(block: pb::schema::Block) -> Vec<String> {
    let puppet = Puppet { schema: schema_of(block), ..Puppet::default() };
    match Client::new(puppet).await {
        Ok(_) => Vec::new(),
        Err(failure) => {
            assert!(failure.violations().iter().all(|one| one.rule == Rule::InvalidSchema), "{failure}");
            failure.violations().iter().map(|one| one.message.clone()).collect()
        }
    }
}

#[tokio::test]
async fn every_rule_of_a_valid_schema_fires() -> Result<(), Failure> {
    let text = || Type::String;
    let both = pb::schema::Attribute { r#type: Bytes::from("\"string\""), ..nested("both", 1, vec![]) };
    let neither = pb::schema::Attribute { r#type: Bytes::new(), ..attribute("neither", text(), "o") };
    let counted = |nesting, min_items, max_items| pb::schema::NestedBlock {
        min_items,
        max_items,
        ..block("counted", nesting, vec![])
    };
    let deprecated =
        pb::schema::Attribute { deprecation_message: "old".into(), ..attribute("silent", text(), "o") };
    let attributes = vec![
        (attribute("Upper", text(), "o"), "lower case"),
        (attribute("lost", text(), ""), "neither required nor optional nor computed"),
        (attribute("torn", text(), "ro"), "required together"),
        (attribute("torn", text(), "rc"), "required together"),
        (attribute("blind", text(), "owc"), "write-only together with computed"),
        (attribute("odd", Type::set(Type::Dynamic), "o"), "a dynamic type in a set"),
        (nested("odd", 3, vec![attribute("any", Type::Dynamic, "o")]), "a dynamic type in a set"),
        (nested("odd", 3, vec![attribute("secret", text(), "ow")]), "a write-only attribute in a set"),
        (nested("modeless", 0, vec![]), "no nesting mode"),
        (both, "both set"),
        (neither, "neither type nor nested_type"),
        (deprecated, "without being deprecated"),
        (nested("deep", 2, vec![attribute("lost", text(), "")]), "deep.lost"),
    ];
    for (attribute, says) in attributes {
        let attributes = vec![attribute.clone()];
        let found = faults(pb::schema::Block { attributes, ..Default::default() }).await;
        assert!(found.iter().any(|fault| fault.contains(says)), "{says:?} is missing in {found:?}");
    }
    for (nesting, min, max) in [(1, 0, 1), (1, 2, 2), (4, 1, 1), (5, 0, 1), (2, 3, 2), (3, -1, 0)] {
        let block_types = vec![counted(nesting, min, max)];
        let found = faults(pb::schema::Block { block_types, ..Default::default() }).await;
        assert!(found.iter().any(|fault| fault.contains("min_items")), "{nesting} {min} {max}: {found:?}");
    }
    let twice = pb::schema::Block {
        attributes: vec![attribute("a", text(), "o"), attribute("a", text(), "o")],
        block_types: vec![block("a", 2, vec![])],
        ..Default::default()
    };
    assert_eq!(faults(twice).await, ["a: the name is there twice", "a: the name is there twice"]);
    assert!(faults(pb::schema::Block::default()).await.is_empty());
    coverage!("GetProviderSchema", "core's rules of a valid schema fire");
    Ok(())
}
