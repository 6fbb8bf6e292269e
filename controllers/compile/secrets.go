package compile

import (
	"encoding/base64"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/dipcast/dipcast/api/v1alpha1"
	"github.com/dipcast/dipcast/pbx/conf"
)

// SecretWanted is a Secret that a tenant needs, that no manifest gives, and
// that its starter (operator or `dipcast up`) makes once and keeps.
type SecretWanted struct {
	Namespace string
	Name      string // TENANT-ext-NUMBER, TENANT-api or TENANT-session
	Key       string // password, token or key
	Bytes     int    // random bytes; the value is their base64url text
}

// Make draws the Secret's data from random, which must be fit for
// cryptography.
func (w SecretWanted) Make(random io.Reader) (map[string][]byte, error) {
	raw := make([]byte, w.Bytes)
	if _, err := io.ReadFull(random, raw); err != nil {
		return nil, fmt.Errorf("secret %s/%s: no random bytes: %w", w.Namespace, w.Name, err)
	}
	return map[string][]byte{w.Key: []byte(base64.RawURLEncoding.EncodeToString(raw))}, nil
}

// ExtensionSecret is the name of an extension's generated Secret.
func ExtensionSecret(tenant, number string) string { return tenant + "-ext-" + number }

// APISecret is the name of the Secret with the REST interface's token.
func APISecret(tenant string) string { return tenant + "-api" }

// SessionSecret is the name of the Secret that signs the console's cookies.
func SessionSecret(tenant string) string { return tenant + "-session" }

// MissingSecrets lists the Secrets of in.Tenant that must be made before
// Compile succeeds, by name. Secrets that a manifest names are not among
// them: their absence is a problem of the manifest.
func MissingSecrets(in Input) []SecretWanted {
	if in.Tenant == nil {
		return nil
	}
	var out []SecretWanted
	want := func(name, key string, size int) {
		if len(in.Secrets[name][key]) == 0 {
			out = append(out, SecretWanted{Namespace: in.Tenant.Namespace, Name: name, Key: key, Bytes: size})
		}
	}
	want(APISecret(in.Tenant.Name), v1alpha1.KeyToken, 32)
	want(SessionSecret(in.Tenant.Name), v1alpha1.KeySession, 48)
	for _, plan := range in.Plans {
		for _, e := range plan.Spec.Extensions {
			if e.SecretRef == nil && validInternal(e.Number) {
				want(ExtensionSecret(in.Tenant.Name, e.Number), v1alpha1.KeyPassword, 24)
			}
		}
		for _, r := range plan.Spec.Ranges {
			numbers, err := expand(r)
			if err != nil {
				continue
			}
			for _, n := range numbers {
				want(ExtensionSecret(in.Tenant.Name, n), v1alpha1.KeyPassword, 24)
			}
		}
		for _, e := range directoryExtensions(&plan) {
			if validInternal(e.Number) {
				want(ExtensionSecret(in.Tenant.Name, e.Number), v1alpha1.KeyPassword, 24)
			}
		}
	}
	slices.SortFunc(out, func(a, b SecretWanted) int { return strings.Compare(a.Name, b.Name) })
	return slices.CompactFunc(out, func(a, b SecretWanted) bool { return a.Name == b.Name })
}

// secret returns one key of a Secret, or reports at o and path why not.
func (c *compiler) secret(o Object, path, name, key string) (conf.Secret, bool) {
	data, ok := c.in.Secrets[name]
	if !ok {
		c.errorf(o, path, name, v1alpha1.ReasonSecretMissing,
			"there is no Secret %s/%s: create it with the key %s", c.in.Tenant.Namespace, name, key)
		return "", false
	}
	// A trailing line break is what `kubectl create secret --from-file` leaves.
	value := strings.TrimRight(string(data[key]), "\r\n")
	if value == "" {
		c.errorf(o, path, name, v1alpha1.ReasonSecretMissing,
			"Secret %s/%s has no key %s, or an empty one: add it", c.in.Tenant.Namespace, name, key)
		return "", false
	}
	return conf.Secret(value), true
}

// generated returns a Secret that the starter makes; where it is missing the
// starter has not done so yet.
func (c *compiler) generated(o Object, path, name, key string) (conf.Secret, bool) {
	value := strings.TrimRight(string(c.in.Secrets[name][key]), "\r\n")
	if value == "" {
		c.errorf(o, path, "", v1alpha1.ReasonSecretMissing,
			"Secret %s/%s with the key %s was not made yet: it is made by itself, wait for it", c.in.Tenant.Namespace, name, key)
		return "", false
	}
	return conf.Secret(value), true
}
