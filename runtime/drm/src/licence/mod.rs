//! The licence service (target `licence-service`): content keys for players whose viewers are entitled.
//!
//! On the port of players:
//!
//! | request | answer |
//! |---|---|
//! | `POST /licence/clearkey` | a licence of W3C ClearKey (Encrypted Media Extensions, section 9.1) |
//! | `OPTIONS /licence/clearkey` | what a browser asks before it lets a page ask |
//! | `/livez`, `/readyz`, `/metrics` | as everywhere |
//!
//! The request is `{"kids":["BASE64URL"…],"type":"temporary"}` with `Authorization: Bearer JWT`; the answer the JSON Web Key
//! set, and in `Licence-Renew-After` the seconds after which a player that goes on asks again, with another token. A token is
//! signed with HS256 or ES256, names its key in `kid`, and has the claims `iss`, `aud`, `sub` (the account), `iat`, `exp` (at
//! most `max_lifetime` later), `jti`, `device`, and optionally `nbf`, `country` (ISO 3166-1 alpha-2) and `session`. It gives
//! one licence. A licence is given for all keys that are asked for, or for none. `persistent-license` instead of `temporary` is
//! for a licence that the player keeps.
//!
//! What the `usage` of an asset's `streamverse_drm_config` says is read from the catalogue that has the accounts: how long a
//! stream may go on (`expiry`), how long a rental may wait and be watched, and whether a licence may be kept. HDCP and
//! robustness are for systems that can promise them; they stand in the same place.
//!
//! A refusal is `{"code":"…","message":"…"}`. The codes never change: [`Refusal`](streamverse_model::drm::entitlement::Refusal).
//!
//! | status | codes |
//! |---|---|
//! | 400 | `request-malformed` |
//! | 401 | `token-missing`, `token-malformed`, `token-algorithm`, `token-key-unknown`, `token-signature`, `token-audience`, `token-issuer`, `token-expired`, `token-too-long`, `token-not-yet-valid`, `token-replayed`, `token-before-start` |
//! | 403 | `account-unknown`, `not-entitled`, `rental-expired`, `licence-expired`, `offline-not-allowed`, `event-not-open`, `blackout`, `too-many-devices` |
//! | 404 | `key-unknown` |
//! | 413 | `request-too-large` |
//! | 429 | `too-many-streams` |
//! | 503 | `key-service-unavailable`, `catalogue-unavailable`, `replay-window-unavailable`, `service-starting`, `busy` |
//!
//! On the admin port, with `Authorization: Bearer ADMIN-TOKEN`, all JSON, each request repeatable:
//!
//! | request | does |
//! |---|---|
//! | `GET /admin/v1/accounts/{id}` | `{id, grants, devices, streams}`; 404 `not-found` |
//! | `PUT /admin/v1/accounts/{id}` | makes it where it is missing |
//! | `DELETE /admin/v1/accounts/{id}` | removes it with all that it has |
//! | `GET …/{id}/grants` | `{grants: [{id, kind, package or asset or event, from_ms, until_ms, first_play_ms}]}` |
//! | `PUT …/{id}/grants/{grant}` | grants, also to an account that is not there yet: `{kind: "subscription", package}`, `{kind: "purchase", asset}`, `{kind: "rental", asset}`, `{kind: "event", event}`, each with optional `from` and `until` (RFC 3339); 409 `grant-exists`, `too-many-grants`; 422 `not-offered` |
//! | `DELETE …/{id}/grants/{grant}` | revokes |
//! | `GET …/{id}/devices`, `DELETE …/{id}/devices/{device}` | `{devices}`; frees the place of a device |
//! | `GET …/{id}/streams`, `DELETE …/{id}/streams/{stream}` | `{streams: [{id, device, session, asset, since_ms, until_ms}]}`; frees the place of a stream |
//!
//! What it cannot do: a browser keeps the keys of ClearKey as long as the page likes. A revoked grant gives no further
//! licence; what was given plays on until the asset's next crypto period.

use std::sync::Arc;

mod accounts;
mod admin;
mod cors;
mod keys;
mod licensor;
mod replay;
pub mod request;
mod service;
mod token;
mod usage;

pub use licensor::{Licence, Licensor, Now, Parts};
pub use service::LICENCE_SERVICE;
pub use token::{Token, Verifier};

/// The admin API of a licensor, as the admin port answers.
///
/// # Errors
/// A token that can be guessed.
pub fn admin_api(licensor: Arc<Licensor>, token: &[u8]) -> streamverse_core::Result<axum::Router> {
    Ok(admin::router(admin::Admin::new(licensor, token)?))
}
