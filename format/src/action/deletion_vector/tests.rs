//! Vectors of the protocol and of published tables, the `roaring` crate as a second opinion, and hostile bytes.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use proptest::prelude::*;
use roaring::RoaringTreemap;

use super::*;
use crate::error::ErrorKind;

fn inline(text: &str, size_in_bytes: i32, cardinality: i64) -> DeletionVectorDescriptor {
    DeletionVectorDescriptor {
        storage_type: "i".into(),
        path_or_inline_dv: text.into(),
        offset: None,
        size_in_bytes,
        cardinality,
    }
}

fn rows(descriptor: &DeletionVectorDescriptor) -> Vec<u64> {
    match descriptor.locate().expect("DV-1") {
        VectorLocation::Inline(vector) => vector.ranges().flatten().collect(),
        other => panic!("{other:?}"),
    }
}

/// DV-1: the protocol's own example, and the two paddings that writers use.
#[test]
fn inline_vectors_are_read_whatever_their_padding() {
    let protocol = inline("wi5b=000010000siXQKl0rr91000f55c8Xg0@@D72lkbi5=-{L", 40, 6);
    assert_eq!(rows(&protocol), [3, 4, 7, 11, 18, 29]);
    let usual = inline("^Bg9^0rr910000000000iXQKl0rr91000f55c8Xg0@@D72lkbi5=-{L", 44, 6);
    assert_eq!(rows(&usual), rows(&protocol));
    let marked = inline("^Bg9^0rr910000000000iXQKl0rr91000005c8Xg##093", 34, 1);
    assert_eq!(rows(&marked).len(), 1);
    let own = DeletionVectorDescriptor::inline(&rows(&marked).into_iter().collect()).expect("small");
    assert_eq!(rows(&own), rows(&marked));
    assert!(own.path_or_inline_dv.len().is_multiple_of(5) && !own.path_or_inline_dv.contains("##"), "zeros, not marks");
    assert_eq!(rows(&inline("^Bg9^0rr910000000000iXQKl0rr91000935c8Xg000311onP9", 40, 4)).len(), 4);
}

/// DV-1: where the file of a vector is.
#[test]
fn paths_of_vectors_are_made_as_the_protocol_says() {
    let of = |storage: &str, path: &str, offset: Option<i32>| {
        let descriptor = DeletionVectorDescriptor {
            storage_type: storage.into(),
            path_or_inline_dv: path.into(),
            offset,
            size_in_bytes: 40,
            cardinality: 6,
        };
        descriptor.locate()
    };
    let file = |log_path: &str, offset| VectorLocation::File { log_path: log_path.to_owned(), offset, size_bytes: 40 };
    let name = "deletion_vector_d2c639aa-8816-431a-aaf6-d3fe2512ff61.bin";
    assert_eq!(of("u", "ab^-aqEH.-t@S}K{vb[*k^", Some(4)).expect("prefix"), file(&format!("ab/{name}"), Some(4)));
    assert_eq!(of("u", "^-aqEH.-t@S}K{vb[*k^", None).expect("no prefix"), file(name, None));
    assert_eq!(of("u", "a b%^-aqEH.-t@S}K{vb[*k^", Some(0)).expect("odd"), file(&format!("a%20b%25/{name}"), None));
    assert_eq!(of("p", "s3://b/x%20y.bin", Some(1)).expect("absolute"), file("s3://b/x%20y.bin", Some(1)));
    for (storage, path, offset, kind) in [
        ("u", "short", None, ErrorKind::Corrupt),
        ("u", "-aqEH.-t@S}K{vb[*k^é", None, ErrorKind::Corrupt),
        ("u", "#############x######", None, ErrorKind::Corrupt),
        ("p", "x", Some(-1), ErrorKind::Corrupt),
        ("q", "x", None, ErrorKind::Unsupported),
    ] {
        assert_eq!(of(storage, path, offset).expect_err(path).kind(), kind, "DV-1: {storage}{path}");
    }
}

/// DV-2
#[test]
fn a_descriptor_that_does_not_fit_its_vector_is_corrupt() {
    let text = "wi5b=000010000siXQKl0rr91000f55c8Xg0@@D72lkbi5=-{L";
    for (text, size, cardinality, what) in [
        (text, 40, 5, "cardinality"),
        (text, 40, -1, "negative"),
        (text, 38, 6, "cut short by its size"),
        (text, 36, 6, "more than padding"),
        (text, 41, 6, "longer than it is"),
        (text, -40, 6, "negative size"),
        (text, i32::MAX, 6, "huge"),
        (&text[..49], 39, 6, "no whole chunk"),
        (&text.replace('w', "~"), 40, 6, "no letter"),
        (&text.replace('w', "#"), 40, 6, "a mark inside"),
        (&text.replace('w', "%"), 40, 6, "another magic"),
        ("", 0, 0, "empty"),
    ] {
        let error = inline(text, size, cardinality).locate().expect_err(what);
        assert_eq!(error.kind(), ErrorKind::Corrupt, "DV-2: {what}: {error}");
    }
}

