package server

import (
	"testing"
	"testing/synctest"
	"time"
)

func TestLook(t *testing.T) {
	for _, tc := range []struct {
		name  string
		so    int // at which look; 0: never
		want  bool
		after time.Duration
	}{
		{"at once", 1, true, 0},
		{"at the third look", 3, true, 2 * time.Second},
		{"never", 0, false, 10*time.Second + time.Second/2},
	} {
		t.Run(tc.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				began, looks := time.Now(), 0
				got := look(time.Second, 10*time.Second+time.Second/2, func() bool {
					looks++
					return looks == tc.so
				})
				if took := time.Since(began); got != tc.want || took != tc.after {
					t.Errorf("%t after %v, want %t after %v", got, took, tc.want, tc.after)
				}
			})
		})
	}
}
