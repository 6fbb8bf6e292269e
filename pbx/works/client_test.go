package works

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"testing"
	"testing/synctest"
	"time"
)

// A read may be repeated: it is, when the service is busy or silent.
func TestReadsAreRepeated(t *testing.T) {
	user := func(*http.Request) (*http.Response, error) { return answer(200, map[string]string{"userId": "u"}), nil }
	for _, test := range []struct {
		name    string
		answers []func(*http.Request) (*http.Response, error)
		asked   int
		waited  time.Duration
		success bool
	}{
		{"at once", nil, 1, 0, true},
		{"429", []func(*http.Request) (*http.Response, error){status(429, "rateLimit-reset", "30")}, 2, 30 * time.Second, true},
		{"500 twice", []func(*http.Request) (*http.Response, error){status(500), status(500)}, 3, 3 * time.Second, true},
		{"silence", []func(*http.Request) (*http.Response, error){hang}, 2, 11 * time.Second, true},
		{"500 for ever", []func(*http.Request) (*http.Response, error){status(500), status(500), status(500), status(500), status(500)}, 4, 7 * time.Second, false},
		{"404", []func(*http.Request) (*http.Response, error){status(404)}, 1, 0, false},
		{"403", []func(*http.Request) (*http.Response, error){status(403)}, 1, 0, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			testKey()
			synctest.Test(t, func(t *testing.T) {
				asked := 0
				c := newClient(t, &service{api: func(r *http.Request) (*http.Response, error) {
					asked++
					if asked <= len(test.answers) {
						return test.answers[asked-1](r)
					}
					return user(r)
				}})
				begin := time.Now()
				u, err := c.User(t.Context(), "u")
				if (err == nil) != test.success || asked != test.asked || time.Since(begin) != test.waited {
					t.Errorf("%+v, %v after %d requests in %v, want %d in %v", u, err, asked, time.Since(begin), test.asked, test.waited)
				}
			})
		})
	}
}

func TestWaitingToRepeatEndsWithTheContext(t *testing.T) {
	testKey()
	synctest.Test(t, func(t *testing.T) {
		c := newClient(t, &service{api: status(429, "rateLimit-reset", "60")})
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		defer cancel()
		begin := time.Now()
		_, err := c.User(ctx, "u")
		var api *APIError
		if !errors.Is(err, context.DeadlineExceeded) || !errors.As(err, &api) || time.Since(begin) != 5*time.Second {
			t.Errorf("%v after %v, want the deadline and the 429 after 5 s", err, time.Since(begin))
		}
	})
}

// A list whose cursor never ends must not be read for ever.
func TestEndlessListsEnd(t *testing.T) {
	n := 0
	c := newClient(t, &service{api: func(*http.Request) (*http.Response, error) {
		n++
		return answer(200, map[string]any{"users": []any{}, "responseMetaData": map[string]string{"nextCursor": "same"}}), nil
	}})
	for _, err := range c.Users(t.Context()) {
		if err != nil {
			t.Fatal(err)
		}
	}
	if n != 2 {
		t.Errorf("a cursor that repeats was followed %d times, want 2", n)
	}
	n = 0
	c = newClient(t, &service{api: func(*http.Request) (*http.Response, error) {
		n++
		return answer(200, map[string]any{"users": []any{}, "responseMetaData": map[string]string{"nextCursor": fmt.Sprint(n)}}), nil
	}})
	var last error
	for _, err := range c.Users(t.Context()) {
		last = err
	}
	if last == nil || n != maxPages {
		t.Errorf("an endless list: %v after %d pages", last, n)
	}
}

func TestStorageHosts(t *testing.T) {
	c := newClient(t, &service{api: ok201}, func(cfg *Config, _ *Options) {
		cfg.StorageHosts = []string{".storage.example", "files.other.example"}
	})
	for raw, want := range map[string]bool{
		"https://apis-storage.worksmobile.com/k/x?token=1": true,
		"https://storage.worksmobile.com/x":                true,
		"https://STORAGE.worksmobile.COM/x":                true,
		"https://a.storage.example/x":                      true,
		"https://storage.example/x":                        true,
		"https://files.other.example/x":                    true,
		"https://api.example/storage/x":                    true, // the API's own origin
		"http://storage.worksmobile.com/x":                 false,
		"https://worksmobile.com.evil.example/x":           false,
		"https://evilworksmobile.com/x":                    false,
		"https://user@storage.worksmobile.com/x":           false,
		"https://storage.worksmobile.com@evil.example/x":   false,
		"https://127.0.0.1/x":                              false,
		"http://api.example/x":                             false,
		"https://api.example:8443/x":                       false,
		"//storage.worksmobile.com/x":                      false,
		"":                                                 false,
		"%zz":                                              false,
	} {
		if err := c.checkStorage(raw); (err == nil) != want {
			t.Errorf("%q: %v, want accepted = %t", raw, err, want)
		}
	}
}

func TestQueueRenewsTheTokenAhead(t *testing.T) {
	testKey()
	synctest.Test(t, func(t *testing.T) {
		begin := time.Now()
		var at []time.Duration
		s := &service{api: ok201}
		s.auth = func(*http.Request) (*http.Response, error) {
			at = append(at, time.Since(begin))
			if len(at) == 2 {
				return nil, errors.New("connection refused")
			}
			return answer(200, map[string]any{"access_token": "a", "expires_in": "3600"}), nil
		}
		q := NewQueue(newClient(t, s), QueueOptions{})
		defer q.Close()
		<-time.After(2 * time.Hour)
		synctest.Wait()
		// Good for 55 minutes, renewed a minute before; the failure is tried
		// again after a minute.
		want := []time.Duration{0, 54 * time.Minute, 55 * time.Minute, 109 * time.Minute}
		if !slices.Equal(at, want) {
			t.Errorf("tokens were asked for at %v, want %v", at, want)
		}
	})
}

func TestObserverIsToldOfEveryExchange(t *testing.T) {
	var got []string
	c := newClient(t, &service{api: status(403)}, func(_ *Config, o *Options) {
		o.Observe = func(operation string, status int, _ time.Duration) {
			got = append(got, fmt.Sprint(operation, " ", status))
		}
	})
	err := c.SendMessage(t.Context(), "u", Text{Plain("x")})
	if want := []string{"token 200", "bot.message.user 403"}; err == nil || !slices.Equal(got, want) {
		t.Errorf("observed %q, %v, want %q", got, err, want)
	}
}
