//! Files that go in, and files that do not.

use crate::harness::{Sandbox, snapshot};

#[test]
fn csv() {
    let mut sandbox = Sandbox::new();
    sandbox
        .file(
            "f.csv",
            "id,name,dep,when,code,ok,price\n1,Ann,517,2013-01-01 05:00:00,007,true,1.5\n2,,NA,2013-01-01T06:00:00Z,010,\
             false,2\n3,\"x \"\"y\"\"\nz\",533,2013-01-02T05:00:00+02:00,001,true,3.25\n",
        )
        .file("more.tsv", "dep\tid\n\t4\n")
        .file("head.csv", "5;\"\";6\n")
        .file("odd names.csv", "a b,c(d)\n1,2\n");
    sandbox
        .lake(&["import", "./t", "f.csv"])
        .lake(&["schema", "./t", "--format", "csv"])
        .lake(&["import", "./u", "f.csv", "--null-value", "NA", "--quiet"])
        .lake(&["schema", "./u", "--format", "csv"])
        .lake(&["scan", "./u", "--format", "ndjson"])
        .lake(&["import", "./u", "more.tsv"])
        .lake(&[
            "import",
            "./u",
            "head.csv",
            "--no-header",
            "--delimiter",
            ";",
            "--schema",
            "id long, name string, dep long",
        ])
        .lake(&["scan", "./u", "--columns", "ID,name,dep", "--where", "id > 3", "--format", "ndjson"])
        .lake(&["import", "./s", "f.csv", "--all-strings", "--format", "ndjson"])
        .lake(&["scan", "./s", "--columns", "id,price", "--limit", "1", "--format", "ndjson"])
        .lake(&["import", "./o", "odd names.csv"])
        .lake(&["import", "./o", "odd names.csv", "--clean-names"])
        .lake(&["scan", "./o"])
        .lake(&["import", "./d", "f.csv", "--schema", "id decimal(5,1), name string, price decimal(10,2)"])
        .lake(&[
            "import",
            "./d",
            "f.csv",
            "--merge-schema",
            "--schema",
            "id decimal(5,1) not null, price decimal(10,2)",
            "--quiet",
        ])
        .lake(&["scan", "./d", "--columns", "id,price,name", "--format", "csv"]);
    snapshot!("import_csv", sandbox);
}

#[test]
fn json_and_parquet() {
    let mut sandbox = Sandbox::new();
    sandbox
        .file(
            "p.jsonl",
            "{\"id\":1,\"tags\":[\"a\",\"b\"],\"at\":{\"city\":\"Rome\",\"zip\":\"00100\"},\"price\":1.50}\n\n{\"id\":2,\"tags\":[],\
             \"at\":null,\"price\":2,\"extra\":true}\n",
        )
        .file("new.json", "{\"id\":3,\"colour\":\"red\"}\n");
    sandbox
        .lake(&["import", "./p", "p.jsonl"])
        .lake(&["schema", "./p", "--format", "csv"])
        .lake(&["scan", "./p", "--format", "ndjson"])
        .lake(&["scan", "./p", "--format", "csv"])
        .lake(&["import", "./p", "new.json"])
        .lake(&["import", "./p", "new.json", "--merge-schema", "--format", "ndjson", "--quiet"])
        .lake(&["sql", "SELECT id, colour, tags[1] AS first FROM './p' ORDER BY id", "--format", "csv", "--quiet"])
        .lake(&["scan", "./p", "--output", "p.parquet"])
        .lake(&["import", "./q", "p.parquet", "--format", "ndjson"])
        .lake(&["scan", "./q", "--format", "ndjson", "--quiet"]);
    snapshot!("import_json", sandbox);
}

#[test]
fn directories_and_modes() {
    let mut sandbox = Sandbox::new();
    sandbox
        .file("in/a.csv", "id,day\n1,2024-01-01\n2,2024-01-02\n")
        .file("in/b.csv", "day,id\n2024-01-01,3\n")
        .file("in/_ignored.csv", "x\n")
        .file("in/readme.md", "hello")
        .file("odd/a.csv", "id,day\n1,2024-01-01\n")
        .file("odd/b.csv", "id,night\n2,x\n");
    sandbox
        .lake(&["import", "./t", "in", "--partition-by", "day"])
        .lake(&["sql", "SELECT * FROM './t' ORDER BY id", "--format", "csv", "--quiet"])
        .lake(&["import", "./t", "in", "--mode", "error"])
        .lake(&["import", "./t", "in", "--mode", "ignore"])
        .lake(&["import", "./t", "in", "--mode", "overwrite", "--format", "ndjson"])
        .lake(&["import", "./t", "in", "--partition-by", "id"])
        .lake(&["import", "./none", "in", "--no-create"])
        .lake(&["import", "./odd", "odd"])
        .lake(&["import", "./odd", "odd", "--merge-schema", "--format", "ndjson"])
        .lake(&["sql", "SELECT * FROM './odd' ORDER BY id", "--format", "csv", "--quiet"])
        .lake(&["import", "./odd", "in/a.csv", "--overwrite-schema"])
        .lake(&[
            "import",
            "./odd",
            "in/a.csv",
            "--overwrite-schema",
            "--mode",
            "overwrite",
            "--quiet",
            "--format",
            "ndjson",
        ])
        .lake(&["scan", "./odd", "--format", "csv", "--quiet"]);
    snapshot!("import_modes", sandbox);
}

