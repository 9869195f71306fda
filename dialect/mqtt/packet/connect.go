package packet

import "fmt"

// Connect is the CONNECT packet (3.1).
type Connect struct {
	// Version is the protocol level. After Decode refused a packet with the reason
	// UnsupportedProtocolVersion it is the level that was asked for, or 0 if the
	// protocol name is not one of MQTT's.
	Version Version
	// CleanStart is called Clean Session in older versions.
	CleanStart bool
	// KeepAlive is in seconds; 0 turns it off.
	KeepAlive uint16
	// ClientID may be empty; see NeedsClientID.
	ClientID string
	// Will counts only if HasWill.
	HasWill bool
	Will    Will
	// An empty user name or password is not the same as none.
	HasUsername bool
	HasPassword bool
	Username    string
	Password    []byte
	Properties  ConnectProperties
}

// Will is the message to be published when the client is gone (3.1.2.5).
type Will struct {
	Topic      string
	Payload    []byte
	QoS        byte
	Retain     bool
	Properties WillProperties
}

// The flags of CONNECT (3.1.2.3).
const (
	flagReserved = 0x01
	flagClean    = 0x02
	flagWill     = 0x04
	flagRetain   = 0x20
	flagPassword = 0x40
	flagUsername = 0x80
	shiftWillQoS = 3
)

// NeedsClientID tells that the version does not let the client go without a client
// identifier: 3.1 never does, 3.1.1 only with a clean session (3.1.1:
// MQTT-3.1.3-8). To refuse an empty one then is left to the caller.
func (c *Connect) NeedsClientID() bool {
	return c.Version < V311 || c.Version == V311 && !c.CleanStart
}

// Decode reads the body of a CONNECT, whose version is in it.
func (c *Connect) Decode(h Header, body []byte) error {
	*c = Connect{}
	r := begin(Header{Type: h.Type, Flags: CONNECT.flags()}, CONNECT, body, V31)
	c.protocol(&r)
	if r.err == nil { // now that the version is known
		if r.err = h.check(CONNECT, c.Version); r.err != nil {
			return r.err
		}
	}
	flags := r.byte("connect flags")
	c.judge(&r, flags)
	c.KeepAlive = r.uint16("keep alive")
	if c.Version >= V5 {
		c.Properties.decode(&r)
	}
	// MQTT-3.1.3-1: in this order
	c.ClientID = r.label("client identifier") // MQTT-3.1.3-3, MQTT-3.1.3-4
	if c.HasWill {
		if c.Version >= V5 {
			c.Will.Properties.decode(&r)
		}
		c.Will.Topic = r.name("will topic") // MQTT-3.1.2-9, MQTT-3.1.3-11
		c.Will.Payload = r.binary("will payload")
	}
	// In 3.1 the length of the packet takes precedence over the flags.
	if c.Version == V31 && len(r.rest) == 0 {
		c.HasUsername = false
	}
	if c.HasUsername {
		c.Username = r.label("user name") // MQTT-3.1.2-17, MQTT-3.1.3-12
	}
	if c.Version == V31 && len(r.rest) == 0 {
		c.HasPassword = false
	}
	if c.HasPassword {
		c.Password = r.binary("password") // MQTT-3.1.2-19
	}
	return r.done() // MQTT-3.1.2-16, MQTT-3.1.2-18
}

// protocol reads name and level.
func (c *Connect) protocol(r *reader) {
	name := r.binary("protocol name")
	if r.err != nil {
		return
	}
	old := string(name) == "MQIsdp"
	if !old && string(name) != "MQTT" {
		r.fail(UnsupportedProtocolVersion, fmt.Sprintf("protocol name is %.20q (MQTT-3.1.2-1)", name))
		return
	}
	c.Version = Version(r.byte("protocol version"))
	if r.err != nil {
		return
	}
	if old != (c.Version == V31) || c.Version < V31 || c.Version > V5 {
		r.fail(UnsupportedProtocolVersion, fmt.Sprintf("protocol is %s %d (MQTT-3.1.2-2)", name, byte(c.Version)))
	}
}

// judge takes the flags apart.
func (c *Connect) judge(r *reader, flags byte) {
	c.CleanStart = flags&flagClean != 0
	c.HasWill = flags&flagWill != 0
	c.HasUsername = flags&flagUsername != 0
	c.HasPassword = flags&flagPassword != 0
	qos, retain := flags>>shiftWillQoS&3, flags&flagRetain != 0
	if c.HasWill {
		c.Will.QoS, c.Will.Retain = qos, retain
	}
	if r.err != nil {
		return
	}
	switch {
	case flags&flagReserved != 0 && c.Version != V31:
		r.fail(MalformedPacket, "reserved connect flag is set (MQTT-3.1.2-3)")
	case c.HasWill && qos == 3:
		r.fail(MalformedPacket, "will QoS is 3 (MQTT-3.1.2-12)")
	case !c.HasWill && qos != 0 && c.Version != V31:
		r.fail(MalformedPacket, "will QoS without a will (MQTT-3.1.2-11)")
	case !c.HasWill && retain && c.Version != V31:
		r.fail(MalformedPacket, "will retain without a will (MQTT-3.1.2-13)")
	case c.HasPassword && !c.HasUsername && c.Version < V5:
		r.fail(MalformedPacket, "password without a user name (3.1.1: MQTT-3.1.2-22)")
	}
}

// Append appends the packet in the form of c.Version.
func (c *Connect) Append(dst []byte) []byte {
	w := write(dst, Limits{})
	for w.again() {
		c.write(&w)
	}
	return w.packet()
}

func (c *Connect) write(w *writer) {
	w.open(CONNECT)
	name := "MQTT"
	if c.Version <= V31 {
		name = "MQIsdp"
	}
	w.text(name)
	w.byte(byte(c.Version))
	w.byte(c.flags())
	w.uint16(c.KeepAlive)
	if c.Version >= V5 {
		c.Properties.write(w)
	}
	w.text(c.ClientID)
	if c.HasWill {
		if c.Version >= V5 {
			c.Will.Properties.write(w)
		}
		w.text(c.Will.Topic)
		w.binary(c.Will.Payload)
	}
	if c.HasUsername {
		w.text(c.Username)
	}
	if c.HasPassword {
		w.binary(c.Password)
	}
	w.close()
}

func (c *Connect) flags() byte {
	var flags byte
	set := func(on bool, flag byte) {
		if on {
			flags |= flag
		}
	}
	set(c.CleanStart, flagClean)
	set(c.HasUsername, flagUsername)
	set(c.HasPassword, flagPassword)
	if c.HasWill {
		flags |= flagWill | c.Will.QoS&3<<shiftWillQoS
		set(c.Will.Retain, flagRetain)
	}
	return flags
}
