//! Which addresses a URL given by a stranger may lead to: public ones only, unless private ones are allowed.
//!
//! The name is resolved once, judged, and the connection goes to the address that was judged, so that a second answer
//! of the name server changes nothing. Redirects are followed here, one by one, each judged again.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use reqwest::redirect::Policy;
use reqwest::{Client, Response, Url};
use streamverse_core::{Error, Result};

const MOST_REDIRECTS: usize = 5;
const CONNECT: Duration = Duration::from_secs(10);
/// Without a byte.
const SILENCE: Duration = Duration::from_secs(30);

/// What was had of a source so far: so many bytes, of the version that the server called so.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Had<'a> {
    pub(crate) bytes: u64,
    /// Its strong entity tag, where the server gives one.
    pub(crate) version: Option<&'a str>,
}

/// Asks for the rest of a URL, following redirects, and refuses private addresses unless they are allowed.
pub(crate) async fn get(url: &str, had: Had<'_>, allow_private: bool) -> Result<Response> {
    follow(url, had, |url| async move { resolve(&url, allow_private).await }).await
}

/// `resolve` says where a URL leads to, or that it may not be asked; it is asked anew for every redirect.
async fn follow<F>(url: &str, had: Had<'_>, resolve: impl Fn(Url) -> F) -> Result<Response>
where
    F: Future<Output = Result<SocketAddr>>,
{
    let mut url = Url::parse(url)
        .map_err(|error| Error::permanent("source-url", format!("{url} is no address: {error}")))?;
    for _ in 0..=MOST_REDIRECTS {
        let address = resolve(url.clone()).await?;
        let answer = ask(&url, had, address).await?;
        if !answer.status().is_redirection() {
            return settled(&url, answer, had);
        }
        let location =
            answer.headers().get("location").and_then(|value| value.to_str().ok()).unwrap_or_default();
        url = url.join(location).map_err(|_| refused(&url, "it redirects to what is no address"))?;
        if !matches!(url.scheme(), "http" | "https") {
            return Err(refused(&url, "it redirects to another scheme"));
        }
    }
    Err(refused(&url, "it redirects more than five times"))
}

async fn ask(url: &Url, had: Had<'_>, address: SocketAddr) -> Result<Response> {
    let host = url.host_str().unwrap_or_default().trim_matches(['[', ']']).to_owned();
    let client = Client::builder()
        .redirect(Policy::none())
        .connect_timeout(CONNECT)
        .read_timeout(SILENCE)
        .resolve(&host, address)
        .no_proxy()
        .build()
        .map_err(|error| Error::permanent("source-url", "no HTTP client").because(error))?;
    let mut request = client.get(url.clone());
    if had.bytes > 0 {
        request = request.header("range", format!("bytes={}-", had.bytes));
        if let Some(version) = had.version {
            request = request.header("if-range", version);
        }
    }
    request.send().await.map_err(|error| {
        Error::passing("source-unreachable", format!("{} does not answer", told(url)))
            .because(error.without_url())
    })
}

/// The entity tag of an answer, where it is a strong one (RFC 9110 section 8.8.3): a weak one says nothing about bytes.
pub(crate) fn version_of(answer: &Response) -> Option<String> {
    let tag = answer.headers().get("etag")?.to_str().ok()?;
    tag.starts_with('"').then(|| tag.to_owned())
}

fn settled(url: &Url, answer: Response, had: Had<'_>) -> Result<Response> {
    let status = answer.status();
    if status.is_success() && had.bytes > 0 {
        let now = version_of(&answer);
        if had.version.is_some() && had.version != now.as_deref() {
            return Err(Error::permanent(
                "source-changed",
                format!("{} changed while it was fetched: try again when it stays as it is", told(url)),
            ));
        }
        if status != reqwest::StatusCode::PARTIAL_CONTENT {
            return Err(Error::passing(
                "source-no-ranges",
                format!("{} cannot go on where it was cut off", told(url)),
            ));
        }
    }
    if status.is_success() {
        return Ok(answer);
    }
    let text = format!("{} answers {status}", told(url));
    let passing = status.is_server_error() || status.as_u16() == 429 || status.as_u16() == 408;
    Err(if passing {
        Error::passing("source-unreachable", text)
    } else {
        Error::permanent("source-missing", text)
    })
}

/// The address to connect to.
async fn resolve(url: &Url, allow_private: bool) -> Result<SocketAddr> {
    let port = url.port_or_known_default().unwrap_or(80);
    let host = url.host_str().unwrap_or_default().trim_matches(['[', ']']).to_owned();
    if !url.username().is_empty() || url.password().is_some() {
        return Err(refused(url, "it holds credentials"));
    }
    let lookup = tokio::time::timeout(CONNECT, tokio::net::lookup_host((host.as_str(), port))).await;
    let unresolved =
        || Error::passing("source-unreachable", format!("the host of {} has no address", told(url)));
    let found: Vec<SocketAddr> = lookup.map_err(|_| unresolved())?.map_err(|_| unresolved())?.collect();
    let first = *found.first().ok_or_else(unresolved)?;
    // All of them: an answer that mixes public and private addresses is an attack.
    match found.iter().find(|address| !allow_private && !is_public(address.ip())) {
        Some(private) => Err(refused(
            url,
            &format!(
                "it leads to {}, which is no public address; set allow_private if that is meant",
                private.ip()
            ),
        )),
        None => Ok(first),
    }
}

fn refused(url: &Url, why: &str) -> Error {
    Error::permanent("source-refused", format!("{} is refused: {why}", told(url)))
}

/// Without query: signed URLs have their signature there.
fn told(url: &Url) -> String {
    format!("{}://{}{}", url.scheme(), url.host_str().unwrap_or_default(), url.path())
}

/// Whether an address is reached over the public Internet (IANA's registries of special-purpose addresses).
pub(crate) fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => is_public_v4(v4),
        IpAddr::V6(v6) => is_public_v6(v6),
    }
}

