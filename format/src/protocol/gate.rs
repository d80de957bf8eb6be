//! May we read this table? May we write it? Refusals name the feature.

use crate::action::{Metadata, Protocol};
use crate::error::{Error, Result};
use crate::schema::mapping::{self, MODE_PROPERTY};
use crate::schema::{DataType, MappingMode, StructType, widening};

use super::feature::{FEATURES, Feature, Support};

const READER_MAX: i32 = 3;
const WRITER_MAX: i32 = 7;

/// Whether the state of such a table can be understood at all (LOG-7).
///
/// # Errors
/// `Unsupported` naming the feature or version, `Corrupt` for a protocol that contradicts itself.
pub fn check_read(protocol: &Protocol, metadata: &Metadata) -> Result<()> {
    if protocol.min_reader_version > READER_MAX {
        return Err(refused_version("reader", protocol.min_reader_version, READER_MAX));
    }
    check_shape(protocol)?;
    if metadata.format.provider != "parquet" {
        return Err(Error::unsupported(format!("data files of format {:?}", metadata.format.provider)));
    }
    for name in protocol.reader_features.iter().flatten() {
        let support = Feature::named(name).map_or(Support::No, |feature| feature.read);
        if support == Support::No {
            return Err(refused(name, "read"));
        }
    }
    if is_supported(protocol, "columnMapping")
        && let Some(mode) = metadata.configuration.get(MODE_PROPERTY)
        && MappingMode::parse(mode).is_none()
    {
        let message = format!("the column mapping mode {mode:?} (table feature \"columnMapping\") is not supported");
        return Err(Error::unsupported(message));
    }
    Ok(())
}

/// How the columns of such a table are mapped. The property counts only where the protocol lists the feature (MAP-1).
pub fn column_mapping(protocol: &Protocol, metadata: &Metadata) -> MappingMode {
    let mode = metadata.configuration.get(MODE_PROPERTY).and_then(|mode| MappingMode::parse(mode));
    mode.filter(|_| is_supported(protocol, "columnMapping")).unwrap_or_default()
}

/// Whether the protocol lists or implies a feature.
pub fn is_supported(protocol: &Protocol, name: &str) -> bool {
    let Some(feature) = Feature::named(name) else { return false };
    if feature.for_readers && name == "columnMapping" && protocol.min_reader_version == 2 {
        return true;
    }
    let (features, named) = match feature.for_readers {
        true => (&protocol.reader_features, protocol.min_reader_version >= READER_MAX),
        false => (&protocol.writer_features, protocol.min_writer_version >= WRITER_MAX),
    };
    match features {
        Some(features) if named => features.iter().any(|listed| listed == name),
        _ => !feature.for_readers && (1..=protocol.min_writer_version).contains(&feature.implied_by_writer),
    }
}

/// Whether the schema makes use of a listed feature that Lake reads around only while it is not in use (LOG-7), and has
/// what column mapping and type widening ask of it (MAP-2, WID-2).
///
/// # Errors
/// `Unsupported` naming the feature, `Corrupt` naming a column that lacks its mapping.
pub fn check_schema(protocol: &Protocol, metadata: &Metadata, schema: &StructType) -> Result<()> {
    mapping::check_mapping(schema, column_mapping(protocol, metadata))?;
    if is_supported(protocol, "typeWidening") || is_supported(protocol, "typeWidening-preview") {
        widening::check_type_changes(schema)?;
    }
    let listed = protocol.reader_features.iter().flatten();
    match listed.into_iter().find(|name| in_use(name, metadata, schema)) {
        Some(name) if Feature::named(name).is_some_and(|feature| feature.read == Support::Unused) => {
            Err(refused(name, "read"))
        }
        _ => Ok(()),
    }
}

/// Whether Lake can add to such a table without breaking a rule that it does not know (LOG-8).
///
/// # Errors
/// As [`check_read`].
pub fn check_write(protocol: &Protocol, metadata: &Metadata, schema: &StructType) -> Result<()> {
    check_read(protocol, metadata)?;
    let version = protocol.min_writer_version;
    if version > WRITER_MAX {
        return Err(refused_version("writer", version, WRITER_MAX));
    }
    let listed: Vec<&str> = match &protocol.writer_features {
        Some(features) if version == WRITER_MAX => features.iter().map(String::as_str).collect(),
        _ => {
            let implied = |feature: &&Feature| (1..=version).contains(&feature.implied_by_writer);
            FEATURES.iter().filter(implied).map(|feature| feature.name).collect()
        }
    };
    for name in listed {
        let support = Feature::named(name).map_or(Support::No, |feature| feature.write);
        if support == Support::No || (support == Support::Unused && in_use(name, metadata, schema)) {
            return Err(refused(name, "written"));
        }
    }
    for (name, needed) in [("rowTracking", "domainMetadata"), ("clustering", "domainMetadata")] {
        if is_supported(protocol, name) && !is_supported(protocol, needed) {
            return Err(Error::corrupt(format!("the feature {name:?} is listed without {needed:?}, which it needs"))
                .with_object("protocol action"));
        }
    }
    // Below writer version 7 the rules of later versions may be there without being asked for.
    if protocol.writer_features.is_none() && in_use("identityColumns", metadata, schema) {
        return Err(refused("identityColumns", "written"));
    }
    // Readers of such a protocol would not look at the mapping.
    if column_mapping_on(metadata) && !is_supported(protocol, "columnMapping") {
        return Err(refused("columnMapping", "written"));
    }
    Ok(())
}

