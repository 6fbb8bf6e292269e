package workssim

import (
	"bytes"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"sigs.k8s.io/yaml"

	"github.com/dipcast/dipcast/pbx/works"
	"github.com/dipcast/dipcast/pbx/works/sim"
)

// The company that is simulated when nothing else is said; config/samples/demo
// is the PBX's side of it.
const (
	demoBot    = 2000001
	demoDomain = 40029600
)

// load makes the configuration: the file or the demo's company, completed
// from manifests.
func load(config string, from []string) (sim.Config, error) {
	cfg := demo()
	if config != "" {
		data, err := os.ReadFile(config)
		if err != nil {
			return sim.Config{}, fmt.Errorf("--config: %w", err)
		}
		cfg = sim.Config{}
		if err := yaml.UnmarshalStrict(data, &cfg); err != nil {
			return sim.Config{}, fmt.Errorf("%s: %w", config, err)
		}
	}
	if len(from) > 0 {
		if err := fromManifests(&cfg, from); err != nil {
			return sim.Config{}, fmt.Errorf("--from: %w", err)
		}
	}
	return cfg, completeKeys(&cfg)
}

// demo is the company of the samples.
func demo() sim.Config {
	user := func(email, last, first, locale string, admin bool) works.User {
		return works.User{
			UserID: sim.UserID(email), DomainID: demoDomain, Email: email,
			Name: works.PersonName{Last: last, First: first}, Locale: locale, Admin: admin,
		}
	}
	users := []works.User{
		user("haneul@acme.example", "김", "하늘", "ko_KR", true),
		user("bada@acme.example", "이", "바다", "ko_KR", false),
		user("sol@acme.example", "박", "솔", "ko_KR", false),
	}
	return sim.Config{
		Apps: []sim.App{{
			ClientID: "demo-client", DomainID: demoDomain, ServiceAccount: "demo.serviceaccount@acme.example",
		}},
		Bots:  []sim.Bot{{BotID: demoBot, Name: "DIPCAST", DomainID: demoDomain}},
		Users: users,
		Contacts: []works.Contact{{
			ContactID: "demo-contact-1", Permission: works.ContactPermission{Range: "ALL"},
			Name:          works.PersonName{Last: "홍", First: "길동"},
			Telephones:    []works.ContactPhone{{Number: "010-1234-5678", Type: "CELLPHONE", Primary: true}},
			Organizations: []works.ContactOrganization{{Name: "고객사", Primary: true}},
			Modified:      "2026-01-05T09:00:00.000Z",
		}},
	}
}

// completeKeys gives apps and bots without a key or secret one that nobody
// has, so that the chat page can be looked at without a PBX.
func completeKeys(cfg *sim.Config) error {
	for i := range cfg.Bots {
		if cfg.Bots[i].Secret == "" {
			cfg.Bots[i].Secret = rand.Text()
		}
	}
	for i := range cfg.Apps {
		if cfg.Apps[i].ClientSecret == "" {
			cfg.Apps[i].ClientSecret = rand.Text()
		}
		if cfg.Apps[i].PublicKey != "" {
			continue
		}
		key, err := rsa.GenerateKey(rand.Reader, 2048)
		if err != nil {
			return err
		}
		der, err := x509.MarshalPKIXPublicKey(&key.PublicKey)
		if err != nil {
			return err
		}
		cfg.Apps[i].PublicKey = string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}))
	}
	return nil
}

// manifest is as much of a Kubernetes object as matters here.
type manifest struct {
	Kind     string `json:"kind"`
	Metadata struct {
		Name      string `json:"name"`
		Namespace string `json:"namespace"`
	} `json:"metadata"`
	StringData map[string]string `json:"stringData"`
	Data       map[string]string `json:"data"`
	Spec       struct {
		BotID          int64 `json:"botID"`
		DomainID       int64 `json:"domainID"`
		CredentialsRef struct {
			Name string `json:"name"`
		} `json:"credentialsRef"`
		Extensions []struct {
			DisplayName string `json:"displayName"`
			WorksUser   string `json:"worksUser"`
		} `json:"extensions"`
	} `json:"spec"`
}

func (m manifest) value(key string) string {
	if v, ok := m.StringData[key]; ok {
		return v
	}
	v, err := base64.StdEncoding.DecodeString(m.Data[key])
	if err != nil {
		return ""
	}
	return string(v)
}

// credentialKeys are the keys of a bot's Secret.
func credentialKeys() []string {
	return []string{"client-id", "client-secret", "service-account", "private-key", "bot-secret"}
}

// credentials reports whether the object is a Secret with a bot's five keys.
func (m manifest) credentials() bool {
	return m.Kind == "Secret" && !slices.ContainsFunc(credentialKeys(), func(k string) bool { return m.value(k) == "" })
}

