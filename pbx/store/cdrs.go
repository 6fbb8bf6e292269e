package store

import (
	"context"
	"database/sql"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/dipcast/dipcast/pbx"
)

const (
	defaultLimit = 100
	maxLimit     = 1000
)

// Add implements pbx.CDRStore.
func (d *DB) Add(ctx context.Context, c pbx.CDR) error { return d.AddAll(ctx, []pbx.CDR{c}) }

// AddAll writes several records in one transaction: what many calls that end
// at once need. A record that is there already stays as it is.
func (d *DB) AddAll(ctx context.Context, list []pbx.CDR) error {
	records := make([]any, 0, 6*len(list))
	extensions := make([]any, 0, 6*len(list))
	for _, c := range list {
		text, err := json.Marshal(c)
		if err != nil {
			return fmt.Errorf("store cdr %s: %w", c.ID, err)
		}
		started := c.Started.UnixMicro()
		records = append(records, string(c.ID), started, string(c.Direction), string(c.Disposition), numbers(c), string(text))
		for _, extension := range involved(c) {
			extensions = append(extensions, extension, started, string(c.ID))
		}
	}
	err := d.inTx(ctx, func(tx *sql.Tx) error {
		if err := d.forRows(ctx, tx, `INSERT INTO cdrs (id, started, direction, disposition, numbers, record) VALUES `,
			6, records, ` ON CONFLICT (id) DO NOTHING`); err != nil {
			return err
		}
		return d.forRows(ctx, tx, `INSERT INTO cdr_extensions (extension, started, id) VALUES `,
			3, extensions, ` ON CONFLICT (extension, started, id) DO NOTHING`)
	})
	if err != nil && len(list) == 1 {
		return fmt.Errorf("store cdr %s: %w", list[0].ID, err)
	}
	if err != nil {
		return fmt.Errorf("store %d cdrs: %w", len(list), err)
	}
	return nil
}

// Get implements pbx.CDRStore.
func (d *DB) Get(ctx context.Context, id pbx.CallID) (pbx.CDR, error) {
	texts, err := d.column(ctx, `SELECT record FROM cdrs WHERE id = ?`, string(id))
	if err != nil {
		return pbx.CDR{}, fmt.Errorf("store cdr: %w", err)
	}
	if len(texts) == 0 {
		return pbx.CDR{}, pbx.ErrGone
	}
	return decode(texts[0])
}

// Query implements pbx.CDRStore.
func (d *DB) Query(ctx context.Context, q pbx.CDRQuery) (pbx.CDRPage, error) {
	limit := q.Limit
	if limit == 0 {
		limit = defaultLimit
	}
	if limit < 1 || limit > maxLimit {
		return pbx.CDRPage{}, fmt.Errorf("limit %d: must be 1-%d", q.Limit, maxLimit)
	}
	query, args, err := selection(q)
	if err != nil {
		return pbx.CDRPage{}, err
	}
	// One more than asked for tells whether there is a next page.
	texts, err := d.column(ctx, query+` ORDER BY c.started DESC, c.id DESC LIMIT `+strconv.Itoa(limit+1), args...)
	if err != nil {
		return pbx.CDRPage{}, fmt.Errorf("store cdrs: %w", err)
	}
	page := pbx.CDRPage{Records: make([]pbx.CDR, 0, min(limit, len(texts)))}
	for _, text := range texts[:min(limit, len(texts))] {
		c, err := decode(text)
		if err != nil {
			return pbx.CDRPage{}, err
		}
		page.Records = append(page.Records, c)
	}
	if len(texts) > limit {
		page.Next = cursorOf(page.Records[limit-1])
	}
	return page, nil
}

// selection returns the SELECT of a query without order and limit.
func selection(q pbx.CDRQuery) (string, []any, error) {
	query := `SELECT c.record FROM cdrs c`
	var where []string
	var args []any
	add := func(condition string, values ...any) {
		where = append(where, condition)
		args = append(args, values...)
	}
	if q.Extension != "" {
		query += ` JOIN cdr_extensions e ON e.id = c.id`
		add(`e.extension = ?`, q.Extension)
	}
	if !q.From.IsZero() {
		add(`c.started >= ?`, q.From.UnixMicro())
	}
	if !q.To.IsZero() {
		add(`c.started < ?`, q.To.UnixMicro())
	}
	if q.Direction != "" {
		add(`c.direction = ?`, string(q.Direction))
	}
	if q.Disposition != "" {
		add(`c.disposition = ?`, string(q.Disposition))
	}
	if q.Number != "" {
		part := pbx.Digits(q.Number)
		if part == "" {
			return "", nil, fmt.Errorf("number %q: must have at least one digit", q.Number)
		}
		add(`c.numbers LIKE ?`, "%"+part+"%")
	}
	if q.Cursor != "" {
		started, id, err := parseCursor(q.Cursor)
		if err != nil {
			return "", nil, err
		}
		add(`(c.started < ? OR (c.started = ? AND c.id < ?))`, started, started, id)
	}
	if len(where) > 0 {
		query += ` WHERE ` + strings.Join(where, ` AND `)
	}
	return query, args, nil
}

func decode(text string) (pbx.CDR, error) {
	var c pbx.CDR
	if err := json.Unmarshal([]byte(text), &c); err != nil {
		return pbx.CDR{}, fmt.Errorf("store cdr: %w", err)
	}
	return c, nil
}

// cursorOf names the place after the record in the order of Query.
func cursorOf(c pbx.CDR) string {
	return base64.RawURLEncoding.EncodeToString(
		[]byte(strconv.FormatInt(c.Started.UnixMicro(), 10) + " " + string(c.ID)))
}

func parseCursor(cursor string) (started int64, id string, err error) {
	bad := errors.New("cursor: must be the \"next\" of the page before")
	raw, err := base64.RawURLEncoding.DecodeString(cursor)
	if err != nil {
		return 0, "", bad
	}
	text, id, ok := strings.Cut(string(raw), " ")
	if !ok {
		return 0, "", bad
	}
	if started, err = strconv.ParseInt(text, 10, 64); err != nil {
		return 0, "", bad
	}
	return started, id, nil
}

// numbers is what a search for part of a number looks at.
func numbers(c pbx.CDR) string {
	return pbx.Digits(c.From.Number) + " " + pbx.Digits(c.To.Number) + " " + pbx.Digits(c.Dialled) + " " + pbx.Digits(c.AnsweredBy.Number)
}

// involved lists the extensions that may see the record, each once.
func involved(c pbx.CDR) []string {
	seen := make(map[string]bool)
	var list []string
	for _, e := range append([]string{
		c.From.Extension, c.To.Extension, c.AnsweredBy.Extension, c.PulledBy,
	}, c.Offered...) {
		if e != "" && !seen[e] {
			seen[e] = true
			list = append(list, e)
		}
	}
	return list
}
