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
	"sync/atomic"

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

// DB is one tenant's database. Its methods fail with ErrNotOpen until Open has
// succeeded.
type DB struct {
	db   *sql.DB
	name string // for people
	open atomic.Bool
	dialect
}

// ErrNotOpen is what every use of a database comes to that could not be opened
// yet.
var ErrNotOpen = errors.New("the database could not be opened yet")

// SQLite returns the database in the file at path, which Open makes if needed.
// The folder must exist and be writable.
func SQLite(path string) (*DB, error) {
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
	return &DB{db: db, name: path, dialect: dialect{name: goose.DialectSQLite3, migrations: "migrations/sqlite"}}, nil
}

// Postgres returns the database that the DSN names. Errors never carry the DSN,
// which holds a password.
func Postgres(dsn string) (*DB, error) {
	cfg, err := pgx.ParseConfig(dsn)
	if err != nil {
		// The parser's own error repeats parts of the DSN.
		return nil, errors.New("store postgres: the DSN cannot be read: must be like postgres://user:password@host:5432/database")
	}
	db := stdlib.OpenDB(*cfg)
	db.SetMaxOpenConns(8)
	return &DB{db: db, name: "postgres", dialect: dialect{name: goose.DialectPostgres, migrations: "migrations/postgres", numbered: true}}, nil
}

// OpenSQLite is SQLite and Open.
func OpenSQLite(ctx context.Context, path string) (*DB, error) {
	d, err := SQLite(path)
	return opened(ctx, d, err)
}

// OpenPostgres is Postgres and Open.
func OpenPostgres(ctx context.Context, dsn string) (*DB, error) {
	d, err := Postgres(dsn)
	return opened(ctx, d, err)
}

func opened(ctx context.Context, d *DB, err error) (*DB, error) {
	if err != nil {
		return nil, err
	}
	if err := d.Open(ctx); err != nil {
		return nil, errors.Join(err, d.Close())
	}
	return d, nil
}

// Open connects and migrates. It may be tried again after an error, by one
// goroutine at a time.
func (d *DB) Open(ctx context.Context) error {
	if d.open.Load() {
		return nil
	}
	files, err := fs.Sub(migrations, d.migrations)
	if err == nil {
		var p *goose.Provider
		if p, err = goose.NewProvider(d.dialect.name, d.db, files); err == nil {
			_, err = p.Up(ctx)
		}
	}
	if err != nil {
		return fmt.Errorf("store %s: migration: %w", d.name, err)
	}
	d.open.Store(true)
	return nil
}

// usable returns an error as long as the database is not open.
func (d *DB) usable() error {
	if !d.open.Load() {
		return ErrNotOpen
	}
	return nil
}

// Close closes the database.
func (d *DB) Close() error { return d.db.Close() }

// Ping reports whether the database answers.
func (d *DB) Ping(ctx context.Context) error {
	if err := d.usable(); err != nil {
		return err
	}
	return d.db.PingContext(ctx)
}

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
	if err := d.usable(); err != nil {
		return err
	}
	tx, err := d.db.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	if err := f(tx); err != nil {
		return errors.Join(err, tx.Rollback())
	}
	return tx.Commit()
}
