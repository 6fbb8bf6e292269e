package load

import (
	"math"
	"runtime/debug"
	"testing"
	"testing/fstest"
	"time"
)

func tree(files map[string]string) fstest.MapFS {
	out := make(fstest.MapFS)
	for name, text := range files {
		out[name] = &fstest.MapFile{Data: []byte(text + "\n")}
	}
	return out
}

func TestControlGroups(t *testing.T) {
	for _, tc := range []struct {
		name   string
		files  map[string]string
		cpus   float64
		limit  uint64
		memory float64
	}{
		{"none", nil, 0, 0, 0},
		{"version 2 in a container", map[string]string{
			"proc/self/cgroup": "0::/", "sys/fs/cgroup/memory.max": "1000", "sys/fs/cgroup/memory.current": "700",
			"sys/fs/cgroup/memory.stat": "anon 1\ninactive_file 200\nactive_file 5", "sys/fs/cgroup/cpu.max": "150000 100000",
		}, 1.5, 1000, 0.5},
		{"version 2 without limits", map[string]string{
			"proc/self/cgroup": "0::/", "sys/fs/cgroup/memory.max": "max", "sys/fs/cgroup/memory.current": "700", "sys/fs/cgroup/cpu.max": "max 100000",
		}, 0, 0, 0},
		{"version 2, the parent's limit holds", map[string]string{
			"proc/self/cgroup": "0::/a/b", "sys/fs/cgroup/a/b/memory.max": "max", "sys/fs/cgroup/a/b/memory.current": "100",
			"sys/fs/cgroup/a/memory.max": "1000", "sys/fs/cgroup/a/memory.current": "800", "sys/fs/cgroup/a/b/cpu.max": "400000 100000",
			"sys/fs/cgroup/a/cpu.max": "50000 100000",
		}, 0.5, 1000, 0.8},
		{"version 1", map[string]string{
			"proc/self/cgroup": "5:cpu,cpuacct:/x\n4:memory:/x\n0::/",
			"sys/fs/cgroup/memory/x/memory.limit_in_bytes":      "2000",
			"sys/fs/cgroup/memory/x/memory.usage_in_bytes":      "1900",
			"sys/fs/cgroup/memory/x/memory.stat":                "inactive_file 5\ntotal_inactive_file 900",
			"sys/fs/cgroup/memory/memory.limit_in_bytes":        "9223372036854771712",
			"sys/fs/cgroup/cpu/x/cpu.cfs_quota_us":              "200000",
			"sys/fs/cgroup/cpu/x/cpu.cfs_period_us":             "100000",
			"sys/fs/cgroup/cpu/cpu.cfs_quota_us":                "-1",
			"sys/fs/cgroup/cpu/cpu.cfs_period_us":               "100000",
			"sys/fs/cgroup/unrelated/memory.limit_in_bytes.bak": "1",
		}, 2, 2000, 0.5},
		{"more can be given back than is used", map[string]string{
			"sys/fs/cgroup/memory.max": "1000", "sys/fs/cgroup/memory.current": "10", "sys/fs/cgroup/memory.stat": "inactive_file 20",
		}, 0, 1000, 0},
		{"nonsense", map[string]string{
			"proc/self/cgroup": "x\n:::\n", "sys/fs/cgroup/memory.max": "-5", "sys/fs/cgroup/cpu.max": "0 0",
		}, 0, 0, 0},
	} {
		t.Run(tc.name, func(t *testing.T) {
			g := findGroup(tree(tc.files))
			if g.cpus != tc.cpus || g.limit != tc.limit || g.memory() != tc.memory {
				t.Errorf("%v processors, limit %d, memory %v; want %v, %d, %v", g.cpus, g.limit, g.memory(), tc.cpus, tc.limit, tc.memory)
			}
		})
	}
}

// TestMeter measures this process: a busy second is seen, and memory against
// the limit that the runtime was given.
func TestMeter(t *testing.T) {
	now := time.Now()
	m := NewMeter(Sources{
		Late: func() time.Duration { return 7 * time.Millisecond }, Transactions: func() float64 { return 0.25 },
		Now: func() time.Time { return now },
	})
	until := processTime() + 50*time.Millisecond
	for used := processTime(); used < until; used = processTime() {
		m.processors() // anything: at least so much is used
	}
	now = now.Add(time.Second)
	s := m.Read()
	if s.CPU < 0.05/m.processors() || s.CPU > 1 {
		t.Errorf("of 50 ms and more in a second %v were seen", s.CPU)
	}
	if s.Late != 7*time.Millisecond || s.Transactions != 0.25 || s.Memory != 0 || s.Wait < 0 {
		t.Errorf("got %+v", s)
	}
	if s = m.Read(); s.CPU != 0 {
		t.Errorf("%v in no time", s.CPU)
	}
	const want = "processors 0 %, memory 0 %, media late 7ms, waits 0s, transactions 25 %"
	if s.Wait = 0; s.String() != want {
		t.Errorf("%q, want %q", s, want)
	}
}

// TestWhoProvesItIsNoStranger: a storm of phones is no flood.
func TestWhoProvesItIsNoStranger(t *testing.T) {
	now, count := time.Now(), int64(0)
	m := NewMeter(Sources{Strangers: func() int64 { return count }, Now: func() time.Time { return now }})
	for _, tc := range []struct {
		grows int64
		want  float64
	}{{1500, 3000}, {0, 0}, {-1500, 0}, {500, 1000}} {
		now, count = now.Add(Interval), count+tc.grows
		if got := m.Read().Strangers; got != tc.want {
			t.Errorf("%d more in half a second are %v a second, want %v", tc.grows, got, tc.want)
		}
	}
}

func TestMemoryLimit(t *testing.T) {
	before := debug.SetMemoryLimit(math.MaxInt64)
	t.Cleanup(func() { debug.SetMemoryLimit(before) })
	if n := LimitMemory(tree(nil)); n != 0 {
		t.Errorf("a limit of %d without a control group", n)
	}
	root := tree(map[string]string{"sys/fs/cgroup/memory.max": "10000000000", "sys/fs/cgroup/memory.current": "100"})
	if n := LimitMemory(root); n != 8000000000 || debug.SetMemoryLimit(-1) != n {
		t.Errorf("the limit is %d, and %d in force", n, debug.SetMemoryLimit(-1))
	}
	now := time.Now()
	m := NewMeter(Sources{Root: root, Now: func() time.Time { return now }})
	if s := m.Read(); s.Memory <= 0 || s.Memory > 0.5 {
		t.Errorf("memory is %v of 8 GB", s.Memory)
	}
	debug.SetMemoryLimit(5_000_000_000)
	if n := LimitMemory(root); n != 5_000_000_000 {
		t.Errorf("what somebody set became %d", n)
	}
}
