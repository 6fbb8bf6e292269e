package up

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"net"
	"net/netip"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/dipcast/dipcast/api/v1alpha1"
	"github.com/dipcast/dipcast/controllers/compile"
	"github.com/dipcast/dipcast/controllers/manifest"
	"github.com/dipcast/dipcast/pbx/conf"
)

// source turns the manifests into documents.
type source struct {
	loader *manifest.Loader
	opts   options
	own    string // address of this machine
}

// read compiles every tenant. Tenants that run keep the ports in running, and
// nobody gets the ports of those that are not in the manifests any more. With
// an error among the problems there are no documents.
func (s *source) read(running map[string]conf.Ports) ([]*conf.Document, []compile.Problem) {
	set, problems := s.loader.Load(s.opts.paths)
	if compile.HasErrors(problems) {
		return nil, problems
	}
	tenants := set.Tenants()
	problems = append(problems, assignPorts(tenants, running)...)
	s.givenPorts(tenants, running)
	var documents []*conf.Document
	for _, in := range tenants {
		s.complete(&in)
		if err := s.generated(&in); err != nil {
			problems = append(problems, compile.Problem{
				Object:   compile.Object{Kind: v1alpha1.KindPBXTenant, Namespace: in.Tenant.Namespace, Name: in.Tenant.Name},
				Message:  fmt.Sprintf("--data %s: %v: name a folder that may be written", s.opts.data, err),
				Severity: compile.Error,
			})
			continue
		}
		d, more := compile.Compile(in)
		problems = append(problems, more...)
		if d != nil {
			s.reachable(d)
			d.Network.Bind = loopbackOnly(d.Network.Advertise[""])
			d.Generation = generation(d)
			documents = append(documents, d)
		}
	}
	set.Locate(problems)
	if compile.HasErrors(problems) {
		return nil, problems
	}
	return documents, problems
}

func assignPorts(tenants []compile.Input, running map[string]conf.Ports) []compile.Problem {
	all, left := slices.Clone(tenants), maps.Clone(running)
	for i := range all {
		k := key(all[i].Tenant.Namespace, all[i].Tenant.Name)
		all[i].Ports = running[k]
		delete(left, k)
	}
	for _, ports := range left {
		all = append(all, compile.Input{Ports: ports})
	}
	problems := manifest.AssignPorts(all)
	copy(tenants, all)
	return problems
}

// givenPorts puts the ports of the flags into the first tenant's slot, unless
// it runs already or another one has them.
func (s *source) givenPorts(tenants []compile.Input, running map[string]conf.Ports) {
	if len(tenants) == 0 {
		return
	}
	if _, runs := running[key(tenants[0].Tenant.Namespace, tenants[0].Tenant.Name)]; runs {
		return
	}
	for _, p := range running {
		if p.SIP == s.opts.sipPort || p.HTTP == s.opts.httpPort {
			return
		}
	}
	tenants[0].Ports.SIP, tenants[0].Ports.HTTP = s.opts.sipPort, s.opts.httpPort
}

// complete fills in what a cluster would know of its nodes.
func (s *source) complete(in *compile.Input) {
	static := in.Class != nil && in.Class.Spec.Network.Advertise.From == v1alpha1.AdvertiseStatic
	switch {
	case s.opts.advertise != "":
		in.Advertise = map[string][]string{"": {s.opts.advertise}}
	case !static:
		in.Advertise = map[string][]string{"": {s.own}}
	}
	// Only for the compiler's own use: the document's generation is a hash of
	// what it says.
	in.Generation = "local"
}

// generated fills in the Secrets that a cluster's operator would make; they
// are made once and kept in the data folder.
func (s *source) generated(in *compile.Input) error {
	dir := filepath.Join(s.opts.data, in.Tenant.Namespace, in.Tenant.Name)
	for _, w := range compile.MissingSecrets(*in) {
		path := filepath.Join(dir, "secrets", w.Name)
		if w.Name == compile.APISecret(in.Tenant.Name) {
			path = filepath.Join(dir, "api-token")
		}
		value, err := kept(path, w)
		if err != nil {
			return err
		}
		in.Secrets[w.Name] = map[string][]byte{w.Key: value}
	}
	return nil
}

// kept returns the value in the file, making it the first time.
func kept(path string, w compile.SecretWanted) ([]byte, error) {
	value, err := os.ReadFile(path)
	if err == nil {
		return []byte(strings.TrimSpace(string(value))), nil
	}
	if !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	data, err := w.Make(rand.Reader)
	if err != nil {
		return nil, err
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return nil, err
	}
	if err := os.WriteFile(path+".new", append(data[w.Key], '\n'), 0o600); err != nil {
		return nil, err
	}
	return data[w.Key], os.Rename(path+".new", path)
}

// reachable sets the console's address where no Ingress stands before it: a
// bot that lives on loopback (works-sim) is developed against on this machine.
func (s *source) reachable(d *conf.Document) {
	if d.Bot == nil || !loopbackURL(d.Bot.APIURL) {
		return
	}
	host := "127.0.0.1"
	if list := d.Network.Advertise[""]; len(list) > 0 {
		host = list[0]
	}
	d.Web.BaseURL = "http://" + net.JoinHostPort(host, strconv.Itoa(d.Network.Ports.HTTP))
}

// loopbackOnly returns the addresses if all of them are this machine's own:
// what only this machine may reach (the demo, whose passwords are public) must
// not listen to the network. Otherwise nil: every address.
func loopbackOnly(advertise []string) []string {
	for _, text := range advertise {
		if a, err := netip.ParseAddr(text); err != nil || !a.IsLoopback() {
			return nil
		}
	}
	return advertise
}

func loopbackURL(raw string) bool {
	u, err := url.Parse(raw)
	if err != nil || u.Scheme != "http" {
		return false
	}
	a, err := netip.ParseAddr(u.Hostname())
	return u.Hostname() == "localhost" || err == nil && a.IsLoopback()
}

// generation names a document by what it says.
func generation(d *conf.Document) string {
	d.Generation = ""
	text, err := json.Marshal(d)
	if err != nil {
		return "unknown"
	}
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:6])
}

func key(namespace, name string) string { return namespace + "/" + name }

// tell prints the problems and returns how many are errors.
func tell(w io.Writer, problems []compile.Problem) (bad int) {
	compile.Sort(problems)
	for _, p := range problems {
		fmt.Fprintf(w, "%s: %s\n", p.Severity, p)
		if p.Severity == compile.Error {
			bad++
		}
	}
	return bad
}
