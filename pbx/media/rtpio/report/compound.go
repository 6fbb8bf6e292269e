package report

import "github.com/pion/rtcp"

// Compound is what a port tells its peer at once (RFC 3550 §6.1): a sender
// report, or a receiver report if nothing was sent since the last; our canonical
// name; at the end BYE.
type Compound struct {
	SSRC            uint32
	Sends           bool
	NTP             uint64 // the time, in the format of RFC 3550 §4
	Time            uint32 // the same moment in the stream's timestamp units
	Packets, Octets uint32 // that were sent
	Reports         []rtcp.ReceptionReport
	Name            string
	Bye             bool
}

// Marshal returns the packet. Errors: a name that is too long.
func (c Compound) Marshal() ([]byte, error) {
	packets := make([]rtcp.Packet, 0, 3)
	if c.Sends {
		packets = append(packets, &rtcp.SenderReport{
			SSRC: c.SSRC, NTPTime: c.NTP, RTPTime: c.Time, PacketCount: c.Packets, OctetCount: c.Octets, Reports: c.Reports,
		})
	} else {
		packets = append(packets, &rtcp.ReceiverReport{SSRC: c.SSRC, Reports: c.Reports})
	}
	packets = append(packets, &rtcp.SourceDescription{Chunks: []rtcp.SourceDescriptionChunk{{
		Source: c.SSRC, Items: []rtcp.SourceDescriptionItem{{Type: rtcp.SDESCNAME, Text: c.Name}},
	}}})
	if c.Bye {
		packets = append(packets, &rtcp.Goodbye{Sources: []uint32{c.SSRC}})
	}
	return rtcp.Marshal(packets)
}
