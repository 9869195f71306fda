package mapping_test

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"testing"

	"omnibus/bus"
	"omnibus/dialect/mqtt/mapping"
	"omnibus/dialect/mqtt/packet"
)

func TestPropertiesBecomeHeaders(t *testing.T) {
	p := packet.MessageProperties{ContentType: "a/b", ResponseTopic: "r/t", CorrelationData: []byte{0, 255}, PayloadFormat: 1}
	p.User = p.User.Append("k", "1").Append("mqtt-content-type", "forged").Append("k", "2").Append("mqtt-response-topic", "x").
		Append("mqtt-correlation-data", "AA==").Append("mqtt-payload-format", "1").Append("", "")
	want := []bus.Header{
		{Key: "mqtt-content-type", Value: "a/b"},
		{Key: "mqtt-response-topic", Value: "r/t"},
		{Key: "mqtt-correlation-data", Value: "AP8="},
		{Key: "mqtt-payload-format", Value: "1"},
		{Key: "k", Value: "1"},
		{Key: "k", Value: "2"},
		{Key: "", Value: ""},
	}
	if got := mapping.Headers(&p); !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
	if got := mapping.Headers(&packet.MessageProperties{MessageExpiryInterval: 1}); got != nil {
		t.Errorf("got %q, want none", got)
	}
}

func TestHeadersThatCannotBeWrittenAreLeftOut(t *testing.T) {
	long := strings.Repeat("x", 65_536)
	var p packet.MessageProperties
	p.User = p.User.Append("old", "x")
	scratch := mapping.SetProperties(&p, []bus.Header{
		{Key: "mqtt-content-type", Value: "\xff"},
		{Key: "mqtt-content-type", Value: "second"},
		{Key: "mqtt-response-topic", Value: "a/+"},
		{Key: "mqtt-correlation-data", Value: "no base64!"},
		{Key: "mqtt-payload-format", Value: "2"},
		{Key: "k", Value: long},
		{Key: long, Value: "v"},
		{Key: "k", Value: "\xff"},
		{Key: "k\x00", Value: "v"},
		{Key: "k", Value: "v"},
	}, []byte("before"))
	if !bytes.HasPrefix(scratch, []byte("before")) {
		t.Errorf("what was in the memory is %q", scratch)
	}
	var want packet.MessageProperties
	want.User = want.User.Append("k", "v")
	want.Present.Add(packet.UserProperty)
	if !reflect.DeepEqual(p, want) {
		t.Errorf("got %+v", p)
	}
	for _, data := range []int{65_535, 65_536, 65_537} {
		p = packet.MessageProperties{}
		mapping.SetProperties(&p, []bus.Header{{Key: "mqtt-correlation-data", Value: base64.StdEncoding.EncodeToString(make([]byte, data))}}, nil)
		if got := len(p.CorrelationData); got != data && data == 65_535 || got != 0 && data > 65_535 {
			t.Errorf("of %d bytes of correlation data %d are written", data, got)
		}
	}
}

func TestMemoryIsUsedAgain(t *testing.T) {
	headers := []bus.Header{
		{Key: "mqtt-content-type", Value: "a/b"},
		{Key: "mqtt-response-topic", Value: "r"},
		{Key: "mqtt-correlation-data", Value: base64.StdEncoding.EncodeToString(make([]byte, 100))},
		{Key: "k", Value: "v"},
	}
	scratch := make([]byte, 0, 1024)
	n := testing.AllocsPerRun(100, func() {
		var p packet.MessageProperties
		scratch = mapping.SetProperties(&p, headers, scratch[:0])
		if len(p.CorrelationData) != 100 || len(p.User) == 0 {
			t.Error("something is missing")
		}
	})
	if n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// Random properties survive being headers.
func TestHeadersBecomeTheSameProperties(t *testing.T) {
	const seed = 7
	d := rand.New(rand.NewPCG(seed, seed))
	text := func() string {
		letters := []rune("aZ0 /$ö℃😀\uFEFF=,")
		s := make([]rune, d.IntN(12))
		for i := range s {
			s[i] = letters[d.IntN(len(letters))]
		}
		return string(s)
	}
	scratch := []byte(nil)
	for range 2000 {
		var p, q packet.MessageProperties
		if d.IntN(2) == 0 {
			p.ContentType = text()
			p.Present.Add(packet.ContentType)
		}
		if d.IntN(2) == 0 {
			p.ResponseTopic = "t" + text()
			p.Present.Add(packet.ResponseTopic)
		}
		if d.IntN(2) == 0 {
			p.CorrelationData = []byte(text())
			p.Present.Add(packet.CorrelationData)
		}
		if d.IntN(2) == 0 {
			p.PayloadFormat = 1
			p.Present.Add(packet.PayloadFormatIndicator)
		}
		for range d.IntN(4) {
			p.User = p.User.Append(text(), text())
			p.Present.Add(packet.UserProperty)
		}
		headers := mapping.Headers(&p)
		scratch = mapping.SetProperties(&q, headers, scratch[:0])
		if a, b := fmt.Sprintf("%+v", p), fmt.Sprintf("%+v", q); a != b {
			t.Fatalf("%s came back as %s", a, b)
		}
	}
}

// FuzzHeaders: the properties of any PUBLISH survive being headers and a packet.
func FuzzHeaders(f *testing.F) {
	f.Add([]byte{0, 1, 'a', 0})
	f.Add([]byte("\x00\x01a\x0d\x03\x00\x01x\x09\x00\x01y\x26\x00\x01k\x00\x00"))
	f.Add([]byte("\x00\x01a\x18\x26\x00\x11mqtt-content-type\x00\x01x"))
	f.Fuzz(func(t *testing.T, body []byte) {
		var p packet.Publish
		if p.Decode(packet.Header{Type: packet.PUBLISH}, body, packet.V5) != nil {
			return
		}
		headers := mapping.Headers(&p.Properties.MessageProperties)
		q := packet.Publish{Topic: "t"}
		mapping.SetProperties(&q.Properties.MessageProperties, headers, nil)
		raw := q.Append(nil, packet.V5)
		h, body, _, err := packet.Frame(raw, 0)
		if err != nil {
			t.Fatal(err)
		}
		var back packet.Publish
		if err := back.Decode(h, body, packet.V5); err != nil {
			t.Fatalf("%q: %v", headers, err)
		}
		if again := mapping.Headers(&back.Properties.MessageProperties); !slices.Equal(again, headers) {
			t.Fatalf("%q came back as %q", headers, again)
		}
	})
}

// FuzzSetProperties: whatever the headers, the packet can be read.
func FuzzSetProperties(f *testing.F) {
	f.Add("mqtt-content-type", "a", "mqtt-correlation-data", "AP8=")
	f.Add("mqtt-response-topic", "a/+", "k", "\xff")
	f.Fuzz(func(t *testing.T, k1, v1, k2, v2 string) {
		q := packet.Publish{Topic: "t"}
		mapping.SetProperties(&q.Properties.MessageProperties, []bus.Header{{Key: k1, Value: v1}, {Key: k2, Value: v2}}, nil)
		h, body, n, err := packet.Frame(q.Append(nil, packet.V5), 0)
		if err != nil || n == 0 {
			t.Fatalf("%d bytes, %v", n, err)
		}
		var back packet.Publish
		if err := back.Decode(h, body, packet.V5); err != nil {
			t.Fatal(err)
		}
	})
}
