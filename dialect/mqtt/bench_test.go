package mqtt_test

import (
	"fmt"
	"io"
	"testing"
	"time"

	"omnibus/dialect/mqtt/packet"
)

// BenchmarkFanOut is a message of QoS 0 from one client to many and the wait until
// all have it, over loopback sockets; batch messages are written at once. Clients
// are of 3.1.1 and 5 in turn.
func BenchmarkFanOut(b *testing.B) {
	for _, n := range []int{1, 100} {
		for _, batch := range []int{1, 20} {
			b.Run(fmt.Sprintf("to %d by %d", n, batch), func(b *testing.B) {
				p := serve(b, options{socket: true})
				writer := p.connect(packet.V5, "")
				var messages []byte
				for range batch {
					messages = append(messages, writer.message(0, 0, "a/b", "some payload")...)
				}
				in := packet.Publish{Topic: "a/b", Payload: []byte("some payload")}
				var all []*raw
				for i := range n {
					v := []packet.Version{packet.V311, packet.V5}[i%2]
					r := p.listen(v, batch*in.Size(v), "a/b")
					_ = r.c.SetReadDeadline(time.Time{})
					all = append(all, r)
				}
				b.ReportAllocs()
				for b.Loop() {
					writer.send(messages)
					for _, r := range all {
						r.next()
					}
				}
				b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*batch*n), "ns/delivery")
			})
		}
	}
}

// BenchmarkQoS1 is a message of QoS 1 from one client to one other, with both
// acknowledgements, batch messages at a time.
func BenchmarkQoS1(b *testing.B) {
	for _, batch := range []int{1, 20} {
		b.Run(fmt.Sprintf("by %d", batch), func(b *testing.B) {
			p := serve(b, options{socket: true})
			writer, reader := p.connect(packet.V311, ""), p.connect(packet.V311, "")
			reader.subscribe(1, "a/b")
			var messages []byte
			for i := range batch {
				messages = append(messages, writer.message(1, uint16(i+1), "a/b", "some payload")...)
			}
			in := packet.Publish{Topic: "a/b", Payload: []byte("some payload"), QoS: 1, PacketID: 1}
			size := in.Size(packet.V311)
			got, acks := make([]byte, batch*size), make([]byte, 4*batch)
			at := size - len(in.Payload) - 2 // where the identifier is
			b.ReportAllocs()
			for b.Loop() {
				writer.send(messages)
				if _, err := io.ReadFull(reader.c, got); err != nil {
					b.Fatal(err)
				}
				reply := acks[:0]
				for i := range batch {
					id := uint16(got[i*size+at])<<8 | uint16(got[i*size+at+1])
					reply = packet.AppendAck(reply, packet.PUBACK, id, packet.Success, packet.V311)
				}
				reader.send(reply)
				if _, err := io.ReadFull(writer.c, acks); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*batch), "ns/delivery")
		})
	}
}
