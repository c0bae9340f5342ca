//! What a handler is given: the configured provider and the [`Request`] it works on.

use std::ops::Deref;
use std::sync::Arc;

use crate::error::{Error, Result};
use crate::provider::Provider;
use crate::request::Request;

/// The configured provider, and the call: its deadline, cancellation, private state and warnings (see
/// [`Request`], to which it dereferences).
pub struct Context<P> {
    provider: Arc<P>,
    request: Arc<Request>,
}

impl<P: Provider> Context<P> {
    pub(crate) fn new(request: &Arc<Request>) -> Result<Context<P>> {
        let provider = request.provider.clone().ok_or_else(|| {
            Error::permanent(format!("{} needs a configured provider", request.subject()))
                .next("Check the provider block; if it is right, please report this.")
        })?;
        let provider = provider
            .downcast::<P>()
            .map_err(|_| Error::bug(format!("{} was registered with another provider", request.subject())))?;
        Ok(Context { provider, request: Arc::clone(request) })
    }

    /// The configured provider.
    pub fn provider(&self) -> &P {
        &self.provider
    }
}

impl<P> Clone for Context<P> {
    fn clone(&self) -> Self {
        Context { provider: Arc::clone(&self.provider), request: Arc::clone(&self.request) }
    }
}

impl<P> Deref for Context<P> {
    type Target = Request;

    fn deref(&self) -> &Request {
        &self.request
    }
}
