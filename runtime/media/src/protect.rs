//! Encryption of a package: which key each track has, and how the packager gets it.
//!
//! A key is durable in the key service before the packager knows it, and its identifier follows from names alone: whoever
//! makes the same generation again, after being killed anywhere, uses the same keys.

use std::collections::BTreeSet;

use sha2::{Digest as _, Sha256};
use streamverse_core::stores::{ContentKey, ContentKeys, KeyWanted};
use streamverse_core::{Error, Result};
use streamverse_model::drm::{DrmDefinition, DrmSystem, KeyGranularity, KeyId, Scheme, pssh};
use streamverse_model::media::{Part, Protection, TrackKind};
use zeroize::Zeroizing;

/// Crypto periods of one asset: each is a run of the packager, and a folder.
const MOST_PERIODS: u64 = 4096;
/// Keys that are asked for at once.
const AT_ONCE: usize = 256;

/// How an asset is encrypted.
#[derive(Clone, Debug)]
pub(crate) struct Protect {
    deployment: String,
    asset: String,
    generation: String,
    pub(crate) scheme: Scheme,
    pub(crate) systems: Vec<DrmSystem>,
    granularity: KeyGranularity,
}

/// The keys of one crypto period, by what each is for.
pub(crate) type PeriodKeys = Vec<(&'static str, ContentKey)>;

impl Protect {
    pub(crate) fn of(drm: &DrmDefinition, deployment: &str, asset: &str, generation: &str) -> Protect {
        Protect {
            deployment: deployment.to_owned(),
            asset: asset.to_owned(),
            generation: generation.to_owned(),
            scheme: drm.spec.scheme,
            systems: drm.spec.systems.clone(),
            granularity: drm.spec.key_granularity,
        }
    }

    /// What the key of a track is for.
    pub(crate) fn label(&self, kind: TrackKind, height: u32) -> &'static str {
        self.granularity.label(kind, height)
    }

    /// Has the key service make and keep the keys of so many periods.
    pub(crate) async fn obtain(
        &self,
        keys: &dyn ContentKeys,
        labels: &BTreeSet<&'static str>,
        periods: u64,
    ) -> Result<Vec<PeriodKeys>> {
        if periods > MOST_PERIODS {
            return Err(Error::permanent(
                "crypto-periods",
                format!(
                    "{periods} crypto periods are more than {MOST_PERIODS}: choose a longer `crypto_period`"
                ),
            ));
        }
        let mut all = Vec::new();
        for period in 0..u32::try_from(periods).unwrap_or_default() {
            all.extend(labels.iter().map(|label| (*label, period, self.kid(label, period))));
        }
        let mut periods: Vec<PeriodKeys> = Vec::new();
        for some in all.chunks(AT_ONCE) {
            let wanted: Vec<KeyWanted> = some
                .iter()
                .map(|(label, _, kid)| KeyWanted {
                    kid: *kid,
                    asset: self.asset.clone(),
                    track: (*label).to_owned(),
                })
                .collect();
            let mut got = keys.obtain(&wanted).await?;
            for (label, period, kid) in some {
                // By identifier: what is encrypted under a key that the service does not keep is lost.
                let at = got.iter().position(|key| key.kid == *kid && key.asset == self.asset);
                let Some(at) = at else {
                    return Err(Error::permanent(
                        "key-missing",
                        format!("the key service did not give the key {kid} of the asset {}", self.asset),
                    ));
                };
                let at_period = usize::try_from(*period).unwrap_or_default();
                periods.resize_with(periods.len().max(at_period + 1), Vec::new);
                if let Some(keys) = periods.get_mut(at_period) {
                    keys.push((label, got.swap_remove(at)));
                }
            }
        }
        Ok(periods)
    }

    fn kid(&self, label: &str, period: u32) -> KeyId {
        KeyId::derive(&self.deployment, &self.asset, &self.generation, label, period)
    }

    /// The constant IV of `cbcs`: one for a generation. None for `cenc`, where the packager draws one for each track, so that
    /// no two tracks of a key ever share a counter.
    pub(crate) fn iv(&self) -> Option<String> {
        if self.scheme != Scheme::Cbcs {
            return None;
        }
        let name = serde_json::json!(["streamverse-iv-1", self.deployment, self.asset, self.generation]);
        Some(hex::encode(&Sha256::digest(name.to_string().as_bytes())[..16]))
    }

    /// What the packager is told and everybody may know.
    pub(crate) fn args(&self, keys: &PeriodKeys) -> Vec<String> {
        let kids: Vec<KeyId> = keys.iter().map(|(_, key)| key.kid).collect();
        let mut args = vec![
            format!("--protection_scheme={}", self.scheme.as_str()),
            "--clear_lead=0".to_owned(),
            format!("--pssh={}", hex::encode(pssh::boxes(&self.systems, self.scheme, &kids))),
            // The keys, from standard input: nobody else reads that.
            "--flagfile=/dev/fd/0".to_owned(),
        ];
        args.extend(self.iv().map(|iv| format!("--iv={iv}")));
        args
    }

    /// The flag file with the keys.
    pub(crate) fn flags(keys: &PeriodKeys) -> Zeroizing<Vec<u8>> {
        let mut flags = Zeroizing::new(Vec::with_capacity(64 + keys.len() * 128));
        flags.extend(b"--enable_raw_key_encryption\n--keys=");
        for (number, (label, key)) in keys.iter().enumerate() {
            if number > 0 {
                flags.push(b',');
            }
            let digits = Zeroizing::new(hex::encode(key.secret()));
            flags.extend(format!("label={label}:key_id={}:key=", key.kid.hex()).bytes());
            flags.extend(digits.bytes());
        }
        flags.push(b'\n');
        flags
    }

    /// A message in which no key stands, whatever the tool wrote.
    pub(crate) fn without_keys(keys: &PeriodKeys, mut error: Error) -> Error {
        for (_, key) in keys {
            let digits = Zeroizing::new(hex::encode(key.secret()));
            for digits in [Zeroizing::new(digits.to_uppercase()), digits] {
                error.message = error.message.replace(digits.as_str(), "(a key)");
            }
        }
        error
    }

    /// Refuses a part in which a track does not name the key that it was to be encrypted with.
    pub(crate) fn check(&self, part: &Part, keys: &PeriodKeys) -> Result<()> {
        for track in &part.tracks {
            let label = self.label(track.kind, track.height);
            let wanted = keys.iter().find(|(it, _)| *it == label).map(|(_, key)| key.kid);
            if track.kid != wanted || wanted.is_none() {
                return Err(Error::permanent(
                    "package-broken",
                    format!("the packager did not encrypt {} with the key of {label}", track.init),
                ));
            }
        }
        Ok(())
    }

    /// As an index has it.
    pub(crate) fn protection(&self) -> Protection {
        Protection {
            scheme: self.scheme.as_str().to_owned(),
            iv: self.iv(),
            systems: self.systems.iter().map(|it| it.as_str().to_owned()).collect(),
        }
    }
}
