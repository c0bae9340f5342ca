//! What an object is made of: attributes and nested blocks with all that is known about each: type, whether
//! it must be given, default, validation, and how it changes. The derive writes these; so can you:
//!
//! ```
//! use tfplugin_schema::{Attribute, ObjectSchema, validate::length};
//!
//! let cache = ObjectSchema::new("A cache for playback tokens.")
//!     .attribute(Attribute::of::<String>("name").describe("Unique in the site.").replace().validate(length(1..=63)))
//!     .attribute(Attribute::of::<u64>("max_memory").describe("Memory ceiling in bytes.").default_value(1u64 << 30));
//! assert_eq!(cache.ty().to_string(), "object({ max_memory = number, name = string })");
//! ```

use std::fmt;
use std::sync::Arc;

use crate::validate::Validator;
use crate::{Diagnostics, Field, ObjectSchema, Path, Type, Value};

/// One attribute.
#[derive(Clone)]
pub struct Attribute {
    /// Its name in HCL: lower case, digits, underscores.
    pub name: String,
    /// Its type, or the attributes nested in it.
    pub kind: AttributeKind,
    /// Who gives it a value.
    pub presence: Presence,
    /// Whether the command line hides it.
    pub sensitive: bool,
    /// Whether it is in the configuration alone, never in plan or state (Terraform 1.11).
    pub write_only: bool,
    /// What it is, in Markdown; the unit, the default and the limits too.
    pub description: String,
    /// Why it should not be used any more, and what to use instead.
    pub deprecation: Option<String>,
    /// What it is when the configuration does not say.
    pub default: Option<Value>,
    /// Whether another value needs another object.
    pub replace: Replace,
    /// When a computed attribute becomes "(known after apply)" in an update.
    pub changes_with: ChangesWith,
    /// Set where the value must never change: what to tell whoever tries.
    pub fixed: Option<String>,
    /// Each must accept the value.
    pub validators: Vec<Arc<dyn Validator>>,
    /// Further planning of this attribute, after everything above.
    pub modifiers: Vec<Arc<dyn PlanModifier>>,
    /// Whether two known values of this attribute mean the same, however spelled. The prior spelling is kept.
    pub same: Option<fn(&Value, &Value) -> bool>,
    /// What the framework itself uses it for.
    pub role: Role,
}

/// Type or nested attributes.
#[derive(Clone, Debug)]
pub enum AttributeKind {
    /// A value of a type.
    Plain(Type),
    /// Objects with attributes of their own.
    Nested(Nesting, Arc<ObjectSchema>),
}

/// How nested objects are held.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Nesting {
    /// One object.
    Single,
    /// Objects in order.
    List,
    /// Objects in no order, each once. Slow in Terraform itself beyond some hundred elements: prefer maps.
    Set,
    /// Objects by name.
    Map,
}

/// Who gives an attribute its value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Presence {
    /// The configuration must.
    Required,
    /// The configuration may; null else.
    Optional,
    /// The provider does.
    Computed,
    /// The configuration may; else the provider does.
    OptionalComputed,
}

impl Presence {
    /// Whether the configuration may set it.
    pub fn is_configurable(self) -> bool {
        self != Presence::Computed
    }

    /// Whether the provider may choose the value.
    pub fn is_computed(self) -> bool {
        matches!(self, Presence::Computed | Presence::OptionalComputed)
    }
}

/// Whether a changed attribute needs another object.
#[derive(Clone, Default)]
pub enum Replace {
    /// No: updated in place.
    #[default]
    Never,
    /// Yes.
    Always,
    /// Yes, if the configuration itself says the new value.
    IfConfigured,
    /// If the function says so, of the prior and the planned value (which may be unknown).
    If(fn(&Value, &Value) -> bool),
}

impl fmt::Debug for Replace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Replace::Never => "Never",
            Replace::Always => "Always",
            Replace::IfConfigured => "IfConfigured",
            Replace::If(_) => "If(..)",
        })
    }
}

/// When a computed attribute becomes unknown in an update; otherwise it keeps its prior value.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum ChangesWith {
    /// Never.
    #[default]
    Nothing,
    /// Whenever anything changes in the resource.
    Anything,
    /// When one of these siblings (or something in it) changes.
    These(Vec<String>),
}

/// What the framework itself uses an attribute for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Role {
    /// Nothing.
    #[default]
    None,
    /// While it is true in the state, destroying and replacing are refused.
    DeletionProtection,
    /// The deadlines of the operations ([`Timeouts`](crate::Timeouts)).
    Timeouts,
}