#[test]
fn what_is_refused_changes_nothing() {
    let mut sandbox = Sandbox::new();
    sandbox
        .file("good.csv", "id,name\n1,Ann\n")
        .file("value.csv", "id,name\n2,Bob\nthree,Cid\n")
        .file("ragged.csv", "id,name\n2,Bob,x\n")
        .file("quote.csv", "id,name\n2,\"Bob\n3,Cid\n")
        .file("latin.csv", b"id,name\n2,B\xf6b\n")
        .file("extra.csv", "id,name,age\n2,Bob,5\n")
        .file("twice.csv", "id,id\n1,2\n")
        .file("empty.csv", "")
        .file("null.csv", "id,name\n,Bob\n")
        .file("list.json", "[{\"id\":2}]\n")
        .file("bad.json", "{\"id\":2}\n{\"id\":\n")
        .file("deep.json", "{\"id\":".repeat(5000))
        .file("shape.json", "{\"id\":[2]}\n")
        .file("fake.parquet", "PAR1 this is no Parquet file PAR1")
        .file("short.parquet", "x")
        .file("f.csv.gz", "x")
        .file("f.dat", "x");
    sandbox.get(&["create", "./t", "--schema", "id long not null, name string"]);
    sandbox.get(&["import", "./t", "good.csv"]);
    for file in [
        "value.csv",
        "ragged.csv",
        "quote.csv",
        "latin.csv",
        "extra.csv",
        "twice.csv",
        "empty.csv",
        "null.csv",
        "list.json",
        "bad.json",
        "deep.json",
        "shape.json",
        "fake.parquet",
        "short.parquet",
        "f.csv.gz",
        "f.dat",
        "none.csv",
        "ftp://host/x.csv",
        ".config",
    ] {
        if file == ".config" {
            std::fs::create_dir_all(sandbox.path(".config")).expect("directory");
        }
        sandbox.lake(&["import", "./t", file]);
    }
    sandbox
        .lake(&["import", "./t", "good.csv", "./good.csv"])
        .lake(&["import", "./t", "value.csv", "--format", "json"])
        .lake(&["import", "./new", "value.csv", "--sample-rows", "1"])
        .lake(&["import", "./t", "value.csv", "ragged.csv", "latin.csv", "good.csv", "--bad-rows", "skip"])
        .lake(&["import", "./j", "bad.json", "--bad-rows", "skip", "--format", "ndjson"])
        .lake(&["log", "./t", "--format", "csv", "--quiet"]);
    assert!(!sandbox.path("new").exists(), "no table is created by an import that fails");
    let files = std::fs::read_dir(sandbox.path("t")).expect("list").count();
    assert_eq!(files, 1 + 2, "no data file of a failed import stays");
    snapshot!("import_bad", sandbox);
}

