package mycroft_test

import (
	"context"
	"errors"
	"testing"

	"go.uber.org/goleak"

	"omnibus/carrier"
	"omnibus/dialect"
	"omnibus/dialect/dialecttest"
	"omnibus/dialect/mycroft"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func driver() dialecttest.Driver {
	return dialecttest.Driver{
		Spec: mycroft.Spec(),
		Configure: func(c dialect.Config) {
			s := c.(*mycroft.Config)
			s.Listen = "127.0.0.1:0"
			s.MaxMessage, s.MaxQueue = 2<<20, 4<<20
		},
		Dial: dialecttest.DialRemote,
		Lacks: map[dialecttest.Ability]string{
			dialecttest.Selecting: "a hub's clients get every message",
			dialecttest.Knowing:   "a message that nobody answers is no error to a hub",
		},
		MalformedCounters: []string{"handshakes_failed", "frames_invalid", "frames_rejected"},
		Malformed: []string{
			"garbage\r\n\r\n",
			"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
			"GET /core HTTP/1.1\r\nHost: x\r\n\r\n",
			"\x16\x03\x01\x02\x00",
			// Unmasked.
			handshake + "\x81\x03abc",
			// Reserved opcode.
			handshake + "\x83\x80\x00\x00\x00\x00",
			// A length of 2^63.
			handshake + "\x81\xff\x7f\xff\xff\xff\xff\xff\xff\xff\x00\x00\x00\x00",
			// Not UTF-8.
			handshake + "\x81\x82\x00\x00\x00\x00\xff\xfe",
			// Not JSON.
			handshake + "\x81\x84\x00\x00\x00\x00nope",
			// A local event.
			handshake + "\x81\x90\x00\x00\x00\x00{\"type\":\"error\"}",
			// Half a close code.
			handshake + "\x88\x81\x00\x00\x00\x00\x03",
		},
		Unfinished: []string{"GET /core HT", handshake, handshake + "\x81\x84\x00\x00", handshake + "\x01\x81\x00\x00\x00\x00{"},
	}
}

const handshake = "GET /core HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n" +
	"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"

func TestConformance(t *testing.T) { dialecttest.Run(t, driver()) }

func TestTranscripts(t *testing.T) {
	dialecttest.Transcripts(t, driver(), func(url string) (dialecttest.Wire, error) {
		ws, err := carrier.DialWebSocket(context.Background(), url, nil, carrier.WebSocketOptions{})
		return &frames{ws}, err
	})
}

// frames is a client that sends and receives text frames.
type frames struct{ ws *carrier.WebSocket }

func (f *frames) Send(line string) error { return f.ws.Send(carrier.Text, []byte(line)) }

func (f *frames) Receive() (string, error) {
	op, data, err := f.ws.Read()
	if err == nil && op != carrier.Text {
		err = errors.New("a frame that is not text")
	}
	return string(data), err
}

func (f *frames) Close() error { return f.ws.Close(carrier.CloseNormal, "") }
