package sdp

import (
	"cmp"
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"github.com/dipcast/dipcast/pbx/media"
	"github.com/dipcast/dipcast/pbx/media/codec"
)

// Session is one leg's side of all its offer/answer exchanges. Fill the first
// group of fields; the rest is kept by the methods.
type Session struct {
	ID     uint64         `json:"id"`     // o= session id, at most 2^62
	Local  netip.AddrPort `json:"local"`  // our RTP address
	Codecs []string       `json:"codecs"` // allowed ones, in order of preference
	First  string         `json:"first,omitempty"`
	// Source is where the peer's signalling comes from: see remote.
	Source netip.Addr `json:"source,omitzero"`
	// SRTP is the policy; Random are srtp.KeySize octets that nobody can guess,
	// of which our keys are made. Both may be empty without SRTP.
	SRTP   SRTP   `json:"srtp,omitempty"`
	Random []byte `json:"random,omitempty"`
	// Fingerprint is that of our certificate, as in media.DTLS; empty: we do
	// not speak DTLS. Form is what the first offer is like.
	Fingerprint string `json:"fingerprint,omitempty"`
	Form        Form   `json:"form,omitempty"`

	Version  uint64       `json:"version"`
	Lines    []Line       `json:"lines,omitempty"` // the m-lines we last wrote, in order
	Body     string       `json:"body,omitempty"`  // what we last wrote, without v= and o=
	Settled  bool         `json:"settled,omitempty"`
	Stream   media.Stream `json:"stream,omitzero"` // of the last settled exchange
	Offered  bool         `json:"offered,omitempty"`
	Restarts int          `json:"restarts,omitempty"` // of ICE, each with new credentials
	before   *Session     // to go back to when our offer is refused
	asked    *question    // the first offer, until its answer is told
}

// question is an offer of the peer and what we were before it.
type question struct {
	offer []byte
	was   Session
}

// Offer returns a full offer: every codec that we allow, the current or the
// hinted one first, in both directions. The m-lines of earlier exchanges stay
// in place (RFC 3264 §8).
func (s *Session) Offer() []byte {
	first := s.First
	dtmf := codec.PayloadTelephoneEvent
	if s.Settled {
		first = s.Stream.Codec.Name
		if s.Stream.DTMF != 0 {
			dtmf = s.Stream.DTMF
		}
	}
	if i := s.audioLine(); s.Settled && i >= 0 && s.moved(s.Lines[i]) {
		s.Restarts++
	}
	audio := Line{Media: "audio", Proto: "RTP/AVP", Port: int(s.Local.Port())}
	for _, name := range preferred(s.Codecs, first) {
		c, _ := codec.Named(name)
		if s.Settled && name == s.Stream.Codec.Name {
			c.PayloadType = s.Stream.Codec.PayloadType
		}
		audio.add(audio.free(c.PayloadType), name, c.ClockRate)
	}
	audio.add(audio.free(dtmf), codec.TelephoneEvent, codec.ClockRate)
	s.encrypt(&audio)
	return s.offer(audio)
}

// Reoffer returns what we last said: an offer that changes nothing, for
// session refreshes (RFC 4028 §7.4). Before the first exchange it is Offer.
func (s *Session) Reoffer() []byte {
	i := s.audioLine()
	if !s.Settled || i < 0 {
		return s.Offer()
	}
	return s.offer(s.Lines[i])
}

func (s *Session) offer(audio Line) []byte {
	if !s.Offered {
		saved := *s
		saved.Lines = slices.Clone(s.Lines)
		s.before = &saved
	}
	lines := []Line{audio}
	if i := s.audioLine(); i >= 0 {
		lines = slices.Clone(s.Lines)
		lines[i] = audio
	}
	s.Offered = true
	return s.write(lines)
}

// Withdraw forgets an offer that the peer refused: the session is again what
// it was before, except that the version never goes back.
func (s *Session) Withdraw() {
	if s.before == nil {
		s.Offered = false
		return
	}
	version := s.Version
	*s = *s.before
	s.Version = version
}

