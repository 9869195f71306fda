package remote

import (
	"cmp"
	"errors"

	"omnibus/bus"
	"omnibus/client/mqtt"
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

// kinded gives an error of the client the kind that it stands for. What has none,
// such as the end of a context, stays what it is.
func kinded(name string, err error) error {
	if e, ok := errors.AsType[*mqtt.RefusedError](err); ok {
		plain := *e
		plain.Topic = "" // it is said already
		return &bus.Error{Kind: reasonKinds[e.Reason], Topic: cmp.Or(e.Topic, name), Text: plain.Error(), Err: err}
	}
	if e, ok := errors.AsType[*mqtt.DisconnectError](err); ok {
		return &bus.Error{Kind: reasonKinds[e.Reason], Text: err.Error(), Err: err}
	}
	switch {
	case errors.Is(err, mqtt.ErrClosed):
		return errClosed
	case errors.Is(err, mqtt.ErrInvalid):
		return bus.Errorf(bus.Invalid, name, "%w", err)
	case errors.Is(err, mqtt.ErrTooLarge):
		return bus.Errorf(bus.TooLarge, name, "%w", err)
	}
	return err
}
