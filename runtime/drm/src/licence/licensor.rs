//! From a request to a licence, or to why there is none. It listens nowhere and knows no clock of its own.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use streamverse_core::stores::{Catalogue, ContentKey, ContentKeys, Records};
use streamverse_core::{Error, Result};
use streamverse_model::drm::entitlement::{Allowed, Clock, EntitlementPolicySpec, Refusal, Request, decide};
use streamverse_model::drm::{KeyId, TokenSpec, UsageSpec};

use super::accounts::{Accounts, Next, Unchanged};
use super::replay::{Memory, Replay};
use super::token::{Token, Verifier};
use super::usage::Usages;
use super::{keys::Keys, request};

/// How long the accounts may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// What time it is, milliseconds since the Unix epoch.
pub type Now = Arc<dyn Fn() -> u64 + Send + Sync>;

/// What a licensor is made of.
pub struct Parts {
    /// Judges tokens.
    pub verifier: Verifier,
    /// Which tokens are taken.
    pub token: TokenSpec,
    /// Who may watch what.
    pub policy: EntitlementPolicySpec,
    /// Where accounts are.
    pub records: Arc<dyn Records>,
    /// Where assets are listed, with what their licences allow.
    pub catalogue: Arc<dyn Catalogue>,
    /// Where replicas remember tokens.
    pub cache: Option<Arc<dyn streamverse_core::stores::Cache>>,
    /// Where a file outlives this process and not the machine: the next process knows from it which tokens were used.
    pub folder: Option<PathBuf>,
    /// How old what is known of other processes may be. They wait as long as that before they rely on it.
    pub fresh: Duration,
    /// Where keys are.
    pub keys: Arc<dyn ContentKeys>,
    /// What time it is.
    pub now: Now,
}

/// Gives licences.
pub struct Licensor {
    verifier: Verifier,
    policy: EntitlementPolicySpec,
    accounts: Accounts,
    usages: Usages,
    replay: Replay,
    keys: Keys,
    skew_ms: u64,
    now: Now,
}

impl std::fmt::Debug for Licensor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Licensor").field("verifier", &self.verifier).finish_non_exhaustive()
    }
}

/// A licence, and when to ask for the next one.
#[derive(Clone, PartialEq, Eq)]
pub struct Licence {
    /// The JSON Web Key set.
    pub body: Vec<u8>,
    /// Milliseconds.
    pub renew_after_ms: u64,
}

impl std::fmt::Debug for Licence {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Licence {{ renew_after_ms: {} }}", self.renew_after_ms)
    }
}

impl Licensor {
    /// Takes over the audience of the tokens: see [`Licensor::opens_ms`].
    ///
    /// # Errors
    /// A store that does not answer.
    pub async fn begin(parts: Parts) -> Result<Licensor> {
        let skew_ms = u64::try_from(parts.token.clock_skew.0.as_millis()).unwrap_or(u64::MAX);
        let scope = serde_json::json!([parts.token.issuer, parts.token.audience]).to_string();
        let memory = Memory {
            records: Arc::clone(&parts.records),
            cache: parts.cache,
            folder: parts.folder.as_deref(),
            scope,
            skew_ms,
            fresh: parts.fresh,
            now: Arc::clone(&parts.now),
        };
        let replay = Replay::begin(memory).await?;
        Ok(Licensor {
            verifier: parts.verifier,
            policy: parts.policy,
            accounts: Accounts::new(parts.records),
            usages: Usages::new(parts.catalogue),
            replay,
            keys: Keys::new(parts.keys),
            skew_ms,
            now: parts.now,
        })
    }

    /// Tokens that were issued until then (milliseconds since the Unix epoch) are refused: an earlier process may have taken
    /// them.
    pub fn opens_ms(&self) -> u64 {
        self.replay.opens_ms()
    }

    /// Whether another process of this host has the tokens that come before [`Licensor::opens_ms`].
    pub fn has_rival(&self) -> bool {
        self.replay.has_rival()
    }

    /// Takes no token any more, and lets another process take over without a pause.
    ///
    /// # Errors
    /// A store that does not answer: the next process waits then.
    pub async fn close(&self) -> Result<()> {
        self.replay.close().await
    }

    /// What time it is.
    pub fn now_ms(&self) -> u64 {
        (self.now)()
    }

