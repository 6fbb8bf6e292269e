package peer

import (
	"context"
	"embed"
	"encoding/csv"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/dipcast/dipcast/pbx/pbxtest"
)

//go:embed scenario/*.xml
var scenarios embed.FS

// The scenarios for Sipp.Scenario.
const (
	Register  = "register"   // REGISTER with digest; per call a line of Sipp.Users
	CallAuth  = "call_auth"  // INVITE with digest from User, RTP for Hold, BYE
	CallTrunk = "call_trunk" // the same from a trunk's address, without digest
	Answer    = "answer"     // 180, 200, echo of RTP until BYE
)

// Sipp is a run of sipp (Debian package sip-tester). It knows digest with MD5
// only.
type Sipp struct {
	Scenario string
	Remote   netip.AddrPort // the PBX; not used by Answer
	Port     int            // local SIP port, 0 = a free one
	Domain   string         // of the addresses of record; empty = Remote's host
	// Users are the user names and passwords of Register and CallAuth, one a
	// call, over and over.
	Users [][2]string
	To    string // number to call
	From  string // caller's number of CallTrunk
	Calls int    // how many, 0 = 1
	Rate  int    // calls a second, 0 = 10
	// Hold is how long a call lasts, in milliseconds; 0 = 1000.
	Hold int
	// Audio is a raw A-law file that is sent in a loop; empty = none is sent.
	Audio string
	TCP   bool
	// RegisterPort is the port in Register's Contact, so that a UAS with
	// Answer gets the calls; 0 = the own port.
	RegisterPort int
}

// Result is what sipp counted.
type Result struct {
	Exit            int // 0 = all calls succeeded, 1 = some failed
	Succeeded       int
	Failed          int
	Retransmissions int
	Errors          string // unexpected messages, as sipp writes them
	Output          string // the screen
}

// SippRun is a sipp that runs.
type SippRun struct {
	Port int
	proc *process
	dir  string
}

// mediaPorts are the ports that sipp binds from -mp on: audio and video with
// their RTCP, and as many for its echo.
const mediaPorts = 8

// StartSipp starts sipp; it ends with the test at the latest.
func StartSipp(tb testing.TB, s Sipp) *SippRun {
	tb.Helper()
	path := need(tb, "sipp", "sip-tester")
	dir := tb.TempDir()
	ports := append(pbxtest.FreePorts(tb, 2), pbxtest.FreeRange(tb, mediaPorts))
	if s.Port == 0 {
		s.Port = ports[0]
	}
	if err := s.write(dir); err != nil {
		tb.Fatal(err)
	}
	p, err := launch(tb, dir, path, s.args(ports)...)
	if err != nil {
		tb.Fatal(err)
	}
	return &SippRun{Port: s.Port, proc: p, dir: dir}
}

// write puts the scenario and the users into the folder.
func (s Sipp) write(dir string) error {
	text, err := scenarios.ReadFile("scenario/" + s.Scenario + ".xml")
	if err != nil {
		return fmt.Errorf("sipp scenario %q: %w", s.Scenario, err)
	}
	play := ""
	if s.Audio != "" {
		play = fmt.Sprintf(`<nop><action><exec rtp_stream="%s,-1,8,PCMA/8000"/></action></nop>`, s.Audio)
	}
	domain := s.Domain
	if domain == "" {
		domain = s.Remote.Addr().String()
	}
	contact := s.RegisterPort
	if contact == 0 {
		contact = s.Port
	}
	xml := strings.NewReplacer("${PLAY}", play, "${DOMAIN}", domain, "${FROM}", s.From,
		"${CONTACT_PORT}", strconv.Itoa(contact)).Replace(string(text))
	if err := os.WriteFile(filepath.Join(dir, "scenario.xml"), []byte(xml), 0o600); err != nil {
		return err
	}
	var users strings.Builder
	users.WriteString("SEQUENTIAL\n")
	for _, u := range s.Users {
		fmt.Fprintf(&users, "%s;[authentication username=%s password=%s]\n", u[0], u[0], u[1])
	}
	return os.WriteFile(filepath.Join(dir, "users.csv"), []byte(users.String()), 0o600)
}

func (s Sipp) args(ports []int) []string {
	calls, rate, hold := max(s.Calls, 1), s.Rate, s.Hold
	if rate == 0 {
		rate = 10
	}
	if hold == 0 {
		hold = 1000
	}
	args := []string{
		"-sf", "scenario.xml", "-i", "127.0.0.1", "-mi", "127.0.0.1", "-p", strconv.Itoa(s.Port), "-mp", strconv.Itoa(ports[2]),
		"-cp", strconv.Itoa(ports[1]), "-nostdin", "-trace_stat", "-stf", "stat.csv", "-fd", "1",
		"-trace_err", "-error_file", "errors.log", "-m", strconv.Itoa(calls),
		"-t", map[bool]string{false: "u1", true: "t1"}[s.TCP], "-aa",
	}
	if s.Scenario == Answer {
		return append(args, "-rtp_echo")
	}
	if len(s.Users) > 0 {
		args = append(args, "-inf", "users.csv")
	}
	return append(args, "-r", strconv.Itoa(rate), "-d", strconv.Itoa(hold), "-l", strconv.Itoa(calls),
		"-s", s.To, "-timeout", "120s", s.Remote.String())
}

// Wait returns when sipp has ended, or the context ends, which ends sipp.
func (r *SippRun) Wait(ctx context.Context) (Result, error) {
	var cut error
	select {
	case <-r.proc.exited:
	case <-ctx.Done():
		cut = fmt.Errorf("sipp does not end: %w", context.Cause(ctx))
		r.proc.stop()
	}
	res := r.result()
	if cut == nil && res.Exit != 0 {
		cut = fmt.Errorf("sipp ended with %d: %d calls succeeded, %d failed: %s", res.Exit, res.Succeeded, res.Failed, res.Errors)
	}
	return res, cut
}

func (r *SippRun) result() Result {
	res := Result{Exit: r.proc.cmd.ProcessState.ExitCode(), Output: r.proc.out.String()}
	if b, err := os.ReadFile(filepath.Join(r.dir, "errors.log")); err == nil {
		res.Errors = string(b[:min(len(b), 4000)])
	}
	f, err := os.Open(filepath.Join(r.dir, "stat.csv"))
	if err != nil {
		return res
	}
	defer func() { _ = f.Close() }()
	in := csv.NewReader(f)
	in.Comma, in.FieldsPerRecord, in.LazyQuotes = ';', -1, true
	rows, err := in.ReadAll()
	if err != nil || len(rows) < 2 {
		return res
	}
	last := rows[len(rows)-1]
	count := func(name string) int {
		i := slices.Index(rows[0], name)
		if i < 0 || i >= len(last) {
			return 0
		}
		n, err := strconv.Atoi(last[i])
		if err != nil {
			return 0
		}
		return n
	}
	res.Succeeded, res.Failed = count("SuccessfulCall(C)"), count("FailedCall(C)")
	res.Retransmissions = count("Retransmissions(C)")
	return res
}
