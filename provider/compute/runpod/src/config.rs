//! Where the API is, and the key to it: both from outside.

use std::fmt;

use streamverse_model::platform::is_this_host;
use url::Url;

use crate::error::{Class, Error};

/// RunPod's own.
pub const DEFAULT_ENDPOINT: &str = "https://api.runpod.io";

/// The key of an account. It is sent, and shown nowhere.
#[derive(Clone)]
pub struct ApiKey(String);

impl ApiKey {
    /// A key.
    ///
    /// # Errors
    /// One that no header can carry.
    pub fn new(text: &str) -> Result<ApiKey, Error> {
        let text = text.trim();
        if text.is_empty() || !text.chars().all(|it| it.is_ascii_graphic()) {
            let says = "the key is empty or has characters that no key has";
            return Err(Error::new(Class::Auth, "the API key", says));
        }
        Ok(ApiKey(text.to_owned()))
    }

    pub(crate) fn bearer(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for ApiKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ApiKey(…)")
    }
}

/// What a client needs.
#[derive(Clone, Debug)]
pub struct Config {
    pub(crate) endpoint: Url,
    pub(crate) key: ApiKey,
}

impl Config {
    /// An endpoint and the key to it.
    ///
    /// # Errors
    /// An endpoint that is no `https:` address; `http:` is for this very machine alone, since the key would be in the clear.
    pub fn new(endpoint: &str, key: ApiKey) -> Result<Config, Error> {
        Ok(Config { endpoint: Config::endpoint(endpoint)?, key })
    }

    /// An endpoint alone, checked.
    ///
    /// # Errors
    /// As [`Config::new`].
    pub fn endpoint(text: &str) -> Result<Url, Error> {
        let wrong = |says: &str| Error::new(Class::Invalid, "the endpoint", format!("{text:?} {says}"));
        let url = Url::parse(text).map_err(|_| wrong("is no address such as https://api.runpod.io"))?;
        if !url.username().is_empty() || url.password().is_some() || url.query().is_some() {
            return Err(wrong("must have neither a login nor a query"));
        }
        match url.scheme() {
            "https" => Ok(url),
            "http" if is_this_host(&url) => Ok(url),
            "http" => Err(wrong("would send the key in the clear: use https")),
            _ => Err(wrong("is no https address")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_never_printed_and_never_sent_in_the_clear() {
        let key = ApiKey::new("rpa_PLANTED\n").unwrap();
        let config = Config::new("http://127.0.0.1:1", key.clone()).unwrap();
        assert!(!format!("{config:?}").contains("PLANTED"));
        for bad in ["http://api.runpod.io", "ftp://x", "api.runpod.io", "https://u:p@x", "https://x/?a=b"] {
            let error = Config::new(bad, key.clone()).unwrap_err();
            assert!(!error.to_string().contains("PLANTED"), "{error}");
        }
        assert!(ApiKey::new("").is_err() && ApiKey::new("a b").is_err());
    }
}
