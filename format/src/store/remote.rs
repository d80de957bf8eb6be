//! Stores of other machines: which URLs mean which, and the clients for them.

use std::sync::Arc;
#[cfg(any(feature = "s3", feature = "gcs", feature = "azure"))]
use std::time::Duration;

use object_store::ObjectStore;
#[cfg(any(feature = "s3", feature = "gcs", feature = "azure"))]
use object_store::RetryConfig;
use url::Url;

use super::options::StoreOptions;
use crate::error::{Error, Result};

/// Schemes of stores that Lake knows. Which of them a build can reach is a matter of its features.
pub(super) const SCHEMES: &[&str] = &["s3", "s3a", "gs", "az", "azure", "abfs", "abfss", "adl"];

/// A client for everything, and one for commits: the same, without retries of its own.
type Clients = (Arc<dyn ObjectStore>, Arc<dyn ObjectStore>);

/// The clients for the store that `url` names.
///
/// # Errors
/// `Unsupported` for a store that this build has no client for; `Invalid` or `Denied` for settings that can't be.
pub(super) fn clients(url: &Url, options: &StoreOptions) -> Result<Clients> {
    match url.scheme() {
        #[cfg(feature = "s3")]
        "s3" | "s3a" => s3::clients(url, options),
        #[cfg(feature = "gcs")]
        "gs" => gcs::clients(url, options),
        #[cfg(feature = "azure")]
        "az" | "azure" | "abfs" | "abfss" | "adl" => azure::clients(url, options),
        scheme => {
            let (store, feature) = match scheme {
                "s3" | "s3a" => ("S3", "s3"),
                "gs" => ("Google Cloud Storage", "gcs"),
                _ => ("Azure Blob Storage", "azure"),
            };
            // A build without any of these features does not look at them.
            let _ = options;
            Err(Error::unsupported(format!("this build has no support for {store} ({scheme}://)"))
                .with_hint(format!("build it in: cargo build --release -p lake-cli --features {feature}")))
        }
    }
}

/// Patient for what may be sent again; none for a commit, where a resend that meets our own object would be taken for
/// another writer's.
#[cfg(any(feature = "s3", feature = "gcs", feature = "azure"))]
fn retries(patient: bool) -> RetryConfig {
    match patient {
        true => RetryConfig { max_retries: 6, retry_timeout: Duration::from_secs(30), ..RetryConfig::default() },
        false => RetryConfig { max_retries: 0, ..RetryConfig::default() },
    }
}

#[cfg(feature = "s3")]
mod s3 {
    use object_store::ClientOptions;
    use object_store::aws::AmazonS3Builder;

    use super::{Arc, Clients, Duration, Error, Result, StoreOptions, Url, retries};

    /// The client for everything, and the one for commits, whose own retries are off.
    pub(super) fn clients(url: &Url, options: &StoreOptions) -> Result<Clients> {
        let bucket = url.host_str().unwrap_or_default();
        let client = |patient| builder(bucket, options)?.with_retry(retries(patient)).build().map_err(Error::from);
        Ok((Arc::new(client(true)?), Arc::new(client(false)?)))
    }

    fn builder(bucket: &str, options: &StoreOptions) -> Result<AmazonS3Builder> {
        let path_style = options.path_style.unwrap_or(options.endpoint.is_some());
        let mut builder = AmazonS3Builder::new()
            .with_bucket_name(bucket)
            .with_region(options.region.as_deref().unwrap_or("us-east-1"))
            .with_virtual_hosted_style_request(!path_style);
        let mut allow_http = options.allow_http;
        if let Some(endpoint) = &options.endpoint {
            let url = Url::parse(endpoint).map_err(|e| {
                Error::invalid("the S3 endpoint is not a URL").with_object(endpoint.clone()).with_source(e)
            })?;
            let loopback = match url.host() {
                Some(url::Host::Ipv4(ip)) => ip.is_loopback(),
                Some(url::Host::Ipv6(ip)) => ip.is_loopback(),
                Some(url::Host::Domain(name)) => name == "localhost",
                None => false,
            };
            allow_http |= loopback;
            if url.scheme() == "http" && !allow_http {
                return Err(Error::unsupported("plain HTTP to an S3 endpoint that is not on this machine")
                    .with_object(endpoint.clone())
                    .with_hint("use https, or set LAKE_S3_ALLOW_HTTP=true"));
            }
            let address = endpoint.trim_end_matches('/');
            builder = builder.with_endpoint(match endpoint.split_once("://") {
                // The client wants the bucket in the host name to be there already.
                Some((scheme, rest)) if !path_style => format!("{scheme}://{bucket}.{}", rest.trim_end_matches('/')),
                _ => address.to_owned(),
            });
        }
        builder = builder.with_client_options(
            ClientOptions::new()
                .with_allow_http(allow_http)
                .with_timeout(Duration::from_secs(60))
                .with_connect_timeout(Duration::from_secs(5)),
        );
        match (&options.access_key_id, &options.secret_access_key) {
            (Some(id), Some(secret)) => {
                builder = builder.with_access_key_id(id).with_secret_access_key(secret.expose());
                if let Some(token) = &options.session_token {
                    builder = builder.with_token(token.expose());
                }
            }
            (Some(_), None) | (None, Some(_)) => {
                return Err(Error::invalid("an S3 access key needs both its id and its secret"));
            }
            (None, None) if options.anonymous => builder = builder.with_skip_signature(true),
            // Only AWS itself has machines that hand out keys.
            (None, None) if options.endpoint.is_some() => {
                return Err(Error::denied("no access key is set for the S3 endpoint")
                    .with_object(options.endpoint.clone().unwrap_or_default())
                    .with_hint("set LAKE_S3_ACCESS_KEY_ID and LAKE_S3_SECRET_ACCESS_KEY, or a profile"));
            }
            (None, None) => {}
        }
        Ok(builder)
    }
}

#[cfg(feature = "gcs")]
mod gcs {
    use object_store::gcp::GoogleCloudStorageBuilder;

    use super::{Arc, Clients, Error, Result, StoreOptions, Url, retries};

    /// Keys come from the `GOOGLE_*` variables, as every client of that store reads them.
    pub(super) fn clients(url: &Url, options: &StoreOptions) -> Result<Clients> {
        let client = |patient| {
            let builder = GoogleCloudStorageBuilder::from_env().with_url(url.as_str()).with_retry(retries(patient));
            builder.with_skip_signature(options.anonymous).build().map_err(Error::from)
        };
        Ok((Arc::new(client(true)?), Arc::new(client(false)?)))
    }
}

#[cfg(feature = "azure")]
mod azure {
    use object_store::azure::MicrosoftAzureBuilder;

    use super::{Arc, Clients, Error, Result, StoreOptions, Url, retries};

    /// Account and keys come from the `AZURE_*` variables, as every client of that store reads them.
    pub(super) fn clients(url: &Url, options: &StoreOptions) -> Result<Clients> {
        let client = |patient| {
            let builder = MicrosoftAzureBuilder::from_env().with_url(url.as_str()).with_retry(retries(patient));
            builder.with_skip_signature(options.anonymous).build().map_err(Error::from)
        };
        Ok((Arc::new(client(true)?), Arc::new(client(false)?)))
    }
}
