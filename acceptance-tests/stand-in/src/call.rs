//! One call, one connection: a test needs no more.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;

use serde_json::{Value, json};

use crate::process::PATIENCE;

/// Calls an address: status and body, whatever its form.
///
/// # Errors
/// When no answer comes.
pub fn call_text(
    endpoint: &str,
    method: &str,
    path: &str,
    headers: &[(&str, &str)],
    body: &str,
) -> std::io::Result<(u16, String)> {
    let host = endpoint.trim_start_matches("http://");
    let mut stream = TcpStream::connect(host)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    let own: String = headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
    write!(
        stream,
        "{method} {path} HTTP/1.1\r\nhost: {host}\r\n{own}connection: close\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    )?;
    let mut text = String::new();
    stream.read_to_string(&mut text)?;
    let (head, body) = text.split_once("\r\n\r\n").unwrap_or((&text, ""));
    let status = head.split(' ').nth(1).and_then(|it| it.parse().ok());
    let status = status.ok_or_else(|| std::io::Error::other("the connection broke before the answer"))?;
    Ok((status, body.to_owned()))
}

/// The same in JSON. The status is 0, and the body what went wrong, where no answer came.
pub fn call(
    endpoint: &str,
    method: &str,
    path: &str,
    headers: &[(&str, &str)],
    body: Option<&Value>,
) -> (u16, Value) {
    let headers = [&[("content-type", "application/json")], headers].concat();
    let body = body.map(ToString::to_string).unwrap_or_default();
    match call_text(endpoint, method, path, &headers, &body) {
        Ok((status, text)) => (status, serde_json::from_str(&text).unwrap_or_default()),
        Err(error) => (0, json!(error.to_string())),
    }
}
