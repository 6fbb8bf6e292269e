package rings

import (
	"context"
	"log/slog"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/emiago/sipgo/sip"
	"go.uber.org/goleak"

	"github.com/dipcast/dipcast/pbx/journal"
	"github.com/dipcast/dipcast/pbx/pbxtest/memjournal"
	"github.com/dipcast/dipcast/pbx/sipua/dialog"
	"github.com/dipcast/dipcast/pbx/sipua/edge"
	"github.com/dipcast/dipcast/pbx/sipua/legs/vault"
	"github.com/dipcast/dipcast/pbx/sipua/txn"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const invite = "INVITE sip:102@192.0.2.2:5062 SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.1:5060;branch=z9hG4bKbefore;rport\r\n" +
	"From: \"101\" <sip:101@acme.example>;tag=ours\r\nTo: <sip:102@192.0.2.2:5062>\r\nCall-ID: rings\r\nCSeq: 7 INVITE\r\n" +
	"Max-Forwards: 70\r\nContact: <sip:192.0.2.1:5060>\r\nContent-Length: 0\r\n\r\n"

var (
	phone  = edge.Hop{Transport: "UDP", Addr: netip.MustParseAddrPort("192.0.2.2:5062")}
	caller = edge.Identity{Extension: "101", Source: netip.MustParseAddrPort("192.0.2.3:5060"), Transport: "UDP"}
)

func ours() edge.Unanswered {
	return edge.Unanswered{Text: func() string { return invite }, To: phone}
}

func theirs(callID string) edge.Unanswered {
	return edge.Unanswered{Text: func() string { return strings.ReplaceAll(invite, "Call-ID: rings", "Call-ID: "+callID) }, From: caller}
}

func quietLog() *slog.Logger { return slog.New(slog.DiscardHandler) }

// life runs a book until the function that it returns is called.
func life(store journal.Store) (b *Book, end func()) {
	b = New(store, quietLog(), time.Now)
	ctx, stop := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	wg.Go(func() { b.Run(ctx) })
	return b, func() {
		stop()
		b.Close()
		wg.Wait()
	}
}

func TestOnlyWhatRingsForAWhileIsWritten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := &memjournal.Journal{}
		b, end := life(store)
		defer end()
		b.Rings(ours())()
		<-time.After(3 * settles)
		if store.Writes() != 0 {
			t.Error("an INVITE that was answered at once was written")
		}
		answered, gaveUp := b.Rings(ours()), b.Rings(theirs("a"))
		<-time.After(3 * settles)
		synctest.Wait()
		if store.Len() != 2 {
			t.Fatalf("%d records of what rings, want 2", store.Len())
		}
		answered()
		answered()
		gaveUp()
		synctest.Wait()
		if store.Len() != 0 {
			t.Errorf("%d records of what rings no more", store.Len())
		}
	})
}

func TestNothingIsKeptWithoutAJournal(t *testing.T) {
	b, end := life(nil)
	defer end()
	b.Rings(ours())()
	b.Callers(func(string, edge.Identity) error {
		t.Error("somebody has called")
		return nil
	})
	w := &wire{}
	<-b.Cancel(w)
	if len(w.sent) > 0 {
		t.Errorf("sent %v", w.sent)
	}
}

// wire is a Sender that keeps what was sent.
type wire struct {
	mu   sync.Mutex
	tell txn.Tell
	sent []string
}

type transaction struct{}

func (transaction) Terminate() {}

func (w *wire) add(what string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.sent = append(w.sent, what)
}

func (w *wire) TakeUp(_ context.Context, _ *sip.Request, _ edge.Hop, tell txn.Tell) (edge.Transaction, error) {
	w.tell = tell
	return transaction{}, nil
}

func (w *wire) Cancel(invite *sip.Request, to edge.Hop, reason string) error {
	w.add("CANCEL " + to.Addr.String() + " " + invite.Via().Params.GetOr("branch", "") + " " + reason)
	return nil
}

func (w *wire) Send(req *sip.Request, _ edge.Hop) error {
	w.add(line(req))
	return nil
}

func (w *wire) Transact(_ context.Context, req *sip.Request, _ edge.Hop, _ txn.Tell) (edge.Transaction, error) {
	w.add(line(req))
	return transaction{}, nil
}

func (w *wire) Contact(edge.Hop) sip.Uri {
	return sip.Uri{Scheme: "sip", Host: "192.0.2.1", Port: 5060}
}

func line(req *sip.Request) string {
	return strings.Join([]string{
		string(req.Method), req.Recipient.String(), req.CallID().Value(), req.CSeq().Value(),
		req.From().Params.GetOr("tag", ""), req.To().Params.GetOr("tag", ""),
	}, " ")
}

