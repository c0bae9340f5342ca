//! `corner_secret`: a secret that is in no plan, state or log: write-only with its version, or by reference.

use serde::{Deserialize, Serialize};
use tfplugin_framework::schema::{Computed, Secret};
use tfplugin_framework::{Context, Error, Plan, Read, Resource, Result, Schema, State, Stored, resource};

use crate::Corner;

/// An account with a password.
#[derive(Clone, Schema)]
pub(crate) struct Account {
    /// Assigned by the provider.
    id: Computed<String>,
    /// Who logs in.
    user: String,
    /// The password.
    password: Secret<String>,
    /// A second factor.
    token: Option<Secret<String>>,
    /// How long the password is: proof that it arrived.
    #[attribute(changes_with = [password, user])]
    length: Computed<u64>,
}

/// What the other side has: everything but the secret.
#[derive(Serialize, Deserialize)]
struct Record {
    user: String,
    length: u64,
}

fn note(cx: &Context<Corner>, id: &str, user: &str, length: u64) -> Result<()> {
    cx.provider().store.put("secret", id, &Record { user: user.to_owned(), length })
}

async fn length(cx: &Context<Corner>, account: &Account) -> Result<u64> {
    let password = cx.secret(&account.password).await?;
    Ok(password.chars().count() as u64)
}

#[resource(name = "secret")]
impl Resource for Account {
    type Provider = Corner;

    async fn create(cx: &Context<Corner>, plan: Plan<Self>) -> Result<State<Self>> {
        let length = length(cx, &plan).await?;
        let id = tfplugin_framework::unique_id("secret");
        note(cx, &id, &plan.user, length)?;
        Ok(plan.complete(AccountComputed { id, length }))
    }

    async fn read(cx: &Context<Corner>, state: Stored<Self>) -> Result<Read<Self>> {
        let kept = cx.provider().store.get::<Record>("secret", state.id.get()?)?;
        Ok(if kept.is_some() { Read::Unchanged } else { Read::Gone })
    }

    async fn update(cx: &Context<Corner>, prior: Stored<Self>, plan: Plan<Self>) -> Result<State<Self>> {
        let length =
            if plan.changed(Account::length()) { length(cx, &plan).await? } else { *prior.length.get()? };
        let id = prior.id.get()?.clone();
        note(cx, &id, &plan.user, length)?;
        Ok(plan.complete(AccountComputed { id, length }))
    }

    async fn delete(cx: &Context<Corner>, state: Stored<Self>) -> Result<()> {
        cx.provider().store.remove("secret", state.id.get()?)
    }

    async fn import(cx: &Context<Corner>, id: &str) -> Result<State<Self>> {
        let missing = || Error::invalid("there is no such account");
        let Record { user, length } = cx.provider().store.get("secret", id)?.ok_or_else(missing)?;
        let password = Secret::default();
        Ok(AccountState { id: id.to_owned(), user, password, token: None, length })
    }
}
