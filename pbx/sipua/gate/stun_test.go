package gate

import (
	"bytes"
	"encoding/hex"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"
)

// TestBindingAnswer compares with the samples of RFC 5769 §2.2 and §2.3, whose
// other attributes we do not send.
func TestBindingAnswer(t *testing.T) {
	request, _ := hex.DecodeString("000100002112a442b7e7a701bc34d686fa87dfae")
	for from, attribute := range map[string]string{
		"192.0.2.1:32853": "002000080001a147e112a643",
		"[2001:db8:1234:5678:11:2233:4455:6677]:32853": "002000140002a1470113a9faa5d3f179bc25f4b5bed2b9d9",
	} {
		got := bindingAnswer(request, netip.MustParseAddrPort(from))
		want, _ := hex.DecodeString(attribute)
		if !isSTUN(request) || !bytes.Equal(got[stunHeader:], want) || !bytes.Equal(got[4:stunHeader], request[4:]) ||
			!bytes.Equal(got[:2], []byte{1, 1}) || int(got[3]) != len(want) {
			t.Errorf("%s: %x", from, got)
		}
	}
	for _, odd := range []string{"", "0001", "000100042112a442b7e7a701bc34d686fa87dfae", "010100002112a442b7e7a701bc34d686fa87dfae"} {
		if b, _ := hex.DecodeString(odd); isSTUN(b) {
			t.Errorf("%s is taken for a Binding request", odd)
		}
	}
}

// TestFlowOverUDPIsKeptAlive: a phone hears on a real socket that its flow
// stands, and a message after line breaks is still one.
func TestFlowOverUDPIsKeptAlive(t *testing.T) {
	s := &sink{known: true}
	g := testGate(s)
	conn, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	if err := g.ServeUDP(conn); err != nil {
		t.Fatal(err)
	}
	peer, err := net.Dial("udp4", conn.LocalAddr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = peer.Close() }()
	request, _ := hex.DecodeString("000100002112a442b7e7a701bc34d686fa87dfae")
	_, _ = peer.Write([]byte("\r\n\r\n" + options)) // what is lost shows below
	_, _ = peer.Write(request)
	buf := make([]byte, 100)
	_ = peer.SetReadDeadline(time.Now().Add(20 * time.Second))
	n, err := peer.Read(buf)
	if err != nil || n != 32 || buf[0] != 1 || buf[1] != 1 {
		t.Errorf("answer %x %v", buf[:n], err)
	}
	g.Close()
	g.Wait()
	if s.requests != 1 {
		t.Errorf("%d requests were seen", s.requests)
	}
}

func TestAnswersToPhonesBehindANAT(t *testing.T) {
	source := netip.MustParseAddrPort("198.51.100.7:6000")
	for host, want := range map[string]string{
		"10.0.0.9:5070": "198.51.100.7:6000", "192.168.0.9": "198.51.100.7:6000", "192.0.2.1:5070": "198.51.100.7:5070",
	} {
		m := Scan([]byte(strings.Replace(options, "192.0.2.1:5070", host, 1)))
		f := &Flow{Transport: "UDP", Remote: source}
		if got := f.For(m).Remote.String(); got != want {
			t.Errorf("%s: the answer goes to %s, want %s", host, got, want)
		}
	}
}
