package server

import (
	"errors"
	"strings"

	"github.com/dipcast/dipcast/pbx/conf"
	"github.com/dipcast/dipcast/pbx/works"
)

// Apply puts a new document in force while calls go on. The plan says what
// was done; parts under Restart keep their old state. On error nothing has
// changed.
func (s *Server) Apply(d *conf.Document) (Plan, error) {
	s.apply.Lock()
	defer s.apply.Unlock()
	plan, err := PlanFor(s.document(), d, s.opts.Node)
	if err == nil {
		// What takes a restart stays as New found it.
		next := *d
		next.Network, next.Database = s.opts.Document.Network, s.opts.Document.Database
		d = &next
		err = s.follow(d)
	}
	if err != nil {
		generation := ""
		if d != nil {
			generation = d.Generation
		}
		s.refuse(generation, err)
		return nil, err
	}
	s.doc.Store(d)
	s.bot.Apply(botConfig(d))
	s.metrics.Applied(d.Generation)
	s.standing.Store(&standing{generation: d.Generation, restarts: plan.Restarts()})
	s.log.Info("a new configuration is in force", "document", d, "plan", plan)
	return plan, nil
}

// follow gives the document to the parts that may find fault with it; if one
// does, those before it get the old one back.
func (s *Server) follow(d *conf.Document) error {
	old := s.document()
	if err := s.applyWeb(d); err != nil {
		return err
	}
	err := s.works.Apply(d)
	if err == nil {
		err = s.agent.Apply(d)
	}
	if err != nil {
		return errors.Join(err, s.works.Apply(old), s.applyWeb(old))
	}
	return nil
}

func (s *Server) applyWeb(d *conf.Document) error {
	c, err := webConfig(d, s.keys)
	if err != nil {
		return err
	}
	return s.web.Apply(c)
}

// standing is what became of the documents so far, for the report.
type standing struct {
	generation string // in force
	restarts   []Part
	// refused says why the newest document is not in force.
	refused, refusedGeneration string
}

// maxReason bounds what a report says of a refused document, in characters.
const maxReason = 1000

// Refuse notes that the newest document could not even be handed to Apply:
// the report tells of it until the next good one. The generation may be empty.
func (s *Server) Refuse(generation string, err error) {
	s.apply.Lock()
	defer s.apply.Unlock()
	s.refuse(generation, err)
}

// refuse is Refuse for one who holds apply.
func (s *Server) refuse(generation string, err error) {
	s.metrics.Refused()
	next := *s.standing.Load()
	next.refusedGeneration = generation
	next.refused = works.Truncate(strings.Join(strings.Fields(err.Error()), " "), maxReason)
	s.standing.Store(&next)
}
