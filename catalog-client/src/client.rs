//! One HTTP exchange: address, token, limits, and what an answer means.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use lake_catalog_api::{Operation, Route, path};
use lake_format::store::Secret;
use lake_format::{Error, Result};
use reqwest::header::{AUTHORIZATION, CONTENT_TYPE, HeaderValue};
use serde::Serialize;
use serde::de::DeserializeOwned;
use url::{Host, Url};

use crate::error::{exchange_failed, refused};

/// Most bytes of an answer.
const MAX_ANSWER_BYTES: usize = 64 << 20;
/// Longer than the server's own deadline.
const TIMEOUT: Duration = Duration::from_secs(35);
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// How to reach a server.
#[derive(Clone, Debug)]
pub struct ClientOptions {
    /// Base address, as `http://127.0.0.1:8181`.
    pub base_url: String,
    /// Token, where the server asks for one.
    pub token: Option<Secret>,
    /// Lets a token go over plain HTTP to another machine.
    pub allow_plain_http: bool,
    /// Time for one exchange.
    pub timeout: Duration,
}

impl ClientOptions {
    /// Default settings for that address.
    pub fn new(base_url: impl Into<String>, token: Option<Secret>) -> Self {
        Self { base_url: base_url.into(), token, allow_plain_http: false, timeout: TIMEOUT }
    }
}

/// A client of one server. Cheap to clone.
#[derive(Clone)]
pub struct CatalogClient(Arc<Inner>);

struct Inner {
    http: reqwest::Client,
    base: String,
    authorization: Option<HeaderValue>,
}

impl fmt::Debug for CatalogClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("CatalogClient").field(&self.0.base).finish()
    }
}

/// How one exchange ended, before it is known what that means.
pub(crate) enum Exchange {
    /// An answer came in whole.
    Answer(u16, Vec<u8>),
    /// Nothing was sent.
    NotSent(Error),
    /// Something may have been sent, and no whole answer came.
    Broken(Error),
}

impl CatalogClient {
    /// A client of the server at `base_url`. Nothing is sent yet.
    ///
    /// # Errors
    /// `Invalid` for an address or a token that can't be; `Unsupported` for a token over plain HTTP to another machine.
    pub fn new(base_url: &str, token: Option<Secret>) -> Result<Self> {
        Self::with_options(ClientOptions::new(base_url, token))
    }

    /// [`CatalogClient::new`] with other settings.
    ///
    /// # Errors
    /// As [`CatalogClient::new`].
    pub fn with_options(options: ClientOptions) -> Result<Self> {
        let wrong = |message: &str| Error::invalid(message.to_owned()).with_object(options.base_url.clone());
        let base =
            Url::parse(&options.base_url).map_err(|e| wrong("the server's address is not a URL").with_source(e))?;
        if !matches!(base.scheme(), "http" | "https") || base.host().is_none() {
            return Err(wrong("the server's address must start with http:// or https://"));
        }
        if !base.username().is_empty()
            || base.password().is_some()
            || base.query().is_some()
            || base.fragment().is_some()
        {
            return Err(wrong("the server's address must be a plain one").with_hint("give the token apart from it"));
        }
        let loopback = is_loopback(&base);
        if options.token.is_some() && base.scheme() == "http" && !loopback && !options.allow_plain_http {
            return Err(Error::unsupported("a token would go over plain HTTP to another machine")
                .with_object(options.base_url.clone())
                .with_hint("use https, or allow plain HTTP on a network that you trust"));
        }
        let authorization = options.token.as_ref().map(bearer).transpose()?;
        let mut builder = reqwest::Client::builder()
            .timeout(options.timeout)
            .connect_timeout(CONNECT_TIMEOUT)
            .redirect(reqwest::redirect::Policy::none())
            .user_agent(concat!("lake/", env!("CARGO_PKG_VERSION")));
        if loopback {
            builder = builder.no_proxy();
        }
        let http = builder.build().map_err(|e| Error::internal("the HTTP client can't be set up").with_source(e))?;
        let base = base.as_str().trim_end_matches('/').to_owned();
        Ok(Self(Arc::new(Inner { http, base, authorization })))
    }

    /// Base address of the server, without a slash at the end.
    pub fn base_url(&self) -> &str {
        &self.0.base
    }

    /// Sends one request. `body` is JSON.
    pub(crate) async fn exchange(
        &self,
        operation: Operation,
        place: &[&str],
        query: &str,
        body: Option<Vec<u8>>,
    ) -> Exchange {
        let url = format!("{}{}{query}", self.0.base, path(operation, place));
        let method = match reqwest::Method::from_bytes(Route::of(operation).method.as_str().as_bytes()) {
            Ok(method) => method,
            Err(error) => return Exchange::NotSent(Error::internal("no such method").with_source(error)),
        };
        let mut request = self.0.http.request(method, url);
        if let Some(authorization) = &self.0.authorization {
            request = request.header(AUTHORIZATION, authorization.clone());
        }
        if let Some(body) = body {
            request = request.header(CONTENT_TYPE, "application/json").body(body);
        }
        let mut response = match request.send().await {
            Ok(response) => response,
            Err(error) if error.is_connect() || error.is_builder() => {
                return Exchange::NotSent(exchange_failed(&self.0.base, error));
            }
            Err(error) => return Exchange::Broken(exchange_failed(&self.0.base, error)),
        };
        let status = response.status().as_u16();
        let mut bytes = Vec::new();
        loop {
            match response.chunk().await {
                Ok(None) => return Exchange::Answer(status, bytes),
                Ok(Some(chunk)) if bytes.len() + chunk.len() <= MAX_ANSWER_BYTES => bytes.extend_from_slice(&chunk),
                Ok(Some(_)) => {
                    let error = Error::unavailable(format!("the answer has more than {MAX_ANSWER_BYTES} bytes"));
                    return Exchange::Broken(error.with_object(self.0.base.clone()));
                }
                Err(error) => return Exchange::Broken(exchange_failed(&self.0.base, error)),
            }
        }
    }

