//! A video on demand: from a source file to packages that play.

use serde::{Deserialize, Serialize};
use tfplugin_schema::{Duration, Schema, Size};

use super::ladder::LadderSpec;
use crate::platform::{self, JobObject, Name, Object, Reach, Resources, SpecError, SpecUse};

/// What is made of one source.
#[derive(Clone, Debug, PartialEq, Schema, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct VodAssetSpec {
    /// The title that viewers see; the name where none is given.
    pub title: Option<String>,
    /// The file.
    pub source: SourceSpec,
    /// Subtitles, one for each language and kind.
    #[serde(default)]
    pub subtitles: Option<Vec<SubtitleSpec>>,
    /// Pictures for the player's time line; none where it is not set.
    pub thumbnails: Option<ThumbnailSpec>,
    /// Local disk for the job that fetches and packages it: it holds the source, and for a while each rendition twice. On
    /// Kubernetes a node must have it free. The size of a source is not known while planning, so a long film may need more.
    #[attribute(default = "16GiB")]
    #[serde(default = "usual_scratch")]
    pub scratch: Size,
}

fn usual_scratch() -> Size {
    Size(16 << 30)
}

/// A source file.
#[derive(Clone, Debug, PartialEq, Schema, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SourceSpec {
    /// Where it is: `file:///…` on the transcoder's site, `https://…`, or `s3://BUCKET/KEY` in the transcoder's object
    /// store, whose bucket it must name: for a store that a site has, `media` of `file://SITE/media`. A relative path is
    /// not one.
    #[attribute(validate(regex(
        "^(file:///|https?://|s3://).+",
        says = "must begin with file:///, http://, https:// or s3://"
    )))]
    pub url: String,
    /// Its digest, `sha256:` and 64 hexadecimal digits: another digest is another source, the same one is never encoded
    /// twice.
    #[attribute(validate(regex(
        "^sha256:[0-9a-f]{64}$",
        says = "must be sha256: and 64 digits of 0-9a-f; `sha256sum FILE` prints them"
    )))]
    pub digest: String,
    /// Whether an address of a private network, this host included, may be asked.
    #[attribute(default = false)]
    pub allow_private: bool,
}

/// Subtitles in one language.
#[derive(Clone, Debug, PartialEq, Schema, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SubtitleSpec {
    /// The language as BCP 47 (RFC 5646) has it: `en`, `pt-BR`.
    #[attribute(validate(regex(
        "^[a-zA-Z]{2,3}(-[a-zA-Z0-9]{2,8})*$",
        says = "must be a language tag such as en or pt-BR"
    )))]
    pub language: String,
    /// What the player's menu says; the language where none is given.
    pub label: Option<String>,
    /// A WebVTT or SubRip file.
    pub source: SourceSpec,
}

/// Pictures for the player's time line.
#[derive(Clone, Debug, PartialEq, Schema, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ThumbnailSpec {
    /// One picture for each of these spans.
    #[attribute(default = "5s")]
    pub interval: Duration,
    /// Height of a picture in pixels.
    #[attribute(default = 90, validate(range = 32..=720))]
    pub height: u32,
}

/// What the job of an asset is told. Its transcoder's spec lies in the specs directory.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct VodJobSpec {
    /// The asset's name, the first part of its addresses.
    pub name: Name,
    /// What is made.
    pub asset: VodAssetSpec,
    /// The renditions.
    pub ladder: LadderSpec,
    /// The transcoder that encodes.
    pub transcoder: Name,
}

impl VodJobSpec {
    /// Refuses what a plan would not have let through: the job may have been handed in by somebody else.
    ///
    /// # Errors
    /// The first thing that is wrong.
    pub fn check(&self) -> Result<(), SpecError> {
        self.ladder.check()?;
        for subtitle in self.asset.subtitles.iter().flatten() {
            let fits = |part: &str| {
                (2..=8).contains(&part.len()) && part.bytes().all(|byte| byte.is_ascii_alphanumeric())
            };
            if !subtitle.language.split('-').all(fits) {
                let text = format!("{:?} is no language tag such as en or pt-BR", subtitle.language);
                return Err(SpecError::new(text));
            }
        }
        Ok(())
    }

    /// What distinguishes one making of this asset from another, in 12 hexadecimal digits: source digests, ladder,
    /// subtitles, thumbnails. Packages of different generations lie side by side, and the catalogue says which is shown.
    pub fn generation(&self) -> String {
        use sha2::{Digest as _, Sha256};
        let asset = serde_json::json!({
            "digest": self.asset.source.digest,
            "subtitles": self.asset.subtitles.iter().flatten().map(|it| (&it.language, &it.label, &it.source.digest)).collect::<Vec<_>>(),
            "thumbnails": self.asset.thumbnails,
            "ladder": self.ladder,
        });
        hex::encode(&Sha256::digest(asset.to_string().as_bytes())[..6])
    }

    /// The job that makes it.
    ///
    /// # Errors
    /// A spec that is no JSON, which does not happen.
    pub fn objects(&self) -> Result<Vec<Object>, SpecError> {
        let sources = [&self.asset.source].into_iter();
        let sources = sources.chain(self.asset.subtitles.iter().flatten().map(|it| &it.source));
        let reach = platform::reach(sources.map(|it| it.url.as_str()));
        let resources =
            Resources { cpu_millis: 500, memory_bytes: 1 << 30, scratch_bytes: self.asset.scratch.0 };
        Ok(vec![self.job("vod", platform::spec_value(self)?, reach, resources)])
    }

    /// The job that removes what was made of it. It asks stores and writes nothing here, so any node has room for it.
    pub fn removal(&self) -> Object {
        let spec = serde_json::json!({ "name": self.name, "transcoder": self.transcoder });
        self.job("vod-remove", spec, Vec::new(), Resources::default())
    }

    fn job(&self, target: &str, spec: serde_json::Value, reach: Vec<Reach>, resources: Resources) -> Object {
        let transcoder = Name::fixed("transcoder");
        Object::Job(JobObject {
            name: Name::fixed("vod-asset"),
            target: target.to_owned(),
            spec,
            uses: vec![SpecUse {
                kind: transcoder.clone(),
                name: self.transcoder.clone(),
                service: transcoder,
            }],
            credentials: Vec::new(),
            reach,
            resources,
            retries: 6,
            deadline_seconds: 7 * 24 * 3600,
        })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_job_asks_for_the_disk_that_it_is_given_and_a_removal_for_next_to_none() {
        let spec = |rest: serde_json::Value| -> VodJobSpec {
            let mut asset = json!({ "title": null, "thumbnails": null, "source": {
                "url": "s3://media/film.mp4", "digest": format!("sha256:{}", "0".repeat(64)), "allow_private": false } });
            asset.as_object_mut().unwrap().extend(rest.as_object().unwrap().clone());
            serde_json::from_value(json!({
                "name": "film", "asset": asset, "transcoder": "main",
                "ladder": crate::media::default_ladder(360, None),
            }))
            .unwrap()
        };
        let scratch = |object: &Object| match object {
            Object::Job(job) => job.resources.scratch_bytes,
            _ => 0,
        };
        let usual = spec(json!({}));
        assert_eq!(scratch(&usual.objects().unwrap()[0]), 16 << 30);
        let small = spec(json!({ "scratch": "2GiB" }));
        assert_eq!(scratch(&small.objects().unwrap()[0]), 2 << 30);
        assert_eq!(small.generation(), usual.generation(), "where it is made does not change what is made");
        assert_eq!(scratch(&usual.removal()), Resources::default().scratch_bytes);
    }
}
