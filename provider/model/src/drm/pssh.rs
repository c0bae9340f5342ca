//! Protection system specific headers: the `pssh` boxes of init segments and manifests (ISO/IEC 23001-7 section 8.1), and
//! what each system puts into one. They hold identifiers of keys, never keys.

use super::{DrmSystem, KeyId, Scheme};

/// The system of what names keys and nothing else (W3C "cenc" Initialization Data Format section 4).
pub const COMMON: [u8; 16] =
    [0x10, 0x77, 0xef, 0xec, 0xc0, 0xb2, 0x4d, 0x02, 0xac, 0xe3, 0x3c, 0x1e, 0x52, 0xe2, 0xfb, 0x4b];
/// A `pssh` box's or a header's parts are far smaller; sizes are 32 bits wide.
const MOST_KEYS: usize = 1024;

/// The box that names keys for every system, ClearKey's only one: version 1, without data.
pub fn common(kids: &[KeyId]) -> Vec<u8> {
    let kids = kids.get(..kids.len().min(MOST_KEYS)).unwrap_or_default();
    let count = u32::try_from(kids.len()).unwrap_or_default();
    let mut rest = count.to_be_bytes().to_vec();
    rest.extend(kids.iter().flat_map(|kid| kid.0));
    rest.extend(0_u32.to_be_bytes());
    pssh(1, COMMON, &rest)
}

/// The box of a system, version 0 with the system's data. None for ClearKey, which reads the common one, and for FairPlay,
/// whose players take a `skd:` address from the playlist.
pub fn of_system(system: DrmSystem, scheme: Scheme, kids: &[KeyId]) -> Option<Vec<u8>> {
    let kids = kids.get(..kids.len().min(MOST_KEYS)).unwrap_or_default();
    let data = match system {
        DrmSystem::Widevine => widevine(scheme, kids),
        DrmSystem::Playready => playready_object(scheme, kids),
        DrmSystem::Clearkey | DrmSystem::Fairplay => return None,
    };
    let id = KeyId::parse(system.uuid()).ok()?.0;
    let size = u32::try_from(data.len()).unwrap_or_default();
    Some(pssh(0, id, &[size.to_be_bytes().as_slice(), &data].concat()))
}

/// All boxes of an init segment, one after another.
pub fn boxes(systems: &[DrmSystem], scheme: Scheme, kids: &[KeyId]) -> Vec<u8> {
    let own = systems.iter().filter_map(|system| of_system(*system, scheme, kids));
    [common(kids)].into_iter().chain(own).flatten().collect()
}

/// Widevine's header, a protocol buffer: `key_ids = 2`, `protection_scheme = 9`.
pub fn widevine(scheme: Scheme, kids: &[KeyId]) -> Vec<u8> {
    let mut data = Vec::new();
    for kid in kids {
        // Field 2, length-delimited, of 16 bytes.
        data.extend([0x12, 16]);
        data.extend(kid.0);
    }
    // Field 9, a varint: the scheme's four letters as a number.
    data.push(0x48);
    let mut number = scheme.as_str().bytes().fold(0_u32, |number, byte| (number << 8) | u32::from(byte));
    while number >= 0x80 {
        data.push(u8::try_from(number & 0x7f).unwrap_or_default() | 0x80);
        number >>= 7;
    }
    data.push(u8::try_from(number).unwrap_or_default());
    data
}

/// A PlayReady Object with one record, a rights management header.
pub fn playready_object(scheme: Scheme, kids: &[KeyId]) -> Vec<u8> {
    let header: Vec<u8> = playready_header(scheme, kids).encode_utf16().flat_map(u16::to_le_bytes).collect();
    // The object: its length, the number of records; the record: its kind (1), its length (PlayReady Header Object).
    let length = u32::try_from(header.len() + 10).unwrap_or_default();
    let record = u16::try_from(header.len()).unwrap_or_default();
    let mut object = length.to_le_bytes().to_vec();
    object.extend(1_u16.to_le_bytes());
    object.extend(1_u16.to_le_bytes());
    object.extend(record.to_le_bytes());
    object.extend(header);
    object
}

