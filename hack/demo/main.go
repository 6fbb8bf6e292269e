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
	"os"
	"os/signal"
	"syscall"
	"time"
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
	programs := &programs{}
	defer func() {
		if e := programs.stop(); err == nil {
			err = e // else it only follows from err
		}
	}()

	step("Starting NAVER WORKS (simulated) and the PBX from %s", samples)
	if err := programs.start(bin, "works-sim", "--from", samples, "--listen", worksSim); err != nil {
		return err
	}
	if err := programs.start(bin, "up", "-f", samples, "--data", data, "--advertise", "127.0.0.1", "--drain", "5s"); err != nil {
		return err
	}
	ready, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	for _, url := range []string{"http://" + worksSim + "/sim/users", pbxHTTP + "/readyz"} {
		if err := programs.until(ready, url); err != nil {
			return err
		}
	}
	scene, err := newScene(ctx)
	if err != nil {
		return err
	}
	defer scene.close()
	played, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	if err := scene.play(played); err != nil {
		return fmt.Errorf("%w\n(the programs' output is in %s/*.log)", err, data)
	}
	step("Done in %.1f s.", time.Since(began).Seconds())
	if once {
		return nil
	}
	stay()
	playing, done := context.WithCancel(ctx)
	hosted := make(chan struct{})
	go func() {
		defer close(hosted)
		scene.host(playing, os.Stdin)
	}()
	err = programs.wait(ctx)
	done()
	<-hosted
	step("Ending")
	return err
}

// step prints one line of what happens.
func step(format string, args ...any) {
	fmt.Fprintf(os.Stdout, "▶ "+format+"\n", args...)
}

func note(format string, args ...any) {
	fmt.Fprintf(os.Stdout, "    "+format+"\n", args...)
}

// stay tells what can be tried while the demo stays up.
func stay() {
	step("Everything stays up until Ctrl-C. Try it yourself:")
	note("the employees' chat     http://%s/chat", worksSim)
	note("the console             %s  (sign in as 김하늘)", pbxHTTP)
	note("the call records        curl -H \"Authorization: Bearer $(cat %s/acme/acme/api-token)\" %s/api/v1/cdrs", data, pbxHTTP)
	note("your own SIP phone      server %s, domain acme.pbx.example.com", pbxSIP)
	note("                        user 101 password demo-haneul-7Qm2vXc9")
	note("                        user 102 password demo-bada-4Tz8kWn1")
	note("                        user 103 password demo-sol-9Rb5yHd3")
	note("another outside call    press Enter here; the phones are lifted by themselves")
}
