-- Names are unique whatever their case: `name_key` is the name in lower case.
CREATE TABLE catalogs (
    id          TEXT PRIMARY KEY,
    name        TEXT NOT NULL,
    name_key    TEXT NOT NULL UNIQUE,
    description TEXT,
    properties  TEXT NOT NULL,
    revision    INTEGER NOT NULL,
    created_ms  INTEGER NOT NULL,
    updated_ms  INTEGER NOT NULL
) STRICT;

CREATE TABLE schemas (
    id          TEXT PRIMARY KEY,
    catalog_id  TEXT NOT NULL REFERENCES catalogs (id),
    name        TEXT NOT NULL,
    name_key    TEXT NOT NULL,
    layer       TEXT NOT NULL,
    description TEXT,
    properties  TEXT NOT NULL,
    revision    INTEGER NOT NULL,
    created_ms  INTEGER NOT NULL,
    updated_ms  INTEGER NOT NULL,
    UNIQUE (catalog_id, name_key)
) STRICT;

-- `location_key` ends with a slash; no key is the beginning of another.
CREATE TABLE tables (
    id           TEXT PRIMARY KEY,
    schema_id    TEXT NOT NULL REFERENCES schemas (id),
    name         TEXT NOT NULL,
    name_key     TEXT NOT NULL,
    location     TEXT NOT NULL,
    location_key TEXT NOT NULL UNIQUE,
    description  TEXT,
    owner        TEXT,
    upstreams    TEXT NOT NULL,
    contract     TEXT,
    revision     INTEGER NOT NULL,
    created_ms   INTEGER NOT NULL,
    updated_ms   INTEGER NOT NULL,
    UNIQUE (schema_id, name_key)
) STRICT;

-- `hash` is the SHA-256 of the secret, `hash_head` its first eight bytes, by which it is looked up.
CREATE TABLE tokens (
    id         TEXT PRIMARY KEY,
    name       TEXT NOT NULL,
    name_key   TEXT NOT NULL UNIQUE,
    hash_head  BLOB NOT NULL,
    hash       BLOB NOT NULL UNIQUE,
    scopes     TEXT NOT NULL,
    created_ms INTEGER NOT NULL,
    expires_ms INTEGER
) STRICT;

CREATE INDEX tokens_by_hash_head ON tokens (hash_head);

-- One row that the readiness check writes.
CREATE TABLE canary (
    id       INTEGER PRIMARY KEY CHECK (id = 1),
    touched_ms INTEGER NOT NULL
) STRICT;
