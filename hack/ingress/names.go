package main

import (
	"context"
	"net"
	"net/netip"
	"strings"

	"golang.org/x/net/dns/dnsmessage"
)

// lookup tells the address of a lower-case name without a dot at the end.
type lookup func(name string) (netip.Addr, bool)

const (
	maxQuery = 512
	ttl      = 5 // seconds: tests change things
)

// serveNames answers DNS questions over UDP until ctx ends.
func serveNames(ctx context.Context, conn net.PacketConn, find lookup) error {
	stop := context.AfterFunc(ctx, func() { _ = conn.Close() })
	defer stop()
	buf := make([]byte, maxQuery)
	for {
		n, from, err := conn.ReadFrom(buf)
		if ctx.Err() != nil {
			return nil
		}
		if err != nil {
			return err
		}
		if reply := answer(buf[:n], find); reply != nil {
			_, _ = conn.WriteTo(reply, from) // whoever asked asks again
		}
	}
}

// answer is the reply to one query; nil for what is none.
func answer(query []byte, find lookup) []byte {
	var p dnsmessage.Parser
	head, err := p.Start(query)
	if err != nil || head.Response {
		return nil
	}
	q, err := p.Question()
	if err != nil {
		return nil
	}
	reply := dnsmessage.Message{
		Header:    dnsmessage.Header{ID: head.ID, Response: true, Authoritative: true, RecursionDesired: head.RecursionDesired},
		Questions: []dnsmessage.Question{q},
	}
	a, known := find(strings.ToLower(strings.TrimSuffix(q.Name.String(), ".")))
	switch {
	case !known:
		reply.RCode = dnsmessage.RCodeNameError
	case q.Type == dnsmessage.TypeA && a.Is4():
		reply.Answers = record(q, &dnsmessage.AResource{A: a.As4()})
	case q.Type == dnsmessage.TypeAAAA && a.Is6():
		reply.Answers = record(q, &dnsmessage.AAAAResource{AAAA: a.As16()})
	}
	packed, err := reply.Pack()
	if err != nil {
		return nil
	}
	return packed
}

func record(q dnsmessage.Question, body dnsmessage.ResourceBody) []dnsmessage.Resource {
	return []dnsmessage.Resource{{
		Header: dnsmessage.ResourceHeader{Name: q.Name, Type: q.Type, Class: dnsmessage.ClassINET, TTL: ttl}, Body: body,
	}}
}
