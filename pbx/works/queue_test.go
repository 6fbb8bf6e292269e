package works

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// sentText reads the text of a bot message.
func sentText(t *testing.T, r *http.Request) string {
	t.Helper()
	var b struct {
		Content struct {
			Text string `json:"text"`
		} `json:"content"`
	}
	data, err := io.ReadAll(r.Body)
	if err == nil {
		err = json.Unmarshal(data, &b)
	}
	if err != nil {
		t.Error(err)
	}
	return b.Content.Text
}

// script answers the bot's messages one after the other and notes them.
type script struct {
	t       *testing.T
	mu      sync.Mutex
	texts   []string
	times   []time.Time
	answers []func(*http.Request) (*http.Response, error) // the last one again and again
}

func (s *script) answer(r *http.Request) (*http.Response, error) {
	text := sentText(s.t, r)
	s.mu.Lock()
	s.texts, s.times = append(s.texts, text), append(s.times, time.Now())
	a := ok201
	if n := len(s.answers); n > 0 {
		a = s.answers[min(len(s.texts), n)-1]
	}
	s.mu.Unlock()
	return a(r)
}

func (s *script) sent() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.texts)
}

func status(code int, headers ...string) func(*http.Request) (*http.Response, error) {
	return func(r *http.Request) (*http.Response, error) {
		wrote(r)
		return answer(code, map[string]string{"code": "X"}, headers...), nil
	}
}

func hang(r *http.Request) (*http.Response, error) {
	wrote(r)
	<-r.Context().Done()
	return nil, r.Context().Err()
}

// inBubble runs a test of a queue under a simulated clock.
func inBubble(t *testing.T, o QueueOptions, answers []func(*http.Request) (*http.Response, error), run func(*testing.T, *Queue, *script)) {
	t.Helper()
	testKey()
	synctest.Test(t, func(t *testing.T) {
		sc := &script{t: t, answers: answers}
		q := NewQueue(newClient(t, &service{api: sc.answer}), o)
		defer q.Close()
		run(t, q, sc)
	})
}

type result struct {
	text string
	err  error
}

// outcomes collects what became of messages.
type outcomes struct {
	mu   sync.Mutex
	list []result
}

func (o *outcomes) message(text string, since time.Time) Message {
	return Message{To: "u", Content: Text{Plain(text)}, Since: since, Done: func(err error) {
		o.mu.Lock()
		defer o.mu.Unlock()
		o.list = append(o.list, result{text, err})
	}}
}

func (o *outcomes) of(text string) []error {
	o.mu.Lock()
	defer o.mu.Unlock()
	var errs []error
	for _, r := range o.list {
		if r.text == text {
			errs = append(errs, r.err)
		}
	}
	return errs
}

func TestQueueSendsTheNewestCallFirst(t *testing.T) {
	testKey()
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		first := func(*http.Request) (*http.Response, error) {
			<-release
			return answer(201, nil), nil
		}
		sc := &script{t: t, answers: []func(*http.Request) (*http.Response, error){first, ok201}}
		q := NewQueue(newClient(t, &service{api: sc.answer}), QueueOptions{Workers: 1})
		defer q.Close()
		now := time.Now()
		var o outcomes
		q.Send(o.message("busy", now))
		synctest.Wait()
		for i, text := range []string{"old card", "new card", "middle card"} {
			q.Send(o.message(text, now.Add(time.Duration([]int{1, 3, 2}[i])*time.Second)))
		}
		q.Send(o.message("new answer", now.Add(3*time.Second)))
		close(release)
		if err := q.Drain(t.Context()); err != nil {
			t.Fatal(err)
		}
		want := []string{"busy", "new card", "new answer", "middle card", "old card"}
		if got := sc.sent(); !slices.Equal(got, want) {
			t.Errorf("sent %q, want %q", got, want)
		}
		if s := q.Stats(); s.Sent != 5 || s.Failed+s.Full+s.Stale != 0 {
			t.Errorf("stats %+v", s)
		}
	})
}

func TestQueueIsBoundedAndSendNeverBlocks(t *testing.T) {
	var dropped atomic.Int64
	o := QueueOptions{Workers: 2, Limit: 10, Dropped: func(err error) {
		if errors.Is(err, ErrFull) {
			dropped.Add(1)
		}
	}}
	inBubble(t, o, []func(*http.Request) (*http.Response, error){hang}, func(t *testing.T, q *Queue, sc *script) {
		begin := time.Now()
		var out outcomes
		for i := range 1000 {
			q.Send(out.message(fmt.Sprint("m", i), begin.Add(time.Duration(i)*time.Millisecond)))
		}
		if d := time.Since(begin); d != 0 {
			t.Errorf("1000 messages took %v of waiting while the service hangs", d)
		}
		synctest.Wait()
		if s := q.Stats(); s.Waiting > 10 || s.Sending > 2 || int(s.Full)+s.Waiting+s.Sending != 1000 {
			t.Errorf("stats %+v: want at most 10 waiting, 2 in sending, the rest dropped", s)
		}
		if n := uint64(dropped.Load()); n != q.Stats().Full {
			t.Errorf("%d drops were told, %d counted", n, q.Stats().Full)
		}
		if got := out.of("m999"); len(got) != 0 {
			t.Errorf("the newest message was given up: %v", got)
		}
	})
}

