package repeat_test

import (
	"bytes"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/dipcast/dipcast/hack/images/repeat"
)

func TestRead(t *testing.T) {
	t.Setenv("SOURCE_DATE_EPOCH", "")
	dir := t.TempDir()
	if from, err := repeat.Read(t.Context(), dir); err != nil || from.Revision != "unknown" || from.Created.Unix() != 0 {
		t.Errorf("outside of a repository: %+v, %v", from, err)
	}
	for _, args := range [][]string{{"init", "-q"}, {
		"-c", "user.name=n", "-c", "user.email=n@example.com", "-c", "commit.gpgsign=false", "commit", "-q", "--allow-empty", "-m", "first",
	}} {
		cmd := exec.CommandContext(t.Context(), "git", args...)
		cmd.Dir = dir
		cmd.Env = append(cmd.Environ(), "GIT_COMMITTER_DATE=1700000000 +0000")
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("git %v: %v: %s", args, err, out)
		}
	}
	from, err := repeat.Read(t.Context(), dir)
	if err != nil || len(from.Revision) != 40 || from.Created.Unix() != 1700000000 {
		t.Errorf("the commit is %+v, %v", from, err)
	}
	t.Setenv("SOURCE_DATE_EPOCH", "5")
	if from, err := repeat.Read(t.Context(), dir); err != nil || len(from.Revision) != 40 || from.Created.Unix() != 5 {
		t.Errorf("with SOURCE_DATE_EPOCH: %+v, %v", from, err)
	}
}

func TestCompileFails(t *testing.T) {
	file := filepath.Join(t.TempDir(), "none")
	if err := repeat.Compile(t.Context(), t.TempDir(), "none", "amd64", "v1", file); err == nil || !strings.Contains(err.Error(), "build none for amd64") {
		t.Errorf("a program that does not exist was built: %v", err)
	}
}

func TestTarGz(t *testing.T) {
	entries := []repeat.Entry{{Name: "d/", Mode: 0o755}, {Name: "d/f", Mode: 0o644, Content: []byte("text")}, {Name: "d/l", Mode: 0o777, Link: "f"}}
	when := time.Unix(1700000000, 999)
	first, err := repeat.TarGz(when, entries)
	if err != nil {
		t.Fatal(err)
	}
	// The same second in another zone is no other time.
	second, err := repeat.TarGz(when.Truncate(time.Second).In(time.FixedZone("KST", 9*3600)), entries)
	if err != nil || !bytes.Equal(first, second) {
		t.Errorf("the same entries give other bytes: %v", err)
	}
	if _, err := repeat.TarGz(when, []repeat.Entry{{Name: "\x00", Content: []byte("x")}}); err == nil {
		t.Error("a name that no archive can hold was taken")
	}
}
