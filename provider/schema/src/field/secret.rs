//! Secrets: written once, stored nowhere, printed never.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::{Field, Leaf, Maybe, Member, PlainMember, Scalar};
use crate::validate::{Rule, Validator};
use crate::{Attribute, Members, Path, Value, ValueError};

/// A secret. A field `password: Secret<String>` makes three attributes, of which the configuration sets one
/// way in:
///
/// * `password_wo`: the value itself; write-only, so it is in no plan and no state (Terraform 1.11, OpenTofu
///   1.11), with its twin `password_wo_version`: a new number says that the value changed;
/// * `password_ref`: where to find it: `env:NAME`, `file:PATH`, or what the provider adds. Works everywhere.
///
/// Neither Debug nor serde show the value.
#[derive(Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(bound = "")]
pub struct Secret<T = String> {
    #[serde(skip)]
    value: Option<T>,
    /// Which version of the write-only value this is.
    pub version: Option<i64>,
    /// Where else the value is found.
    #[serde(rename = "ref")]
    pub reference: Option<SecretRef>,
}

/// Where a secret is found: `env:NAME`, `file:PATH` or `STORE:NAME`. No secret itself.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum SecretRef {
    /// An environment variable of the provider's process.
    Env(String),
    /// A file on the machine where the provider runs.
    File(PathBuf),
    /// A secret store that the provider knows: its scheme, and the name in it.
    Store(String, String),
}

impl FromStr for SecretRef {
    type Err = String;

    fn from_str(text: &str) -> Result<SecretRef, String> {
        let shape = "must be a reference to a secret: \"env:NAME\", \"file:PATH\" or \"STORE:NAME\"";
        let (scheme, name) = text.split_once(':').ok_or(shape)?;
        let legal = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '+' | '.');
        if scheme.is_empty() || name.is_empty() || !scheme.chars().all(legal) {
            return Err(shape.to_owned());
        }
        Ok(match scheme {
            "env" => SecretRef::Env(name.to_owned()),
            "file" => SecretRef::File(PathBuf::from(name)),
            store => SecretRef::Store(store.to_owned(), name.to_owned()),
        })
    }
}

impl fmt::Display for SecretRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            SecretRef::Env(name) => write!(f, "env:{name}"),
            SecretRef::File(path) => write!(f, "file:{}", path.display()),
            SecretRef::Store(store, name) => write!(f, "{store}:{name}"),
        }
    }
}

impl Scalar for SecretRef {
    const TYPE: crate::Type = crate::Type::String;
    const SPELLINGS: bool = false;

    fn parse(value: &Value) -> Result<SecretRef, String> {
        String::parse(value)?.parse()
    }

    fn spell(&self) -> Value {
        Value::String(self.to_string())
    }
}

impl Serialize for SecretRef {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for SecretRef {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

impl<T> Secret<T> {
    /// A secret whose value is at hand.
    pub fn of(value: T) -> Secret<T> {
        Secret { value: Some(value), version: None, reference: None }
    }

    /// The value, if the configuration gave it directly. Prefer the context's `secret`, which follows
    /// references too and keeps the value out of the log.
    pub fn expose(&self) -> Option<&T> {
        self.value.as_ref()
    }

    /// Whether no way in was used.
    pub fn is_empty(&self) -> bool {
        self.value.is_none() && self.reference.is_none()
    }
}

impl<T> fmt::Debug for Secret<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Secret")
            .field("version", &self.version)
            .field("reference", &self.reference)
            .finish_non_exhaustive()
    }
}

/// A secret while anything may be null or unknown.
#[derive(Clone, PartialEq, Eq)]
pub struct SecretView<T> {
    /// The value, if the configuration gives it directly.
    pub value: Maybe<Secret<T>>,
    /// Its version.
    pub version: Maybe<i64>,
    /// Where else it is found.
    pub reference: Maybe<SecretRef>,
}

impl<T> fmt::Debug for SecretView<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SecretView")
            .field("version", &self.version)
            .field("reference", &self.reference)
            .finish_non_exhaustive()
    }
}

/// Paths to the attributes of a secret.
#[derive(Clone, Debug)]
pub struct SecretPath(Path);

impl From<Path> for SecretPath {
    fn from(path: Path) -> SecretPath {
        SecretPath(path)
    }
}

/// The write-only attribute.
impl From<SecretPath> for Path {
    fn from(path: SecretPath) -> Path {
        path.suffixed("_wo")
    }
}

impl SecretPath {
    /// The version of the write-only value: what to ask for changes.
    pub fn version(self) -> Leaf<i64> {
        self.suffixed("_wo_version").into()
    }

    /// The reference.
    pub fn reference(self) -> Leaf<SecretRef> {
        self.suffixed("_ref").into()
    }

