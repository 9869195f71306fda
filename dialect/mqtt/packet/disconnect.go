package packet

// Disconnect is the DISCONNECT packet (3.14). In older versions only clients send
// it, and it says nothing more.
type Disconnect struct {
	Reason     ReasonCode
	Properties DisconnectProperties
}

// DisconnectProperties are those of DISCONNECT (3.14.2.2).
type DisconnectProperties struct {
	// Present has the properties that were in the packet.
	Present PropertySet
	// SessionExpiryInterval replaces that of CONNECT only if it is present.
	SessionExpiryInterval uint32
	ReasonString          string
	ServerReference       string
	User                  UserProperties
}

const inDisconnectSection PropertySet = 1<<SessionExpiryInterval | 1<<ReasonString | 1<<UserProperty | 1<<ServerReference

// Decode reads the body of a DISCONNECT of version v.
func (d *Disconnect) Decode(h Header, body []byte, v Version) error {
	*d = Disconnect{}
	r := begin(h, DISCONNECT, body, v) // MQTT-3.14.1-1
	if v >= V5 && len(r.rest) > 0 {    // without more it is NormalDisconnection (3.14.2.1)
		d.Reason = r.reason() // MQTT-3.14.2-1
		if len(r.rest) > 0 {
			d.Properties.decode(&r)
		}
	}
	return r.done()
}

func (p *DisconnectProperties) decode(r *reader) {
	s := r.properties(inDisconnectSection)
	for s.next() {
		switch s.id {
		case SessionExpiryInterval:
			p.SessionExpiryInterval = s.num
		case ReasonString:
			p.ReasonString = s.text()
		case ServerReference:
			p.ServerReference = s.text()
		}
	}
	p.Present, p.User = r.end(&s)
}

// CheckSender tells whether that side may send what is in the packet. The reason
// 0 is taken from servers too.
func (d *Disconnect) CheckSender(from Sender) error {
	r := reader{of: DISCONNECT}
	if from == FromServer {
		if d.Properties.Present.Has(SessionExpiryInterval) {
			r.fail(ProtocolError, "a server sent a session expiry interval (MQTT-3.14.2-2)")
		}
		if d.Reason == DisconnectWithWill {
			r.fail(ProtocolError, "a server sent a reason of clients: "+d.Reason.String()+" (table 3-13)")
		}
		return r.done()
	}
	if d.Properties.Present.Has(ServerReference) {
		r.fail(ProtocolError, "a client sent a server reference (3.14.2.2.5)")
	}
	if reasons[d.Reason].in&onlyServer != 0 {
		r.fail(ProtocolError, "a client sent a reason of servers: "+d.Reason.String()+" (table 3-13)")
	}
	return r.done()
}

// Append appends the packet in the form of version v, as short as it can be.
func (d *Disconnect) Append(dst []byte, v Version) []byte {
	return d.AppendWithin(dst, v, Limits{})
}

// AppendWithin appends the packet without user properties, and if need be without
// the reason string, if it exceeds the receiver's maximum. NoProblemInformation
// does not concern DISCONNECT.
func (d *Disconnect) AppendWithin(dst []byte, v Version, l Limits) []byte {
	l.NoProblemInformation = false
	w := write(dst, l)
	for w.again() {
		d.write(&w, v)
	}
	return w.packet()
}

func (d *Disconnect) write(w *writer, v Version) {
	w.open(DISCONNECT)
	if v >= V5 {
		w.byte(byte(d.Reason))
		from := w.properties()
		w.prop32(SessionExpiryInterval, d.Properties.SessionExpiryInterval, d.Properties.Present)
		w.reason(d.Properties.ReasonString, d.Properties.Present)
		w.users(d.Properties.User)
		w.propText(ServerReference, d.Properties.ServerReference, d.Properties.Present)
		w.length(from)
		w.trim(0, d.Reason)
	}
	w.close()
}