/// Planning of one attribute beyond what the flags of [`Attribute`] say. Runs after them; containers before
/// what they contain.
pub trait PlanModifier: Send + Sync {
    /// One line for the documentation.
    fn describe(&self) -> String;

    /// Changes the planned value, asks for replacement, or warns. Only a value that the configuration leaves
    /// null and that is computed may be changed; Terraform refuses all else.
    fn modify(&self, change: &mut AttributeChange<'_>);
}

/// One attribute while it is planned.
pub struct AttributeChange<'a> {
    /// Where it is.
    pub path: &'a Path,
    /// What the configuration says.
    pub config: &'a Value,
    /// What it was. Null in a create.
    pub prior: &'a Value,
    /// What it will be.
    pub planned: &'a mut Value,
    /// Whether that needs another object.
    pub replace: &'a mut bool,
    /// Whether the object is being created.
    pub creating: bool,
    /// What to tell.
    pub diagnostics: &'a mut Diagnostics,
}

/// What a Rust type says about the attribute that it stands for.
#[derive(Clone, Debug)]
pub struct Shape {
    /// Its type, or the attributes nested in it.
    pub kind: AttributeKind,
    /// Who gives it a value, unless the attribute says otherwise.
    pub presence: Presence,
    /// Whether two known values mean the same, where that is more than equality.
    pub same: Option<fn(&Value, &Value) -> bool>,
    /// What the type itself demands of its values (an enum: its names).
    pub validators: Vec<Arc<dyn Validator>>,
    /// What the framework itself uses it for.
    pub role: Role,
}

impl Shape {
    /// A required attribute of a type.
    pub fn plain(ty: Type) -> Shape {
        Shape {
            kind: AttributeKind::Plain(ty),
            presence: Presence::Required,
            same: None,
            validators: Vec::new(),
            role: Role::None,
        }
    }

    /// A required attribute with nested attributes.
    pub fn nested(nesting: Nesting, object: ObjectSchema) -> Shape {
        Shape { kind: AttributeKind::Nested(nesting, Arc::new(object)), ..Shape::plain(Type::Dynamic) }
    }

    /// The type of the value.
    pub fn ty(&self) -> Type {
        self.kind.ty()
    }
}

impl AttributeKind {
    /// The type of the value.
    pub fn ty(&self) -> Type {
        match self {
            AttributeKind::Plain(ty) => ty.clone(),
            AttributeKind::Nested(nesting, object) => {
                let ty = object.ty();
                match nesting {
                    Nesting::Single => ty,
                    Nesting::List => Type::list(ty),
                    Nesting::Set => Type::set(ty),
                    Nesting::Map => Type::map(ty),
                }
            }
        }
    }
}

impl Attribute {
    /// An attribute whose shape comes from a Rust type: the typed way to declare one by hand.
    pub fn of<T: Field>(name: impl Into<String>) -> Attribute {
        Attribute::named(name).shaped(T::shape())
    }

    /// A required attribute of a type: for schemas that are only known at run time.
    pub fn plain(name: impl Into<String>, ty: Type) -> Attribute {
        Attribute::named(name).shaped(Shape::plain(ty))
    }

    /// A required attribute with nested attributes: for schemas that are only known at run time.
    pub fn nested(name: impl Into<String>, nesting: Nesting, object: ObjectSchema) -> Attribute {
        Attribute::named(name).shaped(Shape::nested(nesting, object))
    }

    /// An attribute that has no shape yet.
    #[doc(hidden)]
    pub fn named(name: impl Into<String>) -> Attribute {
        Attribute {
            name: name.into(),
            kind: AttributeKind::Plain(Type::Dynamic),
            presence: Presence::Required,
            sensitive: false,
            write_only: false,
            description: String::new(),
            deprecation: None,
            default: None,
            replace: Replace::Never,
            changes_with: ChangesWith::Nothing,
            fixed: None,
            validators: Vec::new(),
            modifiers: Vec::new(),
            same: None,
            role: Role::None,
        }
    }