func response(t *testing.T, status int, tag string) *sip.Response {
	t.Helper()
	req, err := parse(invite)
	if err != nil {
		t.Fatal(err)
	}
	res := sip.NewResponseFromRequest(req, status, "", nil)
	res.To().Params.Add("tag", tag)
	res.AppendHeader(&sip.ContactHeader{Address: sip.Uri{Scheme: "sip", User: "102", Host: "192.0.2.9"}})
	return res
}

// left is a journal in which a process has left what rang.
func left(t *testing.T, all ...edge.Unanswered) *memjournal.Journal {
	t.Helper()
	store := &memjournal.Journal{}
	synctest.Test(t, func(*testing.T) {
		b, end := life(store)
		for _, i := range all {
			b.Rings(i)
		}
		<-time.After(3 * settles)
		end()
	})
	return store
}

// next is the book of the next process, which the fake clock of left is not for.
func next(store journal.Store) *Book {
	return New(store, quietLog(), func() time.Time { return time.Date(2000, 1, 1, 0, 0, 1, 0, time.UTC) })
}

func TestWhatRangIsTakenBack(t *testing.T) {
	const elsewhere = `CANCEL 192.0.2.2:5062 z9hG4bKbefore SIP;cause=200;text="Call completed elsewhere"`
	const ack, bye = "ACK sip:102@192.0.2.9 rings 7 ACK ours a", "BYE sip:102@192.0.2.9 rings 8 BYE ours a"
	for name, tc := range map[string]struct {
		responses []*sip.Response
		want      []string
	}{
		"it stops":                {[]*sip.Response{response(t, 180, "a"), response(t, 487, "a")}, []string{elsewhere}},
		"it was answered":         {[]*sip.Response{response(t, 200, "a"), nil}, []string{elsewhere, ack, bye}},
		"its answer comes again":  {[]*sip.Response{response(t, 200, "a"), response(t, 200, "a"), nil}, []string{elsewhere, ack, bye, ack}},
		"it says nothing of that": {[]*sip.Response{nil}, []string{elsewhere}},
	} {
		t.Run(name, func(t *testing.T) {
			store := left(t, ours())
			b, w := next(store), &wire{}
			defer b.Close()
			settled := b.Cancel(w)
			for _, res := range tc.responses {
				if res == nil {
					w.tell(nil, sip.ErrTransactionTerminated, false)
					continue
				}
				w.tell(res, nil, false)
			}
			<-settled
			if got, want := strings.Join(w.sent, "\n"), strings.Join(tc.want, "\n"); got != want {
				t.Errorf("sent\n%s\nwant\n%s", got, want)
			}
			if store.Len() != 0 {
				t.Errorf("%d records are left", store.Len())
			}
		})
	}
}

func TestCancellationsEndWithTheBook(t *testing.T) {
	b := next(left(t, ours()))
	settled := b.Cancel(&wire{})
	b.Close()
	<-settled
}

// Who was answered in the end is a leg; who has waited for too long is gone.
func TestCallersAreBegunAnewOnce(t *testing.T) {
	store := left(t, theirs("waits"), theirs("talks"))
	legs := journal.NewTable[vault.Record](store, vault.KindLeg)
	if _, err := legs.Put("leg", &vault.Record{ID: "leg", Dialog: dialog.Dialog{CallID: "talks"}}, 0); err != nil {
		t.Fatal(err)
	}
	old := New(store.Copy(), quietLog(), func() time.Time { return time.Date(2000, 1, 1, 0, 6, 0, 0, time.UTC) })
	old.Callers(func(string, edge.Identity) error {
		t.Error("a caller of six minutes ago is begun anew")
		return nil
	})
	b := next(store)
	for _, want := range []string{"waits", ""} {
		var got []string
		b.Callers(func(text string, from edge.Identity) error {
			if from != caller {
				t.Errorf("from %+v, want %+v", from, caller)
			}
			got = append(got, callID(text))
			return nil
		})
		if strings.Join(got, " ") != want {
			t.Errorf("begun anew: %v, want %q", got, want)
		}
	}
	if store.Len() != 1 { // the leg
		t.Errorf("%d records are left", store.Len())
	}
}

func TestADamagedRecordHarmsNobody(t *testing.T) {
	broken := ours()
	broken.Text = func() string { return "INVITE nothing" }
	b, w := next(left(t, broken)), &wire{}
	defer b.Close()
	<-b.Cancel(w)
	if len(w.sent) > 0 {
		t.Errorf("sent %v", w.sent)
	}
}
