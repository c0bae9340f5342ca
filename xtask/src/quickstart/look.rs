//! Whether what was applied really plays: the page, and of each video and channel a playlist, a media playlist and a
//! segment, fetched as a player would; and licences for who has a subscription, and nobody else.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::failure::{Failure, Outcome};

/// Traffic Server and the page may need a moment after the apply's own deadline.
const PATIENCE: Duration = Duration::from_secs(30);
const ANSWER_LIMIT: Duration = Duration::from_secs(10);
/// What is read of an answer: a manifest is small, and of a segment the beginning is enough.
const LARGEST: u64 = 1 << 20;
const REDIRECTS: u32 = 3;

/// Addresses, as `terraform output -json` has them.
pub(super) struct Addresses {
    pub(super) page: String,
    /// The licence service's admin API.
    pub(super) admin: String,
    /// Name, HLS, DASH.
    pub(super) videos: Vec<(String, String, String)>,
    /// Name, HLS, DASH.
    pub(super) channels: Vec<(String, String, String)>,
}

impl Addresses {
    pub(super) fn read(outputs: &str) -> Outcome<Addresses> {
        let outputs: Value = serde_json::from_str(outputs)
            .map_err(|error| Failure::new(format!("terraform output cannot be read: {error}")))?;
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let all = |output: &str| {
            let found = outputs[output]["value"].as_object().into_iter().flatten();
            found.map(|(name, it)| (name.clone(), text(&it["hls"]), text(&it["dash"]))).collect()
        };
        Ok(Addresses {
            page: text(&outputs["page"]["value"]),
            admin: text(&outputs["licence_admin"]["value"]),
            videos: all("playback"),
            channels: all("channels"),
        })
    }

    /// Fetches what a player would fetch first.
    pub(super) fn play(&self) -> Outcome {
        patiently(&self.page, |_| true)?;
        for (_, hls, dash) in self.videos.iter().chain(&self.channels) {
            let (at, master) = patiently(hls, |text| text.starts_with("#EXTM3U"))?;
            let (at, media) = patiently(&join(&at, &first_entry(&master)), |text| text.contains("#EXTINF"))?;
            patiently(&join(&at, &first_entry(&media)), |_| true)?;
            patiently(dash, |text| text.contains("<MPD"))?;
        }
        for (_, hls, _) in &self.channels {
            let encrypted = |text: &str| text.contains("\"kids\":[\"");
            let (now, on) = patiently(&join(hls, "now.json"), encrypted)?;
            super::channel::licensed(&self.page, &join(&now, "/licence/clearkey"), &on)?;
        }
        Ok(())
    }
}

/// The first address of a playlist (RFC 8216, section 4.1: a line that is neither blank nor begins with `#`).
fn first_entry(playlist: &str) -> String {
    let mut lines = playlist.lines().map(str::trim);
    lines.find(|line| !line.is_empty() && !line.starts_with('#')).unwrap_or_default().to_owned()
}

/// An address relative to another one.
fn join(base: &str, to: &str) -> String {
    if to.starts_with("http://") {
        return to.to_owned();
    }
    let host_end = base.get(7..).and_then(|rest| rest.find('/')).map_or(base.len(), |at| at + 7);
    let (host, path) = base.split_at(host_end);
    match to.strip_prefix('/') {
        Some(to) => format!("{host}/{to}"),
        None => {
            let folder = path.rsplit_once('/').map_or("", |(folder, _)| folder);
            format!("{host}{}", without_dots(&format!("{folder}/{to}")))
        }
    }
}

/// A path without `.` and `..` (RFC 3986 section 5.2.4).
fn without_dots(path: &str) -> String {
    let mut kept: Vec<&str> = Vec::new();
    for part in path.split('/') {
        match part {
            "." => {}
            ".." if kept.len() > 1 => {
                kept.pop();
            }
            ".." => {}
            part => kept.push(part),
        }
    }
    kept.join("/")
}

/// Where it was found, after redirects, and its text.
pub(super) fn patiently(address: &str, good: impl Fn(&str) -> bool) -> Outcome<(String, String)> {
    insist(address, || follow(address), good)
}

/// The same with a body, for which nothing is followed.
pub(super) fn patiently_send(
    method: &str,
    address: &str,
    bearer: &str,
    body: &str,
) -> Outcome<(String, String)> {
    let once =
        || send(method, address, Some(bearer), body).map(|(status, text)| (address.to_owned(), status, text));
    insist(address, once, |_| true)
}

fn insist(
    address: &str,
    once: impl Fn() -> std::io::Result<(String, u16, String)>,
    good: impl Fn(&str) -> bool,
) -> Outcome<(String, String)> {
    let until = Instant::now() + PATIENCE;
    loop {
        let why = match once() {
            Ok((at, 200, text)) if good(&text) => return Ok((at, text)),
            Ok((_, status, _)) => format!("answers {status}"),
            Err(error) => format!("does not answer: {error}"),
        };
        if Instant::now() > until {
            return Err(Failure::new(format!("it was applied, but {address} {why}")).next(
                "read what `streamverse node status` says (its command stands below), or run this again",
            ));
        }
        std::thread::sleep(Duration::from_millis(300));
    }
}

