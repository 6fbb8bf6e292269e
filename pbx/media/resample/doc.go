// Package resample changes the rate of audio between those of telephony: 8, 16
// and 48 kHz. A Resampler is a polyphase filter, a sinc under a Kaiser window:
// flat up to 3.4 kHz of a band of 4 (and in proportion), with what lies 15 %
// above the band 60 dB down. It keeps the end of each frame for the next one, so that
// frames join without a seam, and gives exactly as many samples as the rates
// ask for. Its delay is twenty samples of the lower rate.
//
// Values are not safe for concurrent use; nothing is allocated after New.
package resample
