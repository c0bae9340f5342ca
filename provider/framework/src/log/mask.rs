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
    /// In the order of arrival, each with its forms.
    arrived: VecDeque<Vec<String>>,
    /// What to search for, the longest first: a secret that contains another must not leave its ends.
    forms: Vec<String>,
}

static SECRETS: RwLock<Secrets> = RwLock::new(Secrets::new());

/// Registers a secret: from here on it shows as `***` in log lines, in [`Panic`](super::Panic) messages and in what
/// [`masked`] returns. Values of fewer than 4 bytes are not registered, and of more than 4,096 the oldest are
/// forgotten.
pub fn mask(secret: impl AsRef<str>) {
    SECRETS.write().unwrap_or_else(PoisonError::into_inner).add(secret.as_ref(), MOST);
}

/// The text with every registered secret replaced by `***`.
pub fn masked(text: &str) -> Cow<'_, str> {
    SECRETS.read().unwrap_or_else(PoisonError::into_inner).hide(text)
}

impl Secrets {
    const fn new() -> Secrets {
        Secrets { arrived: VecDeque::new(), forms: Vec::new() }
    }

    fn add(&mut self, secret: &str, most: usize) {
        if secret.len() < SHORTEST || self.forms.iter().any(|known| known == secret) {
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
            let at = self.forms.partition_point(|known| known.len() >= form.len());
            self.forms.insert(at, form.clone());
        }
        self.arrived.push_back(forms);
        while self.arrived.len() > most {
            for form in self.arrived.pop_front().unwrap_or_default() {
                if let Some(at) = self.forms.iter().position(|known| *known == form) {
                    self.forms.remove(at);
                }
            }
        }
    }

    fn hide<'a>(&self, text: &'a str) -> Cow<'a, str> {
        let mut result = Cow::Borrowed(text);
        for secret in &self.forms {
            if result.contains(secret.as_str()) {
                result = Cow::Owned(result.replace(secret.as_str(), STARS));
            }
        }
        result
    }
}

fn in_json(text: &str) -> String {
    let quoted = serde_json::Value::from(text).to_string();
    quoted.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')).unwrap_or(&quoted).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_secrets_go_first_and_leave_nothing_behind() {
        let mut secrets = Secrets::new();
        for number in 0..10 {
            secrets.add(&format!("secret \"{number}\""), 3);
            secrets.add(&format!("secret \"{number}\""), 3);
        }
        assert_eq!(secrets.arrived.len(), 3);
        assert_eq!(secrets.forms.len(), 6, "as it is, and with quotes escaped");
        assert_eq!(secrets.hide("secret \"6\", secret \"7\", secret \\\"9\\\""), "secret \"6\", ***, ***");
    }
}
