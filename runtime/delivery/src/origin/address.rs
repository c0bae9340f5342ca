//! Addresses: which asset and which object a path means. Nothing that leaves its folder is one.

use streamverse_model::platform::Name;

/// What a path means.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Address {
    /// The manifest of the generation that is shown.
    Shown {
        /// The asset.
        asset: Name,
        /// Which manifest.
        manifest: Manifest,
    },
    /// An object of a generation, by its path in the object store.
    Object(String),
    /// All assets.
    List,
    /// Nothing here.
    Unknown,
    /// A path that can mean nothing: `..`, control characters, a broken escape.
    Bad,
}

/// The manifests that have a stable address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Manifest {
    /// `hls.m3u8`.
    Hls,
    /// `dash.mpd`.
    Dash,
}

/// Longer ones are no file of ours.
const LONGEST_PATH: usize = 1024;

/// Reads the path of a request, as it stands in the request line.
pub fn read(path: &str) -> Address {
    if path.len() > LONGEST_PATH {
        return Address::Bad;
    }
    let Some(path) = unescape(path) else { return Address::Bad };
    if path == "/catalogue.json" {
        return Address::List;
    }
    let Some(rest) = path.strip_prefix("/vod/") else {
        return if path.split('/').any(|part| part == "..") { Address::Bad } else { Address::Unknown };
    };
    let parts: Vec<&str> = rest.split('/').collect();
    if !parts.iter().all(|part| is_file_name(part)) {
        return Address::Bad;
    }
    match parts.as_slice() {
        [asset, file] => {
            let manifest = match *file {
                "hls.m3u8" => Manifest::Hls,
                "dash.mpd" => Manifest::Dash,
                _ => return Address::Unknown,
            };
            Name::parse(asset).map_or(Address::Unknown, |asset| Address::Shown { asset, manifest })
        }
        [_, _, _, ..] => Address::Object(format!("vod/{rest}")),
        _ => Address::Unknown,
    }
}

/// Packages have plain names: what is none is not looked for.
fn is_file_name(part: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b'=' | b'+' | b'~');
    !part.is_empty() && !part.starts_with('.') && part.bytes().all(plain)
}

/// Decodes `%41` once. A slash or a control character that was escaped is no path of ours.
fn unescape(path: &str) -> Option<String> {
    let mut text = String::with_capacity(path.len());
    let mut bytes = path.bytes();
    while let Some(byte) = bytes.next() {
        let byte = match byte {
            b'%' => {
                let digits = [bytes.next()?, bytes.next()?];
                let decoded = u8::from_str_radix(std::str::from_utf8(&digits).ok()?, 16).ok()?;
                if !digits.iter().all(u8::is_ascii_hexdigit) || decoded == b'/' {
                    return None;
                }
                decoded
            }
            other => other,
        };
        if !(0x21..0x7f).contains(&byte) || byte == b'\\' {
            return None;
        }
        text.push(char::from(byte));
    }
    Some(text)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn paths_mean_what_the_pages_say() {
        let film = Name::parse("film").unwrap();
        assert_eq!(read("/vod/film/hls.m3u8"), Address::Shown { asset: film.clone(), manifest: Manifest::Hls });
        assert_eq!(read("/vod/fi%6Cm/dash.mpd"), Address::Shown { asset: film, manifest: Manifest::Dash });
        assert_eq!(read("/vod/film/a1/video/1080/3.m4s"), Address::Object("vod/film/a1/video/1080/3.m4s".into()));
        assert_eq!(read("/catalogue.json"), Address::List);
        for path in ["/", "/vod", "/vod/film/other.txt", "/work/film/a1/source.mp4", "/etc/passwd"] {
            assert_eq!(read(path), Address::Unknown, "{path}");
        }
    }

    #[test]
    fn no_path_leads_outside() {
        for path in [
            "/vod/../../etc/passwd", "/vod/film/../../../etc/passwd", "/vod/film/a1/%2e%2e/%2e%2e/x", "/../x",
            "/vod/film/a1/..%2f..%2fx", "/vod/film/a1/%252e%252e/x", "/vod/film/a1/.hidden", "/vod//a1/x",
            "/vod/film/a1/x\\..\\y", "/vod/film/a1/%00", "/vod/film/a1/%", "/vod/film/a1/%zz", "/vod/film/a1/%+1",
            "/vod/film/a1/", "/vod/film/a1/a b",
        ] {
            assert_eq!(read(path), Address::Bad, "{path}");
        }
    }

    proptest! {
        #[test]
        fn whatever_is_asked_stays_below_the_packages(path in "/(vod/)?[a-z./%2ef\\\\]{0,40}") {
            if let Address::Object(object) = read(&path) {
                prop_assert!(object.starts_with("vod/"));
                prop_assert!(object.split('/').all(|part| !part.is_empty() && part != ".." && part != "."));
            }
        }
    }
}
