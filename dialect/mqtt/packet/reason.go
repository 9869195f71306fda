package packet

import "fmt"

// ReasonCode is the result of an operation (2.4). Codes of 0x80 and more are
// failures. Older versions have the return codes of CONNACK (see ReturnCode) and
// of SUBACK instead, which are read and written as the codes of version 5.
type ReasonCode byte

// The reason codes. Three of them are called differently in SUBACK and DISCONNECT.
const (
	Success                     ReasonCode = 0x00
	NormalDisconnection         ReasonCode = 0x00
	GrantedQoS0                 ReasonCode = 0x00
	GrantedQoS1                 ReasonCode = 0x01
	GrantedQoS2                 ReasonCode = 0x02
	DisconnectWithWill          ReasonCode = 0x04
	NoMatchingSubscribers       ReasonCode = 0x10
	NoSubscriptionExisted       ReasonCode = 0x11
	ContinueAuthentication      ReasonCode = 0x18
	Reauthenticate              ReasonCode = 0x19
	UnspecifiedError            ReasonCode = 0x80
	MalformedPacket             ReasonCode = 0x81
	ProtocolError               ReasonCode = 0x82
	ImplementationSpecificError ReasonCode = 0x83
	UnsupportedProtocolVersion  ReasonCode = 0x84
	ClientIdentifierNotValid    ReasonCode = 0x85
	BadUserNameOrPassword       ReasonCode = 0x86
	NotAuthorized               ReasonCode = 0x87
	ServerUnavailable           ReasonCode = 0x88
	ServerBusy                  ReasonCode = 0x89
	Banned                      ReasonCode = 0x8A
	ServerShuttingDown          ReasonCode = 0x8B
	BadAuthenticationMethod     ReasonCode = 0x8C
	KeepAliveTimeout            ReasonCode = 0x8D
	SessionTakenOver            ReasonCode = 0x8E
	TopicFilterInvalid          ReasonCode = 0x8F
	TopicNameInvalid            ReasonCode = 0x90
	PacketIdentifierInUse       ReasonCode = 0x91
	PacketIdentifierNotFound    ReasonCode = 0x92
	ReceiveMaximumExceeded      ReasonCode = 0x93
	TopicAliasInvalid           ReasonCode = 0x94
	PacketTooLarge              ReasonCode = 0x95
	MessageRateTooHigh          ReasonCode = 0x96
	QuotaExceeded               ReasonCode = 0x97
	AdministrativeAction        ReasonCode = 0x98
	PayloadFormatInvalid        ReasonCode = 0x99
	RetainNotSupported          ReasonCode = 0x9A
	QoSNotSupported             ReasonCode = 0x9B
	UseAnotherServer            ReasonCode = 0x9C
	ServerMoved                 ReasonCode = 0x9D
	SharedNotSupported          ReasonCode = 0x9E
	ConnectionRateExceeded      ReasonCode = 0x9F
	MaximumConnectTime          ReasonCode = 0xA0
	SubscriptionIDsNotSupported ReasonCode = 0xA1
	WildcardsNotSupported       ReasonCode = 0xA2
)

// Where a reason code may stand: a bit for each packet.
const (
	inConnack    = 1 << CONNACK
	inReceipt    = 1<<PUBACK | 1<<PUBREC
	inRelease    = 1<<PUBREL | 1<<PUBCOMP
	inSuback     = 1 << SUBACK
	inUnsuback   = 1 << UNSUBACK
	inAuth       = 1 << AUTH
	inDisconnect = 1 << DISCONNECT
	// onlyServer is the bit of no packet with a reason: of those in DISCONNECT,
	// a client does not send these (table 3-13).
	onlyServer = 1 << CONNECT
)

