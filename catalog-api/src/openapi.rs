//! The OpenAPI description, made from the routes and the wire types.

use std::collections::BTreeMap;

use utoipa::openapi::path::{HttpMethod, OperationBuilder, ParameterBuilder, ParameterIn};
use utoipa::openapi::request_body::RequestBodyBuilder;
use utoipa::openapi::schema::{ComponentsBuilder, ObjectBuilder, Type};
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityRequirement, SecurityScheme};
use utoipa::openapi::{
    ContentBuilder, InfoBuilder, LicenseBuilder, OpenApi, OpenApiBuilder, PathItem, PathsBuilder, Ref, Required,
    ResponseBuilder,
};

use crate::body::{Schemas, body};
use crate::{DEFAULT_PAGE, ErrorBody, Failure, MAX_NAME_LENGTH, MAX_PAGE, Method, ROUTES, Route, Scope};

const JSON: &str = "application/json";
const BEARER: &str = "token";

/// The OpenAPI description of the native API as pretty JSON, always the same text.
pub fn openapi() -> String {
    let mut schemas = Schemas::new();
    body::<ErrorBody>(&mut schemas);
    let mut paths: BTreeMap<&str, PathItem> = BTreeMap::new();
    for route in ROUTES {
        let operation = operation(route, &mut schemas);
        let item = PathItem::new(http_method(route.method), operation);
        match paths.get_mut(route.path) {
            Some(existing) => existing.merge_operations(item),
            None => {
                paths.insert(route.path, item);
            }
        }
    }
    let paths = paths.into_iter().fold(PathsBuilder::new(), |all, (path, item)| all.path(path, item));
    let bearer = HttpBuilder::new().scheme(HttpAuthScheme::Bearer).description(Some("a token of the server")).build();
    let components = schemas
        .into_iter()
        .fold(ComponentsBuilder::new(), |all, (name, schema)| all.schema(name, schema))
        .security_scheme(BEARER, SecurityScheme::Http(bearer));
    let document = OpenApiBuilder::new()
        .info(
            InfoBuilder::new()
                .title("Lake catalog")
                .version("1")
                .description(Some(
                    "Catalogs, schemas with a layer, tables, and commits that are judged by the rules of their layer.",
                ))
                .license(Some(LicenseBuilder::new().name("Apache-2.0").identifier(Some("Apache-2.0")).build())),
        )
        .paths(paths.build())
        .components(Some(components.build()))
        .build();
    pretty(&document)
}

/// JSON whose keys are sorted, whatever the features of other crates make of maps.
#[derive(serde::Serialize)]
#[serde(untagged)]
enum Sorted {
    Map(BTreeMap<String, Sorted>),
    List(Vec<Sorted>),
    Leaf(serde_json::Value),
}

impl From<serde_json::Value> for Sorted {
    fn from(value: serde_json::Value) -> Self {
        match value {
            serde_json::Value::Object(map) => Self::Map(map.into_iter().map(|(k, v)| (k, v.into())).collect()),
            serde_json::Value::Array(items) => Self::List(items.into_iter().map(Self::from).collect()),
            leaf => Self::Leaf(leaf),
        }
    }
}

fn pretty(document: &OpenApi) -> String {
    let value = Sorted::from(serde_json::to_value(document).unwrap_or_default());
    let mut text = serde_json::to_string_pretty(&value).unwrap_or_default();
    text.push('\n');
    text
}

fn http_method(method: Method) -> HttpMethod {
    match method {
        Method::Get => HttpMethod::Get,
        Method::Post => HttpMethod::Post,
        Method::Patch => HttpMethod::Patch,
        Method::Delete => HttpMethod::Delete,
    }
}

fn operation(route: &Route, schemas: &mut Schemas) -> OperationBuilder {
    let mut operation = OperationBuilder::new().operation_id(Some(route.id)).summary(Some(route.summary));
    if let Some(scope) = route.scope {
        operation = operation
            .description(Some(format!("Needs the scope `{}`.", scope.as_str())))
            .security(SecurityRequirement::new(BEARER, std::iter::empty::<String>()));
    }
    for name in route.parameters() {
        operation = operation.parameter(path_parameter(name));
    }
    if route.paged {
        let limit = ObjectBuilder::new()
            .schema_type(Type::Integer)
            .minimum(Some(1))
            .maximum(Some(MAX_PAGE))
            .default(Some(DEFAULT_PAGE.into()));
        let token = ObjectBuilder::new().schema_type(Type::String);
        operation = operation.parameter(query("limit", "Most entries of the page", limit)).parameter(query(
            "page_token",
            "`next_page_token` of the page before",
            token,
        ));
    }
    if let Some(name) = route.request.and_then(|request| request(schemas)) {
        operation = operation.request_body(Some(
            RequestBodyBuilder::new().content(JSON, content(&name)).required(Some(Required::True)).build(),
        ));
    }
    let mut success = ResponseBuilder::new().description("success");
    match route.response.map(|response| response(schemas)) {
        Some(Some(name)) => success = success.content(JSON, content(&name)),
        Some(None) => {}
        None => {
            let object = ObjectBuilder::new().schema_type(Type::Object);
            success = success.content(JSON, ContentBuilder::new().schema(Some(object)).build());
        }
    }
    operation = operation.response(route.status.to_string(), success);
    for (status, meaning) in failures(route) {
        let failure = ResponseBuilder::new().description(meaning).content(JSON, content("ErrorBody"));
        operation = operation.response(status.to_string(), failure);
    }
    operation
}

