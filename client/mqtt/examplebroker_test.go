package mqtt_test

import (
	"bytes"
	"net"
	"sync"

	"omnibus/carrier"
	"omnibus/dialect/mqtt/packet"
)

// exampleBroker is a broker for one client, which gets what it publishes.
func exampleBroker() (address string, stop func()) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		panic(err)
	}
	var running sync.WaitGroup
	running.Go(func() {
		conn, err := l.Accept()
		if err != nil {
			return
		}
		defer conn.Close()
		in := carrier.NewInput(conn)
		for {
			h, body, n, err := packet.Frame(in.Bytes(), 0)
			switch {
			case err != nil:
				return
			case n == 0:
				if in.Fill(0) != nil {
					return
				}
				continue
			}
			if _, err := conn.Write(echo(h, bytes.Clone(body))); err != nil {
				return
			}
			in.Discard(n)
		}
	})
	return l.Addr().String(), func() {
		_ = l.Close()
		running.Wait()
	}
}

// echo answers a packet; a message comes back.
func echo(h packet.Header, body []byte) []byte {
	switch h.Type {
	case packet.CONNECT:
		a := packet.Connack{}
		return a.Append(nil, packet.V5)
	case packet.SUBSCRIBE:
		var x packet.Subscribe
		if x.Decode(h, body, packet.V5) != nil {
			return nil
		}
		a := packet.Suback{PacketID: x.PacketID, Codes: []packet.ReasonCode{packet.GrantedQoS1}}
		return a.Append(nil, packet.V5)
	case packet.PUBLISH:
		var x packet.Publish
		if x.Decode(h, body, packet.V5) != nil {
			return nil
		}
		return append(packet.AppendAck(nil, packet.PUBACK, x.PacketID, 0, packet.V5), x.Append(nil, packet.V5)...)
	}
	return nil
}