    /// Gives the shape of a Rust type; what was said before about presence stays.
    #[doc(hidden)]
    #[must_use]
    pub fn shaped(mut self, shape: Shape) -> Attribute {
        self.kind = shape.kind;
        self.presence = match (self.presence, shape.presence) {
            // A default was given before: the provider chooses where the configuration does not.
            (Presence::OptionalComputed, _) => Presence::OptionalComputed,
            (Presence::Optional, Presence::Computed) => Presence::OptionalComputed,
            (Presence::Optional, _) => Presence::Optional,
            (Presence::Computed, _) => Presence::Computed,
            (Presence::Required, presence) => presence,
        };
        self.same = shape.same;
        self.validators.splice(0..0, shape.validators);
        self.role = if self.role == Role::None { shape.role } else { self.role };
        self
    }

    /// What it is, in Markdown.
    #[must_use]
    pub fn describe(mut self, description: impl Into<String>) -> Attribute {
        self.description = description.into();
        self
    }

    /// Why not to use it any more, and what to use instead.
    #[must_use]
    pub fn deprecate(mut self, message: impl Into<String>) -> Attribute {
        self.deprecation = Some(message.into());
        self
    }

    /// The configuration may set it: null else, or what the provider computes if it is computed too.
    #[must_use]
    pub fn optional(mut self) -> Attribute {
        self.presence =
            if self.presence.is_computed() { Presence::OptionalComputed } else { Presence::Optional };
        self
    }

    /// The provider gives the value; the configuration too, if it was optional.
    #[must_use]
    pub fn computed(mut self) -> Attribute {
        self.presence =
            if self.presence == Presence::Optional { Presence::OptionalComputed } else { Presence::Computed };
        self
    }

    /// The command line hides it.
    #[must_use]
    pub fn sensitive(mut self) -> Attribute {
        self.sensitive = true;
        self
    }

    /// In the configuration alone, never in plan or state.
    #[must_use]
    pub fn write_only(mut self) -> Attribute {
        self.write_only = true;
        self
    }

    /// What it is when the configuration does not say. Makes it optional.
    #[must_use]
    pub fn default_value(mut self, value: impl Into<Value>) -> Attribute {
        self.default = Some(value.into());
        self.presence = Presence::OptionalComputed;
        self
    }

    /// Another value needs another object.
    #[must_use]
    pub fn replace(mut self) -> Attribute {
        self.replace = Replace::Always;
        self
    }

    /// Another value in the configuration needs another object.
    #[must_use]
    pub fn replace_if_configured(mut self) -> Attribute {
        self.replace = Replace::IfConfigured;
        self
    }

    /// Another object is needed if the function, given prior and planned value, says so.
    #[must_use]
    pub fn replace_if(mut self, condition: fn(&Value, &Value) -> bool) -> Attribute {
        self.replace = Replace::If(condition);
        self
    }

    /// The value can never change: neither in place nor by replacement. The message says what to do instead.
    #[must_use]
    pub fn fixed(mut self, message: impl Into<String>) -> Attribute {
        self.fixed = Some(message.into());
        self
    }

    /// Becomes unknown when one of these siblings changes.
    #[must_use]
    pub fn changes_with<N: Into<String>>(mut self, siblings: impl IntoIterator<Item = N>) -> Attribute {
        self.changes_with = ChangesWith::These(siblings.into_iter().map(Into::into).collect());
        self
    }

    /// Becomes unknown when anything changes.
    #[must_use]
    pub fn changes_with_anything(mut self) -> Attribute {
        self.changes_with = ChangesWith::Anything;
        self
    }

    /// Must be accepted by this too.
    #[must_use]
    pub fn validate(mut self, validator: impl Validator + 'static) -> Attribute {
        self.validators.push(Arc::new(validator));
        self
    }

    /// Is planned by this too.
    #[must_use]
    pub fn modify(mut self, modifier: impl PlanModifier + 'static) -> Attribute {
        self.modifiers.push(Arc::new(modifier));
        self
    }

    /// While it is true in the state, destroying and replacing are refused.
    #[must_use]
    pub fn deletion_protection(mut self) -> Attribute {
        self.role = Role::DeletionProtection;
        self
    }

    /// Two known values mean the same if the function says so; the prior spelling is kept.
    #[must_use]
    pub fn same_if(mut self, same: fn(&Value, &Value) -> bool) -> Attribute {
        self.same = Some(same);
        self
    }

    /// The type of the value.
    pub fn ty(&self) -> Type {
        self.kind.ty()
    }
}

impl fmt::Debug for Attribute {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Attribute")
            .field("name", &self.name)
            .field("kind", &self.kind)
            .field("presence", &self.presence)
            .finish_non_exhaustive()
    }
}
