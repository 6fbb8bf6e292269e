package standby

import (
	"context"
	"time"

	"github.com/dipcast/dipcast/pbx"
	"github.com/dipcast/dipcast/pbx/journal"
)

// Kind is what the records are called in the journal, by extension.
const Kind = "contacts"

// Database is a store that writes several extensions at once.
type Database interface {
	pbx.ContactStore
	SaveAll(ctx context.Context, all map[string][]pbx.Contact) error
}

// copied are the bindings of one extension.
type copied struct {
	Contacts []pbx.Contact `json:"contacts"`
}

// Contacts is a database with the journal beside it. It implements
// pbx.ContactStore; its methods may be called from any goroutine.
type Contacts struct {
	db    Database
	table *journal.Table[copied]
}

// New returns the database with its copy.
func New(db Database, store journal.Store) *Contacts {
	return &Contacts{db: db, table: journal.NewTable[copied](store, Kind)}
}

// Save implements pbx.ContactStore.
func (c *Contacts) Save(ctx context.Context, extension string, contacts []pbx.Contact) error {
	return c.SaveAll(ctx, map[string][]pbx.Contact{extension: contacts})
}

// SaveAll replaces the bindings of several extensions. A journal that fails
// tells so by itself.
func (c *Contacts) SaveAll(ctx context.Context, all map[string][]pbx.Contact) error {
	batch := make([]journal.Record, 0, len(all))
	for extension, contacts := range all {
		if len(contacts) == 0 {
			c.table.Delete(extension)
			continue
		}
		batch = append(batch, c.table.Pack(extension, &copied{contacts}))
	}
	_ = c.table.PutAll(batch)
	return c.db.SaveAll(ctx, all)
}

// Load implements pbx.ContactStore: it returns the copy, and what the database
// has of other extensions. With the database's error it returns the copy alone.
func (c *Contacts) Load(ctx context.Context, now time.Time) ([]pbx.Contact, error) {
	own := c.table.All()
	var out []pbx.Contact
	for extension, k := range own {
		live := false
		for _, contact := range k.Contacts {
			if contact.Expires.After(now) {
				out, live = append(out, contact), true
			}
		}
		if !live {
			c.table.Delete(extension)
		}
	}
	rest, err := c.db.Load(ctx, now)
	for _, contact := range rest {
		if own[contact.Extension] == nil {
			out = append(out, contact)
		}
	}
	return out, err
}
