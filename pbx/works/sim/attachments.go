package sim

import (
	"encoding/json"
	"io"
	"mime"
	"net/http"
	"path"
	"strings"
	"time"

	"github.com/dipcast/dipcast/pbx/works"
	"github.com/dipcast/dipcast/pbx/works/sim/schema"
)

// file is an attachment; both of its addresses are good for 24 hours.
type file struct {
	id, name, key string
	data          []byte
	uploaded      bool
	expires       time.Time
}

const fileLife = 24 * time.Hour

// blocked reports whether the documents refuse a file for its ending.
func blocked(name string) bool {
	switch strings.ToLower(path.Ext(name)) {
	case ".bat", ".cmd", ".com", ".cpl", ".exe", ".scr", ".js", ".vbs", ".wsf", ".hta":
		return true
	}
	return false
}

func (s *Server) createAttachment(w http.ResponseWriter, r *http.Request, g grant) {
	if s.bot(w, r, g) == nil {
		return
	}
	data, ok := s.body(w, r, schema.Attachment)
	if !ok {
		return
	}
	name := decodeFileName(data)
	if blocked(name) {
		fail(w, http.StatusBadRequest, "INVALID_PARAMETER", "This kind of file is blocked.")
		return
	}
	f := &file{id: random(), name: name, key: random(), expires: s.cfg.Now().Add(fileLife)}
	s.mu.Lock()
	s.files[f.id] = f
	s.mu.Unlock()
	writeJSON(w, http.StatusOK, map[string]string{"fileId": f.id, "uploadUrl": s.base(r) + "/storage/" + f.key})
}

// byKey finds a file by the secret part of its storage address.
func (s *Server) byKey(key string) *file {
	for _, f := range s.files {
		if f.key == key && s.cfg.Now().Before(f.expires) {
			return f
		}
	}
	return nil
}

// upload takes the one part "Filedata", once.
func (s *Server) upload(w http.ResponseWriter, r *http.Request) {
	if _, ok := s.bearer(r); !ok {
		fail(w, http.StatusUnauthorized, "UNAUTHORIZED", "Authentication failed.")
		return
	}
	r.Body = http.MaxBytesReader(w, r.Body, works.MaxAttachment+1<<16)
	part, _, err := r.FormFile("Filedata")
	if err != nil {
		fail(w, http.StatusBadRequest, "MISSING_PARAMETER", "The part Filedata is missing.")
		return
	}
	defer func() { _ = part.Close() }()
	data, err := io.ReadAll(part)
	if err != nil {
		fail(w, http.StatusBadRequest, "BAD_REQUEST", err.Error())
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	f := s.byKey(r.PathValue("key"))
	if f == nil || f.uploaded {
		fail(w, http.StatusGone, "DELETED", "The upload address is used or expired.")
		return
	}
	f.data, f.uploaded = data, true
	writeJSON(w, http.StatusOK, map[string]string{"fileId": f.id})
}

// uploaded reports whether a file ID can be sent.
func (s *Server) uploaded(id string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	f, ok := s.files[id]
	return ok && f.uploaded && s.cfg.Now().Before(f.expires)
}

func (s *Server) locateAttachment(w http.ResponseWriter, r *http.Request, g grant) {
	if s.bot(w, r, g) == nil {
		return
	}
	s.mu.Lock()
	f := s.files[r.PathValue("file")]
	s.mu.Unlock()
	if f == nil || !s.uploaded(f.id) {
		fail(w, http.StatusNotFound, "FILE_NOT_EXIST", "The file does not exist.")
		return
	}
	w.Header().Set("Location", s.base(r)+"/storage/"+f.key)
	w.WriteHeader(http.StatusFound)
}

func (s *Server) download(w http.ResponseWriter, r *http.Request) {
	if _, ok := s.bearer(r); !ok {
		fail(w, http.StatusUnauthorized, "UNAUTHORIZED", "Authentication failed.")
		return
	}
	s.mu.Lock()
	f := s.byKey(r.PathValue("key"))
	s.mu.Unlock()
	if f == nil || !s.uploaded(f.id) {
		fail(w, http.StatusNotFound, "FILE_NOT_EXIST", "The file does not exist.")
		return
	}
	s.serveFile(w, f)
}

// serveFile never lets a browser run what was uploaded.
func (s *Server) serveFile(w http.ResponseWriter, f *file) {
	w.Header().Set("Content-Type", "application/octet-stream")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	w.Header().Set("Content-Disposition", mime.FormatMediaType("attachment", map[string]string{"filename": f.name}))
	s.mu.Lock()
	data := f.data
	s.mu.Unlock()
	_, _ = w.Write(data) // the client has gone: nothing is left to do
}

// decodeFileName reads a body that was checked before.
func decodeFileName(body []byte) string {
	var b struct {
		FileName string `json:"fileName"`
	}
	_ = json.Unmarshal(body, &b) // checked: it is an object with that one string
	return b.FileName
}
