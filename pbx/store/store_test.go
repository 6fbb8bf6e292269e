package store

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/dipcast/dipcast/pbx"
	"github.com/dipcast/dipcast/pbx/pbxtest/pgtest"
)

// suite is what both databases must do.
func suite(t *testing.T, open func(t *testing.T) *DB) {
	t.Helper()
	for name, test := range map[string]func(*testing.T, *DB){
		"a record comes back as it was":      recordRoundTrip,
		"adding twice keeps the first":       addTwice,
		"an unknown record is gone":          unknownRecord,
		"filters":                            filters,
		"pages cover everything once":        pages,
		"hostile filters are data":           hostileFilters,
		"wrong queries are told":             wrongQueries,
		"bindings are replaced as a whole":   replaceContacts,
		"expired bindings are not loaded":    expiredContacts,
		"many writers at once lose nothing":  manyWriters,
		"many rows go in one transaction":    manyRows,
		"a cancelled context writes nothing": cancelled,
	} {
		t.Run(name, func(t *testing.T) { test(t, open(t)) })
	}
}

func TestSQLite(t *testing.T) {
	suite(t, func(t *testing.T) *DB {
		t.Helper()
		return openFile(t, filepath.Join(t.TempDir(), "pbx.db"))
	})
}

func TestPostgres(t *testing.T) {
	if testing.Short() {
		t.Skip("needs PostgreSQL and some seconds")
	}
	server, err := pgtest.Start(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(server.Stop)
	suite(t, func(t *testing.T) *DB {
		t.Helper()
		dsn, err := server.NewDatabase(t.Context())
		must(t, err)
		db, err := OpenPostgres(t.Context(), dsn)
		must(t, err)
		t.Cleanup(func() { must(t, db.Close()) })
		return db
	})
}

func openFile(t *testing.T, path string) *DB {
	t.Helper()
	db, err := OpenSQLite(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	})
	return db
}

