package sim

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"slices"
	"strconv"

	"github.com/dipcast/dipcast/pbx/works"
	"github.com/dipcast/dipcast/pbx/works/sim/schema"
)

const maxRequest = 1 << 20

// botState is a bot as the API shows it, with what the API hides.
type botState struct {
	works.Bot
	secret  string
	domain  int64
	members []string
	menu    json.RawMessage
}

func newBotState(b Bot) *botState {
	return &botState{
		Bot: works.Bot{
			BotID: b.BotID, Name: b.Name, CallbackURL: b.CallbackURL, EnableCallback: b.CallbackURL != "",
			CallbackEvents: []string{"text"}, ChannelEvents: []string{"message", "postback"},
		},
		secret: b.Secret, domain: b.DomainID, members: b.Members,
	}
}

// BotSettings returns a bot's settings as they are now.
func (s *Server) BotSettings(botID int64) (works.Bot, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	b, ok := s.bots[botID]
	if !ok {
		return works.Bot{}, false
	}
	return b.Bot, true
}

// Menu returns a bot's persistent menu as it was sent, nil if there is none.
func (s *Server) Menu(botID int64) json.RawMessage {
	s.mu.Lock()
	defer s.mu.Unlock()
	if b, ok := s.bots[botID]; ok {
		return b.menu
	}
	return nil
}

// bot finds the bot of a request. A bot that is not there, or belongs to
// another domain than the token, is answered alike.
func (s *Server) bot(w http.ResponseWriter, r *http.Request, g grant) *botState {
	id, err := strconv.ParseInt(r.PathValue("bot"), 10, 64)
	if err != nil {
		fail(w, http.StatusBadRequest, "INVALID_PARAMETER", "botId must be a number.")
		return nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	b, ok := s.bots[id]
	if !ok || g.user != "" || b.domain != g.app.DomainID {
		fail(w, http.StatusForbidden, "ACCESS_DENIED", "Access is denied for bot.")
		return nil
	}
	return b
}

// body reads a request's JSON and checks it.
func (s *Server) body(w http.ResponseWriter, r *http.Request, check func([]byte) error) ([]byte, bool) {
	data, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxRequest))
	if err == nil {
		err = check(data)
	}
	if err != nil {
		fail(w, http.StatusBadRequest, "INVALID_PARAMETER", err.Error())
		return nil, false
	}
	return data, true
}

func (s *Server) sendToUser(w http.ResponseWriter, r *http.Request, g grant) {
	b := s.bot(w, r, g)
	if b == nil {
		return
	}
	data, ok := s.body(w, r, schema.Message)
	if !ok {
		return
	}
	user, ok := s.userByName(r.PathValue("user"))
	if !ok || user.DomainID != b.domain || !user.Active() {
		fail(w, http.StatusNotFound, "USER_NOT_EXIST", "The user does not exist.")
		return
	}
	open := func(name string) bool { return name == user.UserID || name == user.Email }
	if len(b.members) > 0 && !slices.ContainsFunc(b.members, open) {
		fail(w, http.StatusForbidden, "ACCESS_DENIED", "Access is denied for bot.")
		return
	}
	var m struct {
		Content json.RawMessage `json:"content"`
	}
	err := json.Unmarshal(data, &m)
	if err != nil {
		fail(w, http.StatusBadRequest, "INVALID_PARAMETER", "the body is not JSON")
		return
	}
	msg, err := parseMessage(m.Content)
	if err != nil {
		fail(w, http.StatusBadRequest, "INVALID_PARAMETER", err.Error())
		return
	}
	if (msg.Type == "file" || msg.Type == "image") && msg.FileURL == "" && !s.uploaded(msg.File) {
		fail(w, http.StatusBadRequest, "INVALID_PARAMETER", "content.fileId content is invalid")
		return
	}
	msg.BotID, msg.BotName = b.BotID, b.Name
	s.post(user.UserID, msg)
	w.WriteHeader(http.StatusCreated)
}

func (s *Server) getBot(w http.ResponseWriter, r *http.Request, g grant) {
	if b := s.bot(w, r, g); b != nil {
		settings, _ := s.BotSettings(b.BotID)
		writeJSON(w, http.StatusOK, settings)
	}
}

func (s *Server) patchBot(w http.ResponseWriter, r *http.Request, g grant) {
	b := s.bot(w, r, g)
	if b == nil {
		return
	}
	var p works.BotPatch
	dec := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxRequest))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&p); err != nil {
		fail(w, http.StatusBadRequest, "INVALID_PARAMETER", err.Error())
		return
	}
	if p.CallbackURL != nil {
		if err := checkCallback(*p.CallbackURL); err != nil {
			fail(w, http.StatusBadRequest, "INVALID_PARAMETER", err.Error())
			return
		}
	}
	if !known(p.CallbackEvents, "text", "location", "sticker", "image", "file", "audio", "video") ||
		!known(p.ChannelEvents, "message", "join", "leave", "joined", "left", "postback", "begin", "end") {
		fail(w, http.StatusBadRequest, "INVALID_PARAMETER", "An event is not a documented one.")
		return
	}
	s.mu.Lock()
	b.patch(p)
	s.mu.Unlock()
	settings, _ := s.BotSettings(b.BotID)
	writeJSON(w, http.StatusOK, settings)
}

func known(values []string, documented ...string) bool {
	return !slices.ContainsFunc(values, func(v string) bool { return !slices.Contains(documented, v) })
}

func (b *botState) patch(p works.BotPatch) {
	if p.EnableCallback != nil {
		b.EnableCallback = *p.EnableCallback
	}
	if p.CallbackURL != nil {
		b.CallbackURL = *p.CallbackURL
	}
	if p.CallbackEvents != nil {
		b.CallbackEvents = p.CallbackEvents
	}
	if p.ChannelEvents != nil {
		b.ChannelEvents = p.ChannelEvents
	}
}

func (s *Server) setMenu(w http.ResponseWriter, r *http.Request, g grant) {
	b := s.bot(w, r, g)
	if b == nil {
		return
	}
	data, ok := s.body(w, r, schema.Menu)
	if !ok {
		return
	}
	s.mu.Lock()
	b.menu = bytes.Clone(data)
	s.mu.Unlock()
	writeJSON(w, http.StatusCreated, json.RawMessage(data))
}

func (s *Server) getMenu(w http.ResponseWriter, r *http.Request, g grant) {
	b := s.bot(w, r, g)
	if b == nil {
		return
	}
	menu := s.Menu(b.BotID)
	if menu == nil {
		fail(w, http.StatusNotFound, "NOT_FOUND", "There is no persistent menu.")
		return
	}
	writeJSON(w, http.StatusOK, menu)
}

func (s *Server) deleteMenu(w http.ResponseWriter, r *http.Request, g grant) {
	if b := s.bot(w, r, g); b != nil {
		s.mu.Lock()
		b.menu = nil
		s.mu.Unlock()
		w.WriteHeader(http.StatusNoContent)
	}
}
