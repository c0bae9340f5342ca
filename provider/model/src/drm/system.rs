//! The schemes and systems of content protection, and their registered identifiers.

use serde::{Deserialize, Serialize};
use tfplugin_schema::Schema;

/// How samples are encrypted (ISO/IEC 23001-7).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Schema, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Scheme {
    /// AES in counter mode over whole subsamples (section 10.1): what Widevine, PlayReady and ClearKey have always read.
    Cenc,
    /// AES in CBC mode over one block of ten with a constant IV (section 10.4): the one that Apple's players read too.
    Cbcs,
}

/// Who gives licences.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Schema, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DrmSystem {
    /// The ClearKey of Encrypted Media Extensions (W3C EME section 9.1): every browser has it, and it protects keys on their
    /// way, not in the player.
    Clearkey,
    /// Google Widevine.
    Widevine,
    /// Microsoft PlayReady.
    Playready,
    /// Apple FairPlay Streaming.
    Fairplay,
}

impl Scheme {
    /// Reads what `schm` and manifests have.
    pub fn parse(text: &str) -> Option<Scheme> {
        [Scheme::Cenc, Scheme::Cbcs].into_iter().find(|it| it.as_str() == text)
    }
}

impl DrmSystem {
    /// All of them.
    pub const ALL: [DrmSystem; 4] =
        [DrmSystem::Clearkey, DrmSystem::Widevine, DrmSystem::Playready, DrmSystem::Fairplay];

    /// Reads what a configuration and `index.json` have.
    pub fn parse(text: &str) -> Option<DrmSystem> {
        DrmSystem::ALL.into_iter().find(|it| it.as_str() == text)
    }

    /// The identifier that DASH-IF registered for its `ContentProtection` elements and, but for ClearKey and FairPlay, for
    /// its `pssh` boxes.
    pub fn uuid(self) -> &'static str {
        match self {
            DrmSystem::Clearkey => "e2719d58-a985-b3c9-781a-b030af78d30e",
            DrmSystem::Widevine => "edef8ba9-79d6-4ace-a3c8-27dcd51d21ed",
            DrmSystem::Playready => "9a04f079-9840-4286-ab92-e65be0885f95",
            DrmSystem::Fairplay => "94ce86fb-07ff-4f43-adb8-93d2fa968ca2",
        }
    }
}
