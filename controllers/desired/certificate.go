package desired

import (
	"cmp"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/dipcast/dipcast/api/v1alpha1"
)

// certificates asks cert-manager for what an issuerRef names.
func certificates(in Input) []*unstructured.Unstructured {
	if !in.APIs.CertManager {
		return nil
	}
	var out []*unstructured.Unstructured
	if tls := in.Tenant.Spec.Web.TLS; tls != nil && tls.IssuerRef != nil {
		out = append(out, certificate(in.Tenant, WebTLSName(in.Tenant.Name), ComponentWeb, tls.IssuerRef,
			object{"algorithm": "ECDSA", "size": int64(256), "rotationPolicy": "Always"}))
	}
	if tls := in.Tenant.Spec.SIPTLS; tls != nil && tls.IssuerRef != nil {
		// RSA: desk phones of some age know nothing else.
		out = append(out, certificate(in.Tenant, SIPTLSName(in.Tenant.Name), ComponentPBX, tls.IssuerRef,
			object{"algorithm": "RSA", "size": int64(2048), "rotationPolicy": "Always"}))
	}
	return out
}

// certificate names the domain alone. Phones check the domain that they were
// told, not the host that SRV led them to (RFC 5922 section 7.1).
func certificate(t *v1alpha1.PBXTenant, name, component string, issuer *v1alpha1.IssuerRef, key object) *unstructured.Unstructured {
	return foreign(t, CertificateKind(), name, component, object{
		"secretName":     name,
		"secretTemplate": object{"labels": texts(Labels(t.Name, component))},
		"dnsNames":       list{t.Spec.Domain},
		"issuerRef":      object{"group": CertificateKind().Group, "kind": cmp.Or(issuer.Kind, "Issuer"), "name": issuer.Name},
		"privateKey":     key,
		"usages":         list{"digital signature", "key encipherment", "server auth"},
	})
}
