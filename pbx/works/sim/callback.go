package sim

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"time"

	"github.com/dipcast/dipcast/pbx/works"
)

const (
	operationCallback = "callback"
	callbackTimeout   = 5 * time.Second
)

// ErrNoCallback is returned when the bot has no callback URL.
var ErrNoCallback = errors.New("the bot has no callback URL")

// callback completes an event, signs it and sends it: once, never again.
func (s *Server) callback(ctx context.Context, botID int64, who works.User, event map[string]any) error {
	event["source"] = map[string]any{"userId": who.UserID, "domainId": who.DomainID}
	event["issuedTime"] = s.cfg.Now().UTC().Format("2006-01-02T15:04:05.000Z")
	body, err := json.Marshal(event)
	if err != nil {
		return err
	}
	return s.Callback(ctx, botID, body)
}

// Callback signs a body with the bot's secret and sends it to its callback
// URL, with the faults that are set for "callback".
func (s *Server) Callback(ctx context.Context, botID int64, body []byte) error {
	s.count(operationCallback)
	s.mu.Lock()
	b, ok := s.bots[botID]
	if !ok {
		s.mu.Unlock()
		return fmt.Errorf("bot %d is not known", botID)
	}
	target, secret := b.CallbackURL, b.secret
	s.mu.Unlock()
	if target == "" {
		return ErrNoCallback
	}
	f, _ := s.nextFault(operationCallback)
	if f.Lose {
		return nil
	}
	times := 1
	if f.Duplicate {
		times = 2
	}
	if f.Delay > 0 {
		s.later(time.Duration(f.Delay), func(ctx context.Context) {
			if err := s.deliver(ctx, target, botID, secret, body, times); err != nil {
				s.cfg.Logger.Warn("late callback failed", "bot", botID, "error", err)
			}
		})
		return nil
	}
	return s.deliver(ctx, target, botID, secret, body, times)
}

// later runs f after d, unless the simulator is closed before.
func (s *Server) later(d time.Duration, f func(context.Context)) {
	s.wg.Go(func() {
		timer := time.NewTimer(d)
		defer timer.Stop()
		select {
		case <-timer.C:
			f(s.ctx)
		case <-s.ctx.Done():
		}
	})
}

func (s *Server) deliver(ctx context.Context, target string, botID int64, secret string, body []byte, times int) error {
	var errs []error
	for range times {
		errs = append(errs, s.deliverOnce(ctx, target, botID, works.Sign(secret, body), body))
	}
	return errors.Join(errs...)
}

func (s *Server) deliverOnce(ctx context.Context, target string, botID int64, signature string, body []byte) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, target, bytes.NewReader(body))
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/json; charset=UTF-8")
	req.Header.Set(works.HeaderBotID, strconv.FormatInt(botID, 10))
	req.Header.Set(works.HeaderSignature, signature)
	resp, err := s.out.Do(req)
	if err != nil {
		return fmt.Errorf("callback of bot %d: %w", botID, err)
	}
	defer func() { _ = resp.Body.Close() }()
	_, _ = io.Copy(io.Discard, io.LimitReader(resp.Body, 1<<16)) // so that the connection can be used again
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("callback of bot %d: HTTP %d, want 200", botID, resp.StatusCode)
	}
	return nil
}
