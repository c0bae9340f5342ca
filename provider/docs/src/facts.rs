//! What a schema knows of an attribute beyond type and description, in sentences: default, limits, what a change
//! does, and what must hold between attributes.

use std::collections::BTreeSet;

use tfplugin_schema::validate::{Rule, Validator};
use tfplugin_schema::{Attribute, ChangesWith, ObjectSchema, Presence, Replace, Role, Type, Value};

use crate::hcl;
use crate::markdown::{code, escape, join, names, sentence};

/// Where an attribute stands.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Place {
    /// In a managed resource: only there does a change mean anything.
    pub(crate) managed: bool,
    /// In something that the provider alone fills.
    pub(crate) read_only: bool,
}

/// Sentences about an attribute, then what takes lines of its own.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Facts {
    pub(crate) sentences: Vec<String>,
    pub(crate) blocks: Vec<String>,
}

/// All facts about an attribute.
pub(crate) fn of(attribute: &Attribute, place: Place) -> Facts {
    let mut facts = Facts::default();
    let configurable = attribute.presence.is_configurable() && !place.read_only;
    if let Some(message) = &attribute.deprecation {
        facts.sentences.push(deprecation(message));
    }
    if configurable {
        facts.sentences.extend(value_if_not_set(attribute));
    }
    for validator in &attribute.validators {
        facts.rule(&told(validator.as_ref(), &attribute.ty()), configurable);
    }
    if attribute.role == Role::DeletionProtection {
        let sentence = "While this is `true`, the resource is neither destroyed nor replaced.";
        facts.sentences.push(sentence.to_owned());
    }
    if place.managed {
        if configurable {
            facts.sentences.extend(change(attribute));
        }
        facts.sentences.extend(reaction(attribute));
        let modifiers = attribute.modifiers.iter().map(|modifier| modifier.describe());
        facts
            .sentences
            .extend(modifiers.map(|text| sentence(&escape(&text))).filter(|text| !text.is_empty()));
    }
    facts
}

/// Why not to use something.
pub(crate) fn deprecation(message: &str) -> String {
    format!("**Deprecated:** {}", sentence(message))
}

fn value_if_not_set(attribute: &Attribute) -> Option<String> {
    match &attribute.default {
        Some(_) if attribute.sensitive => Some("Has a default, which is not shown.".to_owned()),
        Some(Value::Null) => None,
        Some(value) => hcl::expression(value).map(|value| format!("Default: {}.", code(&value))),
        None if attribute.presence == Presence::OptionalComputed => {
            Some("Chosen by the provider if not set.".to_owned())
        }
        None => None,
    }
}

fn change(attribute: &Attribute) -> Option<String> {
    if let Some(message) = &attribute.fixed {
        return Some(format!("Can never be changed: {}", end(message)));
    }
    let sentence = match attribute.replace {
        Replace::Never => return None,
        Replace::Always => "Changing this replaces the resource.",
        Replace::IfConfigured => "Changing this in the configuration replaces the resource.",
        Replace::If(_) => "Some changes of this replace the resource.",
    };
    Some(sentence.to_owned())
}

fn reaction(attribute: &Attribute) -> Option<String> {
    match &attribute.changes_with {
        ChangesWith::Nothing => None,
        ChangesWith::Anything => Some("May change whenever the resource does.".to_owned()),
        ChangesWith::These(siblings) if siblings.is_empty() => None,
        ChangesWith::These(siblings) => Some(format!("May change with {}.", names(siblings, "or"))),
    }
}

/// Without a capital, with a full stop.
fn end(message: &str) -> String {
    let message = message.trim();
    if message.ends_with(['.', '!', '?']) { message.to_owned() } else { format!("{message}.") }
}

impl Facts {
    // The first line is the rule, the others (the values of an enum with their meanings) stand below it.
    fn rule(&mut self, text: &str, configurable: bool) {
        let (first, rest) = text.trim().split_once('\n').unwrap_or((text.trim(), ""));
        let first = if configurable { first.to_owned() } else { indicative(first) };
        let first = sentence(&escape(&first));
        if !first.is_empty() && !self.sentences.contains(&first) {
            self.sentences.push(first);
        }
        if !rest.trim().is_empty() {
            self.blocks.push(rest.trim_matches('\n').trim_end().to_owned());
        }
    }
}

/// A validator does not know of which type the value is; the attribute does.
fn told(validator: &dyn Validator, ty: &Type) -> String {
    let text = validator.describe();
    let unit = match ty {
        Type::String => "characters",
        Type::List(_) | Type::Set(_) | Type::Map(_) => "elements",
        _ => return text,
    };
    match text.strip_prefix("must have ").and_then(|rest| rest.strip_suffix(" characters or elements")) {
        Some(rest) => format!("must have {rest} {unit}"),
        None => text,
    }
}

/// What the configuration must obey is simply so where the provider gives the value.
fn indicative(must: &str) -> String {
    for (must_be, is) in [("must be ", "is "), ("must have ", "has "), ("must match ", "matches ")] {
        if let Some(rest) = must.strip_prefix(must_be) {
            return format!("{is}{rest}");
        }
    }
    must.to_owned()
}

/// What must hold between the attributes of an object, each once.
pub(crate) fn rules(object: &ObjectSchema) -> Vec<String> {
    let mut told = BTreeSet::new();
    let mut sentences = Vec::new();
    for rule in &object.rules {
        let sentence = rule_sentence(rule);
        // Two attributes that exclude each other often say so both.
        let key = match rule {
            Rule::Conflicts(names) => {
                let mut names = names.clone();
                names.sort();
                format!("conflicts {names:?}")
            }
            _ => sentence.clone(),
        };
        if told.insert(key) {
            sentences.push(sentence);
        }
    }
    sentences
}

