package rtpio

import (
	"runtime"

	"github.com/dipcast/dipcast/pbx/media/rtpio/poll"
)

// crowd is how many ports one poller has before another is started. A second
// one costs more than it gives as long as the first has time to nap; at this
// many it is about half busy.
const crowd = 1000

// poller is one of the pool's, with the number of its ports (under Pool.mu).
type poller struct {
	*poll.Poller
	ports int
}

// assign chooses the poller of a new port: the first that is not crowded, a
// new one as long as there are processors for it, the one with the fewest
// ports. None runs before it is needed. It is called under mu.
func (p *Pool) assign() (*poller, error) {
	var least *poller
	for _, o := range p.pollers {
		if o.ports < crowd {
			return o, nil
		}
		if least == nil || o.ports < least.ports {
			least = o
		}
	}
	if len(p.pollers) >= max(1, runtime.GOMAXPROCS(0)) {
		return least, nil
	}
	started, err := poll.New(poll.Config{Clock: p.clock, Size: bufferSize})
	if err != nil {
		return nil, err
	}
	o := &poller{Poller: started}
	p.pollers = append(p.pollers, o)
	return o, nil
}
