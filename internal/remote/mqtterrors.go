package remote

import (
	"fmt"

	"omnibus/bus"
	"omnibus/dialect/mqtt/packet"
)

// reasonKinds are the kinds of error that the reasons of a broker stand for.
// Those that are not here have failed.
var reasonKinds = map[packet.ReasonCode]bus.Kind{
	packet.UnspecifiedError:            bus.Failed,
	packet.MalformedPacket:             bus.Invalid,
	packet.ProtocolError:               bus.Invalid,
	packet.ImplementationSpecificError: bus.Failed,
	packet.UnsupportedProtocolVersion:  bus.Invalid,
	packet.ClientIdentifierNotValid:    bus.Invalid,
	packet.BadUserNameOrPassword:       bus.Refused,
	packet.NotAuthorized:               bus.Refused,
	packet.ServerUnavailable:           bus.Unavailable,
	packet.ServerBusy:                  bus.Unavailable,
	packet.Banned:                      bus.Refused,
	packet.ServerShuttingDown:          bus.Closed,
	packet.BadAuthenticationMethod:     bus.Refused,
	packet.KeepAliveTimeout:            bus.TimedOut,
	packet.SessionTakenOver:            bus.Closed,
	packet.TopicFilterInvalid:          bus.Invalid,
	packet.TopicNameInvalid:            bus.Invalid,
	packet.PacketIdentifierInUse:       bus.Failed,
	packet.PacketIdentifierNotFound:    bus.Failed,
	packet.ReceiveMaximumExceeded:      bus.Full,
	packet.TopicAliasInvalid:           bus.Invalid,
	packet.PacketTooLarge:              bus.TooLarge,
	packet.MessageRateTooHigh:          bus.Full,
	packet.QuotaExceeded:               bus.Full,
	packet.AdministrativeAction:        bus.Refused,
	packet.PayloadFormatInvalid:        bus.Invalid,
	packet.RetainNotSupported:          bus.Invalid,
	packet.QoSNotSupported:             bus.Invalid,
	packet.UseAnotherServer:            bus.Unavailable,
	packet.ServerMoved:                 bus.Unavailable,
	packet.SharedNotSupported:          bus.Invalid,
	packet.ConnectionRateExceeded:      bus.Full,
	packet.MaximumConnectTime:          bus.Closed,
	packet.SubscriptionIDsNotSupported: bus.Invalid,
	packet.WildcardsNotSupported:       bus.Invalid,
}

// refused is the error for a reason code of failure: what was refused, the reason,
// and what the broker says of it.
func refused(name, what string, reason packet.ReasonCode, text string) error {
	if text != "" {
		text = ": " + text
	}
	return &bus.Error{Kind: reasonKinds[reason], Topic: name, Text: fmt.Sprintf("%s: %s%s", what, reason, text)}
}