// What comes back from the service to be sent again counts, too.
func TestQueueIsBoundedWhenMessagesComeBack(t *testing.T) {
	testKey()
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		s := &service{api: func(*http.Request) (*http.Response, error) {
			<-release
			return answer(429, nil, "rateLimit-reset", "60"), nil
		}}
		q := NewQueue(newClient(t, s), QueueOptions{Workers: 4, Limit: 10})
		defer q.Close()
		var out outcomes
		begin := time.Now()
		for i := range 14 {
			q.Send(out.message(fmt.Sprint("m", i), begin.Add(time.Duration(i)*time.Second)))
			synctest.Wait()
		}
		if s := q.Stats(); s.Waiting != 10 || s.Sending != 4 || s.Full != 0 {
			t.Fatalf("stats %+v, want 10 waiting and 4 in sending", s)
		}
		close(release)
		synctest.Wait()
		if s := q.Stats(); s.Waiting != 10 || s.Sending != 0 || s.Full != 4 {
			t.Errorf("stats %+v, want 10 waiting and 4 given up", s)
		}
		for _, text := range []string{"m0", "m1", "m2", "m3"} {
			if got := out.of(text); len(got) != 1 || !errors.Is(got[0], ErrFull) {
				t.Errorf("%s, of the oldest: told %v, want ErrFull", text, got)
			}
		}
	})
}

func TestQueueDoesNotSendAgainWhatMayHaveArrived(t *testing.T) {
	for _, test := range []struct {
		name    string
		answer  func(*http.Request) (*http.Response, error)
		sends   int
		success bool
	}{
		{"time-out after sending", hang, 1, false},
		{"500", status(500), 1, false},
		{"502", status(502), 1, false},
		{"400", status(400), 1, false},
		{"403", status(403), 1, false},
		{"404", status(404), 1, false},
		{"503", status(503), 2, true},
		{"429", status(429, "rateLimit-reset", "7"), 2, true},
		{"no connection", func(*http.Request) (*http.Response, error) { return nil, errors.New("connection refused") }, 2, true},
		{"connection lost after sending", func(r *http.Request) (*http.Response, error) {
			wrote(r)
			return nil, errors.New("connection reset by peer")
		}, 1, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			answers := []func(*http.Request) (*http.Response, error){test.answer, ok201}
			inBubble(t, QueueOptions{}, answers, func(t *testing.T, q *Queue, sc *script) {
				var out outcomes
				q.Send(out.message("m", time.Now()))
				if err := q.Drain(t.Context()); err != nil {
					t.Fatal(err)
				}
				if n := len(sc.sent()); n != test.sends {
					t.Errorf("sent %d times, want %d", n, test.sends)
				}
				got := out.of("m")
				if len(got) != 1 || (got[0] == nil) != test.success {
					t.Errorf("told %v, want success %t, once", got, test.success)
				}
			})
		})
	}
}

func TestQueueWaitsAsTheRateLimitSays(t *testing.T) {
	for _, test := range []struct {
		name    string
		headers []string
		want    time.Duration
	}{
		{"documented header", []string{"rateLimit-reset", "37"}, 37 * time.Second},
		{"other case", []string{"RATELIMIT-RESET", "12"}, 12 * time.Second},
		{"x header", []string{"X-RateLimit-Reset", "9"}, 9 * time.Second},
		{"retry after", []string{"Retry-After", "5"}, 5 * time.Second},
		{"absurd", []string{"rateLimit-reset", "99999999"}, 2 * time.Minute},
		{"none: 2^n", nil, time.Second},
		{"nonsense", []string{"rateLimit-reset", "soon"}, time.Second},
	} {
		t.Run(test.name, func(t *testing.T) {
			answers := []func(*http.Request) (*http.Response, error){status(429, test.headers...), ok201}
			inBubble(t, QueueOptions{Workers: 1}, answers, func(t *testing.T, q *Queue, sc *script) {
				var out outcomes
				begin := time.Now()
				q.Send(out.message("old", begin))
				synctest.Wait()
				q.Send(out.message("new", begin.Add(time.Second))) // comes during the pause
				if err := q.Drain(t.Context()); err != nil {
					t.Fatal(err)
				}
				if want := []string{"old", "new", "old"}; !slices.Equal(sc.sent(), want) {
					t.Errorf("sent %q, want %q", sc.sent(), want)
				}
				if d := sc.times[1].Sub(begin); d != test.want {
					t.Errorf("waited %v, want %v", d, test.want)
				}
			})
		})
	}
}