#[test]
fn sources() {
    let mut sandbox = Sandbox::new();
    let text = "id,name\n1,Ann\n2,Bob\n";
    let mut packed = Vec::new();
    std::io::copy(&mut flate2::read::GzEncoder::new(text.as_bytes(), flate2::Compression::fast()), &mut packed)
        .expect("gzip");
    let torn = &packed[..packed.len() - 9];
    sandbox
        .file("f.csv", text)
        .file("f.csv.gz", &packed)
        .file("torn.csv.gz", torn)
        .file("f.csv.zst", zstd::encode_all(text.as_bytes(), 1).expect("zstd"))
        .file("many/1/a.csv", text)
        .file("many/2/b.csv", text)
        .file("utf16.csv", b"\xff\xfei\0d\0");
    let url = format!("file://{}", sandbox.path("f.csv").display());
    sandbox
        .lake(&["import", "f.csv", "f.csv.gz", "f.csv.zst", &url.clone(), "--into", "./t"])
        .lake(&["import", "f.csv", "f.csv.gz", "f.csv.zst", "--into", "./t", "--quiet"])
        .lake(&["import", "many/*/?.csv", "--into", "./t", "--format", "ndjson"])
        .lake(&["import", "many/**/*.csv", "--into", "./t", "--format", "ndjson", "--quiet"])
        .lake_with(&["import", "-", "--input-format", "csv", "--into", "./t", "--format", "ndjson", "--quiet"], text)
        .lake_with(&["import", "-", "--input-format", "json", "--into", "./j", "--quiet"], "{\"id\":1}\n")
        .lake_with(&["import", "-", "--into", "./t"], text)
        .lake(&["import", "torn.csv.gz", "--into", "./t"])
        .lake(&["import", "utf16.csv", "--into", "./t"])
        .lake(&["import", "none*.csv", "--into", "./t"])
        .lake(&["import", "f.csv", "--into", "./t", "--overwrite-where", "id = 1"])
        .lake(&["import", "f.csv", "--into", "./t", "--txn", "loader"])
        .lake(&["import", "f.csv", "--into", "./t", "--txn", "a:loader:17", "--quiet", "--format", "ndjson"])
        .lake(&["import", "f.csv", "--into", "./t", "--txn", "a:loader:17", "--format", "ndjson"])
        .lake(&["import", "f.csv", "--into", "./t", "--txn", "a:loader:16", "--quiet", "--format", "ndjson"])
        .lake(&["import", "f.csv", "--into", "./t", "--mode", "overwrite", "--overwrite-where", "id = 1"])
        .lake(&["import", "f.csv", "--into", "./t", "--mode", "overwrite", "--overwrite-where", "abs(id) < 3"])
        .lake(&[
            "import",
            "f.csv",
            "--into",
            "./t",
            "--mode",
            "overwrite",
            "--overwrite-where",
            "id < 3 AND name <> 'x'",
        ])
        .lake(&["import", "f.csv", "--into", "./new", "--profile", "modern"])
        .lake(&["sql", "SELECT count(*) AS n, max(id) AS id FROM './t'", "--format", "csv", "--quiet"]);
    snapshot!("import_sources", sandbox);
}

#[test]
fn typed_files() {
    let mut sandbox = Sandbox::new();
    let sql = "SELECT 1 AS id, 'x' AS name, make_array(1, 2) AS list, named_struct('a', 1) AS inner_part, \
               CAST('2024-01-31T08:00:00.5Z' AS TIMESTAMP) AS at, CAST(1.5 AS DECIMAL(5,2)) AS price";
    for name in ["x.parquet", "x.arrow"] {
        sandbox.get(&["sql", sql, "--output", name]);
    }
    let arrow = std::fs::read(sandbox.path("x.arrow")).expect("read");
    sandbox.file("torn.arrow", &arrow[..arrow.len() / 2]).file("no.avro", "Obj\u{1}x").file("no.arrow", "ARROW1xx");
    sandbox
        .lake(&["import", "x.parquet", "x.arrow", "--into", "./t"])
        .lake(&["scan", "./t", "--format", "csv", "--quiet"])
        .lake(&["scan", "./t", "--format", "ndjson", "--quiet"])
        .lake(&["create", "./like", "--like", "x.arrow", "--quiet"])
        .lake(&["schema", "./like", "--format", "csv"]);
    for bad in ["torn.arrow", "no.avro", "no.arrow"] {
        sandbox.lake(&["import", bad, "--into", "./t"]);
    }
    snapshot!("import_typed", sandbox);
}

#[test]
fn bad_rows_are_put_aside() {
    let mut sandbox = Sandbox::new();
    sandbox
        .file("f.csv", "id,name,n\n1,a,1\nx,b,2\n3,c\n,q,4\n5,\"e\"x,5\n6,f,6\n")
        .file("f.jsonl", "{\"id\":7,\"n\":1}\n{\"id\":\"x\"}\n{\"id\":8,\"n\":[1]}\nnope\n{\"id\":null}\n");
    sandbox.get(&["create", "./t", "--schema", "id bigint not null, name string, n int"]);
    sandbox
        .lake(&["import", "f.csv", "--into", "./t"])
        .lake(&["import", "f.csv", "f.jsonl", "--into", "./t", "--bad-rows", "aside.jsonl", "--format", "ndjson"])
        .lake(&["import", "f.csv", "--into", "./t", "--bad-rows", "none/aside.jsonl"])
        .lake(&["scan", "./t", "--format", "csv", "--quiet"])
        .lake(&["import", "aside.jsonl", "--into", "./aside", "--quiet"])
        .lake(&["scan", "./aside", "--format", "csv", "--quiet"]);
    snapshot!("import_aside", sandbox);
}
