package main

import (
	"net/netip"
	"testing"

	"golang.org/x/net/dns/dnsmessage"
)

func question(t testing.TB, name string, typ dnsmessage.Type) []byte {
	t.Helper()
	q := dnsmessage.Message{
		Header:    dnsmessage.Header{ID: 7, RecursionDesired: true},
		Questions: []dnsmessage.Question{{Name: dnsmessage.MustNewName(name), Type: typ, Class: dnsmessage.ClassINET}},
	}
	packed, err := q.Pack()
	if err != nil {
		t.Fatal(err)
	}
	return packed
}

func known(name string) (netip.Addr, bool) {
	switch name {
	case "four.example":
		return netip.MustParseAddr("192.0.2.4"), true
	case "six.example":
		return netip.MustParseAddr("2001:db8::6"), true
	}
	return netip.Addr{}, false
}

func TestAnswer(t *testing.T) {
	tests := []struct {
		name, want string
		typ        dnsmessage.Type
		rcode      dnsmessage.RCode
	}{
		{"four.example.", "192.0.2.4", dnsmessage.TypeA, dnsmessage.RCodeSuccess},
		{"FOUR.example.", "192.0.2.4", dnsmessage.TypeA, dnsmessage.RCodeSuccess},
		{"four.example.", "", dnsmessage.TypeAAAA, dnsmessage.RCodeSuccess},
		{"four.example.", "", dnsmessage.TypeMX, dnsmessage.RCodeSuccess},
		{"six.example.", "2001:db8::6", dnsmessage.TypeAAAA, dnsmessage.RCodeSuccess},
		{"four.example.cluster.local.", "", dnsmessage.TypeA, dnsmessage.RCodeNameError},
	}
	for _, tt := range tests {
		var reply dnsmessage.Message
		if err := reply.Unpack(answer(question(t, tt.name, tt.typ), known)); err != nil {
			t.Fatalf("%s %s: %v", tt.name, tt.typ, err)
		}
		if reply.ID != 7 || !reply.Response || !reply.RecursionDesired || reply.RCode != tt.rcode || len(reply.Questions) != 1 {
			t.Errorf("%s %s: header %+v", tt.name, tt.typ, reply.Header)
		}
		got := ""
		for _, a := range reply.Answers {
			switch b := a.Body.(type) {
			case *dnsmessage.AResource:
				got += netip.AddrFrom4(b.A).String()
			case *dnsmessage.AAAAResource:
				got += netip.AddrFrom16(b.AAAA).String()
			}
		}
		if got != tt.want {
			t.Errorf("%s %s: %q, want %q", tt.name, tt.typ, got, tt.want)
		}
	}
}

func TestAnswerNothing(t *testing.T) {
	response := question(t, "four.example.", dnsmessage.TypeA)
	response[2] |= 0x80
	for name, query := range map[string][]byte{
		"empty": nil, "short": {1, 2, 3}, "a response": response, "no question": make([]byte, 12),
	} {
		if reply := answer(query, known); reply != nil {
			t.Errorf("%s: answered %x", name, reply)
		}
	}
}

func FuzzAnswer(f *testing.F) {
	f.Add(question(f, "four.example.", dnsmessage.TypeA))
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, query []byte) {
		reply := answer(query, known)
		if reply == nil {
			return
		}
		var m dnsmessage.Message
		if err := m.Unpack(reply); err != nil || !m.Response || m.ID != uint16(query[0])<<8|uint16(query[1]) {
			t.Errorf("query %x: reply %x: %v", query, reply, err)
		}
	})
}
