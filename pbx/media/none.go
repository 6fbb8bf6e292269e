package media

import (
	"net/netip"
	"time"

	"github.com/dipcast/dipcast/pbx"
)

// None is the port of a leg that could not get one: the leg is over before it
// would be needed.
type None struct{}

var _ Port = None{}

// The methods of Port, which do nothing.
func (None) Local() netip.AddrPort              { return netip.AddrPort{} }
func (None) Apply(Stream)                       {}
func (None) Hear(Port)                          {}
func (None) Play(Source)                        {}
func (None) SendDigit(rune, time.Duration) bool { return false }
func (None) TakesKeys() bool                    { return false }
func (None) Tap(Tap)                            {}
func (None) Hold()                              {}
func (None) Save() PortState                    { return PortState{} }
func (None) Quality() pbx.Quality               { return pbx.Quality{} }
func (None) Close()                             {}
