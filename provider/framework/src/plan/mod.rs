//! Planning without I/O: what a resource will be, given its configuration and what it was; and the checks
//! that Terraform core makes of what a provider answers, made first and said better.
//!
//! All of it works on untyped [`Value`]s and an [`ObjectSchema`], so nothing is compiled once per resource.
//! The rules are those of Terraform core's `objchange` package (`ProposedNew`, `AssertPlanValid`,
//! `AssertObjectCompatible`), written anew; every walk is near-linear in the size of the values.

mod applied;
mod at;
mod blame;
mod conform;
mod contest;
mod correlate;
mod defaults;
mod modify;
mod planned;
mod protect;
mod react;
mod replace;
mod resume;
mod rules;
mod sets;
mod spelling;
mod tree;
mod validate;

#[cfg(test)]
mod tests;

use tfplugin_schema::{Diagnostics, ObjectSchema, Path, Value};

pub use applied::{check_applied, check_final_plan, check_wholly_known};
pub use blame::Blame;
pub use conform::check_type;
pub use defaults::with_defaults;
pub use planned::{check_configured_kept, check_planned};
pub use protect::{check_protection, check_replacement_protection};
pub use replace::merge_replace;
pub use spelling::keep_spelling;
pub use validate::{Capabilities, validate};

/// What a plan is made of.
#[derive(Clone, Copy, Debug)]
pub struct PlanInput<'a> {
    /// The schema of the resource.
    pub schema: &'a ObjectSchema,
    /// What the configuration says. Null: destroy.
    pub config: &'a Value,
    /// What it is now. Null: create.
    pub prior: &'a Value,
    /// Whether the state comes from a create that did not finish and can be resumed: what it left null is
    /// planned as unknown, so that an update in place finishes it; if it left nothing null, something else is.
    pub pending: bool,
}

/// A plan.
#[derive(Clone, Debug, PartialEq)]
pub struct PlanOutput {
    /// What it will be. Null: nothing.
    pub planned: Value,
    /// What forces another object: sorted, each once, none inside an element of a set.
    pub requires_replace: Vec<Path>,
    /// What to tell.
    pub diagnostics: Diagnostics,
}

/// Plans a resource: defaults, prior spellings, computed values, modifiers, replacement, protection.
pub fn plan(input: PlanInput<'_>) -> PlanOutput {
    let PlanInput { schema, config, prior, pending } = input;
    let mut diagnostics = Diagnostics::new();
    let Value::Map(members) = config else {
        if config.is_null() {
            diagnostics.extend(check_protection(schema, prior));
        }
        return PlanOutput { planned: config.clone(), requires_replace: Vec::new(), diagnostics };
    };
    let creating = prior.is_null();
    let mut tree = tree::build(schema, members, prior.as_map(), pending && !creating);
    if !creating {
        react::react(&mut tree);
    }
    if modify::modify(&mut tree, creating, &mut diagnostics) && !creating {
        // What a modifier changed is a change for others too.
        react::react(&mut tree);
    }
    if pending && !creating {
        resume::resume(&mut tree);
    }
    let mut requires_replace = Vec::new();
    if !creating {
        requires_replace = replace::replacements(&tree, &mut diagnostics);
        diagnostics.extend(check_replacement_protection(schema, prior, &requires_replace));
    }
    PlanOutput { planned: tree.value(), requires_replace, diagnostics }
}
