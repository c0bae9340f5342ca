//! Big sets take time near-linear in their size: quadratic would be minutes here.

use std::time::{Duration, Instant};

use tfplugin_schema::{Attribute, Nesting, ObjectSchema, Type};

use super::super::{
    Blame, Capabilities, check_applied, check_final_plan, check_planned, check_type, check_wholly_known,
    keep_spelling, validate,
};
use super::*;

const ELEMENTS: usize = if cfg!(debug_assertions) { 1_000 } else { 10_000 };
const BLAME: Blame<'static> = Blame { provider: "test", issues: "" };

fn big_set() -> ObjectSchema {
    fn same(a: &Value, b: &Value) -> bool {
        a == b
    }
    let element = schema([
        required("name").same_if(same),
        optional("zone").computed(),
        optional("kind").default_value("ssd"),
        Attribute::plain("tags", Type::list(Type::String)).optional(),
        computed("id"),
        computed("address").changes_with(["name"]),
    ]);
    schema([
        Attribute::nested("rules", Nesting::Set, element).optional(),
        computed("updated").changes_with_anything(),
    ])
}

fn element(index: usize) -> Value {
    obj([("name", v(format!("rule-{index}"))), ("tags", list([v("a"), v("b")]))])
}

fn state(planned: &Value) -> Value {
    let Value::Map(members) = planned else { panic!("an object") };
    let elements =
        members["rules"].as_elements().expect("a set").iter().enumerate().map(|(index, element)| {
            let Value::Map(mut members) = element.clone() else { panic!("an object") };
            for name in ["id", "address", "zone"] {
                if members[name].is_unknown() {
                    members.insert(name.to_owned(), v(format!("{name}-{index}")));
                }
            }
            Value::Map(members)
        });
    obj([("rules", Value::set(elements)), ("updated", v("now"))])
}

#[test]
fn a_set_of_thousands_of_objects_is_planned_and_checked_in_no_time() {
    let schema = big_set();
    let config =
        |range: std::ops::Range<usize>| fill(&schema, &obj([("rules", Value::set(range.map(element)))]));
    let start = Instant::now();
    let lap = |what: &str| eprintln!("{what}: {:?}", start.elapsed());

    let first = config(0..ELEMENTS);
    lap("made");
    assert!(validate(&schema, &first, &Capabilities { write_only_allowed: true }).is_empty());
    lap("validated");
    let created = planned(&schema, NULL, first.clone());
    lap("create planned");
    assert!(check_planned(&schema, &NULL, &first, &created, &BLAME).is_empty());
    let mut state = state(&created);
    lap("create checked");
    assert!(check_type(&schema, &state, &BLAME).is_empty());
    assert!(check_wholly_known(&schema, &state, &BLAME).is_empty());
    keep_spelling(&schema, &created, &mut state);
    assert!(check_applied(&schema, &created, &state, &BLAME).is_empty());
    lap("result checked");
    assert_eq!(planned(&schema, state.clone(), first), state);
    lap("nothing planned");

    // A tenth goes, a tenth comes.
    let second = config(ELEMENTS / 10..ELEMENTS + ELEMENTS / 10);
    let updated = planned(&schema, state.clone(), second.clone());
    lap("update planned");
    assert!(check_planned(&schema, &state, &second, &updated, &BLAME).is_empty());
    assert!(check_final_plan(&schema, &updated, &updated, &BLAME).is_empty());
    let elements = updated.get("rules").as_elements().expect("a set");
    let new = elements.iter().filter(|element| element.get("id").is_unknown()).count();
    assert_eq!(new, ELEMENTS / 10);
    lap("update checked");

    // Of all there is nothing known: the worst that a set can be.
    let unknown = Value::set(
        (0..ELEMENTS).map(|_| fill(&schema, &obj([("rules", NULL)])).get("rules").clone()).map(|_| {
            obj([
                ("name", UNKNOWN),
                ("zone", NULL),
                ("kind", NULL),
                ("tags", NULL),
                ("id", NULL),
                ("address", NULL),
            ])
        }),
    );
    let open = planned(&schema, state.clone(), obj([("rules", unknown), ("updated", NULL)]));
    assert!(
        check_applied(
            &schema,
            &open,
            &{
                let mut state = state.clone();
                if let Value::Map(members) = &mut state {
                    let rules = members["rules"].as_elements().expect("a set").iter().map(|element| {
                        let Value::Map(mut members) = element.clone() else { panic!("an object") };
                        members.insert("tags".to_owned(), NULL);
                        Value::Map(members)
                    });
                    members.insert("rules".to_owned(), Value::set(rules));
                }
                state
            },
            &BLAME
        )
        .is_empty()
    );
    lap("unknown planned and checked");

    let limit = Duration::from_secs(if cfg!(debug_assertions) { 20 } else { 2 });
    assert!(start.elapsed() < limit, "{:?}", start.elapsed());
}
