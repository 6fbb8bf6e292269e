package keeper

import (
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"runtime"
	"runtime/debug"
	"strconv"
	"syscall"
	"time"
)

// Env is the variable in the environment that tells a process its place: unset,
// it becomes the parent; Off, it runs without one; otherwise it is a child,
// and the number of its socket is there.
const Env = "DIPCAST_KEEPER"

// Off is the value of Env for a process without a parent, as debuggers want.
const Off = "off"

// Main runs a program under a parent and returns the exit code; it is all that
// main does, so that the parent does nothing else. The same program is started
// again as the child, where run is called. A child that ends with code 0, by
// itself before the first one was ready, or after the parent was told to end
// (SIGTERM, SIGINT, SIGHUP, which are passed on) ends the parent with its code.
// One that dies otherwise is started again: at once, then ever slower, at last
// not any more. SIGUSR2, which is passed on too, hands over to a new child, of
// the program that is now at the path of the old.
func Main(stderr io.Writer, run func(*Child) int) int {
	log := slog.New(slog.NewTextHandler(stderr, nil))
	switch place := os.Getenv(Env); place {
	case Off:
		return run(Alone())
	case "":
		code, err := beParent(log)
		if err == nil {
			return code
		}
		log.Warn("the program runs without a keeper of its sockets", "error", err)
		return run(Alone())
	default:
		c, err := beChild(place, log)
		if err != nil {
			fmt.Fprintln(stderr, "keeper:", err)
			return 1
		}
		return run(c)
	}
}

func beChild(place string, log *slog.Logger) (*Child, error) {
	fd, err := strconv.Atoi(place)
	if err != nil {
		return nil, fmt.Errorf("%s=%q: must be unset or %q", Env, place, Off)
	}
	if err := os.Unsetenv(Env); err != nil {
		return nil, err
	}
	return newChild(fd, log)
}

func beParent(log *slog.Logger) (code int, err error) {
	path, err := os.Executable()
	if err != nil {
		return 0, err
	}
	// The child dies with the thread that started it.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	signals := make(chan os.Signal, 16)
	signal.Notify(signals, syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP, syscall.SIGQUIT, syscall.SIGUSR2)
	defer signal.Stop(signals)
	p := &parent{
		path: path, argv: os.Args, env: os.Environ(), log: log,
		store: newStore(openFiles()), signals: signals, now: time.Now,
	}
	lean()
	return p.run()
}

// lean gives back what the start of the whole program took: the parent needs
// next to nothing of it, and makes next to no garbage.
func lean() {
	debug.SetGCPercent(20)
	debug.FreeOSMemory()
}