func TestSQLiteSurvivesReopening(t *testing.T) {
	// A name with characters that mean something in a URL.
	path := filepath.Join(t.TempDir(), "a b?c#d%20.db")
	first, err := OpenSQLite(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	must(t, first.Add(t.Context(), record(1)))
	must(t, first.Save(t.Context(), "101", []pbx.Contact{contact("101", "a", time.Hour)}))
	must(t, first.Close())
	again := openFile(t, path)
	if _, err := again.Get(t.Context(), record(1).ID); err != nil {
		t.Errorf("the record is lost: %v", err)
	}
	if got, err := again.Load(t.Context(), base); err != nil || len(got) != 1 {
		t.Errorf("bindings after reopening = %v, %v; want one", got, err)
	}
}

func TestOpenErrorsNameThePathAndNoSecret(t *testing.T) {
	path := filepath.Join(t.TempDir(), "missing", "pbx.db")
	if _, err := OpenSQLite(t.Context(), path); err == nil || !strings.Contains(err.Error(), path) {
		t.Errorf("error %v does not name %s", err, path)
	}
	for _, dsn := range []string{"postgres://u:topsecret@127.0.0.1:1/db?connect_timeout=1", "postgres://u:topsecret@[::1", "://topsecret"} {
		if _, err := OpenPostgres(t.Context(), dsn); err == nil || strings.Contains(err.Error(), "topsecret") {
			t.Errorf("%s: error %v must exist and hold no password", dsn, err)
		}
	}
}

var base = time.Date(2026, 11, 23, 1, 0, 0, 0, time.UTC)

// record returns the n-th record of a series: one a minute, every third one
// outbound, every fifth one missed, alternating between 101 and 102.
func record(n int) pbx.CDR {
	ext := []string{"101", "102"}[n%2]
	c := pbx.CDR{
		ID:          pbx.CallID(fmt.Sprintf("call-%04d", n)),
		Direction:   pbx.Inbound,
		From:        pbx.Party{Number: fmt.Sprintf("010-1234-%04d", n), Name: "홍길동", Trunk: "kt"},
		To:          pbx.Party{Number: ext, Extension: ext},
		Dialled:     "025550101",
		Started:     base.Add(time.Duration(n) * time.Minute),
		Ended:       base.Add(time.Duration(n)*time.Minute + 30*time.Second),
		Disposition: pbx.Answered,
		Cause:       pbx.Cause{SIP: 200, Q850: 16, Text: "normal clearing"},
		Offered:     []string{ext, "103"},
		Legs: []pbx.Leg{{
			ID: "a", Role: pbx.RoleCaller, State: pbx.LegEnded, Created: base,
			Quality: pbx.Quality{PacketsIn: 1500, LostIn: 3, JitterIn: 2 * time.Millisecond, Codec: "PCMA"},
		}},
	}
	if n%3 == 0 {
		c.Direction = pbx.Outbound
	}
	if n%5 == 0 {
		c.Disposition = pbx.Missed
	} else {
		c.Answered = c.Started.Add(5 * time.Second)
	}
	return c
}

func fill(t *testing.T, db *DB, n int) {
	t.Helper()
	for i := range n {
		must(t, db.Add(t.Context(), record(i)))
	}
}

func recordRoundTrip(t *testing.T, db *DB) {
	want := record(7)
	want.Recording = pbx.Recording{File: "2026/11/call-0007.wav", Started: want.Answered, Duration: 25 * time.Second, Missing: time.Second}
	want.Legs[0].Quality.MOSIn, want.Legs[0].Quality.MOSOut = 4.39, 4.41
	must(t, db.Add(t.Context(), want))
	got, err := db.Get(t.Context(), want.ID)
	must(t, err)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

func addTwice(t *testing.T, db *DB) {
	must(t, db.Add(t.Context(), record(1)))
	changed := record(1)
	changed.Dialled = "999"
	must(t, db.Add(t.Context(), changed))
	page, err := db.Query(t.Context(), pbx.CDRQuery{})
	must(t, err)
	if len(page.Records) != 1 || page.Records[0].Dialled != record(1).Dialled {
		t.Errorf("records = %+v, want the first one alone", page.Records)
	}
}

func unknownRecord(t *testing.T, db *DB) {
	if _, err := db.Get(t.Context(), "no-such-call"); !errors.Is(err, pbx.ErrGone) {
		t.Errorf("error = %v, want ErrGone", err)
	}
}

func filters(t *testing.T, db *DB) {
	fill(t, db, 30)
	for _, tc := range []struct {
		name string
		q    pbx.CDRQuery
		keep func(pbx.CDR) bool
	}{
		{"all", pbx.CDRQuery{}, func(pbx.CDR) bool { return true }},
		{"from", pbx.CDRQuery{From: base.Add(10 * time.Minute)}, func(c pbx.CDR) bool { return !c.Started.Before(base.Add(10 * time.Minute)) }},
		{"to", pbx.CDRQuery{To: base.Add(10 * time.Minute)}, func(c pbx.CDR) bool { return c.Started.Before(base.Add(10 * time.Minute)) }},
		{"direction", pbx.CDRQuery{Direction: pbx.Outbound}, func(c pbx.CDR) bool { return c.Direction == pbx.Outbound }},
		{"disposition", pbx.CDRQuery{Disposition: pbx.Missed}, func(c pbx.CDR) bool { return c.Disposition == pbx.Missed }},
		{"called extension", pbx.CDRQuery{Extension: "102"}, func(c pbx.CDR) bool { return c.To.Extension == "102" }},
		{"offered extension", pbx.CDRQuery{Extension: "103"}, func(pbx.CDR) bool { return true }},
		{"foreign extension", pbx.CDRQuery{Extension: "999"}, func(pbx.CDR) bool { return false }},
		{"number with hyphens", pbx.CDRQuery{Number: "1234-0012"}, func(c pbx.CDR) bool { return c.ID == "call-0012" }},
		{"together", pbx.CDRQuery{Extension: "101", Direction: pbx.Outbound, Disposition: pbx.Missed}, func(c pbx.CDR) bool {
			return c.To.Extension == "101" && c.Direction == pbx.Outbound && c.Disposition == pbx.Missed
		}},
	} {
		page, err := db.Query(t.Context(), tc.q)
		must(t, err)
		var want []pbx.CallID
		for i := 29; i >= 0; i-- {
			if tc.keep(record(i)) {
				want = append(want, record(i).ID)
			}
		}
		if diff := cmp.Diff(want, ids(page.Records)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", tc.name, diff)
		}
	}
}

func pages(t *testing.T, db *DB) {
	fill(t, db, 10)
	// Two calls of the same microsecond must not be lost between two pages.
	twin := record(5)
	twin.ID = "call-0005b"
	must(t, db.Add(t.Context(), twin))
	var got []pbx.CallID
	for q := (pbx.CDRQuery{Limit: 3}); ; {
		page, err := db.Query(t.Context(), q)
		must(t, err)
		got = append(got, ids(page.Records)...)
		if page.Next == "" {
			break
		}
		q.Cursor = page.Next
	}
	whole, err := db.Query(t.Context(), pbx.CDRQuery{})
	must(t, err)
	if diff := cmp.Diff(ids(whole.Records), got); diff != "" || len(got) != 11 {
		t.Errorf("%d records (-whole +pages):\n%s", len(got), diff)
	}
}

func hostileFilters(t *testing.T, db *DB) {
	fill(t, db, 3)
	for _, q := range []pbx.CDRQuery{
		{Extension: `101' OR '1'='1`}, {Direction: `x' OR 1=1 --`}, {Disposition: `"; DROP TABLE cdrs; --`},
	} {
		page, err := db.Query(t.Context(), q)
		if err != nil || len(page.Records) != 0 {
			t.Errorf("%+v: %d records, %v; want none", q, len(page.Records), err)
		}
	}
	if page, err := db.Query(t.Context(), pbx.CDRQuery{}); err != nil || len(page.Records) != 3 {
		t.Errorf("after the attacks: %d records, %v; want 3", len(page.Records), err)
	}
}

func wrongQueries(t *testing.T, db *DB) {
	for want, q := range map[string]pbx.CDRQuery{
		"limit 1001":      {Limit: 1001},
		"limit -1":        {Limit: -1},
		"cursor":          {Cursor: "%%%"},
		"number \"abc%\"": {Number: "abc%"},
	} {
		if _, err := db.Query(t.Context(), q); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%+v: error %v, want one that names %s", q, err, want)
		}
	}
}

func contact(extension, id string, life time.Duration) pbx.Contact {
	return pbx.Contact{
		ID: id, Extension: extension, URI: "sip:" + extension + "@192.0.2.7:5060", Transport: "UDP",
		CallID: "reg-" + id, CSeq: 2, Q: 0.5, Path: []string{"<sip:edge.example;lr>"}, Expires: base.Add(life),
	}
}

func replaceContacts(t *testing.T, db *DB) {
	must(t, db.Save(t.Context(), "101", []pbx.Contact{contact("101", "a", time.Hour), contact("101", "b", time.Hour)}))
	must(t, db.Save(t.Context(), "102", []pbx.Contact{contact("102", "a", time.Hour)}))
	must(t, db.SaveAll(t.Context(), map[string][]pbx.Contact{"101": {contact("101", "c", time.Hour)}, "102": nil}))
	got, err := db.Load(t.Context(), base)
	must(t, err)
	if diff := cmp.Diff([]pbx.Contact{contact("101", "c", time.Hour)}, got, cmp.Comparer(func(a, b netip.AddrPort) bool { return a == b })); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

func expiredContacts(t *testing.T, db *DB) {
	must(t, db.Save(t.Context(), "101", []pbx.Contact{contact("101", "old", time.Minute), contact("101", "new", time.Hour)}))
	got, err := db.Load(t.Context(), base.Add(time.Minute))
	must(t, err)
	if len(got) != 1 || got[0].ID != "new" {
		t.Errorf("loaded %+v, want the unexpired one", got)
	}
}

func manyWriters(t *testing.T, db *DB) {
	const writers, each = 8, 25
	var wg sync.WaitGroup
	errs := make(chan error, writers*each*2)
	for w := range writers {
		wg.Go(func() {
			for i := range each {
				errs <- db.Add(t.Context(), record(w*each+i))
				ext := fmt.Sprint(200 + w)
				errs <- db.Save(t.Context(), ext, []pbx.Contact{contact(ext, "a", time.Hour)})
			}
		})
	}
	wg.Wait()
	close(errs)
	for err := range errs {
		must(t, err)
	}
	page, err := db.Query(t.Context(), pbx.CDRQuery{Limit: 1000})
	must(t, err)
	contacts, err := db.Load(t.Context(), base)
	must(t, err)
	if len(page.Records) != writers*each || len(contacts) != writers {
		t.Errorf("%d records and %d bindings, want %d and %d", len(page.Records), len(contacts), writers*each, writers)
	}
}

// manyRows writes more than one statement takes, part of it a second time.
func manyRows(t *testing.T, db *DB) {
	const n = 2*rowsAtOnce + 50
	var list []pbx.CDR
	bindings := make(map[string][]pbx.Contact)
	for i := range n {
		list = append(list, record(i))
		ext := fmt.Sprint(1000 + i)
		bindings[ext] = []pbx.Contact{contact(ext, "a", time.Hour), contact(ext, "b", time.Hour)}
	}
	must(t, db.AddAll(t.Context(), list[:10]))
	must(t, db.AddAll(t.Context(), list))
	must(t, db.AddAll(t.Context(), nil))
	for range 2 {
		must(t, db.SaveAll(t.Context(), bindings))
	}
	must(t, db.SaveAll(t.Context(), nil))
	page, err := db.Query(t.Context(), pbx.CDRQuery{Limit: 1000, Extension: "103"})
	must(t, err)
	contacts, err := db.Load(t.Context(), base)
	must(t, err)
	if len(page.Records) != n || len(contacts) != 2*n {
		t.Errorf("%d records and %d bindings, want %d and %d", len(page.Records), len(contacts), n, 2*n)
	}
}

func cancelled(t *testing.T, db *DB) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := db.Add(ctx, record(1)); !errors.Is(err, context.Canceled) {
		t.Errorf("Add = %v, want context.Canceled", err)
	}
	if _, err := db.Get(t.Context(), record(1).ID); !errors.Is(err, pbx.ErrGone) {
		t.Errorf("Get = %v, want ErrGone", err)
	}
}

func ids(records []pbx.CDR) (list []pbx.CallID) {
	for _, r := range records {
		list = append(list, r.ID)
	}
	return list
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
