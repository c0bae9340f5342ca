//! What holds for every schema, configuration and provider.

use proptest::collection::vec;
use proptest::prelude::*;

use super::super::{Blame, check_applied, check_final_plan, check_planned, check_type, check_wholly_known};
use super::random::Dice;
use super::*;

const BLAME: Blame<'static> = Blame { provider: "test", issues: "" };

fn plan_it(schema: &ObjectSchema, prior: &Value, config: &Value) -> Result<PlanOutput, TestCaseError> {
    let output = plan(PlanInput { schema, config, prior, pending: false });
    prop_assert!(output.diagnostics.is_empty(), "{:?}", output.diagnostics);
    let problems = check_planned(schema, prior, config, &output.planned, &BLAME);
    prop_assert!(problems.is_empty(), "core would refuse the plan {:?}: {problems:?}", output.planned);
    let problems = check_type(schema, &output.planned, &BLAME);
    prop_assert!(problems.is_empty(), "{problems:?}");
    Ok(output)
}

/// Plans with what is known, plans again when all is known, and applies. None where the provider that the
/// dice play would have made elements of a set equal.
fn apply(
    schema: &ObjectSchema,
    prior: &Value,
    config: &Value,
    dice: &mut Dice<'_>,
) -> Result<Option<(Value, Value)>, TestCaseError> {
    let first = plan_it(schema, prior, config)?.planned;
    let Some(config) = dice.complete(schema, config, false) else { return Ok(None) };
    let second = plan_it(schema, prior, &config)?.planned;
    let problems = check_final_plan(schema, &first, &second, &BLAME);
    prop_assert!(problems.is_empty(), "{first:?}\nthen {second:?}\n{problems:?}");
    let Some(state) = dice.complete(schema, &second, true) else { return Ok(None) };
    prop_assert!(check_wholly_known(schema, &state, &BLAME).is_empty());
    for planned in [&first, &second] {
        let problems = check_applied(schema, planned, &state, &BLAME);
        prop_assert!(problems.is_empty(), "{planned:?}\nthen {state:?}\n{problems:?}");
    }
    Ok(Some((config, state)))
}

fn no_change(schema: &ObjectSchema, state: &Value, config: &Value) -> Result<(), TestCaseError> {
    let again = plan_it(schema, state, config)?;
    prop_assert_eq!(&again.planned, state);
    prop_assert!(again.requires_replace.is_empty(), "{:?}", again.requires_replace);
    Ok(())
}

/// Nulls what is unknown.
fn forget(value: &mut Value) {
    match value {
        Value::Unknown(_) => *value = NULL,
        Value::Map(members) => members.values_mut().for_each(forget),
        Value::List(elements) => elements.iter_mut().for_each(forget),
        Value::Set(set) => {
            let mut elements = std::mem::take(set).into_vec();
            elements.iter_mut().for_each(forget);
            *set = elements.into_iter().collect();
        }
        _ => {}
    }
}

proptest! {
    // PROPTEST_CASES=100000 searches longer.
    #![proptest_config(ProptestConfig { cases: 10 * ProptestConfig::default().cases, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn plans_are_valid_results_fit_them_and_a_second_plan_is_empty(
        shape in vec(any::<u8>(), 0..60),
        first in vec(any::<u8>(), 0..120),
        second in vec(any::<u8>(), 0..120),
    ) {
        let schema = Dice(&shape).schema(2);
        let mut dice = Dice(&first);
        let config = dice.config(&schema, true);
        let Some((config, state)) = apply(&schema, &NULL, &config, &mut dice)? else { return Ok(()) };
        no_change(&schema, &state, &config)?;

        let mut dice = Dice(&second);
        let config = dice.config(&schema, true);
        let Some((config, state)) = apply(&schema, &state, &config, &mut dice)? else { return Ok(()) };
        no_change(&schema, &state, &config)?;
    }

    #[test]
    fn a_plan_made_twice_is_the_same(
        shape in vec(any::<u8>(), 0..60),
        bytes in vec(any::<u8>(), 0..160),
    ) {
        let schema = Dice(&shape).schema(2);
        let mut dice = Dice(&bytes);
        let before = dice.config(&schema, false);
        let config = dice.config(&schema, true);
        prop_assert_eq!(plan_it(&schema, &before, &config)?, plan_it(&schema, &before, &config)?);
    }

    #[test]
    fn an_unfinished_create_is_continued_by_a_valid_plan(
        shape in vec(any::<u8>(), 0..60),
        bytes in vec(any::<u8>(), 0..160),
    ) {
        let schema = Dice(&shape).schema(2);
        let mut dice = Dice(&bytes);
        let config = dice.config(&schema, false);
        // What the create left: everything configured, nothing computed.
        let mut prior = plan_it(&schema, &NULL, &config)?.planned;
        forget(&mut prior);
        let output = plan(PlanInput { schema: &schema, config: &config, prior: &prior, pending: true });
        prop_assert!(check_planned(&schema, &prior, &config, &output.planned, &BLAME).is_empty());
        let Some(state) = dice.complete(&schema, &output.planned, true) else { return Ok(()) };
        prop_assert!(check_applied(&schema, &output.planned, &state, &BLAME).is_empty());
        no_change(&schema, &state, &config)?;
    }

    #[test]
    fn unknown_elements_of_a_set_fit_any_completion(
        bytes in vec(any::<u8>(), 0..60),
        count in 1usize..20,
    ) {
        let element = schema([required("name"), computed("id")]);
        let schema = schema([Attribute::nested("set", tfplugin_schema::Nesting::Set, element)]);
        let unknown = || obj([("name", UNKNOWN), ("id", NULL)]);
        let config = obj([("set", Value::set((0..count).map(|_| unknown())))]);
        let planned = plan_it(&schema, &NULL, &config)?.planned;
        prop_assert_eq!(planned.get("set").as_elements().map(<[Value]>::len), Some(count));
        let completed = Dice(&bytes).complete(&schema, &planned, true);
        if let Some(state) = completed {
            prop_assert!(check_applied(&schema, &planned, &state, &BLAME).is_empty());
        }
        let one = obj([("set", set([obj([("name", v("a")), ("id", v("i"))])]))]);
        prop_assert!(check_applied(&schema, &planned, &one, &BLAME).is_empty(), "unknown elements may turn out equal");
    }
}