// Answer takes the peer's offer and returns our answer and what they settle.
// ErrMalformed and ErrNoAudio leave the session as it was.
func (s *Session) Answer(offer []byte) ([]byte, media.Stream, error) {
	d, err := Parse(offer)
	if err != nil {
		return nil, media.Stream{}, err
	}
	current := s.First
	if s.Settled {
		current = s.Stream.Codec.Name
	}
	at, chosen := -1, media.Codec{}
	for i, l := range d.Lines {
		if c, ok := choose(l.codecs(), s.Codecs, current); ok && l.usable() && s.permits(l) {
			at, chosen = i, c
			break
		}
	}
	if at < 0 {
		return nil, media.Stream{}, fmt.Errorf("%w: it offers %s, we speak %s, SRTP is %s", ErrNoAudio, d.summary(), strings.Join(s.Codecs, ", "), cmp.Or(s.SRTP, Disabled))
	}
	lines := make([]Line, len(d.Lines))
	for i, l := range d.Lines {
		lines[i] = Line{Media: l.Media, Proto: l.Proto, Raw: l.Raw, Mid: l.Mid}
	}
	remote := d.Lines[at]
	mine := Line{
		Media: "audio", Proto: remote.Proto, Port: int(s.Local.Port()),
		Direction: reverse(remote), Mux: remote.Mux, Mid: remote.Mid, Bundled: remote.Bundled,
	}
	mine.add(chosen.PayloadType, chosen.Name, chosen.ClockRate)
	if pt := remote.events(); pt != 0 {
		mine.add(pt, codec.TelephoneEvent, codec.ClockRate)
	}
	var keys media.Crypto
	if remote.shakes() {
		s.shake(&mine, remote)
		if remote.checks() {
			s.restarted(remote.ICE)
			s.check(&mine)
		}
	} else if own, theirs, ok := s.agree(remote.Crypto); ok {
		mine.Crypto = []Crypto{own}
		keys = media.Crypto{Suite: own.Suite, Local: own.Key, Remote: theirs.Key}
	}
	lines[at] = mine
	var asked *question
	if !s.Settled {
		asked = &question{offer: offer, was: *s}
	}
	s.settle(mine, remote, chosen, keys)
	s.asked = asked
	return s.write(lines), s.Stream, nil
}

// Prefer answers the peer's first offer once more, with the named codec if it
// is allowed and was offered; nil if that changes nothing. It is for an answer
// that has not been told yet, when it turns out what the other side of the call
// speaks.
func (s *Session) Prefer(name string) []byte {
	if s.asked == nil || name == "" || name == s.Stream.Codec.Name || !contains(s.Codecs, name) {
		return nil
	}
	next := s.asked.was
	next.First = name
	answer, stream, err := next.Answer(s.asked.offer)
	if err != nil || stream.Codec.Name != name {
		return nil
	}
	*s = next
	return answer
}

// Told says that the answer is on its way: Prefer does nothing any more.
func (s *Session) Told() { s.asked = nil }

// Accept takes the peer's answer to our offer and returns what they settle.
// On an error our offer stays open; call Withdraw to drop it.
func (s *Session) Accept(answer []byte) (media.Stream, error) {
	i := s.audioLine()
	if !s.Offered || i < 0 {
		return media.Stream{}, ErrNoOffer
	}
	d, err := Parse(answer)
	if err != nil {
		return media.Stream{}, err
	}
	// A peer that drops refused lines from its answer is wrong (RFC 3264
	// §6) but harmless as long as the audio line can be told.
	if len(d.Lines) != len(s.Lines) {
		i = d.Audio()
	}
	if i < 0 || i >= len(d.Lines) || !d.Lines[i].usable() {
		return media.Stream{}, fmt.Errorf("%w: the answer refuses audio: %s", ErrNoAudio, d.summary())
	}
	mine := s.Lines[s.audioLine()]
	offered := mine.names()
	d.Lines[i].adopt(mine)
	keys, ok := accepted(mine.Crypto, d.Lines[i].Crypto)
	if !ok && (mine.DTLS == Handshake{} || !d.Lines[i].shakes()) && mine.secure() {
		return media.Stream{}, fmt.Errorf("%w: we offered SRTP, the answer has no key that fits", ErrNoAudio)
	}
	for _, c := range d.Lines[i].codecs() {
		if contains(offered, c.Name) {
			d.Lines[i].Mux = d.Lines[i].Mux && mine.Mux
			s.settle(mine, d.Lines[i], c, keys)
			return s.Stream, nil
		}
	}
	return media.Stream{}, fmt.Errorf("%w: the answer has %s, we offered %s", ErrNoAudio, d.summary(), strings.Join(offered, ", "))
}

// moved reports whether our line of ICE stood elsewhere: the peer checks a new
// candidate only when ICE begins anew (RFC 8839 §4.4.1.1.1).
func (s *Session) moved(l Line) bool {
	return l.ICE != media.ICECredentials{} && (l.Addr != s.Local.Addr().Unmap() || l.Port != int(s.Local.Port()))
}

