package record

import (
	"errors"
	"fmt"

	"github.com/dipcast/dipcast/pbx/media"
	"github.com/dipcast/dipcast/pbx/media/g722"
	"github.com/dipcast/dipcast/pbx/media/opus"
	"github.com/dipcast/dipcast/pbx/media/resample"
)

// wideSamples is the most that one payload holds at 16 kHz: G.722 has two
// samples in each octet.
const wideSamples = 2 * maxPayload

// decoder turns the packets of one stream into sound at 8 kHz, in the order in
// which they came. A packet out of order is heard a little worse: the decoder
// goes by what came before.
type decoder interface {
	// decode writes the samples of a payload and returns how many there are.
	decode(dst, wide []int16, payload []byte) (int, error)
}

// newDecoder returns a decoder, one that knows only silence for formats that
// nothing here can decode.
func newDecoder(f media.Format) (decoder, error) {
	down, err := resample.New(2*Rate, Rate)
	if err != nil {
		return deaf{}, fmt.Errorf("decoder: %w", err)
	}
	switch f {
	case media.FormatG722:
		d := g722.NewDecoder()
		return &wideband{down: down, decodes: func(dst []int16, payload []byte) (int, error) { return d.Decode(dst, payload), nil }}, nil
	case media.FormatOpus:
		d, err := opus.NewDecoder()
		if err != nil {
			return deaf{}, fmt.Errorf("decoder: %w", err)
		}
		return &wideband{down: down, decodes: d.Decode}, nil
	}
	return deaf{}, nil
}

// wideband decodes at 16 kHz and keeps the lower half of it.
type wideband struct {
	down    *resample.Resampler
	decodes func(dst []int16, payload []byte) (int, error)
}

func (w *wideband) decode(dst, wide []int16, payload []byte) (int, error) {
	n, err := w.decodes(wide, payload)
	if err != nil {
		return 0, err
	}
	return resample.Do(w.down, dst, wide[:n]), nil
}

// deaf decodes nothing.
type deaf struct{}

var errDeaf = errors.New("no decoder for this format")

func (deaf) decode([]int16, []int16, []byte) (int, error) { return 0, errDeaf }
