package server

import (
	"os"
	"syscall"

	"github.com/dipcast/dipcast/pbx/keeper"
	"github.com/dipcast/dipcast/pbx/media/rtpio"
)

// rtpSockets gives the media plane its keeper.
type rtpSockets struct{ keeper.Keeper }

var _ rtpio.Sockets = rtpSockets{}

// Keep implements rtpio.Sockets.
func (r rtpSockets) Keep(name string, files ...*os.File) {
	sockets := make([]syscall.Conn, len(files))
	for i, f := range files {
		sockets[i] = f
	}
	r.Keeper.Keep(name, sockets...)
}
