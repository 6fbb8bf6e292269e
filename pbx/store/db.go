package store

import (
	"context"
	"database/sql"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/stdlib"
	"github.com/pressly/goose/v3"
	_ "modernc.org/sqlite" // the driver "sqlite"
)

//go:embed migrations
var migrations embed.FS

// dialect is where the two databases differ.
type dialect struct {
	name       goose.Dialect
	migrations string
	// numbered: parameters are written $1, $2 instead of ?.
	numbered bool
}

// DB is one tenant's database.
type DB struct {
	db *sql.DB
	dialect
}

// OpenSQLite opens the file at path, making it if needed, and migrates it.
// The folder must exist and be writable.
func OpenSQLite(ctx context.Context, path string) (*DB, error) {
	abs, err := filepath.Abs(path)
	if err != nil {
		return nil, fmt.Errorf("store %s: %w", path, err)
	}
	dsn := url.URL{Scheme: "file", Path: abs, RawQuery: url.Values{
		// WAL with synchronous NORMAL: what was answered survives kill -9 of
		// the process; a power cut may take the last transactions, never the
		// file's consistency.
		"_pragma": {"busy_timeout(10000)", "journal_mode(WAL)", "synchronous(NORMAL)", "foreign_keys(1)"},
		"_txlock": {"immediate"},
	}.Encode()}
	db, err := sql.Open("sqlite", dsn.String())
	if err != nil {
		return nil, fmt.Errorf("store %s: %w", path, err)
	}
	db.SetMaxOpenConns(4)
	return migrated(ctx, path, db, dialect{name: goose.DialectSQLite3, migrations: "migrations/sqlite"})
}

// OpenPostgres opens the database that the DSN names and migrates it. Errors
// never carry the DSN, which holds a password.
func OpenPostgres(ctx context.Context, dsn string) (*DB, error) {
	cfg, err := pgx.ParseConfig(dsn)
	if err != nil {
		// The parser's own error repeats parts of the DSN.
		return nil, errors.New("store postgres: the DSN cannot be read: must be like postgres://user:password@host:5432/database")
	}
	db := stdlib.OpenDB(*cfg)
	db.SetMaxOpenConns(8)
	return migrated(ctx, "postgres", db, dialect{name: goose.DialectPostgres, migrations: "migrations/postgres", numbered: true})
}

func migrated(ctx context.Context, name string, db *sql.DB, d dialect) (*DB, error) {
	files, err := fs.Sub(migrations, d.migrations)
	if err == nil {
		var p *goose.Provider
		if p, err = goose.NewProvider(d.name, db, files); err == nil {
			_, err = p.Up(ctx)
		}
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("store %s: migration: %w", name, err), db.Close())
	}
	return &DB{db: db, dialect: d}, nil
}

// Close closes the database.
func (d *DB) Close() error { return d.db.Close() }

// Ping reports whether the database answers.
func (d *DB) Ping(ctx context.Context) error { return d.db.PingContext(ctx) }

// bind rewrites the ? of a statement into the form of the dialect. The
// statements of this package have no ? in literals.
func (d dialect) bind(q string) string {
	if !d.numbered {
		return q
	}
	var b strings.Builder
	n := 0
	for part := range strings.SplitSeq(q, "?") {
		if n > 0 {
			b.WriteString("$" + strconv.Itoa(n))
		}
		b.WriteString(part)
		n++
	}
	return b.String()
}

// inTx runs f in one transaction.
func (d *DB) inTx(ctx context.Context, f func(*sql.Tx) error) error {
	tx, err := d.db.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	if err := f(tx); err != nil {
		return errors.Join(err, tx.Rollback())
	}
	return tx.Commit()
}