func TestQueueBacksOffFurtherEachTime(t *testing.T) {
	answers := []func(*http.Request) (*http.Response, error){status(429), status(429), status(429), status(429), ok201}
	inBubble(t, QueueOptions{}, answers, func(t *testing.T, q *Queue, sc *script) {
		q.Send(Message{To: "u", Content: Text{Plain("m")}})
		if err := q.Drain(t.Context()); err != nil {
			t.Fatal(err)
		}
		want := []time.Duration{time.Second, 2 * time.Second, 4 * time.Second, 8 * time.Second}
		for i, w := range want {
			if d := sc.times[i+1].Sub(sc.times[i]); d != w {
				t.Errorf("pause %d is %v, want %v", i+1, d, w)
			}
		}
	})
}

func TestQueueGivesUpStaleMessages(t *testing.T) {
	answers := []func(*http.Request) (*http.Response, error){status(429, "rateLimit-reset", "60"), ok201}
	inBubble(t, QueueOptions{Workers: 1}, answers, func(t *testing.T, q *Queue, sc *script) {
		var out outcomes
		q.Send(out.message("first", time.Now()))
		synctest.Wait()
		card := out.message("card", time.Now().Add(time.Second))
		card.Deadline = time.Now().Add(30 * time.Second)
		q.Send(card)
		begin := time.Now()
		<-time.After(31 * time.Second)
		synctest.Wait()
		if got := out.of("card"); len(got) != 1 || !errors.Is(got[0], ErrStale) {
			t.Errorf("%v after %v, want ErrStale", got, time.Since(begin))
		}
		if err := q.Drain(t.Context()); err != nil {
			t.Fatal(err)
		}
		if s := q.Stats(); s.Stale != 1 || s.Sent != 1 {
			t.Errorf("stats %+v, want one stale and one sent", s)
		}
	})
}

func TestQueueTriesAreLimited(t *testing.T) {
	inBubble(t, QueueOptions{Tries: 3}, []func(*http.Request) (*http.Response, error){status(503)}, func(t *testing.T, q *Queue, sc *script) {
		var out outcomes
		q.Send(out.message("m", time.Now()))
		if err := q.Drain(t.Context()); err != nil {
			t.Fatal(err)
		}
		if n := len(sc.sent()); n != 3 {
			t.Errorf("sent %d times, want 3", n)
		}
		var api *APIError
		if got := out.of("m"); len(got) != 1 || !errors.As(got[0], &api) || api.Status != 503 {
			t.Errorf("told %v, want the 503", got)
		}
	})
}

func TestQueueRefusesWhatTheServiceWould(t *testing.T) {
	inBubble(t, QueueOptions{}, nil, func(t *testing.T, q *Queue, sc *script) {
		for _, m := range []Message{
			{Content: Text{Plain("x")}}, {To: "u"}, {To: "u", Content: Text{}}, {To: "u", Content: Buttons{Words: Plain("x")}},
		} {
			var got error
			m.Done = func(err error) { got = err }
			q.Send(m)
			if got == nil {
				t.Errorf("%+v was taken", m)
			}
		}
		if len(sc.sent()) != 0 {
			t.Errorf("sent %q", sc.sent())
		}
	})
}

func TestQueueCloseTellsEverybody(t *testing.T) {
	testKey()
	synctest.Test(t, func(t *testing.T) {
		sc := &script{t: t, answers: []func(*http.Request) (*http.Response, error){hang}}
		q := NewQueue(newClient(t, &service{api: sc.answer}), QueueOptions{Workers: 1})
		var out outcomes
		q.Send(out.message("sending", time.Now()))
		synctest.Wait()
		q.Send(out.message("waiting", time.Now().Add(-time.Minute)))
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := q.Drain(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("Drain: %v, want the deadline", err)
		}
		begin := time.Now()
		q.Close()
		q.Send(out.message("late", time.Now()))
		if time.Since(begin) != 0 {
			t.Errorf("Close took %v", time.Since(begin))
		}
		for text, want := range map[string]error{"waiting": ErrClosed, "late": ErrClosed, "sending": context.Canceled} {
			if got := out.of(text); len(got) != 1 || !errors.Is(got[0], want) {
				t.Errorf("%s: told %v, want %v once", text, got, want)
			}
		}
	})
}
