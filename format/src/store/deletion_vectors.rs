//! Deletion vectors on a store: one read and checked, a file of them written.

use bytes::Bytes;
use object_store::path::Path;
use object_store::{GetOptions, GetRange};

use super::TableRoot;
use crate::action::deletion_vector::{VectorFile, VectorLocation, check_stored, damaged, stored_range};
use crate::action::{DeletionVector, DeletionVectorDescriptor};
use crate::error::{Error, Result};

/// Reads what `descriptor` points at, in at most one request. The file of a vector must lie below the table's root,
/// as data files must (LOG-10).
///
/// # Errors
/// `NotFound` when the file is gone, `Corrupt` when the vector is damaged or is not what the descriptor says (DV-2),
/// `Unsupported` for a file elsewhere; the store's own.
pub async fn read_deletion_vector(root: &TableRoot, descriptor: &DeletionVectorDescriptor) -> Result<DeletionVector> {
    let (path, offset, size_bytes) = match descriptor.locate()? {
        VectorLocation::Inline(vector) => return Ok(vector),
        VectorLocation::File { log_path, offset, size_bytes } => (root.resolve(&log_path)?, offset, size_bytes),
    };
    let name = root.name_of(&path);
    let bytes = get_range(root, &path, stored_range(offset, size_bytes)).await.map_err(|e| e.with_object(&name))?;
    match check_stored(&bytes, offset, size_bytes) {
        Ok(bitmap) => descriptor.decode(bitmap, &name),
        Err(what) => Err(damaged(what, &name)),
    }
}

/// The bytes of `range`, as many as are there.
async fn get_range(root: &TableRoot, path: &Path, range: std::ops::Range<u64>) -> Result<Bytes> {
    let options = GetOptions { range: Some(GetRange::Bounded(range.clone())), ..GetOptions::default() };
    let most = range.end - range.start;
    let ends_early = |size: u64| Error::corrupt(format!("a file of deletion vectors ends at byte {size}, too early"));
    let answer = match root.store().get_opts(path, options).await {
        Ok(answer) => answer,
        Err(error @ object_store::Error::NotFound { .. }) => {
            return Err(Error::not_found("a file of deletion vectors is gone")
                .with_source(error)
                .with_hint("vacuum may have removed it: read a newer version, or restore the file from a backup"));
        }
        // Stores refuse a range that begins behind the end, each in its own words.
        Err(error) => match root.head(path).await? {
            Some(info) if info.size_bytes <= range.start => return Err(ends_early(info.size_bytes)),
            _ => return Err(error.into()),
        },
    };
    if answer.range.end - answer.range.start > most {
        return Err(Error::unavailable("the store sent more bytes than were asked for"));
    }
    Ok(answer.bytes().await?)
}

/// Writes the file and makes it last; its bytes. Its vectors can be committed then.
///
/// # Errors
/// `Invalid` for a prefix that can't be a directory; the store's own.
pub async fn write_deletion_vectors(root: &TableRoot, file: VectorFile) -> Result<u64> {
    let path = root.child(&file.path())?;
    let bytes = Bytes::from(file.into_bytes());
    let size_bytes = bytes.len() as u64;
    root.put(&path, bytes).await?;
    Ok(size_bytes)
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;
    use crate::error::ErrorKind;
    use crate::store::StoreOptions;

    /// DV-1, DV-2
    #[tokio::test]
    async fn what_is_written_is_read_back_from_memory_and_from_disk_and_damage_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let local = TableRoot::open(folder.path().to_str().unwrap(), &StoreOptions::default()).unwrap();
        for root in [TableRoot::in_memory("t").unwrap(), local] {
            let vectors: Vec<DeletionVector> = (1..4).map(|step| (0..2000).map(|row| row * step).collect()).collect();
            let mut file = VectorFile::new("odd %20", Uuid::from_u128(1));
            let found: Vec<_> = vectors.iter().map(|vector| file.push(vector).unwrap()).collect();
            let path = root.child(&file.path()).unwrap();
            write_deletion_vectors(&root, file).await.unwrap();
            for (vector, descriptor) in vectors.iter().zip(&found) {
                assert_eq!(read_deletion_vector(&root, descriptor).await.unwrap(), *vector);
            }
            let absolute = DeletionVectorDescriptor {
                storage_type: "p".into(),
                path_or_inline_dv: format!("{}odd%20%2520/{}", root.url(), path.filename().unwrap()),
                ..found[1].clone()
            };
            assert_eq!(read_deletion_vector(&root, &absolute).await.unwrap(), vectors[1]);
            let bytes = root.get(&path).await.unwrap();
            root.put(&path, bytes.slice(..bytes.len() - 1)).await.unwrap();
            let error = read_deletion_vector(&root, &found[2]).await.unwrap_err();
            assert_eq!((error.kind(), error.object()), (ErrorKind::Corrupt, Some(root.name_of(&path).as_str())));
            root.put(&path, bytes.slice(..4)).await.unwrap();
            for descriptor in &found {
                let error = read_deletion_vector(&root, descriptor).await.unwrap_err();
                assert_eq!(error.kind(), ErrorKind::Corrupt, "{error}");
            }
            root.delete(&path).await.unwrap();
            assert_eq!(read_deletion_vector(&root, &found[0]).await.unwrap_err().kind(), ErrorKind::NotFound);
        }
    }

    #[tokio::test]
    async fn a_vector_outside_the_table_is_refused() {
        let root = TableRoot::in_memory("t").unwrap();
        for (storage, path) in [
            ("u", "../x^-aqEH.-t@S}K{vb[*k^"),
            ("u", "/etc^-aqEH.-t@S}K{vb[*k^"),
            ("p", "memory:///other/x.bin"),
            ("p", "file:///etc/passwd"),
            ("p", "%2e%2e/x.bin"),
        ] {
            let descriptor = DeletionVectorDescriptor {
                storage_type: storage.into(),
                path_or_inline_dv: path.into(),
                offset: Some(1),
                size_in_bytes: 40,
                cardinality: 1,
            };
            let error = read_deletion_vector(&root, &descriptor).await.unwrap_err();
            assert!(matches!(error.kind(), ErrorKind::Corrupt | ErrorKind::Unsupported), "LOG-10: {path}: {error}");
        }
    }
}