fn check_shape(protocol: &Protocol) -> Result<()> {
    let (reader, writer) = (protocol.min_reader_version, protocol.min_writer_version);
    let wrong = |message: &str| Err(Error::corrupt(message.to_owned()).with_object("protocol action"));
    if reader < 1 || writer < 1 {
        return wrong("protocol versions start at 1");
    }
    if reader >= 3 && writer < 7 {
        return wrong("reader version 3 needs writer version 7");
    }
    // Some writers leave an empty list where the versions allow none.
    let misplaced = |features: &Option<Vec<String>>, named: bool| match features {
        Some(features) => !named && !features.is_empty(),
        None => named,
    };
    if misplaced(&protocol.reader_features, reader >= READER_MAX) {
        return wrong("reader features belong to reader version 3, and to it alone");
    }
    if misplaced(&protocol.writer_features, writer >= WRITER_MAX) {
        return wrong("writer features belong to writer version 7, and to it alone");
    }
    if let (Some(reader), Some(writer)) = (&protocol.reader_features, &protocol.writer_features)
        && let Some(name) = reader.iter().find(|name| !writer.contains(name))
    {
        return Err(Error::corrupt(format!("feature {name:?} is listed for readers but not for writers"))
            .with_object("protocol action"));
    }
    Ok(())
}

fn refused(name: &str, verb: &str) -> Error {
    let known = Feature::named(name).is_some();
    let kind = if known { "table feature" } else { "unknown table feature" };
    Error::unsupported(format!("a table that uses the {kind} {name:?} can't be {verb} by this version of Lake"))
        .with_hint("nothing was changed; use an engine that supports the feature, or a newer Lake")
}

fn refused_version(side: &str, asked: i32, known: i32) -> Error {
    Error::unsupported(format!("the table asks for {side} version {asked}; this version of Lake knows up to {known}"))
}

fn column_mapping_on(metadata: &Metadata) -> bool {
    metadata.configuration.get("delta.columnMapping.mode").is_some_and(|mode| !mode.eq_ignore_ascii_case("none"))
}

fn in_use(name: &str, metadata: &Metadata, schema: &StructType) -> bool {
    let keyed = |key: &'static str| any_field_metadata(schema, &move |k| k.starts_with(key));
    match name {
        "columnMapping" => column_mapping_on(metadata),
        "identityColumns" => keyed("delta.identity."),
        "typeWidening" | "typeWidening-preview" => keyed("delta.typeChanges"),
        "variantType" | "variantType-preview" | "variantShredding" => {
            any_type(schema, &|data_type| *data_type == DataType::Variant)
        }
        _ => false,
    }
}

fn any_field_metadata(schema: &StructType, test: &dyn Fn(&str) -> bool) -> bool {
    let in_fields = |inner: &StructType| inner.fields.iter().any(|field| field.metadata.keys().any(|key| test(key)));
    in_fields(schema) || any_type(schema, &|data_type| matches!(data_type, DataType::Struct(inner) if in_fields(inner)))
}

