//! One line of go-hclog's JSON.

use super::mask::masked;
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tracing::Level;

/// The host reads lines of up to 64 KiB; a longer one it takes for plain text.
const LONGEST: usize = 60 << 10;

/// What one text may take of a line, as JSON.
const LONGEST_TEXT: usize = 24 << 10;

/// The value of a field.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Value {
    Text(String),
    Signed(i64),
    Unsigned(u64),
    Float(f64),
    Bool(bool),
}

/// Fields in order of arrival; a key that comes again replaces its value.
#[derive(Debug, Clone, Default)]
pub(super) struct Fields(Vec<(&'static str, Value)>);

impl Fields {
    pub(super) fn set(&mut self, key: &'static str, value: Value) {
        match self.0.iter_mut().find(|(known, _)| *known == key) {
            Some((_, old)) => *old = value,
            None => self.0.push((key, value)),
        }
    }

    pub(super) fn extend(&mut self, others: &Fields) {
        for (key, value) in &others.0 {
            self.set(key, value.clone());
        }
    }

    /// The text that `tracing` gives as the field of this name.
    pub(super) fn take_message(&mut self) -> String {
        let Some(at) = self.0.iter().position(|(key, _)| *key == "message") else { return String::new() };
        match self.0.remove(at).1 {
            Value::Text(text) => text,
            other => format!("{other:?}"),
        }
    }
}

/// Renders a line with its line end. Secrets are masked.
pub(super) fn render(level: Level, module: &str, mut fields: Fields, at: SystemTime) -> Vec<u8> {
    let message = fields.take_message();
    let mut line = Vec::with_capacity(256);
    line.extend_from_slice(b"{\"@level\":");
    text(&mut line, level_name(level));
    line.extend_from_slice(b",\"@message\":");
    text(&mut line, &message);
    line.extend_from_slice(b",\"@module\":");
    text(&mut line, &module.replace("::", "."));
    line.extend_from_slice(b",\"@timestamp\":");
    text(&mut line, &timestamp(at));
    for (key, value) in &fields.0 {
        let before = line.len();
        line.push(b',');
        // hclog's own keys begin so.
        text(&mut line, key.trim_start_matches('@'));
        line.push(b':');
        scalar(&mut line, value);
        if line.len() > LONGEST {
            line.truncate(before);
            line.extend_from_slice(b",\"tf_log_truncated\":true");
            break;
        }
    }
    line.extend_from_slice(b"}\n");
    line
}

fn level_name(level: Level) -> &'static str {
    match level {
        Level::ERROR => "error",
        Level::WARN => "warn",
        Level::INFO => "info",
        Level::DEBUG => "debug",
        _ => "trace",
    }
}

fn scalar(line: &mut Vec<u8>, value: &Value) {
    let json = match value {
        Value::Text(value) => return text(line, value),
        Value::Signed(value) => serde_json::Value::from(*value),
        Value::Unsigned(value) => serde_json::Value::from(*value),
        Value::Bool(value) => serde_json::Value::from(*value),
        // JSON has no NaN and no infinity.
        Value::Float(value) if !value.is_finite() => return text(line, &value.to_string()),
        Value::Float(value) => serde_json::Value::from(*value),
    };
    line.extend_from_slice(json.to_string().as_bytes());
}

fn text(line: &mut Vec<u8>, value: &str) {
    let value = masked(value);
    match cut(&value) {
        None => line.extend_from_slice(serde_json::Value::from(value.as_ref()).to_string().as_bytes()),
        Some(kept) => {
            let kept = format!("{kept}… ({} bytes)", value.len());
            line.extend_from_slice(serde_json::Value::from(kept).to_string().as_bytes());
        }
    }
}

/// The beginning that fits, when the whole does not.
fn cut(value: &str) -> Option<&str> {
    let mut room = LONGEST_TEXT;
    let (end, _) = value.char_indices().find(|(_, letter)| {
        let size = match letter {
            '"' | '\\' | '\n' | '\r' | '\t' => 2,
            control if control.is_control() => 6,
            other => other.len_utf8(),
        };
        match room.checked_sub(size) {
            Some(rest) => room = rest,
            None => return true,
        }
        false
    })?;
    value.get(..end)
}

/// RFC 3339 in UTC with exactly six digits after the point, which is the only form that hosts parse.
fn timestamp(at: SystemTime) -> String {
    // A clock before 1970 is no reason to lose the line.
    let since = at.duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO);
    let seconds = since.as_secs();
    let (year, month, day) = date(seconds / 86_400);
    let (hour, minute, second) = (seconds / 3600 % 24, seconds / 60 % 60, seconds % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{:06}Z", since.subsec_micros())
}

/// The Gregorian date of a day counted from 1970-01-01. Years are counted from March, so that the leap day is the
/// last of its year.
fn date(days: u64) -> (u64, u64, u64) {
    let days = days + 719_468;
    let (era, day_of_era) = (days / 146_097, days % 146_097);
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    (era * 400 + year_of_era + u64::from(month <= 2), month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64, micros: u32) -> String {
        timestamp(UNIX_EPOCH + Duration::new(seconds, micros * 1000))
    }

    #[test]
    fn timestamps_have_six_digits_and_the_right_day() {
        assert_eq!(at(0, 0), "1970-01-01T00:00:00.000000Z");
        assert_eq!(at(951_782_399, 5), "2000-02-28T23:59:59.000005Z");
        assert_eq!(at(951_782_400, 0), "2000-02-29T00:00:00.000000Z");
        assert_eq!(at(1_798_761_599, 999_999), "2026-12-31T23:59:59.999999Z");
        assert_eq!(at(4_107_542_400, 0), "2100-03-01T00:00:00.000000Z");
    }

    #[test]
    fn no_line_is_longer_than_a_host_reads_and_all_are_json() {
        for filler in ["x", "\u{1}", "ä", "\""] {
            let mut fields = Fields::default();
            fields.set("message", Value::Text(filler.repeat(100_000)));
            for key in ["a", "b", "c", "d", "e", "f", "g", "h", "i", "j", "k", "l", "m", "n", "o", "p"] {
                fields.set(key, Value::Text(filler.repeat(9_000)));
            }
            let line = render(Level::WARN, "a::b", fields, UNIX_EPOCH);
            assert!(line.len() < 64 << 10, "{filler:?}: {}", line.len());
            let json: serde_json::Value = serde_json::from_slice(&line).unwrap();
            assert_eq!(json["@module"], "a.b");
            assert!(json["@message"].as_str().unwrap().ends_with("bytes)"));
        }
    }

    #[test]
    fn numbers_stay_numbers() {
        let mut fields = Fields::default();
        for (key, value) in
            [("i", Value::Signed(-1)), ("u", Value::Unsigned(u64::MAX)), ("n", Value::Float(f64::NAN))]
        {
            fields.set(key, value);
        }
        let line = String::from_utf8(render(Level::INFO, "m", fields, UNIX_EPOCH)).unwrap();
        assert!(line.ends_with("\"i\":-1,\"u\":18446744073709551615,\"n\":\"NaN\"}\n"), "{line}");
    }
}