    /// One exchange whose answer has no body that matters.
    pub(crate) async fn ask(&self, operation: Operation, place: &[&str]) -> Result<Vec<u8>> {
        match self.exchange(operation, place, "", None).await {
            Exchange::Answer(status, bytes) if (200..300).contains(&status) => Ok(bytes),
            Exchange::Answer(status, bytes) => Err(refused(&self.0.base, status, &bytes).error),
            Exchange::NotSent(error) | Exchange::Broken(error) => Err(error),
        }
    }

    /// One exchange with a JSON answer.
    pub(crate) async fn get<T: DeserializeOwned>(
        &self,
        operation: Operation,
        place: &[&str],
        query: &str,
    ) -> Result<T> {
        self.answered(self.exchange(operation, place, query, None).await)
    }

    /// One exchange with a JSON body and a JSON answer.
    pub(crate) async fn send<B: Serialize, T: DeserializeOwned>(
        &self,
        operation: Operation,
        place: &[&str],
        body: &B,
    ) -> Result<T> {
        let body = serde_json::to_vec(body)
            .map_err(|e| Error::internal("the request can't be written as JSON").with_source(e))?;
        self.answered(self.exchange(operation, place, "", Some(body)).await)
    }

    fn answered<T: DeserializeOwned>(&self, exchange: Exchange) -> Result<T> {
        match exchange {
            Exchange::Answer(status, bytes) if (200..300).contains(&status) => {
                serde_json::from_slice(&bytes).map_err(|e| self.not_understood().with_source(e))
            }
            Exchange::Answer(status, bytes) => Err(refused(&self.0.base, status, &bytes).error),
            Exchange::NotSent(error) | Exchange::Broken(error) => Err(error),
        }
    }

    pub(crate) fn not_understood(&self) -> Error {
        Error::unavailable("the answer is not one of a Lake catalog server")
            .with_object(self.0.base.clone())
            .with_hint("check the address; a proxy may have answered in its place")
    }
}

fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        Some(Host::Domain(name)) => name.eq_ignore_ascii_case("localhost"),
        None => false,
    }
}

fn bearer(token: &Secret) -> Result<HeaderValue> {
    // The error would quote the value, so it is not kept.
    let mut value = HeaderValue::from_str(&format!("Bearer {}", token.expose().trim()))
        .map_err(|_| Error::invalid("the token has characters that no token has"))?;
    value.set_sensitive(true);
    Ok(value)
}

#[cfg(test)]
mod tests {
    use super::*;
    use lake_format::ErrorKind;

    fn token() -> Option<Secret> {
        Some(Secret::new("lake_hunter2"))
    }

    #[test]
    fn a_token_goes_over_plain_http_to_this_machine_alone() {
        for address in ["http://127.0.0.1:8181", "http://localhost", "http://[::1]:8181", "https://lake.example/base/"]
        {
            CatalogClient::new(address, token()).expect(address);
        }
        for address in
            ["http://lake.example", "http://10.0.0.1:8181", "http://localhost.example", "http://127.0.0.1.nip.io"]
        {
            let error = CatalogClient::new(address, token()).expect_err(address);
            assert_eq!(error.kind(), ErrorKind::Unsupported, "{address}");
            CatalogClient::new(address, None).expect("without a token");
            let options = ClientOptions { allow_plain_http: true, ..ClientOptions::new(address, token()) };
            CatalogClient::with_options(options).expect("allowed");
        }
    }

    #[test]
    fn odd_addresses_are_refused() {
        for address in ["", "lake", "ftp://x", "file:///x", "http://user:pw@x", "http://x?y=1", "http://x#y", "http://"]
        {
            let error = CatalogClient::new(address, None).expect_err(address);
            assert_eq!(error.kind(), ErrorKind::Invalid, "{address}");
        }
        assert!(CatalogClient::new("http://localhost", Some(Secret::new("a\nb"))).is_err());
    }

    #[test]
    fn the_token_is_never_printed() {
        let client = CatalogClient::new("http://localhost", token()).expect("client");
        assert!(!format!("{client:?} {:?}", ClientOptions::new("x", token())).contains("hunter2"));
    }

    #[tokio::test]
    async fn a_server_that_is_not_there_is_unavailable() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("port");
        let address = listener.local_addr().expect("address");
        drop(listener);
        let client = CatalogClient::new(&format!("http://{address}"), None).expect("client");
        let error = client.ask(Operation::GetSession, &[]).await.expect_err("nobody listens");
        assert_eq!(error.kind(), ErrorKind::Unavailable);
        assert!(error.hint().is_some_and(|hint| hint.contains("lake serve")), "{error:?}");
    }
}
