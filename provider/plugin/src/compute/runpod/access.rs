//! The provider block's `runpod`: where the account is, and the key to it.

use std::sync::Arc;

use streamverse_compute_runpod::{ApiKey, Client, Config, DEFAULT_ENDPOINT};
use tfplugin_framework::schema::{Path, Secret, SecretRef};
use tfplugin_framework::{Context, Error, Findings, Maybe, Result, Schema};
use tokio::sync::Mutex;

use super::told;
use crate::provider::Streamverse;

/// The variable that RunPod's own tools read.
const VARIABLE: &str = "RUNPOD_API_KEY";

/// A RunPod account.
#[derive(Clone, Schema)]
pub struct RunpodBlock {
    /// The API; `https://api.runpod.io` where none is given.
    pub endpoint: Option<String>,
    /// Where the account's key is: `env:NAME` or `file:PATH`; `env:RUNPOD_API_KEY` where none is given. It needs to read and write
    /// what the resources make; the key itself is in no state and no plan.
    pub api_key_ref: Option<SecretRef>,
}

/// The account as configured, and one client of it for as long as the provider lives.
pub(crate) struct Account {
    block: Maybe<RunpodBlockView>,
    client: Arc<Mutex<Option<Client>>>,
    claims: Arc<super::names::Claims>,
}

impl Account {
    pub(crate) fn new(block: Maybe<RunpodBlockView>) -> Account {
        Account { block, client: Arc::default(), claims: Arc::default() }
    }

    /// Creates of this process.
    pub(super) fn claims(&self) -> Arc<super::names::Claims> {
        Arc::clone(&self.claims)
    }

    fn endpoint(&self) -> Maybe<String> {
        match &self.block {
            Maybe::Known(block) => block.endpoint.clone(),
            Maybe::Null => Maybe::Null,
            Maybe::Unknown => Maybe::Unknown,
        }
    }

    fn reference(&self) -> Maybe<SecretRef> {
        match &self.block {
            Maybe::Known(block) => block.api_key_ref.clone(),
            Maybe::Null => Maybe::Null,
            Maybe::Unknown => Maybe::Unknown,
        }
    }

    /// Whether there is a key to ask with. Where it comes from a variable that is not set there is none.
    pub(crate) fn has_key(&self) -> bool {
        match self.reference() {
            Maybe::Known(SecretRef::Env(name)) => std::env::var_os(name).is_some(),
            Maybe::Known(_) => true,
            Maybe::Null => std::env::var_os(VARIABLE).is_some(),
            Maybe::Unknown => false,
        }
    }

    /// A client. Nothing is asked yet.
    ///
    /// # Errors
    /// A key that cannot be read, and an endpoint that is none or not known yet.
    pub(crate) async fn client(&self, cx: &Context<Streamverse>) -> Result<Client> {
        let mut kept = self.client.lock().await;
        if let Some(client) = &*kept {
            return Ok(client.clone());
        }
        let unknown = || {
            Error::invalid("where the RunPod account is, is not known yet")
                .next("Give `runpod` in the provider block values that are known when the plan is applied.")
        };
        let endpoint = match self.endpoint() {
            Maybe::Known(endpoint) => endpoint,
            Maybe::Null => DEFAULT_ENDPOINT.to_owned(),
            Maybe::Unknown => return Err(unknown()),
        };
        let mut secret = Secret::<String>::default();
        secret.reference = Some(match self.reference() {
            Maybe::Known(reference) => reference,
            Maybe::Null => SecretRef::Env(VARIABLE.to_owned()),
            Maybe::Unknown => return Err(unknown()),
        });
        let key = cx.secret(&secret).await.map_err(|error| error.context("reading the key to RunPod"))?;
        let made = ApiKey::new(&key).and_then(|key| Config::new(&endpoint, key)).and_then(Client::new);
        let client = made.map_err(|fault| told(&fault))?;
        *kept = Some(client.clone());
        Ok(client)
    }
}

/// Refuses what no completion can save.
pub(crate) fn validate(block: &RunpodBlockView, at: &Path, findings: &mut Findings) {
    if let Some(Err(fault)) = block.endpoint.known().map(|endpoint| Config::endpoint(endpoint)) {
        findings.refuse(at.clone().attr("endpoint"), "No endpoint", format!("{}.", fault.says));
    }
}
