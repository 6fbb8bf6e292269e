-- +goose Up
CREATE TABLE cdrs (
    id          TEXT    NOT NULL PRIMARY KEY,
    started     BIGINT  NOT NULL, -- microseconds since 1970, UTC
    direction   TEXT    NOT NULL,
    disposition TEXT    NOT NULL,
    numbers     TEXT    NOT NULL, -- digits of both parties, separated by spaces
    record      TEXT    NOT NULL  -- the whole record as JSON
);
CREATE INDEX cdrs_started ON cdrs (started DESC, id DESC);

CREATE TABLE cdr_extensions (
    extension TEXT    NOT NULL,
    started   BIGINT  NOT NULL,
    id        TEXT    NOT NULL REFERENCES cdrs (id) ON DELETE CASCADE,
    PRIMARY KEY (extension, started, id)
);

CREATE TABLE contacts (
    extension TEXT    NOT NULL,
    id        TEXT    NOT NULL,
    expires   BIGINT  NOT NULL, -- microseconds since 1970, UTC
    contact   TEXT    NOT NULL, -- the binding as JSON
    PRIMARY KEY (extension, id)
);

-- +goose Down
DROP TABLE contacts;
DROP TABLE cdr_extensions;
DROP TABLE cdrs;