/// The header's text. Version 4.0 knows one key, 4.2 several, 4.3 `cbcs`.
pub fn playready_header(scheme: Scheme, kids: &[KeyId]) -> String {
    // A record's length is 16 bits wide, and an object is 15 KiB at most: some 90 keys.
    let kids = kids.get(..kids.len().min(80)).unwrap_or_default();
    let value = |kid: &KeyId| base64(&guid_order(kid));
    let (version, info) = match (scheme, kids) {
        (Scheme::Cenc, [kid]) => (
            "4.0.0.0",
            format!(
                "<PROTECTINFO><KEYLEN>16</KEYLEN><ALGID>AESCTR</ALGID></PROTECTINFO><KID>{}</KID>",
                value(kid)
            ),
        ),
        _ => {
            let (version, algorithm) = match scheme {
                Scheme::Cenc => ("4.2.0.0", "AESCTR"),
                Scheme::Cbcs => ("4.3.0.0", "AESCBC"),
            };
            let all =
                kids.iter().map(|kid| format!("<KID ALGID=\"{algorithm}\" VALUE=\"{}\"></KID>", value(kid)));
            let all: String = all.collect();
            (version, format!("<PROTECTINFO><KIDS>{all}</KIDS></PROTECTINFO>"))
        }
    };
    format!(
        "<WRMHEADER xmlns=\"http://schemas.microsoft.com/DRM/2007/03/PlayReadyHeader\" version=\"{version}\"><DATA>{info}</DATA></WRMHEADER>"
    )
}

/// A KID's bytes as Windows has a GUID: the first three fields little-endian.
pub fn guid_order(kid: &KeyId) -> [u8; 16] {
    let [a, b, c, d, e, f, g, h, rest @ ..] = kid.0;
    let mut out = [d, c, b, a, f, e, h, g, 0, 0, 0, 0, 0, 0, 0, 0];
    if let Some(end) = out.get_mut(8..) {
        end.copy_from_slice(&rest);
    }
    out
}

fn pssh(version: u8, system: [u8; 16], rest: &[u8]) -> Vec<u8> {
    let size = u32::try_from(rest.len() + 28).unwrap_or_default();
    let mut out = size.to_be_bytes().to_vec();
    out.extend(b"pssh");
    out.extend([version, 0, 0, 0]);
    out.extend(system);
    out.extend(rest);
    out
}

