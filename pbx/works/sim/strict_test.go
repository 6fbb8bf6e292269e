package sim_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/dipcast/dipcast/pbx/works"
	"github.com/dipcast/dipcast/pbx/works/sim"
)

// assertion signs a JWT with the service account's key, after change.
func assertion(t *testing.T, change func(jwt.MapClaims)) string {
	t.Helper()
	key, err := jwt.ParseRSAPrivateKeyFromPEM([]byte(serviceKey()))
	if err != nil {
		t.Fatal(err)
	}
	now := time.Now()
	claims := jwt.MapClaims{"iss": "demo-client", "sub": "pbx.serviceaccount@acme.example", "iat": now.Add(-45 * time.Second).Unix(), "exp": now.Add(time.Minute).Unix()}
	if change != nil {
		change(claims)
	}
	signed, err := jwt.NewWithClaims(jwt.SigningMethodRS256, claims).SignedString(key)
	if err != nil {
		t.Fatal(err)
	}
	return signed
}

func tokenForm(assertion string, set ...string) url.Values {
	f := url.Values{
		"grant_type": {"urn:ietf:params:oauth:grant-type:jwt-bearer"}, "client_id": {"demo-client"}, "client_secret": {"demo-secret"},
		"scope": {"bot bot.read user.read"}, "assertion": {assertion},
	}
	for i := 0; i+1 < len(set); i += 2 {
		f.Set(set[i], set[i+1])
	}
	return f
}

func requestToken(t *testing.T, s *sim.Server, form url.Values) (int, map[string]string) {
	t.Helper()
	resp, body := get(t, "POST", s.AuthURL()+"/token", form.Encode(), "Content-Type", "application/x-www-form-urlencoded")
	var m map[string]string
	if err := json.Unmarshal([]byte(body), &m); err != nil {
		t.Fatalf("%s: %v", body, err)
	}
	return resp.StatusCode, m
}

func accessToken(t *testing.T, s *sim.Server, set ...string) string {
	t.Helper()
	status, m := requestToken(t, s, tokenForm(assertion(t, nil), set...))
	if status != 200 {
		t.Fatalf("%d %v", status, m)
	}
	return m["access_token"]
}

func TestTokenEndpointRefuses(t *testing.T) {
	s := start(t)
	now := time.Now()
	claim := func(name string, v any) func(jwt.MapClaims) {
		return func(c jwt.MapClaims) {
			if c[name] = v; v == nil {
				delete(c, name)
			}
		}
	}
	foreign := strings.Split(assertion(t, nil), ".")
	foreign[2] = "AAAA"
	none, err := jwt.NewWithClaims(jwt.SigningMethodNone, jwt.MapClaims{"iss": "demo-client"}).SignedString(jwt.UnsafeAllowNoneSignatureType)
	if err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		name string
		form url.Values
		code string
	}{
		{"unknown client", tokenForm(assertion(t, nil), "client_id", "x"), "invalid_client"},
		{"wrong secret", tokenForm(assertion(t, nil), "client_secret", "x"), "invalid_client"},
		{"other grant", tokenForm(assertion(t, nil), "grant_type", "password"), "unsupported_grant_type"},
		{"unknown scope", tokenForm(assertion(t, nil), "scope", "bot everything"), "invalid_scope"},
		{"no scope", tokenForm(assertion(t, nil), "scope", ""), "invalid_scope"},
		{"no assertion", tokenForm(""), "invalid_grant"},
		{"other signature", tokenForm(strings.Join(foreign, ".")), "invalid_grant"},
		{"no signature", tokenForm(none), "invalid_grant"},
		{"other issuer", tokenForm(assertion(t, claim("iss", "x"))), "invalid_grant"},
		{"other account", tokenForm(assertion(t, claim("sub", "x"))), "invalid_grant"},
		{"from the future", tokenForm(assertion(t, claim("iat", now.Add(10*time.Minute).Unix()))), "invalid_grant"},
		{"expired", tokenForm(assertion(t, claim("exp", now.Add(-time.Minute).Unix()))), "invalid_grant"},
		{"no expiry", tokenForm(assertion(t, claim("exp", nil))), "invalid_grant"},
		{"no issue time", tokenForm(assertion(t, claim("iat", nil))), "invalid_grant"},
		{"two hours", tokenForm(assertion(t, claim("exp", now.Add(2*time.Hour).Unix()))), "invalid_grant"},
		{"times as text", tokenForm(assertion(t, claim("exp", strconv.FormatInt(now.Add(time.Minute).Unix(), 10)))), "invalid_grant"},
	} {
		status, m := requestToken(t, s, test.form)
		if status < 400 || m["error"] != test.code || m["error_description"] == "" {
			t.Errorf("%s: %d %v, want %s", test.name, status, m, test.code)
		}
	}
	status, m := requestToken(t, s, tokenForm(assertion(t, nil)))
	if status != 200 || m["token_type"] != "Bearer" || m["expires_in"] != "86400" || m["scope"] != "bot bot.read user.read" {
		t.Errorf("a right request: %d %v", status, m)
	}
}