fn follow(address: &str) -> std::io::Result<(String, u16, String)> {
    let mut at = address.to_owned();
    for _ in 0..REDIRECTS {
        let (status, head, text) = get(&at)?;
        let location = head.lines().find_map(|line| {
            let (name, value) = line.split_once(':')?;
            name.eq_ignore_ascii_case("location").then(|| value.trim().to_owned())
        });
        match location {
            Some(to) if (300..400).contains(&status) => at = join(&at, &to),
            _ => return Ok((at, status, text)),
        }
    }
    Err(std::io::Error::other("it redirects without end"))
}

/// One request of HTTP/1.0, which is answered without chunks.
fn get(address: &str) -> std::io::Result<(u16, String, String)> {
    exchange("GET", address, "")
}

/// Status and text of what a request with a body is answered.
pub(super) fn send(
    method: &str,
    address: &str,
    bearer: Option<&str>,
    body: &str,
) -> std::io::Result<(u16, String)> {
    let bearer = bearer.map(|it| format!("Authorization: {it}\r\n")).unwrap_or_default();
    let rest =
        format!("{bearer}Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}", body.len());
    exchange(method, address, &rest).map(|(status, _, text)| (status, text))
}

/// `rest`: header fields, an empty line and a body.
fn exchange(method: &str, address: &str, rest_of: &str) -> std::io::Result<(u16, String, String)> {
    let rest = address.strip_prefix("http://").ok_or_else(|| std::io::Error::other("no http:// address"))?;
    let (host, path) = rest.split_once('/').unwrap_or((rest, ""));
    let mut stream = TcpStream::connect(host)?;
    stream.set_read_timeout(Some(ANSWER_LIMIT))?;
    stream.set_write_timeout(Some(ANSWER_LIMIT))?;
    // At once: a server that answers before it has read all of it resets the connection.
    let end = if rest_of.is_empty() { "\r\n" } else { rest_of };
    let request = format!("{method} /{path} HTTP/1.0\r\nHost: {host}\r\nConnection: close\r\n{end}");
    stream.write_all(request.as_bytes())?;
    let mut bytes = Vec::new();
    stream.take(LARGEST).read_to_end(&mut bytes)?;
    let text = String::from_utf8_lossy(&bytes);
    let (head, body) = text.split_once("\r\n\r\n").unwrap_or((&text, ""));
    let status = head.split_whitespace().nth(1).and_then(|code| code.parse().ok()).unwrap_or(0);
    Ok((status, head.to_owned(), body.to_owned()))
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;

    #[test]
    fn addresses_are_joined_as_players_join_them() {
        let base = "http://h:1/vod/film/g1/hls.m3u8";
        assert_eq!(join(base, "video/a.m3u8"), "http://h:1/vod/film/g1/video/a.m3u8");
        assert_eq!(join(base, "/x"), "http://h:1/x");
        assert_eq!(join(base, "http://o:2/y"), "http://o:2/y");
        assert_eq!(join("http://h:1", "y"), "http://h:1/y");
        assert_eq!(join(base, "../../g2/./x"), "http://h:1/vod/g2/x");
        assert_eq!(join(base, "../../../../../x"), "http://h:1/x");
        assert_eq!(first_entry("#EXTM3U\n\n#EXT-X\nvideo/a.m3u8\nb"), "video/a.m3u8");
    }

    #[test]
    fn outputs_are_read() {
        let text = r#"{"page":{"value":"http://h:8000"},"licence_admin":{"value":"http://h:1"},"playback":{"value":{"film":{"hls":"http://h/a","dash":"http://h/b"}}},"channels":{"value":{}}}"#;
        let addresses = Addresses::read(text).unwrap();
        assert_eq!((addresses.admin.as_str(), addresses.channels.len()), ("http://h:1", 0));
        assert_eq!(addresses.page, "http://h:8000");
        assert_eq!(
            addresses.videos[0],
            ("film".to_owned(), "http://h/a".to_owned(), "http://h/b".to_owned())
        );
    }

    #[test]
    fn redirects_are_followed_and_an_error_is_no_answer() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let server = std::thread::spawn(move || {
            for answer in
                ["HTTP/1.0 302 Found\r\nLocation: b/c\r\n\r\n", "HTTP/1.0 404 Not Found\r\n\r\nnothing"]
            {
                let (mut stream, _) = listener.accept().unwrap();
                let mut request = Vec::new();
                while !request.ends_with(b"\r\n\r\n") {
                    let mut part = [0; 512];
                    let read = stream.read(&mut part).unwrap();
                    request.extend_from_slice(&part[..read]);
                }
                stream.write_all(answer.as_bytes()).unwrap();
            }
        });
        let (at, status, text) = follow(&format!("http://127.0.0.1:{port}/a")).unwrap();
        server.join().unwrap();
        assert_eq!((at, status, text.as_str()), (format!("http://127.0.0.1:{port}/b/c"), 404, "nothing"));
    }
}