fn rule_sentence(rule: &Rule) -> String {
    match rule {
        Rule::Conflicts(all) => match all.as_slice() {
            [one, other] => format!("{} conflicts with {}.", code(one), code(other)),
            _ => format!("At most one of {} can be set.", names(all, "and")),
        },
        Rule::AtLeastOneOf(all) => format!("At least one of {} must be set.", names(all, "and")),
        Rule::ExactlyOneOf(all) => format!("Exactly one of {} must be set.", names(all, "and")),
        Rule::RequiredTogether(all) => format!("{} are set together or not at all.", names(all, "and")),
        Rule::Requires(one, others) => format!("{} needs {} too.", code(one), names(others, "and")),
        Rule::RequiredWhen(one, other, values) => {
            let values: Vec<String> =
                values.iter().filter_map(hcl::expression).map(|value| code(&value)).collect();
            format!("{} is required when {} is {}.", code(one), code(other), join(&values, "or"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tfplugin_schema::validate::{length, one_of, range, regex};
    use tfplugin_schema::{AttributeChange, PlanModifier};

    const MANAGED: Place = Place { managed: true, read_only: false };

    fn said(attribute: impl std::borrow::Borrow<Attribute>) -> String {
        of(attribute.borrow(), MANAGED).sentences.join(" ")
    }

    #[test]
    fn a_default_is_told_as_hcl_and_a_secret_one_is_not() {
        let text = || Attribute::of::<String>("a");
        assert_eq!(said(text().default_value("a`*${b}")), "Default: ``\"a`*$${b}\"``.");
        assert_eq!(said(text().default_value("hunter2").sensitive()), "Has a default, which is not shown.");
        assert_eq!(said(text().optional().computed()), "Chosen by the provider if not set.");
        assert_eq!(said(text().optional()), "");
    }

    #[test]
    fn limits_are_told_without_becoming_markup() {
        let number = Attribute::of::<i64>("n").validate(range(1..=5i64));
        assert_eq!(said(&number), "Must be at least 1 and at most 5.");
        assert_eq!(said(number.computed()), "Is at least 1 and at most 5.");
        let pattern = Attribute::of::<String>("a").validate(regex("^[a-z*_]+$")).validate(length(..=3));
        assert_eq!(said(pattern), "Must match `^[a-z*_]+$`. Must have at most 3 characters.");
        let choice = Attribute::of::<String>("a").validate(one_of(["*", "b"]));
        assert_eq!(said(choice), "Must be \"\\*\" or \"b\".");
    }

    #[derive(Debug)]
    struct Lines;

    impl Validator for Lines {
        fn describe(&self) -> String {
            "must be `fast` or `slow`\n- `fast`: costs more.\n- `slow`: takes its time.".to_owned()
        }

        fn check(&self, _: &Value) -> Result<(), String> {
            Ok(())
        }
    }

    #[test]
    fn the_meanings_of_values_stand_below_the_rule() {
        let facts = of(&Attribute::of::<String>("a").validate(Lines), MANAGED);
        assert_eq!(facts.sentences, ["Must be `fast` or `slow`."]);
        assert_eq!(facts.blocks, ["- `fast`: costs more.\n- `slow`: takes its time."]);
    }

    struct Upper;

    impl PlanModifier for Upper {
        fn describe(&self) -> String {
            "is made upper case".to_owned()
        }

        fn modify(&self, _: &mut AttributeChange<'_>) {}
    }

    #[test]
    fn what_a_change_does_is_told_for_managed_resources_alone() {
        let text = || Attribute::of::<String>("a");
        assert_eq!(said(text().replace()), "Changing this replaces the resource.");
        assert_eq!(
            said(text().replace_if_configured()),
            "Changing this in the configuration replaces the resource."
        );
        assert_eq!(said(text().replace_if(|_, _| true)), "Some changes of this replace the resource.");
        assert_eq!(said(text().fixed("make a new one")), "Can never be changed: make a new one.");
        assert_eq!(said(text().computed().changes_with(["x", "y"])), "May change with `x` or `y`.");
        assert_eq!(said(text().computed().changes_with_anything()), "May change whenever the resource does.");
        assert_eq!(said(text().modify(Upper)), "Is made upper case.");
        assert_eq!(of(&text().replace().modify(Upper), Place::default()), Facts::default());
        let protection = Attribute::of::<bool>("p").deletion_protection().deprecate("Use `q`");
        assert_eq!(
            said(protection),
            "**Deprecated:** Use `q`. While this is `true`, the resource is neither destroyed nor replaced."
        );
    }

    #[test]
    fn rules_are_told_once_each() {
        let list = |all: &[&str]| all.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
        let object = ObjectSchema::default()
            .rule(Rule::Conflicts(list(&["a", "b"])))
            .rule(Rule::Conflicts(list(&["b", "a"])))
            .rule(Rule::Conflicts(list(&["a", "b", "c"])))
            .rule(Rule::AtLeastOneOf(list(&["a", "b"])))
            .rule(Rule::ExactlyOneOf(list(&["a", "b"])))
            .rule(Rule::RequiredTogether(list(&["a", "b"])))
            .rule(Rule::Requires("a".to_owned(), list(&["b", "c"])))
            .rule(Rule::RequiredWhen("a".to_owned(), "b".to_owned(), vec!["x".into(), 2.into()]));
        assert_eq!(
            rules(&object),
            [
                "`a` conflicts with `b`.",
                "At most one of `a`, `b` and `c` can be set.",
                "At least one of `a` and `b` must be set.",
                "Exactly one of `a` and `b` must be set.",
                "`a` and `b` are set together or not at all.",
                "`a` needs `b` and `c` too.",
                "`a` is required when `b` is `\"x\"` or `2`.",
            ]
        );
    }
}