func TestMessagesAreCheckedAsDocumented(t *testing.T) {
	s := start(t, func(c *sim.Config) { c.RatePerMinute = -1 })
	token := accessToken(t, s)
	long := func(n int) string { return strings.Repeat("가", n) }
	action := func(fields string) string {
		return `{"content":{"type":"button_template","contentText":"x","actions":[{` + fields + `}]}}`
	}
	press := `"type":"message","label":"a"`
	for _, test := range []struct {
		name, body string
		status     int
	}{
		{"text", `{"content":{"type":"text","text":"안녕"}}`, 201},
		{"text of 2000", `{"content":{"type":"text","text":"` + long(2000) + `"}}`, 201},
		{"text of 2001", `{"content":{"type":"text","text":"` + long(2001) + `"}}`, 400},
		{"empty text", `{"content":{"type":"text","text":""}}`, 400},
		{"variants", `{"content":{"type":"text","text":"x","i18nTexts":[{"language":"en_US","text":"y"}]}}`, 201},
		{"unknown language", `{"content":{"type":"text","text":"x","i18nTexts":[{"language":"en","text":"y"}]}}`, 400},
		{"unknown property", `{"content":{"type":"text","text":"x","colour":"red"}}`, 400},
		{"unknown property outside", `{"content":{"type":"text","text":"x"},"notify":true}`, 400},
		{"unknown type", `{"content":{"type":"poem","text":"x"}}`, 400},
		{"no content", `{}`, 400},
		{"no JSON", `{"content":`, 400},
		{"an array", `[]`, 400},
		{"button", action(press + `,"postback":"v1"`), 201},
		{"label of 20", action(`"type":"message","label":"` + long(20) + `"`), 201},
		{"label of 21", action(`"type":"message","label":"` + long(21) + `"`), 400},
		{"postback of 1000", action(press + `,"postback":"` + strings.Repeat("p", 1000) + `"`), 201},
		{"postback of 1001", action(press + `,"postback":"` + strings.Repeat("p", 1001) + `"`), 400},
		{"postback action in button_template", action(`"type":"postback","label":"a","data":"v1"`), 400},
		{"link", action(`"type":"uri","label":"a","uri":"https://pbx.example/"`), 201},
		{"tel link", action(`"type":"uri","label":"a","uri":"tel:0212345678"`), 400},
		{"copy", action(`"type":"copy","label":"a","copyText":"010"`), 201},
		{"eleven actions", `{"content":{"type":"button_template","contentText":"x","actions":[` + strings.TrimSuffix(strings.Repeat(`{`+press+`},`, 11), ",") + `]}}`, 400},
		{"no actions", `{"content":{"type":"button_template","contentText":"x","actions":[]}}`, 400},
		{"contentText of 1001", `{"content":{"type":"button_template","contentText":"` + long(1001) + `","actions":[{` + press + `}]}}`, 400},
		{"postback action in a carousel", `{"content":{"type":"carousel","columns":[{"text":"x","actions":[{"type":"postback","label":"a","data":"v1"}]}]}}`, 201},
		{"postback action with 301 of data", `{"content":{"type":"carousel","columns":[{"text":"x","actions":[{"type":"postback","label":"a","data":"` + strings.Repeat("p", 301) + `"}]}]}}`, 400},
		{"link message", `{"content":{"type":"link","contentText":"x","linkText":"y","link":"https://pbx.example/"}}`, 201},
		{"location", `{"content":{"type":"location","title":"x","address":"y","latitude":37.5,"longitude":127}}`, 201},
		{"image by http", `{"content":{"type":"image","previewImageUrl":"http://a.example/p.png","originalContentUrl":"https://a.example/o.png"}}`, 400},
		{"image by https", `{"content":{"type":"image","previewImageUrl":"https://a.example/p.png","originalContentUrl":"https://a.example/o.png"}}`, 201},
	} {
		resp, body := get(t, "POST", s.APIURL()+"/bots/2000001/users/"+haneul+"/messages", test.body, "Authorization", "Bearer "+token)
		if resp.StatusCode != test.status {
			t.Errorf("%s: %d %s, want %d", test.name, resp.StatusCode, body, test.status)
		}
		if test.status == 400 && !strings.Contains(body, `"code":"INVALID_PARAMETER"`) {
			t.Errorf("%s: body %s", test.name, body)
		}
		if test.status == 201 && body != "" {
			t.Errorf("%s: body %s, want none", test.name, body)
		}
	}
}

