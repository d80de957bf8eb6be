//! Which columns statistics are kept of.

use super::TableProperties;
use crate::schema::mapping::physical_name;
use crate::schema::{DataType, MappingMode, PrimitiveType, StructField, StructType};

/// One leaf column that statistics are kept of.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct IndexedLeaf {
    /// Names from the top.
    pub path: Vec<String>,
    /// The same as the statistics spell them.
    pub physical: Vec<String>,
    /// Position in the table's schema, then in each struct below it.
    pub route: Vec<usize>,
    /// The type of its bounds, where it has such.
    pub bounds: Option<PrimitiveType>,
}

/// The leaves with statistics: those named by the table, else the first so many, depth-first, partition columns
/// left out; and the clustering columns wherever they stand. An array or map is one leaf.
pub fn indexed_leaves(
    schema: &StructType,
    partition_columns: &[String],
    properties: &TableProperties,
    clustering: &[Vec<String>],
) -> Vec<IndexedLeaf> {
    let mut all = Vec::new();
    let is_partition =
        |name: &str| partition_columns.iter().any(|column| schema.index_of(column) == schema.index_of(name));
    for (position, field) in schema.fields.iter().enumerate().filter(|(_, field)| !is_partition(&field.name)) {
        collect(field, position, &mut IndexedLeaf::default(), properties.column_mapping, &mut all);
    }
    let clusters = |leaf: &IndexedLeaf| clustering.iter().any(|path| is_under(&leaf.physical, path));
    match &properties.data_skipping_stats_columns {
        Some(named) => {
            all.retain(|leaf| clusters(leaf) || named.iter().any(|path| is_under(&leaf.path, &path.0)));
        }
        None => {
            let count = usize::try_from(properties.data_skipping_num_indexed_cols).unwrap_or(usize::MAX);
            let later = all.split_off(count.min(all.len()));
            all.extend(later.into_iter().filter(clusters));
        }
    }
    all
}

fn collect(
    field: &StructField,
    position: usize,
    outer: &mut IndexedLeaf,
    mode: MappingMode,
    all: &mut Vec<IndexedLeaf>,
) {
    outer.path.push(field.name.clone());
    outer.physical.push(physical_name(field, mode).to_owned());
    outer.route.push(position);
    match &field.data_type {
        DataType::Struct(inner) => {
            for (position, field) in inner.fields.iter().enumerate() {
                collect(field, position, outer, mode, all);
            }
        }
        other => {
            let bare = |primitive: &PrimitiveType| matches!(primitive, PrimitiveType::Boolean | PrimitiveType::Binary);
            let bounds = match other {
                DataType::Primitive(primitive) if !bare(primitive) => Some(*primitive),
                _ => None,
            };
            all.push(IndexedLeaf { bounds, ..outer.clone() });
        }
    }
    outer.path.pop();
    outer.physical.pop();
    outer.route.pop();
}

fn is_under(leaf: &[String], named: &[String]) -> bool {
    named.len() <= leaf.len() && named.iter().zip(leaf).all(|(a, b)| a.to_lowercase() == b.to_lowercase())
}
