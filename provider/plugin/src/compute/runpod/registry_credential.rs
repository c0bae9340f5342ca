//! `streamverse_runpod_registry_credential`: with what private images are pulled.

use streamverse_compute_runpod::{Endpoint, Kind as _, Registry, RegistryBody, Template};
use streamverse_model::compute::runpod::login_mark;
use tfplugin_framework::schema::{Computed, Secret, Timeouts};
use tfplugin_framework::{
    Context, Draft, Error, Maybe, Plan, Read, Resource, Result, Schema, State, Stored, resource,
};

use super::{Here, Identity, free, plan_name, told};
use crate::provider::Streamverse;

/// A credential at RunPod with which private images are pulled.
///
/// RunPod neither shows nor changes it: another login is another credential. With `create_before_destroy` the new one is there before
/// the old one goes; without it a template loses it for a moment, and a fleet rents nothing until it has the new one. RunPod refuses to
/// delete it while a pod uses it, so that of a fleet with pods goes by the first apply after the last of them.
///
/// Its name at RunPod ends in a mark of the login: of the user and of the version or the reference of the password, nothing of
/// the password itself. After an import the user and the version are taken from the configuration, which the first plan shows as a
/// change in place that calls nobody; where the mark is another one, it is made anew.
///
/// What an apply left which was cut short cannot be read back: it is replaced, unless a template, an endpoint, a pod or a fleet on a
/// site of the provider block refers to it.
///
/// Calls: `POST`, `GET` and `DELETE /v2/registries`, and `GET /v2/templates` and `/v2/serverless` where an older one is there; where
/// they do not refer to it, sites are asked for their fleets. Import takes `NAME`, or `NAME=ID` where several of this resource are there.
/// One that people made cannot be adopted: RunPod gives it no other name, and its login cannot be read. An import of it is refused.
///
/// The account's key must be allowed to read and change registry credentials, and to read templates and serverless endpoints: RunPod
/// answers 403 to one that is not.
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
    /// What it is called at RunPod: `streamverse.DEPLOYMENT.NAME_MARK`, and where that name is taken `streamverse.DEPLOYMENT.NAME_MARK_…`.
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

/// Deletes what an apply that was cut short left of this resource: whatever login it is, nobody can read it back, so the new one
/// takes its place. What something refers to was in a state once, and is left to that.
async fn replace_older(cx: &Context<Streamverse>, here: &Here, name: &str, made: &str) {
    let looked = async {
        let mut older = here.there::<Registry>(name).await?;
        older.retain(|it| it.id != made);
        if older.is_empty() {
            return Ok(older);
        }
        let templates = here.client.list::<Template>(here.limit).await.map_err(|fault| told(&fault))?;
        let endpoints = here.client.list::<Endpoint>(here.limit).await.map_err(|fault| told(&fault))?;
        let used = templates.into_iter().filter_map(|it| it.registry);
        let used: Vec<String> = used.chain(endpoints.into_iter().filter_map(|it| it.registry)).collect();
        older.retain(|it| !used.contains(&it.id));
        if older.is_empty() {
            return Ok(older);
        }
        // RunPod itself refuses while a pod uses it; of a fleet without pods it knows nothing.
        let used = super::fleet::credentials(cx).await?;
        older.retain(|it| !used.contains(&it.id));
        Ok(older)
    };
    let older: Vec<Registry> = match looked.await {
        Ok(found) => found,
        Err(error) => return warn_of_older(cx, &error),
    };
    for it in older {
        if let Err(fault) = here.client.delete::<Registry>(&it.id, here.limit).await {
            warn_of_older(cx, &told(&fault));
        }
    }
}

fn warn_of_older(cx: &Context<Streamverse>, error: &Error) {
    let text = format!("An apply that was cut short may have left one, which could not be deleted: {error}");
    cx.warn("An older registry credential may be left at RunPod", text);
}

fn identity(stored: &Stored<RunpodRegistryCredential>) -> Result<Identity<'_>> {
    Ok(Identity { id: stored.id.get()?, name: &stored.name, remote: stored.remote_name.get()? })
}

#[resource(name = "runpod_registry_credential", timeouts(create = "2m", update = "2m", delete = "2m"))]
impl Resource for RunpodRegistryCredential {
    type Provider = Streamverse;

    async fn create(cx: &Context<Streamverse>, plan: Plan<Self>) -> Result<State<Self>> {
        let here = Here::of(cx).await?;
        let claim = here.claims.claim(Registry::WHAT, &plan.name)?;
        let there = here.there::<Registry>(&plan.name).await?;
        claim.check(there.iter().map(|it| it.id.as_str()))?;
        let taken: Vec<String> = there.into_iter().map(|it| it.name).collect();
        let remote_name = free(&here.remote(&plan.marked()), &taken);
        let password = cx.secret(&plan.password).await?.to_string();
        let body = RegistryBody { name: remote_name.clone(), username: plan.username.clone(), password };
        let made = here.client.make::<Registry>(&remote_name, &body, here.limit).await;
        let id = made.map_err(|fault| told(&fault))?.thing.id;
        replace_older(cx, &here, &plan.name, &id).await;
        claim.keep(&id);
        Ok(plan.complete(RunpodRegistryCredentialComputed { remote_name, id }))
    }

    async fn read(cx: &Context<Streamverse>, stored: Stored<Self>) -> Result<Read<Self>> {
        let here = Here::of(cx).await?;
        let Some(it) = here.look::<Registry>(identity(&stored)?).await? else { return Ok(Read::Gone) };
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
        let here = Here::of(cx).await?;
        let remote_name = plan.remote_name.known().cloned().unwrap_or_else(|| here.remote(&plan.marked()));
        let id = stored.id.get()?.clone();
        Ok(plan.complete(RunpodRegistryCredentialComputed { remote_name, id }))
    }

    async fn delete(cx: &Context<Streamverse>, stored: Stored<Self>) -> Result<()> {
        Here::of(cx).await?.delete::<Registry>(cx, identity(&stored)?).await
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
        let prior = draft.prior()?.map(|it| it.remote_name);
        plan_name(cx, draft, &name, prior, Self::remote_name())?;
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