    fn suffixed(self, suffix: &str) -> Path {
        let mut path = self.0;
        match path.pop() {
            Some(crate::Step::Attribute(name)) => path.attr(format!("{name}{suffix}")),
            Some(other) => path.step(other),
            None => path,
        }
    }
}

// A way in must be there, unless the secret itself may be absent.
fn declare<T: Scalar>(attribute: Attribute) -> Vec<Attribute> {
    let name = attribute.name.clone();
    let describe = |more: String| {
        let first = attribute.description.trim_end();
        if first.is_empty() { more } else { format!("{first} {more}") }
    };
    let mut value = attribute.clone().shaped(T::shape()).optional().sensitive().write_only();
    value.name = format!("{name}_wo");
    value.description = describe(format!(
        "Write-only: never in plan or state (Terraform 1.11 or OpenTofu 1.11 and later); raise \
         `{name}_wo_version` when it changes. Elsewhere use `{name}_ref`."
    ));
    // Write-only values are null in every plan: rules of change belong to the version.
    value.replace = crate::Replace::Never;
    value.fixed = None;
    value.default = None;
    let mut version = Attribute::of::<i64>(format!("{name}_wo_version")).optional();
    version.description = format!("A number to raise whenever `{name}_wo` changes.");
    version.replace = attribute.replace.clone();
    let mut reference = Attribute::of::<SecretRef>(format!("{name}_ref")).optional().validate(IsReference);
    reference.description = describe(format!(
        "By reference: `env:NAME` or `file:PATH`, read when it is needed. Alternative to `{name}_wo`."
    ));
    reference.replace = attribute.replace;
    vec![value, version, reference]
}

#[derive(Debug)]
struct IsReference;

impl Validator for IsReference {
    fn describe(&self) -> String {
        "must be `env:NAME`, `file:PATH` or `STORE:NAME`".to_owned()
    }

    fn check(&self, value: &Value) -> Result<(), String> {
        SecretRef::parse(value).map(|_| ())
    }
}

impl<T: Scalar> Member for Secret<T> {
    type View = SecretView<T>;
    type State = Secret<T>;
    type Path = SecretPath;

    fn declare(attribute: Attribute) -> Vec<Attribute> {
        declare::<T>(attribute)
    }

    fn view_member(members: &Members, name: &str) -> Result<SecretView<T>, ValueError> {
        let value: Maybe<T> = <T as Member>::view_member(members, &format!("{name}_wo"))?;
        Ok(SecretView {
            value: value.map(Secret::of),
            version: i64::view_member(members, &format!("{name}_wo_version"))?,
            reference: SecretRef::view_member(members, &format!("{name}_ref"))?,
        })
    }

    fn read_member(members: &Members, name: &str) -> Result<Secret<T>, ValueError> {
        Ok(Secret {
            value: Option::<T>::read_member(members, &format!("{name}_wo"))?,
            version: Option::<i64>::read_member(members, &format!("{name}_wo_version"))?,
            reference: Option::<SecretRef>::read_member(members, &format!("{name}_ref"))?,
        })
    }

    fn write_member(state: &Secret<T>, name: &str, members: &mut Members) {
        members.insert(format!("{name}_wo"), Value::Null);
        members.insert(format!("{name}_wo_version"), Option::<i64>::write(&state.version));
        members.insert(format!("{name}_ref"), Option::<SecretRef>::write(&state.reference));
    }
}

impl<T: Scalar> PlainMember for Secret<T> {}

impl<T: Scalar> Member for Option<Secret<T>> {
    type View = SecretView<T>;
    type State = Option<Secret<T>>;
    type Path = SecretPath;

    fn declare(attribute: Attribute) -> Vec<Attribute> {
        declare::<T>(attribute)
    }

    fn view_member(members: &Members, name: &str) -> Result<SecretView<T>, ValueError> {
        Secret::<T>::view_member(members, name)
    }

    fn read_member(members: &Members, name: &str) -> Result<Self, ValueError> {
        let secret = Secret::<T>::read_member(members, name)?;
        Ok(if secret.is_empty() && secret.version.is_none() { None } else { Some(secret) })
    }

    fn write_member(state: &Self, name: &str, members: &mut Members) {
        let empty = Secret { value: None, version: None, reference: None };
        Secret::write_member(state.as_ref().unwrap_or(&empty), name, members);
    }
}

impl<T: Scalar> PlainMember for Option<Secret<T>> {}

impl<T: Scalar> Secret<T> {
    /// The rules between the attributes of a secret: one way in, and the version only with the value.
    #[doc(hidden)]
    pub fn rules(name: &str, required: bool) -> Vec<Rule> {
        let (value, reference) = (format!("{name}_wo"), format!("{name}_ref"));
        let ways = vec![value.clone(), reference];
        vec![
            if required { Rule::ExactlyOneOf(ways) } else { Rule::Conflicts(ways) },
            Rule::Requires(format!("{name}_wo_version"), vec![value]),
        ]
    }
}
