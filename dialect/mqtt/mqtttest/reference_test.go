package mqtttest_test

import (
	"context"
	"net"
	"os"
	"strings"
	"testing"

	"omnibus/dialect/mqtt/mqtttest"
)

// transcripts are the scripts that all brokers are to be played.
const transcripts = "../testdata/transcripts"

// The scripts are played against another broker than ours, for them to be right:
//
//	OMNIBUS_MQTT_REFERENCE       host:port; the broker is left as it was
//	OMNIBUS_MQTT_REFERENCE_WS    host:port of its WebSocket listener, if it has one
//	OMNIBUS_MQTT_REFERENCE_HAS   abilities it has been set up for, with commas
func TestTheReferenceBrokerHoldsTheTranscripts(t *testing.T) {
	address := os.Getenv("OMNIBUS_MQTT_REFERENCE")
	if address == "" {
		t.Skip("OMNIBUS_MQTT_REFERENCE names no broker")
	}
	dial := func(address string) func(context.Context) (net.Conn, error) {
		return func(ctx context.Context) (net.Conn, error) {
			var d net.Dialer
			return d.DialContext(ctx, "tcp", address)
		}
	}
	p := &mqtttest.Player{Dial: dial(address), Shared: true, Lacks: make(map[mqtttest.Ability]string)}
	if ws := os.Getenv("OMNIBUS_MQTT_REFERENCE_WS"); ws != "" {
		p.DialWebSocket, p.WebSocketURL = dial(ws), "ws://"+ws+"/mqtt"
	}
	has := os.Getenv("OMNIBUS_MQTT_REFERENCE_HAS")
	for _, a := range mqtttest.Abilities() {
		if a != mqtttest.WebSocket && !strings.Contains(","+has+",", ","+string(a)+",") {
			p.Lacks[a] = "it is not in OMNIBUS_MQTT_REFERENCE_HAS"
		}
	}
	mqtttest.Play(t, os.DirFS(transcripts), p)
}
