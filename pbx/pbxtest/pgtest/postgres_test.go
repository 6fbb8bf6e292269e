package pgtest

import (
	"os"
	"strings"
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestServer(t *testing.T) {
	if testing.Short() {
		t.Skip("needs PostgreSQL and some seconds")
	}
	s, err := Start(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer s.Stop()
	first, err := s.NewDatabase(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	second, err := s.NewDatabase(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if first == second || !strings.HasPrefix(first, "postgres:///test1?") {
		t.Errorf("databases %q and %q", first, second)
	}
	if err := s.run(t.Context(), "psql", "-d", first, "-c", "create table t (n int)"); err != nil {
		t.Error(err)
	}
	s.Stop()
	s.Stop()
	if _, err := os.Stat(s.dir); !os.IsNotExist(err) {
		t.Errorf("the folder is still there: %v", err)
	}
}
