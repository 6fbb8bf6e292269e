// Command demo shows the product's main job on one machine: it starts the
// NAVER WORKS simulator and `dipcast up` with the sample manifests, registers
// phones, lets an outside caller ring the company, presses a button of the
// card that appears, and proves with tones who talks to whom.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"net/http"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/dipcast/dipcast/hack/demo/stage"
)

// The addresses of the demo; config/samples/demo says the same.
const (
	pbxSIP     = "127.0.0.1:5060"
	pbxHTTP    = "http://127.0.0.1:8080"
	worksSim   = "127.0.0.1:9080"
	carrierSIP = "127.0.0.2:5070"
	samples    = "config/samples/demo"
	data       = ".demo"
)

func main() {
	bin := flag.String("bin", "bin/dipcast", "the program to run")
	once := flag.Bool("once", false, "end after the call instead of staying up")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, *bin, *once)
	stop()
	if err != nil && !errors.Is(err, context.Canceled) {
		fmt.Fprintln(os.Stderr, "demo:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, bin string, once bool) (err error) {
	if err := os.RemoveAll(data); err != nil {
		return err
	}
	if err := os.MkdirAll(data, 0o700); err != nil {
		return err
	}
	began := time.Now()
	tell := stage.Teller{Out: os.Stdout}
	programs := &stage.Programs{
		Dir: data, Hint: "the demo wants 127.0.0.1 ports 5060, 8080, 9080 and 127.0.0.2 port 5070 for itself",
	}
	defer func() {
		if e := programs.Stop(); err == nil {
			err = e // else it only follows from err
		}
	}()

	tell.Step("Starting NAVER WORKS (simulated) and the PBX from %s", samples)
	if err := programs.Start(bin, "works-sim", "--from", samples, "--listen", worksSim); err != nil {
		return err
	}
	if err := programs.Start(bin, "up", "-f", samples, "--data", data, "--advertise", "127.0.0.1", "--drain", "5s"); err != nil {
		return err
	}
	ready, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	for _, url := range []string{"http://" + worksSim + "/sim/users", pbxHTTP + "/readyz"} {
		if err := programs.Until(ready, http.DefaultClient, url); err != nil {
			return err
		}
	}
	scene, err := stage.New(ctx, place(), tell)
	if err != nil {
		return err
	}
	defer scene.Close()
	played, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	if err := scene.Play(played); err != nil {
		return fmt.Errorf("%w\n(the programs' output is in %s/*.log)", err, data)
	}
	tell.Step("Done in %.1f s.", time.Since(began).Seconds())
	if once {
		return nil
	}
	stay(tell)
	playing, done := context.WithCancel(ctx)
	hosted := make(chan struct{})
	go func() {
		defer close(hosted)
		scene.Host(playing, os.Stdin)
	}()
	err = programs.Wait(ctx)
	done()
	<-hosted
	tell.Step("Ending")
	return err
}

// place is the one machine.
func place() stage.Place {
	return stage.Place{
		SIP: pbxSIP, Console: pbxHTTP, Works: "http://" + worksSim, Phones: "127.0.0.1:0", Carrier: carrierSIP, Client: http.DefaultClient,
		Token: func() (string, error) {
			token, err := os.ReadFile(filepath.Join(data, "acme", "acme", "api-token"))
			return strings.TrimSpace(string(token)), err
		},
	}
}

// stay tells what can be tried while the demo stays up.
func stay(tell stage.Teller) {
	tell.Step("Everything stays up until Ctrl-C. Try it yourself:")
	tell.Note("the employees' chat     http://%s/chat", worksSim)
	tell.Note("the console             %s  (sign in as 김하늘)", pbxHTTP)
	tell.Note("the call records        curl -H \"Authorization: Bearer $(cat %s/acme/acme/api-token)\" %s/api/v1/cdrs", data, pbxHTTP)
	tell.Note("your own SIP phone      server %s, domain acme.pbx.example.com", pbxSIP)
	tell.Note("                        user 101 password demo-haneul-7Qm2vXc9")
	tell.Note("                        user 102 password demo-bada-4Tz8kWn1")
	tell.Note("                        user 103 password demo-sol-9Rb5yHd3")
	tell.Note("another outside call    press Enter here; the phones are lifted by themselves")
}
