package web

import (
	"errors"
	"io"
	"io/fs"
	"mime"
	"net/http"
	"time"

	"github.com/dipcast/dipcast/pbx"
	"github.com/dipcast/dipcast/pbx/web/pages"
)

// listenTime bounds the transfer of a recording: an hour of talk over a slow
// line takes longer than a page.
const listenTime = time.Hour

// listen hands a recording to somebody who may hear it. What somebody may not
// hear does not exist for them.
func (s *Server) listen(w http.ResponseWriter, r *http.Request, v viewer) {
	record, state, err := s.find(r.Context(), pbx.CallID(r.PathValue("id")))
	if err == nil && (state != "" || !v.sees(&record) || !v.hears(&record)) {
		err = pbx.ErrGone
	}
	if err == nil {
		err = s.sendRecording(w, r, &record, v.session.ID)
	}
	switch {
	case err == nil:
	case errors.Is(err, pbx.ErrGone), errors.Is(err, fs.ErrNotExist):
		s.message(w, r, &v, pages.Message{Key: "not-found", Code: http.StatusNotFound, Link: "/", LinkKey: "to-history"})
	default:
		s.broken(w, r, &v, err)
	}
}

// getRecording is the same for machines.
func (s *Server) getRecording(w http.ResponseWriter, r *http.Request) {
	c, err := s.opts.CDRs.Get(r.Context(), pbx.CallID(r.PathValue("id")))
	if err == nil {
		err = s.sendRecording(w, r, &c, "api token")
	}
	switch {
	case err == nil:
	case errors.Is(err, pbx.ErrGone), errors.Is(err, fs.ErrNotExist):
		refuse(w, http.StatusNotFound, "not-found", "there is no recording of that call")
	default:
		s.internal(w, r, err)
	}
}

// sendRecording sends the file, or the part of it that is asked for. Who asked
// is in the log, each time. On an error nothing has been sent.
func (s *Server) sendRecording(w http.ResponseWriter, r *http.Request, c *pbx.CDR, who string) error {
	if c.Recording.File == "" || s.opts.Recording == nil {
		return fs.ErrNotExist
	}
	f, err := s.opts.Recording(c.Recording.File)
	if err != nil {
		return err
	}
	defer func() { _ = f.Close() }()
	sound, ok := f.(io.ReadSeeker)
	if !ok {
		return errors.New("recording " + c.Recording.File + ": the file cannot be read in parts")
	}
	s.opts.Log.InfoContext(r.Context(), "a recording is handed out", "call", c.ID, "who", who, "source", s.source(r), "range", r.Header.Get("Range"))
	// Without it the server's limit for pages holds: no harm is done.
	_ = http.NewResponseController(w).SetWriteDeadline(s.opts.Now().Add(listenTime))
	h := w.Header()
	h.Set("Content-Type", "audio/wav")
	h.Set("Content-Disposition", mime.FormatMediaType("inline", map[string]string{"filename": string(c.ID) + ".wav"}))
	h.Set("Cache-Control", "no-store")
	http.ServeContent(w, r, "", c.Ended, sound)
	return nil
}
