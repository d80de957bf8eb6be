//! Bodies as the routes name them: functions that describe a wire type.

use std::collections::BTreeMap;

use utoipa::openapi::RefOr;
use utoipa::openapi::schema::Schema;
use utoipa::{PartialSchema, ToSchema};

/// Named schemas of the description.
pub(crate) type Schemas = BTreeMap<String, RefOr<Schema>>;

/// Puts a body's schemas among the named ones and gives its name; `None` for no body.
pub(crate) type BodyOf = fn(&mut Schemas) -> Option<String>;

/// The [`BodyOf`] of `T`; of `()` it is no body.
pub(crate) fn body<T: ToSchema + PartialSchema>(schemas: &mut Schemas) -> Option<String> {
    let name = T::name();
    if name == <() as ToSchema>::name() {
        return None;
    }
    let mut named = vec![(name.to_string(), T::schema())];
    T::schemas(&mut named);
    schemas.extend(named);
    Some(name.into_owned())
}
