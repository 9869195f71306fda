package packet

// ConnectProperties are those of CONNECT (3.1.2.11). What is not present is zero,
// which means the same, but for ReceiveMaximum and MaximumPacketSize, where 0
// stands for no limit of their own.
type ConnectProperties struct {
	// Present has the properties that were in the packet.
	Present                    PropertySet
	SessionExpiryInterval      uint32
	MaximumPacketSize          uint32
	ReceiveMaximum             uint16
	TopicAliasMaximum          uint16
	RequestResponseInformation bool
	// NoProblemInformation is Request Problem Information with the value 0.
	NoProblemInformation bool
	AuthenticationMethod string
	AuthenticationData   []byte
	User                 UserProperties
}

const inConnectSection PropertySet = 1<<SessionExpiryInterval | 1<<ReceiveMaximum | 1<<MaximumPacketSize |
	1<<TopicAliasMaximum | 1<<RequestResponseInformation | 1<<RequestProblemInformation | 1<<UserProperty |
	1<<AuthenticationMethod | 1<<AuthenticationData

// Limits are those that the client asks for in its properties.
func (p *ConnectProperties) Limits() Limits {
	return Limits{MaximumPacketSize: p.MaximumPacketSize, NoProblemInformation: p.NoProblemInformation}
}

func (p *ConnectProperties) decode(r *reader) {
	s := r.properties(inConnectSection)
	for s.next() {
		switch s.id {
		case SessionExpiryInterval:
			p.SessionExpiryInterval = s.num
		case MaximumPacketSize:
			p.MaximumPacketSize = s.num
		case ReceiveMaximum:
			p.ReceiveMaximum = uint16(s.num)
		case TopicAliasMaximum:
			p.TopicAliasMaximum = uint16(s.num)
		case RequestResponseInformation:
			p.RequestResponseInformation = s.num == 1
		case RequestProblemInformation:
			p.NoProblemInformation = s.num == 0
		case AuthenticationMethod:
			p.AuthenticationMethod = s.text()
		case AuthenticationData:
			p.AuthenticationData = s.data
		}
	}
	p.Present, p.User = r.end(&s)
	r.authentication(p.Present)
}

// authentication wants a method where there is data.
func (r *reader) authentication(present PropertySet) {
	if r.err == nil && present.Has(AuthenticationData) && !present.Has(AuthenticationMethod) {
		r.fail(ProtocolError, "authentication data without a method (3.1.2.11.10)")
	}
}

func (p *ConnectProperties) write(w *writer) {
	from := w.properties()
	w.prop32(SessionExpiryInterval, p.SessionExpiryInterval, p.Present)
	w.prop16(ReceiveMaximum, p.ReceiveMaximum, p.Present)
	w.prop32(MaximumPacketSize, p.MaximumPacketSize, p.Present)
	w.prop16(TopicAliasMaximum, p.TopicAliasMaximum, p.Present)
	w.propOn(RequestResponseInformation, p.RequestResponseInformation, p.Present)
	w.propOff(RequestProblemInformation, p.NoProblemInformation, p.Present)
	w.users(p.User)
	w.propText(AuthenticationMethod, p.AuthenticationMethod, p.Present)
	w.propBinary(AuthenticationData, p.AuthenticationData, p.Present)
	w.length(from)
}

// MessageProperties are those that tell of a message, in a will and in PUBLISH.
type MessageProperties struct {
	// Present has all properties that were in the packet.
	Present               PropertySet
	MessageExpiryInterval uint32
	// PayloadFormat is 1 for UTF-8 text. Whether the payload is such text is not
	// checked.
	PayloadFormat   byte
	ContentType     string
	ResponseTopic   string
	CorrelationData []byte
	User            UserProperties
}

const inMessage PropertySet = 1<<PayloadFormatIndicator | 1<<MessageExpiryInterval | 1<<ContentType |
	1<<ResponseTopic | 1<<CorrelationData | 1<<UserProperty

// take takes the property just read, if it is one of these.
func (p *MessageProperties) take(s *scan) {
	switch s.id {
	case PayloadFormatIndicator:
		p.PayloadFormat = byte(s.num)
	case MessageExpiryInterval:
		p.MessageExpiryInterval = s.num
	case ContentType: // MQTT-3.3.2-19
		p.ContentType = s.text()
	case ResponseTopic: // MQTT-3.3.2-13
		if fault, _ := nameFault(s.data); fault != "" {
			s.fail(ProtocolError, ResponseTopic, "has a wildcard (MQTT-3.3.2-14)")
		} else if len(s.data) == 0 {
			s.fail(ProtocolError, ResponseTopic, noTopic)
		}
		p.ResponseTopic = s.text()
	case CorrelationData:
		p.CorrelationData = s.data
	}
}

// WillProperties are those of a will (3.1.3.2).
type WillProperties struct {
	MessageProperties
	DelayInterval uint32
}

func (p *WillProperties) decode(r *reader) {
	s := r.properties(inMessage | 1<<WillDelayInterval)
	for s.next() {
		if s.id == WillDelayInterval {
			p.DelayInterval = s.num
		} else {
			p.take(&s)
		}
	}
	p.Present, p.User = r.end(&s)
}

func (p *WillProperties) write(w *writer) {
	from := w.properties()
	w.prop32(WillDelayInterval, p.DelayInterval, p.Present)
	if n := p.MessageProperties.size(); n < 0 {
		w.bad = true
	} else {
		w.b = p.MessageProperties.append(w.b)
	}
	w.length(from)
}