fn path_parameter(name: &str) -> ParameterBuilder {
    let object = ObjectBuilder::new();
    let (schema, description) = match name {
        "version" => (object.schema_type(Type::Integer).minimum(Some(0)), "Version of the table"),
        "id" => (object.schema_type(Type::String), "Identity of the token"),
        _ => {
            let pattern = format!("^[A-Za-z0-9_][A-Za-z0-9_-]{{0,{}}}$", MAX_NAME_LENGTH - 1);
            (object.schema_type(Type::String).pattern(Some(pattern)), "Name; its case does not matter")
        }
    };
    ParameterBuilder::new()
        .name(name)
        .parameter_in(ParameterIn::Path)
        .required(Required::True)
        .description(Some(description))
        .schema(Some(schema))
}

fn query(name: &str, description: &str, schema: ObjectBuilder) -> ParameterBuilder {
    ParameterBuilder::new()
        .name(name)
        .parameter_in(ParameterIn::Query)
        .required(Required::False)
        .description(Some(description))
        .schema(Some(schema))
}

fn content(name: &str) -> utoipa::openapi::Content {
    ContentBuilder::new().schema(Some(Ref::from_schema_name(name))).build()
}

/// The statuses of failure, with all that each may mean here.
fn failures(route: &Route) -> BTreeMap<u16, String> {
    let mut wanted = vec![Failure::Internal, Failure::Unavailable];
    if route.scope.is_some() {
        wanted.push(Failure::Unauthenticated);
    }
    if route.scope > Some(Scope::Read) {
        wanted.push(Failure::Forbidden);
    }
    if route.paged || route.path.contains('{') {
        wanted.push(Failure::Invalid);
    }
    if route.request.is_some() {
        wanted.extend([Failure::Invalid, Failure::TooLarge, Failure::MediaType]);
    }
    wanted.extend(route.failures);
    let mut by_status: BTreeMap<u16, String> = BTreeMap::new();
    for failure in Failure::all().filter(|failure| wanted.contains(failure)) {
        let meaning = by_status.entry(failure.status()).or_default();
        if !meaning.is_empty() {
            meaning.push_str("; or ");
        }
        meaning.push_str(failure.meaning());
    }
    by_status
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    /// `LAKE_BLESS=1` writes the file instead of comparing.
    #[test]
    fn the_checked_in_description_is_current() {
        let here = std::env::var("CARGO_MANIFEST_DIR").unwrap_or_else(|_| env!("CARGO_MANIFEST_DIR").to_owned());
        let file = Path::new(&here).join("../spec/catalog.openapi.json");
        let now = openapi();
        if std::env::var_os("LAKE_BLESS").is_some_and(|value| value == "1") {
            std::fs::create_dir_all(file.parent().expect("folder")).expect("spec folder");
            std::fs::write(&file, &now).expect("written");
        }
        let stored = std::fs::read_to_string(&file).unwrap_or_default();
        assert!(stored == now, "spec/catalog.openapi.json is stale: run the tests once with LAKE_BLESS=1, then review");
    }

    #[test]
    fn every_reference_leads_somewhere_and_every_route_is_described() {
        let document: serde_json::Value = serde_json::from_str(&openapi()).expect("json");
        let schemas = document["components"]["schemas"].as_object().expect("schemas");
        let mut references = Vec::new();
        collect(&document, &mut references);
        assert!(references.len() > 20);
        for reference in references {
            let name = reference.strip_prefix("#/components/schemas/").expect("a schema");
            assert!(schemas.contains_key(name), "{reference}");
        }
        for route in ROUTES {
            let operation = &document["paths"][route.path][route.method.as_str().to_ascii_lowercase()];
            assert_eq!(operation["operationId"], route.id);
        }
    }

    fn collect(value: &serde_json::Value, into: &mut Vec<String>) {
        match value {
            serde_json::Value::Object(map) => {
                for (key, value) in map {
                    match value.as_str() {
                        Some(text) if key == "$ref" => into.push(text.to_owned()),
                        _ => collect(value, into),
                    }
                }
            }
            serde_json::Value::Array(items) => items.iter().for_each(|item| collect(item, into)),
            _ => {}
        }
    }
}
