package remote

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"sync"
	"time"

	"omnibus/bus"
	"omnibus/client/mqtt"
	"omnibus/dialect/mqtt/mapping"
	"omnibus/dialect/mqtt/packet"
	"omnibus/payload"
	"omnibus/topic"
)

// farewell is how long the broker may take to confirm that a subscription has
// ended, which nobody waits for any longer.
const farewell = time.Second

// mqttClient speaks MQTT, to any broker, with the client that package client/mqtt
// is. It adds the conventions of payloads and services, and several listeners to
// one filter.
type mqttClient struct {
	url     *url.URL // as it was given, for people
	mqtt    *mqtt.Client
	server  mqtt.Server
	options Options

	// changing has one place, for who adds a listener or removes one: the order in
	// which a filter is subscribed to and given up is that of the packets.
	changing chan struct{}

	mu        sync.Mutex                 // guards what follows
	listeners map[string][]*mqttListener // by filter
}

// dialMQTT connects with version 5 and, where that is not spoken, with 3.1.1.
func dialMQTT(ctx context.Context, u *url.URL, o Options) (Client, error) {
	broker, m, err := parseMQTT(u)
	if err != nil {
		return nil, err
	}
	m.CleanStart, m.TLS, m.Dial = true, o.TLS, o.Dial
	m.Timeout = -1 // what is done here has a context that ends
	m.MaxPacket, m.MaxOutbox = o.MaxMessage, 2*o.MaxMessage
	// Requests that come while answers are under way are to be told that they are too
	// many, rather than dropped.
	m.MaxQueued, m.MaxQueuedBytes = 16*maxRequests, o.MaxMessage
	m.OnError = func(err error) { o.Notice(err.Error()) }
	ctx, cancel := context.WithTimeoutCause(ctx, confirmTimeout,
		bus.Errorf(bus.TimedOut, "", "%s has not answered CONNECT within %s; does it speak MQTT?", u.Redacted(), confirmTimeout))
	defer cancel()
	client, err := mqtt.Dial(ctx, broker, m)
	if err != nil {
		if why := unreachable(u, err); why != nil {
			return nil, why
		}
		return nil, kinded("", err)
	}
	server, _ := client.Server() // if it is gone again, what uses it says so
	return &mqttClient{
		url: u, mqtt: client, server: server, options: o,
		changing: make(chan struct{}, 1), listeners: make(map[string][]*mqttListener),
	}, nil
}

// older tells that the version has no properties of messages.
func (c *mqttClient) older() bool { return c.server.Version < mqtt.V5 }

// Close takes leave of the broker and closes the connection.
func (c *mqttClient) Close() error { return c.mqtt.Close() }

// explain is the error to return for one of the client's. For a connection that is
// lost it waits for the reason, so handlers must not call it.
func (c *mqttClient) explain(name string, err error) error {
	if errors.Is(err, mqtt.ErrDisconnected) {
		<-c.mqtt.Done() // which is soon: nothing reconnects
		err = fmt.Errorf("%s: %w", c.url.Redacted(), c.mqtt.Err())
	}
	return kinded(name, err)
}

// checkTopic tells whether a message can go to a name.
func checkTopic(name string) error {
	if err := topic.CheckName(name); err != nil {
		return err
	}
	if !packet.ValidTopicName(name) {
		return bus.Errorf(bus.Invalid, name, "MQTT has no names with + or #; use another dialect, such as http://")
	}
	return nil
}

// Publish sends a message and returns when the handshake of its QoS is complete
// or, with QoS 0, which has none, when the message is written.
func (c *mqttClient) Publish(ctx context.Context, name string, v *payload.Value, o PublishOptions) error {
	if err := checkTopic(name); err != nil {
		return err
	}
	var p packet.MessageProperties
	data, err := mapping.Payload(&p, v)
	if err != nil {
		return err
	}
	m := outgoing(name, data, &p)
	m.QoS, m.Retain = o.QoS, o.Retain
	err = c.mqtt.Publish(ctx, m)
	if err == nil && m.QoS == 0 {
		err = c.mqtt.Flush(ctx)
	}
	return c.explain(name, err)
}

// outgoing is a message with the properties that package mapping has set.
func outgoing(name string, data []byte, p *packet.MessageProperties) mqtt.Message {
	return mqtt.Message{
		Topic: name, Payload: data,
		ContentType: p.ContentType, ResponseTopic: p.ResponseTopic, CorrelationData: p.CorrelationData,
		UTF8: p.PayloadFormat == 1, User: p.User,
	}
}

// properties are those of a message as package mapping reads them.
func properties(m *mqtt.Message) packet.MessageProperties {
	p := packet.MessageProperties{
		ContentType: m.ContentType, ResponseTopic: m.ResponseTopic, CorrelationData: m.CorrelationData, User: m.User,
	}
	if m.UTF8 {
		p.PayloadFormat = 1
	}
	return p
}
