//! What manifests say of an encrypted track: `EXT-X-KEY` in HLS, `ContentProtection` in DASH.
//!
//! ClearKey is signalled in HLS by the init segments alone. `KEYFORMAT="identity"` would have a player fetch the bare key
//! from an address, which hands it to anybody: nothing here writes it.

use std::fmt::Write as _;

use super::pssh::{self, base64};
use super::{DrmSystem, KeyId, Scheme};

/// The `EXT-X-KEY` lines of a track (RFC 8216 section 4.3.2.4), each with its end of line; none for ClearKey alone.
///
/// `kids` are the identifiers that its init segment names.
pub fn hls_keys(systems: &[DrmSystem], scheme: Scheme, kid: KeyId, kids: &[KeyId]) -> String {
    let method = match scheme {
        Scheme::Cenc => "SAMPLE-AES-CTR",
        Scheme::Cbcs => "SAMPLE-AES",
    };
    let mut out = String::new();
    for system in systems {
        let rest = match system {
            DrmSystem::Clearkey => continue,
            DrmSystem::Widevine => {
                let data = base64(&pssh::of_system(*system, scheme, kids).unwrap_or_default());
                let format = system.uuid();
                format!(
                    "URI=\"data:text/plain;base64,{data}\",KEYID=0x{},KEYFORMAT=\"urn:uuid:{format}\"",
                    kid.hex()
                )
            }
            DrmSystem::Playready => format!(
                "URI=\"data:text/plain;charset=UTF-16;base64,{}\",KEYFORMAT=\"com.microsoft.playready\"",
                base64(&pssh::playready_object(scheme, kids))
            ),
            DrmSystem::Fairplay => {
                format!("URI=\"{}\",KEYFORMAT=\"com.apple.streamingkeydelivery\"", skd(kid))
            }
        };
        let _ = writeln!(out, "#EXT-X-KEY:METHOD={method},{rest},KEYFORMATVERSIONS=\"1\"");
    }
    out
}

/// The address that FairPlay's players hand to their page, which asks for the key of this identifier.
pub fn skd(kid: KeyId) -> String {
    format!("skd://{}", kid.hex())
}

/// The `ContentProtection` elements of an adaptation set (DASH-IF IOP part 6), each on lines that begin with `indent`. The MPD
/// must declare the prefixes `cenc` (`urn:mpeg:cenc:2013`) and `mspr` (`urn:microsoft:playready`).
pub fn dash_protection(
    systems: &[DrmSystem],
    scheme: Scheme,
    kid: KeyId,
    kids: &[KeyId],
    indent: &str,
) -> String {
    let mut out = String::new();
    let mut element = |uri: &str, attributes: &str, inside: &[(&str, String)]| {
        let _ = write!(out, "{indent}<ContentProtection schemeIdUri=\"{uri}\"{attributes}");
        if inside.is_empty() {
            out.push_str("/>\n");
            return;
        }
        out.push_str(">\n");
        for (name, text) in inside {
            let _ = writeln!(out, "{indent}  <{name}>{text}</{name}>");
        }
        let _ = writeln!(out, "{indent}</ContentProtection>");
    };
    let named = format!(" value=\"{}\" cenc:default_KID=\"{kid}\"", scheme.as_str());
    element("urn:mpeg:dash:mp4protection:2011", &named, &[]);
    let common = base64(&pssh::common(kids));
    element("urn:uuid:1077efec-c0b2-4d02-ace3-3c1e52e2fb4b", "", &[("cenc:pssh", common.clone())]);
    for system in systems {
        let uri = format!("urn:uuid:{}", system.uuid());
        let own = || base64(&pssh::of_system(*system, scheme, kids).unwrap_or_default());
        match system {
            DrmSystem::Clearkey => {
                element(&uri, " value=\"ClearKey1.0\"", &[("cenc:pssh", common.clone())]);
            }
            DrmSystem::Widevine => element(&uri, " value=\"Widevine\"", &[("cenc:pssh", own())]),
            DrmSystem::Playready => {
                let object = base64(&pssh::playready_object(scheme, kids));
                element(&uri, " value=\"MSPR 2.0\"", &[("cenc:pssh", own()), ("mspr:pro", object)]);
            }
            // Apple's players play HLS; the element tells others that the key exists there too.
            DrmSystem::Fairplay => element(&uri, " value=\"FairPlay\"", &[]),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clearkey_is_never_signalled_in_hls_and_no_key_format_is_identity() {
        let kid = KeyId::derive("demo", "film", "g", "all", 0);
        for scheme in [Scheme::Cenc, Scheme::Cbcs] {
            assert_eq!(hls_keys(&[DrmSystem::Clearkey], scheme, kid, &[kid]), "");
            let all = hls_keys(&DrmSystem::ALL, scheme, kid, &[kid]);
            assert_eq!(all.lines().count(), 3, "{all}");
            assert!(!all.contains("identity") && all.contains(&format!("skd://{}", kid.hex())), "{all}");
            assert_eq!(all.contains("METHOD=SAMPLE-AES-CTR"), scheme == Scheme::Cenc);
        }
    }

    #[test]
    fn dash_names_the_key_for_every_system() {
        let kid = KeyId::derive("demo", "film", "g", "all", 0);
        let all = dash_protection(&DrmSystem::ALL, Scheme::Cbcs, kid, &[kid], "");
        assert_eq!(all.matches("<ContentProtection").count(), 6, "{all}");
        assert!(all.contains(&format!("value=\"cbcs\" cenc:default_KID=\"{kid}\"")), "{all}");
        for system in DrmSystem::ALL {
            assert!(all.contains(system.uuid()), "{all}");
        }
    }
}
