//! Values as one would write them in HCL, on one line.

use tfplugin_schema::Value;

/// The expression for a value. Nothing for an unknown one: there is no way to write it.
pub(crate) fn expression(value: &Value) -> Option<String> {
    Some(match value {
        Value::Null => "null".to_owned(),
        Value::Unknown(_) => return None,
        Value::Bool(bool) => bool.to_string(),
        Value::Number(number) => number.to_string(),
        Value::String(text) => string(text),
        Value::List(elements) => list(elements)?,
        Value::Set(elements) => list(elements.as_slice())?,
        Value::Map(members) if members.is_empty() => "{}".to_owned(),
        Value::Map(members) => {
            let member =
                |(name, value): (&String, &Value)| Some(format!("{} = {}", key(name), expression(value)?));
            let members: Option<Vec<String>> = members.iter().map(member).collect();
            format!("{{ {} }}", members?.join(", "))
        }
        Value::Dynamic(dynamic) => return expression(&dynamic.value),
    })
}

fn list(elements: &[Value]) -> Option<String> {
    let elements: Option<Vec<String>> = elements.iter().map(expression).collect();
    Some(format!("[{}]", elements?.join(", ")))
}

fn key(name: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
    let begins = name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
    if begins && name.chars().all(plain) { name.to_owned() } else { string(name) }
}

/// A quoted string.
pub(crate) fn string(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    out.push('"');
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            // Else the beginning of a template.
            '$' | '%' if chars.peek() == Some(&'{') => out.extend([c, c]),
            c if c.is_control() => out.push_str(&format!("\\u{:04X}", u32::from(c))),
            c => out.push(c),
        }
    }
    out.push('"');
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_written_as_in_hcl() {
        let value = Value::map([
            ("a", Value::list([Value::from(1), Value::from(true), Value::Null])),
            ("b c", Value::set([Value::from("x")])),
            ("d", Value::Map(Default::default())),
        ]);
        let expected = r#"{ a = [1, true, null], "b c" = ["x"], d = {} }"#;
        assert_eq!(expression(&value).as_deref(), Some(expected));
        assert_eq!(expression(&Value::list([Value::UNKNOWN])), None);
    }

    #[test]
    fn strings_are_escaped_as_hcl_reads_them() {
        assert_eq!(string("a\"b\\c\n${d} %{e} $5\u{1}"), r#""a\"b\\c\n$${d} %%{e} $5\u0001""#);
    }
}
