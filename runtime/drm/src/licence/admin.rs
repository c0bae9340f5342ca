//! The admin API: who writes grants proves itself by the admin token.

use std::sync::Arc;

use aws_lc_rs::constant_time::verify_slices_are_equal;
use axum::body::Bytes;
use axum::extract::{Path, Request, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::middleware::Next as Handler;
use axum::response::{IntoResponse as _, Response};
use axum::routing::{delete, get, put};
use axum::{Json, Router};
use serde::Deserialize;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use streamverse_core::{Error, Result};
use streamverse_model::drm::entitlement::{Account, EntitlementPolicySpec, Grant, GrantKind, Stream};

use super::accounts::{Next, Unchanged};
use super::licensor::Licensor;
use super::token::is_id;

/// A shorter one can be guessed.
const SHORTEST: usize = 32;
/// Grants of one account.
const MOST_GRANTS: usize = 1000;

/// The admin API of a licensor.
#[derive(Clone)]
pub(super) struct Admin {
    licensor: Arc<Licensor>,
    /// The digest of the token: the token itself is not kept.
    token: [u8; 32],
}

impl Admin {
    pub(super) fn new(licensor: Arc<Licensor>, token: &[u8]) -> Result<Admin> {
        if token.len() < SHORTEST {
            let text = format!("the admin token is shorter than {SHORTEST} bytes: it can be guessed");
            return Err(Error::permanent("spec-invalid", text));
        }
        Ok(Admin { licensor, token: Sha256::digest(token).into() })
    }
}

/// A refusal of the admin API.
struct Refused(StatusCode, &'static str, String);

impl axum::response::IntoResponse for Refused {
    fn into_response(self) -> Response {
        (self.0, Json(json!({ "code": self.1, "message": self.2 }))).into_response()
    }
}

type Answer = Result<Response, Refused>;

fn wrong(text: impl Into<String>) -> Refused {
    Refused(StatusCode::BAD_REQUEST, "request-malformed", text.into())
}

fn missing(what: &str) -> Refused {
    Refused(StatusCode::NOT_FOUND, "not-found", format!("there is no such {what}"))
}

fn conflict(code: &'static str, text: impl Into<String>) -> Refused {
    Refused(StatusCode::CONFLICT, code, text.into())
}

fn unavailable(error: &Error) -> Refused {
    tracing::warn!(error = %error.chain(), "An account cannot be read or written.");
    Refused(
        StatusCode::SERVICE_UNAVAILABLE,
        "catalogue-unavailable",
        "the accounts cannot be reached: try again".into(),
    )
}

pub(super) fn router(admin: Admin) -> Router {
    let guard = axum::middleware::from_fn_with_state(admin.clone(), guard);
    Router::new()
        .route("/admin/v1/accounts/{id}", get(account).put(make).delete(remove))
        .route("/admin/v1/accounts/{id}/grants", get(grants))
        .route("/admin/v1/accounts/{id}/grants/{grant}", put(grant).delete(revoke))
        .route("/admin/v1/accounts/{id}/devices", get(devices))
        .route("/admin/v1/accounts/{id}/devices/{device}", delete(forget))
        .route("/admin/v1/accounts/{id}/streams", get(streams))
        .route("/admin/v1/accounts/{id}/streams/{stream}", delete(end))
        .with_state(admin)
        .layer(guard)
}

async fn guard(State(admin): State<Admin>, request: Request, next: Handler) -> Response {
    let given =
        request.headers().get(header::AUTHORIZATION).and_then(|it| it.to_str().ok()?.strip_prefix("Bearer "));
    let digest: [u8; 32] = Sha256::digest(given.unwrap_or_default().trim().as_bytes()).into();
    let mut answer = match verify_slices_are_equal(&digest, &admin.token) {
        Ok(()) => next.run(request).await,
        Err(_) => Refused(
            StatusCode::UNAUTHORIZED,
            "admin-denied",
            "send the admin token as Authorization: Bearer".to_owned(),
        )
        .into_response(),
    };
    answer.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    answer
}

async fn found(admin: &Admin, id: &str) -> Result<Arc<Account>, Refused> {
    is_account(id)?;
    let account = admin.licensor.accounts().get(id).await.map_err(|error| unavailable(&error))?;
    account.ok_or_else(|| missing("account"))
}

fn is_account(id: &str) -> Result<(), Refused> {
    if is_id(id) {
        Ok(())
    } else {
        Err(wrong("an account is 1 to 128 printable characters of ASCII without spaces"))
    }
}

/// Changes an account that is there, or (`make`) an empty one.
async fn change(
    admin: &Admin,
    id: &str,
    make: bool,
    mut how: impl FnMut(&mut Account) -> Result<(), Refused>,
) -> Result<Account, Refused> {
    is_account(id)?;
    let change = |account: Option<&Account>| {
        let is_new = account.is_none();
        let mut next = match account {
            Some(account) => account.clone(),
            None if make => Account::default(),
            None => return Err(missing("account")),
        };
        how(&mut next)?;
        let same = !is_new && account == Some(&next);
        Ok((next.clone(), if same { Next::Same } else { Next::Changed(next) }))
    };
    admin.licensor.accounts().change(id, change).await.map_err(told)
}

fn told(why: Unchanged<Refused>) -> Refused {
    match why {
        Unchanged::Refused(refused) => refused,
        Unchanged::Busy => Refused(
            StatusCode::SERVICE_UNAVAILABLE,
            "busy",
            "the account changes all the time: try again".to_owned(),
        ),
        Unchanged::Failed(error) => unavailable(&error),
    }
}

async fn account(State(admin): State<Admin>, Path(id): Path<String>) -> Answer {
    let account = found(&admin, &id).await?;
    Ok(Json(shown(&admin, &id, &account)).into_response())
}

async fn make(State(admin): State<Admin>, Path(id): Path<String>) -> Answer {
    let account = change(&admin, &id, true, |_| Ok(())).await?;
    Ok(Json(shown(&admin, &id, &account)).into_response())
}

async fn remove(State(admin): State<Admin>, Path(id): Path<String>) -> Answer {
    is_account(&id)?;
    let gone = |_: Option<&Account>| Ok(((), Next::Gone));
    admin.licensor.accounts().change(&id, gone).await.map_err(told)?;
    Ok(StatusCode::NO_CONTENT.into_response())
}

async fn grants(State(admin): State<Admin>, Path(id): Path<String>) -> Answer {
    let account = found(&admin, &id).await?;
    let all: Vec<Value> = account.grants.iter().map(|(id, it)| shown_grant(id, it)).collect();
    Ok(Json(json!({ "grants": all })).into_response())
}

/// A grant as it is asked for.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Asked {
    kind: GrantKind,
    package: Option<String>,
    asset: Option<String>,
    event: Option<String>,
    from: Option<String>,
    until: Option<String>,
}

async fn grant(State(admin): State<Admin>, Path((id, name)): Path<(String, String)>, body: Bytes) -> Answer {
    if !is_id(&name) {
        return Err(wrong("a grant's id is 1 to 128 printable characters of ASCII without spaces"));
    }
    let asked: Asked =
        serde_json::from_slice(&body).map_err(|error| wrong(format!("this is no grant: {error}")))?;
    let wanted = wanted(&admin, asked)?;
    let account = change(&admin, &id, true, |account| {
        if let Some(held) = account.grants.get(&name) {
            // Written again, a grant stays as it is: its first play too, and when it was granted.
            let same = held.kind == wanted.grant.kind
                && held.of == wanted.grant.of
                && held.until_ms == wanted.grant.until_ms
                && (!wanted.dated || held.from_ms == wanted.grant.from_ms);
            return if same {
                Ok(())
            } else {
                Err(conflict(
                    "grant-exists",
                    format!("there is another grant {name:?}: revoke it first, or choose another id"),
                ))
            };
        }
        if account.grants.len() >= MOST_GRANTS {
            return Err(conflict(
                "too-many-grants",
                format!("an account has {MOST_GRANTS} grants at most: revoke old ones"),
            ));
        }
        account.grants.insert(name.clone(), wanted.grant.clone());
        Ok(())
    });
    let account = account.await?;
    let shown = account.grants.get(&name).map(|it| shown_grant(&name, it));
    Ok(Json(shown).into_response())
}

struct Wanted {
    grant: Grant,
    /// Whether it says itself when it begins.
    dated: bool,
}

fn wanted(admin: &Admin, asked: Asked) -> Result<Wanted, Refused> {
    let Asked { kind, package, asset, event, from, until } = asked;
    let (field, of, others) = match kind {
        GrantKind::Subscription => ("package", package, asset.or(event)),
        GrantKind::Purchase | GrantKind::Rental => ("asset", asset, package.or(event)),
        GrantKind::Event => ("event", event, package.or(asset)),
    };
    let (Some(of), None) = (of, others) else {
        return Err(wrong(format!("a grant of this kind names its `{field}`, and nothing else")));
    };
    offered(admin.licensor.policy(), kind, &of)?;
    let time = |text: Option<String>| match text {
        None => Ok(None),
        Some(text) => streamverse_model::drm::entitlement::instant(&text)
            .map(Some)
            .ok_or_else(|| wrong(format!("{text:?} is no RFC 3339 instant such as 2026-12-01T18:00:00Z"))),
    };
    let (from, until) = (time(from)?, time(until)?);
    let from_ms = from.unwrap_or_else(|| admin.licensor.clock().earliest_ms);
    if until.is_some_and(|until| until <= from_ms) {
        return Err(wrong("`until` must come after `from`, which is now where it is not given"));
    }
    let grant = Grant { kind, of, from_ms, until_ms: until, first_play_ms: None };
    Ok(Wanted { grant, dated: from.is_some() })
}

/// Refuses what the policy does not sell: a typing error would be found by the viewer.
fn offered(policy: &EntitlementPolicySpec, kind: GrantKind, of: &str) -> Result<(), Refused> {
    let refused = |text: String| Err(Refused(StatusCode::UNPROCESSABLE_ENTITY, "not-offered", text));
    match kind {
        GrantKind::Subscription if policy.package(of).is_none() => {
            refused(format!("the policy has no package {of:?}"))
        }
        GrantKind::Event if policy.event(of).is_none() => refused(format!("the policy has no event {of:?}")),
        GrantKind::Purchase if !policy.purchases => refused("the policy allows no purchases".to_owned()),
        GrantKind::Rental if policy.rental.is_none() => refused("the policy has no rentals".to_owned()),
        GrantKind::Purchase | GrantKind::Rental if !is_id(of) => Err(wrong("this is no name of an asset")),
        _ => Ok(()),
    }
}

async fn revoke(State(admin): State<Admin>, Path((id, name)): Path<(String, String)>) -> Answer {
    change(&admin, &id, false, |account| {
        account.grants.remove(&name);
        Ok(())
    })
    .await?;
    Ok(StatusCode::NO_CONTENT.into_response())
}

async fn devices(State(admin): State<Admin>, Path(id): Path<String>) -> Answer {
    let account = found(&admin, &id).await?;
    Ok(Json(json!({ "devices": account.devices })).into_response())
}

async fn forget(State(admin): State<Admin>, Path((id, device)): Path<(String, String)>) -> Answer {
    change(&admin, &id, false, |account| {
        // Its streams stay: it has a licence, and plays with it until that is over.
        account.devices.retain(|it| *it != device);
        Ok(())
    })
    .await?;
    Ok(StatusCode::NO_CONTENT.into_response())
}

async fn streams(State(admin): State<Admin>, Path(id): Path<String>) -> Answer {
    let account = found(&admin, &id).await?;
    Ok(Json(json!({ "streams": running(&admin, &account) })).into_response())
}

async fn end(State(admin): State<Admin>, Path((id, stream)): Path<(String, String)>) -> Answer {
    change(&admin, &id, false, |account| {
        account.streams.retain(|it| stream_id(it) != stream);
        Ok(())
    })
    .await?;
    Ok(StatusCode::NO_CONTENT.into_response())
}

/// What a stream is called: a session may have any characters.
fn stream_id(stream: &Stream) -> String {
    let name = json!([stream.device, stream.session]).to_string();
    Sha256::digest(name.as_bytes()).iter().take(8).map(|it| format!("{it:02x}")).collect()
}

fn running(admin: &Admin, account: &Account) -> Vec<Value> {
    let now = admin.licensor.clock().earliest_ms;
    let shown = |it: &Stream| {
        json!({
            "id": stream_id(it), "device": it.device, "session": it.session, "asset": it.asset,
            "since_ms": it.since_ms, "until_ms": it.until_ms,
        })
    };
    account.streams.iter().filter(|it| now < it.until_ms).map(shown).collect()
}

fn shown_grant(id: &str, it: &Grant) -> Value {
    let field = match it.kind {
        GrantKind::Subscription => "package",
        GrantKind::Purchase | GrantKind::Rental => "asset",
        GrantKind::Event => "event",
    };
    let mut shown = json!({
        "id": id, "kind": it.kind, "from_ms": it.from_ms, "until_ms": it.until_ms, "first_play_ms": it.first_play_ms,
    });
    shown[field] = it.of.as_str().into();
    shown
}

fn shown(admin: &Admin, id: &str, account: &Account) -> Value {
    let grants: Vec<Value> = account.grants.iter().map(|(id, it)| shown_grant(id, it)).collect();
    json!({ "id": id, "grants": grants, "devices": account.devices, "streams": running(admin, account) })
}
