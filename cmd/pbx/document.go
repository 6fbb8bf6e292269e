package main

import (
	"fmt"
	"log/slog"
	"os"

	"github.com/dipcast/dipcast/pbx/conf"
	"github.com/dipcast/dipcast/pbx/server"
)

// read returns the document in the file. On an error generation is the one of
// the text, if it has one.
func read(path string) (d *conf.Document, generation string, err error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, "", err
	}
	if d, err = conf.Parse(text); err != nil {
		return nil, conf.GenerationOf(text), fmt.Errorf("%s: %w", path, err)
	}
	return d, d.Generation, nil
}

// apply puts a changed document in force; with a wrong one the last good one
// goes on, and the report says so.
func apply(s *server.Server, path string, log *slog.Logger) {
	d, generation, err := read(path)
	if err != nil {
		s.Refuse(generation, err)
	} else {
		_, err = s.Apply(d)
	}
	if err != nil {
		log.Error("the new document is refused; the last good one goes on", "generation", generation, "error", err)
	}
}
