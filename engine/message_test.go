package engine_test

import (
	"errors"
	"math"
	"slices"
	"strings"
	"testing"

	"omnibus/bus"
	"omnibus/engine"
	"omnibus/payload"
)

func messages() []*bus.Message {
	full := &bus.Message{
		Topic: "a/é/\xff\x00", ID: "0198-id", QoS: 2, Retain: true, Expires: math.MaxInt64,
		Headers: bus.MakeHeaders(bus.Header{Key: "k", Value: "v"}, bus.Header{Key: "k"}, bus.Header{Value: "\x00\xff"}),
	}
	full.Payload.Set(payload.CBOR, []byte("\x82\x01\x02"))
	long := &bus.Message{Topic: strings.Repeat("x/", 32_767), QoS: 1, Expires: -1}
	long.Payload.Set(payload.Raw, make([]byte, 1<<20))
	empty := &bus.Message{Expires: math.MinInt64}
	empty.Payload.Set(payload.Text, nil)
	return []*bus.Message{new(bus.Message), full, long, empty}
}

// sameMessage compares what a record holds.
func sameMessage(a, b *bus.Message) bool {
	return a.Topic == b.Topic && a.ID == b.ID && a.QoS == b.QoS && a.Retain == b.Retain && a.Expires == b.Expires &&
		slices.Equal(a.Headers.List(), b.Headers.List()) && a.Payload.Equal(&b.Payload)
}

func TestMessagesAreParsedAsTheyWereAppended(t *testing.T) {
	for _, m := range messages() {
		data := engine.AppendMessage([]byte("before"), m)
		var got bus.Message
		if err := engine.ParseMessage(data[len("before"):], &got); err != nil || !sameMessage(m, &got) {
			t.Errorf("message on %.20q: got one on %.20q, %v", m.Topic, got.Topic, err)
		}
	}
}

func TestCutRecordsAreErrors(t *testing.T) {
	m := messages()[1]
	data := engine.AppendMessage(nil, m)
	for n := range len(data) - len(m.Payload.Data()) {
		if err := engine.ParseMessage(data[:n], new(bus.Message)); !errors.Is(err, engine.ErrRecord) {
			t.Errorf("the first %d of %d bytes: %v, want ErrRecord", n, len(data), err)
		}
	}
	data[0]++
	if err := engine.ParseMessage(data, new(bus.Message)); !errors.Is(err, engine.ErrRecord) {
		t.Errorf("another version: %v, want ErrRecord", err)
	}
}

func TestFormsThatAreNotBytesAreRefused(t *testing.T) {
	for form := range 256 {
		form := payload.Form(form)
		known := form <= payload.Arrow && form != payload.Go
		data := engine.AppendMessage(nil, messages()[1])
		data[1] = byte(form)
		var got bus.Message
		err := engine.ParseMessage(data, &got)
		if known && (err != nil || got.Payload.Form() != form) {
			t.Errorf("form %s: got %s, %v", form, got.Payload.Form(), err)
		}
		if !known && !errors.Is(err, engine.ErrRecord) {
			t.Errorf("form %d: %v, want ErrRecord", form, err)
		}
		m := new(bus.Message)
		m.Payload.Set(form, nil)
		if panics := appendPanics(m); panics == known {
			t.Errorf("form %d: appending panics: %v", form, panics)
		}
	}
	m := new(bus.Message)
	m.Payload.SetGo("a string")
	if !appendPanics(m) {
		t.Error("a Go value was appended, and is lost")
	}
}

func appendPanics(m *bus.Message) (panics bool) {
	defer func() { panics = recover() != nil }()
	engine.AppendMessage(nil, m)
	return false
}

func FuzzParseMessage(f *testing.F) {
	for _, m := range messages() {
		if len(m.Topic) < 1000 {
			f.Add(engine.AppendMessage(nil, m))
		}
	}
	f.Add([]byte("\x01\x00\x00\x00\x00\x00\x00\xff\xff\xff\xff\x0f"))
	f.Add([]byte("\x01\x06\x00\x00\x00\x00\x00\x00")) // Go
	f.Fuzz(func(t *testing.T, data []byte) {
		var m, again bus.Message
		if err := engine.ParseMessage(data, &m); err != nil {
			if !errors.Is(err, engine.ErrRecord) {
				t.Errorf("%q does not wrap ErrRecord", err)
			}
			return
		}
		if err := engine.ParseMessage(engine.AppendMessage(nil, &m), &again); err != nil || !sameMessage(&m, &again) {
			t.Errorf("what %q holds is not what it holds when written again: %v", data, err)
		}
	})
}