// A postback action comes back as a postback event, and shows only what its
// displayText says.
func TestPostbackActions(t *testing.T) {
	s := start(t)
	callbacks := receiver(t, s, http.StatusOK)
	resp, body := get(t, "POST", s.APIURL()+"/bots/2000001/users/"+haneul+"/messages", `{"content":{"type":"carousel","columns":[{"title":"전화","text":"02-555-0100",
		"actions":[{"type":"postback","label":"받기","data":"v1.a"},{"type":"postback","label":"거절","data":"v1.b","displayText":"거절했습니다"}]}]}}`,
		"Authorization", "Bearer "+accessToken(t, s))
	if resp.StatusCode != http.StatusCreated {
		t.Fatalf("%d %s", resp.StatusCode, body)
	}
	for button, want := range []string{"v1.a", "v1.b"} {
		if err := s.Press(t.Context(), haneul, 0, button); err != nil {
			t.Fatal(err)
		}
		if e, err := works.DecodeCallback(next(t, callbacks).body); err != nil || e.Type != works.EventPostback || e.Postback != want {
			t.Errorf("the press came as %+v, %v", e, err)
		}
	}
}

// More than a hundred users a page yields none, as seen on the service.
func TestPagesHaveTheirLimits(t *testing.T) {
	s := start(t)
	token := accessToken(t, s)
	for query, want := range map[string]string{
		"count=100": `"email":"haneul@acme.example"`, "count=101": `"users":[]`, "count=1": `"nextCursor":"1"`, "count=1&cursor=1": `"nextCursor":""`,
		"count=0": "INVALID_PARAMETER", "cursor=x": "INVALID_PARAMETER", "domainId=x": "INVALID_PARAMETER", "domainId=99": "ACCESS_DENIED",
	} {
		if _, body := get(t, "GET", s.APIURL()+"/users?"+query, "", "Authorization", "Bearer "+token); !strings.Contains(body, want) {
			t.Errorf("%s: %s, want %s", query, body, want)
		}
	}
}

func TestWhoMaySendWhere(t *testing.T) {
	s := start(t)
	token, reader := accessToken(t, s), accessToken(t, s, "scope", "user.read")
	for _, test := range []struct {
		name, token, bot, user string
		status                 int
		code                   string
	}{
		{"right", token, "2000001", haneul, 201, ""},
		{"no token", "", "2000001", haneul, 401, "UNAUTHORIZED"},
		{"wrong token", "x", "2000001", haneul, 401, "UNAUTHORIZED"},
		{"no scope", reader, "2000001", haneul, 403, "FORBIDDEN"},
		{"unknown bot", token, "9", haneul, 403, "ACCESS_DENIED"},
		{"another company's bot", token, "2000002", haneul, 403, "ACCESS_DENIED"},
		{"bot that is not open to the user", token, "2000003", haneul, 403, "ACCESS_DENIED"},
		{"bot that is open to the user", token, "2000003", bada, 201, ""},
		{"bot that is no number", token, "x", haneul, 400, "INVALID_PARAMETER"},
		{"unknown user", token, "2000001", "nobody", 404, "USER_NOT_EXIST"},
	} {
		resp, body := get(t, "POST", s.APIURL()+"/bots/"+test.bot+"/users/"+test.user+"/messages",
			`{"content":{"type":"text","text":"x"}}`, "Authorization", "Bearer "+test.token)
		if resp.StatusCode != test.status || !strings.Contains(body, test.code) {
			t.Errorf("%s: %d %s, want %d %s", test.name, resp.StatusCode, body, test.status, test.code)
		}
		if test.status == 401 && resp.Header.Get("WWW-Authenticate") == "" {
			t.Errorf("%s: no WWW-Authenticate", test.name)
		}
	}
}

