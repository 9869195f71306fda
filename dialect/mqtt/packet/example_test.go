package packet_test

import (
	"fmt"

	"omnibus/dialect/mqtt/packet"
)

// Many packets are taken out of one read, and what is left stays for the next.
func ExampleFrame() {
	var read []byte
	for _, payload := range []string{"21.5", "21.6"} {
		p := packet.Publish{Topic: "kitchen/temperature", Payload: []byte(payload)}
		read = p.Append(read, packet.V311)
	}
	read = append(packet.AppendPingreq(read), 0x30, 0x07) // and the beginning of one more

	var p packet.Publish
	for {
		h, body, n, err := packet.Frame(read, 1<<20)
		if err != nil {
			fmt.Println(err)
			return
		}
		if n == 0 {
			break
		}
		read = read[n:]
		if h.Type != packet.PUBLISH {
			fmt.Println(h.Type)
			continue
		}
		if err := p.Decode(h, body, packet.V311); err != nil {
			fmt.Println(err)
			return
		}
		fmt.Println(p.Topic, string(p.Payload))
	}
	fmt.Println(len(read), "bytes left")
	// Output:
	// kitchen/temperature 21.5
	// kitchen/temperature 21.6
	// PINGREQ
	// 2 bytes left
}

// One message goes to many subscribers, to each as it asked for it.
func ExampleTemplate() {
	message := packet.Publish{Topic: "a", Payload: []byte("x")}
	var compiled packet.Template
	compiled.Compile(&message, packet.V5)
	for _, to := range []packet.Delivery{
		{},
		{QoS: 1, PacketID: 7},
		{QoS: 2, PacketID: 8, Dup: true, SubscriptionIDs: packet.SubscriptionIDs(nil).Append(5)},
	} {
		fmt.Printf("% x\n", compiled.Append(nil, &to))
	}
	// Output:
	// 30 05 00 01 61 00 78
	// 32 07 00 01 61 00 07 00 78
	// 3c 09 00 01 61 00 08 02 0b 05 78
}
