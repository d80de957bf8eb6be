//! From the table of routes to a router: every route is authorised before anything else is done.

use std::net::IpAddr;
use std::sync::Arc;

use axum::Router;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, header};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodFilter, MethodRouter, on};
use lake_catalog_api::{Failure, Method, Operation, ROUTES, Route};

use super::app::App;
use super::error::ApiError;
use super::observe::{Caller, labelled, observe};
use super::{health, native};

/// The whole server.
pub fn router(app: Arc<App>) -> Router {
    let mut router = health::routes();
    for route in ROUTES {
        let guarded = handler(route).route_layer(from_fn_with_state((Arc::clone(&app), route), guard));
        router = router.route(route.path, guarded);
    }
    router
        .method_not_allowed_fallback(|| async {
            ApiError::new(Failure::MethodNotAllowed, "this route does not take this method")
        })
        .fallback(|| async { ApiError::new(Failure::NotFound, "no such route").hint("see /api/v1/openapi.json") })
        .layer(from_fn_with_state(Arc::clone(&app), observe))
        .with_state(app)
}

/// Who may pass: before the body is read, before anything is looked up.
async fn guard(State((app, route)): State<(Arc<App>, &'static Route)>, mut request: Request, next: Next) -> Response {
    let refused = |error: ApiError| labelled(route.path, error.into_response());
    if app.gate.is_open() && !is_local(request.headers()) {
        // A page in a browser that was lured to this address must not pass for its user.
        let error = ApiError::new(Failure::Forbidden, "a server without tokens answers to localhost alone");
        return refused(error.hint("call it as 127.0.0.1 or localhost, or start it with tokens"));
    }
    let mut caller = None;
    if let Some(scope) = route.scope {
        let header = request.headers().get(header::AUTHORIZATION).map(|value| value.to_str().unwrap_or_default());
        match app.gate.admit(header, scope).await {
            Ok(principal) => {
                caller = Some(Caller(principal.name.clone()));
                request.extensions_mut().insert(principal);
            }
            Err(error) => return refused(error.into()),
        }
    }
    let mut response = next.run(request).await;
    if let Some(caller) = caller {
        response.extensions_mut().insert(caller);
    }
    labelled(route.path, response)
}

/// Whether the request was made to a name of this machine's loopback.
fn is_local(headers: &HeaderMap) -> bool {
    let Some(host) = headers.get(header::HOST).and_then(|value| value.to_str().ok()) else { return false };
    let name = match host.strip_prefix('[') {
        Some(rest) => rest.split(']').next().unwrap_or_default(),
        None => host.rsplit_once(':').map_or(host, |(name, _)| name),
    };
    name.eq_ignore_ascii_case("localhost") || name.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

fn handler(route: &Route) -> MethodRouter<Arc<App>> {
    use Operation as Op;
    let method = match route.method {
        Method::Get => MethodFilter::GET,
        Method::Post => MethodFilter::POST,
        Method::Patch => MethodFilter::PATCH,
        Method::Delete => MethodFilter::DELETE,
    };
    match route.operation {
        Op::GetSession => on(method, native::get_session),
        Op::GetOpenApi => on(method, native::get_openapi),
        Op::ListTokens => on(method, native::list_tokens),
        Op::CreateToken => on(method, native::create_token),
        Op::RevokeToken => on(method, native::revoke_token),
        Op::ListCatalogs => on(method, native::list_catalogs),
        Op::CreateCatalog => on(method, native::create_catalog),
        Op::GetCatalog => on(method, native::get_catalog),
        Op::UpdateCatalog => on(method, native::update_catalog),
        Op::DeleteCatalog => on(method, native::delete_catalog),
        Op::ListSchemas => on(method, native::list_schemas),
        Op::CreateSchema => on(method, native::create_schema),
        Op::GetSchema => on(method, native::get_schema),
        Op::UpdateSchema => on(method, native::update_schema),
        Op::DeleteSchema => on(method, native::delete_schema),
        Op::ListTables => on(method, native::list_tables),
        Op::CreateTable => on(method, native::create_table),
        Op::RegisterTable => on(method, native::register_table),
        Op::GetTable => on(method, native::get_table),
        Op::UpdateTable => on(method, native::update_table),
        Op::DropTable => on(method, native::drop_table),
        Op::LoadTable => on(method, native::load_table),
        Op::Commit => on(method, native::commit),
        Op::GetCommit => on(method, native::get_commit),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_names_of_the_loopback_are_local() {
        for (host, local) in [
            ("127.0.0.1:8181", true),
            ("localhost", true),
            ("LOCALHOST:1", true),
            ("[::1]:8181", true),
            ("127.9.9.9", true),
            ("evil.example:8181", false),
            ("localhost.evil.example", false),
            ("10.0.0.1:8181", false),
            ("", false),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(header::HOST, host.parse().expect("header"));
            assert_eq!(is_local(&headers), local, "{host:?}");
        }
        assert!(!is_local(&HeaderMap::new()));
    }
}
