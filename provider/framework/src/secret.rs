//! Following a [`Secret`] to its value, wherever that is.

use std::fmt;
use std::io::Read as _;
use std::ops::Deref;
use std::path::PathBuf;

use crate::context::Context;
use crate::error::{Error, ErrorExt, Result};
use crate::provider::Provider;
use crate::schema::{Scalar, Secret, SecretRef, Type, Value};

// A key or certificate chain is small; a wrong path should not fill the memory.
const LARGEST: u64 = 1 << 20;

/// The value of a secret, to be used and dropped. Not printable.
pub struct Exposed<T>(T);

impl<T> Deref for Exposed<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.0
    }
}

impl<T> fmt::Debug for Exposed<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Exposed(***)")
    }
}

impl<P: Provider> Context<P> {
    /// The value of a secret: as configured, or from where its reference points. From here on the value is
    /// masked in the log.
    pub async fn secret<T: Scalar>(&self, secret: &Secret<T>) -> Result<Exposed<T>> {
        if let Some(value) = secret.expose() {
            mask(&value.spell());
            return Ok(Exposed(value.clone()));
        }
        let Some(reference) = &secret.reference else {
            return Err(Error::invalid("the secret has neither a value nor a reference")
                .next("Set the write-only attribute (in this apply too) or the `_ref` attribute."));
        };
        let text = match reference {
            SecretRef::Env(name) => std::env::var(name)
                .context(format!("reading the secret {reference}"))
                .next(format!("Set the environment variable {name} where Terraform runs."))?,
            SecretRef::File(path) => {
                read_file(path.clone()).await.context(format!("reading the secret {reference}"))?
            }
            SecretRef::Store(store, name) => self
                .provider()
                .secret(store, name)
                .await
                .context(format!("reading the secret {reference}"))?,
        };
        crate::log::mask(&text);
        let parsed = T::parse(&spelled(&T::TYPE, text));
        parsed.map(Exposed).map_err(|why| Error::invalid(format!("the secret {reference} {why}")))
    }
}

fn mask(value: &Value) {
    match value {
        Value::String(text) => crate::log::mask(text),
        Value::Number(number) => crate::log::mask(number.to_string()),
        _ => {}
    }
}

// Files and environments hold text, also of numbers and bools.
fn spelled(ty: &Type, text: String) -> Value {
    match ty {
        Type::Number => text.trim().parse().map_or(Value::String(text), Value::Number),
        Type::Bool => text.trim().parse().map_or(Value::String(text), Value::Bool),
        _ => Value::String(text),
    }
}

// One trailing newline belongs to the file, not to the secret.
async fn read_file(path: PathBuf) -> Result<String> {
    let read = tokio::task::spawn_blocking(move || {
        let mut text = String::new();
        std::fs::File::open(path)?.take(LARGEST + 1).read_to_string(&mut text)?;
        Ok::<String, std::io::Error>(text)
    });
    let mut text = read.await??;
    if text.len() as u64 > LARGEST {
        return Err(Error::invalid("the file is larger than a secret can be (1 MiB)"));
    }
    if text.ends_with('\n') {
        text.pop();
        if text.ends_with('\r') {
            text.pop();
        }
    }
    Ok(text)
}
