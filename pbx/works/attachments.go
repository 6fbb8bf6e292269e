package works

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"mime/multipart"
	"net/http"
	"net/url"
	"slices"
	"strings"
)

// MaxAttachment is the largest attachment that is moved, in bytes. The
// tenant's own file policy may allow less.
const MaxAttachment = 50 << 20

// Upload brings a file to NAVER WORKS and returns its ID, which is good for
// 24 hours. The data is held in memory.
func (c *Client) Upload(ctx context.Context, fileName string, data []byte) (fileID string, err error) {
	if len(data) == 0 || len(data) > MaxAttachment {
		return "", fmt.Errorf("attachment %q has %d bytes: must have 1 to %d", Truncate(fileName, 100), len(data), MaxAttachment)
	}
	var slot struct {
		FileID    string `json:"fileId"`
		UploadURL string `json:"uploadUrl"`
	}
	err = c.do(ctx, call{
		operation: "bot.attachment.create", method: http.MethodPost, path: c.botPath("attachments"),
		in: map[string]string{"fileName": fileName}, out: &slot,
	})
	if err != nil {
		return "", err
	}
	if err := c.checkStorage(slot.UploadURL); err != nil {
		return "", err
	}
	body, contentType, err := multipartBody(fileName, data)
	if err != nil {
		return "", err
	}
	const operation = "bot.attachment.upload"
	return slot.FileID, c.storage(ctx, operation, func(ctx context.Context, token string) (*http.Request, error) {
		r, err := newRequest(ctx, http.MethodPost, slot.UploadURL, token, body)
		if err == nil {
			r.Header.Set("Content-Type", contentType)
		}
		return r, err
	}, func(resp *http.Response) error {
		return wantStatus(resp, http.StatusOK, http.StatusCreated, http.StatusNoContent)
	})
}

// multipartBody is the form with the one part "Filedata".
func multipartBody(fileName string, data []byte) (body []byte, contentType string, err error) {
	var b bytes.Buffer
	w := multipart.NewWriter(&b)
	part, err := w.CreateFormFile("Filedata", fileName)
	if err != nil {
		return nil, "", err
	}
	if _, err := part.Write(data); err != nil {
		return nil, "", err
	}
	if err := w.Close(); err != nil {
		return nil, "", err
	}
	return b.Bytes(), w.FormDataContentType(), nil
}

// Download fetches an attachment whole (scope bot or bot.read). The redirect
// is followed by hand and only to a storage host, since the second request
// needs the token, too.
func (c *Client) Download(ctx context.Context, fileID string) ([]byte, error) {
	const operation = "bot.attachment.get"
	first := c.target(call{path: c.botPath("attachments", fileID)})
	var location string
	err := c.storage(ctx, operation, func(ctx context.Context, token string) (*http.Request, error) {
		return newRequest(ctx, http.MethodGet, first, token, nil)
	}, func(resp *http.Response) error {
		location = resp.Header.Get("Location")
		return wantStatus(resp, http.StatusFound, http.StatusSeeOther, http.StatusTemporaryRedirect)
	})
	if err != nil {
		return nil, err
	}
	if err := c.checkStorage(location); err != nil {
		return nil, err
	}
	var data []byte
	err = c.storage(ctx, operation, func(ctx context.Context, token string) (*http.Request, error) {
		return newRequest(ctx, http.MethodGet, location, token, nil)
	}, func(resp *http.Response) error {
		if err := wantStatus(resp, http.StatusOK); err != nil {
			return err
		}
		var err error
		data, err = io.ReadAll(io.LimitReader(resp.Body, MaxAttachment+1))
		if err == nil && len(data) > MaxAttachment {
			err = fmt.Errorf("attachment is larger than %d bytes", MaxAttachment)
		}
		return err
	})
	return data, err
}

// storage performs one exchange without the request time-out, which would be
// too short for large files: the caller's context rules. One 401 is answered
// with a new token.
func (c *Client) storage(ctx context.Context, operation string,
	build func(context.Context, string) (*http.Request, error), read func(*http.Response) error,
) error {
	for try := 0; ; try++ {
		token, err := c.tokens.get(ctx)
		if err != nil {
			return err
		}
		again, err := c.storageOnce(ctx, operation, token, build, read)
		if !again || try > 0 {
			return err
		}
		c.tokens.drop(token)
	}
}

func (c *Client) storageOnce(ctx context.Context, operation, token string,
	build func(context.Context, string) (*http.Request, error), read func(*http.Response) error,
) (unauthorized bool, err error) {
	req, err := build(ctx, token)
	if err != nil {
		return false, &TransportError{Operation: operation, Err: withoutURL(err)}
	}
	begin := c.opts.Now()
	resp, err := c.http.Do(req)
	if err != nil {
		c.opts.Observe(operation, 0, c.opts.Now().Sub(begin))
		return false, &TransportError{Operation: operation, Sent: true, Err: withoutURL(err)}
	}
	defer func() { _ = resp.Body.Close() }()
	c.opts.Observe(operation, resp.StatusCode, c.opts.Now().Sub(begin))
	if resp.StatusCode >= 400 {
		data, _ := io.ReadAll(io.LimitReader(resp.Body, 1<<16)) // whatever came says more than nothing
		return resp.StatusCode == http.StatusUnauthorized,
			parseError(operation, reply{resp.StatusCode, resp.Header, data}, c.redact)
	}
	if err := read(resp); err != nil {
		return false, &TransportError{Operation: operation, Sent: true, Err: withoutURL(err)}
	}
	return false, nil
}

func wantStatus(resp *http.Response, accepted ...int) error {
	if slices.Contains(accepted, resp.StatusCode) {
		return nil
	}
	return fmt.Errorf("HTTP %d was not expected here", resp.StatusCode)
}

// checkStorage refuses to send the token anywhere but to the storage hosts,
// or to the API's own origin. The URL is not quoted: it may be a credential.
func (c *Client) checkStorage(raw string) error {
	u, err := url.Parse(raw)
	if err != nil || u.Host == "" || u.User != nil {
		return errors.New("attachment: NAVER WORKS named no usable storage address")
	}
	if api, err := url.Parse(c.cfg.APIURL); err == nil && api.Scheme == u.Scheme && api.Host == u.Host {
		return nil
	}
	if u.Scheme == "https" {
		for _, suffix := range append([]string{DefaultStorageHost}, c.cfg.StorageHosts...) {
			if suffix != "" && strings.HasSuffix("."+strings.ToLower(u.Hostname()), "."+strings.ToLower(strings.TrimPrefix(suffix, "."))) {
				return nil
			}
		}
	}
	return fmt.Errorf("attachment: storage host %q is not one that may see the access token: add its suffix to the storage hosts", u.Hostname())
}
