package txn

import (
	"fmt"

	"github.com/emiago/sipgo/sip"

	"github.com/dipcast/dipcast/pbx/sipua/gate"
)

// Resume goes on with the client transaction of an INVITE that an earlier
// process has sent and that a provisional response has answered: nothing is
// sent, and nothing ends it but a final response or Terminate.
func (l *Layer) Resume(invite *sip.Request, f *gate.Flow, tell Tell) (*Client, error) {
	key, err := sip.ClientTxKeyMake(invite)
	if err != nil {
		return nil, fmt.Errorf("resume: %w", err)
	}
	c := &Client{
		l: l, key: key, way: f, datagram: f.Transport == "UDP", invite: true, tell: tell,
		state: proceeding, req: invite, wait: t2, left: giveUpAfter,
	}
	if err := l.addClient(c); err != nil {
		return nil, err
	}
	return c, nil
}
