//! Key identifiers.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use sha2::{Digest as _, Sha256};

/// The identifier of a content key (KID, ISO/IEC 23001-7 section 8.2): 16 bytes, written as a UUID. It is no secret.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct KeyId(pub [u8; 16]);

/// Why a text is no key identifier.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KeyIdError;

impl KeyId {
    /// The identifier of the key with which a part of an asset is encrypted: the same for the same names, so that a plan
    /// knows it, and another one for everything else. A UUID of version 8 (RFC 9562 section 5.8) from SHA-256.
    ///
    /// `generation` is the asset's; `track` is what the key is for as the granularity has it (`all`, `video`, `audio`,
    /// `video-hd` …); `period` counts crypto periods from 0.
    pub fn derive(deployment: &str, asset: &str, generation: &str, track: &str, period: u32) -> KeyId {
        let name = serde_json::json!(["streamverse-kid-1", deployment, asset, generation, track, period]);
        let digest = Sha256::digest(name.to_string().as_bytes());
        let mut bytes = [0; 16];
        bytes.copy_from_slice(&digest[..16]);
        bytes[6] = (bytes[6] & 0x0f) | 0x80;
        bytes[8] = (bytes[8] & 0x3f) | 0x80;
        KeyId(bytes)
    }

    /// Reads 32 hexadecimal digits, with the dashes of a UUID or without any.
    ///
    /// # Errors
    /// Anything else.
    pub fn parse(text: &str) -> Result<KeyId, KeyIdError> {
        let plain: String = match text.len() {
            32 => text.to_owned(),
            36 if text.bytes().enumerate().all(|(at, it)| (it == b'-') == [8, 13, 18, 23].contains(&at)) => {
                text.replace('-', "")
            }
            _ => return Err(KeyIdError),
        };
        let mut bytes = [0; 16];
        hex::decode_to_slice(plain, &mut bytes).map_err(|_| KeyIdError)?;
        Ok(KeyId(bytes))
    }

    /// 32 hexadecimal digits, as packagers take it.
    pub fn hex(&self) -> String {
        hex::encode(self.0)
    }
}

impl fmt::Display for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let hex = self.hex();
        write!(f, "{}-{}-{}-{}-{}", &hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..])
    }
}

impl fmt::Debug for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl fmt::Display for KeyIdError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a key identifier is a UUID or 32 hexadecimal digits")
    }
}

impl std::error::Error for KeyIdError {}

impl Serialize for KeyId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for KeyId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        KeyId::parse(&text).map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_identifier_is_read_as_it_is_written_and_follows_from_names_alone() {
        let one = KeyId::derive("demo", "film", "0123456789ab", "video", 0);
        assert_eq!(one, KeyId::derive("demo", "film", "0123456789ab", "video", 0));
        assert_eq!(KeyId::parse(&one.to_string()), Ok(one));
        assert_eq!(KeyId::parse(&one.hex()), Ok(one));
        let text = one.to_string();
        assert!(text.as_bytes()[14] == b'8' && b"89ab".contains(&text.as_bytes()[19]), "{text}");
        for other in [
            KeyId::derive("demo2", "film", "0123456789ab", "video", 0),
            KeyId::derive("demo", "film", "0123456789ab", "audio", 0),
            KeyId::derive("demo", "film", "0123456789ab", "video", 1),
            KeyId::derive("demo", "film0123456789ab", "", "video", 0),
        ] {
            assert_ne!(one, other);
        }
        for wrong in
            ["", "x", "0123", "0123456789abcdef0123456789abcdeg", "01234567-89abcdef-0123456789abcdef---"]
        {
            assert_eq!(KeyId::parse(wrong), Err(KeyIdError), "{wrong}");
        }
    }
}