/// Whether a type of the schema, at any depth, passes `test`.
fn any_type(schema: &StructType, test: &dyn Fn(&DataType) -> bool) -> bool {
    let mut types: Vec<&DataType> = schema.fields.iter().map(|field| &field.data_type).collect();
    while let Some(data_type) = types.pop() {
        if test(data_type) {
            return true;
        }
        match data_type {
            DataType::Struct(inner) => types.extend(inner.fields.iter().map(|field| &field.data_type)),
            DataType::Array(array) => types.push(&array.element_type),
            DataType::Map(map) => types.extend([&map.key_type, &map.value_type]),
            DataType::Primitive(_) | DataType::Variant | DataType::Void => {}
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::ErrorKind;
    use crate::schema::{PrimitiveType, StructField};

    fn features(reader: &[&str], writer: &[&str]) -> Protocol {
        let owned = |names: &[&str]| Some(names.iter().map(|&name| name.to_owned()).collect());
        Protocol {
            min_reader_version: 3,
            min_writer_version: 7,
            reader_features: owned(reader),
            writer_features: owned(writer),
        }
    }

    fn legacy(reader: i32, writer: i32) -> Protocol {
        Protocol { min_reader_version: reader, min_writer_version: writer, ..Protocol::default() }
    }

    #[test]
    fn unknown_and_unsupported_features_are_refused_by_name() {
        for name in ["zzz", "catalogManaged"] {
            let error = check_read(&features(&[name], &[name]), &Metadata::default()).expect_err(name);
            assert_eq!(error.kind(), ErrorKind::Unsupported);
            assert!(error.message().contains(name), "LOG-7: {error}");
        }
        let rows = features(&[], &["icebergCompatV2"]);
        check_read(&rows, &Metadata::default()).expect("a writer's feature asks nothing of a reader");
        let error = check_write(&rows, &Metadata::default(), &StructType::default()).expect_err("LOG-8");
        assert!(error.message().contains("icebergCompatV2"));
    }

    #[test]
    fn a_feature_without_the_one_it_needs_is_corrupt_to_a_writer() {
        for name in ["rowTracking", "clustering"] {
            let alone = features(&[], &[name]);
            check_read(&alone, &Metadata::default()).expect("it asks nothing of a reader");
            let error = check_write(&alone, &Metadata::default(), &StructType::default()).expect_err("LOG-8");
            assert_eq!(error.kind(), ErrorKind::Corrupt, "{error}");
            let both = features(&[], &[name, "domainMetadata"]);
            check_write(&both, &Metadata::default(), &StructType::default()).expect("whole");
        }
    }

    #[test]
    fn column_mapping_counts_where_the_protocol_has_it() {
        let mut metadata = Metadata::default();
        let mapped = |protocol: &Protocol, metadata: &Metadata| column_mapping(protocol, metadata);
        assert_eq!(mapped(&legacy(2, 5), &metadata), MappingMode::None);
        metadata.configuration.insert(MODE_PROPERTY.into(), "NAME".into());
        assert_eq!(mapped(&legacy(2, 5), &metadata), MappingMode::Name, "MAP-1");
        assert_eq!(mapped(&features(&["columnMapping"], &["columnMapping"]), &metadata), MappingMode::Name, "MAP-1");
        assert_eq!(mapped(&legacy(1, 2), &metadata), MappingMode::None, "MAP-1");
        let error = check_write(&legacy(1, 2), &metadata, &StructType::default()).expect_err("LOG-8");
        assert!(error.message().contains("columnMapping"), "{error}");
        let schema = StructType::new(vec![StructField::new("v", DataType::Variant, true)]);
        let error = check_schema(&legacy(2, 5), &metadata, &schema).expect_err("MAP-2");
        assert_eq!((error.kind(), error.object()), (ErrorKind::Corrupt, Some("v")));
        metadata.configuration.insert(MODE_PROPERTY.into(), "magic".into());
        let error = check_read(&legacy(2, 5), &metadata).expect_err("MAP-1");
        assert!(error.message().contains("columnMapping") && error.message().contains("magic"), "{error}");
    }

    #[test]
    fn a_feature_of_types_matters_only_where_such_a_column_is() {
        let listed = features(&["variantShredding"], &["variantShredding"]);
        check_read(&listed, &Metadata::default()).expect("listed");
        let plain = StructType::new(vec![StructField::new("v", DataType::Primitive(PrimitiveType::Long), true)]);
        check_schema(&listed, &Metadata::default(), &plain).expect("no variant column");
        let nested = DataType::Struct(StructType::new(vec![StructField::new("v", DataType::Variant, true)]));
        let schema = StructType::new(vec![StructField::new("s", nested, true)]);
        let error = check_schema(&listed, &Metadata::default(), &schema).expect_err("LOG-7");
        assert!(error.message().contains("variantShredding"), "{error}");
        let plain = features(&["variantType"], &["variantType"]);
        check_schema(&plain, &Metadata::default(), &schema).expect("read as a struct");
        let error = check_write(&plain, &Metadata::default(), &schema).expect_err("LOG-8");
        assert!(error.message().contains("variantType"), "{error}");
    }

    #[test]
    fn a_protocol_that_contradicts_itself_is_corrupt() {
        let mut lists_too_early = legacy(1, 2);
        lists_too_early.reader_features = Some(vec!["timestampNtz".into()]);
        for protocol in [legacy(0, 1), legacy(3, 7), legacy(3, 2), features(&["timestampNtz"], &[]), lists_too_early] {
            let error = check_read(&protocol, &Metadata::default()).expect_err("contradiction");
            assert_eq!(error.kind(), ErrorKind::Corrupt, "{protocol:?}");
        }
        for newer in [legacy(4, 8), legacy(i32::MAX, 1)] {
            let error = check_read(&newer, &Metadata::default()).expect_err("newer");
            assert_eq!(error.kind(), ErrorKind::Unsupported);
        }
    }

    #[test]
    fn identity_columns_block_writing() {
        let mut ruled = StructField::new("n", DataType::Primitive(PrimitiveType::Long), true);
        ruled.metadata.insert("delta.identity.start".into(), 1.into());
        let schema = StructType::new(vec![ruled]);
        for protocol in [legacy(1, 2), legacy(1, 6), features(&[], &["identityColumns"])] {
            let error = check_write(&protocol, &Metadata::default(), &schema).expect_err("LOG-8");
            assert!(error.message().contains("identityColumns"), "{error}");
        }
        check_write(&legacy(1, 6), &Metadata::default(), &StructType::default()).expect("nothing in use");
    }
}
