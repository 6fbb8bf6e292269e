package legs

import (
	"net/netip"
	"time"

	"github.com/dipcast/dipcast/pbx"
	"github.com/dipcast/dipcast/pbx/media"
)

// noPort is the media end of a leg that could not get a port: the leg is over
// before it would be needed.
type noPort struct{}

func (noPort) Local() netip.AddrPort              { return netip.AddrPort{} }
func (noPort) Apply(media.Stream)                 {}
func (noPort) Hear(media.Port)                    {}
func (noPort) Play(media.Source)                  {}
func (noPort) SendDigit(rune, time.Duration) bool { return false }
func (noPort) TakesKeys() bool                    { return false }
func (noPort) Tap(media.Tap)                      {}
func (noPort) Hold()                              {}
func (noPort) Save() media.PortState              { return media.PortState{} }
func (noPort) Quality() pbx.Quality               { return pbx.Quality{} }
func (noPort) Close()                             {}