// fromManifests takes over every bot whose Secret is in the manifests: its
// app and its bot replace those of the same ID, or are added.
func fromManifests(cfg *sim.Config, from []string) error {
	objects, err := readManifests(from)
	if err != nil {
		return err
	}
	found := 0
	for _, secret := range objects {
		if !secret.credentials() {
			continue
		}
		found++
		botID, domain := int64(demoBot), int64(demoDomain)
		for _, o := range objects {
			if o.Kind == "NaverWorksBot" && o.Spec.CredentialsRef.Name == secret.Metadata.Name && o.Metadata.Namespace == secret.Metadata.Namespace {
				botID, domain = o.Spec.BotID, o.Spec.DomainID
			}
		}
		take(cfg, secret, botID, domain)
		takeUsers(cfg, objects, secret.Metadata.Namespace, domain)
	}
	if found == 0 {
		return fmt.Errorf("no Secret with the keys %s in %s", strings.Join(credentialKeys(), ", "), strings.Join(from, ", "))
	}
	return nil
}

// take adds the app and the bot of one Secret.
func take(cfg *sim.Config, secret manifest, botID, domain int64) {
	app := sim.App{
		ClientID: secret.value("client-id"), ClientSecret: secret.value("client-secret"), DomainID: domain,
		ServiceAccount: secret.value("service-account"), PublicKey: secret.value("private-key"),
	}
	if i := slices.IndexFunc(cfg.Apps, func(a sim.App) bool { return a.ClientID == app.ClientID }); i >= 0 {
		cfg.Apps[i] = app
	} else {
		cfg.Apps = append(cfg.Apps, app)
	}
	if i := slices.IndexFunc(cfg.Bots, func(b sim.Bot) bool { return b.BotID == botID }); i >= 0 {
		cfg.Bots[i].Secret, cfg.Bots[i].DomainID = secret.value("bot-secret"), domain
	} else {
		cfg.Bots = append(cfg.Bots, sim.Bot{BotID: botID, Name: "DIPCAST", Secret: secret.value("bot-secret"), DomainID: domain})
	}
}

// takeUsers adds the people of a namespace's extensions who are not there yet.
func takeUsers(cfg *sim.Config, objects []manifest, namespace string, domain int64) {
	for _, o := range objects {
		if o.Kind != "ExtensionPlan" || o.Metadata.Namespace != namespace {
			continue
		}
		for _, e := range o.Spec.Extensions {
			known := func(u works.User) bool { return u.Email == e.WorksUser || u.UserID == e.WorksUser }
			if !strings.Contains(e.WorksUser, "@") || slices.ContainsFunc(cfg.Users, known) {
				continue
			}
			cfg.Users = append(cfg.Users, works.User{
				UserID: sim.UserID(e.WorksUser), DomainID: domain, Email: e.WorksUser,
				Name: works.PersonName{First: e.DisplayName}, Locale: string(works.Korean),
			})
		}
	}
}

// readManifests reads every object of the files, and of the *.yaml, *.yml and
// *.json files below the folders.
func readManifests(from []string) ([]manifest, error) {
	var objects []manifest
	for _, root := range from {
		files, err := manifestFiles(root)
		if err != nil {
			return nil, err
		}
		for _, path := range files {
			data, err := os.ReadFile(path)
			if err != nil {
				return nil, err
			}
			found, err := decodeManifests(data)
			if err != nil {
				return nil, fmt.Errorf("%s: %w", path, err)
			}
			objects = append(objects, found...)
		}
	}
	return objects, nil
}

// manifestFiles is root itself, or the manifests below it if it is a folder.
func manifestFiles(root string) ([]string, error) {
	var files []string
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() && (path == root || slices.Contains([]string{".yaml", ".yml", ".json"}, filepath.Ext(path))) {
			files = append(files, path)
		}
		return err
	})
	return files, err
}

// decodeManifests reads the documents of one file. The errors of the decoder
// may quote what they could not read, so they are not passed on.
func decodeManifests(data []byte) ([]manifest, error) {
	data = bytes.ReplaceAll(data, []byte("\r\n"), []byte("\n"))
	var objects []manifest
	for doc := range bytes.SplitSeq(append([]byte("\n"), data...), []byte("\n---")) {
		if len(bytes.TrimSpace(doc)) == 0 {
			continue
		}
		var kind struct {
			Kind string `json:"kind"`
		}
		if err := yaml.Unmarshal(doc, &kind); err != nil {
			return nil, errors.New("not YAML")
		}
		if kind.Kind != "Secret" && kind.Kind != "NaverWorksBot" && kind.Kind != "ExtensionPlan" {
			continue
		}
		var m manifest
		if err := yaml.Unmarshal(doc, &m); err != nil {
			return nil, fmt.Errorf("a %s cannot be read: its fields are not what they should be", kind.Kind)
		}
		objects = append(objects, m)
	}
	return objects, nil
}
