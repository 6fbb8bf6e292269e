package media

import (
	"net/netip"
	"time"

	"github.com/dipcast/dipcast/pbx"
)

// None is the port of a leg that could not get one: the leg is over before it
// would be needed. Its methods do nothing.
type None struct{}

var _ Port = None{}

// Local implements Port.
func (None) Local() netip.AddrPort { return netip.AddrPort{} }

// Apply implements Port.
func (None) Apply(Stream) {}

// Hear implements Port.
func (None) Hear(Port) {}

// Play implements Port.
func (None) Play(Source) {}

// SendDigit implements Port.
func (None) SendDigit(rune, time.Duration) bool { return false }

// TakesKeys implements Port.
func (None) TakesKeys() bool { return false }

// Tap implements Port.
func (None) Tap(Tap) {}

// Hold implements Port.
func (None) Hold() {}

// Save implements Port.
func (None) Save() PortState { return PortState{} }

// Quality implements Port.
func (None) Quality() pbx.Quality { return pbx.Quality{} }

// Close implements Port.
func (None) Close() {}
