package packet

// Auth is the AUTH packet of version 5 (3.15).
type Auth struct {
	Reason     ReasonCode
	Properties AuthProperties
}

// AuthProperties are those of AUTH (3.15.2.2).
type AuthProperties struct {
	// Present has the properties that were in the packet.
	Present              PropertySet
	AuthenticationMethod string
	AuthenticationData   []byte
	ReasonString         string
	User                 UserProperties
}

const inAuthSection PropertySet = 1<<AuthenticationMethod | 1<<AuthenticationData | 1<<ReasonString | 1<<UserProperty

// Decode reads the body of an AUTH; in older versions there is none.
func (a *Auth) Decode(h Header, body []byte, v Version) error {
	*a = Auth{}
	r := begin(h, AUTH, body, v) // MQTT-3.15.1-1
	if v < V5 {
		r.fail(MalformedPacket, "is reserved before version 5 (3.1.1: 2.2.1)")
		return r.done()
	}
	if len(r.rest) == 0 { // Success, without properties (3.15.2.1)
		return r.done()
	}
	a.Reason = r.reason() // MQTT-3.15.2-1
	a.Properties.decode(&r)
	if r.err == nil && !a.Properties.Present.Has(AuthenticationMethod) {
		r.fail(ProtocolError, "has no authentication method (MQTT-4.12.0-5)")
	}
	return r.done()
}

func (p *AuthProperties) decode(r *reader) {
	s := r.properties(inAuthSection)
	for s.next() {
		switch s.id {
		case AuthenticationMethod:
			p.AuthenticationMethod = s.text()
		case AuthenticationData:
			p.AuthenticationData = s.data
		case ReasonString:
			p.ReasonString = s.text()
		}
	}
	p.Present, p.User = r.end(&s)
}

// CheckSender tells whether that side may send the reason in the packet (table
// 3-11).
func (a *Auth) CheckSender(from Sender) error {
	only := Success
	if from == FromServer {
		only = Reauthenticate
	}
	r := reader{of: AUTH}
	if a.Reason == only {
		r.fail(ProtocolError, "a reason of the other side: "+a.Reason.String()+" (table 3-11)")
	}
	return r.done()
}

// Append appends the packet; nothing for older versions.
func (a *Auth) Append(dst []byte, v Version) []byte {
	return a.AppendWithin(dst, v, Limits{})
}

// AppendWithin appends the packet without what the receiver does not want and,
// if it exceeds the maximum, without user properties and reason string.
func (a *Auth) AppendWithin(dst []byte, v Version, l Limits) []byte {
	w := write(dst, l)
	for w.again() {
		a.write(&w, v)
	}
	return w.packet()
}

func (a *Auth) write(w *writer, v Version) {
	if v < V5 {
		w.bad = true
		return
	}
	w.open(AUTH)
	w.byte(byte(a.Reason))
	from := w.properties()
	w.propText(AuthenticationMethod, a.Properties.AuthenticationMethod, a.Properties.Present)
	w.propBinary(AuthenticationData, a.Properties.AuthenticationData, a.Properties.Present)
	w.reason(a.Properties.ReasonString, a.Properties.Present)
	w.users(a.Properties.User)
	w.length(from)
	if a.Reason == Success && len(w.b)-w.body == 2 { // 3.15.2.1
		w.b = w.b[:w.body]
	}
	w.close()
}
