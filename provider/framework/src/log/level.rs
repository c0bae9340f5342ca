//! How much to log, from the variables that Terraform's users know.

use tracing::level_filters::LevelFilter;

/// The level for the provider with this name. `variable` reads the environment.
///
/// The first that is set decides: `TF_LOG_PROVIDER_<NAME>` (upper case, `-` as `_`), `TF_LOG_PROVIDER`, `TF_LOG`. As
/// in Terraform, `JSON` means everything, and so does a word that is no level: who asked for a log gets one.
pub fn level(provider: &str, variable: impl Fn(&str) -> Option<String>) -> LevelFilter {
    let own = format!("TF_LOG_PROVIDER_{}", provider.to_uppercase().replace('-', "_"));
    [own.as_str(), "TF_LOG_PROVIDER", "TF_LOG"]
        .into_iter()
        .find_map(|name| variable(name).filter(|value| !value.is_empty()))
        .map_or(LevelFilter::OFF, |word| match word.to_uppercase().as_str() {
            "OFF" => LevelFilter::OFF,
            "ERROR" => LevelFilter::ERROR,
            "WARN" => LevelFilter::WARN,
            "INFO" => LevelFilter::INFO,
            "DEBUG" => LevelFilter::DEBUG,
            _ => LevelFilter::TRACE,
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(set: &[(&str, &str)]) -> LevelFilter {
        level("two-words", |name| {
            set.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned())
        })
    }

    #[test]
    fn nothing_set_is_off() {
        assert_eq!(of(&[]), LevelFilter::OFF);
        assert_eq!(of(&[("TF_LOG", "")]), LevelFilter::OFF);
        assert_eq!(of(&[("TF_LOG_CORE", "TRACE")]), LevelFilter::OFF);
    }

    #[test]
    fn the_most_particular_variable_decides() {
        assert_eq!(of(&[("TF_LOG", "error")]), LevelFilter::ERROR);
        assert_eq!(of(&[("TF_LOG", "ERROR"), ("TF_LOG_PROVIDER", "INFO")]), LevelFilter::INFO);
        assert_eq!(
            of(&[("TF_LOG", "ERROR"), ("TF_LOG_PROVIDER", "INFO"), ("TF_LOG_PROVIDER_TWO_WORDS", "warn")]),
            LevelFilter::WARN
        );
        assert_eq!(of(&[("TF_LOG", "TRACE"), ("TF_LOG_PROVIDER", "OFF")]), LevelFilter::OFF);
    }

    #[test]
    fn json_and_unknown_words_are_everything() {
        assert_eq!(of(&[("TF_LOG", "JSON")]), LevelFilter::TRACE);
        assert_eq!(of(&[("TF_LOG", "1")]), LevelFilter::TRACE);
    }
}
