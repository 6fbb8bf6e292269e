package desired

import (
	"cmp"
	"fmt"
	"net/netip"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// recordTTL is how many seconds a resolver may remember where the PBX was.
const recordTTL = 60

// dnsEndpoint asks external-dns for what leads phones to the node and port of
// the PBX:
//
//	DOMAIN            NAPTR  → _sip._udp.DOMAIN, _sip._tcp.DOMAIN, _sips._tcp.DOMAIN
//	_sip._udp.DOMAIN  SRV    → PORT, sip.DOMAIN (also _tcp, and _sips._tcp with a certificate)
//	sip.DOMAIN        A/AAAA → the node's advertised addresses
//
// The address of DOMAIN itself is the console's and leads to the Ingress or
// the Gateway; external-dns takes it from there.
func dnsEndpoint(in Input) *unstructured.Unstructured {
	t := in.Tenant
	port := cmp.Or(in.Node.SIP, in.Ports.SIP)
	v4, v6 := families(in.Node.Addresses)
	if !in.APIs.ExternalDNS || port == 0 || len(v4)+len(v6) == 0 {
		return nil
	}
	domain := t.Spec.Domain
	host, udp, tcp := SIPHost(domain), "_sip._udp."+domain, "_sip._tcp."+domain
	var records list
	add := func(name, kind string, targets ...any) {
		if len(targets) > 0 {
			records = append(records, object{
				"dnsName": name, "recordType": kind, "recordTTL": int64(recordTTL), "targets": targets,
			})
		}
	}
	add(host, "A", v4...)
	add(host, "AAAA", v6...)
	// Names inside SRV and NAPTR end with a dot, as external-dns wants it.
	srv := fmt.Sprintf("10 10 %d %s.", port, host)
	add(udp, "SRV", srv)
	add(tcp, "SRV", srv)
	naptr := list{fmt.Sprintf(`10 10 "S" "SIP+D2U" "" %s.`, udp), fmt.Sprintf(`20 10 "S" "SIP+D2T" "" %s.`, tcp)}
	if t.Spec.SIPTLS != nil {
		tls := "_sips._tcp." + domain
		add(tls, "SRV", fmt.Sprintf("10 10 %d %s.", cmp.Or(in.Node.SIPS, in.Ports.SIPS), host))
		// After the others: phones that prefer TLS look for it by name.
		naptr = append(naptr, fmt.Sprintf(`30 10 "S" "SIPS+D2T" "" %s.`, tls))
	}
	add(domain, "NAPTR", naptr...)
	return foreign(t, DNSEndpointKind(), WebName(t.Name), ComponentPBX, object{"endpoints": records})
}

// families parts addresses by family and drops what is none.
func families(addresses []string) (v4, v6 list) {
	for _, a := range addresses {
		ip, err := netip.ParseAddr(a)
		switch {
		case err != nil:
		case ip.Unmap().Is4():
			v4 = append(v4, ip.Unmap().String())
		default:
			v6 = append(v6, ip.String())
		}
	}
	return v4, v6
}