fn is_public_v4(address: Ipv4Addr) -> bool {
    let [a, b, c, _] = address.octets();
    let special = address.is_private()
        || address.is_loopback()
        || address.is_link_local()
        || address.is_broadcast()
        || address.is_documentation()
        || address.is_multicast()
        || a == 0
        || a >= 240
        || (a == 100 && (64..128).contains(&b)) // shared address space, RFC 6598
        || (a == 192 && b == 0 && c == 0) // RFC 6890
        || (a == 198 && (b == 18 || b == 19)); // benchmarks, RFC 2544
    !special
}

fn is_public_v6(address: Ipv6Addr) -> bool {
    if let Some(v4) = address.to_ipv4_mapped() {
        return is_public_v4(v4);
    }
    let segments = address.segments();
    // NAT64 and 6to4 carry an IPv4 address inside.
    let inner = match segments {
        [0x64, 0xff9b, 0, 0, 0, 0, high, low] => Some((high, low)),
        [0x2002, high, low, ..] => Some((high, low)),
        _ => None,
    };
    if let Some((high, low)) = inner {
        return is_public_v4(Ipv4Addr::from((u32::from(high) << 16) | u32::from(low)));
    }
    // Only 2000::/3 is given out; documentation and benchmarks are not public.
    segments[0] & 0xe000 == 0x2000 && !(segments[0] == 0x2001 && matches!(segments[1], 0xdb8 | 0x2 | 0x0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn special_addresses_are_not_public_however_they_are_spelt() {
        for text in [
            "127.0.0.1",
            "10.1.2.3",
            "172.16.0.1",
            "192.168.1.1",
            "169.254.169.254",
            "100.64.0.1",
            "0.0.0.0",
            "224.0.0.1",
            "255.255.255.255",
            "198.18.0.1",
            "::1",
            "::",
            "fe80::1",
            "fc00::1",
            "ff02::1",
            "::ffff:127.0.0.1",
            "64:ff9b::7f00:1",
            "2002:7f00:1::",
            "2001:db8::1",
        ] {
            assert!(!is_public(text.parse().unwrap()), "{text}");
        }
        for text in ["1.1.1.1", "193.99.144.80", "2606:4700::1111", "2002:0101:0101::"] {
            assert!(is_public(text.parse().unwrap()), "{text}");
        }
    }

    #[tokio::test]
    async fn a_redirect_from_a_public_address_to_a_private_one_is_refused_before_a_connection_is_made() {
        use std::io::{Read as _, Write as _};
        let inner = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let outer = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let (secret, public) = (inner.local_addr().unwrap(), outer.local_addr().unwrap());
        let server = std::thread::spawn(move || {
            for location in [format!("http://{secret}/metadata"), "file:///etc/passwd".to_owned()] {
                let (mut stream, _) = outer.accept().unwrap();
                let mut request = [0; 1024];
                let _ = stream.read(&mut request).unwrap();
                let answer = format!(
                    "HTTP/1.1 302 Found\r\nLocation: {location}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
                );
                stream.write_all(answer.as_bytes()).unwrap();
            }
        });
        // This host plays the public one; whatever comes after it is judged as always.
        let judged = |url: Url| async move {
            if url.host_str() == Some("videos.example") { Ok(public) } else { resolve(&url, false).await }
        };
        for reason in ["no public address", "another scheme"] {
            let error = follow("http://videos.example/film.mp4", Had::default(), judged).await.unwrap_err();
            assert_eq!(error.code, "source-refused", "{error}");
            assert!(error.message.contains(reason), "{error}");
        }
        server.join().unwrap();
        inner.set_nonblocking(true).unwrap();
        assert!(inner.accept().is_err(), "somebody connected");
    }

    #[tokio::test]
    async fn a_private_address_is_refused_before_a_connection_is_made() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/x?signature=hidden", listener.local_addr().unwrap());
        let error = get(&url, Had::default(), false).await.unwrap_err();
        assert_eq!(error.code, "source-refused");
        assert!(!error.chain().contains("hidden"));
        listener.set_nonblocking(true).unwrap();
        assert!(listener.accept().is_err(), "nobody connected");
        // Other spellings of the same address.
        for host in ["localhost", "0x7f.1", "2130706433", "[::ffff:127.0.0.1]"] {
            let error = get(&format!("http://{host}:9/"), Had::default(), false).await.unwrap_err();
            assert!(["source-refused", "source-unreachable"].contains(&error.code), "{host}: {error}");
        }
    }
}
