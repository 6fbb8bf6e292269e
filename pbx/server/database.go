package server

import (
	"context"
	"net/netip"
	"path/filepath"
	"time"

	"github.com/dipcast/dipcast/pbx"
	"github.com/dipcast/dipcast/pbx/store"
	"github.com/dipcast/dipcast/pbx/store/standby"
)

const (
	// databaseStart is how long a start waits for the database: live calls and
	// phones need none.
	databaseStart = 3 * time.Second
	// databaseFrom and databaseTo are the pauses between two trials afterwards.
	databaseFrom, databaseTo = time.Second, 15 * time.Second
)

// openStore makes the database. One that is away, full or damaged keeps nobody
// from telephoning: it is tried again while the PBX runs.
func (s *Server) openStore(ctx context.Context, _, _ []netip.Addr) (err error) {
	if dsn := s.document().Database.PostgresDSN.Reveal(); dsn != "" {
		s.store, err = store.Postgres(dsn)
	} else {
		s.store, err = store.SQLite(filepath.Join(s.opts.DataDir, "pbx.db"))
	}
	if err != nil {
		return err
	}
	s.database.ping = s.store.Ping
	s.onClose(func() {
		if err := s.store.Close(); err != nil {
			s.log.Error("the database did not close", "error", err)
		}
	})
	first, cancel := context.WithTimeout(ctx, databaseStart)
	defer cancel()
	if err := s.store.Open(first); err != nil {
		if ctx.Err() != nil {
			return err
		}
		s.log.Error("the database cannot be opened: calls go on, and their records wait for it in the journal", "error", err)
	}
	return nil
}

// openStoreLater opens the database if the start has found it away. It returns
// when the database is open, or with ctx.
func (s *Server) openStoreLater(ctx context.Context) error {
	if s.store.Ping(ctx) == nil {
		return nil
	}
	for wait := databaseFrom; ; wait = min(2*wait, databaseTo) {
		// However long a migration takes: nobody waits for it.
		err := s.store.Open(ctx)
		if err == nil {
			s.log.Info("the database is open")
			return nil
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
		s.log.Warn("the database still cannot be opened", "error", err, "again in", wait)
		if !pause(ctx, wait) {
			return ctx.Err()
		}
	}
}

// loadRegistrations reads who is registered; what a database that is away does
// not tell is read when it is back.
func (s *Server) loadRegistrations(ctx context.Context) {
	limited, cancel := context.WithTimeout(ctx, databaseStart)
	defer cancel()
	if err := s.agent.Load(limited, s.contacts()); err != nil {
		s.log.Error("registrations cannot be read from the database yet", "phones in the journal", s.agent.Registrar().Count(), "error", err)
	}
}

// contacts is where registrations are kept. A database on another machine has a
// copy in the journal, so that its absence at a start silences no phone.
func (s *Server) contacts() pbx.ContactStore {
	if s.document().Database.PostgresDSN.Reveal() == "" {
		return s.store
	}
	return standby.New(s.store, s.journal)
}
