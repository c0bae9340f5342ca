//! `streamverse_runpod_registry_credential`: with what private images are pulled.

use streamverse_compute_runpod::{Registry, RegistryBody};
use streamverse_model::compute::runpod::login_mark;
use tfplugin_framework::schema::{Computed, Secret, Timeouts};
use tfplugin_framework::{
    Context, Draft, Maybe, Plan, Read, Resource, Result, Schema, State, Stored, resource,
};

use super::{Here, plan_name, told};
use crate::provider::Streamverse;

/// A credential at RunPod with which private images are pulled.
///
/// RunPod neither shows nor changes it: another login is another credential. With `create_before_destroy` the new one is there before
/// the old one goes, which RunPod refuses while a pod uses it.
///
/// Its name at RunPod ends in a mark of the login: of the user and of the version or the reference of the password, nothing of
/// the password itself. After an import the user and the version are taken from the configuration; where the mark is another
/// one, it is made anew.
///
/// Calls: `POST`, `GET` and `DELETE /v2/registries`. Import takes `NAME`, or `NAME=ID`.
///
/// Not proved live: it ran against a stand-in that is held to RunPod's API description of 2026-08-18, never against RunPod.
#[derive(Clone, Schema)]
pub struct RunpodRegistryCredential {
    /// Unique in the deployment; another name is another credential.
    #[attribute(
        replace,
        validate(regex(
            "^[a-z0-9]([a-z0-9-]{0,38}[a-z0-9])?$",
            says = "must be 1 to 40 characters of a-z, 0-9 and inner -"
        ))
    )]
    pub name: String,
    /// Who logs in.
    #[attribute(validate(length = 1..))]
    pub username: String,
    /// The password, or the token of a robot account.
    pub password: Secret<String>,
    /// What it is called at RunPod: `streamverse.DEPLOYMENT.NAME_MARK`.
    #[attribute(changes_with = any)]
    pub remote_name: Computed<String>,
    /// RunPod's identifier.
    #[attribute(changes_with = [name])]
    pub id: Computed<String>,
    /// Deadlines.
    pub timeouts: Timeouts,
}

fn marked(name: &str, username: &str, version: Option<i64>, reference: Option<&str>) -> String {
    format!("{name}_{}", login_mark(username, version, reference))
}

impl RunpodRegistryCredential {
    fn marked(&self) -> String {
        let reference = self.password.reference.as_ref().map(ToString::to_string);
        marked(&self.name, &self.username, self.password.version, reference.as_deref())
    }
}

#[resource(name = "runpod_registry_credential", timeouts(create = "2m", update = "2m", delete = "2m"))]
impl Resource for RunpodRegistryCredential {
    type Provider = Streamverse;

    async fn create(cx: &Context<Streamverse>, plan: Plan<Self>) -> Result<State<Self>> {
        let here = Here::of(cx).await?;
        let remote_name = here.remote(&plan.marked());
        let password = cx.secret(&plan.password).await?.to_string();
        let body = RegistryBody { name: remote_name.clone(), username: plan.username.clone(), password };
        // One of this name was made by an apply that was cut short, for the same user and version: it is the same.
        let made = here.client.obtain::<Registry>(&remote_name, &body, here.limit).await;
        let id = made.map_err(|fault| told(&fault))?.thing.id;
        Ok(plan.complete(RunpodRegistryCredentialComputed { remote_name, id }))
    }

    async fn read(cx: &Context<Streamverse>, stored: Stored<Self>) -> Result<Read<Self>> {
        let here = Here::of(cx).await?;
        let Some(it) = here.look::<Registry>(stored.id.get()?).await? else { return Ok(Read::Gone) };
        let stored = stored.into_inner();
        Ok(Read::Found(RunpodRegistryCredentialState {
            name: stored.name,
            username: stored.username,
            password: stored.password,
            remote_name: it.name,
            id: it.id,
            timeouts: stored.timeouts,
        }))
    }

    /// Another login is another credential: what is left to change is what only Terraform knows.
    async fn update(
        cx: &Context<Streamverse>,
        stored: Stored<Self>,
        plan: Plan<Self>,
    ) -> Result<State<Self>> {
        let remote_name = Here::of(cx).await?.remote(&plan.marked());
        let id = stored.id.get()?.clone();
        Ok(plan.complete(RunpodRegistryCredentialComputed { remote_name, id }))
    }

    async fn delete(cx: &Context<Streamverse>, stored: Stored<Self>) -> Result<()> {
        Here::of(cx).await?.delete::<Registry>(stored.id.get()?).await
    }

    async fn modify_plan(cx: &Context<Streamverse>, draft: &mut Draft<Self>) -> Result<()> {
        if draft.is_destroy() {
            return Ok(());
        }
        let planned = draft.planned()?;
        let known = |it: &Maybe<i64>| match it {
            Maybe::Known(it) => Some(Some(*it)),
            Maybe::Null => Some(None),
            Maybe::Unknown => None,
        };
        let reference = match &planned.password.reference {
            Maybe::Known(it) => Some(Some(it.to_string())),
            Maybe::Null => Some(None),
            Maybe::Unknown => None,
        };
        let name = match (
            planned.name.known(),
            planned.username.known(),
            known(&planned.password.version),
            reference,
        ) {
            (Some(name), Some(user), Some(version), Some(reference)) => {
                Maybe::Known(marked(name, user, version, reference.as_deref()))
            }
            _ => Maybe::Unknown,
        };
        plan_name(cx, draft, &name, Self::remote_name())?;
        if draft.prior()?.is_some() && draft.changed(Self::remote_name()) {
            draft.replace(Self::remote_name());
            draft.set_unknown(Self::id())?;
        }
        Ok(())
    }

    async fn import(cx: &Context<Streamverse>, text: &str) -> Result<State<Self>> {
        let (name, it) = Here::of(cx).await?.import::<Registry>(text).await?;
        Ok(RunpodRegistryCredentialState {
            name,
            username: String::new(),
            password: Secret::default(),
            remote_name: it.name,
            id: it.id,
            timeouts: Timeouts::default(),
        })
    }
}
