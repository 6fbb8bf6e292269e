package server

import (
	"os"
	"syscall"

	"github.com/dipcast/dipcast/pbx/keeper"
	"github.com/dipcast/dipcast/pbx/media/rtpio"
)

// held gives the media plane its keeper.
type held struct{ keeper.Keeper }

var _ rtpio.Sockets = held{}

// Keep implements rtpio.Sockets.
func (h held) Keep(name string, files ...*os.File) {
	sockets := make([]syscall.Conn, len(files))
	for i, f := range files {
		sockets[i] = f
	}
	h.Keeper.Keep(name, sockets...)
}
