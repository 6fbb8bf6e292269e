package server

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/dipcast/dipcast/pbx/conf"
	"github.com/dipcast/dipcast/pbx/works"
	"github.com/dipcast/dipcast/pbx/works/botsetup"
)

const (
	// directoryEvery is the pause between two reads of the directory: the
	// service has no feed of changes.
	directoryEvery = time.Hour
	// directoryRetry is the pause after a read that failed.
	directoryRetry = time.Minute
	// lastMessages bounds how long the last messages may take at the end.
	lastMessages = 5 * time.Second
)

var errNoBot = errors.New("no bot is configured")

// worksLink is the tenant's line to NAVER WORKS. Its session is replaced when
// the bot's settings or credentials change; messages of an old session are
// still sent by it. It implements bot.Messenger.
type worksLink struct {
	log     *slog.Logger
	observe func(operation string, status int, d time.Duration)
	dropped func(error)

	current atomic.Pointer[worksSession]
	mu      sync.Mutex // Apply and Close
	wg      sync.WaitGroup
}

// worksSession is one client with its queue and what it read of the directory.
type worksSession struct {
	settings settings
	client   *works.Client
	queue    *works.Queue
	names    atomic.Pointer[works.NameIndex]
	stop     context.CancelFunc
}

// settings is what a session depends on.
type settings struct {
	bot        conf.Bot
	areaCode   string
	trustedCAs string
}

// Apply follows the document's bot.
func (w *worksLink) Apply(d *conf.Document) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	old := w.current.Load()
	var next *worksSession
	if d.Bot != nil {
		wanted := settings{*d.Bot, d.Numbering.AreaCode, d.TrustedCAs}
		if old != nil && differs(Update, old.settings, wanted) == None {
			return nil
		}
		var err error
		if next, err = w.open(wanted); err != nil {
			return err
		}
	}
	w.current.Store(next)
	if old != nil {
		w.wg.Go(func() { w.retire(old) })
	}
	if next != nil {
		ctx, stop := context.WithCancel(context.Background())
		next.stop = stop
		w.wg.Go(func() { w.read(ctx, next) })
	}
	return nil
}

func (w *worksLink) open(wanted settings) (*worksSession, error) {
	roots, err := works.Roots(wanted.trustedCAs)
	if err != nil {
		return nil, err
	}
	b := wanted.bot
	c, err := works.New(works.Config{
		APIURL: b.APIURL, AuthURL: b.AuthURL, BotID: b.BotID, DomainID: b.DomainID,
		ClientID:       b.Credentials.ClientID,
		ClientSecret:   b.Credentials.ClientSecret.Reveal(),
		ServiceAccount: b.Credentials.ServiceAccount,
		PrivateKey:     b.Credentials.PrivateKey.Reveal(),
		BotSecret:      b.Credentials.BotSecret.Reveal(),
		Scopes:         b.Scopes,
	}, works.Options{RootCAs: roots, Logger: w.log, Observe: w.observe})
	if err != nil {
		return nil, err
	}
	return &worksSession{
		settings: wanted, client: c,
		queue: works.NewQueue(c, works.QueueOptions{Dropped: w.dropped}),
	}, nil
}

// retire lets the last messages of a session out and ends it.
func (w *worksLink) retire(s *worksSession) {
	s.stop()
	ctx, cancel := context.WithTimeout(context.Background(), lastMessages)
	defer cancel()
	if err := s.queue.Drain(ctx); err != nil {
		w.log.Warn("messages were given up", "waiting", s.queue.Stats().Waiting)
	}
	s.queue.Close()
	s.client.Close()
}

// Close ends the session and waits for everything that was started.
func (w *worksLink) Close() {
	w.mu.Lock()
	if s := w.current.Swap(nil); s != nil {
		w.wg.Go(func() { w.retire(s) })
	}
	w.mu.Unlock()
	w.wg.Wait()
}

// Send implements bot.Messenger.
func (w *worksLink) Send(m works.Message) {
	if s := w.current.Load(); s != nil {
		s.queue.Send(m)
		return
	}
	if m.Done != nil {
		m.Done(errNoBot)
	}
}

// ResolveUser returns the user ID of a login e-mail or user ID.
func (w *worksLink) ResolveUser(ctx context.Context, user string) (string, error) {
	s := w.current.Load()
	if s == nil {
		return "", errNoBot
	}
	u, err := s.client.User(ctx, user)
	return u.UserID, err
}

// CallerName looks a number up among the members and the contacts that the
// viewer may see.
func (w *worksLink) CallerName(viewer, number string) (name, company string) {
	s := w.current.Load()
	if s == nil {
		return "", ""
	}
	names := s.names.Load()
	if names == nil {
		return "", ""
	}
	who, _ := names.Lookup(number, viewer)
	return who.Name, who.Company
}

// read keeps the session's names fresh.
func (w *worksLink) read(ctx context.Context, s *worksSession) {
	for {
		wait := directoryEvery
		if err := s.readNames(ctx); err != nil {
			if ctx.Err() != nil {
				return
			}
			w.log.Warn("the directory of NAVER WORKS cannot be read; cards show the caller's own name", "error", err)
			wait = directoryRetry
		}
		next := time.NewTimer(wait)
		select {
		case <-ctx.Done():
			next.Stop()
			return
		case <-next.C:
		}
	}
}

func (s *worksSession) readNames(ctx context.Context) error {
	var users []works.User
	for u, err := range s.client.Users(ctx) {
		if err != nil {
			return err
		}
		users = append(users, u)
	}
	var contacts []works.Contact
	for c, err := range s.client.Contacts(ctx) {
		if err != nil {
			return err
		}
		contacts = append(contacts, c)
	}
	s.names.Store(works.NewNameIndex(s.settings.areaCode, users, contacts))
	return nil
}

// ManageBot sets the bot's callbacks and its persistent menu for a console at
// baseURL. It changes nothing that is right already.
func (w *worksLink) ManageBot(ctx context.Context, baseURL string) error {
	s := w.current.Load()
	if s == nil {
		return errNoBot
	}
	_, err := botsetup.Ensure(ctx, s.client, botsetup.Wanted{CallbackURL: baseURL + "/works/callback", ConsoleURL: baseURL + "/"})
	return err
}

// waiting is how many messages wait to be sent.
func (w *worksLink) waiting() int {
	if s := w.current.Load(); s != nil {
		return s.queue.Stats().Waiting
	}
	return 0
}