// settle computes the stream of an exchange.
func (s *Session) settle(mine, remote Line, c media.Codec, keys media.Crypto) {
	s.Settled, s.Offered, s.before = true, false, nil
	handshake, checks := meet(mine, remote)
	rtp := s.remote(netip.AddrPortFrom(remote.Addr, uint16(remote.Port)))
	if (checks != media.ICE{}) {
		rtp = netip.AddrPort{}
	}
	s.Stream = media.Stream{
		Remote:      rtp,
		RTCPMux:     remote.Mux,
		Codec:       c,
		DTMF:        remote.events(),
		Ptime:       remote.Ptime,
		Direction:   reverse(remote),
		Signalling:  s.Source,
		Crypto:      keys,
		DTLS:        handshake,
		ICE:         checks,
		TrustSource: rtp.IsValid() && rtp.Addr() == s.Source,
	}
	if rtp.IsValid() && remote.RTCP.IsValid() && !remote.Mux {
		s.Stream.RemoteRTCP = s.remote(remote.RTCP)
	}
}

// remote decides whether an address from SDP may be sent to. Not if it is of
// another family than our socket, a multicast or unspecified address, or one
// of a private network although the signalling came from a public one: then it
// is on the far side of a NAT, or an attempt to make us send into our own
// network. The result is then invalid and the port learns from packets.
func (s *Session) remote(a netip.AddrPort) netip.AddrPort {
	ip := a.Addr()
	switch {
	case !ip.IsValid(), ip.IsUnspecified(), ip.IsMulticast(), ip == netip.AddrFrom4([4]byte{255, 255, 255, 255}):
		return netip.AddrPort{}
	case s.Local.IsValid() && s.Local.Addr().Unmap().Is4() != ip.Is4():
		return netip.AddrPort{}
	case s.Source.IsValid() && !inner(s.Source) && inner(ip):
		return netip.AddrPort{}
	case s.Source.IsValid() && !s.Source.IsLoopback() && ip.IsLoopback():
		return netip.AddrPort{}
	}
	return a
}

// inner reports whether an address is of no use outside of its own network.
func inner(a netip.Addr) bool {
	carrierNAT := netip.PrefixFrom(netip.AddrFrom4([4]byte{100, 64, 0, 0}), 10)
	return a.IsPrivate() || a.IsLoopback() || a.IsLinkLocalUnicast() || carrierNAT.Contains(a)
}

// Held reports whether the peer has put us on hold.
func (s *Session) Held() bool { return s.Settled && !s.Stream.Direction.Sends() }

// Trust tells the session where the signalling comes from.
func (s *Session) Trust(source netip.Addr) { s.Source = source.Unmap() }

// reverse is our direction for the peer's line.
func reverse(l Line) media.Direction {
	switch {
	case l.Direction == media.Inactive:
		return media.Inactive
	case l.Held():
		return media.RecvOnly
	case l.Direction == media.RecvOnly:
		return media.SendOnly
	}
	return media.SendRecv
}

func (s *Session) audioLine() int {
	return slices.IndexFunc(s.Lines, func(l Line) bool { return l.Media == "audio" && l.Port != 0 })
}

func (l *Line) add(pt uint8, name string, rate int) {
	l.Formats = append(l.Formats, Format{PayloadType: pt, Name: name, ClockRate: rate})
	l.Raw = append(l.Raw, strconv.Itoa(int(pt)))
}

// free returns a payload type that the line does not use yet: the wanted one,
// or the next above it (the peer may have given one number to a codec, and we
// another codec the same).
func (l *Line) free(pt uint8) uint8 {
	for slices.ContainsFunc(l.Formats, func(f Format) bool { return f.PayloadType == pt }) {
		if pt++; pt > 127 {
			pt = 96
		}
	}
	return pt
}

func (l *Line) names() []string {
	out := make([]string, len(l.Formats))
	for i, f := range l.Formats {
		out[i] = f.Name
	}
	return out
}

// adopt resolves payload types that an answer uses without an rtpmap, as our
// offer mapped them.
func (l *Line) adopt(offered Line) {
	for _, f := range offered.Formats {
		named := slices.ContainsFunc(l.Formats, func(g Format) bool { return g.PayloadType == f.PayloadType })
		if !named && contains(l.Raw, strconv.Itoa(int(f.PayloadType))) {
			l.Formats = append(l.Formats, f)
		}
	}
}

// summary names a description's media for error texts.
func (d Description) summary() string {
	var out []string
	for _, l := range d.Lines {
		out = append(out, clip(l.Media+" "+l.Proto+" "+strings.Join(l.names(), " ")))
	}
	if len(out) == 0 {
		return "no media"
	}
	return strings.Join(out, "; ")
}