func TestRateLimitIsPerOperationAndMinute(t *testing.T) {
	now := time.Date(2026, 1, 5, 9, 0, 0, 0, time.UTC)
	s := start(t, func(c *sim.Config) {
		c.RatePerMinute, c.Now = 2, func() time.Time { return now }
		c.Apps[0].TokenSeconds = 3600
	})
	status, m := requestToken(t, s, tokenForm(assertion(t, func(c jwt.MapClaims) {
		c["iat"], c["exp"] = now.Add(-time.Minute).Unix(), now.Add(time.Minute).Unix()
	})))
	if status != 200 {
		t.Fatal(m)
	}
	list := func(path string) *http.Response {
		resp, _ := get(t, "GET", s.APIURL()+path, "", "Authorization", "Bearer "+m["access_token"])
		return resp
	}
	for i, want := range []int{200, 200, 429, 429} {
		resp := list("/users")
		if resp.StatusCode != want || resp.Header.Get("rateLimit-limit") != "2" ||
			resp.Header.Get("rateLimit-remaining") != fmt.Sprint(max(1-i, 0)) || resp.Header.Get("rateLimit-reset") != "60" {
			t.Errorf("request %d: %d %v, want %d", i+1, resp.StatusCode, resp.Header, want)
		}
	}
	if resp := list("/bots/2000001"); resp.StatusCode != http.StatusOK {
		t.Errorf("another operation: %d", resp.StatusCode)
	}
	now = now.Add(59500 * time.Millisecond)
	if resp := list("/users"); resp.StatusCode != http.StatusTooManyRequests || resp.Header.Get("rateLimit-reset") != "1" {
		t.Errorf("before the minute is over: %d %v", resp.StatusCode, resp.Header)
	}
	now = now.Add(time.Second)
	if resp := list("/users"); resp.StatusCode != http.StatusOK {
		t.Errorf("in the next minute: %d", resp.StatusCode)
	}
	now = now.Add(2 * time.Hour)
	if resp := list("/users"); resp.StatusCode != http.StatusUnauthorized {
		t.Errorf("with an expired token: %d", resp.StatusCode)
	}
}

func TestUploadAddressIsForOneUse(t *testing.T) {
	s := start(t)
	token := accessToken(t, s)
	_, body := get(t, "POST", s.APIURL()+"/bots/2000001/attachments", `{"fileName":"a.pdf"}`, "Authorization", "Bearer "+token)
	var slot struct{ FileID, UploadURL string }
	if err := json.Unmarshal([]byte(body), &slot); err != nil {
		t.Fatal(err)
	}
	part := func(name string) string {
		return "--b\r\nContent-Disposition: form-data; name=\"" + name + "\"; filename=\"a.pdf\"\r\n\r\ndata\r\n--b--\r\n"
	}
	for _, test := range []struct {
		name, part, token string
		status            int
	}{
		{"no token", "Filedata", "", 401},
		{"other part", "file", token, 400},
		{"first", "Filedata", token, 200},
		{"second", "Filedata", token, 410},
	} {
		resp, body := get(t, "POST", slot.UploadURL, part(test.part),
			"Authorization", "Bearer "+test.token, "Content-Type", "multipart/form-data; boundary=b")
		if resp.StatusCode != test.status {
			t.Errorf("%s: %d %s, want %d", test.name, resp.StatusCode, body, test.status)
		}
	}
	resp, _ := get(t, "GET", s.APIURL()+"/bots/2000001/attachments/"+slot.FileID, "", "Authorization", "Bearer "+token)
	if resp.StatusCode != http.StatusFound {
		t.Fatalf("download: %d, want 302", resp.StatusCode)
	}
	if resp, _ := get(t, "GET", resp.Header.Get("Location"), ""); resp.StatusCode != http.StatusUnauthorized {
		t.Errorf("download without token: %d", resp.StatusCode)
	}
}

func TestConfigurationIsChecked(t *testing.T) {
	cfg := company()
	cfg.Apps[0].PublicKey = "x"
	cfg.Bots[0].Secret = ""
	cfg.Bots[1].CallbackURL = "http://pbx.example/works/callback"
	cfg.Users = append(cfg.Users, cfg.Users[0])
	_, err := sim.New(cfg)
	for _, want := range []string{"publicKey", "no secret", "must be https", "twice"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v, want one with %q", err, want)
		}
	}
}
