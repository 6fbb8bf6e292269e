package store

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"time"

	"github.com/dipcast/dipcast/pbx"
)

// Save implements pbx.ContactStore.
func (d *DB) Save(ctx context.Context, extension string, contacts []pbx.Contact) error {
	return d.SaveAll(ctx, map[string][]pbx.Contact{extension: contacts})
}

// SaveAll replaces the bindings of several extensions in one transaction:
// what many registrations at once need.
func (d *DB) SaveAll(ctx context.Context, all map[string][]pbx.Contact) error {
	extensions := make([]any, 0, len(all))
	rows := make([]any, 0, 4*len(all))
	for extension, contacts := range all {
		extensions = append(extensions, extension)
		for _, c := range contacts {
			text, err := json.Marshal(c)
			if err != nil {
				return fmt.Errorf("store contacts: %w", err)
			}
			rows = append(rows, extension, c.ID, c.Expires.UnixMicro(), string(text))
		}
	}
	err := d.inTx(ctx, func(tx *sql.Tx) error {
		if err := d.forRows(ctx, tx, `DELETE FROM contacts WHERE extension IN (`, 1, extensions, `)`); err != nil {
			return err
		}
		return d.forRows(ctx, tx, `INSERT INTO contacts (extension, id, expires, contact) VALUES `, 4, rows, ``)
	})
	if err != nil {
		return fmt.Errorf("store contacts: %w", err)
	}
	return nil
}

// Load implements pbx.ContactStore.
func (d *DB) Load(ctx context.Context, now time.Time) ([]pbx.Contact, error) {
	texts, err := d.column(ctx, `SELECT contact FROM contacts WHERE expires > ? ORDER BY extension, id`, now.UnixMicro())
	if err != nil {
		return nil, fmt.Errorf("store contacts: %w", err)
	}
	contacts := make([]pbx.Contact, len(texts))
	for i, text := range texts {
		if err := json.Unmarshal([]byte(text), &contacts[i]); err != nil {
			return nil, fmt.Errorf("store contacts: row %d: %w", i, err)
		}
	}
	return contacts, nil
}

// column returns the only column of a query's rows.
func (d *DB) column(ctx context.Context, query string, args ...any) (texts []string, err error) {
	if err := d.usable(); err != nil {
		return nil, err
	}
	rows, err := d.db.QueryContext(ctx, d.bind(query), args...)
	if err != nil {
		return nil, err
	}
	defer func() { err = firstError(err, rows.Close()) }()
	for rows.Next() {
		var text string
		if err := rows.Scan(&text); err != nil {
			return nil, err
		}
		texts = append(texts, text)
	}
	return texts, rows.Err()
}

func firstError(a, b error) error {
	if a != nil {
		return a
	}
	return b
}
