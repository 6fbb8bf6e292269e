package store

import (
	"context"
	"database/sql"
	"strings"
)

// rowsAtOnce is how many rows one statement writes. A statement costs a round
// trip to PostgreSQL and a parse in SQLite, whatever it holds; the databases
// take some ten thousand parameters.
const rowsAtOnce = 100

// forRows runs head, a list of placeholders for rows of that many columns, and
// tail, with at most rowsAtOnce rows in each statement.
func (d *DB) forRows(ctx context.Context, tx *sql.Tx, head string, columns int, values []any, tail string) error {
	row := "(" + strings.Repeat("?, ", columns-1) + "?)"
	if columns == 1 {
		row = "?"
	}
	for len(values) > 0 {
		n := min(len(values)/columns, rowsAtOnce)
		q := head + strings.Repeat(row+", ", n-1) + row + tail
		if _, err := tx.ExecContext(ctx, d.bind(q), values[:n*columns]...); err != nil {
			return err
		}
		values = values[n*columns:]
	}
	return nil
}