#[test]
fn the_older_layout_is_read() {
    let mut bytes = 1_681_511_376_u32.to_le_bytes().to_vec();
    bytes.extend(2_u32.to_le_bytes());
    for values in [vec![1_u32, 70_000], vec![5]] {
        let mut bitmap = Vec::new();
        values.iter().copied().collect::<roaring::RoaringBitmap>().serialize_into(&mut bitmap).expect("in memory");
        bytes.extend((bitmap.len() as u32).to_le_bytes());
        bytes.extend(bitmap);
    }
    let vector = portable::decode(&bytes).expect("DV-1");
    assert_eq!(vector.ranges().flatten().collect::<Vec<_>>(), [1, 70_000, (1 << 32) + 5]);
}

#[test]
fn hostile_sizes_cost_neither_memory_nor_time() {
    let begin = Instant::now();
    let with = |parts: &[&[u8]]| [&1_681_511_377_u32.to_le_bytes()[..], &parts.concat()].concat();
    let full_run = [1, 0, 0, 0, 0xff, 0xff];
    for bytes in [
        with(&[&u64::MAX.to_le_bytes()]),
        with(&[&u64::MAX.to_le_bytes(), &[0; 64]]),
        with(&[&1_u64.to_le_bytes(), &[0; 4], &12_346_u32.to_le_bytes(), &u32::MAX.to_le_bytes()]),
        with(&[&1_u64.to_le_bytes(), &[0, 0, 0, 0x80], &12_346_u32.to_le_bytes(), &[0; 4]]),
        with(&[&1_u64.to_le_bytes(), &[0; 4], &(12_347_u32 | 0xffff << 16).to_le_bytes(), &[0xff; 9000]]),
        with(&[&1_u64.to_le_bytes(), &[0; 4], &12_347_u32.to_le_bytes(), &[1], &[0, 0, 0, 0], &full_run]),
        with(&[&2_u64.to_le_bytes(), &[0; 4], &12_346_u32.to_le_bytes(), &[0; 4], &[0; 4], &[0; 8]]),
    ] {
        assert!(portable::decode(&bytes).is_err(), "DV-2: {:?}", &bytes[..bytes.len().min(40)]);
    }
    assert!(begin.elapsed() < Duration::from_secs(5));
}

/// Rows around the borders of containers and bitmaps, alone and in runs, dense enough for each form of container.
fn some_rows() -> impl Strategy<Value = BTreeSet<u64>> {
    let base = prop_oneof![Just(0), Just(65_530), Just(1 << 20), Just((1 << 32) - 8), Just(1 << 40)];
    let step = prop_oneof![Just(1_u64), Just(1), Just(2), Just(13), 1_u64..70_000];
    let piece = (base, 0_u64..200, step, prop_oneof![1_u64..40, 4000_u64..9000]);
    prop::collection::vec(piece, 0..6).prop_map(|pieces| {
        let rows = |(base, shift, step, count): (u64, u64, u64, u64)| (0..count).map(move |i| base + shift + i * step);
        pieces.into_iter().flat_map(rows).collect()
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn vectors_are_the_sets_that_roaring_makes(rows in some_rows(), more in some_rows(), from in 0_u64..200_000) {
        let vector: DeletionVector = rows.iter().copied().collect();
        let reference: RoaringTreemap = rows.iter().copied().collect();
        prop_assert_eq!(vector.len(), reference.len());
        prop_assert_eq!(vector.last(), reference.max());
        prop_assert!(vector.ranges().flatten().eq(rows.iter().copied()));
        prop_assert!(vector.ranges_from(from).flatten().eq(rows.range(from..).copied()));
        for row in more.iter().take(500).chain(rows.iter().take(500)) {
            prop_assert_eq!(vector.contains(*row), rows.contains(row));
        }
        // Ours read by roaring, roaring's read by us.
        let bytes = portable::encode(&vector).expect("rows of a file");
        prop_assert_eq!(&RoaringTreemap::deserialize_from(&bytes[4..]).expect("our bytes"), &reference);
        let mut theirs = bytes[..4].to_vec();
        reference.serialize_into(&mut theirs).expect("in memory");
        prop_assert_eq!(&portable::decode(&theirs).expect("their bytes"), &vector);
        prop_assert_eq!(&portable::decode(&bytes).expect("our bytes"), &vector);
        let other: DeletionVector = more.iter().copied().collect();
        let both: DeletionVector = rows.union(&more).copied().collect();
        prop_assert_eq!(vector.union(&other), both);
    }

    #[test]
    fn an_inline_vector_comes_back(rows in some_rows()) {
        let vector: DeletionVector = rows.iter().copied().collect();
        let descriptor = DeletionVectorDescriptor::inline(&vector).expect("small");
        prop_assert_eq!(descriptor.locate().expect("DV-1"), VectorLocation::Inline(vector));
    }

    #[test]
    fn damaged_bytes_never_panic(rows in some_rows(), at in any::<prop::sample::Index>(), byte: u8, cut: bool) {
        let vector: DeletionVector = rows.iter().copied().collect();
        let mut bytes = portable::encode(&vector).expect("rows of a file");
        let at = at.index(bytes.len());
        bytes[at] = byte;
        if cut {
            bytes.truncate(at);
        }
        if let Ok(read) = portable::decode(&bytes) {
            prop_assert_eq!(read.ranges().flatten().count() as u64, read.len());
            prop_assert!(portable::decode(&portable::encode(&read).expect("rows")).expect("again") == read);
        }
    }

    #[test]
    fn text_never_panics(text in "\\PC{0,40}") {
        let _ = z85::decode(&text);
        let _ = inline(&text, 20, 1).locate();
    }
}
