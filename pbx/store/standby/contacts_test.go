package standby

import (
	"context"
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/dipcast/dipcast/pbx"
	"github.com/dipcast/dipcast/pbx/pbxtest/memjournal"
)

// database is one in memory that may be away.
type database struct {
	away error
	all  map[string][]pbx.Contact
}

func (d *database) Save(context.Context, string, []pbx.Contact) error { return errors.ErrUnsupported }

func (d *database) SaveAll(_ context.Context, all map[string][]pbx.Contact) error {
	if d.away != nil {
		return d.away
	}
	for extension, contacts := range all {
		d.all[extension] = contacts
	}
	return nil
}

func (d *database) Load(context.Context, time.Time) (out []pbx.Contact, err error) {
	for _, contacts := range d.all {
		out = append(out, contacts...)
	}
	if d.away != nil {
		return nil, d.away
	}
	return out, nil
}

func TestTheCopyStandsInForTheDatabase(t *testing.T) {
	now := time.Date(2026, 3, 4, 5, 6, 7, 0, time.UTC)
	phone := func(extension, uri string, lives time.Duration) []pbx.Contact {
		return []pbx.Contact{{ID: uri, Extension: extension, URI: uri, Expires: now.Add(lives)}}
	}
	away := errors.New("connection refused")
	db, store := &database{all: map[string][]pbx.Contact{"100": phone("100", "of-before", time.Hour)}}, &memjournal.Journal{}
	c := New(db, store)
	save := func(extension string, contacts []pbx.Contact, want error) {
		t.Helper()
		if err := c.Save(t.Context(), extension, contacts); !errors.Is(err, want) {
			t.Errorf("%s: %v, want %v", extension, err, want)
		}
	}
	save("101", phone("101", "first", time.Hour), nil)
	save("102", phone("102", "short", time.Minute), nil)
	save("103", phone("103", "leaves", time.Hour), nil)
	save("103", nil, nil)
	db.away = away
	save("101", phone("101", "second", time.Hour), away)

	found := func(at time.Duration, want []string, wantErr error) {
		t.Helper()
		contacts, err := New(db, store).Load(t.Context(), now.Add(at))
		var got []string
		for _, contact := range contacts {
			got = append(got, contact.Extension+" "+contact.URI)
		}
		slices.Sort(got)
		if !slices.Equal(got, want) || !errors.Is(err, wantErr) {
			t.Errorf("after %v: %v (%v), want %v (%v)", at, got, err, want, wantErr)
		}
	}
	found(0, []string{"101 second", "102 short"}, away)
	db.away = nil
	found(0, []string{"100 of-before", "101 second", "102 short"}, nil)
	db.away = away
	found(2*time.Minute, []string{"101 second"}, away)
	if store.Len() != 1 {
		t.Errorf("%d records, want that of 101 alone", store.Len())
	}
}
