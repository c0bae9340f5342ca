//! Deletion protection: while the attribute is true in the state, neither destroy nor replacement is planned.

use tfplugin_schema::{Diagnostics, ObjectSchema, Path, Role, Value};

/// The attribute that protects the object, if it does.
fn protected_by<'a>(schema: &'a ObjectSchema, prior: &Value) -> Option<&'a str> {
    let attribute = schema.attributes.iter().find(|a| a.role == Role::DeletionProtection)?;
    (prior.get(&attribute.name).as_bool() == Some(true)).then_some(attribute.name.as_str())
}

/// Refuses to destroy a protected object. To be asked in plan and in apply: a tainted object is destroyed
/// without a plan of its own.
pub fn check_protection(schema: &ObjectSchema, prior: &Value) -> Diagnostics {
    let mut diagnostics = Diagnostics::new();
    if let Some(name) = protected_by(schema, prior) {
        diagnostics.error_at(
            Path::attribute(name),
            "Protected from deletion",
            format!(
                "This resource cannot be destroyed while `{name}` is true in its state. To destroy it, set \
                 `{name} = false`, apply, and then destroy."
            ),
        );
    }
    diagnostics
}

/// Refuses to replace a protected object, and says what would have forced it.
pub fn check_replacement_protection(
    schema: &ObjectSchema,
    prior: &Value,
    requires_replace: &[Path],
) -> Diagnostics {
    let mut diagnostics = Diagnostics::new();
    if let (Some(name), Some(first)) = (protected_by(schema, prior), requires_replace.first()) {
        let forced: Vec<String> = requires_replace.iter().take(5).map(|path| format!("`{path}`")).collect();
        let more = if requires_replace.len() > forced.len() { ", …" } else { "" };
        let forced = forced.join(", ");
        diagnostics.error_at(
            first,
            "Protected from replacement",
            format!(
                "The change of {forced}{more} needs another object, and so the deletion of this one, which \
                 `{name}` in its state forbids. Either undo the change, or set `{name} = false`, apply that \
                 alone, and then make the change."
            ),
        );
    }
    diagnostics
}
