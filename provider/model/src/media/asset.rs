//! A video on demand: from a source file to packages that play.

use serde::{Deserialize, Serialize};
use tfplugin_schema::{Diagnostics, Duration, Maybe, Path, Schema, Size};

use super::ladder::LadderSpec;
use crate::drm::DrmDefinition;
use crate::platform::{self, CredentialUse, JobObject, Name, Object, Reach, Resources, SpecError, SpecUse};

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
    /// What the plan knew of the transcoder's stores ([`TranscoderSpec::stores`](super::TranscoderSpec::stores)): with
    /// others the asset is made anew there. The job itself reads the transcoder's spec.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stores: Option<String>,
    /// The format of its packages, [`PACKAGE_FORMAT`] now. Another one is another making.
    #[serde(default = "first_format", skip_serializing_if = "is_first_format")]
    pub format: u32,
    /// How it is encrypted; clear where there is nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub drm: Option<DrmDefinition>,
}

/// The format of packages: 2 has an `index.json`. What an older version made is made again.
pub const PACKAGE_FORMAT: u32 = 2;

fn first_format() -> u32 {
    1
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
fn is_first_format(format: &u32) -> bool {
    *format == 1
}

/// What distinguishes one making of an asset from another, in 12 hexadecimal digits: source digests, ladder, subtitles,
/// thumbnails, format, and what of its encryption changes bytes. Packages of different generations lie side by side, and the catalogue says which is shown.
pub fn generation(
    digest: &str,
    subtitles: &[(&str, Option<&str>, &str)],
    thumbnails: Option<&ThumbnailSpec>,
    ladder: &LadderSpec,
    format: u32,
    drm: Option<&DrmDefinition>,
) -> String {
    use sha2::{Digest as _, Sha256};
    let mut asset = serde_json::json!({
        "digest": digest,
        "subtitles": subtitles,
        "thumbnails": thumbnails,
        "ladder": ladder,
    });
    // As before where there is nothing to add.
    if let Some(parts) = asset.as_object_mut() {
        if format > 1 {
            parts.insert("format".to_owned(), format.into());
        }
        if let Some(drm) = drm {
            parts.insert("drm".to_owned(), drm.spec.bytes());
        }
    }
    hex::encode(&Sha256::digest(asset.to_string().as_bytes())[..6])
}

/// A label as a playlist has it: the packager splits its descriptors at commas and equal signs, and a quoted string has
/// no quotes (RFC 8216 section 4.2).
pub fn playlist_name(label: &str) -> String {
    label.chars().map(|it| if ",=/\\\"".contains(it) || it.is_control() { ' ' } else { it }).collect()
}

/// Refuses subtitles that a playlist cannot tell apart. What is not known yet is not judged.
pub fn check_subtitles(view: &Maybe<Vec<Maybe<SubtitleSpecView>>>, out: &mut Diagnostics) {
    let mut seen: Vec<String> = Vec::new();
    for (at, subtitle) in view.known().into_iter().flatten().enumerate() {
        let Some(subtitle) = subtitle.known() else { continue };
        let name = match (&subtitle.label, &subtitle.language) {
            (Maybe::Known(label), _) => playlist_name(label),
            (Maybe::Null, Maybe::Known(language)) => playlist_name(language),
            _ => continue,
        };
        if seen.contains(&name) {
            out.error_at(
                Path::attribute("subtitles").index(at).attr("label"),
                "Subtitles of one name",
                format!("A player's menu would have {name:?} twice, and a playlist may not (RFC 8216 section 4.3.4.1.1). Give each a label of its own."),
            );
        }
        seen.push(name);
    }
}

impl VodJobSpec {
    /// Refuses what a plan would not have let through: the job may have been handed in by somebody else.
    ///
    /// # Errors
    /// The first thing that is wrong.
    pub fn check(&self) -> Result<(), SpecError> {
        self.ladder.check()?;
        if !(1..=PACKAGE_FORMAT).contains(&self.format) {
            let text = format!(
                "packages of format {} are not known here: this is older than the provider, which asks for them",
                self.format
            );
            return Err(SpecError::new(text));
        }
        if let Some(drm) = &self.drm {
            drm.spec.check()?;
            drm.spec.period_segments(&self.ladder)?;
        }
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

    /// Its [`generation`].
    pub fn generation(&self) -> String {
        let subtitles = self.asset.subtitles.iter().flatten();
        let subtitles: Vec<_> = subtitles
            .map(|it| (it.language.as_str(), it.label.as_deref(), it.source.digest.as_str()))
            .collect();
        generation(
            &self.asset.source.digest,
            &subtitles,
            self.asset.thumbnails.as_ref(),
            &self.ladder,
            self.format,
            self.drm.as_ref(),
        )
    }

    /// The job that makes it.
    ///
    /// # Errors
    /// A spec that is no JSON, which does not happen.
    pub fn objects(&self) -> Result<Vec<Object>, SpecError> {
        let sources = [&self.asset.source].into_iter();
        let sources = sources.chain(self.asset.subtitles.iter().flatten().map(|it| &it.source));
        let mut reach = platform::reach(sources.map(|it| it.url.as_str()));
        let mut credentials = Vec::new();
        if let Some(drm) = &self.drm {
            let keys = platform::uses([drm.spec.key_service.as_str()])?;
            credentials = keys.credentials;
            reach.extend(keys.reach);
        }
        let resources =
            Resources { cpu_millis: 500, memory_bytes: 1 << 30, scratch_bytes: self.asset.scratch.0 };
        Ok(vec![self.job("vod", platform::spec_value(self)?, (reach, credentials), resources)])
    }

    /// The job that removes what was made of it. It asks stores and writes nothing here, so any node has room for it.
    pub fn removal(&self) -> Object {
        let spec = serde_json::json!({ "name": self.name, "transcoder": self.transcoder });
        self.job("vod-remove", spec, (Vec::new(), Vec::new()), Resources::default())
    }

    fn job(
        &self,
        target: &str,
        spec: serde_json::Value,
        (reach, credentials): (Vec<Reach>, Vec<CredentialUse>),
        resources: Resources,
    ) -> Object {
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
            credentials,
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
    use tfplugin_schema::Field as _;

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

    #[test]
    fn subtitles_of_one_name_are_refused_at_the_second() {
        let found = |all: serde_json::Value| -> Vec<String> {
            let all: Vec<serde_json::Value> = all
                .as_array()
                .unwrap()
                .iter()
                .map(|it| {
                    let source = json!({ "url": "file:///a", "digest": "x", "allow_private": false });
                    json!({ "language": it[0], "label": it[1], "source": source })
                })
                .collect();
            let all: Option<Vec<SubtitleSpec>> = serde_json::from_value(json!(all)).unwrap();
            let view = Option::<Vec<SubtitleSpec>>::view(&Option::<Vec<SubtitleSpec>>::write(&all)).unwrap();
            let mut out = Diagnostics::new();
            check_subtitles(&view, &mut out);
            out.iter().map(|it| it.path.clone().unwrap_or_default().to_string()).collect()
        };
        assert_eq!(found(json!([["en", null], ["en", null]])), ["subtitles[1].label"]);
        assert_eq!(found(json!([["en", "A"], ["de", "B"], ["fr", "A"]])), ["subtitles[2].label"]);
        assert_eq!(
            found(json!([["en", "A,b"], ["en", "A b"]])),
            ["subtitles[1].label"],
            "as the playlist has it"
        );
        assert_eq!(found(json!([["en", null], ["en", "for the deaf"], ["de", null]])), [""; 0]);
    }

    #[test]
    fn other_stores_are_another_job_of_the_same_generation() {
        let spec = |stores: Option<&str>| -> VodJobSpec {
            serde_json::from_value(json!({
                "name": "film", "transcoder": "main", "stores": stores,
                "asset": { "title": null, "source": { "url": "file:///a", "digest": "x", "allow_private": false },
                    "thumbnails": null },
                "ladder": super::super::default_ladder(360, None),
            }))
            .unwrap()
        };
        let (none, one, two) = (spec(None), spec(Some("1")), spec(Some("2")));
        assert_ne!(one.objects().unwrap(), two.objects().unwrap());
        assert_eq!(one.generation(), two.generation());
        assert!(!serde_json::to_string(&none).unwrap().contains("stores"), "as before");
    }
}
