//! `streamverse_transcode_ladder`: pure, nothing runs for it. What it refuses and computes: `model::media::ladder_check`.

use std::collections::BTreeMap;

use streamverse_model::media::announced::{self, DashAttributes, HlsAttributes};
use streamverse_model::media::{LadderSpec, ladder_check};
use tfplugin_framework::schema::{Computed, Diagnostics};
use tfplugin_framework::{
    Context, Draft, Error, Findings, Plan, Read, Resource, Result, Schema, State, Stored, resource,
};

use crate::plain::spec_of;
use crate::provider::Streamverse;

/// The renditions that are made of every source: sizes, bit rates, audio layouts, and the segment length that all of
/// them share. Nothing runs for a ladder; assets take its `definition`.
///
/// Not proved live: the encoders of GPUs (`nvenc`, `qsv`, `vaapi`) never ran on their hardware.
#[derive(Clone, Schema)]
pub struct TranscodeLadder {
    /// What it is.
    #[attribute(flatten)]
    pub spec: LadderSpec,
    /// The ladder as JSON: what `streamverse_vod_asset` takes as `ladder`.
    pub definition: Computed<String>,
    /// Codec strings by rendition (RFC 6381).
    pub codecs: Computed<BTreeMap<String, String>>,
    /// What an HLS master playlist will say of each variant (RFC 8216 section 4.3.4.2), by video rendition; by audio
    /// rendition where there is no picture. It is what the encoder is told: a package's own manifest has what was measured.
    pub hls: Computed<BTreeMap<String, HlsAttributes>>,
    /// What a DASH manifest will say of each rendition's representation (ISO/IEC 23009-1 section 5.3.5).
    pub dash: Computed<BTreeMap<String, DashAttributes>>,
    /// Bytes that an hour of all renditions takes, at their average bit rates.
    pub storage_per_hour: Computed<u64>,
}

fn computed(spec: &LadderSpec) -> Result<TranscodeLadderComputed> {
    Ok(TranscodeLadderComputed {
        definition: serde_json::to_string(spec)?,
        codecs: ladder_check::codecs(spec),
        hls: announced::hls(spec),
        dash: announced::dash(spec),
        storage_per_hour: ladder_check::storage_per_hour(spec),
    })
}

/// What is not the spec's own.
const COMPUTED: &[&str] = &["definition", "codecs", "hls", "dash", "storage_per_hour"];

#[resource(name = "transcode_ladder")]
impl Resource for TranscodeLadder {
    type Provider = Streamverse;

    async fn create(_: &Context<Streamverse>, plan: Plan<Self>) -> Result<State<Self>> {
        let computed = computed(&plan.spec)?;
        Ok(plan.into_inner().complete(computed))
    }

    async fn read(_: &Context<Streamverse>, _: Stored<Self>) -> Result<Read<Self>> {
        Ok(Read::Unchanged)
    }

    async fn update(cx: &Context<Streamverse>, _: Stored<Self>, plan: Plan<Self>) -> Result<State<Self>> {
        Self::create(cx, plan).await
    }

    async fn delete(_: &Context<Streamverse>, _: Stored<Self>) -> Result<()> {
        Ok(())
    }

    fn validate(config: &TranscodeLadderView, findings: &mut Findings) {
        let mut found = Diagnostics::new();
        ladder_check::check(&config.spec, &mut found);
        for diagnostic in found {
            findings.push(diagnostic);
        }
    }

    async fn modify_plan(_: &Context<Streamverse>, draft: &mut Draft<Self>) -> Result<()> {
        if draft.is_destroy() {
            return Ok(());
        }
        if let Some(spec) = spec_of::<LadderSpec>(draft.value(), COMPUTED) {
            let computed = computed(&spec)?;
            draft.set(Self::definition(), &computed.definition)?;
            draft.set(Self::codecs(), &computed.codecs)?;
            draft.set(Self::hls(), &computed.hls)?;
            draft.set(Self::dash(), &computed.dash)?;
            draft.set(Self::storage_per_hour(), &computed.storage_per_hour)?;
        } else if draft.is_change() {
            draft.set_unknown(Self::definition())?;
            draft.set_unknown(Self::codecs())?;
            draft.set_unknown(Self::hls())?;
            draft.set_unknown(Self::dash())?;
            draft.set_unknown(Self::storage_per_hour())?;
        }
        Ok(())
    }

    async fn import(_: &Context<Streamverse>, definition: &str) -> Result<State<Self>> {
        let spec: LadderSpec = serde_json::from_str(definition).map_err(|error| {
            Error::invalid("this is no ladder's definition")
                .next("Give the JSON of an output of `definition`.")
                .because(error)
        })?;
        let TranscodeLadderComputed { definition, codecs, hls, dash, storage_per_hour } = computed(&spec)?;
        Ok(TranscodeLadderState { spec, definition, codecs, hls, dash, storage_per_hour })
    }
}