    pub(super) fn policy(&self) -> &EntitlementPolicySpec {
        &self.policy
    }

    pub(super) fn accounts(&self) -> &Accounts {
        &self.accounts
    }

    pub(super) fn clock(&self) -> Clock {
        Clock::around((self.now)(), self.skew_ms)
    }

    /// Answers a request: the value of its `Authorization` field, and its body.
    ///
    /// # Errors
    /// Why there is no licence.
    pub async fn answer(&self, authorization: Option<&str>, body: &[u8]) -> Result<Licence, Refusal> {
        let clock = self.clock();
        let token = self.verifier.verify(bearer(authorization)?, clock)?;
        self.replay.is_open(&token, clock)?;
        let wanted = request::wanted(body)?;
        // Before the token is used: it may be sent again where the key service does not answer.
        let keys = self.keys(&wanted.kids).await?;
        self.replay.take(&token, clock).await?;
        let deciding = self.decide(&token, &keys, wanted.is_persistent, clock);
        let allowed = match tokio::time::timeout(PATIENCE, deciding).await {
            Ok(decided) => decided?,
            Err(_) => return Err(Refusal::CatalogueUnavailable),
        };
        let body = request::licence(keys.iter().map(|it| &**it), wanted.is_persistent);
        Ok(Licence { body, renew_after_ms: allowed.renew_after_ms })
    }

    async fn keys(&self, kids: &[KeyId]) -> Result<Vec<Arc<ContentKey>>, Refusal> {
        let found = self.keys.find(kids).await.map_err(|error| {
            tracing::warn!(error = %error.chain(), "The key service does not answer.");
            Refusal::KeyServiceUnavailable
        })?;
        found.into_iter().collect::<Option<Vec<_>>>().ok_or(Refusal::KeyUnknown)
    }

    async fn decide(
        &self,
        token: &Token,
        keys: &[Arc<ContentKey>],
        is_persistent: bool,
        clock: Clock,
    ) -> Result<Allowed, Refusal> {
        let mut assets: Vec<&str> = keys.iter().map(|it| it.asset.as_str()).collect();
        assets.sort_unstable();
        assets.dedup();
        let mut usages: Vec<(&str, Arc<UsageSpec>)> = Vec::new();
        for asset in &assets {
            let found = self.usages.of(asset).await.map_err(|error| {
                tracing::warn!(error = %error.chain(), "What an asset's licences allow cannot be read.");
                Refusal::CatalogueUnavailable
            })?;
            usages.extend(found.map(|usage| (*asset, usage)));
        }
        let usages: Vec<(&str, &UsageSpec)> =
            usages.iter().map(|(asset, usage)| (*asset, &**usage)).collect();
        let request = Request {
            assets: &assets,
            device: &token.device,
            session: &token.session,
            country: token.country.as_deref(),
            usage: &usages,
            is_persistent,
        };
        let judge = |account: Option<&_>| {
            let account = account.ok_or(Refusal::AccountUnknown)?;
            let mut allowed = decide(&self.policy, account, &request, clock)?;
            let next = allowed.account.take().map_or(Next::Same, Next::Changed);
            Ok((allowed, next))
        };
        self.accounts.change(&token.account, judge).await.map_err(|why| match why {
            Unchanged::Refused(refusal) => refusal,
            Unchanged::Busy => Refusal::Busy,
            Unchanged::Failed(error) => {
                tracing::warn!(error = %error.chain(), "An account cannot be read or written.");
                Refusal::CatalogueUnavailable
            }
        })
    }

    /// Whether it can give licences.
    ///
    /// # Errors
    /// What does not answer.
    pub async fn probe(&self) -> Result<()> {
        self.accounts.probe().await.map_err(|error: Error| error)
    }
}

/// The token of `Authorization: Bearer TOKEN` (RFC 6750 section 2.1).
fn bearer(authorization: Option<&str>) -> Result<&str, Refusal> {
    let value = authorization.ok_or(Refusal::TokenMissing)?;
    let (scheme, token) = value.split_once(' ').ok_or(Refusal::TokenMissing)?;
    let token = token.trim_matches(' ');
    if scheme.eq_ignore_ascii_case("bearer") && !token.is_empty() {
        Ok(token)
    } else {
        Err(Refusal::TokenMissing)
    }
}
