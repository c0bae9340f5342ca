//! `corner_secret`: a secret that is in no plan, state or log: write-only with its version, or by reference.

use tfplugin_framework::schema::{Computed, Secret};
use tfplugin_framework::{Context, Plan, Read, Resource, Result, Schema, State, Stored, resource};

use crate::Corner;
use crate::store::Store;

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

async fn length(cx: &Context<Corner>, account: &Account) -> Result<u64> {
    let password = cx.secret(&account.password).await?;
    Ok(password.chars().count() as u64)
}

#[resource(name = "secret")]
impl Resource for Account {
    type Provider = Corner;

    async fn create(cx: &Context<Corner>, plan: Plan<Self>) -> Result<State<Self>> {
        let length = length(cx, &plan).await?;
        Ok(plan.complete(AccountComputed { id: Store::new_id("secret"), length }))
    }

    async fn read(_: &Context<Corner>, _: Stored<Self>) -> Result<Read<Self>> {
        Ok(Read::Unchanged)
    }

    async fn update(cx: &Context<Corner>, prior: Stored<Self>, plan: Plan<Self>) -> Result<State<Self>> {
        let length =
            if plan.changed(Account::length()) { length(cx, &plan).await? } else { *prior.length.get()? };
        Ok(plan.complete(AccountComputed { id: prior.id.get()?.clone(), length }))
    }

    async fn delete(_: &Context<Corner>, _: Stored<Self>) -> Result<()> {
        Ok(())
    }
}
