package mqtt_test

import (
	"testing"

	"omnibus/dialect"
	"omnibus/dialect/dialecttest"
	"omnibus/dialect/mqtt"
)

func driver() dialecttest.Driver {
	return dialecttest.Driver{
		Spec: mqtt.Spec(),
		Configure: func(c dialect.Config) {
			m, _ := c.(*mqtt.Config)
			m.Listen = "127.0.0.1:0"
			m.WebSocket.Listen = ""
		},
		Dial: dialecttest.DialRemote,
		Malformed: []string{
			"GET / HTTP/1.1\r\nHost: x\r\n\r\n", // not MQTT at all
			"\x00\x00",                          // a reserved type
			"\x10\xff\xff\xff\xff\x7f",          // a length without end
			"\xc0\x00",                          // PINGREQ before CONNECT
			"\x10\x0c\x00\x04MQTT\x04\x03\x00\x3c\x00\x00",                  // a reserved flag
			"\x10\x0c\x00\x04MQTT\x04\x02\x00\x3c\x00\x00\x36\x00",          // then QoS 3
			"\x10\x0c\x00\x04MQTT\x04\x02\x00\x3c\x00\x00\x10\x00",          // then a second CONNECT
			"\x10\x0c\x00\x04MQTT\x04\x02\x00\x3c\x00\x00\x30\x03\x00\x01#", // then a wildcard
			"\x10\x0d\x00\x04MQTT\x05\x02\x00\x3c\x00\x00\x00\xf0\x00",      // then AUTH out of nowhere
		},
		MalformedCounters: []string{"packets_invalid"},
		Unfinished: []string{
			"",
			"\x10",
			"\x10\x0c\x00\x04MQTT\x04\x02\x00\x3c\x00\x00\x30\x7f\x00", // in the middle of PUBLISH
		},
	}
}

func TestConformance(t *testing.T) { dialecttest.Run(t, driver()) }
