package jetstream_test

import (
	"bytes"
	"math"
	"testing"

	"omnibus/bus"
	"omnibus/engine"
	"omnibus/engine/jetstream"
)

// block encodes entries as the journal does.
func block(first bus.Position, entries ...*engine.Entry) []byte {
	data := jetstream.AppendHeader(nil, jetstream.NewHeader(first, uint32(len(entries))))
	for _, e := range entries {
		data = jetstream.AppendEntry(data, e)
	}
	return data
}

func decode(data []byte) ([]*engine.Entry, error) {
	h, entries, err := jetstream.ParseHeader(data)
	if err != nil {
		return nil, err
	}
	return jetstream.DecodeEntries(nil, h, entries, 0, math.MaxInt)
}

func FuzzBlock(f *testing.F) {
	full := &engine.Entry{
		Time: -1, Kind: engine.StepEntry, Tenant: "t", Topic: "a/b", Form: 3, Payload: []byte("payload"), ID: "id", From: "from",
		Headers: []bus.Header{{Key: "k", Value: "v"}, {}}, QoS: 2, Retain: true, Expires: math.MaxInt64, Session: "s", Step: []byte("step"),
	}
	f.Add(block(1, full, &engine.Entry{}, full))
	f.Add(block(math.MaxUint64-3, &engine.Entry{Payload: make([]byte, 20_000)}))
	f.Add(block(7, full)[:30])
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, data []byte) {
		entries, err := decode(data)
		if err != nil {
			return
		}
		total := 0
		for _, e := range entries {
			total += len(e.Payload) + len(e.Step) + len(e.Topic) + 2*len(e.Headers)
		}
		if total > len(data) {
			t.Fatalf("%d bytes became %d", len(data), total)
		}
		again := block(entries[0].Position, entries...)
		other, err := decode(again)
		if err != nil || len(other) != len(entries) {
			t.Fatalf("encoded again: %d entries, %v; want %d", len(other), err, len(entries))
		}
		if !bytes.Equal(block(other[0].Position, other...), again) {
			t.Error("what was decoded and encoded is another block")
		}
	})
}

func FuzzRecord(f *testing.F) {
	f.Add([]byte{1, 0, 1, 'k', 'v'})
	f.Add([]byte{1, 1, 0})
	f.Add([]byte{1, 0, 200, 1})
	f.Fuzz(func(t *testing.T, data []byte) {
		key, value, _, err := jetstream.ParseRecord(data)
		if err == nil && len(key)+len(value) > len(data) {
			t.Errorf("%d bytes became a key of %d and a value of %d", len(data), len(key), len(value))
		}
	})
}

func TestEntriesOfAnySizeAreWithinTheirBound(t *testing.T) {
	for _, n := range []int{0, 1, 90, 100, 110, 120, 127, 128, 129, 16_000, 16_383, 16_384, 20_000, 1 << 20, 3 << 20} {
		e := &engine.Entry{Payload: bytes.Repeat([]byte{'x'}, n), Headers: []bus.Header{{Key: "k"}}}
		data := jetstream.AppendEntry(nil, e)
		if len(data) > jetstream.EntrySize(e) {
			t.Errorf("%d bytes of payload take %d, bound %d", n, len(data), jetstream.EntrySize(e))
		}
		got, err := decode(block(9, e, e))
		if err != nil || len(got) != 2 || !bytes.Equal(got[1].Payload, e.Payload) || got[1].Position != 10 {
			t.Errorf("%d bytes of payload: %d entries, %v", n, len(got), err)
		}
	}
}
