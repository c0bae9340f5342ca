//! Object stores: a folder, or S3.

use std::path::Path;
use std::sync::Arc;
#[cfg(feature = "s3")]
use std::time::Duration;

use object_store::ObjectStore;
use object_store::local::LocalFileSystem;

use crate::error::{Error, Result};

/// How long the store may be away before a call fails.
#[cfg(feature = "s3")]
const PATIENCE: Duration = Duration::from_secs(30);
/// Until a connection stands.
#[cfg(feature = "s3")]
const CONNECT: Duration = Duration::from_secs(5);
/// Without a byte of an answer.
#[cfg(feature = "s3")]
const SILENCE: Duration = Duration::from_secs(20);
/// One request with all that it carries: a large object on a slow line.
#[cfg(feature = "s3")]
const REQUEST: Duration = Duration::from_secs(10 * 60);

/// A folder as an object store. A put is atomic: written beside and renamed.
pub(super) fn folder(path: &Path) -> Result<Arc<dyn ObjectStore>> {
    let failed = |text: String| Error::passing("store-unreachable", text);
    std::fs::create_dir_all(path)
        .map_err(|error| failed(format!("the folder {} cannot be made", path.display())).because(error))?;
    let store = LocalFileSystem::new_with_prefix(path)
        .map_err(|error| failed(format!("the folder {} is no store", path.display())).because(error))?;
    Ok(Arc::new(store.with_automatic_cleanup(true)))
}

/// S3, or what speaks like it: `s3://BUCKET/PREFIX?endpoint=…&region=…`, keys from the credential `access-key`,
/// `secret-key`; with `ca`, nobody but these authorities is trusted.
#[cfg(feature = "s3")]
pub(super) fn s3(
    url: &url::Url,
    secret: Option<&streamverse_model::platform::CredentialUse>,
    certificates: &streamverse_model::platform::Certificates,
    cx: &crate::ServiceContext,
) -> Result<Arc<dyn ObjectStore>> {
    use object_store::aws::AmazonS3Builder;
    use object_store::prefix::PrefixStore;
    use object_store::{BackoffConfig, Certificate, ClientConfigKey, ClientOptions, RetryConfig};

    let bucket = url.host_str().unwrap_or_default();
    // A role of a service account is told by the environment; what has keys of its own does not look there.
    let builder = if secret.is_some() { AmazonS3Builder::new() } else { AmazonS3Builder::from_env() };
    let retry = RetryConfig {
        backoff: BackoffConfig { max_backoff: Duration::from_secs(3), ..BackoffConfig::default() },
        max_retries: 60, // the deadline ends it first
        retry_timeout: PATIENCE,
    };
    let mut options =
        ClientOptions::new().with_connect_timeout(CONNECT).with_read_timeout(SILENCE).with_timeout(REQUEST);
    let plain = url.query_pairs().any(|(key, value)| key == "endpoint" && value.starts_with("http://"));
    if certificates.own.is_some() {
        return Err(Error::permanent("store-url", "an s3:// store takes no certificate of the client"));
    }
    if let Some(ca) = super::tls::Pems::read(certificates, !plain, cx)?.ca {
        let trusted = Certificate::from_pem_bundle(ca.as_bytes()).map_err(|error| {
            Error::permanent("store-tls", "`ca` of the store's `tls` cannot be used: it must be PEM")
                .because(error)
        })?;
        options = options.with_config(ClientConfigKey::NoSystemCertificates, "true");
        options = trusted.into_iter().fold(options, ClientOptions::with_root_certificate);
    }
    let mut builder = builder
        .with_bucket_name(bucket)
        .with_region("us-east-1")
        .with_retry(retry)
        .with_client_options(options)
        .with_http_connector(distrust::Connector);
    for (key, value) in url.query_pairs() {
        builder = match key.as_ref() {
            // A scheme that is not TLS is what the user wrote.
            "endpoint" => builder.with_endpoint(value.into_owned()).with_allow_http(plain),
            "region" => builder.with_region(value.into_owned()),
            "path_style" => builder.with_virtual_hosted_style_request(value != "true"),
            other => {
                return Err(Error::permanent(
                    "store-url",
                    format!(
                        "an s3:// store has no parameter {other:?}: endpoint, region, path_style, secret and ca are those that it has"
                    ),
                ));
            }
        };
    }
    if let Some(secret) = secret {
        builder = builder
            .with_access_key_id(cx.credential(secret, "access-key")?)
            .with_secret_access_key(cx.credential(secret, "secret-key")?);
    }
    let store = builder.build().map_err(|error| {
        Error::permanent("store-url", format!("s3://{bucket} cannot be used")).because(error)
    })?;
    let prefix = url.path().trim_matches('/');
    Ok(if prefix.is_empty() { Arc::new(store) } else { Arc::new(PrefixStore::new(store, prefix)) })
}

/// A server that is not trusted now will not be a second later: that is told at once, not after half a minute of tries.
#[cfg(feature = "s3")]
mod distrust {
    use async_trait::async_trait;
    use object_store::ClientOptions;
    use object_store::client::{
        HttpClient, HttpConnector, HttpError, HttpErrorKind, HttpRequest, HttpResponse, HttpService,
        ReqwestConnector,
    };

    #[derive(Debug)]
    pub(super) struct Connector;

    #[derive(Debug)]
    struct Client(HttpClient);

    impl HttpConnector for Connector {
        fn connect(&self, options: &ClientOptions) -> object_store::Result<HttpClient> {
            Ok(HttpClient::new(Client(ReqwestConnector::default().connect(options)?)))
        }
    }

    #[async_trait]
    impl HttpService for Client {
        async fn call(&self, request: HttpRequest) -> Result<HttpResponse, HttpError> {
            match self.0.execute(request).await {
                Err(error) if super::super::tls::failed(&error) => {
                    let told = super::super::tls::distrust("the object store").because(error);
                    Err(HttpError::new(HttpErrorKind::Unknown, told))
                }
                settled => settled,
            }
        }
    }
}
