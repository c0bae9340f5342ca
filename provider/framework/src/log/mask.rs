//! Secrets that must not be read in the log: registered once, replaced everywhere.

use std::borrow::Cow;
use std::collections::VecDeque;
use std::sync::{PoisonError, RwLock};

/// Shorter ones would turn every line into stars.
const SHORTEST: usize = 4;

/// The oldest go first; a provider that handles more at a time than this does not log them.
const MOST: usize = 4096;

/// Stands for a secret.
const STARS: &str = "***";

struct Secrets {
    /// In the order of arrival, each with how many forms it has in `forms`.
    arrived: VecDeque<Vec<String>>,
    /// What to search for, the longest first: a secret that contains another must not leave its ends.
    forms: Vec<String>,
}

static SECRETS: RwLock<Secrets> = RwLock::new(Secrets { arrived: VecDeque::new(), forms: Vec::new() });

/// Registers a secret: from here on it shows as `***` in log lines, in [`Panic`](super::Panic) messages and in what
/// [`masked`] returns. Values of fewer than 4 bytes are not registered, and of more than 4,096 the oldest are
/// forgotten.
pub fn mask(secret: impl AsRef<str>) {
    let secret = secret.as_ref();
    if secret.len() < SHORTEST {
        return;
    }
    let mut secrets = SECRETS.write().unwrap_or_else(PoisonError::into_inner);
    if secrets.forms.iter().any(|known| known == secret) {
        return;
    }
    // Logged with `?`, and inside JSON, a secret with quotes or line ends is spelt differently.
    let mut forms = vec![secret.to_owned()];
    for spelling in [secret.escape_debug().to_string(), in_json(secret)] {
        if !forms.contains(&spelling) {
            forms.push(spelling);
        }
    }
    for form in &forms {
        let at = secrets.forms.partition_point(|known| known.len() >= form.len());
        secrets.forms.insert(at, form.clone());
    }
    secrets.arrived.push_back(forms);
    if secrets.arrived.len() > MOST {
        for form in secrets.arrived.pop_front().unwrap_or_default() {
            if let Some(at) = secrets.forms.iter().position(|known| *known == form) {
                secrets.forms.remove(at);
            }
        }
    }
}

/// The text with every registered secret replaced by `***`.
pub fn masked(text: &str) -> Cow<'_, str> {
    let secrets = SECRETS.read().unwrap_or_else(PoisonError::into_inner);
    let mut result = Cow::Borrowed(text);
    for secret in &secrets.forms {
        if result.contains(secret.as_str()) {
            result = Cow::Owned(result.replace(secret.as_str(), STARS));
        }
    }
    result
}

fn in_json(text: &str) -> String {
    let quoted = serde_json::Value::from(text).to_string();
    quoted.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')).unwrap_or(&quoted).to_owned()
}
