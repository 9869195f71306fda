package mqtt

import (
	"errors"
	"fmt"

	"omnibus/auth"
	"omnibus/bus"
	"omnibus/dialect"
	"omnibus/dialect/mqtt/packet"
)

// What a kind of error is in the answers to clients. Each packet has its own set
// of codes (2.4).
var (
	// publishCodes are for PUBACK and PUBREC.
	publishCodes = dialect.Codes[packet.ReasonCode]{
		bus.Failed:      packet.UnspecifiedError,
		bus.Invalid:     packet.TopicNameInvalid,
		bus.Refused:     packet.NotAuthorized,
		bus.Unknown:     packet.UnspecifiedError,
		bus.Unavailable: packet.ImplementationSpecificError,
		bus.TimedOut:    packet.UnspecifiedError,
		bus.TooLarge:    packet.QuotaExceeded,
		bus.Full:        packet.QuotaExceeded,
		bus.Closed:      packet.UnspecifiedError,
	}
	// subscribeCodes are for SUBACK.
	subscribeCodes = dialect.Codes[packet.ReasonCode]{
		bus.Failed:      packet.UnspecifiedError,
		bus.Invalid:     packet.TopicFilterInvalid,
		bus.Refused:     packet.NotAuthorized,
		bus.Unknown:     packet.UnspecifiedError,
		bus.Unavailable: packet.ImplementationSpecificError,
		bus.TimedOut:    packet.UnspecifiedError,
		bus.TooLarge:    packet.QuotaExceeded,
		bus.Full:        packet.QuotaExceeded,
		bus.Closed:      packet.UnspecifiedError,
	}
	// connectCodes are for CONNACK.
	connectCodes = dialect.Codes[packet.ReasonCode]{
		bus.Failed:      packet.UnspecifiedError,
		bus.Invalid:     packet.ClientIdentifierNotValid,
		bus.Refused:     packet.NotAuthorized,
		bus.Unknown:     packet.UnspecifiedError,
		bus.Unavailable: packet.ServerUnavailable,
		bus.TimedOut:    packet.ServerUnavailable,
		bus.TooLarge:    packet.QuotaExceeded,
		bus.Full:        packet.ServerBusy,
		bus.Closed:      packet.ServerUnavailable,
	}
)

// connectCode is the reason in CONNACK for a login that failed.
func connectCode(err error, hasPassword bool) packet.ReasonCode {
	switch {
	case errors.Is(err, auth.ErrMethod):
		return packet.BadAuthenticationMethod // MQTT-4.12.0-1
	case errors.Is(err, auth.ErrDenied) && hasPassword:
		return packet.BadUserNameOrPassword
	}
	return connectCodes.Of(err)
}

// breach is an error of the client that ends its connection.
func breach(reason packet.ReasonCode, format string, args ...any) error {
	return &packet.Error{Reason: reason, Text: fmt.Sprintf(format, args...)}
}

// errLeft ends the reading of a connection whose client has said goodbye.
var errLeft = errors.New("the client has left")
