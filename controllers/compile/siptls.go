package compile

import (
	"crypto/tls"
	"fmt"
	"slices"

	corev1 "k8s.io/api/core/v1"

	"github.com/dipcast/dipcast/api/v1alpha1"
	"github.com/dipcast/dipcast/pbx/conf"
)

// sipTLS puts the certificate of SIP over TLS into the document. One that is
// not there yet is a Warning: phones still come over UDP and TCP, and
// cert-manager takes its time. One that is broken is an Error, so that the PBX
// goes on with the last good one.
func (c *compiler) sipTLS(o Object) {
	t := c.in.Tenant
	if len(t.Spec.Web.PhoneOrigins) > 0 && t.Spec.SIPTLS == nil {
		c.warn(o, "spec.web.phoneOrigins", "", v1alpha1.ReasonInvalid,
			"browsers need secure WebSocket, which is not served without a certificate: set spec.sipTLS")
	}
	name := t.SIPTLSSecret()
	if name == "" {
		return
	}
	path, value := "spec.sipTLS.secretRef.name", name
	cure := fmt.Sprintf("create it with the keys %s and %s", corev1.TLSCertKey, corev1.TLSPrivateKeyKey)
	if issuer := t.Spec.SIPTLS.IssuerRef; issuer != nil {
		path, value = "spec.sipTLS.issuerRef.name", issuer.Name
		cure = "cert-manager makes it; see kubectl describe certificate " + name
	}
	for _, key := range []string{corev1.TLSCertKey, corev1.TLSPrivateKeyKey} {
		if len(c.in.Secrets[name][key]) == 0 {
			c.warn(o, path, value, v1alpha1.ReasonSecretMissing, fmt.Sprintf(
				"there is no Secret %s/%s with the key %s, so SIP over TLS and WebSocket are not served: %s", t.Namespace, name, key, cure))
			return
		}
	}
	c.certificate(o, path, value, name)
}

// certificate reads the Secret. Its key is never repeated.
func (c *compiler) certificate(o Object, path, value, name string) {
	cert, key := c.in.Secrets[name][corev1.TLSCertKey], c.in.Secrets[name][corev1.TLSPrivateKeyKey]
	pair, err := tls.X509KeyPair(cert, key)
	if err != nil {
		c.errorf(o, path, value, v1alpha1.ReasonSecretInvalid,
			"Secret %s/%s is no certificate with its private key: %v", c.in.Tenant.Namespace, name, err)
		return
	}
	if domain := c.in.Tenant.Spec.Domain; pair.Leaf.VerifyHostname(domain) != nil {
		c.warn(o, path, value, v1alpha1.ReasonSecretInvalid, fmt.Sprintf(
			"the certificate in Secret %s/%s is not for %s: phones that check certificates refuse it; name the domain in it", c.in.Tenant.Namespace, name, domain))
	}
	c.doc.SIPTLS = &conf.SIPTLS{
		Certificate: string(cert), PrivateKey: conf.Secret(key),
		Origins: slices.Clone(c.in.Tenant.Spec.Web.PhoneOrigins),
	}
}