var reasons = [256]struct {
	name string
	in   uint16
}{
	Success:                     {"success", inConnack | inReceipt | inRelease | inSuback | inUnsuback | inAuth | inDisconnect},
	GrantedQoS1:                 {"granted QoS 1", inSuback},
	GrantedQoS2:                 {"granted QoS 2", inSuback},
	DisconnectWithWill:          {"disconnect with will message", inDisconnect},
	NoMatchingSubscribers:       {"no matching subscribers", inReceipt},
	NoSubscriptionExisted:       {"no subscription existed", inUnsuback},
	ContinueAuthentication:      {"continue authentication", inAuth},
	Reauthenticate:              {"re-authenticate", inAuth},
	UnspecifiedError:            {"unspecified error", inConnack | inReceipt | inSuback | inUnsuback | inDisconnect},
	MalformedPacket:             {"malformed packet", inConnack | inDisconnect},
	ProtocolError:               {"protocol error", inConnack | inDisconnect},
	ImplementationSpecificError: {"implementation specific error", inConnack | inReceipt | inSuback | inUnsuback | inDisconnect},
	UnsupportedProtocolVersion:  {"unsupported protocol version", inConnack},
	ClientIdentifierNotValid:    {"client identifier not valid", inConnack},
	BadUserNameOrPassword:       {"bad user name or password", inConnack},
	NotAuthorized:               {"not authorized", inConnack | inReceipt | inSuback | inUnsuback | inDisconnect | onlyServer},
	ServerUnavailable:           {"server unavailable", inConnack},
	ServerBusy:                  {"server busy", inConnack | inDisconnect | onlyServer},
	Banned:                      {"banned", inConnack},
	ServerShuttingDown:          {"server shutting down", inDisconnect | onlyServer},
	BadAuthenticationMethod:     {"bad authentication method", inConnack | inDisconnect | onlyServer},
	KeepAliveTimeout:            {"keep alive timeout", inDisconnect | onlyServer},
	SessionTakenOver:            {"session taken over", inDisconnect | onlyServer},
	TopicFilterInvalid:          {"topic filter invalid", inSuback | inUnsuback | inDisconnect | onlyServer},
	TopicNameInvalid:            {"topic name invalid", inConnack | inReceipt | inDisconnect},
	PacketIdentifierInUse:       {"packet identifier in use", inReceipt | inSuback | inUnsuback},
	PacketIdentifierNotFound:    {"packet identifier not found", inRelease},
	ReceiveMaximumExceeded:      {"receive maximum exceeded", inDisconnect},
	TopicAliasInvalid:           {"topic alias invalid", inDisconnect},
	PacketTooLarge:              {"packet too large", inConnack | inDisconnect},
	MessageRateTooHigh:          {"message rate too high", inDisconnect},
	QuotaExceeded:               {"quota exceeded", inConnack | inReceipt | inSuback | inDisconnect},
	AdministrativeAction:        {"administrative action", inDisconnect},
	PayloadFormatInvalid:        {"payload format invalid", inConnack | inReceipt | inDisconnect},
	RetainNotSupported:          {"retain not supported", inConnack | inDisconnect | onlyServer},
	QoSNotSupported:             {"QoS not supported", inConnack | inDisconnect | onlyServer},
	UseAnotherServer:            {"use another server", inConnack | inDisconnect | onlyServer},
	ServerMoved:                 {"server moved", inConnack | inDisconnect | onlyServer},
	SharedNotSupported:          {"shared subscriptions not supported", inSuback | inDisconnect | onlyServer},
	ConnectionRateExceeded:      {"connection rate exceeded", inConnack | inDisconnect | onlyServer},
	MaximumConnectTime:          {"maximum connect time", inDisconnect | onlyServer},
	SubscriptionIDsNotSupported: {"subscription identifiers not supported", inSuback | inDisconnect | onlyServer},
	WildcardsNotSupported:       {"wildcard subscriptions not supported", inSuback | inDisconnect | onlyServer},
}

// String is the name in the specification, in lower case.
func (r ReasonCode) String() string {
	if name := reasons[r].name; name != "" {
		return name
	}
	return fmt.Sprintf("reason code 0x%02X", byte(r))
}

// Failed tells whether the code is a failure (2.4).
func (r ReasonCode) Failed() bool { return r >= 0x80 }

// ValidIn tells whether the code may stand in packets of type t of version 5
// (table 2-6).
func (r ReasonCode) ValidIn(t Type) bool {
	return t > CONNECT && t <= AUTH && reasons[r].in&(1<<t) != 0
}

// ReturnCode is the return code of a CONNACK of MQTT 3.1 and 3.1.1 (3.1.1:
// 3.2.2.3) that says the same, or nearly. If there is none the connection has to
// be closed without a CONNACK (3.1.1: MQTT-3.2.2-6).
func (r ReasonCode) ReturnCode() (code byte, ok bool) {
	switch r {
	case Success:
		return 0, true
	case UnsupportedProtocolVersion:
		return 1, true
	case ClientIdentifierNotValid:
		return 2, true
	case ServerUnavailable, ServerBusy, UnspecifiedError, ImplementationSpecificError, QuotaExceeded,
		UseAnotherServer, ServerMoved, ConnectionRateExceeded:
		return 3, true
	case BadUserNameOrPassword:
		return 4, true
	case NotAuthorized, Banned, BadAuthenticationMethod:
		return 5, true
	}
	return 0, false
}

// ReasonOfReturn is the reason code that says what a return code of CONNACK says
// in MQTT 3.1 and 3.1.1; not ok for codes that are reserved.
func ReasonOfReturn(code byte) (r ReasonCode, ok bool) {
	codes := [...]ReasonCode{
		Success, UnsupportedProtocolVersion, ClientIdentifierNotValid,
		ServerUnavailable, BadUserNameOrPassword, NotAuthorized,
	}
	if int(code) >= len(codes) {
		return UnspecifiedError, false
	}
	return codes[code], true
}