/// RFC 4648 section 4, with padding.
pub fn base64(bytes: &[u8]) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut out = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for chunk in bytes.chunks(3) {
        let group =
            chunk.iter().fold(0_u32, |sum, byte| (sum << 8) | u32::from(*byte)) << (8 * (3 - chunk.len()));
        for place in 0..4 {
            let index = usize::try_from((group >> (18 - 6 * place)) & 63).unwrap_or_default();
            let letter = ALPHABET.get(index).copied().unwrap_or(b'=');
            out.push(if place <= chunk.len() { char::from(letter) } else { '=' });
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kid(text: &str) -> KeyId {
        KeyId::parse(text).unwrap()
    }

    // Bytes that Shaka Packager 3.8.0 wrote, for the key ids 10112233… and 00112233….
    const BOTH: [&str; 2] = ["10112233445566778899aabbccddeeff", "00112233445566778899aabbccddeeff"];

    #[test]
    fn the_common_box_is_the_packagers() {
        let kids = BOTH.map(kid);
        assert_eq!(
            base64(&common(&kids)),
            "AAAARHBzc2gBAAAAEHfv7MCyTQKs4zweUuL7SwAAAAIQESIzRFVmd4iZqrvM3e7/ABEiM0RVZneImaq7zN3u/wAAAAA="
        );
    }

    #[test]
    fn widevines_box_is_the_packagers() {
        let kids = BOTH.map(kid);
        let made = |scheme| base64(&of_system(DrmSystem::Widevine, scheme, &kids).unwrap());
        assert_eq!(
            made(Scheme::Cbcs),
            "AAAASnBzc2gAAAAA7e+LqXnWSs6jyCfc1R0h7QAAACoSEBARIjNEVWZ3iJmqu8zd7v8SEAARIjNEVWZ3iJmqu8zd7v9I88aJmwY="
        );
        assert_eq!(
            made(Scheme::Cenc),
            "AAAASnBzc2gAAAAA7e+LqXnWSs6jyCfc1R0h7QAAACoSEBARIjNEVWZ3iJmqu8zd7v8SEAARIjNEVWZ3iJmqu8zd7v9I49yVmwY="
        );
    }

    #[test]
    fn playreadys_object_is_the_packagers() {
        let object = base64(&playready_object(Scheme::Cbcs, &[kid(BOTH[1])]));
        assert_eq!(
            object,
            "vgEAAAEAAQC0ATwAVwBSAE0ASABFAEEARABFAFIAIAB4AG0AbABuAHMAPQAiAGgAdAB0AHAAOgAvAC8AcwBjAGgAZQBtAGEAcwAuAG0AaQBjAHIAbwBzAG8AZgB0AC4AYwBvAG0ALwBEAFIATQAvADIAMAAwADcALwAwADMALwBQAGwAYQB5AFIAZQBhAGQAeQBIAGUAYQBkAGUAcgAiACAAdgBlAHIAcwBpAG8AbgA9ACIANAAuADMALgAwAC4AMAAiAD4APABEAEEAVABBAD4APABQAFIATwBUAEUAQwBUAEkATgBGAE8APgA8AEsASQBEAFMAPgA8AEsASQBEACAAQQBMAEcASQBEAD0AIgBBAEUAUwBDAEIAQwAiACAAVgBBAEwAVQBFAD0AIgBNAHkASQBSAEEARgBWAEUAZAAyAGEASQBtAGEAcQA3AHoATgAzAHUALwB3AD0APQAiAD4APAAvAEsASQBEAD4APAAvAEsASQBEAFMAPgA8AC8AUABSAE8AVABFAEMAVABJAE4ARgBPAD4APAAvAEQAQQBUAEEAPgA8AC8AVwBSAE0ASABFAEEARABFAFIAPgA="
        );
        // Its box begins as the packager's does: size, kind, version, system, length of the data.
        let boxed = of_system(DrmSystem::Playready, Scheme::Cbcs, &[kid(BOTH[1])]).unwrap();
        assert_eq!(base64(&boxed[..33]), "AAAB3nBzc2gAAAAAmgTweZhAQoarkuZb4IhflQAAAb6+");
    }

    #[test]
    fn a_playready_header_has_the_version_that_knows_what_it_says() {
        let one = playready_header(Scheme::Cenc, &[kid(BOTH[1])]);
        assert!(
            one.contains("version=\"4.0.0.0\"") && one.contains("<KID>MyIRAFVEd2aImaq7zN3u/w==</KID>"),
            "{one}"
        );
        let two = playready_header(Scheme::Cenc, &BOTH.map(kid));
        assert!(two.contains("version=\"4.2.0.0\"") && two.matches("ALGID=\"AESCTR\"").count() == 2, "{two}");
        assert!(playready_header(Scheme::Cbcs, &BOTH.map(kid)).contains("version=\"4.3.0.0\""));
        let many: Vec<KeyId> = (0..500).map(|period| KeyId::derive("d", "a", "g", "all", period)).collect();
        assert!(playready_object(Scheme::Cbcs, &many).len() < 15 << 10);
    }

    #[test]
    fn base64_is_that_of_the_rfc() {
        for (plain, coded) in
            [("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v"), ("foobar", "Zm9vYmFy")]
        {
            assert_eq!(base64(plain.as_bytes()), coded);
        }
    }
}
